"""One instance of the local AWS: what it is asked to be, its folder, and the stack that stands on it."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import stack_resources
import tools
from emulator import REGION, ROOT_KEY
from report import Failure

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


@dataclass(frozen=True)
class Settings:
    """One instance: where it runs, what is deployed to it, where its files are."""

    folder: Path
    port: int
    stack: str
    endpoint: str | None
    functions_endpoint: str | None
    # What is deployed.
    template: Path = ROOT / "template.yaml"
    # A fault proxy of ours between the functions and the local AWS.
    fault_proxy: bool = False
    # Where the event stream listens; 0: any free port; None: the port behind the local AWS's, or any where it is taken.
    stream_port: int | None = None
    # `with`: the dashboard's browser test comes after the command.
    with_browser: bool = False
    # `with`: what the API serves is judged after that.
    with_judge: bool = False
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

    @property
    def staged(self) -> Path:
        """Template and packages as SAM takes them.

        Here and not in target/lambda, where `make build` puts what goes to a real account: the two never mix, and two instances
        deploy at once.
        """
        return self.folder / "stage"

    def forget(self) -> None:
        """Removes what is known of a stack that is gone."""
        for path in (self.env_file, self.outputs_file, self.resources_file, self.deployed_file):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.staged, ignore_errors=True)


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


# Functions and queues are called <stack>_<name>; with longer names of stacks Lambda's 64 characters would not do.
STACK_NAME_AT_MOST = 35


def checked_stack_name(name: str) -> str:
    """The name of a stack, if every name that follows from it fits."""
    if len(name) > STACK_NAME_AT_MOST:
        raise Failure(f"STACK={name} has {len(name)} characters of {STACK_NAME_AT_MOST}: functions are called {name}_<function>")
    return name


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


def write_env(settings: Settings, stack: Stack) -> None:
    """Writes the file that users `source`."""
    # A Python that has boto3, for infra/docs/example_consumer.py.
    python = str(tools.program("sam", "python"))
    values = {**stack.environment(), "STACK_RESOURCES": str(settings.resources_file), "MILLRACE_PYTHON": python}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    write_private(settings.env_file, "\n".join(lines) + "\n")


def write_private(path: Path, text: str) -> None:
    """A file that only its owner reads."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as handle:
        handle.write(text)


@contextmanager
def lock(folder: Path, name: str = "lock", waiting: str | None = None) -> Iterator[None]:
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


def shown(path: Path) -> str:
    """A path as users type it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
