//! Converts refusals into problems.

use api::Problem;
use commerce::Refusal;
use events::Sku;
use http::StatusCode;

fn unprocessable(refusal: &Refusal, name: &'static str, title: &'static str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, name, title).detail(refusal.to_string())
}

/// Returns the problem that the caller receives for a refusal. Each refusal has its own problem type.
pub(super) fn problem(refusal: &Refusal) -> Problem {
    let words = refusal.to_string();
    match refusal {
        Refusal::UnknownSku { sku } => Problem::not_found(words).with("sku", sku.as_str()),
        Refusal::UnknownTier { tier } => Problem::not_found(words).with("tier", tier.as_str()),
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
        other => problem(other),
    }
}
