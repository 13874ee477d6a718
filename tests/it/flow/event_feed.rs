//! The feed over what the pipeline did in memory: whatever the weather was, positions are 1, 2, 3… without gaps, each event
//! has one, and events of an aggregate have theirs in its order.

use std::collections::{BTreeMap, BTreeSet};

use consumer::Handler;
use event_feed::handler::EventFeed;
use events::Registry;
use outbox::{Table, decode_item};
use proptest::prelude::*;
use testkit::flow::Faults;
use views::feed::{Head, Place, Row};

use super::{
    orders_of,
    world::{Order, World, orders, weather},
};

fn feed_table() -> Table {
    Table::domain("feed")
}

/// A whole run with the consumer of the feed among the others, and a good day at its end.
fn filled(seed: u64, faults: Faults, orders: &[Order]) -> World {
    let mut world = World::new(seed, faults, |builder| {
        builder.consumer(|site| EventFeed::new(site.outbox().clone(), feed_table()))
    });
    world.register_everybody();
    world.hand_in(orders);
    world.flow.drain().expect("drains");
    world.flow.set_faults(Faults::NONE);
    // A letter may wait for another one before it.
    while world.flow.redrive(EventFeed::NAME) > 0 {
        world.flow.drain().expect("drains");
    }
    world
}

#[track_caller]
fn judge(world: &World) -> usize {
    let (mut rows, mut places, mut head) = (BTreeMap::new(), BTreeMap::new(), None);
    for item in world.flow.store().items(&feed_table()) {
        let pk = item["pk"].as_str().expect("a key").to_owned();
        let key = Head::key(&feed_table());
        // The head stays, everything else is there for a week.
        assert_eq!(item.contains_key("expires_at"), pk != "head", "{item:?}");
        if pk.starts_with("feed#") {
            let row: Row = decode_item(&key, item).expect("a row");
            assert!(rows.insert(row.position, row).is_none());
        } else if let Some(id) = pk.strip_prefix("event#") {
            let place: Place = decode_item(&key, item).expect("a place");
            places.insert(id.to_owned(), place);
        } else {
            head = Some(decode_item::<Head>(&key, item).expect("a head"));
        }
    }
    let count = u64::try_from(rows.len()).expect("few");
    assert_eq!(head.map_or(0, |head| head.position), count);
    assert!(
        rows.keys().copied().eq(1..=count),
        "gaps in {:?}",
        rows.keys()
    );
    let (mut fed, mut last) = (BTreeSet::new(), BTreeMap::<String, u64>::new());
    for (position, row) in &rows {
        let envelope = Registry::read(&row.envelope).expect("an envelope");
        let (id, sequence) = (envelope.event_id.to_string(), envelope.sequence.number());
        let before = last.insert(envelope.aggregate(), sequence);
        assert!(
            before.is_none_or(|before| before < sequence),
            "{id} comes late"
        );
        let place = places.get(&id).expect("a place");
        assert_eq!(
            (place.position, place.sequence, &place.aggregate),
            (*position, sequence, &envelope.aggregate())
        );
        let in_a_week = row.fed_at.unix_seconds() + 7 * 24 * 60 * 60;
        assert_eq!([row.expires_at, place.expires_at], [in_a_week; 2]);
        assert!(fed.insert(id), "fed twice");
    }
    let logged: BTreeSet<String> = world
        .flow
        .log()
        .iter()
        .map(|envelope| envelope.event_id.to_string())
        .collect();
    assert_eq!(fed, logged, "each event once");
    rows.len()
}

#[test]
fn under_a_storm_positions_have_no_gaps_and_every_event_has_one() {
    for seed in 1..=4 {
        let fed = judge(&filled(seed, Faults::STORM, &orders_of(seed, 60)));
        assert!(fed >= 20, "{fed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn in_every_weather_the_feed_is_whole(seed in any::<u64>(), faults in weather(), orders in orders(1..25)) {
        judge(&filled(seed, faults, &orders));
    }
}
