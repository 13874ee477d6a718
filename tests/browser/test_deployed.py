"""The console's pages on a deployed stack: they show what the API says, and what is done by them is done.

Skipped without STREAM_URL. The acts are harmless, and each test ends what it began: a consumer that was paused runs again, a
webhook that was set up is removed.
"""

from __future__ import annotations

import ipaddress
import json
import os
import shlex
import socket
import subprocess
import unittest
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from page import until
from selenium.webdriver.common.by import By
from test_console import ConsolePage

# A job of the stack begins once a minute, and an operation is its work. It is started at once where the environment allows it.
A_PASS_SECONDS = 300
WORKER = "OperatorWorkerFunction"
# Counts all events, and what it counts late is not missed.
CONSUMER = "analytics"
LANE = "AnalyticsStandardQueue"
# By SAM's Python, which has boto3.
SEND = "import boto3, sys; boto3.client('sqs').send_message(QueueUrl=sys.argv[1], MessageBody=sys.argv[2])"
START = "import boto3, sys; boto3.client('lambda').invoke(FunctionName=sys.argv[1], InvocationType='Event')"

# Address and title of a page, what its rows are about, and texts of it.
Shown = tuple[str, str, set[str], list[str]]


def unique(name: str) -> str:
    """A name that no other run on the same stack uses."""
    return f"{name}-{uuid.uuid4().hex[:12]}"


def called(script: str, logical_id: str, *arguments: str) -> bool:
    """Runs a script by a Python with boto3, with the name that AWS knows a resource by. False if the environment names neither."""
    written = Path(os.environ.get("MILLRACE_TEST_ENV", ""))
    words = shlex.split(written.read_text(), comments=True) if written.is_file() else []
    known = {**dict(word.split("=", 1) for word in words if "=" in word), **os.environ}
    python, listing = known.get("MILLRACE_PYTHON"), known.get("STACK_RESOURCES")
    if python is None or listing is None or "AWS_ENDPOINT_URL" not in os.environ:
        return False
    resources = json.loads(Path(listing).read_text())["StackResourceSummaries"]
    name = next((one["PhysicalResourceId"] for one in resources if one["LogicalResourceId"] == logical_id), None)
    if not name:
        return False
    subprocess.run([python, "-c", script, name, *arguments], check=True, timeout=60)
    return True


def callable_url(path: str) -> str:
    """A URL that the stack accepts. Where example.com leads nowhere, in the network that `make test` allows for webhooks."""
    try:
        found = {ipaddress.ip_address(one[4][0]) for one in socket.getaddrinfo("example.com", 443, proto=socket.IPPROTO_TCP)}
    except OSError:
        found = set()
    is_public = bool(found) and all(address.is_global for address in found)
    return f"https://{'example.com' if is_public else '127.0.0.1'}/{path}"


@unittest.skipUnless(os.environ.get("STREAM_URL"), "no stack is deployed: STREAM_URL is not set")
class Deployed(ConsolePage):
    """Each test logs in to the stack, asks the API, and looks at the pages."""

    # --- helpers of the tests ---

    def ask(self, path: str, body: dict[str, Any] | None = None, **query: str) -> tuple[int, Any]:
        """Status and body of an answer to GET, or to POST with a body. A service that is not available is asked again."""
        url = f"{self.backend.url}/api/v1/{path}{'?' if query else ''}{urlencode(query)}"
        headers = {"Authorization": f"Bearer {self.backend.key}", "Accept": "application/json"}
        if body is not None:
            headers |= {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
        data = None if body is None else json.dumps(body).encode()

        def answer() -> tuple[int, Any] | None:
            try:
                with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=30) as response:
                    return response.status, json.load(response)
            except urllib.error.HTTPError as error:
                with error:
                    return None if error.code == 503 else (error.code, json.load(error))

        return until(f"{path} is answered", answer)

    def read(self, path: str, **query: str) -> Any:
        """What the API answers to a question that it must answer."""
        status, found = self.ask(path, **query)
        self.assertEqual(status, 200, (path, found))
        return found

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        """The first page of a list."""
        return list(self.read(path, **query)["items"])

    def keys(self) -> set[str]:
        """What the rows of the page's tables are about."""
        return set(self.script("return [...document.querySelectorAll('#page tr[data-key]')].map((row) => row.dataset.key)"))

    def until_rows(self, wanted: Iterable[str]) -> None:
        """Waits until the page's tables have rows about these."""
        keys = set(wanted)
        until(f"{self.address()} has rows about {sorted(keys)}", lambda: keys <= self.keys())

    def until_fine(self) -> None:
        """Waits until everything is read, and no part of the page shows an error."""
        until(f"{self.address()} is read", lambda: "reading…" not in "".join(self.texts("#page")))
        until(f"{self.address()} shows no error: {self.texts('#page .error')}", lambda: not any(self.texts("#page .error")))

    def operation(self) -> str:
        """The id of the operation whose page is shown."""
        self.at("Operation")
        return self.address().removeprefix("#/operations/")

    def finished(self, name: str, act: str) -> dict[str, Any]:
        """Waits until the page says that an operation over one thing is finished. Returns it as the API has it."""
        called(START, WORKER)
        self.until_text(f"{act}: finished, 1 of 1", seconds=A_PASS_SECONDS)
        operation = dict(self.read(f"letters/operations/{name}"))
        self.assertEqual((operation["act"], operation["status"]), (act, "finished"), operation)
        return operation

    def until_act(self, reason: str, event_type: str) -> None:
        """Waits until the page of acts has one of this type with this reason."""
        self.go("#/acts", "Who did what")
        rows = "#page tbody tr"
        until(f"{event_type} is listed", lambda: any(reason in row and event_type in row for row in self.texts(rows)))
        self.until_fine()

    def registered(self, name: str) -> dict[str, Any]:
        """The event of a new member, once the feed has it."""
        member = self.backend.member(name)

        def found() -> dict[str, Any] | None:
            recent = self.items("events/recent", type="member.registered", limit="50")
            return next((one["event"] for one in recent if one["event"]["aggregate_id"] == member), None)

        return until("the feed has the event", found)

    # --- what the pages show ---

    def pages(self) -> dict[str, Shown]:
        """Every page, and what it has to show by what the API says."""
        event = self.registered("Shown on every page")
        event_id, aggregate = event["event_id"], f"member/{event['aggregate_id']}"
        consumers = self.items("consumers")
        lanes = {f"{one['consumer']}/{lane}" for one in consumers for lane in one["lanes"]}
        letters = self.items("letters", limit="25")
        groups = self.items("letters/groups")
        operations = self.items("letters/operations", limit="25")
        jobs = self.read("jobs")["jobs"]
        job = next((one for one in jobs if one["runs"]), jobs[0])
        webhooks = self.items("webhooks")
        contracts = self.items("contracts")
        contract = next((one for one in contracts if one["event_type"] == "member.registered"), contracts[0])
        kind, version = contract["event_type"], contract["event_version"]
        story = self.read(f"events/{event_id}/journey")["consumers"]
        status, treasury = self.ask("cloud/treasury")
        self.assertTrue(consumers and lanes and jobs and contracts and story, "there is something to show")
        held = ["outstanding", f"{int(treasury['outstanding']):,}."] if status == 200 else ["The cloud domain is not deployed"]
        acts = self.items("events/recent", domain="consumer", limit="5")
        fields = contract["schema"].get("properties", {})

        def names(items: list[dict[str, Any]], *fields: str) -> set[str]:
            """What these items' rows are about."""
            return {"/".join(str(one[field]) for field in fields) for one in items}

        def unless(items: list[dict[str, Any]], text: str) -> list[str]:
            """What is said where there are no items."""
            return [] if items else [text]

        found: dict[str, Shown] = {
            "consumers": ("#/consumers", "Consumers", names(consumers, "consumer"), sorted({one.split("/")[1] for one in lanes})),
            "letters": (
                "#/letters",
                "Dead letters",
                names(letters, "letter_id") | names(groups, "signature_id"),
                unless(letters, "No letter fits"),
            ),
            "operations": ("#/operations", "Operations", names(operations, "operation_id"), unless(operations, "There is no operation")),
            "replay": ("#/replay", "Replay", set(), ["Which events, and to whom"]),
            "jobs": ("#/jobs", "Jobs", names(jobs, "job"), []),
            "job": (f"#/jobs?job={quote(job['job'])}", "Jobs", names(job["runs"][:1], "fence"), [f"Runs of {job['job']}", job["looks_for"]]),
            "webhooks": ("#/webhooks", "Webhooks", names(webhooks, "webhook_id"), unless(webhooks, "There is no webhook")),
            "contracts": ("#/contracts", "Contracts", names(contracts[:200], "event_type", "event_version"), [f"{len(contracts):,} contracts"]),
            "contract": (f"#/contracts/{kind}/{version}", kind, set(), [contract["aggregate"], *contract["consumers"], *fields]),
            "credits": ("#/credits", "Credits", {name for name in names(jobs, "job") if name.startswith("cloud-")}, held),
            "acts": ("#/acts", "Who did what", {one["event"]["event_id"] for one in acts}, []),
            "events": ("#/events?type=member.registered", "Recent events", {event_id}, [aggregate]),
            "event": (
                f"#/events/{event_id}",
                "Event",
                names(story, "consumer"),
                [aggregate, event["correlation_id"], "Shown on every page"],
            ),
            "history": (f"#/history?aggregate={aggregate}", "History", {event_id}, [aggregate]),
        }
        for letter in letters[:1]:
            texts = [letter["letter_id"], letter["consumer"], letter["reason"]]
            found["letter"] = (f"#/letters/{letter['letter_id']}", "Dead letter", set(), texts)
        for operation in operations[:1]:
            name = operation["operation_id"]
            found["operation"] = (f"#/operations/{name}", "Operation", set(), [name, operation["act"]])
        for webhook in webhooks[:1]:
            name = webhook["webhook_id"]
            found["webhook"] = (f"#/webhooks/{name}", "Webhook", set(), [name, webhook["origin"]])
        return found

    def test_every_page_shows_what_the_api_says_wide_and_narrow(self) -> None:
        pages = self.pages()
        self.log_in()
        self.media("light", "reduce")
        self.addCleanup(self.driver.execute_cdp_cmd, "Emulation.clearDeviceMetricsOverride", {})
        for width in (1440, 400):
            size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
            self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            for name, (address, title, rows, texts) in pages.items():
                self.go(address, title)
                self.until_rows(rows)
                for text in texts:
                    until(f"{name} at {width} shows {text}", lambda text=text: text in "".join(self.texts("#page")))
                self.until_fine()
                self.accessible(f"{name} at {width}")
                if width == 1440:
                    self.screenshot(f"deployed-{name}")
            # Without a filter. What is newest may have come between the two answers.
            self.go("#/events", "Recent events")
            self.until_rows(one["event"]["event_id"] for one in self.items("events/recent", limit="15")[5:])
            self.until_fine()

    # --- what is done by them ---

    def paused(self) -> dict[str, Any] | None:
        """What the API says of the consumer's pause."""
        return next(one for one in self.items("consumers") if one["consumer"] == CONSUMER).get("paused")

    def test_a_consumer_is_paused_and_resumed_and_the_acts_say_why(self) -> None:
        self.assertIsNone(self.paused(), "nobody has paused it")
        self.log_in()
        # Whatever happens: the consumer is needed. If it runs already, this is refused.
        self.addCleanup(self.ask, f"consumers/{CONSUMER}/resume", {"reason": "the test of the console is over"})
        for step, verb in (("Pause", "paused"), ("Resume", "resumed")):
            reason = unique(f"The console shows that it can be {verb}")
            self.go("#/consumers", "Consumers")
            self.press_button(f"{step} {CONSUMER}")
            self.write("reason", reason)
            self.press_button(step, "#act")
            # Lambda may be slow to accept it: then it is told again within a minute.
            until("it is recorded", lambda: any(said in self.text("act") for said in ("Lambda has accepted it", "It is recorded")))
            self.press_button("Close", "#act")
            if step == "Pause":
                self.until_text(reason)
                paused = until("the API says so", self.paused)
                self.assertEqual(paused["reason"], reason)
                self.until_text(paused["key_owner"])
            else:
                until("the API says so", lambda: self.paused() is None)
                until("it can be paused again", lambda: self.all(f"[aria-label='Pause {CONSUMER}']"))
            self.until_fine()
            self.until_act(reason, f"consumer.{verb}")

    def test_a_webhook_is_set_up_changed_disabled_and_removed(self) -> None:
        # No event is of this tenant, so nobody is called.
        tenant, path = unique("tenant"), unique("console")
        status, tried = self.ask("webhooks", {"url": callable_url(path), "tenant_id": tenant})
        if status == 422:
            self.skipTest("the stack calls no address that is known here: no public name is, and WebhookNetworks does not allow 127.0.0.1")
        self.ask(f"webhooks/{tried['webhook']['webhook_id']}/remove", {})
        self.log_in()
        self.go("#/webhooks", "Webhooks")
        self.press_button("Set up a webhook…")
        self.write("url", callable_url(path))
        self.write("description", path)
        self.write("domains", "wallet")
        self.write("tenant", tenant)
        self.press_button("Set up", "#act")
        self.until_text("whsec_", "act")
        self.driver.find_element(By.LINK_TEXT, "To the webhook").click()
        self.at("Webhook ")
        webhook = self.address().removeprefix("#/webhooks/")
        self.addCleanup(self.ask, f"webhooks/{webhook}/remove", {})
        made = self.read(f"webhooks/{webhook}")
        self.assertEqual((made["description"], made["status"], made["in_order"]), (path, "enabled", False))
        self.assertEqual((made["selection"]["domains"], made["selection"]["tenant_id"]), (["wallet"], tenant))
        self.until_text(made["origin"])
        self.assertNotIn(path, made["origin"])

        reason = unique("Less is needed")
        self.press_button("Change…")
        self.write("description", f"{path}, changed")
        self.write("types", "loan.funded")
        self.all("#act [name=in_order]")[0].click()
        self.write("reason", reason)
        self.press_button("Change", "#act")
        until("it is done", lambda: not self.find("act").is_displayed())
        self.until_text(f"{path}, changed")
        self.until_text("wallet: all, loan.funded")
        changed = self.read(f"webhooks/{webhook}")
        self.assertEqual((changed["description"], changed["in_order"], changed["origin"]), (f"{path}, changed", True, made["origin"]))
        chosen = {name: value for name, value in changed["selection"].items() if value}
        self.assertEqual(chosen, {"domains": ["wallet"], "event_types": ["loan.funded"], "tenant_id": tenant}, "what was not changed stays")
        self.until_act(reason, "webhook.changed")

        self.go(f"#/webhooks/{webhook}", "Webhook ")
        self.press_button("Disable…")
        self.write("reason", "The test is over.")
        self.press_button("Disable", "#act")
        until("it is disabled", lambda: self.read(f"webhooks/{webhook}")["status"] == "disabled")
        self.until_text("The test is over.")
        self.until_fine()
        self.press_button("Remove…")
        self.press_button("Remove", "#act")
        self.at("Webhooks")
        until("it is gone from the list", lambda: webhook not in self.keys())
        self.assertEqual(self.ask(f"webhooks/{webhook}")[0], 404)

    def test_a_replay_is_previewed_begun_and_watched_to_its_end(self) -> None:
        event = self.registered("Replayed")
        # One aggregate: a replay of a whole type reads the whole log, which other tests have filled.
        aggregate = f"{event['aggregate_type']}/{event['aggregate_id']}"
        reason = unique("The console shows a replay")
        self.log_in()
        self.go("#/replay", "Replay")
        self.write("consumer", CONSUMER, "#page")
        self.write("aggregate", aggregate, "#page")
        self.write("types", event["event_type"], "#page")
        self.press_button("Preview…")
        self.until_text("1 event (counted in the event log)", "act")
        self.write("reason", reason)
        self.press_button("Begin the replay", "#act")
        name = self.operation()
        operation = self.finished(name, "replay")
        self.assertEqual((operation["reason"], operation["replay"]["consumer"], operation["outcome"]["sent"]), (reason, CONSUMER, 1))
        self.until_fine()
        self.until_act(reason, "operation.begun")

    def dead_letter(self) -> dict[str, Any]:
        """A letter of a message that is no event."""
        known = {one["letter_id"] for one in self.items("letters", consumer=CONSUMER, state="open", limit="100")}
        body = f"not JSON {unique('console')}"
        if not called(SEND, LANE, body):
            self.skipTest("the environment names no way to make a dead letter (MILLRACE_PYTHON, STACK_RESOURCES)")

        def arrived() -> dict[str, Any] | None:
            for one in self.items("letters", consumer=CONSUMER, state="open", limit="100"):
                if one["letter_id"] not in known:
                    letter = dict(self.read(f"letters/{one['letter_id']}"))
                    if (letter.get("message") or {}).get("body") == body:
                        return letter
            return None

        return until("the message is a dead letter", arrived, seconds=A_PASS_SECONDS)

    def test_a_dead_letter_is_noted_and_discarded(self) -> None:
        letter = self.dead_letter()
        group, note, reason = letter["signature_id"], unique("It is the console's test"), unique("It was never an event")
        self.log_in()
        self.go(f"#/letters?signature={group}", "Dead letters")
        self.until_rows({group, letter["letter_id"]})
        self.press_button(f"Note about group {group}")
        self.write("note", note)
        self.press_button("Write", "#act")
        self.until_text(note)
        noted = next(one for one in self.items("letters/groups", signature=group) if one["signature_id"] == group)
        self.assertEqual(noted["note"]["note"], note)

        self.go(f"#/letters/{letter['letter_id']}", "Dead letter ")
        self.until_text(letter["error"][:40])
        self.press_button("Discard…")
        self.until_text("1 letter", "act")
        self.write("reason", reason)
        self.press_button("Discard 1 letter", "#act")
        name = self.operation()
        operation = self.finished(name, "discard")
        self.assertEqual((operation["reason"], operation["outcome"]["discarded"]), (reason, 1))
        self.go(f"#/letters/{letter['letter_id']}", "Dead letter ")
        self.until_text("It is resolved: nothing can be done to it.")
        self.assertEqual(self.read(f"letters/{letter['letter_id']}")["state"], "discarded")
        self.until_act(reason, "operation.begun")
