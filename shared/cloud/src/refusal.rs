//! Why the rules refuse a command.

use events::{
    Credits, MemberId, PositionId, Sequence, Timestamp, TransactionId,
    contracts::cloud::{Primitive, ResourceUnit},
};
use rust_decimal::Decimal;

use crate::account::PaymentName;

/// The role in which a command names a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The owner of the credits.
    Holder,
    /// The sender of a transfer.
    Giver,
    /// The recipient of a transfer.
    Receiver,
    /// The member who proposes a rate card.
    Proposer,
    /// The member who approves a rate card.
    Approver,
}

/// Why the rules refuse a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The member does not exist.
    #[error("there is no member {member_id}")]
    UnknownMember {
        /// The role in which the command names the member.
        role: Role,
        /// The requested member.
        member_id: MemberId,
    },
    /// The stake does not exist.
    #[error("there is no stake {position_id}")]
    UnknownStake {
        /// The requested stake.
        position_id: PositionId,
    },
    /// The rate card to approve does not exist.
    #[error("there is no rate card {version}")]
    NoSuchRateCard {
        /// The requested number.
        version: Sequence,
    },
    /// Concurrent proposals keep taking the next number.
    #[error("concurrent proposals keep taking the next number")]
    NumbersContended,
    /// The amount is zero.
    #[error("the amount must be more than zero")]
    AmountNotPositive,
    /// The account has fewer credits to spend than the command needs.
    #[error("{available} CLOUD are available, {needed} are needed")]
    InsufficientBalance {
        /// The credits that can be spent.
        available: Credits,
        /// The requested amount.
        needed: Credits,
    },
    /// Sender and recipient are the same member.
    #[error("a member cannot transfer to themselves")]
    TransferToOneself,
    /// The Stripe payment was already minted.
    #[error("the Stripe {} was minted by transaction {first}", .name.as_str())]
    PaymentAlreadyMinted {
        /// The name under which it was minted.
        name: PaymentName,
        /// The transaction that minted it.
        first: TransactionId,
    },
    /// The balance would exceed what an account can hold.
    #[error("an account holds at most {max} CLOUD")]
    BalanceTooLarge {
        /// The most an account can hold.
        max: Decimal,
    },
    /// The value of the amount exceeds what an amount in US dollars can hold.
    #[error("the amount is worth more than can be stated in US dollars")]
    ValueTooLarge,

    /// The primitive is unknown.
    #[error("credits are redeemed for compute, transfer, ltm or stm")]
    UnknownPrimitive,
    /// The unit is unknown.
    #[error("quantities are in compute-hour, GB, GB-month or GB-hour")]
    UnknownUnit,
    /// The primitive is metered in another unit.
    #[error("{} is metered in {}", .primitive.as_str(), .expected.as_str())]
    WrongUnit {
        /// The primitive.
        primitive: Primitive,
        /// Its unit.
        expected: ResourceUnit,
    },
    /// The rate card does not exist.
    #[error("there is no rate card {version}")]
    UnknownRateCard {
        /// The requested number.
        version: Sequence,
    },
    /// The rate card is proposed but not approved.
    #[error("rate card {version} is not approved")]
    RateCardNotApproved {
        /// Its number.
        version: Sequence,
    },
    /// The rate card is not effective yet.
    #[error("rate card {version} is effective from {effective_date}")]
    RateCardNotEffective {
        /// Its number.
        version: Sequence,
        /// The date from which it is effective.
        effective_date: Timestamp,
    },
    /// Quantity × rate is less than half of the smallest amount.
    #[error("quantity times rate rounds to 0 CLOUD")]
    RedemptionRoundsToZero,
    /// Quantity × rate exceeds what an amount can hold.
    #[error("quantity times rate is more than {max} CLOUD")]
    RedemptionTooLarge {
        /// The largest amount.
        max: Decimal,
    },
    /// The caller calculated a different amount.
    #[error("the amount is {computed} CLOUD by the rate card, but the request states {stated}")]
    AmountDiffers {
        /// The amount in the request.
        stated: Credits,
        /// Quantity × rate, rounded half to even.
        computed: Credits,
    },

    /// The table of revenue shares does not have this duration.
    #[error("credits can be locked for {allowed} days")]
    UnknownLockDuration {
        /// The available durations, as text.
        allowed: String,
    },
    /// The stake is still locked.
    #[error("the stake is locked until {unlock_at}")]
    StakeLocked {
        /// When the lock ends.
        unlock_at: Timestamp,
    },
    /// The stake has already ended.
    #[error("the stake ended at {released_at}")]
    StakeReleased {
        /// When the stake ended.
        released_at: Timestamp,
    },

    /// The rate is zero, so no resource could be redeemed at it.
    #[error("the rate of {} must be more than zero", .primitive.as_str())]
    RateNotPositive {
        /// The primitive with this rate.
        primitive: Primitive,
    },
    /// Members would get the notice only after the rates are effective.
    #[error("the notice date must not be after the effective date")]
    NoticeAfterEffective,
    /// The rate card is already approved.
    #[error("rate card {version} was approved by {approved_by}")]
    RateCardApproved {
        /// Its number.
        version: Sequence,
        /// The member who approved it.
        approved_by: MemberId,
    },
    /// A member cannot approve their own proposal.
    #[error("rate card {version} must be approved by another member than its proposer")]
    ApprovalByProposer {
        /// Its number.
        version: Sequence,
    },
    /// The owner of the API key proposed the rate card and cannot also approve it.
    #[error("the owner of the key proposed rate card {version}, so another owner must approve it")]
    ApprovalByRequester {
        /// Its number.
        version: Sequence,
    },
}
