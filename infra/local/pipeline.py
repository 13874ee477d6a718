"""Measures two things on the local AWS: the throughput of the pipeline, with the shipped consumers and with handlers that do nothing;
and how soon critical events are handled while ordinary ones wait.

    pipeline.py EVENTS ROUNDS BACKLOG     runs in SAM's virtual environment, for its boto3, with the stack's environment
                                          (`source .local/env`); BENCH_EMPTY names the empty bootstrap

Events are put into the event log as a commit writes them; stream, relay, bus, rules, lanes and mappings are the
stack's own. Both sides are the same stack: only the code of its consumers alternates. A run ends when the log's last
row is published and the lanes are empty.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

import stack_resources
from packages import pack, package_of

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLES = ROOT / "shared" / "events" / "samples"

GOAL_SHARE = 0.8
GOAL_CRITICAL_P95_MS = 1_000
WARM_UP_EVENTS = 60
CRITICAL_EVENTS = 40
CRITICAL_PAUSE_SECONDS = 0.25
DRAINED_DEADLINE_SECONDS = 300
# Committing is not measured: there are enough writers to keep the relay busy.
WRITERS = 4

Event = dict[str, Any]


class Pipeline:
    """The deployed stack."""

    def __init__(self) -> None:
        # boto3 clients may be shared between threads.
        self._config = Config(max_pool_connections=16, retries={"mode": "standard"})
        self.resources = stack_resources.of_stack(os.environ["STACK_NAME"])
        # A consumer is a function with a lane: each one's function, with the name of its package.
        self.lanes = self.resources.lanes()
        self.consumers = {stack_resources.function_of(lane): stack_resources.consumer_of(lane) for lane in self.lanes}
        self._dynamodb = self.client("dynamodb")
        self._sqs = self.client("sqs")
        self._lambda = self.client("lambda")
        self._sequences: dict[str, int] = {}

    def client(self, service: str) -> Any:
        """A client of the stack's endpoint."""
        return boto3.client(service, config=self._config, endpoint_url=os.environ["AWS_ENDPOINT_URL"])

    def envelope(self, event_type: str, priority: str, aggregate: tuple[str, str], payload: Event) -> Event:
        """An event as a commit would make it now."""
        place = "#".join(aggregate)
        self._sequences[place] = self._sequences.get(place, 0) + 1
        event_id = str(uuid.uuid4())
        return {
            "event_id": event_id,
            "event_type": event_type,
            "event_version": "v1",
            "occurred_at": _now(),
            "producer": "bench",
            "correlation_id": event_id,
            "priority": priority,
            "aggregate_type": aggregate[0],
            "aggregate_id": aggregate[1],
            "sequence": self._sequences[place],
            "payload": payload,
        }

    def commit(self, envelopes: list[Event]) -> None:
        """Puts rows into the event log, 25 per call."""
        chunks = [envelopes[at : at + 25] for at in range(0, len(envelopes), 25)]
        with ThreadPoolExecutor(WRITERS) as writers:
            list(writers.map(self._write, chunks))

    def _write(self, envelopes: list[Event]) -> None:
        table = self.resources["EventsTable"]
        puts = [{"PutRequest": {"Item": _row(envelope)}} for envelope in envelopes]
        answer = self._dynamodb.batch_write_item(RequestItems={table: puts})
        if answer.get("UnprocessedItems"):
            sys.exit("the local AWS left rows of a batch unwritten")

    def is_published(self, envelope: Event) -> bool:
        """Whether the relay has recorded that it published the event."""
        row = _row(envelope)
        key = {name: row[name] for name in ("aggregate", "sequence")}
        item = self._dynamodb.get_item(TableName=self.resources["EventsTable"], Key=key, ConsistentRead=True)["Item"]
        return "published_at" in item

    def depth(self, queues: Iterable[str]) -> int:
        """The number of messages in these queues, waiting or in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        total = 0
        for queue in queues:
            got = self._sqs.get_queue_attributes(QueueUrl=self.resources[queue], AttributeNames=names)["Attributes"]
            total += sum(int(got[name]) for name in names)
        return total

    def drain(self, envelopes: list[Event], queues: list[str]) -> None:
        """Commits events and waits until all of them are published and out of the lanes."""
        self.commit(envelopes)
        self.await_drained(envelopes[-1:], queues)

    def await_drained(self, last: list[Event], queues: list[str]) -> None:
        """Waits until these events are published and the lanes are empty."""
        deadline = time.monotonic() + DRAINED_DEADLINE_SECONDS
        while not all(self.is_published(envelope) for envelope in last) or self.depth(queues) > 0:
            if time.monotonic() > deadline:
                sys.exit(f"not drained within {DRAINED_DEADLINE_SECONDS} s; {self.depth(queues)} messages are left")
            time.sleep(0.05)

    def swap(self, function: str, package: Path) -> None:
        """Replaces a function's code."""
        self._lambda.update_function_code(FunctionName=self.resources[function], ZipFile=package.read_bytes())

    def letters(self) -> int:
        """The number of dead letters: unresolved rows, and messages that are not drained yet."""
        unresolved = self._dynamodb.get_paginator("query").paginate(
            TableName=self.resources["LettersTable"],
            IndexName="listed",
            Select="COUNT",
            KeyConditionExpression="listed = :unresolved",
            ExpressionAttributeValues={":unresolved": {"S": "unresolved"}},
        )
        return self.depth(["DeadLetterQueue"]) + sum(page["Count"] for page in unresolved)

    def mapping_of(self, queue: str) -> str:
        """The id of the event source mapping that drains a queue."""
        url = self.resources[queue]
        arn = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        found = self._lambda.list_event_source_mappings(EventSourceArn=arn)["EventSourceMappings"]
        return str(found[0]["UUID"])

    def enable(self, mapping: str, enabled: bool) -> None:
        """Enables or disables an event source mapping."""
        self._lambda.update_event_source_mapping(UUID=mapping, Enabled=enabled)

    def send(self, queue: str, envelopes: list[Event]) -> None:
        """Sends events directly to a lane, as the bus would."""
        url = self.resources[queue]

        def batch(some: list[Event]) -> None:
            entries = [{"Id": str(at), "MessageBody": json.dumps(envelope)} for at, envelope in enumerate(some)]
            if self._sqs.send_message_batch(QueueUrl=url, Entries=entries).get("Failed"):
                sys.exit("the local AWS did not take messages of a batch")

        with ThreadPoolExecutor(WRITERS) as writers:
            list(writers.map(batch, [envelopes[at : at + 10] for at in range(0, len(envelopes), 10)]))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _row(envelope: Event) -> dict[str, Any]:
    """A row of the event log as a commit writes it."""
    return {
        "aggregate": {"S": f"{envelope['aggregate_type']}#{envelope['aggregate_id']}"},
        "sequence": {"N": str(envelope["sequence"])},
        "envelope": {"S": json.dumps(envelope)},
        "event_id": {"S": envelope["event_id"]},
        "event_type": {"S": envelope["event_type"]},
        "committed_at": {"S": envelope["occurred_at"]},
    }


def sample(path: str) -> Event:
    """A sample payload of a contract."""
    return dict(json.loads((SAMPLES / path).read_text()))


# --- throughput ------------------------------------------------------------------------------------------------------


def contacts(pipeline: Pipeline, events: int) -> list[Event]:
    """Events that cost one guarded write each, by one consumer."""
    payload = sample("member/registered-v1/minimal.json")
    made = []
    for _ in range(events):
        member = f"bench-{uuid.uuid4().hex[:12]}"
        made.append(pipeline.envelope("member.registered", "normal", ("member", member), {**payload, "member_id": member}))
    return made


def mints(pipeline: Pipeline, events: int) -> list[Event]:
    """Mints to no member: handled by every consumer of mints, by mark, with the treasury's totals and check of the backing."""
    payload = sample("cloud/minted-v1/minimal.json")
    # Each has its own aggregate, because the relay publishes one aggregate's events one call after the other.
    return [
        pipeline.envelope("cloud.minted", "high", ("cloud_account", f"bench-{uuid.uuid4().hex[:12]}"), payload)
        for _ in range(events)
    ]


WORKLOADS: dict[str, Callable[[Pipeline, int], list[Event]]] = {"contacts, by guard": contacts, "mints, by mark": mints}


def throughput(pipeline: Pipeline, events: int, rounds: int, staged: Path, empty: Path) -> None:
    """Prints the events per second of both sides, which alternate."""
    rates: dict[tuple[str, bool], list[float]] = {}
    for round_ in range(rounds):
        for is_empty in (False, True) if round_ % 2 == 0 else (True, False):
            for function, name in pipeline.consumers.items():
                pipeline.swap(function, empty if is_empty else package_of(staged, name))
            for workload, make in WORKLOADS.items():
                pipeline.drain(make(pipeline, WARM_UP_EVENTS), pipeline.lanes)
                prepared = make(pipeline, events)
                begun = time.monotonic()
                pipeline.drain(prepared, pipeline.lanes)
                rate = events / (time.monotonic() - begun)
                rates.setdefault((workload, is_empty), []).append(rate)
    if left := pipeline.letters():
        sys.exit(f"{left} events became dead letters: nothing was measured")
    print(f"\npipeline: events/s, medians of {rounds} alternating rounds of {events} events\n")
    print("| events | shipped consumers | empty handlers | share |")
    print("|---|---|---|---|")
    shares = []
    for workload in WORKLOADS:
        ours, floor = rates[workload, False], rates[workload, True]
        share = statistics.median(our / bare for our, bare in zip(ours, floor, strict=True))
        shares.append(share)
        print(f"| {workload} | {statistics.median(ours):.0f} | {statistics.median(floor):.0f} | {share:.0%} |")
    met = "met" if min(shares) >= GOAL_SHARE else "MISSED"
    print(f"\ngoal: at least {GOAL_SHARE:.0%} of empty handlers: {min(shares):.0%}, {met}")


# --- critical events behind a backlog --------------------------------------------------------------------------------


def critical(pipeline: Pipeline, backlog: int) -> None:
    """Prints the delivery latency of critical events while ordinary ones wait in the consumer's other lane."""
    admin = {**sample("member/registered-v1/minimal.json"), "member_id": "bench-admin", "role": "admin"}
    pipeline.drain([pipeline.envelope("member.registered", "normal", ("member", "bench-admin"), admin)], pipeline.lanes)
    standard = "NotificationsStandardQueue"
    mapping = pipeline.mapping_of(standard)
    pipeline.enable(mapping, enabled=False)
    pipeline.send(standard, contacts(pipeline, backlog))
    payload = sample("alert/treasury-backing-low-v1/minimal.json")

    def alert() -> Event:
        return pipeline.envelope("alert.treasury_backing_low", "critical", ("alert", "treasury_backing"), payload)

    # So that the start of the express lane's function is not measured.
    pipeline.drain([alert()], ["NotificationsExpressQueue"])
    pipeline.enable(mapping, enabled=True)
    since = int(time.time() * 1000)
    before, sent = pipeline.depth([standard]), []
    for _ in range(CRITICAL_EVENTS):
        sent.append(alert())
        # Each is made just before its commit, because `occurred_at` starts the clock.
        pipeline.commit(sent[-1:])
        time.sleep(CRITICAL_PAUSE_SECONDS)
    after = pipeline.depth([standard])
    pipeline.await_drained(sent[-1:], ["NotificationsExpressQueue"])
    values = _latencies(pipeline, since)
    pipeline.await_drained([], [standard])
    print(f"\ncritical events while ordinary ones wait: {before} waited at the start, {after} at the end\n")
    if len(values) < CRITICAL_EVENTS:
        sys.exit(f"{CRITICAL_EVENTS} critical events were committed, but only {len(values)} are in the log")
    p95 = statistics.quantiles(values, n=20, method="inclusive")[-1]
    print("| critical events | median | p95 | most |")
    print("|---|---|---|---|")
    print(f"| {len(values)} | {statistics.median(values):.0f} ms | {p95:.0f} ms | {max(values):.0f} ms |")
    if after == 0:
        print("note: the backlog was empty before the last critical event: use a larger BENCH_BACKLOG")
    met = "met" if p95 < GOAL_CRITICAL_P95_MS else "MISSED"
    print(f"\ngoal: p95 under {GOAL_CRITICAL_P95_MS} ms: {p95:.0f} ms, {met}")


def _latencies(pipeline: Pipeline, since_ms: int) -> list[float]:
    function = pipeline.resources["NotificationsFunction"]
    config = pipeline.client("lambda").get_function_configuration(FunctionName=function)
    group = config.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{function}"
    logs = pipeline.client("logs")
    values: list[float] = []
    deadline = time.monotonic() + 30
    while len(values) < CRITICAL_EVENTS and time.monotonic() < deadline:
        values = []
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since_ms):
            for entry in page["events"]:
                if "DeliveryLatency" not in entry["message"]:
                    continue
                try:
                    line = json.loads(entry["message"])
                except ValueError:
                    continue
                if line.get("priority") == "critical":
                    values.extend(float(value) for value in line["DeliveryLatency"])
        time.sleep(0.5)
    return values


def _reserve() -> None:
    """Sets a reserve so large that no alert is raised."""
    request = urllib.request.Request(
        os.environ["API_URL"] + "/api/v1/cloud/treasury/accounts/1110",
        data=json.dumps({"balance": 9_000_000_000}).encode(),
        method="PUT",
        headers={
            "Authorization": f"Bearer {os.environ['API_KEY']}",
            "Content-Type": "application/json",
            "Idempotency-Key": str(uuid.uuid4()),
        },
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()


def main(arguments: list[str]) -> int:
    """Command line; see the module's docstring."""
    events, rounds, backlog = (int(text) for text in arguments)
    folder = Path(os.environ["STACK_RESOURCES"]).parent
    empty = folder / "bench-empty.zip"
    pack(Path(os.environ["BENCH_EMPTY"]), empty)
    pipeline = Pipeline()
    _reserve()
    critical(pipeline, backlog)
    throughput(pipeline, events, rounds, folder / "stage", empty)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
