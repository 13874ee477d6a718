//! Earlier balances of the books. A chain that lags behind shows one of them.

use events::TransactionId;
use rust_decimal::Decimal;

use super::quantity::{Difference, OnChain};
use crate::{Account, account::Movement};

/// The books' balance after each of an account's last movements, as far back as the statement was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// Newest first.
    after: Vec<(TransactionId, Decimal)>,
    /// Whether the statement goes back further.
    goes_on: bool,
}

impl Past {
    /// How many lines of a statement are read. A movement is confirmed by the books' balance after it or after any
    /// later movement, but no further back than this many lines. If the chain is further behind, it is recognised as
    /// following only when it has caught up to within this many movements.
    pub const LINES: u32 = 50;

    /// The earlier balances, from the newest lines of an account's statement, newest first. The statement must be read
    /// after the account. `goes_on` says that there are older lines.
    #[must_use]
    pub fn of(account: Option<&Account>, statement: &[Movement], goes_on: bool) -> Self {
        // Only stakes state the locked balance; it stays the same between two of them. The statement can have lines
        // that are newer than the account as it was read. That does no harm: a newer stake states its own locked
        // balance.
        let mut staked = statement
            .iter()
            .find_map(|line| line.staked_after)
            .map_or_else(
                || account.map_or(Decimal::ZERO, |account| account.staked().decimal()),
                |staked| staked.decimal(),
            );
        let mut after = Vec::with_capacity(statement.len());
        for line in statement {
            if let Some(stated) = line.staked_after {
                staked = stated.decimal();
            }
            after.push((line.transaction_id, line.balance_after.decimal() + staked));
            staked -= line.kind.staked_change(line.amount);
        }
        Self { after, goes_on }
    }

    /// Whether the chain shows the books' balance after this movement or a later one.
    #[must_use]
    pub fn bears_out(&self, movement: TransactionId, chain: &OnChain) -> bool {
        let own = self.after.iter().position(|(id, _)| *id == movement);
        let since = match own {
            Some(own) => own + 1,
            // Every line that was read is later than the movement.
            None if self.goes_on => self.after.len(),
            None => 0,
        };
        self.after
            .iter()
            .take(since)
            .any(|(_, books)| Difference::of(*books, chain).is_zero())
    }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;
    use serde_json::{Value, json};

    use super::*;
    use crate::chain::TokenDecimals;

    fn id(number: u64) -> TransactionId {
        serde_json::from_value(json!(format!("018f0000-0000-7000-8000-{number:012}")))
            .expect("an id")
    }

    /// A statement, oldest line first: kind, amount, liquid balance after it, and locked balance if it is stated.
    fn past(account: Value, lines: &[(&str, u64, u64, Option<u64>)], goes_on: bool) -> Past {
        let account: Account = serde_json::from_value(account).expect("an account");
        let mut lines: Vec<Movement> = lines
            .iter()
            .zip(1..)
            .map(|((kind, amount, liquid, staked), number)| {
                let mut line = json!({
                    "transaction_id": id(number), "kind": kind, "amount": amount, "balance_after": liquid,
                    "occurred_at": "2026-01-01T00:00:00.000Z", "event_id": id(number),
                });
                if let Some(staked) = staked {
                    line["staked_after"] = json!(staked);
                }
                serde_json::from_value(line).expect("a line")
            })
            .collect();
        lines.reverse();
        Past::of(Some(&account), &lines, goes_on)
    }

    fn borne_out(past: &Past, credits: u64, movements: std::ops::RangeInclusive<u64>) -> Vec<bool> {
        let decimals = TokenDecimals::new(0).expect("few enough");
        let chain = OnChain::new(BigUint::from(credits), decimals);
        movements
            .map(|number| past.bears_out(id(number), &chain))
            .collect()
    }

    #[test]
    fn a_movement_is_borne_out_by_what_the_books_said_after_it_or_later_never_by_what_they_said_before()
     {
        let lines = [
            ("minted", 100, 100, None),
            ("burned", 30, 70, None),
            ("minted", 5, 75, None),
        ];
        let past = past(json!({ "balance": 75 }), &lines, false);
        assert_eq!(borne_out(&past, 100, 1..=3), [true, false, false]);
        assert_eq!(borne_out(&past, 70, 1..=3), [true, true, false]);
        assert_eq!(borne_out(&past, 75, 1..=3), [true, true, true]);
        assert_eq!(borne_out(&past, 74, 1..=3), [false; 3]);
    }

    #[test]
    fn what_was_locked_at_the_time_counts_whoever_states_it() {
        let lines = [
            ("minted", 100, 100, None),
            ("staked", 40, 60, Some(40)),
            ("redeemed", 10, 50, None),
            ("unstaked", 40, 90, Some(0)),
            ("minted", 1, 91, None),
        ];
        let whole = past(json!({ "balance": 91 }), &lines, false);
        assert_eq!(
            borne_out(&whole, 100, 1..=5),
            [true, true, false, false, false]
        );
        assert_eq!(
            borne_out(&whole, 90, 1..=5),
            [true, true, true, true, false]
        );
        // No line states the locked balance: it is as it was before them all.
        let lines = [("minted", 5, 15, None), ("burned", 3, 12, None)];
        let locked = past(json!({ "balance": 12, "staked": 40 }), &lines, false);
        assert_eq!(borne_out(&locked, 55, 1..=2), [true, false]);
        assert_eq!(borne_out(&locked, 52, 1..=2), [true, true]);
    }

    #[test]
    fn a_movement_further_back_than_was_read_is_borne_out_by_all_that_was_read() {
        let lines = [("minted", 5, 15, None), ("burned", 3, 12, None)];
        let further = past(json!({ "balance": 12 }), &lines, true);
        assert_eq!(borne_out(&further, 15, 7..=7), [true]);
        assert_eq!(borne_out(&further, 10, 7..=7), [false]);
        // The movement is not in the complete statement: nothing is known of it.
        let whole = past(json!({ "balance": 12 }), &lines, false);
        assert_eq!(borne_out(&whole, 15, 7..=7), [false]);
    }
}
