"""What the verbs of the local AWS report about one that has died. No local AWS is started."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Status(unittest.TestCase):
    def status(self, folder: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "infra/local/local_aws.py", "status", "--local", folder]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    def test_where_none_was_started_none_runs(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            said = self.status(folder)
            self.assertEqual((said.returncode, said.stderr), (1, ""))
            self.assertIn("no local AWS runs", said.stdout)

    def test_one_that_died_is_said_to_have_died_with_its_data(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            ended = subprocess.Popen([sys.executable, "-c", ""])
            ended.wait()
            record = {"id": "x", "pid": ended.pid, "started": "1", "port": 4566, "made_of": ""}
            (Path(folder) / "instance.json").write_text(json.dumps(record))
            (Path(folder) / "ministack.log").write_text("the last words")
            said = self.status(folder)
            self.assertEqual((said.returncode, said.stderr), (1, ""))
            for words in ["is gone with all its data", f"process {ended.pid} on port 4566 died", "ministack.log", "starts an empty one"]:
                self.assertIn(words, said.stdout)


if __name__ == "__main__":
    unittest.main()
