//! What is known of a member's balance on the chain, and the divergence that comes and goes.
//!
//! A divergence begins when books and chain differ and ends when they agree again. It is told when it begins, once: as
//! long as it is open, another amount is the same divergence. The state item says whether one is open, and its version is
//! checked in the transaction that holds the event, so that however many look at once, it is told once.

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

/// What an account holds in the books, as far as the chain mirrors it: liquid and staked together. The two may be more
/// than one amount of credits can state.
#[must_use]
pub fn books(account: Option<&Account>) -> Decimal {
    account.map_or(Decimal::ZERO, |account| {
        account.balance().decimal() + account.staked().decimal()
    })
}

/// A divergence that lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Divergence {
    /// Books less chain when it was found.
    pub difference: DecimalText,
    /// When it was found.
    pub found_at: Timestamp,
}

/// A member's record of synchronisation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainAccount {
    /// When books and chain last agreed; absent where they never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_synced_at: Option<Timestamp>,
    /// How many divergences there have been.
    pub episode: u64,
    /// The open one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence: Option<Divergence>,
}

impl State for ChainAccount {
    const AGGREGATE: &'static str = SyncDiverged::AGGREGATE;
}

impl Rebuild for ChainAccount {
    type Row = Self;
    const RETENTION: Retention = SyncDiverged::RETENTION;
    /// That books and chain agree again is told by no event.
    const UNTOLD: &'static [&'static str] = &["last_synced_at", "divergence"];
    const SILENT_WRITES: bool = true;

    fn row(&self) -> Self {
        self.clone()
    }

    fn apply(_: &str, before: Option<Self>, envelope: &Envelope) -> Folded<Self> {
        let told: SyncDiverged = events::decode_payload(envelope)?;
        let account = Self {
            last_synced_at: told.last_synced_at,
            episode: before.map_or(1, |before| before.episode + 1),
            divergence: Some(Divergence {
                difference: told.difference,
                found_at: envelope.occurred_at,
            }),
        };
        Ok((account, told.version))
    }
}

/// What books and chain say, read in this order.
#[derive(Debug, Clone, Copy)]
pub struct Finding<'a> {
    /// Whose balance.
    pub member: &'a Member,
    /// What the books say, by [`books`].
    pub books: Decimal,
    /// What the chain says.
    pub chain: &'a OnChain,
}

/// A quantity that its type cannot state.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// As decimal text.
    #[error(transparent)]
    Text(#[from] TextError),
    /// As an amount.
    #[error(transparent)]
    Amount(#[from] AmountError),
}

/// What a comparison asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// They agree: this is written; an open divergence is closed.
    Agreed(ChainAccount),
    /// They differ and that is not told yet: this is written, and told.
    Diverged(Box<(ChainAccount, SyncDiverged)>),
    /// They differ, as is known.
    Known,
    /// Neither has anything, nor ever had: nothing is written.
    Nothing,
}

impl Finding<'_> {
    /// Books less chain.
    #[must_use]
    pub fn difference(&self) -> Difference {
        Difference::of(self.books, self.chain)
    }

    /// What it asks for, given what was known; `version` is the one the record has after the next write.
    ///
    /// # Errors
    /// [`StatementError`] only when a quantity cannot be stated, which its bounds and the clamping rule out.
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

    /// Puts the record into a transaction, with the event where there is one.
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

        let Step::Diverged(told) = step("100", 40, Some(&agreed), 2) else {
            panic!("diverges");
        };
        let (open, event) = *told;
        assert_eq!(event.difference.as_str(), "60");
        assert_eq!(event.difference_usd.as_str(), "600.00");
        assert_eq!(event.onchain_balance.as_str(), "40");
        assert_eq!(event.last_synced_at, at(1));
        assert_eq!((open.episode, open.last_synced_at), (1, at(1)));

        // The same, another amount, the other direction: known.
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
        // More than one amount can state is compared exactly, and told at the largest.
        let most = Credits::max().to_string();
        let rich = books(Some(&account(&format!(
            r#"{{"balance": {most}, "staked": {most}}}"#
        ))));
        let Step::Diverged(told) = step(&rich.to_string(), 0, None, 1) else {
            panic!("diverges");
        };
        assert_eq!(told.1.database_balance.decimal(), Credits::max());
        assert_eq!(told.1.difference.as_str(), rich.normalize().to_string());
    }

    #[test]
    fn a_member_who_never_had_anything_leaves_no_record() {
        assert_eq!(step("0", 0, None, 1), Step::Nothing);
        let known = ChainAccount::default();
        assert!(matches!(step("0", 0, Some(&known), 1), Step::Agreed(_)));
        // Tokens that the books know nothing of are a divergence like any other.
        let Step::Diverged(told) = step("0", 3, None, 1) else {
            panic!("diverges");
        };
        assert_eq!(told.1.last_synced_at, None);
        assert_eq!(told.1.difference_usd.as_str(), "-30.00");
    }
}
