"""How fast the feed numbers events that wait for it on the local AWS.

    feed.py EVENTS     in SAM's virtual environment, for its boto3; the stack's environment as `source .local/env` gives it

Events are put into the event log as a commit leaves them there, while event-feed is held back. When all of them wait in its
lanes it is let go; the time is from the first one's position to the last one's, as the feed's rows tell it. Once in one
lane, once divided among both, whose instances then meet at the feed's head.
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
# As the feed's rows stand in its table: shared/views/src/feed.rs.
PARTITION = 1_000


class Feed:
    """The feed's table."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._table = pipeline.resources["FeedTable"]
        self._dynamodb = pipeline.client("dynamodb")

    def _item(self, pk: str, sk: str) -> dict[str, Any]:
        key = {"pk": {"S": pk}, "sk": {"S": sk}}
        found = self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        return dict(found.get("Item", {}))

    def head(self) -> int:
        """The last position that was given."""
        item = self._item("head", "head")
        return int(item["position"]["N"]) if item else 0

    def fed_at(self, position: int) -> float:
        """When a position was given, in seconds."""
        item = self._item(f"feed#{position // PARTITION}", f"{position:020d}")
        return datetime.fromisoformat(item["fed_at"]["S"]).timestamp()


def payments(pipeline: Pipeline, events: int) -> list[Event]:
    """Each of an aggregate of its own, for the lane of what is urgent."""
    payload = sample("payment/created-v1/full.json")
    made = []
    for _ in range(events):
        payment = str(uuid.uuid4())
        aggregate = ("payment", payment)
        made.append(pipeline.envelope("payment.created", "critical", aggregate, {**payload, "payment_id": payment}))
    return made


def members(pipeline: Pipeline, events: int) -> list[Event]:
    """The same for the other lane."""
    payload = sample("member/registered-v1/minimal.json")
    made = []
    for _ in range(events):
        member = f"bench-{uuid.uuid4().hex[:12]}"
        made.append(pipeline.envelope("member.registered", "normal", ("member", member), {**payload, "member_id": member}))
    return made


def rate(pipeline: Pipeline, feed: Feed, events: list[Event]) -> float:
    """Events per second, all of them waiting at the beginning."""
    mappings = [pipeline.mapping_of(lane) for lane in LANES]
    for mapping in mappings:
        pipeline.enable(mapping, enabled=False)
    before = feed.head()
    pipeline.commit(events)
    _await(lambda: pipeline.depth(LANES) >= len(events), "not all events came into the feed's lanes")
    # Others that listen to them are done with them.
    others = [lane for lane in pipeline.lanes if lane not in LANES]
    _await(lambda: pipeline.depth(others) == 0, "the other consumers are not done")
    if feed.head() != before:
        sys.exit("the feed was not held back: nothing was measured")
    for mapping in mappings:
        pipeline.enable(mapping, enabled=True)
    last = before + len(events)
    _await(lambda: feed.head() >= last, "not all events were fed")
    return (len(events) - 1) / (feed.fed_at(last) - feed.fed_at(before + 1))


def _await(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + DRAINED_DEADLINE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            sys.exit(f"{otherwise} within {DRAINED_DEADLINE_SECONDS} s")
        time.sleep(0.25)


def main(arguments: list[str]) -> int:
    """Command line; see the module's text."""
    events = int(arguments[0])
    pipeline = Pipeline()
    feed = Feed(pipeline)
    # Its first invocations are not what is measured.
    pipeline.drain(payments(pipeline, 20) + members(pipeline, 20), pipeline.lanes)
    one = rate(pipeline, feed, payments(pipeline, events))
    both = rate(pipeline, feed, payments(pipeline, events // 2) + members(pipeline, events - events // 2))
    if left := pipeline.letters(pipeline.letter_queues):
        sys.exit(f"{left} events became letters: nothing was measured")
    print(f"\nthe feed, {events} events waiting (load average {os.getloadavg()[0]:.1f})\n")
    print("| they wait in | events/s |")
    print("|---|---|")
    print(f"| one lane | {one:.0f} |")
    print(f"| both lanes | {both:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
