//! Refusals as problems.

use api::{Failure, Problem};
use http::StatusCode;
use loan::Refusal;

use super::unknown_loan;

/// The problem that tells a caller of a refusal: a type of its own for each.
///
/// # Errors
/// [`Failure`] where a value does not serialise.
pub(super) fn refused(refusal: &Refusal) -> Result<Problem, Failure> {
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
        // Ids are made here.
        Refusal::IdTaken => Problem::internal(refusal),
        // The bodies' types exclude it; the rule stands all the same.
        Refusal::AmountNotPositive => invalid("/amount"),
        Refusal::AmountTooLarge { most } => unprocessable("amount-too-large", "Less can be lent")
            .violation("/amount", words.as_str())
            .with("most", serde_json::to_value(most)?),
        // Only the servicing asks for it.
        Refusal::ScheduleMissing { .. } => Problem::internal(refusal),
        Refusal::RateOutOfRange => invalid("/interest_rate"),
        Refusal::TermOutOfRange => invalid("/term_months"),
        Refusal::TermTooShort { at_least } => {
            unprocessable("term-too-short", "More months have begun")
                .violation("/term_months", words.as_str())
                .with("at_least", *at_least)
        }
        Refusal::IllegalTransition(illegal) => {
            conflict("illegal-transition", "Its status does not allow that")
                .with("from", illegal.from.as_str())
                .with("to", illegal.to.as_str())
                .with("allowed", illegal.allowed.clone())
        }
        // `status` is the answer's own (RFC 9457).
        Refusal::WrongStatus { status, allowed } => {
            conflict("wrong-status", "Its status does not allow that")
                .with("loan_status", status.as_str())
                .with("allowed", serde_json::to_value(allowed)?)
        }
        Refusal::FundingTooLarge { amount } => {
            unprocessable("funding-too-large", "Less was agreed on")
                .violation("/funded_amount", words.as_str())
                .with("amount", serde_json::to_value(amount)?)
        }
        Refusal::DrawTooLarge { available } => conflict("draw-too-large", "Less can be drawn")
            .violation("/amount", words.as_str())
            .with("available", serde_json::to_value(available)?),
        Refusal::DrawDecided { status } => {
            conflict("draw-decided", "The draw was decided on before")
                .with("draw_status", status.as_str())
        }
        Refusal::ApprovalByRequester => Problem::approval_by_requester(words),
        Refusal::PaymentTooLarge { payoff } => {
            conflict("payment-too-large", "Less pays the loan off")
                .violation("/amount", words.as_str())
                .with("payoff_amount", serde_json::to_value(payoff)?)
        }
        Refusal::TooLarge => unprocessable("too-large", "The sums are too large"),
    })
}
