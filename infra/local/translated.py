"""Whether AWS can deploy the rendered templates: how much of CloudFormation's limits they use, and whether the deployer may.

    translated.py TEMPLATE…

Fails where a template is over a limit, and where infra/docs/deployer-policy.json lacks an action that CloudFormation needs for one of
its resources. CloudFormation states these actions in the schema of each type (`handlers`), which cfn-lint brings along.

CloudFormation counts what SAM's transform makes: permissions, mappings, versions, aliases, the API's deployment. So this runs the
translator that `sam` itself has, with the templates' own defaults. Nothing is called: names of policies, which SAM may look up, are
not used. The same translator stands behind cfn-lint, which reads the result in each region of .cfnlintrc.
"""

from __future__ import annotations

import json
import logging
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import boto3
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
from instance import STACK_NAME_AT_MOST
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

SERVERLESS = "AWS::Serverless-2016-10-31"

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html, read 2026-11-29
REGION = "us-east-1"

POLICY = Path("infra/docs/deployer-policy.json")
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html, read 2026-11-29: the sum of a role's inline policies. A
# managed policy takes 6,144.
POLICY_CHARACTERS = 10_240
# The policy's placeholders, as long as they may become.
LONGEST = {"REGION": "ap-southeast-1", "ACCOUNT": "0" * 12, "STACK": "s" * STACK_NAME_AT_MOST}

# Types that CloudFormation makes by itself, without a call to another service.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-cloudformation-waitconditionhandle.html, read 2026-11-29
OF_CLOUDFORMATION = {"AWS::CloudFormation::WaitConditionHandle"}

# Actions that CloudFormation's schemas list for properties that no template of ours has, with the property.
NOT_USED = {
    "KinesisStreamSpecification": ["kinesis:*", "dynamodb:*KinesisStreamingDestination"],
    "ImportSourceSpecification: reads a bucket, writes items and logs": [
        "dynamodb:ImportTable", "dynamodb:BatchWriteItem", "dynamodb:*Item", "dynamodb:Query", "dynamodb:Scan", "s3:GetObjectMetadata",
        "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents",
    ],
    "Replicas of a global table": ["dynamodb:AssociateTableReplica", "dynamodb:CreateTableReplica", "iam:CreateServiceLinkedRole"],
    "ResourcePolicy of a table": ["dynamodb:PutResourcePolicy", "dynamodb:DeleteResourcePolicy"],
    "Keys of one's own for tables, buses, functions and logs": [
        "kms:CreateGrant", "kms:RevokeGrant", "kms:ListAliases", "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*",
        "logs:AssociateKmsKey", "logs:DisassociateKmsKey",
    ],
    "EnableKeyRotation: KMS does not rotate HMAC keys": ["kms:EnableKeyRotation", "kms:DisableKeyRotation"],
    "VpcConfig, FileSystemConfigs, CapacityProviderConfig": [
        "ec2:*", "elasticfilesystem:*", "s3files:*", "lambda:PassCapacityProvider", "lambda:PutFunctionScalingConfig",
    ],
    "RuntimeManagementConfig that names a runtime's version, ProvisionedConcurrencyConfig": [
        "lambda:AssociateRuntimeAlias", "lambda:PutProvisionedConcurrencyConfig",
    ],
    "Policy of a bus": ["events:PutPermission", "events:RemovePermission"],
    "Policy of an API": ["apigateway:UpdateRestApiPolicy"],
    "PermissionsBoundary": ["iam:PutRolePermissionsBoundary", "iam:DeleteRolePermissionsBoundary"],
    "Deployments to servers": ["codedeploy:RegisterOnPremisesInstance"],
    "ResourcePolicyDocument, DataProtectionPolicy, FieldIndexPolicies, delivery and protection of log groups": [
        "logs:PutResourcePolicy", "logs:DeleteResourcePolicy", "logs:*DataProtectionPolicy", "logs:*IndexPolicy", "logs:CreateLogDelivery",
        "logs:PutBearerTokenAuthentication", "logs:PutLogGroupDeletionProtection", "firehose:*", "s3:REST.PUT.OBJECT",
    ],
    "Objects: CloudFormation deletes only an empty bucket": ["s3:DeleteObject", "s3:PutObjectAcl"],
    "Access lists, analytics, replication, website, metadata tables and the like of a bucket": [
        "s3:*BucketAcl", "s3:*AnalyticsConfiguration", "s3:*BucketCors", "s3:*BucketCORS", "s3:*MetricsConfiguration",
        "s3:*BucketReplication", "s3:PutReplicationConfiguration", "s3:*BucketWebsite", "s3:PutAccelerateConfiguration",
        "s3:PutBucketLogging", "s3:PutBucketNotification", "s3:PutIntelligentTieringConfiguration", "s3:PutInventoryConfiguration",
        "s3:*ObjectLockConfiguration", "s3:*MetadataTableConfiguration", "s3:UpdateBucketMetadata*", "s3:DeleteBucketEncryption",
        "s3:DeleteBucketLifecycle", "s3tables:*",
    ],
}  # fmt: skip

# What a deployer never does, by the policy's own words.
NEVER = [
    "dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:PutItem", "dynamodb:UpdateItem",
    "dynamodb:DeleteItem", "dynamodb:BatchWriteItem", "dynamodb:GetRecords", "sqs:ReceiveMessage", "sqs:SendMessage", "sqs:PurgeQueue",
    "lambda:InvokeFunction", "lambda:InvokeFunctionUrl", "events:PutEvents", "kms:GenerateMac", "kms:CreateGrant", "iam:CreateUser",
    "iam:CreateAccessKey", "iam:PutUserPolicy", "s3:DeleteObject", "s3:PutObjectAcl",
]  # fmt: skip

MOST = {"Resources": 500, "Outputs": 200, "Parameters": 200, "bytes": 1_000_000}


def translated(template: dict[str, Any]) -> dict[str, Any]:
    """What CloudFormation gets of a template: the template itself, or what SAM makes of it."""
    if template.get("Transform") != SERVERLESS:
        return template
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if "CodeUri" in properties:
            # `sam package` writes where it has put the code.
            properties["CodeUri"] = "s3://bucket/package"
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    session = boto3.Session(region_name=REGION)
    values = {name: str(one["Default"]) for name, one in template["Parameters"].items() if "Default" in one}
    return Translator({}, Parser(), boto_session=session).translate(template, values)


def sizes(template: dict[str, Any]) -> dict[str, int]:
    """How much of each limit a translated template uses."""
    counts = {section: len(template.get(section, {})) for section in ("Resources", "Outputs", "Parameters")}
    return {**counts, "bytes": len(json.dumps(template))}


def over(name: str, used: dict[str, int]) -> list[str]:
    """The limits that a template is over."""
    return [f"{name} has {used[what]} {what.lower()}; CloudFormation takes {most}" for what, most in MOST.items() if used[what] > most]


def needed(kind: str) -> set[str]:
    """The actions that CloudFormation uses to create, read, update and delete a resource of a type."""
    handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema.get("handlers", {})
    return {action for verb in ("create", "read", "update", "delete") for action in handlers.get(verb, {}).get("permissions", [])}


def lacking(kinds: set[str], policy: dict[str, Any]) -> list[str]:
    """What a deployer with this policy may not do although the types need it."""
    granted = [action for statement in policy["Statement"] for action in _list(statement["Action"])]
    problems = []
    for kind in sorted(kinds - OF_CLOUDFORMATION):
        actions = needed(kind)
        if not actions:
            problems.append(f"{kind}: cfn-lint does not know which actions CloudFormation needs for it; state them in {__file__}")
        for action in sorted(actions):
            unused = any(fnmatchcase(action, pattern) for patterns in NOT_USED.values() for pattern in patterns)
            if not unused and not any(fnmatchcase(action, pattern) for pattern in granted):
                problems.append(f"{POLICY} lacks {action}, which {kind} needs")
    return problems


def too_much(policy: dict[str, Any]) -> list[str]:
    """What a deployer must not be able to do: to read or write the data, to call a function, to make MACs, to give a role away."""
    problems = [
        f"{POLICY}, {statement['Sid']}: {pattern} includes {action}"
        for statement in policy["Statement"]
        for pattern in _list(statement["Action"])
        for action in NEVER
        if fnmatchcase(action, pattern)
    ]
    for statement in policy["Statement"]:
        if "iam:PassRole" in _list(statement["Action"]) and "iam:PassedToService" not in json.dumps(statement.get("Condition", {})):
            problems.append(f"{POLICY}, {statement['Sid']}: iam:PassRole without iam:PassedToService")
    text = json.dumps(policy, separators=(",", ":"))
    for placeholder, longest in LONGEST.items():
        text = text.replace(placeholder, longest)
    if len(text) > POLICY_CHARACTERS:
        problems.append(f"{POLICY} has {len(text)} characters with the longest names; a role takes {POLICY_CHARACTERS}")
    return problems


def _list(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def main(paths: list[str]) -> int:
    """Command line; see the module's docstring."""
    problems, kinds = [], set()
    for path in paths:
        template = translated(yaml_parse(Path(path).read_text(encoding="utf-8")))
        kinds |= {resource["Type"] for resource in template["Resources"].values()}
        used = sizes(template)
        print(f"{path}: " + ", ".join(f"{used[what]:,} of {most:,} {what.lower()}" for what, most in MOST.items()))
        problems += over(path, used)
    policy = json.loads(POLICY.read_text(encoding="utf-8"))
    problems += lacking(kinds, policy) + too_much(policy)
    for one in problems:
        print(one, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
