//! What a deployed stack costs while nothing happens: the table of infra/docs/idle-costs.md, computed from the rendered
//! templates.

use std::collections::BTreeMap;

use serde_json::Value;
use topology::{Deployment, HEARTBEAT_ARRIVAL};

use super::{
    checks::seconds_of,
    cloudwatch::Alarm,
    model::{Model, resources},
};

// List prices of us-east-1, in billionths of a US dollar, read 2026-11-29; COSTS.md has those of DynamoDB.

/// <https://aws.amazon.com/sqs/pricing/>: a request.
const REQUEST: i64 = 400;
/// <https://aws.amazon.com/cloudwatch/pricing/>: a month of an alarm's metric, of a dashboard and of a custom metric. A
/// dashboard is free only with at most 50 metrics; this one has more. An alarm on what is usual is charged for three
/// metrics: the measured one and two bounds.
const ALARM_METRIC: i64 = 100_000_000;
const DASHBOARD: i64 = 3_000_000_000;
const CUSTOM_METRIC: i64 = 300_000_000;
/// <https://aws.amazon.com/kms/pricing/>: a month of a key.
const KEY: i64 = 1_000_000_000;
/// <https://aws.amazon.com/secrets-manager/pricing/>: a month of a secret.
const SECRET: i64 = 400_000_000;
/// <https://aws.amazon.com/dynamodb/pricing/on-demand/>: a write unit and a read unit.
const WRITE_UNIT: i64 = 625;
const READ_UNIT: i64 = 125;
/// <https://aws.amazon.com/lambda/pricing/>: an invocation of 0.1 s with 256 MB.
const INVOCATION: i64 = 200 + 417;

// What an account has free each month for ever: the same pages.

const FREE_REQUESTS: i64 = 1_000_000;
const FREE_ALARM_METRICS: i64 = 10;
const FREE_CUSTOM_METRICS: i64 = 10;
const FREE_INVOCATIONS: i64 = 1_000_000;

/// A month has 30 days.
const MONTH_SECONDS: i64 = 30 * 24 * 60 * 60;
/// Lambda polls a queue with five pollers, each by long polls of 20 s
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>, read 2026-11-29).
const POLLERS: i64 = 5;
const POLL_SECONDS: i64 = 20;
/// The write and read units of a run that finds nothing to do, of each job that looks before it takes the lease.
const LOOKING_RUNS: [(&str, (i64, i64)); 6] = [
    ("cloud-chain-worker", (0, 5)),
    ("operator-worker", (0, 3)),
    ("notifications-sender", (0, 3)),
    ("webhook-sender", (0, 2)),
    ("commerce-cart-worker", (0, 3)),
    ("commerce-order-timer", (0, 4)),
];
/// The same of any other job, which takes the lease, looks, and gives it back: those of `cloud-reconcile`, and no less than
/// those of a heartbeat.
const OTHER_RUN: (i64, i64) = (12, 9);
/// The series that the heartbeat keeps alive: published, its lag and its latency by domain; published of the relay; handled
/// and its time by each of its three consumers, `heartbeat-arrival` and those of every event, `analytics` and `event-feed`.
const SERIES_OF_HEARTBEAT: i64 = 10;

/// The most that an idle stack may cost, in dollars, in an account that uses its free allowances for it.
const GOALS: [(&str, i64); 2] = [("essential", 5), ("full", 25)];

/// What a profile costs beyond its goal, in cents: a goal that is not met yet, and must not be missed by more. The
/// dead-letter queue, which a function drains, came on top, and a cent for the sender of webhooks. The goals were set for four domains. With
/// commerce came six lanes that Lambda polls, two jobs, the alarms on them, and the metrics of the latency of its events.
const MISSED: [(&str, i64); 2] = [("essential", 187), ("full", 867)];

/// The profiles, and the conditions that hold in each.
const PROFILES: [(&str, &[&str]); 3] = [
    ("none", &[]),
    ("essential", &["RaisesEssential"]),
    ("full", &["RaisesEssential", "RaisesAll"]),
];

/// A line of the table: what it is, the quantity, and its price and allowance in each profile.
struct Line {
    what: String,
    quantities: [i64; 3],
    price: i64,
    free: i64,
}

fn lines(model: &Model, deployment: &Deployment) -> Vec<Line> {
    let count = |number: usize| i64::try_from(number).unwrap();
    let in_each = |quantity: i64| [quantity; 3];
    let queues = count(model.drained().len());
    let scheduled = |job: &topology::Job| {
        let period = job.schedule.default.and_then(seconds_of).unwrap();
        job.only_with.is_none().then_some(MONTH_SECONDS / period)
    };
    let runs_of = |is_meant: &dyn Fn(&str) -> bool| -> i64 {
        let functions = deployment.functions().iter();
        let jobs = functions.filter(|one| is_meant(one.name));
        jobs.filter_map(|one| one.job().and_then(scheduled)).sum()
    };
    let looks = |name: &str| LOOKING_RUNS.iter().any(|(one, _)| *one == name);
    let all_runs = runs_of(&|_| true);
    let alarmed = |profile: usize| {
        let holds = |id: &str| {
            let condition = &model.aws_only["Resources"][id]["Condition"];
            PROFILES[profile].1.iter().any(|one| condition == one)
        };
        let alarms =
            resources(&model.aws_only, "AWS::CloudWatch::Alarm").filter(|(id, _)| holds(id));
        let charged =
            alarms.map(|(_, properties): (_, &Value)| Alarm::read(properties).unwrap().charged);
        count(charged.sum())
    };
    let beats = deployment
        .functions()
        .iter()
        .any(|one| one.name == HEARTBEAT_ARRIVAL);
    let line = |what: &str, quantities, price, free| Line {
        what: what.to_owned(),
        quantities,
        price,
        free,
    };
    let runs = |what: &str, (writes, reads): (i64, i64), quantity: i64| {
        line(
            &format!(
                "runs of {what} with nothing to do, DynamoDB ({writes} write and {reads} read units each)"
            ),
            in_each(quantity),
            writes * WRITE_UNIT + reads * READ_UNIT,
            0,
        )
    };
    let mut lines = vec![
        line(
            &format!(
                "requests of {POLLERS} pollers to each of {queues} queues, every {POLL_SECONDS} s"
            ),
            in_each(queues * POLLERS * MONTH_SECONDS / POLL_SECONDS),
            REQUEST,
            FREE_REQUESTS,
        ),
        line(
            "keys: the audit log's",
            in_each(count(resources(&model.main, "AWS::KMS::Key").count())),
            KEY,
            0,
        ),
        line(
            "secrets: the stream tokens'",
            in_each(count(
                resources(&model.main, "AWS::SecretsManager::Secret").count(),
            )),
            SECRET,
            0,
        ),
        line(
            "custom metrics of the heartbeat",
            in_each(if beats { SERIES_OF_HEARTBEAT } else { 0 }),
            CUSTOM_METRIC,
            FREE_CUSTOM_METRICS,
        ),
        line(
            "metrics of alarms",
            [0, 1, 2].map(alarmed),
            ALARM_METRIC,
            FREE_ALARM_METRICS,
        ),
        line("dashboard", [0, 0, 1], DASHBOARD, 0),
        runs("other jobs", OTHER_RUN, runs_of(&|name| !looks(name))),
        line(
            "all these runs, Lambda",
            in_each(all_runs),
            INVOCATION,
            FREE_INVOCATIONS,
        ),
    ];
    for (name, units) in LOOKING_RUNS {
        let quantity = runs_of(&|one| one == name);
        if quantity > 0 {
            lines.push(runs(&format!("`{name}`"), units, quantity));
        }
    }
    lines
}

/// The sums in each profile: by the list, and less what is free.
fn sums(lines: &[Line]) -> [[i64; 3]; 2] {
    let sum = |free: bool| {
        [0, 1, 2].map(|profile| {
            let of_line = |line: &Line| {
                let quantity = line.quantities[profile] - if free { line.free } else { 0 };
                quantity.max(0) * line.price
            };
            lines.iter().map(of_line).sum()
        })
    };
    [sum(false), sum(true)]
}

fn dollars(billionths: i64) -> String {
    let cents = (billionths + 5_000_000) / 10_000_000;
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn table(lines: &[Line]) -> String {
    let mut table =
        "| a month of | quantity | `none` | `essential` | `full` |\n|---|---|---|---|---|\n"
            .to_owned();
    for line in lines {
        let prices = line
            .quantities
            .map(|quantity| dollars(quantity * line.price));
        let quantity = match line.quantities {
            [one, two, three] if one == two && two == three => one.to_string(),
            all => all.map(|one| one.to_string()).join(", "),
        };
        table.push_str(&format!(
            "| {} | {quantity} | {} |\n",
            line.what,
            prices.join(" | ")
        ));
    }
    let names = ["**list prices**", "**less what is free in every account**"];
    for (name, sums) in names.into_iter().zip(sums(lines)) {
        let sums = sums.map(|sum| format!("**{}**", dollars(sum)));
        table.push_str(&format!("| {name} | | {} |\n", sums.join(" | ")));
    }
    table
}

/// The domains that Millrace ships with. A domain that somebody adds has its own price, and the page does not state it.
const SHIPPED: [&str; 5] = ["cloud", "wallet", "loan", "settlement", "commerce"];

fn lines_of_shipped() -> Vec<Line> {
    let deployment = Deployment::of(SHIPPED).unwrap();
    let rendered = template::render(&deployment).unwrap();
    let model = Model::of(&deployment, &rendered.main, &rendered.aws_only);
    lines(&model, &deployment)
}

const BEGIN: &str = "<!-- COMPUTED by `make check-wiring` from the rendered templates -->\n";
const END: &str = "<!-- end of what is computed -->\n";

#[test]
fn the_document_states_what_an_idle_stack_costs() {
    let document = include_str!("../../../../docs/idle-costs.md");
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let table = table(&lines_of_shipped());
    expect_test::expect_file!["../../../../docs/idle-costs.md"]
        .assert_eq(&format!("{before}{BEGIN}{table}{END}{after}"));
}

#[test]
fn an_idle_stack_costs_no_more_than_its_goal() {
    let [_, sums] = sums(&lines_of_shipped());
    let sums: BTreeMap<&str, i64> = PROFILES.iter().map(|(name, _)| *name).zip(sums).collect();
    for (profile, goal) in GOALS {
        let sum = sums[profile];
        let missed = MISSED.iter().find(|(name, _)| *name == profile);
        let beyond = missed.map_or(0, |(_, cents)| cents * 10_000_000);
        assert!(
            sum <= goal * 1_000_000_000 + beyond,
            "{profile}: {} of {goal} dollars",
            dollars(sum)
        );
    }
}

/// The rows of COSTS.md from which the units of an idle run are.
#[test]
fn an_idle_run_costs_what_is_counted() {
    let costs = include_str!("../../../../../COSTS.md");
    let other = ("cloud-reconcile", "a run with nobody to compare", OTHER_RUN);
    let looking = LOOKING_RUNS.map(|(name, units)| (name, "a run with nothing to do", units));
    for (name, step, (writes, reads)) in looking.into_iter().chain([other]) {
        let row = format!("| `{name}`: {step} | {writes} | {reads} |");
        assert!(costs.contains(&row), "{row}");
    }
}
