//! A test service with members, and the requests of its callers.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use cloud::totals;
use cloud_api::{handler::App, router};
use events::{MemberId, Sequence};
use member::Member;
use outbox::{Decision, Table};
use serde_json::json;

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
        let start = testkit::service::Service::start(|outbox, keys| {
            let app = App::new(
                outbox.clone(),
                cloud_table(),
                Table::domain("member"),
                "10".parse().unwrap(),
                "1:2.5,30:5".parse().unwrap(),
            );
            router::routes().router(Arc::new(app), keys)
        });
        let service = start.await;
        for id in members {
            register(&service, id).await;
        }
        Self(service)
    }

    pub(crate) async fn mint(&self, key: &str, member: &str, amount: &str) -> Answer {
        let body = json!({ "member_id": member, "amount": amount });
        self.post("/api/v1/cloud/mints", key, &body).await
    }
}

fn cloud_table() -> Table {
    Table::domain("cloud")
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

/// Adds credits to the rows of the total, as the consumer does.
pub(crate) async fn seeded_credits(service: &Service, amounts: &[&str]) {
    let seeded = service.once(1, |mut transaction| async move {
        for (shard, amount) in (0..).zip(amounts) {
            let amounts = vec![(totals::OUTSTANDING, amount.parse().unwrap())];
            transaction.add(totals::key(&cloud_table(), shard), amounts);
        }
        Ok(Decision::Commit(transaction, ()))
    });
    seeded.await;
}
