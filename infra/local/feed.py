"""How fast the feed numbers waiting events on the local AWS.

    feed.py EVENTS     runs in SAM's virtual environment, for its boto3, with the stack's environment (`source .local/env`)

Events are put into the event log as a commit writes them, while event-feed is stopped. When all of them wait in its
lanes, event-feed is started. The time is from the first event's position to the last one's, according to the feed's
rows. It is measured once with one lane, and once with both lanes, whose instances then compete for the feed's head.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from pipeline import DRAINED_DEADLINE_SECONDS, Event, Pipeline, sample

LANES = ["EventFeedExpressQueue", "EventFeedStandardQueue"]
# The layout of the feed's rows: shared/views/src/feed.rs.
PARTITION = 1_000


class Feed:
    """Reads the feed's table."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._table = pipeline.resources["FeedTable"]
        self._dynamodb = pipeline.client("dynamodb")

    def _item(self, pk: str, sk: str) -> dict[str, Any]:
        key = {"pk": {"S": pk}, "sk": {"S": sk}}
        found = self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        return dict(found.get("Item", {}))

    def head(self) -> int:
        """The last position that was assigned."""
        item = self._item("head", "head")
        return int(item["position"]["N"]) if item else 0

    def fed_at(self, position: int) -> float:
        """When a position was assigned, in seconds since the epoch."""
        item = self._item(f"feed#{position // PARTITION}", f"{position:020d}")
        return datetime.fromisoformat(item["fed_at"]["S"]).timestamp()


def payments(pipeline: Pipeline, events: int) -> list[Event]:
    """Events for the express lane, each of its own aggregate."""
    payload = sample("payment/created-v1/full.json")
    made = []
    for _ in range(events):
        payment = str(uuid.uuid4())
        aggregate = ("payment", payment)
        made.append(pipeline.envelope("payment.created", "critical", aggregate, {**payload, "payment_id": payment}))
    return made


def members(pipeline: Pipeline, events: int) -> list[Event]:
    """Events for the standard lane, each of its own aggregate."""
    payload = sample("member/registered-v1/minimal.json")
    made = []
    for _ in range(events):
        member = f"bench-{uuid.uuid4().hex[:12]}"
        made.append(pipeline.envelope("member.registered", "normal", ("member", member), {**payload, "member_id": member}))
    return made


def rate(pipeline: Pipeline, feed: Feed, events: list[Event]) -> float:
    """Events per second; all of them wait in the lanes before event-feed starts."""
    mappings = [pipeline.mapping_of(lane) for lane in LANES]
    for mapping in mappings:
        pipeline.enable(mapping, enabled=False)
    before = feed.head()
    pipeline.commit(events)
    _await(lambda: pipeline.depth(LANES) >= len(events), "not all events reached the feed's lanes")
    # The other consumers of these events must have finished.
    others = [lane for lane in pipeline.lanes if lane not in LANES]
    _await(lambda: pipeline.depth(others) == 0, "the other consumers have not finished")
    if feed.head() != before:
        sys.exit("event-feed was not stopped: nothing was measured")
    for mapping in mappings:
        pipeline.enable(mapping, enabled=True)
    last = before + len(events)
    _await(lambda: feed.head() >= last, "the feed did not number all events")
    return (len(events) - 1) / (feed.fed_at(last) - feed.fed_at(before + 1))


def _await(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + DRAINED_DEADLINE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            sys.exit(f"{otherwise} within {DRAINED_DEADLINE_SECONDS} s")
        time.sleep(0.25)


def main(arguments: list[str]) -> int:
    """Command line; see the module's docstring."""
    events = int(arguments[0])
    pipeline = Pipeline()
    feed = Feed(pipeline)
    # The feed's first invocations are not measured.
    pipeline.drain(payments(pipeline, 20) + members(pipeline, 20), pipeline.lanes)
    one = rate(pipeline, feed, payments(pipeline, events))
    both = rate(pipeline, feed, payments(pipeline, events // 2) + members(pipeline, events - events // 2))
    if left := pipeline.letters():
        sys.exit(f"{left} events became dead letters: nothing was measured")
    print(f"\nthe feed, {events} events waiting (load average {os.getloadavg()[0]:.1f})\n")
    print("| they wait in | events/s |")
    print("|---|---|")
    print(f"| one lane | {one:.0f} |")
    print(f"| both lanes | {both:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
