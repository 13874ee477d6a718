//! The declaration of `settlement-api`.

use crate::{
    Access,
    Action::{Check, Get, Put, Query, Update},
    Api, Function, Index, Kind, Method, Projection, Setting, Table, parameters, tables,
};

/// The domain's table.
pub const TABLE: Table = Table {
    indexes: &[Index {
        name: "open",
        hash: "open_status",
        range: "open_since",
        projection: Projection::All,
        about: "Only settlements in progress have the attributes.",
    }],
    ..Table::new(
        "Settlement",
        "SETTLEMENT_TABLE",
        "Payments and settlements.",
    )
};

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "settlement-api",
    "Payments and settlements, under /api/v1/payments and /api/v1/settlements.",
    Kind::Api(Api::of(&[
        (Method::Post, "/api/v1/payments"),
        (Method::Get, "/api/v1/payments/{proxy+}"),
        (Method::Post, "/api/v1/payments/{proxy+}"),
        (Method::Get, "/api/v1/settlements"),
        (Method::Post, "/api/v1/settlements"),
        (Method::Get, "/api/v1/settlements/{proxy+}"),
        (Method::Post, "/api/v1/settlements/{proxy+}"),
    ])),
)
.with_domains(&["settlement"])
.owning(&[Access::to(&TABLE, &[Get, Put, Update, Check]).and_indexes(&["open"])])
// The witness endpoint reads a settlement's history.
.reading(&[Access::to(&tables::EVENTS, &[Query])])
.with_settings(&[Setting::of("NETWORK_WEIGHTS", &parameters::NETWORK_WEIGHTS)]);
