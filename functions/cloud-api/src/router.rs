//! The endpoints.

use std::sync::Arc;

use api::{Doc, Routes};

use crate::handler::{self, App};

const UNKNOWN: &str = "There is no such member.";

/// Every endpoint of the function.
#[must_use]
pub fn routes() -> Routes<Arc<App>> {
    let mint = Doc::new("Mint credits")
        .describe("Without a member they go to the unallocated account. A Stripe charge mints once.")
        .problem(404, UNKNOWN)
        .problem(409, "The Stripe charge was minted before (`transaction_id` names the first), or the account is full.");
    let transfer = Doc::new("Transfer credits")
        .problem(404, "One of the members does not exist.")
        .problem(
            409,
            "The giver has not enough (`available`, `needed`), or the receiver's account is full.",
        )
        .problem(422, "Giver and receiver are the same member.");
    let burn = Doc::new("Burn credits")
        .describe("Without a member those of the unallocated account.")
        .problem(404, UNKNOWN)
        .problem(409, "The account has not enough (`available`, `needed`).");
    Routes::new("cloud-api")
        .post("/api/v1/cloud/mints", handler::mint, mint)
        .post("/api/v1/cloud/transfers", handler::transfer, transfer)
        .post("/api/v1/cloud/burns", handler::burn, burn)
        .get(
            "/api/v1/cloud/balances/{member_id}",
            handler::balance,
            Doc::new("Read a balance").problem(404, UNKNOWN),
        )
        .get(
            "/api/v1/cloud/members/{member_id}/transactions",
            handler::transactions,
            Doc::new("List the movements of an account, newest first").problem(404, UNKNOWN),
        )
        .put(
            "/api/v1/cloud/treasury/accounts/{account_id}",
            handler::state_treasury_account,
            Doc::new("State the balance of a treasury account")
                .describe("The balance it has already changes nothing and tells nobody."),
        )
        .get(
            "/api/v1/cloud/treasury",
            handler::treasury,
            Doc::new("Read what is outstanding and what backs it"),
        )
}

/// The OpenAPI document of the function, for the one that `system-api` joins.
#[must_use]
pub fn openapi() -> serde_json::Value {
    routes().openapi()
}
