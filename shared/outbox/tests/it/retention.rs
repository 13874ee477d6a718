//! How long a row of the event log is kept: what tells of money for ever, the rest for a week from when it was published, and
//! what is not published yet for ever.

use std::{collections::BTreeSet, marker::PhantomData, sync::Arc, time::Duration};

use events::{
    Cause, Contract, Draft, Registry,
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
/// Those whose events are no proof of money.
const FOR_A_WEEK: [&str; 4] = ["alert", "erp", "member", "supplier"];

/// What an event is about.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct Thing<C> {
    #[serde(skip)]
    of: PhantomData<C>,
}

impl<C: Contract> State for Thing<C> {
    const AGGREGATE: &'static str = C::AGGREGATE;
}

/// The row of an event, committed and then published.
struct Rows {
    event_type: &'static str,
    pending: Item,
    published: Item,
    /// A week from publication, seconds since 1970.
    in_a_week: i64,
}

async fn rows<C: Contract>() -> Rows {
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
    Rows {
        event_type: C::TYPE,
        pending,
        published: row(),
        in_a_week: clock.now().plus(7 * DAY).unix_seconds(),
    }
}

/// The rows of every shipped contract.
struct All(Vec<LocalBoxFuture<'static, Rows>>);

impl Visitor for All {
    fn visit<C: Contract>(&mut self) {
        self.0.push(rows::<C>().boxed_local());
    }
}

#[tokio::test]
async fn what_tells_of_money_never_expires_and_the_rest_a_week_after_it_was_published() {
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
        let wanted = FOR_A_WEEK
            .iter()
            .any(|domain| name.split_once('.').is_some_and(|(of, _)| of == *domain))
            .then(|| row.in_a_week.into());
        assert_eq!(row.published.get(expires), wanted.as_ref(), "{name}");
    }
    let seen: BTreeSet<&str> = all.iter().map(|row| row.event_type).collect();
    let registry = Registry::shipped();
    let shipped = registry.contracts().iter().map(|info| info.event_type);
    assert_eq!(seen, shipped.collect(), "every shipped contract is asked");
}
