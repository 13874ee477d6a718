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
    "Customers, their carts and their orders, under /api/v1/customers, /carts and /orders.",
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
    ])),
)
.with_domains(&["commerce"])
.owning(&[Access::to(
    &commerce_pricing_api::TABLE,
    &[Check, Get, BatchGet, Query, Put, Delete],
)])
// The history of a customer and the timeline of an order are their events.
.reading(&[Access::to(&tables::EVENTS, &[Query])]);
