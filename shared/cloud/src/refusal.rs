//! Why the rules forbid a command.

use events::{
    Credits, MemberId, PositionId, Sequence, Timestamp, TransactionId,
    contracts::cloud::{Primitive, ResourceUnit},
};
use rust_decimal::Decimal;

/// As what a command names a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Whose credits.
    Holder,
    /// Who gives.
    Giver,
    /// Who gets.
    Receiver,
    /// Who proposes a rate card.
    Proposer,
    /// Who approves one.
    Approver,
}

/// Why the rules forbid a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such member.
    #[error("there is no member {member_id}")]
    UnknownMember {
        /// As what it is named.
        role: Role,
        /// Who was asked for.
        member_id: MemberId,
    },
    /// There is no such stake.
    #[error("there is no stake {position_id}")]
    UnknownStake {
        /// Which was asked for.
        position_id: PositionId,
    },
    /// There is no rate card to approve.
    #[error("there is no rate card {version}")]
    NoSuchRateCard {
        /// The number asked for.
        version: Sequence,
    },
    /// Others keep taking the next number.
    #[error("others keep proposing rate cards")]
    NumbersContended,
    /// Nothing, or less, cannot be moved.
    #[error("the amount must be more than zero")]
    AmountNotPositive,
    /// The account has less to spend than is asked of it.
    #[error("{available} CLOUD are available, {needed} are needed")]
    InsufficientBalance {
        /// What can be spent.
        available: Credits,
        /// The amount asked for.
        needed: Credits,
    },
    /// Giver and receiver are one.
    #[error("a member cannot transfer to themselves")]
    TransferToOneself,
    /// The Stripe charge was minted before.
    #[error("the Stripe charge was minted by transaction {first}")]
    ChargeAlreadyMinted {
        /// The transaction that minted it.
        first: TransactionId,
    },
    /// The balance would be more than an account can hold.
    #[error("an account holds at most {max} CLOUD")]
    BalanceTooLarge {
        /// The most an account can hold.
        max: Decimal,
    },
    /// The amount is worth more dollars than can be stated.
    #[error("the amount is worth more than can be stated in US dollars")]
    ValueTooLarge,

    /// No such primitive.
    #[error("credits are redeemed for compute, transfer, ltm or stm")]
    UnknownPrimitive,
    /// No such unit.
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
    /// There is no such rate card.
    #[error("there is no rate card {version}")]
    UnknownRateCard {
        /// The number asked for.
        version: Sequence,
    },
    /// The rate card was proposed and not approved.
    #[error("rate card {version} is not approved")]
    RateCardNotApproved {
        /// Its number.
        version: Sequence,
    },
    /// The rate card's rates do not hold yet.
    #[error("rate card {version} holds from {effective_date} on")]
    RateCardNotEffective {
        /// Its number.
        version: Sequence,
        /// From when on.
        effective_date: Timestamp,
    },
    /// Quantity × rate is less than half of the smallest step.
    #[error("quantity times rate rounds to 0 CLOUD")]
    RedemptionRoundsToZero,
    /// Quantity × rate is more than an amount can state.
    #[error("quantity times rate is more than {max} CLOUD")]
    RedemptionTooLarge {
        /// The most an amount can state.
        max: Decimal,
    },
    /// The caller computed another amount.
    #[error("the amount is {computed} CLOUD by the rate card, {stated} were stated")]
    AmountDiffers {
        /// What the caller stated.
        stated: Credits,
        /// Quantity × rate, rounded half to even.
        computed: Credits,
    },

    /// The table of revenue shares has no such duration.
    #[error("credits are locked for {allowed} days")]
    UnknownLockDuration {
        /// The durations that it has, in words.
        allowed: String,
    },
    /// The stake is still locked.
    #[error("the stake is locked until {unlock_at}")]
    StakeLocked {
        /// Until when.
        unlock_at: Timestamp,
    },
    /// The stake was ended before.
    #[error("the stake was ended at {released_at}")]
    StakeReleased {
        /// When.
        released_at: Timestamp,
    },

    /// A rate of nothing: nothing could be redeemed by it.
    #[error("the rate of {} must be more than zero", .primitive.as_str())]
    RateNotPositive {
        /// Whose.
        primitive: Primitive,
    },
    /// Members would be told only after the rates hold.
    #[error("the notice date must not be after the effective date")]
    NoticeAfterEffective,
    /// The rate card was approved before.
    #[error("rate card {version} was approved by {approved_by}")]
    RateCardApproved {
        /// Its number.
        version: Sequence,
        /// By whom.
        approved_by: MemberId,
    },
    /// Nobody approves what they proposed themselves.
    #[error("rate card {version} must be approved by another member than its proposer")]
    ApprovalByProposer {
        /// Its number.
        version: Sequence,
    },
    /// The owner of the key that proposed the rate card cannot approve it.
    #[error("the key's owner proposed rate card {version}, so another one has to approve it")]
    ApprovalByRequester {
        /// Its number.
        version: Sequence,
    },
}
