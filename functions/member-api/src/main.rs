//! `member-api`: the member endpoints on Lambda.

use std::sync::Arc;

use host::{Api, Error};
use member_api::{handler::App, router};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Api::start("member-api").await?;
    let (members, notifications) = (
        host.table("MEMBER_TABLE")?,
        host.table("NOTIFICATIONS_TABLE")?,
    );
    let app = App::new(host.outbox(), members, notifications);
    let router = router::routes().router(Arc::new(app), &host.keys());
    host.run(router).await
}
