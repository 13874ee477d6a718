"""The live page of the console in a real browser. The other pages: test_console.py, and test_deployed.py on a stack; the
drawings of them: test_drawings.py.

`make test-browser` (infra/local/browser.py) runs these tests: against a deployed stack if STREAM_URL is set, else against the
fake server beside this file. Screenshots are written to target/browser.
"""

from __future__ import annotations

import json
import threading
import time
import unittest
from typing import Any

from backends import Fake
from fake_stream import FILES, Server, policy
from page import HOSTILE, Page, until
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from test_console import Console
from test_deployed import Deployed
from test_drawings import Drawings

# unittest finds all of them here.
__all__ = ["Console", "Dashboard", "Deployed", "Drawings"]


class Dashboard(Page):
    """The live page, and what holds for every page: files, policy, key."""

    # --- the files ---

    def test_the_page_comes_with_its_policy_and_needs_nothing_beyond_it(self) -> None:
        source = "const done = arguments[0]; fetch(location.href).then((r) => done(r.headers.get('content-security-policy')))"
        self.assertEqual(self.driver.execute_async_script(source), policy(self.backend.stream))
        for path in FILES.iterdir():
            text = path.read_text()
            for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "://", " style=", " onclick="):
                self.assertFalse(word in text.replace("http://www.w3.org/2000/svg", ""), f"{path.name} has {word}")

    # --- the key ---

    def test_the_key_stays_in_the_tab_and_out_of_every_url(self) -> None:
        self.find("key").send_keys("not-a-key", Keys.ENTER)
        until("it is refused", lambda: "refused" in self.text("key-error"))
        self.assertFalse(self.find("board").is_displayed())
        self.find("key").send_keys(self.backend.key, Keys.ENTER)
        self.until_live()
        stores = self.script("return [Object.values(sessionStorage), Object.values(localStorage), document.cookie]")
        self.assertEqual(stores, [[self.backend.key], [], ""])
        urls = self.script("return [location.href, ...performance.getEntries().map((entry) => entry.name)]")
        self.assertFalse([url for url in urls if self.backend.key in url])
        self.driver.refresh()
        self.until_live()
        self.find("forget-key").click()
        until("it is asked for again", lambda: self.find("key").is_displayed())
        self.assertEqual(self.script("return sessionStorage.length"), 0)

    # --- events ---

    def test_live_events_appear_by_themselves(self) -> None:
        self.log_in()
        members = [self.backend.member(f"Member {number}") for number in range(3)]
        self.until_shown(*members)
        if isinstance(self.backend, Fake):
            self.assertEqual(self.shown_of(members), members[::-1], "newest first")
        until("they are counted", lambda: "received" in self.text("events-count"))
        until("they are measured", lambda: "0.0 now" not in self.text("rate-text"))
        until("their latency is shown", lambda: "–" not in self.texts("#latency tr")[2])

    def test_a_type_the_page_never_heard_of_is_shown(self) -> None:
        fake = self.fake()
        self.log_in()
        fake.feed.publish("novel.happened", ("novel", "n-1"), {"x": 1}, "low")
        until("it is shown", lambda: "novel/n-1 #1" in self.rows())

    def test_the_stream_is_read_however_it_is_cut_into_pieces(self) -> None:
        fake = self.fake()
        self.log_in()

        def envelope(name: str) -> bytes:
            event = {"event_id": name, "event_type": "odd.wire", "aggregate_type": "odd", "aggregate_id": name, "sequence": 1}
            return json.dumps(event, ensure_ascii=False).encode()

        fake.feed.raw(b": a comment\r\nid: 71\r\nevent: odd.wire\r", b"\ndata: " + envelope("crlf") + b"\r", b"\n\r\n")
        fake.feed.raw(b"id:72\revent:odd.wire\rdata:" + envelope("cr") + b"\r\r", b"retry: 10\n\n")
        half = envelope("gr\u00fc\u00df").index("\u00fc".encode()) + 1
        fake.feed.raw(b"data: " + envelope("gr\u00fc\u00df")[:half], envelope("gr\u00fc\u00df")[half:] + b"\n\n")
        lines = envelope("lines").replace(b", ", b",\ndata: ")
        fake.feed.raw(b"id: 73\ndata: " + lines + b"\nunknown: field\n\n")
        # A message without an empty line at its end was cut off, so it is not a message.
        fake.feed.raw(b"id: 99\ndata: " + envelope("cut") + b"\n")
        until("the last is shown", lambda: "odd/lines #1" in self.rows())
        self.assertEqual(self.rows(), [f"odd/{name} #1" for name in ("lines", "gr\u00fc\u00df", "cr", "crlf")])
        fake.wire.kill()
        until("it resumes after the last complete message", lambda: fake.feed.opened[-1] == "73")

    def test_a_cut_connection_resumes_without_gap_or_repetition(self) -> None:
        self.log_in()
        members = [self.backend.member("before")]
        self.until_shown(*members)
        self.backend.wire.cut()
        until("the loss is seen", lambda: self.text("connection-state") in ("resuming", "offline"))
        self.assertIn("since", self.text("connection-detail"))
        self.screenshot("resuming")
        members += [self.backend.member(f"meanwhile {number}") for number in range(5)]
        self.assertEqual(self.shown_of(members), members[:1])
        self.backend.wire.mend()
        self.until_live()
        self.until_shown(*members)
        self.assertIn("resumed after", self.text("connection-detail"))
        if isinstance(self.backend, Fake):
            self.assertIn("5 events caught up", self.text("connection-detail"))
        # Repeatedly, while events arrive.
        for _ in range(4):
            self.backend.wire.kill()
            members += [self.backend.member("under way") for _ in range(3)]
            self.until_shown(*members)
        shown = self.shown_of(members)
        self.assertEqual(sorted(shown), sorted(members), "each exactly once")
        if isinstance(self.backend, Fake):
            self.assertEqual(shown, members[::-1], "in the feed's order")
            self.assertEqual(self.backend.feed.opened[:2], [None, "1"])

    def test_a_stream_that_ends_as_planned_goes_on_unnoticed(self) -> None:
        fake = self.fake()
        self.log_in()
        members = [fake.member("before")]
        self.until_shown(*members)
        since = self.text("connection-detail")
        self.script(
            "window.states = [];"
            "new MutationObserver(() => window.states.push(document.getElementById('connection').dataset.state))"
            ".observe(document.getElementById('connection'), {attributes: true});"
        )
        for _ in range(3):
            connections = len(fake.feed.opened)
            fake.feed.end()
            members.append(fake.member("between two streams"))
            until("it connects again", lambda before=connections: len(fake.feed.opened) > before)
            self.until_shown(*members)
        self.assertEqual(fake.feed.opened[0], None)
        self.assertNotIn(None, fake.feed.opened[1:])
        self.assertEqual(self.shown_of(members), members[::-1], "each exactly once, in order")
        self.assertEqual((self.text("connection-state"), self.text("connection-detail")), ("live", since))
        self.assertEqual(set(self.script("return window.states")) - {"live"}, set(), "its reader hears nothing of it")

    def test_a_stream_of_another_origin_is_connected_to_and_no_other_origin_is(self) -> None:
        fake = self.fake()
        other = Server(fake.feed)
        self.addCleanup(other.stop)
        fake.feed.elsewhere = f"http://localhost:{other.port}"
        self.driver.refresh()  # the policy comes with the page
        self.log_in()
        member = fake.member("from elsewhere")
        self.until_shown(member)
        fake.feed.end()  # the browser lists a request when it has ended
        listed = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
        streams = until("it is listed", lambda: [name for name in self.script(listed) if "/events/stream?" in name])
        self.assertTrue(all(name.startswith(f"{fake.feed.elsewhere}/") for name in streams), streams)

    def test_the_same_event_twice_is_shown_once(self) -> None:
        fake = self.fake()
        self.log_in()
        event = fake.feed.publish("member.registered", ("member", "twice"), {}, "normal")
        fake.feed.publish("member.registered", ("member", "twice"), {}, "normal", event_id=event["event_id"], sequence=1)
        last = fake.member("after both")
        self.until_shown(last)
        self.assertEqual(self.shown_of(["twice"]), ["twice"])

    def test_what_the_stream_could_not_send_is_said(self) -> None:
        fake = self.fake()
        self.log_in()
        fake.feed.aside("gap", {"from": 12, "to": 15})
        until("the gap is reported", lambda: "Events 12 to 15" in self.text("notices"))
        connections = len(fake.feed.opened)
        fake.feed.aside("overrun", {})
        until("the overrun is reported", lambda: "continues where it was" in self.text("notices"))
        until("it connects again", lambda: len(fake.feed.opened) > connections)
        fake.feed.publish("member.registered", ("member", "broken"), {}, "normal", event_id=7)
        until("the invalid event is reported", lambda: "is not an event" in self.text("notices"))
        last = fake.member("and it goes on")
        self.until_shown(last)
        self.driver.find_element(By.CSS_SELECTOR, "#notices button").click()
        self.assertNotIn("is not an event", self.text("notices"))

    def test_a_server_that_stays_away_is_called_offline_and_tried_on(self) -> None:
        fake = self.fake()
        self.log_in()
        fake.server.broken["/api/v1/stream-tokens"] = 503
        fake.wire.kill()
        until("the stream is shown as offline", lambda: self.text("connection-state") == "offline")
        self.assertIn("503", self.text("connection-detail"))
        fake.server.broken.clear()
        until("a retry is offered", lambda: self.find("retry-now").is_displayed())
        self.find("retry-now").click()
        self.until_live()

    def test_a_pause_holds_the_list_and_loses_nothing(self) -> None:
        self.log_in()
        before = self.backend.member("before")
        self.until_shown(before)
        self.find("pause").click()
        members = [self.backend.member(f"paused {number}") for number in range(4)]
        until("they are counted", lambda: "events wait" in self.text("paused") and int(self.text("paused").split(": ")[1].split()[0]) >= 4)
        self.assertEqual(self.shown_of([before, *members]), [before])
        self.find("pause").click()
        self.until_shown(before, *members)
        self.assertEqual(sorted(self.shown_of(members)), sorted(members))
        self.assertFalse(self.find("paused").is_displayed())

    def test_a_pause_that_lasts_too_long_says_what_it_dropped(self) -> None:
        fake = self.fake()
        self.log_in()
        self.find("pause").click()
        for number in range(1100):
            fake.feed.publish("member.updated", ("member", "busy"), {"number": number})
        until("all have come", lambda: "the oldest 100 events were dropped" in self.text("paused"))
        self.find("pause").click()
        until("the dropped events are reported", lambda: "100 events that arrived during the pause are not shown" in self.text("notices"))
        until("the newest is on top", lambda: self.rows() and self.rows()[0] == "member/busy #1100")
        self.assertEqual(len(self.rows()), 200)
        self.assertIn("newest 1,000 kept", self.text("events-count"))

    def test_filters_narrow_the_list_by_text_type_and_aggregate(self) -> None:
        self.log_in()
        ada, bob = self.backend.member("Ada Filtered"), self.backend.member("Bob Filtered")
        settlement = self.backend.settlement()
        self.until_shown(ada, bob)
        until("the settlement is shown", lambda: any(settlement.id in row for row in self.rows()))
        self.find("filter-text").send_keys("ada filtered")
        until("by payload", lambda: self.rows() == [f"member/{ada} #1"])
        self.find("filter-clear").click()
        Select(self.find("filter-type")).select_by_value("settlement.*")
        until("by domain", lambda: self.rows() and all(row.startswith("settlement/") for row in self.rows()))
        Select(self.find("filter-type")).select_by_value("member.registered")
        self.find("filter-aggregate").send_keys(f"member/{bob}")
        until("by type and aggregate", lambda: self.rows() == [f"member/{bob} #1"])
        # New events pass the same filter.
        eve = self.backend.member("Eve Filtered")
        self.find("filter-aggregate").clear()
        self.find("filter-aggregate").send_keys("no such aggregate")
        until("none is left", lambda: "None of the kept events" in self.text("events-empty"))
        self.find("filter-clear").click()
        self.until_shown(ada, bob, eve)

    # --- settlements and consumers ---

    def test_a_settlements_bar_moves_to_its_end(self) -> None:
        self.log_in()
        settlement = self.backend.settlement()
        row = f"#settlements [data-settlement='{settlement.id}']"

        def bar() -> list[Any] | None:
            source = (
                "const row = document.querySelector(arguments[0]);"
                "return row && [row.dataset.status, row.querySelector('progress').value, row.querySelector('progress').max]"
            )
            return self.script(source, row)

        until("it is there", lambda: bar() == ["network_selected", 0, 3])
        settlement.submit()
        until("it is submitted", lambda: bar() == ["submitted", 0, 3])
        settlement.confirm(1)
        until("a third", lambda: bar() == ["confirming", 1, 3])
        self.assertIn("1 / 3", self.driver.find_element(By.CSS_SELECTOR, row).text)
        settlement.confirm(3)
        until("all of it", lambda: (bar() or [])[1:] == [3, 3])
        settlement.settle()
        until("it is settled", lambda: bar() == ["settled", 3, 3])

    def test_an_older_word_about_a_settlement_changes_nothing(self) -> None:
        fake = self.fake()
        self.log_in()

        def told(name: str, **payload: Any) -> None:
            fake.feed.publish(f"settlement.{name}", ("settlement", "s-1"), {"settlement_id": "s-1", "network": "base", **payload})

        told("confirmation_progress", confirmations=4, required=6, version=7)
        told("status_changed", from_status="submitted", to_status="confirming", transition=4, version=4)
        told("confirmation_progress", confirmations=2, required=6, version=5)
        told("network_selected", required_confirmations=6, transition=2, version=1)
        until("the newest state is shown", lambda: "4 / 6" in self.text("settlements") and "confirming" in self.text("settlements"))
        told("failed", error="no <b>gas</b>", version=8)
        told("status_changed", from_status="confirming", to_status="confirmed", transition=5, version=6)
        until("the final state is shown", lambda: "failed: no <b>gas</b>" in self.text("settlements"))

    def test_consumers_show_depth_oldest_and_letters(self) -> None:
        self.log_in()
        until("they are listed", lambda: "notifications" in self.texts("#consumers th"))
        if isinstance(self.backend, Fake):
            late = next(row for row in self.texts("#consumers tr") if row.startswith("notificationsstandard"))
            self.assertIn("1,240", late)
            self.assertIn("6 min", late)
            self.backend.feed.consumers[0]["depth"] = 4321
            until("the list is refreshed", lambda: "4,321" in self.text("consumers"), seconds=15)
            self.backend.server.broken["/api/v1/status"] = 503
            until("a failure is shown", lambda: "503" in self.text("consumers-error"), seconds=15)

    # --- one event ---

    def test_an_event_shows_its_envelope_its_history_and_who_handled_it(self) -> None:
        self.log_in()
        settlement = self.backend.settlement()
        until("its events are shown", lambda: sum(settlement.id in row for row in self.rows()) >= 2)
        found = next(b for b in self.driver.find_elements(By.CSS_SELECTOR, "#events .event") if settlement.id in b.text)
        found.click()
        until("the history is there", lambda: len(self.driver.find_elements(By.CSS_SELECTOR, "#history .event")) >= 2)
        self.assertIn(settlement.id, self.text("detail-payload"))
        self.assertIn("correlation_id", self.text("detail-facts"))
        until("who handled it is there", lambda: self.driver.find_elements(By.CSS_SELECTOR, "#handled tr"))
        self.assertEqual(len(self.driver.find_elements(By.CSS_SELECTOR, "#history [aria-current=true]")), 1)
        # Another event of the history replaces it in the panel.
        title = self.texts("#history .type")[0]
        self.driver.find_element(By.CSS_SELECTOR, "#history .event").click()
        until("it is shown", lambda: self.text("detail-title") == title)
        self.find("detail-close").click()
        self.assertFalse(self.find("detail").is_displayed())

    def test_a_long_history_is_paged(self) -> None:
        fake = self.fake()
        for number in range(60):
            fake.feed.publish("member.updated", ("member", "old"), {"number": number})
        self.log_in()
        fake.feed.publish("member.updated", ("member", "old"), {"number": 60})
        until("it is shown", lambda: self.rows() == ["member/old #61"])
        self.driver.find_element(By.CSS_SELECTOR, "#events .event").click()

        def history() -> list[str]:
            return self.texts("#history .aggregate")

        until("its end is there", lambda: history() and history()[-1].endswith("#61"))
        self.assertFalse(self.find("history-later").is_enabled())
        while self.find("history-earlier").is_enabled():
            first = history()[0]
            self.find("history-earlier").click()
            until("the page before", lambda first=first: history() and history()[0] != first)
        self.assertTrue(history()[0].endswith("#1"))
        self.assertTrue(self.find("history-later").is_enabled())

    def test_hostile_text_stays_text(self) -> None:
        self.log_in()
        members = [self.backend.member(text) for text in HOSTILE[:5]]
        self.until_shown(*members)
        if isinstance(self.backend, Fake):
            for text in HOSTILE:
                everywhere = {"producer": text, "metadata": {text: text}, "correlation_id": text, "occurred_at": text}
                self.backend.feed.publish(text, (text, text), {text: text}, text, **everywhere)
                self.backend.feed.publish(
                    "settlement.failed", ("settlement", text), {"settlement_id": text, "network": text, "error": text, "version": 1}
                )
            self.backend.feed.consumers.append({"consumer": HOSTILE[0], "lane": HOSTILE[1], "depth": 1, "in_flight": 0, "letters": 0, "oldest_seconds": None})
            self.backend.feed.aside("gap", {"from": HOSTILE[0], "to": HOSTILE[1]})
            until("the text is shown", lambda: any(HOSTILE[0] in row for row in self.rows()))
            until("in the notice too", lambda: HOSTILE[0] in self.text("notices"))
            until("and among the consumers", lambda: HOSTILE[0] in self.text("consumers"), seconds=15)
        for text, member in zip(HOSTILE, members, strict=False):
            row = next(b for b in self.driver.find_elements(By.CSS_SELECTOR, "#events .event") if member in b.text)
            self.script("arguments[0].click()", row)
            until("its payload is shown", lambda text=text: json_text(text) in self.text("detail-payload"))
            until("its history is shown", lambda: self.driver.find_elements(By.CSS_SELECTOR, "#history .event"))
            self.press(Keys.ESCAPE)
        turned = self.script("return /[\\u202a-\\u202e\\u2066-\\u2069]/.test(document.body.innerText)")
        self.assertFalse(turned, "no text changes the direction of other text")
        self.screenshot("hostile")
        made = self.script("return document.querySelectorAll('img, main script, main svg[onload], b, [onerror], main a').length")
        self.assertEqual(made, 0)
        self.assertEqual(self.script("return document.scripts.length"), 1)
        self.nothing_ran()

    # --- accessibility and keys ---

    def test_everything_is_reached_by_keyboard(self) -> None:
        self.press(*self.backend.key, Keys.ENTER)  # the key's field has the focus
        self.until_live()
        members = [self.backend.member(f"Key {number}") for number in range(3)]
        self.until_shown(*members)

        self.press("/")
        self.assertEqual(self.focused().get_attribute("id"), "filter-text")
        self.press("p", "/")
        self.assertEqual(self.focused().get_attribute("value"), "p/", "in a field, keys are text")
        self.press(Keys.ESCAPE)
        self.assertEqual(self.focused().get_attribute("value"), "")

        # Every stop in the order of the page, each with a visible focus. The list is a single stop.
        stops = []
        for _ in range(4):
            self.press(Keys.TAB)
            stop = self.focused()
            stops.append(stop.get_attribute("id") or stop.get_attribute("class"))
            self.assertNotEqual(stop.value_of_css_property("outline-style"), "none", stops)
        self.assertEqual(stops, ["filter-type", "filter-aggregate", "filter-clear", "event"])

        self.press(Keys.ARROW_DOWN)
        second = self.focused()
        self.assertEqual(second.text, self.driver.find_elements(By.CSS_SELECTOR, "#events .event")[1].text)
        opened = second.find_element(By.CSS_SELECTOR, ".aggregate").text
        # New rows appear above. The focus stays on its event.
        more = self.backend.member("while focused")
        self.until_shown(more)
        self.assertEqual(self.focused().find_element(By.CSS_SELECTOR, ".aggregate").text, opened)
        self.press(Keys.ENTER)
        until("it opens", lambda: self.find("detail").is_displayed())
        self.assertTrue(self.script("return document.getElementById('detail').contains(document.activeElement)"))
        self.press("p")
        self.press(Keys.ESCAPE)
        until("it closes", lambda: not self.find("detail").is_displayed())
        self.assertEqual(self.focused().find_element(By.CSS_SELECTOR, ".aggregate").text, opened)
        self.assertEqual(self.find("pause").get_attribute("aria-pressed"), "false", "p has no effect behind the dialog")

        self.press("p")
        until("it pauses", lambda: self.find("pause").get_attribute("aria-pressed") == "true")
        self.press("p")
        until("it continues", lambda: self.find("pause").get_attribute("aria-pressed") == "false")
        self.find("shortcuts").click()
        self.press("p")
        self.assertEqual(self.find("pause").get_attribute("aria-pressed"), "false", "shortcuts can be switched off")
        self.press(Keys.SHIFT, Keys.TAB)

    def test_it_reads_well_in_light_and_dark(self) -> None:
        self.accessible("the form")
        self.screenshot("form")
        self.log_in()
        if isinstance(self.backend, Fake):
            self.fill(self.backend, 6)
        else:
            settlement = self.backend.settlement()
            settlement.submit()
            settlement.confirm(2)
        until("events are shown", lambda: len(self.rows()) > 1)
        grounds = set()
        for scheme in ("light", "dark"):
            self.media(scheme, "reduce")
            grounds.add(self.script("return getComputedStyle(document.documentElement).backgroundColor"))
            self.screenshot(scheme)
            self.accessible(f"the board, {scheme}")
            self.find("pause").click()
            self.driver.find_elements(By.CSS_SELECTOR, "#events .event")[0].click()
            until("who handled it is there", lambda: self.driver.find_elements(By.CSS_SELECTOR, "#handled tr"))
            until("its history is there", lambda: self.driver.find_elements(By.CSS_SELECTOR, "#history .event"))
            self.screenshot(f"{scheme}-event")
            self.accessible(f"one event, {scheme}")
            self.press(Keys.ESCAPE)
            self.find("pause").click()
        self.assertEqual(len(grounds), 2)
        self.media("light")
        self.driver.set_window_size(500, 1000)
        self.screenshot("narrow")
        self.accessible("the board, narrow")
        overflow = self.script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
        self.assertEqual(overflow, 0, "nothing is wider than the page")

    def test_less_motion_is_respected(self) -> None:
        self.media(motion="reduce")
        self.log_in()
        self.until_shown(self.backend.member("still"))
        style = "return getComputedStyle(document.querySelector('#events li')).animationName"
        self.assertEqual(self.script(style), "none")
        self.media()
        self.assertEqual(self.script(style), "arrive")

    def fill(self, fake: Fake, seconds: float) -> None:
        """Publishes events for a while."""
        ended = time.monotonic() + seconds

        def busy() -> None:
            while time.monotonic() < ended:
                fake.demo.step()
                time.sleep(0.02 + 0.06 * abs((time.monotonic() * 0.7) % 2 - 1))

        thread = threading.Thread(target=busy)
        thread.start()
        thread.join()


def json_text(text: str) -> str:
    """The text as JSON.stringify writes it, without the quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


if __name__ == "__main__":
    unittest.main(verbosity=2)
