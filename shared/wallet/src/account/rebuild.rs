//! Rebuilds an account from its events alone. It shares no code with the decisions: each event is taken at face value.

use domain::{Contradiction, Rebuild, Step, must};
use events::{
    Contract as _, Envelope, LedgerEntryId, Points, Retention, Sequence, TransactionId,
    contracts::wallet::{BalanceUpdated, Deposited, Withdrawn},
    subscription,
};

use super::Account;

subscription! {
    /// The events of an account.
    enum Recorded {
        /// Points came from outside.
        Deposited(events::contracts::wallet::Deposited) by Mark,
        /// Points left to the outside.
        Withdrawn(events::contracts::wallet::Withdrawn) by Mark,
        /// One of the account's balance states changed.
        BalanceUpdated(events::contracts::wallet::BalanceUpdated) by Mark,
    }
}

/// A deposit or withdrawal whose balance event is still to come. The external entry has the number after the balance's
/// entry.
#[derive(Debug, Clone, PartialEq)]
struct Outside {
    transaction_id: TransactionId,
    balance_after: Points,
    amount: Points,
    version: Sequence,
}

/// An account part way through its history.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RebuiltAccount {
    account: Account,
    outside: Option<Outside>,
}

impl RebuiltAccount {
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
            "its balance before differs from the balance so far",
        )?;
        let after = event.balance_before.decimal() + event.change_amount.decimal();
        must(
            after == event.balance_after.decimal(),
            "its balance after is not its balance before plus its change",
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
            must(same, "it does not belong to the movement before it")?;
            self.account.last_entry += 1;
        }
        Ok(event.version)
    }
}

impl Rebuild for RebuiltAccount {
    type Stored = Account;
    const RETENTION: Retention = BalanceUpdated::RETENTION;

    fn stored(&self) -> Account {
        self.account
    }

    fn apply(_: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let recorded = <Recorded as events::Subscription>::decode(envelope)?;
        let mut rebuilt = before.unwrap_or_default();
        let version = match recorded {
            Recorded::Deposited(Deposited {
                transaction_id,
                balance_after,
                amount,
                version,
                ..
            })
            | Recorded::Withdrawn(Withdrawn {
                transaction_id,
                balance_after,
                amount,
                version,
                ..
            }) => rebuilt.begin(Outside {
                transaction_id,
                balance_after,
                amount,
                version,
            })?,
            Recorded::BalanceUpdated(event) => rebuilt.change(&event)?,
        };
        Ok((rebuilt, version))
    }
}
