//! Who is told what, and when that is done.
//!
//! Notes are rows: they are committed together with the event's mark. Mails leave the store, so they follow the commit:
//! each is sent, then recorded. A crash between the two sends that one mail again, under the same key; nothing else is
//! repeated. Mails are at least once.
//!
//! What all members are told is not told here: with the event's mark a fan-out is opened, and `notifications-sender` works
//! it off.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use consumer::{Class, Failure, Handler, Received};
use events::{Credits, Envelope, MemberId, Timestamp};
use futures::{FutureExt, StreamExt, stream};
use mail::{
    Announcement, Mail, MailKey, Mailer, identity,
    recipients::{note, told, told_admins},
    texts::{Tidings, Writer},
};
use outbox::{FaultKind, GuardedPut, Outbox, Table, Transaction};
use views::{
    contacts::{self, Contact},
    fanouts::{self, Fanout},
    mails,
};

/// What the consumer listens to, as its declaration says.
pub use topology::functions::notifications::Event;

/// Mails of one event on their way at once.
const SENDS_AT_ONCE: usize = 5;

/// Admins read at once.
const ADMINS_PER_PAGE: u32 = 50;

/// Failed mails that an error names one by one.
const FAILURES_NAMED: usize = 10;

/// The consumer.
pub struct Notifications {
    outbox: Outbox,
    mailer: Arc<dyn Mailer>,
    table: Table,
    writer: Writer,
    sending: Duration,
    redeemed_note_from: Credits,
}

impl std::fmt::Debug for Notifications {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifications")
            .field("table", &self.table)
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}

/// What became of a mail.
enum Delivery {
    /// Sent now or before.
    Done,
    /// Not begun for want of time.
    Left,
}

impl Notifications {
    /// The part of a record's time limit in which mails are begun, and that one call may take: two in five. What is left
    /// is for the decision before and the record after.
    #[must_use]
    pub fn sending_time(record_timeout: Duration) -> Duration {
        record_timeout * 2 / 5
    }

    /// Over a store and a mailer. `table` holds contacts, notes, fan-outs and the record of mails; mails are begun during
    /// `sending`, see [`Self::sending_time`]. `redeemed_note_from`: smaller redemptions leave no note.
    pub fn new(
        outbox: Outbox,
        mailer: Arc<dyn Mailer>,
        table: Table,
        writer: Writer,
        sending: Duration,
        redeemed_note_from: Credits,
    ) -> Self {
        Self {
            outbox,
            mailer,
            table,
            writer,
            sending,
            redeemed_note_from,
        }
    }

    /// A member's contact. Money comes by the express lane, contacts by the standard one: it may not be there yet.
    async fn contact(&self, member_id: &MemberId) -> Result<Contact, Failure> {
        let key = contacts::key(&self.table, member_id);
        let contact: Option<Contact> = self.outbox.row(&key).await?;
        contact.ok_or_else(|| {
            Failure::retry(format!(
                "no contact of member {member_id} yet: their member.registered was not handled"
            ))
        })
    }

    /// Every admin. Nobody to tell is no success: it would be gone without anybody having heard of it.
    async fn admins(&self) -> Result<Vec<Contact>, Failure> {
        let mut admins = Vec::new();
        let mut after = None;
        loop {
            let query = contacts::admins(&self.table, ADMINS_PER_PAGE, after);
            let (page, next) = self.outbox.rows::<Contact>(&query).await?;
            admins.extend(page);
            after = next;
            if after.is_none() {
                break;
            }
        }
        if admins.is_empty() {
            return Err(Failure::retry("there is no admin to tell"));
        }
        Ok(admins)
    }

    /// Whether it is not worth a word: resources are used all day long.
    fn is_too_little(&self, tidings: &Tidings<'_>) -> bool {
        matches!(tidings, Tidings::Redeemed(redeemed) if redeemed.amount < self.redeemed_note_from)
    }

    /// Sends what is due and not yet sent. One mail that fails holds back none of the others.
    async fn send_all(
        &self,
        envelope: &Envelope,
        due: Vec<(Contact, Tidings<'_>)>,
    ) -> Result<(), Failure> {
        let begun = self.outbox.clock().now();
        let total = due.len();
        let mut mails = Vec::with_capacity(total);
        for (contact, tidings) in &due {
            mails.push(self.send(envelope, contact, tidings, begun).boxed());
        }
        let results: Vec<(&MemberId, Result<Delivery, Failure>)> = stream::iter(mails)
            .buffer_unordered(SENDS_AT_ONCE)
            .collect()
            .await;
        let mut failed = Vec::new();
        let mut left = 0_usize;
        for (member_id, result) in results {
            match result {
                Ok(Delivery::Done) => {}
                Ok(Delivery::Left) => left += 1,
                Err(failure) => failed.push((member_id, failure)),
            }
        }
        together(total, left, &failed)
    }

    async fn send<'a>(
        &self,
        envelope: &Envelope,
        contact: &'a Contact,
        tidings: &Tidings<'_>,
        begun: Timestamp,
    ) -> (&'a MemberId, Result<Delivery, Failure>) {
        let sent = self.send_once(envelope, contact, tidings, begun).await;
        (&contact.member_id, sent)
    }

    async fn send_once(
        &self,
        envelope: &Envelope,
        contact: &Contact,
        tidings: &Tidings<'_>,
        begun: Timestamp,
    ) -> Result<Delivery, Failure> {
        let member_id = &contact.member_id;
        let identity = identity(envelope);
        let record = mails::key(&self.table, &identity, member_id, tidings.name());
        if self.outbox.row::<mails::Sent>(&record).await?.is_some() {
            return Ok(Delivery::Done);
        }
        if self.outbox.clock().now().since(begun) >= self.sending {
            return Ok(Delivery::Left);
        }
        let key = MailKey::of(&identity, member_id, tidings.name());
        let name = contact.name.as_str();
        let Some(content) = self.writer.mail(tidings, name, &key)? else {
            return Ok(Delivery::Done);
        };
        let mail = Mail {
            key,
            to: contact.email.clone(),
            subject: content.subject,
            html: content.html,
            text: content.text,
        };
        let message_id = self
            .mailer
            .send(&mail)
            .await
            .map_err(|fault| match fault.kind {
                FaultKind::Rejected => Failure::park(fault),
                FaultKind::Unavailable | FaultKind::Denied | FaultKind::Unreadable => fault.into(),
            })?;
        // From here to the record's commit a crash makes this mail come twice.
        let sent = mails::Sent {
            event_id: envelope.event_id,
            member_id: member_id.clone(),
            template: tidings.name().to_owned(),
            mail_key: mail.key.to_string(),
            message_id,
            sent_at: self.outbox.clock().now(),
        };
        self.outbox
            .put_guarded(&sent.put_if_absent(record)?)
            .await?;
        tracing::debug!(event_id = %envelope.event_id, %member_id, template = tidings.name(), mail_key = %mail.key, "mail sent");
        Ok(Delivery::Done)
    }
}

#[async_trait]
impl Handler for Notifications {
    const NAME: &'static str = topology::functions::notifications::FUNCTION.name;

    type Event = Event;

    async fn project(&self, received: &Received<Event>) -> Result<GuardedPut, Failure> {
        stated(&received.event, &received.envelope, &self.table)
    }

    async fn decide(
        &self,
        received: &Received<Event>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        let envelope = &received.envelope;
        if let Some(announcement) = Announcement::read(envelope)? {
            let not_before = announcement.not_before(envelope);
            let fanout = Fanout::open(envelope, not_before, transaction.now())?;
            transaction.insert(fanouts::open_key(&self.table, &fanout.name()), &fanout)?;
        }
        for (member_id, tidings) in told(&received.event, envelope.occurred_at) {
            if self.is_too_little(&tidings) {
                continue;
            }
            let contact = self.contact(member_id).await?;
            if let Some((key, note)) = note(member_id, &tidings, envelope, &self.table)
                && contact.preferences.in_app_enabled
            {
                transaction.insert(key, &note.stored())?;
            }
        }
        Ok(transaction)
    }

    async fn settle(&self, received: &Received<Event>) -> Result<(), Failure> {
        let mut due = Vec::new();
        if let Some(tidings) = told_admins(&received.event) {
            // Whatever their preferences: running the place includes hearing of this.
            let admins = self.admins().await?;
            due.extend(admins.into_iter().map(|admin| (admin, tidings)));
        }
        for (member_id, tidings) in told(&received.event, received.envelope.occurred_at) {
            if tidings.subject().is_none() {
                continue;
            }
            let contact = self.contact(member_id).await?;
            if contact.preferences.email_enabled {
                due.push((contact, tidings));
            }
        }
        self.send_all(&received.envelope, due).await
    }
}

/// The contact that an event states: the row that is its evidence.
fn stated(event: &Event, envelope: &Envelope, table: &Table) -> Result<GuardedPut, Failure> {
    let contact = match event {
        Event::Registered(registered) => Contact::from(registered),
        Event::Updated(updated) => Contact::from(updated),
        _ => {
            return Err(Failure::park(format!(
                "{} states no contact",
                envelope.event_type
            )));
        }
    };
    Ok(contact.guarded_put(table)?)
}

/// One failure for all mails. As long as any of them may still go out, the message comes back; it is parked only when
/// what is left can never be sent.
fn together(total: usize, left: usize, failed: &[(&MemberId, Failure)]) -> Result<(), Failure> {
    if failed.is_empty() && left == 0 {
        return Ok(());
    }
    let mut reasons: Vec<String> = failed
        .iter()
        .take(FAILURES_NAMED)
        .map(|(member_id, failure)| format!("{member_id}: {}", failure.chain()))
        .collect();
    let unnamed = failed.len().saturating_sub(FAILURES_NAMED);
    if unnamed > 0 {
        reasons.push(format!("and {unnamed} more"));
    }
    if left > 0 {
        reasons.push(format!("{left} not begun, the time was up"));
    }
    let unsent = failed.len() + left;
    let text = format!(
        "{unsent} of {total} mails not known to be sent: {}",
        reasons.join("; ")
    );
    let any = |class: fn(Class) -> bool| failed.iter().any(|(_, failure)| class(failure.class()));
    Err(
        if left > 0 || any(|class| matches!(class, Class::Unavailable)) {
            Failure::unavailable(text)
        } else if any(|class| matches!(class, Class::Retry)) {
            Failure::retry(text)
        } else {
            Failure::park(text)
        },
    )
}

#[cfg(test)]
mod tests;
