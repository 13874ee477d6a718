//! The mail port: the trait [`Mailer`], the mail and its key.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use events::{EmailAddress, Envelope};
use outbox::{Fault, FaultKind, Mark};
use sha2::{Digest, Sha256};
use views::contacts::Recipient;

/// The header that carries a mail's key.
pub const KEY_HEADER: &str = "X-Millrace-Key";

/// The identity from which the keys of an event's mails are derived. It is the identity in the event's mark, so a copy
/// of the event under another event id has the same mail keys.
#[must_use]
pub fn identity(envelope: &Envelope) -> String {
    // The other half of the mark is the consumer. The event's half is the same for all consumers.
    match Mark::event("mail", envelope) {
        Mark::Event { event, .. } => event,
        Mark::Request { .. }
        | Mark::Message { .. }
        | Mark::Episode { .. }
        | Mark::JobPage { .. }
        | Mark::Cursor { .. } => envelope.event_id.to_string(),
    }
}

/// Identifies a mail across repeated sends, so that a receiver, or a person looking at a mailbox, can recognise a
/// repeat.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailKey(String);

impl MailKey {
    /// The key of the mail to this member or customer about this event from this template. `identity` is the event's
    /// identity in its mark ([`identity`]).
    #[must_use]
    pub fn of(identity: &str, recipient: impl Into<Recipient>, template: &str) -> Self {
        use fmt::Write as _;
        let recipient: Recipient = recipient.into();
        // Only the identity can hold a line feed, and it comes last, so two mails never hash the same text.
        let digest = Sha256::digest(format!("{template}\n{recipient}\n{identity}"));
        let text = digest[..16]
            .iter()
            .fold(String::with_capacity(32), |mut text, byte| {
                // Writing to a String cannot fail.
                write!(text, "{byte:02x}").ok();
                text
            });
        Self(text)
    }

    /// 32 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MailKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One mail to one recipient.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// The mail's key.
    pub key: MailKey,
    /// The recipient's address.
    pub to: EmailAddress,
    /// The subject: a fixed line of ours, never text that somebody else wrote.
    pub subject: &'static str,
    /// The body as HTML.
    pub html: String,
    /// The body as plain text.
    pub text: String,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither address nor body: they are personal data.
        f.debug_struct("Mail")
            .field("key", &self.key)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// The port that sends mails.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Sends a mail and returns the service's id of it. When it returns success, the service MUST have accepted the
    /// mail for delivery.
    ///
    /// The kind of a fault tells the caller what to do: `Unavailable`, try again later; `Denied`, not permitted or not
    /// set up, so an operator must fix it; `Rejected`, this mail will never be accepted. The fault's text MUST NOT
    /// contain the recipient's address.
    async fn send(&self, mail: &Mail) -> Result<String, Fault>;
}

/// A [`Mailer`] in memory, for tests and Flow. It records every accepted mail, and fails for the addresses set by
/// [`Self::fail_for`].
#[derive(Debug, Default)]
pub struct MemoryMailer {
    sent: Mutex<Vec<Mail>>,
    faults: Mutex<BTreeMap<String, FaultKind>>,
}

impl MemoryMailer {
    /// A mailer that accepts every mail.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every accepted mail, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<Mail> {
        lock(&self.sent).clone()
    }

    /// Fails with this kind of fault for the address from now on.
    pub fn fail_for(&self, address: &str, kind: FaultKind) {
        lock(&self.faults).insert(address.to_owned(), kind);
    }

    /// Accepts mails to every address again.
    pub fn mend(&self) {
        lock(&self.faults).clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while holding the lock, so the data behind a poisoned lock is consistent.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Mailer for MemoryMailer {
    async fn send(&self, mail: &Mail) -> Result<String, Fault> {
        if let Some(kind) = lock(&self.faults).get(mail.to.as_str()) {
            return Err(Fault::new(*kind, "memory send", format!("{kind:?}")));
        }
        let mut sent = lock(&self.sent);
        sent.push(mail.clone());
        Ok(format!("memory-{}", sent.len()))
    }
}

#[cfg(test)]
mod tests {
    use events::{CustomerId, MemberId};

    use super::*;

    #[test]
    fn a_mails_key_is_the_same_for_the_same_event_recipient_and_template_only() {
        let member = |text: &str| MemberId::new(text).expect("an id");
        let key = MailKey::of("e-1", &member("m-1"), "minted");
        assert_eq!(key, MailKey::of("e-1", &member("m-1"), "minted"));
        assert_ne!(key, MailKey::of("e-2", &member("m-1"), "minted"));
        assert_ne!(key, MailKey::of("e-1", &member("m-2"), "minted"));
        assert_ne!(key, MailKey::of("e-1", &member("m-1"), "sent"));
        let customer = CustomerId::new("m-1").expect("an id");
        assert_ne!(key, MailKey::of("e-1", &customer, "minted"));
        assert_eq!(key.as_str().len(), 32);
    }

    #[test]
    fn a_members_key_is_that_of_the_mails_sent_before_customers_had_any() {
        let member_id = MemberId::new("m-1").expect("an id");
        assert_eq!(
            MailKey::of("e-1", &member_id, "minted").as_str(),
            "48769d472b033685f18332d72a5f52f6"
        );
    }
}
