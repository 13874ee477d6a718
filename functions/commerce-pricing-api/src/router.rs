//! The endpoints.

use std::sync::Arc;

use api::{Doc, Routes};

use crate::handler::{App, calculations, price_lists, settings};

const NO_PRICE: &str = "There is no price for the sku, no such tier, or no such customer.";
const CANNOT: &str = "A product has no price in the currency (`no-price`: `currency`), the amounts are too large (`too-large`), or both a customer and a tier are named.";
const NO_LIST: &str = "There is no such price list.";
const NO_LIST_PRICE: &str = "There is no such price list, or it has no price for the sku.";
const WITHDRAWN: &str = "The price list was withdrawn (`price-list-withdrawn`: `price_list_id`).";

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
            "/api/v1/price-lists/{price_list_id}",
            price_lists::set,
            Doc::new("Make a price list, or replace its terms")
                .describe("A list is for one customer (`customer_id`), for the customers of a tier (`tier`), or for everybody, and in one currency; these two cannot change. Its prices take the place of the base prices while it is valid: those of an `override` always, those of a `sale` where they are lower. Carts follow within a minute or two. A price that is to apply from a later moment on is a list with `valid_from`.")
                .problem(404, "There is no such customer (`customer_id`).")
                .problem(409, "There is no such tier (`no-tier`: `tier`); the list was withdrawn (`price-list-withdrawn`: `price_list_id`); there are 20 lists for the same customers that have not ended (`too-many-lists`: `most`), or 5 of them in the currency are valid at the same time (`too-many-lists-at-once`: `most`, `currency`).")
                .problem(422, "It ends before it begins, names both a customer and a tier, or is for others or in another currency than before."),
        )
        .get(
            "/api/v1/price-lists",
            price_lists::price_lists,
            Doc::new("List price lists").describe("By id, also those that ended or were withdrawn."),
        )
        .get(
            "/api/v1/price-lists/{price_list_id}",
            price_lists::price_list,
            Doc::new("Read a price list").problem(404, NO_LIST),
        )
        .get(
            "/api/v1/price-lists/{price_list_id}/history",
            price_lists::history,
            Doc::new("List the changes of a price list")
                .describe("The events `price.list_changed`, also those of its begin and its end.")
                .problem(404, NO_LIST),
        )
        .post(
            "/api/v1/price-lists/{price_list_id}/withdraw",
            price_lists::withdraw,
            Doc::new("Withdraw a price list, for ever")
                .describe("Its prices apply no more. One that was withdrawn stays as it is.")
                .problem(404, NO_LIST),
        )
        .get(
            "/api/v1/price-lists/{price_list_id}/prices",
            price_lists::prices,
            Doc::new("List the prices of a price list")
                .describe("By sku.")
                .problem(404, NO_LIST),
        )
        .put(
            "/api/v1/price-lists/{price_list_id}/prices/{sku}",
            price_lists::set_price,
            Doc::new("Set the prices of a sku in a price list")
                .describe("Replaces all its prices in the list. They are in the currency of the list, in which the sku must have a base price. A sku with a `/` cannot be named in a path.")
                .problem(404, "There is no such price list, or no price for the sku.")
                .problem(409, WITHDRAWN)
                .problem(422, "The sku has no base price in the currency of the list (`no-base-price`: `sku`, `currency`), or two volume prices begin at the same quantity."),
        )
        .get(
            "/api/v1/price-lists/{price_list_id}/prices/{sku}",
            price_lists::price,
            Doc::new("Read the prices of a sku in a price list").problem(404, NO_LIST_PRICE),
        )
        .get(
            "/api/v1/price-lists/{price_list_id}/prices/{sku}/history",
            price_lists::price_history,
            Doc::new("List the changes of the prices of a sku in a price list")
                .describe("The events `price.list_price_changed`.")
                .problem(404, NO_LIST_PRICE),
        )
        .delete(
            "/api/v1/price-lists/{price_list_id}/prices/{sku}",
            price_lists::remove_price,
            Doc::new("Take the prices of a sku out of a price list")
                .describe("They can be set again.")
                .problem(404, NO_LIST_PRICE)
                .problem(409, WITHDRAWN),
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
