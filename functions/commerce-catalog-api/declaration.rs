//! The declaration of `commerce-catalog-api`.

use crate::{
    Access,
    Action::{Get, Put, Query},
    Api, Function, Kind, Method,
    functions::commerce_pricing_api,
    tables,
};

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "commerce-catalog-api",
    "Stock, under /api/v1/stock.",
    Kind::Api(Api::of(&[
        (Method::Get, "/api/v1/stock/{proxy+}"),
        (Method::Post, "/api/v1/stock/{proxy+}"),
        (Method::Put, "/api/v1/stock/{proxy+}"),
    ])),
)
.with_domains(&["commerce"])
.owning(&[Access::to(
    &commerce_pricing_api::TABLE,
    &[Get, Put],
)])
// The history of a stock is its events.
.reading(&[Access::to(&tables::EVENTS, &[Query])]);
