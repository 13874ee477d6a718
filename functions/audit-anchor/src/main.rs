//! `audit-anchor`: a scheduled job.

use std::sync::Arc;

use audit_anchor::{config::Config, job::AuditAnchor};
use audit_chain::KmsKey;
use aws::DynamoStore;
use consumer::schedule::{self, Runner};
use events::Registry;
use lambda_runtime::Error;
use outbox::{Outbox, SystemClock, Table, env::Env};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init("audit-anchor");
    let config = Config::from_env(&Env::process())?;
    let sdk = aws::sdk_config().await;
    let store = Arc::new(DynamoStore::new(aws::dynamodb(&sdk)));
    // Emits no events and may not: it has neither the log's name nor a permission on it.
    let (no_log, registry) = (Table::events("none"), Arc::new(Registry::shipped()));
    let outbox = Outbox::new(store, Arc::new(SystemClock), registry, no_log, config.marks);
    let key = Arc::new(KmsKey::new(&sdk, config.key_id));
    let job = AuditAnchor::new(outbox.clone(), config.audit, key);
    schedule::run(Runner::new(job, outbox, config.schedule)).await
}
