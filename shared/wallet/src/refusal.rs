//! Why the rules forbid a command.

use events::{Change, EscrowId, MemberId, Points, Reward, contracts::wallet::AccountType};
use rust_decimal::Decimal;

use crate::escrow::Status;

/// Why the rules forbid a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The account's owner is no member.
    #[error("there is no member {user_id}")]
    UnknownUser {
        /// Who was asked for.
        user_id: MemberId,
    },
    /// The model is no member.
    #[error("there is no member {model_id}")]
    UnknownModel {
        /// Who was asked for.
        model_id: MemberId,
    },
    /// There is no such escrow.
    #[error("there is no escrow {escrow_id}")]
    UnknownEscrow {
        /// Which was asked for.
        escrow_id: EscrowId,
    },
    /// Nothing, or less, cannot be moved.
    #[error("the amount must be more than zero")]
    AmountNotPositive,
    /// The account has less than is asked of it.
    #[error("{available} points are available, {needed} are needed")]
    InsufficientFunds {
        /// What there is.
        available: Points,
        /// The amount asked for.
        needed: Points,
    },
    /// The balance would be more than an account can hold.
    #[error("an account holds at most {max} points")]
    BalanceTooLarge {
        /// The most an account can hold.
        max: Decimal,
    },
    /// No such reason.
    #[error("points are held for performance_request, feature_purchase, tip, game or other")]
    UnknownReason,
    /// The escrow was ended before.
    #[error("the escrow is {}", .status.as_str())]
    EscrowNotHeld {
        /// What it is.
        status: Status,
    },
    /// What is held is another's, and neither goes back to nor is taken from this account.
    #[error("the escrow is of another user's account")]
    OtherUser,
    /// A user's points are held and brought in, a model's are earned: never the other way round.
    #[error("this is done on a {needed}'s account")]
    OtherAccountType {
        /// As what the member would have to hold the account.
        needed: AccountType,
    },
    /// The parts are not what is held.
    #[error("{held} points are held, {refund} and {settle} differ from it by {difference}")]
    PartsDiffer {
        /// What is held.
        held: Points,
        /// The part that is to go back.
        refund: Points,
        /// The part that is to be earned.
        settle: Points,
        /// Both parts less what is held.
        difference: Change<Reward>,
    },
}
