"""What goes to a real account: bootstraps for Amazon Linux 2023, and `sam deploy` with the caller's credentials.

    release.py build  --arch x86_64|arm64                      target/lambda/<function>/bootstrap, by cargo-lambda
    release.py deploy --stack NAME --arch … [--region R] [--param NAME=VALUE …]

`deploy` shows the change sets and asks before they are carried out (never on CI, where CI is set). First the topology,
template.yaml; then infra/aws-only.yaml, the alarms and the dashboard, as the stack NAME-aws-only, which knows the
first one's queues and functions by that stack's name. A --param goes to whichever template declares it (WarningTopicArn, CriticalTopicArn: alarms).
The first deployment makes the secret of stream tokens, unless StreamTokenSecret is given; later ones keep what the stack has.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import subprocess
import sys

import tools
from instance import checked_stack_name
from packages import functions
from report import Failure, stage

# cargo-lambda's name of an architecture where it differs from Lambda's
CARGO_LAMBDA_FLAG = {"x86_64": "--x86-64", "arm64": "--arm64"}

# What only AWS has: alarms and dashboard.
ALARMS = "infra/aws-only.yaml"

# Signs stream tokens; has no default.
SECRET = "StreamTokenSecret"

# Lambda refuses packages over 250 MB unzipped; far below that a bootstrap already starts slowly.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html, read 2026-11-21
WARN_BOOTSTRAP_BYTES = 30 * 1000 * 1000


def build(arch: str) -> None:
    """Compiles every function with the release profile."""
    # zig is the linker for the other system's C library; it lies beside cargo-lambda in the same virtual environment.
    beside = str(tools.program("build").parent)
    environment = {**os.environ, "PATH": f"{beside}{os.pathsep}{os.environ.get('PATH', '')}"}
    packages = [flag for name in functions() for flag in ("--package", name)]
    locked = ["--locked"] if os.environ.get("CI") else []
    command = [str(tools.program("build")), "lambda", "build", "--release", *locked, CARGO_LAMBDA_FLAG[arch], *packages]
    with stage(f"build for {arch}"):
        if subprocess.run(command, cwd=tools.ROOT, env=environment).returncode != 0:
            raise Failure("cargo lambda build failed")
    for name in functions():
        bootstrap = tools.ROOT / "target" / "lambda" / name / "bootstrap"
        if not bootstrap.exists():
            raise Failure(f"{bootstrap.relative_to(tools.ROOT)} was not built")
        size = bootstrap.stat().st_size
        note = "  large: starts slowly" if size > WARN_BOOTSTRAP_BYTES else ""
        print(f"     {bootstrap.relative_to(tools.ROOT)}  {size / 1e6:.1f} MB{note}")


def deploy(stack: str, arch: str, region: str | None, parameters: list[str]) -> None:
    """Deploys template.yaml, or its update, to the account of the caller's credentials."""
    if "AWS_ENDPOINT_URL" in os.environ:
        raise Failure("AWS_ENDPOINT_URL is set: this shell looks at a local AWS. `unset AWS_ENDPOINT_URL`, or use `make up`")
    checked_stack_name(stack)
    topology, alarms = declared("template.yaml"), declared(ALARMS)
    unknown = [one for one in parameters if one.split("=", 1)[0] not in topology | alarms]
    if unknown:
        raise Failure(f"no template has the parameter {unknown[0].split('=', 1)[0]}")
    own = [one for one in parameters if one.split("=", 1)[0] in topology]
    environment = {**os.environ, **({"AWS_DEFAULT_REGION": region} if region else {})}
    if not any(one.startswith(f"{SECRET}=") for one in own) and SECRET not in deployed_parameters(stack, environment):
        own.append(f"{SECRET}={secrets.token_hex(32)}")
    sam_deploy(stack, "template.yaml", region, [f"Architecture={arch}", *own])
    theirs = [one for one in parameters if one.split("=", 1)[0] in alarms]
    sam_deploy(f"{stack}-aws-only", ALARMS, region, [f"MillraceStack={stack}", *theirs])
    print(
        "Next: a first API key:\n"
        f"    cargo run --profile local --bin millrace -- keys create --owner you --scopes '*' --stack {stack}"
    )


def deployed_parameters(stack: str, environment: dict[str, str]) -> list[str]:
    """The names of the parameters that a stack was deployed with."""
    asked = subprocess.run(
        [str(tools.program("sam", "python")), "infra/local/stack_calls.py", "parameters", stack],
        cwd=tools.ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    if asked.returncode != 0:
        raise Failure(f"it cannot be told whether stack {stack} is there: {asked.stderr.strip()}")
    return list(json.loads(asked.stdout))


def declared(template: str) -> set[str]:
    """The names of a template's parameters."""
    text = (tools.ROOT / template).read_text(encoding="utf-8")
    section = re.search(r"^Parameters:\n(.*?)(?=^\S)", text, re.S | re.M)
    return set(re.findall(r"^  (\w+):", section.group(1), re.M)) if section else set()


def sam_deploy(stack: str, template: str, region: str | None, overrides: list[str]) -> None:
    """One `sam deploy`."""
    command = [
        str(tools.program("sam")), "deploy",
        "--template-file", template,
        "--stack-name", stack,
        *(["--region", region] if region else []),
        "--resolve-s3",
        "--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND",
        "--no-confirm-changeset" if os.environ.get("CI") else "--confirm-changeset",
        "--no-fail-on-empty-changeset",
        "--tags", "project=millrace",
        "--parameter-overrides", *overrides,
    ]  # fmt: skip
    with stage(f"deploy stack {stack}"):
        if subprocess.run(command, cwd=tools.ROOT, env={**os.environ, "SAM_CLI_TELEMETRY": "0"}).returncode != 0:
            raise Failure("sam deploy failed")


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["build", "deploy"])
    parser.add_argument("--arch", choices=sorted(CARGO_LAMBDA_FLAG), default="x86_64")
    parser.add_argument("--stack", default="millrace")
    parser.add_argument("--region")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    try:
        if arguments.verb == "build":
            build(arguments.arch)
        else:
            deploy(arguments.stack, arguments.arch, arguments.region, arguments.param)
    except Failure as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
