//! Compares the cost of each operation with COSTS.md. The shipped router, rules and store run on a DynamoDB that counts
//! units.

use std::{collections::BTreeMap, sync::Arc};

use api::{Keys, keys::NewKey};
use axum::Router;
use outbox::{Clock as _, SystemClock, Table};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use settlement::settlement::OPEN;
use settlement_api::{handler::App, router};
use testkit::{
    costs::{Calls, Site, numbers},
    dynamo_stub::Counts,
};

/// The confirmations that the network requires.
const REQUIRED: u32 = 30;

async fn start() -> Calls<Router> {
    let (keys, table) = (Table::domain("keys"), Table::domain("settlement"));
    let site = Site::start(&[keys.clone(), table.clone()]).await;
    site.stub().index(&table, OPEN);
    let keys = Keys::new(site.store(), keys);
    let scopes = vec!["*".parse().unwrap()];
    let key = NewKey::generate("costs".parse().unwrap(), scopes, SystemClock.now()).unwrap();
    keys.create(&SystemClock, &key).await.unwrap();
    let weights = "cost:40,speed:30,reliability:30".parse().unwrap();
    let app = App::new(site.outbox().clone(), table, weights);
    let router = router::routes().router(Arc::new(app), &keys);
    Calls::new(site, router, key.text())
}

/// Returns the write units of the tables and of the index, the read units including the index, and the calls.
fn row(counts: &Counts) -> Vec<Decimal> {
    vec![
        counts.write_units.into(),
        counts.index_write_units.into(),
        Decimal::from(counts.read_units)
            + Decimal::from(counts.index_half_read_units) / Decimal::TWO,
        counts.all_calls().into(),
    ]
}

struct Counting {
    calls: Calls<Router>,
    rows: BTreeMap<String, Vec<Decimal>>,
}

impl Counting {
    /// Records the counts of a call under the name of its row, and returns the answer.
    async fn note(&mut self, row_name: &str, path: &str, body: Value) -> Value {
        let (answer, counts) = self.calls.post(path, &body).await;
        let before = self.rows.insert(row_name.to_owned(), row(&counts));
        // A step that is counted twice must cost the same both times.
        let same = before.is_none_or(|before| before == row(&counts));
        assert!(same, "{row_name}: {counts:?}");
        answer
    }

    async fn read(&mut self, row_name: &str, path: &str) -> Value {
        let (answer, counts) = self.calls.get(path).await;
        self.rows.insert(row_name.to_owned(), row(&counts));
        answer
    }

    /// Creates and captures a payment, and returns its path.
    async fn captured(&mut self) -> String {
        let payment = self.payment().await;
        for step in ["authorize", "capture"] {
            self.note(step, &format!("{payment}/{step}"), json!({}))
                .await;
        }
        payment
    }

    /// Creates a payment and returns its path.
    async fn payment(&mut self) -> String {
        let body = json!({ "amount": 100, "currency": "EUR" });
        let made = self.note("create a payment", "payments", body).await;
        format!("payments/{}", made["payment_id"].as_str().unwrap())
    }

    /// Creates a settlement and returns its path.
    async fn settlement(&mut self, payment: &str) -> String {
        let network = |name: &str, cost: &str, seconds: u32| {
            json!({
                "network": name, "cost_usd": cost, "seconds": seconds, "reliability": 0.99,
                "gas_estimate": "0.000021", "required_confirmations": REQUIRED
            })
        };
        let body = json!({
            "payment_id": payment.trim_start_matches("payments/"), "amount": 10,
            "networks": [network("base", "0.02", 60), network("polygon", "0.01", 120)],
        });
        let made = self.note("create a settlement", "settlements", body).await;
        format!("settlements/{}", made["settlement_id"].as_str().unwrap())
    }

    /// Creates and submits a settlement, and returns its path.
    async fn submitted(&mut self, payment: &str) -> String {
        let path = self.settlement(payment).await;
        let body = json!({ "tx_hash": format!("0x{}", "a".repeat(64)) });
        self.note("submit", &format!("{path}/submit"), body).await;
        path
    }

    async fn confirm(&mut self, row_name: &str, path: &str, confirmations: u32) {
        let body = json!({ "confirmations": confirmations });
        self.note(row_name, &format!("{path}/confirmations"), body)
            .await;
    }
}

#[tokio::test]
async fn operations_cost_what_the_table_says() {
    let mut all = Counting {
        calls: start().await,
        rows: BTreeMap::new(),
    };
    let error = json!({ "error": "the payer's bank said no" });

    let refunded = all.captured().await;
    for (row_name, amount) in [
        ("refund, the first", 1),
        ("refund, a further one", 1),
        ("refund, the last", 98),
    ] {
        let refund = json!({ "amount": amount });
        all.note(row_name, &format!("{refunded}/refunds"), refund)
            .await;
    }
    let other = all.payment().await;
    all.note("cancel", &format!("{other}/cancel"), json!({}))
        .await;
    let other = all.payment().await;
    all.note("fail a payment", &format!("{other}/fail"), error.clone())
        .await;
    all.read("read a payment", &refunded).await;

    let captured = all.captured().await;
    let settled = all.submitted(&captured).await;
    all.confirm("confirm, the first time", &settled, 1).await;
    for confirmations in 2..REQUIRED {
        all.confirm("confirm, once more", &settled, confirmations)
            .await;
    }
    all.confirm("confirm, the number it has already", &settled, REQUIRED - 1)
        .await;
    all.confirm("confirm, the required number", &settled, REQUIRED)
        .await;
    let at_once = all.submitted(&captured).await;
    all.confirm("confirm, all of them at once", &at_once, REQUIRED)
        .await;
    all.read("read a settlement", &settled).await;
    let witness = all
        .read(
            "witness, after 30 confirmations",
            &format!("{settled}/witness"),
        )
        .await;
    assert_eq!(
        (&witness["agrees"], &witness["events"]),
        (&json!(true), &json!(36))
    );
    let charged = json!({ "gas_actual": "0.000021" });
    all.note("settle", &format!("{settled}/settle"), charged)
        .await;
    let failed = all.settlement(&captured).await;
    all.note("fail a settlement", &format!("{failed}/fail"), error)
        .await;

    all.settlement(&captured).await;
    all.submitted(&captured).await;
    let confirming = all.submitted(&captured).await;
    all.confirm("confirm, the first time", &confirming, 1).await;
    let listed = all
        .read("list, four under way in four statuses", "settlements")
        .await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 4);
    let narrowed = "settlements?status=confirming";
    all.read("list, one in one status", narrowed).await;

    assert_eq!(
        numbers("operation of `settlement-api`"),
        all.rows,
        "left: COSTS.md, right: counted"
    );

    // README.md states these figures for a whole life.
    let life = |steps: &[(&str, u32)]| {
        [0, 1].map(|column| -> Decimal {
            let of_step = |(row_name, times): &(&str, u32)| {
                all.rows[*row_name][column] * Decimal::from(*times)
            };
            steps.iter().map(of_step).sum()
        })
    };
    let ends = [("create a settlement", 1), ("submit", 1), ("settle", 1)];
    let one_by_one = [
        ("confirm, the first time", 1),
        ("confirm, once more", REQUIRED - 2),
        ("confirm, the required number", 1),
    ];
    let at_once = [("confirm, all of them at once", 1)];
    let lives = [&one_by_one[..], &at_once[..]].map(|steps| life(&[&ends[..], steps].concat()));
    assert_eq!(
        lives,
        [[212, 36], [38, 6]].map(|units| units.map(Decimal::from))
    );
}
