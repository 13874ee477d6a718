//! Request and response bodies.

mod payments;
mod settlements;

pub use self::{
    payments::{
        PaymentAnswer, PaymentFailure, PaymentPath, PaymentRefundAnswer, PaymentRefundRequest,
        PaymentRequest, PaymentStep, PaymentView,
    },
    settlements::{
        ConfirmationsAnswer, ConfirmationsRequest, NetworkOffer, OpenStatus, SettlementAnswer,
        SettlementChoice, SettlementEnd, SettlementFailure, SettlementPath, SettlementRequest,
        SettlementSubmission, SettlementView, SettlementWitness, SettlementsQuery,
    },
};
