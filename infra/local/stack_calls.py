"""The AWS calls that a deployment needs in addition to `sam`. Runs in SAM's virtual environment, for its boto3 and YAML.

    stack_calls.py describe STACK         prints the stack's outputs, and its resources as `aws cloudformation list-stack-resources`
                                          does, as one JSON object
    stack_calls.py update-code STACK TEMPLATE FUNCTION=PACKAGE …
                                          updates functions' code; ends when they run it. FUNCTION is the name in its CodeUri
    stack_calls.py settings STACK ID      prints the environment of the stack's function with this logical id as one JSON object
    stack_calls.py delete STACK           deletes the stack and everything in it; ends when it is gone
    stack_calls.py verify-sender ADDRESS  makes the address an SES identity; on AWS the account's owner does this

Endpoint, region and credentials come from the environment that the caller sets.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from samcli.yamlhelper import yaml_parse

import stack_resources


def outputs(stack: str) -> dict[str, str]:
    """The stack's outputs, by key."""
    described = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def update_code(stack: str, template: Path, packages: dict[str, str]) -> None:
    """Updates the code of the stack's functions with these names, several at once."""
    declared = yaml_parse(template.read_text())["Resources"].items()
    # A function's package has the function's name.
    logical_ids = {
        Path(resource["Properties"]["CodeUri"]).stem: logical_id
        for logical_id, resource in declared
        if "CodeUri" in resource.get("Properties", {})
    }
    resources = stack_resources.of_stack(stack)
    client = boto3.client("lambda")

    def update(name: str) -> None:
        function, package = resources[logical_ids[name]], Path(packages[name]).read_bytes()
        client.update_function_code(FunctionName=function, ZipFile=package)
        waiter = client.get_waiter("function_updated_v2")
        waiter.wait(FunctionName=function, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})
        runs = client.get_function_configuration(FunctionName=function)["CodeSha256"]
        wanted = base64.b64encode(hashlib.sha256(package).digest()).decode()
        if runs != wanted:
            raise SystemExit(f"function {function} runs the code {runs}, not {wanted}")

    # Only functions in the template: a stack of the spine alone has fewer functions than the workspace.
    with ThreadPoolExecutor(4) as updaters:
        list(updaters.map(update, [name for name in packages if name in logical_ids]))


def settings(stack: str, logical_id: str) -> dict[str, str]:
    """The environment variables of a function, as it was deployed."""
    found = boto3.client("cloudformation").describe_stack_resource(StackName=stack, LogicalResourceId=logical_id)
    name = found["StackResourceDetail"]["PhysicalResourceId"]
    configured = boto3.client("lambda").get_function_configuration(FunctionName=name)
    return dict(configured.get("Environment", {}).get("Variables", {}))


def delete(stack: str) -> None:
    """Deletes the stack. Raises WaiterError if it is not gone after five minutes, or cannot be deleted."""
    client = boto3.client("cloudformation")
    client.delete_stack(StackName=stack)
    client.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 300})


def verify_sender(address: str) -> None:
    """Makes the address an SES identity. Emulators verify it at once; some know only the older of the two SES APIs."""
    try:
        boto3.client("sesv2").create_email_identity(EmailIdentity=address)
    except ClientError as error:
        if error.response["Error"]["Code"] == "AlreadyExistsException":
            return
        boto3.client("ses").verify_email_identity(EmailAddress=address)


def main(arguments: list[str]) -> int:
    """Command line; see the module's docstring."""
    try:
        match arguments:
            case ["describe", stack]:
                print(json.dumps({"outputs": outputs(stack), **stack_resources.of_stack(stack).listing()}))
            case ["update-code", stack, template, *packages]:
                update_code(stack, Path(template), dict(package.split("=", 1) for package in packages))
            case ["settings", stack, logical_id]:
                print(json.dumps(settings(stack, logical_id)))
            case ["delete", stack]:
                delete(stack)
            case ["verify-sender", address]:
                verify_sender(address)
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except (BotoCoreError, ClientError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
