"""Builds and deploys to a real AWS account: bootstraps for Amazon Linux 2023, and `sam deploy` with the caller's credentials.

    release.py build  --arch x86_64|arm64                      target/lambda/<function>/bootstrap, by cargo-lambda
    release.py check  --stack NAME --arch … [--param NAME=VALUE …]     checks the arguments of `deploy`, without calling AWS
    release.py deploy --stack NAME --arch … [--region R] [--param NAME=VALUE …]

`deploy` shows each change set and asks before it executes it; if CI is set, it does not ask. It deploys the topology first
(template.yaml), then infra/aws-only.yaml, the alarms and the dashboard, as the stack NAME-aws-only. The second stack finds the
first one's queues and functions by the first stack's name. A --param goes to the template that declares it
(WarningTopicArn, CriticalTopicArn: alarms).
No secret is passed: the stack makes the one of its stream tokens, and others are named by ARN (infra/docs/deploying.md).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

import parameters
import tools
from instance import checked_stack_name
from packages import functions
from report import Failure, stage

# cargo-lambda's flag for each of Lambda's architectures
CARGO_LAMBDA_FLAG = {"x86_64": "--x86-64", "arm64": "--arm64"}

# Parameters that other settings determine.
NOT_GIVEN = {"Architecture": "set ARCH instead, which also sets the compiler's target", "MillraceStack": "set STACK instead"}

# Lambda refuses packages over 250 MB unzipped; a bootstrap starts slowly long before that.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html, read 2026-11-21
WARN_BOOTSTRAP_BYTES = 30 * 1000 * 1000


def build(arch: str) -> None:
    """Compiles every function with the release profile."""
    # zig links against Amazon Linux's C library; it is in the same virtual environment as cargo-lambda.
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
        note = "  large: it starts slowly" if size > WARN_BOOTSTRAP_BYTES else ""
        print(f"     {bootstrap.relative_to(tools.ROOT)}  {size / 1e6:.1f} MB{note}")


def check(stack: str, texts: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Checks the arguments; returns the parameters of template.yaml and of infra/aws-only.yaml."""
    if "AWS_ENDPOINT_URL" in os.environ:
        raise Failure("AWS_ENDPOINT_URL is set, so this shell uses a local AWS. Open a new shell, or use `make up`")
    checked_stack_name(stack)
    declared = parameters.declared(tools.ROOT)
    topology, alarms = declared[parameters.MAIN], declared[parameters.ALARMS]
    given = parameters.checked(texts, {**alarms, **topology}, NOT_GIVEN)
    # Only the first template has a default for it.
    given.setdefault("Stage", topology["Stage"]["Default"])
    own = {name: value for name, value in given.items() if name in topology}
    return own, {name: value for name, value in given.items() if name in alarms}


def deploy(stack: str, arch: str, region: str | None, texts: list[str]) -> None:
    """Creates or updates both stacks in the account of the caller's credentials."""
    own, theirs = check(stack, texts)
    sam_deploy(stack, parameters.MAIN, region, {"Architecture": arch, **own})
    sam_deploy(f"{stack}-aws-only", parameters.ALARMS, region, {"MillraceStack": stack, **theirs})
    print(
        "Next: create the first API key (shown only once):\n"
        f"    cargo run --profile local --bin millrace -- keys create --owner ops --scopes '*' --stack {stack}"
    )


def sam_deploy(stack: str, template: str, region: str | None, overrides: dict[str, str]) -> None:
    """Runs `sam deploy` for one stack."""
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
        # Quoted, because SAM otherwise ends a value at a blank.
        "--parameter-overrides", *(f'{name}="{value}"' for name, value in overrides.items()),
    ]  # fmt: skip
    with stage(f"deploy stack {stack}"):
        if subprocess.run(command, cwd=tools.ROOT, env={**os.environ, "SAM_CLI_TELEMETRY": "0"}).returncode != 0:
            raise Failure("sam deploy failed")


def main() -> int:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["build", "check", "deploy"])
    parser.add_argument("--arch", choices=sorted(CARGO_LAMBDA_FLAG), default="x86_64")
    parser.add_argument("--stack", default="millrace")
    parser.add_argument("--region")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    try:
        if arguments.verb == "build":
            build(arguments.arch)
        elif arguments.verb == "check":
            check(arguments.stack, arguments.param)
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
