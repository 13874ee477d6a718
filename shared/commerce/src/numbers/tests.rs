#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use testkit::flow::{Faults, Flow};

use super::*;

#[test]
fn no_number_is_given_twice_whatever_is_lost_on_the_way() {
    for seed in 0..20 {
        let mut flow = Flow::builder(seed)
            .faults(Faults::STORM)
            .build()
            .expect("a flow");
        let table = &Table::domain("commerce");
        let mut given = BTreeSet::new();
        for _process in 0..4 {
            // A process takes its numbers and ends; what it has left is left out.
            let numbers = Numbers::<OrderNumber>::default();
            for _ in 0..u64::from(TRIES) {
                let next = flow.command(|site| {
                    let numbers = &numbers;
                    async move { numbers.next(site.outbox(), table).await }
                });
                if let Some(Ok(number)) = next {
                    assert!(
                        given.insert(number.to_string()),
                        "seed {seed}: {number} twice"
                    );
                }
            }
        }
        assert!(!given.is_empty(), "seed {seed}");
    }
}
