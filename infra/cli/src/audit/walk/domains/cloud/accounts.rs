//! One account: compares versions, balances, statement and stakes with its events.

use cloud::{
    account::{Account, Kind as MovementKind, Movement},
    books::{AsIf, RecordedChange, StoredAccount, Wrong, check_account},
    stake::Position,
};
use events::{Contract, contracts::cloud::Minted};
use outbox::Item;

use super::Cloud;
use crate::audit::{
    Kind,
    walk::{
        advice,
        audit::{Audit, count, shown, text, version},
    },
};

impl Cloud {
    /// Checks one account with its statement and its stakes.
    pub(super) fn account(&mut self, audit: &mut Audit<'_>, pk: &str, id: &str, items: Vec<Item>) {
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
            } else if let Some(digits) = sk.strip_prefix("transaction#") {
                let version = digits.parse::<u64>();
                let line = audit.typed::<Movement>(&table, item);
                readable &= line.is_some();
                if let (Ok(version), Some(line)) = (version, line) {
                    stored.statement.insert(version, line);
                }
            } else if sk.starts_with("stake#") {
                let position = audit.typed::<Position>(&table, item);
                readable &= position.is_some();
                stored.positions.extend(position);
            }
        }
        let mut ledger = self.books.take(id);
        if !audit.is_whole() {
            // The events of the other account are outside the scope, so the statement's line is taken as it is.
            for (version, line) in &stored.statement {
                let giver = line
                    .counterparty
                    .as_ref()
                    .map(|one| format!("{}#{one}", Minted::AGGREGATE));
                if line.kind == MovementKind::TransferredIn
                    && giver.is_some_and(|giver| !audit.scope.contains(&giver))
                {
                    ledger
                        .entry(*version)
                        .or_insert_with(|| vec![RecordedChange::of_line(line)]);
                }
            }
        }
        self.statement_lines += count(stored.statement.len());
        self.stakes += count(stored.positions.len());
        if let Some((_, account)) = &stored.account {
            self.balances = self.balances.saturating_add(account.balance().decimal());
            self.staked = self.staked.saturating_add(account.staked().decimal());
        }
        if !readable {
            return;
        }
        let checked = check_account(&ledger, &stored, audit.moving_since());
        audit.counts.moving += checked.moving;
        // Credits counted after the log was read may be in the total already.
        for (version, line) in &stored.statement {
            let change = line.kind.outstanding_change(line.amount);
            if !change.is_zero() && !ledger.contains_key(version) {
                self.outstanding.may_have(line.event_id, change);
            }
        }
        for one in checked.wrong {
            wrong(audit, pk, &one);
        }
        if stored.account.is_none() {
            // Reported already.
            audit.state_was_missed(pk);
        }
    }
}

/// Reports what is wrong with an account.
pub(super) fn wrong(audit: &mut Audit<'_>, aggregate: &str, wrong: &Wrong) {
    let account = shown(aggregate);
    let books = |audit: &mut Audit<'_>, event_id, what| {
        audit.of_event(Kind::Books, event_id, what, advice::BOOKS);
    };
    match *wrong {
        Wrong::VersionTwice { version, event_id } => {
            let what = format!("another event states version {version} of {account} too");
            audit.of_event(Kind::Doubled, event_id, what, advice::TWICE);
        }
        Wrong::VersionUnrecorded { version } => audit.of_state(
            Kind::Books,
            aggregate,
            format!("no event and no line of the statement has version {version}"),
            advice::BOOKS,
        ),
        Wrong::LineWithoutEvent { version, event_id } => {
            let what = format!(
                "the statement of {account} has it as version {version}, the event log does not have it"
            );
            audit.of_event(Kind::OutOfSequence, event_id, what, advice::SEQUENCE);
        }
        Wrong::EventWithoutLine { version, event_id } => {
            books(
                audit,
                event_id,
                format!("the statement of {account} has no line for version {version}"),
            );
        }
        Wrong::OtherLine { version, event_id } => {
            books(
                audit,
                event_id,
                format!("line {version} in the statement of {account} says something else"),
            );
        }
        Wrong::Step {
            version,
            event_id,
            expected,
            stated,
        } => books(
            audit,
            event_id,
            format!(
                "states {stated} as the balance of {account} at version {version}; {expected} follows from the event before"
            ),
        ),
        Wrong::StakedStep {
            version,
            event_id,
            expected,
            stated,
        } => books(
            audit,
            event_id,
            format!(
                "states {stated} as staked of {account} at version {version}; {expected} follows from the event before"
            ),
        ),
        Wrong::Staked {
            event_id,
            expected,
            stored,
        } => books(
            audit,
            event_id,
            format!("{stored} are stored as staked of {account}; its events come to {expected}"),
        ),
        Wrong::Positions {
            event_id,
            active,
            stored,
        } => books(
            audit,
            event_id,
            format!(
                "the active stakes of {account} come to {active}; {stored} are stored as staked"
            ),
        ),
        Wrong::Balance {
            event_id,
            expected,
            stored,
            as_if,
        } => match as_if {
            AsIf::Twice(twice) => {
                let what = format!(
                    "the balance of {account} is {stored} instead of {expected}, as if this event had taken effect twice"
                );
                audit.of_event(Kind::Doubled, twice, what, advice::DOUBLED);
            }
            AsIf::Never(never) => {
                books(
                    audit,
                    never,
                    format!(
                        "the balance of {account} is {stored} instead of {expected}, as if this event had taken no effect"
                    ),
                );
            }
            AsIf::Unknown => {
                books(
                    audit,
                    event_id,
                    format!("the balance of {account} is {stored}; its events come to {expected}"),
                );
            }
        },
        Wrong::Behind {
            event_id,
            recorded,
            stored,
        } => {
            books(
                audit,
                event_id,
                format!("{account} is stored with version {stored}; its events come to {recorded}"),
            );
        }
        Wrong::NoAccount { event_id } => {
            books(
                audit,
                event_id,
                format!("{account} is not stored, but the log has events of it"),
            );
        }
    }
}
