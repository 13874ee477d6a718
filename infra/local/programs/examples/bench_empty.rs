//! A consumer that does nothing with its messages: it shows how much the pipeline can carry at most. Like a real
//! consumer, it logs a line per message.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init("bench-empty");
    lambda_runtime::run(service_fn(|invocation: LambdaEvent<SqsEvent>| async move {
        for record in &invocation.payload.records {
            tracing::info!(message_id = record.message_id, outcome = "done", "record");
        }
        Ok::<_, Error>(SqsBatchResponse::default())
    }))
    .await
}
