//! The lower bound: what `bench_consumer` does, written by hand on the same SDK without any part of Millrace. It makes
//! one transaction per message (put the mark if absent, add to the counter), handles the messages of a batch
//! concurrently, and reports partial batch failures. It has no logs, no metrics, no retry schedule and no dead letters.

use std::{collections::HashMap, sync::Arc};

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use aws_sdk_dynamodb::{
    Client,
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, Put, TransactWriteItem, Update},
};
use futures::future::join_all;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Deserialize;

/// How long a mark lives, in seconds.
const MARK_LIFE: u64 = 60 * 24 * 60 * 60;

#[derive(Deserialize)]
#[expect(
    dead_code,
    reason = "decoded and checked as in the consumer, not used otherwise"
)]
struct Envelope {
    event_id: uuid::Uuid,
    event_type: String,
    event_version: String,
    occurred_at: String,
    producer: String,
    correlation_id: uuid::Uuid,
    priority: String,
    aggregate_type: String,
    aggregate_id: String,
    sequence: u64,
    payload: Order,
}

#[derive(Deserialize)]
#[expect(
    dead_code,
    reason = "decoded and checked as in the consumer, not used otherwise"
)]
struct Order {
    order_id: uuid::Uuid,
    order_number: String,
    customer_id: String,
    customer_type: String,
    created_at: String,
    status: String,
    payment_status: String,
    fulfillment_status: String,
    items: Vec<Line>,
    totals: Totals,
}

#[derive(Deserialize)]
#[expect(
    dead_code,
    reason = "decoded and checked as in the consumer, not used otherwise"
)]
struct Line {
    item_id: uuid::Uuid,
    product_id: String,
    sku: String,
    quantity: u32,
    unit_price: serde_json::Number,
    line_total: serde_json::Number,
}

#[derive(Deserialize)]
#[expect(
    dead_code,
    reason = "decoded and checked as in the consumer, not used otherwise"
)]
struct Totals {
    subtotal: serde_json::Number,
    tax_amount: serde_json::Number,
    total: serde_json::Number,
    currency: String,
}

struct BenchTables {
    marks: String,
    customers: String,
}

#[tokio::main(flavor = "current_thread")]
#[expect(
    clippy::disallowed_methods,
    reason = "read by hand, as a function without a framework does"
)]
async fn main() -> Result<(), Error> {
    let tables = Arc::new(BenchTables {
        marks: std::env::var("MARKS_TABLE")?,
        customers: std::env::var("CUSTOMERS_TABLE")?,
    });
    let sdk = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let client = Client::new(&sdk);
    lambda_runtime::run(service_fn(move |invocation: LambdaEvent<SqsEvent>| {
        let (client, tables) = (client.clone(), Arc::clone(&tables));
        async move { Ok::<_, Error>(batch(&client, &tables, invocation.payload).await) }
    }))
    .await
}

async fn batch(client: &Client, tables: &BenchTables, event: SqsEvent) -> SqsBatchResponse {
    let handled = event.records.into_iter().map(|message| async move {
        (
            message.message_id.clone(),
            one(client, tables, message).await,
        )
    });
    let mut response = SqsBatchResponse::default();
    for (message_id, result) in join_all(handled).await {
        if let (Some(message_id), Err(_)) = (message_id, result) {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = message_id;
            response.batch_item_failures.push(failure);
        }
    }
    response
}

#[expect(
    clippy::disallowed_methods,
    reason = "the lower bound is the same transaction without an outbox"
)]
async fn one(client: &Client, tables: &BenchTables, message: SqsMessage) -> Result<(), Error> {
    let envelope: Envelope = serde_json::from_str(message.body.as_deref().unwrap_or_default())?;
    if envelope.event_type != "order.created" || envelope.event_version != "v1" {
        return Err("not an order".into());
    }
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_secs();
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let token = uuid::Uuid::new_v4().to_string();
    let mark = Put::builder()
        .table_name(&tables.marks)
        .item(
            "mark",
            AttributeValue::S(format!("event#bare#{}", envelope.event_id)),
        )
        .item("kind", text("event"))
        .item("token", text(&token))
        .item("created_at", text(&envelope.occurred_at))
        .item(
            "expires_at",
            AttributeValue::N((now + MARK_LIFE).to_string()),
        )
        .condition_expression("attribute_not_exists(#n0)")
        .expression_attribute_names("#n0", "mark")
        .build()?;
    let key = HashMap::from([
        (
            "pk".to_owned(),
            AttributeValue::S(format!("customer#{}", envelope.payload.customer_id)),
        ),
        ("sk".to_owned(), text("orders")),
    ]);
    let total = envelope.payload.totals.total.to_string();
    let counter = Update::builder()
        .table_name(&tables.customers)
        .set_key(Some(key))
        .update_expression("ADD #n0 :v0, #n1 :v1")
        .expression_attribute_names("#n0", "orders")
        .expression_attribute_names("#n1", "total")
        .expression_attribute_values(":v0", AttributeValue::N("1".to_owned()))
        .expression_attribute_values(":v1", AttributeValue::N(total))
        .build()?;
    let sent = client
        .transact_write_items()
        .client_request_token(token)
        .transact_items(TransactWriteItem::builder().put(mark).build())
        .transact_items(TransactWriteItem::builder().update(counter).build())
        .send()
        .await;
    match sent {
        Ok(_) => Ok(()),
        Err(error) => {
            let duplicate = matches!(
                error.as_service_error(),
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled))
                    if cancelled.cancellation_reasons().first().and_then(|reason| reason.code())
                        == Some("ConditionalCheckFailed")
            );
            if duplicate {
                Ok(())
            } else {
                Err(Box::new(error))
            }
        }
    }
}
