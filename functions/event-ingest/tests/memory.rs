//! Measures the memory that the largest accepted bodies of the costliest shapes take, as the peak of a process's resident
//! set. Each body has a process of its own, because an allocator keeps what it once took.
//!
//! A parsed document is a tree: an object with one field takes about 640 bytes, and its text has eight.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and shows its figures; it tells its own process the case by the environment"
)]

use std::{
    fmt::Write as _,
    fs,
    process::{Command as Process, Stdio},
    sync::Arc,
};

use api::{Command, Doc, MAX_BODY_BYTES, Problem, Reply, Routes, State};
use event_ingest::{ingest::Ingest, router};
use events::MAX_ENVELOPE_BYTES;
use http::Method;
use outbox::Table;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use testkit::service::Service;

/// The memory of an API function in MB (`MemorySize` of `template.yaml`). Half of it, in one case a quarter, is for the
/// runtime, the SDK and what a request needs besides its body.
const FUNCTION_MB: u64 = 256;

/// The one case that takes more than half.
const EMPTY_ENTRIES: &str = "a command of empty entries";

const CASE: &str = "MILLRACE_MEMORY_CASE";

/// A list of at most `bytes` bytes of copies of an entry.
fn list(entry: &str, bytes: usize) -> String {
    let entries = (bytes - 2) / (entry.len() + 1);
    let mut text = String::with_capacity(bytes);
    text.push('[');
    for number in 0..entries {
        if number > 0 {
            text.push(',');
        }
        text.push_str(entry);
    }
    text.push(']');
    text
}

/// An object with as many fields as fit.
fn wide(bytes: usize) -> String {
    let mut text = String::from("{");
    let mut number = 0_u32;
    while text.len() < bytes - 20 {
        let comma = if number == 0 { "" } else { "," };
        write!(text, "{comma}\"{number:x}\":0").expect("written");
        number += 1;
    }
    text.push('}');
    text
}

/// An event whose payload has a field that the contract does not have.
fn event(extra: &str) -> String {
    format!(
        r#"{{"event_type":"erp.stock_counted","event_version":"v1","producer":"erp","payload":{{"sku":"A-1","counted_quantity":1,"counted_at":"2026-11-28T20:00:00.000Z","more":{extra}}}}}"#
    )
}

fn cloudevent(extra: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"1","source":"erp","type":"erp.stock_counted","data":{{"more":{extra}}}}}"#
    )
}

/// A command of many entries, each with several required fields.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "it is only read")]
struct Offers {
    offers: Vec<Offer>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "it is only read")]
struct Offer {
    one: u32,
    two: u32,
    three: u32,
    four: u32,
    five: u32,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Nothing {}

async fn offers(_: State<()>, _: Command<Offers>) -> Result<Reply<Nothing>, Problem> {
    Reply::of(&Nothing {})
}

const EVENTS: &str = "/api/v1/events";
const OFFERS: &str = "/api/v1/offers";

/// The name of each case, its path and its body.
fn cases() -> Vec<(&'static str, &'static str, String)> {
    let (all, one) = (MAX_BODY_BYTES, MAX_ENVELOPE_BYTES - 400);
    let object = r#"{"":0}"#;
    let several = event(&list(object, all / 25 - 400));
    vec![
        ("the empty body", OFFERS, String::new()),
        ("objects in a list of events", EVENTS, list(object, all)),
        ("numbers in a list of events", EVENTS, list("1", all)),
        ("one event of objects", EVENTS, event(&list(object, one))),
        ("one event of empty lists", EVENTS, event(&list("[]", one))),
        ("one event of many fields", EVENTS, event(&wide(one))),
        ("fields beside one event's", EVENTS, wide(all)),
        ("25 events of objects", EVENTS, list(&several, all)),
        (
            "one cloudevent of objects",
            EVENTS,
            cloudevent(&list(object, one)),
        ),
        ("a command of objects", OFFERS, list(object, all)),
        (
            EMPTY_ENTRIES,
            OFFERS,
            format!(r#"{{"offers":{}}}"#, list("{}", all - 20)),
        ),
        (
            "a command of wrong entries",
            OFFERS,
            format!(r#"{{"offers":{}}}"#, list("1", all - 20)),
        ),
        ("a command of many fields", OFFERS, wide(all)),
    ]
}

fn kilobytes(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Handles the body of one case and prints by how much the resident set grew at its peak, in kB. Without a case it does
/// nothing: the other test starts it.
#[tokio::test]
async fn handles_one_body() {
    let Some(case) = std::env::var(CASE).ok().and_then(|case| case.parse().ok()) else {
        return;
    };
    let (_, path, body) = cases().swap_remove(case);
    assert!(body.len() <= MAX_BODY_BYTES, "{} bytes", body.len());
    let service = Service::start(|outbox, keys| {
        if path == OFFERS {
            let other = Routes::new("other").post(OFFERS, offers, Doc::new("Take offers"));
            return other.router((), keys);
        }
        let ingest = Arc::new(Ingest::new(outbox.clone(), Table::domain("ingest")));
        router::routes().router(ingest, keys)
    });
    let service = service.await;
    let before = kilobytes("VmRSS").expect("Linux");
    let request = service
        .request(Method::POST, path)
        .header("idempotency-key", "k");
    let answer = service.send_text(request, body).await;
    let peak = kilobytes("VmHWM").expect("Linux");
    println!("{} {}", answer.status.as_u16(), peak.saturating_sub(before));
}

#[test]
fn the_costliest_bodies_fit_a_functions_memory() {
    if kilobytes("VmHWM").is_none() {
        println!("not measured: there is no /proc");
        return;
    }
    let this = std::env::current_exe().expect("this test");
    for (case, (name, _, body)) in cases().into_iter().enumerate() {
        let ran = Process::new(&this)
            .args(["--exact", "handles_one_body", "--nocapture"])
            .env(CASE, case.to_string())
            .stderr(Stdio::inherit())
            .output()
            .expect("runs");
        let printed = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success(), "{name}: {printed}");
        let figures = printed.lines().find_map(|line| {
            let (status, peak) = line.rsplit_once(' ')?;
            let status = status.split_whitespace().last()?;
            Some((status.parse::<u16>().ok()?, peak.parse::<u64>().ok()?))
        });
        let (status, peak) = figures.expect("a figure");
        println!("{name}: {} bytes, {status}, {peak} kB", body.len());
        // jsonschema collects every error before the first can be read, here 430,000: 173 MB, measured on 2026-11-29.
        let share = if name == EMPTY_ENTRIES { 3 } else { 2 };
        assert!(peak < FUNCTION_MB * 1024 * share / 4, "{name}: {peak} kB");
    }
}
