//! The declaration of `cloud-api`.

use crate::{
    Access,
    Action::{BatchGet, Check, Get, Put, Query, Update},
    Api, Function, Index, Kind, Method, Projection, Setting, Table,
    functions::member_api,
    parameters,
};

/// The domain's table.
pub const TABLE: Table = Table {
    indexes: &[Index {
        name: "chain_queue",
        hash: "chain_queue",
        range: "chain_queued",
        projection: Projection::KeysOnly,
        about: "Only jobs that wait for the chain have the attributes. The worker reads the rows themselves.",
    }],
    ..Table::new(
        "Cloud",
        "CLOUD_TABLE",
        "Credits, treasury accounts, totals, alerts.",
    )
};

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "cloud-api",
    "Credits and the treasury's accounts, under /api/v1/cloud.",
    Kind::Api(Api::of(&[
        (Method::Get, "/api/v1/cloud/{proxy+}"),
        (Method::Post, "/api/v1/cloud/{proxy+}"),
        (Method::Put, "/api/v1/cloud/{proxy+}"),
    ])),
)
.with_domains(&["cloud"])
.owning(&[Access::to(
    &TABLE,
    &[Get, BatchGet, Query, Put, Update, Check],
)])
.reading(&[Access::to(&member_api::TABLE, &[Get])])
.with_settings(&[
    Setting::of("CLOUD_USD_RATE", &parameters::CLOUD_USD_RATE),
    Setting::of("REVENUE_SHARES", &parameters::REVENUE_SHARES),
]);
