//! Accounts, the treasury's total, the counts and the chain must agree with the event log.

use std::collections::BTreeMap;

use analytics::handler::Analytics;
use cloud::{
    account::Movement,
    books::entries_of,
    chain::{ChainAccount, Status},
};
use consumer::Handler as _;
use events::{Credits, MemberId};
use outbox::{Clock as _, SystemClock};
use rust_decimal::Decimal;
use serde_json::Value;
use views::analytics::{Bucket, Wanted};

use super::super::{
    Field,
    clients::{OrderResult, Request, cost},
    is_on_chain, jobs,
};
use crate::e2e::{Result, credits, outstanding};

use super::*;

/// The sums of all movements: liquid and locked credits by member, and minted minus burned and redeemed.
#[derive(Default, PartialEq, Debug)]
pub(super) struct Books {
    liquid: BTreeMap<String, Decimal>,
    staked: BTreeMap<String, Decimal>,
    outstanding: Decimal,
    movements: BTreeMap<String, usize>,
}

impl Books {
    fn change(&mut self, member: &str, liquid: Decimal, staked: Decimal) {
        *self.liquid.entry(member.to_owned()).or_default() += liquid;
        *self.staked.entry(member.to_owned()).or_default() += staked;
        *self.movements.entry(member.to_owned()).or_default() += 1;
    }

    /// The sums by the requests that got a successful response. The event log and its types are not used here.
    fn by_answers(field: &Field, results: &[OrderResult]) -> Self {
        let (mut books, none) = (Self::default(), Decimal::ZERO);
        for one in results.iter().filter(|one| one.answer.is_some()) {
            let id = |number: usize| field.members[number].as_str();
            match &one.order.request {
                Request::Mint { member, amount, .. } => {
                    books.change(id(*member), *amount, none);
                    books.outstanding += amount;
                }
                Request::Burn { member, amount } => {
                    books.change(id(*member), -*amount, none);
                    books.outstanding -= amount;
                }
                Request::Transfer { from, to, amount } => {
                    books.change(id(*from), -*amount, none);
                    books.change(id(*to), *amount, none);
                }
                Request::Redeem {
                    member,
                    primitive,
                    quantity,
                } => {
                    let amount = cost(*primitive, *quantity);
                    books.change(id(*member), -amount, none);
                    books.outstanding -= amount;
                }
                Request::Stake { member, amount } => books.change(id(*member), -*amount, *amount),
                Request::Unstake { stake } => {
                    books.change(id(stake.member), stake.amount, -stake.amount);
                }
                Request::Rename { .. }
                | Request::Propose { .. }
                | Request::Approve { .. }
                | Request::Wallet(_)
                | Request::Settlement(_)
                | Request::Loan(_)
                | Request::Shop(_) => {}
            }
        }
        books
    }

    fn by_log(log: &[Logged]) -> Result<Self> {
        let mut books = Self::default();
        for one in log {
            for entry in entries_of(&one.envelope)? {
                let recorded = entry.recorded;
                books.change(&entry.account, recorded.change(), recorded.staked_change());
                books.outstanding += recorded.kind.outstanding_change(recorded.amount);
            }
        }
        Ok(books)
    }
}

/// Balances, statements, versions and the treasury's total.
pub(super) async fn accounts(
    field: &Field,
    results: &[OrderResult],
    log: &[Logged],
    outstanding_before: Credits,
    found: &mut Vec<Finding>,
) -> Result {
    let books = Books::by_answers(field, results);
    let logged = Books::by_log(log)?;
    if books != logged {
        found.push(Finding(format!(
            "the responses add up to {books:?}, the event log to {logged:?}"
        )));
    }
    let mut sum = Decimal::ZERO;
    for member in &field.members {
        let shown = crate::e2e::balance(&field.stack, member).await?;
        for (name, dues) in [
            ("balance", &books.liquid),
            ("staked_balance", &books.staked),
        ] {
            let held = credits(&shown[name])?.decimal();
            let due = dues.get(member).copied().unwrap_or_default();
            if held != due {
                found.push(Finding(format!(
                    "{member}: {name} is {held}, the responses add up to {due}"
                )));
            }
            sum += held;
        }
        let statement = whole(field, &Movement::statement(&field.cloud, member, 1_000)).await?;
        let due = books.movements.get(member).copied().unwrap_or(0);
        if statement.len() != due {
            found.push(Finding(format!(
                "{member}'s statement has {} lines, {due} are expected",
                statement.len()
            )));
        }
        let mut versions = Vec::new();
        for one in log {
            let entries = entries_of(&one.envelope)?.into_iter();
            versions.extend(
                entries
                    .filter(|entry| entry.account == *member)
                    .map(|entry| entry.version),
            );
        }
        versions.sort_unstable();
        if versions
            .iter()
            .zip(1..)
            .any(|(version, due)| *version != due)
        {
            found.push(Finding(format!(
                "{member}'s versions have a gap or a duplicate: {versions:?}"
            )));
        }
    }
    if sum != books.outstanding {
        found.push(Finding(format!(
            "accounts hold {sum}, {} is expected",
            books.outstanding
        )));
    }
    let counted = outstanding(&field.stack).await?.decimal() - outstanding_before.decimal();
    if counted != books.outstanding {
        found.push(Finding(format!(
            "the treasury counted {counted}, {} is expected",
            books.outstanding
        )));
    }
    Ok(())
}

/// The counts of each member must be exactly what follows from the event log.
pub(super) async fn counts(field: &Field, log: &[Logged], found: &mut Vec<Finding>) -> Result {
    for member in &field.members {
        let mut due: BTreeMap<String, (u64, Decimal, Decimal)> = BTreeMap::new();
        for one in log {
            let (event_type, payload) = (one.row.event_type.as_str(), &one.payload);
            let own = |name: &'static str| vec![(name, String::new())];
            let sides = match event_type {
                "cloud.minted" | "cloud.burned" | "cloud.redeemed" | "cloud.staked"
                | "cloud.unstaked" => own("member_id"),
                "cloud.transferred" => vec![
                    ("from_member_id", "#out".to_owned()),
                    ("to_member_id", "#in".to_owned()),
                ],
                "cloud.rate_card_created" => own("proposed_by"),
                "cloud.rate_card_approved" => own("approved_by"),
                _ if !listens(Analytics::NAME, event_type) => Vec::new(),
                "wallet.deposited" | "wallet.withdrawn" | "wallet.balance_updated" => {
                    own("account_id")
                }
                "wallet.escrow_held" | "wallet.escrow_refunded" => own("user_id"),
                "wallet.escrow_settled" | "wallet.escrow_partial_settled" => vec![
                    ("user_id", "#out".to_owned()),
                    ("model_id", "#in".to_owned()),
                ],
                _ => Vec::new(),
            };
            for (name, part) in sides {
                if payload[name] == *member {
                    let (part, quantity) = match payload["primitive"].as_str() {
                        Some(primitive) => (format!("#{primitive}"), &payload["quantity"]),
                        None => (part, &Value::Null),
                    };
                    let sum = due.entry(format!("{event_type}{part}")).or_default();
                    sum.0 += 1;
                    // Of an escrow that was divided, the part that was paid to the model.
                    for amount in [&payload["amount"], &payload["settle_amount"]] {
                        if amount.is_number() {
                            sum.1 += credits(amount)?.decimal();
                        }
                    }
                    if !quantity.is_null() {
                        sum.2 += credits(quantity)?.decimal();
                    }
                }
            }
        }
        let now = SystemClock.now();
        let wanted = Wanted {
            bucket: Bucket::Day,
            from: Bucket::Day.before(Bucket::Day.start(now), 2),
            to: Bucket::Day.end(now),
            kind: None,
            primitive: None,
            member_id: Some(MemberId::new(member.as_str())?),
        };
        let mut counted: BTreeMap<String, (u64, Decimal, Decimal)> = BTreeMap::new();
        let figures = wanted.read(&field.outbox, &field.analytics).await?;
        for figure in &figures {
            let line = format!("{}{}", figure.kind.event_type, figure.part);
            let sum = counted.entry(line).or_default();
            sum.0 += figure.sums.count;
            sum.1 += figure.sums.amount;
            sum.2 += figure.sums.quantity;
        }
        if counted != due {
            found.push(Finding(format!(
                "{member}: counted {counted:?}, {due:?} follows from the event log"
            )));
        }
    }
    Ok(())
}

/// Every movement of a member with an address must have its job, confirmed on the chain; other members have none. The
/// chain mirrors the books, so no member diverges.
pub(super) async fn chain(field: &Field, log: &[Logged], found: &mut Vec<Finding>) -> Result {
    for (number, member) in field.members.iter().enumerate() {
        let mut due = Vec::new();
        for one in log.iter().filter(|_| is_on_chain(number)) {
            let sides: &[&str] = match one.row.event_type.as_str() {
                "cloud.minted" | "cloud.burned" | "cloud.redeemed" => &["member_id"],
                "cloud.transferred" => &["from_member_id", "to_member_id"],
                _ => &[],
            };
            if sides.iter().any(|side| one.payload[side] == *member) {
                let transaction = one.payload["transaction_id"].as_str().unwrap_or_default();
                let line = (one.row.event_type.clone(), transaction.to_owned());
                due.push((one.row.event_id.clone(), line));
            }
        }
        let jobs = jobs::of_member(field, member).await?;
        let mut there: Vec<_> = jobs
            .iter()
            .map(|job| {
                let line = (job.event_type.to_string(), job.transaction_id.to_string());
                (job.event_id.to_string(), line)
            })
            .collect();
        due.sort();
        there.sort();
        if due != there {
            let (there, due) = (there.len(), due.len());
            found.push(Finding(format!(
                "{member} has {there} jobs, {due} are expected"
            )));
        }
        if let Some(job) = jobs.iter().find(|job| job.status != Status::Confirmed) {
            found.push(Finding(format!("{member}: not confirmed: {job:?}")));
        }
        let record = field.outbox.load::<ChainAccount>(&field.cloud, member);
        let record = record.await?.state().cloned().unwrap_or_default();
        let is_synced = record.last_synced_at.is_some() || jobs.is_empty();
        if record.episode != 0 || !is_synced {
            found.push(Finding(format!("{member} on the chain: {record:?}")));
        }
    }
    Ok(())
}
