"""What no linter checks of the workflows: whose code they run, with which rights, and that what they call is there. actionlint is a
part of `make check`.
"""

from __future__ import annotations

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


class Workflows(unittest.TestCase):
    def test_every_action_is_pinned_by_its_commit_and_says_its_version(self) -> None:
        pins: dict[str, set[str]] = {}
        for workflow in WORKFLOWS:
            for line in workflow.read_text().splitlines():
                if "uses:" in line:
                    found = re.fullmatch(r"\s*(?:- )?uses: ([\w/.-]+)@([0-9a-f]{40} # v\d+\.\d+\.\d+)", line)
                    self.assertIsNotNone(found, f"{workflow.name}: {line}")
                    if found:
                        pins.setdefault(found[1], set()).add(found[2])
        self.assertEqual({action: versions for action, versions in pins.items() if len(versions) != 1}, {})
        self.assertIn("actions/checkout", pins)

    def test_no_workflow_gives_rights_to_jobs_that_do_not_name_them_and_each_job_has_an_end(self) -> None:
        for workflow in WORKFLOWS:
            text = workflow.read_text()
            self.assertIn("\npermissions: {}\n", text, workflow.name)
            jobs = text.partition("\njobs:\n")[2]
            count = len(re.findall(r"^  [\w-]+:$", jobs, re.M))
            self.assertEqual(len(re.findall(r"^    timeout-minutes: ", jobs, re.M)), count, workflow.name)
            self.assertEqual(len(re.findall(r"^    permissions:$", jobs, re.M)), count, workflow.name)

    def test_the_verbs_and_files_that_they_call_are_there(self) -> None:
        verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
        for workflow in WORKFLOWS:
            text = workflow.read_text()
            self.assertLessEqual(set(re.findall(r"make ([a-z-]+)", text)), verbs, workflow.name)
            for path in re.findall(r"infra/[\w./-]+\.(?:py|md)", text):
                self.assertTrue((ROOT / path).is_file(), f"{workflow.name}: {path}")


if __name__ == "__main__":
    unittest.main()
