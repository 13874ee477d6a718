//! The endpoints.

use std::sync::Arc;

use api::{Doc, Routes};

use crate::handler::{self, App, escrows, reads};

const UNKNOWN: &str = "The member does not exist.";

/// Every endpoint of the function.
#[must_use]
pub fn routes() -> Routes<Arc<App>> {
    let deposit = Doc::new("Deposit points")
        .describe(
            "Books a payment from outside. `external_reference` names it: it is deposited only once.",
        )
        .problem(404, UNKNOWN)
        .problem(
            409,
            "The payment was deposited before (`external-reference-booked`: the movement and its amount), or the balance would exceed the maximum (`balance-too-large`).",
        );
    let withdraw = Doc::new("Withdraw points")
        .describe("A user withdraws available points, a model earned points. `external_reference` names the payment to the outside: it is withdrawn only once.")
        .problem(404, UNKNOWN)
        .problem(
            409,
            "The payment was withdrawn before (`external-reference-booked`: the movement and its amount), or the account does not have enough points (`insufficient-funds`: `available`, `needed`).",
        );
    let hold = Doc::new("Hold points")
        .describe("Holds points of a user for something that the user requested.")
        .problem(404, UNKNOWN)
        .problem(
            409,
            "The account does not have enough points (`insufficient-funds`: `available`, `needed`), or its escrow balance would exceed the maximum (`balance-too-large`).",
        )
        .problem(
            422,
            "The reason is unknown (`unknown-reason`, with the `allowed` reasons).",
        );
    let ended = "The escrow has already ended (`escrow-not-held`, with its `escrow_status`), or the balance would exceed the maximum (`balance-too-large`).";
    let settle = Doc::new("Settle an escrow")
        .describe("The whole held amount becomes the model's earnings.")
        .problem(404, "The escrow or the member does not exist.")
        .problem(409, ended);
    let refund = Doc::new("Refund an escrow")
        .describe("The whole held amount goes back to the user. The body is optional.")
        .problem(404, "The escrow does not exist.")
        .problem(409, ended);
    let partial_settle = Doc::new("Divide an escrow")
        .describe(
            "A part of the held amount goes back to the user, and the rest becomes the model's earnings.",
        )
        .problem(404, "The escrow or the member does not exist.")
        .problem(409, ended)
        .problem(
            422,
            "The parts do not add up to the held amount (`parts-differ`, with the `difference`).",
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
                .describe("The balance may lag a moment behind, unless `consistent` is true. It never lags behind the writes of the answering instance.")
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
            Doc::new("Read an escrow").problem(404, "The escrow does not exist."),
        )
        .post("/api/v1/escrows/{escrow_id}/settle", escrows::settle, settle)
        .post("/api/v1/escrows/{escrow_id}/refund", escrows::refund, refund)
        .post(
            "/api/v1/escrows/{escrow_id}/partial-settle",
            escrows::partial_settle,
            partial_settle,
        )
}

/// The function's OpenAPI document. `system-api` merges it into that of the whole API.
#[must_use]
pub fn openapi() -> serde_json::Value {
    routes().openapi()
}
