"""Tests the dashboard in a real browser: run by `make test-browser`, and by `make test` on its stack.

Needs Chromium and ChromeDriver (Debian: apt-get install chromium chromium-driver). If they are not installed, the test is
skipped with a message; MILLRACE_BROWSER_REQUIRED=1 makes that a failure.

If STREAM_URL is set (the event stream of a deployed stack, with API_URL and API_KEY), the page comes from
there, otherwise from the fake server in tests/browser.

    python3 infra/local/browser.py [TEST …]      # for example Dashboard.test_hostile_text_stays_text; without TEST: all tests
"""

from __future__ import annotations

import os
import shutil
import sys

import tools
from emulator import run_in_group
from report import Failure, stage

REQUIRED = "MILLRACE_BROWSER_REQUIRED"
# Debian's names first, then those of other distributions.
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
CHROMEDRIVER = ("chromedriver",)


def first_of(names: tuple[str, ...]) -> str | None:
    """The path of the first of these programs that is installed."""
    return next((path for name in names if (path := shutil.which(name))), None)


def run(tests: list[str], environment: dict[str, str] | None = None) -> None:
    """Runs the named tests, or all tests if none is named."""
    environment = dict(os.environ if environment is None else environment)
    chromium, driver = first_of(CHROMIUM), first_of(CHROMEDRIVER)
    if chromium is None or driver is None:
        missing = " and ".join(name for name, path in (("chromium", chromium), ("chromedriver", driver)) if path is None)
        hint = f"{missing} not installed (Debian: apt-get install chromium chromium-driver)"
        if environment.get(REQUIRED):
            raise Failure(f"browser test: {hint}, and {REQUIRED} is set")
        print(f"SKIP browser test: {hint}", flush=True)
        return
    tools.ensure("browser")
    where = "the stack's stream" if environment.get("STREAM_URL") else "the fake server"
    with stage("browser test") as notes:
        notes.append(f"against {where}, screenshots in target/browser")
        command = [str(tools.program("browser", "python")), str(tools.ROOT / "tests" / "browser" / "test_dashboard.py"), *tests]
        settings = {"CHROMIUM": chromium, "CHROMEDRIVER": driver, "PYTHONDONTWRITEBYTECODE": "1"}
        if run_in_group(command, {**environment, **settings}) != 0:
            raise Failure("the browser test failed")


def main(arguments: list[str]) -> int:
    """Command line; see the module's docstring."""
    try:
        run(arguments)
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
