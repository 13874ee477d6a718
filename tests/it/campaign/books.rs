//! The invariants at the end of a campaign: the responses to clients, the event log, the accounts, and what consumers
//! stored must all agree.

mod accounts;
mod answers;
mod consumers;

use std::{collections::BTreeSet, fmt, time::Duration};

use audit_chain::{Anchor, last_anchor};
use cloud::rate_card::RateCard;
use events::{Credits, Envelope, MemberId, Registry};
use millrace::{audit::checked_consumers, audit_log};
use outbox::{Clock as _, Item, Key, Query, SystemClock, Table, log::LogRow};
use serde_json::Value;
use testkit::stack::until;
use views::{contacts, contacts::Contact};

use self::{
    accounts::{accounts, chain, counts},
    answers::{answers, cards},
    consumers::{evidence, fanned_out, read_models},
};
use super::{
    Field, SUBNAMED, aggregates, clients::OrderResult, feed, jobs, loans, settlements, shop,
    wallets,
};
use crate::e2e::Result;

/// How long it may take until a job that was killed during the storm runs again and has sealed everything.
const ANCHORED: Duration = Duration::from_secs(120);

/// A violation of an invariant.
#[derive(Debug)]
pub(super) struct Finding(String);

impl Finding {
    pub(super) fn of(what: String) -> Self {
        Self(what)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A row of the event log and its envelope.
pub(super) struct Logged {
    pub(super) row: LogRow,
    pub(super) envelope: Envelope,
    pub(super) payload: Value,
}

/// Whether a consumer of this stack handles events of a type.
pub(super) fn listens(consumer: &str, event_type: &str) -> bool {
    checked_consumers()
        .iter()
        .any(|one| one.name == consumer && one.selection.takes(event_type))
}

/// Whether one of the campaign's events is not published.
pub(super) async fn is_pending(field: &Field) -> Result<bool> {
    for aggregate in names(field).await? {
        let rows = Query::partition(field.outbox.events_table()?, aggregate, 100);
        for item in whole(field, &rows).await? {
            if !item.contains_key("published_at") {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// All violations. `outstanding_before`: what the treasury counted when the campaign began.
pub(super) async fn check(
    field: &Field,
    results: &[OrderResult],
    outstanding_before: Credits,
) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    let log = log(field, &mut found).await?;
    answers(field, results, &log, &mut found);
    aggregates::check(field, &log, &mut found).await?;
    cards(field, results, &log, &mut found)?;
    accounts(field, results, &log, outstanding_before, &mut found).await?;
    evidence(field, &log, &mut found).await?;
    counts(field, &log, &mut found).await?;
    read_models(field, results, &log, &mut found).await?;
    fanned_out(field, &log, &mut found).await?;
    chain(field, &log, &mut found).await?;
    wallets::check(field, results, &log, &mut found).await?;
    settlements::check(field, results, &log, &mut found).await?;
    loans::check(field, results, &mut found).await?;
    shop::check(field, results, &log, &mut found).await?;
    feed::check(field, &log, &mut found).await?;
    field.outside()?.check(&log, &mut found);
    Ok(found)
}

/// The findings of the operator's audit about the same aggregates. The audit does not know the responses to clients,
/// and checks of the rest what can be known of any stack. It must find nothing if the checks here find nothing.
pub(super) async fn audit(field: &Field) -> Result<Vec<Finding>> {
    let report = crate::e2e::audit::look_at(&field.stack, scope(field).await?).await?;
    let mut found: Vec<Finding> = report
        .findings
        .iter()
        .map(|one| Finding(format!("audit: {one:?}")))
        .collect();
    if !report.clean && found.is_empty() {
        found.push(Finding("audit: not clean".to_owned()));
    }
    if report.counts.events == 0 {
        found.push(Finding("audit: it saw no event".to_owned()));
    }
    Ok(found)
}

/// The findings of the operator's check of the audit log about the same aggregates, after an anchor that was started at
/// the end of the campaign has sealed their chains.
pub(super) async fn audit_log(field: &Field) -> Result<Vec<Finding>> {
    let audit_table = Table::domain(field.stack.resource("AuditTable")?);
    let stack = &field.stack;
    let sources = audit_log::Sources::of_stack(stack.sdk(), stack.name()?).await?;
    let options = audit_log::Options {
        grace: Duration::ZERO,
        items_per_second: 10_000,
        scope: scope(field).await?,
        ..audit_log::Options::default()
    };
    let drained = SystemClock.now();
    until("an anchor of all chains", ANCHORED, || async {
        jobs::anchor(field).await?;
        // The job may be in a pass that it started during the storm. Then it needs another one.
        let newest = last_anchor(&audit_table);
        let (newest, _) = field.outbox.rows::<Anchor>(&newest).await?;
        let is_later = |anchor: &Anchor| anchor.started_at > drained;
        Ok(newest.first().is_some_and(is_later).then_some(()))
    })
    .await?;
    let report = audit_log::verify(&sources, &options, &mut |_| {}).await?;
    let mut found: Vec<Finding> = report
        .findings
        .iter()
        .map(|one| Finding(format!("audit log: {one:?}")))
        .collect();
    let counts = report.counts;
    if counts.entries == 0 || counts.entries != counts.events || counts.anchored < counts.chains {
        found.push(Finding(format!("audit log: not whole: {counts:?}")));
    }
    Ok(found)
}

/// The aggregates of the campaign, as (type, id).
async fn scope(field: &Field) -> Result<Vec<(String, String)>> {
    let all = names(field).await?;
    let parts = all.iter().filter_map(|one| one.split_once('#'));
    Ok(parts
        .map(|(kind, id)| (kind.to_owned(), id.to_owned()))
        .collect())
}

/// The aggregates of the campaign. No one else proposes rate cards meanwhile.
async fn names(field: &Field) -> Result<Vec<String>> {
    let of = |member: &String| {
        ["cloud_account", "chain_account", "member"].map(|kind| format!("{kind}#{member}"))
    };
    let newest = RateCard::newest_first(&field.cloud, 1);
    let (newest, _) = field.outbox.rows::<RateCard>(&newest).await?;
    let newest = newest.first().map_or(0, |card| card.number().number());
    let cards = (field.rate_card()?..=newest).map(|number| format!("rate_card#{number}"));
    let mut all: Vec<String> = field.members.iter().flat_map(of).chain(cards).collect();
    all.extend(wallets::aggregates(field).await?);
    all.extend(field.settlements.aggregates());
    all.extend(field.loans.aggregates());
    all.extend(field.shop.aggregates());
    all.extend(field.outside()?.aggregates());
    Ok(all)
}

/// Whether every member's contact is stored, and every contact with a subname is in its index.
pub(super) async fn contacts(field: &Field) -> Result<bool> {
    let subnamed = contacts::subnamed(&field.notifications, 5_000, None);
    let subnamed = whole(field, &subnamed).await?;
    let subnamed: BTreeSet<Key> = subnamed
        .iter()
        .filter_map(|item| contacts::entry(&field.notifications, item))
        .collect();
    for (number, member) in field.members.iter().enumerate() {
        let key = contacts::key(&field.notifications, &MemberId::new(member.as_str())?);
        let contact: Option<Contact> = field.outbox.row(&key).await?;
        if contact.is_none() || SUBNAMED.contains(&number) && !subnamed.contains(&key) {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(super) async fn whole(field: &Field, query: &Query) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut query = query.clone();
    loop {
        let page = field.outbox.store().query(&query).await?;
        items.extend(page.items);
        query.after = page.next;
        if query.after.is_none() {
            return Ok(items);
        }
    }
}

/// The event log of the campaign's aggregates: each is numbered 1, 2, 3 … without gaps, and every event is published.
async fn log(field: &Field, found: &mut Vec<Finding>) -> Result<Vec<Logged>> {
    let mut log = Vec::new();
    for aggregate in names(field).await? {
        let query = Query::partition(field.outbox.events_table()?, aggregate.as_str(), 100);
        for (place, item) in whole(field, &query).await?.into_iter().enumerate() {
            let row = LogRow::read(item)?;
            let due = u64::try_from(place)? + 1;
            if row.sequence != due {
                found.push(Finding(format!(
                    "{aggregate}: number {} is at the place of number {due}",
                    row.sequence
                )));
            }
            if row.published_at().is_none() || row.failed_at().is_some() {
                found.push(Finding(format!(
                    "{aggregate} {}: not published: {:?}",
                    row.sequence,
                    row.last_error()
                )));
            }
            let envelope =
                Registry::read(row.envelope_json()).map_err(|invalid| format!("{invalid:?}"))?;
            if envelope.event_id.to_string() != row.event_id
                || envelope.sequence.number() != row.sequence
            {
                found.push(Finding(format!(
                    "{aggregate} {}: row and envelope differ",
                    row.sequence
                )));
            }
            let payload = serde_json::from_str(envelope.payload.json())?;
            log.push(Logged {
                row,
                envelope,
                payload,
            });
        }
    }
    // A status, and what was found out with it, may be one fact in events of two types.
    let fact = |one: &Logged| {
        let key = one.envelope.idempotency_key.as_ref()?;
        Some(format!("{} {key}", one.envelope.event_type))
    };
    let facts: Vec<String> = log.iter().filter_map(fact).collect();
    if facts.iter().collect::<BTreeSet<_>>().len() != facts.len() {
        found.push(Finding("a fact is published twice".to_owned()));
    }
    Ok(log)
}
