//! Compares the cost of a run with COSTS.md. The shipped job, runtime and store run on a DynamoDB that counts units.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cloud::{
    Account,
    chain::{Member, TokenDecimals},
};
use ethereum::{Expected, MemoryChain, Reader};
use events::{EthereumAddress, MemberId};
use num_bigint::BigUint;
use outbox::{State, Table};
use serde_json::json;
use testkit::costs::{Site, steps};

use crate::job::{Limits, Reconcile};

struct Bench {
    site: Site,
    chain: Arc<MemoryChain>,
}

fn table() -> Table {
    Table::domain("cloud")
}

fn address(member: &str) -> EthereumAddress {
    let digits: String = member.bytes().map(|byte| format!("{byte:02x}")).collect();
    EthereumAddress::new(format!("0x{digits:0>40}")).unwrap()
}

fn units(credits: u8) -> BigUint {
    BigUint::from(credits) * BigUint::from(10_u8).pow(18)
}

impl Bench {
    async fn start() -> Self {
        Self {
            site: Site::start(&[table()]).await,
            chain: Arc::default(),
        }
    }

    /// Adds a member. If `credits` is above zero, the member has had them in the books for a long time.
    async fn member(&self, member: &str, credits: u8) {
        let (id, address) = (MemberId::new(member).unwrap(), address(member));
        let known = json!({ "member_id": id, "name": "Ada Lovelace", "ethereum_address": address, "version": 1 });
        self.site.put(&Member::key(&table(), &id), &known).await;
        if credits == 0 {
            return;
        }
        let account = json!({ "balance": credits, "version": 1, "last_sequence": 1 });
        self.site
            .put(&Account::key(&table(), member), &account)
            .await;
        let line = json!({ "kind": "minted", "occurred_at": "2026-01-01T00:00:00.000Z" });
        let place = table().key(
            format!("cloud_account#{id}"),
            "transaction#0000000000000001",
        );
        self.site.put(&place, &line).await;
    }

    async fn run(&self) -> Vec<u64> {
        let expected = Expected {
            chain_id: None,
            decimals: 18,
        };
        let chain = Arc::<MemoryChain>::clone(&self.chain);
        let reader = Reader::new(chain, expected, Duration::from_secs(5));
        let limits = Limits {
            decimals: TokenDecimals::new(18).unwrap(),
            rate: "10".parse().unwrap(),
            in_flight: Duration::from_secs(3_600),
            unsynced_max: Duration::from_secs(86_400),
        };
        let outbox = self.site.outbox();
        let job = Reconcile::new(outbox.clone(), table(), Some(reader), limits);
        let asked = self.chain.reads();
        let (_, counts) = self.site.run(job, outbox).await;
        let asked = self.chain.reads() - asked;
        vec![
            counts.write_units,
            counts.read_units,
            counts.all_calls(),
            asked,
        ]
    }

    /// Counts the additional cost of one member over a run with no members.
    async fn one_more(&self, member: &str, credits: u8, idle: &[u64]) -> Vec<u64> {
        self.member(member, credits).await;
        more(self.run().await, idle)
    }
}

fn more(cost: Vec<u64>, idle: &[u64]) -> Vec<u64> {
    let pairs = cost.into_iter().zip(idle);
    pairs.map(|(cost, idle)| cost - idle).collect()
}

#[tokio::test]
async fn every_row_of_the_table_is_what_is_counted() {
    let mut counted = BTreeMap::new();
    let mut count = |step: &str, cost: Vec<u64>| counted.insert(step.to_owned(), cost);
    let bench = Bench::start().await;
    // The very first run creates the lease, later runs overwrite one: only the later ones count.
    bench.run().await;
    let idle = bench.run().await;
    count("a run with nobody to compare", idle.clone());

    bench.chain.set(&address("ada"), units(100));
    count(
        "a member, books and chain agree",
        bench.one_more("ada", 100, &idle).await,
    );
    bench.chain.set(&address("ada"), units(99));
    count(
        "a member, a divergence is told",
        more(bench.run().await, &idle),
    );
    count(
        "a member, a divergence is known",
        more(bench.run().await, &idle),
    );
    let nothing = Bench::start().await;
    nothing.run().await;
    count(
        "a member who never had any",
        nothing.one_more("eve", 0, &idle).await,
    );
    let stated = steps("step behind the chain", "cloud-reconcile");
    assert_eq!(stated, counted, "left: COSTS.md, right: counted");
}
