//! Stories through the deployed stack: requests go in, events come out, and state is read. `make test` runs them on a
//! stack that enforces the role policies of the functions.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use aws::DynamoStore;
use events::{Credits, Points, Usd};
use outbox::{Key, Store as _, Table, decode_item};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::stack::{BoxError, Reply, SentMail, Stack, until};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

mod analytics;
pub(crate) mod audit;
mod backing;
mod chain;
mod commerce;
mod dead_letters;
mod events_api;
mod example;
mod letters;
mod loan;
mod localstack;
mod mint;
mod notifications;
mod pause;
pub(crate) mod receiver;
mod recovery;
mod refusals;
mod repeats;
mod replay;
mod republish;
mod retries;
mod settlement;
mod spine;
mod status;
mod stream;
mod usage;
mod wallet;
mod webhooks;
mod whole_audit;

pub(crate) type Result<T = ()> = std::result::Result<T, BoxError>;

/// How long anything may take on a busy machine with two cores, or on one that is half as fast. Usually it takes well under a
/// second.
const SOON: Duration = Duration::from_secs(150);

/// The owner of the API key that approves what the owner of the environment file's key requests.
pub(crate) const APPROVER: &str = "finance";

/// A story that changes what all stories use (a role, the reserve, the faults) takes the stack for itself. The others
/// share it.
static STACK_USE: RwLock<()> = RwLock::const_new(());

async fn shared_use() -> RwLockReadGuard<'static, ()> {
    STACK_USE.read().await
}

pub(crate) async fn sole_use() -> RwLockWriteGuard<'static, ()> {
    STACK_USE.write().await
}

/// A name that no other test uses, in this run or an earlier one on the same stack.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let process = std::process::id();
    let start = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |span| span.as_millis());
    format!(
        "{name}-{process}-{start}-{}",
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

fn now_millis() -> i64 {
    let span = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) async fn post(stack: &Stack, path: &str, body: &Value) -> Result<Reply> {
    stack
        .call(Method::POST, path, Some(&unique("key")), Some(body))
        .await
}

async fn new_member(stack: &Stack, name: &str) -> Result<String> {
    let id = unique(&name.to_lowercase());
    let body = json!({ "member_id": id, "name": name, "email": format!("{id}@example.com") });
    post(stack, "/api/v1/members", &body)
        .await?
        .expect(StatusCode::CREATED)?;
    Ok(id)
}

/// As [`post`], with another API key than the environment file's.
async fn post_by(stack: &Stack, api_key: &str, path: &str, body: &Value) -> Result<Reply> {
    let (key, body) = (unique("key"), body.to_string());
    stack
        .call_as(Some(api_key), Method::POST, path, Some(&key), Some(&body))
        .await
}

/// A new API key of this owner.
pub(crate) async fn new_key(stack: &Stack, owner: &str, scopes: &[&str]) -> Result<String> {
    let body = json!({ "owner": owner, "scopes": scopes });
    let made = post(stack, "/api/v1/keys", &body).await?;
    let made = made.expect(StatusCode::CREATED)?;
    Ok(made["key"].as_str().ok_or("no key")?.to_owned())
}

/// Approves a rate card for a member, with an API key of another owner than the proposer's.
pub(crate) async fn approve_card(stack: &Stack, version: u64, member: &str) -> Result<Reply> {
    let key = new_key(stack, APPROVER, &["cloud:approve"]).await?;
    let path = format!("/api/v1/cloud/rate-cards/{version}/approve");
    post_by(stack, &key, &path, &json!({ "approved_by": member })).await
}

async fn mint(stack: &Stack, member: &str, amount: f64) -> Result<Value> {
    let body = json!({ "member_id": member, "amount": amount });
    post(stack, "/api/v1/cloud/mints", &body)
        .await?
        .expect(StatusCode::CREATED)
}

pub(crate) async fn balance(stack: &Stack, member: &str) -> Result<Value> {
    stack.get(&format!("/api/v1/cloud/balances/{member}")).await
}

/// An exact amount from a response.
pub(crate) fn credits(value: &Value) -> Result<Credits> {
    Ok(serde_json::from_value(value.clone())?)
}

/// An exact amount of points from a response.
pub(crate) fn points(value: &Value) -> Result<Points> {
    Ok(serde_json::from_value(value.clone())?)
}

/// The sum that the treasury counts as outstanding.
pub(crate) async fn outstanding(stack: &Stack) -> Result<Credits> {
    credits(&stack.get("/api/v1/cloud/treasury").await?["outstanding"])
}

async fn history(stack: &Stack, aggregate_type: &str, aggregate_id: &str) -> Result<Vec<Value>> {
    let mut events = Vec::new();
    let mut from = 1;
    loop {
        let path = format!(
            "/api/v1/events?aggregate_type={aggregate_type}&aggregate_id={aggregate_id}&from_sequence={from}&limit=2"
        );
        let page = stack.get(&path).await?;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        from += items.len();
        events.extend(items);
        if page["next_cursor"].is_null() {
            return Ok(events);
        }
    }
}

/// The journey of an event; `None` until the feed has it.
async fn journey(stack: &Stack, event_id: &str) -> Result<Option<Value>> {
    let path = format!("/api/v1/events/{event_id}/journey");
    let answer = stack.call(Method::GET, &path, None, None).await?;
    if answer.status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    Ok(Some(answer.expect(StatusCode::OK)?))
}

/// Waits until an event is published and every consumer that subscribes to it has handled it. Returns its journey.
async fn handled_by_all(stack: &Stack, event_id: &str, within: Duration) -> Result<Value> {
    until("every consumer has handled it", within, || async {
        let Some(seen) = journey(stack, event_id).await? else {
            return Ok(None);
        };
        let consumers = seen["consumers"].as_array().ok_or("no consumers")?;
        let done = consumers.iter().all(|one| one["state"] == "handled");
        Ok((done && seen["published_at"].is_string()).then_some(seen))
    })
    .await
}

async fn notes(stack: &Stack, member: &str) -> Result<Vec<Value>> {
    let page = stack
        .get(&format!("/api/v1/members/{member}/notifications"))
        .await?;
    page["items"]
        .as_array()
        .cloned()
        .ok_or_else(|| format!("no items in {page}").into())
}

async fn mails_to(stack: &Stack, member: &str) -> Result<Vec<SentMail>> {
    let address = format!("{member}@example.com");
    Ok(stack
        .emulator()
        .mails()
        .await?
        .into_iter()
        .filter(|mail| mail.to.contains(&address))
        .collect())
}

/// The lines a function logged about records of an event, parsed.
async fn record_lines(
    stack: &Stack,
    function: &str,
    event_id: &str,
    since: i64,
) -> Result<Vec<Value>> {
    let name = stack.resource(function)?;
    let lines = stack.signed().logs(name, since).await?;
    Ok(lines
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["message"] == "record" && line["event_id"] == event_id)
        .collect())
}

/// The job that carries operations out and keeps paused consumers paused.
const OPERATOR_WORKER: &str = "OperatorWorkerFunction";

/// The operations over dead letters, and replays.
const OPERATIONS: &str = "/api/v1/letters/operations";

/// As [`until`]. Meanwhile it starts the job `operator-worker`, which also runs by its schedule once a minute, every few
/// seconds.
async fn until_worked<T>(
    stack: &Stack,
    what: &str,
    within: Duration,
    look: impl AsyncFn() -> Result<Option<T>>,
) -> Result<T> {
    until_run(stack, OPERATOR_WORKER, what, within, look).await
}

/// As [`until`]. Meanwhile it starts a job every few seconds, which also runs by its schedule.
async fn until_run<T>(
    stack: &Stack,
    job: &str,
    what: &str,
    within: Duration,
    look: impl AsyncFn() -> Result<Option<T>>,
) -> Result<T> {
    const EVERY: Duration = Duration::from_secs(4);
    let started = Mutex::new(None::<Instant>);
    let (look, started) = (&look, &started);
    until(what, within, || async move {
        let seen = look().await?;
        if seen.is_some() {
            return Ok(seen);
        }
        let is_due = {
            let mut started = started.lock().map_err(|_| "poisoned")?;
            let is_due = started.is_none_or(|at| at.elapsed() > EVERY);
            if is_due {
                *started = Some(Instant::now());
            }
            is_due
        };
        if is_due {
            stack.signed().start(stack.resource(job)?).await?;
        }
        Ok(None)
    })
    .await
}

/// Waits until an operation is finished.
async fn finished(stack: &Stack, id: &str, within: Duration) -> Result<Value> {
    let path = &format!("{OPERATIONS}/{id}");
    until_worked(stack, "the operation is finished", within, async || {
        let operation = stack.get(path).await?;
        Ok((operation["status"] == "finished").then_some(operation))
    })
    .await
}

/// Begins an operation or a replay, and returns the operation's id.
async fn begin_operation(stack: &Stack, path: &str, body: &Value) -> Result<String> {
    let begun = post(stack, path, body).await?;
    let begun = begun.expect(StatusCode::CREATED)?;
    Ok(begun["operation_id"].as_str().ok_or("no id")?.to_owned())
}

/// Waits until a function has logged this outcome of an event.
async fn outcome(
    stack: &Stack,
    function: &str,
    event_id: &str,
    outcome: &str,
    since: i64,
) -> Result<Value> {
    until(
        &format!("{function} logs {outcome} for {event_id}"),
        SOON,
        || async {
            let lines = record_lines(stack, function, event_id, since).await?;
            Ok(lines.into_iter().find(|line| line["outcome"] == outcome))
        },
    )
    .await
}

async fn send(stack: &Stack, queue: &str, body: &str) -> Result {
    let url = stack.resource(queue)?;
    let client = aws_sdk_sqs::Client::new(stack.sdk());
    client
        .send_message()
        .queue_url(url)
        .message_body(body)
        .send()
        .await?;
    Ok(())
}

/// Waits for the message of a consumer's dead letter that a test recognises. All dead letters stay where they are.
async fn letter(
    stack: &Stack,
    consumer: &str,
    recognise: impl Fn(&::letters::Body) -> bool,
) -> Result<::letters::Body> {
    until(&format!("a dead letter of {consumer}"), SOON, || async {
        let letters = unresolved_letters(stack).await?;
        let of_consumer = letters
            .into_iter()
            .filter(|(row, _)| row.consumer == consumer);
        Ok(of_consumer
            .map(|(_, body)| body)
            .find(|body| recognise(body)))
    })
    .await
}

/// The dead letters of the stack that are neither handled nor discarded, each with its message, the oldest first.
pub(crate) async fn unresolved_letters(
    stack: &Stack,
) -> Result<Vec<(::letters::Letter, ::letters::Body)>> {
    let store = DynamoStore::new(aws::dynamodb(stack.sdk()));
    let table = Table::domain(stack.resource("LettersTable")?);
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store
            .query(&::letters::unresolved(&table, 100, after))
            .await?;
        let mut letters = Vec::new();
        for item in page.items {
            letters.push(decode_item::<::letters::Letter>(
                &table.key("letter", ""),
                item,
            )?);
        }
        let keys: Vec<Key> = letters
            .iter()
            .map(|row| ::letters::Body::key(&table, &row.letter_id))
            .collect();
        for (row, (key, item)) in letters
            .into_iter()
            .zip(keys.iter().zip(store.get_many(&keys).await?))
        {
            let item = item.ok_or_else(|| format!("{} has no body", row.letter_id))?;
            found.push((row, decode_item(key, item)?));
        }
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}
