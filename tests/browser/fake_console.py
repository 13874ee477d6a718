"""The operators' APIs for the console, in memory: dead letters, operations, replays, consumers, jobs, webhooks, contracts, credits.

Small and driven by data. Each request's body and each answer is checked against `functions/*/openapi.json`, so that the page is not
tested with shapes that the real APIs do not have.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
DOCUMENTS = ("operator-api", "webhook-api", "system-api", "cloud-api", "dashboard")

Json = dict[str, Any]
Answer = tuple[int, Json]


@dataclass
class Clock:
    """The time of the fake APIs: the computer's, unless a test has stopped it."""

    stopped_at: datetime | None = None

    def now(self) -> datetime:
        return self.stopped_at or datetime.now(UTC)


CLOCK = Clock()


def ago(**span: float) -> str:
    """This long ago, in the format of the APIs."""
    return (CLOCK.now() - timedelta(**span)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def problem(status: int, name: str, detail: str, **more: Any) -> Answer:
    """A refusal."""
    return status, {"type": f"urn:millrace:problem:{name}", "status": status, "title": name.replace("-", " "), "detail": detail, **more}


# --- shapes -----------------------------------------------------------------------------------------------------------


@cache
def operations() -> list[tuple[str, re.Pattern[str], Json, Json]]:
    """(method, path, operation, document) of every operation that is described."""
    found = []
    for name in DOCUMENTS:
        document = json.loads((FUNCTIONS / name / "openapi.json").read_text())
        for path, methods in document["paths"].items():
            pattern = re.compile(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(path)))
            found += [(method.upper(), pattern, operation, document) for method, operation in methods.items()]
    # A path with fewer parameters is the more exact one.
    return sorted(found, key=lambda one: one[1].pattern.count("[^/]+"))


def described(method: str, path: str) -> tuple[Json, Json] | None:
    """The operation of a request and its document."""
    for known, pattern, operation, document in operations():
        if known == method and pattern.fullmatch(path):
            return operation, document
    return None


NAMES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def wrong(value: Any, schema: Any, document: Json, place: str = "") -> list[Json]:
    """What is wrong with a value, as violations. An object may have no property that its schema does not name."""
    if not isinstance(schema, dict):
        return []
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].split("/")[-1]]
    one_of = schema.get("oneOf") or schema.get("anyOf")
    if one_of:
        tried = [wrong(value, one, document, place) for one in one_of]
        return [] if any(not found for found in tried) else tried[0]
    if "const" in schema and value != schema["const"]:
        return [{"pointer": place, "message": f"must be {schema['const']}"}]
    if "enum" in schema and value not in schema["enum"]:
        return [{"pointer": place, "message": f"must be one of {schema['enum']}"}]
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    kind = NAMES[type(value)]
    if kinds and kind not in kinds and not (kind == "integer" and "number" in kinds):
        return [{"pointer": place, "message": f"is {kind}, must be {' or '.join(kinds)}"}]
    found: list[Json] = []
    if isinstance(value, str):
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            found.append({"pointer": place, "message": "is too short or too long"})
        if "pattern" in schema and kind == "string" and not re.search(schema["pattern"], value):
            found.append({"pointer": place, "message": schema.get("x-expected", "has another form")})
    if isinstance(value, dict):
        known = schema.get("properties")
        found += [{"pointer": f"{place}/{name}", "message": "is missing"} for name in schema.get("required", []) if name not in value]
        for name, inner in value.items():
            if known and name in known:
                found += wrong(inner, known[name], document, f"{place}/{name}")
            elif isinstance(schema.get("additionalProperties"), dict):
                found += wrong(inner, schema["additionalProperties"], document, f"{place}/{name}")
            elif known is not None:
                found.append({"pointer": f"{place}/{name}", "message": "is not known"})
    if isinstance(value, list):
        for at, inner in enumerate(value):
            found += wrong(inner, schema.get("items", {}), document, f"{place}/{at}")
    return found


def body_wrong(method: str, path: str, body: Any) -> list[Json]:
    """What is wrong with a request's body."""
    known = described(method, path)
    if known is None or "requestBody" not in known[0]:
        return []
    schema = known[0]["requestBody"]["content"]["application/json"].get("schema", {})
    return wrong(body, schema, known[1])


def answer_wrong(method: str, path: str, status: int, body: Any) -> list[Json]:
    """What is wrong with an answer."""
    known = described(method, path)
    if known is None:
        return []
    if str(status) not in known[0]["responses"]:
        return [{"pointer": "", "message": f"{method} {path} never answers {status}"}]
    content = known[0]["responses"][str(status)].get("content", {}).get("application/json", {})
    return wrong(body, content.get("schema", {}), known[1])


# --- data -------------------------------------------------------------------------------------------------------------


def letter(number: int, **more: Any) -> Json:
    """A dead letter's row."""
    name = f"{number:032x}"
    event = str(uuid.UUID(int=number + (7 << 76) + (8 << 60)))
    return {
        "letter_id": name[::-1],
        "consumer": "notifications",
        "event_id": event,
        "event_type": "loan.funded",
        "aggregate": f"loan#loan-{number}",
        "sequence": 3,
        "correlation_id": event,
        "reason": "retries_exhausted",
        "error": f"template loan_funded lacks the field rate (loan-{number})",
        "signature": "template loan_funded lacks the field rate (<id>)",
        "signature_id": "0123456789abcdef",
        "attempts": 4,
        "parked": 1,
        "first_parked_at": ago(hours=3, minutes=number),
        "last_parked_at": ago(hours=1, minutes=number),
        "message_id": f"m-{number}",
        "state": "open",
        "expires_at": 1_790_000_000,
        "history": [{"at": ago(hours=3), "what": "parked", "error": "template loan_funded lacks the field rate"}],
        **more,
    }


def webhook(number: int, **more: Any) -> Json:
    """A webhook."""
    return {
        "webhook_id": str(uuid.UUID(int=number + (7 << 76) + (8 << 60))),
        "origin": f"https://partner-{number}.example",
        "status": "enabled",
        "since": ago(days=2),
        "selection": {"domains": ["loan"]},
        "in_order": False,
        "created_at": ago(days=2),
        "reason": None,
        "description": "the ledger",
        "old_secret_until": None,
        **more,
    }


SELECTION = ("event_types", "domains", "tenant_id", "aggregate_type", "aggregate_id", "member_id")


def webhook_settings(body: Json, selection: Json) -> Json:
    """What a body sets of a webhook. One field of the selection replaces all of it; without any, `selection` stays."""
    chosen = {name: body[name] for name in SELECTION if name in body}
    found = {name: body[name] for name in ("description", "in_order") if name in body}
    found["selection"] = {name: value for name, value in chosen.items() if value} if chosen else selection
    if "url" in body:
        found["origin"] = "{0.scheme}://{0.netloc}".format(urlsplit(body["url"]))
    return found


def run(fence: int, **more: Any) -> Json:
    """A run of a job."""
    started = {"started_at": ago(minutes=10 * (9 - fence)), "ended_at": ago(minutes=10 * (9 - fence), seconds=-4)}
    ended = {"outcome": "finished", "pages": 2, "counts": {"delivered": 3}, "notes": [], "notes_left_out": 0, "error": None}
    return {"fence": fence, **started, **ended, **more}


def jobs() -> list[Json]:
    """Jobs in each state."""
    lease = {"fence": 8, "held_until": ago(seconds=-30), "pass_started_at": ago(minutes=20), "page": 4, "counts": {"delivered": 9}}
    return [
        {"job": "cloud-chain-worker", "looks_for": "Jobs of the chain.", "state": "idle", "lease": lease, "runs": [run(3), run(2)]},
        {
            "job": "cloud-reconcile",
            "looks_for": "Divergences.",
            "state": "unfinished",
            "lease": lease,
            "runs": [run(4, outcome="failed", error="the node did not answer"), run(3, ended_at=None, outcome=None)],
        },
        {"job": "heartbeat", "looks_for": "A heartbeat that is due.", "state": "never_ran", "lease": None, "runs": []},
        {
            "job": "webhook-sender",
            "looks_for": "Webhooks that are due.",
            "state": "running",
            "lease": lease,
            "runs": [run(8, ended_at=None, outcome=None), run(7, outcome="continues", notes=["a page was full"])],
        },
    ]


def contracts() -> list[Json]:
    """Contracts."""
    schema = {"type": "object", "properties": {"loan_id": {"type": "string"}}, "required": ["loan_id"]}
    common = {
        "event_version": "v1",
        "priority": "high",
        "schema": schema,
        "sample": {"loan_id": "l-1"},
        "aggregate": "loan (loan_id)",
        "consumers": ["audit-log", "notifications"],
    }
    return [
        {"event_type": "loan.funded", "producer": "loan-api", "open": False, "retention_days": None, **common},
        {"event_type": "loan.repaid", "producer": "loan-api", "open": False, "retention_days": None, **common},
        {"event_type": "erp.stock_counted", "producer": "outside", "open": True, "retention_days": 7, **common, "priority": "low", "consumers": []},
    ]


def is_wanted(event: Json, query: dict[str, str]) -> bool:
    """Whether an event is of the type and domain that are asked for."""
    event_type = event["event_type"]
    domain = event_type.split(".")[0]
    return query.get("type", event_type) == event_type and query.get("domain", domain) == domain


@dataclass
class Console:
    """The state behind the APIs, and what tests set and read."""

    # What `/status` answers.
    status: Callable[[], Json]
    # The events that `/events/recent` and `/events/{id}` know.
    events: Callable[[], list[Json]]
    letters: dict[str, Json] = field(default_factory=dict)
    notes: dict[str, Json] = field(default_factory=dict)
    operations: list[Json] = field(default_factory=list)
    paused: dict[str, Json] = field(default_factory=dict)
    webhooks: dict[str, Json] = field(default_factory=dict)
    deliveries: list[Json] = field(default_factory=list)
    jobs: list[Json] | None = field(default_factory=jobs)
    contracts: list[Json] = field(default_factory=contracts)
    treasury: Json | None = field(
        default_factory=lambda: {"outstanding": 1200.5, "outstanding_usd": 12005, "reserve_usd": 11000, "backing_percent": 91.62}
    )
    # Beginnings of paths, and the scope that the key lacks for them.
    lacking: dict[str, str] = field(default_factory=dict)
    # Paths of which the next answer is lost, after the act was done.
    lost: set[str] = field(default_factory=set)
    # Whether answers are checked. A test of hostile text puts it where the real APIs would not.
    is_strict: bool = True
    # (method, path, idempotency key, body) of each request.
    requests: list[tuple[str, str, str | None, Any]] = field(default_factory=list)
    _answers: dict[str, Answer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number in range(1, 31):
            made = letter(number)
            self.letters[made["letter_id"]] = made
        odd = {
            "event_id": None,
            "event_type": None,
            "aggregate": None,
            "sequence": None,
            "signature": "no envelope: <text>",
            "signature_id": "fedcba9876543210",
        }
        made = letter(77, consumer="analytics", reason="invalid", error="no envelope: expected value at line 1", **odd)
        self.letters[made["letter_id"]] = made
        self.notes["0123456789abcdef"] = {"note": "The template is corrected by Monday.", "by": "oncall", "at": ago(hours=1)}
        for number, more in enumerate(({}, {"status": "disabled", "reason": "It moves."}), 1):
            one = webhook(number, **more)
            self.webhooks[one["webhook_id"]] = one
        outcomes = ("delivered", "failed", "given_up")
        self.deliveries = [
            {
                "at": ago(minutes=number),
                "attempt": 1 + number % 3,
                "detail": "no route" if number % 3 else None,
                "event_id": str(uuid.UUID(int=number + (7 << 76) + (8 << 60))),
                "event_type": "loan.funded",
                "next_at": None,
                "outcome": outcomes[number % 3],
                "position": number,
                "status": 503 if number % 3 else 200,
                "took_ms": 12,
            }
            for number in range(1, 41)
        ]
        self.paused["notifications"] = {"since": ago(hours=5), "reason": "It mails everybody twice.", "actor": "ada", "key_owner": "oncall"}

    def answer(self, method: str, path: str, query: dict[str, str], body: Any, key: str | None) -> Answer | None:
        """The answer to a request; None: the connection is to be closed without one."""
        self.requests.append((method, path, key, body))
        for start, scope in self.lacking.items():
            if path.startswith(start):
                return problem(403, "missing-scope", f"this needs the scope {scope}", scope=scope)
        if method != "GET":
            if not key:
                return problem(400, "idempotency-key-required", "Idempotency-Key is required")
            mark = f"{method} {path} {key}"
            if mark not in self._answers:
                violations = body_wrong(method, path, body)
                if violations:
                    return problem(422, "invalid", "the body is not valid", violations=violations)
                parts = path.removeprefix("/api/v1/").split("/")
                found = self._patch(parts, body) if method == "PATCH" else self._post(parts, body)
                if found[0] >= 300:
                    return found
                self._answers[mark] = found
            status, answer = self._answers[mark]
        else:
            status, answer = self._get([unquote(part) for part in path.removeprefix("/api/v1/").split("/")], query)
        if status < 300 and self.is_strict:
            amiss = answer_wrong(method, path, status, answer)
            if amiss:
                return problem(500, "fake", f"the fake server's answer has another shape: {amiss}")
        if path in self.lost:
            self.lost.discard(path)
            return None
        return status, answer

    # --- what is read ---

    def _get(self, path: list[str], query: dict[str, str]) -> Answer:
        match path:
            case ["status"]:
                paused = [{"consumer": name, **one, "oldest_seconds": 18_000, "deleted_in_seconds": 86_400} for name, one in self.paused.items()]
                return 200, {**self.status(), "paused": paused}
            case ["consumers"]:
                return 200, {"items": self._consumers()}
            case ["letters"]:
                return 200, self._page(self._fitting(query), query)
            case ["letters", "groups"]:
                return 200, {"items": self._groups(query), "truncated": False}
            case ["letters", "operations"]:
                return 200, self._page(self.operations[::-1], query)
            case ["letters", "operations", name]:
                return next(
                    ((200, one) for one in self.operations if one["operation_id"] == name),
                    problem(404, "unknown-operation", "there is no such operation"),
                )
            case ["letters", name]:
                return self._letter(name)
            case ["webhooks"]:
                return 200, {"items": list(self.webhooks.values())}
            case ["webhooks", name] if name in self.webhooks:
                return 200, {
                    **self.webhooks[name],
                    "progress": {
                        "behind": 2,
                        "failures": 0,
                        "halted": False,
                        "head": 40,
                        "position": 38,
                        "waiting": 1,
                        "delivered_at": ago(minutes=3),
                        "tried_at": ago(minutes=1),
                    },
                }
            case ["webhooks", name, "deliveries"] if name in self.webhooks:
                fitting = [
                    one
                    for one in self.deliveries
                    if query.get("outcome", one["outcome"]) == one["outcome"] and query.get("event_id", one["event_id"]) == one["event_id"]
                ]
                return 200, self._page(fitting, query)
            case ["contracts"]:
                return 200, {"items": self.contracts, "envelope": {}}
            case ["contracts", kind, version]:
                found = [one for one in self.contracts if (one["event_type"], one["event_version"]) == (kind, version)]
                return (200, found[0]) if found else problem(404, "unknown-contract", f"there is no {kind} {version}")
            case ["jobs"]:
                return problem(404, "unknown-path", "there is no endpoint at this path") if self.jobs is None else (200, {"jobs": self.jobs})
            case ["cloud", "treasury"] if self.treasury is not None:
                return 200, self.treasury
            case ["events", "recent"]:
                items = [
                    {"event": one, "position": at, "recorded_at": one["occurred_at"]}
                    for at, one in enumerate(self.events(), 1)
                    if is_wanted(one, query)
                ]
                return 200, self._page(items[::-1], query)
            case ["events", name]:
                return next(
                    ((200, one) for one in self.events() if one["event_id"] == name), problem(404, "unknown-event", "no event with this id is known")
                )
            case ["events", name, "journey"]:
                return next(
                    ((200, self._journey(one)) for one in self.events() if one["event_id"] == name),
                    problem(404, "unknown-event", "no event with this id is known"),
                )
        return problem(404, "unknown-path", "there is no endpoint at this path")

    def _consumers(self) -> list[Json]:
        lanes: dict[str, list[str]] = {}
        for one in self.status()["consumers"]:
            lanes.setdefault(one["consumer"], []).append(one["lane"])
        paused = {name: {"paused": why} for name, why in self.paused.items()}
        return [{"consumer": name, "lanes": found, **paused.get(name, {})} for name, found in sorted(lanes.items())]

    def _page(self, items: list[Json], query: dict[str, str]) -> Json:
        start, limit = int(query.get("cursor", "0")), int(query.get("limit", "20"))
        more = str(start + limit) if len(items) > start + limit else None
        return {"items": items[start : start + limit], "next_cursor": more}

    def _fitting(self, criteria: dict[str, Any]) -> list[Json]:
        """The letters that fit these criteria."""

        def fits(one: Json) -> bool:
            state = criteria.get("state", "unresolved")
            is_resolved = one["state"] in ("handled", "discarded")
            if (
                (state == "unresolved" and is_resolved)
                or (state == "resolved" and not is_resolved)
                or (state not in ("unresolved", "resolved", one["state"]))
            ):
                return False
            kind, _, name = (one["aggregate"] or "").partition("#")
            if criteria.get("aggregate_type", kind) != kind or criteria.get("aggregate_id", name) != name:
                return False
            fields = {"consumer": "consumer", "event_type": "event_type", "reason": "reason", "signature": "signature_id"}
            if any(criteria.get(name, one[known]) != one[known] for name, known in fields.items()):
                return False
            return criteria.get("q", "").lower() in f"{one['error']} {one['letter_id']} {one['event_id']}".lower()

        return [one for one in self.letters.values() if fits(one)]

    def _groups(self, query: dict[str, str]) -> list[Json]:
        groups: dict[str, list[Json]] = {}
        for one in self._fitting(query):
            groups.setdefault(one["signature_id"], []).append(one)
        return [
            {
                **{name: members[0][name] for name in ("consumer", "reason", "signature")},
                "signature_id": name,
                "count": len(members),
                "example": members[0]["letter_id"],
                "first_parked_at": members[-1]["first_parked_at"],
                "last_parked_at": members[0]["last_parked_at"],
                **({"note": self.notes[name]} if name in self.notes else {}),
            }
            for name, members in sorted(groups.items(), key=lambda one: -len(one[1]))
        ]

    def _letter(self, name: str) -> Answer:
        if name not in self.letters:
            return problem(404, "unknown-letter", "there is no such letter")
        one = self.letters[name]
        parked = {"attempts": 4, "error": one["error"], "first_received_at": ago(hours=4), "parked_at": ago(hours=3), "reason": one["reason"]}
        handled_by = [
            {"consumer": "audit-log", "evidence": "cursor", "state": "handled", "handled_at": ago(hours=4)},
            {"consumer": one["consumer"], "evidence": "mark", "state": "parked", "parked": parked},
        ]
        body = (
            json.dumps({"event_id": one["event_id"], "event_type": one["event_type"], "payload": {"loan_id": one["aggregate"]}})
            if one["event_id"]
            else '{"event_type": "loan.funded", "broken'
        )
        message = {"body": body, "bytes": len(body), "attributes": {"consumer": one["consumer"]}, "expires_at": 1_790_000_000}
        return 200, {**one, "handled_by": handled_by if one["event_id"] else [], "message": message}

    def _journey(self, event: Json) -> Json:
        return {
            "event_id": event["event_id"],
            "event_type": event["event_type"],
            "aggregate": f"{event['aggregate_type']}/{event['aggregate_id']}",
            "sequence": event["sequence"],
            "occurred_at": event["occurred_at"],
            "committed_at": event["occurred_at"],
            "position": 1,
            "consumers": [{"consumer": "audit-log", "evidence": "cursor", "state": "waiting"}],
        }

    # --- what is done ---

    def _post(self, path: list[str], body: Any) -> Answer:
        match path:
            case ["letters", "operations"]:
                return self._operate(body)
            case ["letters", "operations", "republish"]:
                chosen = {"to": ago(hours=24), "include_failed": body["include_failed"]}
                if body.get("preview"):
                    return 200, {"republish": chosen, "seconds_at_least": 3, "log_rows": 600, "log_bytes": 450_000, "read_units": 110}
                made = self.operation("republish", 0, reason=body["reason"])
                made["republish"] = chosen
                return 201, {"operation_id": made["operation_id"], "republish": chosen, "status": "running"}
            case ["letters", "operations", name, verb]:
                one = next(one for one in self.operations if one["operation_id"] == name)
                one["status"] = {"pause": "paused", "resume": "running", "cancel": "cancelled"}[verb]
                one["status_reason"] = body["reason"]
                return 200, {"operation_id": name, "act": one["act"], "count": one["count"], "status": one["status"]}
            case ["letters", "groups", name, "note"]:
                self.notes[name] = {"note": body["note"], "by": "oncall", "at": ago()}
                return 200, {"signature_id": name, "at": self.notes[name]["at"]}
            case ["letters", name, "edit"]:
                return self._edit(name, body)
            case ["consumers", name, verb]:
                if verb == "pause":
                    self.paused[name] = {"since": ago(), "reason": body["reason"], "key_owner": "oncall"}
                else:
                    self.paused.pop(name, None)
                return 200, {"consumer": name, "status": "paused" if verb == "pause" else "running", "since": ago(), "applied": True, "note": None}
            case ["replays"]:
                return self._replay(body)
            case ["contracts", _, _, "validate"]:
                missing = [name for name in ("event_id", "payload") if name not in body]
                violations = [{"pointer": f"/{name}", "message": "is missing"} for name in missing]
                return 200, {"valid": not violations, "violations": violations, "more_violations": 0}
            case ["webhooks"]:
                made = webhook(len(self.webhooks) + 1, **{"description": None, **webhook_settings(body, {})})
                self.webhooks[made["webhook_id"]] = made
                return 201, {"webhook": made, "secret": "whsec_new"}
            case ["webhooks", name, _] if name not in self.webhooks:
                return problem(404, "not-found", "there is no such webhook")
            case ["webhooks", name, "rotate"]:
                return 200, {"webhook": self.webhooks[name], "secret": "whsec_c2VjcmV0LW9mLXRoZS10ZXN0", "old_secret_until": ago(hours=-24)}
            case ["webhooks", name, "remove"]:
                del self.webhooks[name]
                return 200, {"webhook_id": name, "removed": True}
            case ["webhooks", name, "redeliver"]:
                return 202, {"accepted": body["event_ids"], "unknown": []}
            case ["webhooks", name, ("enable" | "disable") as verb]:
                self.webhooks[name].update(status=f"{verb}d", since=ago(), reason=body.get("reason"))
                return 200, self.webhooks[name]
        return problem(404, "unknown-path", "there is no endpoint at this path")

    def _patch(self, path: list[str], body: Json) -> Answer:
        match path:
            case ["webhooks", name] if name in self.webhooks:
                before = self.webhooks[name]
                after = {**before, **webhook_settings(body, before["selection"])}
                if after == before:
                    return problem(409, "nothing-changed", "nothing is changed")
                self.webhooks[name] = after
                return 200, after
        return problem(404, "unknown-path", "there is no endpoint at this path")

    def _operate(self, body: Json) -> Answer:
        taken = [self.letters[name] for name in body["letters"]] if body.get("letters") else self._fitting(body.get("filter") or {})
        if body.get("preview"):
            skipped = sum(one["event_id"] is None for one in taken)
            return 200, {"count": len(taken), "sample": taken[:5], "skipped": skipped, "conflict": None}
        if body.get("cap") and len(taken) > body["cap"]:
            return problem(422, "too-many-letters", f"{len(taken)} letters fit, which is more than {body['cap']}")
        for one in taken:
            one["state"] = "redriving" if body["act"] == "redrive" else "discarded"
        made = self.operation(
            body["act"], len(taken), **{name: body[name] for name in ("reason", "cap", "canary", "rate_per_second") if name in body}
        )
        if body.get("filter"):
            made["selection"] = body["filter"]
        for one in taken:
            one["operation_id"] = made["operation_id"]
        return 201, {"operation_id": made["operation_id"], "act": body["act"], "count": len(taken), "status": "running"}

    def operation(self, act: str, count: int, **more: Any) -> Json:
        """Adds an operation."""
        counts = {name: 0 for name in ("discarded", "failed_again", "handled", "redriven", "skipped")}
        progress = {"canary_passed": False, "counts": counts, "in_flight": 0, "left": count, "rows_read": 0, "waiting": 0}
        made = {
            "operation_id": str(uuid.uuid4()),
            "act": act,
            "actor": "ada",
            "begun_at": ago(),
            "changed_at": ago(),
            "canary": False,
            "count": count,
            "key_owner": "oncall",
            "letters_sha256": "0" * 64,
            "progress": progress,
            "rate_per_second": 10,
            "reason": "mended",
            "status": "running",
            "version": 1,
            **more,
        }
        self.operations.append(made)
        return made

    def _replay(self, body: Json) -> Answer:
        if body.get("preview"):
            known = {
                "count": 120,
                "counted_by": "event_log",
                "passed_over": 3,
                "too_old": 0,
                "seconds_at_least": 12,
                "log_rows": 5000,
                "log_bytes": 900_000,
                "read_units": 110,
            }
            return 200, {"consumer": body["consumer"], "to": body.get("to") or ago(), "began": None, "goes_on": False, **known}
        chosen = {name: body[name] for name in ("aggregate_type", "aggregate_id", "event_types", "from") if name in body}
        replay = {"consumer": body["consumer"], "to": body.get("to") or ago(), **chosen}
        made = self.operation("replay", 120, reason=body["reason"], replay=replay)
        return 201, {"operation_id": made["operation_id"], "count": 120, "status": "running", "replay": replay}

    def _edit(self, name: str, body: Json) -> Answer:
        message = body["message"]
        missing = [known for known in ("event_id", "payload") if known not in message]
        if missing:
            return problem(
                422,
                "invalid-message",
                "the message breaks its contract",
                violations=[{"pointer": f"/message/{known}", "message": "is missing"} for known in missing],
            )
        return 200, {"letter_id": name, "operation_id": str(uuid.uuid4()), "patch": [{"op": "replace", "value": json.dumps(message)}]}
