//! Why a command is refused.

use domain::Illegal;
use events::{DrawId, LoanId, MemberId, Money, contracts::loan::LoanStatus};

use crate::draw::DrawStatus;

/// Why a command is refused. Each variant becomes a problem type of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such loan.
    #[error("there is no loan {loan_id}")]
    UnknownLoan {
        /// The requested loan.
        loan_id: LoanId,
    },
    /// The loan has no such draw.
    #[error("loan {loan_id} has no draw {draw_id}")]
    UnknownDraw {
        /// The loan.
        loan_id: LoanId,
        /// The requested draw.
        draw_id: DrawId,
    },
    /// The borrower is not a member.
    #[error("there is no member {member_id}")]
    UnknownBorrower {
        /// The requested member.
        member_id: MemberId,
    },
    /// The id for the new loan is already in use.
    #[error("the id is already in use")]
    IdTaken,
    /// The amount is zero.
    #[error("must be more than zero")]
    AmountNotPositive,
    /// The amount is larger than any loan can be.
    #[error("at most {most} can be lent")]
    AmountTooLarge {
        /// The largest amount.
        most: Money,
    },
    /// A schedule that the loan counts does not exist in the table.
    #[error("schedule {revision} does not exist")]
    ScheduleMissing {
        /// The schedule's number.
        revision: events::Sequence,
    },
    /// The rate is out of range.
    #[error("must be 0 to 100 % a year")]
    RateOutOfRange,
    /// The term is out of range.
    #[error("must be 1 to 480 months")]
    TermOutOfRange,
    /// The new term is shorter than the months that have begun.
    #[error("must be at least {at_least} months, because that many have begun")]
    TermTooShort {
        /// The shortest allowed term.
        at_least: u32,
    },
    /// The state machine has no such transition.
    #[error(transparent)]
    IllegalTransition(#[from] Illegal),
    /// The loan's status does not allow the command.
    #[error("the loan is {status}; it must be {}", .allowed.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(" or "))]
    WrongStatus {
        /// The loan's status.
        status: LoanStatus,
        /// The statuses that allow the command.
        allowed: &'static [LoanStatus],
    },
    /// The funding is larger than the agreed amount.
    #[error("at most {amount} was agreed")]
    FundingTooLarge {
        /// The agreed amount.
        amount: Money,
    },
    /// The draw is larger than what can still be drawn.
    #[error("at most {available} can be drawn")]
    DrawTooLarge {
        /// What can still be drawn.
        available: Money,
    },
    /// The draw was already approved or rejected.
    #[error("the draw is {status}")]
    DrawDecided {
        /// The draw's status.
        status: DrawStatus,
    },
    /// The key owner who requested the draw cannot approve it.
    #[error(
        "the owner of this key requested the draw, so the owner of another key must approve it"
    )]
    ApprovalByRequester,
    /// The payment is larger than the payoff amount.
    #[error("at most {payoff} can be paid: it pays the loan off")]
    PaymentTooLarge {
        /// The payoff amount.
        payoff: Money,
    },
    /// A sum is larger than the account can hold.
    #[error("the sum is larger than the account can hold")]
    TooLarge,
}
