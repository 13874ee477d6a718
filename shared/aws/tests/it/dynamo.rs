//! The DynamoDB store with a scripted HTTP client: the requests it sends, and how it handles the answers.

use std::{collections::BTreeSet, sync::Arc};

use aws::DynamoStore;
use events::{AccountId, Cause, Draft, Registry, Usd, contracts::treasury::AccountChanged};
use outbox::{
    Answer, CommitError, Condition, Decision, Error, FaultKind, Guarded, GuardedPut, Key, Mark,
    Outbox, Outcome, Prepared, Query, Reason, Scan, State, Store, Table, Write,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use testkit::TestClock;

use crate::stub::{Fate, Stub};

fn store(stub: &Stub) -> DynamoStore {
    DynamoStore::new(stub.dynamodb()).with_clock(Arc::new(TestClock::new(5)))
}

fn table() -> Table {
    Table::domain("cloud")
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Account {
    balance: Usd,
}

impl State for Account {
    const AGGREGATE: &'static str = "treasury_account";
}

/// Sets a treasury account's balance and publishes the change, as a caller's request would.
async fn set_balance(
    outbox: &Outbox,
    id: &str,
    balance: &str,
) -> Result<Outcome<(), String>, Error> {
    let mark = Mark::Request {
        owner: "tests".into(),
        method: "PUT".into(),
        path: "/api/v1/cloud/treasury/accounts".into(),
        key: "a".into(),
        body_sha256: Mark::body_sha256(b"a"),
    };
    outbox
        .execute(&mark, &Cause::default(), |mut transaction| async move {
            let account = outbox.load::<Account>(&table(), id).await?;
            let balance: Usd = balance.parse().expect("dollars");
            let changed = AccountChanged {
                account_id: AccountId::new(id).expect("an account id"),
                balance,
                version: account.next_version().expect("a version"),
            };
            let draft = Draft::of(&changed).expect("a draft");
            transaction.update(&account, &Account { balance }, vec![draft])?;
            transaction.answer(Answer {
                status: 200,
                body: json!({ "balance": balance }),
            });
            Ok(Decision::Commit(transaction, ()))
        })
        .await
}

fn key(sk: &str) -> Key {
    table().key("wallet#1", sk)
}

fn prepared(count: usize) -> Prepared {
    let writes = (0..count)
        .map(|n| Write::Check {
            key: key(&n.to_string()),
            condition: Condition::Present,
        })
        .collect();
    Prepared::new("token-1", writes)
}

async fn commit_of(fate: Fate) -> (Result<(), CommitError>, usize) {
    let stub = Stub::new([fate]);
    let answer = store(&stub).commit(&prepared(2)).await;
    (answer, stub.requests().len())
}

fn cancelled(reasons: &Value) -> Fate {
    Fate::Answer(
        400,
        json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "Transaction cancelled",
            "CancellationReasons": reasons,
        }),
    )
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_of_a_commit_is_unknown_and_the_sdk_sends_it_once() {
    for fate in [
        Fate::Silence,
        Fate::Broken,
        Fate::error(500, "InternalServerError"),
        Fate::error(503, "ServiceUnavailable"),
        Fate::error(400, "TransactionInProgressException"),
        Fate::Answer(502, json!("Bad gateway")),
    ] {
        let (answer, sendings) = commit_of(fate.clone()).await;
        match answer {
            Err(CommitError::Unknown(fault)) => {
                assert_eq!(fault.kind, FaultKind::Unavailable, "{fate:?}");
            }
            other => panic!("{fate:?}: {other:?}"),
        }
        assert_eq!(sendings, 1, "{fate:?}");
    }
}

#[tokio::test]
async fn a_commit_that_was_not_begun_is_known_not_to_be_written() {
    for (code, kind) in [
        ("ThrottlingException", FaultKind::Unavailable),
        (
            "ProvisionedThroughputExceededException",
            FaultKind::Unavailable,
        ),
        ("RequestLimitExceeded", FaultKind::Unavailable),
        ("AccessDeniedException", FaultKind::Denied),
        ("ExpiredTokenException", FaultKind::Denied),
        ("ValidationException", FaultKind::Rejected),
        ("IdempotentParameterMismatchException", FaultKind::Rejected),
        ("ResourceNotFoundException", FaultKind::Rejected),
    ] {
        let (answer, sendings) = commit_of(Fate::error(400, code)).await;
        match answer {
            Err(CommitError::NotWritten(fault)) => {
                assert_eq!(fault.kind, kind, "{code}");
                let text = outbox::chain(&fault);
                assert!(
                    text.contains(code) && text.contains("scripted"),
                    "the log's reader sees what the service said: {text}"
                );
            }
            other => panic!("{code}: {other:?}"),
        }
        assert_eq!(sendings, 1, "{code}");
    }
}

#[tokio::test]
async fn the_reasons_of_a_cancellation_keep_the_writes_order() {
    let reasons = json!([
        {"Code": "None"},
        {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"},
        {"Code": "TransactionConflict"},
        {"Code": "ThrottlingError"},
        {"Code": "ProvisionedThroughputExceeded"},
        {"Code": "ValidationError", "Message": "too large"},
        {},
    ]);
    let stub = Stub::new([cancelled(&reasons)]);
    match store(&stub).commit(&prepared(7)).await {
        Err(CommitError::Cancelled(reasons)) => assert_eq!(
            reasons,
            [
                Reason::None,
                Reason::ConditionFailed,
                Reason::Conflict,
                Reason::Throttled,
                Reason::Throttled,
                Reason::Other("ValidationError: too large".into()),
                Reason::None,
            ]
        ),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_cancellation_without_reasons_makes_the_mark_be_looked_at() {
    let (answer, _) = commit_of(cancelled(&json!([]))).await;
    match answer {
        Err(CommitError::Cancelled(reasons)) => {
            assert_eq!(reasons.first(), Some(&Reason::ConditionFailed));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_answer_the_same_bytes_go_with_the_same_token() {
    let stub = Stub::new([
        Fate::ok(json!({})), // the account does not exist yet
        Fate::Silence,
        Fate::error(400, "TransactionInProgressException"),
        Fate::ok(json!({})),
    ]);
    let outbox = Outbox::new(
        Arc::new(store(&stub)),
        Arc::new(TestClock::new(1)),
        Arc::new(Registry::shipped()),
        Table::events("events"),
        Table::marks("marks"),
    );
    let outcome = set_balance(&outbox, "1110", "12.5").await;
    assert!(
        matches!(outcome, Ok(Outcome::Committed { .. })),
        "{outcome:?}"
    );
    let requests = stub.requests();
    assert_eq!(requests.len(), 4);
    let sendings = &requests[1..];
    assert!(sendings.iter().all(|body| *body == sendings[0]));
    assert!(sendings[0]["ClientRequestToken"].is_string());
}

#[tokio::test]
async fn a_transaction_is_asked_for_as_it_was_decided() {
    let stub = Stub::new([Fate::ok(json!({}))]);
    let amount = |text: &str| text.parse().expect("a decimal");
    let item = |key: &Key, more: Value| {
        let mut item = key.attributes();
        item.extend(more.as_object().expect("an object").clone());
        item
    };
    let prepared = Prepared::new(
        "token-1",
        vec![
            Write::Put {
                key: key("state"),
                item: item(&key("state"), json!({"version": 3, "balance": 12.5})),
                condition: Condition::Equals(vec![("version", json!(2))]),
            },
            Write::Add {
                key: key("total"),
                amounts: vec![("total", amount("0.000001")), ("count", amount("-1"))],
            },
            Write::Check {
                key: key("other"),
                condition: Condition::Present,
            },
            Write::Delete {
                key: key("gone"),
                condition: Condition::OlderThan(7),
            },
        ],
    );
    store(&stub).commit(&prepared).await.expect("commits");
    let body = &stub.requests()[0];
    assert_eq!(body["ClientRequestToken"], "token-1");
    let items = &body["TransactItems"];
    let named = |sk: &str| json!({"pk": {"S": "wallet#1"}, "sk": {"S": sk}});
    assert_eq!(
        items[0]["Put"]["Item"],
        json!({"pk": {"S": "wallet#1"}, "sk": {"S": "state"}, "version": {"N": "3"}, "balance": {"N": "12.5"}})
    );
    assert_eq!(
        items[0]["Put"]["ConditionExpression"],
        "attribute_exists(#n0) AND #n1 = :v0"
    );
    assert_eq!(
        items[0]["Put"]["ExpressionAttributeNames"],
        json!({"#n0": "pk", "#n1": "version"})
    );
    assert_eq!(
        items[0]["Put"]["ExpressionAttributeValues"],
        json!({":v0": {"N": "2"}})
    );
    assert_eq!(items[1]["Update"]["Key"], named("total"));
    assert_eq!(
        items[1]["Update"]["UpdateExpression"],
        "ADD #n0 :v0, #n1 :v1"
    );
    assert_eq!(
        items[1]["Update"]["ExpressionAttributeValues"],
        json!({":v0": {"N": "0.000001"}, ":v1": {"N": "-1"}})
    );
    assert_eq!(items[2]["ConditionCheck"]["Key"], named("other"));
    assert_eq!(
        items[3]["Delete"]["ConditionExpression"],
        "attribute_not_exists(#n0) OR #n1 < :v0"
    );
    assert_eq!(items.as_array().map(Vec::len), Some(4));
}

#[tokio::test]
async fn a_throttled_read_is_repeated_by_the_sdk_and_then_unavailable() {
    let throttled = || Fate::error(400, "ProvisionedThroughputExceededException");
    let found =
        json!({"Item": {"pk": {"S": "wallet#1"}, "sk": {"S": "a"}, "total": {"N": "0.000000"}}});
    let stub = Stub::new([throttled(), Fate::ok(found)]);
    let item = store(&stub).get(&key("a")).await.expect("reads");
    assert_eq!(item.expect("the item")["total"], json!(0));
    assert_eq!(stub.requests()[0]["ConsistentRead"], true);
    let stub = Stub::new(vec![throttled(); 3]);
    let fault = store(&stub).get(&key("a")).await.expect_err("throttled");
    assert_eq!(fault.kind, FaultKind::Unavailable);
}

#[tokio::test]
async fn keys_left_unprocessed_are_asked_for_again_until_all_are_answered() {
    let found = |sks: &[&str]| -> Value {
        sks.iter()
            .map(|sk| json!({"pk": {"S": "wallet#1"}, "sk": {"S": sk}}))
            .collect()
    };
    let left = json!({"cloud": {"ConsistentRead": true, "Keys": found(&["a", "c"])}});
    let stub = Stub::new([
        Fate::ok(json!({"Responses": {"cloud": found(&["b"])}, "UnprocessedKeys": left})),
        Fate::ok(json!({"Responses": {}, "UnprocessedKeys": left})),
        Fate::ok(json!({"Responses": {"cloud": found(&["c"])}, "UnprocessedKeys": {}})),
    ]);
    let items = store(&stub)
        .get_many(&[key("c"), key("a"), key("b"), key("c")])
        .await
        .expect("reads");
    let there: Vec<Option<Value>> = items
        .into_iter()
        .map(|item| item.map(|item| item["sk"].clone()))
        .collect();
    assert_eq!(
        there,
        [Some(json!("c")), None, Some(json!("b")), Some(json!("c"))]
    );
    let asked = stub.requests();
    assert_eq!(
        asked[0]["RequestItems"]["cloud"]["Keys"]
            .as_array()
            .map(Vec::len),
        Some(3),
        "no key twice"
    );
    assert_eq!(asked[0]["RequestItems"]["cloud"]["ConsistentRead"], true);
    assert_eq!(asked[2]["RequestItems"], left);
}

#[tokio::test]
async fn keys_that_stay_unprocessed_are_unavailable() {
    let left = json!({"cloud": {"Keys": [{"pk": {"S": "wallet#1"}, "sk": {"S": "a"}}]}});
    let stub = Stub::new(vec![Fate::ok(json!({"UnprocessedKeys": left})); 6]);
    let fault = store(&stub)
        .get_many(&[key("a")])
        .await
        .expect_err("never answered");
    assert_eq!((fault.kind, stub.left()), (FaultKind::Unavailable, 0));
}

fn sort_keys(request: &Value) -> BTreeSet<String> {
    request["RequestItems"]["cloud"]
        .as_array()
        .expect("requests")
        .iter()
        .map(|request| request["PutRequest"]["Item"]["sk"]["S"].to_string())
        .collect()
}

#[tokio::test]
async fn items_left_unprocessed_are_written_again_25_at_a_time() {
    let items: Vec<_> = (0..30)
        .map(|n| key(&format!("{n:02}")).attributes())
        .collect();
    let left = |sk: &str| json!({"UnprocessedItems": {"cloud": [{"PutRequest": {"Item": {"pk": {"S": "wallet#1"}, "sk": {"S": sk}}}}]}});
    let stub = Stub::new([
        Fate::ok(left("07")),
        Fate::ok(left("07")),
        Fate::ok(json!({"UnprocessedItems": {}})),
        Fate::ok(json!({})),
    ]);
    store(&stub)
        .put_all(&table(), &items)
        .await
        .expect("writes");
    let asked = stub.requests();
    let sizes: Vec<usize> = asked.iter().map(|body| sort_keys(body).len()).collect();
    assert_eq!(sizes, [25, 1, 1, 5]);
    assert_eq!(sort_keys(&asked[2]), BTreeSet::from(["\"07\"".to_owned()]));
}

#[tokio::test]
async fn items_that_stay_unprocessed_fail_the_write() {
    let left = json!({"UnprocessedItems": {"cloud": [{"PutRequest": {"Item": {"pk": {"S": "wallet#1"}, "sk": {"S": "a"}}}}]}});
    let stub = Stub::new(vec![Fate::ok(left); 6]);
    let fault = store(&stub)
        .put_all(&table(), &[key("a").attributes()])
        .await
        .expect_err("never written");
    assert_eq!((fault.kind, stub.left()), (FaultKind::Unavailable, 0));
}

#[tokio::test]
async fn a_row_twice_in_one_write_is_sent_once_as_it_was_last() {
    let mut second = key("a").attributes();
    second.insert("note".into(), json!("second"));
    let stub = Stub::new([Fate::ok(json!({}))]);
    store(&stub)
        .put_all(&table(), &[key("a").attributes(), second])
        .await
        .expect("writes");
    let sent = &stub.requests()[0]["RequestItems"]["cloud"];
    assert_eq!(sent.as_array().map(Vec::len), Some(1));
    assert_eq!(
        sent[0]["PutRequest"]["Item"]["note"],
        json!({"S": "second"})
    );
}

#[tokio::test]
async fn a_guarded_put_that_is_not_newer_is_ignored() {
    let stub = Stub::new([
        Fate::error(400, "ConditionalCheckFailedException"),
        Fate::ok(json!({})),
        Fate::error(400, "TransactionConflictException"),
    ]);
    let put = GuardedPut {
        key: key("a"),
        item: key("a").attributes(),
        version: 4,
    };
    let store = store(&stub);
    assert_eq!(
        store.put_guarded(&put).await.expect("asks"),
        Guarded::Ignored
    );
    assert_eq!(
        store.put_guarded(&put).await.expect("asks"),
        Guarded::Applied
    );
    let fault = store.put_guarded(&put).await.expect_err("in conflict");
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert_eq!(stub.requests()[0]["Item"]["version"], json!({"N": "4"}));
}

#[tokio::test]
async fn a_query_says_that_there_is_more_only_when_there_is() {
    let found = |count: u32| -> Value {
        (1..=count)
            .map(|n| json!({"aggregate": {"S": "wallet#1"}, "sequence": {"N": n.to_string()}, "note": {"S": "x"}}))
            .collect()
    };
    let last = json!({"aggregate": {"S": "wallet#1"}, "sequence": {"N": "3"}});
    let stub = Stub::new([
        Fate::ok(json!({"Items": found(3), "LastEvaluatedKey": last})),
        Fate::ok(json!({"Items": found(2)})),
    ]);
    let query = Query::partition(&Table::events("events"), "wallet#1", 2);
    let store = store(&stub);
    let page = store.query(&query).await.expect("reads");
    assert_eq!(page.items.len(), 2);
    let next = page.next.expect("there is a third");
    assert_eq!(
        Value::Object(next.0),
        json!({"aggregate": "wallet#1", "sequence": 2})
    );
    let page = store.query(&query).await.expect("reads");
    assert_eq!((page.items.len(), page.next), (2, None));
    let asked = &stub.requests()[0];
    assert_eq!(
        (&asked["Limit"], &asked["ConsistentRead"]),
        (&json!(3), &json!(true))
    );
}

#[tokio::test]
async fn a_walk_reads_consistently_and_leaves_out_what_has_the_attribute() {
    let stub = Stub::new([Fate::ok(json!({"Items": []}))]);
    let scan = Scan {
        table: Table::events("events"),
        without: Some("published_at"),
        limit: 50,
        after: None,
    };
    let page = store(&stub).scan(&scan).await.expect("reads");
    assert_eq!(page.next, None);
    let asked = &stub.requests()[0];
    assert_eq!(asked["FilterExpression"], "attribute_not_exists(#n0)");
    assert_eq!(
        asked["ExpressionAttributeNames"],
        json!({"#n0": "published_at"})
    );
    assert_eq!(asked["ConsistentRead"], true);
}

#[tokio::test]
async fn an_item_that_cannot_be_read_is_unreadable_and_names_the_attribute() {
    let stub = Stub::new([Fate::ok(json!({"Item": {"tags": {"SS": ["secret"]}}}))]);
    let fault = store(&stub).get(&key("a")).await.expect_err("a set");
    assert_eq!(fault.kind, FaultKind::Unreadable);
    let text = outbox::chain(&fault);
    assert!(text.contains("tags") && !text.contains("secret"), "{text}");
}
