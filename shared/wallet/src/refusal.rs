//! Why the rules forbid a command.

use events::{Change, Points, Reward};
use rust_decimal::Decimal;

use crate::escrow::Status;

/// Why the rules forbid a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
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
