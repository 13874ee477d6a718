//! `operator-api`: dead letters, replays and the pausing of consumers on Lambda.

use std::sync::Arc;

use host::{Api, Error};
use mappings::LambdaMappings;
use operator_api::{config::Config, handler::App, router, stack::AwsFacts};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Api::start(topology::functions::operator_api::FUNCTION.name).await?;
    let config = Config::from_env(host.env())?;
    let mappings = Arc::new(LambdaMappings::new(host.sdk()));
    let outbox = host.outbox();
    let stack = AwsFacts::new(
        aws::sqs(host.sdk()),
        aws::dynamodb(host.sdk()),
        config.stack.clone(),
        config.events.clone(),
    );
    let app = App::new(outbox, config, mappings, Arc::new(stack));
    let router = router::routes().router(Arc::new(app), &host.keys());
    host.run(router).await
}
