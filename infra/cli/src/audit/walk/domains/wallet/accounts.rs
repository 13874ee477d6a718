//! One account: its ledger entries, balances and read rows.

use outbox::Item;
use topology::functions::wallet_balances::FUNCTION;
use wallet::{
    Account,
    balances::BalanceRow,
    books::{AsIf, Books, StoredAccount, Wrong, check_account},
    ledger::LedgerEntry,
};

use super::Wallets;
use crate::audit::{
    Kind,
    walk::{
        advice,
        audit::{Audit, count, shown, text, version},
    },
};

impl Wallets {
    /// Compares an account with its events.
    pub(super) fn account(
        &mut self,
        audit: &mut Audit<'_>,
        books: &Books,
        pk: &str,
        id: &str,
        items: Vec<Item>,
    ) {
        let table = self.table.clone();
        let mut stored = StoredAccount::default();
        let mut readable = true;
        for item in items {
            let sk = text(&item, "sk").unwrap_or_default().to_owned();
            if sk == "state" {
                let version = version(&item);
                let account = audit.typed::<Account>(&table, item);
                readable &= account.is_some();
                stored.account = account.map(|account| (version, account));
            } else if let Some(digits) = sk.strip_prefix("entry#") {
                let entry = audit.typed::<LedgerEntry>(&table, item);
                readable &= entry.is_some();
                if let (Ok(number), Some(entry)) = (digits.parse(), entry) {
                    self.enter(pk, &entry);
                    stored.entries.insert(number, entry);
                }
            } else if sk.starts_with("balance#") {
                let row = audit.typed::<BalanceRow>(&table, item);
                readable &= row.is_some();
                stored.rows.extend(row);
            }
        }
        self.entries += count(stored.entries.len());
        if let Some((_, account)) = &stored.account {
            self.hold(account);
        }
        if !readable {
            return;
        }
        let checked = check_account(books.account(id), &stored, audit.moving_since());
        audit.counts.moving += checked.moving;
        for wrong in checked.wrong {
            if let Wrong::OtherEntry { number, .. } = &wrong {
                // An event may name a movement of another account.
                let entry = stored.entries.get(number);
                let named = entry.map(|entry| entry.transaction_id);
                self.suspected.extend(named);
            }
            self.wrong(audit, pk, wrong);
        }
        if stored.account.is_none() {
            // Reported already.
            audit.state_was_missed(pk);
        }
    }

    fn wrong(&mut self, audit: &mut Audit<'_>, aggregate: &str, wrong: Wrong) {
        let account = shown(aggregate);
        match wrong {
            Wrong::EntryTwice { number, event_id } => {
                let what = format!("another event names entry {number} of {account} too");
                audit.of_event(Kind::Doubled, event_id, what, advice::TWICE);
            }
            Wrong::MovedTwice {
                transaction_id,
                event_id,
            } => {
                self.suspected.insert(transaction_id);
                let what =
                    format!("movement {transaction_id} changed this balance of {account} before");
                audit.of_event(Kind::Doubled, event_id, what, advice::TWICE);
            }
            Wrong::VersionTwice { version, event_id } => {
                let what = format!("another movement states version {version} of {account} too");
                audit.of_event(Kind::Doubled, event_id, what, advice::TWICE);
            }
            Wrong::VersionUnrecorded { version } => {
                let what = format!("no event and no entry has version {version}");
                audit.of_state(Kind::Books, aggregate, what, advice::BOOKS);
            }
            Wrong::EntryMissing {
                number,
                transaction_id,
                event_id,
            } => {
                self.suspected.insert(transaction_id);
                let what = format!("the ledger of {account} has no entry {number}");
                audit.of_event(Kind::Books, event_id, what, advice::BOOKS);
            }
            Wrong::OtherEntry {
                number,
                transaction_id,
                event_id,
                differing,
            } => {
                self.suspected.insert(transaction_id);
                let differing = differing.join(", ");
                let what =
                    format!("entry {number} of {account} has another {differing} than the event");
                audit.of_event(Kind::Books, event_id, what, advice::BOOKS);
            }
            Wrong::EntryUnrecorded {
                number,
                transaction_id,
            } => {
                self.suspected.insert(transaction_id);
                let what = format!(
                    "the ledger has entry {number} of movement {transaction_id}, but no event has it"
                );
                audit.of_state(Kind::OutOfSequence, aggregate, what, advice::SEQUENCE);
            }
            Wrong::NumberUnrecorded { number } => {
                let what = format!("neither an event nor an entry has number {number}");
                audit.of_state(Kind::OutOfSequence, aggregate, what, advice::SEQUENCE);
            }
            Wrong::Step {
                event_id,
                state,
                expected,
                stated,
            } => {
                let what = format!(
                    "states {stated} as {state} of {account}; {expected} follows from the event before"
                );
                audit.of_event(Kind::Books, event_id, what, advice::BOOKS);
            }
            Wrong::Balance {
                event_id,
                state,
                expected,
                stored,
                as_if,
            } => {
                let figure =
                    format!("what is {state} of {account} is {stored} instead of {expected}");
                match (as_if, event_id) {
                    (AsIf::Twice(event_id), _) => {
                        let what = format!("{figure}, as if this event had taken effect twice");
                        audit.of_event(Kind::Doubled, event_id, what, advice::DOUBLED);
                    }
                    (AsIf::Never(event_id), _) => {
                        let what = format!("{figure}, as if this event had taken no effect");
                        audit.of_event(Kind::Books, event_id, what, advice::BOOKS);
                    }
                    (AsIf::Unknown, Some(event_id)) => {
                        audit.of_event(Kind::Books, event_id, figure, advice::BOOKS);
                    }
                    (AsIf::Unknown, None) => {
                        audit.of_state(Kind::Books, aggregate, figure, advice::BOOKS);
                    }
                }
            }
            Wrong::LastEntry { expected, stored } => {
                let what = format!("it counts {stored} entries, the last one is {expected}");
                audit.of_state(Kind::Books, aggregate, what, advice::BOOKS);
            }
            Wrong::Behind {
                event_id,
                recorded,
                stored,
            } => {
                let what = format!(
                    "{account} is stored with version {stored}; its events come to {recorded}"
                );
                audit.of_event(Kind::Books, event_id, what, advice::BOOKS);
            }
            Wrong::NoAccount { event_id } => {
                let what = format!("{account} is not stored, but the log has events of it");
                audit.of_event(Kind::Books, event_id, what, advice::BOOKS);
            }
            Wrong::RowUnrecorded { state, version } => {
                let name = FUNCTION.name;
                let what = format!(
                    "the row of what is {state}, kept by {name}, is of version {version}; no event has that version"
                );
                audit.of_state(Kind::Books, aggregate, what, advice::BOOKS);
            }
        }
    }
}
