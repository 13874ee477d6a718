//! The parameters of a deployment are checked before anything is installed, built or started. These tests call the
//! programs of the verbs as the Makefile calls them.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test must panic when it cannot start the program it checks"
)]

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
    time::{Duration, Instant},
};

/// The time that Python may take to refuse on a machine that runs all other tests at the same time. Starting nothing
/// takes it 0.2 s.
const AT_MOST: Duration = Duration::from_secs(10);

static ROOT: LazyLock<PathBuf> = LazyLock::new(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));

/// The first Python that is new enough, found as the Makefile finds it.
static PYTHON: LazyLock<&str> = LazyLock::new(|| {
    let is_new_enough = |python: &&str| {
        Command::new(python)
            .args(["-c", "import sys; sys.exit(sys.version_info < (3, 11))"])
            .status()
            .is_ok_and(|status| status.success())
    };
    let known = [
        "python3",
        "python3.13",
        "python3.12",
        "python3.11",
        "python3.14",
    ];
    let mut known = known.into_iter();
    known
        .find(is_new_enough)
        .unwrap_or_else(|| panic!("there is no Python 3.11 or newer"))
});

/// Whether a program succeeded, and its output.
fn said(program: &str, arguments: &[&str]) -> (bool, String) {
    let begun = Instant::now();
    let done = Command::new(*PYTHON)
        .arg(ROOT.join("infra/local").join(program))
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // `make test` sets this for its local AWS, and `deploy` refuses to run with it.
        .env_remove("AWS_ENDPOINT_URL")
        .output()
        .unwrap();
    let took = begun.elapsed();
    assert!(took < AT_MOST, "{program} {arguments:?} took {took:?}");
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    (done.status.success(), said.into_owned())
}

#[track_caller]
fn refused(program: &str, arguments: &[&str], because: &[&str]) {
    let (ended_well, said) = said(program, arguments);
    assert!(!ended_well, "{arguments:?} is not refused: {said}");
    for words in because {
        assert!(
            said.contains(words),
            "{arguments:?}: no {words:?} in {said}"
        );
    }
}

/// Parameters that cannot be deployed, and words that the refusal must contain.
const WRONG: [(&str, &[&str]); 10] = [
    (
        "MailPerSecond=5",
        &["MailPerSecond", "MailsPerSecond", "from 1 to 1000"],
    ),
    ("RETRY_DELAYS_SECONDS=5", &["is RetryDelaysSeconds meant"]),
    (
        "Nonsense=1",
        &["Nonsense: the template has no such parameter"],
    ),
    (
        "MailsPerSecond=5000",
        &["MailsPerSecond=5000", "from 1 to 1000"],
    ),
    ("MailsPerSecond=0.5", &["a whole number from 1 to 1000"]),
    (
        "RetryDelaysSeconds=10,43201",
        &["whole seconds, each 0 to 43200"],
    ),
    ("LogRetentionDays=31", &["one of 1, 3, 5"]),
    ("CloudUsdRate=10000.01", &["above 0, at most 10000"]),
    ("LogLevel:debug", &["NAME=VALUE", "LogLevel=…"]),
    ("=debug", &["NAME=VALUE"]),
];

#[test]
fn wrong_parameters_are_refused_before_anything_is_built_or_started() {
    let folder = std::env::temp_dir().join(format!("millrace-refused-{}", std::process::id()));
    let local = folder.to_str().unwrap();
    for (wrong, because) in WRONG {
        let given = format!("--param={wrong}");
        refused("local_aws.py", &["up", "--local", local, &given], because);
        refused("release.py", &["check", &given], because);
    }
    let run = ["run", "--local", local, "--param=LaneMaximumConcurrency=1"];
    refused("local_aws.py", &run, &["from 2 to 1000"]);
    let with = ["with", "--local", local, "--stack", "a_b", "--", "true"];
    refused("local_aws.py", &with, &["STACK=a_b"]);
    let alarms = ["up", "--local", local, "--param=WarningTopicArn="];
    refused("local_aws.py", &alarms, &["infra/aws-only.yaml"]);
    assert!(!folder.exists(), "something was created in {local}");
}

#[test]
fn a_secret_is_not_repeated() {
    let secret = "--param=ChainRpcUrl=https://ada:password@node.example";
    let (ended_well, said) = said("release.py", &["check", secret]);
    assert!(!ended_well && said.contains("ChainRpcUrl: must be an http or https URL"));
    assert!(!said.contains("password@"), "{said}");
}

#[test]
fn what_deploy_is_given_is_refused_by_name() {
    let long = "s".repeat(topology::STACK_NAME_AT_MOST + 1);
    for stack in ["1st", "mill_race", "mill race", "", long.as_str()] {
        refused("release.py", &["check", "--stack", stack], &["STACK="]);
    }
    let of_compiler = ["deploy", "--param=Architecture=arm64"];
    refused("release.py", &of_compiler, &["Architecture", "ARCH"]);
    for (wrong, because) in [
        ("AlarmProfile=some", "one of none, essential, full"),
        ("AlarmEmail=nobody", "an e-mail address, or nothing"),
    ] {
        let given = format!("--param={wrong}");
        refused("release.py", &["check", &given], &[because]);
    }
    refused("benchmarks.py", &["consumr"], &["did you mean consumer?"]);
}

#[test]
fn what_can_be_deployed_is_not_refused() {
    let longest = "s".repeat(topology::STACK_NAME_AT_MOST);
    // One argument of several words, as make passes them on.
    let given = [
        "check",
        "--stack",
        &longest,
        "--param=ReconcileSchedule=cron(0",
        "--param=3",
        "--param=*",
        "--param=*",
        "--param=?",
        "--param=*)",
        "--param=RevenueShares=0:1,30:5,90:10.5,365:100",
        "--param=WarningTopicArn=arn:aws:sns:eu-central-1:123456789012:warnings",
        "--param=AlarmEmail=oncall@your.domain",
        "--param=AlarmProfile=essential",
        "--param=CorsOrigins=https://app.example,http://localhost:5173",
        "--param=LogLevel=info,outbox=debug",
    ];
    assert_eq!(said("release.py", &given), (true, String::new()));
}
