//! Converts refusals into problems.

use api::{CommandError, Problem};
use http::StatusCode;
use wallet::{HoldReason, Refusal};

use super::{escrows::unknown_escrow, unknown_member};

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
        Refusal::UnknownUser { user_id } => unknown_member("/path/user_id", user_id),
        Refusal::UnknownModel { model_id } => unknown_member("/model_id", model_id),
        Refusal::UnknownEscrow { escrow_id } => unknown_escrow(*escrow_id),
        // The request types already exclude this. The domain checks it nevertheless.
        Refusal::AmountNotPositive => {
            Problem::invalid(Vec::new()).violation("/amount", words.as_str())
        }
        Refusal::InsufficientFunds { available, needed } => conflict(
            "insufficient-funds",
            "The account does not have enough points",
        )
        .with("available", serde_json::to_value(available)?)
        .with("needed", serde_json::to_value(needed)?),
        Refusal::PaymentBooked { first, .. } => conflict(
            "external-reference-booked",
            "The external reference has already been booked",
        )
        .violation("/external_reference", words.as_str())
        .with("transaction_id", first.transaction_id.to_string())
        .with("account_id", first.account_id.as_str())
        .with("account_type", first.account_type.as_str())
        .with("amount", serde_json::to_value(first.amount)?)
        .with("booked_at", first.booked_at.to_string()),
        Refusal::BalanceTooLarge { .. } => {
            conflict("balance-too-large", "The balance would exceed the maximum")
        }
        Refusal::UnknownReason => {
            let allowed = HoldReason::ALL.map(|reason| reason.wire().as_str().to_owned());
            unprocessable("unknown-reason", "The reason is unknown")
                .violation("/reason", words.as_str())
                .with("allowed", allowed.to_vec())
        }
        Refusal::EscrowNotHeld { status } => {
            conflict("escrow-not-held", "The escrow has already ended")
                .with("escrow_status", status.as_str())
        }
        // The accounts follow from the path and the escrow, never from the request's body, so a mismatch is our fault.
        Refusal::OtherUser | Refusal::OtherAccountType { .. } => Problem::internal(refusal),
        Refusal::PartsDiffer {
            held, difference, ..
        } => unprocessable("parts-differ", "The parts do not add up to the held amount")
            .violation("/refund_amount", words.as_str())
            .with("held", serde_json::to_value(held)?)
            .with("difference", serde_json::to_value(difference)?),
    })
}
