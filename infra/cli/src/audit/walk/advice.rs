//! What to do about a finding.

pub(super) const RELAY: &str = "read the relay's log (`relaying failed`) and its iterator age; it repeats by itself for 24 hours";
pub(super) const REPUBLISH: &str = "mend what stops the relay, then `millrace republish`: pending events are published, consumers ignore repeats";
pub(super) const REFUSED: &str =
    "mend what the bus refused (the error names it), then `millrace republish --include-failed`";
pub(super) const LOST: &str = "look at the rule's FailedInvocations and the consumer's log by the event id; then send the logged event to the consumer's lane again: consumers are safe against repeats";
pub(super) const LATE: &str = "look at the lane's oldest message and the consumer's log; run the audit again when the lane is empty";
pub(super) const PARKED: &str = "mend the cause that the letter tells, then send it to its lane again; delete it only when nobody needs the effect";
pub(super) const BEHIND: &str = "handle the parked event first: mend its cause and send its letter to its lane again, then the consumer goes on to the log's end by itself";
pub(super) const BLOCKED: &str = "its letter is gone: mend the cause, then send the logged event to the consumer's lane again; what waits behind it follows by itself";
pub(super) const DOUBLED: &str = "stop who writes this table without a mark, then correct the stored figure by hand, with a note of the event";
pub(super) const TWICE: &str = "find out who wrote the second one (producer, correlation id); consumers handled the first by its key";
pub(super) const SEQUENCE: &str = "rows of the log are written once and never removed before they expire: restore them from the table's point-in-time recovery";
pub(super) const UNREADABLE: &str = "compare the row with its backup (point-in-time recovery): nobody but the outbox and the relay may write it";
pub(super) const SENDER: &str = "look at the job's lease and its last runs (`millrace jobs notifications-sender`): what stops it is in the run's error";
pub(super) const REFUSED_MAILS: &str = "mend the cause (`millrace notifications failed` tells every reason), then queue them again: `millrace notifications failed --retry`";
pub(super) const LOST_MAILS: &str = "nobody but notifications-sender may write units and records of mails: find out who did; then tell these members by hand";
pub(super) const LOST_NOTES: &str =
    "nobody removes notes before they expire: restore them from the table's point-in-time recovery";
pub(super) const HISTORY: &str = "nobody but settlement-api may tell of payments and settlements: find out who wrote it (producer, correlation id), and compare the row with its backup";
pub(super) const FEED: &str = "nobody but event-feed may write the feed: compare its table with a backup; who reads the feed misses nothing in the event log";
pub(super) const BOOKS: &str = "nobody but the domain's functions may write this item: compare it with its backup, then correct it by hand";
