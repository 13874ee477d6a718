"""The processes of a local AWS: starts them, recognises them as ours, and ends them with everything they started.

Each process runs in its own session, so its process group contains exactly the process and what it started (MiniStack: the functions'
bootstraps). Ending the group by the recorded id ends all of them and nothing else. The record also has the process's
start time, because the system reuses ids after a crash or a reboot.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import tools
from report import Failure, stage, tail

REGION = "us-east-1"
# The credentials of MiniStack's root user; they are valid nowhere else.
ROOT_KEY = "test"

START_DEADLINE_SECONDS = 60
STOP_DEADLINE_SECONDS = 10


@dataclass(frozen=True)
class Instance:
    """The record of a running process."""

    id: str
    pid: int
    started: str
    port: int
    # A digest of what it was started with, made by the caller.
    made_of: str = ""

    @property
    def endpoint(self) -> str:
        # An address, not `localhost`, which may resolve to ::1 first. With an address, S3 clients also use path-style URLs by themselves.
        return f"http://127.0.0.1:{self.port}"


class Process:
    """A process that belongs to one folder (`.local`, `.local/test`, …): its record and its log."""

    def __init__(self, folder: Path, record: str, log: str) -> None:
        self.folder = folder
        self.log = folder / log
        self._record = folder / record

    def running(self) -> Instance | None:
        """The recorded process, if it is alive and still the one that was recorded."""
        instance = self._recorded()
        if instance and _start_time(instance.pid) == instance.started:
            return instance
        return None

    def died(self) -> str | None:
        """A message if the recorded process ended without `stop`: it crashed, was killed, or the machine restarted."""
        instance = self._recorded()
        if instance is None or self.running():
            return None
        last = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.log.stat().st_mtime)) if self.log.exists() else "unknown"
        return f"process {instance.pid} on port {instance.port} died; it last wrote to {self.log.name} at {last}"

    def stop(self) -> bool:
        """Ends the recorded process and its whole group; False if nothing ran."""
        instance = self._recorded()
        if instance is None:
            return False
        stopped = False
        if _is_our_group(instance):
            stopped = True
            end_group(instance.pid)
        self._record.unlink(missing_ok=True)
        return stopped

    def _recorded(self) -> Instance | None:
        try:
            return Instance(**json.loads(self._record.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _launch(
        self, command: list[str], port: int, name: str, health: str, environment: dict[str, str], made_of: str = ""
    ) -> Instance:
        """Starts the command and waits until it answers on `port`; if it does not, ends it."""
        temporary = self.folder / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        try:
            with uninterrupted():  # an unrecorded process could not be ended later
                with self.log.open("wb") as log:
                    process = subprocess.Popen(
                        command, env=environment, cwd=temporary,
                        stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                    )  # fmt: skip
                started = _start_time(process.pid) or ""
                instance = Instance(str(uuid.uuid4()), process.pid, started, port, made_of)
                self._record.write_text(json.dumps(asdict(instance)) + "\n")
            self._await_health(instance, name, health)
        except BaseException:
            self.stop()
            raise
        return instance

    def _await_health(self, instance: Instance, name: str, path: str) -> None:
        deadline = time.monotonic() + START_DEADLINE_SECONDS
        while time.monotonic() < deadline:
            if _has_ended(instance.pid):
                raise Failure(f"{name} ended while starting; the end of {self.log}:\n{tail(self.log)}")
            if http_status(f"{instance.endpoint}{path}") in (200, 204):
                return
            time.sleep(0.1)
        raise Failure(f"{name} did not answer within {START_DEADLINE_SECONDS} s; the end of {self.log}:\n{tail(self.log)}")


class Emulator(Process):
    """The local AWS that belongs to one folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "instance.json", "ministack.log")

    def start(self, port: int, functions_endpoint: str | None) -> Instance:
        """Starts one on `port` (0: any free one) and waits until it answers.

        `functions_endpoint` is the AWS_ENDPOINT_URL of the functions, if a proxy stands before this process.
        """
        self.stop()  # what a crashed process left behind
        port = port or free_port()
        if port_answers(port):
            raise Failure(
                f"port {port} is taken by another program.\n"
                f"If it is the local AWS of another checkout, run a second one:  make up PORT={free_port()} STACK=other LOCAL=.local2\n"
                f"or end the first one there with `make down`."
            )
        # Functions inherit this whole environment. It is clean, so that they see only what Lambda would give
        # them. HOME is an empty folder for the same reason: functions must not find the user's ~/.aws.
        temporary = str(self.folder / "tmp")
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": temporary,
            "TMPDIR": temporary,
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "AUTH": "true",
            "IOT_MTLS_ENABLED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            # After a burst, idle environments would stay for five minutes. Each costs the local AWS a thread that wakes twice a
            # second, and two hundred of them slow down all that follows.
            "LAMBDA_WARM_TTL_SECONDS": "30",
            "AWS_ENDPOINT_URL": functions_endpoint or f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": ROOT_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
        }
        with stage(f"start local AWS on port {port}"):
            command = [str(tools.program("ministack", "python")), "-P", str(Path(__file__).with_name("serve.py"))]
            return self._launch(command, port, "the local AWS", "/_ministack/health", environment)

    def stop(self) -> bool:
        """Ends the recorded process and its whole group; False when nothing ran."""
        stopped = super().stop()
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)
        return stopped


class FaultProxy(Process):
    """The fault proxy before the local AWS of one folder; transparent until a test gives it rules."""

    CONTROL_PATH = "/_fault-proxy"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "fault-proxy.json", "fault-proxy.log")

    def start(self, binary: Path, upstream_port: int) -> Instance:
        """Starts one on a free port before `upstream_port`; nothing needs to listen there yet."""
        self.stop()
        port = free_port()
        command = [str(binary), f"127.0.0.1:{port}", f"http://127.0.0.1:{upstream_port}"]
        # The proxy signs the calls that it changed.
        environment = bare_environment({"AWS_ACCESS_KEY_ID": ROOT_KEY, "AWS_SECRET_ACCESS_KEY": ROOT_KEY})
        with stage(f"start fault proxy on port {port}"):
            return self._launch(command, port, "the fault proxy", f"{self.CONTROL_PATH}/health", environment)


class LocalChain(Process):
    """The Ethereum node of one folder: its chain agrees with the stack's books unless a test changes it."""

    CONTROL_PATH = "/_chain"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "local-chain.json", "local-chain.log")

    def start(self, binary: Path, aws: dict[str, str]) -> Instance:
        """Starts one on a free port. It reads the books with these settings of the AWS SDK."""
        self.stop()
        port = free_port()
        environment = bare_environment(aws)
        with stage(f"start local chain on port {port}"):
            return self._launch(
                [str(binary), f"127.0.0.1:{port}"], port, "the local chain", f"{self.CONTROL_PATH}/health", environment
            )


class EventStream(Process):
    """The event stream of one folder as an ordinary process: the local AWS answers only whole bodies, and a stream never ends."""

    HEALTH_PATH = "/health"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "event-stream.json", "event-stream.log")

    def start(self, binary: Path, port: int, settings: dict[str, str], made_of: str) -> Instance:
        """Starts one on `port` (0: any free one) with these settings; ends a running one first."""
        self.stop()
        port = port or free_port()
        if port_answers(port):
            raise Failure(f"port {port} for the event stream is taken by another program; use a free one: STREAM_PORT=0")
        environment = bare_environment({**settings, "LISTEN": f"127.0.0.1:{port}"})
        with stage(f"start event stream on port {port}"):
            return self._launch([str(binary)], port, "the event stream", self.HEALTH_PATH, environment, made_of)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Defers signals that arrive inside the block to its end."""
    arrived: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda got, _frame: arrived.append(got)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in arrived:
            os.kill(os.getpid(), number)


def bare_environment(settings: dict[str, str]) -> dict[str, str]:
    """An environment of these settings, without the caller's own."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", **settings}


def free_port() -> int:
    """A port that no program listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def direct_opener() -> urllib.request.OpenerDirector:
    """Opens URLs without the environment's proxies: these are addresses of this machine or of the user's endpoint."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def http_status(url: str, timeout_seconds: float = 5) -> int | None:
    """Status of a GET; None if there is no answer."""
    try:
        with direct_opener().open(url, timeout=timeout_seconds) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def http_put(url: str, body: object, timeout_seconds: float = 10) -> int | None:
    """Status of a PUT of JSON; None if there is no answer."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="PUT")
    try:
        with direct_opener().open(request, timeout=timeout_seconds) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def port_answers(port: int) -> bool:
    """Whether a program listens on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _start_time(pid: int) -> str | None:
    """When the process started, in the system's own unit; None if it is gone (or only waits to be reaped)."""
    try:
        # The name in brackets may contain anything, also blanks: count the fields after it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    listed = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True)
    state, _, began = listed.stdout.strip().partition(" ")
    return began.strip() if began and not state.startswith("Z") else None


def _has_ended(pid: int) -> bool:
    try:
        ended, _ = os.waitpid(pid, os.WNOHANG)
        return ended == pid
    except ChildProcessError:
        return _start_time(pid) is None


def _is_our_group(instance: Instance) -> bool:
    """Whether the group with the recorded id is the one we started, even if its leader has crashed."""
    started = _start_time(instance.pid)
    if started is not None:
        return started == instance.started
    # The leader is gone. The system does not reuse its id while members of its group live, so they are ours.
    return _group_lives(instance.pid)


def _group_lives(group: int) -> bool:
    """Whether a process of the group runs. Ended processes that wait to be reaped do not count: in a container without an
    init process they wait forever."""
    if Path("/proc/self/stat").exists():
        return any(_group_of(entry) == group for entry in Path("/proc").glob("[0-9]*"))
    try:
        os.killpg(group, 0)
        return True
    except (ProcessLookupError, PermissionError):
        return False


def _group_of(process: Path) -> int | None:
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:  # it ended meanwhile
        return None
    return None if fields[0] == "Z" else int(fields[2])


def run_in_group(command: list[str], environment: dict[str, str] | None, cwd: Path | None = None) -> int:
    """Runs a program in its own process group and returns its exit status. An interruption ends the program and what it started."""
    process = subprocess.Popen(command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, process_group=0)
    try:
        return process.wait()
    except BaseException:
        end_group(process.pid)
        raise


def end_group(group: int) -> None:
    """Ends every process of a group that this program started."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(group, how)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + STOP_DEADLINE_SECONDS
        while time.monotonic() < deadline:
            _has_ended(group)  # reaps it if it is our child: a zombie keeps its group alive
            if not _group_lives(group):
                return
            time.sleep(0.05)
    raise Failure(f"process group {group} does not end")
