//! Single items: what was put is read back.

use outbox::{Condition, Item, Key};
use serde_json::json;

use super::{Bench, Checked, equal, fault, item, put};

pub(super) async fn an_absent_item_is_none(bench: &Bench) -> Checked {
    let key = bench.key("absent", "a");
    equal("the item", &bench.get(&key).await?, &None)?;
    let mark = bench
        .tables
        .marks
        .single_key(format!("conformance#{}", bench.run));
    equal("the mark", &bench.get(&mark).await?, &None)
}

pub(super) async fn an_item_is_read_back_as_it_was_put(bench: &Bench) -> Checked {
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

pub(super) async fn numbers_keep_their_value(bench: &Bench) -> Checked {
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

pub(super) async fn many_items_come_in_the_keys_order_with_a_gap_for_each_absent_one(
    bench: &Bench,
) -> Checked {
    // More than one call can read on DynamoDB, and one key twice.
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
