"""A server for the console, in memory: for the browser test without a stack, and for work on the page.

It serves the files in functions/dashboard/page, with the same Content-Security-Policy as the real function,
the stream with what belongs to it, and the operators' APIs (fake_console.py). Its events come from `publish`, or from `Demo`, which never stops.

    python3 tests/browser/fake_stream.py --port 8080      # then open http://localhost:8080/dashboard/ with the key `demo`
"""

from __future__ import annotations

import argparse
import json
import random
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from fake_console import Console, ago

FILES = Path(__file__).resolve().parents[2] / "functions" / "dashboard" / "page"
CONTENT_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


def policy(stream: str | None) -> str:
    """The policy of a page whose stream is at another origin."""
    return POLICY.replace("connect-src 'self'", f"connect-src 'self' {stream}") if stream else POLICY


HEARTBEAT_SECONDS = 30
TOKEN_SECONDS = 60
# A pause, so that each piece arrives by itself.
PIECE_SECONDS = 0.05

Envelope = dict[str, Any]


@dataclass
class Feed:
    """Events in the order of their positions 1, 2, 3…, and the data behind the endpoints."""

    key: str = "demo"
    events: list[Envelope] = field(default_factory=list)
    consumers: list[dict[str, Any]] = field(default_factory=list)
    # The last_event_id that each opened stream asked for, or None. Tests read it.
    opened: list[str | None] = field(default_factory=list)
    # Bytes that are sent between the events, in pieces: a gap, an overrun, or anything that a test makes up.
    asides: list[list[bytes]] = field(default_factory=list)
    # How often the open streams were ended as planned.
    ends: int = 0
    # The origin of another server of this feed that serves the stream; None: this server does.
    elsewhere: str | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)
    _sequences: dict[tuple[str, str], int] = field(default_factory=dict)
    _tokens: set[str] = field(default_factory=set)
    # The operators' APIs.
    console: Console = field(init=False)

    def __post_init__(self) -> None:
        self.console = Console(self.status, lambda: self.events)

    def status(self) -> dict[str, Any]:
        """The lanes and the open letters."""
        letters = [{"consumer": one["consumer"], "open": one["letters"]} for one in self.consumers if one["letters"]]
        return {"consumers": self.consumers, "letters": letters}

    def publish(
        self, event_type: str, aggregate: tuple[str, str], payload: dict[str, Any], priority: str = "normal", **more: Any
    ) -> Envelope:
        """Adds an event; `more` overrides fields of the envelope."""
        event_id = str(uuid.uuid4())
        with self.changed:
            sequence = self._sequences[aggregate] = self._sequences.get(aggregate, 0) + 1
            envelope = {
                "event_id": event_id,
                "event_type": event_type,
                "event_version": "v1",
                "occurred_at": ago(),
                "producer": f"{event_type.split('.')[0]}-api",
                "correlation_id": event_id,
                "priority": priority,
                "aggregate_type": aggregate[0],
                "aggregate_id": aggregate[1],
                "sequence": sequence,
                "payload": payload,
                **more,
            }
            self.events.append(envelope)
            self.changed.notify_all()
        return envelope

    def aside(self, name: str, data: dict[str, Any]) -> None:
        """Sends a message that is not an event and has no position."""
        self.raw(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())

    def raw(self, *pieces: bytes) -> None:
        """Sends bytes to the opened streams, each piece by itself."""
        with self.changed:
            self.asides.append(list(pieces))
            self.changed.notify_all()

    def end(self) -> None:
        """Ends the open streams, as the function does before its time is up."""
        with self.changed:
            self.ends += 1
            self.changed.notify_all()

    def new_token(self) -> str:
        """A token for one connection."""
        token = uuid.uuid4().hex
        with self.changed:
            self._tokens.add(token)
        return token

    def take_token(self, token: str) -> bool:
        """Whether the token is valid. It is valid only once."""
        with self.changed:
            known = token in self._tokens
            self._tokens.discard(token)
        return known


class Handler(BaseHTTPRequestHandler):
    """One request."""

    feed: Feed
    # Tests set failures here: a path and the status of its response.
    broken: dict[str, int]

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        path = url.path
        if path in self.broken:
            self._problem(self.broken[path], "broken for a test")
        elif path == "/dashboard":
            self.send_response(308)
            self.send_header("Location", "/dashboard/")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path.startswith("/dashboard/"):
            self._file(path.removeprefix("/dashboard/") or "index.html")
        elif path == "/api/v1/events/stream":
            self._stream(query)
        elif not self._has_key():
            self._problem(401, "unknown API key")
        elif path == "/api/v1/events":
            self._history(query)
        elif path.startswith("/api/v1/events/") and path.endswith("/handled"):
            self._handled(unquote(path.split("/")[4]))
        else:
            self._console("GET", path, query, None)

    def _console(self, method: str, path: str, query: dict[str, str], body: Any) -> None:
        answer = self.feed.console.answer(method, path, query, body, self.headers.get("Idempotency-Key"))
        if answer is None:
            # The act was done, and its answer is lost.
            self.close_connection = True
            self.connection.close()
        else:
            self._json(*answer)

    def do_PATCH(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path in self.broken:
            self._problem(self.broken[self.path], "broken for a test")
        elif not self._has_key():
            self._problem(401, "unknown API key")
        elif self.path != "/api/v1/stream-tokens":
            self._console(self.command, self.path, {}, json.loads(body))
        elif not self.headers.get("Idempotency-Key"):
            self._problem(400, "Idempotency-Key is required")
        else:
            expires = datetime.fromtimestamp(time.time() + TOKEN_SECONDS, UTC).isoformat()
            at = {"url": f"{self.feed.elsewhere}/api/v1/events/stream"} if self.feed.elsewhere else {}
            self._json(201, {"token": self.feed.new_token(), "expires_at": expires, **at})

    def _has_key(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.feed.key}"

    def _file(self, name: str) -> None:
        path = FILES / name
        if path.parent != FILES or not path.is_file():
            self._problem(404, "no such file")
            return
        self._answer(200, CONTENT_TYPES[path.suffix], path.read_bytes())

    def _history(self, query: dict[str, str]) -> None:
        aggregate = (query.get("aggregate_type"), query.get("aggregate_id"))
        limit, start = int(query.get("limit", "50")), int(query.get("from_sequence", "1"))
        if query.get("order") == "newest":
            newest = [e for e in self.feed.events[::-1] if (e["aggregate_type"], e["aggregate_id"]) == aggregate]
            self._json(200, {"items": newest[:limit], "next_cursor": None})
            return
        found = [e for e in self.feed.events if (e["aggregate_type"], e["aggregate_id"]) == aggregate and e["sequence"] >= start]
        more = str(found[limit]["sequence"]) if len(found) > limit else None
        self._json(200, {"items": found[:limit], "next_cursor": more})

    def _handled(self, event_id: str) -> None:
        if not any(event["event_id"] == event_id for event in self.feed.events):
            self._problem(404, "no such event")
            return
        self._json(
            200,
            [
                {"consumer": "activity-feed", "evidence": "guard", "state": "handled"},
                {"consumer": "audit-log", "evidence": "cursor", "state": "handled"},
                {"consumer": "notifications", "evidence": "mark", "state": "waiting"},
            ],
        )

    def _stream(self, query: dict[str, str]) -> None:
        if not self.feed.take_token(query.get("token", "")):
            self._problem(401, "unknown, used or expired token")
            return
        last = query.get("last_event_id")
        with self.feed.changed:
            at = int(last) if last is not None else len(self.feed.events)
            asides, ends = len(self.feed.asides), self.feed.ends
            self.feed.opened.append(last)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            # The first message shows the position from which the client can resume.
            self._message("heartbeat", {}, at)
            while True:
                with self.feed.changed:
                    is_news = self.feed.changed.wait_for(
                        lambda: len(self.feed.events) > at or len(self.feed.asides) > asides or self.feed.ends > ends, HEARTBEAT_SECONDS
                    )
                    is_over = self.feed.ends > ends
                    batch = list(enumerate(self.feed.events[at:], at + 1))
                    said, asides = self.feed.asides[asides:], len(self.feed.asides)
                for position, event in batch:
                    self._message(event["event_type"], event, position)
                    at = position
                for piece in (piece for pieces in said for piece in pieces):
                    self.wfile.write(piece)
                    time.sleep(PIECE_SECONDS)
                if is_over:
                    self.wfile.write(b"retry: 250\n: its time is up\n\n")
                    return
                if not is_news:
                    self._message("heartbeat", {}, at)
        except OSError:
            return  # the page was closed, or the test cut the wire

    def _message(self, name: str, data: dict[str, Any], position: int) -> None:
        self.wfile.write(f"id: {position}\nevent: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode())

    def _problem(self, status: int, detail: str) -> None:
        self._json(status, {"type": "about:blank", "status": status, "title": detail, "detail": detail})

    def _json(self, status: int, body: object) -> None:
        self._answer(status, "application/json", json.dumps(body).encode())

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in (
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Content-Security-Policy", policy(self.feed.elsewhere)),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


class Server:
    """Serves the feed on a port, until `stop`."""

    def __init__(self, feed: Feed, port: int = 0) -> None:
        self.broken: dict[str, int] = {}
        handler = type("FeedHandler", (Handler,), {"feed": feed, "broken": self.broken})
        self._http = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Stops the server."""
        self._http.shutdown()
        self._http.server_close()


# --- a busy day -------------------------------------------------------------------------------------------------------


def settlement_events(settlement: str, network: str, required: int) -> list[tuple[str, dict[str, Any], str]]:
    """A settlement's events from the first to the last: type, payload, priority."""
    base = {"settlement_id": settlement}
    steps: list[tuple[str, dict[str, Any], str]] = []
    transition, version, status = 0, 0, None

    def moved(to_status: str, **more: Any) -> None:
        nonlocal transition, status
        transition += 1
        payload = {**base, "from_status": status, "to_status": to_status, "transition": transition, "version": version, **more}
        if status is not None:
            steps.append(("settlement.status_changed", payload, "high"))
        status = to_status

    version, transition, status = 1, 2, "network_selected"
    created = {**base, "payment_id": str(uuid.uuid4()), "amount": 100.1, "currency": "EUR", "transition": 1, "version": 1}
    chosen = {**base, "network": network, "score": 0.87, "reasoning": "cheapest", "required_confirmations": required}
    steps.append(("settlement.created", created, "high"))
    steps.append(("settlement.network_selected", {**chosen, "transition": 2, "version": 1}, "high"))
    version = 2
    moved("submitted", network=network, confirmations=0)
    for count in range(1, required + 1):
        version += 1
        if count == 1:
            moved("confirming", network=network, confirmations=count)
        progress = {**base, "network": network, "confirmations": count, "required": required, "version": version}
        steps.append(("settlement.confirmation_progress", progress, "normal"))
    moved("confirmed", network=network, confirmations=required)
    version += 1
    moved("settled", network=network, confirmations=required)
    settled = {**base, "payment_id": created["payment_id"], "amount": 100.1, "currency": "EUR", "network": network}
    steps.append(("settlement.settled", {**settled, "tx_hash": "0xabc", "gas_actual": "0.000019", "version": version}, "high"))
    return steps


class Demo:
    """Publishes the events of a busy day."""

    def __init__(self, feed: Feed, seed: int = 7) -> None:
        self._feed, self._random = feed, random.Random(seed)
        self._settlements: list[tuple[str, list[tuple[str, dict[str, Any], str]]]] = []
        feed.consumers = consumers()

    def step(self) -> None:
        """Publishes one event or a few."""
        feed, chance = self._feed, self._random
        if len(self._settlements) < 7 and chance.random() < 0.15:
            settlement = str(uuid.UUID(int=chance.getrandbits(128), version=4))
            network, required = chance.choice([("polygon", 12), ("base", 6), ("ethereum", 24)])
            self._settlements.append((settlement, settlement_events(settlement, network, required)))
        if self._settlements and chance.random() < 0.6:
            settlement, steps = entry = chance.choice(self._settlements)
            event_type, payload, priority = steps.pop(0)
            self._publish(event_type, ("settlement", settlement), payload, priority)
            if not steps:
                self._settlements.remove(entry)
        member = f"{chance.choice(['ada', 'bob', 'eve', 'kim', 'lin'])}-{chance.randrange(20)}"
        amount = chance.randrange(1, 9000) / 100
        what = chance.choice(
            [
                ("cloud.minted", ("cloud_account", member), {"member_id": member, "amount": amount}, "high"),
                ("wallet.deposited", ("wallet_account", f"user-{member}"), {"account_id": member, "amount": amount}, "high"),
                ("wallet.escrow_held", ("escrow", f"esc-{chance.randrange(40)}"), {"user": member, "amount": amount}, "high"),
                ("payment.created", ("payment", str(uuid.uuid4())), {"amount": amount, "currency": "EUR"}, "critical"),
                ("member.updated", ("member", member), {"member_id": member, "name": "Ada <b>Lovelace</b>"}, "normal"),
                ("loan.reminded", ("loan", f"loan-{chance.randrange(9)}"), {"days": chance.randrange(30)}, "low"),
            ]
        )
        self._publish(*what)

    def _publish(self, event_type: str, aggregate: tuple[str, str], payload: dict[str, Any], priority: str) -> None:
        # Latencies as in a pipeline: most are short, a few are long, and urgent events are faster.
        middle = {"critical": 0.09, "high": 0.25, "normal": 0.6, "low": 4.0}[priority]
        late = self._random.lognormvariate(0, 0.8) * middle
        self._feed.publish(event_type, aggregate, payload, priority, occurred_at=ago(seconds=late))

    def run(self, per_second: float) -> None:
        """Publishes forever."""
        while True:
            self.step()
            for lane in self._feed.consumers:
                lane["depth"] = max(0, lane["depth"] + self._random.randrange(-3, 4))
                lane["oldest_seconds"] = self._random.randrange(9) if lane["depth"] else None
            time.sleep(self._random.expovariate(per_second))


def consumers() -> list[dict[str, Any]]:
    """The lanes of the usual consumers. One of them has a backlog."""
    lanes = [
        ("activity-feed", "express", 3, 2, 0, 1),
        ("activity-feed", "standard", 0, 0, 0, None),
        ("analytics", "express", 0, 1, 0, None),
        ("analytics", "standard", 14, 5, 0, 4),
        ("audit-log", "express", 2, 1, 0, 0),
        ("audit-log", "standard", 0, 0, 0, None),
        ("cloud-treasury", "express", 0, 0, 0, None),
        ("notifications", "express", 1, 0, 0, 2),
        ("notifications", "standard", 1240, 10, 3, 412),
        ("wallet-balances", "express", 0, 0, 0, None),
    ]
    names = ("consumer", "lane", "depth", "in_flight", "letters", "oldest_seconds")
    return [dict(zip(names, lane, strict=True)) for lane in lanes]


def main() -> None:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--per-second", type=float, default=6, help="events per second (default: %(default)s)")
    arguments = parser.parse_args()
    feed = Feed()
    server = Server(feed, arguments.port)
    print(f"http://localhost:{server.port}/dashboard/ with the key `{feed.key}`; press Ctrl-C to stop", flush=True)
    try:
        Demo(feed).run(arguments.per_second)
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
