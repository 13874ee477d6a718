"""What a reader of the documents does besides typing commands, for commands.py.

    reader.py PATH             standard input's first line replaces the line of PATH that begins alike, up to its `:`; the lines behind it follow
    reader.py --until WORDS    runs standard input as commands until they have printed WORDS, then sends Ctrl-C; they must end well
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

DEADLINE_SECONDS = 900


def edit(path: Path, wanted: str) -> int:
    lines = wanted.splitlines()
    key = lines[-1].strip().split(":")[0] + ":"
    text = path.read_text()
    found = [line for line in text.splitlines() if line.strip().startswith(key)]
    if len(found) != 1:
        print(f"{path}: {len(found)} lines begin with {key}")
        return 1
    path.write_text(text.replace(found[0], lines[-1], 1))
    print(f"{path}: {lines[-1].strip()}")
    return 0


def heed_ctrl_c() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so would everything that is started from there."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def until(words: str, commands: str) -> int:
    process = subprocess.Popen(
        ["bash", "-eo", "pipefail", "-c", commands], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        preexec_fn=heed_ctrl_c,
    )  # fmt: skip
    timer = threading.Timer(DEADLINE_SECONDS, lambda: os.killpg(process.pid, signal.SIGKILL))
    timer.start()
    seen = False
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        if not seen and words in line:
            seen = True
            os.killpg(process.pid, signal.SIGINT)
    status = process.wait()
    timer.cancel()
    if not seen:
        print(f"not printed: {words}")
    # Ended by the Ctrl-C that it asked for: 130 from a program, 2 from a make that says so of its program.
    return 0 if seen and status in (0, 2, 130, -signal.SIGINT) else 1


if __name__ == "__main__":
    if sys.argv[1] == "--until":
        sys.exit(until(sys.argv[2], sys.stdin.read()))
    sys.exit(edit(Path(sys.argv[1]), sys.stdin.read()))
