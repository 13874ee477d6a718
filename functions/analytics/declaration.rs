//! What `analytics` is.

use events::{Evidence, Selection};

use crate::{
    Access,
    Action::{Check, Get, Put, Update},
    Consumer, Function, Kind, Table,
};

/// What it counts: every event. What a type moves is summed once `views::analytics` says in which unit.
pub const SELECTION: Selection = Selection::Every(Evidence::Mark);

/// What it keeps.
pub const TABLE: Table = Table::new(
    "Analytics",
    "ANALYTICS_TABLE",
    "Counts and sums by the hour and by the day.",
);

/// The declaration.
pub const FUNCTION: Function = Function::new(
    "analytics",
    "Counts events and sums what they moved, by the hour and by the day.",
    Kind::Consumer(Consumer::selecting(SELECTION)),
)
.owning(&[Access::to(&TABLE, &[Get, Put, Update, Check])]);
