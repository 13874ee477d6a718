"""What the verbs of the local AWS report about one that has died, about an endpoint that somebody else started, and where the event
stream runs. No local AWS is started."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "infra" / "local"))

import up  # noqa: E402
from emulator import free_port  # noqa: E402
from endpoint import described  # noqa: E402
from instance import LOCAL_PARAMETERS, Settings  # noqa: E402
from report import Failure  # noqa: E402

LOCALSTACK = {"version": "2026.3.0", "edition": "pro", "is_license_activated": True, "is_docker": True}


@contextmanager
def answering(pages: dict[str, object]) -> Iterator[str]:
    """An HTTP server that answers with these JSON documents, and with 404 elsewhere."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802
            found = self.path in pages
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(json.dumps(pages[self.path]).encode() if found else b"no such page")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


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

    def test_of_a_stack_at_another_endpoint_it_says_what_answers_there(self) -> None:
        with tempfile.TemporaryDirectory() as folder, answering({"/_localstack/info": LOCALSTACK}) as endpoint:
            (Path(folder) / "env").write_text(f"export AWS_ENDPOINT_URL={endpoint}\n")
            said = self.status(folder)
            self.assertEqual((said.returncode, said.stderr), (0, ""))
            self.assertIn(f"endpoint: {endpoint}, LocalStack 2026.3.0, in Docker, pro\n", said.stdout)


class Endpoint(unittest.TestCase):
    def up(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "infra/local/local_aws.py", "up", "--local", folder, *arguments]
            return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    def test_it_is_described_as_it_describes_itself(self) -> None:
        without_docker = {"version": "2026.3.0", "edition": "unknown", "is_docker": False}
        for pages, words in [
            ({"/_localstack/info": LOCALSTACK}, "LocalStack 2026.3.0, in Docker, pro"),
            ({"/_localstack/info": without_docker}, "LocalStack 2026.3.0, without Docker"),
            ({"/_ministack/health": {}}, "MiniStack"),
            ({}, "an endpoint that does not say what it is (GET / answers 404)"),
        ]:
            with answering(pages) as endpoint:
                self.assertEqual(described(endpoint), words)

    def test_where_nothing_answers_nothing_is_built_and_the_reader_is_told_how_to_start_one(self) -> None:
        endpoint = f"http://127.0.0.1:{free_port()}"
        with self.assertRaises(Failure):
            described(endpoint)
        said = self.up("--endpoint", endpoint)
        self.assertEqual(said.returncode, 1)
        self.assertIn(f"nothing answers at ENDPOINT={endpoint}", said.stderr)
        self.assertIn("infra/docs/localstack.md", said.stderr)
        self.assertNotIn("build", said.stdout + said.stderr)

    def test_the_functions_endpoint_of_another_emulator_is_not_ours_to_set(self) -> None:
        said = self.up("--endpoint", "http://127.0.0.1:1", "--functions-endpoint", "http://host.docker.internal:4566")
        self.assertEqual(said.returncode, 1)
        self.assertIn("LOCALSTACK_HOST", said.stderr)


class Parameters(unittest.TestCase):
    def test_no_local_stack_has_a_bucket_as_destination_of_asynchronous_invocations(self) -> None:
        # LocalStack refuses the whole stack for it.
        template = (ROOT / "template.yaml").read_text(encoding="utf-8")
        destinations = re.findall(r"EventInvokeConfig: .*Type: S3Bucket, Destination: (.*?)}", template)
        self.assertTrue(destinations)
        for destination in destinations:
            condition = re.match(r'!If \[(\w+), "", ', destination)
            self.assertIsNotNone(condition, destination)
            parameter, default = re.search(rf'  {condition[1]}: !Not \[!Equals \[!Ref (\w+), "(\w+)"]]', template).groups()
            self.assertNotEqual(LOCAL_PARAMETERS[parameter], default)


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
