//! A dead letter's row and its states.

use std::{fmt, str::FromStr, time::Duration};

use domain::{Illegal, Transitions};
use events::{OperationId, Timestamp};
use outbox::{Key, State, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};
use sha2::{Digest as _, Sha256};

use crate::{
    drained::Drained,
    signature::{Signature, hex},
};

/// How long a letter is kept after its last change.
pub const LETTER_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// How long a letter's body is kept after its last parking: as long as the letter can live that changes once more in the
/// last moment.
pub const BODY_LIFE: Duration = LETTER_LIFE.saturating_mul(2);

/// The longest error that a letter's row keeps, in bytes. The message's attributes, beside the body, have all of it.
pub const ERROR_BYTES: usize = 2 * 1024;

/// How many entries a letter's history has at most. The oldest are dropped.
pub const HISTORY_ENTRIES: usize = 20;

/// The longest error and the longest reason in a letter's history, in bytes.
const ENTRY_BYTES: usize = 500;

/// The id of a dead letter: 32 hexadecimal digits. A consumer's failure to handle one event has one id, however often the
/// event is parked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct LetterId(#[schemars(regex(pattern = r"^[0-9a-f]{32}$"))] String);

/// A text that is no letter's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a letter's id has 32 lower-case hexadecimal digits")]
pub struct NoLetterId;

impl LetterId {
    /// The id of what a consumer could not handle: the event, or the message if there is no event.
    #[must_use]
    pub fn of(consumer: &str, event_id: Option<&str>, message_id: &str) -> Self {
        let identity = match event_id {
            Some(event_id) => format!("{consumer}#{event_id}"),
            None => format!("message#{message_id}"),
        };
        Self(hex(&Sha256::digest(identity)).chars().take(32).collect())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LetterId {
    type Err = NoLetterId;

    fn from_str(text: &str) -> Result<Self, NoLetterId> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 32 && text.bytes().all(is_digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NoLetterId)
        }
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for LetterId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// The state of a dead letter.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum LetterState {
    /// It waits for a decision.
    Open,
    /// An operation has taken it and sends it, or has sent it, to its consumer.
    Redriving,
    /// It was sent to its consumer and came back.
    FailedAgain,
    /// Its consumer has handled the event.
    Handled,
    /// An operator closed it unhandled.
    Discarded,
}

/// Which state can follow which. A letter that is handled or discarded is open again if the event is parked once more.
pub const LETTER: Transitions<LetterState> = {
    use LetterState::{Discarded, FailedAgain, Handled, Open, Redriving};
    Transitions::new(&[
        (Open, &[Redriving, Handled, Discarded]),
        (Redriving, &[Open, FailedAgain, Handled]),
        (FailedAgain, &[Redriving, Handled, Discarded]),
        (Handled, &[Open]),
        (Discarded, &[Open]),
    ])
};

impl LetterState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Open,
        Self::Redriving,
        Self::FailedAgain,
        Self::Handled,
        Self::Discarded,
    ];

    /// The state's name in rows, in requests and on screens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Redriving => "redriving",
            Self::FailedAgain => "failed_again",
            Self::Handled => "handled",
            Self::Discarded => "discarded",
        }
    }

    /// Whether somebody still has to do something about the letter.
    #[must_use]
    pub const fn is_unresolved(self) -> bool {
        matches!(self, Self::Open | Self::Redriving | Self::FailedAgain)
    }

    /// The partition of the index `listed` that has letters in this state.
    #[must_use]
    pub const fn listed(self) -> &'static str {
        if self.is_unresolved() {
            UNRESOLVED
        } else {
            RESOLVED
        }
    }
}

impl fmt::Display for LetterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The partition of the index with the letters that are neither handled nor discarded.
pub const UNRESOLVED: &str = "unresolved";

/// The partition of the index with the letters that are handled or discarded.
pub const RESOLVED: &str = "resolved";

/// What happened to a letter.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum What {
    /// It became a dead letter.
    Parked,
    /// It became a dead letter once more, while it was one.
    ParkedAgain,
    /// It became a dead letter once more, after it was handled or discarded.
    Reopened,
    /// An operation took it.
    Claimed,
    /// An operation gave it back: it could not be sent, or the operation was cancelled.
    Released,
    /// It was sent to its consumer.
    Sent,
    /// It came back after it was sent, or nothing was heard of it for as long as a lane keeps a message.
    FailedAgain,
    /// Its consumer handled the event.
    Handled,
    /// An operator closed it unhandled.
    Discarded,
    /// An operator put another message in the place of its own, or of that of the letter which it was made from.
    Edited,
}

/// An entry of a letter's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
    /// By which operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<OperationId>,
    /// The error with which it was parked, or the reason for which it was closed; a long one is cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Letter {
    /// The letter's id.
    pub letter_id: LetterId,
    /// The consumer that could not handle it; `unknown` if nothing tells.
    pub consumer: String,
    /// The event's id, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// The event's type, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// What the event is about, `type#id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregate: Option<String>,
    /// The event's number in its aggregate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The event's tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The chain that the event belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// Why it is a dead letter: the consumer's reason for parking it; `exhausted` if SQS moved it after too many
    /// receives; `undelivered` if EventBridge could not deliver it; `unknown` if nothing tells.
    pub reason: String,
    /// What the error has in common with others of its cause.
    pub signature: Signature,
    /// The group of letters with this consumer, reason and signature.
    pub signature_id: String,
    /// The error with its sources, cut to 2 KB.
    pub error: String,
    /// How often the consumer had failed to handle it before this parking.
    pub attempts: u32,
    /// How often it was parked.
    pub parked: u32,
    /// When it was first parked.
    pub first_parked_at: Timestamp,
    /// When it was last parked.
    pub last_parked_at: Timestamp,
    /// The id of the last message that was read from the dead-letter queue.
    pub message_id: String,
    /// Its state.
    pub state: LetterState,
    /// The unfinished operation that has taken it, or the last one that had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<OperationId>,
    /// When it was last sent to its consumer; absent while an operation has taken it and not yet sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// Why it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_reason: Option<String>,
    /// What happened to it: the newest 20 entries, oldest first.
    pub history: Vec<Entry>,
    /// When the row expires, in seconds since 1970.
    pub expires_at: i64,
    /// The partition of the index `listed`.
    #[schemars(skip)]
    listed: String,
    /// The sort key in that partition: when it was last parked, and its id.
    #[schemars(skip)]
    listed_at: String,
}

/// What the letter's last message said, as far as the row keeps it.
impl From<Letter> for Drained {
    fn from(letter: Letter) -> Self {
        Self {
            message_id: letter.message_id,
            consumer: letter.consumer,
            event_id: letter.event_id,
            event_type: letter.event_type,
            aggregate: letter.aggregate,
            sequence: letter.sequence,
            tenant_id: letter.tenant_id,
            correlation_id: letter.correlation_id,
            reason: letter.reason,
            error: letter.error,
            attempts: letter.attempts,
            parked_at: letter.last_parked_at,
        }
    }
}

impl State for Letter {
    // Letters have no events. The outbox guards their rows' versions like those of an aggregate.
    const AGGREGATE: &'static str = "letter";

    fn key(table: &Table, id: &str) -> Key {
        table.key(format!("letter#{id}"), "letter")
    }
}

/// Why a letter cannot be taken, sent or closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LetterRefusal {
    /// Its state does not allow it.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// Another operation has taken it.
    #[error("operation {operation_id} has taken it")]
    Taken {
        /// The operation.
        operation_id: OperationId,
    },
}

impl Letter {
    /// The row of a letter that was never parked before.
    #[must_use]
    pub fn first(drained: &Drained, now: Timestamp) -> Self {
        let signature = Signature::of(&drained.error);
        let mut letter = Self {
            letter_id: drained.letter_id(),
            consumer: drained.consumer.clone(),
            event_id: drained.event_id.clone(),
            event_type: drained.event_type.clone(),
            aggregate: drained.aggregate.clone(),
            sequence: drained.sequence,
            tenant_id: drained.tenant_id.clone(),
            correlation_id: drained.correlation_id.clone(),
            reason: drained.reason.clone(),
            signature_id: signature.id(&drained.consumer, &drained.reason),
            signature,
            error: cut(&drained.error, ERROR_BYTES),
            attempts: drained.attempts,
            parked: 1,
            first_parked_at: drained.parked_at,
            last_parked_at: drained.parked_at,
            message_id: drained.message_id.clone(),
            state: LetterState::Open,
            operation_id: None,
            sent_at: None,
            closed_reason: None,
            history: Vec::new(),
            expires_at: 0,
            listed: String::new(),
            listed_at: String::new(),
        };
        letter.note(now, What::Parked, None, Some(&drained.error));
        letter
    }

    /// The letter after one more message about it; `None` if the message is a copy of one that the row already has.
    #[must_use]
    pub fn again(&self, drained: &Drained, now: Timestamp) -> Option<Self> {
        if self.message_id == drained.message_id || drained.parked_at <= self.last_parked_at {
            return None;
        }
        let (state, what) = match self.state {
            LetterState::Open | LetterState::FailedAgain => (self.state, What::ParkedAgain),
            LetterState::Redriving => (LetterState::FailedAgain, What::FailedAgain),
            LetterState::Handled | LetterState::Discarded => (LetterState::Open, What::Reopened),
        };
        let new = Self::first(drained, now);
        let operation_id = self.operation_id.filter(|_| what == What::FailedAgain);
        let mut letter = Self {
            parked: self.parked.saturating_add(1),
            first_parked_at: self.first_parked_at,
            state,
            history: self.history.clone(),
            operation_id: self.operation_id,
            sent_at: self.sent_at,
            ..new
        };
        letter.note(now, what, operation_id, Some(&drained.error));
        Some(letter)
    }

    /// The letter, taken by an operation that will send it.
    ///
    /// # Errors
    /// [`LetterRefusal`] if it is resolved, or another operation has taken it.
    pub fn claimed(&self, by: OperationId, now: Timestamp) -> Result<Self, LetterRefusal> {
        let mut letter = self.to(LetterState::Redriving)?;
        letter.operation_id = Some(by);
        letter.sent_at = None;
        letter.note(now, What::Claimed, Some(by), None);
        Ok(letter)
    }

    /// The letter, sent to its consumer.
    #[must_use]
    pub fn sent(&self, now: Timestamp) -> Self {
        let mut letter = self.clone();
        letter.sent_at = Some(now);
        letter.note(now, What::Sent, self.operation_id, None);
        letter
    }

    /// The letter, given back by the operation that had taken it.
    ///
    /// # Errors
    /// [`LetterRefusal::Illegal`] if no operation has taken it.
    pub fn released(&self, now: Timestamp) -> Result<Self, LetterRefusal> {
        let mut letter = self.to(LetterState::Open)?;
        letter.note(now, What::Released, self.operation_id, None);
        Ok(letter)
    }

    /// The letter of an event that its consumer has handled.
    ///
    /// # Errors
    /// [`LetterRefusal::Illegal`] if it is resolved.
    pub fn handled(&self, now: Timestamp) -> Result<Self, LetterRefusal> {
        let mut letter = self.to(LetterState::Handled)?;
        let by = self
            .operation_id
            .filter(|_| self.state == LetterState::Redriving);
        letter.note(now, What::Handled, by, None);
        Ok(letter)
    }

    /// The letter that was sent, and of which nothing was heard for as long as a lane keeps a message.
    ///
    /// # Errors
    /// [`LetterRefusal::Illegal`] if it was not sent.
    pub fn given_up(&self, now: Timestamp) -> Result<Self, LetterRefusal> {
        let mut letter = self.to(LetterState::FailedAgain)?;
        let error = "nothing was heard of it for as long as a lane keeps a message";
        letter.note(now, What::FailedAgain, self.operation_id, Some(error));
        Ok(letter)
    }

    /// The letter, closed unhandled by an operation, for a reason.
    ///
    /// # Errors
    /// [`LetterRefusal`] if it is resolved, or another operation has taken it.
    pub fn discarded(
        &self,
        by: OperationId,
        reason: &str,
        now: Timestamp,
    ) -> Result<Self, LetterRefusal> {
        let mut letter = self.to(LetterState::Discarded)?;
        letter.operation_id = Some(by);
        letter.closed_reason = Some(reason.to_owned());
        letter.note(now, What::Discarded, Some(by), Some(reason));
        Ok(letter)
    }

    /// The letter with an edited message that has the same id: it is open, and counts as parked as often as before.
    #[must_use]
    pub fn edited(&self, drained: &Drained, by: OperationId, reason: &str, now: Timestamp) -> Self {
        let mut letter = Self {
            parked: self.parked,
            first_parked_at: self.first_parked_at,
            history: self.history.clone(),
            ..Self::first(drained, now)
        };
        letter.note(now, What::Edited, Some(by), Some(reason));
        letter
    }

    /// The operation that has taken the letter and has not decided on it yet.
    #[must_use]
    pub fn taken_by(&self) -> Option<OperationId> {
        self.operation_id
            .filter(|_| self.state == LetterState::Redriving)
    }

    /// Whether an operation has taken the letter and not yet sent it.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        self.state == LetterState::Redriving && self.sent_at.is_none()
    }

    /// The order in which an operation takes letters: those of an aggregate together and in their order.
    #[must_use]
    pub fn order(&self) -> (Option<&str>, Option<u64>, Timestamp, &LetterId) {
        (
            self.aggregate.as_deref(),
            self.sequence,
            self.last_parked_at,
            &self.letter_id,
        )
    }

    /// The sort key in the index.
    #[must_use]
    pub fn listed_at(&self) -> &str {
        &self.listed_at
    }

    fn to(&self, state: LetterState) -> Result<Self, LetterRefusal> {
        if let Some(operation_id) = self.taken_by()
            && matches!(state, LetterState::Redriving | LetterState::Discarded)
        {
            return Err(LetterRefusal::Taken { operation_id });
        }
        LETTER.check(self.state, state)?;
        Ok(Self {
            state,
            closed_reason: None,
            ..self.clone()
        })
    }

    /// Adds to the history, and brings up to date what follows from the state and from the time of the last change.
    fn note(&mut self, at: Timestamp, what: What, by: Option<OperationId>, error: Option<&str>) {
        self.history.push(Entry {
            at,
            what,
            by,
            error: error.map(|error| cut(error, ENTRY_BYTES)),
        });
        let too_many = self.history.len().saturating_sub(HISTORY_ENTRIES);
        self.history.drain(..too_many);
        self.expires_at = at.plus(LETTER_LIFE).unix_seconds();
        self.listed = self.state.listed().to_owned();
        self.listed_at = format!("{}#{}", self.last_parked_at, self.letter_id);
    }
}

/// The beginning of a text, cut at a character.
pub(crate) fn cut(text: &str, bytes: usize) -> String {
    text[..text.floor_char_boundary(bytes)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drained::tests::{at, parked};

    fn operation(number: u128) -> OperationId {
        events_uuid(number).into()
    }

    fn events_uuid(number: u128) -> uuid::Uuid {
        uuid::Uuid::from_u128(number)
    }

    fn open() -> Letter {
        Letter::first(&parked("m-1", 10), at(11))
    }

    fn whats(letter: &Letter) -> Vec<What> {
        letter.history.iter().map(|entry| entry.what).collect()
    }

    #[test]
    fn a_letter_has_one_id_however_often_its_event_is_parked() {
        let id = LetterId::of("analytics", Some("e"), "m");
        assert_eq!(id, LetterId::of("analytics", Some("e"), "other"));
        assert_ne!(id, LetterId::of("notifications", Some("e"), "m"));
        let of_message = LetterId::of("analytics", None, "m");
        assert_ne!(of_message, LetterId::of("analytics", None, "other"));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("0".repeat(31).parse::<LetterId>(), Err(NoLetterId));
        assert_eq!("G".repeat(32).parse::<LetterId>(), Err(NoLetterId));
    }

    #[test]
    fn the_first_parking_makes_an_open_letter_that_is_listed_and_expires() {
        let letter = open();
        assert_eq!((letter.state, letter.parked), (LetterState::Open, 1));
        assert_eq!(
            (letter.first_parked_at, letter.last_parked_at),
            (at(10), at(10))
        );
        assert_eq!(letter.expires_at, at(11).plus(LETTER_LIFE).unix_seconds());
        assert_eq!(letter.listed, UNRESOLVED);
        assert_eq!(letter.listed_at, format!("{}#{}", at(10), letter.letter_id));
        assert_eq!(letter.signature_id.len(), 16);
        assert_eq!(whats(&letter), [What::Parked]);
    }

    #[test]
    fn a_copy_changes_nothing_and_a_later_parking_counts() {
        let letter = open();
        assert_eq!(letter.again(&parked("m-1", 20), at(21)), None);
        assert_eq!(letter.again(&parked("m-2", 10), at(21)), None);
        assert_eq!(letter.again(&parked("m-2", 9), at(21)), None);
        let mut later = parked("m-2", 20);
        later.error = "another error".into();
        later.attempts = 9;
        let again = letter.again(&later, at(21)).expect("new");
        assert_eq!(
            (again.state, again.parked, again.attempts),
            (LetterState::Open, 2, 9)
        );
        assert_eq!(
            (again.first_parked_at, again.last_parked_at),
            (at(10), at(20))
        );
        assert_eq!(again.error, "another error");
        assert_ne!(again.signature_id, letter.signature_id);
        assert_eq!(whats(&again), [What::Parked, What::ParkedAgain]);
    }

    #[test]
    fn a_letter_that_comes_back_after_it_was_sent_has_failed_again_and_can_be_sent_once_more() {
        let by = operation(1);
        let claimed = open().claimed(by, at(30)).expect("open");
        assert!(claimed.is_unsent() && claimed.taken_by() == Some(by));
        let sent = claimed.sent(at(31));
        assert!(!sent.is_unsent());
        let back = sent.again(&parked("m-2", 40), at(41)).expect("new");
        assert_eq!(
            (back.state, back.taken_by()),
            (LetterState::FailedAgain, None)
        );
        assert_eq!(back.history.last().map(|entry| entry.by), Some(Some(by)));
        let once_more = back.claimed(operation(2), at(50)).expect("failed again");
        assert_eq!(once_more.operation_id, Some(operation(2)));
        assert_eq!(once_more.sent_at, None);
    }

    #[test]
    fn a_letter_that_came_back_before_sent_was_written_has_failed_again_too() {
        let claimed = open().claimed(operation(1), at(30)).expect("open");
        let back = claimed.again(&parked("m-2", 40), at(41)).expect("new");
        assert_eq!(back.state, LetterState::FailedAgain);
    }

    #[test]
    fn two_operations_never_have_one_letter() {
        let claimed = open().claimed(operation(1), at(30)).expect("open");
        let taken = LetterRefusal::Taken {
            operation_id: operation(1),
        };
        assert_eq!(claimed.claimed(operation(2), at(31)), Err(taken.clone()));
        assert_eq!(claimed.discarded(operation(2), "no", at(31)), Err(taken));
        let released = claimed.released(at(32)).expect("claimed");
        assert_eq!(
            (released.state, released.taken_by()),
            (LetterState::Open, None)
        );
        assert!(released.discarded(operation(2), "no", at(33)).is_ok());
    }

    #[test]
    fn a_resolved_letter_is_left_alone_until_its_event_is_parked_again() {
        let handled = open().handled(at(30)).expect("open");
        assert_eq!(handled.listed, RESOLVED);
        let discarded = open()
            .discarded(operation(1), "a test", at(30))
            .expect("open");
        assert_eq!(discarded.closed_reason.as_deref(), Some("a test"));
        for letter in [handled, discarded] {
            assert!(letter.claimed(operation(2), at(31)).is_err());
            assert!(letter.handled(at(31)).is_err());
            assert!(letter.discarded(operation(2), "no", at(31)).is_err());
            let open = letter.again(&parked("m-2", 40), at(41)).expect("new");
            assert_eq!(
                (open.state, open.closed_reason.as_deref()),
                (LetterState::Open, None)
            );
            assert_eq!(
                open.history.last().map(|entry| entry.what),
                Some(What::Reopened)
            );
            assert_eq!(open.listed, UNRESOLVED);
        }
    }

    #[test]
    fn silence_for_as_long_as_a_lane_keeps_a_message_is_a_failure() {
        let sent = open()
            .claimed(operation(1), at(30))
            .expect("open")
            .sent(at(31));
        let given_up = sent.given_up(at(40)).expect("sent");
        assert_eq!(given_up.state, LetterState::FailedAgain);
        assert!(open().given_up(at(40)).is_err());
    }

    #[test]
    fn the_history_keeps_the_newest_entries_and_the_row_a_part_of_a_long_error() {
        let mut letter = open();
        for second in 20..60 {
            let mut drained = parked(&format!("m-{second}"), second);
            drained.error = "ä".repeat(4_000);
            letter = letter.again(&drained, at(second + 1)).expect("new");
        }
        assert_eq!(letter.history.len(), HISTORY_ENTRIES);
        assert_eq!(letter.parked, 41);
        assert_eq!(letter.error.len(), ERROR_BYTES);
        let errors = letter
            .history
            .iter()
            .filter_map(|entry| entry.error.as_ref());
        assert!(errors.into_iter().all(|error| error.len() == ENTRY_BYTES));
    }

    #[test]
    fn every_unresolved_state_can_become_handled_and_every_resolved_one_open() {
        for state in LetterState::ALL {
            let next = LETTER.next(state);
            if state.is_unresolved() {
                assert!(next.contains(&LetterState::Handled), "{state}");
            } else {
                assert_eq!(next, [LetterState::Open], "{state}");
            }
        }
    }
}
