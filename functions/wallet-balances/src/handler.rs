//! The handler of `wallet-balances`: writes the balance that the event states, unless the row already has a newer
//! version.

use async_trait::async_trait;
use consumer::{Failure, Handler, Received};
use events::Envelope;
use outbox::{GuardedPut, Table};
use wallet::balances::BalanceRow;

/// The events that the consumer handles, as declared.
pub use topology::functions::wallet_balances::Event;

/// The consumer `wallet-balances`.
#[derive(Debug)]
pub struct WalletBalances {
    table: Table,
}

impl WalletBalances {
    /// Creates the consumer over the domain's table.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self { table }
    }
}

#[async_trait]
impl Handler for WalletBalances {
    // The audit and the log identify the consumer by this name: never rename it.
    const NAME: &'static str = topology::functions::wallet_balances::FUNCTION.name;
    type Event = Event;

    async fn project(&self, received: &Received<Event>) -> Result<GuardedPut, Failure> {
        stated(&received.event, &received.envelope, &self.table)
    }
}

fn stated(event: &Event, envelope: &Envelope, table: &Table) -> Result<GuardedPut, Failure> {
    let Event::BalanceUpdated(updated) = event;
    Ok(BalanceRow::of(updated, envelope.occurred_at).guarded_put(table)?)
}

#[cfg(test)]
mod tests {
    use events::{
        MemberId,
        contracts::wallet::{AccountType, BalanceState},
    };
    use serde_json::{Value, json};
    use testkit::flow::Flow;
    use wallet::balances;

    use super::*;

    const UPDATED: &str =
        include_str!("../../../shared/events/samples/wallet/balance-updated-v1/full.json");

    fn table() -> Table {
        Table::domain("wallet")
    }

    fn flow() -> Flow {
        Flow::builder(1)
            .consumer(|_| WalletBalances::new(table()))
            .build()
            .expect("a flow")
    }

    fn message(flow: &Flow, member: &str, state: &str, after: u64, version: u64) -> String {
        let mut payload: Value = serde_json::from_str(UPDATED).expect("JSON");
        let other = json!({
            "account_id": member, "account_type": "user", "balance_state": state, "balance_before": 0,
            "balance_after": after, "change_amount": after, "version": version,
        });
        for (name, value) in other.as_object().expect("an object") {
            payload[name] = value.clone();
        }
        flow.message("wallet.balance_updated", &payload.to_string())
            .expect("a contract")
    }

    fn rows(flow: &Flow, member: &str) -> Vec<(BalanceState, String, u64)> {
        let member = MemberId::new(member).expect("an id");
        let query = balances::of_account(&table(), AccountType::User, &member);
        let (rows, _) = flow
            .look(|site| async move { site.outbox().rows::<BalanceRow>(&query).await })
            .expect("reads");
        rows.into_iter()
            .map(|row| {
                (
                    row.balance_state,
                    row.balance.to_string(),
                    row.version.number(),
                )
            })
            .collect()
    }

    #[test]
    fn a_row_never_goes_back_whatever_the_order_and_however_often_told() {
        // Every order of four versions, each delivered twice.
        for order in 0..24 {
            let mut flow = flow();
            let mut left = vec![1, 2, 3, 4];
            let mut number = order;
            let mut newest = 0;
            while !left.is_empty() {
                let version = left.remove(number % left.len());
                number /= left.len() + 1;
                let body = message(&flow, "ada", "available", version * 10, version);
                for copy in [body.clone(), body] {
                    assert!(flow.send(WalletBalances::NAME, copy));
                }
                flow.drain().expect("drains");
                newest = newest.max(version);
                let balance = format!("{}.00", newest * 10);
                let wanted = (BalanceState::Available, balance, newest);
                assert_eq!(rows(&flow, "ada"), [wanted], "order {order}");
            }
            assert!(flow.letters(WalletBalances::NAME).is_empty());
        }
    }

    #[test]
    fn balance_states_and_accounts_have_rows_of_their_own() {
        let mut flow = flow();
        for (member, state, after) in [
            ("ada", "available", 6),
            ("ada", "escrow", 4),
            ("bob", "available", 1),
        ] {
            let body = message(&flow, member, state, after, 2);
            assert!(flow.send(WalletBalances::NAME, body));
        }
        flow.drain().expect("drains");
        assert_eq!(
            rows(&flow, "ada"),
            [
                (BalanceState::Available, "6.00".to_owned(), 2),
                (BalanceState::Escrow, "4.00".to_owned(), 2)
            ]
        );
        assert_eq!(rows(&flow, "bob").len(), 1);
        // The consumer writes no mark: the row is the evidence.
        assert!(flow.store().items(&Table::marks("marks")).is_empty());
    }

    #[test]
    fn a_body_that_is_none_is_a_letter() {
        let mut flow = flow();
        assert!(flow.send(WalletBalances::NAME, "no envelope".to_owned()));
        flow.drain().expect("drains");
        assert_eq!(flow.letters(WalletBalances::NAME).len(), 1);
    }
}
