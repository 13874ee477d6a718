"""What the verbs of the local AWS report about one that has died, and where the event stream runs. No local AWS is started."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "infra" / "local"))

import up  # noqa: E402
from emulator import free_port  # noqa: E402
from instance import Settings  # noqa: E402


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


class StreamAddress(unittest.TestCase):
    """Where the event stream will run is known before the stack is deployed: the dashboard's policy names it."""

    def address(self, stream_port: int | None, port: int, **given: str) -> tuple[int | None, str]:
        with tempfile.TemporaryDirectory() as folder:
            settings = up._with_stream_address(
                Settings(Path(folder), port, "s", None, None, stream_port=stream_port, parameters=dict(given))
            )
            return settings.stream_port, settings.parameters["StreamAddress"]

    def test_it_is_the_port_that_was_asked_for_or_the_one_behind_the_local_aws_or_a_free_one(self) -> None:
        free = free_port()
        self.assertEqual(self.address(free, 4566), (free, f"http://127.0.0.1:{free}"))
        self.assertEqual(self.address(None, free - 1), (free, f"http://127.0.0.1:{free}"))
        with socket.create_server(("127.0.0.1", free)):
            self.assertNotEqual(self.address(None, free - 1)[0], free)
        for stream_port in (None, 0):
            port, address = self.address(stream_port, 0)
            self.assertTrue(port)
            self.assertEqual(address, f"http://127.0.0.1:{port}")

    def test_an_address_that_is_given_is_kept(self) -> None:
        given = "https://stream.example"
        self.assertEqual(self.address(None, 0, StreamAddress=given)[1], given)


if __name__ == "__main__":
    unittest.main()
