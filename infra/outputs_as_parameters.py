"""Prints the outputs of one stack as parameters of another template: `outputs_as_parameters.py STACK TEMPLATE`.

Only outputs whose name the template declares as a parameter are printed, one `Name=value` each, in the form that
`sam deploy --parameter-overrides` takes. Exits with 1 and the missing names when a parameter without a default has no
output (`MillraceStack` and `Stage` are the caller's own).
"""

import re
import sys
from pathlib import Path

import boto3

CALLERS_OWN = {"MillraceStack", "Stage"}


def parameters(template: str) -> dict[str, bool]:
    """Name of each parameter, and whether it has a default."""
    section = re.search(r"^Parameters:\n(.*?)(?=^\S)", template, re.S | re.M)
    if section is None:
        return {}
    # The text before the first name is empty; then name and body take turns.
    parts = re.split(r"^  (\w+):", section.group(1), flags=re.M)[1:]
    return {name: "Default:" in body for name, body in zip(parts[::2], parts[1::2], strict=True)}


def main(stack: str, template: str) -> int:
    """Looks the stack up and prints; the exit code."""
    wanted = parameters(Path(template).read_text(encoding="utf-8"))
    answer = boto3.client("cloudformation").describe_stacks(StackName=stack)
    outputs = {o["OutputKey"]: o["OutputValue"] for o in answer["Stacks"][0].get("Outputs", [])}
    missing = [n for n, default in wanted.items() if not default and n not in outputs and n not in CALLERS_OWN]
    if missing:
        print(f"stack {stack} has no output for {', '.join(missing)}", file=sys.stderr)
        return 1
    for name in wanted:
        if name in outputs:
            print(f"{name}={outputs[name]}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
