//! Why the rules forbid a command.

use domain::Illegal;
use events::{Money, PaymentId, SettlementId, Violation};

/// Why the rules forbid a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such payment.
    #[error("there is no payment {payment_id}")]
    UnknownPayment {
        /// Which was asked for.
        payment_id: PaymentId,
    },
    /// A settlement names a payment that there is not.
    #[error("there is no payment {payment_id}")]
    UnknownPaymentNamed {
        /// Which it names.
        payment_id: PaymentId,
    },
    /// There is no such settlement.
    #[error("there is no settlement {settlement_id}")]
    UnknownSettlement {
        /// Which was asked for.
        settlement_id: SettlementId,
    },
    /// The id of something new is another's.
    #[error("the id is another's")]
    IdTaken,
    /// Nothing, or less, cannot be paid, settled or given back.
    #[error("the amount must be more than zero")]
    AmountNotPositive,
    /// The machine has no such transition.
    #[error(transparent)]
    IllegalTransition(#[from] Illegal),
    /// More would go back than is left of what was captured.
    #[error("{refundable} can still be refunded, {requested} were asked for")]
    RefundTooLarge {
        /// What is left.
        refundable: Money,
        /// What was asked for.
        requested: Money,
    },
    /// The networks to choose from are no choice: every violation, its pointer within the list.
    #[error("the networks are not a choice: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Networks(Vec<Violation>),
    /// A network does not take confirmations back.
    #[error("there were {current} confirmations already, {stated} were stated")]
    ConfirmationsWentBack {
        /// How many there were.
        current: u32,
        /// How many were stated.
        stated: u32,
    },
}
