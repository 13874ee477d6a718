//! What the log tells of accounts: a change each.

use events::{
    Contract, Credits, DecodeError, Envelope, EventId, Sequence,
    contracts::cloud::{Burned, Minted, Redeemed, Staked, Transferred, Unstaked},
    decode_payload,
};
use rust_decimal::Decimal;

use crate::account::{Kind, Movement, account_id};

/// A change of an account, as an event tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// By which event.
    pub event_id: EventId,
    /// What it did to this account.
    pub kind: Kind,
    /// How many credits.
    pub amount: Credits,
    /// What could be spent after it, where the event states it.
    pub balance_after: Option<Credits>,
    /// What was locked after it, where the event states it.
    pub staked_after: Option<Credits>,
}

impl Told {
    /// What it adds to what can be spent.
    #[must_use]
    pub fn change(&self) -> Decimal {
        if self.kind.raises() {
            self.amount.decimal()
        } else {
            -self.amount.decimal()
        }
    }

    /// What it adds to what is locked.
    #[must_use]
    pub fn staked_change(&self) -> Decimal {
        self.kind.staked_change(self.amount)
    }

    /// The change that a line of a statement tells.
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

/// A change with the account and the version it made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose.
    pub account: String,
    /// The account's version after it.
    pub version: u64,
    /// The change.
    pub told: Told,
}

/// What an event changes: nothing, one account, or two by a transfer.
///
/// # Errors
/// [`DecodeError`] when its payload breaks its contract.
pub fn entries_of(envelope: &Envelope) -> Result<Vec<Entry>, DecodeError> {
    let event_id = envelope.event_id;
    let entry =
        |account: &str, version: Sequence, kind, amount, balance_after, staked_after| Entry {
            account: account.to_owned(),
            version: version.number(),
            told: Told {
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

/// What an event adds to the credits outstanding; `None` where it is not about them or breaks its contract.
#[must_use]
pub fn outstanding_change(envelope: &Envelope) -> Option<Decimal> {
    let entries = entries_of(envelope).ok()?;
    let changes = entries
        .iter()
        .map(|entry| entry.told.kind.outstanding_change(entry.told.amount));
    let change: Decimal = changes.sum();
    (!change.is_zero()).then_some(change)
}
