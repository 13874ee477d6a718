//! E-mail as a port.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use events::{EmailAddress, Envelope, MemberId};
use outbox::{Fault, FaultKind, Mark};
use sha2::{Digest, Sha256};

/// The header that carries a mail's key.
pub const KEY_HEADER: &str = "X-Millrace-Key";

/// What an event's mark knows it by, so that a copy under another id is the same event for mails too: the identity that
/// keys of mails are made of.
#[must_use]
pub fn identity(envelope: &Envelope) -> String {
    // The consumer is the mark's other half; the event's half is the same for all of them.
    match Mark::event("mail", envelope) {
        Mark::Event { event, .. } => event,
        Mark::Request { .. }
        | Mark::Episode { .. }
        | Mark::JobPage { .. }
        | Mark::Cursor { .. } => envelope.event_id.to_string(),
    }
}

/// What stays the same however often a mail is sent: by it a receiver, or whoever looks into a mailbox, tells a repeat.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailKey(String);

impl MailKey {
    /// The key of the mail that tells this member of this event by this template. `identity` is what the event's mark
    /// knows it by.
    #[must_use]
    pub fn of(identity: &str, member_id: &MemberId, template: &str) -> Self {
        use fmt::Write as _;
        // Only the identity may hold a line feed, and it comes last: two mails never hash the same text.
        let digest = Sha256::digest(format!("{template}\n{member_id}\n{identity}"));
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
    /// Its key.
    pub key: MailKey,
    /// To whom.
    pub to: EmailAddress,
    /// The subject: one of our own lines, never anything a member wrote.
    pub subject: &'static str,
    /// The body as HTML.
    pub html: String,
    /// The body as plain text.
    pub text: String,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither address nor body: they are somebody's.
        f.debug_struct("Mail")
            .field("key", &self.key)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// Sends mails.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands a mail over and answers with the service's id of it. MUST have accepted it for delivery when it answers with
    /// success.
    ///
    /// A fault's kind says what may be done: `Unavailable`, try later; `Denied`, not permitted or not set up, which
    /// somebody may mend; `Rejected`, this very mail will never be taken. Its text MUST NOT hold the recipient's address.
    async fn send(&self, mail: &Mail) -> Result<String, Fault>;
}

/// A [`Mailer`] in memory, for tests and Flow: remembers every mail it took and fails for the addresses it is told to.
#[derive(Debug, Default)]
pub struct MemoryMailer {
    sent: Mutex<Vec<Mail>>,
    faults: Mutex<BTreeMap<String, FaultKind>>,
}

impl MemoryMailer {
    /// Takes everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every mail that was taken, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<Mail> {
        lock(&self.sent).clone()
    }

    /// Fails for this address from now on.
    pub fn fail_for(&self, address: &str, kind: FaultKind) {
        lock(&self.faults).insert(address.to_owned(), kind);
    }

    /// Takes mails to every address again.
    pub fn mend(&self) {
        lock(&self.faults).clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it is held: what a poisoned lock holds is whole.
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
    use super::*;

    #[test]
    fn a_mails_key_is_the_same_for_the_same_event_member_and_template_only() {
        let member = |text: &str| MemberId::new(text).expect("an id");
        let key = MailKey::of("e-1", &member("m-1"), "minted");
        assert_eq!(key, MailKey::of("e-1", &member("m-1"), "minted"));
        assert_ne!(key, MailKey::of("e-2", &member("m-1"), "minted"));
        assert_ne!(key, MailKey::of("e-1", &member("m-2"), "minted"));
        assert_ne!(key, MailKey::of("e-1", &member("m-1"), "sent"));
        assert_eq!(key.as_str().len(), 32);
    }
}
