//! The endpoints.

use std::sync::Arc;

use api::{Doc, Routes};

use crate::handler::{App, draws, loans, reads};

const NO_LOAN: &str = "There is no such loan.";
const NO_DRAW: &str = "There is no such loan or draw.";
const WRONG_STATUS: &str = "Its status does not allow that (`wrong-status`: `loan_status`, `allowed`; `illegal-transition`: `from`, `to`, `allowed`).";
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
            Doc::new("Agree on a loan")
                .problem(404, "There is no such member.")
                .problem(422, OUT_OF_RANGE),
        )
        .get(
            "/api/v1/loans",
            reads::loans,
            Doc::new("List a borrower's loans").describe("Newest first.").problem(404, "There is no such member."),
        )
        .get(
            "/api/v1/loans/{loan_id}",
            reads::loan,
            Doc::new("Read a loan and what is owed on it today").problem(404, NO_LOAN),
        )
        .post(
            "/api/v1/loans/{loan_id}/fund",
            loans::fund,
            step("Lend the money")
                .describe("Its payment schedule appears by itself a moment later. The body may be left out.")
                .problem(422, "More than was agreed on (`funding-too-large`: `amount`)."),
        )
        .post(
            "/api/v1/loans/{loan_id}/modify",
            loans::modify,
            step("Change a loan's terms")
                .describe("A funded loan gets a new schedule a moment later; instalments that were paid stay. Terms that hold already change nothing.")
                .problem(422, "The rate or the term is out of range, or more months have begun (`term-too-short`: `at_least`)."),
        )
        .post(
            "/api/v1/loans/{loan_id}/cancel",
            loans::cancel,
            step("Call a loan off before money is lent").describe("The body may be left out."),
        )
        .post(
            "/api/v1/loans/{loan_id}/payments",
            loans::pay,
            Doc::new("Take a payment")
                .describe("Pays interest first, then principal.")
                .problem(404, NO_LOAN)
                .problem(409, "More than pays the loan off (`payment-too-large`: `payoff_amount`), or its status does not allow it."),
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
                .problem(404, "There is no such loan, or no such schedule of it yet."),
        );
    with_draws(routes)
}

fn with_draws(routes: Routes<Arc<App>>) -> Routes<Arc<App>> {
    routes
        .post(
            "/api/v1/loans/{loan_id}/draws",
            draws::request,
            Doc::new("Ask for more of what was agreed on")
                .problem(404, NO_LOAN)
                .problem(409, "Less can be drawn (`draw-too-large`: `available`), or the loan's status does not allow it."),
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
                .describe("The owner of the key must be another one than asked for it. The loan gets a new schedule a moment later.")
                .approves()
                .problem(404, NO_DRAW)
                .problem(409, "It was decided on (`draw-decided`: `draw_status`), or less can be drawn (`draw-too-large`)."),
        )
        .post(
            "/api/v1/loans/{loan_id}/draws/{draw_id}/reject",
            draws::reject,
            Doc::new("Reject a draw")
                .decides()
                .problem(404, NO_DRAW)
                .problem(409, "It was decided on (`draw-decided`: `draw_status`)."),
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
