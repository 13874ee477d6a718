//! The chain of an aggregate: one entry per event, each bound to the entry before by its hash.

use std::num::NonZeroU64;

use events::{MAX_ENVELOPE_BYTES, Timestamp};
use outbox::{Condition, Cursor, Item, Key, Query, Table};
use serde::{Deserialize, Serialize};

use crate::Hash;

/// The number of partitions for the heads. All heads can be read page by page, and writes for many aggregates do not
/// share one partition.
pub const HEAD_SHARDS: u8 = 16;

/// The largest item that DynamoDB stores
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>, read 2026-11-21).
const ITEM_MAX_BYTES: usize = 400 * 1024;

/// The most bytes that an entry's keys, ids, hashes and attribute names take: an aggregate's name has at most 1,089
/// bytes.
const ENTRY_FRAME_BYTES: usize = 4 * 1024;

// An entry holds the whole envelope, so the largest envelope must fit an item.
const _: () = assert!(MAX_ENVELOPE_BYTES + ENTRY_FRAME_BYTES <= ITEM_MAX_BYTES);

const PURPOSE: &str = "millrace audit entry 1";

/// The fields of a logged event that its entry contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// The event's id.
    pub event_id: &'a str,
    /// The event's type.
    pub event_type: &'a str,
    /// The event's number within its aggregate.
    pub sequence: u64,
    /// The envelope, byte for byte as stored in the event log.
    pub envelope: &'a str,
}

/// An entry of an aggregate's chain: one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainEntry {
    /// The entry's number in the chain: 1, 2, 3… without gaps. It can differ from the event's number, because an
    /// aggregate can have events that do not concern money.
    pub number: u64,
    /// The event's number within its aggregate.
    pub sequence: u64,
    /// The event's id, as in the envelope.
    pub event_id: String,
    /// The event's type, as in the envelope.
    pub event_type: String,
    /// The envelope, byte for byte as stored in the event log.
    pub envelope: String,
    /// The hash of the previous entry; [`Hash::START`] in the first.
    pub previous: Hash,
    /// The entry's hash, computed by [`link`].
    pub hash: Hash,
    /// When the entry was written. It is not part of the hash, so a chain that is rebuilt from the log has the same
    /// hashes.
    pub recorded_at: Timestamp,
}

/// The last entry of a chain, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The aggregate of the chain, `type#id`.
    pub aggregate: String,
    /// The number of the last entry.
    pub number: u64,
    /// The number of that entry's event.
    pub sequence: u64,
    /// The hash of the last entry.
    pub hash: Hash,
}

/// The hash of an entry: over the previous entry's hash, the aggregate, the entry's number, the event's number and the
/// event's bytes.
#[must_use]
pub fn link(previous: &Hash, aggregate: &str, number: u64, sequence: u64, envelope: &[u8]) -> Hash {
    let (number, sequence) = (number.to_be_bytes(), sequence.to_be_bytes());
    Hash::of(
        PURPOSE,
        &[
            previous.as_bytes(),
            aggregate.as_bytes(),
            &number,
            &sequence,
            envelope,
        ],
    )
}

impl ChainEntry {
    /// The entry for an event after this head; `None` if the chain already has this event or a later one.
    #[must_use]
    pub fn next(
        head: Option<&Head>,
        aggregate: &str,
        event: &Event<'_>,
        now: Timestamp,
    ) -> Option<Self> {
        if head.is_some_and(|head| head.sequence >= event.sequence) {
            return None;
        }
        let number = head.map_or(0, |head| head.number) + 1;
        let previous = head.map_or(Hash::START, |head| head.hash);
        let bytes = event.envelope.as_bytes();
        Some(Self {
            number,
            sequence: event.sequence,
            event_id: event.event_id.to_owned(),
            event_type: event.event_type.to_owned(),
            envelope: event.envelope.to_owned(),
            previous,
            hash: link(&previous, aggregate, number, event.sequence, bytes),
            recorded_at: now,
        })
    }

    /// The head of a chain that ends with this entry.
    #[must_use]
    pub fn head(&self, aggregate: &str) -> Head {
        Head {
            aggregate: aggregate.to_owned(),
            number: self.number,
            sequence: self.sequence,
            hash: self.hash,
        }
    }

    /// Whether the hash matches the fields, for this aggregate and this number.
    #[must_use]
    pub fn is_sound(&self, aggregate: &str, number: u64) -> bool {
        let bytes = self.envelope.as_bytes();
        self.number == number
            && self.hash == link(&self.previous, aggregate, number, self.sequence, bytes)
    }
}

impl Head {
    /// The condition under which an entry can be appended: the head's row is unchanged.
    #[must_use]
    pub fn unchanged(head: Option<&Self>) -> Condition {
        head.map_or(Condition::Absent, |head| {
            let hash = head.hash.to_string().into();
            Condition::Equals(vec![("number", head.number.into()), ("hash", hash)])
        })
    }
}

/// A number as a sort key, padded to the width of the largest number.
pub(crate) fn numbered(number: u64) -> String {
    format!("{number:020}")
}

fn partition(aggregate: &str) -> String {
    format!("chain#{aggregate}")
}

/// The key of an entry.
#[must_use]
pub fn entry_key(table: &Table, aggregate: &str, number: u64) -> Key {
    table.key(partition(aggregate), numbered(number))
}

/// The entry number in a row's key; `None` if it is not the key of an entry.
#[must_use]
pub fn number_of_key(item: &Item) -> Option<NonZeroU64> {
    let text = item.get("sk")?.as_str()?;
    let number = text.parse::<NonZeroU64>().ok()?;
    (numbered(number.get()) == text).then_some(number)
}

/// The query for a page of a chain, in order.
#[must_use]
pub fn chain(table: &Table, aggregate: &str, limit: u32, after: Option<Cursor>) -> Query {
    Query {
        after,
        ..Query::partition(table, partition(aggregate), limit)
    }
}

/// The partition that holds an aggregate's head.
#[must_use]
pub fn head_shard(aggregate: &str) -> u8 {
    let hash = Hash::of("millrace audit shard 1", &[aggregate.as_bytes()]);
    hash.as_bytes()[0] % HEAD_SHARDS
}

/// The key of an aggregate's head.
#[must_use]
pub fn head_key(table: &Table, aggregate: &str) -> Key {
    table.key(heads_of(head_shard(aggregate)), aggregate)
}

fn heads_of(shard: u8) -> String {
    format!("heads#{shard}")
}

/// The query for a page of the heads in one partition, by aggregate.
#[must_use]
pub fn heads(table: &Table, shard: u8, limit: u32, after: Option<Cursor>) -> Query {
    Query {
        after,
        ..Query::partition(table, heads_of(shard), limit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ADA: &str = "wallet_account#user-ada";

    /// A chain over events with the given gaps between their numbers and the given bytes.
    fn chain_of(events: &[(u64, String)]) -> Vec<ChainEntry> {
        let mut head = None;
        let mut sequence = 0;
        events
            .iter()
            .map(|(gap, envelope)| {
                sequence += gap;
                let event = Event {
                    event_id: "id",
                    event_type: "wallet.deposited",
                    sequence,
                    envelope,
                };
                let entry = ChainEntry::next(head.as_ref(), ADA, &event, Timestamp::EPOCH);
                let entry = entry.expect("a later event");
                head = Some(entry.head(ADA));
                entry
            })
            .collect()
    }

    fn is_whole(chain: &[ChainEntry]) -> bool {
        let mut previous = Hash::START;
        (1..).zip(chain).all(|(number, entry)| {
            let linked = entry.previous == previous;
            previous = entry.hash;
            linked && entry.is_sound(ADA, number)
        })
    }

    fn events() -> impl Strategy<Value = Vec<(u64, String)>> {
        prop::collection::vec((1..4_u64, "[a-c]{0,4}"), 1..8)
    }

    proptest! {
        #[test]
        fn a_chain_is_whole_and_made_again_from_its_events_it_is_the_same(events in events()) {
            let chain = chain_of(&events);
            prop_assert!(is_whole(&chain));
            prop_assert_eq!(chain_of(&events), chain);
        }

        #[test]
        fn whatever_is_changed_in_an_entry_shows(events in events(), at in any::<prop::sample::Index>(), what in 0..6) {
            let mut chain = chain_of(&events);
            let at = at.index(chain.len());
            let entry = &mut chain[at];
            match what {
                0 => entry.envelope.push('x'),
                1 => entry.number += 1,
                2 => entry.sequence += 1,
                3 => entry.previous = Hash::of("other", &[]),
                4 => entry.hash = Hash::of("other", &[]),
                _ => entry.envelope.insert(0, ' '),
            }
            prop_assert!(!is_whole(&chain));
        }

        #[test]
        fn an_entry_that_is_hashed_anew_no_longer_fits_the_next_one(events in events(), at in any::<prop::sample::Index>()) {
            let mut chain = chain_of(&events);
            let last = chain.last().expect("one").hash;
            let at = at.index(chain.len());
            let entry = &mut chain[at];
            entry.envelope.push('x');
            entry.hash = link(&entry.previous, ADA, entry.number, entry.sequence, entry.envelope.as_bytes());
            if at + 1 < chain.len() {
                prop_assert!(!is_whole(&chain));
            }
            // If all later entries are hashed again too, the chain no longer ends with the hash in its head and in the
            // anchors.
            for later in at + 1..chain.len() {
                let previous = chain[later - 1].hash;
                let entry = &mut chain[later];
                entry.previous = previous;
                entry.hash = link(&previous, ADA, entry.number, entry.sequence, entry.envelope.as_bytes());
            }
            prop_assert!(is_whole(&chain));
            prop_assert_ne!(chain.last().expect("one").hash, last);
        }

        #[test]
        fn an_entry_taken_out_or_moved_shows(events in events(), at in any::<prop::sample::Index>()) {
            let mut chain = chain_of(&events);
            let at = at.index(chain.len());
            if at + 1 < chain.len() {
                chain.swap(at, at + 1);
                prop_assert!(!is_whole(&chain));
                chain.swap(at, at + 1);
                chain.remove(at);
                prop_assert!(!is_whole(&chain));
            }
        }
    }

    #[test]
    fn an_entry_of_one_chain_is_none_of_another() {
        let chain = chain_of(&[(1, "a".into())]);
        assert!(chain[0].is_sound(ADA, 1));
        assert!(!chain[0].is_sound("wallet_account#user-bob", 1));
        assert!(!chain[0].is_sound(ADA, 2));
    }

    #[test]
    fn what_a_chain_has_is_not_added_again() {
        let head = chain_of(&[(3, "a".into())])[0].head(ADA);
        let event = |sequence| Event {
            event_id: "id",
            event_type: "wallet.deposited",
            sequence,
            envelope: "b",
        };
        let next =
            |sequence| ChainEntry::next(Some(&head), ADA, &event(sequence), Timestamp::EPOCH);
        assert_eq!((next(2), next(3)), (None, None));
        assert_eq!(next(4).map(|entry| entry.number), Some(2));
    }

    #[test]
    fn sort_keys_order_as_numbers_do_and_read_back() {
        let table = Table::domain("audit");
        let key = |number| entry_key(&table, ADA, number).attributes();
        for number in [1, 9, 10, u64::MAX] {
            assert_eq!(
                number_of_key(&key(number)).map(NonZeroU64::get),
                Some(number)
            );
        }
        assert!(key(9)["sk"].as_str() < key(10)["sk"].as_str());
        for text in [
            "",
            "1",
            "0",
            "x",
            "00000000000000000000",
            "+0000000000000000001",
        ] {
            let mut item = Item::new();
            item.insert("sk".into(), text.into());
            assert_eq!(number_of_key(&item), None, "{text}");
        }
    }

    #[test]
    fn heads_are_spread_over_all_partitions() {
        let shards: std::collections::BTreeSet<u8> = (0..500)
            .map(|number| head_shard(&format!("escrow#{number}")))
            .collect();
        assert_eq!(shards, (0..HEAD_SHARDS).collect());
    }
}
