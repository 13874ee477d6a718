//! The job notifies all members of an event, in two kinds of pages.
//!
//! * A page of **members** takes the next members who have a subname. One transaction writes their notes, a unit for
//!   each mail, and the position of the fan-out. Nothing leaves the store, so each member gets exactly one note and one
//!   unit, however often a run dies.
//! * A page of **mail** takes the first due unit and sends its mail. One transaction then removes the unit and records
//!   the mail. A run that dies between the two sends that one mail again, under the same key, and no other mail.
//!
//! Fan-outs go first: members see a note within minutes, however many mails wait. Mails are sent strictly one after the
//! other, in the order of their fan-outs.

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
    contacts::{self, Contact, Recipient},
    fanouts::{self, Fanout},
    mails,
    units::{self, Failed, Unit},
};

/// The number of members in a page. Each needs a note and a unit, and the transaction also holds the page's mark, the
/// lease and the fan-out's two rows.
pub const MEMBERS_PER_PAGE: u32 = 48;

const _: () = assert!(MEMBERS_PER_PAGE as usize * 2 + 4 <= MAX_TRANSACTION_ITEMS);

/// When fan-outs begin, and how fast mails are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The time from the start of one mail to the start of the next, at most a second.
    pub between_mails: Duration,
    /// The time from the event to the start of its fan-out: members who registered just before it must get into the
    /// index.
    pub fanout_delay: Duration,
}

impl Pace {
    /// The time limit of a call to the mail service.
    pub const SENDING: Duration = Duration::from_secs(4);

    /// The minimum time limit of a page of mail: a second for its turn, the call, and as much time again for the store.
    pub const LEAST_PAGE: Duration = Duration::from_secs(9);
}

/// What the last page did, for people who inspect the job. The job's rows determine where it continues: the first open
/// fan-out, otherwise the first due unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastPage {
    /// It handled members of this fan-out.
    Members {
        /// The name.
        fanout: String,
    },
    /// It sent the mail of this unit.
    Mail {
        /// The name.
        unit: String,
    },
}

/// The job `notifications-sender`.
pub struct Sender {
    outbox: Outbox,
    mailer: Arc<dyn Mailer>,
    table: Table,
    writer: Writer,
    pace: Pace,
    memory: Mutex<Memory>,
}

/// What an instance remembers. This only saves work and is not needed for correctness. Without it, a conflict repeats a
/// mail, and every mail reads its fan-out again.
#[derive(Default)]
struct Memory {
    /// The story of the fan-out to which the last mail belonged.
    story: Option<Arc<Story>>,
    /// When the next mail may be sent.
    next_mail_at: Option<Timestamp>,
    /// A mail that the service accepted, and that no commit is known to have recorded.
    unrecorded: Option<AcceptedMail>,
}

/// A mail that the service has accepted.
#[derive(Clone)]
struct AcceptedMail {
    unit: String,
    mail_key: MailKey,
    message_id: String,
    at: Timestamp,
}

/// The content of a fan-out's notices.
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

    async fn has_work(&self, now: Timestamp) -> Result<bool, Failure> {
        Ok(self.begun_fanout(now).await?.is_some() || self.due().await?.is_some())
    }

    async fn page(
        &self,
        _: Option<&LastPage>,
        transaction: Transaction,
    ) -> Result<Paged<LastPage>, Failure> {
        if let Some(fanout) = self.begun_fanout(transaction.now()).await? {
            return self.members(fanout, transaction).await;
        }
        match self.due().await? {
            Some(unit) => self.mail(&unit, transaction).await,
            None => Ok(Paged::new(transaction, Next::End)),
        }
    }
}

impl Sender {
    /// Creates the job over a store and a mailer. `table` is the table of `notifications`.
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
        // No code panics while holding the lock, so the data behind a poisoned lock is still consistent.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn first<T: serde::de::DeserializeOwned>(
        &self,
        query: &outbox::Query,
    ) -> Result<Option<T>, Failure> {
        let (rows, _) = self.outbox.rows(query).await?;
        Ok(rows.into_iter().next())
    }

    /// Returns the first open fan-out if its time has come. Fan-outs are ordered by their times.
    async fn begun_fanout(&self, now: Timestamp) -> Result<Option<Fanout>, Failure> {
        let first: Option<Fanout> = self.first(&fanouts::open(&self.table, 1, None)).await?;
        Ok(first.filter(|fanout| fanout.not_before.plus(self.pace.fanout_delay) <= now))
    }

    /// Returns the first mail that is due.
    async fn due(&self) -> Result<Option<Unit>, Failure> {
        self.first(&units::due(&self.table, None, 1, None)).await
    }

    /// Writes notes and units for the next members, and the new position of the fan-out.
    async fn members(
        &self,
        fanout: Fanout,
        mut transaction: Transaction,
    ) -> Result<Paged<LastPage>, Failure> {
        let name = fanout.name();
        let story = Story::of(&fanout)?;
        let notice = story.announcement.notice();
        let after = match &fanout.after {
            None => None,
            Some(text) => Some(Cursor::from_text(text).ok_or_else(|| {
                Failure::retry(format!(
                    "fan-out {name} has no readable position to continue from"
                ))
            })?),
        };
        let (contacts, next) = self.next_members(after).await?;
        let now = transaction.now();
        let (mut notes, mut queued) = (0, 0);
        for contact in &contacts {
            if contact.preferences.in_app_enabled
                && let Some(note) = notice.note(&story.envelope)
            {
                let key = note.key(&self.table, &contact.member_id, notice.name());
                transaction.insert(key, &note.stored())?;
                notes += 1;
            }
            if contact.preferences.email_enabled {
                let unit = Unit {
                    event_id: fanout.event_id,
                    fanout: name.clone(),
                    member_id: contact.member_id.clone(),
                    template: notice.name().to_owned(),
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

    /// Reads the contacts of a page of the index. The index only names the members. Their contacts, read consistently,
    /// decide whether they still have a subname and which channels they want.
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

    /// Sends one mail.
    async fn mail(
        &self,
        unit: &Unit,
        mut transaction: Transaction,
    ) -> Result<Paged<LastPage>, Failure> {
        let Some(story) = self.story(&unit.fanout).await? else {
            return self.refused(unit, transaction, "the fan-out's rows are gone");
        };
        let identity = identity(&story.envelope);
        let record = mails::key(&self.table, &identity, &unit.member_id, &unit.template);
        // The unit may have been queued twice, for example by hand.
        if self.outbox.row::<Item>(&record).await?.is_some() {
            self.done_with(unit, &mut transaction);
            return Ok(self.paged(unit, transaction, "mails_already_sent"));
        }
        let contact_key = contacts::key(&self.table, &unit.member_id);
        let Some(contact) = self.outbox.row::<Contact>(&contact_key).await? else {
            return self.refused(unit, transaction, "the member has no contact");
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
            recipient: Recipient::from(&unit.member_id),
            template: unit.template.clone(),
            mail_key: taken.mail_key.to_string(),
            message_id: taken.message_id,
            sent_at: taken.at,
        };
        transaction.insert(record, &sent.stored())?;
        self.done_with(unit, &mut transaction);
        Ok(self.paged(unit, transaction, "mails_sent"))
    }

    /// Sends the mail in its turn. A mail that this instance sent and could not record yet is not sent again.
    async fn take(
        &self,
        unit: &Unit,
        story: &Story,
        identity: &str,
        contact: &Contact,
    ) -> Result<AcceptedMail, Refusal> {
        let name = unit.name();
        let before = self.memory().unrecorded.clone();
        if let Some(taken) = before.filter(|taken| taken.unit == name) {
            return Ok(taken);
        }
        let notice = story.announcement.notice();
        let key = MailKey::of(identity, &unit.member_id, notice.name());
        let content = self
            .writer
            .mail(&notice, contact.name.as_str(), &key)
            .map_err(|error| {
                Refusal::Mail(format!("the mail cannot be written: {}", chain(&error)))
            })?
            .ok_or_else(|| Refusal::Mail("the notice has no mail".to_owned()))?;
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
        // A crash between here and the page's commit sends this mail again.
        let taken = AcceptedMail {
            unit: name,
            mail_key: mail.key,
            message_id,
            at: self.outbox.clock().now(),
        };
        self.memory().unrecorded = Some(taken.clone());
        Ok(taken)
    }

    /// Waits until a mail may be sent. The first mail of an instance waits too, because another instance may have just
    /// sent one.
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

    /// Returns the content of a fan-out's notices; `None` if its rows are gone.
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

    /// Marks the unit as failed with its reason. It waits for an operator; the other units continue.
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

/// Why a mail was not sent.
enum Refusal {
    /// This mail can never be sent.
    Mail(String),
    /// Not now: the run ends and the unit stays.
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
                "fan-out {name} is for {}, for which this code has no text",
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
