//! Why the rules forbid a command.

use domain::Illegal;
use events::{Money, PaymentId, SettlementId, Violation};

/// Why the rules forbid a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such payment.
    #[error("there is no payment {payment_id}")]
    UnknownPayment {
        /// The requested payment.
        payment_id: PaymentId,
    },
    /// A settlement names a payment that does not exist.
    #[error("there is no payment {payment_id}")]
    UnknownPaymentNamed {
        /// The payment that the settlement names.
        payment_id: PaymentId,
    },
    /// There is no such settlement.
    #[error("there is no settlement {settlement_id}")]
    UnknownSettlement {
        /// The requested settlement.
        settlement_id: SettlementId,
    },
    /// The id for a new payment or settlement is already in use.
    #[error("the id is already in use")]
    IdTaken,
    /// The amount is zero.
    #[error("the amount must be more than zero")]
    AmountNotPositive,
    /// The state machine has no such transition.
    #[error(transparent)]
    IllegalTransition(#[from] Illegal),
    /// The refund is larger than what is left of the captured amount.
    #[error("{refundable} can still be refunded, {requested} were requested")]
    RefundTooLarge {
        /// What can still be refunded.
        refundable: Money,
        /// The requested refund.
        requested: Money,
    },
    /// The list of networks is invalid. Carries every violation, with pointers relative to the list.
    #[error("the list of networks is not valid: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Networks(Vec<Violation>),
    /// The stated confirmations are fewer than before; a network never takes confirmations back.
    #[error("{current} confirmations are already recorded, only {stated} were stated")]
    ConfirmationsWentBack {
        /// The confirmations recorded so far.
        current: u32,
        /// The confirmations that were stated.
        stated: u32,
    },
}
