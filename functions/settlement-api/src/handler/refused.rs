//! Converts refusals into problems.

use api::{CommandError, Problem};
use http::StatusCode;
use settlement::Refusal;

use super::{unknown_payment, unknown_settlement};

/// Returns the problem that the caller receives for a refusal. Each refusal has its own problem type.
///
/// # Errors
/// [`CommandError`] if a value cannot be serialised.
pub(super) fn refused(refusal: &Refusal) -> Result<Problem, CommandError> {
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
        // This function generates the ids, so a clash is our fault. An allocation that is gone is damaged data.
        Refusal::IdTaken | Refusal::NotAllocated { .. } => Problem::internal(refusal),
        // The request types already exclude this. The domain checks it nevertheless.
        Refusal::AmountNotPositive => {
            Problem::invalid(Vec::new()).violation("/amount", words.as_str())
        }
        Refusal::IllegalTransition(illegal) => {
            conflict("illegal-transition", "The status does not allow this step")
                .with("from", illegal.from.as_str())
                .with("to", illegal.to.as_str())
                .with("allowed", illegal.allowed.clone())
        }
        Refusal::RefundTooLarge {
            refundable,
            requested,
        } => unprocessable(
            "refund-too-large",
            "The refund exceeds the refundable amount",
        )
        .violation("/amount", words.as_str())
        .with("refundable", serde_json::to_value(refundable)?)
        .with("requested", serde_json::to_value(requested)?),
        Refusal::RefundOfAllocated {
            refundable,
            allocated,
            available,
            requested,
        } => conflict(
            "refund-of-allocated",
            "The refund would take money that is allocated to settlements",
        )
        .violation("/amount", words.as_str())
        .with("refundable", serde_json::to_value(refundable)?)
        .with("allocated", serde_json::to_value(allocated)?)
        .with("available", serde_json::to_value(available)?)
        .with("requested", serde_json::to_value(requested)?),
        Refusal::NotCaptured { payment_id, status } => {
            conflict("payment-not-captured", "The payment is not captured")
                .violation("/payment_id", words.as_str())
                .with("payment_id", payment_id.to_string())
                .with("payment_status", status.as_str())
        }
        Refusal::OtherCurrency {
            settlement,
            payment,
        } => unprocessable(
            "currency-mismatch",
            "The settlement is in another currency than its payment",
        )
        .violation("/currency", words.as_str())
        .with("currency", settlement.as_str())
        .with("payment_currency", payment.as_str()),
        Refusal::SettlementTooLarge {
            available,
            requested,
            captured,
            refunded,
            allocated,
        } => unprocessable(
            "settlement-too-large",
            "The settlement exceeds what is left of its payment",
        )
        .violation("/amount", words.as_str())
        .with("available", serde_json::to_value(available)?)
        .with("requested", serde_json::to_value(requested)?)
        .with("captured", serde_json::to_value(captured)?)
        .with("refunded", serde_json::to_value(refunded)?)
        .with("allocated", serde_json::to_value(allocated)?),
        Refusal::Networks(found) => {
            let mut found = found.clone();
            for one in found.iter_mut() {
                one.pointer.insert_str(0, "/networks");
            }
            Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid-networks",
                "The list of networks is not valid",
            )
            .violations(found)
        }
        Refusal::ConfirmationsWentBack { current, stated } => conflict(
            "confirmations-went-back",
            "More confirmations have already been reported",
        )
        .with("current", *current)
        .with("stated", *stated),
    })
}
