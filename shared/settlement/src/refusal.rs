//! Why the rules forbid a command.

use domain::Illegal;
use events::{
    Money, PaymentId, SettlementId, Violations,
    contracts::payment::{Currency, PaymentStatus},
};

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
    /// The refund is within what is left of the captured amount, but would take money that is allocated to settlements.
    #[error(
        "{available} can be refunded, {requested} were requested; settlements have {allocated} of the {refundable} that \
         are left of the payment"
    )]
    RefundOfAllocated {
        /// What is left of the captured amount after the refunds so far.
        refundable: Money,
        /// What is allocated to settlements that have not failed.
        allocated: Money,
        /// What can be refunded now: what is left, less what is allocated.
        available: Money,
        /// The requested refund.
        requested: Money,
    },
    /// Only money that was captured can be settled.
    #[error(
        "the payment is {status}; only a captured or partially_refunded payment can be settled"
    )]
    NotCaptured {
        /// The payment that the settlement names.
        payment_id: PaymentId,
        /// The payment's status.
        status: PaymentStatus,
    },
    /// The settlement is in another currency than its payment.
    #[error("the settlement is in {settlement}, its payment in {payment}")]
    OtherCurrency {
        /// The settlement's currency.
        settlement: Currency,
        /// The payment's currency.
        payment: Currency,
    },
    /// The settlement is larger than what is left of its payment.
    #[error(
        "{available} can be settled, {requested} were requested; {captured} were captured, {refunded} refunded, and \
         settlements have {allocated}"
    )]
    SettlementTooLarge {
        /// What can be settled: what was captured, less refunds and other settlements.
        available: Money,
        /// The amount of the settlement.
        requested: Money,
        /// The captured amount.
        captured: Money,
        /// The sum of all refunds.
        refunded: Money,
        /// What is allocated to settlements that have not failed.
        allocated: Money,
    },
    /// The payment's state does not have the amount that a settlement is to give back. The stored data is damaged.
    #[error(
        "payment {payment_id} has {allocated} allocated, less than the {amount} of settlement {settlement_id}"
    )]
    NotAllocated {
        /// The payment.
        payment_id: PaymentId,
        /// The settlement that gives back its amount.
        settlement_id: SettlementId,
        /// What is allocated to settlements.
        allocated: Money,
        /// The amount to give back.
        amount: Money,
    },
    /// The list of networks is invalid. Carries the violations, with pointers relative to the list.
    #[error("the list of networks is not valid: {0}")]
    Networks(Violations),
    /// The stated confirmations are fewer than before; a network never takes confirmations back.
    #[error("{current} confirmations are already recorded, only {stated} were stated")]
    ConfirmationsWentBack {
        /// The confirmations recorded so far.
        current: u32,
        /// The confirmations that were stated.
        stated: u32,
    },
}
