//! The feed: positions are 1, 2, 3… without gaps; each event has one; the events of an aggregate are in sequence.

use std::collections::{BTreeMap, BTreeSet};

use events::{Envelope, Registry, Retention};
use outbox::decode_item;
use views::feed::{FeedRow, Head, Place};

use super::super::{World, feed_table};

/// How long a client may resume, as the README promises.
const WEEK_SECONDS: i64 = 7 * 24 * 60 * 60;

impl World {
    pub(super) fn judge_feed(&self, log: &[Envelope], wrong: &mut Vec<String>) {
        let (mut rows, mut places, mut head) = (BTreeMap::new(), BTreeMap::new(), 0);
        let key = Head::key(&feed_table());
        for item in self.flow.store().items(&feed_table()) {
            let pk = item["pk"].as_str().expect("a key").to_owned();
            // The head never expires. An event decides about its place, see below.
            if item.contains_key("expires_at") != pk.starts_with("feed#")
                && !pk.starts_with("event#")
            {
                wrong.push(format!(
                    "{pk} of the feed expires when it should not, or never"
                ));
            }
            if pk.starts_with("feed#") {
                let row: FeedRow = decode_item(&key, item).expect("a row");
                rows.insert(row.position, row);
            } else if let Some(id) = pk.strip_prefix("event#") {
                let place: Place = decode_item(&key, item).expect("a place");
                places.insert(id.to_owned(), place);
            } else {
                let read: Head = decode_item(&key, item).expect("a head");
                head = read.position;
            }
        }
        if !rows.keys().copied().eq(1..=head) {
            wrong.push(format!(
                "the feed's head is {head}, its positions are {:?}",
                rows.keys()
            ));
        }
        let (mut fed, mut last) = (BTreeSet::new(), BTreeMap::<String, u64>::new());
        for (position, row) in &rows {
            let envelope = Registry::read(&row.envelope).expect("an envelope");
            let (id, sequence) = (envelope.event_id.to_string(), envelope.sequence.number());
            let before = last.insert(envelope.aggregate(), sequence);
            if before.is_some_and(|before| before >= sequence) {
                wrong.push(format!(
                    "{id} is after a later event of its aggregate in the feed, at {position}"
                ));
            }
            let in_a_week = row.fed_at.unix_seconds() + WEEK_SECONDS;
            // An event that stays in the log forever is found in the feed by its id forever.
            let is_kept = Registry::shipped_contracts().iter().any(|one| {
                one.event_type == envelope.event_type.as_str()
                    && one.retention == Retention::Forever
            });
            let goes = (!is_kept).then_some(in_a_week);
            let leads = places.get(&id).is_some_and(|place| {
                (place.position, place.sequence) == (*position, sequence)
                    && place.aggregate == envelope.aggregate()
                    && (row.expires_at, place.expires_at) == (in_a_week, goes)
            });
            if !leads {
                wrong.push(format!(
                    "no place with the right expiry leads to {id} in the feed, at {position}"
                ));
            }
            if !fed.insert(id.clone()) {
                wrong.push(format!(
                    "{id} is in the feed twice, the second time at {position}"
                ));
            }
        }
        let logged: BTreeSet<String> = log.iter().map(|event| event.event_id.to_string()).collect();
        if fed != logged {
            wrong.push(format!(
                "the feed has {} events, the log has {}",
                fed.len(),
                logged.len()
            ));
        }
    }
}
