//! What consumers store must be what the event log requires: marks, contacts, notes, mails, fan-outs.

use std::collections::{BTreeMap, BTreeSet};

use consumer::Handler as _;
use events::{Envelope, Evidence, MemberId};
use mail::MailKey;
use member::Member;
use millrace::audit::{CheckedConsumer, checked_consumers};
use notifications::handler::Notifications;
use outbox::{Entity, Item, Key, Mark, Table};
use views::{
    contacts,
    contacts::Contact,
    fanouts::{self, Fanout},
    mails, notes,
};

use super::super::{Field, SUBNAMED, clients::OrderResult, is_mailed};
use crate::e2e::Result;

use super::{answers::renames, *};

/// Every consumer that uses marks has one for every event that it subscribes to.
pub(super) async fn evidence(field: &Field, log: &[Logged], found: &mut Vec<Finding>) -> Result {
    for consumer in checked_consumers() {
        marked(field, &consumer, log, found).await?;
    }
    Ok(())
}

pub(super) async fn marked(
    field: &Field,
    consumer: &CheckedConsumer,
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

pub(super) async fn all(field: &Field, keys: &[Key]) -> Result<Vec<Option<Item>>> {
    Ok(field.outbox.store().get_many(keys).await?)
}

/// The recipients of a movement's notices, with the text, and whether there is a mail too.
pub(super) fn notices(one: &Logged) -> Vec<(String, &'static str, bool)> {
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
        event_type if listens(Notifications::NAME, event_type) => {
            loans::notices(event_type, &one.payload)
                .into_iter()
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Contacts equal their members. There is exactly one note per event and recipient, and at least one mail if the member
/// accepts mail.
pub(super) async fn read_models(
    field: &Field,
    results: &[OrderResult],
    log: &[Logged],
    found: &mut Vec<Finding>,
) -> Result {
    let table: &Table = &field.notifications;
    let mut due_notes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut records, mut keys) = (Vec::new(), BTreeMap::new());
    let mailed = field.members.iter().enumerate();
    let mailed = mailed.filter(|(number, _)| is_mailed(*number));
    let mailed: BTreeSet<&String> = mailed.map(|(_, member)| member).collect();
    for one in log {
        let Mark::Event {
            event: identity, ..
        } = Mark::event(Notifications::NAME, &one.envelope)
        else {
            continue;
        };
        let mut recipients = notices(one);
        if let Some((_, template)) = fanout(&one.envelope)? {
            let everybody = SUBNAMED.map(|number| (field.members[number].clone(), template, true));
            recipients.extend(everybody);
        }
        for (member, template, by_mail) in recipients {
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
        renames(field, results, member, log, entity.version(), found);
        let mut there: Vec<String> = Vec::new();
        for item in whole(field, &notes::page(table, &id, 1_000, None)).await? {
            there.push(item["event_id"].as_str().unwrap_or_default().to_owned());
        }
        let mut due = due_notes.remove(member).unwrap_or_default();
        there.sort();
        due.sort();
        if there != due {
            found.push(Finding(format!(
                "{member} has {} notes, {} are expected",
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
        // The idempotency key is in the footer.
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

/// The name of an event's fan-out, and its text.
pub(super) fn fanout(envelope: &Envelope) -> Result<Option<(String, &'static str)>> {
    Ok(mail::recipients::fanout(envelope)?)
}

/// The fan-out of every card's proposal and approval is complete, and reached every member with a subname once.
pub(super) async fn fanned_out(field: &Field, log: &[Logged], found: &mut Vec<Finding>) -> Result {
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
        // Members of other stories may have subnames too.
        match done {
            Some(done) if done.members >= 2 && done.notes >= 2 && done.mails >= 1 => {}
            other => found.push(Finding(format!("the fan-out of {id}: {other:?}"))),
        }
    }
    Ok(())
}
