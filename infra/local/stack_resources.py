"""The resources of a stack: each one's physical id by its logical id, which is its name in template.yaml.

The physical id of a table, function, role or bus is its name; of a queue, its URL; of a key, its id. `of_stack` needs boto3, which
SAM's virtual environment has; everything else needs only Python.
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
        return f"the stack has no resource {self.args[0]}: it is not a stack of Millrace, or is of another version"


@dataclass(frozen=True)
class Resources:
    """The resources of one stack, as CloudFormation lists them."""

    summaries: tuple[dict[str, str], ...]

    def __getitem__(self, logical_id: str) -> str:
        """The physical id of a resource."""
        for one in self.summaries:
            if one["LogicalResourceId"] == logical_id:
                return one["PhysicalResourceId"]
        raise NoSuchResource(logical_id)

    def __contains__(self, logical_id: str) -> bool:
        """Whether the stack has the resource."""
        return any(one["LogicalResourceId"] == logical_id for one in self.summaries)

    def of_type(self, kind: str) -> Iterator[str]:
        """The logical ids of all resources of a type."""
        return (one["LogicalResourceId"] for one in self.summaries if one["ResourceType"] == kind)

    def lanes(self) -> list[str]:
        """The logical ids of the consumers' queues, without the dead-letter queue."""
        return [queue for queue in self.of_type(QUEUE) if queue.endswith(("ExpressQueue", "StandardQueue"))]

    def listing(self) -> dict[str, list[dict[str, str]]]:
        """The resources as `aws cloudformation list-stack-resources` prints them."""
        return {"StackResourceSummaries": list(self.summaries)}

    def to_json(self) -> str:
        """The same as JSON text."""
        return json.dumps(self.listing(), indent=2, sort_keys=True) + "\n"


def of_listing(listing: dict[str, list[dict[str, str]]]) -> Resources:
    """Reads what `aws cloudformation list-stack-resources` prints."""
    return Resources(tuple(listing["StackResourceSummaries"]))


def of_file(path: Path) -> Resources:
    """The same from a file."""
    return of_listing(json.loads(path.read_text()))


def of_stack(stack: str) -> Resources:
    """Asks CloudFormation, page by page. Endpoint, region and credentials come from the environment."""
    import boto3  # only in SAM's virtual environment

    kept = ("LogicalResourceId", "PhysicalResourceId", "ResourceType", "ResourceStatus")
    pages = boto3.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    summaries = (one for page in pages for one in page["StackResourceSummaries"])
    # A resource that could not be created has no physical id.
    return Resources(tuple({name: one[name] for name in kept} for one in summaries if "PhysicalResourceId" in one))


def consumer_of(queue: str) -> str:
    """The consumer that a lane belongs to: `CloudTreasuryExpressQueue` -> `cloud-treasury`."""
    name = queue.removesuffix("Queue").removesuffix("Express").removesuffix("Standard")
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).removeprefix("-")


def function_of(queue: str) -> str:
    """The function that drains a lane: `CloudTreasuryExpressQueue` -> `CloudTreasuryFunction`."""
    return "".join(word.capitalize() for word in consumer_of(queue).split("-")) + "Function"
