//! The endpoints.

use std::sync::Arc;

use api::{Doc, Routes};

use crate::handler::{self, App, escrows, reads};

const UNKNOWN: &str = "There is no such member.";

/// Every endpoint of the function.
#[must_use]
pub fn routes() -> Routes<Arc<App>> {
    let deposit = Doc::new("Deposit points")
        .problem(404, UNKNOWN)
        .problem(409, "The account is full (`balance-too-large`).");
    let withdraw = Doc::new("Withdraw points")
        .describe("A user withdraws what is available, a model what is earned.")
        .problem(404, UNKNOWN)
        .problem(
            409,
            "The account has not enough (`insufficient-funds`: `available`, `needed`).",
        );
    let hold = Doc::new("Hold points")
        .describe("Sets points of a user aside for something asked for.")
        .problem(404, UNKNOWN)
        .problem(
            409,
            "The account has not enough (`insufficient-funds`: `available`, `needed`), or holds too much in escrow (`balance-too-large`).",
        )
        .problem(
            422,
            "Points are not held for that (`unknown-reason`, with those `allowed`).",
        );
    let ended = "It was ended before (`escrow-not-held`, with its `escrow_status`), or the account is full (`balance-too-large`).";
    let settle = Doc::new("Settle an escrow")
        .describe("All that is held becomes the model's earnings.")
        .problem(404, "There is no such escrow, or no such member.")
        .problem(409, ended);
    let refund = Doc::new("Refund an escrow")
        .describe("All that is held goes back to its user. The body may be left out.")
        .problem(404, "There is no such escrow.")
        .problem(409, ended);
    let partial_settle = Doc::new("Divide an escrow")
        .describe(
            "A part of what is held goes back to its user, the rest becomes the model's earnings.",
        )
        .problem(404, "There is no such escrow, or no such member.")
        .problem(409, ended)
        .problem(
            422,
            "The parts are not what is held (`parts-differ`, with the `difference`).",
        );
    Routes::new("wallet-api")
        .post(
            "/api/v1/wallets/{user_id}/deposits",
            handler::deposit,
            deposit,
        )
        .post(
            "/api/v1/wallets/{user_id}/withdrawals",
            handler::withdraw,
            withdraw,
        )
        .post("/api/v1/wallets/{user_id}/escrows", escrows::hold, hold)
        .get(
            "/api/v1/wallets/{user_id}/balance",
            reads::balance,
            Doc::new("Read a balance")
                .describe("As of a moment ago, unless `consistent` is asked for; never below what the answering instance wrote itself.")
                .problem(404, UNKNOWN),
        )
        .get(
            "/api/v1/wallets/{user_id}/ledger",
            reads::entries,
            Doc::new("List the ledger's entries of an account, newest first").problem(404, UNKNOWN),
        )
        .get(
            "/api/v1/wallets/{user_id}/activity",
            reads::activity,
            Doc::new("List what happened to a user's escrows, newest first").problem(404, UNKNOWN),
        )
        .get(
            "/api/v1/escrows/{escrow_id}",
            reads::escrow,
            Doc::new("Read an escrow").problem(404, "There is no such escrow."),
        )
        .post("/api/v1/escrows/{escrow_id}/settle", escrows::settle, settle)
        .post("/api/v1/escrows/{escrow_id}/refund", escrows::refund, refund)
        .post(
            "/api/v1/escrows/{escrow_id}/partial-settle",
            escrows::partial_settle,
            partial_settle,
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
