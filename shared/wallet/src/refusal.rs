//! Why the rules forbid a command.

use events::{Change, EscrowId, MemberId, Points, Reward, contracts::wallet::AccountType};
use rust_decimal::Decimal;

use crate::{
    escrow::Status,
    outside::{Booked, Direction},
};

/// Why the rules forbid a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The account's owner is not a member.
    #[error("there is no member {user_id}")]
    UnknownUser {
        /// The requested member.
        user_id: MemberId,
    },
    /// The model is not a member.
    #[error("there is no member {model_id}")]
    UnknownModel {
        /// The requested member.
        model_id: MemberId,
    },
    /// There is no such escrow.
    #[error("there is no escrow {escrow_id}")]
    UnknownEscrow {
        /// The requested escrow.
        escrow_id: EscrowId,
    },
    /// The amount is zero.
    #[error("the amount must be more than zero")]
    AmountNotPositive,
    /// The outside's payment was booked before.
    #[error(
        "the {} was booked by transaction {} for {}: {} points", .direction.as_str(), .first.transaction_id,
        .first.account_type.account(&.first.account_id), .first.amount
    )]
    PaymentBooked {
        /// Into the account or out of it.
        direction: Direction,
        /// What was booked.
        first: Box<Booked>,
    },
    /// The account holds less than the command needs.
    #[error("{available} points are available, {needed} are needed")]
    InsufficientFunds {
        /// The points available.
        available: Points,
        /// The amount asked for.
        needed: Points,
    },
    /// The balance would be more than an account can hold.
    #[error("an account holds at most {max} points")]
    BalanceTooLarge {
        /// The most points an account can hold.
        max: Decimal,
    },
    /// The reason is not on the list of hold reasons.
    #[error("the reason must be performance_request, feature_purchase, tip, game or other")]
    UnknownReason,
    /// The escrow has already ended.
    #[error("the escrow is {}", .status.as_str())]
    EscrowNotHeld {
        /// The escrow's status.
        status: Status,
    },
    /// The escrow belongs to another user, so this account can neither receive nor lose its points.
    #[error("the escrow belongs to another user's account")]
    OtherUser,
    /// Deposits and holds need a user's account, earnings need a model's account.
    #[error("this operation needs a {needed}'s account")]
    OtherAccountType {
        /// The account type that the operation needs.
        needed: AccountType,
    },
    /// The two parts do not add up to the held amount.
    #[error(
        "{held} points are held; the parts {refund} and {settle} differ from that by {difference}"
    )]
    PartsDiffer {
        /// The held amount.
        held: Points,
        /// The part to refund.
        refund: Points,
        /// The part to settle.
        settle: Points,
        /// The sum of both parts minus the held amount.
        difference: Change<Reward>,
    },
}
