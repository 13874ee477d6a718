//! The endpoints.

use std::sync::Arc;

use api::{Doc, Routes};

use crate::handler::{self, App, categories, products};

const NO_STOCK: &str = "No stock of the sku was ever counted.";
const BOUNDS: &str =
    "Less would be there than is reserved (`below-reserved`: `on_hand`, `reserved`).";
const NO_PRODUCT: &str = "There is no such product, or it was taken out of the catalogue.";
const NO_CATEGORY: &str = "There is no such category, or it was deleted.";
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
                .problem(422, "Two variants have the same sku; the category is not there or is being deleted; the value of an attribute is not what the category says of it; or the product is larger than its events can say (`product-too-large`: `most`, in bytes)."),
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
            "/api/v1/categories/{category_id}",
            categories::set,
            Doc::new("Make a category, or replace what is said of it")
                .describe("Categories are a tree, at most 8 deep. A category that moves takes along what stands below it; paths are put together when they are read, so all of them are right at once. The attributes that it lists are checked when a product is put into it, and not later; attributes that it does not list can have any value.")
                .problem(409, "Another category that stands below the same one has the slug (`slug-taken`: `slug`, `category_id`); there are 2,000 categories (`too-many-categories`: `most`); the category is being deleted (`category-closing`: `category_id`, `reassigned_to`) or was deleted (`category-deleted`: `category_id`).")
                .problem(422, "It cannot stand below that category: there is none, it is being deleted, it is the category itself or stands below it, or it stands too deep. Two attributes have the same name, or one lists values that do not fit its type. Or the category is larger than its events can say (`category-too-large`: `most`, in bytes)."),
        )
        .get(
            "/api/v1/categories",
            categories::categories,
            Doc::new("List all categories")
                .describe("As a tree: each category comes before those below it. There are at most 2,000, so there are no pages."),
        )
        .get(
            "/api/v1/categories/{category_id}",
            categories::category,
            Doc::new("Read a category")
                .describe("With its path, and the categories directly below it.")
                .problem(404, NO_CATEGORY),
        )
        .get(
            "/api/v1/categories/{category_id}/products",
            categories::products_in,
            Doc::new("List the products of a category")
                .describe("By id. Those of the categories below it are not among them.")
                .problem(404, NO_CATEGORY),
        )
        .get(
            "/api/v1/categories/{category_id}/history",
            categories::history,
            Doc::new("List the changes of a category")
                .describe("The events `category.created`, `category.updated` and `category.deleted`, each with who changed what and when.")
                .problem(404, NO_CATEGORY),
        )
        .delete(
            "/api/v1/categories/{category_id}",
            categories::delete,
            Doc::new("Delete a category, for ever")
                .describe("With `reassign_to`, its products and the categories below it go to that one, within minutes: until then the category is there, with `reassigned_to`, and takes no more of them. What is read of the tree is as if the categories had gone at once.")
                .problem(404, NO_CATEGORY)
                .problem(409, "Categories stand below it (`category-has-children`) or products are in it (`category-has-products`), and `reassign_to` is not given; a category that goes there has a slug that is taken there (`slug-taken`: `slug`, `category_id`); or it is being deleted already (`category-closing`: `category_id`, `reassigned_to`).")
                .problem(422, "`reassign_to` is no category, is being deleted, is the category itself or stands below it, or stands too deep for what goes there."),
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
