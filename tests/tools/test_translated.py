"""Whether `make check-translated` finds what it is for. It runs in SAM's virtual environment, which `make check` installs."""

from __future__ import annotations

import json
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".local" / "tools" / "sam" / "bin" / "python"

# Prints, of each policy and its resource types on standard input, what it lacks and has too much; then the sizes of templates. One
# process for all: cfn-lint and the translator take seconds to load.
ASK = """
import json, sys
sys.path.insert(0, "infra/local")
import translated
asked = json.load(sys.stdin)
print(json.dumps({
    "policies": [translated.lacking(set(kinds), policy) + translated.too_much(policy) for policy, kinds in asked["policies"]],
    "templates": [translated.over(name, translated.sizes(translated.translated(one))) for name, one in asked["templates"]],
    "resources": [translated.sizes(translated.translated(one))["Resources"] for name, one in asked["templates"]],
}))
"""

FUNCTION = {
    "Type": "AWS::Serverless::Function",
    "Properties": {"Handler": "bootstrap", "Runtime": "provided.al2023", "CodeUri": "x/", "AutoPublishAlias": "live"},
}
WITH_A_FUNCTION = {"Transform": "AWS::Serverless-2016-10-31", "Parameters": {}, "Resources": {"F": FUNCTION}}
TOO_LARGE = {"Resources": {f"Q{n}": {"Type": "AWS::SQS::Queue"} for n in range(501)}}
KINDS = ["AWS::SQS::Queue", "AWS::DynamoDB::Table"]


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


@unittest.skipUnless(PYTHON.exists(), "`make check-tools` installs SAM")
class Translated(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        asked = {
            "policies": [
                [policy(), KINDS],
                [policy(Queues="-sqs:CreateQueue"), KINDS],
                [policy(), ["AWS::StepFunctions::StateMachine"]],
                [policy(Tables="dynamodb:*"), []],
                [policy(Key="kms:*"), []],
                [policy(Functions="lambda:*"), []],
                [policy(RolesAreForFunctions=None), []],
            ],
            "templates": [["small.yaml", WITH_A_FUNCTION], ["large.yaml", TOO_LARGE]],
        }
        command = [str(PYTHON), "-c", ASK]
        done = subprocess.run(command, cwd=ROOT, input=json.dumps(asked), capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        cls.said = json.loads(done.stdout)

    def test_what_sam_makes_of_a_function_counts(self) -> None:
        # The function, its role, a version, the alias.
        self.assertEqual(self.said["resources"][0], 4)

    def test_a_template_over_a_limit_is_refused(self) -> None:
        small, large = self.said["templates"]
        self.assertEqual((small, large), ([], ["large.yaml has 501 resources; CloudFormation takes 500"]))

    def test_an_action_that_the_deployer_lacks_is_named_with_the_type_that_needs_it(self) -> None:
        whole, without = self.said["policies"][:2]
        self.assertEqual(whole, [])
        self.assertEqual(without, ["infra/docs/deployer-policy.json lacks sqs:CreateQueue, which AWS::SQS::Queue needs"])

    def test_a_type_that_the_policy_does_not_know_is_found(self) -> None:
        lacking = self.said["policies"][2]
        self.assertTrue(any("states:CreateStateMachine" in one for one in lacking), lacking)

    def test_a_deployer_never_reads_data_seals_calls_or_gives_a_role_away(self) -> None:
        wanted = ["includes dynamodb:Scan", "includes kms:GenerateMac", "includes lambda:InvokeFunction", "iam:PassRole without"]
        for words, said in zip(wanted, self.said["policies"][3:], strict=True):
            self.assertTrue(any(words in one for one in said), said)


if __name__ == "__main__":
    unittest.main()
