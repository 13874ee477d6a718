//! Refusals as problems.

use api::{Failure, Problem};
use http::StatusCode;
use wallet::{HoldReason, Refusal};

use super::{escrows::unknown_escrow, unknown_member};

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
        Refusal::UnknownUser { user_id } => unknown_member("/path/user_id", user_id),
        Refusal::UnknownModel { model_id } => unknown_member("/model_id", model_id),
        Refusal::UnknownEscrow { escrow_id } => unknown_escrow(*escrow_id),
        // The bodies' types exclude it; the rule stands all the same.
        Refusal::AmountNotPositive => {
            Problem::invalid(Vec::new()).violation("/amount", words.as_str())
        }
        Refusal::InsufficientFunds { available, needed } => {
            conflict("insufficient-funds", "The account has not enough points")
                .with("available", serde_json::to_value(available)?)
                .with("needed", serde_json::to_value(needed)?)
        }
        Refusal::BalanceTooLarge { .. } => {
            conflict("balance-too-large", "The account cannot hold so much")
        }
        Refusal::UnknownReason => {
            let allowed = HoldReason::ALL.map(|reason| reason.wire().as_str().to_owned());
            unprocessable("unknown-reason", "Points are not held for that")
                .violation("/reason", words.as_str())
                .with("allowed", allowed.to_vec())
        }
        Refusal::EscrowNotHeld { status } => {
            conflict("escrow-not-held", "The escrow was ended before")
                .with("escrow_status", status.as_str())
        }
        // Which accounts these are follows from the path and the escrow, never from what a caller says.
        Refusal::OtherUser | Refusal::OtherAccountType { .. } => Problem::internal(refusal),
        Refusal::PartsDiffer {
            held, difference, ..
        } => unprocessable("parts-differ", "The parts are not what is held")
            .violation("/refund_amount", words.as_str())
            .with("held", serde_json::to_value(held)?)
            .with("difference", serde_json::to_value(difference)?),
    })
}
