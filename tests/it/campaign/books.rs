//! What must be true once everything has come to its end: what clients were told, what the event log says, what accounts
//! hold and what consumers made of it are one and the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use analytics::handler::Analytics;
use audit_chain::{Anchor, last_anchor};
use cloud::{
    account::Movement,
    books::entries_of,
    chain::{ChainAccount, Status},
    rate_card::RateCard,
};
use consumer::Handler as _;
use events::{Credits, Envelope, Evidence, MemberId, Registry};
use mail::MailKey;
use member::Member;
use millrace::{
    audit::{Watched, watched},
    audit_log,
};
use notifications::handler::Notifications;
use outbox::{Clock as _, Entity, Item, Key, Mark, Query, SystemClock, Table, log::Row};
use rust_decimal::Decimal;
use serde_json::Value;
use testkit::stack::until;
use views::{
    analytics::{Bucket, Wanted},
    contacts,
    contacts::Contact,
    fanouts::{self, Fanout},
    mails, notes,
};

use super::{
    Field, MAILED, MEMBERS, ON_CHAIN, SUBNAMED, aggregates,
    clients::{Told, Wish, cost},
    feed, jobs, settlements, wallets,
};
use crate::e2e::{Result, credits, outstanding};

/// How long it may take until a job that was killed in the storm is at work again and has sealed everything.
const ANCHORED: Duration = Duration::from_secs(120);

/// Something that is not as it must be.
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
    pub(super) row: Row,
    pub(super) envelope: Envelope,
    pub(super) payload: Value,
}

/// Whether a consumer of this stack handles events of a type.
pub(super) fn listens(consumer: &str, event_type: &str) -> bool {
    watched()
        .iter()
        .any(|one| one.name == consumer && one.selection.takes(event_type))
}

/// Whether one of our events is not published.
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

/// Everything that is not as it must be; `outstanding_before`: what the treasury counted when the campaign began.
pub(super) async fn check(
    field: &Field,
    told: &[Told],
    outstanding_before: Credits,
) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    let log = log(field, &mut found).await?;
    answers(field, told, &log, &mut found);
    aggregates::check(field, &log, &mut found).await?;
    cards(field, told, &log, &mut found)?;
    accounts(field, told, &log, outstanding_before, &mut found).await?;
    evidence(field, &log, &mut found).await?;
    counts(field, &log, &mut found).await?;
    read_models(field, told, &log, &mut found).await?;
    fanned_out(field, &log, &mut found).await?;
    chain(field, &log, &mut found).await?;
    wallets::check(field, told, &log, &mut found).await?;
    settlements::check(field, told, &log, &mut found).await?;
    feed::check(field, &log, &mut found).await?;
    Ok(found)
}

/// What the operator's audit says of the same aggregates. It knows nothing of what clients were told, and of the rest as much
/// as can be known of any stack: it must be as content as the checks here.
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

/// What the operator's check of the audit log says of the same aggregates, once an anchor that was begun after everything had
/// come to its end seals their chains.
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
        // The job may be at a pass that it began in the storm: then it needs another one.
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

/// The same, as (type, id).
async fn scope(field: &Field) -> Result<Vec<(String, String)>> {
    let all = names(field).await?;
    let parts = all.iter().filter_map(|one| one.split_once('#'));
    Ok(parts
        .map(|(kind, id)| (kind.to_owned(), id.to_owned()))
        .collect())
}

/// Everything that our members have to do with: nobody else proposes cards meanwhile.
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
    Ok(all)
}

/// Whether every member's contact is there, and who has a subname is in its index.
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

/// The log of our aggregates: each numbered 1, 2, 3 … without gaps, everything published, nothing failed.
async fn log(field: &Field, found: &mut Vec<Finding>) -> Result<Vec<Logged>> {
    let mut log = Vec::new();
    for aggregate in names(field).await? {
        let query = Query::partition(field.outbox.events_table()?, aggregate.as_str(), 100);
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
    // A status and what was found out with it may be one fact's name, told by two types.
    let fact = |one: &Logged| {
        let key = one.envelope.idempotency_key.as_ref()?;
        Some(format!("{} {key}", one.envelope.event_type))
    };
    let facts: Vec<String> = log.iter().filter_map(fact).collect();
    if facts.iter().collect::<BTreeSet<_>>().len() != facts.len() {
        found.push(Finding("a fact is told twice".to_owned()));
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
        // These answers name no event: members' states, and each step of a settlement, are compared below.
        if matches!(one.order.wish, Wish::Rename { .. } | Wish::Settlement(_)) {
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
        let is_movement = entries_of(&one.envelope).is_ok_and(|entries| !entries.is_empty());
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
        Wish::Redeem {
            member,
            primitive,
            quantity,
        } => {
            payload["member_id"] == *members[*member]
                && payload["primitive"] == primitive.as_str()
                && amount_is(&cost(*primitive, *quantity))
        }
        Wish::Stake { member, amount } => {
            payload["member_id"] == *members[*member] && amount_is(amount)
        }
        Wish::Unstake { stake } => {
            payload["position_id"] == stake.position.as_str()
                && payload["member_id"] == *members[stake.member]
                && amount_is(&stake.amount)
        }
        Wish::Approve { card, by } => {
            payload["version"] == *card && payload["approved_by"] == *members[*by]
        }
        Wish::Propose { by } => payload["proposed_by"] == *members[*by],
        Wish::Wallet(wish) => wish.is_said_by(members, payload),
        Wish::Rename { .. } | Wish::Settlement(_) => false,
    }
}

/// Every card is there once: proposed by whom was told its number, approved by whom was told so, and no other.
fn cards(field: &Field, told: &[Told], log: &[Logged], found: &mut Vec<Finding>) -> Result {
    const CREATED: &str = "cloud.rate_card_created";
    const APPROVED: &str = "cloud.rate_card_approved";
    let by = |number: usize| field.members[number].as_str();
    let mut due: BTreeMap<u64, Vec<(&str, &str)>> = BTreeMap::new();
    // The one from before the storm.
    due.insert(
        field.rate_card()?,
        vec![(CREATED, by(0)), (APPROVED, by(1))],
    );
    for one in told {
        let Some(answer) = &one.answer else { continue };
        match one.order.wish {
            Wish::Propose { by: number } => {
                let card = answer["version"]
                    .as_u64()
                    .ok_or("a card without a number")?;
                due.entry(card)
                    .or_default()
                    .insert(0, (CREATED, by(number)));
            }
            Wish::Approve { card, by: number } => {
                due.entry(card).or_default().push((APPROVED, by(number)));
            }
            _ => {}
        }
    }
    let mut logged: BTreeMap<u64, Vec<(&str, &str)>> = BTreeMap::new();
    for one in log {
        let Some(card) = one.row.aggregate.strip_prefix("rate_card#") else {
            continue;
        };
        let event_type = one.row.event_type.as_str();
        let who = match event_type {
            CREATED => &one.payload["proposed_by"],
            _ => &one.payload["approved_by"],
        };
        let line = (event_type, who.as_str().unwrap_or_default());
        logged.entry(card.parse()?).or_default().push(line);
    }
    if due != logged {
        found.push(Finding(format!(
            "rate cards: clients were told {due:?}, the log says {logged:?}"
        )));
    }
    Ok(())
}

/// What movements come to: liquid and locked by member, and minted less burned and redeemed.
#[derive(Default, PartialEq, Debug)]
struct Books {
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

    /// By what clients asked for and were told was done: the log and its types have no part in it.
    fn by_answers(field: &Field, told: &[Told]) -> Self {
        let (mut books, none) = (Self::default(), Decimal::ZERO);
        for one in told.iter().filter(|one| one.answer.is_some()) {
            let id = |number: usize| field.members[number].as_str();
            match &one.order.wish {
                Wish::Mint { member, amount, .. } => {
                    books.change(id(*member), *amount, none);
                    books.outstanding += amount;
                }
                Wish::Burn { member, amount } => {
                    books.change(id(*member), -*amount, none);
                    books.outstanding -= amount;
                }
                Wish::Transfer { from, to, amount } => {
                    books.change(id(*from), -*amount, none);
                    books.change(id(*to), *amount, none);
                }
                Wish::Redeem {
                    member,
                    primitive,
                    quantity,
                } => {
                    let amount = cost(*primitive, *quantity);
                    books.change(id(*member), -amount, none);
                    books.outstanding -= amount;
                }
                Wish::Stake { member, amount } => books.change(id(*member), -*amount, *amount),
                Wish::Unstake { stake } => {
                    books.change(id(stake.member), stake.amount, -stake.amount);
                }
                Wish::Rename { .. }
                | Wish::Propose { .. }
                | Wish::Approve { .. }
                | Wish::Wallet(_)
                | Wish::Settlement(_) => {}
            }
        }
        books
    }

    fn by_log(log: &[Logged]) -> Result<Self> {
        let mut books = Self::default();
        for one in log {
            for entry in entries_of(&one.envelope)? {
                let told = entry.told;
                books.change(&entry.account, told.change(), told.staked_change());
                books.outstanding += told.kind.outstanding_change(told.amount);
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
        for (name, dues) in [
            ("balance", &books.liquid),
            ("staked_balance", &books.staked),
        ] {
            let held = credits(&shown[name])?.decimal();
            let due = dues.get(member).copied().unwrap_or_default();
            if held != due {
                found.push(Finding(format!(
                    "{member}: {name} is {held}, was told {due}"
                )));
            }
            sum += held;
        }
        let statement = whole(field, &Movement::statement(&field.cloud, member, 1_000)).await?;
        let due = books.movements.get(member).copied().unwrap_or(0);
        if statement.len() != due {
            found.push(Finding(format!(
                "{member}'s statement has {} lines, {due} are due",
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
                "{member}'s versions have a gap or a double: {versions:?}"
            )));
        }
    }
    if sum != books.outstanding {
        found.push(Finding(format!(
            "accounts hold {sum}, {} must be there",
            books.outstanding
        )));
    }
    let counted = outstanding(&field.stack).await?.decimal() - outstanding_before.decimal();
    if counted != books.outstanding {
        found.push(Finding(format!(
            "the treasury counted {counted}, {} must be there",
            books.outstanding
        )));
    }
    Ok(())
}

/// Every consumer that works by mark has one for every event that is for it.
async fn evidence(field: &Field, log: &[Logged], found: &mut Vec<Finding>) -> Result {
    for consumer in watched() {
        marked(field, &consumer, log, found).await?;
    }
    Ok(())
}

async fn marked(
    field: &Field,
    consumer: &Watched,
    log: &[Logged],
    found: &mut Vec<Finding>,
) -> Result {
    let by_mark =
        |one: &&Logged| consumer.selection.evidence(&one.row.event_type) == Some(Evidence::Mark);
    let due: Vec<&Logged> = log.iter().filter(by_mark).collect();
    let mut keys = Vec::with_capacity(due.len());
    for one in &due {
        keys.push(Mark::event(consumer.name, &one.envelope).key(&field.marks)?);
    }
    for (one, mark) in due.iter().zip(all(field, &keys).await?) {
        if mark.is_none() {
            found.push(Finding(format!(
                "{} never handled {} {} ({})",
                consumer.name, one.row.aggregate, one.row.sequence, one.row.event_id
            )));
        }
    }
    Ok(())
}

/// What is counted for each member is what the log tells of them, no more and no less.
async fn counts(field: &Field, log: &[Logged], found: &mut Vec<Finding>) -> Result {
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
                    // Of what was divided, the part that changed hands.
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
                "{member}: counted {counted:?}, the log tells of {due:?}"
            )));
        }
    }
    Ok(())
}

async fn all(field: &Field, keys: &[Key]) -> Result<Vec<Option<Item>>> {
    Ok(field.outbox.store().get_many(keys).await?)
}

/// Who a movement is told to, by which text, and whether by mail too.
fn tidings(one: &Logged) -> Vec<(String, &'static str, bool)> {
    let id = |name: &str| one.payload[name].as_str().unwrap_or_default().to_owned();
    let own = |template| vec![(id("member_id"), template, true)];
    match one.row.event_type.as_str() {
        "cloud.minted" => own("added"),
        "cloud.burned" => own("burned"),
        "cloud.staked" => own("staked"),
        "cloud.unstaked" => own("unstaked"),
        "cloud.redeemed" if one.payload["amount"].as_f64() >= Some(10.0) => {
            vec![(id("member_id"), "redeemed", false)]
        }
        "cloud.transferred" => vec![
            (id("from_member_id"), "sent", true),
            (id("to_member_id"), "received", true),
        ],
        event_type @ ("wallet.escrow_settled" | "wallet.escrow_partial_settled")
            if listens(Notifications::NAME, event_type) =>
        {
            vec![(id("model_id"), "earnings_received", true)]
        }
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
        let mut told_of = tidings(one);
        if let Some((_, template)) = fanout(&one.envelope)? {
            let everybody = SUBNAMED.map(|number| (field.members[number].clone(), template, true));
            told_of.extend(everybody);
        }
        for (member, template, by_mail) in told_of {
            due_notes
                .entry(member.clone())
                .or_default()
                .push(one.row.event_id.clone());
            if by_mail && mailed.contains(&member) {
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
            state.name().to_string(),
            state.email().to_string(),
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

/// The fan-out of an event and what it tells.
fn fanout(envelope: &Envelope) -> Result<Option<(String, &'static str)>> {
    notifications::handler::fanout(envelope).map_err(|failure| failure.chain().into())
}

/// Every card's proposal and approval was told to its end, once to everybody with a subname.
async fn fanned_out(field: &Field, log: &[Logged], found: &mut Vec<Finding>) -> Result {
    let table = &field.notifications;
    for one in log {
        let Some((name, _)) = fanout(&one.envelope)? else {
            continue;
        };
        let (id, open) = (&one.row.event_id, fanouts::open_key(table, &name));
        if field.outbox.row::<Fanout>(&open).await?.is_some() {
            found.push(Finding(format!("the fan-out of {id} is open")));
        }
        let done: Option<Fanout> = field.outbox.row(&fanouts::done_key(table, &name)).await?;
        // Members of other stories may have subnames, too.
        match done {
            Some(done) if done.members >= 2 && done.notes >= 2 && done.mails >= 1 => {}
            other => found.push(Finding(format!("the fan-out of {id}: {other:?}"))),
        }
    }
    Ok(())
}

/// Every movement of a member with an address has its job, which the chain bore out; nobody else has any. The chain mirrors
/// the books, so nobody diverges.
async fn chain(field: &Field, log: &[Logged], found: &mut Vec<Finding>) -> Result {
    for (number, member) in field.members.iter().enumerate() {
        let mut due = Vec::new();
        for one in log.iter().filter(|_| ON_CHAIN.contains(&number)) {
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
            found.push(Finding(format!("{member} has {there} jobs, {due} are due")));
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
