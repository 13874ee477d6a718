//! Compares the cost of each operation with COSTS.md. The shipped router, rules and store run on a DynamoDB that counts
//! units.

use std::{collections::BTreeMap, sync::Arc};

use api::{Keys, keys::NewKey};
use axum::Router;
use events::{
    Cause, Contract as _, Envelope, MemberId, Sequence, contracts::wallet::BalanceUpdated,
};
use member::Member;
use outbox::{Clock as _, Decision, Error, Mark, Outbox, SystemClock, Table};
use serde_json::{Value, json};
use testkit::{
    costs::{Calls, Site, counted as units, numbers},
    dynamo_stub::Counts,
};
use wallet::balances::BalanceRow;
use wallet_api::{
    balances::{Balances, CacheSettings},
    handler::{App, WalletTables},
    router,
};

struct Service(Calls<Router>);

impl Service {
    async fn start() -> Self {
        let [keys, wallet, members, activity] =
            ["keys", "wallet", "member", "activity"].map(Table::domain);
        let tables = [&keys, &wallet, &members, &activity].map(Table::clone);
        let site = Site::start(&tables).await;
        let keys = Keys::new(site.store(), keys);
        let scopes = vec!["*".parse().unwrap()];
        let key = NewKey::generate("costs".parse().unwrap(), scopes, SystemClock.now()).unwrap();
        keys.create(&SystemClock, &key).await.unwrap();
        let outbox = site.outbox().clone();
        for id in ["ada", "bo"] {
            register(&outbox, &members, id).await;
        }
        let tables = WalletTables {
            wallet,
            members,
            activity,
        };
        let balances = Balances::new(&CacheSettings::default());
        let app = App::new(outbox, tables, balances);
        let router = router::routes().router(Arc::new(app), &keys);
        Self(Calls::new(site, router, key.text()))
    }

    async fn post(&mut self, path: &str, body: Value) -> (Value, Counts) {
        self.0.post(path, &body).await
    }

    async fn get(&mut self, path: &str) -> (Value, Counts) {
        self.0.get(path).await
    }

    /// Does what the consumer `wallet-balances` does for all events of a user's account.
    async fn project(&self, account: &str) {
        let first = Sequence::new(1).unwrap();
        let outbox = self.0.site().outbox();
        let recorded = outbox.history(account, first, 100).await.unwrap();
        for raw in &recorded.envelopes {
            let event: Envelope = serde_json::from_str(raw.get()).unwrap();
            if event.event_type.as_str() == BalanceUpdated::TYPE {
                let updated: BalanceUpdated = serde_json::from_str(event.payload.json()).unwrap();
                let row = BalanceRow::of(&updated, event.occurred_at);
                let put = row.guarded_put(&Table::domain("wallet")).unwrap();
                outbox.put_guarded(&put).await.unwrap();
            }
        }
    }

    /// Creates an escrow of 10 points.
    async fn hold(&mut self) -> (String, Counts) {
        let body = json!({
            "amount": 10, "reason": "performance_request", "queue_item_id": "queue-456", "feature_type": "performance",
            "request_id": "req-xyz"
        });
        let (answer, counts) = self.post("wallets/ada/escrows", body).await;
        (answer["escrow_id"].as_str().unwrap().to_owned(), counts)
    }
}

async fn register(outbox: &Outbox, members: &Table, id: &str) {
    let mark = Mark::Episode {
        name: "costs",
        number: u64::try_from(id.len()).unwrap(),
        phase: "opened",
    };
    let command: member::Registration =
        serde_json::from_value(json!({ "name": "Ada", "email": "a@example.org" })).unwrap();
    let command = &command;
    let outcome = outbox
        .execute::<(), (), Error, _, _>(&mark, &Cause::default(), |mut transaction| async move {
            let entity = outbox.load::<Member>(members, id).await?;
            let version = Sequence::new(1).unwrap();
            let id = MemberId::new(id).unwrap();
            let now = transaction.now();
            let registering = member::register(None, id, command.clone(), version, now).unwrap();
            registering.save(&mut transaction, &entity)?;
            Ok(Decision::Commit(transaction, ()))
        })
        .await
        .unwrap();
    assert!(matches!(outcome, outbox::Outcome::Committed { .. }));
}

#[tokio::test]
async fn operations_cost_what_the_table_says() {
    let mut service = Service::start().await;
    let mut counted = BTreeMap::new();
    let mut note = |name: &str, counts: &Counts| {
        counted.insert(name.to_owned(), units(counts));
    };
    // The first movements create the accounts.
    service
        .post(
            "wallets/ada/deposits",
            json!({ "amount": 100, "external_reference": "bank/1" }),
        )
        .await;
    let (escrow, _) = service.hold().await;
    let model = json!({ "model_id": "bo" });
    service
        .post(&format!("escrows/{escrow}/settle"), model.clone())
        .await;

    let (_, counts) = service
        .post(
            "wallets/ada/deposits",
            json!({ "amount": 1, "external_reference": "bank/2" }),
        )
        .await;
    note("deposit", &counts);
    let (_, counts) = service
        .post(
            "wallets/ada/withdrawals",
            json!({ "amount": 1, "external_reference": "bank/3" }),
        )
        .await;
    note("withdraw", &counts);
    let (escrow, counts) = service.hold().await;
    note("hold", &counts);
    let (_, counts) = service
        .post(&format!("escrows/{escrow}/settle"), model)
        .await;
    note("settle", &counts);
    let (escrow, _) = service.hold().await;
    let (_, counts) = service
        .post(&format!("escrows/{escrow}/refund"), json!({}))
        .await;
    note("refund", &counts);
    let (escrow, _) = service.hold().await;
    let parts = json!({ "refund_amount": 4, "settle_amount": 6, "model_id": "bo" });
    let (_, counts) = service
        .post(&format!("escrows/{escrow}/partial-settle"), parts)
        .await;
    note("divide", &counts);
    let (read, counts) = service.get("wallets/ada/balance").await;
    assert_eq!(read["source"], "store");
    note("balance, from the store", &counts);
    let (read, counts) = service.get("wallets/ada/balance").await;
    assert_eq!(read["source"], "cache");
    note("balance, from the cache", &counts);
    // A movement removes the cached balance.
    service
        .post(
            "wallets/ada/deposits",
            json!({ "amount": 1, "external_reference": "bank/4" }),
        )
        .await;
    service.project("wallet_account#user-ada").await;
    let (read, counts) = service.get("wallets/ada/balance").await;
    assert_eq!(read["source"], "read_model");
    note("balance, from the read model", &counts);
    let (_, counts) = service.get("wallets/ada/balance?consistent=true").await;
    note("balance, consistent", &counts);
    assert_eq!(counted, numbers("operation of `wallet-api`"));
}
