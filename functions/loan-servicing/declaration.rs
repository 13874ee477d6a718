//! The declaration of `loan-servicing`.

use crate::{
    Access,
    Action::{Get, Put},
    Consumer, Function, Kind,
    functions::loan_api,
};

events::subscription! {
    /// The events that change how a loan is repaid.
    pub enum Event {
        /// The money was lent.
        Funded(events::contracts::loan::Funded) by Cursor,
        /// The terms were changed.
        Modified(events::contracts::loan::Modified) by Cursor,
        /// A draw was approved, so more was lent.
        DrawApproved(events::contracts::loan::DrawApproved) by Cursor,
    }
}

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "loan-servicing",
    "Creates the payment schedules of loans.",
    Kind::Consumer(Consumer::of::<Event>()),
)
.about("It handles the events of a loan in the order of the event log.")
.owning(&[Access::to(&loan_api::TABLE, &[Get, Put])]);
