//! What must be true of payments and settlements in the end.

use std::collections::{BTreeMap, BTreeSet};

use events::{
    Contract, Envelope, Money, PaymentId, SettlementId,
    contracts::{payment, settlement as contracts},
};
use outbox::{Entity, Scan};
use rust_decimal::Decimal;
use serde_json::Value;
use settlement::{Payment, settlement::Row, witness};

use super::{
    super::{
        Field,
        books::{Finding, Logged},
        clients::{self, Told},
    },
    Wish,
};
use crate::e2e::Result;

const PAYMENT: &str = payment::Created::AGGREGATE;
const SETTLEMENT: &str = contracts::Created::AGGREGATE;

/// Everything that stands in the table, as the log calls it: other stories' too.
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

/// What happened to one of them: each transition, and what else can happen more than once.
#[derive(Debug, Default, PartialEq)]
struct Course {
    /// The statuses that it came to, in their order.
    path: Vec<String>,
    /// Refunds, each with the sum that it came to; or numbers of confirmations.
    parts: BTreeSet<(Decimal, Decimal)>,
    /// How often one of these was told.
    times: usize,
    /// What was told of its end or its transaction, in the order of the names.
    words: BTreeMap<&'static str, String>,
}

impl Course {
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

/// By what clients asked for and were told was done. What is told twice stands twice in a path.
fn by_answers(told: &[Told]) -> Result<BTreeMap<String, Course>> {
    let mut courses: BTreeMap<String, Course> = BTreeMap::new();
    // Refunds and confirmations take effect in an order that clients do not see: by their sums.
    let mut told: Vec<(&Wish, &Value)> = told
        .iter()
        .filter_map(|one| match &one.order.wish {
            clients::Wish::Settlement(wish) => Some((wish, one.answer.as_ref()?)),
            _ => None,
        })
        .collect();
    let rank = |wish: &Wish| match wish {
        Wish::Pay { .. } | Wish::Send { .. } => 0,
        Wish::Step { step, .. } if *step == "authorize" => 1,
        Wish::Submit { .. } => 1,
        Wish::Step { step, .. } if *step == "capture" => 2,
        Wish::Refund { .. } | Wish::Confirm { .. } => 3,
        Wish::Settle { .. } => 4,
        Wish::Step { .. } | Wish::Fail { .. } => 5,
    };
    let sum = |answer: &Value| match answer["confirmations"].as_u64() {
        Some(confirmations) => Some(Decimal::from(confirmations)),
        None => money(&answer["refunded_total"]).ok(),
    };
    told.sort_by_key(|(wish, answer)| (rank(wish), sum(answer)));
    for (wish, answer) in told {
        let word = |name: &str| answer[name].as_str().unwrap_or_default();
        let of = |kind: &str, id: &str| format!("{kind}#{id}");
        match wish {
            Wish::Pay { .. } => {
                let id = of(PAYMENT, word("payment_id"));
                courses.entry(id).or_default().path.push("created".into());
            }
            Wish::Send { .. } => {
                let course = courses.entry(of(SETTLEMENT, word("settlement_id")));
                let begun = ["created", "network_selected"].map(str::to_owned);
                course.or_default().path.extend(begun);
            }
            Wish::Step { payment, .. } => {
                let course = courses.entry(of(PAYMENT, &payment.id)).or_default();
                course.path.push(word("status").to_owned());
            }
            Wish::Refund { payment, amount } => {
                let course = courses.entry(of(PAYMENT, &payment.id)).or_default();
                let sum = money(&answer["refunded_total"])?;
                course.part(*amount, sum);
                let status = word("status").to_owned();
                if course.path.last() != Some(&status) {
                    course.path.push(status);
                }
            }
            Wish::Submit { settlement, hash } => {
                let course = courses.entry(of(SETTLEMENT, &settlement.id)).or_default();
                course.path.push("submitted".into());
                course.words.insert("tx_hash", hash.clone());
            }
            Wish::Confirm { settlement, .. } => {
                let course = courses.entry(of(SETTLEMENT, &settlement.id)).or_default();
                let confirmations = answer["confirmations"].as_u64().unwrap_or(0);
                let confirmations = Decimal::from(confirmations);
                let is_new = !course.parts.contains(&(Decimal::ZERO, confirmations));
                // The number that it has already changes nothing.
                if is_new && !confirmations.is_zero() {
                    if course.parts.is_empty() {
                        course.path.push("confirming".into());
                    }
                    course.part(Decimal::ZERO, confirmations);
                    let confirmed = course.path.last().is_some_and(|last| last == "confirmed");
                    if confirmations >= settlement.required.into() && !confirmed {
                        course.path.push("confirmed".into());
                    }
                }
            }
            Wish::Settle { settlement, gas } => {
                let course = courses.entry(of(SETTLEMENT, &settlement.id)).or_default();
                course.path.push("settled".into());
                course.words.insert("gas_actual", gas.clone());
            }
            Wish::Fail { settlement } => {
                let course = courses.entry(of(SETTLEMENT, &settlement.id)).or_default();
                course.path.push("failed".into());
                course.words.insert("error", "storm".into());
            }
        }
    }
    Ok(courses)
}

/// By the events alone.
fn by_log(log: &[Logged]) -> Result<BTreeMap<String, Course>> {
    let mut courses: BTreeMap<String, Course> = BTreeMap::new();
    for one in log {
        let course = match one.row.aggregate.split('#').next() {
            Some(PAYMENT | SETTLEMENT) => courses.entry(one.row.aggregate.clone()).or_default(),
            _ => continue,
        };
        let told = &one.payload;
        match one.row.event_type.as_str() {
            payment::Created::TYPE | contracts::Created::TYPE => course.path.push("created".into()),
            contracts::NetworkSelected::TYPE => course.path.push("network_selected".into()),
            payment::StatusChanged::TYPE | contracts::StatusChanged::TYPE => {
                let to = told["to_status"].as_str().unwrap_or_default();
                course.path.push(to.to_owned());
                if to == "submitted" {
                    course.word("tx_hash", &told["tx_hash"]);
                }
            }
            payment::Refunded::TYPE => {
                course.part(
                    money(&told["refund_amount"])?,
                    money(&told["refunded_total"])?,
                );
            }
            contracts::ConfirmationProgress::TYPE => {
                let confirmations = told["confirmations"].as_u64().unwrap_or(0);
                course.part(Decimal::ZERO, confirmations.into());
            }
            contracts::Settled::TYPE => course.word("gas_actual", &told["gas_actual"]),
            contracts::Failed::TYPE => course.word("error", &told["error"]),
            _ => {}
        }
    }
    Ok(courses)
}

/// Answers, events, witnesses and what is shown say one and the same; nothing was made that nobody was told of.
pub(in super::super) async fn check(
    field: &Field,
    told: &[Told],
    log: &[Logged],
    found: &mut Vec<Finding>,
) -> Result {
    let (answered, logged) = (by_answers(told)?, by_log(log)?);
    for aggregate in answered
        .keys()
        .chain(logged.keys())
        .collect::<BTreeSet<_>>()
    {
        let (told, says) = (answered.get(aggregate), logged.get(aggregate));
        if told != says {
            found.push(Finding::of(format!(
                "{aggregate}: clients were told {told:?}, the log says {says:?}"
            )));
        }
    }
    let known: BTreeSet<String> = field.settlements.aggregates().into_iter().collect();
    for one in stored(field).await? {
        if !known.contains(&one) && !field.settled_before.contains(&one) {
            found.push(Finding::of(format!("{one} was made and nobody was told")));
        }
    }
    for aggregate in &known {
        let of = log.iter().filter(|one| one.row.aggregate == *aggregate);
        let events: Vec<Envelope> = of.map(|one| one.envelope.clone()).collect();
        match aggregate.split_once('#') {
            Some((PAYMENT, id)) => of_payment(field, id.parse()?, &events, found).await?,
            Some((_, id)) => of_settlement(field, id.parse()?, &events, found).await?,
            None => {}
        }
    }
    Ok(())
}

async fn of_payment(
    field: &Field,
    id: PaymentId,
    events: &[Envelope],
    found: &mut Vec<Finding>,
) -> Result {
    let entity: Entity<Payment> = field
        .outbox
        .load(&field.settlement, &id.to_string())
        .await?;
    let stored = entity.state().map(|state| (state, entity.version()));
    let rebuilt = witness::payment(events);
    let come_to = rebuilt.as_ref().ok().and_then(Option::as_ref);
    let come_to = come_to.map(|rebuilt| (&rebuilt.state, rebuilt.version.number()));
    if stored.is_none() || stored != come_to {
        found.push(Finding::of(format!(
            "payment {id} is {stored:?}, its events come to {rebuilt:?}"
        )));
    }
    let shown = field.stack.get(&format!("/api/v1/payments/{id}")).await?;
    let sum = money(&shown["refunded"])?;
    let same = stored.is_some_and(|(state, version)| {
        shown["status"] == state.status().as_str()
            && shown["version"] == version
            && sum == state.refunded().decimal()
    });
    if !same || sum > money(&shown["amount"])? {
        found.push(Finding::of(format!(
            "payment {id} is shown as {shown}, stored is {stored:?}"
        )));
    }
    Ok(())
}

async fn of_settlement(
    field: &Field,
    id: SettlementId,
    events: &[Envelope],
    found: &mut Vec<Finding>,
) -> Result {
    let entity: Entity<Row> = field
        .outbox
        .load(&field.settlement, &id.to_string())
        .await?;
    let stored = entity.state().map(Row::settlement);
    let stored = stored.map(|state| (state, entity.version()));
    let rebuilt = witness::settlement(events);
    let come_to = rebuilt.as_ref().ok().and_then(Option::as_ref);
    let come_to = come_to.map(|rebuilt| (&rebuilt.state, rebuilt.version.number()));
    if stored.is_none() || stored != come_to {
        found.push(Finding::of(format!(
            "settlement {id} is {stored:?}, its events come to {rebuilt:?}"
        )));
    }
    let path = format!("/api/v1/settlements/{id}/witness");
    let shown = field.stack.get(&path).await?;
    if shown["agrees"] != true || shown["events"].as_u64() != u64::try_from(events.len()).ok() {
        found.push(Finding::of(format!("{path}: {shown}")));
    }
    Ok(())
}
