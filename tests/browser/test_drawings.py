"""The drawings in the documents: the console's pages as SVG text (drawing.js), drawn from the fake server's data.

    UPDATE_EXPECT=1 python3 infra/local/browser.py Drawings      # writes them again

Clock, time zone and ids are fixed, so that the same machine draws the same bytes. Another machine has other fonts, so lines
break and windows end elsewhere: what is compared are the texts.
"""

from __future__ import annotations

import os
import random
import threading
import uuid
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime, timedelta
from math import sin
from pathlib import Path
from typing import Any
from unittest import mock

from fake_console import CLOCK, ago
from fake_stream import Demo
from page import ROOT, until
from test_console import ACTOR, ConsolePage, publish_acts

DOCUMENTS = ROOT / "infra" / "docs"
SCRIPT = Path(__file__).with_name("drawing.js")
SVG = "{http://www.w3.org/2000/svg}"
MOST_BYTES = 60_000

NOW = datetime(2026, 4, 1, 9, 30, tzinfo=UTC)
SIZE = {"width": 1440, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
# The page's clock stands where the test puts it. It runs before the page's own scripts.
STOPPED_CLOCK = """
{
  const Real = Date;
  let at = %d;
  globalThis.Date = class extends Real {
    constructor(...given) { super(...(given.length > 0 ? given : [at])); }
    static now() { return at; }
  };
  globalThis.stopClockAt = (moment) => { at = moment; };
}
"""


def milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def drawn(path: Path) -> list[tuple[str, bool]]:
    """The texts of a drawing without their blanks, in its order, and whether each may be only the beginning of a text."""
    found = []

    def look(element: ElementTree.Element) -> None:
        if element.tag == f"{SVG}text" or (element.tag == f"{SVG}g" and not element.attrib):
            text = "".join("".join(element.itertext()).split())
            found.append((text.removesuffix("…"), element.tag == f"{SVG}g" or text.endswith("…")))
            return
        for inner in element:
            look(inner)

    look(ElementTree.parse(path).getroot())
    return found


class Drawings(ConsolePage):
    """Each test draws pages at 1440 wide."""

    def setUp(self) -> None:
        chance, here, others = random.Random(7), threading.current_thread(), uuid.uuid4

        def uuid4() -> uuid.UUID:
            """An id that is the same in each run. What the server's threads make is shown on no page."""
            return uuid.UUID(int=chance.getrandbits(128), version=4) if threading.current_thread() is here else others()

        for patch in (mock.patch.object(uuid, "uuid4", uuid4), mock.patch.object(CLOCK, "stopped_at", NOW)):
            patch.start()
            self.addCleanup(patch.stop)
        clock = self.browser("Page.addScriptToEvaluateOnNewDocument", source=STOPPED_CLOCK % milliseconds(NOW))
        self.addCleanup(self.browser, "Page.removeScriptToEvaluateOnNewDocument", identifier=clock["identifier"])
        self.browser("Emulation.setTimezoneOverride", timezoneId="UTC")
        self.addCleanup(self.browser, "Emulation.setTimezoneOverride", timezoneId="")
        self.browser("Emulation.setDeviceMetricsOverride", **SIZE)
        self.addCleanup(self.browser, "Emulation.clearDeviceMetricsOverride")
        self.browser("Emulation.setScrollbarsHidden", hidden=True)
        self.addCleanup(self.browser, "Emulation.setScrollbarsHidden", hidden=False)
        super().setUp()
        self.media("light", "reduce")

    # --- helpers of the tests ---

    def browser(self, command: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, parameters)

    def clock(self, at: datetime) -> None:
        """Puts the clocks of server and page there."""
        CLOCK.stopped_at = at
        self.script("stopClockAt(arguments[0])", milliseconds(at))

    def check(self, path: Path, label: str) -> None:
        """Draws the page that is shown, and compares it with the drawing at this path, or writes that."""
        until("everything is read", lambda: "reading…" not in self.text("page") and "Looking at" not in self.text("act"))
        self.script("document.activeElement?.blur()")
        made = self.script(f"{SCRIPT.read_text()}; return drawing(arguments[0])", label)
        self.nothing_ran()
        self.assertLess(len(made["svg"].encode()), MOST_BYTES, path.name)
        if os.environ.get("UPDATE_EXPECT"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(made["svg"])
        stale = f"{path.relative_to(ROOT)} shows another page than there is: UPDATE_EXPECT=1 python3 infra/local/browser.py Drawings"
        self.assertTrue(path.is_file(), stale)
        kept, there = drawn(path), [one["text"] for one in made["texts"]]
        drawing = ElementTree.parse(path).getroot()
        self.assertEqual(drawing.get("aria-label"), label, stale)

        rest = iter(there)
        for text, is_beginning in kept:
            fits = any(one == text or (is_beginning and one.startswith(text)) for one in rest)
            self.assertTrue(fits, f"{stale}\nit is no longer there, or in another order: {text}")
        # A page that fits into the window is drawn whole. Of another one, another machine has more or less in its window.
        is_whole = int(drawing.get("height", "0")) < SIZE["height"]
        shown = iter(kept)
        for wanted in (one["text"] for one in made["texts"] if one["isSeen" if is_whole else "isHigh"]):
            fits = any(wanted == text or (is_beginning and wanted.startswith(text)) for text, is_beginning in shown)
            self.assertTrue(fits, f"{stale}\nthe drawing does not have it: {wanted}")

    # --- the drawings ---

    def test_the_drawing_of_the_live_page_shows_a_busy_minute(self) -> None:
        fake = self.fake()
        # A seed whose settlements are at many steps, and whose ids have no part that the spelling check takes for a word.
        demo = Demo(fake.feed, seed=29)
        self.clock(NOW - timedelta(seconds=60))
        self.log_in()
        for second in range(59, -1, -1):
            # The last second is the one that ends now; each of the others has passed.
            self.clock(NOW - timedelta(seconds=second, milliseconds=1 if second else 0))
            for _ in range(2 + round(1.4 * sin(second / 5))):
                demo.step()
            # Settlements are listed in the order in which they were drawn first: a few events at a time keep it.
            until("they are drawn", lambda: self.text("events-count").startswith(f"{len(fake.feed.events)} event"))
        until("the charts are drawn", lambda: f"{len(fake.feed.events)} events in a minute" in self.text("rate-text"))
        until("the consumers are read", lambda: self.text("consumers-when") == "as of 09:30:00")
        self.check(
            DOCUMENTS / "dashboard.svg",
            "The console's live page: events, events per second, latency by priority against its objective, settlements in progress",
        )

    def test_the_drawings_of_the_other_pages_show_what_they_show(self) -> None:
        fake = self.fake()
        partner = {"actor": None, "key_owner": "partner", "version": 2}
        for hours, event_type, aggregate, payload in (
            (50, "webhook.changed", ("webhook", "w-1"), {"reason": "Only loans are needed.", **partner}),
            (27, "consumer.paused", ("consumer", "wallet-balances"), {"reason": "Its table is restored.", **ACTOR}),
            (26, "operation.begun", ("operation", "op-0"), {"act": "replay", "reason": "What was after the restored point.", **ACTOR}),
            (26, "consumer.resumed", ("consumer", "wallet-balances"), {"reason": "The table is restored.", **ACTOR}),
            (25, "operation.changed", ("operation", "op-0"), {"to": "paused", "reason": "Too fast.", **ACTOR}),
            (24, "operation.changed", ("operation", "op-0"), {"to": "resumed", "reason": "The others are through.", **ACTOR}),
        ):
            fake.feed.publish(event_type, aggregate, payload, occurred_at=ago(hours=hours))
        publish_acts(fake)
        console = fake.feed.console
        counts = {"discarded": 0, "failed_again": 1, "handled": 17, "redriven": 20, "skipped": 0}
        chosen = {"selection": {"signature": "0123456789abcdef"}, "canary": True, "cap": 30, "begun_at": ago(minutes=2)}
        operation = console.operation("redrive", 30, reason="The template is corrected.", **chosen)
        operation["progress"].update(counts=counts, canary_passed=True, left=10, in_flight=2)
        letter, webhook = next(iter(console.letters)), next(iter(console.webhooks))
        self.log_in()
        for name, address, title, text, label in (
            ("consumers", "#/consumers", "Consumers", "running", "The page Consumers: what is paused and why, all consumers, their lanes"),
            ("letters", "#/letters", "Dead letters", "loan-9)", "The page Dead letters: filters, groups by cause with a note, letters"),
            ("letter", f"#/letters/{letter}", "Dead letter", "bytes", "One dead letter: its error, what consumers did, its history, its message"),
            ("operation", f"#/operations/{operation['operation_id']}", "Operation", "18 of 30", "An operation: a redrive of 30 letters, 18 of them done"),
            ("jobs", "#/jobs?job=webhook-sender", "Jobs", "a page was full", "The page Jobs: each job with its last run, and the runs of one"),
            ("webhook", f"#/webhooks/{webhook}", "Webhook", "no route", "A webhook: its settings, how far it has got, its deliveries"),
            ("credits", "#/credits", "Credits", "the node did not answer", "The page Credits: treasury, divergences of books and chain, alerts, jobs"),
            ("acts", "#/acts", "Who did what", "w-1", "The page Who did what: acts with who did them, by whose key, and why"),
        ):
            with self.subTest(name):
                self.go(address, title)
                self.until_text(text)
                self.check(DOCUMENTS / "console" / f"{name}.svg", label)

    def test_the_drawing_of_a_replay_shows_what_it_would_do(self) -> None:
        self.fake()
        self.log_in()
        query = "consumer=wallet-balances&aggregate=wallet_account/user-ada&types=wallet.deposited%20wallet.withdrawn"
        self.go(f"#/replay?{query}", "Replay")
        self.press_button("Preview…")
        self.until_text("120 events (counted in the event log)", "act")
        self.write("reason", "The row was deleted.")
        self.check(DOCUMENTS / "console" / "replay.svg", "The page Replay with the preview of a replay: how many events, how long, what it reads")
