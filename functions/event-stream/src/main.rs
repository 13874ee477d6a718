//! `event-stream`: serves the feed, on Lambda or by itself.

use std::{sync::Arc, time::Duration};

use api::Keys;
use aws::DynamoStore;
use event_stream::{
    ages::CloudWatchAges,
    config::Config,
    hub::Hub,
    lanes::SqsQueues,
    router::{App, router},
    serve,
};
use events::Registry;
use outbox::{Outbox, Store, SystemClock, env::Env};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init("event-stream");
    let config = Config::from_env(&Env::process())?;
    let sdk = aws::sdk_config().await;
    let store: Arc<dyn Store> = Arc::new(DynamoStore::new(aws::dynamodb(&sdk)));
    let outbox = Outbox::new(
        Arc::clone(&store),
        Arc::new(SystemClock),
        Arc::new(Registry::shipped()),
        config.events,
        config.tables.marks.clone(),
    );
    // What a stream may last, and then some for what is on its way.
    let at_most = config.times.life + Duration::from_secs(60);
    let router = router(App {
        hub: Hub::new(outbox.clone(), config.feed.clone(), config.hub),
        keys: Keys::new(store, config.keys),
        queues: Arc::new(SqsQueues::new(aws_sdk_sqs::Client::new(&sdk))),
        ages: Arc::new(CloudWatchAges::new(
            aws_sdk_cloudwatch::Client::new(&sdk),
            config.ages_good_for,
        )),
        outbox,
        feed: config.feed,
        tables: config.tables,
        tokens: config.tokens,
        times: config.times,
        lanes: config.lanes,
    });
    serve::run(config.host, router, at_most).await
}
