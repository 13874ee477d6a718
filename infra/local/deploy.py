"""Brings a stack up to date: by `sam deploy`, or, if only code changed, by updating the functions' code alone."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import parameters
import stack_resources
import tools
from emulator import REGION, Emulator, Instance, http_status
from instance import HERE, Settings, Stack, aws_environment, clean_environment, write_private
from packages import package_of, stage_packages
from report import Failure, stage, tail

DEPLOY_DEADLINE_SECONDS = 600
HEALTH_DEADLINE_SECONDS = 60


@dataclass(frozen=True)
class Deployed:
    """What is known to be deployed on an instance."""

    # The id of our local AWS's process. None for another endpoint: it may have been restarted empty, so nothing is known about it.
    instance: str | None
    # A digest of template, stack name and parameters.
    template: str
    # The digest of the program that each function runs.
    programs: dict[str, str]
    api_key: str
    keys_table: str
    # Functions whose code was updated since CloudFormation last deployed. CloudFormation does not know about the update: if a later
    # deployment has the package that CloudFormation itself deployed before, it leaves the function unchanged.
    updated_alone: list[str] = field(default_factory=list)

    @staticmethod
    def of(settings: Settings) -> Deployed | None:
        """Reads the record; None if nothing is known."""
        try:
            return Deployed(**json.loads(settings.deployed_file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def record(self, settings: Settings) -> None:
        """Writes the record."""
        write_private(settings.deployed_file, json.dumps(asdict(self), indent=2) + "\n")


def deploy(settings: Settings, instance: Instance | None, binaries: Path, breakable: dict[str, str]) -> Stack:
    """Brings the stack up to date; waits until its API answers."""
    endpoint = settings.endpoint or (instance.endpoint if instance else "")
    with stage("stage packages") as notes:
        programs = stage_packages(settings.template, settings.staged, binaries)
        template = _template_digest(settings)
        notes.append(f"{len(programs)} functions")
    before = Deployed.of(settings)
    if instance is None or before is None or before.instance != instance.id:
        before = None
    if before and before.template == template:
        outputs = json.loads(settings.outputs_file.read_text())
        resources = stack_resources.of_file(settings.resources_file)
        changed = [name for name in programs if before.programs.get(name) != programs[name]]
        now = replace(before, programs=programs, updated_alone=sorted({*before.updated_alone, *changed}))
        if changed:
            # If the update is interrupted, the next call knows that these functions may run either program.
            replace(now, programs={name: programs[name] for name in programs if name not in changed}).record(settings)
            _update_code(settings, endpoint, changed)
        else:
            print(f"     stack {settings.stack} is up to date", flush=True)
    else:
        if before:
            replace(before, template="").record(settings)
        with stage(f"deploy stack {settings.stack}"):
            stack_calls(endpoint, "verify-sender", settings.parameters["EmailSender"], may_fail=instance is None)
            _sam_deploy(settings, endpoint)
            described = json.loads(stack_calls(endpoint, "describe", settings.stack))
            outputs, resources = described["outputs"], stack_resources.of_listing(described)
        if before and before.updated_alone:
            _update_code(settings, endpoint, [name for name in before.updated_alone if name in programs])
        keys_table = resources["KeysTable"]
        with stage("create API key") as notes:
            if before and before.keys_table == keys_table:
                api_key = before.api_key
                notes.append("kept")
            else:
                api_key = _create_api_key(binaries, endpoint, keys_table)
        now = Deployed(instance.id if instance else None, template, programs, api_key, keys_table)
        settings.outputs_file.write_text(json.dumps(outputs, indent=2, sort_keys=True) + "\n")
        settings.resources_file.write_text(resources.to_json())
    now.record(settings)
    stack = Stack(endpoint, settings.stack, outputs, resources, now.api_key, breakable)
    _await_api(settings, stack)
    return stack


def _template_digest(settings: Settings) -> str:
    what = [settings.stack, settings.parameters, (settings.staged / "template.yaml").read_text(encoding="utf-8")]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def _update_code(settings: Settings, endpoint: str, functions: list[str]) -> None:
    """Updates the code of a stack's functions and waits until they run it."""
    with stage("update code") as notes:
        packages = [f"{name}={package_of(settings.staged, name)}" for name in functions]
        stack_calls(endpoint, "update-code", settings.stack, str(settings.staged / "template.yaml"), *packages)
        notes.append(", ".join(functions))


def _sam_deploy(settings: Settings, endpoint: str) -> None:
    # SAM keeps the last value of a parameter that is not named, so a deployment names every parameter. Local parameters of domains
    # that this template does not have are left out; parameters that the user gave were checked before anything was built.
    declared = parameters.defaults(parameters.declared(settings.template.parent)[parameters.MAIN])
    values = {**declared, **{name: value for name, value in settings.parameters.items() if name in declared}}
    missing = sorted(name for name, value in values.items() if value is None)
    if missing:
        raise Failure(f"the template's parameter {', '.join(missing)} has no default; give it: PARAMS={missing[0]}=…")
    overrides = [f'{name}="{value}"' for name, value in sorted(values.items())]
    command = [
        str(tools.program("sam")), "deploy",
        "--template-file", "template.yaml",
        "--stack-name", settings.stack,
        "--region", REGION,
        "--resolve-s3",
        "--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND",
        "--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar",
        "--parameter-overrides", *overrides,
    ]  # fmt: skip
    with settings.deploy_log.open("w") as log:
        try:
            status = subprocess.run(
                command, cwd=settings.staged, env=clean_environment(aws_environment(endpoint)),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, timeout=DEPLOY_DEADLINE_SECONDS,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            status = None
    if status != 0:
        how = "took too long" if status is None else f"ended with {status}"
        raise Failure(f"sam deploy {how}; the end of {settings.deploy_log}:\n{tail(settings.deploy_log, 40)}")


def stack_calls(endpoint: str, *arguments: str, may_fail: bool = False) -> str:
    """Runs stack_calls.py in SAM's virtual environment and returns what it prints."""
    python = tools.program("sam", "python")
    done = subprocess.run(
        [str(python), str(HERE / "stack_calls.py"), *arguments],
        env=clean_environment(aws_environment(endpoint)), stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode != 0:
        if may_fail:
            print(f"     note: {arguments[0]}: {done.stderr.strip()}", file=sys.stderr)
        else:
            raise Failure(f"{' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def _create_api_key(binaries: Path, endpoint: str, keys_table: str) -> str:
    command = [str(binaries / "millrace"), "keys", "create", "--owner", "local", "--scopes", "*", "--table", keys_table]
    done = subprocess.run(
        command, env=clean_environment(aws_environment(endpoint)), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    try:
        if done.returncode == 0:
            return str(json.loads(done.stdout)["key"])
    except (ValueError, KeyError):
        pass
    raise Failure(f"`{' '.join(command)}` did not create a key (status {done.returncode}): {done.stdout}{done.stderr}")


def _await_api(settings: Settings, stack: Stack) -> None:
    """Waits until `/health` answers 200: API, function and the services that it checks are then up."""
    url = f"{stack.api_url}/health"
    with stage("health"):
        deadline = time.monotonic() + HEALTH_DEADLINE_SECONDS
        while (status := http_status(url)) != 200:
            if time.monotonic() > deadline:
                log = Emulator(settings.folder).log
                raise Failure(
                    f"GET {url} answers {status or 'nothing'} after {HEALTH_DEADLINE_SECONDS} s; the end of {log}:\n{tail(log)}"
                )
            time.sleep(0.2)
