//! Why a command is refused.

use domain::Illegal;
use events::{DrawId, LoanId, MemberId, Money, contracts::loan::LoanStatus};

use crate::draw::DrawStatus;

/// Why a command is refused. Each kind becomes a problem of its own type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such loan.
    #[error("there is no loan {loan_id}")]
    UnknownLoan {
        /// Which.
        loan_id: LoanId,
    },
    /// There is no such draw of the loan.
    #[error("loan {loan_id} has no draw {draw_id}")]
    UnknownDraw {
        /// Of which loan.
        loan_id: LoanId,
        /// Which.
        draw_id: DrawId,
    },
    /// The borrower is no member.
    #[error("there is no member {member_id}")]
    UnknownBorrower {
        /// Who.
        member_id: MemberId,
    },
    /// A new id is in use.
    #[error("the new id is in use")]
    IdTaken,
    /// Nothing is no amount.
    #[error("must be more than zero")]
    AmountNotPositive,
    /// More than can be lent.
    #[error("at most {most} can be lent")]
    AmountTooLarge {
        /// How much can.
        most: Money,
    },
    /// A schedule that the loan counts is not there.
    #[error("schedule {revision} is not there")]
    ScheduleMissing {
        /// Which.
        revision: events::Sequence,
    },
    /// The rate is out of range.
    #[error("must be 0 to 100 % a year")]
    RateOutOfRange,
    /// The term is out of range.
    #[error("must be 1 to 480 months")]
    TermOutOfRange,
    /// The term would be over before the months that have begun.
    #[error("must be {at_least} months at least: so many have begun")]
    TermTooShort {
        /// The shortest term that is left.
        at_least: u32,
    },
    /// The loan's status cannot become that.
    #[error(transparent)]
    IllegalTransition(#[from] Illegal),
    /// The loan's status does not allow it.
    #[error("the loan is {status}; it must be {}", .allowed.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(" or "))]
    WrongStatus {
        /// Its status.
        status: LoanStatus,
        /// The statuses that allow it.
        allowed: &'static [LoanStatus],
    },
    /// More than was agreed on.
    #[error("at most {amount} was agreed on")]
    FundingTooLarge {
        /// What was agreed on.
        amount: Money,
    },
    /// More than is left to draw.
    #[error("{available} can be drawn")]
    DrawTooLarge {
        /// How much can.
        available: Money,
    },
    /// The draw was decided on before.
    #[error("the draw is {status}")]
    DrawDecided {
        /// How.
        status: DrawStatus,
    },
    /// The owner of the key that asked for the draw cannot approve it.
    #[error("the key's owner asked for the draw, so another one has to approve it")]
    ApprovalByRequester,
    /// More than pays the loan off.
    #[error("{payoff} pays the loan off")]
    PaymentTooLarge {
        /// How much does.
        payoff: Money,
    },
    /// The account cannot count so much.
    #[error("the account cannot count so much")]
    TooLarge,
}
