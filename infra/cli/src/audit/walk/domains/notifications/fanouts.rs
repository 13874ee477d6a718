//! Fan-outs to all members: each event's fan-out, its notes, and where each of its mails is.

use std::{collections::HashMap, time::Duration};

use events::{EventId, Timestamp};
use outbox::{Item, MARK_LIFE, Table, decode_item};
use topology::functions::notifications::FUNCTION;
use views::{
    fanouts::{self, Fanout},
    mails,
    notes::{NOTE_LIFE, Note},
    units::{self, Failed, Unit},
};

use crate::audit::{
    Error, Kind,
    walk::{
        advice,
        audit::{Audit, Event, PAGE, count, span},
    },
};

/// How long a mail may wait for its turn before it is reported as late: in a day the slowest account sends 86,400, and
/// one in the SES sandbox its daily quota.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// How much earlier than by our clock a row may expire.
const CLOCKS_DIFFER: Duration = Duration::from_secs(24 * 60 * 60);

/// A fan-out that an event of the log leads to.
#[derive(Debug)]
struct Expected {
    event_id: EventId,
    /// The key under which its mails are recorded.
    identity: String,
    template: &'static str,
    occurred_at: Timestamp,
    handled: bool,
    /// Its row once it is done. The row does not change after that.
    done: Option<Fanout>,
    notes_seen: u64,
}

/// The fan-outs of the log, by name.
#[derive(Debug, Default)]
pub(super) struct Fanouts {
    by_name: HashMap<String, Expected>,
    by_event: HashMap<EventId, String>,
    /// How many fan-outs have begun.
    begun: u64,
    /// Of these, how many are not done yet.
    open: u64,
    mails_due: u64,
    mails_recorded: u64,
    mails_failed: u64,
}

/// Where the mails of a fan-out are.
#[derive(Default)]
struct Mails {
    due: Vec<Unit>,
    failed: Vec<Failed>,
    recorded: u64,
}

impl Mails {
    fn sum(&self) -> u64 {
        count(self.due.len()) + count(self.failed.len()) + self.recorded
    }
}

impl Fanouts {
    fn of_event(&mut self, event_id: EventId) -> Option<&mut Expected> {
        self.by_name.get_mut(self.by_event.get(&event_id)?)
    }

    /// Records that the event is proven to be handled.
    pub(super) fn handled(&mut self, event_id: EventId) {
        if let Some(expected) = self.of_event(event_id) {
            expected.handled = true;
        }
    }

    /// Whether a note belongs to a fan-out. If so, it is counted.
    pub(super) fn has_note(&mut self, sk: &str, note: &Note) -> bool {
        let Some(expected) = self.of_event(note.event_id) else {
            return false;
        };
        let is_its = sk
            == format!(
                "{}#{}#{}",
                expected.occurred_at, note.event_id, expected.template
            );
        expected.notes_seen += u64::from(is_its);
        is_its
    }

    /// The fan-out that an event leads to.
    pub(super) fn expect(&mut self, event: &Event) {
        let envelope = &event.envelope;
        // An unreadable event is reported elsewhere.
        let Ok(Some((name, template))) = mail::recipients::fanout(envelope) else {
            return;
        };
        self.by_event.insert(envelope.event_id, name.clone());
        let expected = Expected {
            event_id: envelope.event_id,
            identity: mail::identity(envelope),
            template,
            occurred_at: envelope.occurred_at,
            handled: event.handled_by.contains(&FUNCTION.name),
            done: None,
            notes_seen: 0,
        };
        self.by_name.insert(name, expected);
    }

    /// Checks the rows of every fan-out, and where its mails are.
    pub(super) async fn check(
        &mut self,
        audit: &mut Audit<'_>,
        table: &Table,
    ) -> Result<(), Error> {
        let mut names: Vec<String> = self.by_name.keys().cloned().collect();
        names.sort();
        for name in names {
            self.fanout(audit, table, &name).await?;
        }
        Ok(())
    }

    async fn fanout(
        &mut self,
        audit: &mut Audit<'_>,
        table: &Table,
        name: &str,
    ) -> Result<(), Error> {
        // The open row is read first: a fan-out that ends in between is then found as done.
        let open = audit
            .items(&[fanouts::open_key(table, name)])
            .await?
            .pop()
            .flatten();
        let done = audit
            .items(&[fanouts::done_key(table, name)])
            .await?
            .pop()
            .flatten();
        let Some(expected) = self.by_name.get(name) else {
            return Ok(());
        };
        let (event_id, handled) = (expected.event_id, expected.handled);
        let row = match done.or(open) {
            Some(item) => {
                let Some(fanout) = audit.typed::<Fanout>(table, item) else {
                    return Ok(());
                };
                fanout
            }
            None => {
                let kept = audit.age(expected.occurred_at) + CLOCKS_DIFFER < NOTE_LIFE;
                if handled && kept {
                    let what = format!("its fan-out {name} is neither open nor done");
                    let stopped = format!("marked as handled by {}", FUNCTION.name);
                    about(audit, Kind::Lost, event_id, stopped, what, advice::LOST);
                }
                return Ok(());
            }
        };
        self.begun += 1;
        if row.finished_at.is_some() {
            self.mails(audit, table, name, &row).await?;
            if let Some(expected) = self.by_name.get_mut(name) {
                expected.done = Some(row);
            }
            return Ok(());
        }
        self.open += 1;
        if row.not_before > audit.started_at || audit.is_young(row.not_before) {
            audit.counts.young += 1;
            return Ok(());
        }
        let what = format!(
            "its fan-out is open {} after it was to begin, {} members on",
            span(audit.age(row.not_before)),
            row.members
        );
        let stopped = format!("fan-out {name}");
        about(audit, Kind::Late, event_id, stopped, what, advice::SENDER);
        Ok(())
    }

    /// Checks the mails of a fan-out that is done: each is due, refused, or recorded.
    async fn mails(
        &mut self,
        audit: &mut Audit<'_>,
        table: &Table,
        name: &str,
        fanout: &Fanout,
    ) -> Result<(), Error> {
        let Some(identity) = self.by_name.get(name).map(|one| one.identity.clone()) else {
            return Ok(());
        };
        let event_id = fanout.event_id;
        let mut found = where_mails_are(audit, table, name, &identity).await?;
        if found.sum() < fanout.mails {
            // A mail that was queued again between two reads may be in neither of them.
            found = where_mails_are(audit, table, name, &identity).await?;
        }
        self.mails_due += count(found.due.len());
        self.mails_failed += count(found.failed.len());
        self.mails_recorded += found.recorded;
        let stopped = format!("fan-out {name}, {} mails", fanout.mails);
        if let Some(first) = found.failed.first() {
            let what = format!(
                "{} mails were refused for good; the first to {}: {}",
                found.failed.len(),
                first.unit.member_id,
                first.reason
            );
            about(
                audit,
                Kind::Parked,
                event_id,
                stopped.clone(),
                what,
                advice::REFUSED_MAILS,
            );
        }
        let oldest = found.due.iter().map(|unit| unit.queued_at).min();
        if let Some(oldest) = oldest
            && (audit.options.settled || audit.age(oldest) > PATIENCE)
        {
            let what = format!(
                "{} mails wait for their turn, the oldest for {}",
                found.due.len(),
                span(audit.age(oldest))
            );
            about(
                audit,
                Kind::Late,
                event_id,
                stopped.clone(),
                what,
                advice::SENDER,
            );
        }
        let recorded_still = fanout
            .finished_at
            .is_some_and(|at| audit.age(at) + CLOCKS_DIFFER < MARK_LIFE);
        if recorded_still && found.sum() < fanout.mails {
            let what = format!(
                "{} mails are neither due nor refused nor recorded as sent",
                fanout.mails - found.sum()
            );
            about(
                audit,
                Kind::Lost,
                event_id,
                stopped,
                what,
                advice::LOST_MAILS,
            );
        }
        Ok(())
    }

    /// Checks that every fan-out that is done has as many notes as it counted. To be called after all notes were read.
    pub(super) fn check_notes(&self, audit: &mut Audit<'_>) {
        let mut wrong = Vec::new();
        for (name, expected) in &self.by_name {
            let Some(fanout) = &expected.done else {
                continue;
            };
            let kept = audit.age(expected.occurred_at) + CLOCKS_DIFFER < NOTE_LIFE;
            if kept && expected.notes_seen != fanout.notes {
                let what = format!(
                    "its fan-out counted {} notes, {} are there",
                    fanout.notes, expected.notes_seen
                );
                wrong.push((
                    name.clone(),
                    expected.event_id,
                    expected.notes_seen < fanout.notes,
                    what,
                ));
            }
        }
        wrong.sort();
        for (name, event_id, is_short, what) in wrong {
            let (kind, advice) = if is_short {
                (Kind::Lost, advice::LOST_NOTES)
            } else {
                (Kind::Doubled, advice::DOUBLED)
            };
            about(
                audit,
                kind,
                event_id,
                format!("fan-out {name}, done"),
                what,
                advice,
            );
        }
    }

    /// Checks a fan-out of the table: its event must be in the log.
    pub(super) fn check_row(&self, audit: &mut Audit<'_>, table: &Table, item: Item) {
        let Some(fanout) = audit.typed::<Fanout>(table, item) else {
            return;
        };
        let name = fanout.name();
        if self.by_name.contains_key(&name) {
            return;
        }
        if audit.is_young(fanout.opened_at) {
            audit.counts.moving += 1;
            return;
        }
        let what = format!("fan-out {name} is none that an event of the log comes to");
        let stopped = "a fan-out".to_owned();
        about(
            audit,
            Kind::Books,
            fanout.event_id,
            stopped,
            what,
            advice::SEQUENCE,
        );
    }

    /// How much was compared.
    pub(super) fn counts(&self) -> [(&'static str, u64); 5] {
        [
            ("fanouts", self.begun),
            ("fanouts_open", self.open),
            ("mails_recorded", self.mails_recorded),
            ("mails_due", self.mails_due),
            ("mails_failed", self.mails_failed),
        ]
    }
}

/// The places of a mail, in the order in which it moves through them, so that a mail that moves meanwhile is seen twice
/// rather than not at all.
async fn where_mails_are(
    audit: &mut Audit<'_>,
    table: &Table,
    name: &str,
    identity: &str,
) -> Result<Mails, Error> {
    let due = audit
        .all(|after| units::due(table, Some(name), PAGE, after))
        .await?;
    let failed = audit
        .all(|after| units::failed(table, Some(name), PAGE, after))
        .await?;
    let recorded = audit
        .all(|after| mails::of_event(table, identity, PAGE, after))
        .await?;
    let place = table.key("unit", "*");
    let read = |item| decode_item(&place, item);
    let read_failed = |item| decode_item(&place, item);
    Ok(Mails {
        due: due.into_iter().map(read).collect::<Result<_, _>>()?,
        failed: failed
            .into_iter()
            .map(read_failed)
            .collect::<Result<_, _>>()?,
        recorded: count(recorded.len()),
    })
}

fn about(
    audit: &mut Audit<'_>,
    kind: Kind,
    event_id: EventId,
    stopped: String,
    what: String,
    advice: &'static str,
) {
    let consumer = Some(FUNCTION.name);
    audit.about(kind, event_id, consumer, Some(stopped), what, advice);
}
