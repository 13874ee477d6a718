use domain::testing::{Log, at, number};

use super::*;

fn day(text: &str) -> Day {
    text.parse().expect("a day")
}

fn percent(text: &str) -> Percent {
    text.parse().expect("per cent")
}

fn command(tax_category: TaxCategory, rate: &str, valid_from: &str) -> SetTaxRate {
    SetTaxRate {
        country: CountryCode::new("RO").expect("a country"),
        tax_category,
        rate: percent(rate),
        valid_from: day(valid_from),
        by: Text::new("desk").expect("a name"),
    }
}

#[test]
fn a_rate_applies_from_its_day_until_that_of_the_next() {
    let (mut log, mut state) = (Log::default(), None::<TaxRates>);
    for (version, rate, from, previous) in [
        (1, "21", "2025-08-01", None),
        (2, "18", "2017-01-01", None),
        (3, "19", "2017-01-01", Some("18")),
    ] {
        let one = command(TaxCategory::Standard, rate, from);
        let change = set(state.as_ref(), one, number(version), at(version)).expect("allowed");
        let event = change.event().expect("set");
        assert_eq!(event.previous_rate, previous.map(percent));
        log.append([events::Draft::of(event).expect("a draft")], at(version));
        state = Some(change.state().clone());
        let rebuilt = domain::rebuild::<TaxRates>(&log.0).expect("they follow");
        assert_eq!(rebuilt.map(|rebuilt| rebuilt.state), state);
    }
    let rates = state.expect("set");
    for (on, rate) in [
        ("2016-12-31", None),
        ("2017-01-01", Some("19")),
        ("2025-07-31", Some("19")),
        ("2025-08-01", Some("21")),
        ("9999-12-31", Some("21")),
    ] {
        assert_eq!(rates.on(day(on)), rate.map(percent), "{on}");
    }
}

#[test]
fn what_cannot_be_is_refused_and_what_is_so_is_no_event() {
    let standard = TaxCategory::Standard;
    let refused = |before: Option<&TaxRates>, one| set(before, one, number(1), at(1)).err();
    let above = command(standard, "100.01", "2025-08-01");
    assert_eq!(refused(None, above), Some(Refusal::PercentOutOfRange));
    let zero = command(TaxCategory::Zero, "0", "2025-08-01");
    assert_eq!(refused(None, zero), Some(Refusal::NeverTaxed));
    let mut state: Option<TaxRates> = None;
    for year in 0..MOST_RATES {
        let one = command(standard, "21", &format!("{}-01-01", 2000 + year));
        let change = set(state.as_ref(), one, number(1), at(1)).expect("allowed");
        state = Some(change.state().clone());
    }
    let more = command(standard, "21", "1999-01-01");
    assert_eq!(
        refused(state.as_ref(), more),
        Some(Refusal::TooMany { most: MOST_RATES })
    );
    let same = command(standard, "21.00", "2000-01-01");
    let same = set(state.as_ref(), same, number(2), at(2)).expect("allowed");
    assert_eq!((same.event(), Some(same.state())), (None, state.as_ref()));
}
