//! The endpoints.

use std::sync::Arc;

use api::{Doc, Routes};

use crate::handler::{self, App};

const UNKNOWN: &str = "The member does not exist.";

/// Every endpoint of the function.
#[must_use]
pub fn routes() -> Routes<Arc<App>> {
    Routes::new("member-api")
        .post(
            "/api/v1/members",
            handler::register,
            Doc::new("Register a member")
                .describe("Without `member_id`, the API generates one.")
                .problem(409, "The id is already taken."),
        )
        .get(
            "/api/v1/members/{member_id}",
            handler::read,
            Doc::new("Read a member").problem(404, UNKNOWN),
        )
        .patch(
            "/api/v1/members/{member_id}",
            handler::patch,
            Doc::new("Change a member")
                .describe(
                    "Absent fields stay unchanged; null clears ens_subname and ethereum_address.",
                )
                .problem(404, UNKNOWN),
        )
        .get(
            "/api/v1/members/{member_id}/notifications",
            handler::notifications,
            Doc::new("List a member's in-app notes, newest first").problem(404, UNKNOWN),
        )
}

/// The function's OpenAPI document. `system-api` merges it into that of the whole API.
#[must_use]
pub fn openapi() -> serde_json::Value {
    routes().openapi()
}
