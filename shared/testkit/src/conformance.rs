//! What every adapter of the ports must do: a suite for the store, one for what it makes of cursors, one for the runtime of
//! in-order consumers on it, and one for the publisher.
//!
//! The suites use keys of their own on every run, so they may run on tables that hold other things.

use std::{collections::BTreeSet, sync::Arc};

use outbox::{
    Clock, CommitError, Condition, Cursor, Entry, Fault, FaultKind, Guarded, GuardedPut, Index,
    Item, Key, MAX_TRANSACTION_ITEMS, Page, Prepared, Publisher, Query, Reason, Scan, SortKey,
    Store, SystemClock, Table, Write, chain,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

macro_rules! checks {
    ($bench:expr; $($check:ident),+ $(,)?) => {{
        let mut failures = Vec::new();
        $(
            if let Err(seen) = $check($bench).await {
                failures.push(Failure { check: stringify!($check), seen });
            }
        )+
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }};
}

mod cursors;

pub use self::cursors::{cursors, in_order};

/// The tables a store is tried on: physical names with the keys that [`Table`] says.
#[derive(Debug, Clone)]
pub struct Tables {
    /// Keyed by `pk` and `sk`.
    pub domain: Table,
    /// Keyed by `aggregate` and `sequence`.
    pub events: Table,
    /// Keyed by `mark`.
    pub marks: Table,
    /// A table keyed by `pk` and `sk` with an index over all attributes; `None` skips the index's check.
    pub indexed: Option<(Table, Index)>,
}

/// A check that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The check's name.
    pub check: &'static str,
    /// What was seen instead.
    pub seen: String,
}

type Checked = Result<(), String>;

struct Bench {
    store: Arc<dyn Store>,
    tables: Tables,
    run: String,
}

/// Tries a store.
///
/// # Errors
/// Every check that did not hold.
pub async fn store(store: Arc<dyn Store>, tables: Tables) -> Result<(), Vec<Failure>> {
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

/// Tries a publisher.
///
/// # Errors
/// Every check that did not hold.
pub async fn publisher(publisher: Arc<dyn Publisher>) -> Result<(), Vec<Failure>> {
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
        self.store.commit(&Prepared { token, writes }).await
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

async fn an_absent_item_is_none(bench: &Bench) -> Checked {
    let key = bench.key("absent", "a");
    equal("the item", &bench.get(&key).await?, &None)?;
    let mark = bench
        .tables
        .marks
        .single_key(format!("conformance#{}", bench.run));
    equal("the mark", &bench.get(&mark).await?, &None)
}

async fn an_item_is_read_back_as_it_was_put(bench: &Bench) -> Checked {
    let key = bench.key("read-back", "a");
    let attributes = json!({
        "text": "größer ☁ \"quoted\" \\ \n", "empty": "", "yes": true, "no": false, "version": 1,
        "list": [1, "two", [], {}, null], "map": {"inner": {"deep": [false]}}, "emptied": {},
    });
    bench
        .must_commit(vec![put(&key, attributes.clone(), Condition::Absent)])
        .await?;
    equal(
        "the item",
        &bench.get(&key).await?,
        &Some(item(&key, attributes)),
    )
}

async fn numbers_keep_their_value(bench: &Bench) -> Checked {
    let key = bench.key("numbers", "a");
    let attributes = json!({
        "zero": 0, "one": 1, "negative": -7, "largest": u64::MAX, "smallest": i64::MIN,
        "step": 0.000_001, "credits": 999_999_999.999_999, "dollars": 9_999_999_999_999.99,
        "tenth": 0.1, "minus": -12.5,
    });
    bench
        .must_commit(vec![put(&key, attributes.clone(), Condition::Absent)])
        .await?;
    equal(
        "the item",
        &bench.get(&key).await?,
        &Some(item(&key, attributes)),
    )
}

async fn many_items_come_in_the_keys_order_with_a_gap_for_each_absent_one(
    bench: &Bench,
) -> Checked {
    // More than one call's worth on DynamoDB, a key asked for twice among them.
    let mut keys: Vec<Key> = (0..130)
        .map(|n| bench.key("many", &format!("{n:03}")))
        .collect();
    let there: Vec<Item> = keys
        .iter()
        .step_by(2)
        .map(|key| item(key, json!({"here": true})))
        .collect();
    bench
        .store
        .put_all(&bench.tables.domain, &there)
        .await
        .map_err(fault)?;
    keys.reverse();
    keys.push(keys[1].clone());
    let found = bench.store.get_many(&keys).await.map_err(fault)?;
    let expected: Vec<Option<Item>> = keys
        .iter()
        .map(|key| {
            let wanted = item(key, json!({"here": true}));
            there.contains(&wanted).then_some(wanted)
        })
        .collect();
    equal("the items", &found, &expected)?;
    equal(
        "no keys",
        &bench.store.get_many(&[]).await.map_err(fault)?,
        &Vec::new(),
    )
}

async fn a_transaction_writes_all_or_nothing_and_says_why_in_order(bench: &Bench) -> Checked {
    let keys = ["a", "b", "c", "d"].map(|sk| bench.key("atomic", sk));
    bench
        .must_commit(vec![put(
            &keys[1],
            json!({"version": 1}),
            Condition::Absent,
        )])
        .await?;
    let reasons = bench
        .reasons(vec![
            put(&keys[0], json!({}), Condition::Absent),
            put(&keys[1], json!({"version": 2}), Condition::Absent),
            Write::Add {
                key: keys[2].clone(),
                amounts: vec![("total", Decimal::ONE)],
            },
            Write::Check {
                key: keys[3].clone(),
                condition: Condition::Present,
            },
        ])
        .await?;
    use Reason::{ConditionFailed, None as Fine};
    equal(
        "the reasons",
        &reasons,
        &vec![Fine, ConditionFailed, Fine, ConditionFailed],
    )?;
    equal("the first item", &bench.get(&keys[0]).await?, &None)?;
    equal("the sum", &bench.get(&keys[2]).await?, &None)?;
    equal(
        "the second item's version",
        &bench.attribute(&keys[1], "version").await?,
        &Some(json!(1)),
    )
}

async fn each_condition_holds_exactly_when_it_should(bench: &Bench) -> Checked {
    let (here, gone) = (
        bench.key("conditions", "here"),
        bench.key("conditions", "gone"),
    );
    let bare = bench.key("conditions", "bare");
    bench
        .must_commit(vec![
            put(
                &here,
                json!({"version": 5, "name": "ann"}),
                Condition::Absent,
            ),
            put(&bare, json!({}), Condition::Absent),
        ])
        .await?;
    let is = |name, value: Value| Condition::Equals(vec![(name, value)]);
    for (what, key, condition, holds) in [
        ("absent of an absent item", &gone, Condition::Absent, true),
        ("absent of an item", &here, Condition::Absent, false),
        (
            "present of an absent item",
            &gone,
            Condition::Present,
            false,
        ),
        ("present of an item", &here, Condition::Present, true),
        ("equal", &here, is("name", json!("ann")), true),
        ("not equal", &here, is("name", json!("bob")), false),
        (
            "equal of an absent attribute",
            &here,
            is("nick", json!("ann")),
            false,
        ),
        (
            "equal of an absent item",
            &gone,
            is("name", json!("ann")),
            false,
        ),
        (
            "equal of another kind",
            &here,
            is("version", json!("5")),
            false,
        ),
        (
            "one of two equal",
            &here,
            Condition::Equals(vec![("name", json!("ann")), ("version", json!(4))]),
            false,
        ),
        ("older than more", &here, Condition::OlderThan(6), true),
        ("older than the same", &here, Condition::OlderThan(5), false),
        ("older than less", &here, Condition::OlderThan(4), false),
        (
            "an absent item is older",
            &gone,
            Condition::OlderThan(1),
            true,
        ),
        (
            "an item without version is not older",
            &bare,
            Condition::OlderThan(9),
            false,
        ),
    ] {
        let seen = match bench
            .commit(vec![Write::Check {
                key: key.clone(),
                condition,
            }])
            .await
        {
            Ok(()) => true,
            Err(CommitError::Cancelled(reasons)) if reasons == [Reason::ConditionFailed] => false,
            Err(other) => return Err(format!("{what}: {}", chain(&other))),
        };
        equal(what, &seen, &holds)?;
    }
    Ok(())
}

async fn conditions_compare_numbers_by_value(bench: &Bench) -> Checked {
    let key = bench.key("by-value", "a");
    bench
        .must_commit(vec![put(
            &key,
            json!({"whole": 2, "part": 12.5}),
            Condition::Absent,
        )])
        .await?;
    let condition = Condition::Equals(vec![("whole", json!(2.0)), ("part", json!(12.50))]);
    bench
        .must_commit(vec![Write::Check {
            key: key.clone(),
            condition,
        }])
        .await
}

async fn additions_are_exact_and_begin_at_zero(bench: &Bench) -> Checked {
    let key = bench.key("additions", "a");
    let amount = |units, scale| Decimal::new(units, scale);
    for (step, expected) in [
        (amount(1, 6), json!(0.000_001)),
        (amount(100_000, 6), json!(0.100_001)),
        (amount(999_999_999_899_998, 6), json!(999_999_999.999_999)),
        (amount(-999_999_999_999_999, 6), json!(0)),
        (amount(3, 0), json!(3)),
    ] {
        bench
            .must_commit(vec![Write::Add {
                key: key.clone(),
                amounts: vec![("total", step), ("count", Decimal::ONE)],
            }])
            .await?;
        equal(
            &format!("the total after {step}"),
            &bench.attribute(&key, "total").await?,
            &Some(expected),
        )?;
    }
    equal(
        "the count",
        &bench.attribute(&key, "count").await?,
        &Some(json!(5)),
    )
}

async fn an_addition_to_a_text_cancels(bench: &Bench) -> Checked {
    let key = bench.key("add-text", "a");
    bench
        .must_commit(vec![put(&key, json!({"total": "much"}), Condition::Absent)])
        .await?;
    let reasons = bench
        .reasons(vec![Write::Add {
            key,
            amounts: vec![("total", Decimal::ONE)],
        }])
        .await?;
    ensure(matches!(reasons[..], [Reason::Other(_)]), || {
        format!("reasons {reasons:?}")
    })
}

async fn a_token_takes_effect_once(bench: &Bench) -> Checked {
    let key = bench.key("token", "a");
    let prepared = Prepared {
        token: SystemClock.uuid().to_string(),
        writes: vec![
            put(&bench.key("token", "mark"), json!({}), Condition::Absent),
            Write::Add {
                key: key.clone(),
                amounts: vec![("total", Decimal::ONE)],
            },
        ],
    };
    for sending in 1..=3 {
        bench
            .store
            .commit(&prepared)
            .await
            .map_err(|error| format!("sending {sending}: {}", chain(&error)))?;
    }
    equal(
        "the total",
        &bench.attribute(&key, "total").await?,
        &Some(json!(1)),
    )
}

async fn a_token_with_other_writes_is_refused(bench: &Bench) -> Checked {
    let (one, two) = (bench.key("mismatch", "a"), bench.key("mismatch", "b"));
    let token = SystemClock.uuid().to_string();
    let prepared = |key: &Key| Prepared {
        token: token.clone(),
        writes: vec![put(key, json!({}), Condition::Absent)],
    };
    bench
        .store
        .commit(&prepared(&one))
        .await
        .map_err(|error| chain(&error))?;
    match bench.store.commit(&prepared(&two)).await {
        Err(CommitError::NotWritten(fault)) => {
            equal("the fault", &fault.kind, &FaultKind::Rejected)?;
        }
        other => return Err(format!("{other:?}")),
    }
    equal("the second item", &bench.get(&two).await?, &None)
}

async fn a_cancelled_token_may_come_again(bench: &Bench) -> Checked {
    let key = bench.key("again", "a");
    let needed = bench.key("again", "needed");
    let prepared = Prepared {
        token: SystemClock.uuid().to_string(),
        writes: vec![
            put(&key, json!({}), Condition::Absent),
            Write::Check {
                key: needed.clone(),
                condition: Condition::Present,
            },
        ],
    };
    let first = bench.store.commit(&prepared).await;
    ensure(matches!(first, Err(CommitError::Cancelled(_))), || {
        format!("first: {first:?}")
    })?;
    bench
        .must_commit(vec![put(&needed, json!({}), Condition::Absent)])
        .await?;
    bench
        .store
        .commit(&prepared)
        .await
        .map_err(|error| chain(&error))?;
    ensure(bench.get(&key).await?.is_some(), || {
        "nothing written".into()
    })
}

async fn transactions_beyond_the_limits_are_refused(bench: &Bench) -> Checked {
    let puts = |check: &str, count: usize| -> Vec<Write> {
        (0..count)
            .map(|n| {
                put(
                    &bench.key(check, &n.to_string()),
                    json!({}),
                    Condition::Absent,
                )
            })
            .collect()
    };
    bench
        .must_commit(puts("full", MAX_TRANSACTION_ITEMS))
        .await?;
    let twice = [puts("twice", 1), puts("twice", 1)].concat();
    for (what, writes) in [
        ("too many", puts("many-items", MAX_TRANSACTION_ITEMS + 1)),
        ("an item twice", twice),
    ] {
        match bench.commit(writes).await {
            Err(CommitError::NotWritten(fault)) => {
                equal(what, &fault.kind, &FaultKind::Rejected)?;
            }
            other => return Err(format!("{what}: {other:?}")),
        }
    }
    equal(
        "nothing",
        &bench.get(&bench.key("twice", "0")).await?,
        &None,
    )
}

async fn racing_transactions_lose_no_update(bench: &Bench) -> Checked {
    let key = &bench.key("race", "state");
    bench
        .must_commit(vec![put(key, json!({"version": 1}), Condition::Absent)])
        .await?;
    let racers = (0..8).map(|racer| async move {
        let mut committed = 0_u64;
        for round in 0..5 {
            let version = bench
                .attribute(key, "version")
                .await?
                .and_then(|value| value.as_u64())
                .ok_or("no version")?;
            let writes = vec![
                put(
                    &bench.key("race", &format!("{racer}-{round}")),
                    json!({}),
                    Condition::Absent,
                ),
                put(
                    key,
                    json!({"version": version + 1}),
                    Condition::Equals(vec![("version", json!(version))]),
                ),
            ];
            match bench.commit(writes).await {
                Ok(()) => committed += 1,
                Err(CommitError::Cancelled(_)) => {}
                Err(other) => return Err(chain(&other)),
            }
        }
        Ok::<u64, String>(committed)
    });
    let committed: u64 = futures::future::try_join_all(racers)
        .await?
        .into_iter()
        .sum();
    equal(
        "the version",
        &bench.attribute(key, "version").await?,
        &Some(json!(1 + committed)),
    )?;
    let written = bench
        .drain(Query::partition(&bench.tables.domain, key.pk.as_str(), 100))
        .await?;
    equal(
        "the rows",
        &written.len(),
        &usize::try_from(1 + committed).unwrap_or(0),
    )
}

async fn a_delete_happens_only_under_its_condition(bench: &Bench) -> Checked {
    let key = bench.key("delete", "a");
    let delete = |version: u64| Write::Delete {
        key: key.clone(),
        condition: Condition::Equals(vec![("version", json!(version))]),
    };
    bench
        .must_commit(vec![put(&key, json!({"version": 2}), Condition::Absent)])
        .await?;
    equal(
        "the reasons",
        &bench.reasons(vec![delete(1)]).await?,
        &vec![Reason::ConditionFailed],
    )?;
    bench.must_commit(vec![delete(2)]).await?;
    equal("the item", &bench.get(&key).await?, &None)
}

async fn a_guarded_put_ignores_what_is_not_newer(bench: &Bench) -> Checked {
    let key = bench.key("guard", "a");
    for (version, expected, stored) in [
        (2, Guarded::Applied, 2),
        (2, Guarded::Ignored, 2),
        (1, Guarded::Ignored, 2),
        (10, Guarded::Applied, 10),
        (9, Guarded::Ignored, 10),
    ] {
        let put = GuardedPut {
            key: key.clone(),
            item: item(&key, json!({"told": version})),
            version,
        };
        let seen = bench.store.put_guarded(&put).await.map_err(fault)?;
        equal(&format!("version {version}"), &seen, &expected)?;
        equal(
            "the row",
            &bench.get(&key).await?,
            &Some(item(&key, json!({"told": stored, "version": stored}))),
        )?;
    }
    Ok(())
}

async fn puts_without_condition_are_all_there(bench: &Bench) -> Checked {
    let aggregate = format!("conformance#{}", bench.run);
    let row = |sequence: u64, note: &str| {
        item(
            &bench
                .tables
                .events
                .numbered_key(aggregate.as_str(), sequence),
            json!({"note": note}),
        )
    };
    // More than one call's worth on DynamoDB, and a key twice: the last one stands.
    let mut items: Vec<Item> = (1..=60).map(|sequence| row(sequence, "first")).collect();
    items.push(row(7, "second"));
    bench
        .store
        .put_all(&bench.tables.events, &items)
        .await
        .map_err(fault)?;
    bench
        .store
        .put_all(&bench.tables.events, &[])
        .await
        .map_err(fault)?;
    let found = bench
        .drain(Query::partition(
            &bench.tables.events,
            aggregate.as_str(),
            25,
        ))
        .await?;
    let expected: Vec<Item> = (1..=60)
        .map(|sequence| row(sequence, if sequence == 7 { "second" } else { "first" }))
        .collect();
    equal("the rows", &found, &expected)
}

async fn lettered(bench: &Bench, check: &str, names: &[&str]) -> Result<Query, String> {
    let items: Vec<Item> = names
        .iter()
        .map(|sk| item(&bench.key(check, sk), json!({})))
        .collect();
    bench
        .store
        .put_all(&bench.tables.domain, &items)
        .await
        .map_err(fault)?;
    Ok(Query::partition(
        &bench.tables.domain,
        bench.key(check, "").pk,
        100,
    ))
}

async fn a_partition_is_read_by_sort_key_in_pages(bench: &Bench) -> Checked {
    let names = ["b", "a", "é", "B", "aa", "z"];
    let query = lettered(bench, "pages", &names).await?;
    let sorted = ["B", "a", "aa", "b", "z", "é"].map(str::to_owned).to_vec();
    for limit in [1, 2, 3, 6, 7] {
        for descending in [false, true] {
            let mut expected = sorted.clone();
            if descending {
                expected.reverse();
            }
            let found = bench
                .drain(Query {
                    limit,
                    descending,
                    ..query.clone()
                })
                .await?;
            equal(
                &format!("in pages of {limit}, descending {descending}"),
                &texts(&found, "sk"),
                &expected,
            )?;
        }
    }
    let whole = Query { limit: 6, ..query };
    let page = bench.store.query(&whole).await.map_err(fault)?;
    equal("behind the last item", &page.next, &None)?;
    let nobody = Query::partition(&bench.tables.domain, bench.key("nobody", "").pk, 5);
    equal(
        "an empty partition",
        &bench.drain(nobody).await?,
        &Vec::new(),
    )
}

async fn numbered_partitions_are_in_numeric_order(bench: &Bench) -> Checked {
    let aggregate = format!("conformance#{}#numeric", bench.run);
    let items: Vec<Item> = [100, 2, 10, 1, 20]
        .map(|sequence| {
            bench
                .tables
                .events
                .numbered_key(aggregate.as_str(), sequence)
                .attributes()
        })
        .to_vec();
    bench
        .store
        .put_all(&bench.tables.events, &items)
        .await
        .map_err(fault)?;
    let mut query = Query::partition(&bench.tables.events, aggregate, 2);
    query.from = Some(SortKey::Number(2));
    let sequences: Vec<Option<u64>> = bench
        .drain(query)
        .await?
        .iter()
        .map(|item| item.get("sequence").and_then(Value::as_u64))
        .collect();
    equal("from 2", &sequences, &[2, 10, 20, 100].map(Some).to_vec())
}

async fn a_range_begins_where_it_says_in_either_direction(bench: &Bench) -> Checked {
    let query = lettered(bench, "range", &["a", "b", "c", "d"]).await?;
    for (from, descending, expected) in [
        ("b", false, vec!["b", "c", "d"]),
        ("bb", false, vec!["c", "d"]),
        ("b", true, vec!["b", "a"]),
        ("bb", true, vec!["b", "a"]),
        ("e", false, vec![]),
    ] {
        let found = bench
            .drain(Query {
                from: Some(SortKey::Text(from.to_owned())),
                descending,
                limit: 2,
                ..query.clone()
            })
            .await?;
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        equal(
            &format!("from {from}, descending {descending}"),
            &texts(&found, "sk"),
            &expected,
        )?;
    }
    Ok(())
}

async fn a_prefix_selects_and_combines_with_a_range(bench: &Bench) -> Checked {
    let query = lettered(
        bench,
        "prefix",
        &["a#1", "n#1", "n#2", "n#3", "n#é☁", "o#1"],
    )
    .await?;
    for (prefix, from, descending, expected) in [
        ("n#", None, false, vec!["n#1", "n#2", "n#3", "n#é☁"]),
        ("n#", None, true, vec!["n#é☁", "n#3", "n#2", "n#1"]),
        ("n#", Some("n#2"), false, vec!["n#2", "n#3", "n#é☁"]),
        ("n#", Some("n#2"), true, vec!["n#2", "n#1"]),
        ("n#", Some("a"), false, vec!["n#1", "n#2", "n#3", "n#é☁"]),
        ("n#", Some("a"), true, vec![]),
        ("n#", Some("z"), false, vec![]),
        ("n#", Some("z"), true, vec!["n#é☁", "n#3", "n#2", "n#1"]),
        ("x#", None, false, vec![]),
    ] {
        let found = bench
            .drain(Query {
                prefix: Some(prefix.to_owned()),
                from: from.map(|text: &str| SortKey::Text(text.to_owned())),
                descending,
                limit: 2,
                ..query.clone()
            })
            .await?;
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        equal(
            &format!("{prefix} from {from:?}, descending {descending}"),
            &texts(&found, "sk"),
            &expected,
        )?;
    }
    Ok(())
}

async fn an_index_shows_only_items_that_have_its_attributes(bench: &Bench) -> Checked {
    let Some((table, index)) = &bench.tables.indexed else {
        return Ok(());
    };
    let group = format!("conformance#{}", bench.run);
    let member = |n: u32| table.key(format!("{group}#{n}"), "contact");
    let items: Vec<Item> = (1..=6)
        .map(|n| {
            let mut item = member(n).attributes();
            if n != 3 {
                item.insert(index.partition.to_owned(), json!(group));
            }
            item
        })
        .collect();
    bench.store.put_all(table, &items).await.map_err(fault)?;
    let query = Query {
        index: Some(*index),
        ..Query::partition(table, group.as_str(), 2)
    };
    let expected: Vec<String> = [1, 2, 4, 5, 6].map(|n| member(n).pk).to_vec();
    // An index follows its table with a delay: look until it has caught up, at most for a while.
    let clock = SystemClock;
    let started = clock.now();
    loop {
        let found = texts(&bench.drain(query.clone()).await?, "pk");
        if found == expected || clock.now().since(started) > std::time::Duration::from_secs(10) {
            return equal("the group", &found, &expected);
        }
        clock.sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn a_walk_finds_every_item_without_the_attribute_once(bench: &Bench) -> Checked {
    let own = format!("conformance#{}#walk", bench.run);
    let items: Vec<Item> = (1..=30)
        .map(|sequence| {
            let aggregate = format!("{own}#{}", sequence % 4);
            let key = bench.tables.events.numbered_key(aggregate, sequence);
            let published = sequence % 3 == 0;
            item(
                &key,
                if published {
                    json!({"done_at": "now"})
                } else {
                    json!({})
                },
            )
        })
        .collect();
    bench
        .store
        .put_all(&bench.tables.events, &items)
        .await
        .map_err(fault)?;
    let mut scan = Scan {
        table: bench.tables.events.clone(),
        without: Some("done_at"),
        limit: 7,
        after: None,
    };
    let mut seen = Vec::new();
    loop {
        let page = bench.store.scan(&scan).await.map_err(fault)?;
        seen.extend(page.items.into_iter().filter(|item| {
            item.get("aggregate")
                .and_then(Value::as_str)
                .is_some_and(|aggregate| aggregate.starts_with(&own))
        }));
        // A cursor survives being written down.
        match page.next.map(|next| Cursor::from_text(&next.to_text())) {
            Some(Some(next)) => scan.after = Some(next),
            Some(None) => return Err("a cursor does not survive as text".to_owned()),
            None => break,
        }
    }
    let sequences: BTreeSet<u64> = seen
        .iter()
        .filter_map(|item| item.get("sequence").and_then(Value::as_u64))
        .collect();
    equal("the count", &seen.len(), &20)?;
    equal(
        "the sequences",
        &sequences,
        &(1..=30).filter(|sequence| sequence % 3 != 0).collect(),
    )
}

fn entries(count: usize) -> Vec<Entry> {
    (0..count)
        .map(|n| Entry {
            source: "conformance".to_owned(),
            detail_type: "conformance.tried".to_owned(),
            detail: json!({"number": n, "text": "größer ☁"}).to_string(),
            trace_header: None,
        })
        .collect()
}

async fn every_entry_is_answered_for(publisher: &dyn Publisher) -> Checked {
    for count in [1, 10] {
        let answers = publisher.publish(&entries(count)).await.map_err(fault)?;
        equal("the answers", &answers, &vec![Ok(()); count])?;
    }
    Ok(())
}

async fn more_than_ten_entries_are_refused(publisher: &dyn Publisher) -> Checked {
    match publisher.publish(&entries(11)).await {
        Err(fault) => equal("the fault", &fault.kind, &FaultKind::Rejected),
        Ok(answers) => Err(format!("{answers:?}")),
    }
}
