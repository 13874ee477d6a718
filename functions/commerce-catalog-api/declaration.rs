//! The declaration of `commerce-catalog-api`.

use crate::{
    Access,
    Action::{BatchGet, Check, Delete, Get, Put, Query},
    Api, Function, Kind, Method,
    functions::commerce_pricing_api,
    tables,
};

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "commerce-catalog-api",
    "Products, their categories and stock, under /api/v1/products, /categories and /stock.",
    Kind::Api(Api::of(&[
        (Method::Get, "/api/v1/categories"),
        (Method::Delete, "/api/v1/categories/{proxy+}"),
        (Method::Get, "/api/v1/categories/{proxy+}"),
        (Method::Put, "/api/v1/categories/{proxy+}"),
        (Method::Get, "/api/v1/products"),
        (Method::Delete, "/api/v1/products/{proxy+}"),
        (Method::Get, "/api/v1/products/{proxy+}"),
        (Method::Put, "/api/v1/products/{proxy+}"),
        (Method::Get, "/api/v1/stock/{proxy+}"),
        (Method::Post, "/api/v1/stock/{proxy+}"),
        (Method::Put, "/api/v1/stock/{proxy+}"),
    ])),
)
.with_domains(&["commerce"])
.owning(&[Access::to(
    &commerce_pricing_api::TABLE,
    &[Check, Get, BatchGet, Query, Put, Delete],
)])
// The history of a product, a category or a stock is its events.
.reading(&[Access::to(&tables::EVENTS, &[Query])]);
