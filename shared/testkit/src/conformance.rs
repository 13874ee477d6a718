//! The conformance suites: what every adapter of a port must do. There is one suite for the store, one for cursors on a
//! store, one for the runtime of in-order consumers on a store, and one for the publisher.
//!
//! Every run uses keys of its own, so a suite may run on tables that hold other data.

use std::sync::Arc;

use outbox::{
    Clock, CommitError, Condition, Fault, Index, Item, Key, Page, Prepared, Publisher, Query,
    Reason, Store, SystemClock, Table, Write, chain,
};
use serde_json::Value;

macro_rules! checks {
    ($bench:expr; $($check:ident),+ $(,)?) => {{
        let mut failures = Vec::new();
        $(
            if let Err(seen) = $check($bench).await {
                failures.push(FailedCheck { check: stringify!($check), seen });
            }
        )+
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }};
}

mod bus;
mod cursors;
mod in_order;
mod items;
mod queries;
mod writes;

use self::{
    bus::{every_entry_is_answered_for, more_than_ten_entries_are_refused},
    items::{
        an_absent_item_is_none, an_item_is_read_back_as_it_was_put,
        many_items_come_in_the_keys_order_with_a_gap_for_each_absent_one, numbers_keep_their_value,
    },
    queries::{
        a_partition_is_read_by_sort_key_in_pages, a_prefix_selects_and_combines_with_a_range,
        a_range_begins_where_it_says_in_either_direction,
        a_walk_finds_every_item_without_the_attribute_once,
        an_index_shows_only_items_that_have_its_attributes,
        numbered_partitions_are_in_numeric_order,
    },
    writes::{
        a_cancelled_token_may_come_again, a_delete_happens_only_under_its_condition,
        a_guarded_put_ignores_what_is_not_newer, a_token_takes_effect_once,
        a_token_with_other_writes_is_refused,
        a_transaction_writes_all_or_nothing_and_says_why_in_order,
        additions_are_exact_and_begin_at_zero, an_addition_to_a_text_cancels,
        conditions_compare_numbers_by_value, each_condition_holds_exactly_when_it_should,
        puts_without_condition_are_all_there, racing_transactions_lose_no_update,
        transactions_beyond_the_limits_are_refused,
    },
};

pub use self::{cursors::cursors, in_order::in_order};

/// The tables that the suite uses: physical names, with the keys that [`Table`] defines.
#[derive(Debug, Clone)]
pub struct TestTables {
    /// Keyed by `pk` and `sk`.
    pub domain: Table,
    /// Keyed by `aggregate` and `sequence`.
    pub events: Table,
    /// Keyed by `mark`.
    pub marks: Table,
    /// A table keyed by `pk` and `sk` with an index over all attributes; `None` skips the index's check.
    pub indexed: Option<(Table, Index)>,
}

/// A check that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedCheck {
    /// The check's name.
    pub check: &'static str,
    /// What was seen instead.
    pub seen: String,
}

type Checked = Result<(), String>;

struct Bench {
    store: Arc<dyn Store>,
    tables: TestTables,
    run: String,
}

/// Runs the suite for a store.
///
/// # Errors
/// Every check that failed.
pub async fn store(store: Arc<dyn Store>, tables: TestTables) -> Result<(), Vec<FailedCheck>> {
    let bench = &Bench {
        store,
        tables,
        run: SystemClock.uuid().to_string(),
    };
    checks!(bench;
        an_absent_item_is_none,
        an_item_is_read_back_as_it_was_put,
        numbers_keep_their_value,
        many_items_come_in_the_keys_order_with_a_gap_for_each_absent_one,
        a_transaction_writes_all_or_nothing_and_says_why_in_order,
        each_condition_holds_exactly_when_it_should,
        conditions_compare_numbers_by_value,
        additions_are_exact_and_begin_at_zero,
        an_addition_to_a_text_cancels,
        a_token_takes_effect_once,
        a_token_with_other_writes_is_refused,
        a_cancelled_token_may_come_again,
        transactions_beyond_the_limits_are_refused,
        racing_transactions_lose_no_update,
        a_delete_happens_only_under_its_condition,
        a_guarded_put_ignores_what_is_not_newer,
        puts_without_condition_are_all_there,
        a_partition_is_read_by_sort_key_in_pages,
        numbered_partitions_are_in_numeric_order,
        a_range_begins_where_it_says_in_either_direction,
        a_prefix_selects_and_combines_with_a_range,
        an_index_shows_only_items_that_have_its_attributes,
        a_walk_finds_every_item_without_the_attribute_once,
    )
}

/// Runs the suite for a publisher.
///
/// # Errors
/// Every check that failed.
pub async fn publisher(publisher: Arc<dyn Publisher>) -> Result<(), Vec<FailedCheck>> {
    let publisher = &*publisher;
    checks!(publisher;
        every_entry_is_answered_for,
        more_than_ten_entries_are_refused,
    )
}

fn ensure(holds: bool, seen: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(seen()) }
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, seen: &T, expected: &T) -> Checked {
    ensure(seen == expected, || {
        format!("{what}: expected {expected:?}, saw {seen:?}")
    })
}

#[expect(clippy::needless_pass_by_value, reason = "shaped for map_err")]
fn fault(fault: Fault) -> String {
    chain(&fault)
}

impl Bench {
    fn key(&self, check: &str, sk: &str) -> Key {
        self.tables
            .domain
            .key(format!("conformance#{}#{check}", self.run), sk)
    }

    async fn get(&self, key: &Key) -> Result<Option<Item>, String> {
        self.store.get(key).await.map_err(fault)
    }

    async fn attribute(&self, key: &Key, name: &str) -> Result<Option<Value>, String> {
        Ok(self.get(key).await?.and_then(|mut item| item.remove(name)))
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), CommitError> {
        let token = SystemClock.uuid().to_string();
        self.store.commit(&Prepared::new(token, writes)).await
    }

    async fn must_commit(&self, writes: Vec<Write>) -> Checked {
        self.commit(writes).await.map_err(|error| chain(&error))
    }

    async fn reasons(&self, writes: Vec<Write>) -> Result<Vec<Reason>, String> {
        match self.commit(writes).await {
            Ok(()) => Err("committed, should have been cancelled".to_owned()),
            Err(CommitError::Cancelled(reasons)) => Ok(reasons),
            Err(other) => Err(chain(&other)),
        }
    }

    /// All pages of a query.
    async fn drain(&self, mut query: Query) -> Result<Vec<Item>, String> {
        let mut items = Vec::new();
        loop {
            let page = self.store.query(&query).await.map_err(fault)?;
            self.page_is_sound(&page, query.limit)?;
            items.extend(page.items);
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(items),
            }
        }
    }

    fn page_is_sound(&self, page: &Page, limit: u32) -> Checked {
        ensure(
            page.items.len() <= usize::try_from(limit).unwrap_or(usize::MAX),
            || format!("a page of {} with limit {limit}", page.items.len()),
        )?;
        ensure(page.next.is_none() || !page.items.is_empty(), || {
            "an empty page that says there is more".to_owned()
        })
    }
}

fn put(key: &Key, attributes: Value, condition: Condition) -> Write {
    Write::Put {
        key: key.clone(),
        item: item(key, attributes),
        condition,
    }
}

fn item(key: &Key, attributes: Value) -> Item {
    let mut item = key.attributes();
    if let Value::Object(map) = attributes {
        item.extend(map);
    }
    item
}

fn texts(items: &[Item], name: &str) -> Vec<String> {
    items
        .iter()
        .map(|item| {
            item.get(name)
                .and_then(Value::as_str)
                .unwrap_or("?")
                .to_owned()
        })
        .collect()
}
