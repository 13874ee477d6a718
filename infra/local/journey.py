"""The main job of `make run`: real calls to the deployed stack, and the journey of every event they cause.

Two members join and the treasury is funded. One mint is paid for by Stripe, a transfer moves credits, a rate card is proposed
and approved, credits are redeemed at it and others staked. Points are held and settled. A payment is captured, settled over
a network in part, and the rest refunded. A loan is funded and paid once. An order of a business
is delivered and paid, and another is refused for want of credit. A second mint breaks the backing. This script puts a malformed
message into a lane, and says so; it becomes a dead letter. A third-party merchandise system publishes a count of goods.
Everything that is printed is read back from the stack: each event's journey by the API, the mails from the local AWS's own view of them.

`journey.py traffic` instead settles one payment after the other, one confirmation a second, until it is ended: traffic for
the dashboard.

Runs in SAM's virtual environment, for its boto3. API_URL, API_KEY, STACK_NAME and the AWS endpoint come from the
environment (`source .local/env`). Without AWS_ENDPOINT_URL the stack is in the real AWS, where there is no local chain and SES does
not show what it sent; JOURNEY_MAIL=success+{}@simulator.amazonses.com then names addresses that SES accepts in its sandbox.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

import boto3
import boto3.dynamodb.conditions

import stack_resources

T = TypeVar("T")

# Long enough for a cold start of every function on a busy machine of two cores. Usually it takes well under a second.
DEADLINE_SECONDS = 60

# Backs the first mint but not the second: 1 CLOUD is 10 USD.
RESERVE_USD = 2000
FIRST_MINT, TRANSFER, SECOND_MINT = 100, 40, 250
COMPUTE_HOURS, STAKE = 8, 20
DEPOSIT, HELD = 100, 60.25
PAID, REFUNDED = 250.00, 50.00
# 10 pieces at 150.00 with 19 % tax are 1,785.00: the credit is enough for one such order.
PIECES, UNIT_PRICE, TAX_RATE, CREDIT_LIMIT = 10, 150.00, 19, 2_000
LENT, LOAN_RATE, LOAN_MONTHS, LOAN_PAID = 100_000, 7.25, 36, 5_000
# The owner of the key that approves; API_KEY's owner proposes.
APPROVER = "finance"
# Networks for a settlement, quoted as a provider would.
NETWORKS = [
    {"network": "polygon", "cost_usd": 0.01, "seconds": 130, "reliability": 0.995, "gas_estimate": "0.000021", "required_confirmations": 30},
    {"network": "base", "cost_usd": 0.03, "seconds": 120, "reliability": 0.999, "gas_estimate": "0.000007", "required_confirmations": 12},
    {"network": "ethereum", "cost_usd": 1.8, "seconds": 780, "reliability": 0.9999, "gas_estimate": "0.000546", "required_confirmations": 12},
]
CONFIRMATION_SECONDS = 1.0
# The members' addresses; {} is the member.
MAIL = os.environ.get("JOURNEY_MAIL") or "{}@example.com"
# Event types that occur so often that only the first is shown.
PROGRESS = {"settlement.confirmation_progress"}


class NotSeen(Exception):
    """Something that must happen did not happen in time, or a call failed."""


def until(what: str, look: Callable[[], T | None]) -> T:
    """Polls until `look` returns something."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise NotSeen(f"{what}: not within {DEADLINE_SECONDS} s; see `make status` and the functions' logs")
        time.sleep(0.1)
    return found


class Api:
    """The stack's HTTP API."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One call. Every change has its own idempotency key. An answer without a body is an empty dict."""
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        if method != "GET":
            headers["Idempotency-Key"] = str(uuid.uuid4())
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._url}/api/v1{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                text = response.read()
                return json.loads(text) if text else {}
        except urllib.error.HTTPError as error:
            raise NotSeen(f"{method} {path} answered {error.code}: {error.read().decode()}") from error

    @contextlib.contextmanager
    def second_person(self) -> Iterator[Api]:
        """The API with the key of another owner, who approves requests of this one. The key is deleted at the end."""
        made = self.call("POST", "/keys", {"owner": APPROVER, "scopes": ["cloud:approve"]})
        try:
            yield Api(self._url, made["key"])
        finally:
            self.call("DELETE", f"/keys/{made['key_id']}")

    def journey(self, event_id: str) -> dict[str, Any] | None:
        """The journey of an event; None while the feed does not have it."""
        try:
            return self.call("GET", f"/events/{event_id}/journey")
        except NotSeen as error:
            if " answered 404: " in str(error):
                return None
            raise

    def history(self, aggregate: str) -> list[dict[str, Any]]:
        """All events of an aggregate, `type/id`."""
        kind, name = aggregate.split("/", 1)
        path = f"/events?aggregate_type={kind}&aggregate_id={name}&limit=100"
        return self.call("GET", path)["items"]


class Stack:
    """Access to the deployed stack beside its API."""

    def __init__(self, name: str) -> None:
        self.resources = stack_resources.of_stack(name)
        self.sqs = boto3.client("sqs")
        self.functions = boto3.client("lambda")


def moment(text: str) -> datetime:
    """Parses a time as the stack writes it."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def since(event: dict[str, Any], text: str) -> str:
    """How long after the event's commit, as text."""
    return f"+{(moment(text) - moment(event['occurred_at'])).total_seconds():.3f} s"


def main_job(api: Api, stack: Stack) -> None:
    """Makes the calls and prints what they caused."""
    run = uuid.uuid4().hex[:6]
    ada, bob = f"ada-{run}", f"bob-{run}"
    alerts_before = len(api.history("alert/treasury_backing"))

    print("\nCalls")
    address = f"0x{uuid.uuid4().hex}{run}00"
    for member, name, role in ((ada, "Ada", "admin"), (bob, "Bob", "member")):
        body = {"member_id": member, "name": name, "email": MAIL.format(member), "role": role}
        if member == ada:
            body["ethereum_address"] = address
        api.call("POST", "/members", body)
        print(f"  {name} joins as {member} ({role})")
    # So that an earlier run's alert ends before this one's begins.
    outstanding = api.call("GET", "/cloud/treasury")["outstanding_usd"]
    reserve = outstanding + RESERVE_USD
    api.call("PUT", "/cloud/treasury/accounts/1110", {"balance": reserve})
    print(f"  the treasury is funded: account 1110 holds {reserve:.2f} USD")
    wait_handled(api, ["treasury_account/1110"])
    charge = f"ch_{run}"
    mint = api.call("POST", "/cloud/mints", {"member_id": ada, "amount": FIRST_MINT, "stripe_charge_id": charge})
    print(f"  {FIRST_MINT} CLOUD minted for Ada, paid by Stripe charge {charge}: balance {mint['balance_after']}")
    move = api.call("POST", "/cloud/transfers", {"from_member_id": ada, "to_member_id": bob, "amount": TRANSFER})
    print(f"  {TRANSFER} CLOUD from Ada to Bob: {move['from_balance_after']} and {move['to_balance_after']}")
    version = rate_card(api, ada, bob)
    print(f"  rate card {version} proposed by Ada, approved by Bob with a key of {APPROVER}: 1.5 CLOUD per compute-hour")
    used = {
        "member_id": bob,
        "primitive": "compute",
        "quantity": COMPUTE_HOURS,
        "unit": "compute-hour",
        "service_name": "habitat-api",
        "period_id": "q1-2026",
        "rate_card_version": version,
    }
    redeemed = api.call("POST", "/cloud/redemptions", used)
    print(f"  Bob redeems {redeemed['amount']} CLOUD for {COMPUTE_HOURS} compute-hours: {redeemed['balance_after']} left")
    staked = api.call("POST", "/cloud/stakes", {"member_id": ada, "amount": STAKE, "lock_duration_days": 90})
    share, until_when = staked["revenue_share_percent"], staked["unlock_at"][:10]
    print(f"  Ada stakes {STAKE} CLOUD for 90 days: {share} % of the revenue, locked until {until_when}")
    escrow = points(api, bob, ada, run)
    payment, settlement = settled_payment(api)
    loan = lent(api, bob)
    order, refused = ordered(api, run)
    api.call("POST", "/cloud/mints", {"member_id": bob, "amount": SECOND_MINT})
    print(f"  {SECOND_MINT} CLOUD minted for Bob, more than the reserve backs")
    poison = f"not an event; the script of make run put it into the lane ({run})"
    stack.sqs.send_message(QueueUrl=stack.resources["NotificationsStandardQueue"], MessageBody=poison)
    print("  this script puts a malformed message directly into the lane notifications/standard")

    def alert() -> dict[str, Any] | None:
        return next(iter(api.history("alert/treasury_backing")[alerts_before:]), None)

    count = counted(api, run)
    print(f"  a third-party merchandise system publishes a count of goods: {count}")
    alerted = until("the backing alert", alert)
    aggregates = [f"member/{ada}", f"member/{bob}", f"cloud_account/{ada}", f"cloud_account/{bob}"]
    events = wait_handled(api, aggregates)
    events += wait_handled(api, ["treasury_account/1110", "alert/treasury_backing"], latest_only=True)
    events += wait_handled(api, [f"rate_card/{version}", f"escrow/{escrow}"])
    events += wait_handled(api, [f"wallet_account/user-{bob}", f"wallet_account/model-{ada}"])
    events += wait_handled(api, [f"payment/{payment}", f"settlement/{settlement}", f"loan/{loan}", count])
    events += wait_handled(api, [f"{kind}/{order}" for kind in ("order", "credit_reservation", "stock_reservation")])
    show_events(events)

    print("\nBalances")
    for name, member in (("Ada", ada), ("Bob", bob)):
        row = api.call("GET", f"/cloud/balances/{member}")
        locked = f", {row['staked_balance']} more staked" if row["staked_balance"] else ""
        print(f"  {name}: {row['balance']} CLOUD ({row['balance_usd']:.2f} USD){locked}")
    treasury = api.call("GET", "/cloud/treasury")
    print(
        f"  treasury: {treasury['outstanding']} CLOUD outstanding, worth {treasury['outstanding_usd']:.2f} USD, "
        f"reserve {treasury['reserve_usd']:.2f} USD, backing {treasury['backing_percent']} %"
    )
    show_wallets(api, {"Bob": (bob, "user"), "Ada": (ada, "model")})
    show_settlement(api, payment, settlement)
    show_loan(api, loan)
    show_orders(api, order, refused, run)
    show_chain(stack, ada)
    show_audit_log(stack)
    show_analytics(api, ada)
    show_lookups(api)
    payload = alerted["payload"]
    print(f"\nAlert\n  backing {payload['backing_percent']} %, {payload['shortfall']:.2f} USD short")
    show_mail(stack, {MAIL.format(ada), MAIL.format(bob)})
    show_letter(stack, poison)


def lent(api: Api, borrower: str) -> str:
    """Makes a loan, funds it, waits for its schedule and pays once; returns its id."""
    agreed = {
        "borrower_id": borrower,
        "amount": LENT,
        "currency": "USD",
        "interest_rate": LOAN_RATE,
        "term_months": LOAN_MONTHS,
    }
    loan: str = api.call("POST", "/loans", agreed)["loan_id"]
    api.call("POST", f"/loans/{loan}/fund")

    def schedule() -> dict[str, Any] | None:
        try:
            return api.call("GET", f"/loans/{loan}/schedule")
        except NotSeen:
            return None

    planned = until("the loan's payment schedule", schedule)
    print(
        f"  Bob is lent {LENT} USD at {LOAN_RATE} % over {LOAN_MONTHS} months; a schedule of {len(planned['instalments'])} payments of "
        f"{planned['instalment']:.2f} USD appears by itself"
    )
    paid = api.call("POST", f"/loans/{loan}/payments", {"amount": LOAN_PAID, "payment_method": "ach"})
    print(f"  Bob pays {LOAN_PAID} USD at once: {paid['principal_paid']:.2f} USD of it principal")
    return loan


def ordered(api: Api, run: str) -> tuple[str, str]:
    """Sells goods to a business: one order is delivered and paid, the next is refused for want of credit. Returns their ids."""
    sku, customer = f"PRD-{run}", f"CUST-{run}"
    chair = {"name": "Chair", "status": "active", "visibility": "public", "variants": [{"sku": sku}]}
    api.call("PUT", f"/products/{sku}", chair)
    api.call("PUT", f"/prices/{sku}", {"product_id": sku, "currency": "EUR", "base_price": UNIT_PRICE})
    api.call("PUT", "/tax-rates/XA/standard", {"rate": TAX_RATE, "valid_from": "2017-01-01"})
    api.call("PUT", f"/stock/{sku}", {"product_id": sku, "quantity": 5 * PIECES})
    profile = {
        "customer_type": "b2b",
        "name": "Acme",
        "email": MAIL.format("acme"),
        "payment_term": "net_30",
        "country": "XA",
    }
    api.call("PUT", f"/customers/{customer}", profile)
    api.call("PUT", f"/credit-accounts/{customer}/limit", {"currency": "EUR", "credit_limit": CREDIT_LIMIT})
    print(f"  the business Acme may owe {CREDIT_LIMIT:.2f} EUR; {5 * PIECES} pieces of {sku} are in stock at {UNIT_PRICE:.2f} EUR")
    ids = []
    for _ in range(2):
        cart = api.call("POST", "/carts", {"customer_id": customer, "currency": "EUR"})["cart_id"]
        filled = api.call("POST", f"/carts/{cart}/items", {"sku": sku, "quantity": PIECES})
        placed = api.call("POST", f"/carts/{cart}/checkout", {"expected_total": filled["totals"]["total"]})
        ids.append(placed["order_id"])

        def decided(order: str = ids[-1]) -> dict[str, Any] | None:
            found = api.call("GET", f"/orders/{order}")
            return found if found["status"] != "pending" else None

        found = until("the answer of credit and stock", decided)
        why = f", {found['rejection']}" if found["rejection"] else ""
        print(f"  Acme orders {PIECES} of them, {placed['totals']['total']:.2f} EUR with tax: {placed['order_number']}, {found['status']}{why}")
    api.call("POST", f"/orders/{ids[0]}/ship", {"carrier": "Sameday"})
    total = placed["totals"]["total"]
    api.call(
        "POST",
        f"/credit-accounts/{customer}/payments",
        {"order_id": ids[0], "amount": total, "external_reference": f"BT-{run}"},
    )
    api.call("POST", f"/orders/{ids[0]}/deliver")

    def completed() -> dict[str, Any] | None:
        found = api.call("GET", f"/orders/{ids[0]}")
        return found if found["status"] == "completed" else None

    until("the order's end", completed)
    print("  the first is shipped, paid and delivered")
    return ids[0], ids[1]


def show_orders(api: Api, order: str, refused: str, run: str) -> None:
    """Prints how an order came to its end, and what is held after it and one that was refused."""
    print("\nAn order, step by step")
    steps = api.call("GET", f"/orders/{order}/timeline")["steps"]
    begun = steps[0]["occurred_at"]
    for step in steps:
        after = (moment(step["occurred_at"]) - moment(begun)).total_seconds()
        print(f"  +{after:6.3f} s  {step['event_type']:<28} {step['status'] or '':<10} {step['by']}")
    last = api.call("GET", f"/orders/{refused}/timeline")["steps"][-1]
    account = api.call("GET", f"/credit-accounts/CUST-{run}")
    stock = api.call("GET", f"/stock/PRD-{run}")
    print(f"  the second ends with {last['event_type']} ({last['reason']})")
    print(f"  held after both: {account['reserved']:.2f} EUR of credit, {stock['reserved']} pieces; {stock['on_hand']} are left")


def rate_card(api: Api, proposer: str, approver: str) -> int:
    """Makes a rate card and puts it into force; returns its number."""
    card = {
        "effective_date": "2026-01-01",
        "notice_date": "2026-01-01",
        "rates": {"compute": 1.5, "transfer": 0.05, "ltm": 0.2, "stm": 0.01},
        "proposed_by": proposer,
    }
    version: int = api.call("POST", "/cloud/rate-cards", card)["version"]
    with api.second_person() as second:
        second.call("POST", f"/cloud/rate-cards/{version}/approve", {"approved_by": approver})
    return version


def points(api: Api, user: str, model: str, run: str) -> str:
    """Holds points of a user for a request and settles them to the model; returns the escrow's id."""
    api.call("POST", f"/wallets/{user}/deposits", {"amount": DEPOSIT, "external_reference": f"bank/{run}"})
    asked = {
        "amount": HELD,
        "reason": "performance_request",
        "queue_item_id": f"queue-{run}",
        "feature_type": "performance",
        "request_id": f"request-{run}",
    }
    held = api.call("POST", f"/wallets/{user}/escrows", asked)
    print(f"  {DEPOSIT} points for Bob, {HELD} of them held: {held['available']} left to spend")
    escrow: str = held["escrow_id"]
    settled = api.call("POST", f"/escrows/{escrow}/settle", {"model_id": model})
    print(f"  done: settled to Ada, who has earned {settled['earned']}")
    return escrow


def captured_payment(api: Api) -> str:
    """Makes a payment and captures it; returns its id."""
    payment: str = api.call("POST", "/payments", {"amount": PAID, "currency": "USD"})["payment_id"]
    for step in ("authorize", "capture"):
        api.call("POST", f"/payments/{payment}/{step}", {})
    return payment


def new_settlement(api: Api, payment: str) -> dict[str, Any]:
    """Makes a settlement of a payment, of what will not be refunded, and submits it to the selected network."""
    made = api.call("POST", "/settlements", {"payment_id": payment, "amount": PAID - REFUNDED, "networks": NETWORKS})
    api.call("POST", f"/settlements/{made['settlement_id']}/submit", {"tx_hash": f"0x{uuid.uuid4().hex}"})
    return made


def confirmations(api: Api, made: dict[str, Any], pause: float) -> None:
    """Reports every confirmation that a settlement needs, one by one, then settles it."""
    path = f"/settlements/{made['settlement_id']}"
    for count in range(1, made["required_confirmations"] + 1):
        time.sleep(pause)
        api.call("POST", f"{path}/confirmations", {"confirmations": count})
    api.call("POST", f"{path}/settle", {"gas_actual": "0.000019"})


def settled_payment(api: Api) -> tuple[str, str]:
    """Settles a part of a payment over a network, then refunds the rest; returns the ids of payment and settlement."""
    payment = captured_payment(api)
    print(f"  {PAID:.2f} USD paid: authorized and captured")
    made = new_settlement(api, payment)
    print(f"  {PAID - REFUNDED:.2f} USD of it to be settled over {made['network']}, selected of {len(NETWORKS)} networks; submitted")
    confirmations(api, made, 0)
    print(f"  {made['required_confirmations']} confirmations, settled")
    refund = api.call("POST", f"/payments/{payment}/refunds", {"amount": REFUNDED})
    print(f"  the other {refund['refund_amount']:.2f} USD refunded: {refund['status']}")
    return payment, made["settlement_id"]


def show_settlement(api: Api, payment: str, settlement: str) -> None:
    """Compares the settlement as rebuilt from its events with what is stored."""
    witness = api.call("GET", f"/settlements/{settlement}/witness")
    if not witness["agrees"]:
        raise NotSeen(f"settlement {settlement}: its events do not agree with what is stored: {witness}")
    stored = witness["stored"]
    print("\nSettlement")
    print(f"  {settlement} over {stored['network']}: {stored['status']}, {stored['confirmations']} confirmations")
    print(f"  rebuilt from its {witness['events']} events alone: the same")
    print(f"  its payment: {api.call('GET', f'/payments/{payment}')['status']}")


def traffic(api: Api) -> None:
    """Settles one payment after the other, one confirmation a second, until the process is ended."""
    while True:
        confirmations(api, new_settlement(api, captured_payment(api)), CONFIRMATION_SECONDS)


def show_wallets(api: Api, whose: dict[str, tuple[str, str]]) -> None:
    """Prints balances of points and the source of each."""
    print("\nPoints")
    for name, (member, account_type) in whose.items():
        row = api.call("GET", f"/wallets/{member}/balance?account_type={account_type}")
        read = f"{row['available']} available, {row['escrow']} held, {row['earned']} earned"
        print(f"  {name}, as {account_type}: {read} (from the {row['source']})")


def show_audit_log(stack: Stack) -> None:
    """Runs the hourly job that seals all chains now."""
    answer = stack.functions.invoke(FunctionName=stack.resources["AuditAnchorFunction"], Payload=b"{}")
    fault = answer.get("FunctionError")
    if fault:
        raise NotSeen(f"the audit log was not sealed: {fault}")
    print("\nAudit log\n  all chains sealed by KMS; check them: cargo run --profile local --bin millrace -- audit-log verify")


def show_chain(stack: Stack, member: str) -> None:
    """Prints the jobs that a member's movements queued, once the worker has checked the chain, if the stack is local and so has one."""
    if "AWS_ENDPOINT_URL" not in os.environ:
        return
    print("\nOn the chain (a local node that mirrors the books; the scheduled run was started now)")
    table = boto3.resource("dynamodb").Table(stack.resources["CloudTable"])
    worker = stack.resources["CloudChainWorkerFunction"]

    def ended() -> list[dict[str, Any]] | None:
        stack.functions.invoke(FunctionName=worker, Payload=b"{}")
        keys = boto3.dynamodb.conditions.Key("pk").eq(f"chain_job#{member}")
        jobs = table.query(KeyConditionExpression=keys, ConsistentRead=True)["Items"]
        return jobs if jobs and all(job["status"] in ("confirmed", "failed") for job in jobs) else None

    for job in until("the chain's answer on every movement", ended):
        print(f"  {job['event_type']:<18} of {job['member_id']}: {job['status']}")


def show_analytics(api: Api, member: str) -> None:
    """Prints what analytics counted for a member today."""
    print("\nCounted today for Ada")
    for item in api.call("GET", f"/analytics/events?bucket=day&member_id={member}")["items"]:
        side = f" ({item['direction']})" if item.get("direction") else ""
        # Some types have a count and no amount.
        moved = f", {item['amount']} {item['unit']}" if item.get("amount") else ""
        print(f"  {item['event_type'] + side:<36} {item['count']}{moved}")


def wait_handled(api: Api, aggregates: list[str], *, latest_only: bool = False) -> list[dict[str, Any]]:
    """Waits until every event of the aggregates is published and handled by all its consumers; returns the events with their journeys."""
    events = []
    for aggregate in aggregates:
        found = api.history(aggregate)
        events += found[-1:] if latest_only else found
    for event in events:

        def whole(event: dict[str, Any] = event) -> dict[str, Any] | None:
            told = api.journey(event["event_id"])
            done = told is not None and told["published_at"] and all(one["state"] == "handled" for one in told["consumers"])
            return told if done else None

        event["journey"] = until(f"{event['event_type']} {event['event_id']} published and handled by all consumers", whole)
    return events


def show_events(events: list[dict[str, Any]]) -> None:
    """Prints the journey of each event. Of repeated progress events of one aggregate: the first, and the number of the others."""
    print("\nThe journey of each event (times after its commit)")
    shown: dict[tuple[str, str], int] = {}
    for event in sorted(events, key=lambda one: (one["occurred_at"], one["event_id"])):
        name = f"{event['aggregate_type']}/{event['aggregate_id']}"
        kind = (event["event_type"], name)
        shown[kind] = shown.get(kind, 0) + 1
        if event["event_type"] in PROGRESS and shown[kind] > 1:
            continue
        print(f"  {event['event_type']:<31} {event['priority']:<9} {name} #{event['sequence']}")
        print(f"      committed  {event['occurred_at']}  event {event['event_id']}")
        journey = event["journey"]
        print(f"      published  {since(event, journey['published_at'])}")
        for one in journey["consumers"]:
            # A cursor has a time for its last event only, a projection has none.
            moment_of = f" {since(event, one['handled_at'])}" if "handled_at" in one else ""
            print(f"      handled    by {one['consumer']:<16} {one['evidence']}{moment_of}")
    for (event_type, name), count in shown.items():
        if event_type in PROGRESS and count > 1:
            print(f"  {event_type} of {name}: {count - 1} more, each published and handled by all its consumers")


def show_loan(api: Api, loan: str) -> None:
    """Prints what is owed, and the schedule."""
    state = api.call("GET", f"/loans/{loan}")
    schedule = api.call("GET", f"/loans/{loan}/schedule")
    first, last = schedule["instalments"][0], schedule["instalments"][-1]
    witness = api.call("GET", f"/events/witness?aggregate_type=loan&aggregate_id={loan}")
    print("\nLoan")
    print(f"  {loan}: {state['status']}, {state['owed']['open_principal']:.2f} USD open, {state['payoff_amount']:.2f} USD pay it off today")
    for one in (first, last):
        print(f"  payment {one['number']:>2} due {one['due_on']}: {one['amount']:.2f} USD, {one['interest']:.2f} of it interest")
    print(f"  annual percentage rate of charge: {schedule['annual_percentage_rate']:.2f} %")
    print(f"  rebuilt from its events alone: {'the same' if witness['verdict'] == 'agrees' else witness['reason']}")


def counted(api: Api, run: str) -> str:
    """Publishes a count of goods as a merchandise system would; returns its aggregate."""
    sku = f"SKU-{run}"
    payload = {"sku": sku, "counted_quantity": 17, "counted_at": "2026-11-28T20:00:00.000Z"}
    event = {"event_type": "erp.stock_counted", "event_version": "v1", "producer": "erp.example", "payload": payload}
    api.call("POST", "/events", event)
    return f"erp_stock/{sku}"


def show_lookups(api: Api) -> None:
    """Prints the latest events and the counts."""
    print("\nEvents as an API")
    for item in api.call("GET", "/events/recent?limit=3")["items"]:
        event = item["event"]
        print(f"  recorded {item['recorded_at']}  {event['event_type']:<31} {event['aggregate_type']}/{event['aggregate_id']}")
    stats = api.call("GET", "/events/stats?by=producer&bucket=day")
    producers = ", ".join(f"{one['name']} {one['count']}" for one in stats["all_time"])
    print(f"  {stats['all_time_count']} events counted so far: {producers}")


def show_mail(stack: Stack, addresses: set[str]) -> None:
    """Prints the mails, if the endpoint is an emulator that shows them."""
    if "AWS_ENDPOINT_URL" not in os.environ:
        return
    print("\nMail")
    url = f"{os.environ['AWS_ENDPOINT_URL']}/_ministack/ses/messages"

    def sent() -> list[dict[str, Any]] | None:
        with urllib.request.urlopen(url, timeout=10) as response:
            accounts = json.load(response)["messages"]
        mails = [mail for mails in accounts.values() for mail in mails if addresses & set(mail["To"])]
        # Two mints, both sides of a transfer, a stake, earnings, a loan and its payment, one alert to the admin.
        return mails if len(mails) >= 9 else None

    try:
        mails = until("nine mails", sent)
    except (urllib.error.URLError, ValueError, KeyError):
        print("  this endpoint does not show the mails that its SES sent")
        return
    for mail in mails:
        print(f"  to {', '.join(mail['To'])}: {mail['Subject']}")


def show_letter(stack: Stack, body: str) -> None:
    """Prints the dead letter that the malformed message became, then deletes it, so that an audit of the stack finds nothing."""
    table = boto3.resource("dynamodb").Table(stack.resources["LettersTable"])

    def find() -> dict[str, Any] | None:
        # The newest are the last ones; an earlier run may have left some.
        listed = table.query(
            IndexName="listed",
            KeyConditionExpression=boto3.dynamodb.conditions.Key("listed").eq("unresolved"),
            ScanIndexForward=False,
            Limit=20,
        )
        for letter in listed["Items"]:
            message = table.get_item(Key={"pk": letter["pk"], "sk": "body"}).get("Item", {})
            if message.get("body") == body:
                return letter
        return None

    letter = until("the dead letter", find)
    print("\nDead letter")
    print(f"  consumer {letter['consumer']}, reason {letter['reason']}, attempts {letter['attempts']}")
    print(f"  error: {letter['error']}")
    for row in ("letter", "body"):
        table.delete_item(Key={"pk": letter["pk"], "sk": row})
    print("  deleted, because nobody needs it. The stack is clean: cargo run --profile local --bin millrace -- audit")


def main() -> int:
    """Command line."""
    try:
        api = Api(os.environ["API_URL"], os.environ["API_KEY"])
        if sys.argv[1:] == ["traffic"]:
            traffic(api)
        main_job(api, Stack(os.environ["STACK_NAME"]))
    except KeyError as error:
        print(f"{error} is not set: run `source .local/env` first", file=sys.stderr)
        return 2
    except (NotSeen, stack_resources.NoSuchResource) as error:
        print(f"\nFAILED: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
