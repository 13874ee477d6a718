//! The declaration of `audit-anchor`.

use crate::{
    Access,
    Action::{Put, Query},
    Function, Job, Kind, Need,
    functions::audit_log,
    parameters,
};

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "audit-anchor",
    "Seals the heads of all audit chains with a MAC from KMS, every hour.",
    Kind::Job(Job {
        schedule: &parameters::AUDIT_ANCHOR_SCHEDULE,
        looks_for: "All heads, to be sealed with one MAC.",
        only_with: None,
        timeout: 300,
        on_error: "A run of audit-anchor failed: the heads of the audit log are not sealed. `millrace jobs audit-anchor` shows why. \
            The next run continues with the page that failed; you can also invoke the function.",
        first_error_rings: true,
        alarms: &[],
    }),
)
.owning(&[Access::to(&audit_log::TABLE, &[Query, Put])])
.needing(&[Need::Seal]);
