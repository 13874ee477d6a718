//! A test service, and the requests of its callers.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use events::Envelope;
use outbox::Table;
use serde_json::{Value, json};
use settlement_api::{handler::App, router};

pub(crate) use testkit::service::Answer;

pub(crate) const PAYMENTS: &str = "/api/v1/payments";
pub(crate) const SETTLEMENTS: &str = "/api/v1/settlements";

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
    pub(crate) async fn start() -> Self {
        let start = testkit::service::Service::start(|outbox, keys| {
            let weights = "cost:40,speed:30,reliability:30".parse().unwrap();
            let app = App::new(outbox.clone(), Table::domain("settlement"), weights);
            router::routes().router(Arc::new(app), keys)
        });
        Self(start.await)
    }

    /// Creates a payment and returns its path.
    pub(crate) async fn payment(&self, key: &str, amount: &str) -> String {
        let body = json!({ "amount": amount, "currency": "EUR" });
        let made = self.post(PAYMENTS, key, &body).await;
        assert_eq!(made.status, 201, "{made:?}");
        format!("{PAYMENTS}/{}", made.id("payment_id"))
    }

    /// Creates and captures a payment, and returns its path.
    pub(crate) async fn captured(&self, key: &str, amount: &str) -> String {
        let path = self.payment(key, amount).await;
        for step in ["authorize", "capture"] {
            let done = self
                .post(&format!("{path}/{step}"), key, &Value::Null)
                .await;
            assert_eq!(done.status, 200, "{done:?}");
        }
        path
    }

    /// Removes an attribute from the row at this path, as if the row was written before the attribute was introduced.
    pub(crate) async fn as_from_before(&self, path: &str, attribute: &str) {
        let table = Table::domain("settlement");
        let (kind, id) = path.rsplit_once('/').unwrap();
        let kind = kind.rsplit('/').next().unwrap().trim_end_matches('s');
        let key = table.key(format!("{kind}#{id}"), "state");
        let store = self.outbox().store();
        let mut row = store.get(&key).await.unwrap().unwrap();
        assert!(row.remove(attribute).is_some(), "{attribute}");
        store.put_all(&table, &[row]).await.unwrap();
    }

    /// Creates a settlement and returns its path.
    pub(crate) async fn settlement(&self, key: &str, payment: &str) -> String {
        let made = self
            .post(SETTLEMENTS, key, &settlement_of(payment, "10"))
            .await;
        assert_eq!(made.status, 201, "{made:?}");
        format!("{SETTLEMENTS}/{}", made.id("settlement_id"))
    }

    /// Creates and submits a settlement, and returns its path.
    pub(crate) async fn submitted(&self, key: &str, payment: &str) -> String {
        let path = self.settlement(key, payment).await;
        let body = json!({ "tx_hash": "0xabc" });
        let done = self.post(&format!("{path}/submit"), key, &body).await;
        assert_eq!(done.status, 200, "{done:?}");
        path
    }

    /// Returns the events of the aggregate at this path.
    pub(crate) async fn history(&self, path: &str) -> Vec<Envelope> {
        let (kind, id) = path.rsplit_once('/').unwrap();
        let kind = kind.rsplit('/').next().unwrap().trim_end_matches('s');
        self.0.history(&format!("{kind}#{id}")).await
    }

    pub(crate) async fn types(&self, path: &str) -> Vec<String> {
        let history = self.history(path).await;
        let types = history.iter().map(|event| event.event_type.to_string());
        types.collect()
    }
}

pub(crate) fn payload(envelope: &Envelope) -> Value {
    serde_json::from_str(envelope.payload.json()).unwrap()
}

pub(crate) fn network(name: &str, cost: &str, seconds: u32) -> Value {
    json!({
        "network": name, "cost_usd": cost, "seconds": seconds, "reliability": 0.99, "gas_estimate": "0.000021",
        "required_confirmations": 30
    })
}

/// The request for a settlement of the payment at this path.
pub(crate) fn settlement_of(payment: &str, amount: &str) -> Value {
    let id = payment.rsplit('/').next().unwrap();
    let networks = [network("base", "0.02", 60), network("polygon", "0.01", 120)];
    json!({ "payment_id": id, "amount": amount, "networks": networks })
}
