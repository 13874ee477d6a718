use events::{Text, TierName};
use proptest::prelude::*;

use super::*;
use crate::{price::Prices, tier};

fn money(text: &str) -> Money {
    text.parse().expect("money")
}

fn unit(text: &str) -> UnitPrice {
    text.parse().expect("a price")
}

fn percent(text: &str) -> Percent {
    text.parse().expect("per cent")
}

fn gold(discount: &str) -> Tier {
    let command = tier::SetTier {
        tier: TierName::new("gold").expect("a name"),
        discount_percent: percent(discount),
        by: Text::new("desk").expect("a name"),
    };
    let (version, now) = (domain::testing::number(1), domain::testing::at(1));
    let change = tier::set(None, command, version, now).expect("allowed");
    change.state().clone()
}

fn list(base: &str, min_quantity: u32, price: &str) -> Prices {
    Prices {
        base_price: unit(base),
        volume_prices: vec![events::contracts::price::VolumePrice {
            min_quantity,
            price: unit(price),
        }],
    }
}

fn line(total: &str, category: TaxCategory, rate: &str) -> TaxedLine {
    TaxedLine {
        line_total: money(total),
        tax_category: category,
        tax_rate: percent(rate),
    }
}

#[test]
fn the_seeds_order_comes_to_what_the_seed_says() {
    let unit_price = unit("150.00");
    let total = line_total(unit_price, 10).expect("small");
    assert_eq!(total, money("1500.00"));
    let lines = [line("1500", TaxCategory::Standard, "19")];
    let (totals, shares) = totals(Currency::Eur, &lines).expect("small");
    assert_eq!(totals.subtotal, money("1500.00"));
    assert_eq!(totals.tax_amount, money("285.00"));
    assert_eq!(totals.total, money("1785.00"));
    assert_eq!(shares, [money("285.00")]);
}

#[test]
fn a_unit_costs_the_quantitys_price_less_the_tiers_percentage() {
    let list = list("150", 10, "133.3333");
    for (quantity, tier, price, reason) in [
        (9, None, "150", PriceReason::BasePrice),
        (10, None, "133.3333", PriceReason::VolumePrice),
        (9, Some("12.5"), "131.25", PriceReason::TierDiscount),
        // 133.3333 less 12.5 % is 116.6666375.
        (10, Some("12.5"), "116.6666", PriceReason::TierDiscount),
        (9, Some("0"), "150", PriceReason::BasePrice),
        (9, Some("100"), "0", PriceReason::TierDiscount),
    ] {
        let tier = tier.map(gold);
        let calculated = unit_price(&list, &[], quantity, tier.as_ref()).expect("small");
        assert_eq!(calculated.unit_price, unit(price), "{quantity}");
        assert_eq!(calculated.reason, reason, "{quantity}");
        assert_eq!(calculated.base_price, unit("150"));
        let discounted = reason == PriceReason::TierDiscount;
        assert_eq!(calculated.discount_percent.is_some(), discounted);
    }
}

#[test]
fn each_amount_is_rounded_half_to_even() {
    assert_eq!(line_total(unit("0.125"), 1), Ok(money("0.12")));
    assert_eq!(line_total(unit("0.375"), 1), Ok(money("0.38")));
    assert_eq!(
        unit_price(&list("0.0005", 9, "1"), &[], 1, Some(&gold("50"))).map(|one| one.unit_price),
        Ok(unit("0.0002"))
    );
    let tax = |net: &str| {
        let lines = [line(net, TaxCategory::Standard, "25")];
        totals(Currency::Eur, &lines).map(|(totals, _)| totals.tax_amount)
    };
    assert_eq!(tax("0.10"), Ok(money("0.02")));
    assert_eq!(tax("0.30"), Ok(money("0.08")));
}

#[test]
fn tax_is_rounded_on_the_sum_and_its_shares_add_up_to_it() {
    for (net, rate, tax, shares) in [
        // Each line's exact tax is 1.47 cents: 4 in all, and not 3.
        ("0.07", "21", "0.04", ["0.02", "0.01", "0.01"]),
        // 0.95 cents each: 3 in all.
        ("0.05", "19", "0.03", ["0.01", "0.01", "0.01"]),
        // 0.5 cents each is 1.5 in all, of which the even one is 2.
        ("0.02", "25", "0.02", ["0.01", "0.01", "0"]),
    ] {
        let lines = vec![line(net, TaxCategory::Standard, rate); 3];
        let (totals, shared) = totals(Currency::Ron, &lines).expect("small");
        assert_eq!(totals.tax_amount, money(tax), "{net} at {rate} %");
        assert_eq!(shared, shares.map(money), "{net} at {rate} %");
    }
}

#[test]
fn rates_are_taxed_apart_and_an_order_without_lines_comes_to_nothing() {
    let lines = [
        line("100", TaxCategory::Standard, "21"),
        line("50", TaxCategory::Reduced, "11"),
        line("10", TaxCategory::Zero, "0"),
        line("1", TaxCategory::Standard, "21"),
    ];
    let (totals, shares) = totals(Currency::Ron, &lines).expect("small");
    let taxed: Vec<_> = totals
        .tax_lines
        .iter()
        .map(|one| (one.taxable_amount, one.tax_amount))
        .collect();
    assert_eq!(
        taxed,
        [
            (money("101"), money("21.21")),
            (money("50"), money("5.5")),
            (money("10"), money("0"))
        ]
    );
    assert_eq!(totals.total, money("187.71"));
    assert_eq!(
        shares,
        [money("21"), money("5.5"), money("0"), money("0.21")]
    );
    let (nothing, _) = super::totals(Currency::Ron, &[]).expect("small");
    assert_eq!((nothing.total, nothing.tax_lines.len()), (Money::ZERO, 0));
}

#[test]
fn what_has_more_digits_than_money_is_refused() {
    assert_eq!(
        line_total(unit("99999999999.9999"), LARGEST_QUANTITY),
        Err(Refusal::TooLarge)
    );
    let most = line("9999999999999.99", TaxCategory::Standard, "100");
    assert_eq!(
        totals(Currency::Eur, &[most]).map(drop),
        Err(Refusal::TooLarge)
    );
    let most = line("9999999999999.99", TaxCategory::Zero, "0");
    assert_eq!(
        totals(Currency::Eur, &[most, most]).map(drop),
        Err(Refusal::TooLarge)
    );
}

/// A price list of this id, and what it says of the goods.
type Said = (Level, Entry, Prices);

fn said(id: &str, level: Level, kind: ListKind, price: &str) -> Said {
    let entry = Entry {
        price_list_id: PriceListId::new(id).expect("an id"),
        currency: Currency::Eur,
        kind,
        priority: 0,
        valid_from: None,
        valid_until: None,
    };
    (level, entry, list(price, 10, price))
}

fn offers(said: &[Said]) -> Vec<ListOffer<'_>> {
    let each = said.iter().map(|(level, list, prices)| ListOffer {
        level: *level,
        list,
        prices,
    });
    each.collect()
}

/// What nine pieces cost each, at a base price of 150 and with 10 % off for the tier, and why.
fn nine(said: &[Said]) -> (String, PriceReason) {
    let calculated = unit_price(&list("150", 10, "140"), &offers(said), 9, Some(&gold("10")));
    let calculated = calculated.expect("small");
    (calculated.unit_price.to_string(), calculated.reason)
}

#[test]
fn a_contract_counts_before_a_tier_before_everybody_before_the_base_price() {
    let mut all = vec![
        said("all", Level::Everybody, ListKind::Override, "200"),
        said("tier", Level::Tier, ListKind::Override, "190"),
        said("contract", Level::Contract, ListKind::Override, "180"),
    ];
    assert_eq!(nine(&all), ("180".to_owned(), PriceReason::ContractPrice));
    all.pop();
    // The percentage of the tier comes off the base price alone.
    assert_eq!(nine(&all), ("190".to_owned(), PriceReason::TierPrice));
    all.pop();
    assert_eq!(nine(&all), ("200".to_owned(), PriceReason::ListPrice));
    all.pop();
    assert_eq!(nine(&all), ("135".to_owned(), PriceReason::TierDiscount));
}

#[test]
fn a_sale_counts_only_where_it_is_lower_than_what_comes_without_it() {
    let sale = |price| said("sale", Level::Everybody, ListKind::Sale, price);
    let higher = nine(&[sale("135")]);
    assert_eq!(higher, ("135".to_owned(), PriceReason::TierDiscount));
    let lower = nine(&[sale("134.9999")]);
    assert_eq!(lower, ("134.9999".to_owned(), PriceReason::ListPrice));
    // It is compared with the tier's list, which is higher than the base price, and it is that which the contract takes the place of.
    let of_tier = said("tier", Level::Tier, ListKind::Override, "190");
    let contract = said("contract", Level::Contract, ListKind::Sale, "189");
    let of_contract = nine(&[sale("1"), of_tier.clone(), contract]);
    assert_eq!(of_contract, ("189".to_owned(), PriceReason::ContractPrice));
    assert_eq!(
        nine(&[sale("1"), of_tier]),
        ("190".to_owned(), PriceReason::TierPrice)
    );
}

#[test]
fn inside_a_level_priority_counts_then_the_later_begin_then_the_id() {
    let named = |id: &str, priority: u32, from: Option<u64>, price: &str| {
        let (level, entry, prices) = said(id, Level::Tier, ListKind::Override, price);
        let entry = Entry {
            priority,
            valid_from: from.map(domain::testing::at),
            ..entry
        };
        (level, entry, prices)
    };
    let mut all = vec![
        named("c", 0, None, "4"),
        named("b", 0, Some(1), "3"),
        named("a", 0, Some(1), "2"),
        named("d", 1, None, "1"),
    ];
    for price in ["1", "2", "3", "4"] {
        assert_eq!(nine(&all).0, price);
        all.retain(|(_, _, prices)| prices.base_price != unit(price));
    }
}

#[test]
fn the_chosen_list_gives_the_price_of_the_largest_quantity_that_is_reached() {
    let (level, entry, _) = said("contract", Level::Contract, ListKind::Override, "1");
    let all = [(level, entry, list("120", 10, "110"))];
    for (quantity, from, price) in [(9, 1, "120"), (10, 10, "110")] {
        let base = list("150", 5, "140");
        let calculated = unit_price(&base, &offers(&all), quantity, Some(&gold("10")));
        let calculated = calculated.expect("small");
        assert_eq!(calculated.unit_price, unit(price));
        assert_eq!(calculated.list_price, unit(price));
        assert_eq!(calculated.min_quantity, from);
        assert_eq!(calculated.base_price, unit("150"));
        let list = calculated.price_list_id.expect("a list");
        assert_eq!(list.as_str(), "contract");
        assert_eq!((calculated.tier, calculated.discount_percent), (None, None));
    }
}

/// Whether one list counts before another, word by word.
fn comes_first((level, one, _): &Said, (other_level, other, _): &Said) -> bool {
    if level != other_level {
        return match level {
            Level::Contract => true,
            Level::Tier => *other_level == Level::Everybody,
            Level::Everybody => false,
        };
    }
    if one.priority != other.priority {
        return one.priority > other.priority;
    }
    match (one.valid_from, other.valid_from) {
        (Some(one), Some(other)) if one != other => return one > other,
        (Some(_), None) => return true,
        (None, Some(_)) => return false,
        _ => {}
    }
    one.price_list_id.as_str() < other.price_list_id.as_str()
}

/// The price of a unit, as it is said: the first list, or what comes without it.
fn naive(said: &[Said], quantity: u32, without_lists: UnitPrice) -> (Option<String>, UnitPrice) {
    let first = said.iter().find(|one| {
        said.iter()
            .all(|other| one.1 == other.1 || comes_first(one, other))
    });
    let Some(first) = first else {
        return (None, without_lists);
    };
    let rows = &first.2.volume_prices;
    let reached = rows.iter().filter(|row| row.min_quantity <= quantity);
    let row = reached.max_by_key(|row| row.min_quantity);
    let price = row.map_or(first.2.base_price, |row| row.price);
    let others: Vec<Said> = said
        .iter()
        .filter(|one| one.1 != first.1)
        .cloned()
        .collect();
    let without = naive(&others, quantity, without_lists);
    if first.1.kind == ListKind::Override || price < without.1 {
        (Some(first.1.price_list_id.to_string()), price)
    } else {
        without
    }
}

fn any_list() -> impl Strategy<Value = (Level, ListKind, u32, Option<u64>, (u32, u32, u32))> {
    let level = prop::sample::select(vec![Level::Contract, Level::Tier, Level::Everybody]);
    let kind = prop::sample::select(vec![ListKind::Override, ListKind::Sale]);
    // Few values, so that many are equal.
    let prices = (1..6_u32, 2..5_u32, 1..6_u32);
    (level, kind, 0..3_u32, prop::option::of(1..3_u64), prices)
}

fn any_line() -> impl Strategy<Value = (u64, u32, TaxCategory, Option<u32>)> {
    let category = prop::sample::select(TaxCategory::ALL.to_vec());
    // Prices of up to ten million, in the smallest step; a tier's percentage in hundredths.
    (
        0..100_000_000_000_u64,
        1..10_000_u32,
        category,
        prop::option::of(0..=10_000_u32),
    )
}

proptest! {
    /// For any lists the price is the one that a reading of the rule word by word comes to.
    #[test]
    fn the_price_is_that_of_the_list_that_the_rule_names(
        lists in prop::collection::vec(any_list(), 0..8),
        (base, off, quantity) in (1..6_u32, 0..60_u32, 1..6_u32),
    ) {
        let each = lists.into_iter().enumerate();
        let said: Vec<Said> = each.map(|(number, (level, kind, priority, from, prices))| {
            let (price, min_quantity, volume_price) = prices;
            let entry = Entry {
                price_list_id: PriceListId::new(format!("list{number}")).expect("an id"),
                currency: Currency::Eur,
                kind,
                priority,
                valid_from: from.map(domain::testing::at),
                valid_until: None,
            };
            (level, entry, list(&price.to_string(), min_quantity, &volume_price.to_string()))
        }).collect();
        let (base, tier) = (list(&base.to_string(), 3, "2"), gold(&off.to_string()));
        let alone = unit_price(&base, &[], quantity, Some(&tier)).expect("small");
        let chosen = unit_price(&base, &offers(&said), quantity, Some(&tier)).expect("small");
        let id = chosen.price_list_id.as_ref().map(ToString::to_string);
        prop_assert_eq!((id, chosen.unit_price), naive(&said, quantity, alone.unit_price));
        if chosen.price_list_id.is_none() {
            prop_assert_eq!(chosen, alone);
        }
    }

    /// For any lists, tiers and rates, lines add up to the subtotal, shares to the tax, and no rounding moves an
    /// amount by more than half of its smallest step.
    #[test]
    fn everything_adds_up(
        lines in prop::collection::vec(any_line(), 0..MOST_LINES),
        rates in prop::array::uniform3(0..=10_000_i64),
    ) {
        let mut taxed = Vec::new();
        for (price, quantity, category, off) in lines {
            let base = UnitPrice::new(Decimal::new(i64::try_from(price).expect("small"), 4)).expect("small");
            let list = Prices { base_price: base, volume_prices: Vec::new() };
            let tier = off.map(|off| gold(&Decimal::new(i64::from(off), 2).to_string()));
            let unit = unit_price(&list, &[], quantity, tier.as_ref()).expect("small");
            let left = Decimal::new(10_000 - i64::from(off.unwrap_or(0)), 4);
            let exact = base.decimal() * left;
            prop_assert!((unit.unit_price.decimal() - exact).abs() <= Decimal::new(5, 5));
            prop_assert!(unit.unit_price <= base);
            let total = line_total(unit.unit_price, quantity).expect("small");
            let exact = unit.unit_price.decimal() * Decimal::from(quantity);
            prop_assert!((total.decimal() - exact).abs() <= Decimal::new(5, 3));
            let at = TaxCategory::ALL.iter().position(|one| *one == category).expect("one of them");
            let tax_rate = Percent::new(Decimal::new(rates[at], 2)).expect("small");
            taxed.push(TaxedLine { line_total: total, tax_category: category, tax_rate });
        }
        let (totals, shares) = totals(Currency::Eur, &taxed).expect("small");
        let sum = |amounts: Vec<Money>| amounts.into_iter().map(Money::decimal).sum::<Decimal>();
        prop_assert_eq!(sum(taxed.iter().map(|one| one.line_total).collect()), totals.subtotal.decimal());
        prop_assert_eq!(sum(totals.tax_lines.iter().map(|one| one.taxable_amount).collect()), totals.subtotal.decimal());
        prop_assert_eq!(sum(totals.tax_lines.iter().map(|one| one.tax_amount).collect()), totals.tax_amount.decimal());
        prop_assert_eq!(sum(shares.clone()), totals.tax_amount.decimal());
        prop_assert_eq!(totals.total.decimal(), totals.subtotal.decimal() + totals.tax_amount.decimal());
        for (line, share) in taxed.iter().zip(&shares) {
            let exact = line.line_total.decimal() * line.tax_rate.decimal() / Decimal::ONE_HUNDRED;
            prop_assert!((share.decimal() - exact).abs() < Decimal::new(1, 2));
        }
        for one in &totals.tax_lines {
            let exact = one.taxable_amount.decimal() * one.tax_rate.decimal() / Decimal::ONE_HUNDRED;
            prop_assert!((one.tax_amount.decimal() - exact).abs() <= Decimal::new(5, 3));
        }
    }
}
