//! The whole pipeline in memory, under every mix of faults: credits are conserved, no event is lost, no effect is
//! doubled, and read models end equal to the state they show. `sabotage` proves that these checks can fail: it removes
//! a safeguard, and they must find the damage.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod analytics;
mod audit;
mod audit_log;
mod carts;
mod chain;
mod fanout;
mod ledger;
mod orders;
mod rows;
mod sabotage;
mod webhooks;
mod world;

use std::collections::BTreeMap;

use consumer::Outcome;
use domain::Stopped;
use outbox::{Error, Item, Table};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde::de::DeserializeOwned;
use testkit::flow::{Faults, Flow};

use self::world::{Order, World, any_faults, orders, run};

/// Whether a domain's operation did something: what the rules forbid, it did not do.
fn allowed<T, R>(done: Result<T, Stopped<R>>) -> Result<bool, Error> {
    match done {
        Ok(_) => Ok(true),
        Err(Stopped::Refused(_)) => Ok(false),
        Err(Stopped::Failed(error)) => Err(error),
    }
}

/// All states of an aggregate type in a table, by id.
fn states<S: DeserializeOwned>(flow: &Flow, table: &Table, kind: &str) -> BTreeMap<String, S> {
    let items = flow.store().items(table);
    let of_kind = |mut item: Item| {
        let pk = item.remove("pk")?.as_str()?.to_owned();
        let id = pk.strip_prefix(kind)?.strip_prefix('#')?.to_owned();
        for name in ["sk", "version", "last_sequence"] {
            item.remove(name);
        }
        let state = serde_json::from_value(serde_json::Value::Object(item));
        Some((id, state.expect("a state")))
    };
    items.into_iter().filter_map(of_kind).collect()
}

/// Commands that depend only on the seed.
fn orders_of(seed: u64, count: usize) -> Vec<Order> {
    drawn(seed, orders(count))
}

fn drawn(seed: u64, orders: impl Strategy<Value = Vec<Order>>) -> Vec<Order> {
    let mut bytes = [0_u8; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    orders.new_tree(&mut runner).expect("commands").current()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_under_any_faults_conserves_credits_and_ends_with_true_read_models(
        seed in any::<u64>(), faults in any_faults(), orders in orders(1..40),
    ) {
        run(seed, faults, &orders, |builder| builder).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn where_messages_only_overtake_each_other_nothing_is_parked(
        seed in any::<u64>(), orders in orders(1..40),
    ) {
        let mut world = World::new(seed, Faults { reordering: 0.5, ..Faults::NONE }, |builder| builder);
        world.register_everybody();
        world.flow.drain().map_err(|error| TestCaseError::fail(error.to_string()))?;
        world.hand_in(&orders);
        world.settle().map_err(TestCaseError::fail)?;
        prop_assert_eq!(world.judge(), Vec::<String>::new());
        // Contention is the one thing that can go wrong without a fault. It makes a message wait as for a dependency.
        let fault = |outcome: &Outcome| {
            matches!(outcome, Outcome::Unbegun | Outcome::NotParked | Outcome::Parked(_))
        };
        prop_assert_eq!(world.outcomes().into_iter().find(fault), None);
    }
}

const WANTED_EVENTS: [&str; 13] = [
    "wallet.escrow_held",
    "wallet.escrow_settled",
    "wallet.escrow_refunded",
    "wallet.escrow_partial_settled",
    "payment.refunded",
    "payment.allocated",
    "payment.released",
    "settlement.settled",
    "settlement.failed",
    "loan.payment_schedule_generated",
    "loan.draw_approved",
    "loan.modified",
    "loan.paid_off",
];

#[test]
fn a_storm_leaves_nothing_behind() {
    let mut seen = BTreeMap::new();
    for seed in 0..36 {
        let orders = orders_of(seed, 190);
        let world = run(seed, Faults::STORM, &orders, |builder| builder)
            .unwrap_or_else(|wrong| panic!("{wrong}"));
        for outcome in world.outcomes() {
            *seen.entry(outcome.as_str()).or_insert(0_u32) += 1;
        }
        for event in world.flow.log() {
            let wanted = WANTED_EVENTS
                .into_iter()
                .find(|one| *one == event.event_type.as_str());
            if let Some(event_type) = wanted {
                *seen.entry(event_type).or_insert(0) += 1;
            }
            *seen
                .entry(if event.causation_id.is_some() {
                    "caused"
                } else {
                    "commanded"
                })
                .or_insert(0) += 1;
        }
    }
    // A storm in which nothing went wrong would prove nothing.
    for what in [
        "done",
        "duplicate",
        "ignored",
        "retry",
        "unavailable",
        "parked",
        "waiting",
        "commanded",
        "caused",
    ]
    .into_iter()
    .chain(WANTED_EVENTS)
    {
        assert!(
            seen.get(what).is_some_and(|count| *count >= 10),
            "too little {what}: {seen:?}"
        );
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let result_of = |seed| {
        let world =
            run(seed, Faults::STORM, &orders_of(seed, 30), |builder| builder).expect("sound");
        (world.flow.log(), world.outcomes())
    };
    assert_eq!(result_of(5), result_of(5));
    assert_ne!(result_of(5).1, result_of(6).1);
}

#[test]
fn events_that_outlived_the_stream_come_back_by_republishing() {
    for seed in 0..6 {
        let mut world = World::new(seed, Faults::STORM, |builder| builder);
        world.hand_in(&orders_of(seed, 30));
        // The relay does not see what these commands log: the stream's 24 hours pass first.
        let orders = orders_of(seed, 10);
        world.flow.drain().expect("drains");
        world.flow.set_faults(Faults::NONE);
        world.commit_unseen(&orders);
        world.flow.lose_stream();
        world.flow.set_faults(Faults::STORM);
        let pending = world.flow.audit().is_err();
        let published = world.flow.republish().expect("ends");
        assert!(
            pending == (published > 0),
            "seed {seed}: pending {pending}, published {published}"
        );
        world.settle().expect("sound");
        assert_eq!(world.judge(), Vec::<String>::new(), "seed {seed}");
    }
}
