"""The operators' pages of the console in a real browser, against the fake server: its data is needed, also where a stack runs."""

from __future__ import annotations

from typing import Any

from backends import Fake
from page import DEADLINE_SECONDS, HOSTILE, Page, until
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

ACTOR = {"actor": "ada", "key_owner": "oncall", "version": 1}


def publish_acts(fake: Fake) -> None:
    """Acts of operators, and what the reconciliation found."""
    publish = fake.feed.publish
    publish(
        "operation.begun",
        ("operation", "op-1"),
        {"operation_id": "op-1", "act": "redrive", "count": 3, "reason": "The template is corrected.", **ACTOR},
    )
    publish("consumer.paused", ("consumer", "notifications"), {"consumer": "notifications", "reason": "It mails everybody twice.", **ACTOR})
    publish("webhook.created", ("webhook", "w-1"), {"webhook_id": "w-1", "settings": {}, **ACTOR})
    found = {"database_balance": 10, "onchain_balance": "9.5", "difference": "0.5", "difference_usd": "5.00", "version": 1}
    publish("cloud.sync_diverged", ("chain_account", "m-1"), {"member_id": "m-1", "member_name": "Ada", **found})
    low = {"backing_percent": 91.62, "total_cloud_outstanding": 1200.5, "mercury_balance": 11000, "shortfall": 1005}
    publish("alert.treasury_backing_low", ("alert", "treasury_backing"), low, "critical")


class ConsolePage(Page):
    """Goes to the console's pages by their addresses, and works on them."""

    # --- helpers of the tests ---

    def go(self, address: str, title: str) -> None:
        self.script("location.hash = arguments[0]", address)
        self.at(title)

    def at(self, title: str) -> None:
        """Waits until the page with this title is shown and has the focus."""
        until(f"the page is {title}", lambda: self.text("title").startswith(title))

    def address(self) -> str:
        return str(self.script("return location.hash"))

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def until_text(self, text: str, where: str = "page", seconds: float = DEADLINE_SECONDS) -> None:
        until(f"{where} shows {text}", lambda: text in self.text(where), seconds)

    def press_button(self, name: str, where: str = "#page") -> None:
        """Presses the button with this text or label."""
        look = (
            "return [...document.querySelectorAll(arguments[0] + ' button')]"
            ".find((b) => !b.disabled && (b.textContent === arguments[1] || b.getAttribute('aria-label') === arguments[1]))"
        )

        def pressed() -> bool:
            found = self.script(look, where, name)
            try:
                if found:
                    found.click()
            except StaleElementReferenceException:
                return False  # the row was drawn again in between
            return found is not None

        until(f"there is a button {name}", pressed)

    def write(self, name: str, text: str, where: str = "#act") -> None:
        control = until(f"there is a field {name}", lambda: self.all(f"{where} [name={name}]"))[0]
        control.clear()
        control.send_keys(text)


class Console(ConsolePage):
    """Each test logs in to the fake server."""

    def console(self, address: str = "#/letters", title: str = "Dead letters") -> Fake:
        """The fake server, with the page at this address."""
        fake = self.fake()
        self.log_in()
        self.go(address, title)
        return fake

    def posts(self, fake: Fake, path: str, method: str = "POST") -> list[tuple[str, str, str | None, Any]]:
        """The requests to a path that were no preview."""
        return [one for one in fake.feed.console.requests if one[:2] == (method, f"/api/v1/{path}") and not (one[3] or {}).get("preview")]

    def reads(self, fake: Fake, path: str) -> int:
        return sum(one[:2] == ("GET", f"/api/v1/{path}") for one in fake.feed.console.requests)

    # --- every page ---

    def test_every_page_reads_well_wide_and_narrow(self) -> None:
        fake = self.fake()
        publish_acts(fake)
        console = fake.feed.console
        operation = console.operation("redrive", 8, selection={"consumer": "notifications"}, canary=True)
        operation["progress"].update(left=3, in_flight=1)
        letter, webhook = next(iter(console.letters)), next(iter(console.webhooks))
        self.log_in()
        pages = {
            "consumers": ("#/consumers", "Consumers", "It mails everybody twice."),
            "letters": ("#/letters", "Dead letters", "template loan_funded"),
            "letter": (f"#/letters/{letter}", "Dead letter", "audit-log"),
            "edit": (f"#/letters/{letter}/edit", "Edit dead letter", "Replace the message"),
            "operations": ("#/operations", "Operations", "redrive"),
            "operation": (f"#/operations/{operation['operation_id']}", "Operation", "4 of 8"),
            "replay": ("#/replay", "Replay", "before the consumer began"),
            "jobs": ("#/jobs?job=webhook-sender", "Jobs", "a page was full"),
            "webhooks": ("#/webhooks", "Webhooks", "partner-1"),
            "webhook": (f"#/webhooks/{webhook}", "Webhook", "38 of 40"),
            "contracts": ("#/contracts", "Contracts", "erp.stock_counted"),
            "contract": ("#/contracts/loan.funded/v1", "loan.funded", '"loan_id": "l-1"'),
            "credits": ("#/credits", "Credits", "91.62 %"),
            "acts": ("#/acts", "Who did what", "The template is corrected."),
            "events": ("#/events", "Recent events", "cloud.sync_diverged"),
            "event": (f"#/events/{fake.feed.events[0]['event_id']}", "Event", "waiting"),
            "history": ("#/history?aggregate=operation/op-1", "History", "operation.begun"),
            "nowhere": ("#/no/such", "There is no such page", "leads nowhere"),
        }
        self.media("light", "reduce")
        for width in (1440, 400):
            self.driver.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride", {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
            )
            self.addCleanup(self.driver.execute_cdp_cmd, "Emulation.clearDeviceMetricsOverride", {})
            for name, (address, title, text) in pages.items():
                self.go(address, title)
                self.until_text(text)
                self.assertEqual(self.focused().get_attribute("id"), "title", f"{name}: the focus goes to the heading")
                if width == 1440:
                    self.screenshot(f"console-{name}")
                elif name == "letters":
                    self.screenshot("console-letters-narrow")
                overflow = self.script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
                self.assertLessEqual(overflow, 0, f"{name} at {width}: nothing is wider than the page")
                self.accessible(f"{name} at {width}")
                levels = self.script(
                    "return [...document.querySelectorAll('h1, h2, h3')].filter((h) => h.checkVisibility()).map((h) => Number(h.localName[1]))"
                )
                self.assertTrue(
                    levels[0] == 1 and levels.count(1) == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False)), (name, levels)
                )
                current = self.texts("#nav [aria-current=page]")
                self.assertEqual(len(current), 0 if address.split("?")[0].split("/")[1] in ("events", "history", "no") else 1, name)
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.media("dark", "reduce")
        self.go("#/letters", "Dead letters")
        self.until_text("template loan_funded")
        self.accessible("letters, dark")
        self.screenshot("console-letters-dark")
        self.press_button("Redrive group 0123456789abcdef")
        self.until_text("30 letters", "act")
        self.accessible("a dialog, dark")
        self.screenshot("console-redrive-dark")

    def test_each_page_names_the_scope_that_its_key_lacks(self) -> None:
        fake = self.fake()
        lacking = {
            "consumers": "consumers:read",
            "status": "status:read",
            "letters": "letters:read",
            "jobs": "jobs:read",
            "webhooks": "webhooks:read",
            "contracts": "contracts:read",
            "cloud": "cloud:read",
            "events": "events:read",
        }
        fake.feed.console.lacking = {f"/api/v1/{start}": scope for start, scope in lacking.items()}
        self.log_in()
        for address, title, scopes in (
            ("#/consumers", "Consumers", ["consumers:read", "status:read"]),
            ("#/letters", "Dead letters", ["letters:read"]),
            ("#/operations", "Operations", ["letters:read"]),
            ("#/jobs", "Jobs", ["jobs:read"]),
            ("#/webhooks", "Webhooks", ["webhooks:read"]),
            ("#/contracts", "Contracts", ["contracts:read"]),
            ("#/credits", "Credits", ["cloud:read", "events:read", "jobs:read"]),
            ("#/acts", "Who did what", ["events:read"]),
        ):
            self.go(address, title)
            for scope in scopes:
                self.until_text(f"403: this key lacks a scope (this needs the scope {scope})")
        self.go("#/live", "Live")
        until("the live page names it, too", lambda: "status:read" in self.text("consumers-error"))

    def test_a_key_without_events_has_the_other_pages(self) -> None:
        fake = self.fake()
        fake.server.broken["/api/v1/stream-tokens"] = 403
        self.find("key").send_keys(fake.key, Keys.ENTER)
        until("the live page says why", lambda: "403: this key lacks a scope" in self.text("live-error"))
        self.assertEqual(self.text("connection-state"), "no stream")
        self.go("#/letters", "Dead letters")
        until("the letters are there", lambda: len(self.all("#letters tr")) == 25)

    def test_a_busy_service_is_asked_again_by_itself(self) -> None:
        fake = self.console("#/webhooks", "Webhooks")
        self.until_text("partner-1")
        fake.server.broken["/api/v1/letters"] = 503
        self.go("#/letters", "Dead letters")
        self.until_text("It is read again in")
        fake.server.broken.clear()
        until("the letters are read", lambda: len(self.all("#letters tr")) == 25)
        self.assertNotIn("503", self.text("page"))

    def test_nothing_is_read_while_the_tab_is_hidden(self) -> None:
        fake = self.console("#/operations", "Operations")
        self.until_text("There is no operation")
        hide = "Object.defineProperty(document, 'hidden', {configurable: true, get: () => arguments[0]}); document.dispatchEvent(new Event('visibilitychange'))"
        self.script(hide.replace("arguments[0]", "true"))
        before = self.reads(fake, "letters/operations")
        fake.feed.console.operation("redrive", 8)
        self.driver.execute_async_script("setTimeout(arguments[0], 6500)")
        self.assertEqual(self.reads(fake, "letters/operations"), before)
        self.script(hide.replace("arguments[0]", "false"))
        self.until_text("0 of 8")

    # --- addresses ---

    def test_the_address_has_what_is_shown(self) -> None:
        self.console()
        until("a page is shown", lambda: len(self.all("#letters tr")) == 25)
        self.driver.find_element(By.LINK_TEXT, "Next page").click()
        until("the next page is shown", lambda: len(self.all("#letters tr")) == 6)
        self.assertIn("cursor=25", self.address())
        self.driver.refresh()
        until("also after a reload", lambda: len(self.all("#letters tr")) == 6)
        self.driver.back()
        until("back leads to the first", lambda: len(self.all("#letters tr")) == 25)
        self.write("consumer", "analytics", "#page")
        self.press(Keys.ENTER)
        until("the filter holds", lambda: len(self.all("#letters tr")) == 1)
        self.assertEqual(self.address(), "#/letters?consumer=analytics")
        self.assertEqual(self.focused().get_attribute("name"), "consumer", "the focus stays in the form")
        self.all("#letters a")[0].click()
        self.at("Dead letter")
        self.until_text("no event")
        self.driver.back()
        self.at("Dead letters")
        until("the filter is back", lambda: len(self.all("#letters tr")) == 1)
        self.assertEqual(self.all("[name=consumer]")[0].get_attribute("value"), "analytics")
        self.driver.back()
        until("and the list without it", lambda: len(self.all("#letters tr")) == 25)
        self.assertEqual(self.all("[name=consumer]")[0].get_attribute("value"), "")
        self.driver.forward()
        until("forward, too", lambda: len(self.all("#letters tr")) == 1)

    def test_the_live_page_has_its_filters_and_event_in_the_address(self) -> None:
        fake = self.fake()
        self.log_in()
        member = fake.member("Addressed")
        self.until_shown(member)
        self.find("filter-aggregate").send_keys(member)
        self.all("#events .event")[0].click()
        until("it opens", lambda: self.find("detail").is_displayed())
        self.assertEqual(self.address(), f"#/live?aggregate={member}&event={fake.feed.events[-1]['event_id']}")
        self.driver.refresh()
        until("the event is shown again", lambda: self.find("detail").is_displayed() and "Addressed" in self.text("detail-payload"))
        self.press(Keys.ESCAPE)
        until("it closes", lambda: not self.find("detail").is_displayed())
        self.assertEqual(self.find("filter-aggregate").get_attribute("value"), member)
        until("the address follows", lambda: self.address() == f"#/live?aggregate={member}")

    # --- dead letters ---

    def test_selecting_a_letter_stops_the_refresh_and_says_so(self) -> None:
        fake = self.console()
        box = until("there are letters", lambda: self.all("#letters [type=checkbox]"))[1]
        box.click()
        self.until_text("1 row is selected. The list is not refreshed")
        before = self.reads(fake, "letters")
        # Longer than the pause between two reads.
        self.driver.execute_async_script("setTimeout(arguments[0], 11000)")
        self.assertEqual(self.reads(fake, "letters"), before)
        self.press_button("Redrive the selected…")
        self.until_text("1 letter", "act")
        self.write("reason", "mended")
        self.press_button("Redrive 1 letter", "#act")
        self.at("Operation")
        self.assertEqual(self.posts(fake, "letters/operations")[0][3]["letters"], [list(fake.feed.console.letters)[1]])
        self.driver.back()
        self.at("Dead letters")
        until("nothing is selected any more", lambda: self.all("#letters tr") and not self.all("#letters :checked"))

    def test_a_group_is_redriven_once_although_an_answer_was_lost(self) -> None:
        fake = self.console()
        console = fake.feed.console
        self.press_button("Redrive group 0123456789abcdef")
        self.until_text("30 letters", "act")
        self.until_text("and 25 more", "act")
        self.assertEqual(self.all("#act [name=cap]")[0].get_attribute("value"), "30", "no more than was shown")
        self.write("reason", "The template is corrected.")
        self.write("rate", "5")
        self.all("#act [name=canary]")[0].click()
        console.lost.add("/api/v1/letters/operations")
        self.press_button("Redrive 30 letters", "#act")
        self.until_text("Whether it was done is not known", "act")
        self.assertEqual(len(console.operations), 1, "it was done")
        self.press_button("Redrive 30 letters", "#act")
        self.at("Operation")
        self.until_text("0 of 30")
        self.assertEqual(self.address(), f"#/operations/{console.operations[0]['operation_id']}")
        self.assertEqual(len(console.operations), 1, "and not done twice")
        first, second = self.posts(fake, "letters/operations")
        self.assertEqual(first, second, "the same key and the same body")
        self.assertEqual(
            first[3],
            {
                "act": "redrive",
                "reason": "The template is corrected.",
                "filter": {"signature": "0123456789abcdef"},
                "cap": 30,
                "rate_per_second": 5,
                "canary": True,
            },
        )
        # The operation is watched, and can be changed.
        console.operations[0]["progress"].update(left=10, in_flight=2)
        self.until_text("18 of 30")
        self.press_button("Pause…")
        self.write("reason", "too fast")
        self.press_button("Pause it", "#act")
        self.until_text("redrive: paused")
        self.press_button("Cancel…")
        self.write("reason", "enough")
        self.press_button("Cancel it", "#act")
        self.until_text("redrive: cancelled")
        self.assertEqual(console.operations[0]["status_reason"], "enough")

    def test_a_filter_is_discarded_as_it_was_shown(self) -> None:
        fake = self.console("#/letters?consumer=analytics&from=2026-04-01&aggregate=loan%2Fa%2Fb", "Dead letters")
        self.until_text("No letter fits")
        self.press_button("Discard all that fit…")
        self.until_text("No unresolved letter fits", "act")
        self.press(Keys.ESCAPE)
        self.go("#/letters?consumer=analytics&from=2026-04-01", "Dead letters")
        until("the letter is shown", lambda: len(self.all("#letters tr")) == 1)
        self.press_button("Discard all that fit…")
        self.until_text("1 letter", "act")
        self.write("reason", "junk")
        self.press_button("Discard 1 letter", "#act")
        self.at("Operation")
        sent = self.posts(fake, "letters/operations")[0][3]
        self.assertEqual(sent["filter"], {"consumer": "analytics", "from": "2026-04-01T00:00:00.000Z"})

    def test_an_edit_shows_the_violations_with_their_places(self) -> None:
        fake = self.fake()
        odd = next(one for one in fake.feed.console.letters.values() if one["event_id"] is None)["letter_id"]
        self.log_in()
        self.go(f"#/letters/{odd}", "Dead letter")
        self.until_text("no event")
        self.driver.find_element(By.LINK_TEXT, "Edit the message").click()
        self.at("Edit dead letter")
        until("the message is there", lambda: "broken" in str(self.script("return document.querySelector('[name=message]').value")))
        self.press_button("Replace the message…")
        self.until_text("This is not JSON")
        self.write("message", '{"event_type": "loan.funded", "event_version": "v1", "payload": {}}', "#page")
        self.press_button("Replace the message…")
        self.until_text("/event_id is missing", "act")
        self.write("reason", "the id was lost")
        self.press_button("Replace", "#act")
        self.until_text("/message/event_id is missing", "act")
        self.press(Keys.ESCAPE)
        self.write("message", '{"event_type": "loan.funded", "event_version": "v1", "payload": {}, "event_id": "e"}', "#page")
        self.press_button("Replace the message…")
        self.until_text("It satisfies its contract", "act")
        self.write("reason", "the id was lost")
        self.press_button("Replace", "#act")
        self.at("Dead letter")

    def test_a_note_is_written_about_a_group(self) -> None:
        fake = self.console()
        self.press_button("Note about group fedcba9876543210")
        self.write("note", "The partner knows.")
        self.press_button("Write", "#act")
        self.until_text("The partner knows. (oncall")
        self.assertIn("fedcba9876543210", fake.feed.console.notes)

    # --- consumers, replay, jobs ---

    def test_a_consumer_is_paused_and_resumed_with_a_reason(self) -> None:
        fake = self.console("#/consumers", "Consumers")
        self.until_text("5 h old")
        self.press_button("Pause analytics")
        self.until_text("standard: 14 events wait", "act")
        self.press_button("Pause", "#act")
        self.assertEqual(self.posts(fake, "consumers/analytics/pause"), [], "without a reason nothing is done")
        self.write("reason", "It counts twice.")
        self.press_button("Pause", "#act")
        self.until_text("Lambda has accepted it", "act")
        self.press_button("Close", "#act")
        self.until_text("It counts twice.")
        self.press_button("Resume analytics")
        self.write("reason", "mended")
        self.press_button("Resume", "#act")
        self.until_text("Lambda has accepted it", "act")
        self.press_button("Close", "#act")
        until("it is no longer paused", lambda: "It counts twice." not in self.text("page"))

    def test_an_act_waits_for_a_busy_service(self) -> None:
        fake = self.console("#/consumers", "Consumers")
        path = "/api/v1/consumers/analytics/pause"
        fake.server.broken[path] = 503
        self.press_button("Pause analytics")
        self.write("reason", "It counts twice.")
        self.press_button("Pause", "#act")
        self.until_text("The same request is sent again in", "act")
        self.press(Keys.ESCAPE)
        self.assertTrue(self.find("act").is_displayed(), "the dialog waits for the answer")
        fake.server.broken.clear()
        self.until_text("Lambda has accepted it", "act")
        self.assertEqual(len(self.posts(fake, path.removeprefix("/api/v1/"))), 1)

    def test_a_replay_is_previewed_begun_and_watched(self) -> None:
        fake = self.console("#/replay", "Replay")
        self.write("consumer", "wallet-balances", "#page")
        self.press_button("Preview…")
        self.until_text("Choose an aggregate")
        self.write("aggregate", "wallet_account/user-ada", "#page")
        self.write("types", "wallet.deposited, wallet.withdrawn", "#page")
        self.press_button("Preview…")
        self.until_text("120 events (counted in the event log)", "act")
        self.until_text("12 s", "act")
        self.until_text("110 read units", "act")
        self.write("reason", "the row was deleted")
        self.press_button("Begin the replay", "#act")
        self.at("Operation")
        self.until_text("events to wallet-balances")
        self.assertEqual(
            self.posts(fake, "replays")[0][3],
            {
                "consumer": "wallet-balances",
                "aggregate_type": "wallet_account",
                "aggregate_id": "user-ada",
                "event_types": ["wallet.deposited", "wallet.withdrawn"],
                "reason": "the row was deleted",
            },
        )
        self.driver.back()
        self.at("Replay")
        self.assertEqual(self.all("[name=aggregate]")[0].get_attribute("value"), "wallet_account/user-ada")

    def test_what_is_pending_is_published_after_a_look_at_what_it_costs(self) -> None:
        fake = self.console("#/replay", "Replay")
        self.press_button("Publish what is pending…")
        self.until_text("600 rows", "act")
        self.until_text("110 read units", "act")
        self.accessible("publishing what is pending")
        self.press_button("Publish them", "#act")
        self.assertEqual(self.posts(fake, "letters/operations/republish"), [], "without a reason nothing is done")
        self.write("reason", "the stream was off")
        self.press_button("Publish them", "#act")
        self.at("Operation")
        self.until_text("pending events, committed by")
        self.assertEqual(
            self.posts(fake, "letters/operations/republish")[0][3], {"include_failed": False, "reason": "the stream was off"}
        )

    def test_what_a_stack_does_not_serve_is_said(self) -> None:
        fake = self.fake()
        fake.feed.console.jobs = None
        fake.feed.console.treasury = None
        self.log_in()
        self.go("#/jobs", "Jobs")
        self.until_text("This stack does not serve the list of jobs")
        self.go("#/credits", "Credits")
        self.until_text("The cloud domain is not deployed")
        self.until_text("This stack does not serve the list of jobs")

    # --- webhooks ---

    def test_a_rotated_secret_is_shown_once(self) -> None:
        fake = self.fake()
        webhook = next(iter(fake.feed.console.webhooks))
        self.log_in()
        self.go(f"#/webhooks/{webhook}", "Webhook")
        self.press_button("Rotate the secret…")
        self.press_button("Rotate", "#act")
        self.until_text("whsec_c2VjcmV0LW9mLXRoZS10ZXN0", "act")
        self.accessible("the secret")
        self.press_button("Close", "#act")
        until("it closes", lambda: not self.find("act").is_displayed())
        everywhere = (
            "return document.documentElement.outerHTML + JSON.stringify([{...sessionStorage}, {...localStorage}, location.href, history.state])"
        )
        until("it is gone", lambda: "whsec_" not in self.script(everywhere))

    def test_a_webhook_is_set_up_disabled_sent_to_again_and_removed(self) -> None:
        fake = self.console("#/webhooks", "Webhooks")
        console = fake.feed.console
        self.press_button("Set up a webhook…")
        self.write("url", "https://new.example")
        self.write("domains", "loan wallet")
        self.press_button("Set up", "#act")
        self.until_text("whsec_new", "act")
        self.driver.find_element(By.LINK_TEXT, "To the webhook").click()
        self.at("Webhook")
        self.assertFalse(self.find("act").is_displayed())
        self.until_text("https://new.example")
        self.assertEqual(self.posts(fake, "webhooks")[0][3], {"url": "https://new.example", "domains": ["loan", "wallet"]})
        made = list(console.webhooks)[-1]
        Select(until("the filter is there", lambda: self.all("[name=outcome]"))[0]).select_by_value("given_up")
        until("only those are shown", lambda: self.address().endswith("?outcome=given_up") and set(self.texts("td .badge")) == {"given up"})
        until("one can be selected", lambda: self.all("tbody [type=checkbox]"))[0].click()
        self.press_button("Send the selected once more…")
        self.press_button("Send", "#act")
        self.until_text("1 event is sent soon", "act")
        self.press_button("Close", "#act")
        self.press_button("Disable…")
        self.write("reason", "it moves")
        self.press_button("Disable", "#act")
        self.until_text("it moves")
        self.press_button("Enable…")
        self.press_button("Enable", "#act")
        until("it is enabled", lambda: console.webhooks[made]["status"] == "enabled")
        self.press_button("Remove…")
        self.press_button("Remove", "#act")
        self.at("Webhooks")
        self.assertNotIn(made, console.webhooks)

    def test_a_webhook_is_changed_and_only_what_differs_is_sent(self) -> None:
        fake = self.fake()
        console = fake.feed.console
        webhook = next(iter(console.webhooks))
        path = f"webhooks/{webhook}"
        selection = {"domains": ["loan", "wallet"], "tenant_id": "t-1", "aggregate_type": "loan", "aggregate_id": "loan/1"}
        console.webhooks[webhook].update(selection=selection, description="the\nledger")
        self.log_in()
        self.go(f"#/{path}", "Webhook")

        def sent(**fields: str) -> list[Any]:
            """Opens the dialog, writes these fields, and sends it. The bodies of all changes so far."""
            self.press_button("Change…")
            for name, text in fields.items():
                self.write(name, text)
            self.press_button("Change", "#act")
            until("it is done", lambda: not self.find("act").is_displayed())
            return [one[3] for one in self.posts(fake, path, "PATCH")]

        self.press_button("Change…")
        self.until_text("Now at https://partner-1.example.", "act")
        held = "return Object.fromEntries([...document.querySelectorAll('#act [name]')].map((c) => [c.name, c.type === 'checkbox' ? c.checked : c.value]))"
        now = {"domains": "loan wallet", "types": "", "tenant": "t-1", "aggregate": "loan/loan/1", "member": "", "in_order": False}
        self.assertEqual(self.script(held), {"url": "", "description": "theledger", **now, "reason": ""})
        self.accessible("changing a webhook")
        # The same events in another order are the same.
        self.write("domains", "wallet, loan")
        self.press_button("Change", "#act")
        self.until_text("Nothing is changed", "act")
        self.write("description", "")
        self.press_button("Change", "#act")
        self.until_text("can be replaced, but not removed", "act")
        self.assertEqual(self.posts(fake, path, "PATCH"), [], "nothing was asked")
        self.write("description", "the books")
        self.write("domains", "loan")
        self.write("types", "wallet.deposited")
        self.all("#act [name=in_order]")[0].click()
        self.write("reason", "less is needed")
        self.press_button("Change", "#act")
        until("it is done", lambda: not self.find("act").is_displayed())
        self.until_text("the books")
        self.until_text("loan: all, wallet.deposited; tenant t-1; about loan/loan/1")
        self.until_text("one after the other")
        changed = {"description": "the books", "in_order": True, "reason": "less is needed"}
        chosen = {**selection, "domains": ["loan"], "event_types": ["wallet.deposited"]}
        self.assertEqual([one[3] for one in self.posts(fake, path, "PATCH")], [{**changed, **chosen}])
        # A URL alone leaves the rest, and a selection without any field is one of every event.
        self.assertEqual(sent(url="https://elsewhere.example/in?key=1")[1:], [{"url": "https://elsewhere.example/in?key=1"}])
        self.until_text("https://elsewhere.example")
        self.assertEqual(sent(domains="", types="", tenant="", aggregate="")[2:], [{"event_types": []}])
        self.until_text("every event")
        self.press_button("Disable…")
        self.until_text("Disable https://elsewhere.example", "act")

    def test_an_act_keeps_its_key_when_its_dialog_is_opened_anew(self) -> None:
        fake = self.fake()
        webhook = next(iter(fake.feed.console.webhooks))
        path = f"webhooks/{webhook}/redeliver"
        event = fake.feed.console.deliveries[0]["event_id"]
        self.log_in()
        self.go(f"#/webhooks/{webhook}", "Webhook")
        fake.feed.console.lost.add(f"/api/v1/{path}")
        for answer in ("Whether it was done is not known", "1 event is sent soon"):
            self.press_button("Send events once more…")
            self.write("ids", event)
            self.press_button("Send", "#act")
            self.until_text(answer, "act")
            self.press(Keys.ESCAPE)
            until("it closes", lambda: not self.find("act").is_displayed())
        first, second = self.posts(fake, path)
        self.assertEqual(first, second)
        # Answered: the same act once more is another one.
        self.press_button("Send events once more…")
        self.write("ids", event)
        self.press_button("Send", "#act")
        self.until_text("1 event is sent soon", "act")
        self.assertNotEqual(self.posts(fake, path)[2][2], first[2])

    # --- contracts, acts ---

    def test_an_event_is_checked_against_its_contract(self) -> None:
        self.console("#/contracts?q=stock", "Contracts")
        self.until_text("1 contract")
        self.driver.find_element(By.LINK_TEXT, "erp.stock_counted").click()
        self.at("erp.stock_counted")
        self.write("event", '{"event_id": "e"}', "#page")
        self.press_button("Check")
        self.until_text("/payload is missing")
        self.write("event", '{"event_id": "e", "payload": {}}', "#page")
        self.press_button("Check")
        self.until_text("It satisfies its contract")

    def test_the_acts_of_operators_are_listed_with_who_and_why(self) -> None:
        fake = self.fake()
        publish_acts(fake)
        self.log_in()
        self.go("#/acts", "Who did what")
        until("all kinds are there", lambda: len(self.all("#page tbody tr")) == 3)
        self.assertIn("ada", self.text("page"))
        self.assertIn("oncall", self.text("page"))
        Select(self.all("[name=what]")[0]).select_by_value("consumer")
        until("one kind is chosen", lambda: len(self.all("#page tbody tr")) == 1)
        self.driver.find_element(By.LINK_TEXT, "event").click()
        self.at("Event")
        self.until_text("It mails everybody twice.")

    # --- text, keys ---

    def test_hostile_text_of_letters_and_webhooks_stays_text(self) -> None:
        fake = self.fake()
        console = fake.feed.console
        for at, (one, text) in enumerate(zip(console.letters.values(), HOSTILE, strict=False)):
            one.update(
                consumer=text, event_type=text, aggregate=f"{text}#{text}", error=text, reason=text, signature=text, signature_id=text, tenant_id=text
            )
            one["history"] = [{"at": "2026-04-01T00:00:00.000Z", "what": "parked", "error": text}]
            console.notes[text] = {"note": text, "by": text, "at": "2026-04-01T00:00:00.000Z"}
            console.deliveries[at].update(event_type=text, detail=text)
        for one in console.webhooks.values():
            one.update(origin=HOSTILE[0], description=HOSTILE[2], reason=HOSTILE[5], selection={"tenant_id": HOSTILE[1]})
        console.jobs = (
            [{**console.jobs[1], "job": HOSTILE[0], "runs": [{**console.jobs[1]["runs"][0], "notes": HOSTILE, "error": HOSTILE[1]}]}]
            if console.jobs
            else None
        )
        console.paused["notifications"].update(reason=HOSTILE[0], actor=HOSTILE[5], key_owner=HOSTILE[1])
        console.operation("redrive", 1, reason=HOSTILE[0], actor=HOSTILE[1], status_reason=HOSTILE[5], selection={"q": HOSTILE[2]})
        act = {"operation_id": "op-1", "act": HOSTILE[0], "reason": HOSTILE[2], "actor": HOSTILE[1], "key_owner": HOSTILE[5]}
        event = fake.feed.publish("operation.begun", ("operation", HOSTILE[0]), act, metadata={HOSTILE[0]: HOSTILE[1]}, producer=HOSTILE[5])
        # The fake checks forms; hostile text has none of them.
        console.is_strict = False
        self.log_in()
        letter, webhook = next(iter(console.letters)), next(iter(console.webhooks))
        for address, title in (
            ("#/letters", "Dead letters"),
            (f"#/letters/{letter}", "Dead letter"),
            ("#/webhooks", "Webhooks"),
            (f"#/webhooks/{webhook}", "Webhook"),
            ("#/jobs", "Jobs"),
            ("#/consumers", "Consumers"),
            ("#/operations", "Operations"),
            (f"#/operations/{console.operations[0]['operation_id']}", "Operation"),
            ("#/acts", "Who did what"),
            (f"#/events/{event['event_id']}", "Event"),
            ("#/letters/%3Cimg%20src=x%20onerror=alert(1)%3E", "Dead letter <img"),
        ):
            self.go(address, title)
            if "%3C" not in address:
                self.until_text(HOSTILE[0])
            self.assertFalse(self.script("return /[\\u202a-\\u202e\\u2066-\\u2069]/.test(document.body.innerText)"), address)
            made = self.script(
                "return document.querySelectorAll('img, main script, #page svg, b, [onerror], [onload], #page a:not([href^=\"#/\"])').length"
            )
            self.assertEqual(made, 0, address)
            self.nothing_ran()
        self.go("#/letters", "Dead letters")
        self.press_button(f"Redrive group {HOSTILE[0]}")
        self.until_text(HOSTILE[0], "act")
        self.nothing_ran()

    def test_from_the_navigation_to_a_redriven_letter_by_keyboard(self) -> None:
        fake = self.fake()
        self.press(*fake.key, Keys.ENTER)
        self.until_live()

        def tab_to(what: str, look: str) -> None:
            """Presses the tab key until the element with this label or text has the focus, which must be visible."""
            for _ in range(80):
                self.press(Keys.TAB)
                stop = self.focused()
                name = stop.get_attribute("aria-label") or stop.text or stop.get_attribute("name") or ""
                if name == look:
                    self.assertNotEqual(stop.value_of_css_property("outline-style"), "none", what)
                    return
            raise AssertionError(f"{what} is not reached by the tab key")

        self.script("document.getElementById('skip').focus()")
        tab_to("the page of dead letters", "Dead letters")
        self.press(Keys.ENTER)
        self.at("Dead letters")
        self.assertEqual(self.focused().get_attribute("id"), "title")
        until("there are letters", lambda: self.all("#letters tr"))
        letter = next(iter(fake.feed.console.letters))
        tab_to("the first letter", f"Letter {letter}")
        self.press(Keys.ENTER)
        self.at("Dead letter ")
        self.until_text("audit-log")
        tab_to("its act", "Redrive…")
        self.press(Keys.ENTER)
        self.until_text("1 letter", "act")
        self.assertEqual(self.focused().get_attribute("name"), "reason")
        self.press("mended")
        tab_to("the button", "Redrive 1 letter")
        self.press(Keys.ENTER)
        self.at("Operation")
        self.assertEqual(self.focused().get_attribute("id"), "title")
        self.assertEqual(fake.feed.console.letters[letter]["state"], "redriving")
