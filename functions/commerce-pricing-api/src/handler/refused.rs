//! Converts refusals into problems.

use std::fmt::Display;

use api::Problem;
use commerce::{
    Refusal,
    price_list::{self, Audience},
};
use events::Sku;
use http::StatusCode;

fn unprocessable(refusal: &impl Display, name: &'static str, title: &'static str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, name, title).detail(refusal.to_string())
}

/// Returns the problem that the caller receives for a refusal. Each refusal has its own problem type.
pub(super) fn problem(refusal: &Refusal) -> Problem {
    let words = refusal.to_string();
    match refusal {
        Refusal::UnknownSku { sku } => Problem::not_found(words).with("sku", sku.as_str()),
        Refusal::UnknownTier { tier } => Problem::not_found(words).with("tier", tier.as_str()),
        Refusal::UnknownCustomer { customer_id } => {
            Problem::not_found(words).with("customer_id", customer_id.as_str())
        }
        Refusal::UnknownTaxRate {
            country,
            tax_category,
        } => Problem::not_found(words)
            .with("country", country.as_str())
            .with("tax_category", tax_category.as_str()),
        Refusal::OtherProduct { product_id, .. } => {
            Problem::conflict("other-product", "The sku belongs to another product")
                .detail(words)
                .with("product_id", product_id.as_str())
        }
        Refusal::SameQuantity { .. } | Refusal::QuantityTooSmall => {
            Problem::invalid(Vec::new()).violation("/volume_prices", words)
        }
        Refusal::TooMany { most } => {
            unprocessable(refusal, "too-many", "There are too many of them").with("most", *most)
        }
        Refusal::NeverTaxed => unprocessable(refusal, "never-taxed", "The category is not taxed"),
        // The request types already exclude this. The domain checks it nevertheless.
        Refusal::PercentOutOfRange => Problem::invalid(Vec::new()).violation("", words),
        Refusal::NoTaxRate {
            country,
            tax_category,
            day,
        } => unprocessable(
            refusal,
            "no-tax-rate",
            "The country has no tax rate on the day",
        )
        .violation("/country", words)
        .with("country", country.as_str())
        .with("tax_category", tax_category.as_str())
        .with("day", day.to_string()),
        Refusal::TooLarge => unprocessable(refusal, "too-large", "The amounts are too large"),
        // The others concern calculations, which say where in their question it is, and stock.
        other => Problem::internal(other),
    }
}

/// Returns the problem of a refused calculation. `place` is the pointer to the sku of a line.
pub(super) fn of_calculation(refusal: &Refusal, place: impl Fn(usize) -> String) -> Problem {
    let at_lines = |problem: Problem, lines: &[(usize, Sku)], what: &str| {
        lines.iter().fold(problem, |problem, (line, _)| {
            problem.violation(place(*line), what)
        })
    };
    match refusal {
        Refusal::UnknownSkus { lines } => {
            let problem = Problem::not_found(refusal.to_string());
            at_lines(problem, lines, "has no price")
        }
        Refusal::NoPrice { lines, currency } => {
            let problem = unprocessable(
                refusal,
                "no-price",
                "A product has no price in the currency",
            );
            at_lines(problem, lines, &format!("has no price in {currency}"))
                .with("currency", currency.as_str())
        }
        Refusal::UnknownTier { .. } => problem(refusal).violation("/tier", refusal.to_string()),
        Refusal::UnknownCustomer { .. } => {
            problem(refusal).violation("/customer_id", refusal.to_string())
        }
        other => problem(other),
    }
}

/// Returns the problem of a refused change of a price list, or of what it says of a sku.
pub(super) fn of_price_list(refusal: &price_list::Refusal) -> Problem {
    use price_list::Refusal;

    let words = refusal.to_string();
    let too_many = |name: &'static str, title: &'static str, most: usize| {
        Problem::conflict(name, title)
            .detail(words.clone())
            .with("most", most)
    };
    match refusal {
        Refusal::UnknownList { price_list_id } => {
            Problem::not_found(words).with("price_list_id", price_list_id.as_str())
        }
        Refusal::UnknownListPrice { price_list_id, sku } => Problem::not_found(words)
            .with("price_list_id", price_list_id.as_str())
            .with("sku", sku.as_str()),
        Refusal::UnknownCustomer { customer_id } => {
            Problem::not_found(words).with("customer_id", customer_id.as_str())
        }
        Refusal::UnknownTier { tier } => Problem::conflict("no-tier", "The tier does not exist")
            .detail(words)
            .with("tier", tier.as_str()),
        Refusal::Withdrawn { price_list_id } => {
            Problem::conflict("price-list-withdrawn", "The price list was withdrawn")
                .detail(words)
                .with("price_list_id", price_list_id.as_str())
        }
        Refusal::OtherAudience { audience } => {
            let pointer = match audience {
                Audience::Customer(_) => "/customer_id",
                Audience::Tier(_) => "/tier",
                // It is the one of the two that is there.
                Audience::Everybody => "",
            };
            Problem::invalid(Vec::new()).violation(pointer, words)
        }
        Refusal::OtherCurrency { .. } => Problem::invalid(Vec::new()).violation("/currency", words),
        Refusal::EndsTooEarly => Problem::invalid(Vec::new()).violation("/valid_until", words),
        Refusal::TooManyLists { most, .. } => too_many(
            "too-many-lists",
            "There are too many price lists for the same customers",
            *most,
        ),
        Refusal::TooManyAtOnce { most, currency, .. } => too_many(
            "too-many-lists-at-once",
            "Too many price lists for the same customers are valid at the same time",
            *most,
        )
        .with("currency", currency.as_str()),
        Refusal::NoBasePrice { sku, currency } => {
            let title = "The product has no base price in the currency of the list";
            unprocessable(refusal, "no-base-price", title)
                .with("sku", sku.as_str())
                .with("currency", currency.as_str())
        }
        Refusal::Prices(refusal) => problem(refusal),
    }
}
