"""What every stage prints: its name, what it took, and on failure what to look at."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path


class Failure(Exception):
    """Something the reader can act on: printed without a traceback, the program ends with 1."""


@contextlib.contextmanager
def stage(name: str) -> Iterator[list[str]]:
    """Times a stage. Notes that the body appends to the list stand behind the time."""
    notes: list[str] = []
    begun = time.monotonic()
    try:
        yield notes
    except BaseException:
        print(f"FAIL {name:<34} {time.monotonic() - begun:7.1f} s", file=sys.stderr, flush=True)
        raise
    print(f"ok   {name:<34} {time.monotonic() - begun:7.1f} s  {', '.join(notes)}".rstrip(), flush=True)


def tail(path: Path, lines: int = 25) -> str:
    """The end of a log file, indented, for a failure message."""
    if not path.exists():
        return "    (no log)"
    text = path.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join(f"    {line}" for line in text)
