//! The treasury's own accounts.

use domain::{Rebuild, Step, must};
use events::{
    AccountId, Contract, Draft, Envelope, EventId, Retention, Sequence, Usd,
    contracts::treasury::AccountChanged,
};
use outbox::{BuildError, Entity, State, Transaction};
use serde::{Deserialize, Serialize};

/// The account whose balance backs the credits.
pub const RESERVE: &str = "1110";

/// An account of the treasury.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreasuryAccount {
    /// The account's balance.
    balance: Usd,
}

impl State for TreasuryAccount {
    const AGGREGATE: &'static str = AccountChanged::AGGREGATE;
}

impl TreasuryAccount {
    /// The account's balance.
    #[must_use]
    pub fn balance(&self) -> Usd {
        self.balance
    }
}

impl Rebuild for TreasuryAccount {
    type Stored = Self;
    const RETENTION: Retention = AccountChanged::RETENTION;

    fn stored(&self) -> Self {
        *self
    }

    fn apply(_: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let event: AccountChanged = events::decode_payload(envelope)?;
        let another = before.is_none_or(|before| before.balance != event.balance);
        must(another, "it had this balance already")?;
        let balance = event.balance;
        Ok((Self { balance }, event.version))
    }
}

/// The result of stating a balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stated {
    /// The balance differs from the previous one.
    Changed(Change),
    /// The account already has this balance: there is nothing to write and no event to record.
    Same,
}

/// A new balance and its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The account after the change.
    pub account: TreasuryAccount,
    /// The event.
    pub event: AccountChanged,
}

/// States the balance of an account. The first statement creates the account. `version` is the account's version after
/// a change.
#[must_use]
pub fn state_balance(
    account: Option<&TreasuryAccount>,
    account_id: AccountId,
    balance: Usd,
    version: Sequence,
) -> Stated {
    if account.is_some_and(|account| account.balance == balance) {
        return Stated::Same;
    }
    Stated::Changed(Change {
        account: TreasuryAccount { balance },
        event: AccountChanged {
            account_id,
            balance,
            version,
        },
    })
}

impl Change {
    /// Puts the change into a transaction.
    ///
    /// # Errors
    /// [`BuildError`] when the entity is another account's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        entity: &Entity<TreasuryAccount>,
    ) -> Result<Vec<EventId>, BuildError> {
        let drafts = vec![Draft::of(&self.event)?];
        transaction.update(entity, &self.account, drafts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balance_is_told_when_it_is_new_and_only_then() {
        let id = || AccountId::new(RESERVE).expect("an id");
        let usd = |text: &str| text.parse::<Usd>().expect("dollars");
        let version = |number| Sequence::new(number).expect("a version");

        let Stated::Changed(first) = state_balance(None, id(), Usd::ZERO, version(1)) else {
            panic!("the first statement is a change, even of zero");
        };
        assert_eq!(first.event.version, version(1));
        let again = state_balance(Some(&first.account), id(), usd("0.00"), version(2));
        assert_eq!(again, Stated::Same);
        let Stated::Changed(second) =
            state_balance(Some(&first.account), id(), usd("5"), version(2))
        else {
            panic!("another balance is a change");
        };
        assert_eq!(second.account.balance(), usd("5"));
        assert_eq!(second.event.balance, usd("5"));
    }
}
