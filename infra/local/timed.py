"""Runs one check of `make check`: prints a line with its duration if it passes, its whole output if it fails.

    python3 infra/local/timed.py NAME COMMAND [ARGUMENT …]
"""

from __future__ import annotations

import subprocess
import sys

from report import Failure, stage


def main(arguments: list[str]) -> int:
    """Command line; the exit status is the command's."""
    name, command = arguments[0], arguments[1:]
    status = 0
    try:
        with stage(name):
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            if done.returncode != 0:
                status = done.returncode
                raise Failure(done.stdout.rstrip())
    except FileNotFoundError:
        print(f"{command[0]} is not installed", file=sys.stderr)
        return 127
    except Failure as failure:
        print(failure, file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
