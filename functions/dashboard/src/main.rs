//! `dashboard`: serves the page, the status and stream tokens.

use std::sync::Arc;

use api::{Cors, Keys};
use dashboard::{
    ages::CloudWatchAges,
    config::Config,
    files::Files,
    lanes::SqsQueues,
    letters::CountedLetters,
    paused::PausedConsumers,
    router::{App, router},
};
use host::{Error, Function};
use outbox::SystemClock;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Function::start(topology::functions::dashboard::FUNCTION.name).await?;
    let (config, cors) = (Config::from_env(host.env())?, Cors::from_env(host.env())?);
    let cloudwatch = aws_sdk_cloudwatch::Client::new(host.sdk());
    let router = router(App {
        clock: Arc::new(SystemClock),
        keys: Keys::new(host.store(), config.keys),
        tokens: config.tokens,
        files: Files::new(config.stream.as_ref()),
        stream: config.stream,
        queues: Arc::new(SqsQueues::new(aws::sqs(host.sdk()))),
        ages: Arc::new(CloudWatchAges::new(cloudwatch, config.ages_good_for)),
        paused: Arc::new(PausedConsumers::new(host.store(), config.letters.clone())),
        letters: Arc::new(CountedLetters::new(
            host.store(),
            config.letters,
            config.letters_good_for,
        )),
        lanes: config.lanes,
    });
    api::run(cors.around(router)).await
}
