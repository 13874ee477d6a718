//! The endpoints.

use std::sync::Arc;

use api::{Doc, Routes};

use crate::handler::{self, App};

const NO_ACCOUNT: &str = "The customer has no credit account.";

/// Every endpoint of the function.
#[must_use]
pub fn routes() -> Routes<Arc<App>> {
    Routes::new("commerce-credit-api")
        .put(
            "/api/v1/credit-accounts/{customer_id}/limit",
            handler::limit,
            Doc::new("Set how much a business may owe")
                .describe("The first limit opens its account. A limit below what is reserved and owed takes nothing back; no more is given until it is less.")
                .decides()
                .problem(404, "There is no such customer.")
                .problem(409, "The customer is no business (`no-business`), or its account is in another currency (`other-currency`: `currency`)."),
        )
        .get(
            "/api/v1/credit-accounts",
            handler::accounts,
            Doc::new("List credit accounts").describe("By the customer's id."),
        )
        .get(
            "/api/v1/credit-accounts/{customer_id}",
            handler::account,
            Doc::new("Read a credit account").problem(404, NO_ACCOUNT),
        )
        .get(
            "/api/v1/credit-accounts/{customer_id}/check",
            handler::check,
            Doc::new("Ask whether credit would be given for an amount")
                .describe("The answer holds for this moment: nothing is reserved.")
                .problem(404, NO_ACCOUNT),
        )
        .get(
            "/api/v1/credit-accounts/{customer_id}/transactions",
            handler::transactions,
            Doc::new("List what happened on a credit account")
                .describe("The events `credit.changed`, each with the order that it is a step of.")
                .problem(404, NO_ACCOUNT),
        )
        .post(
            "/api/v1/credit-accounts/{customer_id}/block",
            handler::block,
            Doc::new("Give a business no more credit")
                .describe("What is reserved and owed stays. Its next orders are rejected.")
                .problem(404, NO_ACCOUNT),
        )
        .post(
            "/api/v1/credit-accounts/{customer_id}/unblock",
            handler::unblock,
            Doc::new("Give a business credit again").problem(404, NO_ACCOUNT),
        )
        .post(
            "/api/v1/credit-accounts/{customer_id}/payments",
            handler::pay,
            Doc::new("Book a payment for an order")
                .describe("`external_reference` names the payment: it is booked only once. The order learns of it by an event.")
                .problem(404, NO_ACCOUNT)
                .problem(409, "The payment is booked (`already-booked`: `order_id`, `amount`), nothing is open for the order (`nothing-open`), or less is open than is paid (`more-than-open`: `open`)."),
        )
}

/// The function's OpenAPI document. `system-api` merges it into that of the whole API.
#[must_use]
pub fn openapi() -> serde_json::Value {
    routes().openapi()
}
