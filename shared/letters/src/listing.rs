//! Lists of letters: by criteria, newest first, and in groups of one cause. What a caller can ask for is bounded: a read
//! looks at a limited number of rows and says where to go on, or that it stopped.

use std::collections::BTreeMap;

use events::{Timestamp, contracts::operation::LetterCriteria};
use outbox::{Cursor, Error, Index, Key, Outbox, Query, SortKey, Table, decode_item};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    letter::{Letter, LetterId, LetterState, RESOLVED, UNRESOLVED},
    signature::Signature,
};

/// The index of letters and operations.
pub const LISTED: Index = Index {
    name: "listed",
    partition: "listed",
    sort: "listed_at",
};

/// How many rows one page of a list looks at, at most, so that it answers in time even if matches are rare.
pub const LOOKED_AT_MOST: usize = 2_000;

/// How many letters the groups are made from, at most, and how many an operation can have.
pub const MOST_LETTERS: usize = 10_000;

/// How many rows one query reads: at most about 500 KB.
const STEP: u32 = 100;

/// Whether a letter fits every criterion. Without a state, only unresolved letters fit.
#[must_use]
pub fn fits(criteria: &LetterCriteria, letter: &Letter) -> bool {
    fn same<const N: usize>(wanted: Option<&events::Text<N>>, has: Option<&str>) -> bool {
        wanted.is_none_or(|wanted| Some(wanted.as_str()) == has)
    }
    let aggregate = letter
        .aggregate
        .as_deref()
        .and_then(|one| one.split_once('#'));
    same(criteria.consumer.as_ref(), Some(&letter.consumer))
        && same(criteria.event_type.as_ref(), letter.event_type.as_deref())
        && same(criteria.reason.as_ref(), Some(&letter.reason))
        && same(criteria.signature.as_ref(), Some(&letter.signature_id))
        && same(
            criteria.aggregate_type.as_ref(),
            aggregate.map(|(of_type, _)| of_type),
        )
        && same(criteria.aggregate_id.as_ref(), aggregate.map(|(_, id)| id))
        && same(criteria.tenant.as_ref(), letter.tenant_id.as_deref())
        && is_in_state(criteria, letter.state)
        && criteria
            .from
            .is_none_or(|from| letter.last_parked_at >= from)
        && criteria.to.is_none_or(|to| letter.last_parked_at < to)
        && criteria
            .q
            .as_ref()
            .is_none_or(|q| has_text(letter, q.as_str()))
}

fn is_in_state(criteria: &LetterCriteria, state: LetterState) -> bool {
    match criteria.state.as_ref().map(events::Text::as_str) {
        None | Some(UNRESOLVED) => state.is_unresolved(),
        Some(RESOLVED) => !state.is_unresolved(),
        Some(wanted) => wanted == state.as_str(),
    }
}

/// Whether a criterion's state is one: a letter's, or `unresolved` or `resolved`.
#[must_use]
pub fn is_state(text: &str) -> bool {
    states().any(|known| known == text)
}

/// What a criterion's state can be.
pub fn states() -> impl Iterator<Item = &'static str> {
    let of_letters = LetterState::ALL.into_iter().map(LetterState::as_str);
    of_letters.chain([UNRESOLVED, RESOLVED])
}

/// Whether a text occurs in the error, an id or the type, in upper or lower case.
fn has_text(letter: &Letter, text: &str) -> bool {
    let text = text.to_lowercase();
    let ids = [
        letter.event_id.as_deref(),
        letter.event_type.as_deref(),
        letter.aggregate.as_deref(),
        letter.correlation_id.as_deref(),
        Some(letter.letter_id.as_str()),
        Some(letter.message_id.as_str()),
        Some(letter.error.as_str()),
    ];
    let mut ids = ids.into_iter().flatten();
    ids.any(|one| one.to_lowercase().contains(&text))
}

/// The partition of the index that has the letters of these criteria.
fn partition(criteria: &LetterCriteria) -> &'static str {
    let state = criteria.state.as_ref().map(events::Text::as_str);
    let resolved = [
        RESOLVED,
        LetterState::Handled.as_str(),
        LetterState::Discarded.as_str(),
    ];
    if state.is_some_and(|state| resolved.contains(&state)) {
        RESOLVED
    } else {
        UNRESOLVED
    }
}

/// A page of the rows of unresolved letters, the one parked last at the end. Reads by an index are eventually consistent.
#[must_use]
pub fn unresolved(table: &Table, limit: u32, after: Option<Cursor>) -> Query {
    Query {
        index: Some(LISTED),
        after,
        ..Query::partition(table, UNRESOLVED, limit)
    }
}

/// A read of the letters that fit criteria.
#[derive(Debug, Clone, Copy)]
pub struct Letters<'a> {
    /// Reads the rows.
    pub outbox: &'a Outbox,
    /// The table of the letters.
    pub table: &'a Table,
}

impl Letters<'_> {
    /// The letters that fit, last parked first, and where to go on; `None` at the end. There can be fewer letters than
    /// the limit, or none, although there are more: one call looks at [`LOOKED_AT_MOST`] rows.
    ///
    /// # Errors
    /// [`Error`] when the store fails or a row cannot be read.
    pub async fn page(
        &self,
        criteria: &LetterCriteria,
        limit: usize,
        after: Option<Cursor>,
    ) -> Result<(Vec<Letter>, Option<Cursor>), Error> {
        let mut letters = Vec::new();
        let next = self
            .walk(criteria, LOOKED_AT_MOST, after, |letter| {
                letters.push(letter);
                letters.len() < limit
            })
            .await?;
        Ok((letters, next))
    }

    /// Shows each letter that fits, last parked first, until `show` returns false or `most` rows were looked at. Returns
    /// where to go on; `None` if every row was looked at.
    ///
    /// # Errors
    /// [`Error`] when the store fails or a row cannot be read.
    pub async fn walk(
        &self,
        criteria: &LetterCriteria,
        most: usize,
        mut after: Option<Cursor>,
        mut show: impl FnMut(Letter) -> bool,
    ) -> Result<Option<Cursor>, Error> {
        let partition = partition(criteria);
        let place: Key = self.table.key(partition, "*");
        let mut looked_at = 0;
        loop {
            let query = Query {
                index: Some(LISTED),
                // Sort keys begin with the time and go on with the id, so those of this very time come after it.
                from: criteria
                    .to
                    .filter(|_| after.is_none())
                    .map(|to| SortKey::Text(to.to_string())),
                descending: true,
                after: after.clone(),
                ..Query::partition(self.table, partition, STEP)
            };
            let page = self.outbox.store().query(&query).await?;
            let is_last = page.next.is_none();
            let rows = page.items.len();
            for (at, item) in page.items.into_iter().enumerate() {
                let here = Cursor::at(self.table, Some(LISTED), &item);
                let letter: Letter = decode_item(&place, item)?;
                if criteria
                    .from
                    .is_some_and(|from| letter.last_parked_at < from)
                {
                    return Ok(None);
                }
                looked_at += 1;
                let wants_more = !fits(criteria, &letter) || show(letter);
                if !wants_more || looked_at >= most {
                    let is_end = is_last && at + 1 == rows;
                    return Ok((!is_end).then_some(here));
                }
            }
            if is_last {
                return Ok(None);
            }
            after = page.next;
        }
    }

    /// The groups of the letters that fit, the largest first, and whether there are more letters than were looked at.
    ///
    /// # Errors
    /// [`Error`] when the store fails or a row cannot be read.
    pub async fn groups(&self, criteria: &LetterCriteria) -> Result<(Vec<Group>, bool), Error> {
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        let rest = self
            .walk(criteria, MOST_LETTERS, None, |letter| {
                groups
                    .entry(letter.signature_id.clone())
                    .and_modify(|group| group.add(&letter))
                    .or_insert_with(|| Group::of(&letter));
                true
            })
            .await?;
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.sort_by(|one, other| {
            let last = other.last_parked_at.cmp(&one.last_parked_at);
            other.count.cmp(&one.count).then(last)
        });
        Ok((groups, rest.is_some()))
    }

    /// What was noted about a group.
    ///
    /// # Errors
    /// [`Error`] when the store fails or the row cannot be read.
    pub async fn note(&self, signature_id: &str) -> Result<Option<Note>, Error> {
        self.outbox.row(&Note::key(self.table, signature_id)).await
    }
}

/// The letters of one consumer, one reason and one signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Group {
    /// The group's id.
    pub signature_id: String,
    /// The consumer.
    pub consumer: String,
    /// Why they are dead letters.
    pub reason: String,
    /// What their errors have in common.
    pub signature: Signature,
    /// How many letters.
    pub count: u64,
    /// When the first of them was first parked.
    pub first_parked_at: Timestamp,
    /// When one of them was last parked.
    pub last_parked_at: Timestamp,
    /// The letter that was last parked.
    pub example: LetterId,
    /// What an operator noted about the group; null if nothing.
    pub note: Option<Note>,
}

impl Group {
    fn of(letter: &Letter) -> Self {
        Self {
            signature_id: letter.signature_id.clone(),
            consumer: letter.consumer.clone(),
            reason: letter.reason.clone(),
            signature: letter.signature.clone(),
            count: 1,
            first_parked_at: letter.first_parked_at,
            last_parked_at: letter.last_parked_at,
            example: letter.letter_id.clone(),
            note: None,
        }
    }

    fn add(&mut self, letter: &Letter) {
        self.count += 1;
        self.first_parked_at = self.first_parked_at.min(letter.first_parked_at);
        if letter.last_parked_at > self.last_parked_at {
            self.last_parked_at = letter.last_parked_at;
            self.example = letter.letter_id.clone();
        }
    }
}

/// What an operator noted about a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Note {
    /// The note.
    pub note: String,
    /// The owner of the API key with which it was written.
    pub by: String,
    /// When it was written.
    pub at: Timestamp,
    /// When it was written, in milliseconds since 1970: a note replaces older ones.
    #[schemars(skip)]
    version: u64,
}

impl Note {
    /// A note written now.
    #[must_use]
    pub fn new(note: String, by: String, at: Timestamp) -> Self {
        let version = u64::try_from(at.unix_millis()).unwrap_or_default();
        Self {
            note,
            by,
            at,
            version,
        }
    }

    /// The key of a group's note.
    #[must_use]
    pub fn key(table: &Table, signature_id: &str) -> Key {
        table.key("group", signature_id)
    }

    /// Writes the note, in place of an older one.
    ///
    /// # Errors
    /// [`outbox::BuildError`] when the row cannot be built.
    pub fn save(
        &self,
        transaction: &mut outbox::Transaction,
        table: &Table,
        signature_id: &str,
    ) -> Result<(), outbox::BuildError> {
        let older = outbox::Condition::OlderThan(self.version);
        transaction.put(Self::key(table, signature_id), self, older)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use events::{Registry, Text};
    use outbox::{State as _, Store as _, SystemClock, encode_item, memory::MemoryStore};
    use proptest::{option, prelude::*, sample::select};

    use super::*;
    use crate::drained::{
        Drained,
        tests::{at, parked},
    };

    fn letter(number: i64) -> Letter {
        let (consumer, cause) = match number % 3 {
            0 => ("analytics", "wallet 17 is closed"),
            1 => ("analytics", "no such member: \"ada\""),
            _ => ("notifications", "wallet 18 is closed"),
        };
        let drained = Drained {
            event_id: Some(format!("event-{number}")),
            consumer: consumer.into(),
            error: format!("{cause} {number}"),
            aggregate: Some(format!("wallet#user-{}", number % 2)),
            tenant_id: (number % 5 == 0).then(|| "acme".into()),
            ..parked(&format!("m-{number}"), number)
        };
        Letter::first(&drained, at(number + 1))
    }

    /// The same; every tenth is handled.
    fn settled(number: i64) -> Letter {
        let one = letter(number);
        if number % 10 == 9 {
            one.handled(at(number + 2)).unwrap()
        } else {
            one
        }
    }

    async fn filled(count: i64) -> (Outbox, Table) {
        let (store, table) = (Arc::new(MemoryStore::new()), Table::domain("letters"));
        for number in 0..count {
            let one = settled(number);
            let key = Letter::key(&table, one.letter_id.as_str());
            let item = encode_item(&key, &one).unwrap();
            store.put_all(&table, &[item]).await.unwrap();
        }
        let (clock, registry) = (Arc::new(SystemClock), Arc::new(Registry::shipped()));
        (Outbox::for_guards(store, clock, registry), table)
    }

    fn text(text: &str) -> Option<Text<256>> {
        Some(Text::new(text).unwrap())
    }

    #[test]
    fn every_criterion_counts() {
        let one = letter(10);
        let all = || LetterCriteria {
            consumer: text("analytics"),
            event_type: text(one.event_type.as_deref().unwrap()),
            reason: text("rejected"),
            signature: text(&one.signature_id),
            aggregate_type: text("wallet"),
            aggregate_id: text("user-0"),
            tenant: text("acme"),
            state: text("open"),
            from: Some(at(10)),
            to: Some(at(11)),
            q: text("SUCH member"),
        };
        assert!(fits(&all(), &one));
        assert!(fits(&LetterCriteria::default(), &one));
        let other = || text("other");
        for criteria in [
            LetterCriteria {
                consumer: other(),
                ..all()
            },
            LetterCriteria {
                event_type: other(),
                ..all()
            },
            LetterCriteria {
                reason: other(),
                ..all()
            },
            LetterCriteria {
                signature: other(),
                ..all()
            },
            LetterCriteria {
                aggregate_type: other(),
                ..all()
            },
            LetterCriteria {
                aggregate_id: other(),
                ..all()
            },
            LetterCriteria {
                tenant: other(),
                ..all()
            },
            LetterCriteria {
                state: text("resolved"),
                ..all()
            },
            LetterCriteria {
                state: text("failed_again"),
                ..all()
            },
            LetterCriteria {
                from: Some(at(11)),
                ..all()
            },
            LetterCriteria {
                to: Some(at(10)),
                ..all()
            },
            LetterCriteria {
                q: other(),
                ..all()
            },
        ] {
            assert!(!fits(&criteria, &one), "{criteria:?}");
        }
        let resolved = one.handled(at(20)).unwrap();
        assert!(!fits(&LetterCriteria::default(), &resolved));
        assert!(is_state("unresolved") && is_state("discarded") && !is_state("closed"));
    }

    /// Values that some letters have, and one that none has.
    fn some(values: &'static [&'static str]) -> impl Strategy<Value = Option<Text<256>>> {
        let value = select(values).prop_map(|value| Text::new(value).unwrap());
        option::of(value)
    }

    /// Criteria as callers combine them.
    fn criteria() -> impl Strategy<Value = LetterCriteria> {
        let ids = (
            some(&["analytics", "notifications", "ledger"]),
            some(&["rejected", "invalid"]),
            some(&["wallet", "member"]),
            some(&["user-0", "user-1", "user-9"]),
            some(&["acme", "other"]),
        );
        let states = some(&["open", "handled", "unresolved", "resolved", "discarded"]);
        let times = (option::of(0_i64..70), option::of(0_i64..70));
        let q = some(&["closed", "EVENT-1", "\"ada\"", "m-2", "nowhere"]);
        (ids, states, times, q).prop_map(|(ids, state, (from, to), q)| {
            let (consumer, reason, aggregate_type, aggregate_id, tenant) = ids;
            LetterCriteria {
                consumer,
                reason,
                aggregate_type,
                aggregate_id,
                tenant,
                state,
                from: from.map(at),
                to: to.map(at),
                q,
                ..LetterCriteria::default()
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_list_has_exactly_the_letters_that_fit_whatever_the_criteria_and_the_pages(
            criteria in criteria(), limit in 1_usize..80
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (listed, wanted) = runtime.block_on(async {
                let (outbox, table) = filled(60).await;
                let letters = Letters { outbox: &outbox, table: &table };
                let of = async |criteria: &LetterCriteria, limit| {
                    let (mut seen, mut after) = (Vec::new(), None);
                    loop {
                        let (page, next) = letters.page(criteria, limit, after).await.unwrap();
                        seen.extend(page.into_iter().map(|one| one.letter_id));
                        after = next;
                        if after.is_none() {
                            return seen;
                        }
                    }
                };
                // Looked at one by one, without the index's partitions and bounds.
                let mut wanted = Vec::new();
                for number in 0..60 {
                    let one = settled(number);
                    if fits(&criteria, &one) {
                        wanted.push(one.letter_id);
                    }
                }
                wanted.reverse();
                (of(&criteria, limit).await, wanted)
            });
            prop_assert_eq!(listed, wanted);
        }
    }

    #[tokio::test]
    async fn pages_hold_every_letter_once_last_parked_first() {
        let (outbox, table) = filled(250).await;
        let letters = Letters {
            outbox: &outbox,
            table: &table,
        };
        for (criteria, wanted) in [
            (LetterCriteria::default(), 225),
            (
                LetterCriteria {
                    state: text("handled"),
                    ..LetterCriteria::default()
                },
                25,
            ),
            (
                LetterCriteria {
                    from: Some(at(100)),
                    to: Some(at(200)),
                    ..LetterCriteria::default()
                },
                90,
            ),
            (
                LetterCriteria {
                    q: text("event-24"),
                    ..LetterCriteria::default()
                },
                10,
            ),
        ] {
            for limit in [7, 100] {
                let (mut seen, mut after) = (Vec::new(), None);
                loop {
                    let (page, next) = letters.page(&criteria, limit, after).await.unwrap();
                    assert!(page.len() <= limit);
                    seen.extend(page);
                    after = next;
                    if after.is_none() {
                        break;
                    }
                }
                assert_eq!(seen.len(), wanted, "{criteria:?}");
                assert!(seen.is_sorted_by(|one, next| one.last_parked_at > next.last_parked_at));
            }
        }
    }

    #[tokio::test]
    async fn a_page_of_rare_matches_stops_and_says_where_to_go_on() {
        let (outbox, table) = filled(2_300).await;
        let letters = Letters {
            outbox: &outbox,
            table: &table,
        };
        let rare = LetterCriteria {
            q: text("event-1"),
            to: Some(at(2)),
            ..LetterCriteria::default()
        };
        let (page, next) = letters.page(&rare, 10, None).await.unwrap();
        assert_eq!(
            (page.len(), next),
            (1, None),
            "`to` is where the read begins"
        );
        let rare = LetterCriteria {
            q: text("no match"),
            ..LetterCriteria::default()
        };
        let (page, next) = letters.page(&rare, 10, None).await.unwrap();
        assert!(page.is_empty() && next.is_some());
        let (page, next) = letters.page(&rare, 10, next).await.unwrap();
        assert!(page.is_empty() && next.is_none());
    }

    #[tokio::test]
    async fn three_causes_are_three_groups() {
        let (outbox, table) = filled(100).await;
        let letters = Letters {
            outbox: &outbox,
            table: &table,
        };
        let (groups, truncated) = letters.groups(&LetterCriteria::default()).await.unwrap();
        assert!(!truncated);
        let counts: u64 = groups.iter().map(|group| group.count).sum();
        assert_eq!((groups.len(), counts), (3, 90));
        assert!(groups.is_sorted_by(|one, next| one.count >= next.count));
        let closed = groups
            .iter()
            .filter(|group| group.signature.as_str() == "wallet <n> is closed <n>");
        assert_eq!(closed.count(), 2, "one of each consumer");
    }
}
