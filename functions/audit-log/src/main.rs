//! `audit-log`: consumes its express and standard lanes.

use audit_log::handler::AuditLog;
use host::{Consumer, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Consumer::start(topology::functions::audit_log::FUNCTION.name).await?;
    let outbox = host.outbox()?;
    let handler = AuditLog::new(outbox.clone(), host.table("AUDIT_TABLE")?);
    host.run(handler, outbox).await
}
