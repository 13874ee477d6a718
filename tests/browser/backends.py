"""The server under the browser test: the fake server, or a deployed stack (STREAM_URL, API_URL, API_KEY)."""

from __future__ import annotations

import json
import os
import urllib.request
import uuid
from typing import Any, Protocol
from urllib.parse import urlsplit

from fake_stream import Demo, Feed, Server, settlement_events
from wire import Wire


class Settlement(Protocol):
    """A settlement in progress that needs three confirmations."""

    id: str

    def submit(self) -> None: ...
    def confirm(self, count: int) -> None: ...
    def settle(self) -> None: ...


class Backend(Protocol):
    """A server of the dashboard behind a wire, with methods that make events."""

    url: str
    key: str
    wire: Wire

    def member(self, name: str) -> str:
        """Publishes `member.registered` of a member with this name. Returns the member's id."""
        ...

    def settlement(self) -> Settlement:
        """Makes a settlement whose network is selected."""
        ...

    def stop(self) -> None: ...


class Fake:
    """The fake server, with its additional abilities."""

    def __init__(self) -> None:
        self.feed = Feed(key=f"test-{uuid.uuid4().hex}")
        self.demo = Demo(self.feed)
        self.server = Server(self.feed)
        self.key = self.feed.key
        self.wire = Wire("127.0.0.1", self.server.port)
        self.url = f"http://localhost:{self.wire.port}"
        self.stream: str | None = None

    def member(self, name: str) -> str:
        member = f"m-{uuid.uuid4().hex[:8]}"
        self.feed.publish("member.registered", ("member", member), {"member_id": member, "name": name, "version": 1})
        return member

    def settlement(self) -> Settlement:
        return FakeSettlement(self.feed)

    def stop(self) -> None:
        self.wire.stop()
        self.server.stop()


class FakeSettlement:
    """Publishes a settlement's events, step by step."""

    def __init__(self, feed: Feed) -> None:
        self.id = str(uuid.uuid4())
        self._feed = feed
        self._steps = settlement_events(self.id, "polygon", 3)
        self._until(lambda name, _: name == "settlement.network_selected")

    def submit(self) -> None:
        self._until(lambda _, payload: payload.get("to_status") == "submitted")

    def confirm(self, count: int) -> None:
        self._until(lambda name, payload: name == "settlement.confirmation_progress" and payload["confirmations"] == count)

    def settle(self) -> None:
        self._until(lambda name, _: name == "settlement.settled")

    def _until(self, is_last: Any) -> None:
        while self._steps:
            name, payload, priority = self._steps.pop(0)
            self._feed.publish(name, ("settlement", self.id), payload, priority)
            if is_last(name, payload):
                return


class Real:
    """A deployed stack, whose events come from real commands."""

    def __init__(self) -> None:
        self.key = os.environ["API_KEY"]
        self._api = os.environ["API_URL"].rstrip("/")
        stream, front = urlsplit(os.environ["STREAM_URL"]), urlsplit(self._api)
        if (stream.scheme, front.scheme) != ("http", "http"):
            raise SystemExit("STREAM_URL, API_URL: only a local stack (http) can be tested, because the test cuts the connection")
        port = stream.port or 80
        self.wire = Wire(_address(stream.hostname), port, digits=len(str(port)))
        # The page learns from the front where the stream is: it must go through the wire, too. The length stays the same.
        told = (f"{stream.hostname}:{port}".encode(), f"{stream.hostname}:{self.wire.port}".encode())
        self._front = Wire(_address(front.hostname), front.port or 80, told)
        self.url = f"http://{front.hostname}:{self._front.port}{front.path}"
        # Where the page is allowed to connect, besides its own origin.
        self.stream = f"http://{stream.hostname}:{self.wire.port}"

    def member(self, name: str) -> str:
        member = f"m-{uuid.uuid4().hex[:8]}"
        self.post("members", {"member_id": member, "name": name, "email": f"{member}@example.com", "role": "member"})
        return member

    def settlement(self) -> Settlement:
        return RealSettlement(self)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Sends one command."""
        headers = {
            "Authorization": f"Bearer {self.key}",
            "Content-Type": "application/json",
            "Idempotency-Key": str(uuid.uuid4()),
        }
        request = urllib.request.Request(f"{self._api}/api/v1/{path}", json.dumps(body).encode(), headers, method="POST")
        with urllib.request.urlopen(request, timeout=30) as response:
            return dict(json.load(response))

    def stop(self) -> None:
        self.wire.stop()
        self._front.stop()


def _address(host: str | None) -> str:
    return "127.0.0.1" if host is None or host.endswith("localhost") else host


class RealSettlement:
    """A settlement of a captured payment."""

    def __init__(self, stack: Real) -> None:
        self._stack = stack
        payment = stack.post("payments", {"amount": "100.10", "currency": "EUR"})["payment_id"]
        for step in ("authorize", "capture"):
            stack.post(f"payments/{payment}/{step}", {})
        network = {
            "network": "polygon", "cost_usd": "0.01", "seconds": 60, "reliability": 0.99, "gas_estimate": "0.000021",
            "required_confirmations": 3,
        }  # fmt: skip
        body = {"payment_id": payment, "amount": "100.10", "networks": [network]}
        self.id = str(stack.post("settlements", body)["settlement_id"])

    def submit(self) -> None:
        self._step("submit", {"tx_hash": "0xabc"})

    def confirm(self, count: int) -> None:
        self._step("confirmations", {"confirmations": count})

    def settle(self) -> None:
        self._step("settle", {"gas_actual": "0.000019"})

    def _step(self, name: str, body: dict[str, Any]) -> None:
        self._stack.post(f"settlements/{self.id}/{name}", body)


def connect() -> Fake | Real:
    """The deployed stack if the environment has STREAM_URL, else the fake server."""
    return Real() if os.environ.get("STREAM_URL") else Fake()
