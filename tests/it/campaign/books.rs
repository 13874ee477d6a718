//! What must be true once everything has come to its end: what clients were told, what the event log says, what accounts
//! hold and what consumers made of it are one and the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use cloud::account::Movement;
use cloud_treasury::handler::Treasury;
use consumer::Handler;
use events::{Credits, Envelope, MemberId, Registry};
use mail::MailKey;
use member::Member;
use notifications::handler::Notifications;
use outbox::{Entity, Item, Key, Mark, Query, Table, log::Row};
use rust_decimal::Decimal;
use serde_json::Value;
use views::{contacts, contacts::Contact, mails, notes};

use super::{
    Field, MAILED, MEMBERS,
    clients::{Told, Wish},
};
use crate::e2e::{Result, credits, outstanding};

/// Something that is not as it must be.
#[derive(Debug)]
pub(super) struct Finding(String);

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A row of the event log and its envelope.
struct Logged {
    row: Row,
    envelope: Envelope,
    payload: Value,
}

/// How many of our events are not published.
pub(super) async fn pending(field: &Field) -> Result<usize> {
    let mut count = 0;
    for aggregate in aggregates(field) {
        for item in whole(
            field,
            &Query::partition(field.outbox.events_table(), aggregate, 100),
        )
        .await?
        {
            count += usize::from(!item.contains_key("published_at"));
        }
    }
    Ok(count)
}

/// Everything that is not as it must be; `outstanding_before`: what the treasury counted when the campaign began.
pub(super) async fn check(
    field: &Field,
    told: &[Told],
    outstanding_before: Credits,
) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    let log = log(field, &mut found).await?;
    answers(field, told, &log, &mut found);
    accounts(field, told, &log, outstanding_before, &mut found).await?;
    evidence(field, &log, &mut found).await?;
    read_models(field, told, &log, &mut found).await?;
    Ok(found)
}

/// What the operator's audit says of the same members. It knows nothing of what clients were told, and of the rest as much
/// as can be known of any stack: it must be as content as the checks here.
pub(super) async fn audit(field: &Field) -> Result<Vec<Finding>> {
    let members: Vec<&str> = field.members.iter().map(String::as_str).collect();
    let report = crate::e2e::audit::look(&field.stack, &members).await?;
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

fn aggregates(field: &Field) -> Vec<String> {
    let of = |member: &String| {
        [
            format!("cloud_account#{member}"),
            format!("member#{member}"),
        ]
    };
    field.members.iter().flat_map(of).collect()
}

async fn whole(field: &Field, query: &Query) -> Result<Vec<Item>> {
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

/// The log of our aggregates: each numbered 1, 2, 3 … without gaps, everything published, nothing failed.
async fn log(field: &Field, found: &mut Vec<Finding>) -> Result<Vec<Logged>> {
    let mut log = Vec::new();
    for aggregate in aggregates(field) {
        let query = Query::partition(field.outbox.events_table(), aggregate.as_str(), 100);
        for (place, item) in whole(field, &query).await?.into_iter().enumerate() {
            let row = Row::read(item)?;
            let due = u64::try_from(place)? + 1;
            if row.sequence != due {
                found.push(Finding(format!(
                    "{aggregate}: number {} stands where {due} is due",
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
    let facts: Vec<String> = log
        .iter()
        .filter_map(|one| Some(one.envelope.idempotency_key.as_ref()?.to_string()))
        .collect();
    if facts.iter().collect::<BTreeSet<_>>().len() != facts.len() {
        found.push(Finding("a charge was minted twice".to_owned()));
    }
    Ok(log)
}

/// The log holds exactly the events that clients were told of, and each says what its client wanted.
fn answers(field: &Field, told: &[Told], log: &[Logged], found: &mut Vec<Finding>) {
    let by_id: BTreeMap<&str, &Logged> = log
        .iter()
        .map(|one| (one.row.event_id.as_str(), one))
        .collect();
    let mut known = BTreeSet::new();
    for one in told {
        let Some(answer) = &one.answer else { continue };
        // Members' answers name no event: their states are compared below.
        if matches!(one.order.wish, Wish::Rename { .. }) {
            continue;
        }
        let id = answer["event_id"].as_str().unwrap_or_default();
        if !known.insert(id) {
            found.push(Finding(format!(
                "{id} is the answer to two orders, the second: {:?}",
                one.order
            )));
        }
        let Some(logged) = by_id.get(id) else {
            found.push(Finding(format!(
                "{:?} was answered with {answer}, but the log has no such event: lost",
                one.order
            )));
            continue;
        };
        if !says(&field.members, &logged.payload, &one.order.wish)
            || logged.payload["transaction_id"] != answer["transaction_id"]
        {
            found.push(Finding(format!(
                "{:?} became {}",
                one.order, logged.payload
            )));
        }
    }
    for one in log {
        let is_movement = one.row.event_type.starts_with("cloud.");
        if is_movement && !known.contains(one.row.event_id.as_str()) {
            found.push(Finding(format!(
                "{} {} was done and nobody was told: {}",
                one.row.aggregate, one.row.sequence, one.payload
            )));
        }
    }
}

fn says(members: &[String], payload: &Value, wish: &Wish) -> bool {
    let amount_is = |wanted: &Decimal| {
        credits(&payload["amount"]).is_ok_and(|amount| amount.decimal() == *wanted)
    };
    match wish {
        Wish::Mint {
            member,
            amount,
            charge,
        } => {
            payload["member_id"] == *members[*member]
                && amount_is(amount)
                && payload["stripe_charge_id"].as_str() == charge.as_deref()
        }
        Wish::Transfer { from, to, amount } => {
            payload["from_member_id"] == *members[*from]
                && payload["to_member_id"] == *members[*to]
                && amount_is(amount)
        }
        Wish::Burn { member, amount } => {
            payload["member_id"] == *members[*member] && amount_is(amount)
        }
        Wish::Rename { .. } => false,
    }
}

/// What movements come to: balances by member, and minted less burned.
#[derive(Default, PartialEq, Debug)]
struct Books {
    balances: BTreeMap<String, Decimal>,
    outstanding: Decimal,
    movements: BTreeMap<String, usize>,
}

impl Books {
    fn change(&mut self, member: &str, by: Decimal) {
        *self.balances.entry(member.to_owned()).or_default() += by;
        *self.movements.entry(member.to_owned()).or_default() += 1;
    }

    fn by_answers(field: &Field, told: &[Told]) -> Self {
        let mut books = Self::default();
        for one in told.iter().filter(|one| one.answer.is_some()) {
            let id = |number: usize| field.members[number].as_str();
            match &one.order.wish {
                Wish::Mint { member, amount, .. } => {
                    books.change(id(*member), *amount);
                    books.outstanding += amount;
                }
                Wish::Burn { member, amount } => {
                    books.change(id(*member), -*amount);
                    books.outstanding -= amount;
                }
                Wish::Transfer { from, to, amount } => {
                    books.change(id(*from), -*amount);
                    books.change(id(*to), *amount);
                }
                Wish::Rename { .. } => {}
            }
        }
        books
    }

    fn by_log(log: &[Logged]) -> Result<Self> {
        let mut books = Self::default();
        for one in log {
            let payload = &one.payload;
            let id = |name: &str| payload[name].as_str().unwrap_or_default().to_owned();
            match one.row.event_type.as_str() {
                "cloud.minted" => {
                    let amount = credits(&payload["amount"])?.decimal();
                    books.change(&id("member_id"), amount);
                    books.outstanding += amount;
                }
                "cloud.burned" => {
                    let amount = credits(&payload["amount"])?.decimal();
                    books.change(&id("member_id"), -amount);
                    books.outstanding -= amount;
                }
                "cloud.transferred" => {
                    let amount = credits(&payload["amount"])?.decimal();
                    books.change(&id("from_member_id"), -amount);
                    books.change(&id("to_member_id"), amount);
                }
                _ => {}
            }
        }
        Ok(books)
    }
}

/// Balances, statements, versions and the treasury's total.
async fn accounts(
    field: &Field,
    told: &[Told],
    log: &[Logged],
    outstanding_before: Credits,
    found: &mut Vec<Finding>,
) -> Result {
    let books = Books::by_answers(field, told);
    let logged = Books::by_log(log)?;
    if books != logged {
        found.push(Finding(format!(
            "clients were told {books:?}, the log says {logged:?}"
        )));
    }
    let mut sum = Decimal::ZERO;
    for member in &field.members {
        let shown = crate::e2e::balance(&field.stack, member).await?;
        let balance = credits(&shown["balance"])?.decimal();
        let due = books.balances.get(member).copied().unwrap_or_default();
        if balance != due {
            found.push(Finding(format!("{member} holds {balance}, was told {due}")));
        }
        sum += balance;
        let statement = whole(field, &Movement::statement(&field.cloud, member, 1_000)).await?;
        let due = books.movements.get(member).copied().unwrap_or(0);
        if statement.len() != due {
            found.push(Finding(format!(
                "{member}'s statement has {} lines, {due} are due",
                statement.len()
            )));
        }
        let mut versions: Vec<u64> = log
            .iter()
            .filter_map(|one| version_of(&one.payload, &one.row.event_type, member))
            .collect();
        versions.sort_unstable();
        if versions
            .iter()
            .zip(1..)
            .any(|(version, due)| *version != due)
        {
            found.push(Finding(format!(
                "{member}'s versions have a gap or a double: {versions:?}"
            )));
        }
    }
    if sum != books.outstanding {
        found.push(Finding(format!(
            "accounts hold {sum}, {} were minted and not burned",
            books.outstanding
        )));
    }
    let counted = outstanding(&field.stack).await?.decimal() - outstanding_before.decimal();
    if counted != books.outstanding {
        found.push(Finding(format!(
            "the treasury counted {counted}, {} were minted and not burned",
            books.outstanding
        )));
    }
    Ok(())
}

/// The version of this member's account that a movement states.
fn version_of(payload: &Value, event_type: &str, member: &str) -> Option<u64> {
    let name = match event_type {
        "cloud.minted" | "cloud.burned" if payload["member_id"] == member => "version",
        "cloud.transferred" if payload["from_member_id"] == member => "from_version",
        "cloud.transferred" if payload["to_member_id"] == member => "to_version",
        _ => return None,
    };
    payload[name].as_u64()
}

/// Every consumer that works by mark has one for every event that is for it.
async fn evidence(field: &Field, log: &[Logged], found: &mut Vec<Finding>) -> Result {
    let movements = ["cloud.minted", "cloud.burned", "cloud.transferred"];
    for (consumer, types) in [
        (Treasury::NAME, &movements[..2]),
        (Notifications::NAME, &movements[..]),
    ] {
        let due: Vec<&Logged> = log
            .iter()
            .filter(|one| types.contains(&one.row.event_type.as_str()))
            .collect();
        let mut keys = Vec::with_capacity(due.len());
        for one in &due {
            keys.push(Mark::event(consumer, &one.envelope).key(&field.marks)?);
        }
        for (one, mark) in due.iter().zip(all(field, &keys).await?) {
            if mark.is_none() {
                found.push(Finding(format!(
                    "{consumer} never handled {} {} ({})",
                    one.row.aggregate, one.row.sequence, one.row.event_id
                )));
            }
        }
    }
    Ok(())
}

async fn all(field: &Field, keys: &[Key]) -> Result<Vec<Option<Item>>> {
    Ok(field.outbox.store().get_many(keys).await?)
}

/// Who a movement is told to, and by which text.
fn tidings(one: &Logged) -> Vec<(String, &'static str)> {
    let id = |name: &str| one.payload[name].as_str().unwrap_or_default().to_owned();
    match one.row.event_type.as_str() {
        "cloud.minted" => vec![(id("member_id"), "added")],
        "cloud.transferred" => vec![
            (id("from_member_id"), "sent"),
            (id("to_member_id"), "received"),
        ],
        "cloud.burned" if one.payload["member_id"].is_string() => vec![(id("member_id"), "burned")],
        _ => Vec::new(),
    }
}

/// Contacts are as their members are, notes exactly one per event and member, mails at least one where mail is wanted.
async fn read_models(
    field: &Field,
    told: &[Told],
    log: &[Logged],
    found: &mut Vec<Finding>,
) -> Result {
    let table: &Table = &field.notifications;
    let mut due_notes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut records, mut keys) = (Vec::new(), BTreeMap::new());
    let mailed: BTreeSet<&String> = field.members[MEMBERS - MAILED..].iter().collect();
    for one in log {
        let Mark::Event {
            event: identity, ..
        } = Mark::event(Notifications::NAME, &one.envelope)
        else {
            continue;
        };
        for (member, template) in tidings(one) {
            due_notes
                .entry(member.clone())
                .or_default()
                .push(one.row.event_id.clone());
            if mailed.contains(&member) {
                let id = MemberId::new(member.clone())?;
                records.push((
                    mails::key(table, &identity, &id, template),
                    one.row.event_id.clone(),
                ));
                keys.insert(
                    MailKey::of(&identity, &id, template).to_string(),
                    (member, one.row.event_id.clone()),
                );
            }
        }
    }
    for member in &field.members {
        let id = MemberId::new(member.clone())?;
        let entity: Entity<Member> = field.outbox.load(&field.member, member).await?;
        let contact: Option<Contact> = field.outbox.row(&contacts::key(table, &id)).await?;
        let state = entity.state().ok_or_else(|| format!("{member} is gone"))?;
        let truth = (
            state.name.to_string(),
            state.email.to_string(),
            entity.version(),
        );
        let stated = contact.map(|contact| {
            (
                contact.name.to_string(),
                contact.email.to_string(),
                contact.version.number(),
            )
        });
        if stated.as_ref() != Some(&truth) {
            found.push(Finding(format!(
                "contact of {member}: {stated:?}, the member: {truth:?}"
            )));
        }
        renames(field, told, member, log, entity.version(), found);
        let mut there: Vec<String> = Vec::new();
        for item in whole(field, &notes::page(table, &id, 1_000, None)).await? {
            there.push(item["event_id"].as_str().unwrap_or_default().to_owned());
        }
        let mut due = due_notes.remove(member).unwrap_or_default();
        there.sort();
        due.sort();
        if there != due {
            found.push(Finding(format!(
                "{member} has {} notes, {} are due",
                there.len(),
                due.len()
            )));
        }
    }
    let places: Vec<Key> = records.iter().map(|(key, _)| key.clone()).collect();
    for ((_, event_id), record) in records.iter().zip(all(field, &places).await?) {
        if record.is_none() {
            found.push(Finding(format!("no mail is recorded for {event_id}")));
        }
    }
    let shown = field.stack.emulator().mails().await?;
    let mut missing = keys;
    for mail in &shown {
        // The key stands in the footer.
        for word in mail.text.split(|c: char| !c.is_ascii_hexdigit()) {
            missing.remove(word);
        }
    }
    for (member, event_id) in missing.values() {
        found.push(Finding(format!(
            "{member} was sent no mail about {event_id}"
        )));
    }
    Ok(())
}

/// Members' versions count every change that was logged, and no change is logged that nobody asked for.
fn renames(
    field: &Field,
    told: &[Told],
    member: &str,
    log: &[Logged],
    version: u64,
    found: &mut Vec<Finding>,
) {
    let aggregate = format!("member#{member}");
    let of_member: Vec<&Logged> = log
        .iter()
        .filter(|one| one.row.aggregate == aggregate)
        .collect();
    if u64::try_from(of_member.len()).ok() != Some(version) {
        found.push(Finding(format!(
            "{member} has version {version} and {} events",
            of_member.len()
        )));
    }
    let asked: BTreeSet<&str> = told
        .iter()
        .filter(|one| one.answer.is_some())
        .filter_map(|one| match &one.order.wish {
            Wish::Rename {
                member: number,
                name,
            } if field.members[*number] == member => Some(name.as_str()),
            _ => None,
        })
        .collect();
    let logged: BTreeSet<&str> = of_member
        .iter()
        .skip(1)
        .filter_map(|one| one.payload["name"].as_str())
        .collect();
    if asked != logged {
        found.push(Finding(format!(
            "{member} was renamed to {logged:?}, asked for were {asked:?}"
        )));
    }
}
