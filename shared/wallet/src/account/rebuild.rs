//! An account from its events alone. It shares no step with the decisions: what an event says is taken as it is.

use domain::{Contradiction, Rebuild, Step, must};
use events::{
    Contract as _, Envelope, LedgerEntryId, Points, Retention, Sequence, TransactionId,
    contracts::wallet::{BalanceUpdated, Deposited, Withdrawn},
    subscription,
};

use super::Account;

subscription! {
    /// What there is to read of an account.
    enum Told {
        /// Points that came from outside.
        Deposited(events::contracts::wallet::Deposited) by Mark,
        /// Points that left to the outside.
        Withdrawn(events::contracts::wallet::Withdrawn) by Mark,
        /// One of its balance states changed.
        BalanceUpdated(events::contracts::wallet::BalanceUpdated) by Mark,
    }
}

/// A movement between the account and the outside, of which the balance's event is still to come. The entry of the outside
/// stands behind the balance's.
#[derive(Debug, Clone, PartialEq)]
struct Outside {
    transaction_id: TransactionId,
    balance_after: Points,
    amount: Points,
    version: Sequence,
}

/// An account in the course of its history.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Course {
    account: Account,
    outside: Option<Outside>,
}

impl Course {
    fn begin(&mut self, outside: Outside) -> Result<Sequence, Contradiction> {
        let version = outside.version;
        must(
            self.outside.replace(outside).is_none(),
            "the movement before it changed no balance",
        )?;
        Ok(version)
    }

    fn change(&mut self, event: &BalanceUpdated) -> Result<Sequence, Contradiction> {
        let balance = self.account.balance_mut(event.balance_state);
        must(
            *balance == event.balance_before,
            "its balance before is another",
        )?;
        let after = event.balance_before.decimal() + event.change_amount.decimal();
        must(
            after == event.balance_after.decimal(),
            "its balance after does not follow",
        )?;
        *balance = event.balance_after;
        let number = self.account.last_entry + 1;
        let entry = Sequence::new(number)
            .map(|number| LedgerEntryId::of(event.account_type, &event.account_id, number));
        must(
            entry.as_ref() == Ok(&event.ledger_entry_id),
            "an entry is missing before it",
        )?;
        self.account.last_entry = number;
        if let Some(outside) = self.outside.take() {
            let same = outside.transaction_id == event.transaction_id
                && outside.balance_after == event.balance_after
                && outside.amount.decimal() == event.change_amount.decimal().abs()
                && outside.version == event.version;
            must(same, "it is not of the movement before it")?;
            self.account.last_entry += 1;
        }
        Ok(event.version)
    }
}

impl Rebuild for Course {
    type Row = Account;
    const RETENTION: Retention = BalanceUpdated::RETENTION;

    fn row(&self) -> Account {
        self.account
    }

    fn apply(_: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let told = <Told as events::Subscription>::decode(envelope)?;
        let mut course = before.unwrap_or_default();
        let version = match told {
            Told::Deposited(Deposited {
                transaction_id,
                balance_after,
                amount,
                version,
                ..
            })
            | Told::Withdrawn(Withdrawn {
                transaction_id,
                balance_after,
                amount,
                version,
                ..
            }) => course.begin(Outside {
                transaction_id,
                balance_after,
                amount,
                version,
            })?,
            Told::BalanceUpdated(event) => course.change(&event)?,
        };
        Ok((course, version))
    }
}
