//! The invariants of payments and settlements at the end.

use std::collections::{BTreeMap, BTreeSet};

use events::{
    Contract, Envelope, Money, PaymentId, SettlementId,
    contracts::{payment, settlement as contracts},
};
use outbox::{Entity, Scan};
use rust_decimal::Decimal;
use serde_json::Value;
use settlement::{Payment, books::Books, settlement::SettlementRow, witness};

use super::{
    super::{
        Field,
        books::{Finding, Logged},
        clients::{self, OrderResult},
    },
    Request,
};
use crate::e2e::Result;

const PAYMENT: &str = payment::Created::AGGREGATE;
const SETTLEMENT: &str = contracts::Created::AGGREGATE;

/// All aggregates in the table, as the event log names them, including those of other stories.
pub(in super::super) async fn stored(field: &Field) -> Result<BTreeSet<String>> {
    let mut stored = BTreeSet::new();
    let mut scan = Scan {
        table: field.settlement.clone(),
        without: None,
        limit: 1_000,
        after: None,
    };
    loop {
        let page = field.outbox.store().scan(&scan).await?;
        let names = page.items.iter().filter_map(|item| item["pk"].as_str());
        stored.extend(names.map(str::to_owned));
        scan.after = page.next;
        if scan.after.is_none() {
            return Ok(stored);
        }
    }
}

/// What happened to a payment or settlement: each transition, and what can happen more than once.
#[derive(Debug, Default, PartialEq)]
struct Lifecycle {
    /// The statuses it reached, in order.
    path: Vec<String>,
    /// Refunds, each with the sum it led to; or numbers of confirmations.
    parts: BTreeSet<(Decimal, Decimal)>,
    /// How often a refund or a new number of confirmations was reported.
    times: usize,
    /// What was reported about its end or its transaction, by field name.
    words: BTreeMap<&'static str, String>,
}

impl Lifecycle {
    fn part(&mut self, part: Decimal, sum: Decimal) {
        self.parts.insert((part, sum));
        self.times += 1;
    }

    fn word(&mut self, name: &'static str, value: &Value) {
        let value = value.as_str().unwrap_or_default().to_owned();
        self.words.insert(name, value);
    }
}

fn money(value: &Value) -> Result<Decimal> {
    let money: Money = serde_json::from_value(value.clone())?;
    Ok(money.decimal())
}

/// By the requests that got a successful response. A transition that is reported twice is twice in the path.
fn by_answers(results: &[OrderResult]) -> Result<BTreeMap<String, Lifecycle>> {
    let mut lifecycles: BTreeMap<String, Lifecycle> = BTreeMap::new();
    // Refunds and confirmations take effect in an order that clients do not see, so they are sorted by their sums.
    let mut results: Vec<(&Request, &Value)> = results
        .iter()
        .filter_map(|one| match &one.order.request {
            clients::Request::Settlement(request) => Some((request, one.answer.as_ref()?)),
            _ => None,
        })
        .collect();
    let rank = |request: &Request| match request {
        Request::Pay { .. } | Request::Send { .. } => 0,
        Request::Step { step, .. } if *step == "authorize" => 1,
        Request::Submit { .. } => 1,
        Request::Step { step, .. } if *step == "capture" => 2,
        Request::Refund { .. } | Request::Confirm { .. } => 3,
        Request::Settle { .. } => 4,
        Request::Step { .. } | Request::Fail { .. } => 5,
    };
    let sum = |answer: &Value| match answer["confirmations"].as_u64() {
        Some(confirmations) => Some(Decimal::from(confirmations)),
        None => money(&answer["refunded_total"]).ok(),
    };
    results.sort_by_key(|(request, answer)| (rank(request), sum(answer)));
    for (request, answer) in results {
        let word = |name: &str| answer[name].as_str().unwrap_or_default();
        let of = |kind: &str, id: &str| format!("{kind}#{id}");
        match request {
            Request::Pay { .. } => {
                let id = of(PAYMENT, word("payment_id"));
                lifecycles
                    .entry(id)
                    .or_default()
                    .path
                    .push("created".into());
            }
            Request::Send { .. } => {
                let lifecycle = lifecycles.entry(of(SETTLEMENT, word("settlement_id")));
                let begun = ["created", "network_selected"].map(str::to_owned);
                lifecycle.or_default().path.extend(begun);
            }
            Request::Step { payment, .. } => {
                let lifecycle = lifecycles.entry(of(PAYMENT, &payment.id)).or_default();
                lifecycle.path.push(word("status").to_owned());
            }
            Request::Refund { payment, amount } => {
                let lifecycle = lifecycles.entry(of(PAYMENT, &payment.id)).or_default();
                let sum = money(&answer["refunded_total"])?;
                lifecycle.part(*amount, sum);
                let status = word("status").to_owned();
                if lifecycle.path.last() != Some(&status) {
                    lifecycle.path.push(status);
                }
            }
            Request::Submit { settlement, hash } => {
                let lifecycle = lifecycles
                    .entry(of(SETTLEMENT, &settlement.id))
                    .or_default();
                lifecycle.path.push("submitted".into());
                lifecycle.words.insert("tx_hash", hash.clone());
            }
            Request::Confirm { settlement, .. } => {
                let lifecycle = lifecycles
                    .entry(of(SETTLEMENT, &settlement.id))
                    .or_default();
                let confirmations = answer["confirmations"].as_u64().unwrap_or(0);
                let confirmations = Decimal::from(confirmations);
                let is_new = !lifecycle.parts.contains(&(Decimal::ZERO, confirmations));
                // A number that the settlement already has changes nothing.
                if is_new && !confirmations.is_zero() {
                    if lifecycle.parts.is_empty() {
                        lifecycle.path.push("confirming".into());
                    }
                    lifecycle.part(Decimal::ZERO, confirmations);
                    let confirmed = lifecycle
                        .path
                        .last()
                        .is_some_and(|last| last == "confirmed");
                    if confirmations >= settlement.required.into() && !confirmed {
                        lifecycle.path.push("confirmed".into());
                    }
                }
            }
            Request::Settle { settlement, gas } => {
                let lifecycle = lifecycles
                    .entry(of(SETTLEMENT, &settlement.id))
                    .or_default();
                lifecycle.path.push("settled".into());
                lifecycle.words.insert("gas_actual", gas.clone());
            }
            Request::Fail { settlement } => {
                let lifecycle = lifecycles
                    .entry(of(SETTLEMENT, &settlement.id))
                    .or_default();
                lifecycle.path.push("failed".into());
                lifecycle.words.insert("error", "storm".into());
            }
        }
    }
    Ok(lifecycles)
}

/// By the events alone.
fn by_log(log: &[Logged]) -> Result<BTreeMap<String, Lifecycle>> {
    let mut lifecycles: BTreeMap<String, Lifecycle> = BTreeMap::new();
    for one in log {
        let lifecycle = match one.row.aggregate.split('#').next() {
            Some(PAYMENT | SETTLEMENT) => lifecycles.entry(one.row.aggregate.clone()).or_default(),
            _ => continue,
        };
        let payload = &one.payload;
        match one.row.event_type.as_str() {
            payment::Created::TYPE | contracts::Created::TYPE => {
                lifecycle.path.push("created".into());
            }
            contracts::NetworkSelected::TYPE => lifecycle.path.push("network_selected".into()),
            payment::StatusChanged::TYPE | contracts::StatusChanged::TYPE => {
                let to = payload["to_status"].as_str().unwrap_or_default();
                lifecycle.path.push(to.to_owned());
                if to == "submitted" {
                    lifecycle.word("tx_hash", &payload["tx_hash"]);
                }
            }
            payment::Refunded::TYPE => {
                lifecycle.part(
                    money(&payload["refund_amount"])?,
                    money(&payload["refunded_total"])?,
                );
            }
            contracts::ConfirmationProgress::TYPE => {
                let confirmations = payload["confirmations"].as_u64().unwrap_or(0);
                lifecycle.part(Decimal::ZERO, confirmations.into());
            }
            contracts::Settled::TYPE => lifecycle.word("gas_actual", &payload["gas_actual"]),
            contracts::Failed::TYPE => lifecycle.word("error", &payload["error"]),
            _ => {}
        }
    }
    Ok(lifecycles)
}

/// Responses, events, rebuilt states and what the API shows must agree, and everything that exists is in a response.
pub(in super::super) async fn check(
    field: &Field,
    results: &[OrderResult],
    log: &[Logged],
    found: &mut Vec<Finding>,
) -> Result {
    let (answered, logged) = (by_answers(results)?, by_log(log)?);
    for aggregate in answered
        .keys()
        .chain(logged.keys())
        .collect::<BTreeSet<_>>()
    {
        let (by_clients, says) = (answered.get(aggregate), logged.get(aggregate));
        if by_clients != says {
            found.push(Finding::of(format!(
                "{aggregate}: by the responses {by_clients:?}, by the event log {says:?}"
            )));
        }
    }
    let known: BTreeSet<String> = field.settlements.aggregates().into_iter().collect();
    for one in stored(field).await? {
        if !known.contains(&one) && !field.settled_before.contains(&one) {
            found.push(Finding::of(format!(
                "{one} was made, but no response names it"
            )));
        }
    }
    let mut books = Books::default();
    for aggregate in &known {
        let of = log.iter().filter(|one| one.row.aggregate == *aggregate);
        let events: Vec<Envelope> = of.map(|one| one.envelope.clone()).collect();
        match aggregate.split_once('#') {
            Some((PAYMENT, id)) => {
                of_payment(field, id.parse()?, &events, &mut books, found).await?;
            }
            Some((_, id)) => {
                of_settlement(field, id.parse()?, &events, &mut books, found).await?;
            }
            None => {}
        }
    }
    let wrong = books.check();
    found.extend(wrong.iter().map(|one| Finding::of(one.to_string())));
    Ok(())
}

async fn of_payment(
    field: &Field,
    id: PaymentId,
    events: &[Envelope],
    books: &mut Books,
    found: &mut Vec<Finding>,
) -> Result {
    let entity: Entity<Payment> = field
        .outbox
        .load(&field.settlement, &id.to_string())
        .await?;
    let stored = entity.state().map(|state| (state, entity.version()));
    let rebuilt = witness::payment(events);
    if let Ok(Some(rebuilt)) = &rebuilt {
        books.enter_payment(&rebuilt.state);
    }
    let come_to = rebuilt.as_ref().ok().and_then(Option::as_ref);
    let come_to = come_to.map(|rebuilt| (&rebuilt.state, rebuilt.version.number()));
    if stored.is_none() || stored != come_to {
        found.push(Finding::of(format!(
            "payment {id} is {stored:?}, its events rebuild {rebuilt:?}"
        )));
    }
    let shown = field.stack.get(&format!("/api/v1/payments/{id}")).await?;
    let sum = money(&shown["refunded"])?;
    let allocated = money(&shown["allocated"])?;
    let same = stored.is_some_and(|(state, version)| {
        shown["status"] == state.status().as_str()
            && shown["version"] == version
            && sum == state.refunded().decimal()
            && allocated == state.allocated().decimal()
    });
    if !same || sum + allocated > money(&shown["amount"])? {
        found.push(Finding::of(format!(
            "payment {id} is shown as {shown}, but stored as {stored:?}"
        )));
    }
    Ok(())
}

async fn of_settlement(
    field: &Field,
    id: SettlementId,
    events: &[Envelope],
    books: &mut Books,
    found: &mut Vec<Finding>,
) -> Result {
    let entity: Entity<SettlementRow> = field
        .outbox
        .load(&field.settlement, &id.to_string())
        .await?;
    let stored = entity.state().map(SettlementRow::settlement);
    let stored = stored.map(|state| (state, entity.version()));
    let rebuilt = witness::settlement(events);
    if let Ok(Some(rebuilt)) = &rebuilt {
        books.enter_settlement(&rebuilt.state);
    }
    let come_to = rebuilt.as_ref().ok().and_then(Option::as_ref);
    let come_to = come_to.map(|rebuilt| (&rebuilt.state, rebuilt.version.number()));
    if stored.is_none() || stored != come_to {
        found.push(Finding::of(format!(
            "settlement {id} is {stored:?}, its events rebuild {rebuilt:?}"
        )));
    }
    let path = format!("/api/v1/settlements/{id}/witness");
    let shown = field.stack.get(&path).await?;
    if shown["agrees"] != true || shown["events"].as_u64() != u64::try_from(events.len()).ok() {
        found.push(Finding::of(format!("{path}: {shown}")));
    }
    Ok(())
}
