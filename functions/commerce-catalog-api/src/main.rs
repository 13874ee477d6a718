//! `commerce-catalog-api`: products and stock on Lambda.

use std::sync::Arc;

use commerce_catalog_api::{handler::App, router};
use host::{Api, Error};
use topology::functions::{commerce_catalog_api::FUNCTION, commerce_pricing_api::TABLE};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Api::start(FUNCTION.name).await?;
    let app = App::new(host.outbox(), host.table(TABLE.setting)?);
    let router = router::routes().router(Arc::new(app), &host.keys());
    host.run(router).await
}
