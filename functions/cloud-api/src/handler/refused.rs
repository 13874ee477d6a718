//! Converts refusals into problems.

use api::{CommandError, Problem};
use cloud::{Refusal, Role, account::PaymentName};
use http::StatusCode;

use super::{rate_cards::unknown_card, unknown_member};

/// The JSON pointer at which a request names a member of this role.
fn pointer(role: Role) -> &'static str {
    match role {
        Role::Holder => "/member_id",
        Role::Giver => "/from_member_id",
        Role::Receiver => "/to_member_id",
        Role::Proposer => "/proposed_by",
        Role::Approver => "/approved_by",
    }
}

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
        Refusal::UnknownMember { role, member_id } => unknown_member(pointer(*role), member_id),
        Refusal::UnknownStake { position_id } => {
            Problem::not_found(words.as_str()).with("position_id", position_id.to_string())
        }
        Refusal::NoSuchRateCard { version } => unknown_card(*version),
        Refusal::NumbersContended => Problem::contention(),
        // The request types already exclude this. The domain checks it nevertheless.
        Refusal::AmountNotPositive | Refusal::ValueTooLarge => invalid("/amount"),
        Refusal::TransferToOneself => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "transfer-to-oneself",
            "A member cannot transfer to themselves",
        )
        .violation(
            "/to_member_id",
            "must be another member than from_member_id",
        ),
        Refusal::InsufficientBalance { available, needed } => {
            Problem::conflict("insufficient-balance", "The balance is insufficient")
                .detail(&words)
                .with("available", serde_json::to_value(available)?)
                .with("needed", serde_json::to_value(needed)?)
        }
        Refusal::PaymentAlreadyMinted { name, first } => {
            let (field, problem, title) = match name {
                PaymentName::Charge => (
                    "/stripe_charge_id",
                    "charge-already-minted",
                    "The Stripe charge has already been minted",
                ),
                PaymentName::PaymentIntent => (
                    "/stripe_payment_intent_id",
                    "payment-intent-already-minted",
                    "The Stripe payment intent has already been minted",
                ),
            };
            conflict(problem, title)
                .violation(field, words.as_str())
                .with("transaction_id", first.to_string())
        }
        Refusal::BalanceTooLarge { .. } => {
            conflict("balance-too-large", "The balance would exceed the maximum")
        }
        Refusal::UnknownPrimitive => unprocessable("unknown-primitive", "The primitive is unknown")
            .violation("/primitive", words.as_str()),
        Refusal::UnknownUnit => {
            unprocessable("unknown-unit", "The unit is unknown").violation("/unit", words.as_str())
        }
        Refusal::WrongUnit { expected, .. } => {
            unprocessable("wrong-unit", "The primitive is metered in another unit")
                .violation("/unit", words.as_str())
                .with("expected", expected.as_str())
        }
        Refusal::UnknownRateCard { version } => Problem::new(
            StatusCode::NOT_FOUND,
            "unknown-rate-card",
            "The rate card is unknown",
        )
        .detail(&words)
        .with("rate_card_version", version.number()),
        Refusal::RateCardNotApproved { version } => {
            conflict("rate-card-not-approved", "The rate card is not approved")
                .with("rate_card_version", version.number())
        }
        Refusal::RateCardNotEffective {
            version,
            effective_date,
        } => conflict(
            "rate-card-not-effective",
            "The rate card is not effective yet",
        )
        .with("rate_card_version", version.number())
        .with("effective_date", effective_date.to_string()),
        Refusal::RedemptionRoundsToZero => unprocessable(
            "redemption-rounds-to-zero",
            "The cost of the quantity rounds to zero",
        )
        .violation("/quantity", words.as_str()),
        Refusal::RedemptionTooLarge { .. } => unprocessable(
            "redemption-too-large",
            "The cost of the quantity is too large",
        )
        .violation("/quantity", words.as_str()),
        Refusal::AmountDiffers { stated, computed } => {
            unprocessable("amount-differs", "The amount differs from the rate card's")
                .violation("/amount", words.as_str())
                .with("stated", serde_json::to_value(stated)?)
                .with("computed", serde_json::to_value(computed)?)
        }
        Refusal::UnknownLockDuration { .. } => {
            unprocessable("unknown-lock-duration", "The lock duration is not offered")
                .violation("/lock_duration_days", words.as_str())
        }
        Refusal::StakeLocked { unlock_at } => conflict("stake-locked", "The stake is still locked")
            .with("unlock_at", unlock_at.to_string()),
        Refusal::StakeReleased { released_at } => {
            conflict("stake-released", "The stake has already ended")
                .with("released_at", released_at.to_string())
        }
        // The request types already exclude this. The domain checks it nevertheless.
        Refusal::RateNotPositive { primitive } => {
            invalid(&format!("/rates/{}", primitive.as_str()))
        }
        Refusal::NoticeAfterEffective => unprocessable(
            "notice-after-effective",
            "The notice date is after the effective date",
        )
        .violation("/notice_date", words.as_str()),
        Refusal::RateCardApproved {
            version,
            approved_by,
        } => conflict(
            "rate-card-already-approved",
            "The rate card is already approved",
        )
        .with("rate_card_version", version.number())
        .with("approved_by", approved_by.as_str()),
        Refusal::ApprovalByProposer { version } => conflict(
            "approval-by-proposer",
            "Proposer and approver are the same member",
        )
        .with("rate_card_version", version.number()),
        Refusal::ApprovalByRequester { version } => {
            Problem::approval_by_requester(words).with("rate_card_version", version.number())
        }
    })
}
