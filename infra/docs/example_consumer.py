"""A consumer that is no part of Millrace: a rule, a queue and a dead-letter queue of its own, and each event handled once.

    example_consumer.py --stack millrace --name mail-room --types member.registered,cloud.minted
    example_consumer.py --stack millrace --name mail-room --clean-up

It needs Python 3.11 and boto3; region, credentials and AWS_ENDPOINT_URL (for a local AWS) are the environment's. What it makes
has the name --name. --queue URL reads a queue instead that something else made, such as your own template. It ends after
--events events or --seconds seconds, whichever comes first.

Its effect is a count per event type in a file of SQLite; in yours that is your own database. The queue promises no order: where
order matters, compare `sequence`, by which an aggregate's events are numbered.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from typing import Any

import boto3

# Versions that `handle` understands. Anything else goes to the dead letters: to guess what a field of tomorrow means would be
# worse than to be late.
VERSIONS = {"v1"}

# Longer than handling a batch takes: a message that is handled longer comes again meanwhile.
VISIBILITY_SECONDS = 30
# A message that was received so often without being deleted is a dead letter.
RECEIVES = 5
DAY, FORTNIGHT = 86_400, 14 * 86_400


def main() -> None:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stack", help="Millrace's stack, for the name of its bus")
    parser.add_argument("--name", required=True, help="of the consumer: its rule, its queues and what it has handled")
    parser.add_argument("--types", type=lambda text: text.split(","), default=[], help="event types, separated by commas")
    parser.add_argument("--queue", help="URL of a queue that is there already")
    parser.add_argument("--database", help="file of SQLite (default: NAME.sqlite3)")
    parser.add_argument("--events", type=int, default=sys.maxsize, help="end after so many")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after so long")
    parser.add_argument("--clean-up", action="store_true", help="remove the rule and the queues instead")
    asked = parser.parse_args()
    if not (asked.queue or asked.stack and (asked.types or asked.clean_up)):
        parser.error("--stack and --types are wanted, or --queue")
    if asked.clean_up:
        clean_up(bus_of(asked.stack), asked.name)
        return
    queue = asked.queue or subscribe(bus_of(asked.stack), asked.name, asked.types)
    print(f"listening {queue}", flush=True)
    consume(queue, open_database(asked.database or f"{asked.name}.sqlite3"), asked.events, asked.seconds)


# --- the way from the bus to the queue ----------------------------------------------------------------------------------------


def bus_of(stack: str) -> str:
    """The name of the stack's bus, from the stack's outputs: names are looked up, never put together."""
    described = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return next(output["OutputValue"] for output in described["Outputs"] if output["OutputKey"] == "EventBusName")


def subscribe(bus: str, name: str, types: list[str]) -> str:
    """Makes what is missing; the queue's URL. Safe to call again: everything here sets, nothing adds."""
    events, sqs = boto3.client("events"), boto3.client("sqs")
    # `detail-type` is the event's type.
    pattern = json.dumps({"detail-type": types})
    rule = events.put_rule(Name=name, EventBusName=bus, EventPattern=pattern)["RuleArn"]
    dead_letters = sqs.create_queue(QueueName=f"{name}-dead-letters", Attributes={"MessageRetentionPeriod": str(FORTNIGHT)})["QueueUrl"]
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    redrive = {"deadLetterTargetArn": arn_of(sqs, dead_letters), "maxReceiveCount": RECEIVES}
    settings = {"VisibilityTimeout": str(VISIBILITY_SECONDS), "RedrivePolicy": json.dumps(redrive)}
    for url, own in ((queue, settings), (dead_letters, {})):
        # EventBridge comes as a service: it needs leave to send, here for this one rule. It sends to the dead letters itself
        # what the queue would not take.
        sqs.set_queue_attributes(QueueUrl=url, Attributes={**own, "Policy": policy(rule, arn_of(sqs, url))})
    target = {
        "Id": "queue",
        "Arn": arn_of(sqs, queue),
        # The message is the envelope itself, without EventBridge's own around it.
        "InputPath": "$.detail",
        "DeadLetterConfig": {"Arn": arn_of(sqs, dead_letters)},
        "RetryPolicy": {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": DAY},
    }
    answer = events.put_targets(Rule=name, EventBusName=bus, Targets=[target])
    # A refused target is no error of the call.
    if answer["FailedEntryCount"]:
        sys.exit(f"the rule's target was refused: {answer['FailedEntries']}")
    return queue


def policy(rule: str, queue: str) -> str:
    """Lets one rule send to one queue."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def arn_of(sqs: Any, url: str) -> str:
    """A queue's ARN."""
    return str(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])


def clean_up(bus: str, name: str) -> None:
    """Removes the rule and the queues, in this order: nothing is sent to a queue that is gone."""
    events, sqs = boto3.client("events"), boto3.client("sqs")
    events.remove_targets(Rule=name, EventBusName=bus, Ids=["queue"])
    events.delete_rule(Name=name, EventBusName=bus)
    for queue in (name, f"{name}-dead-letters"):
        sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"])


# --- the way from the queue to the effect -------------------------------------------------------------------------------------


def open_database(path: str) -> sqlite3.Connection:
    """What was handled, and what came of it."""
    database = sqlite3.connect(path)
    # A mark may go when no copy of its event can come any more: the queue's retention and that of the dead letters later.
    database.execute("CREATE TABLE IF NOT EXISTS marks (event_id TEXT PRIMARY KEY, handled_at TEXT DEFAULT CURRENT_TIMESTAMP)")
    database.execute("CREATE TABLE IF NOT EXISTS counts (event_type TEXT PRIMARY KEY, events INTEGER NOT NULL)")
    return database


def consume(queue: str, database: sqlite3.Connection, events: int, seconds: float) -> None:
    """Handles what comes, until there were enough events or the time is over."""
    sqs = boto3.client("sqs")
    for message in messages(sqs, queue, time.monotonic() + seconds):
        try:
            envelope = json.loads(message["Body"])
            if envelope["event_version"] not in VERSIONS:
                raise ValueError(f"version {envelope['event_version']} of {envelope['event_type']} is not known")
            is_first = handle(database, envelope)
        except Exception as error:
            # Not deleted: it comes again when its visibility is over, and in the end it is a dead letter.
            print(f"failed {message['MessageId']}: {error!r}", file=sys.stderr, flush=True)
            continue
        # Only after the commit. Whatever goes wrong between the two brings the message again, and then it is a repeat.
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        what = "handled" if is_first else "repeated"
        aggregate = f"{envelope['aggregate_type']}/{envelope['aggregate_id']}#{envelope['sequence']}"
        print(f"{what} {envelope['event_id']} {envelope['event_type']} {aggregate}", flush=True)
        events -= is_first
        if events == 0:
            return


def messages(sqs: Any, queue: str, deadline: float) -> Iterator[dict[str, Any]]:
    """What the queue gives until the deadline."""
    while (left := deadline - time.monotonic()) > 0:
        received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=int(min(left, 20)))
        yield from received.get("Messages", [])


def handle(database: sqlite3.Connection, envelope: dict[str, Any]) -> bool:
    """The effect of an event, once; whether it was the first time.

    Bus and queue deliver at least once. The mark and the effect are one transaction, so neither is ever there without the other.
    """
    with database:
        first = database.execute("INSERT OR IGNORE INTO marks (event_id) VALUES (?)", (envelope["event_id"],)).rowcount == 1
        if first:
            counted = "INSERT INTO counts VALUES (?, 1) ON CONFLICT (event_type) DO UPDATE SET events = events + 1"
            database.execute(counted, (envelope["event_type"],))
    return first


if __name__ == "__main__":
    main()
