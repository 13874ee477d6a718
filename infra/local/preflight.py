"""Looks at the account before a deployment: who deploys, where, over what, and what will not work or will cost money.

Each finding is a line: `ok`, `warn` or `FAIL`, and what to do. Nothing is changed. A question that the credentials may not ask is a
warning. Runs in SAM's virtual environment, for its boto3 and YAML.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import parameters
import plan
from account import Account
from botocore.exceptions import BotoCoreError, ClientError
from plan import Asked, Deployed, Plan
from samcli.yamlhelper import yaml_parse

OK, WARN, FAIL = "ok", "warn", "FAIL"

# What functions without a reservation of their own must be left with: Lambda refuses a reservation that leaves less.
# https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionConcurrency.html, read 2026-11-29
LAMBDA_UNRESERVED_AT_LEAST = 100
# Below this many instances at once, lanes and API throttle each other. Lambda gives an account 1,000, a new one fewer.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html, read 2026-11-29
ENOUGH_CONCURRENCY = 100
RAISE_CONCURRENCY = (
    "ask for more: aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 --desired-value 1000"
)

# US dollars a month in us-east-1, whatever runs: https://aws.amazon.com/cloudwatch/pricing/, https://aws.amazon.com/kms/pricing/ and
# https://aws.amazon.com/secrets-manager/pricing/, as commonly quoted on 2026-11-29. The free tier (10 alarm metrics, 3 dashboards an account) is not taken off.
ALARM_METRIC_USD, COMPOSITE_ALARM_USD, DASHBOARD_USD, KEY_USD, SECRET_USD = 0.10, 0.50, 3.00, 1.00, 0.40

# What to do about a stack in a state that no deployment can start from. Every other state that does not end in _IN_PROGRESS will do.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html, read 2026-11-29
STUCK = {
    "ROLLBACK_COMPLETE": "its creation failed and was rolled back, so it can only be deleted: {cli} delete-stack --stack-name {name}",
    "ROLLBACK_FAILED": "its creation failed and could not be rolled back: {cli} delete-stack --stack-name {name}, then look at what is left",
    "CREATE_FAILED": "its creation failed: {cli} delete-stack --stack-name {name}",
    "DELETE_FAILED": "its deletion failed: {cli} describe-stack-events --stack-name {name} says what is in the way; then delete it again",
    "UPDATE_ROLLBACK_FAILED": "an update could not be rolled back: mend its cause, then {cli} continue-update-rollback --stack-name {name}",
    "UPDATE_FAILED": "an update failed and was not rolled back: {cli} rollback-stack --stack-name {name}",
    "IMPORT_ROLLBACK_FAILED": "an import could not be rolled back: {cli} describe-stack-events --stack-name {name} says why",
}


@dataclass(frozen=True)
class Finding:
    """One line."""

    level: str
    subject: str
    says: str

    def __str__(self) -> str:
        return f"{self.level:<4} {self.subject:<12} {self.says}"


def look(account: Account, asked: Asked, root: Path) -> tuple[Plan | None, list[Finding]]:
    """The plan, if the account can be asked at all, and everything found. The plan may only be carried out if no finding is a FAIL."""
    found = list(_caller(account))
    if any(one.level == FAIL for one in found):
        return None, found
    try:
        stacks = [account.stack(name) for name in (asked.stack, asked.alarms_stack)]
    except (BotoCoreError, ClientError) as error:
        return None, [*found, Finding(FAIL, "stack", f"CloudFormation cannot be asked for stack {asked.stack}: {error}")]
    found.extend(_states(asked, stacks))
    decided = plan.decide(asked, parameters.declared(root), *stacks)
    found.extend(Finding(FAIL, "parameters", problem) for problem in decided.problems)
    found.extend(Finding(WARN, "parameters", note) for note in decided.notes)
    found.extend(Finding(OK, "parameters", one) for one in decided.kept)
    found.extend(_protection(decided, stacks[0]))
    text = _read(root / parameters.MAIN)
    main = Template(text, decided.own_values)
    alarms = Template(_read(root / parameters.ALARMS), decided.their_values)
    before = Template(text, {**decided.own_values, **stacks[0].parameters}) if stacks[0] else None
    found.extend(_may_ask("concurrency", lambda: _concurrency(account, main, before)))
    found.extend(_may_ask("mail", lambda: _mail(account, decided)))
    found.extend(told(decided))
    found.append(_cost(main, alarms, decided))
    return decided, found


def _read(path: Path) -> dict[str, Any]:
    """A template's document."""
    return yaml_parse(path.read_text(encoding="utf-8"))


def _may_ask(subject: str, ask: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """The findings of a question, or a warning if it cannot be asked."""
    try:
        return list(ask())
    except (BotoCoreError, ClientError) as error:
        return [Finding(WARN, subject, f"not known: {error}")]


def _caller(account: Account) -> Iterator[Finding]:
    if account.region is None:
        yield Finding(FAIL, "region", "no region is set: REGION=…, or AWS_REGION in the environment, or a region in the profile")
        return
    try:
        caller = account.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        how = "aws sso login, aws login, or keys in the environment; PROFILE=… names a profile"
        yield Finding(FAIL, "credentials", f"AWS does not accept them: {error}. Log in first: {how}")
        return
    yield Finding(OK, "credentials", f"account {caller['Account']} as {caller['Arn']}")
    yield Finding(OK, "region", account.region)


def _states(asked: Asked, stacks: list[Deployed | None]) -> Iterator[Finding]:
    for name, stack in zip((asked.stack, asked.alarms_stack), stacks, strict=True):
        if stack is None:
            yield Finding(OK, "stack", f"{name} does not exist and will be created")
        elif stack.status in STUCK:
            yield Finding(FAIL, "stack", f"{name} is in {stack.status}: {STUCK[stack.status].format(cli='aws cloudformation', name=name)}")
        elif stack.status.endswith("_IN_PROGRESS"):
            yield Finding(FAIL, "stack", f"{name} is in {stack.status}: wait until that has ended")
        elif "ROLLBACK" in stack.status:
            yield Finding(WARN, "stack", f"{name} is in {stack.status}: its last update failed and was rolled back. It will be updated")
        else:
            stage = stack.parameters.get(plan.STAGE)
            yield Finding(OK, "stack", f"{name} is in {stack.status}{f', stage {stage}' if stage else ''}, and will be updated")


def _protection(decided: Plan, main: Deployed | None) -> Iterator[Finding]:
    if decided.protects is None:
        return
    if decided.protects:
        how = "by a second update, once the stack is created" if decided.protects_later else "and stay so"
        yield Finding(OK, "data", f"tables and stack are protected from deletion {how}")
    else:
        yield Finding(WARN, "data", "tables are deleted together with the stack: PROTECT=true protects both")
        if main and main.refuses_deletion:
            yield Finding(WARN, "data", "the stack's own protection from deletion is switched off, too")


class Template:
    """A template with the values that its parameters will have. It evaluates conditions of these values; any other counts as true."""

    def __init__(self, text: dict[str, Any], values: dict[str, str | None]) -> None:
        self._text = text
        self._values = values

    def resources(self, kind: str) -> list[dict[str, Any]]:
        """The properties of all resources of a type that will exist."""
        every = self._text["Resources"].values()
        return [one.get("Properties", {}) for one in every if one["Type"] == kind and self._holds(one.get("Condition"))]

    def number(self, node: Any) -> int:
        """A property that is a number, a parameter or a choice of these; 0 if it is not set."""
        match node:
            case {"Fn::If": [condition, then, otherwise]}:
                return self.number(then if self._holds(condition) else otherwise)
            case {"Ref": "AWS::NoValue"} | None:
                return 0
            case {"Ref": name}:
                return self.number(self._values.get(name) or 0)
            case _:
                return int(node)

    def _holds(self, condition: Any) -> bool:
        match condition:
            case str(name):
                return self._holds(self._text.get("Conditions", {}).get(name))
            case {"Condition": name}:
                return self._holds(name)
            case {"Fn::Not": [one]}:
                return not self._holds(one)
            case {"Fn::And": parts}:
                return all(self._holds(one) for one in parts)
            case {"Fn::Or": parts}:
                return any(self._holds(one) for one in parts)
            case {"Fn::Equals": [one, other]}:
                return self._plain(one) == self._plain(other)
            case _:
                return True

    def _plain(self, node: Any) -> str:
        match node:
            case {"Ref": name}:
                return self._values.get(name) or ""
            case _:
                return str(node)


def _concurrency(account: Account, main: Template, before: Template | None) -> Iterator[Finding]:
    settings = account.client("lambda").get_account_settings()["AccountLimit"]
    limit, unreserved = settings["ConcurrentExecutions"], settings["UnreservedConcurrentExecutions"]
    reserves = _reserved(main)
    more = reserves - (_reserved(before) if before else 0)
    left = unreserved - more
    if more > 0 and left < LAMBDA_UNRESERVED_AT_LEAST:
        yield Finding(
            FAIL, "concurrency",
            f"the functions reserve {reserves} instances, which leaves {left} of the account's {limit} to others, and Lambda wants "
            f"{LAMBDA_UNRESERVED_AT_LEAST} left. Lower the …ReservedConcurrency parameters, or {RAISE_CONCURRENCY}",
        )  # fmt: skip
    elif left < ENOUGH_CONCURRENCY:
        yield Finding(
            WARN, "concurrency",
            f"{left} instances at once for all functions (the account's limit is {limit}): consumers, relay and API throttle each other "
            f"under load; {RAISE_CONCURRENCY}",
        )  # fmt: skip
    else:
        yield Finding(OK, "concurrency", f"{left} of {limit} instances at once are not reserved; these functions reserve {reserves}")


def _reserved(template: Template) -> int:
    functions = template.resources("AWS::Serverless::Function")
    return sum(template.number(one.get("ReservedConcurrentExecutions")) for one in functions)


def _mail(account: Account, decided: Plan) -> Iterator[Finding]:
    sender = decided.own_values.get(plan.SENDER)
    if sender is None:
        return
    client = account.client("sesv2")
    if not any(_is_verified(client, identity) for identity in (sender, sender.rpartition("@")[2])):
        verify = f"aws sesv2 create-email-identity --email-identity {sender}, then open the link in the mail"
        # A stack that runs with it must stay deployable: the repair of something else cannot wait for a mail.
        level = FAIL if decided.is_new or plan.SENDER in decided.own else WARN
        yield Finding(level, "mail", f"SES has not verified {sender} in this account and region: {verify}")
    else:
        yield Finding(OK, "mail", f"SES has verified {sender}")
    sending = client.get_account()
    if not sending.get("SendingEnabled", True):
        yield Finding(FAIL, "mail", "SES has paused the sending of this account: see the SES console")
    if not sending.get("ProductionAccessEnabled", False):
        how = "ask for production access: aws sesv2 put-account-details --production-access-enabled …"
        yield Finding(WARN, "mail", f"SES is in its sandbox here: only verified addresses receive mails, 1 a second, 200 a day; {how}")
    rate, most = int(decided.own_values.get("MailsPerSecond") or 0), sending.get("SendQuota", {}).get("MaxSendRate")
    if most and rate > most:
        yield Finding(WARN, "mail", f"MailsPerSecond is {rate}, and SES lets this account send {most:g} a second: set it to that")


def _is_verified(client: Any, identity: str) -> bool:
    try:
        return bool(client.get_email_identity(EmailIdentity=identity).get("VerifiedForSendingStatus"))
    except ClientError as error:
        if error.response["Error"]["Code"] == "NotFoundException":
            return False
        raise


def told(decided: Plan) -> Iterator[Finding]:
    """Whether anybody hears of an alarm."""
    values = decided.their_values
    if values.get("AlarmProfile") == "none":
        yield Finding(WARN, "alarms", "there are none (AlarmProfile=none): nobody is told when events stop")
        return
    mail = values.get("AlarmEmail")
    missing = [name for name in ("CriticalTopicArn", "WarningTopicArn") if not mail and not values.get(name)]
    if len(missing) == 2:
        give = "AlarmEmail=you@your.domain, or " if "AlarmEmail" in values else ""
        topics = f"PARAMS='{give}CriticalTopicArn=arn:… WarningTopicArn=arn:…'"
        yield Finding(WARN, "alarms", f"NOBODY IS TOLD: an alarm changes its colour in the console, and that is all. {topics}")
    elif missing:
        yield Finding(WARN, "alarms", f"{missing[0]} is empty: nobody is told of the alarms that go there")
    else:
        receivers = dict.fromkeys(one for one in (mail, values.get("CriticalTopicArn"), values.get("WarningTopicArn")) if one)
        confirm = f"; {mail} hears nothing before somebody opens the link in SNS's mail" if mail else ""
        yield Finding(OK, "alarms", f"told: {', '.join(receivers)}{confirm}")


def _cost(main: Template, alarms: Template, decided: Plan) -> Finding:
    # An alarm on what is usual watches a lower and an upper bound besides.
    metrics = sum(
        max(1, sum("MetricStat" in metric for metric in one.get("Metrics", []))) * (3 if "ThresholdMetricId" in one else 1)
        for one in alarms.resources("AWS::CloudWatch::Alarm")
    )
    counts = [
        (metrics, "alarm metric", ALARM_METRIC_USD),
        (len(alarms.resources("AWS::CloudWatch::CompositeAlarm")), "composite alarm", COMPOSITE_ALARM_USD),
        (len(alarms.resources("AWS::CloudWatch::Dashboard")), "dashboard", DASHBOARD_USD),
        (len(main.resources("AWS::KMS::Key")), "key", KEY_USD),
        (len(main.resources("AWS::SecretsManager::Secret")), "secret", SECRET_USD),
    ]
    total = sum(count * price for count, _, price in counts)
    profile = decided.their_values.get("AlarmProfile")
    parts = ", ".join(f"{count} {what}{'s' if count > 1 else ''} ${count * price:.2f}" for count, what, price in counts if count)
    return Finding(
        OK, "cost",
        f"${total:.2f} a month even if nothing happens: {parts}{f' (AlarmProfile={profile})' if profile else ''}. COSTS.md has what events cost",
    )  # fmt: skip
