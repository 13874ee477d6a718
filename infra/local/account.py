"""The calls of a deployment to an AWS account. Runs in SAM's virtual environment, for its boto3."""

from __future__ import annotations

import os
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from plan import Deployed
from report import Failure

# A call that is not answered must not look like a long one.
ANSWER_WITHIN_SECONDS = 20


class Account:
    """Clients of one account and region, and what CloudFormation knows there."""

    def __init__(self, region: str | None, profile: str | None) -> None:
        try:
            # boto3 reads AWS_DEFAULT_REGION only; the AWS CLI, the other SDKs and `millrace` read AWS_REGION.
            session = boto3.Session(region_name=region or os.environ.get("AWS_REGION") or None, profile_name=profile or None)
        except BotoCoreError as error:
            raise Failure(f"{error}. `aws configure list-profiles` lists the profiles that there are") from None
        self._session = session
        self.region: str | None = session.region_name
        self.profile = profile

    def client(self, service: str) -> Any:
        """A client of a service."""
        settings = Config(connect_timeout=ANSWER_WITHIN_SECONDS, read_timeout=ANSWER_WITHIN_SECONDS, retries={"max_attempts": 3})
        return self._session.client(service, config=settings)

    def stack(self, name: str) -> Deployed | None:
        """A stack. None if there is none, or only a change set that would create it and was never executed."""
        client = self.client("cloudformation")
        try:
            found = client.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            # How CloudFormation says that a stack does not exist.
            if error.response["Error"]["Code"] == "ValidationError":
                return None
            raise
        if found["StackStatus"] in ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE"):
            return None
        values = {one["ParameterKey"]: one.get("ParameterValue", "") for one in found.get("Parameters", [])}
        try:
            summary = client.get_template_summary(StackName=name)
        except ClientError:  # it may not be asked for, or a stack that is being deleted has no template
            summary = {}
        defaults = {one["ParameterKey"]: one["DefaultValue"] for one in summary.get("Parameters", []) if "DefaultValue" in one}
        return Deployed(found["StackStatus"], values, bool(found.get("EnableTerminationProtection")), defaults)

    def refuse_deletion(self, name: str, refuses: bool) -> None:
        """Switches a stack's termination protection.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-protect-stacks.html, read 2026-11-29
        """
        self.client("cloudformation").update_termination_protection(StackName=name, EnableTerminationProtection=refuses)

    def environment(self) -> dict[str, str]:
        """What a program needs in its environment to use the same account and region."""
        variables = dict(os.environ)
        if self.region:
            variables |= {"AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region}
        if self.profile:
            # Keys in the environment would outrank a profile that is only named there: the program would use another account.
            for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
                variables.pop(key, None)
            variables["AWS_PROFILE"] = self.profile
        return variables
