"""What is compiled for a local stack, and the functions' packages that are deployed of it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tools
from report import Failure, stage

# Beside the functions: the operator's tool, which makes the first API key, and the node of the local chain.
PROGRAMS = ("millrace", "local-chain")


def functions() -> list[str]:
    """Every function: a folder under functions/ is a package is a binary is target/lambda/<name>."""
    return sorted(manifest.parent.name for manifest in (tools.ROOT / "functions").glob("*/Cargo.toml"))


def build(programs: list[str], tests: list[str]) -> Path:
    """Compiles functions and tools with the profile `local`; answers with the folder of the binaries.

    `programs` are wanted beside those that every local stack needs; `tests` is a `cargo test` command that will be run.
    """
    # On CI the lock file must be right as it is; at a desk a new function or dependency may bring it up to date.
    locked = ["--locked"] if os.environ.get("CI") else []
    # Chosen binaries of the whole workspace: with `-p` cargo would choose other features of the dependencies than the tests
    # have, and compile them all again.
    chosen = [flag for name in (*functions(), *PROGRAMS, *programs) for flag in target_of(name)]
    command = ["cargo", "build", *locked, "--profile", "local", "--workspace", *chosen, *_test_targets(tests)]
    with stage("build (profile local)"):
        # Its progress is worth seeing: minutes the first time.
        if subprocess.run(command, cwd=tools.ROOT).returncode != 0:
            raise Failure("the build failed")
    return target() / "local"


def target_of(program: str) -> tuple[str, str]:
    """How `cargo build` is asked for a program: what only measures is an example, because it stands on the tests' doubles."""
    return ("--example" if program.startswith("bench_") else "--bin", program)


def _test_targets(command: list[str]) -> list[str]:
    """What `cargo build` calls the tests that a `cargo test` command runs: those that it names, or all."""
    if not command:
        return []
    own = command[: command.index("--")] if "--" in command else command
    named = [flag for at, word in enumerate(own) if word == "--test" for flag in own[at : at + 2]]
    # It cannot name the tests inside the sources alone.
    return named if named and "--lib" not in own else ["--tests"]


def target() -> Path:
    """Cargo's folder of what is built."""
    command = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    metadata = subprocess.run(command, cwd=tools.ROOT, check=True, capture_output=True, text=True)
    return Path(json.loads(metadata.stdout)["target_directory"])


def digest(path: Path) -> str:
    """A file's SHA-256."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def pack(bootstrap: Path, package: Path) -> None:
    """Makes a function's package of its program: the same bytes of the same program."""
    # Compressed a little, as it takes a second to send a program of 25 MB and a minute to compress it well.
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        entry = zipfile.ZipInfo("bootstrap")  # of 1980
        entry.external_attr = 0o755 << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, bootstrap.read_bytes(), compresslevel=1)


def package_of(staged: Path, function: str) -> Path:
    """Where a function's package lies."""
    return staged / "target" / "lambda" / f"{function}.zip"


def stage_packages(source: Path, staged: Path, binaries: Path) -> dict[str, str]:
    """Lays out a template and a package for each function as SAM takes them; the digest of each function's program.

    Packages of programs that are the same as before are kept. SAM would make them of folders, which takes it 20 seconds: the
    staged template names packages instead, and is otherwise the one that goes to AWS.
    """
    folder = staged / "target" / "lambda"
    folder.mkdir(parents=True, exist_ok=True)
    known = staged / "packages.json"
    before: dict[str, str] = json.loads(known.read_text()) if known.exists() else {}
    template = source.read_text(encoding="utf-8")
    programs = {}
    for name in functions():
        binary = binaries / name
        if not binary.exists():
            raise Failure(f"{binary} was not built: functions/{name} must have a binary of the same name")
        programs[name] = digest(binary)
        template = template.replace(f"CodeUri: target/lambda/{name}/\n", f"CodeUri: target/lambda/{name}.zip\n")
    (staged / "template.yaml").write_text(template, encoding="utf-8")
    changed = [name for name in programs if before.get(name) != programs[name] or not package_of(staged, name).exists()]
    # zlib lets other threads run.
    with ThreadPoolExecutor(os.cpu_count()) as packers:
        list(packers.map(lambda name: pack(binaries / name, package_of(staged, name)), changed))
    known.write_text(json.dumps(programs, indent=2) + "\n")
    return programs
