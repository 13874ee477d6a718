//! Refusals as problems.

use api::{Failure, Problem};
use http::StatusCode;
use settlement::Refusal;

use super::{unknown_payment, unknown_settlement};

/// The problem that tells a caller of a refusal: a type of its own for each.
///
/// # Errors
/// [`Failure`] where a value does not serialise.
pub(super) fn refused(refusal: &Refusal) -> Result<Problem, Failure> {
    let words = refusal.to_string();
    let unprocessable =
        |name, title| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, name, title).detail(&words);
    let conflict = |name, title| Problem::conflict(name, title).detail(&words);
    Ok(match refusal {
        Refusal::UnknownPayment { payment_id } => unknown_payment(*payment_id),
        Refusal::UnknownPaymentNamed { payment_id } => {
            unknown_payment(*payment_id).violation("/payment_id", "is no payment")
        }
        Refusal::UnknownSettlement { settlement_id } => unknown_settlement(*settlement_id),
        // Ids are made here.
        Refusal::IdTaken => Problem::internal(refusal),
        // The bodies' types exclude it; the rule stands all the same.
        Refusal::AmountNotPositive => {
            Problem::invalid(Vec::new()).violation("/amount", words.as_str())
        }
        Refusal::IllegalTransition(illegal) => {
            conflict("illegal-transition", "Its status does not allow that")
                .with("from", illegal.from.as_str())
                .with("to", illegal.to.as_str())
                .with("allowed", illegal.allowed.clone())
        }
        Refusal::RefundTooLarge {
            refundable,
            requested,
        } => unprocessable("refund-too-large", "Less can be refunded")
            .violation("/amount", words.as_str())
            .with("refundable", serde_json::to_value(refundable)?)
            .with("requested", serde_json::to_value(requested)?),
        Refusal::Networks(found) => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-networks",
            "The networks are not a choice",
        )
        .violations(found.iter().map(|one| events::Violation {
            pointer: format!("/networks{}", one.pointer),
            message: one.message.clone(),
        })),
        Refusal::ConfirmationsWentBack { current, stated } => conflict(
            "confirmations-went-back",
            "There were more confirmations already",
        )
        .with("current", *current)
        .with("stated", *stated),
    })
}
