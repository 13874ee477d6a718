//! Compares the cost of each operation with COSTS.md. The shipped router, rules and store run on a DynamoDB that counts
//! units.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use api::{Keys, keys::NewKey};
use axum::Router;
use events::{Cause, DrawId, MemberId, Sequence, Text};
use loan::operations::{Loans, Stopped};
use loan_api::{handler::App, router};
use member::Member;
use outbox::{Clock as _, Decision, Error, Mark, Outbox, Outcome, SystemClock, Table, Transaction};
use serde_json::{Value, json};
use testkit::{
    costs::{Calls, Site, counted as units, numbers},
    dynamo_stub::Counts,
};

struct Counting {
    calls: Calls<Router>,
    rows: BTreeMap<String, Counts>,
    /// The number of commits outside the API so far.
    seeds: u64,
}

fn loan_table() -> Table {
    Table::domain("loan")
}

impl Counting {
    async fn start() -> Self {
        let [keys, members] = ["keys", "member"].map(Table::domain);
        let site = Site::start(&[keys.clone(), members.clone(), loan_table()]).await;
        let keys = Keys::new(site.store(), keys);
        let scopes = vec!["*".parse().unwrap()];
        let key = NewKey::generate("costs".parse().unwrap(), scopes, SystemClock.now()).unwrap();
        keys.create(&SystemClock, &key).await.unwrap();
        let outbox = site.outbox().clone();
        register(&outbox, &members).await;
        let app = App::new(outbox, loan_table(), members);
        let router = router::routes().router(Arc::new(app), &keys);
        Self {
            calls: Calls::new(site, router, key.text()),
            rows: BTreeMap::new(),
            seeds: 0,
        }
    }

    /// Records the counts of a call under the name of its row. A call that is counted twice must cost the same both
    /// times.
    fn note(&mut self, row_name: &str, counts: &Counts) {
        let before = self.rows.insert(row_name.to_owned(), counts.clone());
        let same = before.is_none_or(|before| units(&before) == units(counts));
        assert!(same, "{row_name}: {counts:?}");
    }

    async fn post(&mut self, row_name: &str, path: &str, body: Value) -> Value {
        let (answer, counts) = self.calls.post(path, &body).await;
        self.note(row_name, &counts);
        answer
    }

    async fn get(&mut self, row_name: &str, path: &str) -> Value {
        let (answer, counts) = self.calls.get(path).await;
        self.note(row_name, &counts);
        answer
    }

    /// Creates a loan and returns its path.
    async fn loan(&mut self, months: u32) -> String {
        let body = json!({
            "borrower_id": "ada", "amount": 100_000, "currency": "USD", "interest_rate": 6.5, "term_months": months
        });
        let made = self.post("agree on a loan", "loans", body).await;
        format!("loans/{}", made["loan_id"].as_str().unwrap())
    }

    /// Creates a loan, funds it with 60,000 and returns its path.
    async fn funded(&mut self, months: u32) -> String {
        let path = self.loan(months).await;
        let body = json!({ "funded_amount": 60_000 });
        self.post("fund", &format!("{path}/fund"), body).await;
        path
    }

    async fn pay(&mut self, row_name: &str, loan: &str, amount: u32) {
        let body = json!({ "amount": amount, "payment_method": "ach" });
        self.post(row_name, &format!("{loan}/payments"), body).await;
    }

    /// Returns the number of the next commit outside the API.
    fn seed(&mut self) -> u64 {
        self.seeds += 1;
        self.seeds
    }

    /// Does what `loan-servicing` does about an event of the loan.
    async fn serve(&mut self, loan: &str) {
        let number = self.seed();
        let (outbox, loan_id) = (self.calls.site().outbox(), id_of(loan).parse().unwrap());
        commit(outbox, number, |mut transaction| async move {
            let table = &loan_table();
            let loans = Loans { outbox, table };
            let done = loans.plan(&mut transaction, loan_id).await;
            done.map(|_| transaction)
        })
        .await;
    }

    /// Creates a draw that another owner than the caller requested, and returns its path.
    async fn asked(&mut self, loan: &str) -> String {
        let number = self.seed();
        let draw_id = DrawId::from(SystemClock.uuid());
        let (outbox, loan_id) = (self.calls.site().outbox(), id_of(loan).parse().unwrap());
        commit(outbox, number, |mut transaction| async move {
            let table = &loan_table();
            let loans = Loans { outbox, table };
            let (amount, by) = ("1000".parse().unwrap(), Text::new("desk").unwrap());
            let done = loans
                .step(&mut transaction, loan_id, |change| {
                    change.request_draw(draw_id, amount, by)
                })
                .await;
            done.map(|_| transaction)
        })
        .await;
        format!("{loan}/draws/{draw_id}")
    }
}

fn id_of(loan: &str) -> &str {
    loan.rsplit('/').next().unwrap()
}

/// Commits a change outside the API, under a number of its own.
async fn commit<Fut>(outbox: &Outbox, number: u64, decide: impl Fn(Transaction) -> Fut)
where
    Fut: Future<Output = Result<Transaction, Stopped>>,
{
    let mark = Mark::Episode {
        name: "costs",
        number,
        phase: "opened",
    };
    let decide = &decide;
    let outcome = outbox
        .execute::<(), (), Error, _, _>(&mark, &Cause::default(), |transaction| async move {
            match decide(transaction).await {
                Ok(transaction) => Ok(Decision::Commit(transaction, ())),
                Err(Stopped::Failed(error)) => Err(error),
                Err(Stopped::Refused(refusal)) => panic!("{refusal}"),
            }
        })
        .await
        .unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }));
}

async fn register(outbox: &Outbox, members: &Table) {
    let command: member::Registration =
        serde_json::from_value(json!({ "name": "Ada", "email": "a@example.org" })).unwrap();
    let command = &command;
    commit(outbox, 0, |mut transaction| async move {
        let entity = outbox.load::<Member>(members, "ada").await?;
        let version = Sequence::new(1).unwrap();
        let id = MemberId::new("ada").unwrap();
        let now = transaction.now();
        let registering = member::register(None, id, command.clone(), version, now).unwrap();
        registering.save(&mut transaction, &entity).unwrap();
        Ok(transaction)
    })
    .await;
}

#[tokio::test]
async fn operations_cost_what_the_table_says() {
    let mut all = Counting::start().await;

    let cancelled = all.loan(36).await;
    all.post("cancel", &format!("{cancelled}/cancel"), json!({}))
        .await;
    let loan = all.funded(36).await;
    all.serve(&loan).await;
    all.get("read a schedule of 36 months", &format!("{loan}/schedule"))
        .await;
    let long = all.funded(480).await;
    all.serve(&long).await;
    all.get("read a schedule of 480 months", &format!("{long}/schedule"))
        .await;

    let modify = format!("{loan}/modify");
    all.post("change the terms", &modify, json!({ "term_months": 48 }))
        .await;
    let same = "change the terms to those that hold already";
    all.post(same, &modify, json!({ "term_months": 48 })).await;

    let draws = format!("{loan}/draws");
    all.post("ask for a draw", &draws, json!({ "amount": 1_000 }))
        .await;
    let draw = all.asked(&loan).await;
    all.post("approve a draw", &format!("{draw}/approve"), json!({}))
        .await;
    let draw = all.asked(&loan).await;
    all.post("reject a draw", &format!("{draw}/reject"), json!({}))
        .await;
    all.get("list three draws", &draws).await;

    all.pay("take a payment", &loan, 1_000).await;
    all.pay("take a payment", &loan, 2_000).await;
    // No month with interest has begun: 60,000 and a draw of 1,000, less the payments.
    all.pay("take the last payment", &loan, 58_000).await;
    all.get("list three payments", &format!("{loan}/payments"))
        .await;
    let read = all.get("read a loan", &loan).await;
    assert_eq!(read["status"], "paid_off");
    let listed = all
        .get("list a borrower's three loans", "loans?borrower_id=ada")
        .await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 3);

    let counted: BTreeMap<_, _> = all
        .rows
        .iter()
        .map(|(row_name, counts)| (row_name.clone(), units(counts)))
        .collect();
    assert_eq!(
        numbers("operation of `loan-api`"),
        counted,
        "left: COSTS.md, right: counted"
    );
}
