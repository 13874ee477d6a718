//! A small domain for the tests: treasury accounts with a balance.

use std::sync::Arc;

use events::{
    AccountId, Cause, Draft, IdempotencyKey, Registry, Usd, contracts::treasury::AccountChanged,
};
use outbox::{
    Answer, Clock, Decision, Entity, Error, Item, Mark, Outbox, Outcome, State, Store, Table,
    Transaction, memory::MemoryStore,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use testkit::TestClock;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) balance: Usd,
}

impl State for Account {
    const AGGREGATE: &'static str = "treasury_account";
}

pub(crate) fn domain() -> Table {
    Table::domain("cloud")
}

pub(crate) fn events_table() -> Table {
    Table::events("events")
}

pub(crate) fn marks() -> Table {
    Table::marks("marks")
}

pub(crate) fn outbox(store: Arc<dyn Store>, clock: Arc<TestClock>) -> Outbox {
    Outbox::new(
        store,
        clock,
        Arc::new(Registry::shipped()),
        events_table(),
        marks(),
    )
}

pub(crate) fn request(key: &str) -> Mark {
    Mark::Request {
        owner: "tests".into(),
        method: "PUT".into(),
        path: "/api/v1/cloud/treasury/accounts".into(),
        key: key.into(),
        body_sha256: Mark::body_sha256(key.as_bytes()),
    }
}

pub(crate) fn usd(text: &str) -> Usd {
    text.parse().expect("dollars")
}

pub(crate) fn draft(entity: &Entity<Account>, id: &str, balance: Usd) -> Draft {
    Draft::of(&AccountChanged {
        account_id: AccountId::new(id).expect("an account id"),
        balance,
        version: entity.next_version().expect("a version"),
    })
    .expect("a draft")
}

pub(crate) fn fact(text: &str) -> IdempotencyKey {
    IdempotencyKey::new(text).expect("an idempotency key")
}

/// Sets an account's balance, emits the event and stores the new balance as the answer.
pub(crate) async fn set(
    outbox: &Outbox,
    mut transaction: Transaction,
    id: &str,
    balance: &str,
) -> Result<Decision<String, String>, Error> {
    let entity = outbox.load::<Account>(&domain(), id).await?;
    let balance = usd(balance);
    transaction.update(
        &entity,
        &Account { balance },
        vec![draft(&entity, id, balance)],
    )?;
    transaction.answer(Answer {
        status: 200,
        body: json!({ "balance": balance }),
    });
    Ok(Decision::Commit(transaction, balance.to_string()))
}

pub(crate) async fn execute_set(
    outbox: &Outbox,
    mark: &Mark,
    id: &str,
    balance: &str,
) -> Result<Outcome<String, String>, Error> {
    outbox
        .execute(mark, &Cause::default(), |transaction| {
            set(outbox, transaction, id, balance)
        })
        .await
}

/// Commits `counts[n]` events of account `n` and takes all of them from the stream.
pub(crate) async fn committed(
    store: &Arc<MemoryStore>,
    clock: &Arc<TestClock>,
    counts: &[usize],
) -> Vec<Item> {
    let outbox = outbox(Arc::clone(store) as Arc<dyn Store>, Arc::clone(clock));
    let most = counts.iter().copied().max().unwrap_or(0);
    for round in 0..most {
        for (account, count) in counts.iter().enumerate() {
            if round < *count {
                let mark = request(&clock.uuid().to_string());
                let id = format!("acc-{account}");
                let outcome = execute_set(&outbox, &mark, &id, &format!("{round}")).await;
                assert!(
                    matches!(outcome, Ok(Outcome::Committed { .. })),
                    "{outcome:?}"
                );
            }
        }
    }
    store.take_stream(&events_table())
}
