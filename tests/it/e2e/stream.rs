//! The event stream beside the deployed stack: every client sees each event once and in order, however often its
//! connection is cut.

#![expect(clippy::print_stdout, reason = "prints seeds and what was cut off")]

use std::{collections::BTreeSet, sync::Arc};

use api::Keys;
use aws::DynamoStore;
use aws_sdk_dynamodb::types::AttributeValue;
use events::{Registry, Timestamp};
use futures::future::{try_join, try_join_all};
use outbox::{Clock as _, Outbox, Query, SystemClock, Table};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use stream_token::{Filter, Tokens};
use testkit::watcher::{Cut, Frame, Refused, Watcher};
use views::feed::{FeedRow, Head, rows_after};

use super::*;
use crate::campaign;

/// The rows that a filter should let through.
type Wanted<'a> = Box<dyn Fn(&FeedRow) -> bool + 'a>;

/// The default limit of connections of an API key.
const OF_A_KEY: usize = 10;

/// How long a stream token can open connections, by default.
const TOKEN_LIFE: Duration = Duration::from_secs(600);

/// The feed in its table.
pub(super) struct Feed {
    outbox: Outbox,
    table: Table,
    dynamodb: aws_sdk_dynamodb::Client,
}

impl Feed {
    pub(super) fn of(stack: &Stack) -> Result<Self> {
        let dynamodb = aws_sdk_dynamodb::Client::new(stack.sdk());
        Ok(Self {
            outbox: Outbox::new(
                Arc::new(DynamoStore::new(dynamodb.clone())),
                Arc::new(SystemClock),
                Arc::new(Registry::shipped()),
                Table::events(stack.resource("EventsTable")?),
                Table::marks(stack.resource("MarksTable")?),
            ),
            table: Table::domain(stack.resource("FeedTable")?),
            dynamodb,
        })
    }

    pub(super) async fn head(&self) -> Result<u64> {
        let head = Head::read(&self.outbox, &self.table).await?;
        Ok(head.map_or(0, |head| head.position))
    }

    /// All rows after a position, up to another one.
    async fn rows(&self, from: u64, to: u64) -> Result<Vec<FeedRow>> {
        let (mut rows, mut position) = (Vec::new(), from);
        while position < to {
            let some = rows_after(&self.outbox, &self.table, position, to, 100).await?;
            position = some.last().ok_or("the feed has a gap")?.position;
            rows.extend(some);
        }
        Ok(rows)
    }

    /// Waits until all these events are in the feed. Returns the rows after `from`.
    pub(super) async fn until_fed(&self, from: u64, events: &[Value]) -> Result<Vec<FeedRow>> {
        let wanted: BTreeSet<String> = events.iter().map(Value::to_string).collect();
        until("all events are in the feed", SOON, || async {
            let rows = self.rows(from, self.head().await?).await?;
            let mut missing = wanted.clone();
            for row in &rows {
                missing.remove(&serde_json::from_str::<Value>(&row.envelope)?.to_string());
            }
            Ok(missing.is_empty().then_some(rows))
        })
        .await
    }

    /// Deletes a row, as expiry does.
    async fn forget(&self, position: u64) -> Result {
        let key = FeedRow::key(&self.table, position);
        let Some(outbox::SortKey::Text(sort)) = key.sk else {
            return Err("the feed's sort key is text".into());
        };
        self.dynamodb
            .delete_item()
            .table_name(self.table.name())
            .key("pk", AttributeValue::S(key.pk))
            .key("sk", AttributeValue::S(sort))
            .send()
            .await?;
        Ok(())
    }
}

async fn watcher_key(stack: &Stack) -> Result<String> {
    new_key(stack, &unique("watcher"), &["events:read"]).await
}

fn watcher(stack: &Stack, query: &str, key: &str) -> Result<Watcher> {
    Ok(Watcher::new(stack.env("STREAM_URL")?, query)?.with_key(key))
}

/// Fails if the client does not see this within [`SOON`].
async fn soon<T>(what: &str, seeing: impl Future<Output = Result<T>>) -> Result<T> {
    let seen = tokio::time::timeout(SOON, seeing).await;
    seen.map_err(|_| format!("{what}: not within {} s", SOON.as_secs()))?
}

async fn payment(stack: &Stack) -> Result<String> {
    let body = json!({ "amount": "100.10", "currency": "EUR" });
    let made = post(stack, "/api/v1/payments", &body).await?;
    let made = made.expect(StatusCode::CREATED)?;
    Ok(made["payment_id"]
        .as_str()
        .ok_or("no payment_id")?
        .to_owned())
}

/// A settlement that needs this many confirmations, of a payment of its own.
struct Settlement {
    id: String,
    payment: String,
    confirmations: u32,
}

impl Settlement {
    async fn begin(stack: &Stack, confirmations: u32) -> Result<Self> {
        let payment = settlement::captured_payment(stack).await?;
        let network = json!({
            "network": "polygon", "cost_usd": "0.01", "seconds": 60, "reliability": 0.99, "gas_estimate": "0.000021",
            "required_confirmations": confirmations
        });
        let body = json!({ "payment_id": payment, "amount": "100.10", "networks": [network] });
        let made = post(stack, "/api/v1/settlements", &body).await?;
        let made = made.expect(StatusCode::CREATED)?;
        let id = made["settlement_id"].as_str().ok_or("no settlement_id")?;
        Ok(Self {
            id: id.to_owned(),
            payment,
            confirmations,
        })
    }

    async fn step(&self, stack: &Stack, name: &str, body: Value) -> Result {
        let path = format!("/api/v1/settlements/{}/{name}", self.id);
        let done = post(stack, &path, &body).await?;
        done.expect(StatusCode::OK).map(drop)
    }

    /// Runs the settlement from its submission through all confirmations to its end.
    async fn settle(&self, stack: &Stack) -> Result {
        self.step(stack, "submit", json!({ "tx_hash": "0xabc" }))
            .await?;
        for confirmations in 1..=self.confirmations {
            let body = json!({ "confirmations": confirmations });
            self.step(stack, "confirmations", body).await?;
        }
        self.step(stack, "settle", json!({ "gas_actual": "0.000019" }))
            .await
    }

    async fn log(&self, stack: &Stack) -> Result<Vec<Value>> {
        history(stack, "settlement", &self.id).await
    }
}

/// Three moments at which a connection is lost. Together they are within what is sent about a settlement with 30
/// confirmations.
fn three_cuts(random: &mut StdRng) -> [Cut; 3] {
    let mut cuts = [0; 3].map(|_| {
        if random.random_bool(0.6) {
            Cut::Bytes(random.random_range(1..6_000))
        } else {
            Cut::Frames(random.random_range(1..10))
        }
    });
    // At least one of them is probably in the middle of a frame.
    cuts[random.random_range(0..3)] = Cut::Bytes(random.random_range(1..6_000));
    cuts
}

#[tokio::test]
async fn clients_that_are_cut_off_three_times_see_exactly_a_settlements_events_in_order() -> Result
{
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let feed = Feed::of(&stack)?;
    let key = watcher_key(&stack).await?;
    let mut first = watcher(&stack, "?type=settlement.", &key)?;
    // From here on, the client must not miss anything.
    let hello = soon("a heartbeat", first.frame()).await?;
    assert_eq!(hello.event, "heartbeat");
    let start = first.last().ok_or("a heartbeat without an id")?;
    first.hang_up();
    let settlement = Settlement::begin(&stack, 30).await?;
    let of_ours = format!("?aggregate=settlement/{}", settlement.id);

    let base = campaign::seed()?;
    let mut watching = Vec::new();
    for number in 0..8 {
        let seed = base + number;
        let cuts = three_cuts(&mut StdRng::seed_from_u64(seed));
        // Half of the clients also see the settlements of other stories.
        let query = if number % 2 == 0 {
            "?type=settlement."
        } else {
            &of_ours
        };
        let client = watcher(&stack, query, &key)?.behind(start).patient();
        watching.push((seed, cuts, client.losing(cuts)));
    }
    let is_ours = |frame: &Frame| Ok::<_, BoxError>(frame.json()?["aggregate_id"] == settlement.id);
    let watch = async |(seed, cuts, mut client): (u64, [Cut; 3], Watcher)| {
        let mut seen = Vec::new();
        let seeing = async {
            loop {
                let frame = client.event().await?;
                let is_last = frame.event == "settlement.settled" && is_ours(&frame)?;
                seen.push(frame);
                if is_last {
                    return Ok(());
                }
            }
        };
        soon("the settlement's end", seeing)
            .await
            .map_err(|error| format!("MILLRACE_SEED={seed}: {error}; {client:?}"))?;
        println!("MILLRACE_SEED={seed}: {cuts:?} lost {:?}", client.lost());
        assert_eq!(client.lost().len(), 3, "MILLRACE_SEED={seed}");
        Ok::<_, BoxError>((seed, client, seen))
    };
    let watching = try_join_all(watching.into_iter().map(watch));
    let (watched, ()) = try_join(watching, settlement.settle(&stack)).await?;

    let logged = settlement.log(&stack).await?;
    assert!(logged.len() >= 36, "{}", logged.len());
    let fed = feed.until_fed(start, &logged).await?;
    let end = fed.last().ok_or("the feed has no row")?.position;
    let torn = watched.iter().flat_map(|(_, client, _)| client.lost());
    assert!(torn.filter(|lost| lost.thrown_away > 0).count() >= 8);
    for (seed, mut client, mut seen) in watched {
        // A client that reconnects after the end gets none of the events a second time.
        client.hang_up();
        seen.extend(soon("the rest", client.events_to(end)).await?);
        let positions: Vec<Option<u64>> = seen.iter().map(|frame| frame.id).collect();
        assert!(
            positions.is_sorted_by(|a, b| a < b),
            "MILLRACE_SEED={seed}: {positions:?}"
        );
        let mut ours = Vec::new();
        for frame in &seen {
            let envelope = frame.json()?;
            assert_eq!(envelope["event_type"], frame.event.as_str());
            if is_ours(frame)? {
                ours.push(envelope);
            }
        }
        assert_eq!(
            ours, logged,
            "MILLRACE_SEED={seed}: exactly these events, in order"
        );
    }

    // The consumers that have handled the last event are shown beside the stream.
    let last = logged.last().ok_or("no event")?["event_id"].clone();
    let last = last.as_str().ok_or("no event_id")?;
    let path = format!("/api/v1/events/{last}/handled");
    let asked = stack.call_as(Some(&key), Method::GET, &path, None, None);
    let document = asked.await?.expect(StatusCode::OK)?;
    let by_feed = document
        .as_array()
        .and_then(|items| items.iter().find(|one| one["consumer"] == "event-feed"));
    assert_eq!(
        by_feed.map(|one| &one["state"]),
        Some(&json!("handled")),
        "{document}"
    );
    Ok(())
}

#[tokio::test]
async fn two_hundred_clients_end_with_exactly_the_same_events() -> Result {
    const CLIENTS: usize = 200;
    // This story needs all available connections.
    let (_use, stack) = (sole_use().await, Stack::connect().await?);
    let feed = Feed::of(&stack)?;
    let keys = try_join_all((0..CLIENTS / OF_A_KEY).map(|_| watcher_key(&stack))).await?;
    let start = feed.head().await?;
    let base = campaign::seed()?;
    println!("MILLRACE_SEED={base}");
    let (tell, last_position) = tokio::sync::watch::channel(None::<u64>);
    let mut watching = Vec::new();
    for number in 0..CLIENTS {
        let mut client = watcher(&stack, "", &keys[number / OF_A_KEY])?
            .behind(start)
            .patient();
        if number % 4 == 0 {
            let mut random = StdRng::seed_from_u64(base + u64::try_from(number)?);
            client = client.losing([Cut::Bytes(random.random_range(1..20_000))]);
        }
        let mut last_position = last_position.clone();
        watching.push(tokio::spawn(async move {
            let mut seen = Vec::new();
            loop {
                let end = *last_position.borrow_and_update();
                if client.last() >= end && end.is_some() {
                    seen.retain(|frame: &Frame| frame.id <= end);
                    return Ok::<_, BoxError>((client, seen));
                }
                tokio::select! {
                    frame = client.event() => seen.push(frame?),
                    changed = last_position.changed() => changed?,
                }
            }
        }));
    }
    let begun = std::time::Instant::now();
    let settlements = try_join_all((0..4).map(async |_| {
        let settlement = Settlement::begin(&stack, 10).await?;
        settlement.settle(&stack).await?;
        Ok::<_, BoxError>(settlement)
    }))
    .await?;
    let mut logged = Vec::new();
    for settlement in &settlements {
        logged.extend(settlement.log(&stack).await?);
        logged.extend(history(&stack, "payment", &settlement.payment).await?);
    }
    let rows = feed.until_fed(start, &logged).await?;
    tell.send_replace(rows.last().map(|row| row.position));
    let watched = soon("all clients' ends", async {
        Ok(try_join_all(watching).await?)
    })
    .await?;
    let fed: Vec<(Option<u64>, &str, &str)> = rows
        .iter()
        .map(|row| {
            (
                Some(row.position),
                row.event_type.as_str(),
                row.envelope.as_str(),
            )
        })
        .collect();
    let mut lost = 0;
    for (number, client) in watched.into_iter().enumerate() {
        let (client, seen) = client.map_err(|error| format!("client {number}: {error}"))?;
        let seen: Vec<(Option<u64>, &str, &str)> = seen
            .iter()
            .map(|frame| (frame.id, frame.event.as_str(), frame.data.as_str()))
            .collect();
        assert_eq!(seen, fed, "client {number} of MILLRACE_SEED={base}");
        lost += client.lost().len();
    }
    assert!(lost >= CLIENTS / 4, "{lost} connections were cut");
    println!(
        "{CLIENTS} clients, {lost} connections cut, each ends with the same {} events after {} ms",
        fed.len(),
        begun.elapsed().as_millis()
    );
    Ok(())
}

#[tokio::test]
async fn filters_by_type_aggregate_and_tenant_let_through_exactly_what_they_name() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let feed = Feed::of(&stack)?;
    let key = watcher_key(&stack).await?;
    let start = feed.head().await?;
    let settlement = Settlement::begin(&stack, 2).await?;
    settlement.settle(&stack).await?;
    let mut logged = settlement.log(&stack).await?;
    let payments = history(&stack, "payment", &settlement.payment).await?;
    // The caller sets tenant, user and session: no row is written by hand.
    let (tenant, user, session) = (unique("tenant"), unique("user"), unique("session"));
    let saying = [
        ("X-Tenant-Id", tenant.as_str()),
        ("X-User-Id", user.as_str()),
        ("X-Session-Id", session.as_str()),
    ];
    let body = json!({ "amount": "3", "currency": "USD" });
    let made = stack
        .post_saying("/api/v1/payments", &unique("key"), &body, &saying)
        .await?
        .expect(StatusCode::CREATED)?;
    let made = made["payment_id"].as_str().ok_or("no payment_id")?;
    let of_tenant = history(&stack, "payment", made).await?;
    let metadata = &of_tenant.first().ok_or("no event")?["metadata"];
    for (name, said) in [
        ("tenant_id", &tenant),
        ("user_id", &user),
        ("session_id", &session),
    ] {
        assert_eq!(metadata[name], **said, "{metadata}");
    }
    logged.extend(payments);
    logged.extend(of_tenant);
    let rows = feed.until_fed(start, &logged).await?;
    let end = rows.last().ok_or("the feed has no row")?.position;

    let ours = format!("settlement/{}", settlement.id);
    let wants: [(String, Wanted<'_>); 6] = [
        (String::new(), Box::new(|_| true)),
        (
            "?type=settlement.".into(),
            Box::new(|row| row.event_type.starts_with("settlement.")),
        ),
        (
            "?type=settlement.settled,payment.".into(),
            Box::new(|row| {
                row.event_type == "settlement.settled" || row.event_type.starts_with("payment.")
            }),
        ),
        (
            format!("?aggregate={ours}"),
            Box::new(|row| row.aggregate == ours),
        ),
        (
            format!("?tenant={tenant}"),
            Box::new(|row| row.tenant_id.as_ref() == Some(&tenant)),
        ),
        (
            format!("?tenant={tenant}&type=settlement."),
            Box::new(|_| false),
        ),
    ];
    for (query, wanted) in wants {
        let mut client = watcher(&stack, &query, &key)?.behind(start);
        let seen = soon(&query, client.events_to(end)).await?;
        let seen: Vec<u64> = seen
            .iter()
            .filter_map(|frame| frame.id)
            .filter(|id| *id <= end)
            .collect();
        let wanted: Vec<u64> = rows
            .iter()
            .filter(|row| wanted(row))
            .map(|row| row.position)
            .collect();
        assert_eq!(seen, wanted, "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn whose_last_event_is_gone_is_told_the_gap_and_goes_on_live() -> Result {
    // Rows are deleted from the feed that all stories read.
    let (_use, stack) = (sole_use().await, Stack::connect().await?);
    let feed = Feed::of(&stack)?;
    let key = watcher_key(&stack).await?;
    let start = feed.head().await?;
    let gone = payment(&stack).await?;
    let gone = history(&stack, "payment", &gone).await?;
    let rows = feed.until_fed(start, &gone).await?;
    let end = rows.last().ok_or("the feed has no row")?.position;
    for row in &rows {
        feed.forget(row.position).await?;
    }
    let mut client = watcher(&stack, "", &key)?.behind(start);
    let gap = soon("a gap", client.frame()).await?;
    assert_eq!((gap.event.as_str(), gap.id), ("gap", Some(end)));
    assert_eq!(gap.json()?, json!({ "from": start + 1, "to": end }));
    let live = payment(&stack).await?;
    let live = history(&stack, "payment", &live).await?;
    let frame = soon("the next live event", client.event()).await?;
    assert_eq!(Some(&frame.json()?), live.first());
    assert_eq!(frame.id, Some(end + 1));
    Ok(())
}

async fn refused(mut client: Watcher) -> Result<Refused> {
    match soon("an answer", client.frame()).await {
        Ok(frame) => Err(format!("the client got a frame: {frame:?}").into()),
        Err(error) => Ok(*error.downcast::<Refused>()?),
    }
}

#[tokio::test]
async fn without_a_good_key_or_token_nothing_is_told() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let url = stack.env("STREAM_URL")?;
    let key = watcher_key(&stack).await?;
    for client in [
        Watcher::new(url, "")?,
        Watcher::new(url, "")?.with_key("mr_00000000-0000-7000-8000-000000000000_secret"),
        Watcher::new(url, "?token=st1.e30.AAAA")?,
    ] {
        let refused = refused(client).await?;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{refused}");
    }

    let path = "/api/v1/stream-tokens";
    let asked = stack.call_as(Some(&key), Method::POST, path, None, None);
    let made = asked.await?.expect(StatusCode::CREATED)?;
    assert_eq!(made["url"], format!("{url}/api/v1/events/stream"));
    let token = made["token"].as_str().ok_or("no token")?;
    let mut client = Watcher::new(url, &format!("?token={token}"))?;
    assert_eq!(
        soon("a heartbeat", client.frame()).await?.event,
        "heartbeat"
    );

    // The same secret, and another time.
    let bearer = HeaderValue::from_str(&format!("Bearer {key}"))?;
    let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
    let store = DynamoStore::new(aws_sdk_dynamodb::Client::new(stack.sdk()));
    let keys = Keys::new(Arc::new(store), Table::domain(stack.resource("KeysTable")?));
    let caller = api::authenticate(&keys, "events:read", &headers).await;
    let caller = caller.map_err(|problem| format!("{problem:?}"))?;
    let tokens = Tokens::new(&stream_secret(&stack).await?, TOKEN_LIFE)
        .map_err(|_| "the secret is short")?;
    let issued = |at: Timestamp| tokens.issue(&caller, Filter::default(), at);
    let now = SystemClock.now();
    let (good, _) = issued(now)?;
    let mut client = Watcher::new(url, &format!("?token={good}"))?;
    assert_eq!(
        soon("a heartbeat", client.frame()).await?.event,
        "heartbeat"
    );
    let life = i64::try_from(TOKEN_LIFE.as_millis())?;
    let (expired, until) = issued(Timestamp::from_unix_millis(now.unix_millis() - life - 1)?)?;
    assert!(until < now);
    let refused = refused(Watcher::new(url, &format!("?token={expired}"))?).await?;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{refused}");
    Ok(())
}

/// The secret that signs stream tokens, which the stack made for itself.
async fn stream_secret(stack: &Stack) -> Result<String> {
    let asked = json!({ "SecretId": stack.resource("StreamTokenSecret")? });
    let target = "secretsmanager.GetSecretValue";
    let read = stack
        .signed()
        .json("secretsmanager", target, &asked)
        .await?;
    Ok(read["SecretString"].as_str().ok_or("no text")?.to_owned())
}

#[tokio::test]
async fn the_front_serves_the_dashboard_which_may_connect_to_the_stream() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let page = stack.env("DASHBOARD_URL")?;
    for (file, kind) in [("index.html", "text/html"), ("app.js", "text/javascript")] {
        let url = page.replace("index.html", file);
        let answer = reqwest::get(&url).await?.error_for_status()?;
        let header =
            |name| -> Result<&str> { Ok(answer.headers().get(name).ok_or(name)?.to_str()?) };
        assert!(header("content-type")?.starts_with(kind), "{url}");
        let allowed = format!("connect-src 'self' {};", stack.env("STREAM_URL")?);
        let policy = header("content-security-policy")?;
        assert!(policy.contains(&allowed), "{policy}");
    }
    // The path without the page's name leads to it, whatever stands before the path.
    let short = page.trim_end_matches("/index.html");
    let answer = reqwest::get(short).await?.error_for_status()?;
    assert_eq!(answer.url().as_str(), page);
    Ok(())
}

/// What a Function URL hands the function: <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html>.
fn url_event(key: &str) -> Value {
    let domain = "id.lambda-url.us-east-1.on.aws";
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/api/v1/events/stream", "rawQueryString": "",
        "headers": { "authorization": format!("Bearer {key}"), "host": domain },
        "requestContext": {
            "accountId": "anonymous", "apiId": "id", "domainName": domain, "domainPrefix": "id",
            "http": { "method": "GET", "path": "/api/v1/events/stream", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "test" },
            "requestId": "id", "routeKey": "$default", "stage": "$default", "time": "29/Nov/2026:00:00:00 +0000", "timeEpoch": 1_795_910_400_000_u64,
        },
        "isBase64Encoded": false,
    })
}

#[tokio::test]
async fn on_lambda_a_stream_is_over_within_a_minute_and_its_places_are_given_back() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let (feed, key) = (Feed::of(&stack)?, watcher_key(&stack).await?);
    let (key_id, _) = (key.trim_start_matches("mr_").split_once('_')).ok_or("a key of one part")?;
    let table = Table::domain(stack.resource("StreamLeasesTable")?);
    let held_until = || async {
        let places = Query::partition(&table, format!("key#{key_id}"), 10);
        let (places, _) = feed.outbox.rows::<Value>(&places).await?;
        let until = places
            .first()
            .map(|place| place["held_until"].as_str().map(str::parse));
        Ok::<Option<Timestamp>, BoxError>(until.flatten().transpose()?)
    };
    let function = stack.resource("EventStreamFunction")?;
    stack
        .signed()
        .start_with(function, &url_event(&key))
        .await?;
    let first = until("the stream holds a place", SOON, held_until).await?;
    let left = first.since(SystemClock.now());
    assert!(left <= Duration::from_secs(60), "{left:?}");
    // Given back: not only over by its time.
    until("the place is given back", SOON + SOON, || async {
        let now = held_until().await?.ok_or("the place is gone")?;
        Ok((now < first).then_some(()))
    })
    .await
}

#[tokio::test]
async fn what_no_stream_can_be_asked_is_refused_by_name() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let feed = Feed::of(&stack)?;
    let key = watcher_key(&stack).await?;
    for (query, pointer) in [
        ("?typ=settlement.", "/query/typ"),
        ("?type=settlement", "/query/type"),
        ("?aggregate=settlement", "/query/aggregate"),
        ("?tenant=", "/query/tenant"),
    ] {
        let refused = refused(watcher(&stack, query, &key)?).await?;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert_eq!(refused.problem["violations"][0]["pointer"], pointer);
    }
    let ahead = feed.head().await? + 1_000_000;
    let refused = refused(watcher(&stack, "", &key)?.behind(ahead)).await?;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let named = &refused.problem["violations"][0]["pointer"];
    assert_eq!(named, "/header/last-event-id");
    Ok(())
}

#[tokio::test]
async fn a_key_has_ten_connections_and_a_place_comes_free_when_a_client_goes() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let key = watcher_key(&stack).await?;
    let mut clients = Vec::new();
    for _ in 0..OF_A_KEY {
        let mut client = watcher(&stack, "", &key)?;
        assert_eq!(
            soon("a heartbeat", client.frame()).await?.event,
            "heartbeat"
        );
        clients.push(client);
    }
    let full = refused(watcher(&stack, "", &key)?).await?;
    assert_eq!(full.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(full.retry_after, Some(5));
    assert!(
        full.problem["type"]
            .to_string()
            .contains("too-many-streams")
    );
    // Another API key has connections of its own.
    let mut other = watcher(&stack, "", &watcher_key(&stack).await?)?;
    assert_eq!(soon("a heartbeat", other.frame()).await?.event, "heartbeat");
    // The client disconnects without notice, as when a network fails.
    clients.pop();
    let mut next = watcher(&stack, "", &key)?.patient();
    assert_eq!(soon("a place", next.frame()).await?.event, "heartbeat");
    Ok(())
}
