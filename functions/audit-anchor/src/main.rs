//! `audit-anchor`: a scheduled job.

use std::sync::Arc;

use audit_anchor::{config::Config, job::AuditAnchor};
use audit_chain::KmsKey;
use host::{Error, Job};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Job::start(topology::functions::audit_anchor::FUNCTION.name).await?;
    let config = Config::from_env(host.env())?;
    let outbox = host.outbox_without_log()?;
    let key = Arc::new(KmsKey::new(host.sdk(), config.key_id));
    let job = AuditAnchor::new(outbox.clone(), config.audit, key);
    host.run(job, outbox).await
}
