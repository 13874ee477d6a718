"""What schemathesis is told beside its configuration: schemathesis.toml names this module."""

from __future__ import annotations

import json
import os
import re
import uuid
from typing import Any

import schemathesis
from hypothesis import strategies
from schemathesis import Case, HookContext
from schemathesis.core.failures import Failure
from schemathesis.core.transport import Response
from schemathesis.openapi.checks import RejectedPositiveData

# As the document says it.
IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")

# A format of ours: a day, or a time with its offset.
schemathesis.openapi.format("moment", strategies.sampled_from(["2026-04-01", "2026-04-01T12:30:00.25+02:00"]))


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Gives a request an idempotency key of its own: with the same key it would get the answer of another one.

    Keys that are wrong or missing on purpose stay so.
    """
    key = case.headers.get("Idempotency-Key")
    if isinstance(key, str) and IDEMPOTENCY_KEY.fullmatch(key):
        case.headers["Idempotency-Key"] = f"walk-{uuid.uuid4()}"
    # Who asks for something does not approve it: another owner's key does.
    asker, approver = (f"Bearer {os.environ[name]}" for name in ("API_KEY", "APPROVER_KEY"))
    if case.operation.path.endswith("/approve") and case.headers.get("Authorization") == asker:
        case.headers["Authorization"] = approver


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case, response: Response) -> bool:
    """Lets pass what no schema can say: a cursor is good only for the list that gave it, and an amount has only so many decimals."""
    if not isinstance(failure, RejectedPositiveData):
        return True
    violations = _violations(response)
    too_fine = violations == ["/query/amount"] and "decimals" in response.text
    return violations != ["/query/cursor"] and not too_fine


def _violations(response: Response) -> list[str]:
    try:
        return [one["pointer"] for one in response.json().get("violations", [])]
    except (json.JSONDecodeError, AttributeError, KeyError, TypeError):
        return []
