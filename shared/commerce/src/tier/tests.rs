use domain::testing::{Log, at, number};

use super::*;

fn command(discount_percent: &str) -> SetTier {
    SetTier {
        tier: TierName::new("gold").expect("a name"),
        discount_percent: discount_percent.parse().expect("per cent"),
        by: Text::new("desk").expect("a name"),
    }
}

#[test]
fn a_tier_is_what_its_events_come_to() {
    let (mut log, mut state) = (Log::default(), None::<Tier>);
    // The clock goes back once; the tier does not.
    for (version, second, percent) in [(1, 5, "10"), (2, 3, "12.5"), (3, 9, "0")] {
        let change = set(
            state.as_ref(),
            command(percent),
            number(version),
            at(second),
        );
        let change = change.expect("allowed");
        let event = change.event().expect("set");
        assert_eq!(
            event.previous_discount_percent,
            state.as_ref().map(Tier::discount_percent)
        );
        log.append([events::Draft::of(event).expect("a draft")], at(second));
        state = Some(change.state().clone());
        let rebuilt = domain::rebuild::<Tier>(&log.0).expect("they follow");
        assert_eq!(rebuilt.map(|rebuilt| rebuilt.state), state);
    }
    assert_eq!(state.map(|tier| tier.updated_at()), Some(at(9)));
}

#[test]
fn what_is_set_already_is_no_event_and_more_than_all_is_refused() {
    let first = set(None, command("10"), number(1), at(1)).expect("allowed");
    let same = set(Some(first.state()), command("10.00"), number(2), at(2)).expect("allowed");
    assert_eq!((same.event(), same.state()), (None, first.state()));
    let refused = set(None, command("100.01"), number(1), at(1)).err();
    assert_eq!(refused, Some(Refusal::PercentOutOfRange));
}
