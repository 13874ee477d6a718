//! `event-stream`: serves the feed, on Lambda or as a server of its own.

use std::{sync::Arc, time::Duration};

use event_stream::{
    ages::CloudWatchAges,
    config::Config,
    hub::Hub,
    lanes::SqsQueues,
    router::{App, router},
    serve,
};
use host::{Api, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Api::start(topology::functions::event_stream::FUNCTION.name).await?;
    let config = Config::from_env(host.env())?;
    let outbox = host.outbox();
    // A stream's maximum lifetime, plus time for the data in transit.
    let at_most = config.times.life + Duration::from_secs(60);
    let cloudwatch = aws_sdk_cloudwatch::Client::new(host.sdk());
    let router = router(App {
        hub: Hub::new(outbox.clone(), config.feed.clone(), config.hub),
        keys: host.keys(),
        queues: Arc::new(SqsQueues::new(aws::sqs(host.sdk()))),
        ages: Arc::new(CloudWatchAges::new(cloudwatch, config.ages_good_for)),
        outbox,
        feed: config.feed,
        tables: config.tables,
        tokens: config.tokens,
        times: config.times,
        lanes: config.lanes,
    });
    serve::run(config.host, host.cors().around(router), at_most).await
}
