//! The endpoints.

use std::sync::Arc;

use api::{Doc, Routes};

use crate::handler::{App, calculations, settings};

const NO_PRICE: &str = "There is no price for the sku, or no such tier.";
const CANNOT: &str = "A product has no price in the currency (`no-price`: `currency`), or the amounts are too large (`too-large`).";

/// Every endpoint of the function.
#[must_use]
pub fn routes() -> Routes<Arc<App>> {
    Routes::new("commerce-pricing-api")
        .put(
            "/api/v1/prices/{sku}",
            settings::set_price,
            Doc::new("Set the prices of a sku in one currency")
                .describe("Replaces all its prices in the currency; those in others stay. A sku with a `/` cannot be named in a path.")
                .problem(409, "The sku belongs to another product (`other-product`: `product_id`).")
                .problem(422, "Two volume prices begin at the same quantity."),
        )
        .get(
            "/api/v1/prices/{sku}",
            settings::price,
            Doc::new("Read the prices of a sku").problem(404, "There is no price for the sku."),
        )
        .get(
            "/api/v1/prices/{sku}/history",
            settings::history,
            Doc::new("List the changes of the prices of a sku")
                .describe("The events `price.changed`, each with who changed what and when.")
                .problem(404, "There is no price for the sku."),
        )
        .put(
            "/api/v1/tiers/{tier}",
            settings::set_tier,
            Doc::new("Set the percentage that a tier of customers gets off"),
        )
        .get(
            "/api/v1/tiers/{tier}",
            settings::tier,
            Doc::new("Read a tier").problem(404, "There is no such tier."),
        )
        .put(
            "/api/v1/tax-rates/{country}/{tax_category}",
            settings::set_tax_rate,
            Doc::new("Set a country's tax rate for a category from a day on")
                .describe("It applies until the first day of the next rate. A rate for the same day is replaced.")
                .problem(422, "There are too many rates (`too-many`: `most`), or the category is `zero` (`never-taxed`)."),
        )
        .get(
            "/api/v1/tax-rates/{country}/{tax_category}",
            settings::tax_rates,
            Doc::new("Read a country's tax rates for a category")
                .problem(404, "No rate was ever set."),
        )
        .post(
            "/api/v1/pricing/calculate",
            calculations::line,
            Doc::new("Calculate what a quantity of a product costs")
                .describe("The answer says how the price came about. It is without tax.")
                .reads()
                .problem(404, NO_PRICE)
                .problem(422, CANNOT),
        )
        .post(
            "/api/v1/pricing/calculate-order",
            calculations::order,
            Doc::new("Calculate what an order comes to")
                .describe("The answer says of each line how its price came about, and states the tax of each category and rate. Nothing is stored.")
                .reads()
                .problem(404, NO_PRICE)
                .problem(422, "As for one line, or the country has no tax rate on the day (`no-tax-rate`: `country`, `tax_category`, `day`)."),
        )
}

/// The function's OpenAPI document. `system-api` merges it into that of the whole API.
#[must_use]
pub fn openapi() -> serde_json::Value {
    routes().openapi()
}
