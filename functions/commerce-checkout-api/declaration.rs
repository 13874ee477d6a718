//! The declaration of `commerce-checkout-api`.

use crate::{
    Access,
    Action::{BatchGet, Check, Delete, Get, Put, Query},
    Api, Function, Kind, Method,
    functions::commerce_pricing_api,
    tables,
};

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "commerce-checkout-api",
    "Customers, their carts, quotes and orders, under /api/v1/customers, /carts, /quotes and /orders.",
    Kind::Api(Api::of(&[
        (Method::Post, "/api/v1/carts"),
        (Method::Delete, "/api/v1/carts/{proxy+}"),
        (Method::Get, "/api/v1/carts/{proxy+}"),
        (Method::Patch, "/api/v1/carts/{proxy+}"),
        (Method::Post, "/api/v1/carts/{proxy+}"),
        (Method::Get, "/api/v1/customers"),
        (Method::Get, "/api/v1/customers/{proxy+}"),
        (Method::Put, "/api/v1/customers/{proxy+}"),
        (Method::Get, "/api/v1/orders"),
        (Method::Post, "/api/v1/orders"),
        (Method::Get, "/api/v1/orders/{proxy+}"),
        (Method::Post, "/api/v1/orders/{proxy+}"),
        (Method::Get, "/api/v1/quotes"),
        (Method::Post, "/api/v1/quotes"),
        (Method::Get, "/api/v1/quotes/{proxy+}"),
        (Method::Post, "/api/v1/quotes/{proxy+}"),
    ])),
)
.with_domains(&["commerce"])
.owning(&[Access::to(
    &commerce_pricing_api::TABLE,
    &[Check, Get, BatchGet, Query, Put, Delete],
)])
// The histories of a customer and of a quote and the timeline of an order are their events.
.reading(&[Access::to(&tables::EVENTS, &[Query])]);
