//! Drives one bootstrap at a time over the Lambda Runtime API, on a core of its own, against a DynamoDB of fixed
//! latency, and prints the measurements. `make bench` builds the programs to be measured and calls this one.

#![expect(
    clippy::print_stdout,
    clippy::float_arithmetic,
    reason = "prints measured times and their ratios"
)]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand};
use events::Timestamp;
use outbox::{Clock, SystemClock, Table};
use serde_json::Value;
use testkit::{
    bootstrap::Bootstrap,
    dynamo_stub::{Counts, DynamoStub},
    orders::{QUEUE_ARN, order, small_order, sqs_batch, stream_batch},
    pin_to,
    runtime_api::{Kind, RuntimeApi},
    stack::BoxError,
};

/// The time limit of an invocation, as in the template.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The messages of a batch: the most that SQS delivers without a batching window.
const BATCH: usize = 10;
/// Batches before the measurements begin. Start and first invocation are measured before them.
const WARM_UP_BATCHES: u64 = 20;

/// The goals of consumers. Ratios and counts decide whether they are met; all other figures are only reported.
const GOAL_CPU_RATIO: f64 = 1.25;
const GOAL_CALLS: f64 = 1.0;
const GOAL_WRITE_UNITS: f64 = 4.0;
const GOAL_INIT_MS: f64 = 8.0;
const GOAL_PEAK_MIB: f64 = 16.0;
/// The relay's goals.
const GOAL_RELAY_CALLS_PER_100: f64 = 14.0;
/// A published event costs 5 write units. One is the relay's; the others are the commit's.
const GOAL_RELAY_WRITE_UNITS: f64 = 1.0;

#[derive(Parser)]
#[command(about = "Measures bootstraps over the Lambda Runtime API")]
struct Arguments {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Measures a consumer on Millrace and a handler written by hand, in turns.
    Consumer {
        /// The bootstrap on Millrace.
        #[arg(long)]
        consumer: PathBuf,
        /// The bootstrap written by hand.
        #[arg(long)]
        bare: PathBuf,
        /// How often both are measured.
        #[arg(long, default_value_t = 5)]
        rounds: u32,
        /// Events per round and latency, in batches of 10.
        #[arg(long, default_value_t = 2_000)]
        events: u32,
    },
    /// Measures the relay, at batches of 1, 10, 100 and 1,000 stream records.
    Relay {
        /// The relay's bootstrap.
        #[arg(long)]
        relay: PathBuf,
        /// Thousands of events per batch size.
        #[arg(long, default_value_t = 3)]
        thousands: u32,
    },
}

/// The two cores: one for the bootstrap, one for everything else.
#[derive(Clone, Copy)]
struct Cores {
    bootstrap: usize,
    own: usize,
}

/// The measurements of one process.
struct Sample {
    init_ms: f64,
    init_tls_ms: f64,
    first_ms: f64,
    batch_ms: Vec<f64>,
    cpu_us: f64,
    peak_mib: f64,
    calls: f64,
    write_units: f64,
    log_bytes: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let ran = match Arguments::parse().part {
        Part::Consumer {
            consumer,
            bare,
            rounds,
            events,
        } => compare(&consumer, &bare, rounds, events).await,
        Part::Relay { relay, thousands } => relays(&relay, thousands).await,
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("bench: {}", outbox::chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn cores() -> Result<Cores, BoxError> {
    let count = std::thread::available_parallelism()?.get();
    let cores = Cores {
        bootstrap: 0,
        own: usize::from(count > 1),
    };
    pin_to(cores.own)?;
    if count == 1 {
        println!("note: the bootstrap and its driver share the only core");
    }
    Ok(cores)
}

async fn compare(consumer: &Path, bare: &Path, rounds: u32, events: u32) -> Result<(), BoxError> {
    let cores = cores()?;
    for latency in [0_u64, 3] {
        let (mut ours, mut floor) = (Vec::new(), Vec::new());
        for round in 0..rounds.max(1) {
            let latency = Duration::from_millis(latency);
            // In turns, and each goes first every other time, so that other load on the machine affects both.
            for turn in 0..2 {
                let is_ours = (round + turn) % 2 == 0;
                let program = if is_ours { consumer } else { bare };
                let sample = handle(program, latency, events, cores).await?;
                if is_ours { &mut ours } else { &mut floor }.push(sample);
            }
        }
        tell(latency, rounds, events, &ours, &floor);
    }
    Ok(())
}

async fn handle(
    program: &Path,
    latency: Duration,
    events: u32,
    cores: Cores,
) -> Result<Sample, BoxError> {
    let (marks, customers) = (Table::marks("marks"), Table::domain("customers"));
    let stub = DynamoStub::start([&marks, &customers], latency, Some(cores.own))?;
    let api = RuntimeApi::start(Some(cores.own))?;
    let mut environment = api.environment();
    environment.extend(stub.environment());
    environment.extend(
        [
            ("STACK_NAME", "bench"),
            ("MARKS_TABLE", "marks"),
            ("CUSTOMERS_TABLE", "customers"),
            ("EXPRESS_QUEUE_ARN", QUEUE_ARN),
            ("EXPRESS_QUEUE_URL", "http://127.0.0.1/lane"),
            ("DEAD_LETTERS_URL", "http://127.0.0.1/letters"),
        ]
        .map(|(name, value)| (name, value.to_owned())),
    );
    let bootstrap = Bootstrap::start(program, &environment, cores.bootstrap, cores.own)?;
    let ready = api.ready(TIMEOUT).await?;
    let init = ready.duration_since(bootstrap.started());
    let init_tls = start_with_tls(program, &environment, cores).await?;
    let mut number = 0_u64;
    let mut batch = |size: usize| {
        let now = SystemClock.now();
        let orders: Vec<Value> = (0..size)
            .map(|_| {
                number += 1;
                order(number, now)
            })
            .collect();
        sqs_batch(&orders, now).to_string()
    };
    let first = invoke(&api, batch(1)).await?;
    for _ in 0..WARM_UP_BATCHES {
        invoke(&api, batch(BATCH)).await?;
    }
    let mut batch_ms = Vec::new();
    // The batches are made before, so that making them is not measured.
    let batches: Vec<String> = (0..u64::from(events).div_ceil(10))
        .map(|_| batch(BATCH))
        .collect();
    let _warm: Counts = stub.take_counts();
    let before = bootstrap.cpu()?;
    for body in batches {
        batch_ms.push(millis(invoke(&api, body).await?));
    }
    let cpu = bootstrap.cpu()?.saturating_sub(before);
    let counts = stub.take_counts();
    let peak = bootstrap.peak_memory()?;
    let logged = bootstrap.end().await?;
    let events = batch_ms.len() * BATCH;
    let (marked, sent) = (stub.items(&marks) as u64, number);
    if marked != sent {
        return Err(format!("{sent} events were sent, {marked} have their mark").into());
    }
    batch_ms.sort_by(f64::total_cmp);
    Ok(Sample {
        init_ms: millis(init),
        init_tls_ms: millis(init_tls),
        first_ms: millis(first),
        cpu_us: cpu.as_secs_f64() * 1e6 / events as f64,
        peak_mib: peak as f64 / 1024.0 / 1024.0,
        calls: counts.all_calls() as f64 / events as f64,
        write_units: counts.write_units as f64 / events as f64,
        // Over the whole life of the process: the few log lines of its start do not matter.
        log_bytes: logged as f64 / number as f64,
        batch_ms,
    })
}

/// Measures only the start, with an endpoint that needs TLS as on AWS, so that the process reads the system's root
/// certificates.
async fn start_with_tls(
    program: &Path,
    environment: &[(&'static str, String)],
    cores: Cores,
) -> Result<Duration, BoxError> {
    let api = RuntimeApi::start(Some(cores.own))?;
    let mut environment: Vec<(&'static str, String)> = environment.to_vec();
    environment.extend(api.environment());
    environment.push(("AWS_ENDPOINT_URL", "https://127.0.0.1:1".to_owned()));
    let bootstrap = Bootstrap::start(program, &environment, cores.bootstrap, cores.own)?;
    let ready = api.ready(TIMEOUT).await?;
    let init = ready.duration_since(bootstrap.started());
    bootstrap.end().await?;
    Ok(init)
}

/// Hands out an invocation. A response that reports a failure fails the benchmark.
async fn invoke(api: &RuntimeApi, body: String) -> Result<Duration, BoxError> {
    let answer = api.invoke(body, TIMEOUT).await?;
    let text = String::from_utf8_lossy(&answer.body);
    let parsed: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    let failures = parsed["batchItemFailures"].as_array().map_or(0, Vec::len);
    if answer.kind == Kind::Error || failures > 0 {
        return Err(format!("the bootstrap failed: {text}").into());
    }
    Ok(answer.took)
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => f64::NAN,
        (length, middle) if length % 2 == 1 => values[middle],
        (_, middle) => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// The value below which `share` per cent of sorted values lie.
fn percentile(sorted: &[f64], share: usize) -> f64 {
    let place = (sorted.len() * share).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

fn tell(latency_ms: u64, rounds: u32, events: u32, ours: &[Sample], floor: &[Sample]) {
    println!(
        "\nconsumer, DynamoDB at {latency_ms} ms: medians of {rounds} rounds of {events} events, by turns\n"
    );
    println!("| | consumer | bare | ratio |");
    println!("|---|---|---|---|");
    let row = |name: &str, unit: &str, of: &dyn Fn(&Sample) -> f64| {
        let of_all = |samples: &[Sample]| median(samples.iter().map(of).collect());
        // The median of the rounds' ratios, because a disturbance in a round affects both programs.
        let ratio = median(
            ours.iter()
                .zip(floor)
                .map(|(our, bare)| of(our) / of(bare))
                .collect(),
        );
        let (our, bare) = (of_all(ours), of_all(floor));
        println!("| {name} | {our:.2} {unit} | {bare:.2} {unit} | {ratio:.2} |");
        (our, ratio)
    };
    let (init, _) = row("init: spawn to first `next`", "ms", &|one| one.init_ms);
    row("init if the endpoint needs TLS", "ms", &|one| {
        one.init_tls_ms
    });
    row("first invocation, one message", "ms", &|one| one.first_ms);
    row("batch of 10, p50", "ms", &|one| {
        percentile(&one.batch_ms, 50)
    });
    row("batch of 10, p99", "ms", &|one| {
        percentile(&one.batch_ms, 99)
    });
    let (_, cpu) = row("CPU per event", "µs", &|one| one.cpu_us);
    let (peak, _) = row("peak memory", "MiB", &|one| one.peak_mib);
    let (calls, _) = row("calls per event", "", &|one| one.calls);
    let (units, _) = row("write units per event", "", &|one| one.write_units);
    let logged = median(ours.iter().map(|one| one.log_bytes).collect());
    println!("| log bytes per event | {logged:.0} | 0 | |");
    println!();
    goal("CPU, times bare", cpu, GOAL_CPU_RATIO);
    goal("calls per new event", calls, GOAL_CALLS);
    goal("write units per event", units, GOAL_WRITE_UNITS);
    goal("init, ms", init, GOAL_INIT_MS);
    goal("peak memory, MiB", peak, GOAL_PEAK_MIB);
}

fn goal(what: &str, measured: f64, at_most: f64) {
    // As precise as the printed tables: a value that rounds to the goal meets it.
    let met = measured < at_most + 0.005;
    let word = if met { "met" } else { "MISSED" };
    println!("goal: {what} at most {at_most}: {measured:.2}, {word}");
}

async fn relays(program: &Path, thousands: u32) -> Result<(), BoxError> {
    let cores = cores()?;
    let (sizes, per_size) = (
        [1_usize, 10, 100, 1_000],
        u64::from(thousands.max(1)) * 1_000,
    );
    println!(
        "\nrelay, DynamoDB and bus at 0 ms, {per_size} events of at most 1 KB per size, figures per 1,000 events\n"
    );
    println!("| batch | CPU | calls | PutEvents | BatchWriteItem | write units | p50 of a batch |");
    println!("|---|---|---|---|---|---|---|");
    let mut at_100 = None;
    for size in sizes {
        let events = Table::events("events");
        let stub = DynamoStub::start([&events], Duration::ZERO, Some(cores.own))?;
        let api = RuntimeApi::start(Some(cores.own))?;
        let mut environment = api.environment();
        environment.extend(stub.environment());
        environment.extend(
            [
                ("STACK_NAME", "bench"),
                ("EVENTS_TABLE", "events"),
                ("BUS_NAME", "bus"),
            ]
            .map(|(name, value)| (name, value.to_owned())),
        );
        let bootstrap = Bootstrap::start(program, &environment, cores.bootstrap, cores.own)?;
        api.ready(TIMEOUT).await?;
        let (mut number, now): (u64, Timestamp) = (0, SystemClock.now());
        let mut batch = || {
            let orders: Vec<Value> = (0..size)
                .map(|_| {
                    number += 1;
                    small_order(number, now)
                })
                .collect();
            stream_batch(&orders, now).to_string()
        };
        for _ in 0..3 {
            invoke(&api, batch()).await?;
        }
        let count = per_size.div_ceil(size as u64);
        let batches: Vec<String> = (0..count).map(|_| batch()).collect();
        let _warm: Counts = stub.take_counts();
        let before = bootstrap.cpu()?;
        let mut batch_ms = Vec::new();
        for body in batches {
            batch_ms.push(millis(invoke(&api, body).await?));
        }
        let cpu = bootstrap.cpu()?.saturating_sub(before);
        let counts = stub.take_counts();
        bootstrap.end().await?;
        let (published, sent) = (stub.items(&events) as u64, number);
        if published != sent {
            return Err(
                format!("{sent} events were sent, {published} are recorded as published").into(),
            );
        }
        let per_1000 = |value: u64| value as f64 * 1_000.0 / per_size as f64;
        let (calls, units) = (per_1000(counts.all_calls()), per_1000(counts.write_units));
        println!(
            "| {size} | {:.1} ms | {calls:.0} | {:.0} | {:.0} | {units:.0} | {:.2} ms |",
            millis(cpu) * 1_000.0 / per_size as f64,
            per_1000(counts.of("PutEvents")),
            per_1000(counts.of("BatchWriteItem")),
            median(batch_ms),
        );
        if size == 100 {
            at_100 = Some((calls / 10.0, units / 1_000.0));
        }
    }
    println!();
    if let Some((calls, units)) = at_100 {
        goal("calls per 100 events", calls, GOAL_RELAY_CALLS_PER_100);
        goal(
            "the relay's write units per event",
            units,
            GOAL_RELAY_WRITE_UNITS,
        );
    }
    Ok(())
}
