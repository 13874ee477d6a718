//! Partitions, ranges, indexes and scans of a whole table.

use std::collections::BTreeSet;

use outbox::{Clock, Cursor, Item, Query, Scan, SortKey, SystemClock};
use serde_json::{Value, json};

use super::{Bench, Checked, equal, fault, item, texts};

pub(super) async fn lettered(bench: &Bench, check: &str, names: &[&str]) -> Result<Query, String> {
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

pub(super) async fn a_partition_is_read_by_sort_key_in_pages(bench: &Bench) -> Checked {
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

pub(super) async fn numbered_partitions_are_in_numeric_order(bench: &Bench) -> Checked {
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

pub(super) async fn a_range_begins_where_it_says_in_either_direction(bench: &Bench) -> Checked {
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

pub(super) async fn a_prefix_selects_and_combines_with_a_range(bench: &Bench) -> Checked {
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

pub(super) async fn an_index_shows_only_items_that_have_its_attributes(bench: &Bench) -> Checked {
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
    // An index follows its table with a delay: poll until it has caught up or the time limit has passed.
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

pub(super) async fn a_walk_finds_every_item_without_the_attribute_once(bench: &Bench) -> Checked {
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
        // A cursor survives being stored as text.
        match page.next.map(|next| Cursor::from_text(&next.to_text())) {
            Some(Some(next)) => scan.after = Some(next),
            Some(None) => {
                return Err("a cursor is not the same after being stored as text".to_owned());
            }
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
