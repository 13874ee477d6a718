"""The generators as their users call them, in a scratch copy of the tree. Nothing is compiled here. `make test-docs`, which follows
the documents word by word, shows that what they write compiles, passes its tests and reaches the stream.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "infra" / "local"))

from reader import heed_ctrl_c  # noqa: E402
from sources import commit_tree, copy_tree  # noqa: E402


def git(tree: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=tree, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout


class Generators(unittest.TestCase):
    tree: Path

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        cls.tree = Path(cls.folder.name) / "tree"
        copy_tree(ROOT, cls.tree)
        commit_tree(cls.tree)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    def tearDown(self) -> None:
        git(self.tree, "reset", "-q", "--hard")
        git(self.tree, "clean", "-qfd")

    def generate(self, what: str, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **({"PATH": path} if path else {})}
        command = [sys.executable, "infra/local/generate.py", what, *arguments]
        return subprocess.run(command, cwd=self.tree, capture_output=True, text=True, env=environment)

    def written(self, what: str, *arguments: str) -> str:
        done = self.generate(what, *arguments, "--no-render")
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def changes(self) -> str:
        return git(self.tree, "status", "--porcelain")

    def fake_make(self, text: str) -> str:
        """A PATH whose `make` is this script."""
        folder = Path(tempfile.mkdtemp(dir=self.folder.name))
        (folder / "make").write_text(f"#!/bin/sh\n{text}\n")
        (folder / "make").chmod(0o755)
        return f"{folder}:{os.environ['PATH']}"

    def test_a_name_that_is_taken_reserved_or_no_name_is_refused_and_nothing_is_written(self) -> None:
        for what, arguments, words in [
            ("event", ["--name", "cloud.minted"], "has a contract already"),
            ("event", ["--name", "Cloud.Minted"], "<domain>.<action>"),
            ("event", ["--name", "cloud"], "<domain>.<action>"),
            ("event", ["--name", "loan.fn"], "a word of Rust"),
            ("event", ["--name", "garden.watered", "--fields", "litres"], "is not name:kind"),
            ("event", ["--name", "garden.watered", "--fields", "litres:volume"], "kinds are text"),
            ("event", ["--name", "garden.watered", "--fields", "a:text a:flag"], "the name a is taken"),
            ("event", ["--name", "garden.watered", "--producer", "My Script"], "PRODUCER=My Script"),
            ("event", ["--name", "erp.price_changed", "--producer", "loyalty"], "AGGREGATE"),
            ("consumer", ["--name", "loan-api", "--events", "loan.funded"], "exists already"),
            ("consumer", ["--name", "wallet", "--events", "loan.funded"], "Cargo.lock has a package"),
            ("consumer", ["--name", "Mailer", "--events", "loan.funded"], "lower-case letters"),
            ("consumer", ["--name", "match", "--events", "loan.funded"], "reserved"),
            ("consumer", ["--name", "a-name-of-more-than-28-letters", "--events", "loan.funded"], "at most 28"),
            ("consumer", ["--name", "mailer", "--events", "loan.founded"], "did you mean loan.funded?"),
            ("consumer", ["--name", "mailer", "--events", ","], "names no event type"),
            ("consumer", ["--name", "mailer", "--events", "loan.funded", "--emits", "loan.funded"], "never come to an end"),
            ("consumer", ["--name", "mailer", "--events", "loan.funded", "--emits", "cloud.minted"], "only its owner"),
            ("domain", ["--name", "cloud"], "already"),
            ("domain", ["--name", "outbox"], "already"),
            ("domain", ["--name", "keys"], "is served by system-api"),
            ("domain", ["--name", "loyal-ty"], "lower-case letters"),
            ("domain", ["--name", "loyalty", "--aggregate", "type"], "a word of Rust"),
            ("remove-consumer", ["--name", "activity-fed"], "did you mean activity-feed?"),
            ("remove-consumer", ["--name", "loan-api"], "is no consumer"),
            ("remove-consumer", ["--name", "loan-servicing"], "others use it"),
        ]:
            with self.subTest(what=what, arguments=arguments):
                done = self.generate(what, *arguments)
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn(words, done.stderr)
                self.assertNotIn("Traceback", done.stderr)
                self.assertEqual(self.changes(), "")

    def test_what_fails_halfway_leaves_the_tree_as_it_was(self) -> None:
        path = self.fake_make("echo broken >> template.yaml; mkdir -p shared/events/schemas/garden; echo {} > shared/events/schemas/garden/x-v1.json; exit 1")
        for what, arguments in [
            ("event", ["--name", "garden.watered"]),
            ("consumer", ["--name", "mailer", "--events", "loan.funded"]),
            ("domain", ["--name", "loyalty"]),
        ]:
            with self.subTest(what=what):
                done = self.generate(what, *arguments, path=path)
                self.assertEqual(done.returncode, 1)
                self.assertIn("nothing is changed", done.stderr)
                self.assertEqual(self.changes(), "")
                self.assertFalse((self.tree / "shared/events/schemas/garden").exists())

    def test_what_is_interrupted_leaves_the_tree_as_it_was(self) -> None:
        environment = {**os.environ, "PATH": self.fake_make("touch .local/begun; exec sleep 60")}
        begun = self.tree / ".local" / "begun"
        process = subprocess.Popen(
            [sys.executable, "infra/local/generate.py", "domain", "--name", "loyalty"],
            cwd=self.tree, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            preexec_fn=heed_ctrl_c,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while not begun.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertNotEqual(self.changes(), "")
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130)
        self.assertIn("nothing is changed", said)
        self.assertEqual(self.changes(), "")

    def test_a_removed_consumer_leaves_the_tree_as_it_was_and_its_sources_are_kept(self) -> None:
        self.written("consumer", "--name", "mailer", "--events", "loan.funded,cloud.minted")
        said = self.written("remove-consumer", "--name", "mailer")
        self.assertEqual(self.changes(), "")
        self.assertIn(".local/removed/mailer-", said)
        self.assertEqual(len(list(self.tree.glob(".local/removed/mailer-*/src/handler.rs"))), 1)

    def test_the_event_that_only_the_removed_consumer_published_goes_with_it(self) -> None:
        emits = ["--emits", "points.awarded", "--aggregate", "account", "--fields", "points:integer"]
        self.written("consumer", "--name", "points", "--events", "loan.funded", *emits)
        self.written("remove-consumer", "--name", "points")
        self.assertEqual(self.changes(), "")
        # One event of several of a domain.
        self.written("consumer", "--name", "counter", "--events", "loan.funded", "--emits", "erp.shelf_emptied", "--aggregate", "shelf")
        self.written("consumer", "--name", "listener", "--events", "erp.shelf_emptied")
        refused = self.generate("remove-consumer", "--name", "counter", "--no-render")
        self.assertIn("functions/listener listens to erp.shelf_emptied", refused.stderr)
        self.written("remove-consumer", "--name", "listener")
        self.written("remove-consumer", "--name", "counter")
        self.assertEqual(self.changes(), "")

    def test_what_is_written_is_formatted_and_names_its_next_steps(self) -> None:
        self.assertIn("Next:", self.written("domain", "--name", "loyalty", "--aggregate", "gift_card"))
        self.written("event", "--name", "loyalty.gift_card_renamed", "--fields", "name:text note:text?")
        self.written("event", "--name", "erp.shelf_moved", "--fields", "moved_at:time")
        self.written("consumer", "--name", "gift-mailer", "--events", "loyalty.gift_card_opened,loan.funded")
        emits = ["--emits", "points.awarded", "--fields", "points:integer reason:text? at:time", "--aggregate", "account"]
        self.written("consumer", "--name", "gift-points", "--events", "loyalty.gift_card_opened,cloud.minted,loan.funded", *emits)
        checked = subprocess.run(["cargo", "fmt", "--all", "--check"], cwd=self.tree, capture_output=True, text=True)
        self.assertEqual(checked.stdout + checked.stderr, "")
        declarations = [str(one) for one in self.tree.glob("functions/*/declaration.rs")]
        checked = subprocess.run(["rustfmt", "--edition", "2024", "--check", *declarations], capture_output=True, text=True)
        self.assertEqual(checked.stdout + checked.stderr, "")
        sources = [path for name in git(self.tree, "ls-files", "--others", "--exclude-standard").split() if (path := self.tree / name).is_file()]
        self.assertGreater(len(sources), 30)
        for path in sources:
            text = path.read_text()
            self.assertNotIn("{{", text.replace("{{}}", ""), path)
            self.assertNotIn("TODO", text, path)
        # The full sample has every field; the minimal one has no optional field.
        sample = self.tree / "shared/events/samples/points/awarded-v1"
        self.assertIn('"reason"', (sample / "full.json").read_text())
        self.assertNotIn('"reason"', (sample / "minimal.json").read_text())

    def test_an_event_of_a_known_aggregate_has_its_id_and_its_producer(self) -> None:
        self.written("event", "--name", "loan.reminded", "--fields", "times:integer")
        text = (self.tree / "shared/events/src/contracts/loan.rs").read_text()
        self.assertIn('Reminded: "loan.reminded", Normal, "loan-api", "loan" [loan_id];', text)
        self.assertIn("pub struct Reminded {\n    /// Identifies the loan.\n    pub loan_id: LoanId,", text)


if __name__ == "__main__":
    unittest.main()
