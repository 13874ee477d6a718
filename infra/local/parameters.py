"""Whether what somebody gives as PARAMS are parameters of a template, with values that it allows.

Asked before anything is installed, built or started. So it needs nothing that reads YAML: `make template` writes what the
templates declare into infra/parameters.json, too.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from report import Failure, meant

MAIN = "template.yaml"
# Alarms and dashboard, which only AWS has.
ALARMS = "infra/aws-only.yaml"

# Parameter -> its properties, as CloudFormation calls them.
Declared = dict[str, dict[str, Any]]


def declared(folder: Path) -> dict[str, Declared]:
    """What each template in a folder declares."""
    path = folder / "infra" / "parameters.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Failure(f"{path} is missing: `make template` writes it with the templates") from None


def defaults(known: Declared) -> dict[str, str | None]:
    """Parameter -> default, if it has one."""
    return {name: str(one["Default"]) if "Default" in one else None for name, one in known.items()}


def in_environment(variable: str | None) -> list[str]:
    """The parameters in a variable of the environment, where make puts PARAMS: split as a shell would, so that a value can have
    blanks, `ReconcileSchedule='rate(1 hour)'`."""
    text = os.environ.get(variable, "") if variable else ""
    try:
        return shlex.split(text)
    except ValueError:
        raise Failure(f"{variable}={text}: a quotation mark is not closed") from None


def checked(texts: Iterable[str], known: Declared, not_here: dict[str, str] | None = None) -> dict[str, str]:
    """What is given as NAME=VALUE, each of which is known and allowed. `not_here` says of names why they are not given here."""
    given: dict[str, str] = {}
    problems = []
    for word in _whole(texts):
        name, separator, value = word.partition("=")
        if not separator or not re.fullmatch(r"\w+", name):
            begin = re.split(r"\W", name.strip())[0]
            problems.append(f"{word}: NAME=VALUE is wanted{_meant(begin, known, '=…')}")
        elif not_here and name in not_here:
            problems.append(f"{name}: {not_here[name]}")
        elif name not in known:
            problems.append(f"{name}: the template has no such parameter{_meant(name, known)}")
        elif not _is_allowed(value, known[name]):
            shown = "" if known[name].get("NoEcho") else f"={value}"
            problems.append(f"{name}{shown}: must be {allowed(known[name])}. {known[name]['Description']}")
        else:
            given[name] = value
    if problems:
        lines = "".join(f"\n    {problem}" for problem in problems)
        raise Failure(f"PARAMS cannot be deployed; infra/docs/settings.md has all parameters:{lines}")
    return given


def allowed(one: dict[str, Any]) -> str:
    """What a parameter may be, in words."""
    match one:
        case {"AllowedValues": values}:
            return f"one of {', '.join(map(str, values))}"
        case {"MinValue": least, "MaxValue": most}:
            return f"a whole number from {least} to {most}"
        case {"ConstraintDescription": words}:
            return str(words)
        case _:
            return "any text"


def _is_allowed(value: str, one: dict[str, Any]) -> bool:
    match one:
        case {"AllowedValues": values}:
            return value in map(str, values)
        case {"MinValue": least, "MaxValue": most}:
            return re.fullmatch("[0-9]{1,12}", value) is not None and least <= int(value) <= most
        case {"AllowedPattern": pattern}:
            return re.fullmatch(pattern, value) is not None
        case _:
            return True


def _whole(texts: Iterable[str]) -> list[str]:
    """What follows a parenthesis that is still open belongs to the value before: `rate(5 minutes)` needs no quotation marks."""
    words: list[str] = []
    for text in texts:
        if words and words[-1].count("(") > words[-1].count(")"):
            words[-1] += f" {text}"
        else:
            words.append(text)
    return words


def _meant(name: str, known: Declared, behind: str = "") -> str:
    near = meant(name, known)
    return f"; is {near}{behind} meant: {allowed(known[near])}?" if near else ""
