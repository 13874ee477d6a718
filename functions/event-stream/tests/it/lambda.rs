//! Tests the shipped bootstrap on Lambda's Runtime API: the response arrives in pieces as events happen, and ends
//! before the invocation's timeout.

use std::{
    path::Path,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use api::{Keys, keys::NewKey};
use aws::DynamoStore;
use events::Timestamp;
use outbox::{Clock as _, Store, SystemClock, Table, encode_item};
use serde_json::{Value, json};
use testkit::{
    dynamo_stub::DynamoStub,
    runtime_api::{Answer, Kind, Part, RuntimeApi},
};
use tokio::process::{Child, Command};
use views::feed::{FeedRow, Head};

/// The separator between the prelude and the body of a streamed response
/// (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html>, read 2026-11-26).
const SEPARATOR: &[u8] = &[0; 8];

struct Bench {
    api: RuntimeApi,
    store: DynamoStore,
    key: String,
    _stub: DynamoStub,
    _bootstrap: Child,
}

impl Bench {
    async fn start() -> Self {
        let tables = ["keys", "feed", "leases"].map(Table::domain);
        let stub = DynamoStub::start(&tables, Duration::ZERO, None).unwrap();
        let sdk = stub.sdk().await;
        let client = aws_sdk_dynamodb::Client::new(&sdk);
        let keys = Keys::new(
            Arc::new(DynamoStore::new(client.clone())),
            Table::domain("keys"),
        );
        let key = NewKey::generate(
            "ops".parse().unwrap(),
            vec!["events:read".parse().unwrap()],
            Timestamp::EPOCH,
        );
        let key = key.unwrap();
        keys.create(&SystemClock, &key).await.unwrap();

        let api = RuntimeApi::start(None).unwrap();
        let bootstrap = Command::new(Path::new(env!("CARGO_BIN_EXE_event-stream")))
            .env_clear()
            .envs(api.environment())
            .envs([
                ("AWS_ENDPOINT_URL", stub.endpoint().as_str()),
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("STACK_NAME", "mill"),
                ("POLL_MS", "50"),
                ("HEARTBEAT_MS", "60000"),
                ("DEADLINE_MARGIN_MS", "3000"),
                ("EVENT_FEED_TABLE", "feed"),
                ("KEYS_TABLE", "keys"),
                ("STREAM_LEASES_TABLE", "leases"),
                ("LEASED_STREAMS", "2"),
                ("LEASED_STREAMS_PER_KEY", "1"),
                ("STREAM_TOKEN_SECRET", "0123456789abcdef0123456789abcdef"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        api.ready(Duration::from_secs(30)).await.unwrap();
        Self {
            api,
            store: DynamoStore::new(client),
            key: key.text().to_owned(),
            _stub: stub,
            _bootstrap: bootstrap,
        }
    }

    async fn feed(&self, position: u64) {
        let feed = Table::domain("feed");
        let row = FeedRow {
            position,
            event_type: "member.updated".into(),
            aggregate: "member/ada".into(),
            tenant_id: None,
            envelope: json!({ "n": position }).to_string(),
            fed_at: Timestamp::EPOCH,
            expires_at: i64::MAX,
        };
        let row = encode_item(&FeedRow::key(&feed, position), &row).unwrap();
        let head = encode_item(&Head::key(&feed), &Head { position }).unwrap();
        self.store.put_all(&feed, &[row]).await.unwrap();
        self.store.put_all(&feed, &[head]).await.unwrap();
    }

    async fn ask(&self, query: &str, key: &str, limit: Duration) -> Answer {
        let request = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": "/api/v1/events/stream", "rawQueryString": query,
            "headers": { "authorization": format!("Bearer {key}"), "host": "id.lambda-url.us-east-1.on.aws" },
            "requestContext": {
                "accountId": "anonymous", "apiId": "id", "domainName": "id.lambda-url.us-east-1.on.aws", "domainPrefix": "id",
                "http": { "method": "GET", "path": "/api/v1/events/stream", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "test" },
                "requestId": "id", "routeKey": "$default", "stage": "$default", "time": "26/Nov/2026:00:00:00 +0000", "timeEpoch": 1_795_651_200_000_u64,
            },
            "isBase64Encoded": false,
        });
        let answer = self.api.begin(request.to_string(), limit).await.unwrap();
        assert_eq!(answer.kind, Kind::Response);
        let mode = &answer.headers["lambda-runtime-function-response-mode"];
        assert_eq!(mode, "streaming");
        answer
    }
}

/// Splits a streamed response into its prelude and the rest.
fn prelude(bytes: &[u8]) -> (Value, &[u8]) {
    let at = bytes
        .windows(SEPARATOR.len())
        .position(|some| some == SEPARATOR);
    let at = at.expect("a separator");
    let prelude = serde_json::from_slice(&bytes[..at]).expect("a prelude");
    (prelude, &bytes[at + SEPARATOR.len()..])
}

async fn data(answer: &mut Answer) -> Option<(Instant, Vec<u8>)> {
    match answer.part().await? {
        (moment, Part::Data(data)) => Some((moment, data.to_vec())),
        (_, other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_answer_comes_in_pieces_as_events_happen_and_ends_before_the_deadline() {
    const LIMIT: Duration = Duration::from_secs(6);
    let bench = Bench::start().await;
    bench.feed(1).await;
    let mut answer = bench.ask("last_event_id=0", &bench.key, LIMIT).await;
    let began = answer.handed_out;
    let mut body = Vec::new();
    let mut fed = 1;
    let mut came = Vec::new();
    let mut ended = began;
    while let Some((moment, piece)) = data(&mut answer).await {
        ended = moment;
        body.extend(piece);
        let text = String::from_utf8_lossy(&body).into_owned();
        // The next event is fed only after the one before has arrived.
        if text.contains(&format!(
            "id: {fed}\nevent: member.updated\ndata: {{\"n\":{fed}}}\n\n"
        )) && fed < 4
        {
            came.push(moment);
            fed += 1;
            bench.feed(fed).await;
        }
    }
    assert_eq!(fed, 4, "{}", String::from_utf8_lossy(&body));
    assert!(came.windows(2).all(|pair| pair[0] < pair[1]));
    let took = ended.duration_since(began);
    assert!(
        took < LIMIT - Duration::from_secs(2),
        "ends before the deadline: {took:?}"
    );
    assert!(took >= Duration::from_secs(2), "and not at once: {took:?}");
    let (prelude, body) = prelude(&body);
    assert_eq!(prelude["statusCode"], 200);
    assert_eq!(
        prelude["headers"]["content-type"],
        "text/event-stream; charset=utf-8"
    );
    let text = std::str::from_utf8(body).unwrap();
    assert!(text.starts_with("retry: "), "{text}");
    assert!(text.ends_with("retry: 250\n: its time is up\n\n"), "{text}");

    // The next invocation of the same instance continues where this one ended.
    bench.feed(5).await;
    let mut answer = bench
        .ask("last_event_id=4", &bench.key, Duration::from_secs(4))
        .await;
    let mut body = Vec::new();
    while let Some((_, piece)) = data(&mut answer).await {
        body.extend(piece);
    }
    let text = String::from_utf8_lossy(&body);
    assert_eq!(text.matches("event: member.updated").count(), 1, "{text}");
    assert!(text.contains("id: 5\n"));
}

/// What an answer of this function's own timeout holds, in its life of less than a minute, without waiting for it.
#[tokio::test]
async fn streams_within_their_life_have_every_event_once_however_often_they_end() {
    // Each invocation lives for a second: 4 s of time less 3 s of margin.
    const LIMIT: Duration = Duration::from_secs(4);
    let bench = Bench::start().await;
    let (mut fed, mut last, mut seen) = (0, 0, Vec::new());
    for _ in 0..4 {
        let query = format!("last_event_id={last}");
        let mut answer = bench.ask(&query, &bench.key, LIMIT).await;
        let began = answer.handed_out;
        let mut body = Vec::new();
        let mut ended = began;
        while let Some((moment, piece)) = data(&mut answer).await {
            ended = moment;
            body.extend(piece);
            // Events also happen while nobody is connected, and between two pieces.
            fed += 1;
            bench.feed(fed).await;
        }
        assert!(ended.duration_since(began) < LIMIT);
        let (prelude, body) = prelude(&body);
        // The place of the stream before was given back: the key has only one.
        assert_eq!(
            prelude["statusCode"],
            200,
            "{}",
            String::from_utf8_lossy(body)
        );
        let text = std::str::from_utf8(body).unwrap();
        assert!(text.ends_with("retry: 250\n: its time is up\n\n"), "{text}");
        for frame in text.split("\n\n") {
            let Some(id) = frame.strip_prefix("id: ") else {
                continue;
            };
            let (id, rest) = id.split_once('\n').unwrap();
            last = id.parse().unwrap();
            if !rest.starts_with("event: heartbeat") {
                seen.push(last);
            }
        }
        fed += 1;
        bench.feed(fed).await;
    }
    assert!(seen.len() >= 4, "{seen:?}");
    assert_eq!(
        seen,
        (1..=last).collect::<Vec<_>>(),
        "no gap, no repetition"
    );
}

#[tokio::test]
async fn a_key_that_holds_its_places_is_told_when_to_come_again() {
    let bench = Bench::start().await;
    bench.feed(1).await;
    // As the lease of a stream on another instance.
    let leases = Table::domain("leases");
    let (key_id, _) = bench.key.trim_start_matches("mr_").split_once('_').unwrap();
    let place = json!({
        "number": 0, "lease": uuid::Uuid::now_v7(), "key_id": key_id, "expires_at": i64::MAX,
        "held_until": SystemClock.now().plus(Duration::from_secs(40)),
    });
    let place = encode_item(&leases.key(format!("key#{key_id}"), "place#0000"), &place).unwrap();
    bench.store.put_all(&leases, &[place]).await.unwrap();
    let mut answer = bench.ask("", &bench.key, Duration::from_secs(5)).await;
    let mut body = Vec::new();
    while let Some((_, piece)) = data(&mut answer).await {
        body.extend(piece);
    }
    let (prelude, body) = prelude(&body);
    assert_eq!(prelude["statusCode"], 429);
    let wait: u64 = prelude["headers"]["retry-after"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((30..=41).contains(&wait), "{wait}");
    let problem: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(problem["type"], "urn:millrace:problem:too-many-streams");
}

#[tokio::test]
async fn a_refusal_is_an_ordinary_answer() {
    let bench = Bench::start().await;
    let mut answer = bench.ask("", "mr_unknown", Duration::from_secs(5)).await;
    let mut body = Vec::new();
    while let Some((_, piece)) = data(&mut answer).await {
        body.extend(piece);
    }
    let (prelude, body) = prelude(&body);
    assert_eq!(prelude["statusCode"], 401);
    let problem: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(problem["type"], "urn:millrace:problem:unauthorized");
}
