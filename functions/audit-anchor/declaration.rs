//! What `audit-anchor` is.

use crate::{
    Access,
    Action::{Put, Query},
    Function, Job, Kind, Need,
    functions::audit_log,
    parameters,
};

/// The declaration.
pub const FUNCTION: Function = Function::new(
    "audit-anchor",
    "Seals the heads of all chains with a MAC of KMS, every hour.",
    Kind::Job(Job {
        schedule: &parameters::AUDIT_ANCHOR_SCHEDULE,
        looks_for: "All heads under one MAC.",
        only_with: None,
        timeout: 300,
        on_error: "A run of audit-anchor failed: the heads of the audit log are not sealed. `millrace jobs audit-anchor` says why; \
            the next run goes on with the page that failed, or invoke the function.",
        first_error_rings: true,
        alarms: &[],
    }),
)
.owning(&[Access::to(&audit_log::TABLE, &[Query, Put])])
.needing(&[Need::Seal]);
