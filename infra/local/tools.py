"""Installs the pinned tools of one verb into .local/tools and nowhere else.

Python tools get one virtual environment per set, because their pins clash (the local AWS and SAM each pin botocore).
`python/<set>.in` says what is wanted, `python/<set>.txt` is the whole transitive answer, which is what is installed.
Cargo tools are compiled from their locked sources: there is no prebuilt one on the registries used.

A set is installed when its stamp differs from what is asked for (lock file, interpreter, place), so a second call costs
nothing.

    python3 infra/local/tools.py ministack sam     # install what is missing
    python3 infra/local/tools.py relock            # after a change of a .in file: resolve again, write the .txt files
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from report import Failure, stage

ROOT = Path(__file__).resolve().parents[2]
# Resolved: checkouts may share one folder by a link, and a virtual environment is bound to where it lies.
TOOLS = (ROOT / ".local" / "tools").resolve()
LOCKS = ROOT / "infra" / "local" / "python"

# name -> the program that must be there afterwards
PYTHON_SETS = {"ministack": "ministack", "sam": "sam", "lint": "checkov", "build": "cargo-lambda", "browser": "python"}


@dataclass(frozen=True)
class CargoTool:
    """A program compiled by `cargo install`."""

    version: str


# cargo-machete reads sources and manifests; cargo-udeps would need a nightly and a second build of everything.
CARGO_TOOLS = {"cargo-deny": CargoTool("0.20.2"), "cargo-machete": CargoTool("0.9.2")}

# These programs run for a second or two: what counts is how long they compile.
QUICK_BUILD = {
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "1",
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    "CARGO_PROFILE_RELEASE_DEBUG": "0",
    "CARGO_PROFILE_RELEASE_STRIP": "symbols",
}


def program(tool_set: str, name: str | None = None) -> Path:
    """Path of an installed program; `name` defaults to the set's own."""
    if tool_set in CARGO_TOOLS:
        return TOOLS / "cargo" / "bin" / (name or tool_set)
    return TOOLS / tool_set / "bin" / (name or PYTHON_SETS[tool_set])


def ensure(*tool_sets: str) -> None:
    """Installs what is missing of the named sets. Safe to call from two makes at once."""
    missing = [name for name in tool_sets if not _is_current(name)]
    if not missing:
        return
    TOOLS.mkdir(parents=True, exist_ok=True)
    with _lock():
        for name in missing:
            if _is_current(name):  # another make was first
                continue
            with stage(f"install {name}"):
                if name in PYTHON_SETS:
                    _install_python(name)
                else:
                    _install_cargo(name)
                _stamp(name).write_text(_wanted(name))


def relock() -> None:
    """Resolves every .in file afresh and writes the lock files."""
    for name in PYTHON_SETS:
        with stage(f"lock {name}"), tempfile.TemporaryDirectory() as folder:
            _run([sys.executable, "-m", "venv", folder])
            pip = str(Path(folder) / "bin" / "pip")
            _run([pip, "install", "--quiet", "-r", str(LOCKS / f"{name}.in")])
            # --all: some need setuptools or wheel at run time. pip itself stays the interpreter's own.
            freeze = [pip, "freeze", "--all", "--exclude", "pip"]
            frozen = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout
            (LOCKS / f"{name}.txt").write_text(frozen)


def _wanted(name: str) -> str:
    """What the stamp must say: a virtual environment is bound to its interpreter and its place."""
    if name in CARGO_TOOLS:
        return f"{name} {CARGO_TOOLS[name].version}\n"
    lock = hashlib.sha256((LOCKS / f"{name}.txt").read_bytes()).hexdigest()
    return f"{lock} python {sys.version_info.major}.{sys.version_info.minor} {TOOLS / name}\n"


def _stamp(name: str) -> Path:
    return TOOLS / f"{name}.stamp"


def _is_current(name: str) -> bool:
    stamp = _stamp(name)
    return program(name).exists() and stamp.exists() and stamp.read_text() == _wanted(name)


def _install_python(name: str) -> None:
    folder = TOOLS / name
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)])
    # --no-deps: the lock file names everything; anything it forgot shows in `pip check` instead of coming unpinned.
    pip = [str(folder / "bin" / "pip"), "--disable-pip-version-check"]
    # --no-compile: half of the time, for files that mostly never run; Python compiles what it imports.
    _run([*pip, "install", "--quiet", "--no-deps", "--no-compile", "-r", str(LOCKS / f"{name}.txt")])
    _run([*pip, "check"])


def _install_cargo(name: str) -> None:
    # A target folder of its own: the workspace's lock and profiles stay out of it.
    with tempfile.TemporaryDirectory(dir=TOOLS) as target:
        environment = {**os.environ, **QUICK_BUILD, "CARGO_TARGET_DIR": target}
        command = ["cargo", "install", "--quiet", "--locked", "--root", str(TOOLS / "cargo"), name]
        _run([*command, "--version", CARGO_TOOLS[name].version, "--force"], environment)


def _run(command: list[str], environment: dict[str, str] | None = None) -> None:
    # stdin is closed: nothing here may wait for an answer on CI.
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0:
        raise Failure(f"`{' '.join(command)}` ended with {done.returncode}:\n{done.stdout.strip()}")


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    with (TOOLS / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def main(arguments: list[str]) -> int:
    """Command line; see the module's text."""
    known = {*PYTHON_SETS, *CARGO_TOOLS, "relock"}
    unknown = [name for name in arguments if name not in known]
    if unknown or not arguments:
        print(f"usage: tools.py {' | '.join(sorted(known))} …", file=sys.stderr)
        return 2
    try:
        if "relock" in arguments:
            relock()
        ensure(*(name for name in arguments if name != "relock"))
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
