//! The endpoints.

use std::sync::Arc;

use api::{Doc, Routes};

use crate::handler::{App, carts, customers, orders, quotes};

const NO_CUSTOMER: &str = "There is no such customer.";
const NO_CART: &str = "There is no such cart.";
const NO_ITEM: &str =
    "There is no such cart, the cart has no such line, or there is no price for a sku.";
const CLOSED: &str = "The cart became an order (`cart-ordered`: `order_id`), the customer cannot buy the goods (`not-for-sale`: `lines`), or the customer's tier does not exist (`no-tier`: `tier`).";
const LINES: &str = "The cart would have more than 45 lines (`too-many-lines`: `most`) or a line too many pieces (`quantity-too-large`: `most`), a product has no price in the currency (`no-price`: `currency`), the customer's country has no tax rate (`no-tax-rate`: `country`, `tax_category`, `day`), or the amounts are too large (`too-large`).";
const NO_ORDER: &str = "There is no such order.";
const NO_QUOTE: &str = "There is no such quote.";

/// Every endpoint of the function.
#[must_use]
pub fn routes() -> Routes<Arc<App>> {
    Routes::new("commerce-checkout-api")
        .post(
            "/api/v1/carts",
            carts::create,
            Doc::new("Make a cart for a customer").problem(404, NO_CUSTOMER),
        )
        .get(
            "/api/v1/carts/{cart_id}",
            carts::cart,
            Doc::new("Read a cart")
                .describe("Its prices are those of its last change; it follows changes of prices, products, stock and the customer within a minute or two. `available` says of each line whether the goods can be sold to the customer at all.")
                .problem(404, NO_CART),
        )
        .post(
            "/api/v1/carts/{cart_id}/items",
            carts::add,
            Doc::new("Put goods into a cart")
                .describe("A cart has one line of a sku: the quantity is added to it. Every change calculates all lines anew, at the prices of the moment.")
                .problem(404, "There is no such cart, or no price for a sku.")
                .problem(409, CLOSED)
                .problem(422, LINES),
        )
        .patch(
            "/api/v1/carts/{cart_id}/items/{item_id}",
            carts::change,
            Doc::new("Change the quantity of a line of a cart")
                .problem(404, NO_ITEM)
                .problem(409, CLOSED)
                .problem(422, LINES),
        )
        .delete(
            "/api/v1/carts/{cart_id}/items/{item_id}",
            carts::remove,
            Doc::new("Take a line out of a cart")
                .problem(404, NO_ITEM)
                .problem(409, CLOSED)
                .problem(422, LINES),
        )
        .post(
            "/api/v1/carts/{cart_id}/clear",
            carts::clear,
            Doc::new("Take all lines out of a cart")
                .problem(404, NO_CART)
                .problem(409, "The cart became an order (`cart-ordered`: `order_id`)."),
        )
        .post(
            "/api/v1/carts/{cart_id}/checkout",
            carts::check_out,
            Doc::new("Turn a cart into an order")
                .describe("Places an order of its lines, as `POST /orders` does, and closes the cart, in one transaction.")
                .problem(404, "There is no such cart, or no price for a sku.")
                .problem(409, "The cart is empty (`cart-empty`) or became an order (`cart-ordered`: `order_id`), or what placing an order can answer.")
                .problem(422, LINES),
        )
        .put(
            "/api/v1/customers/{customer_id}",
            customers::set,
            Doc::new("Register a customer, or replace what is known of it")
                .describe("Orders that are placed keep the terms under which they were placed.")
                .problem(409, "There is no such tier (`no-tier`: `tier`)."),
        )
        .get(
            "/api/v1/customers",
            customers::customers,
            Doc::new("List customers").describe("By id."),
        )
        .get(
            "/api/v1/customers/{customer_id}",
            customers::customer,
            Doc::new("Read a customer").problem(404, NO_CUSTOMER),
        )
        .get(
            "/api/v1/customers/{customer_id}/history",
            customers::history,
            Doc::new("List the changes of a customer")
                .describe("The events `customer.registered` and `customer.updated`, each with who changed what and when.")
                .problem(404, NO_CUSTOMER),
        )
        .post(
            "/api/v1/orders",
            orders::place,
            Doc::new("Place an order")
                .describe("Prices, tax rates and stock are looked at, and whether a business has a credit account: what cannot succeed is refused at once. The order is then `pending`: the credit of a business is reserved, then the goods. It becomes `confirmed`, or `rejected` with everything given back.")
                .problem(404, "There is no such customer, or no price for a sku.")
                .problem(409, "The order comes to another amount (`total-changed`: `expected_total`, `total`), the customer cannot buy some goods (`not-for-sale`: `lines`), there is not enough stock (`insufficient-stock`: `shortages`), the business has no credit account in the currency (`no-credit-account`), or the customer's tier does not exist (`no-tier`: `tier`).")
                .problem(422, "Two lines have the same sku, a product has no price in the currency (`no-price`: `currency`), the customer's country has no tax rate (`no-tax-rate`: `country`, `tax_category`, `day`), or the amounts are too large (`too-large`)."),
        )
        .get(
            "/api/v1/orders",
            orders::orders,
            Doc::new("List a customer's orders")
                .describe("Newest first. With `status`, orders in another status are left out of each page: a page can have fewer than `limit` items, or none, and a next page nevertheless."),
        )
        .get(
            "/api/v1/orders/{order_id}",
            orders::order,
            Doc::new("Read an order").problem(404, NO_ORDER),
        )
        .get(
            "/api/v1/orders/{order_id}/timeline",
            orders::timeline,
            Doc::new("List the steps of an order")
                .describe("From the events of the order, of its credit and of its goods: what happened, when, because of which event, and which function publishes events of its kind.")
                .problem(404, NO_ORDER),
        )
        .post(
            "/api/v1/orders/{order_id}/cancel",
            orders::cancel,
            Doc::new("Cancel an order")
                .describe("What is reserved for it is given back.")
                .problem(404, NO_ORDER)
                .problem(409, "It is shipped, rejected, cancelled or completed (`illegal-transition`: `from`, `to`, `allowed`)."),
        )
        .post(
            "/api/v1/orders/{order_id}/ship",
            orders::ship,
            Doc::new("Say that the goods of an order left the house")
                .describe("They are taken off the stock, and a business owes what was reserved.")
                .problem(404, NO_ORDER)
                .problem(409, "It is not confirmed, or shipped already (`illegal-transition`: `from`, `to`, `allowed`), or a consumer has not paid it (`not-paid`: `outstanding`)."),
        )
        .post(
            "/api/v1/orders/{order_id}/deliver",
            orders::deliver,
            Doc::new("Say that the goods of an order arrived")
                .describe("An order that is delivered and paid is `completed`.")
                .problem(404, NO_ORDER)
                .problem(409, "It is not shipped, or delivered already (`illegal-transition`: `from`, `to`, `allowed`)."),
        )
        .post(
            "/api/v1/quotes",
            quotes::create,
            Doc::new("Make a quote from a cart")
                .describe("It locks the prices of the moment, with their tax. The cart stays open. If the quote that was made last from the cart is open or expired, this one takes its place.")
                .problem(404, "There is no such cart, or no price for a sku.")
                .problem(409, "The cart is empty (`cart-empty`) or became an order (`cart-ordered`: `order_id`), the customer cannot buy some goods (`not-for-sale`: `lines`), or the customer's tier does not exist (`no-tier`: `tier`).")
                .problem(422, LINES),
        )
        .get(
            "/api/v1/quotes",
            quotes::quotes,
            Doc::new("List a customer's quotes").describe("Newest first."),
        )
        .get(
            "/api/v1/quotes/{quote_id}",
            quotes::quote,
            Doc::new("Read a quote")
                .describe("It stays `open` for up to some minutes after `valid_until`, but cannot be accepted any more.")
                .problem(404, NO_QUOTE),
        )
        .get(
            "/api/v1/quotes/{quote_id}/history",
            quotes::history,
            Doc::new("List the changes of a quote")
                .describe("Its events, from `quote.created` on.")
                .problem(404, NO_QUOTE),
        )
        .post(
            "/api/v1/quotes/{quote_id}/accept",
            quotes::accept,
            Doc::new("Turn a quote into an order")
                .describe("Places an order at exactly the prices and totals of the quote, in one transaction with it. The goods must still be for sale, and there must be enough of them. The cart is closed if it still has the goods of the quote, and no others.")
                .problem(404, NO_QUOTE)
                .problem(409, "The quote was accepted, rejected or superseded (`quote-closed`: `quote_status`, `order_id`, `superseded_by`), its time is over (`quote-expired`: `valid_until`), or it must be priced again (`quote-needs-repricing`: `quote_id`), or what placing an order can answer."),
        )
        .post(
            "/api/v1/quotes/{quote_id}/reject",
            quotes::reject,
            Doc::new("Say that the customer does not want a quote")
                .problem(404, NO_QUOTE)
                .problem(409, "The quote was accepted, rejected or superseded (`quote-closed`: `quote_status`, `order_id`, `superseded_by`), or its time is over (`quote-expired`: `valid_until`)."),
        )
        .post(
            "/api/v1/quotes/{quote_id}/reprice",
            quotes::reprice,
            Doc::new("Price a quote again")
                .describe("Makes a new quote of the same goods, at the prices of the moment, which takes the place of this one.")
                .problem(404, "There is no such quote, or no price for a sku.")
                .problem(409, "The quote was accepted, rejected or superseded (`quote-closed`: `quote_status`, `order_id`, `superseded_by`), or what making a quote can answer.")
                .problem(422, LINES),
        )
}

/// The function's OpenAPI document. `system-api` merges it into that of the whole API.
#[must_use]
pub fn openapi() -> serde_json::Value {
    routes().openapi()
}
