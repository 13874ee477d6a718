//! What `loan-servicing` is.

use crate::{
    Access,
    Action::{Get, Put},
    Consumer, Function, Kind,
    functions::loan_api,
};

events::subscription! {
    /// What changes when a loan is to be paid back.
    pub enum Event {
        /// The money was lent.
        Funded(events::contracts::loan::Funded) by Cursor,
        /// The terms were changed.
        Modified(events::contracts::loan::Modified) by Cursor,
        /// More was lent.
        DrawApproved(events::contracts::loan::DrawApproved) by Cursor,
    }
}

/// The declaration.
pub const FUNCTION: Function = Function::new(
    "loan-servicing",
    "Plans how loans are paid back.",
    Kind::Consumer(Consumer::of::<Event>()),
)
.about("In order, as the events stand in the event log.")
.owning(&[Access::to(&loan_api::TABLE, &[Get, Put])]);
