//! `dead-letters`: drains the stack's dead-letter queue.

use aws_lambda_events::sqs::SqsEvent;
use dead_letters::handler::keep;
use host::{Error, Function};
use lambda_runtime::{LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    Function::start(topology::functions::dead_letters::FUNCTION.name).await?;
    lambda_runtime::run(service_fn(|invocation: LambdaEvent<SqsEvent>| async {
        Ok::<_, Error>(keep(invocation.payload))
    }))
    .await
}
