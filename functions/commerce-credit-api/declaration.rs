//! The declaration of `commerce-credit-api`.

use crate::{
    Access,
    Action::{BatchGet, Check, Get, Put, Query},
    Api, Function, Kind, Method,
    functions::commerce_pricing_api,
    tables,
};

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "commerce-credit-api",
    "The credit of businesses, under /api/v1/credit-accounts.",
    Kind::Api(Api::of(&[
        (Method::Get, "/api/v1/credit-accounts"),
        (Method::Get, "/api/v1/credit-accounts/{proxy+}"),
        (Method::Post, "/api/v1/credit-accounts/{proxy+}"),
        (Method::Put, "/api/v1/credit-accounts/{proxy+}"),
    ])),
)
.with_domains(&["commerce"])
.owning(&[Access::to(
    &commerce_pricing_api::TABLE,
    &[Check, Get, BatchGet, Query, Put],
)])
// The transactions of an account are its events.
.reading(&[Access::to(&tables::EVENTS, &[Query])]);
