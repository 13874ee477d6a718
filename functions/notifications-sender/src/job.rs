//! What all members are told, in two kinds of pages.
//!
//! * A page of **members** takes the next of them who have a subname: in one transaction it writes their notes, a unit for
//!   each mail, and how far the fan-out has come. Nothing leaves the store, so each of them has exactly one note and one
//!   unit, however often a run dies.
//! * A page of **mail** takes the first due unit, sends its mail, and in one transaction removes the unit and records the
//!   mail. A run that dies between the two sends that one mail again, under the same key; never another one.
//!
//! Fan-outs go first: a note is there within minutes, whatever waits to be mailed. Mails go strictly one after the other;
//! their order is that of their fan-outs.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use consumer::{
    Failure,
    schedule::{Job, Next, Paged},
};
use events::{Envelope, Timestamp};
use mail::{Announcement, Mail, MailKey, Mailer, identity, texts::Writer};
use outbox::{
    Condition, Cursor, Fault, FaultKind, Item, Key, MAX_TRANSACTION_ITEMS, Outbox, Table,
    Transaction, chain, decode_item,
};
use serde::{Deserialize, Serialize};
use views::{
    contacts::{self, Contact},
    fanouts::{self, Fanout},
    mails,
    units::{self, Failed, Unit},
};

/// Members of a page: each has a note and a unit, and the page's mark, the lease and the fan-out's two rows go with them.
pub const MEMBERS_PER_PAGE: u32 = 48;

const _: () = assert!(MEMBERS_PER_PAGE as usize * 2 + 4 <= MAX_TRANSACTION_ITEMS);

/// How soon, and how fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From the beginning of a mail to that of the next, at most a second.
    pub between_mails: Duration,
    /// From what a fan-out tells to its beginning: time for members who come just before it to get into the index.
    pub fanout_delay: Duration,
}

impl Pace {
    /// How long a call of the mail service may take.
    pub const SENDING: Duration = Duration::from_secs(4);

    /// The least time for a page of mail: a second for its turn, the call, and as much again for the store.
    pub const LEAST_PAGE: Duration = Duration::from_secs(9);
}

/// What the last page did, for people who look at the job. Where the job goes on stands in its rows: the first open
/// fan-out, else the first due unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastPage {
    /// Members of this fan-out.
    Members {
        /// Its name.
        fanout: String,
    },
    /// The mail of this unit.
    Mail {
        /// Its name.
        unit: String,
    },
}

/// The job.
pub struct Sender {
    outbox: Outbox,
    mailer: Arc<dyn Mailer>,
    table: Table,
    writer: Writer,
    pace: Pace,
    memory: Mutex<Memory>,
}

/// What an instance remembers. Nothing is correct because of it: without it a conflict costs a repeated mail, and every
/// mail a reading of its fan-out.
#[derive(Default)]
struct Memory {
    /// The fan-out that the last mail told of.
    story: Option<Arc<Story>>,
    /// When the last mail may be followed by another one.
    next_mail_at: Option<Timestamp>,
    /// A mail that was taken, of which no commit is known to have recorded it.
    unrecorded: Option<Taken>,
}

/// A mail that the service has taken.
#[derive(Clone)]
struct Taken {
    unit: String,
    mail_key: MailKey,
    message_id: String,
    at: Timestamp,
}

/// What a fan-out tells.
struct Story {
    fanout: String,
    envelope: Envelope,
    announcement: Announcement,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender")
            .field("table", &self.table)
            .field("pace", &self.pace)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Job for Sender {
    const NAME: &'static str = topology::functions::notifications_sender::FUNCTION.name;

    type Cursor = LastPage;

    async fn page(
        &self,
        _: Option<&LastPage>,
        transaction: Transaction,
    ) -> Result<Paged<LastPage>, Failure> {
        if let Some(fanout) = self.begun_fanout(transaction.now()).await? {
            return self.members(fanout, transaction).await;
        }
        match self.first(&units::due(&self.table, None, 1, None)).await? {
            Some(unit) => self.mail(&unit, transaction).await,
            None => Ok(Paged::new(transaction, Next::End)),
        }
    }
}

impl Sender {
    /// Over a store and a mailer. `table` is that of `notifications`.
    pub fn new(
        outbox: Outbox,
        mailer: Arc<dyn Mailer>,
        table: Table,
        writer: Writer,
        pace: Pace,
    ) -> Self {
        Self {
            outbox,
            mailer,
            table,
            writer,
            pace,
            memory: Mutex::new(Memory::default()),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Nothing panics while it is held: what a poisoned lock holds is whole.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn first<T: serde::de::DeserializeOwned>(
        &self,
        query: &outbox::Query,
    ) -> Result<Option<T>, Failure> {
        let (rows, _) = self.outbox.rows(query).await?;
        Ok(rows.into_iter().next())
    }

    /// The first open fan-out, where its time has come. They stand in the order of their times.
    async fn begun_fanout(&self, now: Timestamp) -> Result<Option<Fanout>, Failure> {
        let first: Option<Fanout> = self.first(&fanouts::open(&self.table, 1, None)).await?;
        Ok(first.filter(|fanout| fanout.not_before.plus(self.pace.fanout_delay) <= now))
    }

    /// Notes and units of the next members, and how far the fan-out has come with them.
    async fn members(
        &self,
        fanout: Fanout,
        mut transaction: Transaction,
    ) -> Result<Paged<LastPage>, Failure> {
        let name = fanout.name();
        let story = Story::of(&fanout)?;
        let tidings = story.announcement.tidings();
        let after = match &fanout.after {
            None => None,
            Some(text) => Some(Cursor::from_text(text).ok_or_else(|| {
                Failure::retry(format!("fan-out {name} has no readable place to go on"))
            })?),
        };
        let (contacts, next) = self.next_members(after).await?;
        let now = transaction.now();
        let (mut notes, mut queued) = (0, 0);
        for contact in &contacts {
            if contact.preferences.in_app_enabled
                && let Some(note) = tidings.note(&story.envelope)
            {
                let key = note.key(&self.table, &contact.member_id, tidings.name());
                transaction.insert(key, &note.stored())?;
                notes += 1;
            }
            if contact.preferences.email_enabled {
                let unit = Unit {
                    event_id: fanout.event_id,
                    fanout: name.clone(),
                    member_id: contact.member_id.clone(),
                    template: tidings.name().to_owned(),
                    queued_at: now,
                    refusals: 0,
                };
                transaction.insert(unit.due_key(&self.table), &unit)?;
                queued += 1;
            }
        }
        let members = u64::try_from(contacts.len()).unwrap_or(u64::MAX);
        let unchanged = Condition::Equals(vec![("version", fanout.version.into())]);
        let open = fanouts::open_key(&self.table, &name);
        let mut advanced = Fanout {
            after: next.as_ref().map(Cursor::to_text),
            members: fanout.members.saturating_add(members),
            notes: fanout.notes.saturating_add(notes),
            mails: fanout.mails.saturating_add(queued),
            version: fanout.version.saturating_add(1),
            ..fanout
        };
        if next.is_some() {
            transaction.put(open, &advanced, unchanged)?;
        } else {
            advanced.finished_at = Some(now);
            transaction.delete(open, unchanged);
            transaction.insert(fanouts::done_key(&self.table, &name), &advanced.done())?;
        }
        let finished = u64::from(next.is_none());
        let next = Next::From(LastPage::Members { fanout: name });
        Ok(Paged::new(transaction, next)
            .count("members", members)
            .count("notes", notes)
            .count("mails_queued", queued)
            .count("fanouts_finished", finished))
    }

    /// The contacts behind a page of the index. The index only says who; whether they still have a subname and what they
    /// want is read from their contacts, consistently.
    async fn next_members(
        &self,
        after: Option<Cursor>,
    ) -> Result<(Vec<Contact>, Option<Cursor>), Failure> {
        let query = contacts::subnamed(&self.table, MEMBERS_PER_PAGE, after);
        let store = self.outbox.store();
        let page = store.query(&query).await?;
        let entries = page.items.iter();
        let keys: Vec<Key> = entries
            .filter_map(|item| contacts::entry(&self.table, item))
            .collect();
        if keys.len() != page.items.len() {
            return Err(Failure::retry(
                "an entry of the index of subnames has no key",
            ));
        }
        let items = if keys.is_empty() {
            Vec::new()
        } else {
            store.get_many(&keys).await?
        };
        let mut found = Vec::with_capacity(items.len());
        for (key, item) in keys.iter().zip(items) {
            if let Some(item) = item {
                let contact: Contact = decode_item(key, item)?;
                if contact.ens_subname.is_some() {
                    found.push(contact);
                }
            }
        }
        Ok((found, page.next))
    }

    /// One mail.
    async fn mail(
        &self,
        unit: &Unit,
        mut transaction: Transaction,
    ) -> Result<Paged<LastPage>, Failure> {
        let Some(story) = self.story(&unit.fanout).await? else {
            return self.refused(unit, transaction, "what it tells is gone");
        };
        let identity = identity(&story.envelope);
        let record = mails::key(&self.table, &identity, &unit.member_id, &unit.template);
        // Where the unit was queued twice, by hand for instance.
        if self.outbox.row::<Item>(&record).await?.is_some() {
            self.done_with(unit, &mut transaction);
            return Ok(self.paged(unit, transaction, "mails_already_sent"));
        }
        let contact_key = contacts::key(&self.table, &unit.member_id);
        let Some(contact) = self.outbox.row::<Contact>(&contact_key).await? else {
            return self.refused(unit, transaction, "its member has no contact");
        };
        if !contact.preferences.email_enabled {
            let withdrawn = mails::Withdrawn {
                event_id: unit.event_id,
                member_id: unit.member_id.clone(),
                template: unit.template.clone(),
                withdrawn_at: transaction.now(),
            };
            transaction.insert(record, &withdrawn.stored())?;
            self.done_with(unit, &mut transaction);
            return Ok(self.paged(unit, transaction, "mails_withdrawn"));
        }
        let taken = match self.take(unit, &story, &identity, &contact).await {
            Ok(taken) => taken,
            Err(Refusal::Mail(reason)) => return self.refused(unit, transaction, &reason),
            Err(Refusal::Other(failure)) => return Err(failure),
        };
        let sent = mails::Sent {
            event_id: unit.event_id,
            member_id: unit.member_id.clone(),
            template: unit.template.clone(),
            mail_key: taken.mail_key.to_string(),
            message_id: taken.message_id,
            sent_at: taken.at,
        };
        transaction.insert(record, &sent.stored())?;
        self.done_with(unit, &mut transaction);
        Ok(self.paged(unit, transaction, "mails_sent"))
    }

    /// Hands the mail over in its turn; what this instance handed over and could not record yet is not sent again.
    async fn take(
        &self,
        unit: &Unit,
        story: &Story,
        identity: &str,
        contact: &Contact,
    ) -> Result<Taken, Refusal> {
        let name = unit.name();
        let before = self.memory().unrecorded.clone();
        if let Some(taken) = before.filter(|taken| taken.unit == name) {
            return Ok(taken);
        }
        let tidings = story.announcement.tidings();
        let key = MailKey::of(identity, &unit.member_id, tidings.name());
        let content = self
            .writer
            .mail(&tidings, contact.name.as_str(), &key)
            .map_err(|error| Refusal::Mail(format!("it cannot be written: {}", chain(&error))))?
            .ok_or_else(|| Refusal::Mail("there is no such mail".to_owned()))?;
        let mail = Mail {
            key,
            to: contact.email.clone(),
            subject: content.subject,
            html: content.html,
            text: content.text,
        };
        self.turn().await;
        let message_id = self.mailer.send(&mail).await?;
        let member_id = &unit.member_id;
        tracing::debug!(event_id = %unit.event_id, %member_id, mail_key = %mail.key, "mail sent");
        // From here to the page's commit a crash makes this mail come twice.
        let taken = Taken {
            unit: name,
            mail_key: mail.key,
            message_id,
            at: self.outbox.clock().now(),
        };
        self.memory().unrecorded = Some(taken.clone());
        Ok(taken)
    }

    /// Waits until a mail may go out. The first one of an instance waits too: another instance may have sent one just now.
    async fn turn(&self) {
        let clock = self.outbox.clock();
        let now = clock.now();
        let at = self.memory().next_mail_at;
        let wait = at.map_or(self.pace.between_mails, |at| at.since(now));
        if !wait.is_zero() {
            clock.sleep(wait).await;
        }
        self.memory().next_mail_at = Some(clock.now().plus(self.pace.between_mails));
    }

    /// What a fan-out tells; `None` where its rows are gone.
    async fn story(&self, fanout: &str) -> Result<Option<Arc<Story>>, Failure> {
        let known = self.memory().story.clone();
        if let Some(story) = known.filter(|story| story.fanout == fanout) {
            return Ok(Some(story));
        }
        let keys = [
            fanouts::done_key(&self.table, fanout),
            fanouts::open_key(&self.table, fanout),
        ];
        let items = self.outbox.store().get_many(&keys).await?;
        let found = keys.iter().zip(items);
        let Some((key, item)) = found.filter_map(|(key, item)| Some((key, item?))).next() else {
            return Ok(None);
        };
        let story = Arc::new(Story::of(&decode_item(key, item)?)?);
        self.memory().story = Some(Arc::clone(&story));
        Ok(Some(story))
    }

    /// The unit fails with its reason and waits for somebody; the others go on.
    fn refused(
        &self,
        unit: &Unit,
        mut transaction: Transaction,
        reason: &str,
    ) -> Result<Paged<LastPage>, Failure> {
        let failed = Failed {
            unit: unit.clone(),
            reason: reason.to_owned(),
            failed_at: transaction.now(),
        };
        transaction.insert(unit.failed_key(&self.table), &failed.stored())?;
        self.done_with(unit, &mut transaction);
        let note = format!("{}: {reason}", unit.member_id);
        Ok(self.paged(unit, transaction, "mails_failed").note(note))
    }

    fn done_with(&self, unit: &Unit, transaction: &mut Transaction) {
        transaction.delete(unit.due_key(&self.table), Condition::Present);
    }

    fn paged(
        &self,
        unit: &Unit,
        transaction: Transaction,
        counted: &'static str,
    ) -> Paged<LastPage> {
        let next = Next::From(LastPage::Mail { unit: unit.name() });
        Paged::new(transaction, next).count(counted, 1)
    }
}

/// Why a mail was not handed over.
enum Refusal {
    /// It never will be.
    Mail(String),
    /// Not now: the run ends, the unit stays.
    Other(Failure),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault.kind {
            FaultKind::Rejected => Self::Mail(chain(&fault)),
            FaultKind::Unavailable | FaultKind::Denied | FaultKind::Unreadable => {
                Self::Other(fault.into())
            }
        }
    }
}

impl Story {
    fn of(fanout: &Fanout) -> Result<Self, Failure> {
        let name = fanout.name();
        let envelope: Envelope = serde_json::from_str(&fanout.event)?;
        let announcement = Announcement::read(&envelope)?.ok_or_else(|| {
            Failure::retry(format!(
                "fan-out {name} tells of {}, which this code knows no text for",
                envelope.event_type
            ))
        })?;
        Ok(Self {
            fanout: name,
            envelope,
            announcement,
        })
    }
}

#[cfg(test)]
mod tests;
