"""What every stage prints: its name, its duration, and on failure where to look."""

from __future__ import annotations

import contextlib
import difflib
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path


class Failure(Exception):
    """An error that the reader can act on: printed without a traceback; the program ends with 1."""


def meant(misspelt: str, names: Iterable[str]) -> str | None:
    """The known name that a misspelt one probably means, if any.

    Case, hyphens and underscores are ignored: RETRY_DELAYS_SECONDS means RetryDelaysSeconds.
    """
    plain = {name.lower().replace("_", "").replace("-", ""): name for name in names}
    near = difflib.get_close_matches(misspelt.lower().replace("_", "").replace("-", ""), plain, n=1)
    return plain[near[0]] if near else None


@contextlib.contextmanager
def stage(name: str) -> Iterator[list[str]]:
    """Times a stage. Notes that the body appends to the list are printed after the time."""
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
