use domain::testing::{Log, at, number};

use super::*;

fn sku() -> Sku {
    Sku::new("PRD-001-A").expect("a sku")
}

fn unit(text: &str) -> UnitPrice {
    text.parse().expect("a price")
}

fn list(base: &str, volume: &[(u32, &str)]) -> Prices {
    let row = |(min_quantity, price): &(u32, &str)| VolumePrice {
        min_quantity: *min_quantity,
        price: unit(price),
    };
    Prices {
        base_price: unit(base),
        volume_prices: volume.iter().map(row).collect(),
    }
}

fn command(currency: Currency, list: Prices) -> SetPrice {
    SetPrice {
        product_id: ProductId::new("PRD-00123").expect("an id"),
        sku: sku(),
        currency,
        list,
        by: Text::new("user-456").expect("a name"),
    }
}

/// Sets prices on a row of this version at this second.
fn step(before: Option<&Price>, version: u64, command: SetPrice) -> Change<Price, Changed> {
    set(
        before,
        command,
        SkuUse::default(),
        number(version),
        at(version),
    )
    .expect("allowed")
}

#[test]
fn the_event_of_a_rise_says_what_the_seeds_sample_says() {
    let first = step(None, 1, command(Currency::Eur, list("150", &[])));
    let event = first.event().expect("set");
    let nothing = (
        event.previous_price,
        event.price_difference,
        event.percentage_change,
    );
    assert_eq!(nothing, (None, None, None));
    let second = step(
        Some(first.state()),
        2,
        command(Currency::Eur, list("165", &[])),
    );
    let event = second.event().expect("set");
    assert_eq!(event.previous_price, Some(unit("150")));
    assert_eq!(
        event.price_difference.map(|one| one.to_string()).as_deref(),
        Some("15")
    );
    assert_eq!(
        event
            .percentage_change
            .map(|one| one.to_string())
            .as_deref(),
        Some("10")
    );
    assert_eq!(event.price_type, PriceType::BasePrice);
}

#[test]
fn a_percentage_is_rounded_half_to_even_and_left_out_where_there_is_none() {
    let percent = |before: &str, after: &str| {
        percentage(unit(before), unit(after)).map(|percent| percent.to_string())
    };
    assert_eq!(percent("150", "100").as_deref(), Some("-33.33"));
    assert_eq!(percent("800", "800.01").as_deref(), Some("0"));
    assert_eq!(percent("80000", "80020").as_deref(), Some("0.02"));
    assert_eq!(percent("80000", "80060").as_deref(), Some("0.08"));
    assert_eq!(percent("0", "1"), None);
    assert_eq!(percent("0.0001", "99999999999.9999"), None);
}

#[test]
fn what_is_set_already_is_no_event() {
    let rows = [(10, "140"), (100, "120")];
    let first = step(None, 1, command(Currency::Eur, list("150", &rows)));
    let mut again = rows;
    again.reverse();
    let same = step(
        Some(first.state()),
        2,
        command(Currency::Eur, list("150", &again)),
    );
    assert_eq!((same.event(), same.state()), (None, first.state()));
    let volume = step(
        Some(first.state()),
        2,
        command(Currency::Eur, list("150", &rows[..1])),
    );
    let event = volume.event().expect("one price less");
    assert_eq!(event.price_type, PriceType::VolumePrice);
    assert_eq!(
        event.price_difference.map(|one| one.to_string()).as_deref(),
        Some("0")
    );
}

#[test]
fn currencies_do_not_touch_each_other() {
    let euros = step(None, 1, command(Currency::Eur, list("150", &[])));
    let both = step(
        Some(euros.state()),
        2,
        command(Currency::Ron, list("746.5", &[])),
    );
    assert_eq!(both.event().expect("set").previous_price, None);
    assert_eq!(both.state().currencies()[&Currency::Eur], list("150", &[]));
    assert_eq!(both.state().currencies().len(), 2);
}

#[test]
fn the_price_of_a_quantity_is_that_of_the_largest_one_reached() {
    let list = list("150", &[(10, "140"), (100, "120")]);
    for (quantity, from, price) in [
        (1, 1, "150"),
        (9, 1, "150"),
        (10, 10, "140"),
        (99, 10, "140"),
        (100, 100, "120"),
        (1_000_000, 100, "120"),
    ] {
        assert_eq!(
            list.of_quantity(quantity),
            (from, unit(price)),
            "{quantity}"
        );
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |before, list| {
        set(
            before,
            command(Currency::Eur, list),
            SkuUse::default(),
            number(1),
            at(1),
        )
        .err()
    };
    let same = list("1", &[(5, "1"), (3, "1"), (5, "2")]);
    assert_eq!(
        refused(None, same),
        Some(Refusal::SameQuantity { min_quantity: 5 })
    );
    assert_eq!(
        refused(None, list("1", &[(1, "1")])),
        Some(Refusal::QuantityTooSmall)
    );
    let many: Vec<(u32, &str)> = (2..23).map(|quantity| (quantity, "1")).collect();
    assert_eq!(
        refused(None, list("1", &many)),
        Some(Refusal::TooMany { most: 20 })
    );
    let first = step(None, 1, command(Currency::Eur, list("150", &[])));
    let mut other = command(Currency::Eur, list("150", &[]));
    other.product_id = ProductId::new("PRD-9").expect("an id");
    let product_id = first.state().product_id().clone();
    assert_eq!(
        set(
            Some(first.state()),
            other,
            SkuUse::default(),
            number(2),
            at(2)
        )
        .err(),
        Some(Refusal::OtherProduct {
            sku: sku(),
            product_id
        })
    );
}

#[test]
fn a_clock_that_goes_back_does_not_take_the_price_with_it() {
    let first = set(
        None,
        command(Currency::Eur, list("1", &[])),
        SkuUse::default(),
        number(1),
        at(9),
    )
    .expect("set");
    let second = step(
        Some(first.state()),
        2,
        command(Currency::Eur, list("2", &[])),
    );
    assert_eq!(second.state().updated_at(), at(9));
}

#[test]
fn prices_are_what_their_events_come_to() {
    let mut log = Log::default();
    let mut state: Option<Price> = None;
    for (version, currency, base, volume) in [
        (1, Currency::Eur, "150", &[(10, "140")][..]),
        (2, Currency::Ron, "746.5", &[]),
        (3, Currency::Eur, "165", &[]),
        (4, Currency::Eur, "165", &[(2, "160")]),
    ] {
        let change = step(
            state.as_ref(),
            version,
            command(currency, list(base, volume)),
        );
        let event = change.event().expect("set").clone();
        log.append([events::Draft::of(&event).expect("a draft")], at(version));
        state = Some(change.state().clone());
        let rebuilt = domain::rebuild::<Price>(&log.0)
            .expect("they follow")
            .expect("events");
        assert_eq!(Some(&rebuilt.state), state.as_ref());
    }
    // An event that states another previous price does not follow.
    let forged = step(None, 5, command(Currency::Eur, list("1", &[])));
    let draft = events::Draft::of(forged.event().expect("set")).expect("a draft");
    log.append([draft], at(5));
    let broken = domain::rebuild::<Price>(&log.0).expect_err("it does not follow");
    assert!(
        broken.to_string().contains("another previous price"),
        "{broken}"
    );
}
