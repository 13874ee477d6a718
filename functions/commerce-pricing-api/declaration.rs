//! The declaration of `commerce-pricing-api`.

use crate::{
    Access,
    Action::{BatchGet, Check, Delete, Get, Put, Query},
    Api, Function, Kind, Method, Table, tables,
};

/// The domain's table. Only rows by which quotes are found expire.
pub const TABLE: Table = Table::new(
    "Commerce",
    "COMMERCE_TABLE",
    "Prices, stock, customers, orders and credit.",
)
.expiring();

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "commerce-pricing-api",
    "Prices, price lists, and what an order comes to, under /api/v1/prices, /price-lists, /pricing, /tiers and /tax-rates.",
    Kind::Api(Api::of(&[
        (Method::Get, "/api/v1/price-lists"),
        (Method::Delete, "/api/v1/price-lists/{proxy+}"),
        (Method::Get, "/api/v1/price-lists/{proxy+}"),
        (Method::Post, "/api/v1/price-lists/{proxy+}"),
        (Method::Put, "/api/v1/price-lists/{proxy+}"),
        (Method::Get, "/api/v1/prices/{proxy+}"),
        (Method::Put, "/api/v1/prices/{proxy+}"),
        (Method::Post, "/api/v1/pricing/{proxy+}"),
        (Method::Get, "/api/v1/tax-rates/{proxy+}"),
        (Method::Put, "/api/v1/tax-rates/{proxy+}"),
        (Method::Get, "/api/v1/tiers/{proxy+}"),
        (Method::Put, "/api/v1/tiers/{proxy+}"),
    ])),
)
.with_domains(&["commerce"])
// A change of a price says whether open quotes name the sku.
.owning(&[Access::to(
    &TABLE,
    &[Check, Get, BatchGet, Query, Put, Delete],
)])
// The history of a price, a price list or what it says of a sku is its events.
.reading(&[Access::to(&tables::EVENTS, &[Query])]);
