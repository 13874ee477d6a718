//! How long a row of the event log is kept: events about money forever, other events for the retention of their
//! contract, counted from publication, and unpublished events forever.

use std::{collections::BTreeSet, marker::PhantomData, sync::Arc, time::Duration};

use events::{
    Cause, Contract, Draft, Registry, Retention, Timestamp,
    contracts::{self, Visitor},
};
use futures::{
    FutureExt as _,
    future::{LocalBoxFuture, join_all},
};
use outbox::{
    Clock as _, Decision, Error, Item, Outcome, State,
    memory::{MemoryBus, MemoryStore},
    relay::{Relay, Settings},
};
use serde::{Deserialize, Serialize};
use testkit::{TestClock, costs::sample};

use crate::fixtures::{domain, events_table, outbox, request};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The domains whose events prove movements of money or goods and what an order is calculated from, or are all that a read model
/// of members can be built from.
const FOREVER: [&str; 16] = [
    "cart",
    "category",
    "cloud",
    "credit",
    "customer",
    "loan",
    "member",
    "order",
    "payment",
    "price",
    "product",
    "quote",
    "settlement",
    "stock",
    "treasury",
    "wallet",
];

/// The aggregate that an event is about.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct Thing<C> {
    #[serde(skip)]
    of: PhantomData<C>,
}

impl<C: Contract> State for Thing<C> {
    const AGGREGATE: &'static str = C::AGGREGATE;
}

/// The row of an event after the commit, and after the publication.
struct StoredRows {
    retention: Retention,
    event_type: &'static str,
    pending: Item,
    published: Item,
    /// When the event was published.
    published_at: Timestamp,
}

async fn rows<C: Contract>() -> StoredRows {
    let (store, clock) = (Arc::new(MemoryStore::new()), Arc::new(TestClock::new(3)));
    let outbox = outbox(Arc::<MemoryStore>::clone(&store), Arc::clone(&clock));
    let payload: C = serde_json::from_value(sample(C::TYPE)).expect("a sample");
    let (outbox, payload, id) = (&outbox, &payload, &payload.aggregate_id().to_string());
    let outcome = outbox
        .execute::<(), (), Error, _, _>(
            &request("k"),
            &Cause::default(),
            |mut transaction| async move {
                let thing = outbox.load::<Thing<C>>(&domain(), id).await?;
                let draft = Draft::of(payload).expect("a draft");
                transaction.update(&thing, &Thing { of: PhantomData }, vec![draft])?;
                Ok(Decision::Commit(transaction, ()))
            },
        )
        .await;
    assert!(
        matches!(outcome, Ok(Outcome::Committed { .. })),
        "{outcome:?}"
    );
    let row = || {
        let rows: [Item; 1] = store.items(&events_table()).try_into().expect("one row");
        let [row] = rows;
        row
    };
    let pending = row();
    clock.advance(10 * DAY);
    let relay = Relay::new(
        Arc::new(MemoryBus::new()),
        Arc::<MemoryStore>::clone(&store),
        events_table(),
        Arc::<TestClock>::clone(&clock),
        Settings::default(),
    );
    let invocation = relay.relay(store.take_stream(&events_table())).await;
    assert!(invocation.error.is_none());
    StoredRows {
        retention: C::RETENTION,
        event_type: C::TYPE,
        pending,
        published: row(),
        published_at: clock.now(),
    }
}

/// The rows of every shipped contract.
struct All(Vec<LocalBoxFuture<'static, StoredRows>>);

impl Visitor for All {
    fn visit<C: Contract>(&mut self) {
        self.0.push(rows::<C>().boxed_local());
    }
}

#[tokio::test]
async fn what_tells_of_money_never_expires_and_the_rest_as_its_contract_says() {
    let mut all = All(Vec::new());
    contracts::visit(&mut all);
    let all = join_all(all.0).await;
    for row in &all {
        let (name, expires) = (row.event_type, "expires_at");
        assert!(
            !row.pending.contains_key("published_at") && !row.pending.contains_key(expires),
            "{name}: {:?}",
            row.pending
        );
        assert!(row.published.contains_key("published_at"), "{name}");
        let domain = name.split_once('.').map_or("", |(domain, _)| domain);
        let wanted = match row.retention {
            Retention::Forever => None,
            Retention::Days(days) => {
                assert!(!FOREVER.contains(&domain), "{name} is kept for {days} days");
                let end = row.published_at.plus(u32::from(days) * DAY);
                Some(end.unix_seconds().into())
            }
        };
        assert_eq!(row.published.get(expires), wanted.as_ref(), "{name}");
    }
    let seen: BTreeSet<&str> = all.iter().map(|row| row.event_type).collect();
    let registry = Registry::shipped();
    let shipped = registry.contracts().iter().map(|info| info.event_type);
    assert_eq!(seen, shipped.collect(), "every shipped contract is checked");
}
