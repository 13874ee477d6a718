"""What a deployment passes, refuses and says: decided without AWS, looked up in stubbed answers of AWS, and carried out on a local
AWS with two small templates. Runs in SAM's virtual environment, for its boto3.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "infra" / "local"))

import boto3  # noqa: E402
import parameters  # noqa: E402
import preflight  # noqa: E402
import release  # noqa: E402
from account import Account  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402
from botocore.stub import Stubber  # noqa: E402
from emulator import Emulator  # noqa: E402
from instance import aws_environment  # noqa: E402
from plan import Asked, Deployed, Plan, decide  # noqa: E402
from report import Failure  # noqa: E402

SENDER = "billing@company.example"

TEXT = {"Type": "String"}
MAIN_PARAMETERS = {
    "Stage": {**TEXT, "Default": "dev", "AllowedPattern": "^[a-z][a-z0-9]{0,15}$"},
    "Architecture": {**TEXT, "Default": "x86_64", "AllowedValues": ["x86_64", "arm64"]},
    "EmailSender": {**TEXT, "Default": "millrace@example.com"},
    "LogLevel": {**TEXT, "Default": "info"},
    "MailsPerSecond": {"Type": "Number", "Default": 1, "MinValue": 1, "MaxValue": 1000},
    "RelayReservedConcurrency": {"Type": "Number", "Default": 0, "MinValue": 0, "MaxValue": 1000},
    "ChainRpcUrl": {**TEXT, "Default": "", "NoEcho": True},
    "ProtectData": {**TEXT, "Default": "false", "AllowedValues": ["true", "false"]},
}
ALARM_PARAMETERS = {
    "MillraceStack": TEXT,
    "AlarmProfile": {**TEXT, "Default": "essential", "AllowedValues": ["none", "essential", "full"]},
    "AlarmEmail": {**TEXT, "Default": ""},
    "WarningTopicArn": {**TEXT, "Default": ""},
    "CriticalTopicArn": {**TEXT, "Default": ""},
}
DECLARED = {parameters.MAIN: MAIN_PARAMETERS, parameters.ALARMS: ALARM_PARAMETERS}

PROTECTED = {"Fn::Equals": [{"Ref": "ProtectData"}, "true"]}
RESERVED = {"Fn::If": ["Reserves", {"Ref": "RelayReservedConcurrency"}, {"Ref": "AWS::NoValue"}]}
MAIN_TEMPLATE = {
    "AWSTemplateFormatVersion": "2010-09-09",
    "Transform": "AWS::Serverless-2016-10-31",
    "Parameters": MAIN_PARAMETERS,
    "Conditions": {"Protects": PROTECTED, "Reserves": {"Fn::Not": [{"Fn::Equals": [{"Ref": "RelayReservedConcurrency"}, 0]}]}},
    "Resources": {
        "EventsTable": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "TableName": {"Fn::Sub": "${AWS::StackName}-events"},
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                "DeletionProtectionEnabled": {"Fn::If": ["Protects", True, False]},
            },
        },
    },
}
ALARM_TEMPLATE = {
    "AWSTemplateFormatVersion": "2010-09-09",
    "Parameters": ALARM_PARAMETERS,
    "Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Fn::Sub": "${MillraceStack}-alarms"}}}},
}


def deployed(defaults: dict[str, str] | None = None, **values: str) -> Deployed:
    """A stack that was deployed with the template's defaults, of which these were others then, and with these values."""
    then = {**{name: value or "" for name, value in parameters.defaults(MAIN_PARAMETERS).items()}, **(defaults or {})}
    return Deployed("UPDATE_COMPLETE", {**then, "EmailSender": SENDER, **values}, False, then)


def decided(main: Deployed | None, arch: str | None = None, alarms: Deployed | None = None, **given: str) -> Plan:
    return decide(Asked("shop", arch, given), DECLARED, main, alarms)


class WhatIsPassed(unittest.TestCase):
    def test_what_is_not_given_is_not_passed_to_a_stack_that_exists(self) -> None:
        plan = decided(deployed(Stage="prod", ProtectData="true", Architecture="arm64"))
        self.assertEqual(plan.own, {"Architecture": "arm64"})
        self.assertEqual(plan.theirs, {"MillraceStack": "shop"})
        self.assertEqual(plan.problems, [])

    def test_a_stack_keeps_its_stage_and_another_one_is_refused_with_both(self) -> None:
        plan = decided(deployed(Stage="prod", ProtectData="true"), Stage="dev")
        self.assertEqual(len(plan.problems), 1)
        self.assertIn("has the stage prod, and STAGE=dev was given", plan.problems[0])
        self.assertEqual(decided(deployed(Stage="prod", ProtectData="true"), Stage="prod").problems, [])
        self.assertEqual(decided(None, Stage="prod", EmailSender=SENDER).own["Stage"], "prod")

    def test_an_unprotected_stack_for_production_is_refused_until_it_is_said_what_it_is_to_be(self) -> None:
        # Its first deployment ended before the second step.
        self.assertIn("say PROTECT=true", " ".join(decided(deployed(Stage="prod")).problems))
        for wanted in ("true", "false"):
            plan = decided(deployed(Stage="prod"), ProtectData=wanted)
            self.assertEqual((plan.problems, plan.own["ProtectData"]), ([], wanted))

    def test_a_new_stack_needs_a_sender_and_every_parameter_without_default(self) -> None:
        self.assertIn("EMAIL_SENDER", " ".join(decided(None).problems))
        self.assertEqual(decided(None, EmailSender=SENDER).problems, [])
        self.assertEqual(decided(deployed()).problems, [])
        required = {**DECLARED, parameters.MAIN: {**MAIN_PARAMETERS, "Token": {"Type": "String", "NoEcho": True}}}
        self.assertIn("Token has no default", " ".join(decide(Asked("shop"), required, None, None).problems))
        # It was given once; its value is kept.
        self.assertEqual(decide(Asked("shop"), required, deployed(Token="****"), None).problems, [])

    def test_a_default_that_does_not_reach_the_stack_is_named(self) -> None:
        had = deployed({"MailsPerSecond": "14"}, LogLevel="debug", ChainRpcUrl="****", Stage="prod", EmailSender="x@y.example")
        plan = decided(had)
        self.assertEqual(len(plan.notes), 1, plan.notes)
        self.assertIn("MailsPerSecond stays 14, the default of an earlier version; the default is 1 now", plan.notes[0])
        # Somebody chose this one.
        self.assertEqual(len(plan.kept), 1, plan.kept)
        self.assertIn("LogLevel stays debug; the default is info", plan.kept[0])
        plan = decided(had, LogLevel="info", MailsPerSecond="1")
        self.assertEqual((plan.notes, plan.kept), ([], []))

    def test_another_processor_is_said(self) -> None:
        self.assertIn("from arm64 to x86_64", " ".join(decided(deployed(Architecture="arm64"), arch="x86_64").notes))


class Protection(unittest.TestCase):
    def test_a_stack_is_created_without_protection_which_comes_second(self) -> None:
        plan = decided(None, EmailSender=SENDER, ProtectData="true")
        self.assertEqual((plan.own["ProtectData"], plan.protects, plan.protects_later), ("false", True, True))
        plan = decided(None, EmailSender=SENDER, Stage="prod")
        self.assertEqual((plan.own["ProtectData"], plan.protects, plan.protects_later), ("false", True, True))
        for given in [{}, {"Stage": "prod", "ProtectData": "false"}]:
            plan = decided(None, EmailSender=SENDER, **given)
            self.assertEqual((plan.own["ProtectData"], plan.protects, plan.protects_later), ("false", False, False))

    def test_a_protected_stack_stays_protected_unless_it_is_said(self) -> None:
        plan = decided(deployed(ProtectData="true"))
        self.assertNotIn("ProtectData", plan.own)
        self.assertEqual((plan.protects, plan.protects_later), (True, False))
        plan = decided(deployed(ProtectData="true"), ProtectData="false")
        self.assertEqual((plan.own["ProtectData"], plan.protects), ("false", False))
        self.assertIn("PROTECT=false was given", " ".join(plan.notes))

    def test_a_stack_that_its_stage_protected_stays_protected_when_the_parameter_comes(self) -> None:
        before = {name: value for name, value in deployed(Stage="prod").parameters.items() if name != "ProtectData"}
        plan = decide(Asked("shop"), DECLARED, Deployed("UPDATE_COMPLETE", before), None)
        self.assertEqual((plan.own["ProtectData"], plan.protects), ("true", True))
        plan = decide(Asked("shop"), DECLARED, Deployed("UPDATE_COMPLETE", {**before, "Stage": "dev"}), None)
        self.assertEqual((plan.own["ProtectData"], plan.protects), ("false", False))

    def test_a_template_without_the_parameter_gets_none(self) -> None:
        topology = {name: one for name, one in MAIN_PARAMETERS.items() if name != "ProtectData"}
        plan = decide(Asked("shop", None, {"EmailSender": SENDER}), {**DECLARED, parameters.MAIN: topology}, None, None)
        self.assertNotIn("ProtectData", plan.own)
        self.assertIsNone(plan.protects)


class Params(unittest.TestCase):
    def test_a_value_may_have_blanks(self) -> None:
        with mock.patch.dict(os.environ, {"PARAMS": "LogLevel='info, outbox=debug' Schedule=\"rate(1 hour)\" Cron=cron(0 3 * * ? *)"}):
            known = {name: TEXT for name in ("LogLevel", "Schedule", "Cron")}
            given = parameters.checked(parameters.in_environment("PARAMS"), known)
        self.assertEqual(given, {"LogLevel": "info, outbox=debug", "Schedule": "rate(1 hour)", "Cron": "cron(0 3 * * ? *)"})

    def test_a_quotation_mark_that_is_not_closed_is_named(self) -> None:
        with mock.patch.dict(os.environ, {"PARAMS": "LogLevel='info"}), self.assertRaisesRegex(Failure, "quotation mark is not closed"):
            parameters.in_environment("PARAMS")

    def test_make_hands_them_on_as_they_are(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in ("AWS_ENDPOINT_URL", "MAKEFLAGS", "MAKELEVEL")}
        params = "PARAMS=LogLevel='info, outbox=debug' ReconcileSchedule=\"rate(1 hour)\" MailsPerSecond='2 3' Nonsense='it is'"
        for verb in (["deploy-settings"], ["up", "LOCAL=.local/never"], ["run", "LOCAL=.local/never"]):
            with self.subTest(verb=verb):
                done = subprocess.run(["make", *verb, params], cwd=ROOT, env=environment, capture_output=True, text=True)
                self.assertNotEqual(done.returncode, 0)
                problems = [line.strip() for line in done.stderr.splitlines() if line.startswith("    ")]
                self.assertEqual([line.split(":")[0] for line in problems], ["MailsPerSecond=2 3", "Nonsense"], done.stderr)

    def test_a_shell_that_uses_a_local_aws_deploys_nothing(self) -> None:
        environment = {**os.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}
        for verb in ("check", "preflight", "deploy"):
            command = [sys.executable, "infra/local/release.py", verb, "--stack", "shop"]
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn("uses a local AWS", done.stderr)


class Stubbed(Account):
    """An account whose services answer what a test says."""

    def __init__(self, **answers: list[tuple[str, Any]]) -> None:
        self.region, self.profile = "eu-central-1", None
        self._clients: dict[str, Any] = {}
        for service, calls in answers.items():
            client = boto3.client(service, region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="s")
            stubber = Stubber(client)
            for operation, answer in calls:
                if isinstance(answer, str):
                    stubber.add_client_error(operation, answer, f"{answer} of the test")
                else:
                    stubber.add_response(operation, answer)
            stubber.activate()
            self._clients[service] = client

    def client(self, service: str) -> Any:
        return self._clients[service]


CALLER = [("get_caller_identity", {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/ada", "UserId": "u"})]
VERIFIED = ("get_email_identity", {"VerifiedForSendingStatus": True})
NOT_VERIFIED = ("get_email_identity", "NotFoundException")
SENDS = ("get_account", {"ProductionAccessEnabled": True, "SendingEnabled": True, "SendQuota": {"MaxSendRate": 14.0}})


def limits(limit: int, unreserved: int) -> list[tuple[str, Any]]:
    return [("get_account_settings", {"AccountLimit": {"ConcurrentExecutions": limit, "UnreservedConcurrentExecutions": unreserved}})]


def described(name: str, status: str, **values: str) -> list[tuple[str, Any]]:
    """The answers of CloudFormation about a stack whose template had other defaults."""
    keys = [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]
    stack = {"StackName": name, "StackStatus": status, "CreationTime": datetime(2026, 11, 29, tzinfo=UTC), "Parameters": keys}
    answers: list[tuple[str, Any]] = [("describe_stacks", {"Stacks": [stack]})]
    if status != "REVIEW_IN_PROGRESS":
        answers.append(("get_template_summary", {"Parameters": [{"ParameterKey": "MailsPerSecond", "DefaultValue": "14"}]}))
    return answers


NO_STACK = [("describe_stacks", "ValidationError")]


class Preflight(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        cls.root = Path(cls.folder.name)
        (cls.root / "infra").mkdir()
        function = {"Type": "AWS::Serverless::Function", "Properties": {"ReservedConcurrentExecutions": RESERVED}}
        key = {"Type": "AWS::KMS::Key", "Properties": {}}
        main = {**MAIN_TEMPLATE, "Resources": {**MAIN_TEMPLATE["Resources"], "RelayFunction": function, "Key": key}}
        one_metric = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"MetricName": "Errors"}}
        metrics = [{"Expression": "a/b"}, {"MetricStat": {}}, {"MetricStat": {}}]
        two_metrics = {"Type": "AWS::CloudWatch::Alarm", "Condition": "Full", "Properties": {"Metrics": metrics}}
        usual = {"ThresholdMetricId": "usual", "Metrics": [{"Expression": "ANOMALY_DETECTION_BAND(m, 3)"}, {"MetricStat": {}}]}
        three_metrics = {"Type": "AWS::CloudWatch::Alarm", "Condition": "Full", "Properties": usual}
        full = {"Full": {"Fn::Equals": [{"Ref": "AlarmProfile"}, "full"]}}
        resources = {"A": one_metric, "B": two_metrics, "C": three_metrics, "D": {"Type": "AWS::CloudWatch::Dashboard"}}
        alarms = {**ALARM_TEMPLATE, "Conditions": full, "Resources": resources}
        (cls.root / parameters.MAIN).write_text(json.dumps(main))
        (cls.root / parameters.ALARMS).write_text(json.dumps(alarms))
        (cls.root / "infra" / "parameters.json").write_text(json.dumps(DECLARED))

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    def look(self, given: dict[str, str] | None = None, **answers: list[tuple[str, Any]]) -> list[str]:
        """The lines, where the account answers that all is well but for these answers."""
        well: dict[str, list[tuple[str, Any]]] = {
            "sts": CALLER, "cloudformation": NO_STACK + NO_STACK, "lambda": limits(1000, 1000), "sesv2": [VERIFIED, SENDS],
        }  # fmt: skip
        parameters_given = {name: value for name, value in {"EmailSender": SENDER, **(given or {})}.items() if value}
        asked = Asked("shop", None, parameters_given)
        _, found = preflight.look(Stubbed(**{**well, **answers}), asked, self.root)
        return [str(one) for one in found]

    def assert_line(self, lines: list[str], level: str, subject: str, words: str) -> None:
        fits = [line for line in lines if line.startswith(f"{level:<4} {subject:<12} ") and words in line]
        self.assertEqual(len(fits), 1, f"{level} {subject} {words!r} in\n" + "\n".join(lines))

    def test_who_deploys_where_and_what_it_costs_is_said(self) -> None:
        lines = self.look()
        self.assertEqual([line for line in lines if line.startswith("FAIL")], [])
        self.assert_line(lines, "ok", "credentials", "123456789012")
        self.assert_line(lines, "ok", "region", "eu-central-1")
        self.assert_line(lines, "ok", "stack", "shop does not exist and will be created")
        self.assert_line(lines, "ok", "stack", "shop-aws-only")
        self.assert_line(lines, "ok", "mail", SENDER)
        self.assert_line(lines, "warn", "data", "PROTECT=true")
        parts = "1 alarm metric $0.10, 1 dashboard $3.00, 1 key $1.00 (AlarmProfile=essential)"
        self.assert_line(lines, "ok", "cost", f"$4.10 a month even if nothing happens: {parts}")
        self.assert_line(self.look({"AlarmProfile": "full"}), "ok", "cost", "6 alarm metrics $0.60")

    def test_credentials_that_aws_refuses_end_it(self) -> None:
        lines = self.look(sts=[("get_caller_identity", "ExpiredToken")])
        self.assertEqual(len(lines), 1)
        self.assert_line(lines, "FAIL", "credentials", "aws sso login")

    def test_without_a_region_it_ends(self) -> None:
        account = Stubbed()
        account.region = None
        _, found = preflight.look(account, Asked("shop"), self.root)
        self.assert_line([str(one) for one in found], "FAIL", "region", "AWS_REGION")

    def test_a_stack_that_cannot_be_updated_is_named_with_the_way_out(self) -> None:
        for status, words in [
            ("ROLLBACK_COMPLETE", "delete-stack --stack-name shop"),
            ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name shop"),
            ("UPDATE_IN_PROGRESS", "wait"),
            ("DELETE_FAILED", "describe-stack-events --stack-name shop"),
        ]:
            lines = self.look(cloudformation=described("shop", status) + NO_STACK)
            self.assert_line(lines, "FAIL", "stack", words)
        lines = self.look(cloudformation=described("shop", "UPDATE_ROLLBACK_COMPLETE", Stage="dev") + NO_STACK)
        self.assert_line(lines, "warn", "stack", "rolled back")
        # What a change set leaves that nobody executed: there is no stack yet.
        lines = self.look(cloudformation=described("shop", "REVIEW_IN_PROGRESS") + NO_STACK)
        self.assert_line(lines, "ok", "stack", "shop does not exist and will be created")

    def test_another_stage_than_the_stack_s_fails(self) -> None:
        stacks = described("shop", "CREATE_COMPLETE", Stage="prod", LogLevel="debug", MailsPerSecond="14") + NO_STACK
        lines = self.look({"Stage": "dev"}, cloudformation=stacks)
        self.assert_line(lines, "FAIL", "parameters", "has the stage prod, and STAGE=dev was given")
        self.assert_line(lines, "ok", "parameters", "LogLevel stays debug")
        self.assert_line(lines, "warn", "parameters", "MailsPerSecond stays 14, the default of an earlier version")

    def test_too_little_concurrency_is_found_before_lambda_refuses_it(self) -> None:
        self.assert_line(self.look(**{"lambda": limits(10, 10)}), "warn", "concurrency", "L-B99A9384")
        lines = self.look({"RelayReservedConcurrency": "950"}, **{"lambda": limits(1000, 1000)})
        self.assert_line(lines, "FAIL", "concurrency", "reserve 950 instances, which leaves 50")
        # What the stack reserves already is not reserved twice.
        stacks = described("shop", "CREATE_COMPLETE", RelayReservedConcurrency="800") + NO_STACK
        lines = self.look({"RelayReservedConcurrency": "850"}, cloudformation=stacks, **{"lambda": limits(1000, 200)})
        self.assert_line(lines, "ok", "concurrency", "150 of 1000")
        self.assert_line(self.look(**{"lambda": [("get_account_settings", "AccessDeniedException")]}), "warn", "concurrency", "not known")

    def test_a_sender_that_ses_has_not_verified_fails_and_the_sandbox_is_said(self) -> None:
        self.assert_line(self.look(sesv2=[NOT_VERIFIED, NOT_VERIFIED, SENDS]), "FAIL", "mail", "create-email-identity")
        # A stack that runs must stay deployable.
        stacks = described("shop", "CREATE_COMPLETE", EmailSender="old@company.example") + NO_STACK
        lines = self.look({"EmailSender": ""}, cloudformation=stacks, sesv2=[NOT_VERIFIED, NOT_VERIFIED, SENDS])
        self.assert_line(lines, "warn", "mail", "old@company.example")
        # The domain will do.
        self.assert_line(self.look(sesv2=[NOT_VERIFIED, VERIFIED, SENDS]), "ok", "mail", SENDER)
        sandbox = ("get_account", {"ProductionAccessEnabled": False, "SendingEnabled": True, "SendQuota": {"MaxSendRate": 1.0}})
        lines = self.look({"MailsPerSecond": "14"}, sesv2=[VERIFIED, sandbox])
        self.assert_line(lines, "warn", "mail", "sandbox")
        self.assert_line(lines, "warn", "mail", "MailsPerSecond is 14")

    def test_whether_anybody_hears_of_an_alarm_is_said_plainly(self) -> None:
        self.assert_line(self.look(), "warn", "alarms", "NOBODY IS TOLD")
        self.assert_line(self.look({"AlarmEmail": "ops@company.example"}), "ok", "alarms", "ops@company.example")
        self.assert_line(self.look({"CriticalTopicArn": "arn:aws:sns:eu-central-1:1:c"}), "warn", "alarms", "WarningTopicArn is empty")
        self.assert_line(self.look({"AlarmEmail": "a@b.example", "AlarmProfile": "none"}), "warn", "alarms", "AlarmProfile=none")
        # A topic that was given at an earlier deployment is kept.
        topics = {"CriticalTopicArn": "arn:aws:sns:eu-central-1:1:c", "WarningTopicArn": "arn:aws:sns:eu-central-1:1:w"}
        stacks = described("shop", "CREATE_COMPLETE") + described("shop-aws-only", "CREATE_COMPLETE", **topics)
        self.assert_line(self.look(cloudformation=stacks), "ok", "alarms", "arn:aws:sns:eu-central-1:1:w")

    def test_a_profile_outranks_keys_in_the_environment_for_sam_too(self) -> None:
        account = Stubbed()
        account.profile = "ops"
        with mock.patch.dict(os.environ, {"AWS_ACCESS_KEY_ID": "other", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}):
            environment = account.environment()
        self.assertEqual((environment["AWS_PROFILE"], environment["AWS_REGION"]), ("ops", "eu-central-1"))
        self.assertEqual([name for name in environment if name.startswith(("AWS_ACCESS", "AWS_SECRET", "AWS_SESSION"))], [])

    def test_a_deployment_stops_at_a_fail(self) -> None:
        said = io.StringIO()
        account = Stubbed(sts=CALLER, cloudformation=NO_STACK + NO_STACK, sesv2=[VERIFIED, SENDS], **{"lambda": limits(1000, 1000)})
        with contextlib.redirect_stdout(said), self.assertRaisesRegex(Failure, "nothing was changed"):
            release.preflight(account, Asked("shop"), self.root)
        self.assertIn("EMAIL_SENDER", said.getvalue())


class OnALocalAws(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        cls.root = Path(cls.folder.name)
        (cls.root / "infra").mkdir()
        (cls.root / parameters.MAIN).write_text(json.dumps(MAIN_TEMPLATE))
        (cls.root / parameters.ALARMS).write_text(json.dumps(ALARM_TEMPLATE))
        (cls.root / "infra" / "parameters.json").write_text(json.dumps(DECLARED))
        cls.emulator = Emulator(cls.root / "aws")
        (cls.root / "aws").mkdir()
        with contextlib.redirect_stdout(io.StringIO()):
            instance = cls.emulator.start(0, None)
        cls.environment = mock.patch.dict(os.environ, {**aws_environment(instance.endpoint), "CI": "true", "SAM_CLI_POLL_DELAY": "0.5"})
        cls.environment.start()
        boto3.client("sesv2").create_email_identity(EmailIdentity=SENDER)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.environment.stop()
        cls.emulator.stop()
        cls.folder.cleanup()

    def deploy(self, stack: str, **given: str) -> tuple[list[dict[str, str]], str]:
        """Deploys as `make deploy` does once all is built; returns what was passed for the first stack, and what was said."""
        account, passed, said = Account(None, None), [], io.StringIO()
        calls = release.sam_deploy

        def recorded(account: Account, root: Path, name: str, template: str, overrides: dict[str, str], **how: bool) -> None:
            if name == stack:
                passed.append(overrides)
            calls(account, root, name, template, overrides, **how)

        quiet = subprocess.run
        with (
            contextlib.redirect_stdout(said),
            mock.patch.object(release, "sam_deploy", recorded),
            mock.patch.object(subprocess, "run", lambda *a, **k: quiet(*a, **{**k, "stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL})),
        ):
            plan = release.preflight(account, Asked(stack, None, given), self.root)
            release.deploy_stacks(account, plan, self.root)
        return passed, said.getvalue()

    def test_a_stack_keeps_what_is_not_given_and_is_protected_in_a_second_step(self) -> None:
        passed, said = self.deploy("shop", Stage="prod", EmailSender=SENDER, LogLevel="info, outbox=debug", ChainRpcUrl="https://node.example/secret")
        self.assertEqual([one["ProtectData"] for one in passed], ["false", "true"])
        self.assertIn("NOBODY IS TOLD", said)
        account = Account(None, None)
        stack = account.stack("shop")
        assert stack is not None
        values = {name: stack.parameters[name] for name in ("Stage", "LogLevel", "ProtectData", "EmailSender")}
        self.assertEqual(values, {"Stage": "prod", "LogLevel": "info, outbox=debug", "ProtectData": "true", "EmailSender": SENDER})
        self.assertTrue(boto3.client("dynamodb").describe_table(TableName="shop-events")["Table"]["DeletionProtectionEnabled"])
        self.assertTrue(stack.refuses_deletion)
        with self.assertRaises(ClientError):
            boto3.client("cloudformation").delete_stack(StackName="shop")

        # Deployed again by somebody who gives nothing: neither stage nor protection is lost.
        passed, said = self.deploy("shop")
        self.assertEqual(passed, [{"Architecture": "x86_64"}])
        self.assertIn("ok   parameters   LogLevel stays info, outbox=debug", said)
        again = account.stack("shop")
        assert again is not None
        self.assertEqual(again.parameters, stack.parameters)

        with self.assertRaises(Failure):
            self.deploy("shop", Stage="dev")

        _, said = self.deploy("shop", ProtectData="false")
        self.assertIn("PROTECT=false was given", said)
        ended = account.stack("shop")
        assert ended is not None
        self.assertEqual((ended.refuses_deletion, ended.parameters["ProtectData"]), (False, "false"))

    def test_the_next_command_names_region_and_profile_and_who_hears_alarms_is_said_last(self) -> None:
        account, said = Account(None, None), io.StringIO()
        account.profile = "ops team"
        plan = decided(deployed())
        with (
            contextlib.redirect_stdout(said), mock.patch.object(release, "preflight", lambda *_: plan),
            mock.patch.object(release, "build"), mock.patch.object(release, "deploy_stacks"),
        ):  # fmt: skip
            release.deploy(account, plan.asked)
        self.assertIn("--stack shop --region us-east-1 --profile 'ops team'", said.getvalue())
        self.assertIn("NOBODY IS TOLD", said.getvalue())

    def test_a_change_set_that_nobody_executes_is_no_deployment(self) -> None:
        account = Account(None, None)
        nothing = subprocess.CompletedProcess([], 0)
        with (
            contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()),
            mock.patch.object(subprocess, "run", lambda *_, **__: nothing), self.assertRaisesRegex(Failure, "was not executed"),
        ):  # fmt: skip
            release.sam_deploy(account, self.root, "declined", parameters.MAIN, {"Stage": "dev"})


if __name__ == "__main__":
    unittest.main()
