"""One instance of the local AWS: its settings, its folder, and the stack deployed on it."""

from __future__ import annotations

import fcntl
import os
import re
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

# Where a local stack differs from the template's defaults. --param adds parameters or overrides these.
LOCAL_PARAMETERS = {
    "Stage": "local",
    "EmailSender": "millrace@example.com",
    # MiniStack's SES knows no resources and denies anything but `*`.
    "SesResource": "*",
    # A local AWS is reached by http.
    "DemandTls": "false",
    # LocalStack refuses a bucket as on-failure destination of asynchronous invocations.
    "KeepFailedInvocations": "false",
    # The local chain follows the books immediately.
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
    # The template that is deployed.
    template: Path = ROOT / "template.yaml"
    # Whether our fault proxy stands between the functions and the local AWS.
    fault_proxy: bool = False
    # Port of the event stream; 0: any free port; None: the local AWS's port plus one, or any free port if that is taken.
    stream_port: int | None = None
    # `with`: run the dashboard's browser test after the command.
    with_browser: bool = False
    # `with`: validate the API after that.
    with_judge: bool = False
    # `run`: make traffic while the stack is up.
    with_traffic: bool = True
    parameters: dict[str, str] = field(default_factory=dict)
    # Settings of the event stream, in addition to those from the stack.
    stream_settings: dict[str, str] = field(default_factory=dict)

    @property
    def env_file(self) -> Path:
        return self.folder / "env"

    @property
    def deployed_to(self) -> str | None:
        """The endpoint of the stack that this folder's environment file is about; None if there is none."""
        try:
            return read_env(self.env_file).get("AWS_ENDPOINT_URL")
        except FileNotFoundError:
            return None

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
    def deploy_log(self) -> Path:
        return self.folder / "deploy.log"

    @property
    def staged(self) -> Path:
        """Where template and packages are laid out for SAM.

        Not in target/lambda, where `make build` puts the bootstraps for a real account: the two never mix, and two instances
        can deploy at the same time.
        """
        return self.folder / "stage"

    def forget(self) -> None:
        """Removes the files about a stack that is gone."""
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
    # Control addresses of the fault proxy and the local chain, and the process group of the local AWS: for tests that cause
    # faults.
    breakable: dict[str, str] = field(default_factory=dict)
    # The URL before /api/v1/events/stream; None if no event stream runs.
    stream_url: str | None = None

    @property
    def api_url(self) -> str:
        """The URL before /api/v1. It is built from the ids, because the URL in the outputs points at amazonaws.com."""
        return f"{self.endpoint}/restapis/{self.outputs['RestApiId']}/{self.outputs['ApiStage']}/_user_request_"

    @property
    def dashboard_url(self) -> str:
        """The dashboard's page. Its files are named relative to it, so a path without its last part would not do."""
        return f"{self.api_url}/dashboard/index.html"

    def environment(self) -> dict[str, str]:
        """The environment variables that a program needs to use the stack."""
        stream = {"STREAM_URL": self.stream_url} if self.stream_url else {}
        own = {"STACK_NAME": self.name, "API_URL": self.api_url, "API_KEY": self.api_key, "DASHBOARD_URL": self.dashboard_url}
        return {**aws_environment(self.endpoint), **own, **stream, **self.breakable}


# Functions and queues are called <stack>_<name>; with a longer stack name, some would exceed Lambda's 64 characters.
STACK_NAME_AT_MOST = 35


def checked_stack_name(name: str) -> str:
    """Returns the stack's name if CloudFormation accepts it and every name derived from it fits."""
    if not re.fullmatch(r"[a-zA-Z][-a-zA-Z0-9]*", name):
        raise Failure(f"STACK={name}: must be a letter, then letters, digits and hyphens, at most {STACK_NAME_AT_MOST} characters in all")
    if len(name) > STACK_NAME_AT_MOST:
        raise Failure(f"STACK={name} has {len(name)} characters, at most {STACK_NAME_AT_MOST} fit: functions are called {name}_<function>")
    return name


def aws_environment(endpoint: str) -> dict[str, str]:
    """Endpoint, region and credentials for clients of the local AWS."""
    # Our local AWS knows one root user. An endpoint given by --endpoint gets the same credentials.
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ROOT_KEY,
        "AWS_SECRET_ACCESS_KEY": ROOT_KEY,
    }


def clean_environment(extra: dict[str, str]) -> dict[str, str]:
    """The caller's environment without any AWS setting: `sam deploy` must never use the caller's profile or session here."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAM_"))}
    return {**kept, "SAM_CLI_TELEMETRY": "0", "AWS_EC2_METADATA_DISABLED": "true", **extra}


def write_env(settings: Settings, stack: Stack) -> None:
    """Writes the file that users `source`."""
    # For the users' own programs: infra/docs/your-own-domain.md and infra/docs/example_consumer.py, which needs boto3.
    own = {
        "EVENTS_TABLE": stack.resources["EventsTable"],
        "MARKS_TABLE": stack.resources["MarksTable"],
        "MILLRACE_SAM": str(tools.program("sam")),
        "MILLRACE_PYTHON": str(tools.program("sam", "python")),
    }
    if settings.endpoint:
        # For the stories: an emulator of somebody else's may answer late, and then a caller sends the same request again.
        own["MILLRACE_REPEAT_503_SECONDS"] = "60"
    values = {**stack.environment(), "STACK_RESOURCES": str(settings.resources_file), **own}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    write_private(settings.env_file, "\n".join(lines) + "\n")


def read_env(path: Path) -> dict[str, str]:
    """The variables of a file that `write_env` wrote."""
    words = shlex.split(path.read_text(), comments=True)
    return dict(word.split("=", 1) for word in words if word != "export")


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as handle:
        handle.write(text)


@contextmanager
def lock(folder: Path, name: str = "lock", waiting: str | None = None) -> Iterator[None]:
    """Serialises calls for one folder; calls for other folders run at the same time."""
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
