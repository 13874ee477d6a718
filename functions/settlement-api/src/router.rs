//! The endpoints.

use std::sync::Arc;

use api::{Doc, Routes};

use crate::handler::{App, payments, settlements};

const NO_PAYMENT: &str = "There is no such payment.";
const NO_SETTLEMENT: &str = "There is no such settlement.";
const ILLEGAL: &str =
    "Its status does not allow that (`illegal-transition`: `from`, `to`, `allowed`).";

/// Every endpoint of the function.
#[must_use]
pub fn routes() -> Routes<Arc<App>> {
    let step = |summary| {
        Doc::new(summary)
            .problem(404, NO_PAYMENT)
            .problem(409, ILLEGAL)
    };
    let bare = |summary| step(summary).describe("The body may be left out.");
    let refund = step("Give money of a captured payment back").problem(
        422,
        "More than is left of what was captured (`refund-too-large`: `refundable`, `requested`).",
    );
    let routes = Routes::new("settlement-api")
        .post(
            "/api/v1/payments",
            payments::create,
            Doc::new("Ask for a payment"),
        )
        .get(
            "/api/v1/payments/{payment_id}",
            payments::payment,
            Doc::new("Read a payment").problem(404, NO_PAYMENT),
        )
        .post(
            "/api/v1/payments/{payment_id}/authorize",
            payments::authorize,
            bare("Note that the payer agreed"),
        )
        .post(
            "/api/v1/payments/{payment_id}/capture",
            payments::capture,
            bare("Note that a payment's money is there"),
        )
        .post(
            "/api/v1/payments/{payment_id}/cancel",
            payments::cancel,
            bare("Call a payment off"),
        )
        .post(
            "/api/v1/payments/{payment_id}/fail",
            payments::fail,
            step("Note that a payment failed"),
        )
        .post(
            "/api/v1/payments/{payment_id}/refunds",
            payments::refund,
            refund,
        );
    with_settlements(routes)
}

fn with_settlements(routes: Routes<Arc<App>>) -> Routes<Arc<App>> {
    let step = |summary| {
        Doc::new(summary)
            .problem(404, NO_SETTLEMENT)
            .problem(409, ILLEGAL)
    };
    let create = Doc::new("Settle money of a payment")
        .describe("Selects the best of the networks by cost, speed and reliability. The payment stays as it is.")
        .problem(404, NO_PAYMENT)
        .problem(422, "The networks are none, too many, named twice or more reliable than 1 (`invalid-networks`).");
    let confirm = Doc::new("Note how often the network has confirmed a settlement")
        .describe("The first confirmation makes it `confirming`, the required number `confirmed`. The number it has already changes nothing and tells nobody.")
        .problem(404, NO_SETTLEMENT)
        .problem(409, "Its status does not allow that (`illegal-transition`), or there were more already (`confirmations-went-back`: `current`, `stated`).");
    let witness = Doc::new("Compare a settlement with what its events alone come to")
        .problem(404, NO_SETTLEMENT);
    routes
        .post("/api/v1/settlements", settlements::create, create)
        .get(
            "/api/v1/settlements",
            settlements::settlements,
            Doc::new("List the settlements under way")
                .describe("By status, oldest first within each; a moment behind. One that moves on while you turn pages may stand on two of them, or on none."),
        )
        .get(
            "/api/v1/settlements/{settlement_id}",
            settlements::settlement,
            Doc::new("Read a settlement").problem(404, NO_SETTLEMENT),
        )
        .post(
            "/api/v1/settlements/{settlement_id}/submit",
            settlements::submit,
            step("Note that a settlement was handed to its network"),
        )
        .post(
            "/api/v1/settlements/{settlement_id}/confirmations",
            settlements::confirm,
            confirm,
        )
        .post(
            "/api/v1/settlements/{settlement_id}/settle",
            settlements::settle,
            step("End a settlement well"),
        )
        .post(
            "/api/v1/settlements/{settlement_id}/fail",
            settlements::fail,
            step("End a settlement badly"),
        )
        .get(
            "/api/v1/settlements/{settlement_id}/witness",
            settlements::witness,
            witness,
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
