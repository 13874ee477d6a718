//! The endpoints.

use std::sync::Arc;

use api::{Doc, Routes};

use crate::handler::{self, App, products};

const NO_STOCK: &str = "No stock of the sku was ever counted.";
const BOUNDS: &str =
    "Less would be there than is reserved (`below-reserved`: `on_hand`, `reserved`).";
const NO_PRODUCT: &str = "There is no such product, or it was taken out of the catalogue.";
const TOO_MUCH: &str = "More than 1,000,000,000 would be there (`too-much`: `most`).";

/// Every endpoint of the function.
#[must_use]
pub fn routes() -> Routes<Arc<App>> {
    Routes::new("commerce-catalog-api")
        .put(
            "/api/v1/products/{product_id}",
            products::set,
            Doc::new("Put a product into the catalogue, or replace what the catalogue says of it")
                .describe("A product is sold through its variants: each has a stock-keeping number, to which its prices and its stock belong. A sku belongs to the first product that names it, for ever. Carts follow: their lines get the new name and tax, and those of a product that is not sold any more are marked and cannot be ordered.")
                .problem(409, "A sku belongs to another product (`other-product`: `pointer`, `product_id`), or the product was taken out of the catalogue (`product-deleted`: `product_id`).")
                .problem(422, "Two variants have the same sku, or the product is larger than its events can say (`product-too-large`: `most`, in bytes)."),
        )
        .get(
            "/api/v1/products",
            products::products,
            Doc::new("List products")
                .describe("By id. Products that were taken out of the catalogue are left out: a page can have fewer than `limit` items, or none, and a next page nevertheless."),
        )
        .get(
            "/api/v1/products/{product_id}",
            products::product,
            Doc::new("Read a product")
                .describe("With the prices of its variants and how much of each can be sold, as they are at this moment.")
                .problem(404, NO_PRODUCT),
        )
        .get(
            "/api/v1/products/{product_id}/history",
            products::history,
            Doc::new("List the changes of a product")
                .describe("The events `product.created`, `product.updated` and `product.deleted`, each with who changed what and when.")
                .problem(404, NO_PRODUCT),
        )
        .delete(
            "/api/v1/products/{product_id}",
            products::delete,
            Doc::new("Take a product out of the catalogue, for ever")
                .describe("Whoever only wants to stop selling it sets its status to `archived`. Its skus are never given to another product.")
                .problem(404, NO_PRODUCT),
        )
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
