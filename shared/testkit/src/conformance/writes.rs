//! Transactions, conditions, tokens, and the other writes.

use outbox::{
    Clock, CommitError, Condition, FaultKind, Guarded, GuardedPut, Item, Key,
    MAX_TRANSACTION_ITEMS, Prepared, Query, Reason, SystemClock, Write, chain,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{Bench, Checked, ensure, equal, fault, item, put};

pub(super) async fn a_transaction_writes_all_or_nothing_and_says_why_in_order(
    bench: &Bench,
) -> Checked {
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

pub(super) async fn each_condition_holds_exactly_when_it_should(bench: &Bench) -> Checked {
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

pub(super) async fn conditions_compare_numbers_by_value(bench: &Bench) -> Checked {
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

pub(super) async fn additions_are_exact_and_begin_at_zero(bench: &Bench) -> Checked {
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

pub(super) async fn an_addition_to_a_text_cancels(bench: &Bench) -> Checked {
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

pub(super) async fn a_token_takes_effect_once(bench: &Bench) -> Checked {
    let key = bench.key("token", "a");
    let prepared = Prepared::new(
        SystemClock.uuid().to_string(),
        vec![
            put(&bench.key("token", "mark"), json!({}), Condition::Absent),
            Write::Add {
                key: key.clone(),
                amounts: vec![("total", Decimal::ONE)],
            },
        ],
    );
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

pub(super) async fn a_token_with_other_writes_is_refused(bench: &Bench) -> Checked {
    let (one, two) = (bench.key("mismatch", "a"), bench.key("mismatch", "b"));
    let token = SystemClock.uuid().to_string();
    let prepared =
        |key: &Key| Prepared::new(token.as_str(), vec![put(key, json!({}), Condition::Absent)]);
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

pub(super) async fn a_cancelled_token_may_come_again(bench: &Bench) -> Checked {
    let key = bench.key("again", "a");
    let needed = bench.key("again", "needed");
    let prepared = Prepared::new(
        SystemClock.uuid().to_string(),
        vec![
            put(&key, json!({}), Condition::Absent),
            Write::Check {
                key: needed.clone(),
                condition: Condition::Present,
            },
        ],
    );
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

pub(super) async fn transactions_beyond_the_limits_are_refused(bench: &Bench) -> Checked {
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

pub(super) async fn racing_transactions_lose_no_update(bench: &Bench) -> Checked {
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

pub(super) async fn a_delete_happens_only_under_its_condition(bench: &Bench) -> Checked {
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

pub(super) async fn a_guarded_put_ignores_what_is_not_newer(bench: &Bench) -> Checked {
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

pub(super) async fn puts_without_condition_are_all_there(bench: &Bench) -> Checked {
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
    // More than one call can write on DynamoDB, and one key twice: the last item wins.
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
