//! `member-api`: the member endpoints on Lambda.

use std::sync::Arc;

use host::{Api, Error};
use member_api::{handler::App, router};
use outbox::Table;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Api::start(topology::functions::member_api::FUNCTION.name).await?;
    let members = host.table("MEMBER_TABLE")?;
    // Absent if the deployment has no domain that notifies members.
    let notifications = host
        .env()
        .optional("NOTIFICATIONS_TABLE")
        .map(Table::domain);
    let app = App::new(host.outbox(), members, notifications);
    let router = router::routes().router(Arc::new(app), &host.keys());
    host.run(router).await
}
