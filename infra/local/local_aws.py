"""The local AWS with Millrace on it: what `make run`, `up`, `down`, `test` and `bench` call.

    local_aws.py up      start a MiniStack (or use the running one, or --endpoint), deploy template.yaml, write LOCAL/env
    local_aws.py down    end what `up` started in this LOCAL
    local_aws.py run     up, then the main job (journey.py), then stay until Ctrl-C, with traffic for the dashboard
    local_aws.py with … -- COMMAND   up in a fresh MiniStack, run the command with its environment, always end it; with --endpoint it
                         deploys there, and deletes the stack at the end instead;
                         --browser: the dashboard's browser test after the command; --judge: judge.py of the API after that
    local_aws.py status  what runs, and where
    local_aws.py prepare compile programs and all tests, and meanwhile install every tool that `with` and the checks need

`sam deploy` deploys the same template and the same programs as on AWS; only parameters differ. Every file of an
instance is in its folder LOCAL (default .local): env (for `source`), outputs.json,
resources.json, ministack.log, deploy.log.
A second `up` deploys only if template or parameters changed; if only code changed, it updates only that code.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import browser
import judge
import parameters
import tools
from emulator import Emulator, EventStream, end_group, run_in_group
from endpoint import described
from instance import HERE, LOCAL_PARAMETERS, ROOT, Settings, Stack, checked_stack_name, clean_environment, lock, shown
from report import Failure, stage
from up import build_beside, delete_stack, end, up


def verb_prepare() -> int:
    build_beside(["sam", "ministack", "rust", "lint", "browser", "judges", "mdbook"], ["fault-proxy"], ["cargo", "test"])
    return 0


def verb_up(settings: Settings) -> int:
    _print_how_to_call(settings, up(settings))
    return 0


def verb_down(settings: Settings) -> int:
    with lock(settings.folder), stage("end local AWS") as notes:
        if not end(settings):
            notes.append(f"none was running from {shown(settings.folder)}")
    return 0


def verb_status(settings: Settings) -> int:
    instance = Emulator(settings.folder).running()
    if instance is None and (elsewhere := settings.deployed_to):
        print(f"endpoint: {elsewhere}, {described(elsewhere)}")
    elif instance is None:
        died = Emulator(settings.folder).died()
        if died:
            print(f"the local AWS of {shown(settings.folder)} is gone with all its data: {died}. `make up` starts an empty one")
        else:
            print(f"no local AWS runs from {shown(settings.folder)}")
        return 1
    else:
        print(f"local AWS: {instance.endpoint}, process {instance.pid}, log {shown(settings.folder)}/ministack.log")
    stream = EventStream(settings.folder).running()
    if stream:
        print(f"event stream: {stream.endpoint}, process {stream.pid}, log {shown(settings.folder)}/event-stream.log")
    elif died := EventStream(settings.folder).died():
        print(f"event stream: {died}. `make up` starts it again; nothing is lost, it keeps no data")
    if settings.env_file.exists():
        print(f"stack: deployed; its environment: source {shown(settings.env_file)}")
    return 0


def verb_run(settings: Settings) -> int:
    is_ours = settings.endpoint is None and Emulator(settings.folder).running() is None
    try:
        stack = up(settings)
        # Runs in SAM's virtual environment, for its boto3.
        journey = [str(tools.program("sam", "python")), str(HERE / "journey.py")]
        print(f"     watch it: {stack.dashboard_url} (the key is API_KEY in {shown(settings.env_file)})", flush=True)
        with stage("main job"):
            _check_call(journey, _command_environment(settings, stack))
        _print_how_to_call(settings, stack)
        if is_ours:
            print("Ctrl-C ends it.", flush=True)
        elif settings.endpoint:
            print("Ctrl-C ends this command; the stack stays.", flush=True)
        else:
            print("The local AWS was already running: Ctrl-C leaves it running, `make down` ends it.", flush=True)
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
    """Makes traffic on the stack during the block, unless it is switched off."""
    if not settings.with_traffic:
        yield
        return
    print("Payments are now settled, one confirmation a second, as traffic for the dashboard (TRAFFIC=no turns it off).", flush=True)
    with (settings.folder / "traffic.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, process_group=0
        )
    try:
        yield
    finally:
        end_group(process.pid)
        process.wait()


def verb_with(settings: Settings, command: list[str], programs: list[str]) -> int:
    # Held to the end: a second run in the same folder would use this run's instance and end it.
    with lock(settings.folder, "with.lock", f"waiting: another run uses {shown(settings.folder)}"):
        try:
            end(settings)  # left over from a run that was killed
            settings.deploy_log.unlink(missing_ok=True)
            stack = up(settings, programs, command if command[:2] == ["cargo", "test"] else [])
            environment = _command_environment(settings, stack)
            with stage(" ".join(Path(word).name for word in command[:2])):
                _check_call(command, environment)
            if settings.with_browser:
                browser.run([], environment)
            if settings.with_judge:
                judge.run(["deployed"], environment)
        except BaseException:
            logs = "deploy.log" if settings.endpoint else "ministack.log, deploy.log"
            print(f"logs: {shown(settings.folder)}/{logs}", file=sys.stderr)
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
    status = run_in_group(command, environment, ROOT)
    if status != 0:
        raise Failure(f"`{' '.join(command)}` ended with {status}")


def _end(settings: Settings) -> None:
    # From here on signals are ignored: a second Ctrl-C must not leave half of it running.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if settings.endpoint and settings.deploy_log.exists():
        delete_stack(settings)
    verb_down(settings)


def _print_how_to_call(settings: Settings, stack: Stack) -> None:
    print(
        f"\nMillrace is up: stack {stack.name} at {stack.endpoint}\n"
        f"    source {shown(settings.env_file)}\n"
        f'    curl -H "Authorization: Bearer $API_KEY" "$API_URL/api/v1/events/recent?limit=3"\n'
        f'    curl -N -H "Authorization: Bearer $API_KEY" "$STREAM_URL/api/v1/events/stream"\n'
        f"Dashboard: {stack.dashboard_url} (it asks for the key: $API_KEY)\n",
        flush=True,
    )


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    own, _, command = _split(sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["up", "down", "run", "with", "status", "prepare"])
    parser.add_argument("--local", default=".local", help="folder of this instance (default: %(default)s)")
    parser.add_argument("--port", type=int, default=4566, help="port of the local AWS, 0 for a free one")
    parser.add_argument("--stream-port", type=int, help="port of the event stream, 0 for a free one (default: --port plus one)")
    parser.add_argument("--stack", default="millrace", help="name of the stack")
    parser.add_argument("--template", default="template.yaml", help="the template that is deployed (default: %(default)s)")
    parser.add_argument("--endpoint", help="deploy to this AWS-compatible endpoint instead of starting one")
    parser.add_argument("--functions-endpoint", help="AWS_ENDPOINT_URL of the functions, such as a proxy")
    parser.add_argument("--fault-proxy", action="store_true", help="put our fault proxy between functions and local AWS")
    parser.add_argument("--browser", action="store_true", help="`with`: run the dashboard's browser test after the command")
    parser.add_argument("--judge", action="store_true", help="`with`: validate the API after the command")
    parser.add_argument("--no-traffic", action="store_true", help="`run`: no traffic after the main job")
    parser.add_argument("--stream-setting", action="append", default=[], metavar="NAME=VALUE", help="setting of the event stream")
    parser.add_argument("--program", action="append", default=[], metavar="NAME", help="`with`: a program that the command needs")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="template parameter")
    parser.add_argument("--params-in", metavar="VARIABLE", help="a variable of the environment with template parameters")
    return parser.parse_args(own), command


def _split(arguments: list[str]) -> tuple[list[str], str, list[str]]:
    if "--" not in arguments:
        return arguments, "", []
    at = arguments.index("--")
    return arguments[:at], "--", arguments[at + 1 :]


# Verbs that deploy: their arguments are checked before anything is built or started.
DEPLOYING = {"up", "run", "with"}


def _settings(arguments: argparse.Namespace) -> Settings:
    template = (ROOT / arguments.template).resolve()
    if arguments.verb in DEPLOYING:
        checked_stack_name(arguments.stack)
        if arguments.endpoint and arguments.functions_endpoint:
            raise Failure(
                "FUNCTIONS_ENDPOINT is for the MiniStack that this program starts. Another endpoint gives its functions AWS_ENDPOINT_URL "
                "itself; LocalStack's own setting for it is LOCALSTACK_HOST"
            )
    return Settings(
        folder=(ROOT / arguments.local).resolve(),
        port=arguments.port,
        stack=arguments.stack,
        endpoint=arguments.endpoint.rstrip("/") if arguments.endpoint else None,
        functions_endpoint=arguments.functions_endpoint or None,
        template=template,
        fault_proxy=arguments.fault_proxy,
        stream_port=arguments.stream_port,
        with_browser=arguments.browser,
        with_judge=arguments.judge,
        with_traffic=not arguments.no_traffic,
        parameters={**LOCAL_PARAMETERS, **(_given([*parameters.in_environment(arguments.params_in), *arguments.param], template) if arguments.verb in DEPLOYING else {})},
        stream_settings=_pairs("--stream-setting", arguments.stream_setting),
    )


def _given(texts: list[str], template: Path) -> dict[str, str]:
    declared = parameters.declared(template.parent)
    of_alarms = set(declared[parameters.ALARMS]) - set(declared[parameters.MAIN])
    not_here = dict.fromkeys(of_alarms, f"a parameter of {parameters.ALARMS}, which only `make deploy` deploys")
    return parameters.checked(texts, declared[parameters.MAIN], not_here)


def _pairs(flag: str, texts: list[str]) -> dict[str, str]:
    given = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator:
            raise Failure(f"{flag} {text}: must be NAME=VALUE")
        given[name] = value
    return given


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Command line; see the module's docstring."""
    # SIGINT too: a shell that starts this in the background makes it ignored.
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
            case "prepare":
                return verb_prepare()
            case _:
                if not command:
                    raise Failure("`with` needs a command after `--`")
                return verb_with(settings, command, arguments.program)
    except Failure as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
