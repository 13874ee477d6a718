//! The declaration of `system-api`.

use crate::{
    Access,
    Action::{Delete, Get, Put, Query, Scan, Update},
    Api, Function, Kind, Method, Need,
    functions::{
        analytics, cloud_api, commerce_pricing_api, dead_letters, event_feed, loan_api, member_api,
        notifications, settlement_api, wallet_api, webhook_api,
    },
    tables,
};

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "system-api",
    "Health, OpenAPI, the event log, contracts, analytics and keys.",
    Kind::Api(Api::of(&[
        (Method::Get, "/health"),
        (Method::Get, "/api/v1/openapi.json"),
        (Method::Get, "/api/v1/asyncapi.json"),
        (Method::Get, "/api/v1/events"),
        (Method::Get, "/api/v1/events/{proxy+}"),
        (Method::Get, "/api/v1/contracts"),
        (Method::Get, "/api/v1/contracts/{proxy+}"),
        (Method::Post, "/api/v1/contracts/{proxy+}"),
        (Method::Get, "/api/v1/analytics/{proxy+}"),
        (Method::Get, "/api/v1/keys"),
        (Method::Post, "/api/v1/keys"),
        (Method::Delete, "/api/v1/keys/{proxy+}"),
    ])),
)
.owning(&[Access::to(
    &tables::KEYS,
    &[Get, Query, Scan, Put, Update, Delete],
)])
.reading(&[
    Access::to(&tables::EVENTS, &[Get, Query]),
    Access::to(&analytics::TABLE, &[Query]),
    Access::to(&event_feed::TABLE, &[Get, Query]),
    // The rows that show that a consumer handled an event, beside those in the domains' own tables.
    Access::to(&notifications::TABLE, &[Get]).if_deployed(),
    // The witness compares the stored rows with the state rebuilt from events.
    Access::to(&commerce_pricing_api::TABLE, &[Get]).if_deployed(),
    Access::to(&member_api::TABLE, &[Get]).if_deployed(),
    Access::to(&loan_api::TABLE, &[Get]).if_deployed(),
    Access::to(&dead_letters::TABLE, &[Get]).if_deployed(),
    Access::to(&settlement_api::TABLE, &[Get]).if_deployed(),
    Access::to(&webhook_api::TABLE, &[Get]).if_deployed(),
    Access::to(&wallet_api::TABLE, &[Get]).if_deployed(),
    // The statement shows which transfers an account received.
    Access::to(&cloud_api::TABLE, &[Get, Query]).if_deployed(),
])
.needing(&[Need::DescribeBus, Need::OneLane, Need::Domains]);
