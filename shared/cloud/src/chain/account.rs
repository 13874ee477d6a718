//! What is known of a member's balance on the chain, and the divergence of the two balances.
//!
//! A divergence begins when books and chain differ and ends when they agree again. It is published once, when it
//! begins. While it is open, another amount is still the same divergence. The state item holds whether a divergence is
//! open. Its version is checked in the transaction that writes the event, so the divergence is published once, however
//! many comparisons run at the same time.

use domain::{Rebuild, Step as Folded};
use events::{
    AmountError, Contract, Credits, DecimalText, Draft, Envelope, EventId, IdempotencyKey,
    Retention, Sequence, TextError, Timestamp, contracts::cloud::SyncDiverged,
};
use outbox::{BuildError, Entity, State, Transaction};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{
    member::Member,
    quantity::{Difference, OnChain, decimal_text},
};
use crate::{Account, Rate};

/// The balance in the books that the chain mirrors: liquid and staked together. The sum can exceed what one amount of
/// credits can hold.
#[must_use]
pub fn books(account: Option<&Account>) -> Decimal {
    account.map_or(Decimal::ZERO, |account| {
        account.balance().decimal() + account.staked().decimal()
    })
}

/// An open divergence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Divergence {
    /// The books' balance minus the chain's when the divergence was found.
    pub difference: DecimalText,
    /// When the divergence was found.
    pub found_at: Timestamp,
}

/// The synchronisation record of a member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainAccount {
    /// When books and chain last agreed; absent if they never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_synced_at: Option<Timestamp>,
    /// How many divergences there have been.
    pub episode: u64,
    /// The open divergence, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence: Option<Divergence>,
}

impl State for ChainAccount {
    const AGGREGATE: &'static str = SyncDiverged::AGGREGATE;
}

impl Rebuild for ChainAccount {
    type Stored = Self;
    const RETENTION: Retention = SyncDiverged::RETENTION;
    /// No event records that books and chain agree again.
    const UNRECORDED: &'static [&'static str] = &["last_synced_at", "divergence"];
    const SILENT_WRITES: bool = true;

    fn stored(&self) -> Self {
        self.clone()
    }

    fn apply(_: &str, before: Option<Self>, envelope: &Envelope) -> Folded<Self> {
        let event: SyncDiverged = events::decode_payload(envelope)?;
        let account = Self {
            last_synced_at: event.last_synced_at,
            episode: before.map_or(1, |before| before.episode + 1),
            divergence: Some(Divergence {
                difference: event.difference,
                found_at: envelope.occurred_at,
            }),
        };
        Ok((account, event.version))
    }
}

/// The balances in the books and on the chain, read in this order.
#[derive(Debug, Clone, Copy)]
pub struct Finding<'a> {
    /// The member whose balances they are.
    pub member: &'a Member,
    /// The balance in the books, as [`books`] calculates it.
    pub books: Decimal,
    /// The balance on the chain.
    pub chain: &'a OnChain,
}

/// A quantity that does not fit its type.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// The quantity does not fit a decimal text.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The quantity does not fit an amount.
    #[error(transparent)]
    Amount(#[from] AmountError),
}

/// What has to be done after a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Books and chain agree: this record is written, and an open divergence is closed.
    Agreed(ChainAccount),
    /// Books and chain differ, and that is new: this record is written, and the event is published.
    Diverged(Box<(ChainAccount, SyncDiverged)>),
    /// Books and chain differ, and that is already known.
    Known,
    /// Both balances are zero and there is no record: nothing is written.
    Nothing,
}

impl Finding<'_> {
    /// The books' balance minus the chain's.
    #[must_use]
    pub fn difference(&self) -> Difference {
        Difference::of(self.books, self.chain)
    }

    /// What has to be done, given the record so far. `version` is the record's version after the next write.
    ///
    /// # Errors
    /// [`StatementError`] if a quantity does not fit its type. Its bounds and the clamping make that impossible.
    pub fn step(
        &self,
        known: Option<&ChainAccount>,
        version: Sequence,
        rate: Rate,
        now: Timestamp,
    ) -> Result<Step, StatementError> {
        let difference = self.difference();
        if difference.is_zero() {
            if known.is_none() && self.chain.is_zero() {
                return Ok(Step::Nothing);
            }
            return Ok(Step::Agreed(ChainAccount::agreed(known, now)));
        }
        let known = known.cloned().unwrap_or_default();
        if known.divergence.is_some() {
            return Ok(Step::Known);
        }
        let text = decimal_text(&difference.text())?;
        let event = SyncDiverged {
            member_id: self.member.member_id.clone(),
            member_name: self.member.name.clone(),
            database_balance: Credits::truncated(self.books.min(Credits::max()))?,
            onchain_balance: decimal_text(&self.chain.text())?,
            difference: text.clone(),
            difference_usd: decimal_text(&difference.usd(rate))?,
            last_synced_at: known.last_synced_at,
            version,
        };
        let account = ChainAccount {
            last_synced_at: known.last_synced_at,
            episode: known.episode + 1,
            divergence: Some(Divergence {
                difference: text,
                found_at: now,
            }),
        };
        Ok(Step::Diverged(Box::new((account, event))))
    }
}

impl ChainAccount {
    /// The record once books and chain agree: an open divergence is closed.
    #[must_use]
    pub fn agreed(known: Option<&Self>, now: Timestamp) -> Self {
        Self {
            last_synced_at: Some(now),
            episode: known.map_or(0, |known| known.episode),
            divergence: None,
        }
    }

    /// Puts the record into a transaction, and the event if there is one.
    ///
    /// # Errors
    /// [`BuildError`] when the entity is another member's or the event breaks its contract.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        entity: &Entity<Self>,
        event: Option<&SyncDiverged>,
    ) -> Result<Vec<EventId>, BuildError> {
        let mut drafts = Vec::new();
        if let Some(event) = event {
            let fact = format!(
                "chain_account/{}/divergence/{}",
                event.member_id, self.episode
            );
            let fact = IdempotencyKey::new(fact).map_err(events::DraftError::from)?;
            drafts.push(Draft::of(event)?.with_idempotency_key(fact));
        }
        transaction.update(entity, self, drafts)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use num_bigint::BigUint;

    use super::*;
    use crate::chain::TokenDecimals;

    fn member() -> Member {
        serde_json::from_value(serde_json::json!({
            "member_id": "ada", "name": "Ada", "version": 1,
            "ethereum_address": "0x00000000000000000000000000000000000000aa",
        }))
        .expect("a member")
    }

    fn on_chain(credits: u64) -> OnChain {
        let decimals = TokenDecimals::new(2).expect("few enough");
        OnChain::new(BigUint::from(credits * 100), decimals)
    }

    fn step(books: &str, chain: u64, known: Option<&ChainAccount>, seconds: u64) -> Step {
        let (member, chain) = (member(), on_chain(chain));
        let finding = Finding {
            member: &member,
            books: books.parse().expect("a decimal"),
            chain: &chain,
        };
        let now = Timestamp::EPOCH.plus(Duration::from_secs(seconds));
        let version = Sequence::new(7).expect("a version");
        let rate = "10".parse().expect("a rate");
        finding.step(known, version, rate, now).expect("statable")
    }

    #[test]
    fn a_divergence_is_told_once_while_it_lasts_and_again_after_it_closed() {
        let Step::Agreed(agreed) = step("100", 100, None, 1) else {
            panic!("agrees");
        };
        let at = |seconds| Some(Timestamp::EPOCH.plus(Duration::from_secs(seconds)));
        assert_eq!((agreed.last_synced_at, agreed.episode), (at(1), 0));

        let Step::Diverged(divergence) = step("100", 40, Some(&agreed), 2) else {
            panic!("diverges");
        };
        let (open, event) = *divergence;
        assert_eq!(event.difference.as_str(), "60");
        assert_eq!(event.difference_usd.as_str(), "600.00");
        assert_eq!(event.onchain_balance.as_str(), "40");
        assert_eq!(event.last_synced_at, at(1));
        assert_eq!((open.episode, open.last_synced_at), (1, at(1)));

        // The same amount, another amount and the other direction are all known.
        for (books, chain) in [("100", 40), ("100", 30), ("10", 40)] {
            assert_eq!(step(books, chain, Some(&open), 3), Step::Known);
        }
        let Step::Agreed(closed) = step("40", 40, Some(&open), 4) else {
            panic!("closes");
        };
        assert_eq!(
            (closed.last_synced_at, closed.divergence.is_none()),
            (at(4), true)
        );
        let Step::Diverged(again) = step("40", 41, Some(&closed), 5) else {
            panic!("the next one");
        };
        assert_eq!((again.0.episode, again.1.difference.as_str()), (2, "-1"));
    }

    #[test]
    fn staked_credits_are_on_the_chain_too() {
        let account = |text: &str| -> Account { serde_json::from_str(text).expect("an account") };
        assert_eq!(books(None), Decimal::ZERO);
        let liquid = account(r#"{"balance": 1.5}"#);
        assert_eq!(
            books(Some(&liquid)).to_string(),
            "1.500000".trim_end_matches('0')
        );
        let staked = account(r#"{"balance": 1.5, "staked": 2.25}"#);
        assert_eq!(books(Some(&staked)), Decimal::new(375, 2));
        // A sum that one amount cannot hold is compared exactly and published as the largest amount.
        let most = Credits::max().to_string();
        let rich = books(Some(&account(&format!(
            r#"{{"balance": {most}, "staked": {most}}}"#
        ))));
        let Step::Diverged(divergence) = step(&rich.to_string(), 0, None, 1) else {
            panic!("diverges");
        };
        assert_eq!(divergence.1.database_balance.decimal(), Credits::max());
        assert_eq!(
            divergence.1.difference.as_str(),
            rich.normalize().to_string()
        );
    }

    #[test]
    fn a_member_who_never_had_anything_leaves_no_record() {
        assert_eq!(step("0", 0, None, 1), Step::Nothing);
        let known = ChainAccount::default();
        assert!(matches!(step("0", 0, Some(&known), 1), Step::Agreed(_)));
        // Tokens that the books do not know are a divergence like any other.
        let Step::Diverged(divergence) = step("0", 3, None, 1) else {
            panic!("diverges");
        };
        assert_eq!(divergence.1.last_synced_at, None);
        assert_eq!(divergence.1.difference_usd.as_str(), "-30.00");
    }
}
