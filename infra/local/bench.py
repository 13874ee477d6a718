"""Idle latency: how long after its commit an event's handlers start, if nothing else is going on.

Mints one credit at a time; the next mint starts when all handlers of the one before have finished. The figures are the
consumers' own metric DeliveryLatency (from an event's `occurred_at` to the start of its handler, milliseconds), read from
their logs as CloudWatch would read them. The first few events are left out, because they start the functions.

    bench.py [EVENTS]     runs in SAM's virtual environment, for its boto3, with the stack's environment (`source .local/env`)
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
import urllib.request
import uuid
from typing import Any

import boto3

import stack_resources

WARM_UP_EVENTS = 5
HANDLED_DEADLINE_SECONDS = 30
GOAL_MEDIAN_MS = 300
# The consumers that handle a mint, and their functions' names in the template.
CONSUMERS = {
    "analytics": "AnalyticsFunction",
    "cloud-treasury": "CloudTreasuryFunction",
    "notifications": "NotificationsFunction",
}


class Logs:
    """The log of one consumer."""

    def __init__(self, function: str) -> None:
        config = boto3.client("lambda").get_function_configuration(FunctionName=function)
        self._group = config.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{function}"
        self._client = boto3.client("logs")

    def latency_ms(self, event_id: str, since_ms: int) -> float | None:
        """The latency of an event; None until its invocation is in the log."""
        pages = self._client.get_paginator("filter_log_events").paginate(logGroupName=self._group, startTime=since_ms)
        lines = [parsed for page in pages for entry in page["events"] if (parsed := _object(entry["message"]))]
        if not any(line.get("event_id") == event_id and line.get("outcome") == "done" for line in lines):
            return None
        # No other event is in progress, so the only value since then is this event's.
        return next((float(line["DeliveryLatency"][0]) for line in lines if "DeliveryLatency" in line), None)


def _object(text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def call(method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """One command through the API."""
    request = urllib.request.Request(
        os.environ["API_URL"] + path,
        data=json.dumps(body).encode(),
        method=method,
        headers={
            "Authorization": f"Bearer {os.environ['API_KEY']}",
            "Content-Type": "application/json",
            "Idempotency-Key": str(uuid.uuid4()),
        },
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def latencies(events: int) -> dict[str, list[float]]:
    """Milliseconds of every counted event, by consumer."""
    resources = stack_resources.of_stack(os.environ["STACK_NAME"])
    logs = {consumer: Logs(resources[function]) for consumer, function in CONSUMERS.items()}
    member = f"bench-{uuid.uuid4().hex[:8]}"
    call("POST", "/api/v1/members", {"member_id": member, "name": "Bench", "email": f"{member}@example.com"})
    # Large enough that no alert is raised.
    call("PUT", "/api/v1/cloud/treasury/accounts/1110", {"balance": 1_000_000})
    measured: dict[str, list[float]] = {consumer: [] for consumer in CONSUMERS}
    time.sleep(2)  # until the member's and the account's own events are handled
    for number in range(WARM_UP_EVENTS + events):
        since_ms = int(time.time() * 1000)
        event_id = call("POST", "/api/v1/cloud/mints", {"member_id": member, "amount": 1})["event_id"]
        for consumer, log in logs.items():
            deadline = time.monotonic() + HANDLED_DEADLINE_SECONDS
            while (milliseconds := log.latency_ms(event_id, since_ms)) is None:
                if time.monotonic() > deadline:
                    sys.exit(f"{consumer} has not handled {event_id} within {HANDLED_DEADLINE_SECONDS} s")
                time.sleep(0.05)
            if number >= WARM_UP_EVENTS:
                measured[consumer].append(milliseconds)
    return measured


def main(arguments: list[str]) -> int:
    """Command line; see the module's docstring."""
    events = int(arguments[0]) if arguments else 100
    print(f"{events} events, one by one; milliseconds from commit to handler start")
    print(f"  {'consumer':<16} {'median':>8} {'p95':>8} {'least':>8} {'most':>8}")
    medians = []
    for consumer, values in latencies(events).items():
        median = statistics.median(values)
        p95 = statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else median
        medians.append(median)
        print(f"  {consumer:<16} {median:8.0f} {p95:8.0f} {min(values):8.0f} {max(values):8.0f}")
    met = max(medians) < GOAL_MEDIAN_MS
    print(f"  goal: median under {GOAL_MEDIAN_MS} ms: {'met' if met else 'missed'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
