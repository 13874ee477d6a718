//! The declaration of `dead-letters`.

use crate::{
    Access,
    Action::{Check, Get, Put, Query, Update},
    Function, Index, Kind, Projection, Table,
};

/// The dead letters: each letter and its body, what operators note about groups, and their operations.
pub const TABLE: Table = Table {
    expires: true,
    indexes: &[Index {
        name: "listed",
        hash: "listed",
        range: "listed_at",
        projection: Projection::All,
        about: "The letters, not their bodies, by the time at which they were last parked. Its partitions are `unresolved` and `resolved`; letters-api, the dashboard and the audit read it.",
    }],
    ..Table::new(
        "Letters",
        "LETTERS_TABLE",
        "Dead letters, each with its reason, its body and its history.",
    )
};

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "dead-letters",
    "Drains the stack's dead-letter queue into rows that are kept and searched.",
    Kind::DeadLetters,
)
.about("SQS deletes a message only after its row is written.")
.owning(&[Access::to(&TABLE, &[Get, Put, Update, Query, Check]).and_indexes(&["listed"])]);
