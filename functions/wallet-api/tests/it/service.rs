//! A test service with members, and the requests of its callers.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use api::Keys;
use axum::Router;
use events::{Contract as _, Envelope, MemberId, Sequence, contracts::wallet::BalanceUpdated};
use member::Member;
use outbox::{Decision, Item, Outbox, Store as _, Table};
use serde_json::{Value, json};
use wallet::balances::BalanceRow;
use wallet_api::{
    balances::{Balances, CacheSettings},
    handler::{App, WalletTables},
    router,
};

pub(crate) use testkit::service::Answer;

pub(crate) struct Service(testkit::service::Service);

impl Deref for Service {
    type Target = testkit::service::Service;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Service {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Service {
    pub(crate) async fn with_members(members: &[&str]) -> Self {
        Self::with_cache(members, CacheSettings::default()).await
    }

    pub(crate) async fn with_cache(members: &[&str], cache: CacheSettings) -> Self {
        let start =
            testkit::service::Service::start(|outbox, keys| router_of(outbox, keys, &cache));
        let service = start.await;
        for id in members {
            register(&service, id).await;
        }
        Self(service)
    }

    /// Another instance of the function over the same store.
    pub(crate) fn other_instance(&self, cache: CacheSettings) -> Self {
        Self(
            self.0
                .other_instance(|outbox, keys| router_of(outbox, keys, &cache)),
        )
    }

    pub(crate) async fn deposit(&self, key: &str, user: &str, amount: &str) -> Answer {
        let path = format!("/api/v1/wallets/{user}/deposits");
        self.post(&path, key, &payment_body(key, amount)).await
    }

    /// Everything in the store except the marks of keys: a refusal must not change it.
    pub(crate) fn everything(&self) -> Vec<Item> {
        [
            wallet_table(),
            Table::events("events"),
            Table::marks("marks"),
        ]
        .iter()
        .flat_map(|table| self.store().memory().items(table))
        .collect()
    }

    /// Does what the consumer `wallet-balances` does for these events.
    pub(crate) async fn project(&self, events: &[Envelope]) {
        for event in events {
            if event.event_type.as_str() == BalanceUpdated::TYPE {
                let updated: BalanceUpdated = serde_json::from_str(event.payload.json()).unwrap();
                let row = BalanceRow::of(&updated, event.occurred_at);
                let put = row.guarded_put(&wallet_table()).unwrap();
                self.store().put_guarded(&put).await.unwrap();
            }
        }
    }
}

/// A deposit or withdrawal of the payment `reference`.
pub(crate) fn payment_body(reference: &str, amount: impl serde::Serialize) -> Value {
    json!({ "amount": amount, "external_reference": reference })
}

fn router_of(outbox: &Outbox, keys: &Keys, cache: &CacheSettings) -> Router {
    let tables = WalletTables {
        wallet: wallet_table(),
        members: Table::domain("member"),
        activity: activity_table(),
    };
    let app = App::new(outbox.clone(), tables, Balances::new(cache));
    router::routes().router(Arc::new(app), keys)
}

pub(crate) fn wallet_table() -> Table {
    Table::domain("wallet")
}

pub(crate) fn activity_table() -> Table {
    Table::domain("activity")
}

async fn register(service: &testkit::service::Service, id: &str) {
    let members = Table::domain("member");
    let command: member::Registration = serde_json::from_value(
        json!({ "name": format!("Name of {id}"), "email": "a@example.org" }),
    )
    .unwrap();
    let number = id
        .bytes()
        .fold(0, |sum: u64, byte| sum * 256 + u64::from(byte));
    let (outbox, members, command) = (service.outbox(), &members, &command);
    let registered = service.once(number, |mut transaction| async move {
        let entity = outbox.load::<Member>(members, id).await?;
        let member_id = MemberId::new(id).unwrap();
        let version = Sequence::new(1).unwrap();
        let registering =
            member::register(None, member_id, command.clone(), version, transaction.now()).unwrap();
        registering.save(&mut transaction, &entity)?;
        Ok(Decision::Commit(transaction, ()))
    });
    registered.await;
}
