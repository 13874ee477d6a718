//! The endpoints.

use std::sync::Arc;

use api::{Doc, Routes};

use crate::handler::{App, draws, loans, reads};

const NO_LOAN: &str = "The loan does not exist.";
const NO_DRAW: &str = "The loan or the draw does not exist.";
const WRONG_STATUS: &str = "The loan's status does not allow this step (`wrong-status`: `loan_status`, `allowed`; `illegal-transition`: `from`, `to`, `allowed`).";
const OUT_OF_RANGE: &str = "The rate or the term is out of range.";

/// Every endpoint of the function.
#[must_use]
pub fn routes() -> Routes<Arc<App>> {
    let step = |summary| {
        Doc::new(summary)
            .problem(404, NO_LOAN)
            .problem(409, WRONG_STATUS)
    };
    let routes = Routes::new("loan-api")
        .post(
            "/api/v1/loans",
            loans::create,
            Doc::new("Create a loan")
                .problem(404, "The member does not exist.")
                .problem(422, OUT_OF_RANGE),
        )
        .get(
            "/api/v1/loans",
            reads::loans,
            Doc::new("List a borrower's loans").describe("Newest first.").problem(404, "The member does not exist."),
        )
        .get(
            "/api/v1/loans/{loan_id}",
            reads::loan,
            Doc::new("Read a loan and what is owed on it today").problem(404, NO_LOAN),
        )
        .post(
            "/api/v1/loans/{loan_id}/fund",
            loans::fund,
            step("Fund a loan")
                .describe("The payment schedule is created a moment later. The body is optional.")
                .problem(422, "The amount exceeds the agreed amount (`funding-too-large`: `amount`)."),
        )
        .post(
            "/api/v1/loans/{loan_id}/modify",
            loans::modify,
            step("Change a loan's terms")
                .describe("A funded loan gets a new schedule a moment later; paid instalments stay. Stating the current terms again changes nothing.")
                .problem(422, "The rate or the term is out of range, or the term is shorter than the months that have begun (`term-too-short`: `at_least`)."),
        )
        .post(
            "/api/v1/loans/{loan_id}/cancel",
            loans::cancel,
            step("Cancel a loan before it is funded").describe("The body is optional."),
        )
        .post(
            "/api/v1/loans/{loan_id}/payments",
            loans::pay,
            Doc::new("Record a payment")
                .describe("Pays interest first, then principal.")
                .problem(404, NO_LOAN)
                .problem(409, "The amount exceeds the payoff amount (`payment-too-large`: `payoff_amount`), or the loan's status does not allow it."),
        )
        .get(
            "/api/v1/loans/{loan_id}/payments",
            reads::payments,
            Doc::new("List a loan's payments").problem(404, NO_LOAN),
        )
        .get(
            "/api/v1/loans/{loan_id}/schedule",
            reads::schedule,
            Doc::new("Read a loan's payment schedule")
                .describe("The newest one, or an earlier `revision`.")
                .problem(404, "The loan does not exist, or does not have this schedule yet."),
        );
    with_draws(routes)
}

fn with_draws(routes: Routes<Arc<App>>) -> Routes<Arc<App>> {
    routes
        .post(
            "/api/v1/loans/{loan_id}/draws",
            draws::request,
            Doc::new("Request a draw of the agreed amount")
                .problem(404, NO_LOAN)
                .problem(409, "The amount exceeds what can be drawn (`draw-too-large`: `available`), or the loan's status does not allow it."),
        )
        .get(
            "/api/v1/loans/{loan_id}/draws",
            reads::draws,
            Doc::new("List a loan's draws").problem(404, NO_LOAN),
        )
        .post(
            "/api/v1/loans/{loan_id}/draws/{draw_id}/approve",
            draws::approve,
            Doc::new("Approve a draw")
                .describe("The owner of the key must not be the owner who requested the draw. The loan gets a new schedule a moment later.")
                .approves()
                .problem(404, NO_DRAW)
                .problem(409, "The draw has already been decided (`draw-decided`: `draw_status`), or exceeds what can be drawn (`draw-too-large`)."),
        )
        .post(
            "/api/v1/loans/{loan_id}/draws/{draw_id}/reject",
            draws::reject,
            Doc::new("Reject a draw")
                .decides()
                .problem(404, NO_DRAW)
                .problem(409, "The draw has already been decided (`draw-decided`: `draw_status`)."),
        )
}

/// The function's OpenAPI document. `system-api` merges it into that of the whole API.
#[must_use]
pub fn openapi() -> serde_json::Value {
    routes().openapi()
}
