//! `event-stream`: serves the feed, on Lambda or as a server of its own.

use std::time::Duration;

use api::{Cors, Keys};
use event_stream::{
    config::Config,
    hub::Hub,
    leases::Leases,
    router::{App, open_to_tokens, router},
    serve,
};
use host::{Error, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Function::start(topology::functions::event_stream::FUNCTION.name).await?;
    let (config, cors) = (Config::from_env(host.env())?, Cors::from_env(host.env())?);
    let outbox = host.outbox_for_guards();
    // A stream's maximum lifetime, plus time for the data in transit.
    let at_most = config.times.life + Duration::from_secs(60);
    let leases = (config.leases).map(|(table, limits)| Leases::new(outbox.clone(), table, limits));
    let router = router(App {
        hub: Hub::new(outbox.clone(), config.feed, config.hub),
        keys: Keys::new(host.store(), config.keys),
        outbox,
        leases,
        tokens: config.tokens,
        times: config.times,
    });
    serve::run(config.host, open_to_tokens(cors.around(router)), at_most).await
}
