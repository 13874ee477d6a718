"""Serves MiniStack by uvicorn and httptools; run by the Python of the set `ministack`, with MiniStack's own variables.

MiniStack's own server parses HTTP in Python, which is more than half of what a small call costs: one `GetItem` after the other,
it answers 1,040 a second, this one 2,370. All of a stack's calls go through one thread, so tests wait for it. For the same reason three
things that it does over and over are made cheap (`hasten`): what they answer stays the same.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import marshal
import os
import resource
from types import SimpleNamespace
from typing import Any

import uvicorn
from ministack.app import app
from ministack.core import iam_evaluator
from ministack.services import dynamodb

# MiniStack's own, which clients are used to.
KEEP_ALIVE_SECONDS = 75


# Expressions and policies that are remembered: a stack has some hundreds.
REMEMBERED = 4096


def hasten() -> None:
    """Makes MiniStack read an expression and a policy once, and copy items as what they are.

    A query reads its key condition anew for every item of the partition, and items are copied by `copy.deepcopy`, which is made for any
    graph of objects: a query over 100 items takes a quarter of its time, a transaction of eight updates two thirds. Each call reads the
    policies of its role anew, twice.
    """
    tokens = functools.lru_cache(REMEMBERED)(dynamodb._tokenize)
    # Each caller gets a list of its own, as before.
    dynamodb._tokenize = lambda expression: list(tokens(expression))
    dynamodb._condition_syntax_error = functools.lru_cache(REMEMBERED)(dynamodb._condition_syntax_error)
    dynamodb.copy = SimpleNamespace(deepcopy=copied)
    parse = iam_evaluator.parse_policy_document
    parsed = functools.lru_cache(REMEMBERED)(parse)
    # A role's policies are kept as text; an object, which some others are, cannot be remembered.
    iam_evaluator.parse_policy_document = lambda policy: parsed(policy) if isinstance(policy, str) else parse(policy)


def copied(value: Any) -> Any:
    """A deep copy. `marshal` knows the types of JSON and refuses others by `ValueError`."""
    try:
        return marshal.loads(marshal.dumps(value))
    except ValueError:
        return copy.deepcopy(value)


def main() -> None:
    """Serves until a signal ends it."""
    hasten()
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
