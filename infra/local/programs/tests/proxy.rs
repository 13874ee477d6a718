//! The fault proxy in front of a small service: every kind does what it says, and a call that no rule matches passes
//! unchanged.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::{
    config::Credentials,
    primitives::{DateTime, DateTimeFormat},
};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use local_programs::proxy::{FaultProxy, Kind, ProxyControl, Rule, Rules};
use serde_json::{Value, json};
use testkit::stack::until;
use tokio::net::TcpListener;

/// The requests that the service received: path, headers, body.
type Asked = Arc<Mutex<Vec<(String, BTreeMap<String, String>, Bytes)>>>;

/// A service that answers every call and keeps its requests.
async fn service() -> (SocketAddr, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Asked::default();
    let kept = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            let answer = service_fn(move |request: Request<Incoming>| {
                let kept = Arc::clone(&kept);
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    let headers = parts
                        .headers
                        .iter()
                        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                        .collect();
                    let path = parts.uri.path_and_query().unwrap().to_string();
                    let answer = answer(parts.headers.get("x-amz-target"), &body);
                    kept.lock().unwrap().push((path, headers, body));
                    Ok::<_, Infallible>(answer)
                }
            });
            let io = TokioIo::new(stream);
            tokio::spawn(http1::Builder::new().serve_connection(io, answer));
        }
    });
    (address, asked)
}

fn answer(target: Option<&hyper::header::HeaderValue>, body: &Bytes) -> Response<Full<Bytes>> {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let operation = target.and_then(|value| value.to_str().ok()?.split_once('.'));
    let answer = match operation.map(|(_, name)| name) {
        // The id shows which entry was answered.
        Some("PutEvents") => {
            let ids = asked["Entries"].as_array().into_iter().flatten();
            let ids = ids.map(|entry| json!({ "EventId": entry["Detail"] }));
            json!({ "FailedEntryCount": 0, "Entries": ids.collect::<Vec<_>>() })
        }
        Some("SendMessageBatch" | "DeleteMessageBatch") => {
            let ids = asked["Entries"].as_array().into_iter().flatten();
            let ids = ids.map(|entry| json!({ "Id": entry["Id"] }));
            json!({ "Successful": ids.collect::<Vec<_>>(), "Failed": [] })
        }
        Some("BatchWriteItem") => json!({ "UnprocessedItems": {} }),
        Some("BatchGetItem") => {
            let tables = asked["RequestItems"].as_object().into_iter().flatten();
            let found = tables.map(|(table, one)| (table.clone(), one["Keys"].clone()));
            json!({ "Responses": found.collect::<serde_json::Map<_, _>>(), "UnprocessedKeys": {} })
        }
        Some("GetItem") => json!({ "Item": {"k": {"S": "x".repeat(5_000)}} }),
        Some("Echo") | None => {
            return Response::builder()
                .status(203)
                .header("x-of-the-service", "kept")
                .body(Full::new(body.clone()))
                .unwrap();
        }
        Some(_) => json!({}),
    };
    Response::builder()
        .header("x-amz-crc32", "1")
        .body(Full::new(Bytes::from(answer.to_string())))
        .unwrap()
}

struct Scene {
    proxy: FaultProxy,
    control: ProxyControl,
    asked: Asked,
    http: reqwest::Client,
}

impl Scene {
    async fn with(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self::signing(None, rules).await
    }

    async fn signing(
        credentials: Option<Credentials>,
        rules: impl IntoIterator<Item = Rule>,
    ) -> Self {
        let (address, asked) = service().await;
        let listen = "127.0.0.1:0".parse().unwrap();
        let proxy = FaultProxy::start(listen, &format!("http://{address}"), credentials)
            .await
            .unwrap();
        let control = ProxyControl::new(proxy.control_url());
        let rules = Rules {
            seed: 11,
            rules: rules.into_iter().collect(),
        };
        control.set_rules(&rules).await.unwrap();
        Self {
            proxy,
            control,
            asked,
            http: reqwest::Client::new(),
        }
    }

    /// One rule for every operation.
    async fn always(kind: Kind) -> Self {
        Self::with([Rule::everywhere([(kind, 1.0)])]).await
    }

    async fn call(&self, target: &str, body: &Value) -> Result<(u16, Value), reqwest::Error> {
        let request = self
            .http
            .post(self.proxy.endpoint())
            .header("x-amz-target", target)
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=ASIA1/20261121/us-east-1/x/aws4_request",
            )
            .body(body.to_string());
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or_default()))
    }

    fn asked(&self) -> Vec<Value> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .map(|(_, _, body)| serde_json::from_slice(body).unwrap_or_default())
            .collect()
    }

    async fn struck(&self, kind: Kind) -> u64 {
        let counts = self.control.counts().await.unwrap();
        counts.faults.get(&kind).copied().unwrap_or(0)
    }
}

const GET: &str = "DynamoDB_20120810.GetItem";
const COMMIT: &str = "DynamoDB_20120810.TransactWriteItems";
const PUBLISH: &str = "AWSEvents.PutEvents";

fn events(count: usize) -> Value {
    let entries =
        (0..count).map(|n| json!({ "Source": "s", "DetailType": "d", "Detail": n.to_string() }));
    json!({ "Entries": entries.collect::<Vec<_>>() })
}

#[tokio::test]
async fn without_rules_bytes_headers_and_status_pass_both_ways_unchanged_also_large_ones() {
    let scene = Scene::with([]).await;
    // Neither JSON nor text, and larger than any buffer.
    let large: Vec<u8> = (0..4 * 1024 * 1024_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    for target in [None, Some("DynamoDB_20120810.Echo")] {
        let url = format!("{}/some/path?a=1&b=%2F", scene.proxy.endpoint());
        let mut request = scene.http.put(url).header("x-of-the-caller", "kept");
        if let Some(target) = target {
            request = request.header("x-amz-target", target);
        }
        let answer = request.body(large.clone()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 203);
        assert_eq!(answer.headers()["x-of-the-service"], "kept");
        assert!(answer.bytes().await.unwrap() == large, "the answer differs");
        let (path, headers, body) = scene.asked.lock().unwrap().pop().unwrap();
        assert_eq!(path, "/some/path?a=1&b=%2F");
        assert_eq!(headers["x-of-the-caller"], "kept");
        // The proxy passes on the host header that the caller signed.
        assert_eq!(
            format!("http://{}", headers["host"]),
            scene.proxy.endpoint()
        );
        assert!(body == large, "the request differs");
    }
}

#[tokio::test]
async fn calls_are_turned_away_in_the_services_own_words_and_never_arrive() {
    let body = json!({ "TransactItems": [{}, {}, {}] });
    for (kind, target, status, code) in [
        (
            Kind::Error500,
            GET,
            500,
            "com.amazonaws.dynamodb.v20120810#InternalServerError",
        ),
        (
            Kind::Error500,
            "AmazonSQS.SendMessage",
            500,
            "com.amazonaws.sqs#InternalError",
        ),
        (Kind::Error500, PUBLISH, 500, "InternalException"),
        (
            Kind::Error503,
            GET,
            503,
            "com.amazonaws.dynamodb.v20120810#ServiceUnavailable",
        ),
        (Kind::Throttle, PUBLISH, 400, "ThrottlingException"),
        (
            Kind::Throttle,
            "AmazonSQS.SendMessage",
            400,
            "com.amazonaws.sqs#RequestThrottled",
        ),
        (
            Kind::TransactionConflict,
            COMMIT,
            400,
            "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        ),
        (
            Kind::TransactionConflict,
            "DynamoDB_20120810.PutItem",
            400,
            "com.amazonaws.dynamodb.v20120810#TransactionConflictException",
        ),
    ] {
        let scene = Scene::always(kind).await;
        let (got, answer) = scene.call(target, &body).await.unwrap();
        assert_eq!(
            (got, answer["__type"].as_str()),
            (status, Some(code)),
            "{kind:?} {target}"
        );
        assert_eq!(scene.asked(), Vec::<Value>::new());
        assert_eq!(scene.struck(kind).await, 1);
        if code.ends_with("Canceled") || code.contains("TransactionCanceled") {
            let reasons = answer["CancellationReasons"].as_array().unwrap();
            assert_eq!(reasons.len(), 3);
            assert!(
                reasons
                    .iter()
                    .any(|one| one["Code"] == "TransactionConflict")
            );
        }
    }
    let scene = Scene::always(Kind::Throttle).await;
    for _ in 0..20 {
        let (status, answer) = scene.call(GET, &json!({})).await.unwrap();
        let code = answer["__type"].as_str().unwrap();
        assert!(
            status == 400
                && (code.ends_with("#ThrottlingException")
                    || code.ends_with("#ProvisionedThroughputExceededException"))
        );
    }
    // SES uses REST: the error code is in a header.
    let url = format!("{}/v2/email/outbound-emails", scene.proxy.endpoint());
    let answer = scene.http.post(url).body("{}").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 429);
    assert_eq!(
        answer.headers()["x-amzn-errortype"],
        "TooManyRequestsException"
    );
}

#[tokio::test]
async fn a_reset_before_leaves_no_effect_and_a_lost_answer_does() {
    for (kind, arrived) in [(Kind::ResetBefore, 0), (Kind::ResetAfter, 1)] {
        let scene = Scene::always(kind).await;
        let error = scene.call(COMMIT, &json!({})).await.unwrap_err();
        let mut source: Option<&dyn std::error::Error> = Some(&error);
        let mut was_reset = false;
        while let Some(error) = source {
            was_reset |= error
                .downcast_ref::<std::io::Error>()
                .is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset);
            source = error.source();
        }
        assert!(was_reset, "{error:?}");
        assert_eq!(scene.asked().len(), arrived, "{kind:?}");
        // The next connection is served.
        scene.control.set_rules(&Rules::calm()).await.unwrap();
        assert_eq!(scene.call(COMMIT, &json!({})).await.unwrap().0, 200);
    }
}

#[tokio::test]
async fn an_error_after_the_effect_is_an_error_and_an_effect() {
    let scene = Scene::always(Kind::ErrorAfter).await;
    let (status, _) = scene.call(COMMIT, &json!({})).await.unwrap();
    assert_eq!((status, scene.asked().len()), (500, 1));
}

#[tokio::test]
async fn a_transaction_in_progress_took_effect_or_never_began() {
    let scene = Scene::always(Kind::TransactionInProgress).await;
    for _ in 0..40 {
        let (status, answer) = scene.call(COMMIT, &json!({})).await.unwrap();
        assert_eq!(status, 400);
        let code = answer["__type"].as_str().unwrap();
        assert!(code.ends_with("#TransactionInProgressException"), "{code}");
    }
    assert!((1..40).contains(&scene.asked().len()));
}

#[tokio::test]
async fn a_delayed_call_is_late_and_otherwise_untouched() {
    let rule = Rule::everywhere([(Kind::Delay, 1.0)]).delayed_by(150, 160);
    let scene = Scene::with([rule]).await;
    let begun = Instant::now();
    assert_eq!(scene.call(COMMIT, &json!({})).await.unwrap().0, 200);
    assert!(begun.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn a_part_of_the_events_fails_at_its_places_and_the_rest_passes() {
    let scene = Scene::always(Kind::PartialFailure).await;
    let mut none_passed = false;
    for count in [1, 2, 5, 10, 10, 10] {
        scene.asked.lock().unwrap().clear();
        let (status, answer) = scene.call(PUBLISH, &events(count)).await.unwrap();
        assert_eq!(status, 200);
        let entries = answer["Entries"].as_array().unwrap();
        assert_eq!(entries.len(), count);
        let (mut passed, mut failed) = (Vec::new(), 0);
        for (place, entry) in entries.iter().enumerate() {
            match entry["ErrorCode"].as_str() {
                Some(code) => {
                    assert!(["ThrottlingException", "InternalFailure"].contains(&code));
                    failed += 1;
                }
                None => {
                    assert_eq!(entry["EventId"], place.to_string());
                    passed.push(json!(place.to_string()));
                }
            }
        }
        assert!(failed >= 1);
        assert_eq!(answer["FailedEntryCount"], failed);
        let arrived: Vec<Value> = scene
            .asked()
            .iter()
            .flat_map(|body| body["Entries"].as_array().cloned().unwrap())
            .map(|entry| entry["Detail"].clone())
            .collect();
        assert_eq!(arrived, passed);
        none_passed |= arrived.is_empty();
    }
    assert!(none_passed, "no call had all its entries rejected");
}

#[tokio::test]
async fn a_part_of_a_queues_batch_fails_by_its_ids_and_the_rest_passes() {
    let scene = Scene::always(Kind::PartialFailure).await;
    let body = json!({ "QueueUrl": "q", "Entries": (0..10).map(|n| json!({"Id": n.to_string()})).collect::<Vec<_>>() });
    for target in ["AmazonSQS.SendMessageBatch", "AmazonSQS.DeleteMessageBatch"] {
        scene.asked.lock().unwrap().clear();
        let (_, answer) = scene.call(target, &body).await.unwrap();
        let ids = |list: &Value| -> Vec<String> {
            let ids = list.as_array().unwrap().iter();
            ids.map(|one| one["Id"].as_str().unwrap().to_owned())
                .collect()
        };
        let (passed, failed) = (ids(&answer["Successful"]), ids(&answer["Failed"]));
        assert!(!failed.is_empty());
        assert_eq!(passed.len() + failed.len(), 10);
        assert_eq!(answer["Failed"][0]["SenderFault"], false);
        assert_eq!(ids(&scene.asked()[0]["Entries"]), passed);
        assert_eq!(scene.asked()[0]["QueueUrl"], "q");
    }
}

/// The signature that the call of this caller must have, by the call's own date.
fn signature(
    credentials: &Credentials,
    headers: &BTreeMap<String, String>,
    url: &str,
    body: &[u8],
) -> String {
    let date = &headers["x-amz-date"];
    let date = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &date[..4],
        &date[4..6],
        &date[6..8],
        &date[9..11],
        &date[11..13],
        &date[13..15]
    );
    let time = DateTime::from_str(&date, DateTimeFormat::DateTime).unwrap();
    let identity = credentials.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("x")
        .time(time.try_into().unwrap())
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let covered = [("x-amz-target", headers["x-amz-target"].as_str())];
    let signable =
        SignableRequest::new("POST", url, covered.into_iter(), SignableBody::Bytes(body)).unwrap();
    let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
    let mut headers = instructions.headers();
    headers
        .find(|(name, _)| *name == "authorization")
        .unwrap()
        .1
        .to_owned()
}

#[tokio::test]
async fn a_call_with_another_body_is_signed_anew_and_one_that_is_not_changed_keeps_its_signature() {
    let owner = Credentials::new("owner", "secret", None, None, "test");
    let partial = Rule::everywhere([(Kind::PartialFailure, 1.0)]);
    let scene = Scene::signing(Some(owner.clone()), [partial]).await;
    scene.call(GET, &json!({})).await.unwrap();
    let (_, headers, _) = scene.asked.lock().unwrap().pop().unwrap();
    assert!(headers["authorization"].contains("Credential=ASIA1/"));
    until_some_pass(&scene).await;
    let (path, headers, body) = scene.asked.lock().unwrap().pop().unwrap();
    let url = format!("{}{path}", scene.proxy.endpoint());
    let expected = signature(&owner, &headers, &url, &body);
    assert!(expected.contains("Credential=owner/"), "{expected}");
    assert_eq!(headers["authorization"], expected);
}

/// Publishes until some entries of a call pass.
async fn until_some_pass(scene: &Scene) {
    while scene.asked.lock().unwrap().is_empty() {
        scene.call(PUBLISH, &events(10)).await.unwrap();
    }
}

#[tokio::test]
async fn what_comes_back_unprocessed_did_not_arrive_and_the_rest_did() {
    let scene = Scene::always(Kind::Unprocessed).await;
    let puts: Vec<Value> = (0..12)
        .map(|n| json!({"PutRequest": {"Item": {"k": {"N": n.to_string()}}}}))
        .collect();
    let body = json!({ "RequestItems": { "a": puts[..7], "b": puts[7..] } });
    let (_, answer) = scene
        .call("DynamoDB_20120810.BatchWriteItem", &body)
        .await
        .unwrap();
    let all = |tables: &Value| -> Vec<Value> {
        let tables = tables.as_object().unwrap().values();
        tables
            .flat_map(|list| list.as_array().cloned().unwrap())
            .collect()
    };
    let (left, arrived) = (
        all(&answer["UnprocessedItems"]),
        all(&scene.asked()[0]["RequestItems"]),
    );
    assert!(!left.is_empty() && !arrived.is_empty());
    assert!(
        puts.iter()
            .all(|put| left.contains(put) != arrived.contains(put))
    );

    let keys: Vec<Value> = (0..12)
        .map(|n| json!({"k": {"N": n.to_string()}}))
        .collect();
    let body = json!({ "RequestItems": { "a": { "ConsistentRead": true, "Keys": keys } } });
    let (_, answer) = scene
        .call("DynamoDB_20120810.BatchGetItem", &body)
        .await
        .unwrap();
    let left = &answer["UnprocessedKeys"]["a"];
    assert_eq!(
        left["ConsistentRead"], true,
        "the unprocessed keys keep ConsistentRead"
    );
    let (left, found) = (
        left["Keys"].as_array().unwrap(),
        answer["Responses"]["a"].as_array().unwrap(),
    );
    assert!(!left.is_empty() && !found.is_empty());
    assert!(
        keys.iter()
            .all(|key| left.contains(key) != found.contains(key))
    );
}

#[tokio::test]
async fn a_doubled_publish_arrives_twice_and_is_answered_once() {
    let scene = Scene::always(Kind::DuplicatePublish).await;
    let (_, answer) = scene.call(PUBLISH, &events(3)).await.unwrap();
    assert_eq!(answer["Entries"].as_array().unwrap().len(), 3);
    assert_eq!(scene.asked(), vec![events(3), events(3)]);
}

#[tokio::test]
async fn a_reordered_call_is_overtaken_and_its_entries_change_places_but_not_its_answer() {
    let rule = Rule {
        hold_ms: 5_000,
        ..Rule::everywhere([(Kind::Reorder, 1.0)])
    };
    let scene = Scene::with([rule]).await;
    let (first, calm) = (events(10), events(2));
    let held = scene.call(PUBLISH, &first);
    let second = async {
        // Once the first call is held back, new rules let the second one pass.
        until("the first is held", Duration::from_secs(10), || async {
            Ok((scene.struck(Kind::Reorder).await == 1).then_some(()))
        })
        .await
        .unwrap();
        scene.control.set_rules(&Rules::calm()).await.unwrap();
        scene.call(PUBLISH, &calm).await
    };
    let (held, second) = tokio::join!(held, second);
    assert_eq!(second.unwrap().0, 200);
    let places: Vec<Value> = held.unwrap().1["Entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["EventId"].clone())
        .collect();
    assert_eq!(
        places,
        (0..10).map(|n| json!(n.to_string())).collect::<Vec<_>>()
    );
    let asked = scene.asked();
    assert_eq!(asked[0], calm, "the later call came first");
    let arrived: Vec<&Value> = asked[1]["Entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["Detail"])
        .collect();
    assert_eq!(arrived.len(), 10);
    assert!(
        arrived
            .iter()
            .enumerate()
            .any(|(place, detail)| detail.as_str() != Some(place.to_string().as_str())),
        "{arrived:?}"
    );
    assert_eq!(scene.control.counts().await.unwrap().overtaken, 1);
}

#[tokio::test]
async fn the_same_seed_makes_the_same_calls_go_wrong() {
    let rules = || {
        [Rule::everywhere([
            (Kind::Error500, 0.3),
            (Kind::Throttle, 0.3),
        ])]
    };
    let mut runs = Vec::new();
    for _ in 0..2 {
        let scene = Scene::with(rules()).await;
        let mut answers = Vec::new();
        for _ in 0..60 {
            answers.push(scene.call(GET, &json!({})).await.unwrap());
        }
        runs.push(answers);
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].iter().any(|(status, _)| *status == 200));
}

#[tokio::test]
async fn calls_items_units_and_callers_are_counted() {
    let scene = Scene::with([]).await;
    let item = json!({"k": {"S": "x".repeat(1_500)}});
    let commit = json!({ "TransactItems": [{"Put": {"Item": item}}, {"Update": {}}] });
    for _ in 0..3 {
        scene.call(COMMIT, &commit).await.unwrap();
    }
    scene
        .call(GET, &json!({"ConsistentRead": true}))
        .await
        .unwrap();
    scene.call(PUBLISH, &events(4)).await.unwrap();
    let counts = scene.control.counts().await.unwrap();
    assert_eq!(counts.calls(), 5);
    let commits = counts.of("dynamodb.TransactWriteItems");
    assert_eq!(
        (commits.calls, commits.items, commits.write_units),
        (3, 6, 18)
    );
    assert_eq!(commits.statuses, BTreeMap::from([(200, 3)]));
    assert_eq!(counts.of("dynamodb.GetItem").read_half_units, 4);
    let publishes = counts.of("events.PutEvents");
    assert_eq!((publishes.items, publishes.chunks_64_kb), (4, 4));
    assert_eq!(counts.callers["ASIA1"]["events.PutEvents"], publishes);
    scene.control.reset().await.unwrap();
    assert_eq!(scene.control.counts().await.unwrap().calls(), 0);
}

#[tokio::test]
async fn calls_under_way_are_shown_with_their_callers_end() {
    let rule = Rule::everywhere([(Kind::Delay, 1.0)]).delayed_by(60_000, 60_000);
    let scene = Scene::with([rule]).await;
    let (http, endpoint) = (scene.http.clone(), scene.proxy.endpoint());
    let call = tokio::spawn(async move {
        http.post(endpoint)
            .header("x-amz-target", COMMIT)
            .body("{}")
            .send()
            .await
    });
    let shown = until("it is shown", Duration::from_secs(10), || async {
        Ok(scene.control.in_flight().await?.pop())
    })
    .await
    .unwrap();
    assert_eq!(shown.operation, "dynamodb.TransactWriteItems");
    assert!(shown.peer.ip().is_loopback());
    call.abort();
    until("it is over", Duration::from_secs(10), || async {
        Ok(scene.control.in_flight().await?.is_empty().then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn rules_that_make_no_sense_are_refused_and_the_old_ones_stay() {
    let scene = Scene::with([]).await;
    let wrong = Rules {
        seed: 0,
        rules: vec![Rule::everywhere([(Kind::Throttle, 2.0)])],
    };
    let error = scene.control.set_rules(&wrong).await.unwrap_err();
    assert!(error.to_string().contains("probability"), "{error}");
    assert_eq!(scene.control.rules().await.unwrap().rules, Vec::new());
    let url = format!("{}/rules", scene.proxy.control_url());
    let body = json!({"seed": 1, "rulez": []}).to_string();
    let answer = scene.http.put(url).body(body).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 400);
}

#[tokio::test]
async fn a_service_that_is_away_looks_as_it_would_without_a_proxy() {
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let listen = "127.0.0.1:0".parse().unwrap();
    let proxy = FaultProxy::start(listen, &format!("http://{gone}"), None)
        .await
        .unwrap();
    let answer = reqwest::Client::new()
        .post(proxy.endpoint())
        .header("x-amz-target", GET)
        .body("{}")
        .send()
        .await;
    assert!(answer.is_err());
    let counts = ProxyControl::new(proxy.control_url())
        .counts()
        .await
        .unwrap();
    assert_eq!(counts.unreachable, 1);
    assert!(FaultProxy::start(listen, "localhost", None).await.is_err());
}
