"""`make bench`: builds what is measured, measures it, and prints how long each part took.

    benchmarks.py consumer relay pipeline latency stream     any of these parts; they run in a fixed order

consumer, relay            one deployable bootstrap, over the Lambda Runtime API, against a DynamoDB of fixed latency (bench_driver)
latency, pipeline, stream  on a separate local AWS: bench.py, pipeline.py, bench_stream and feed.py

Settings come from environment variables, which the Makefile sets: BENCH_ROUNDS and BENCH_EVENTS_PER_ROUND (consumer),
BENCH_EVENTS (latency), BENCH_PIPELINE_EVENTS, BENCH_PIPELINE_ROUNDS and BENCH_BACKLOG (pipeline), BENCH_CLIENTS,
BENCH_SECONDS, BENCH_RATE and BENCH_BURST (stream).
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import tools
from packages import target, target_of
from report import Failure, meant, stage

ROOT = tools.ROOT
HERE = ROOT / "infra" / "local"
PARTS = ["consumer", "relay", "pipeline", "latency", "stream"]
ON_STACK = {"pipeline", "latency", "stream"}
LOCAL = ".local/bench"
# Where cargo puts examples, below a profile's folder.
EXAMPLES = "examples"

GOAL_ZIP_MB = 4.0


def setting(name: str, default: int) -> str:
    """A whole number from the environment."""
    text = os.environ.get(name) or str(default)
    if not text.isdigit() or int(text) == 0:
        raise Failure(f"{name}={text}: must be a whole number above zero")
    return text


def run(command: list[str], environment: dict[str, str] | None = None) -> None:
    """Runs a command whose output is the benchmark's result."""
    sys.stdout.flush()
    if (status := subprocess.run(command, cwd=ROOT, env=environment).returncode) != 0:
        raise Failure(f"`{' '.join(command)}` ended with {status}")


def build(profile: str, packages: list[str], *binaries: str) -> None:
    """Compiles binaries in one call, so that they share their dependencies."""
    locked = ["--locked"] if os.environ.get("CI") else []
    chosen = [flag for name in binaries for flag in target_of(name)]
    run(["cargo", "build", *locked, "--profile", profile, *packages, *chosen])


def zipped(bootstrap: Path) -> float:
    """The size of the package that would be uploaded, in MB."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        file.write(bootstrap, "bootstrap")
    return len(archive.getvalue()) / 1e6


def size(release: Path, name: str, goal: float | None) -> None:
    """Prints a deployable bootstrap's size."""
    bootstrap = release / name
    megabytes = zipped(bootstrap)
    print(f"size: {name} {bootstrap.stat().st_size / 1e6:.2f} MB, zipped (deflate 9) {megabytes:.2f} MB", flush=True)
    if goal is not None:
        print(f"goal: zip at most {goal} MB: {megabytes:.2f}, {'met' if megabytes <= goal else 'MISSED'}", flush=True)


def consumer(driver: Path, release: Path) -> None:
    """A consumer on Millrace, compared with a handwritten one."""
    run([
        str(driver), "consumer",
        "--consumer", str(release / EXAMPLES / "bench_consumer"), "--bare", str(release / EXAMPLES / "bench_bare"),
        "--rounds", setting("BENCH_ROUNDS", 5), "--events", setting("BENCH_EVENTS_PER_ROUND", 2_000),
    ])  # fmt: skip
    size(release / EXAMPLES, "bench_consumer", GOAL_ZIP_MB)
    size(release / EXAMPLES, "bench_bare", None)


def relay(driver: Path, release: Path) -> None:
    """The shipped relay."""
    run([str(driver), "relay", "--relay", str(release / "outbox-relay")])
    size(release, "outbox-relay", None)


def on_stack(parts: list[str]) -> None:
    """The parts that run inside `local_aws.py with`, in the stack's environment."""
    python = str(tools.program("sam", "python"))
    if "latency" in parts:
        with stage("bench latency"):
            run([python, str(HERE / "bench.py"), setting("BENCH_EVENTS", 100)])
    if "stream" in parts:
        # Before the pipeline benchmark swaps code and fills lanes.
        with stage("bench stream"):
            run([
                os.environ["BENCH_STREAM"],
                "--server", str(Path(os.environ["STACK_RESOURCES"]).with_name("event-stream.json")),
                "--clients", setting("BENCH_CLIENTS", 200), "--seconds", setting("BENCH_SECONDS", 60),
                "--rate", setting("BENCH_RATE", 20),
            ])  # fmt: skip
            run([python, str(HERE / "feed.py"), setting("BENCH_BURST", 1_000)])
    if "pipeline" in parts:
        with stage("bench pipeline"):
            run([
                python, str(HERE / "pipeline.py"),
                setting("BENCH_PIPELINE_EVENTS", 1_000), setting("BENCH_PIPELINE_ROUNDS", 3),
                setting("BENCH_BACKLOG", 10_000),
            ])  # fmt: skip


def main(arguments: list[str]) -> int:
    """Command line; see the module's docstring."""
    inside = arguments[:1] == ["--on-stack"]
    parts = arguments[1:] if inside else arguments
    try:
        if wrong := sorted(set(parts) - set(PARTS)):
            near = meant(wrong[0], PARTS)
            question = f" (did you mean {near}?)" if near else ""
            raise Failure(f"BENCH={' '.join(wrong)}{question}: must be any of {', '.join(PARTS)}")
        if inside:
            on_stack(parts)
            return 0
        folder = target()
        release, local = folder / "release", folder / "local"
        if {"consumer", "relay"} & set(parts):
            with stage("build (profile release)"):
                # Only these packages: with the whole workspace, cargo would add features that deployed functions do not have.
                build("release", ["-p", "local-programs", "-p", "outbox-relay"], "bench_consumer", "bench_bare", "outbox-relay")
            with stage("build the driver (profile local)"):
                # The whole workspace, like every other verb, so that no dependency is compiled twice.
                build("local", ["--workspace"], "bench_driver")
        if "consumer" in parts:
            with stage("bench consumer"):
                consumer(local / EXAMPLES / "bench_driver", release)
        if "relay" in parts:
            with stage("bench relay"):
                relay(local / EXAMPLES / "bench_driver", release)
        if ON_STACK & set(parts):
            # `with` compiles these together with the functions, with the same profile.
            environment = {
                **os.environ,
                "BENCH_EMPTY": str(local / EXAMPLES / "bench_empty"),
                "BENCH_STREAM": str(local / EXAMPLES / "bench_stream"),
            }
            inner = [sys.executable, str(HERE / "benchmarks.py"), "--on-stack", *parts]
            # All clients use one key, and one more connects before them.
            places = str(int(setting("BENCH_CLIENTS", 200)) + 1)
            limits = [f"STREAM_CLIENTS={places}", f"STREAM_CLIENTS_PER_KEY={places}"]
            given = [flag for limit in limits for flag in ("--stream-setting", limit)]
            programs = ["--program", "bench_empty", "--program", "bench_stream"]
            call = ["with", "--port", "0", "--stack", "millrace-bench", "--local", LOCAL, *programs, *given, "--", *inner]
            run([sys.executable, str(HERE / "local_aws.py"), *call], environment)
    except Failure as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
