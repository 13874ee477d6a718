//! The declaration of `analytics`.

use events::{Evidence, Selection};

use crate::{
    Access,
    Action::{Check, Get, Put, Update},
    Consumer, Function, Kind, Table,
};

/// The consumer counts every event. It also sums the amounts of a type once `views::analytics` defines the unit.
pub const SELECTION: Selection = Selection::Every(Evidence::Mark);

/// The function's table.
pub const TABLE: Table = Table::new(
    "Analytics",
    "ANALYTICS_TABLE",
    "Counts and sums by the hour and by the day.",
);

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "analytics",
    "Counts events and sums what they moved, by the hour and by the day.",
    Kind::Consumer(Consumer::selecting(SELECTION)),
)
.owning(&[Access::to(&TABLE, &[Get, Put, Update, Check])]);
