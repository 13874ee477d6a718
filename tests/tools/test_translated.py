"""Whether `make check-translated` finds what it is for. It runs in SAM's virtual environment, which `make check` installs."""

from __future__ import annotations

import json
import sys
import unittest
from copy import deepcopy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "infra" / "local"))

import translated  # noqa: E402

FUNCTION = {
    "Type": "AWS::Serverless::Function",
    "Properties": {"Handler": "bootstrap", "Runtime": "provided.al2023", "CodeUri": "x/", "AutoPublishAlias": "live"},
}
WITH_A_FUNCTION = {"Transform": "AWS::Serverless-2016-10-31", "Parameters": {}, "Resources": {"F": FUNCTION}}
TOO_LARGE = {"Resources": {f"Q{n}": {"Type": "AWS::SQS::Queue"} for n in range(501)}}
KINDS = {"AWS::SQS::Queue", "AWS::DynamoDB::Table"}


def policy(**changed: object) -> dict:
    """The policy, of which the statements with these names are changed: an action added, or with `None` the condition removed."""
    document = json.loads((ROOT / "infra/docs/deployer-policy.json").read_text())
    for statement in document["Statement"]:
        match changed.get(statement["Sid"], ""):
            case None:
                del statement["Condition"]
            case str(action) if action.startswith("-"):
                statement["Action"].remove(action[1:])
            case str(action) if action:
                statement["Action"].append(action)
    return document


def sizes(template: dict) -> dict[str, int]:
    """The sizes of what CloudFormation gets of a template."""
    return translated.sizes(translated.translated(deepcopy(template)))


class Translated(unittest.TestCase):
    def test_what_sam_makes_of_a_function_counts(self) -> None:
        # The function, its role, a version, the alias.
        self.assertEqual(sizes(WITH_A_FUNCTION)["Resources"], 4)

    def test_a_template_over_a_limit_is_refused(self) -> None:
        small, large = translated.over("small.yaml", sizes(WITH_A_FUNCTION)), translated.over("large.yaml", sizes(TOO_LARGE))
        self.assertEqual((small, large), ([], ["large.yaml has 501 resources; CloudFormation takes 500"]))

    def test_an_action_that_the_deployer_lacks_is_named_with_the_type_that_needs_it(self) -> None:
        whole, without = policy(), policy(Queues="-sqs:CreateQueue")
        self.assertEqual(translated.lacking(KINDS, whole) + translated.too_much(whole), [])
        said = translated.lacking(KINDS, without) + translated.too_much(without)
        self.assertEqual(said, ["infra/docs/deployer-policy.json lacks sqs:CreateQueue, which AWS::SQS::Queue needs"])

    def test_a_type_that_the_policy_does_not_know_is_found(self) -> None:
        lacking = translated.lacking({"AWS::StepFunctions::StateMachine"}, policy())
        self.assertTrue(any("states:CreateStateMachine" in one for one in lacking), lacking)

    def test_a_deployer_never_reads_data_seals_calls_or_gives_a_role_away(self) -> None:
        wrong = {
            "includes dynamodb:Scan": policy(Tables="dynamodb:*"),
            "includes kms:GenerateMac": policy(Key="kms:*"),
            "includes lambda:InvokeFunction": policy(Functions="lambda:*"),
            "iam:PassRole without": policy(RolesAreForFunctions=None),
        }
        for words, one in wrong.items():
            said = translated.too_much(one)
            self.assertTrue(any(words in line for line in said), said)


if __name__ == "__main__":
    unittest.main()
