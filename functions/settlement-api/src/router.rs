//! The endpoints.

use std::sync::Arc;

use api::{Doc, Routes};

use crate::handler::{App, payments, settlements};

const NO_PAYMENT: &str = "The payment does not exist.";
const NO_SETTLEMENT: &str = "The settlement does not exist.";
const ILLEGAL: &str =
    "The status does not allow this step (`illegal-transition`: `from`, `to`, `allowed`).";

/// Every endpoint of the function.
#[must_use]
pub fn routes() -> Routes<Arc<App>> {
    let step = |summary| {
        Doc::new(summary)
            .problem(404, NO_PAYMENT)
            .problem(409, ILLEGAL)
    };
    let bare = |summary| step(summary).describe("The body is optional.");
    let refund = Doc::new("Refund a captured payment").problem(404, NO_PAYMENT).problem(
        409,
        "The status does not allow this step (`illegal-transition`: `from`, `to`, `allowed`), or settlements have the money (`refund-of-allocated`: `refundable`, `allocated`, `available`, `requested`).",
    ).problem(
        422,
        "The amount exceeds the rest of the captured amount (`refund-too-large`: `refundable`, `requested`).",
    );
    let routes = Routes::new("settlement-api")
        .post(
            "/api/v1/payments",
            payments::create,
            Doc::new("Create a payment"),
        )
        .get(
            "/api/v1/payments/{payment_id}",
            payments::payment,
            Doc::new("Read a payment").problem(404, NO_PAYMENT),
        )
        .post(
            "/api/v1/payments/{payment_id}/authorize",
            payments::authorize,
            bare("Authorize a payment"),
        )
        .post(
            "/api/v1/payments/{payment_id}/capture",
            payments::capture,
            bare("Capture a payment"),
        )
        .post(
            "/api/v1/payments/{payment_id}/cancel",
            payments::cancel,
            bare("Cancel a payment"),
        )
        .post(
            "/api/v1/payments/{payment_id}/fail",
            payments::fail,
            step("Record that a payment failed"),
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
    let create = Doc::new("Create a settlement of a payment")
        .describe("Selects the best of the networks by cost, speed and reliability, and allocates the amount in the payment. A settlement that fails gives it back.")
        .problem(404, NO_PAYMENT)
        .problem(409, "The payment is not captured, or all of it was refunded (`payment-not-captured`: `payment_id`, `payment_status`).")
        .problem(422, "The amount exceeds what is left of the payment (`settlement-too-large`: `available`, `requested`, `captured`, `refunded`, `allocated`), the currency is not the payment's (`currency-mismatch`: `currency`, `payment_currency`), or the list of networks is empty or too long, names a network twice, or has a reliability above 1 (`invalid-networks`).");
    let confirm = Doc::new("Record the confirmations of a settlement")
        .describe("The first confirmation makes it `confirming`, the required number `confirmed`. Stating the current number again changes nothing and publishes no event.")
        .problem(404, NO_SETTLEMENT)
        .problem(409, "The status does not allow this step (`illegal-transition`), or more confirmations have already been reported (`confirmations-went-back`: `current`, `stated`).");
    let witness = Doc::new("Compare a settlement with the state rebuilt from its events")
        .problem(404, NO_SETTLEMENT);
    let fail = step("Record that a settlement failed")
        .describe("Its payment gets the amount back at once, to be settled or refunded. Fail a submitted settlement only when its transaction can no longer take effect on the network.");
    routes
        .post("/api/v1/settlements", settlements::create, create)
        .get(
            "/api/v1/settlements",
            settlements::settlements,
            Doc::new("List the settlements in progress")
                .describe("By status, and oldest first within each status. The list lags a moment behind. A settlement whose status changes between two pages may appear on both or on neither."),
        )
        .get(
            "/api/v1/settlements/{settlement_id}",
            settlements::settlement,
            Doc::new("Read a settlement").problem(404, NO_SETTLEMENT),
        )
        .post(
            "/api/v1/settlements/{settlement_id}/submit",
            settlements::submit,
            step("Record that a settlement was submitted to its network"),
        )
        .post(
            "/api/v1/settlements/{settlement_id}/confirmations",
            settlements::confirm,
            confirm,
        )
        .post(
            "/api/v1/settlements/{settlement_id}/settle",
            settlements::settle,
            step("Record that a settlement succeeded"),
        )
        .post(
            "/api/v1/settlements/{settlement_id}/fail",
            settlements::fail,
            fail,
        )
        .get(
            "/api/v1/settlements/{settlement_id}/witness",
            settlements::witness,
            witness,
        )
}

/// The function's OpenAPI document. `system-api` merges it into that of the whole API.
#[must_use]
pub fn openapi() -> serde_json::Value {
    routes().openapi()
}
