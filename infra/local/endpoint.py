"""What answers at an endpoint that this program did not start."""

from __future__ import annotations

import json

from emulator import direct_opener, http_status
from report import Failure

LOCALSTACK = "LocalStack"
ANSWER_WITHIN_SECONDS = 10


def described(endpoint: str) -> str:
    """What answers at the endpoint, in the words of its own information page: `LocalStack 2026.3.0, in Docker, community`.

    Raises Failure if nothing answers.
    """
    info = _json(f"{endpoint}/_localstack/info")
    if info and "version" in info:
        # The open-source packages outside the image call their edition unknown.
        edition = info.get("edition", "unknown")
        words = [f"{LOCALSTACK} {info['version']}", "in Docker" if info.get("is_docker") else "without Docker", edition]
        return ", ".join(word for word in words if word != "unknown")
    if http_status(f"{endpoint}/_ministack/health", ANSWER_WITHIN_SECONDS) == 200:
        return "MiniStack"
    if (status := http_status(endpoint, ANSWER_WITHIN_SECONDS)) is not None:
        return f"an endpoint that does not say what it is (GET / answers {status})"
    raise Failure(
        f"nothing answers at ENDPOINT={endpoint}: start it first. This program starts only its own MiniStack, when no ENDPOINT is given.\n"
        "How to start LocalStack: infra/docs/localstack.md"
    )


def _json(url: str) -> dict[str, object] | None:
    """The JSON object that a GET answers with; None if it answers anything else or nothing."""
    try:
        with direct_opener().open(url, timeout=ANSWER_WITHIN_SECONDS) as answer:
            document = json.load(answer)
    except (OSError, ValueError):  # an HTTPError is an OSError
        return None
    return document if isinstance(document, dict) else None
