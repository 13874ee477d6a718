"""Builds and deploys to a real AWS account: bootstraps for Amazon Linux 2023, and `sam deploy` with the caller's credentials.

    release.py build     --arch x86_64|arm64      target/lambda/<function>/bootstrap, by cargo-lambda
    release.py package   --arch x86_64|arm64      target/millrace-<version>-<arch>.zip from these: what a team deploys without Rust
    release.py check     --stack NAME …           checks the arguments of `deploy`, without calling AWS
    release.py preflight --stack NAME …           looks at the account: one line for each finding; ends with 1 if one of them is FAIL
    release.py deploy    --stack NAME …           preflight, build, and both stacks

    [--arch …] [--stage …] [--region …] [--profile …] [--protect true|false] [--email-sender …]
    [--params-in VARIABLE] [--param NAME=VALUE …]

What is not given is not passed: an existing stack keeps its value, a new one gets the template's default (plan.py). `deploy` shows
each change set and asks before it executes it; if CI is set, it does not ask. It deploys the topology first (template.yaml), then
infra/aws-only.yaml, the alarms and the dashboard, as the stack NAME-aws-only. The second stack finds the first one's queues and
functions by the first stack's name. A parameter goes to the template that declares it (WarningTopicArn, CriticalTopicArn: alarms).

No secret is passed: the stack makes the one of its stream tokens, and others are named by ARN (infra/docs/deploying.md). Values of parameters never stand on a command line, where every user of the machine can read them: make passes PARAMS in the
environment, and SAM reads a file that only its owner can read.

`preflight` and `deploy` run in SAM's virtual environment, for its boto3.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import elf
import parameters
import tools
from instance import checked_stack_name
from packages import functions, naming_packages, pack_all
from plan import ARCHITECTURE, PROTECT, SENDER, STAGE, Asked, Plan
from report import Failure, stage

if TYPE_CHECKING:
    from account import Account

# cargo-lambda's flag for each of Lambda's architectures
CARGO_LAMBDA_FLAG = {"x86_64": "--x86-64", "arm64": "--arm64"}

# Parameters that other settings determine.
NOT_GIVEN = {ARCHITECTURE: "set ARCH instead, which also sets the compiler's target", "MillraceStack": "set STACK instead"}

# Lambda refuses packages over 250 MB unzipped; a bootstrap starts slowly long before that.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html, read 2026-11-21
MOST_BOOTSTRAP_BYTES = 250 * 1000 * 1000
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
        needed = elf.check(bootstrap, arch)
        size = bootstrap.stat().st_size
        note = "  large: it starts slowly" if size > WARN_BOOTSTRAP_BYTES else ""
        print(f"     {bootstrap.relative_to(tools.ROOT)}  {size / 1e6:.1f} MB, glibc {needed.glibc_text}{note}")
        if size > MOST_BOOTSTRAP_BYTES:
            raise Failure(f"{bootstrap.relative_to(tools.ROOT)} has {size / 1e6:.0f} MB; Lambda takes {MOST_BOOTSTRAP_BYTES / 1e6:.0f} MB")


def package(arch: str, bootstraps: Path, target: Path) -> Path:
    """Writes what a team needs to deploy without Rust, and how; returns the zip. The same bootstraps give the same bytes.

    `bootstraps` has <function>/bootstrap for every function. SAM uploads the packages inside when the template is deployed.
    """
    name = f"millrace-{version()}-{arch}"
    folder = target / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "functions").mkdir(parents=True)
    (folder / "infra").mkdir()
    every = functions()
    pack_all({bootstraps / one / "bootstrap": folder / "functions" / f"{one}.zip" for one in every}, level=9)
    template = naming_packages((tools.ROOT / parameters.MAIN).read_text(encoding="utf-8"), every, "functions")
    # The bootstraps decide the architecture: as the default, and for a stack that had another.
    head = '  Architecture:\n    Type: String\n    Default: "'
    settings = (tools.ROOT / "samconfig.toml").read_text(encoding="utf-8")
    if "CodeUri: target/" in template or template.count(f"{head}x86_64") != 1 or '"Architecture=x86_64"' not in settings:
        raise Failure(f"{parameters.MAIN} is not as `make template` writes it, or samconfig.toml names no Architecture")
    (folder / parameters.MAIN).write_text(template.replace(f"{head}x86_64", f"{head}{arch}"), encoding="utf-8")
    (folder / "samconfig.toml").write_text(settings.replace('"Architecture=x86_64"', f'"Architecture={arch}"'), encoding="utf-8")
    for path in (parameters.ALARMS, "infra/restore.yaml", "infra/grafana-dashboard.json", "LICENSE"):
        shutil.copyfile(tools.ROOT / path, folder / path)
    shutil.copyfile(tools.ROOT / "infra" / "docs" / "deploying-a-release.md", folder / "DEPLOY.md")
    archive = target / f"{name}.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            entry = zipfile.ZipInfo(f"{name}/{path.relative_to(folder)}")  # dated 1980
            # Packages are compressed already.
            entry.compress_type = zipfile.ZIP_STORED if path.suffix == ".zip" else zipfile.ZIP_DEFLATED
            zipped.writestr(entry, path.read_bytes())
    print(f"     {archive}  {archive.stat().st_size / 1e6:.1f} MB")
    return archive


def version() -> str:
    """The workspace's version."""
    with (tools.ROOT / "Cargo.toml").open("rb") as file:
        return str(tomllib.load(file)["workspace"]["package"]["version"])


def asked_for(arguments: argparse.Namespace) -> Asked:
    """Checks the arguments of a deployment, without calling AWS."""
    if "AWS_ENDPOINT_URL" in os.environ:
        raise Failure("AWS_ENDPOINT_URL is set, so this shell uses a local AWS. Open a new shell, or use `make up`")
    checked_stack_name(arguments.stack)
    declared = parameters.declared(tools.ROOT)
    own_settings = [(STAGE, arguments.stage), (SENDER, arguments.email_sender), (PROTECT, arguments.protect)]
    texts = [f"{name}={value}" for name, value in own_settings if value]
    texts += [*parameters.in_environment(arguments.params_in), *arguments.param]
    known = {**declared[parameters.ALARMS], **declared[parameters.MAIN]}
    return Asked(arguments.stack, arguments.arch, parameters.checked(texts, known, NOT_GIVEN))


def preflight(account: Account, asked: Asked, root: Path = tools.ROOT) -> Plan:
    """Prints what is found in the account.

    Raises:
        Failure: the deployment would fail, or do what nobody asked for.
    """
    import preflight as looks  # needs boto3

    plan, found = looks.look(account, asked, root)
    for finding in found:
        print(finding, flush=True)
    failed = sum(finding.level == looks.FAIL for finding in found)
    if plan is None or failed:
        raise Failure(f"nothing was changed: see the {failed} {'line' if failed == 1 else 'lines'} with FAIL")
    return plan


def deploy(account: Account, asked: Asked) -> None:
    """Looks at the account, builds, and creates or updates both stacks."""
    plan = preflight(account, asked)
    build(plan.arch)
    deploy_stacks(account, plan)
    import preflight as looks  # needs boto3

    # Said again, because the first time is some minutes and many lines ago.
    print(*looks.told(plan), sep="\n")
    options = ["--region", account.region or "", *(["--profile", account.profile] if account.profile else [])]
    print(
        "Next: create the first API key (shown only once):\n"
        f"    cargo run --profile local --bin millrace -- keys create --owner ops --scopes '*' --stack {asked.stack} {shlex.join(options)}"
    )


def deploy_stacks(account: Account, plan: Plan, root: Path = tools.ROOT) -> None:
    """Creates or updates both stacks from the templates of a folder. Protection from deletion comes after the creation."""
    stack = plan.asked.stack
    sam_deploy(account, root, stack, parameters.MAIN, plan.own)
    if plan.protects_later:
        # Asked for already, so it is not asked about again.
        sam_deploy(account, root, stack, parameters.MAIN, {PROTECT: "true"}, asks=False)
    sam_deploy(account, root, plan.asked.alarms_stack, parameters.ALARMS, plan.theirs)
    if plan.protects is not None:
        deployed = account.stack(stack)
        if deployed and deployed.refuses_deletion != plan.protects:
            with stage("protect the stack from deletion" if plan.protects else "end the stack's protection"):
                account.refuse_deletion(stack, plan.protects)


def sam_deploy(account: Account, root: Path, stack: str, template: str, overrides: dict[str, str], asks: bool = True) -> None:
    """Runs `sam deploy` for one stack, with these parameters and the previous values of all others."""
    with stage(f"deploy stack {stack}"), _private_file(json.dumps(overrides)) as values:
        command = [
            str(tools.program("sam")), "deploy",
            "--template-file", template,
            "--stack-name", stack,
            *(["--region", account.region] if account.region else []),
            "--resolve-s3",
            "--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND",
            "--confirm-changeset" if asks and not os.environ.get("CI") else "--no-confirm-changeset",
            "--no-fail-on-empty-changeset",
            "--tags", "project=millrace",
            "--parameter-overrides", f"file://{values}",
        ]  # fmt: skip
        if subprocess.run(command, cwd=root, env={**account.environment(), "SAM_CLI_TELEMETRY": "0"}).returncode != 0:
            raise Failure("sam deploy failed")
        # SAM ends with 0 when its question is answered by no.
        deployed = account.stack(stack)
        if deployed is None or any(deployed.parameters.get(name) not in (value, "****") for name, value in overrides.items()):
            raise Failure(f"the change set of {stack} was not executed; nothing after it is deployed")


@contextmanager
def _private_file(text: str) -> Iterator[Path]:
    """A file that only its owner can read, for the time of the block. SAM reads no `.json`, and JSON is YAML."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", prefix="millrace-parameters-") as file:
        file.write(text)
        file.flush()
        yield Path(file.name)


def main() -> int:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["build", "package", "check", "preflight", "deploy"])
    parser.add_argument("--arch", choices=sorted(CARGO_LAMBDA_FLAG), help="default: what the stack has, else x86_64")
    parser.add_argument("--stack", default="millrace")
    parser.add_argument("--stage")
    parser.add_argument("--region")
    parser.add_argument("--profile")
    parser.add_argument("--protect", choices=["true", "false"], help="protect tables and stack from deletion")
    parser.add_argument("--email-sender")
    parser.add_argument("--params-in", metavar="VARIABLE", help="a variable of the environment with parameters, NAME=VALUE as a shell splits them")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    try:
        if arguments.verb == "build":
            build(arguments.arch or "x86_64")
            return 0
        if arguments.verb == "package":
            package(arguments.arch or "x86_64", tools.ROOT / "target" / "lambda", tools.ROOT / "target")
            return 0
        asked = asked_for(arguments)
        if arguments.verb == "check":
            return 0
        from account import Account  # needs boto3

        account = Account(arguments.region, arguments.profile)
        if arguments.verb == "preflight":
            preflight(account, asked)
        else:
            deploy(account, asked)
    except Failure as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
