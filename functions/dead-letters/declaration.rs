//! The declaration of `dead-letters`.

use crate::{
    Access,
    Action::{Get, Put},
    Function, Index, Kind, Projection, Table,
};

/// Dead letters, notes about groups of them, the operations over them, and which consumers are paused.
pub const TABLE: Table = Table {
    expires: true,
    indexes: &[Index {
        name: "listed",
        hash: "listed",
        range: "listed_at",
        projection: Projection::All,
        about: "Dead letters, newest first, the unresolved ones apart from the resolved ones; operations; and paused consumers. operator-api, operator-worker and dashboard read it.",
    }],
    ..Table::new(
        "Letters",
        "LETTERS_TABLE",
        "Dead letters, notes about groups of them, the operations over them, and which consumers are paused.",
    )
};

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "dead-letters",
    "Writes every message of the dead-letter queue into a row that is kept and searched.",
    Kind::DeadLetters,
)
.about("SQS deletes a message only after its row is written.")
.owning(&[Access::to(&TABLE, &[Get, Put])]);
