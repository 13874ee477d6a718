//! Converts refusals into problems.

use api::{CommandError, Problem};
use http::StatusCode;
use loan::Refusal;

use super::unknown_loan;

/// Returns the problem that the caller receives for a refusal. Each refusal has its own problem type.
///
/// # Errors
/// [`CommandError`] if a value cannot be serialised.
pub(super) fn refused(refusal: &Refusal) -> Result<Problem, CommandError> {
    let words = refusal.to_string();
    let invalid = |pointer: &str| Problem::invalid(Vec::new()).violation(pointer, words.as_str());
    let unprocessable =
        |name, title| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, name, title).detail(&words);
    let conflict = |name, title| Problem::conflict(name, title).detail(&words);
    Ok(match refusal {
        Refusal::UnknownLoan { loan_id } => unknown_loan(*loan_id),
        Refusal::UnknownDraw { draw_id, .. } => {
            Problem::not_found(words.as_str()).with("draw_id", draw_id.to_string())
        }
        Refusal::UnknownBorrower { member_id } => Problem::not_found(words.as_str())
            .violation("/borrower_id", "is no member")
            .with("member_id", member_id.as_str()),
        // This function generates the ids, so a clash is our fault.
        Refusal::IdTaken => Problem::internal(refusal),
        // The request types already exclude this. The domain checks it nevertheless.
        Refusal::AmountNotPositive => invalid("/amount"),
        Refusal::AmountTooLarge { most } => {
            unprocessable("amount-too-large", "The amount exceeds the maximum")
                .violation("/amount", words.as_str())
                .with("most", serde_json::to_value(most)?)
        }
        // Only `loan-servicing` can get this refusal.
        Refusal::ScheduleMissing { .. } => Problem::internal(refusal),
        Refusal::RateOutOfRange => invalid("/interest_rate"),
        Refusal::TermOutOfRange => invalid("/term_months"),
        Refusal::TermTooShort { at_least } => unprocessable(
            "term-too-short",
            "The term is shorter than the months that have begun",
        )
        .violation("/term_months", words.as_str())
        .with("at_least", *at_least),
        Refusal::IllegalTransition(illegal) => conflict(
            "illegal-transition",
            "The loan's status does not allow this step",
        )
        .with("from", illegal.from.as_str())
        .with("to", illegal.to.as_str())
        .with("allowed", illegal.allowed.clone()),
        // `status` is a standard member of a problem (RFC 9457), hence the other name.
        Refusal::WrongStatus { status, allowed } => {
            conflict("wrong-status", "The loan's status does not allow this step")
                .with("loan_status", status.as_str())
                .with("allowed", serde_json::to_value(allowed)?)
        }
        Refusal::FundingTooLarge { amount } => {
            unprocessable("funding-too-large", "The amount exceeds the agreed amount")
                .violation("/funded_amount", words.as_str())
                .with("amount", serde_json::to_value(amount)?)
        }
        Refusal::DrawTooLarge { available } => {
            conflict("draw-too-large", "The amount exceeds what can be drawn")
                .violation("/amount", words.as_str())
                .with("available", serde_json::to_value(available)?)
        }
        Refusal::DrawDecided { status } => {
            conflict("draw-decided", "The draw has already been decided")
                .with("draw_status", status.as_str())
        }
        Refusal::ApprovalByRequester => Problem::approval_by_requester(words),
        Refusal::PaymentTooLarge { payoff } => {
            conflict("payment-too-large", "The payment exceeds the payoff amount")
                .violation("/amount", words.as_str())
                .with("payoff_amount", serde_json::to_value(payoff)?)
        }
        Refusal::TooLarge => unprocessable("too-large", "The sums are too large"),
    })
}
