//! `millrace letters` and `operations` as an operator runs them, against the router of `operator-api` over the store in
//! memory, behind a real HTTP server that can lose answers.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    collections::BTreeMap,
    error::Error,
    path::PathBuf,
    process::{Output, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{Router, body::Body};
use events::{OperationId, contracts::operation::OperationOutcome};
use evidence::EvidenceTables;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use letters::{
    Body as LetterBody, Drained, Letter, LetterId, Operations, QueueMessage, operation::Progress,
};
use mappings::MemoryMappings;
use operator_api::{config::Config, handler::App, router, stack::GivenFacts};
use outbox::{Clock as _, Decision, Entity, Table};
use serde_json::{Value, json};
use testkit::service::Service;
use tokio::{net::TcpListener, process::Command};
use topology::Deployment;
use tower::ServiceExt as _;

const OPERATIONS: &str = "/api/v1/letters/operations";

/// The path below which a local AWS serves the API of [`RESOURCES`].
const PREFIX: &str = "/restapis/a1b2/local/_user_request_";
const RESOURCES: &str = r#"{ "StackResourceSummaries": [
    { "LogicalResourceId": "Api", "PhysicalResourceId": "a1b2", "ResourceType": "AWS::ApiGateway::RestApi" },
    { "LogicalResourceId": "ApiStage", "PhysicalResourceId": "local", "ResourceType": "AWS::ApiGateway::Stage" } ] }"#;

/// How long a test waits for something on a busy machine.
const AT_MOST: Duration = Duration::from_secs(120);

/// A request as the server had it.
#[derive(Debug, Clone)]
struct Seen {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Value,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("text"))
    }

    /// Whether this begins an operation.
    fn begins(&self) -> bool {
        self.method == Method::POST
            && (self.uri.path().ends_with("/operations") || self.uri.path().ends_with("/replays"))
            && self.body["preview"] != true
    }
}

/// What the server has had, and how many answers to requests that begin an operation it still loses.
#[derive(Debug, Default)]
struct Traffic {
    seen: Vec<Seen>,
    to_lose: usize,
}

/// The API, served, and its key.
struct Site {
    service: Service,
    traffic: Arc<Mutex<Traffic>>,
    url: String,
    key: String,
}

fn table() -> Table {
    Table::domain("letters")
}

impl Site {
    async fn start() -> Self {
        let mut served = None;
        let service = Service::start(|outbox, keys| {
            let evidence = EvidenceTables::new(Table::marks("marks"));
            let config = Config {
                stack: "mill".to_owned(),
                letters: table(),
                events: "events".to_owned(),
                analytics: Table::domain("analytics"),
                evidence,
                deployment: Deployment::of_setting("").expect("the spine"),
            };
            let (mappings, facts) = (MemoryMappings::new(), GivenFacts::default());
            let app = App::new(outbox.clone(), config, Arc::new(mappings), Arc::new(facts));
            let router = router::routes().router(Arc::new(app), keys);
            served = Some(router.clone());
            router
        })
        .await;
        let router = served.expect("a router");
        let traffic = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(serve(listener, router, Arc::clone(&traffic)));
        let key = service
            .key_of(
                "oncall",
                &["letters:read", "letters:write", "replays:write"],
            )
            .await;
        Self {
            service,
            traffic,
            url: format!("http://{address}"),
            key,
        }
    }

    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> Vec<Seen> {
        self.traffic().seen.clone()
    }

    /// The requests that began an operation, repeats included.
    fn begun(&self) -> Vec<Seen> {
        self.seen().into_iter().filter(Seen::begins).collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        command
            .args(arguments)
            .env_clear()
            .env("API_URL", &self.url)
            .env("API_KEY", &self.key)
            .env("USER", "ada")
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        let ended = self.command(arguments).output().await.expect("it runs");
        let ended = Ended::of(&ended);
        assert!(
            !ended.out.contains(&self.key) && !ended.err.contains(&self.key),
            "the key was printed: {ended:?}"
        );
        ended
    }

    /// Begins a redrive of all letters that waits, and returns its process with the operation's id.
    async fn waiting(&self) -> (tokio::process::Child, OperationId) {
        let arguments = [
            "letters", "redrive", "--all", "--reason", "mended", "--yes", "--wait",
        ];
        let child = self.command(&arguments).spawn().expect("it runs");
        let look = || {
            let looks =
                |seen: &Seen| seen.method == Method::GET && seen.uri.path().starts_with(OPERATIONS);
            self.seen().into_iter().find(looks)
        };
        let look = until(look).await;
        let id = look.uri.path().rsplit('/').next().expect("an id");
        (child, id.parse().expect("an id"))
    }

    /// Does what the job does at the end of an operation.
    async fn finish(&self, id: OperationId, counts: OperationOutcome) {
        let (outbox, table) = (self.service.outbox(), table());
        let table = &table;
        let finished = self.service.once(1_000_000, |mut transaction| async move {
            let operations = Operations { outbox, table };
            let entity = operations.operation(id).await?;
            let state = entity.state().expect("an operation");
            let done = state.finish(counts, entity.next_version()?, transaction.now());
            done.expect("running").save(&mut transaction, &entity)?;
            let progress = operations.progress(id).await?;
            let after = Progress {
                position: state.count(),
                counts,
                ..Progress::default()
            };
            transaction.update(&progress, &after, Vec::new())?;
            Ok(Decision::Commit(transaction, ()))
        });
        finished.await;
    }

    /// Writes a letter; the number distinguishes its event.
    async fn letter(&self, number: u64, consumer: &str, error: &str) -> LetterId {
        let sample = include_str!("../../../../shared/events/samples/common/envelope-v1/full.json");
        let mut envelope: Value = serde_json::from_str(sample).expect("JSON");
        envelope["event_id"] = format!("00000000-0000-4000-8000-{number:012x}").into();
        let attributes = [
            ("consumer", consumer.to_owned()),
            ("reason", "rejected".to_owned()),
            ("error", error.to_owned()),
            (
                "parked_at",
                format!("2025-11-29T03:{:02}:{:02}.000Z", number / 60, number % 60),
            ),
        ];
        let attributes = attributes.map(|(name, text)| (name.to_owned(), text));
        let message = QueueMessage {
            message_id: format!("m-{number}"),
            body: envelope.to_string(),
            attributes: BTreeMap::from(attributes),
            source_arn: None,
        };
        let now = self.service.clock().now();
        let drained = Drained::read(&message, now);
        let id = drained.letter_id();
        let (letter, body) = (Letter::first(&drained, now), LetterBody::of(&message, now));
        let (outbox, letter, body, of) = (self.service.outbox(), &letter, &body, &id);
        let saved = self.service.once(number, |mut transaction| async move {
            let entity: Entity<Letter> = outbox.load(&table(), of.as_str()).await?;
            transaction.update(&entity, letter, Vec::new())?;
            body.save(&mut transaction, &table(), of)?;
            Ok(Decision::Commit(transaction, ()))
        });
        saved.await;
        id
    }

    async fn filled(&self, count: u64) -> Vec<LetterId> {
        let mut ids = Vec::new();
        for number in 0..count {
            let (consumer, error) = match number % 3 {
                0 => ("analytics", "wallet 17 is closed"),
                1 => ("analytics", "no such member"),
                _ => ("notifications", "wallet 18 is closed"),
            };
            ids.push(self.letter(number, consumer, error).await);
        }
        ids
    }
}

async fn serve(listener: TcpListener, router: Router, traffic: Arc<Mutex<Traffic>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (router, traffic) = (router.clone(), Arc::clone(&traffic));
        tokio::spawn(async move {
            let service =
                service_fn(move |request| answer(request, router.clone(), Arc::clone(&traffic)));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // An answer is lost by breaking the connection.
            connection.await.ok();
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    router: Router,
    traffic: Arc<Mutex<Traffic>>,
) -> Result<Response<Body>, Box<dyn Error + Send + Sync>> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    if let Some(rest) = parts.uri.to_string().strip_prefix(PREFIX) {
        parts.uri = rest.parse()?;
    }
    let seen = Seen {
        method: parts.method.clone(),
        uri: parts.uri.clone(),
        headers: parts.headers.clone(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let begins = seen.begins();
    let Ok(answer) = router
        .oneshot(Request::from_parts(parts, Body::from(body)))
        .await;
    let mut traffic = traffic.lock().unwrap_or_else(PoisonError::into_inner);
    traffic.seen.push(seen);
    if begins && traffic.to_lose > 0 {
        traffic.to_lose -= 1;
        return Err("the answer is lost".into());
    }
    Ok(answer)
}

/// How a verb ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.out).expect("one JSON object")
    }

    /// That the verb ended so and said all of these words on standard error.
    fn failed(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word} is not in: {}", self.err);
        }
    }
}

/// What the function finds, as soon as it finds something.
async fn until<T>(mut find: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + AT_MOST;
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < deadline, "it did not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn ended(child: tokio::process::Child) -> Ended {
    let output = tokio::time::timeout(AT_MOST, child.wait_with_output()).await;
    Ended::of(&output.expect("it ends").expect("an output"))
}

#[tokio::test]
async fn letters_are_listed_over_the_pages_of_the_api_up_to_the_limit() {
    let site = Site::start().await;
    site.filled(105).await;
    let few = site.run(&["letters", "list", "--limit", "2"]).await;
    assert_eq!((few.code, few.err.as_str()), (Some(0), ""), "{few:?}");
    let lines: Vec<&str> = few.out.lines().collect();
    assert_eq!(lines.len(), 5, "{}", few.out);
    assert!(lines[1].starts_with("2025-11-29T03:01:44.000Z  notifications"));
    assert!(lines[3].contains("raise --limit") && lines[4].contains("--state resolved"));

    let many = site
        .run(&["letters", "list", "--limit", "103", "--json"])
        .await
        .json();
    assert_eq!(many["items"].as_array().map(Vec::len), Some(103));
    assert_eq!(many["more"], true);
    let queries: Vec<String> = site
        .seen()
        .iter()
        .map(|seen| seen.uri.query().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(queries[..2], ["limit=2", "limit=100"]);
    assert!(queries[2].starts_with("limit=3&cursor="), "{queries:?}");

    let arguments = [
        "letters",
        "list",
        "--consumer",
        "notifications",
        "--q",
        "18 is",
        "--limit",
        "200",
        "--json",
    ];
    let some = site.run(&arguments).await.json();
    assert_eq!(some["items"].as_array().map(Vec::len), Some(35));
    assert_eq!(some["more"], false);
}

#[tokio::test]
async fn groups_are_shown_with_their_notes_and_a_letter_with_its_message() {
    let site = Site::start().await;
    let ids = site.filled(10).await;
    let groups = site.run(&["letters", "groups", "--json"]).await.json();
    let group = groups["items"][0]["signature_id"].as_str().expect("an id");
    let noted = site
        .run(&["letters", "note", group, "the partner knows"])
        .await;
    assert_eq!(noted.code, Some(0), "{noted:?}");
    let shown = site
        .run(&["letters", "groups", "--reason", "rejected"])
        .await;
    let first = shown.out.lines().nth(1).expect("a group");
    for words in [
        "4 ",
        "analytics",
        "wallet <n> is closed",
        group,
        "the partner knows (oncall, ",
    ] {
        assert!(first.contains(words), "{words} is not in: {first}");
    }
    let note = site
        .seen()
        .into_iter()
        .find(|seen| seen.method == Method::POST);
    let note = note.expect("the note");
    assert_eq!(note.header("x-user-id"), "ada");

    let shown = site.run(&["letters", "show", ids[0].as_str()]).await;
    for words in [
        "history, the oldest first",
        "consumers of the event",
        "message, ",
        "parked",
    ] {
        assert!(
            shown.out.contains(words),
            "{words} is not in:\n{}",
            shown.out
        );
    }
    let nobody = site.run(&["letters", "show", &"0".repeat(32)]).await;
    nobody.failed(1, &["there is no letter", "HTTP 404, not-found"]);
}

#[tokio::test]
async fn an_unknown_consumer_is_refused_by_the_api_with_its_violations() {
    let site = Site::start().await;
    let wrong = site
        .run(&["letters", "list", "--consumer", "notification"])
        .await;
    wrong.failed(
        1,
        &[
            "millrace: no consumer notification; did you mean notifications?",
            "The request is not valid (HTTP 422, invalid-request)",
            "\n  /query/consumer: is not a known consumer; did you mean notifications?",
        ],
    );
    assert_eq!(wrong.out, "");
}

#[tokio::test]
async fn an_operation_whose_answer_is_lost_is_begun_once_with_the_same_key() {
    let site = Site::start().await;
    site.filled(10).await;
    site.traffic().to_lose = 1;
    let begun = site
        .run(&[
            "letters",
            "redrive",
            "--consumer",
            "analytics",
            "--letter-reason",
            "rejected",
            "--reason",
            "the template was corrected",
            "--rate",
            "5",
            "--canary",
            "--yes",
        ])
        .await;
    assert_eq!(begun.code, Some(0), "{begun:?}");
    for words in [
        "redrive: 7 letters",
        "and 2 more",
        "trying again",
        "--watch",
    ] {
        assert!(
            begun.err.contains(words),
            "{words} is not in: {}",
            begun.err
        );
    }
    let requests = site.begun();
    assert_eq!(requests.len(), 2);
    let key = requests[0].header("idempotency-key");
    assert!(key.starts_with("millrace-"), "{key}");
    assert_eq!(requests[1].header("idempotency-key"), key);
    assert_eq!(requests[1].body, requests[0].body);
    assert_eq!(
        requests[0].body,
        json!({
            "act": "redrive", "reason": "the template was corrected", "rate_per_second": 5, "canary": true,
            "filter": { "consumer": "analytics", "reason": "rejected" },
        })
    );
    let operations = site.run(&["operations", "list", "--json"]).await.json();
    assert_eq!(operations["items"].as_array().map(Vec::len), Some(1));
    let operation = &operations["items"][0];
    assert_eq!(operation["operation_id"], begun.out.trim_end());
    assert_eq!(
        (
            &operation["actor"],
            &operation["key_owner"],
            &operation["count"]
        ),
        (&json!("ada"), &json!("oncall"), &json!(7))
    );
}

#[tokio::test]
async fn if_every_answer_is_lost_the_operator_is_told_that_it_may_have_begun() {
    let site = Site::start().await;
    site.filled(3).await;
    site.traffic().to_lose = 100;
    let lost = site
        .run(&["letters", "discard", "--all", "--reason", "a test", "--yes"])
        .await;
    lost.failed(
        1,
        &[
            "it may have begun all the same",
            "operations list",
            "in 4 tries",
        ],
    );
    let requests = site.begun();
    assert_eq!(requests.len(), 4);
    let key = requests[0].header("idempotency-key");
    assert!(
        requests
            .iter()
            .all(|one| one.header("idempotency-key") == key)
    );
}

#[tokio::test]
async fn without_a_terminal_nothing_is_begun_unless_yes_is_said_and_a_dry_run_writes_nothing() {
    let site = Site::start().await;
    site.filled(7).await;
    let all = ["letters", "redrive", "--all", "--reason", "mended"];
    let asked = site.run(&all).await;
    asked.failed(2, &["no terminal", "--yes"]);
    assert!(site.seen().is_empty());

    let dry = site.run(&[&all[..], &["--dry-run"]].concat()).await;
    assert_eq!((dry.code, dry.err.as_str()), (Some(0), ""), "{dry:?}");
    assert!(dry.out.starts_with("redrive: 7 letters\n"), "{}", dry.out);
    let dry = site
        .run(&[&all[..], &["--dry-run", "--json"]].concat())
        .await;
    assert_eq!(dry.json()["count"], 7);
    assert!(site.begun().is_empty());

    let capped = site
        .run(&[&all[..], &["--yes", "--cap", "6"]].concat())
        .await;
    capped.failed(1, &["7 letters fit, which is more than the cap of 6"]);
    assert!(site.begun().is_empty());

    // What is missing on the command line costs no call.
    let calls = site.seen().len();
    let nothing = site
        .run(&["letters", "redrive", "--reason", "mended", "--yes"])
        .await;
    nothing.failed(2, &["Usage:"]);
    assert_eq!(site.seen().len(), calls);
}

#[tokio::test]
async fn a_letter_that_cannot_be_taken_is_named_with_its_place_or_its_operation() {
    let site = Site::start().await;
    let ids = site.filled(3).await;
    let nobody = "0".repeat(32);
    let redrive = |ids: &[&str]| {
        let end = ["--reason", "mended", "--yes", "--json"];
        [&["letters", "redrive"], ids, &end]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let run = async |ids: &[&str]| {
        let arguments = redrive(ids);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        site.run(&arguments).await
    };
    let unknown = run(&[ids[0].as_str(), &nobody]).await;
    unknown.failed(
        1,
        &["HTTP 422, unknown-letter", "\n  /letters/1: is no letter"],
    );

    let begun = run(&[ids[0].as_str()]).await.json();
    let operation = begun["operation_id"].as_str().expect("an id");
    let taken = run(&[ids[0].as_str(), ids[1].as_str()]).await;
    taken.failed(1, &[operation, "is not finished", "operations cancel"]);
    assert_eq!(site.begun().len(), 1);
}

#[tokio::test]
async fn a_letter_that_never_was_an_event_is_edited_from_a_file_and_redriven() {
    let site = Site::start().await;
    let id = site.letter(1, "analytics", "no such member").await;
    let sample = include_str!("../../../../shared/events/samples/common/envelope-v1/full.json");
    let mut message: Value = serde_json::from_str(sample).expect("JSON");
    message["event_id"] = "00000000-0000-4000-8000-000000000001".into();
    let file = std::env::temp_dir().join(format!("edited-{}.json", uuid::Uuid::new_v4()));
    let name = file.to_str().expect("a path");
    let edit = [
        "letters",
        "edit",
        id.as_str(),
        "--file",
        name,
        "--reason",
        "a field was wrong",
    ];

    std::fs::write(&file, "no JSON").expect("written");
    site.run(&edit).await.failed(2, &["is no JSON"]);
    message["payload"]["amount"] = json!(-1);
    std::fs::write(&file, message.to_string()).expect("written");
    site.run(&edit)
        .await
        .failed(1, &["\n  /message/payload/amount: "]);
    message["payload"]["amount"] = json!(0.5);
    std::fs::write(&file, message.to_string()).expect("written");
    let edited = site.run(&edit).await;
    assert_eq!(edited.code, Some(0), "{}", edited.err);
    assert!(edited.out.starts_with(id.as_str()), "{}", edited.out);
    assert!(
        edited.out.contains("  replace /payload/amount 0.5\n"),
        "{}",
        edited.out
    );
    std::fs::remove_file(&file).expect("removed");
    let redriven = site
        .run(&[
            "letters",
            "redrive",
            id.as_str(),
            "--reason",
            "edited",
            "--yes",
        ])
        .await;
    assert_eq!(redriven.code, Some(0), "{}", redriven.err);
}

#[tokio::test]
async fn operations_are_shown_paused_resumed_and_cancelled_by_a_named_person() {
    let site = Site::start().await;
    site.filled(3).await;
    let begun = site
        .run(&["letters", "redrive", "--all", "--reason", "mended", "--yes"])
        .await;
    let id = begun.out.trim_end();
    let step = async |step: &str| {
        let why = ["--reason", "the partner is down", "--actor", "grace"];
        site.run(&[&["operations", step, id], &why[..]].concat())
            .await
    };
    assert_eq!(step("pause").await.out, format!("{id}: paused\n"));
    let shown = site.run(&["operations", "show", id]).await;
    for words in [
        "paused: 0 of 3 handled, 0 failed again, 0 left alone",
        "3, all that were unresolved",
        "ada (key of oncall)",
        "(the partner is down)",
    ] {
        assert!(
            shown.out.contains(words),
            "{words} is not in:\n{}",
            shown.out
        );
    }
    assert_eq!(step("resume").await.out, format!("{id}: running\n"));
    assert_eq!(step("cancel").await.out, format!("{id}: cancelled\n"));
    step("pause")
        .await
        .failed(1, &["HTTP 409, illegal-transition"]);
    let history = site.service.history(&format!("operation#{id}")).await;
    let last: Value = serde_json::from_str(history[3].payload.json()).expect("JSON");
    assert_eq!(
        (&last["actor"], &last["key_owner"]),
        (&json!("grace"), &json!("oncall"))
    );
}

#[tokio::test]
async fn waiting_ends_when_the_operation_is_finished_and_says_whether_all_was_handled() {
    let site = Site::start().await;
    site.filled(3).await;
    let (child, id) = site.waiting().await;
    let counts = OperationOutcome {
        redriven: 3,
        handled: 3,
        ..OperationOutcome::default()
    };
    site.finish(id, counts).await;
    let done = ended(child).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.out.starts_with(&format!("{id}\n")), "{}", done.out);
    for words in [
        "running: 0 of 3 handled",
        "finished: 3 of 3 handled, 0 failed again, 0 left alone",
    ] {
        assert!(done.err.contains(words), "{words} is not in: {}", done.err);
    }
}

#[tokio::test]
async fn waiting_ends_when_the_operation_is_paused_and_names_the_ways_on() {
    let site = Site::start().await;
    site.filled(3).await;
    let (child, id) = site.waiting().await;
    let why = json!({ "reason": "it burns" });
    let path = format!("{OPERATIONS}/{id}/pause");
    let paused = site.service.post_by(&site.key, &path, "pause", &why).await;
    assert_eq!(paused.status, 200, "{paused:?}");
    let resting = ended(child).await;
    resting.failed(
        1,
        &[
            "is paused (it burns)",
            "operations resume",
            "operations cancel",
        ],
    );
}

#[tokio::test]
async fn ctrl_c_says_that_the_operation_goes_on_and_how_to_look_at_it() {
    let site = Site::start().await;
    site.filled(3).await;
    // The signal is listened to before the first look, and the server has had that.
    let (child, id) = site.waiting().await;
    let process = child.id().expect("it runs").to_string();
    let sent = Command::new("/bin/sh")
        .args(["-c", &format!("kill -INT {process}")])
        .status()
        .await;
    assert!(sent.expect("it runs").success());
    let interrupted = ended(child).await;
    interrupted.failed(
        1,
        &[
            "goes on without this command",
            &format!("millrace operations show {id} --watch"),
            &format!("millrace operations cancel {id}"),
        ],
    );
    assert_eq!(interrupted.out, format!("{id}\n"));
}

#[tokio::test]
async fn without_a_key_or_with_a_wrong_one_the_way_to_one_is_named() {
    let site = Site::start().await;
    let run = async |key: Option<&str>| {
        let mut command = site.command(&["letters", "list"]);
        command.env_remove("API_KEY");
        command.envs(key.map(|key| ("API_KEY", key)));
        Ended::of(&command.output().await.expect("it runs"))
    };
    let way = "millrace keys create --owner oncall --scopes letters:read,letters:write";
    let none = run(None).await;
    none.failed(2, &["no API key", way, "API_KEY"]);
    assert!(site.seen().is_empty());
    let wrong = run(Some("mr_nobody_secret")).await;
    wrong.failed(1, &["HTTP 401", way]);
    assert!(!wrong.err.contains("mr_nobody"), "{}", wrong.err);
    run(Some("a\nkey"))
        .await
        .failed(2, &["API_KEY has characters"]);
    let reader = site.service.key_of("reader", &["letters:write"]).await;
    run(Some(&reader))
        .await
        .failed(1, &["letters:read", "HTTP 403", way]);
}

#[tokio::test]
async fn an_api_that_is_gone_is_reported_in_plain_words() {
    let site = Site::start().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", gone.local_addr().expect("an address"));
    drop(gone);
    let ended = site.run(&["letters", "groups", "--api-url", &url]).await;
    let words = format!("no connection to {url}: nothing listens there (connection refused)");
    ended.failed(1, &[&words, "--api-url"]);
    assert!(site.seen().is_empty());
}

/// A checkout with files of `make up`. The folder is removed when this is dropped.
struct Checkout(PathBuf);

impl Checkout {
    fn new(name: &str, site: &Site, more: &str) -> Self {
        let name = format!("millrace letters {name} {}", std::process::id());
        let root = std::env::temp_dir().join(name);
        let local = root.join(".local");
        std::fs::create_dir_all(&local).expect("a folder");
        let resources = local.join("resources.json");
        std::fs::write(&resources, RESOURCES).expect("written");
        let env = format!(
            "export AWS_ENDPOINT_URL={}\nexport AWS_REGION=us-east-1\nexport AWS_ACCESS_KEY_ID=test\n\
             export AWS_SECRET_ACCESS_KEY=test\nexport STACK_NAME=millrace\nexport STACK_RESOURCES='{}'\n{more}\n",
            site.url,
            resources.display()
        );
        std::fs::write(local.join("env"), env).expect("written");
        Self(root)
    }

    async fn list(&self, site: &Site, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
        let mut command = site.command(&[&["letters", "list"], arguments].concat());
        command
            .env_remove("API_URL")
            .env_remove("API_KEY")
            .envs(variables.iter().copied())
            .current_dir(&self.0);
        Ended::of(&command.output().await.expect("it runs"))
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

#[tokio::test]
async fn the_api_and_its_key_are_found_by_the_file_of_make_up_or_by_the_stack_s_resources() {
    let site = Site::start().await;
    let more = format!("export API_URL={}\nexport API_KEY={}", site.url, site.key);
    let with_api = Checkout::new("file", &site, &more);
    let found = with_api.list(&site, &[], &[]).await;
    assert_eq!(found.code, Some(0), "{found:?}");
    assert_eq!(
        found.err,
        "millrace: using the stack millrace of .local/env\n"
    );
    // A folder on the command line outranks the environment, its key too.
    let sourced = [
        ("API_URL", "http://127.0.0.1:1"),
        ("API_KEY", "mr_other_key"),
    ];
    let found = with_api.list(&site, &["--local", ".local"], &sourced).await;
    assert_eq!((found.code, found.err.as_str()), (Some(0), ""), "{found:?}");

    // The file's key is for the file's stack alone.
    let elsewhere = with_api.list(&site, &["--api-url", &site.url], &[]).await;
    elsewhere.failed(2, &["no API key"]);

    let without = Checkout::new("resources", &site, &format!("export API_KEY={}", site.key));
    let found = without.list(&site, &[], &[]).await;
    assert_eq!(found.code, Some(0), "{found:?}");
    let variables = [
        ("AWS_ENDPOINT_URL", site.url.as_str()),
        ("AWS_REGION", "us-east-1"),
        ("STACK_RESOURCES", ".local/resources.json"),
        ("API_KEY", site.key.as_str()),
    ];
    let found = without.list(&site, &[], &variables).await;
    assert_eq!((found.code, found.err.as_str()), (Some(0), ""), "{found:?}");
}

#[tokio::test]
async fn a_replay_is_previewed_begun_once_and_shown_as_an_operation() {
    let site = Site::start().await;
    let chosen = [
        "replay",
        "--consumer",
        "analytics",
        "--type",
        "cloud.minted",
        "--reason",
        "it is new",
        "--rate",
        "5",
    ];
    site.run(&chosen).await.failed(2, &["no terminal", "--yes"]);
    let dry = site.run(&[&chosen[..], &["--dry-run"]].concat()).await;
    assert_eq!((dry.code, dry.err.as_str()), (Some(0), ""), "{dry:?}");
    let words = "replay to analytics: an unknown number of events";
    assert!(dry.out.starts_with(words), "{}", dry.out);
    assert!(site.begun().is_empty());

    site.traffic().to_lose = 1;
    let begun = site
        .run(&[&chosen[..], &["--yes", "--json"]].concat())
        .await;
    assert_eq!(begun.code, Some(0), "{begun:?}");
    let [first, second] = site.begun().try_into().expect("a call and its repeat");
    let key = |seen: &Seen| seen.header("idempotency-key").to_owned();
    assert_eq!(key(&first), key(&second));
    assert_eq!(first.body["event_types"], json!(["cloud.minted"]));
    let answer = begun.json();
    let id = answer["operation_id"].as_str().expect("an id").to_owned();
    let shown = site.run(&["operations", "show", &id]).await;
    for words in [
        "replay",
        "0 sent, 0 passed over",
        "to analytics, cloud.minted",
    ] {
        assert!(shown.out.contains(words), "{words} is not in {}", shown.out);
    }

    let unknown = [
        "replay",
        "--consumer",
        "analytic",
        "--to",
        "2026-01-01",
        "--reason",
        "r",
        "--yes",
    ];
    let unknown = site.run(&unknown).await;
    unknown.failed(1, &["/consumer", "did you mean analytics?"]);
}
