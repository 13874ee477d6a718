//! The changes of accounts that an event records.

use events::{
    Contract, Credits, DecodeError, Envelope, EventId, Sequence,
    contracts::cloud::{Burned, Minted, Redeemed, Staked, Transferred, Unstaked},
    decode_payload,
};
use rust_decimal::Decimal;

use crate::account::{Kind, Movement, account_id};

/// A change of an account, as its event records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedChange {
    /// The event.
    pub event_id: EventId,
    /// What the change did to this account.
    pub kind: Kind,
    /// The number of credits.
    pub amount: Credits,
    /// What could be spent after the change, if the event states it.
    pub balance_after: Option<Credits>,
    /// What was locked after the change, if the event states it.
    pub staked_after: Option<Credits>,
}

impl RecordedChange {
    /// What the change adds to what can be spent.
    #[must_use]
    pub fn change(&self) -> Decimal {
        if self.kind.raises() {
            self.amount.decimal()
        } else {
            -self.amount.decimal()
        }
    }

    /// What the change adds to what is locked.
    #[must_use]
    pub fn staked_change(&self) -> Decimal {
        self.kind.staked_change(self.amount)
    }

    /// The change that a line of a statement records.
    #[must_use]
    pub fn of_line(line: &Movement) -> Self {
        Self {
            event_id: line.event_id,
            kind: line.kind,
            amount: line.amount,
            balance_after: Some(line.balance_after),
            staked_after: line.staked_after,
        }
    }

    pub(super) fn agrees_with(&self, line: &Movement) -> bool {
        line.event_id == self.event_id
            && line.kind == self.kind
            && line.amount == self.amount
            && self
                .balance_after
                .is_none_or(|balance| balance == line.balance_after)
            && self.staked_after == line.staked_after
    }
}

/// A change, with its account and the account's version after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookEntry {
    /// The id of the account.
    pub account: String,
    /// The account's version after the change.
    pub version: u64,
    /// The change.
    pub recorded: RecordedChange,
}

/// The changes that an event records: none, one, or two for a transfer.
///
/// # Errors
/// [`DecodeError`] if the event's payload breaks its contract.
pub fn entries_of(envelope: &Envelope) -> Result<Vec<BookEntry>, DecodeError> {
    let event_id = envelope.event_id;
    let entry =
        |account: &str, version: Sequence, kind, amount, balance_after, staked_after| BookEntry {
            account: account.to_owned(),
            version: version.number(),
            recorded: RecordedChange {
                event_id,
                kind,
                amount,
                balance_after,
                staked_after,
            },
        };
    Ok(match envelope.event_type.as_str() {
        Minted::TYPE => {
            let event: Minted = decode_payload(envelope)?;
            let account = account_id(event.member_id.as_ref());
            let after = Some(event.balance_after);
            vec![entry(
                account,
                event.version,
                Kind::Minted,
                event.amount,
                after,
                None,
            )]
        }
        Burned::TYPE => {
            let event: Burned = decode_payload(envelope)?;
            let account = account_id(event.member_id.as_ref());
            let after = event.balance_after;
            vec![entry(
                account,
                event.version,
                Kind::Burned,
                event.amount,
                after,
                None,
            )]
        }
        Redeemed::TYPE => {
            let event: Redeemed = decode_payload(envelope)?;
            let account = event.member_id.as_str();
            let after = Some(event.balance_after);
            vec![entry(
                account,
                event.version,
                Kind::Redeemed,
                event.amount,
                after,
                None,
            )]
        }
        Staked::TYPE => {
            let event: Staked = decode_payload(envelope)?;
            let after = Some(event.liquid_balance_after);
            let staked = Some(event.staked_balance_after);
            let account = event.member_id.as_str();
            vec![entry(
                account,
                event.version,
                Kind::Staked,
                event.amount,
                after,
                staked,
            )]
        }
        Unstaked::TYPE => {
            let event: Unstaked = decode_payload(envelope)?;
            let after = Some(event.liquid_balance_after);
            let staked = Some(event.staked_balance_after);
            let account = event.member_id.as_str();
            vec![entry(
                account,
                event.version,
                Kind::Unstaked,
                event.amount,
                after,
                staked,
            )]
        }
        Transferred::TYPE => {
            let event: Transferred = decode_payload(envelope)?;
            let (from, to) = (event.from_member_id.as_str(), event.to_member_id.as_str());
            let (given, got) = (Some(event.from_balance_after), Some(event.to_balance_after));
            vec![
                entry(
                    from,
                    event.from_version,
                    Kind::TransferredOut,
                    event.amount,
                    given,
                    None,
                ),
                entry(
                    to,
                    event.to_version,
                    Kind::TransferredIn,
                    event.amount,
                    got,
                    None,
                ),
            ]
        }
        _ => Vec::new(),
    })
}

/// What an event adds to the outstanding credits; `None` if that is nothing or the event breaks its contract.
#[must_use]
pub fn outstanding_change(envelope: &Envelope) -> Option<Decimal> {
    let entries = entries_of(envelope).ok()?;
    let changes = entries.iter().map(|entry| {
        entry
            .recorded
            .kind
            .outstanding_change(entry.recorded.amount)
    });
    let change: Decimal = changes.sum();
    (!change.is_zero()).then_some(change)
}
