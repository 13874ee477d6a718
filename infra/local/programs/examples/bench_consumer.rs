//! The benchmark's consumer: counts a customer's orders, on the shipped runtime and outbox.

use std::sync::Arc;

use async_trait::async_trait;
use aws::{DynamoStore, SqsQueue};
use consumer::{BatchRunner, Failure, Handler, Received};
use events::{RegisteredContract, Registry};
use lambda_runtime::Error;
use outbox::{Outbox, SystemClock, Table, Transaction, env::Env};
use rust_decimal::Decimal;
use testkit::orders::OrderCreated;

events::subscription! {
    /// Orders.
    enum Event {
        /// One was placed.
        Created(OrderCreated) by Mark,
    }
}

struct Customers {
    table: Table,
}

#[async_trait]
impl Handler for Customers {
    const NAME: &'static str = "bench";
    type Event = Event;

    async fn decide(
        &self,
        received: &Received<Event>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        let Event::Created(order) = &received.event;
        let customer = self
            .table
            .key(format!("customer#{}", order.customer_id), "orders");
        let amounts = vec![
            ("orders", Decimal::ONE),
            ("total", order.totals.total.decimal()),
        ];
        transaction.add(customer, amounts);
        Ok(transaction)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init("bench");
    let env = Env::process();
    let config = consumer::Config::from_env(&env)?;
    let marks = Table::marks(env.required("MARKS_TABLE")?);
    let table = Table::domain(env.required("CUSTOMERS_TABLE")?);
    let sdk = aws::sdk_config().await;
    let store = Arc::new(DynamoStore::new(aws_sdk_dynamodb::Client::new(&sdk)));
    let registry = Arc::new(Registry::new(
        vec![RegisteredContract::of::<OrderCreated>()],
    ));
    let outbox = Outbox::without_log(store, Arc::new(SystemClock), registry, marks);
    let queue = Arc::new(SqsQueue::new(aws_sdk_sqs::Client::new(&sdk)));
    let runner = BatchRunner::new(Customers { table }, outbox, queue, config.settings);
    consumer::queue::run(runner, config.lanes).await
}
