//! The whole pipeline in memory, under every mix of what can go wrong: credits are conserved, nothing is lost or doubled,
//! and read models end equal to the truth. And the proof that these properties bite: with a safeguard taken out, they
//! find it.

mod sabotage;
mod world;

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use testkit::flow::Faults;

use self::world::{Order, orders, run, weather};

/// Commands that come of a seed alone.
fn orders_of(seed: u64, most: usize) -> Vec<Order> {
    let mut bytes = [0_u8; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    let rng = proptest::test_runner::TestRng::from_seed(
        proptest::test_runner::RngAlgorithm::ChaCha,
        &bytes,
    );
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let tree = prop::collection::vec(orders(most), 1).new_tree(&mut runner);
    tree.expect("commands").current().concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_under_any_faults_conserves_credits_and_ends_with_true_read_models(
        seed in any::<u64>(), faults in weather(), orders in orders(24),
    ) {
        if let Err(wrong) = run(seed, faults, &orders, |builder| builder) {
            return Err(TestCaseError::fail(wrong));
        }
    }

    #[test]
    fn on_a_good_day_nothing_is_even_tried_twice(seed in any::<u64>(), orders in orders(24)) {
        let reordered = Faults { reordering: 0.5, ..Faults::NONE };
        if let Err(wrong) = run(seed, reordered, &orders, |builder| builder) {
            return Err(TestCaseError::fail(wrong));
        }
    }
}

#[test]
fn a_storm_leaves_nothing_behind() {
    for seed in 0..12 {
        let orders = orders_of(seed, 60);
        if let Err(wrong) = run(seed, Faults::STORM, &orders, |builder| builder) {
            panic!("{wrong}");
        }
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let told = |seed| {
        let world =
            run(seed, Faults::STORM, &orders_of(seed, 30), |builder| builder).expect("sound");
        let log = world.flow.log();
        let outcomes: Vec<_> = log
            .iter()
            .flat_map(|event| {
                world::CONSUMERS
                    .map(|consumer| world.flow.outcomes(consumer, &event.event_id.to_string()))
            })
            .collect();
        (log, outcomes)
    };
    assert_eq!(told(5), told(5));
    assert_ne!(told(5).1, told(6).1);
}

#[test]
fn events_that_outlived_the_stream_come_back_by_republishing() {
    for seed in 0..6 {
        let mut world = world::World::new(seed, Faults::STORM, |builder| builder);
        world.hand_in(&orders_of(seed, 30));
        // The relay sees nothing of what these commands log: the stream's day passes first.
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
