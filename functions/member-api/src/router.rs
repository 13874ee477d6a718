//! The endpoints.

use std::sync::Arc;

use api::{Doc, Routes};

use crate::handler::{self, App};

const UNKNOWN: &str = "There is no such member.";

/// Every endpoint of the function.
#[must_use]
pub fn routes() -> Routes<Arc<App>> {
    Routes::new("member-api")
        .post(
            "/api/v1/members",
            handler::register,
            Doc::new("Register a member")
                .describe("Without `member_id` one is made.")
                .problem(409, "The id is another member's."),
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
                .describe("What is left out stays; null clears ens_subname and ethereum_address.")
                .problem(404, UNKNOWN),
        )
        .get(
            "/api/v1/members/{member_id}/notifications",
            handler::notifications,
            Doc::new("List a member's in-app notes, newest first").problem(404, UNKNOWN),
        )
}

/// The OpenAPI document of the function, for the one that `system-api` joins.
#[must_use]
pub fn openapi() -> serde_json::Value {
    routes().openapi()
}

#[cfg(test)]
mod tests {
    /// `system-api` merges what stands checked in. `make schemas` writes it anew.
    #[test]
    fn the_openapi_document_is_checked_in_as_rendered() {
        let rendered = format!("{:#}\n", super::openapi());
        expect_test::expect_file!["../openapi.json"].assert_eq(&rendered);
    }
}
