"""The local AWS with Millrace on it: what `make run`, `up`, `down`, `test` and `bench` call.

    local_aws.py up      start a MiniStack (or take the running one, or --endpoint), deploy template.yaml, write LOCAL/env
    local_aws.py down    end what `up` started in this LOCAL
    local_aws.py run     up, then the main job (journey.py), then stay until Ctrl-C, with some traffic for the dashboard
    local_aws.py with … -- COMMAND   up in a fresh one, run the command with its environment, always end it;
                         --browser: and the dashboard's browser test after it
    local_aws.py status  what runs, where

The same template and the same bootstraps as on AWS are deployed with `sam deploy`; only parameters differ. Everything an
instance has lies in its folder LOCAL (default .local): env (for `source`), outputs.json,
resources.json, ministack.log, deploy.log.
A second `up` deploys only when bootstraps, template or parameters changed.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import browser
import stack_resources
import tools
from emulator import (
    REGION, ROOT_KEY, Emulator, EventStream, FaultProxy, Instance, LocalChain, end_group, free_port, http_put, http_status,
    port_answers,
)  # fmt: skip
from report import Failure, stage, tail

ROOT = tools.ROOT
HERE = ROOT / "infra" / "local"

# What a local stack has different from the template's defaults. --param adds to it or overrides it.
LOCAL_PARAMETERS = {
    "Stage": "local",
    "EmailSender": "millrace@example.com",
    # MiniStack's SES knows no resources: anything but `*` is denied there.
    "SesResource": "*",
    # The local chain follows the books at once.
    "ChainTokenContract": "0x00000000000000000000000000000000000000cc",
    "ChainTokenDecimals": "18",
    "ChainInFlightSeconds": "60",
}

DEPLOY_DEADLINE_SECONDS = 600
HEALTH_DEADLINE_SECONDS = 60


@dataclass(frozen=True)
class Settings:
    """One instance: where it runs, what is deployed to it, where its files are."""

    folder: Path
    port: int
    stack: str
    endpoint: str | None
    functions_endpoint: str | None
    # A fault proxy of ours between the functions and the local AWS.
    fault_proxy: bool = False
    # Where the event stream listens; 0: any free port; None: the port behind the local AWS's, or any where it is taken.
    stream_port: int | None = None
    # `with`: the dashboard's browser test comes after the command.
    with_browser: bool = False
    # `run`: something happens on the stack as long as it stays.
    with_traffic: bool = True
    parameters: dict[str, str] = field(default_factory=dict)
    # Of the event stream's own, beside what follows from the stack.
    stream_settings: dict[str, str] = field(default_factory=dict)

    @property
    def env_file(self) -> Path:
        return self.folder / "env"

    @property
    def outputs_file(self) -> Path:
        return self.folder / "outputs.json"

    @property
    def resources_file(self) -> Path:
        return self.folder / "resources.json"

    @property
    def deployed_file(self) -> Path:
        return self.folder / "deployed.json"

    @property
    def secret_file(self) -> Path:
        return self.folder / "stream-token-secret"

    @property
    def deploy_log(self) -> Path:
        return self.folder / "deploy.log"


@dataclass(frozen=True)
class Stack:
    """A deployed stack and how to reach it."""

    endpoint: str
    name: str
    outputs: dict[str, str]
    resources: stack_resources.Resources
    api_key: str
    # Where the fault proxy and the local chain are steered, and the process group of the local AWS: for tests that break
    # things.
    breakable: dict[str, str] = field(default_factory=dict)
    # What stands before /api/v1/events/stream and /dashboard/; None where no event stream runs.
    stream_url: str | None = None

    @property
    def api_url(self) -> str:
        """What stands before /api/v1. The URL among the outputs points at amazonaws.com, so it is built from the ids."""
        return f"{self.endpoint}/restapis/{self.outputs['RestApiId']}/{self.outputs['ApiStage']}/_user_request_"

    def environment(self) -> dict[str, str]:
        """What a program needs to use it."""
        stream = {"STREAM_URL": self.stream_url, "DASHBOARD_URL": f"{self.stream_url}/dashboard/"} if self.stream_url else {}
        own = {"STACK_NAME": self.name, "API_URL": self.api_url, "API_KEY": self.api_key}
        return {**aws_environment(self.endpoint), **own, **stream, **self.breakable}


def functions() -> list[str]:
    """Every function: a folder under functions/ is a package is a binary is target/lambda/<name>."""
    return sorted(manifest.parent.name for manifest in (ROOT / "functions").glob("*/Cargo.toml"))


def aws_environment(endpoint: str) -> dict[str, str]:
    """Endpoint, region and credentials for clients of the local AWS."""
    # Somebody's own endpoint (--endpoint) may check credentials that they gave for it; ours knows one root user.
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ROOT_KEY,
        "AWS_SECRET_ACCESS_KEY": ROOT_KEY,
    }


def clean_environment(extra: dict[str, str]) -> dict[str, str]:
    """The caller's environment without any AWS setting: a profile or session of theirs must never meet `sam deploy` here."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAM_"))}
    return {**kept, "SAM_CLI_TELEMETRY": "0", "AWS_EC2_METADATA_DISABLED": "true", **extra}


# --- build -----------------------------------------------------------------------------------------------------------


def build(tests: list[str]) -> Path:
    """Compiles functions and tools with the profile `local`, and what a `cargo test` command will run; answers with the folder
    of the binaries."""
    # On CI the lock file must be right as it is; at a desk a new function or dependency may bring it up to date.
    locked = ["--locked"] if os.environ.get("CI") else []
    commands = [["cargo", "build", *locked, "--profile", "local", "--workspace", "--bins"]]
    if tests:
        own = tests.index("--") if "--" in tests else len(tests)
        commands.append([*tests[:own], "--no-run"])
    with stage("build (profile local)"):
        for command in commands:
            # Its progress is worth seeing: minutes the first time.
            if subprocess.run(command, cwd=ROOT).returncode != 0:
                raise Failure("the build failed")
    metadata = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--format-version", "1"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )
    return Path(json.loads(metadata.stdout)["target_directory"]) / "local"


def stage_stack(settings: Settings, binaries: Path) -> Path:
    """Lays out template and bootstraps as SAM expects them, in the instance's own folder.

    There and not in target/lambda, where `make build` puts what goes to a real account: the two never mix, and two
    instances deploy at once.
    """
    staged = settings.folder / "stage"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    shutil.copy2(ROOT / "template.yaml", staged)
    for name in functions():
        binary = binaries / name
        if not binary.exists():
            raise Failure(f"{binary} was not built: functions/{name} must have a binary of the same name")
        folder = staged / "target" / "lambda" / name
        folder.mkdir(parents=True)
        shutil.copy2(binary, folder / "bootstrap")
    return staged


def digest(staged: Path, settings: Settings) -> str:
    """Changes when anything that a deployment depends on changes."""
    sum_ = hashlib.sha256(json.dumps([settings.stack, settings.parameters], sort_keys=True).encode())
    for path in sorted(path for path in staged.rglob("*") if path.is_file()):
        sum_.update(str(path.relative_to(staged)).encode())
        sum_.update(hashlib.sha256(path.read_bytes()).digest())
    return sum_.hexdigest()


# --- deploy ----------------------------------------------------------------------------------------------------------


def up(settings: Settings, tests: list[str] | None = None) -> Stack:
    """Brings the stack up to date, starting the local AWS if need be; what it started it ends when it fails."""
    tools.ensure("sam", *([] if settings.endpoint else ["ministack"]))
    binaries = build(tests or [])
    with _lock(settings.folder):
        settings = _with_secret(settings)
        emulator = Emulator(settings.folder)
        chain = LocalChain(settings.folder)
        instance = None
        is_new = False
        if settings.endpoint is None:
            instance = emulator.running()
            is_new = instance is None
            if instance and settings.port not in (0, instance.port):
                raise Failure(
                    f"a local AWS of {settings.folder} runs on port {instance.port}: `make down` first, or give another LOCAL"
                )
            if instance is None:
                instance = _start(settings, emulator, binaries)
        try:
            settings = _with_chain(settings, chain, instance, binaries)
            return _with_stream(settings, _deploy(settings, instance, binaries), binaries)
        except BaseException:
            if is_new:
                EventStream(settings.folder).stop()
                emulator.stop()
                FaultProxy(settings.folder).stop()
                chain.stop()
                _forget(settings)
            raise


def _with_secret(settings: Settings) -> Settings:
    """Settings with a secret for stream tokens: the one given by --param, or one that is made once for this folder."""
    if "StreamTokenSecret" in settings.parameters:
        return settings
    if not settings.secret_file.exists():
        _write_private(settings.secret_file, secrets.token_hex(32))
    return replace(settings, parameters={**settings.parameters, "StreamTokenSecret": settings.secret_file.read_text()})


def _with_stream(settings: Settings, stack: Stack, binaries: Path) -> Stack:
    """The event stream beside the stack, started anew: its tables and binary may be others than before."""
    stream = EventStream(settings.folder)
    stream.stop()
    port = settings.stream_port
    if port is None:
        port = settings.port + 1 if settings.port and not port_answers(settings.port + 1) else 0
    instance = stream.start(binaries / "event-stream", port, _stream_settings(settings, stack))
    stack = replace(stack, stream_url=instance.endpoint)
    _write_env(settings, stack)
    return stack


def _stream_settings(settings: Settings, stack: Stack) -> dict[str, str]:
    """What the template gives the function, as it was deployed: here as there."""
    deployed = json.loads(_stack_calls(stack.endpoint, "settings", stack.name, "EventStreamFunction"))
    return {**deployed, **aws_environment(stack.endpoint), **settings.stream_settings}


def _with_chain(settings: Settings, chain: LocalChain, instance: Instance | None, binaries: Path) -> Settings:
    """Settings that name a chain: the one given by --param, or one of ours beside a local AWS of ours."""
    if instance is None or "ChainRpcUrl" in settings.parameters:
        return settings
    node = chain.running() or chain.start(binaries / "local-chain", aws_environment(instance.endpoint))
    return replace(settings, parameters={**settings.parameters, "ChainRpcUrl": node.endpoint})


def _mirror_books(settings: Settings, stack: Stack) -> None:
    node = LocalChain(settings.folder).running()
    if node is None:
        return
    mirror = {"cloud_table": stack.resources["CloudTable"], "decimals": int(settings.parameters["ChainTokenDecimals"])}
    status = http_put(f"{node.endpoint}{LocalChain.CONTROL_PATH}/mirror", mirror)
    if status != 200:
        raise Failure(f"the local chain does not mirror the books ({status}); the end of its log:\n{tail(LocalChain(settings.folder).log)}")


def _start(settings: Settings, emulator: Emulator, binaries: Path) -> Instance:
    """Starts the local AWS, behind a fault proxy where one is wanted."""
    if not settings.fault_proxy:
        return emulator.start(settings.port, settings.functions_endpoint)
    port = settings.port or free_port()
    proxy = FaultProxy(settings.folder)
    try:
        functions_endpoint = proxy.start(binaries / "fault-proxy", port).endpoint
        return emulator.start(port, functions_endpoint)
    except BaseException:
        proxy.stop()
        raise


def _breakable(settings: Settings, instance: Instance | None) -> dict[str, str]:
    node = LocalChain(settings.folder).running()
    chain = {"MILLRACE_LOCAL_CHAIN": f"{node.endpoint}{LocalChain.CONTROL_PATH}"} if node else {}
    proxy = FaultProxy(settings.folder).running()
    if instance is None or proxy is None:
        return chain
    return {
        **chain,
        "MILLRACE_FAULT_PROXY": f"{proxy.endpoint}{FaultProxy.CONTROL_PATH}",
        "MILLRACE_LOCAL_AWS_GROUP": str(instance.pid),
    }


def _deploy(settings: Settings, instance: Instance | None, binaries: Path) -> Stack:
    endpoint = settings.endpoint or (instance.endpoint if instance else "")
    with stage("stage bootstraps") as notes:
        staged = stage_stack(settings, binaries)
        wanted = digest(staged, settings)
        notes.append(f"{len(functions())} functions")
    before = _deployed(settings)
    # An endpoint of somebody else may have been restarted empty: only our own process is remembered.
    is_same_instance = instance is not None and before.get("instance") == instance.id
    if is_same_instance and before.get("digest") == wanted:
        outputs = json.loads(settings.outputs_file.read_text())
        resources = stack_resources.of_file(settings.resources_file)
        stack = Stack(endpoint, settings.stack, outputs, resources, before["api_key"], _breakable(settings, instance))
        print(f"     stack {settings.stack} is up to date", flush=True)
    else:
        with stage(f"deploy stack {settings.stack}"):
            _stack_calls(endpoint, "verify-sender", settings.parameters["EmailSender"], may_fail=instance is None)
            _sam_deploy(settings, staged, endpoint)
            outputs = json.loads(_stack_calls(endpoint, "outputs", settings.stack))
            resources = stack_resources.from_json(_stack_calls(endpoint, "resources", settings.stack))
        with stage("create API key") as notes:
            is_same_table = is_same_instance and before.get("keys_table") == resources["KeysTable"]
            if is_same_table:
                api_key = str(before["api_key"])
                notes.append("kept")
            else:
                api_key = _create_api_key(binaries, endpoint, resources["KeysTable"])
        stack = Stack(endpoint, settings.stack, outputs, resources, api_key, _breakable(settings, instance))
        record = {
            "instance": instance.id if instance else None,
            "digest": wanted,
            "api_key": api_key,
            "keys_table": resources["KeysTable"],
        }
        _write_private(settings.deployed_file, json.dumps(record, indent=2) + "\n")
        settings.outputs_file.write_text(json.dumps(outputs, indent=2, sort_keys=True) + "\n")
        settings.resources_file.write_text(resources.to_json())
    _await_api(settings, stack)
    _mirror_books(settings, stack)
    return stack


def _sam_deploy(settings: Settings, staged: Path, endpoint: str) -> None:
    declared = json.loads(_stack_calls(endpoint, "defaults", str(staged / "template.yaml")))
    unknown = sorted(set(settings.parameters) - set(declared))
    if unknown:
        raise Failure(f"the template has no parameter {', '.join(unknown)}")
    values = {**declared, **settings.parameters}
    missing = sorted(name for name, value in values.items() if value is None)
    if missing:
        raise Failure(f"the template's parameter {', '.join(missing)} has no default: PARAMS={missing[0]}=…")
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
                command, cwd=staged, env=clean_environment(aws_environment(endpoint)),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, timeout=DEPLOY_DEADLINE_SECONDS,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            status = None
    if status != 0:
        how = "took too long" if status is None else f"ended with {status}"
        raise Failure(f"sam deploy {how}; the end of {settings.deploy_log}:\n{tail(settings.deploy_log, 40)}")


def _stack_calls(endpoint: str, *arguments: str, may_fail: bool = False) -> str:
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
    raise Failure(f"`{' '.join(command)}` gave no key (status {done.returncode}): {done.stdout}{done.stderr}")


def _await_api(settings: Settings, stack: Stack) -> None:
    """Through the front, the function and the services it reports on: only then is it up."""
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


def _deployed(settings: Settings) -> dict[str, str]:
    try:
        return dict(json.loads(settings.deployed_file.read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def _write_env(settings: Settings, stack: Stack) -> None:
    values = {**stack.environment(), "STACK_RESOURCES": str(settings.resources_file)}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    _write_private(settings.env_file, "\n".join(lines) + "\n")


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as handle:
        handle.write(text)


@contextmanager
def _lock(folder: Path, name: str = "lock", waiting: str | None = None) -> Iterator[None]:
    """Two calls for one folder take turns; others run beside."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                print(waiting, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


# --- verbs -----------------------------------------------------------------------------------------------------------


def verb_up(settings: Settings) -> int:
    _print_how_to_call(settings, up(settings))
    return 0


def verb_down(settings: Settings) -> int:
    with _lock(settings.folder):
        with stage("end local AWS") as notes:
            EventStream(settings.folder).stop()
            if not Emulator(settings.folder).stop():
                notes.append(f"none was running from {_shown(settings.folder)}")
            FaultProxy(settings.folder).stop()
            LocalChain(settings.folder).stop()
        _forget(settings)
    return 0


def verb_status(settings: Settings) -> int:
    instance = Emulator(settings.folder).running()
    if instance is None:
        print(f"no local AWS runs from {_shown(settings.folder)}")
        return 1
    print(f"local AWS: {instance.endpoint}, process {instance.pid}, log {_shown(settings.folder)}/ministack.log")
    stream = EventStream(settings.folder).running()
    if stream:
        print(f"event stream: {stream.endpoint}, process {stream.pid}, log {_shown(settings.folder)}/event-stream.log")
    if settings.env_file.exists():
        print(f"stack: deployed; its environment: source {_shown(settings.env_file)}")
    return 0


def verb_run(settings: Settings) -> int:
    is_ours = settings.endpoint is None and Emulator(settings.folder).running() is None
    try:
        stack = up(settings)
        # In SAM's environment, for its boto3.
        journey = [str(tools.program("sam", "python")), str(HERE / "journey.py")]
        print(f"     watch it: {stack.stream_url}/dashboard/ (its key: API_KEY in {_shown(settings.env_file)})", flush=True)
        with stage("main job"):
            _check_call(journey, _command_environment(settings, stack))
        _print_how_to_call(settings, stack)
        if is_ours:
            print("Ctrl-C ends it.", flush=True)
        elif settings.endpoint:
            print("Ctrl-C ends this; the stack stays where it is.", flush=True)
        else:
            print("It was running before: Ctrl-C leaves it, `make down` ends it.", flush=True)
        try:
            with _traffic(settings, [*journey, "traffic"], _command_environment(settings, stack)):
                while settings.endpoint or Emulator(settings.folder).running():
                    time.sleep(1)
            print("The local AWS has ended (`make down` in another shell, or a crash: see ministack.log).", flush=True)
            return 1
        except KeyboardInterrupt:
            print()
    finally:
        if is_ours:
            _end(settings)
    return 0


@contextmanager
def _traffic(settings: Settings, command: list[str], environment: dict[str, str]) -> Iterator[None]:
    """Something that happens on the stack meanwhile, where it is wanted."""
    if not settings.with_traffic:
        yield
        return
    print("Meanwhile payments are settled, a confirmation a second, to be watched on the dashboard (TRAFFIC=no: none).", flush=True)
    with (settings.folder / "traffic.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, process_group=0
        )
    try:
        yield
    finally:
        end_group(process.pid)
        process.wait()


def verb_with(settings: Settings, command: list[str]) -> int:
    # Held to the end: a second run in the same folder would take this one's instance and end it.
    with _lock(settings.folder, "with.lock", f"waiting: another run uses {_shown(settings.folder)}"):
        try:
            EventStream(settings.folder).stop()
            Emulator(settings.folder).stop()  # left by a run that was killed
            FaultProxy(settings.folder).stop()
            LocalChain(settings.folder).stop()
            _forget(settings)
            stack = up(settings, command if command[:2] == ["cargo", "test"] else [])
            environment = _command_environment(settings, stack)
            with stage(" ".join(Path(word).name for word in command[:2])):
                _check_call(command, environment)
            if settings.with_browser:
                browser.run([], environment)
        except BaseException:
            print(f"logs: {_shown(settings.folder)}/ministack.log, deploy.log", file=sys.stderr)
            raise
        finally:
            _end(settings)
    return 0


def _command_environment(settings: Settings, stack: Stack) -> dict[str, str]:
    return clean_environment(
        {
            **stack.environment(),
            "STACK_RESOURCES": str(settings.resources_file),
            "MILLRACE_TEST_ENV": str(settings.env_file),
        }
    )


def _check_call(command: list[str], environment: dict[str, str]) -> None:
    # In a process group of its own, so that ending it early ends what it started too (cargo's test binaries).
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, process_group=0)
    try:
        status = process.wait()
    except BaseException:
        end_group(process.pid)
        raise
    if status != 0:
        raise Failure(f"`{' '.join(command)}` ended with {status}")


def _end(settings: Settings) -> None:
    # From here on nothing interrupts: a second Ctrl-C must not leave half of it running.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    verb_down(settings)


def _forget(settings: Settings) -> None:
    for path in (settings.env_file, settings.outputs_file, settings.resources_file, settings.deployed_file):
        path.unlink(missing_ok=True)
    shutil.rmtree(settings.folder / "stage", ignore_errors=True)


def _print_how_to_call(settings: Settings, stack: Stack) -> None:
    print(
        f"\nMillrace is up: stack {stack.name} at {stack.endpoint}\n"
        f"    source {_shown(settings.env_file)}\n"
        f'    curl -H "Authorization: Bearer $API_KEY" "$API_URL/api/v1/cloud/treasury"\n'
        f'    curl -N -H "Authorization: Bearer $API_KEY" "$STREAM_URL/api/v1/events/stream"\n'
        f"Dashboard: {stack.stream_url}/dashboard/ (it asks for the key: $API_KEY)\n",
        flush=True,
    )


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    own, _, command = _split(sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["up", "down", "run", "with", "status"])
    parser.add_argument("--local", default=".local", help="folder of this instance (default: %(default)s)")
    parser.add_argument("--port", type=int, default=4566, help="port of the local AWS, 0 for a free one")
    parser.add_argument("--stream-port", type=int, help="port of the event stream, 0 for a free one (default: the one behind --port)")
    parser.add_argument("--stack", default="millrace", help="name of the stack")
    parser.add_argument("--endpoint", help="deploy to this AWS-compatible endpoint instead of starting one")
    parser.add_argument("--functions-endpoint", help="what functions get as AWS_ENDPOINT_URL, such as a proxy")
    parser.add_argument("--fault-proxy", action="store_true", help="put a fault proxy of ours between functions and local AWS")
    parser.add_argument("--browser", action="store_true", help="`with`: the dashboard's browser test after the command")
    parser.add_argument("--no-traffic", action="store_true", help="`run`: nothing happens on the stack after the main job")
    parser.add_argument("--stream-setting", action="append", default=[], metavar="NAME=VALUE", help="setting of the event stream")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="template parameter")
    return parser.parse_args(own), command


def _split(arguments: list[str]) -> tuple[list[str], str, list[str]]:
    if "--" not in arguments:
        return arguments, "", []
    at = arguments.index("--")
    return arguments[:at], "--", arguments[at + 1 :]


def _settings(arguments: argparse.Namespace) -> Settings:
    return Settings(
        folder=(ROOT / arguments.local).resolve(),
        port=arguments.port,
        stack=arguments.stack,
        endpoint=arguments.endpoint.rstrip("/") if arguments.endpoint else None,
        functions_endpoint=arguments.functions_endpoint or None,
        fault_proxy=arguments.fault_proxy,
        stream_port=arguments.stream_port,
        with_browser=arguments.browser,
        with_traffic=not arguments.no_traffic,
        parameters={**LOCAL_PARAMETERS, **_pairs("--param", arguments.param)},
        stream_settings=_pairs("--stream-setting", arguments.stream_setting),
    )


def _pairs(flag: str, texts: list[str]) -> dict[str, str]:
    given = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator:
            raise Failure(f"{flag} {text}: NAME=VALUE is wanted")
        given[name] = value
    return given


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Command line; see the module's text."""
    # SIGINT too: a shell that starts this in the background has it ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    arguments, command = _arguments()
    try:
        settings = _settings(arguments)
        match arguments.verb:
            case "up":
                return verb_up(settings)
            case "down":
                return verb_down(settings)
            case "run":
                return verb_run(settings)
            case "status":
                return verb_status(settings)
            case _:
                if not command:
                    raise Failure("`with` wants a command behind `--`")
                return verb_with(settings, command)
    except Failure as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
