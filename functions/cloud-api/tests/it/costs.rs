//! Compares the cost of each operation with COSTS.md. The shipped router, rules and store run on a DynamoDB that counts
//! units.

use std::{collections::BTreeMap, sync::Arc};

use api::{Keys, keys::NewKey};
use axum::Router;
use cloud_api::{handler::App, router};
use events::{Cause, MemberId, Sequence};
use member::Member;
use outbox::{Clock as _, Decision, Error, Mark, Outbox, SystemClock, Table};
use serde_json::json;
use testkit::{
    costs::{Calls, Site, counted as units, numbers},
    dynamo_stub::Counts,
};

/// Starts the function with a key that has every scope, and returns the key of another owner.
async fn start() -> (Calls<Router>, String) {
    let [keys, cloud, members] = ["keys", "cloud", "member"].map(Table::domain);
    let site = Site::start(&[keys.clone(), cloud.clone(), members.clone()]).await;
    let keys = Keys::new(site.store(), keys);
    let mut texts = Vec::new();
    for (owner, scope) in [("costs", "*"), ("finance", "cloud:approve")] {
        let scopes = vec![scope.parse().unwrap()];
        let key = NewKey::generate(owner.parse().unwrap(), scopes, SystemClock.now()).unwrap();
        keys.create(&SystemClock, &key).await.unwrap();
        texts.push(key.text().to_owned());
    }
    let [key, approver] = texts.try_into().unwrap();
    let outbox = site.outbox().clone();
    for id in ["ada", "bo"] {
        register(&outbox, &members, id).await;
    }
    let shares = "0:1".parse().unwrap();
    let app = App::new(outbox, cloud, members, "10".parse().unwrap(), shares);
    let router = router::routes().router(Arc::new(app), &keys);
    (Calls::new(site, router, key), approver)
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
    let (mut service, approver) = start().await;
    let mut counted = BTreeMap::new();
    let mut note = |name: &str, counts: &Counts| {
        counted.insert(name.to_owned(), units(counts));
    };
    let member = |amount: &str| json!({ "member_id": "ada", "amount": amount });
    // The first mint creates the account.
    service.post("cloud/mints", &member("10")).await;
    let (_, counts) = service.post("cloud/mints", &member("10")).await;
    note("mint", &counts);
    let mut charged = member("10");
    charged["stripe_charge_id"] = "ch_1".into();
    let (_, counts) = service.post("cloud/mints", &charged).await;
    note("mint for a Stripe charge", &counts);
    let moved = json!({ "from_member_id": "ada", "to_member_id": "bo", "amount": 1 });
    service.post("cloud/transfers", &moved).await;
    let (_, counts) = service.post("cloud/transfers", &moved).await;
    note("transfer", &counts);
    let mut burned = member("1");
    burned["reason"] = "expired".into();
    let (_, counts) = service.post("cloud/burns", &burned).await;
    note("burn", &counts);
    let card = json!({
        "effective_date": "2020-01-01", "notice_date": "2020-01-01", "proposed_by": "ada",
        "rates": { "compute": 1, "transfer": 1, "ltm": 1, "stm": 1 }
    });
    service.post("cloud/rate-cards", &card).await;
    let (_, counts) = service.post("cloud/rate-cards", &card).await;
    note("propose a rate card", &counts);
    let approval = json!({ "approved_by": "bo" });
    let approve = "cloud/rate-cards/2/approve";
    let (_, counts) = service.post_by(&approver, approve, &approval).await;
    note("approve a rate card", &counts);
    let redemption = json!({
        "member_id": "ada", "primitive": "stm", "quantity": 1, "unit": "GB-hour", "service_name": "habitat-api",
        "period_id": "q1-2026", "rate_card_version": 2
    });
    let (_, counts) = service.post("cloud/redemptions", &redemption).await;
    note("redeem", &counts);
    let mut staked = member("1");
    staked["lock_duration_days"] = 0.into();
    let (stake, counts) = service.post("cloud/stakes", &staked).await;
    note("stake", &counts);
    let path = format!(
        "cloud/stakes/{}/unstake",
        stake["position_id"].as_str().unwrap()
    );
    let (_, counts) = service.post(&path, &json!({})).await;
    note("unstake", &counts);
    assert_eq!(counted, numbers("operation of `cloud-api`"));
}
