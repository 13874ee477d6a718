"""Compiles the programs of a local stack and makes the functions' packages from them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import zipfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tools
from report import Failure, stage

# In addition to the functions: the operator's tool, which creates the first API key, and the node of the local chain.
PROGRAMS = ("millrace", "local-chain")


def functions(template: Path | None = None) -> list[str]:
    """Every function, or those of a template. Folder, package, binary and target/lambda/<name> have the function's name."""
    every = sorted(manifest.parent.name for manifest in (tools.ROOT / "functions").glob("*/Cargo.toml"))
    if template is None or not template.is_file():
        return every
    text = template.read_text(encoding="utf-8")
    return [name for name in every if f"CodeUri: target/lambda/{name}/\n" in text]


def build(programs: list[str], tests: list[str], template: Path | None = None) -> Path:
    """Compiles functions (all, or those of a template) and tools with the profile `local`; returns the folder of the binaries.

    `programs` are compiled in addition to those that every local stack needs; `tests` is a `cargo test` command that runs later.
    """
    # On CI the lock file must be up to date; on a developer's machine a new function or dependency may change it.
    locked = ["--locked"] if os.environ.get("CI") else []
    # Chosen binaries, but the whole workspace: with `-p` cargo would choose other features of the dependencies than for the tests,
    # and compile them all again.
    chosen = [flag for name in (*functions(template), *PROGRAMS, *programs) for flag in target_of(name)]
    command = ["cargo", "build", *locked, "--profile", "local", "--workspace", *chosen, *_test_targets(tests)]
    with stage("build (profile local)"):
        # Its output is shown: the first time it takes minutes.
        if subprocess.run(command, cwd=tools.ROOT).returncode != 0:
            raise Failure("the build failed")
    return target() / "local"


def target_of(program: str) -> tuple[str, str]:
    """The `cargo build` flag for a program. Benchmarks are examples, because they depend on the tests' doubles."""
    return ("--example" if program.startswith("bench_") else "--bin", program)


def _test_targets(command: list[str]) -> list[str]:
    """The `cargo build` flags for the tests that a `cargo test` command runs: the named ones, or all."""
    if not command:
        return []
    own = command[: command.index("--")] if "--" in command else command
    named = [flag for at, word in enumerate(own) if word == "--test" for flag in own[at : at + 2]]
    # `cargo build` cannot select only the tests inside the sources.
    return named if named and "--lib" not in own else ["--tests"]


def target() -> Path:
    """Cargo's target folder."""
    command = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    metadata = subprocess.run(command, cwd=tools.ROOT, check=True, capture_output=True, text=True)
    return Path(json.loads(metadata.stdout)["target_directory"])


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def pack(bootstrap: Path, package: Path, level: int = 1) -> None:
    """Makes a function's package from its program. The same program always gives the same bytes."""
    # Lightly compressed: to send a program of 25 MB takes a second, to compress it well takes a minute.
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        entry = zipfile.ZipInfo("bootstrap")  # dated 1980
        entry.external_attr = 0o755 << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, bootstrap.read_bytes(), compresslevel=level)


def naming_packages(template: str, names: Iterable[str], folder: str) -> str:
    """The template with the packages of a folder in place of the functions' programs."""
    for name in names:
        template = template.replace(f"CodeUri: target/lambda/{name}/\n", f"CodeUri: {folder}/{name}.zip\n")
    return template


def pack_all(bootstraps: dict[Path, Path], level: int = 1) -> None:
    """Makes packages from programs, each package by the path of its program."""
    # zlib releases the interpreter lock, so threads compress in parallel.
    with ThreadPoolExecutor(os.cpu_count()) as packers:
        list(packers.map(lambda one: pack(*one, level), bootstraps.items()))


def package_of(staged: Path, function: str) -> Path:
    """The path of a function's package."""
    return staged / "target" / "lambda" / f"{function}.zip"


def stage_packages(source: Path, staged: Path, binaries: Path) -> dict[str, str]:
    """Lays out a template and a package for each function for SAM; returns the digest of each function's program.

    The package of an unchanged program is kept. SAM could make packages from folders, but needs 20 seconds for that. So the
    staged template names packages; otherwise it is the template that is deployed to AWS.
    """
    folder = staged / "target" / "lambda"
    folder.mkdir(parents=True, exist_ok=True)
    known = staged / "packages.json"
    before: dict[str, str] = json.loads(known.read_text()) if known.exists() else {}
    programs = {}
    for name in functions(source):
        binary = binaries / name
        if not binary.exists():
            raise Failure(f"{binary} was not built: functions/{name} must have a binary of the same name")
        programs[name] = digest(binary)
    template = naming_packages(source.read_text(encoding="utf-8"), programs, "target/lambda")
    (staged / "template.yaml").write_text(template, encoding="utf-8")
    changed = [name for name in programs if before.get(name) != programs[name] or not package_of(staged, name).exists()]
    pack_all({binaries / name: package_of(staged, name) for name in changed})
    known.write_text(json.dumps(programs, indent=2) + "\n")
    return programs
