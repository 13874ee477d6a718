//! The calculation against the published examples of EN 16931, the standard of electronic invoices in the EU.
//!
//! The standard rounds amounts to two decimals and does not say how a half is rounded; its examples round it up. Millrace rounds
//! half to even, so of an exact half cent it can state a cent less. The examples in which that happens, and those that contradict
//! their own numbers, are named here with what is calculated instead.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use commerce::calculation::{TaxedLine, line_total, totals};
use events::{
    Money, Percent,
    contracts::price::{Currency, TaxCategory},
};
use serde::Deserialize;

/// Invoices whose tax is another than the calculated one.
const OTHER_TAX: [(&str, &str, &str); 3] = [
    // Half a cent, rounded up there.
    (
        "ubl/examples/BIS3_Invoice_positive.XML",
        "156435.89",
        "156435.88",
    ),
    (
        "test/testfiles/BIS_Billing_30-Tjanster_Kopiering.xml",
        "1253.11",
        "1253.1",
    ),
    // In whole forints.
    ("cii/examples/huf_example_cii.xml", "18679.00", "18678.6"),
];

/// Lines that do not come to their quantity times their price, by their place in the invoice.
const OTHER_LINES: [(&str, usize, &str); 5] = [
    ("ubl/examples/guide-example3.xml", 0, "1600"),
    ("ubl/examples/guide-example3.xml", 1, "1600"),
    ("ubl/examples/ubl-tc434-example3.xml", 0, "1600"),
    ("ubl/examples/ubl-tc434-example3.xml", 1, "1600"),
    (
        "test/testfiles/BIS_Billing_30-Rantefaktura_Enkel.xml",
        0,
        "2416.15",
    ),
];

#[derive(Deserialize)]
struct Published {
    invoices: Vec<Invoice>,
}

#[derive(Deserialize)]
struct Invoice {
    name: String,
    lines: Vec<Line>,
    tax: Vec<Tax>,
    net: String,
    tax_total: String,
    gross: String,
}

#[derive(Deserialize)]
struct Line {
    net: String,
    rate: String,
    /// Only where the line is a whole quantity times a price of at most four decimals.
    quantity: Option<u32>,
    unit_price: Option<String>,
}

#[derive(Deserialize)]
struct Tax {
    rate: String,
    taxable: String,
    tax: String,
}

fn invoices() -> Vec<Invoice> {
    let text = include_str!("fixtures/en16931.json");
    let published: Published = serde_json::from_str(text).expect("the fixture");
    published.invoices
}

/// What is taxed at a rate above zero is `standard` here; everything else (exempt, outside the tax, reverse charge) `zero`.
fn category(rate: &str) -> TaxCategory {
    let rate: Percent = rate.parse().expect("a rate");
    if rate.is_zero() {
        TaxCategory::Zero
    } else {
        TaxCategory::Standard
    }
}

fn money(text: &str) -> Money {
    text.parse().expect("money")
}

#[test]
fn an_invoice_comes_to_what_is_published() {
    let mut other: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    other.extend(OTHER_TAX.map(|(name, published, ours)| (name, (published, ours))));
    let invoices = invoices();
    assert_eq!(invoices.len(), 38);
    for invoice in &invoices {
        let name = &invoice.name;
        let lines: Vec<TaxedLine> = invoice
            .lines
            .iter()
            .map(|line| TaxedLine {
                line_total: money(&line.net),
                tax_category: category(&line.rate),
                tax_rate: line.rate.parse().expect("a rate"),
            })
            .collect();
        let (totals, shares) = totals(Currency::Eur, &lines).expect("small");
        assert_eq!(totals.subtotal, money(&invoice.net), "{name}");
        let shared = shares.iter().map(|share| share.decimal()).sum();
        assert_eq!(totals.tax_amount.decimal(), shared, "{name}");
        let Some((published, ours)) = other.remove(name.as_str()) else {
            assert_eq!(totals.tax_amount, money(&invoice.tax_total), "{name}");
            assert_eq!(totals.total, money(&invoice.gross), "{name}");
            for tax in &invoice.tax {
                if category(&tax.rate) == TaxCategory::Zero {
                    assert_eq!(money(&tax.tax), Money::ZERO, "{name}");
                    continue;
                }
                let rate = tax.rate.parse().expect("a rate");
                let mut taxed = totals.tax_lines.iter();
                let one = taxed
                    .find(|one| one.tax_category == TaxCategory::Standard && one.tax_rate == rate);
                let one = one.expect("it is taxed by this rate");
                assert_eq!(one.taxable_amount, money(&tax.taxable), "{name}");
                assert_eq!(one.tax_amount, money(&tax.tax), "{name}");
            }
            continue;
        };
        assert_eq!(money(&invoice.tax_total), money(published), "{name}");
        assert_eq!(totals.tax_amount, money(ours), "{name}");
    }
    assert!(other.is_empty(), "not among the examples: {other:?}");
}

#[test]
fn a_line_comes_to_what_is_published() {
    let mut checked = 0;
    let mut other: Vec<_> = OTHER_LINES.to_vec();
    for invoice in invoices() {
        for (at, line) in invoice.lines.iter().enumerate() {
            let (Some(quantity), Some(price)) = (line.quantity, &line.unit_price) else {
                continue;
            };
            let total = line_total(price.parse().expect("a price"), quantity).expect("small");
            let named =
                |(name, line, _): &(&str, usize, &str)| *name == invoice.name && *line == at;
            let expected = match other.iter().position(named) {
                Some(place) => other.remove(place).2,
                None => &line.net,
            };
            assert_eq!(total, money(expected), "{} line {at}", invoice.name);
            checked += 1;
        }
    }
    assert_eq!(checked, 69);
    assert_eq!(other, []);
}
