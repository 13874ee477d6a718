//! The handler of `notifications`: writes in-app notes and sends mails.
//!
//! Notes are rows, committed together with the event's mark, so each note is written exactly once. Mails cannot be part
//! of the transaction. They follow the commit, and each is sent and then recorded. A crash between the two sends that
//! one mail again, under the same key, and repeats nothing else. So mails are sent at least once.
//!
//! An event for all members does not notify them here. The handler opens a fan-out together with the event's mark, and
//! `notifications-sender` works through it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use consumer::{Class, Failure, Handler, Received};
use events::{Credits, EmailAddress, Envelope, Text, Timestamp};
use futures::{FutureExt, StreamExt, stream};
use mail::{
    Announcement, Mail, MailKey, Mailer, identity,
    recipients::{admin_notice, note, notices},
    texts::{Notice, Writer},
};
use outbox::{FaultKind, GuardedPut, Outbox, Table, Transaction};
use views::{
    contacts::{self, Contact, CustomerContact, Recipient},
    fanouts::{self, Fanout},
    mails,
};

/// The events that the consumer handles, as declared.
pub use topology::functions::notifications::Event;

/// Mails of one event that are sent at the same time.
const SENDS_AT_ONCE: usize = 5;

/// Admins that are read at a time.
const ADMINS_PER_PAGE: u32 = 50;

/// The number of failed mails that an error lists individually.
const FAILURES_NAMED: usize = 10;

/// The consumer `notifications`.
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

/// A recipient, and how to reach them.
struct Addressee {
    recipient: Recipient,
    name: Text<200>,
    email: EmailAddress,
    email_enabled: bool,
    in_app_enabled: bool,
}

impl From<Contact> for Addressee {
    fn from(contact: Contact) -> Self {
        Self {
            recipient: Recipient::Member(contact.member_id),
            name: contact.name,
            email: contact.email,
            email_enabled: contact.preferences.email_enabled,
            in_app_enabled: contact.preferences.in_app_enabled,
        }
    }
}

impl From<CustomerContact> for Addressee {
    fn from(contact: CustomerContact) -> Self {
        Self {
            recipient: Recipient::Customer(contact.customer_id),
            name: contact.name,
            email: contact.email,
            email_enabled: contact.preferences.email_enabled,
            // Customers have no in-app notes.
            in_app_enabled: false,
        }
    }
}

/// The outcome of a mail.
enum Delivery {
    /// The mail was sent, now or earlier.
    Done,
    /// The time was up before the mail was started.
    Left,
}

impl Notifications {
    /// Returns the part of a record's time limit in which mails may start, and which one call may take: two fifths. The
    /// rest is for the decision before and the record after.
    #[must_use]
    pub fn sending_time(record_timeout: Duration) -> Duration {
        record_timeout * 2 / 5
    }

    /// Creates the consumer. `table` holds contacts, notes, fan-outs and the records of mails. Mails are started during
    /// `sending`, see [`Self::sending_time`]. Redemptions below `redeemed_note_from` leave no note.
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

    /// Reads a recipient's contact. Movements and orders come through the express lane and contacts through the standard
    /// lane, so the contact may not have arrived yet.
    async fn addressee(&self, recipient: &Recipient) -> Result<Addressee, Failure> {
        let found = match recipient {
            Recipient::Member(member_id) => {
                let key = contacts::key(&self.table, member_id);
                let contact: Option<Contact> = self.outbox.row(&key).await?;
                contact.map(Addressee::from)
            }
            Recipient::Customer(customer_id) => {
                let key = contacts::customer_key(&self.table, customer_id);
                let contact: Option<CustomerContact> = self.outbox.row(&key).await?;
                contact.map(Addressee::from)
            }
        };
        found.ok_or_else(|| Failure::retry(no_contact(recipient)))
    }

    /// Reads every admin. Having no admin is an error; otherwise the alert would be lost unseen.
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
            return Err(Failure::retry("there is no admin to notify"));
        }
        Ok(admins)
    }

    /// Whether the amount is too small for a note: members redeem credits all day long.
    fn is_too_little(&self, notice: &Notice<'_>) -> bool {
        matches!(notice, Notice::Redeemed(redeemed) if redeemed.amount < self.redeemed_note_from)
    }

    /// Sends the mails that are due and not yet sent. A mail that fails does not hold back the others.
    async fn send_all(
        &self,
        envelope: &Envelope,
        due: Vec<(Addressee, Notice<'_>)>,
    ) -> Result<(), Failure> {
        let begun = self.outbox.clock().now();
        let total = due.len();
        let mut mails = Vec::with_capacity(total);
        for (addressee, notice) in &due {
            mails.push(self.send(envelope, addressee, notice, begun).boxed());
        }
        let results: Vec<(&Recipient, Result<Delivery, Failure>)> = stream::iter(mails)
            .buffer_unordered(SENDS_AT_ONCE)
            .collect()
            .await;
        let mut failed = Vec::new();
        let mut left = 0_usize;
        for (recipient, result) in results {
            match result {
                Ok(Delivery::Done) => {}
                Ok(Delivery::Left) => left += 1,
                Err(failure) => failed.push((recipient, failure)),
            }
        }
        together(total, left, &failed)
    }

    async fn send<'a>(
        &self,
        envelope: &Envelope,
        addressee: &'a Addressee,
        notice: &Notice<'_>,
        begun: Timestamp,
    ) -> (&'a Recipient, Result<Delivery, Failure>) {
        let sent = self.send_once(envelope, addressee, notice, begun).await;
        (&addressee.recipient, sent)
    }

    async fn send_once(
        &self,
        envelope: &Envelope,
        addressee: &Addressee,
        notice: &Notice<'_>,
        begun: Timestamp,
    ) -> Result<Delivery, Failure> {
        let recipient = &addressee.recipient;
        let identity = identity(envelope);
        let record = mails::key(&self.table, &identity, recipient.clone(), notice.name());
        if self.outbox.row::<mails::Sent>(&record).await?.is_some() {
            return Ok(Delivery::Done);
        }
        if self.outbox.clock().now().since(begun) >= self.sending {
            return Ok(Delivery::Left);
        }
        let key = MailKey::of(&identity, recipient.clone(), notice.name());
        let name = addressee.name.as_str();
        let Some(content) = self.writer.mail(notice, name, &key)? else {
            return Ok(Delivery::Done);
        };
        let mail = Mail {
            key,
            to: addressee.email.clone(),
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
        // A crash between here and the commit of the record sends this mail again.
        let sent = mails::Sent {
            event_id: envelope.event_id,
            recipient: recipient.clone(),
            template: notice.name().to_owned(),
            mail_key: mail.key.to_string(),
            message_id,
            sent_at: self.outbox.clock().now(),
        };
        self.outbox
            .put_guarded(&sent.put_if_absent(record)?)
            .await?;
        tracing::debug!(event_id = %envelope.event_id, %recipient, template = notice.name(), mail_key = %mail.key, "mail sent");
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
        for (recipient, notice) in notices(&received.event, envelope.occurred_at) {
            if self.is_too_little(&notice) {
                continue;
            }
            // Also for a recipient without notes: an event whose mail has no address yet is not marked, but retried.
            let addressee = self.addressee(&recipient).await?;
            if let Some((key, note)) = note(&recipient, &notice, envelope, &self.table)
                && addressee.in_app_enabled
            {
                transaction.insert(key, &note.stored())?;
            }
        }
        Ok(transaction)
    }

    async fn after_commit(&self, received: &Received<Event>) -> Result<(), Failure> {
        let mut due = Vec::new();
        if let Some(notice) = admin_notice(&received.event) {
            // Preferences do not apply: alerts are part of an admin's work.
            let admins = self.admins().await?.into_iter().map(Addressee::from);
            due.extend(admins.map(|admin| (admin, notice)));
        }
        for (recipient, notice) in notices(&received.event, received.envelope.occurred_at) {
            if notice.subject().is_none() {
                continue;
            }
            let addressee = self.addressee(&recipient).await?;
            if addressee.email_enabled {
                due.push((addressee, notice));
            }
        }
        self.send_all(&received.envelope, due).await
    }
}

fn no_contact(recipient: &Recipient) -> String {
    match recipient {
        Recipient::Member(member_id) => format!(
            "no contact of member {member_id} yet: their member.registered has not been handled"
        ),
        Recipient::Customer(customer_id) => format!(
            "no contact of customer {customer_id} yet: its customer.registered has not been handled"
        ),
    }
}

/// Returns the row of the contact that the event states. The row is also the evidence that the event was handled.
fn stated(event: &Event, envelope: &Envelope, table: &Table) -> Result<GuardedPut, Failure> {
    let put = match event {
        Event::Registered(registered) => Contact::from(registered).guarded_put(table),
        Event::Updated(updated) => Contact::from(updated).guarded_put(table),
        Event::CustomerRegistered(registered) => {
            CustomerContact::from(registered).guarded_put(table)
        }
        Event::CustomerUpdated(updated) => CustomerContact::from(updated).guarded_put(table),
        _ => {
            return Err(Failure::park(format!(
                "{} states no contact",
                envelope.event_type
            )));
        }
    };
    Ok(put?)
}

/// Combines the failures of all mails into one. While any mail can still be sent, the message is retried. It is parked
/// only when the remaining mails can never be sent.
fn together(total: usize, left: usize, failed: &[(&Recipient, Failure)]) -> Result<(), Failure> {
    if failed.is_empty() && left == 0 {
        return Ok(());
    }
    let mut reasons: Vec<String> = failed
        .iter()
        .take(FAILURES_NAMED)
        .map(|(recipient, failure)| format!("{recipient}: {}", failure.chain()))
        .collect();
    let unnamed = failed.len().saturating_sub(FAILURES_NAMED);
    if unnamed > 0 {
        reasons.push(format!("and {unnamed} more"));
    }
    if left > 0 {
        reasons.push(format!("{left} not started, the time was up"));
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
