//! Converts refusals into problems.

use api::Problem;
use commerce::{Refusal as Calculation, order::Refusal};
use events::{Money, Sku};
use http::StatusCode;
use serde_json::json;

fn unprocessable(words: String, name: &'static str, title: &'static str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, name, title).detail(words)
}

/// An amount as a member of a problem.
fn member(amount: Money) -> serde_json::Value {
    serde_json::to_value(amount).unwrap_or_default()
}

/// The pointer to the sku of a line of the request.
fn at(line: usize) -> String {
    format!("/lines/{line}/sku")
}

/// Returns the problem that the caller receives for a refusal of a cart or a quote. The lines are those of the cart or quote, so no
/// pointer into the request leads to them.
pub(super) fn of_cart(refusal: &Refusal) -> Problem {
    problem_at(refusal, |_| String::new())
}

/// Returns the problem that the caller receives for a refusal. Each refusal has its own problem type.
pub(super) fn problem(refusal: &Refusal) -> Problem {
    problem_at(refusal, at)
}

fn problem_at(refusal: &Refusal, at: fn(usize) -> String) -> Problem {
    let words = refusal.to_string();
    match refusal {
        Refusal::UnknownCustomer { customer_id } => {
            Problem::not_found(words).with("customer_id", customer_id.as_str())
        }
        Refusal::UnknownOrder { order_id } => {
            Problem::not_found(words).with("order_id", order_id.to_string())
        }
        // Every request makes an id of its own, and no request of this API refers to a payment.
        Refusal::IdTaken | Refusal::NoSuchReference { .. } | Refusal::OtherCurrency { .. } => {
            Problem::internal(refusal)
        }
        Refusal::UnknownCart { cart_id } => {
            Problem::not_found(words).with("cart_id", cart_id.to_string())
        }
        Refusal::UnknownItem { item_id } => {
            Problem::not_found(words).with("item_id", item_id.to_string())
        }
        Refusal::CartOrdered { order_id } => {
            let problem = Problem::conflict("cart-ordered", "The cart became an order");
            match order_id {
                Some(order_id) => problem.with("order_id", order_id.to_string()),
                None => problem,
            }
        }
        Refusal::CartEmpty { .. } => {
            Problem::conflict("cart-empty", "The cart is empty").detail(words)
        }
        Refusal::UnknownQuote { quote_id } => {
            Problem::not_found(words).with("quote_id", quote_id.to_string())
        }
        Refusal::QuoteClosed {
            status,
            order_id,
            superseded_by,
        } => {
            let ids = [
                ("order_id", order_id.map(|id| id.to_string())),
                ("superseded_by", superseded_by.map(|id| id.to_string())),
            ];
            let problem = Problem::conflict("quote-closed", "The quote changes no more")
                .detail(words)
                .with("quote_status", status.as_str());
            ids.into_iter()
                .fold(problem, |problem, (name, id)| match id {
                    Some(id) => problem.with(name, id),
                    None => problem,
                })
        }
        Refusal::QuoteExpired { valid_until } => {
            Problem::conflict("quote-expired", "The time of the quote is over")
                .detail(words)
                .with("valid_until", valid_until.to_string())
        }
        Refusal::QuoteNeedsRepricing { quote_id } => {
            let title = "The quote must be priced again";
            Problem::conflict("quote-needs-repricing", title)
                .detail(words)
                .with("quote_id", quote_id.to_string())
        }
        Refusal::TooManyLines { most } => {
            let title = "The cart would have too many lines";
            unprocessable(words, "too-many-lines", title).with("most", *most)
        }
        Refusal::QuantityTooLarge { most } => {
            let title = "A line would have too many pieces";
            unprocessable(words, "quantity-too-large", title).with("most", *most)
        }
        Refusal::SameSku { line, .. } => {
            Problem::invalid(Vec::new()).violation(at(*line), "is in a line before")
        }
        Refusal::Calculation(refusal) => of_calculation(refusal, at),
        Refusal::NotForSale { lines } => {
            let problem = Problem::conflict("not-for-sale", "The customer cannot buy these goods");
            let lines: Vec<_> = lines
                .iter()
                .map(|(line, sku)| json!({ "pointer": at(*line), "sku": sku }))
                .collect();
            problem.detail(words).with("lines", lines)
        }
        Refusal::TotalChanged {
            expected,
            total,
            currency,
        } => Problem::conflict("total-changed", "The order comes to another amount")
            .detail(words)
            .with("expected_total", member(*expected))
            .with("total", member(*total))
            .with("currency", currency.as_str()),
        Refusal::InsufficientStock { shortages } => {
            let problem = Problem::conflict("insufficient-stock", "There is not enough stock");
            let short: Vec<_> = shortages
                .iter()
                .map(|(line, short)| {
                    json!({
                        "pointer": at(*line), "sku": short.sku, "wanted": short.wanted,
                        "available": short.available,
                    })
                })
                .collect();
            problem.detail(words).with("shortages", short)
        }
        Refusal::NoCreditAccount {
            customer_id,
            currency,
        } => Problem::conflict("no-credit-account", "The business has no credit account")
            .detail(words)
            .with("customer_id", customer_id.as_str())
            .with("currency", currency.as_str()),
        Refusal::Illegal(illegal) => Problem::conflict(
            "illegal-transition",
            "The order's status does not allow this",
        )
        .detail(words)
        .with("from", illegal.from.as_str())
        .with("to", illegal.to.as_str())
        .with("allowed", illegal.allowed.clone()),
        Refusal::NotPaid { outstanding } => {
            Problem::conflict("not-paid", "The goods are shipped once they are paid")
                .detail(words)
                .with("outstanding", member(*outstanding))
        }
        Refusal::TooLarge => unprocessable(words, "too-large", "The amounts are too large"),
    }
}

/// Returns the problem of lines that cannot be calculated; it names each of them.
fn of_calculation(refusal: &Calculation, at: fn(usize) -> String) -> Problem {
    let words = refusal.to_string();
    let at_lines = |problem: Problem, lines: &[(usize, Sku)], what: &str| {
        lines.iter().fold(problem, |problem, (line, sku)| {
            problem.violation(at(*line), format!("{sku} {what}"))
        })
    };
    match refusal {
        Calculation::UnknownSkus { lines } => {
            at_lines(Problem::not_found(words), lines, "has no price")
        }
        Calculation::NoPrice { lines, currency } => {
            let title = "A product has no price in the currency";
            let problem = unprocessable(words, "no-price", title);
            at_lines(problem, lines, &format!("has no price in {currency}"))
                .with("currency", currency.as_str())
        }
        Calculation::UnknownTier { tier } => {
            let title = "The customer's tier does not exist";
            Problem::conflict("no-tier", title)
                .detail(words)
                .with("tier", tier.as_str())
        }
        Calculation::NoTaxRate {
            country,
            tax_category,
            day,
        } => {
            let title = "The country has no tax rate on the day";
            unprocessable(words, "no-tax-rate", title)
                .with("country", country.as_str())
                .with("tax_category", tax_category.as_str())
                .with("day", day.to_string())
        }
        Calculation::TooLarge => unprocessable(words, "too-large", "The amounts are too large"),
        // The others concern prices and stock themselves, which an order does not change.
        other => Problem::internal(other),
    }
}
