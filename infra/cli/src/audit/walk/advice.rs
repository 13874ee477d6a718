//! The advice that a finding gives: what to do about it.

pub(super) const RELAY: &str = "read the relay's log (`relaying failed`) and its iterator age; the relay retries by itself for 24 hours";
pub(super) const REPUBLISH: &str = "fix what stops the relay, then run `millrace republish`: it publishes the pending events, and consumers ignore repeats";
pub(super) const REFUSED: &str =
    "fix what the bus refused (the error names it), then run `millrace republish --include-failed`";
pub(super) const LOST: &str = "check the rule's FailedInvocations, and search the consumer's log for the event id; then send the logged event to the consumer's lane again: consumers ignore repeats";
pub(super) const LATE: &str = "check the age of the lane's oldest message and the consumer's log; run the audit again when the lane is empty";
pub(super) const PARKED: &str = "fix the cause that the dead letter names, then redrive it; discard it only if its effect is not needed";
pub(super) const BEHIND: &str = "handle the parked event first: fix the cause and redrive its dead letter; the consumer then continues to the end of the log by itself";
pub(super) const BLOCKED: &str = "its dead letter is gone: fix the cause, then send the logged event to the consumer's lane again; the events that wait behind it follow by themselves";
pub(super) const DOUBLED: &str = "stop the process that writes this table without a mark, then correct the stored figure by hand and record which event it was";
pub(super) const TWICE: &str = "find the writer of the second event (producer, correlation id); consumers handled the first one, by its idempotency key";
pub(super) const SEQUENCE: &str = "rows of the event log are written once and are not removed before they expire: restore them by the table's point-in-time recovery";
pub(super) const UNREADABLE: &str = "compare the row with its backup (point-in-time recovery): only the outbox and the relay may write it";
pub(super) const SENDER: &str = "check the job's lease and its last runs (`millrace jobs notifications-sender`): the error of a run says what stops it";
pub(super) const REFUSED_MAILS: &str = "fix the cause (`millrace notifications failed` lists every reason), then queue the mails again: `millrace notifications failed --retry`";
pub(super) const LOST_MAILS: &str = "only notifications-sender may write units and records of mails: find the other writer; then notify these members by hand";
pub(super) const LOST_NOTES: &str =
    "notes are not removed before they expire: restore them by the table's point-in-time recovery";
pub(super) const HISTORY: &str = "only settlement-api may publish events of payments and settlements: find the writer (producer, correlation id), and compare the row with its backup";
pub(super) const ORDERS: &str = "only commerce's functions may publish events of accounts, stocks and orders: find the event that does not fit (producer, correlation id), and compare the rows with their backup";
pub(super) const HELD: &str = "read the order's timeline (`GET /api/v1/orders/{order_id}/timeline`): send the event of its last step to commerce-credit or commerce-stock again (`millrace replay`); if they have handled it, correct the reservation and its account or stock by hand";
pub(super) const UNCOUNTED: &str = "send the payment's event to commerce-orders again (`millrace replay`): what it has counted changes nothing; if it has handled the event, correct the order by hand";
pub(super) const REFUND: &str = "no order will count it: find out what was to be paid, and refund all of it (`POST /api/v1/payments/{payment_id}/refunds`); it is named until then";
pub(super) const NOT_DUE: &str = "commerce-order-timer never looks at this order: restore the row from a backup (point-in-time recovery), or cancel the order if it takes too long";
pub(super) const DUE: &str = "only commerce-checkout-api and commerce-order-timer may write these rows: remove the wrong one by hand; one of an order that does not exist stops commerce-order-timer";
pub(super) const FEED: &str = "only event-feed may write the feed: compare its table with a backup; the event log is not affected";
pub(super) const BOOKS: &str = "only the domain's functions may write this item: compare it with its backup, then correct it by hand";
