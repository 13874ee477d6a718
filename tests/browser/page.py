"""What the tests of the console have in common: a headless Chromium, driven by ChromeDriver, and looks at its page."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from backends import Fake, connect
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium_axe_python import Axe

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "target" / "browser"
# Long enough for a cold start of the functions on a busy machine. The fake server answers within a second.
DEADLINE_SECONDS = 60

CHROMIUM_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--window-size=1440,1000",
]  # fmt: skip
# Records what the content security policy blocked and scripts that text smuggled in. It runs before the page's own
# script.
WITNESS = """
window.witness = {violations: [], ran: []};
document.addEventListener('securitypolicyviolation', (event) => window.witness.violations.push(event.violatedDirective + ' ' + event.blockedURI));
for (const name of ['alert', 'confirm', 'prompt']) window[name] = () => window.witness.ran.push(name);
"""
# The browser's log messages after a connection was cut or refused on purpose.
EXPECTED_ERRORS = ("net::ERR_", "Failed to load resource")
HOSTILE = [
    '<img src=x onerror="window.witness.ran.push(1)">',
    "</script><script>window.witness.ran.push(2)</script>",
    '"><svg onload=window.witness.ran.push(3)>',
    "javascript:window.witness.ran.push(4)",
    "{{constructor.constructor('window.witness.ran.push(5)')()}}",
    "\u202egpj.exe \u2066 &lt;b&gt;",
]


def until(what: str, look: Callable[[], T], seconds: float = DEADLINE_SECONDS) -> T:
    """Polls until `look` returns a true value."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.05)
    return found


def chromium(profile: str) -> webdriver.Chrome:
    """A separate browser without a user's profile, updates or background traffic."""
    options = webdriver.ChromeOptions()
    options.binary_location = os.environ["CHROMIUM"]
    for flag in [*CHROMIUM_FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(os.environ["CHROMEDRIVER"]))
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WITNESS})
    return driver


class Page(unittest.TestCase):
    """Each test has its own page and wire. All tests of a class share the browser."""

    driver: webdriver.Chrome
    profile: str

    @classmethod
    def setUpClass(cls) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        cls.profile = tempfile.mkdtemp(prefix="millrace-browser-")
        try:
            cls.driver = chromium(cls.profile)
        except BaseException:
            shutil.rmtree(cls.profile, ignore_errors=True)
            raise

    @classmethod
    def tearDownClass(cls) -> None:
        cls.driver.quit()
        shutil.rmtree(cls.profile, ignore_errors=True)

    def setUp(self) -> None:
        self.backend = connect()
        # Another port is another origin, so the browser has nothing stored from an earlier test.
        self.addCleanup(self.backend.stop)
        self.media()
        self.driver.set_window_size(1440, 1000)
        self.driver.get(f"{self.backend.url}/dashboard/index.html")

    def tearDown(self) -> None:
        self.nothing_ran()
        # Errors at the end of this test must not appear in the next test's log.
        self.driver.get("about:blank")
        self.driver.get_log("browser")

    # --- helpers of the tests ---

    def fake(self) -> Fake:
        """The fake server, for tests that need its additional abilities. It is also used when a stack runs."""
        if isinstance(self.backend, Fake):
            return self.backend
        self.backend = fake = Fake()
        self.addCleanup(fake.stop)
        self.driver.get(f"{fake.url}/dashboard/index.html")
        return fake

    def media(self, scheme: str = "light", motion: str = "no-preference") -> None:
        """Sets the reader's preferences."""
        features = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": motion}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def find(self, id_: str) -> WebElement:
        return self.driver.find_element(By.ID, id_)

    def text(self, id_: str) -> str:
        return self.find(id_).text

    def script(self, source: str, *arguments: object) -> Any:
        return self.driver.execute_script(source, *arguments)

    def log_in(self) -> None:
        """Enters the key and waits until the stream is live."""
        self.find("key").send_keys(self.backend.key, Keys.ENTER)
        self.until_live()

    def until_live(self) -> None:
        until("the stream is live", lambda: self.text("connection-state") == "live")

    def texts(self, selector: str) -> list[str]:
        """The texts of all elements that the selector matches, read at once because the page redraws between two reads."""
        return list(self.script("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector))

    def rows(self) -> list[str]:
        """The aggregates in the list, from the top."""
        return self.texts("#events .aggregate")

    def until_shown(self, *members: str) -> None:
        """Waits until the list has an event of each of these members."""
        wanted = {f"member/{member} #1" for member in members}
        until(f"{len(wanted)} events are shown", lambda: wanted <= set(self.rows()))

    def shown_of(self, members: list[str]) -> list[str]:
        """Those of these members that are in the list, from the top, as often as they occur."""
        names = [row.removeprefix("member/").split(" ")[0] for row in self.rows()]
        return [name for name in names if name in members]

    def press(self, *keys: str) -> None:
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self) -> WebElement:
        return self.driver.switch_to.active_element

    def screenshot(self, name: str) -> None:
        self.driver.save_screenshot(str(SCREENSHOTS / f"{name}.png"))

    def nothing_ran(self) -> None:
        """Checks that no text became a script, the policy blocked nothing, and the page threw no error."""
        witness = self.script("return window.witness")
        self.assertEqual(witness, {"violations": [], "ran": []})
        for entry in self.driver.get_log("browser"):
            self.assertNotIn("Content Security Policy", entry["message"])
            if entry["level"] == "SEVERE":
                self.assertTrue(any(part in entry["message"] for part in EXPECTED_ERRORS), entry)

    def accessible(self, what: str) -> None:
        """Checks that axe finds no violation."""
        self.nothing_ran()
        axe = Axe(self.driver)
        axe.inject()
        found = axe.run()["violations"]
        said = [f"{v['id']}: {v['help']}: {[node['html'][:160] for node in v['nodes']][:3]}" for v in found]
        self.assertEqual(said, [], what)
