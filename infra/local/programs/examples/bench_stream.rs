//! Many concurrent clients of the event stream, in a process of their own, while settlements go through a deployed
//! stack at a steady rate. The benchmark reports no figures unless every client ends with exactly the rows of the feed.
//! `make bench` calls it.

#![expect(
    clippy::print_stdout,
    clippy::float_arithmetic,
    reason = "prints measured times and sizes"
)]

use std::{
    collections::HashMap,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws::DynamoStore;
use clap::Parser;
use events::{Registry, Timestamp};
use futures::future::try_join_all;
use outbox::{Clock as _, Outbox, SystemClock, Table};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{
    process::Process,
    stack::{BoxError, Stack, until},
    watcher::Watcher,
};
use tokio::{
    sync::{Mutex as Turn, watch},
    task::JoinHandle,
    time::{Instant, Interval, MissedTickBehavior},
};
use uuid::Uuid;
use views::feed::{FeedRow, Head, rows_after};

const GOAL_MEDIAN_MS: i64 = 1_000;
/// Confirmations of a settlement.
const CONFIRMATIONS: u32 = 30;
/// How long all clients may take to see the last event.
const SOON: Duration = Duration::from_secs(120);
/// The pause between two readings of the server's memory.
const LOOK: Duration = Duration::from_millis(250);

#[derive(Parser)]
#[command(about = "Many concurrent clients of the event stream")]
struct Arguments {
    /// The record of the server's process, as `local_aws.py` writes it.
    #[arg(long)]
    server: PathBuf,
    /// Number of concurrent clients.
    #[arg(long, default_value_t = 200)]
    clients: usize,
    /// For how long events are committed.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Commands a second. Most of them commit one event.
    #[arg(long, default_value_t = 20)]
    rate: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("bench: {}", outbox::chain(&*error));
            ExitCode::FAILURE
        }
    }
}

/// The feed in its table.
struct Feed {
    outbox: Outbox,
    table: Table,
}

impl Feed {
    fn of(stack: &Stack) -> Result<Self, BoxError> {
        let store = DynamoStore::new(aws_sdk_dynamodb::Client::new(stack.sdk()));
        Ok(Self {
            outbox: Outbox::new(
                Arc::new(store),
                Arc::new(SystemClock),
                Arc::new(Registry::shipped()),
                Table::events(stack.resource("EventsTable")?),
                Table::marks(stack.resource("MarksTable")?),
            ),
            table: Table::domain(stack.resource("FeedTable")?),
        })
    }

    async fn head(&self) -> Result<u64, BoxError> {
        let head = Head::read(&self.outbox, &self.table).await?;
        Ok(head.map_or(0, |head| head.position))
    }

    async fn rows(&self, from: u64, to: u64) -> Result<Vec<FeedRow>, BoxError> {
        let (mut rows, mut position) = (Vec::new(), from);
        while position < to {
            let some = rows_after(&self.outbox, &self.table, position, to, 100).await?;
            position = some.last().ok_or("the feed has a gap")?.position;
            rows.extend(some);
        }
        Ok(rows)
    }
}

/// What the first client received at each position. The other clients are compared with it.
#[derive(Default)]
struct Received(Mutex<HashMap<u64, (String, Timestamp)>>);

impl Received {
    /// The time an event took to reach this client, in milliseconds.
    fn take(&self, position: u64, data: String) -> Result<i64, BoxError> {
        let now = SystemClock.now();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let occurred = if let Some((known, occurred)) = all.get(&position) {
            if *known != data {
                return Err(
                    format!("two clients saw different events at position {position}").into(),
                );
            }
            *occurred
        } else {
            let occurred = Registry::read(&data)?.occurred_at;
            all.insert(position, (data, occurred));
            occurred
        };
        Ok(now.unix_millis() - occurred.unix_millis())
    }
}

/// The result of a client.
struct ClientResult {
    positions: Vec<u64>,
    latencies_ms: Vec<i64>,
    connections: u64,
}

/// Watches until the last position is known and reached.
async fn watch_to_the_end(
    mut client: Watcher,
    received: Arc<Received>,
    mut last_position: watch::Receiver<Option<u64>>,
) -> Result<ClientResult, BoxError> {
    let mut seen = ClientResult {
        positions: Vec::new(),
        latencies_ms: Vec::new(),
        connections: 0,
    };
    loop {
        let end = *last_position.borrow_and_update();
        if end.is_some() && client.last() >= end {
            seen.connections = client.connections();
            return Ok(seen);
        }
        tokio::select! {
            frame = client.event() => {
                let frame = frame?;
                let position = frame.id.ok_or("an event without a position")?;
                seen.latencies_ms.push(received.take(position, frame.data)?);
                seen.positions.push(position);
            }
            changed = last_position.changed() => changed?,
        }
    }
}

/// Sends commands at a steady rate.
struct Commander {
    stack: Arc<Stack>,
    turn: Arc<Turn<Interval>>,
    until: Instant,
}

impl Commander {
    /// Sends one command; `None` when the time is over.
    async fn post(&self, path: &str, body: Value) -> Result<Option<Value>, BoxError> {
        self.turn.lock().await.tick().await;
        if Instant::now() >= self.until {
            return Ok(None);
        }
        let key = Uuid::now_v7().to_string();
        loop {
            let answer = self
                .stack
                .call(Method::POST, path, Some(&key), Some(&body))
                .await?;
            match answer.status {
                StatusCode::OK | StatusCode::CREATED => return Ok(Some(answer.body)),
                StatusCode::SERVICE_UNAVAILABLE => tokio::time::sleep(LOOK).await,
                status => return Err(format!("{path}: {status}: {}", answer.body).into()),
            }
        }
    }

    /// Makes settlements, one after the other, until the time is over. Records the aggregates that have events.
    async fn settle(&self, made: &mut Vec<(&'static str, String)>) -> Result<(), BoxError> {
        let id = |body: &Value, name: &str| body[name].as_str().unwrap_or_default().to_owned();
        loop {
            let body = json!({ "amount": "100.10", "currency": "EUR" });
            let Some(payment) = self.post("/api/v1/payments", body).await? else {
                return Ok(());
            };
            let payment = id(&payment, "payment_id");
            made.push(("payment", payment.clone()));
            for step in ["authorize", "capture"] {
                let path = format!("/api/v1/payments/{payment}/{step}");
                if self.post(&path, json!({})).await?.is_none() {
                    return Ok(());
                }
            }
            let network = json!({
                "network": "polygon", "cost_usd": "0.01", "seconds": 60, "reliability": 0.99,
                "gas_estimate": "0.000021", "required_confirmations": CONFIRMATIONS
            });
            let body = json!({ "payment_id": payment, "amount": "100.10", "networks": [network] });
            let Some(settlement) = self.post("/api/v1/settlements", body).await? else {
                return Ok(());
            };
            let settlement = id(&settlement, "settlement_id");
            made.push(("settlement", settlement.clone()));
            let confirmations = (1..=CONFIRMATIONS)
                .map(|confirmations| ("confirmations", json!({ "confirmations": confirmations })));
            let steps = std::iter::once(("submit", json!({ "tx_hash": "0xabc" })))
                .chain(confirmations)
                .chain(std::iter::once((
                    "settle",
                    json!({ "gas_actual": "0.000019" }),
                )));
            for (step, body) in steps {
                let path = format!("/api/v1/settlements/{settlement}/{step}");
                if self.post(&path, body).await?.is_none() {
                    return Ok(());
                }
            }
        }
    }
}

/// The bytes of an aggregate's stored events.
async fn logged(feed: &Feed, kind: &str, id: &str) -> Result<Vec<String>, BoxError> {
    let (mut texts, mut position) = (Vec::new(), 0);
    loop {
        let aggregate = format!("{kind}#{id}");
        let (rows, more) = feed.outbox.rows_after(&aggregate, position, 100).await?;
        for row in &rows {
            texts.push(row.envelope_json().to_owned());
            position = row.sequence;
        }
        if !more {
            return Ok(texts);
        }
    }
}

/// The highest memory use seen until the task is aborted.
fn look_at_memory(server: Process) -> (watch::Receiver<u64>, JoinHandle<()>) {
    let (tell, most) = watch::channel(0);
    let looking = tokio::spawn(async move {
        loop {
            // If the server is gone, its clients report it.
            let now = server.memory().unwrap_or_default();
            tell.send_if_modified(|most| {
                let is_more = now > *most;
                *most = now.max(*most);
                is_more
            });
            tokio::time::sleep(LOOK).await;
        }
    });
    (most, looking)
}

async fn run(arguments: Arguments) -> Result<(), BoxError> {
    let stack = Arc::new(Stack::connect().await?);
    let feed = Feed::of(&stack)?;
    let record: Value = serde_json::from_str(&std::fs::read_to_string(&arguments.server)?)?;
    let pid = record["pid"].as_u64().ok_or("no pid in the record")?;
    let server = Process::of(u32::try_from(pid)?);
    // The first response of the server is not measured.
    let mut first = Watcher::of(&stack, "")?;
    first.frame().await?;
    first.hang_up();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = server.memory()?;

    let start = feed.head().await?;
    let received = Arc::new(Received::default());
    let (tell, last_position) = watch::channel(None);
    let (connected, mut connections) = watch::channel(0_usize);
    let connected = Arc::new(connected);
    let watching: Vec<JoinHandle<Result<ClientResult, BoxError>>> = (0..arguments.clients)
        .map(|_| {
            let client = Watcher::of(&stack, "")?.behind(start);
            let (received, last_position) = (Arc::clone(&received), last_position.clone());
            let connected = Arc::clone(&connected);
            Ok::<_, BoxError>(tokio::spawn(async move {
                let mut client = client;
                // A heartbeat arrives at once.
                client.frame().await?;
                connected.send_modify(|number| *number += 1);
                watch_to_the_end(client, received, last_position).await
            }))
        })
        .collect::<Result<_, _>>()?;
    let all = connections.wait_for(|number| *number == arguments.clients);
    tokio::time::timeout(SOON, all)
        .await
        .map_err(|_| "not all clients got a connection")??;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = server.memory()?;

    let (most, looking) = look_at_memory(server);
    let own = Process::of(std::process::id());
    let (cpu, own_cpu) = (server.cpu()?, own.cpu()?);
    let begun = Instant::now();
    let mut turns = tokio::time::interval(Duration::from_secs(1) / u32::try_from(arguments.rate)?);
    turns.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let turn = Arc::new(Turn::new(turns));
    let until_then = begun + Duration::from_secs(arguments.seconds);
    let commanding = (0..arguments.rate).map(async |_| {
        let commander = Commander {
            stack: Arc::clone(&stack),
            turn: Arc::clone(&turn),
            until: until_then,
        };
        let mut made = Vec::new();
        commander.settle(&mut made).await?;
        Ok::<_, BoxError>(made)
    });
    let made: Vec<_> = try_join_all(commanding)
        .await?
        .into_iter()
        .flatten()
        .collect();
    let committing = begun.elapsed();
    let (cpu, own_cpu) = (
        server.cpu()?.saturating_sub(cpu),
        own.cpu()?.saturating_sub(own_cpu),
    );

    let mut committed = HashMap::new();
    for (kind, id) in made {
        let events = logged(&feed, kind, &id).await?;
        committed.insert(format!("{kind}/{id}"), events);
    }
    let events = committed.values().map(Vec::len).sum::<usize>();
    let end = start + u64::try_from(events)?;
    until("all events are in the feed", SOON, || async {
        Ok((feed.head().await? >= end).then_some(()))
    })
    .await?;
    tell.send_replace(Some(end));
    let ended = tokio::time::timeout(SOON, try_join_all(watching));
    let ended = ended
        .await
        .map_err(|_| "not all clients reached the last position")??;
    looking.abort();
    let seen = ended.into_iter().collect::<Result<Vec<_>, _>>()?;

    // The feed must equal what was committed, and each client's events must equal the feed.
    let rows = feed.rows(start, end).await?;
    let mut fed: HashMap<String, Vec<String>> = HashMap::new();
    for row in &rows {
        let of_aggregate = fed.entry(row.aggregate.clone()).or_default();
        of_aggregate.push(row.envelope.clone());
    }
    if fed != committed {
        return Err(
            "the feed does not contain exactly the committed events, in order per aggregate".into(),
        );
    }
    let positions: Vec<u64> = rows.iter().map(|row| row.position).collect();
    for (number, one) in seen.iter().enumerate() {
        if one.positions != positions {
            let (has, wanted) = (one.positions.len(), positions.len());
            return Err(format!(
                "client {number} has {has} events instead of {wanted}, or has them out of order"
            )
            .into());
        }
    }
    {
        let all = received.0.lock().unwrap_or_else(PoisonError::into_inner);
        for row in &rows {
            if all.get(&row.position).map(|(data, _)| data) != Some(&row.envelope) {
                return Err(format!(
                    "what clients received at position {} is not the row of the feed",
                    row.position
                )
                .into());
            }
        }
    }

    let mut latencies: Vec<i64> = seen
        .iter()
        .flat_map(|one| one.latencies_ms.clone())
        .collect();
    latencies.sort_unstable();
    let at = |share: usize| latencies[(latencies.len() * share).div_ceil(100).saturating_sub(1)];
    let most_memory = *most.borrow();
    let reconnected: u64 = seen.iter().map(|one| one.connections - 1).sum();
    let seconds = committing.as_secs_f64();
    println!(
        "\n{} clients, {} events of {} aggregates in {seconds:.0} s ({:.1} a second): every client ended with exactly these, in \
         order; {reconnected} reconnections\n",
        seen.len(),
        rows.len(),
        committed.len(),
        rows.len() as f64 / seconds,
    );
    let (median, p95) = (at(50), at(95));
    println!("| commit to client | median | p95 | least | most |");
    println!("|---|---|---|---|---|");
    println!(
        "| {} deliveries | {median} ms | {p95} ms | {} ms | {} ms |",
        latencies.len(),
        at(0),
        at(100),
    );
    println!("\n| server | |");
    println!("|---|---|");
    println!("| memory before any client | {:.1} MiB |", mib(before));
    println!("| with all clients, no events | {:.1} MiB |", mib(idle));
    println!(
        "| most, while events arrived | {:.1} MiB |",
        mib(most_memory)
    );
    println!(
        "| most ever (VmHWM) | {:.1} MiB |",
        mib(server.peak_memory()?)
    );
    println!(
        "| per client, at most | {:.0} KiB |",
        most_memory.saturating_sub(before) as f64 / 1024.0 / seen.len() as f64
    );
    println!(
        "| CPU | {:.2} s in {seconds:.0} s ({:.1} % of a core), {:.0} µs per delivery |",
        cpu.as_secs_f64(),
        cpu.as_secs_f64() / seconds * 100.0,
        cpu.as_secs_f64() * 1e6 / latencies.len() as f64,
    );
    println!(
        "| CPU of the clients and the commands | {:.2} s |",
        own_cpu.as_secs_f64()
    );
    let word = if median < GOAL_MEDIAN_MS {
        "met"
    } else {
        "MISSED"
    };
    println!("\ngoal: commit to client, median under {GOAL_MEDIAN_MS} ms: {median} ms, {word}");
    Ok(())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}
