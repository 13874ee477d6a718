"""What a program needs of the machine that runs it: its processor and the version of the C library, read from its ELF file."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from report import Failure

# The C library of Amazon Linux 2023, on which provided.al2023 is built. A program that needs a newer one does not start there.
# https://docs.aws.amazon.com/linux/al2023/ug/core-glibc.html, read 2026-11-29
GLIBC_OF_AL2023 = (2, 34)

# `e_machine` of the ELF header by what Lambda calls the architecture.
MACHINES = {62: "x86_64", 183: "arm64"}

# Section types: the table of the versions that a program needs of its libraries.
_SHT_GNU_VERNEED = 0x6FFFFFFE


@dataclass(frozen=True)
class Needs:
    """What a program needs."""

    # As Lambda calls it; None: another processor.
    architecture: str | None
    # The newest version of glibc that a symbol is taken from; () if none is, in a static program.
    glibc: tuple[int, ...]

    @property
    def glibc_text(self) -> str:
        """The version as people write it."""
        return ".".join(map(str, self.glibc)) or "none"


def needs(path: Path) -> Needs:
    """Reads a 64-bit little-endian ELF file.

    Raises:
        Failure: it is no such file.
    """
    image = path.read_bytes()
    if image[:6] != b"\x7fELF\x02\x01":
        raise Failure(f"{path} is no 64-bit ELF program")
    (machine,) = struct.unpack_from("<H", image, 18)
    (table,) = struct.unpack_from("<Q", image, 40)
    entry_size, count = struct.unpack_from("<HH", image, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", image, table + at * entry_size) for at in range(count)]
    versions: set[tuple[int, ...]] = set()
    for _, kind, _, _, offset, _, link, info, _, _ in sections:
        if kind == _SHT_GNU_VERNEED:
            names = sections[link][4]
            versions |= {version for name in _needed(image, offset, info) if (version := _glibc(image, names + name))}
    return Needs(MACHINES.get(machine), max(versions, default=()))


def _needed(image: bytes, offset: int, libraries: int) -> list[int]:
    """Where the names of the needed versions begin in the table of strings."""
    found = []
    for _ in range(libraries):
        _, count, _, first, following = struct.unpack_from("<HHIII", image, offset)
        at = offset + first
        for _ in range(count):
            _, _, _, name, next_version = struct.unpack_from("<IHHII", image, at)
            found.append(name)
            at += next_version
        offset += following
    return found


def _glibc(image: bytes, at: int) -> tuple[int, ...]:
    """`GLIBC_2.34` as (2, 34); () for what is no version of glibc."""
    name = image[at : image.index(b"\0", at)].decode("ascii", "replace")
    prefix, _, version = name.partition("_")
    parts = version.split(".")
    return tuple(map(int, parts)) if prefix == "GLIBC" and all(part.isdecimal() for part in parts) else ()


def check(path: Path, architecture: str, newest: tuple[int, ...] = GLIBC_OF_AL2023) -> Needs:
    """What a program needs, if a function of this architecture can run it.

    Raises:
        Failure: it cannot.
    """
    found = needs(path)
    if found.architecture != architecture:
        raise Failure(f"{path} is built for {found.architecture or 'another processor'}, not for {architecture}")
    if found.glibc > newest:
        has = ".".join(map(str, newest))
        raise Failure(f"{path} needs glibc {found.glibc_text}, and Amazon Linux 2023 has {has}: it would not start")
    return found
