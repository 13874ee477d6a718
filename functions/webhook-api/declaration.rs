//! The declaration of `webhook-api`.

use crate::{
    Access,
    Action::{Check, Get, Put, Query},
    Api, Function, Kind, Method, Need, Table,
    functions::event_feed,
};

/// Endpoints of webhooks, how far each has got, what is to be sent again, and the log of attempts.
pub const TABLE: Table = Table {
    expires: true,
    ..Table::new(
        "Webhooks",
        "WEBHOOKS_TABLE",
        "Endpoints of webhooks, how far each has got, and the log of what they were sent.",
    )
};

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "webhook-api",
    "Sets up, changes and shows the endpoints outside that are sent events.",
    Kind::Api(Api::of(&[
        (Method::Get, "/api/v1/webhooks"),
        (Method::Post, "/api/v1/webhooks"),
        (Method::Get, "/api/v1/webhooks/{proxy+}"),
        (Method::Post, "/api/v1/webhooks/{proxy+}"),
        (Method::Patch, "/api/v1/webhooks/{proxy+}"),
    ])),
)
.owning(&[Access::to(&TABLE, &[Get, Put, Query, Check])])
// Where an endpoint begins, and what is sent once more.
.reading(&[Access::to(&event_feed::TABLE, &[Get])])
.needing(&[Need::CallEndpoints]);
