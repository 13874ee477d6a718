"""What a stack consists of: each resource's physical id by its logical id, which is its name in template.yaml.

A table's, function's, role's or bus's physical id is its name, a queue's its URL, a key's its id. `of_stack` needs boto3, which
SAM's virtual environment has; the rest needs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TABLE = "AWS::DynamoDB::Table"
QUEUE = "AWS::SQS::Queue"
FUNCTION = "AWS::Lambda::Function"


class NoSuchResource(Exception):
    """The stack lacks a resource."""

    def __str__(self) -> str:
        return f"the stack has no resource {self.args[0]}: it is none of Millrace's, or of another version"


@dataclass(frozen=True)
class Resources:
    """The resources of one stack, as CloudFormation lists them."""

    summaries: tuple[dict[str, str], ...]

    def __getitem__(self, logical_id: str) -> str:
        """The physical id."""
        for one in self.summaries:
            if one["LogicalResourceId"] == logical_id:
                return one["PhysicalResourceId"]
        raise NoSuchResource(logical_id)

    def __contains__(self, logical_id: str) -> bool:
        """Whether the stack has it."""
        return any(one["LogicalResourceId"] == logical_id for one in self.summaries)

    def of_type(self, kind: str) -> Iterator[str]:
        """The logical ids of all resources of a type."""
        return (one["LogicalResourceId"] for one in self.summaries if one["ResourceType"] == kind)

    def lanes(self) -> list[str]:
        """The logical ids of the consumers' queues, dead-letter queues not among them."""
        return [queue for queue in self.of_type(QUEUE) if queue.endswith(("ExpressQueue", "StandardQueue"))]

    def listing(self) -> dict[str, list[dict[str, str]]]:
        """What `aws cloudformation list-stack-resources` prints of them."""
        return {"StackResourceSummaries": list(self.summaries)}

    def to_json(self) -> str:
        """The same as text."""
        return json.dumps(self.listing(), indent=2, sort_keys=True) + "\n"


def of_listing(listing: dict[str, list[dict[str, str]]]) -> Resources:
    """Reads what `aws cloudformation list-stack-resources` prints."""
    return Resources(tuple(listing["StackResourceSummaries"]))


def of_file(path: Path) -> Resources:
    """The same from a file."""
    return of_listing(json.loads(path.read_text()))


def of_stack(stack: str) -> Resources:
    """Asks CloudFormation, page by page. Endpoint, region and credentials are the environment's."""
    import boto3  # only in SAM's virtual environment

    kept = ("LogicalResourceId", "PhysicalResourceId", "ResourceType", "ResourceStatus")
    pages = boto3.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    summaries = (one for page in pages for one in page["StackResourceSummaries"])
    # One that could not be created has no physical id.
    return Resources(tuple({name: one[name] for name in kept} for one in summaries if "PhysicalResourceId" in one))


def consumer_of(queue: str) -> str:
    """The consumer that a lane or a dead-letter queue belongs to: `CloudTreasuryExpressQueue` -> `cloud-treasury`."""
    name = queue.removesuffix("Queue").removesuffix("DeadLetter").removesuffix("Express").removesuffix("Standard")
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).removeprefix("-")


def dead_letters_of(lane: str) -> str:
    """The dead-letter queue of a lane: `CloudTreasuryExpressQueue` -> `CloudTreasuryExpressDeadLetterQueue`."""
    return f"{lane.removesuffix('Queue')}DeadLetterQueue"


def function_of(queue: str) -> str:
    """The function that drains a lane: `CloudTreasuryExpressQueue` -> `CloudTreasuryFunction`."""
    return "".join(word.capitalize() for word in consumer_of(queue).split("-")) + "Function"
