//! The endpoints.

use std::sync::Arc;

use api::{Doc, Routes};

use crate::handler::{self, App};

const NO_STOCK: &str = "No stock of the sku was ever counted.";
const BOUNDS: &str =
    "Less would be there than is reserved (`below-reserved`: `on_hand`, `reserved`).";
const TOO_MUCH: &str = "More than 1,000,000,000 would be there (`too-much`: `most`).";

/// Every endpoint of the function.
#[must_use]
pub fn routes() -> Routes<Arc<App>> {
    Routes::new("commerce-catalog-api")
        .put(
            "/api/v1/stock/{sku}",
            handler::count,
            Doc::new("Set how much of a sku is in the house")
                .describe("The first count begins its stock. A sku with a `/` cannot be named in a path.")
                .problem(409, "The sku belongs to another product (`other-product`: `product_id`), or less would be there than is reserved (`below-reserved`: `on_hand`, `reserved`)."),
        )
        .get(
            "/api/v1/stock/{sku}",
            handler::stock,
            Doc::new("Read how much of a sku there is").problem(404, NO_STOCK),
        )
        .get(
            "/api/v1/stock/{sku}/history",
            handler::history,
            Doc::new("List the changes of the stock of a sku")
                .describe("The events `stock.changed`, each with who changed what and when.")
                .problem(404, NO_STOCK),
        )
        .post(
            "/api/v1/stock/{sku}/receipts",
            handler::receive,
            Doc::new("Record goods that came in")
                .problem(404, NO_STOCK)
                .problem(422, TOO_MUCH),
        )
        .post(
            "/api/v1/stock/{sku}/adjustments",
            handler::adjust,
            Doc::new("Correct how much there is, with a reason")
                .problem(404, NO_STOCK)
                .problem(409, BOUNDS)
                .problem(422, TOO_MUCH),
        )
        .put(
            "/api/v1/stock/{sku}/threshold",
            handler::threshold,
            Doc::new("Set the quantity below which stock is low").problem(404, NO_STOCK),
        )
}

/// The function's OpenAPI document. `system-api` merges it into that of the whole API.
#[must_use]
pub fn openapi() -> serde_json::Value {
    routes().openapi()
}
