//! A test service with members, the requests of its callers, and the consumer `loan-servicing`.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use events::{Envelope, MemberId, Sequence};
use loan::operations::{Loans, Stopped};
use loan_api::{handler::App, router};
use member::Member;
use outbox::{Decision, Table};
use serde_json::{Value, json};

pub(crate) use testkit::service::Answer;

pub(crate) const LOANS: &str = "/api/v1/loans";

pub(crate) struct Service {
    service: testkit::service::Service,
    /// The number of commits outside the API so far. Each has a number of its own.
    seeds: AtomicU64,
}

impl Deref for Service {
    type Target = testkit::service::Service;

    fn deref(&self) -> &Self::Target {
        &self.service
    }
}

impl DerefMut for Service {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.service
    }
}

impl Service {
    /// Starts the service with these members and a key of the owner `billing` that has every scope.
    pub(crate) async fn with_members(members: &[&str]) -> Self {
        let start = testkit::service::Service::start(|outbox, keys| {
            let app = App::new(outbox.clone(), loan_table(), member_table());
            router::routes().router(Arc::new(app), keys)
        });
        let service = Self {
            service: start.await,
            seeds: AtomicU64::new(0),
        };
        for id in members {
            service.register(id).await;
        }
        service
    }

    fn seed(&self) -> u64 {
        self.seeds.fetch_add(1, Ordering::Relaxed)
    }

    async fn register(&self, id: &str) {
        let command: member::Registration = serde_json::from_value(
            json!({ "name": format!("Name of {id}"), "email": "a@example.org" }),
        )
        .unwrap();
        let (outbox, members, command) = (self.outbox(), &member_table(), &command);
        let registered = self.once(self.seed(), |mut transaction| async move {
            let entity = outbox.load::<Member>(members, id).await?;
            let member_id = MemberId::new(id).unwrap();
            let version = Sequence::new(1).unwrap();
            let now = transaction.now();
            let registering =
                member::register(None, member_id, command.clone(), version, now).unwrap();
            registering.save(&mut transaction, &entity)?;
            Ok(Decision::Commit(transaction, ()))
        });
        registered.await;
    }

    /// Does what the consumer `loan-servicing` does about an event of the loan at this path.
    pub(crate) async fn serve(&self, path: &str) {
        let loan_id = path.rsplit('/').next().unwrap().parse().unwrap();
        let (outbox, table) = (self.outbox(), &loan_table());
        let planned = self.once(self.seed(), |mut transaction| async move {
            let loans = Loans { outbox, table };
            match loans.plan(&mut transaction, loan_id).await {
                Ok(_) => Ok(Decision::Commit(transaction, ())),
                Err(Stopped::Failed(error)) => Err(error),
                Err(Stopped::Refused(refusal)) => panic!("{refusal}"),
            }
        });
        planned.await;
    }

    /// Creates a loan and returns its path.
    pub(crate) async fn loan(&self, key: &str, body: &Value) -> String {
        let made = self.post(LOANS, key, body).await;
        assert_eq!(made.status, 201, "{made:?}");
        format!("{LOANS}/{}", made.id("loan_id"))
    }

    /// Creates a loan, funds it with this amount and returns its path.
    pub(crate) async fn funded(&self, key: &str, body: &Value, amount: &str) -> String {
        let path = self.loan(key, body).await;
        let amount = json!({ "funded_amount": amount });
        let done = self.post(&format!("{path}/fund"), key, &amount).await;
        assert_eq!(done.status, 200, "{done:?}");
        path
    }

    /// Creates a draw of the loan at this path and returns its path.
    pub(crate) async fn draw(&self, key: &str, loan: &str, amount: &str) -> String {
        let draws = format!("{loan}/draws");
        let made = self.post(&draws, key, &json!({ "amount": amount })).await;
        assert_eq!(made.status, 201, "{made:?}");
        format!("{draws}/{}", made.id("draw_id"))
    }

    pub(crate) async fn pay(&self, key: &str, loan: &str, amount: &str) -> Answer {
        let body = json!({ "amount": amount, "payment_method": "ach" });
        self.post(&format!("{loan}/payments"), key, &body).await
    }

    /// Returns the events of the loan at this path.
    pub(crate) async fn history(&self, loan: &str) -> Vec<Envelope> {
        let id = loan.rsplit('/').next().unwrap();
        self.service.history(&format!("loan#{id}")).await
    }

    pub(crate) async fn types(&self, loan: &str) -> Vec<String> {
        let history = self.history(loan).await;
        let types = history.iter().map(|event| event.event_type.to_string());
        types.collect()
    }
}

pub(crate) fn loan_table() -> Table {
    Table::domain("loan")
}

fn member_table() -> Table {
    Table::domain("member")
}

pub(crate) fn payload(envelope: &Envelope) -> Value {
    serde_json::from_str(envelope.payload.json()).unwrap()
}

/// The request for a loan of 10,000 at 6 % a year over 12 months.
pub(crate) fn loan_to(borrower: &str) -> Value {
    json!({
        "borrower_id": borrower, "amount": 10_000, "currency": "USD", "interest_rate": 6, "term_months": 12
    })
}
