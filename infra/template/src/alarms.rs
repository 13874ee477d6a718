//! Renders `infra/aws-only.yaml`: the alarms, their topic and the dashboard. infra/adr/0039-alarms.md says why each alarm
//! can be raised, and why by this measure; infra/docs/runbook.md what to do about it. The same dashboard for Grafana is
//! `infra/grafana-dashboard.json`.

mod dashboard;
mod grafana;
mod measure;
mod text;

use std::collections::BTreeSet;

use askama::Template;
use events::Priority;
use topology::{
    DEAD_LETTERS, Deployment, EXPRESS, Function, HEARTBEAT, HEARTBEAT_ARRIVAL, Job, Kind, Lane,
    Need, parameters, pascal,
};

use crate::{parameter, yaml::wrapped};

use dashboard::Widget;
use measure::{
    AGE, IN_FLIGHT, MAXIMUM, MINIMUM, Measure, Metric, P95, SAMPLES, SUM, WAITING, of_function,
    of_mail, of_ours, of_queue, of_rule,
};

/// The objectives of `DeliveryLatency`, p95 in milliseconds. Priority low has none.
pub(crate) const OBJECTIVES: [(Priority, u32); 3] = [
    (Priority::Critical, 1_000),
    (Priority::High, 5_000),
    (Priority::Normal, 30_000),
];

/// The longest time that a record can wait for a dependency, in seconds: the default of `UnavailableMaxAgeSeconds`. A
/// message that was not received for so long waits for something else.
const STUCK_SECONDS: u32 = 6 * 60 * 60;

/// The hours after which a job that did not run raises its alarm. Its schedule starts it at least once a day.
const SILENT_HOURS: u32 = 26;

/// The rates at which SES begins to review an account
/// (<https://docs.aws.amazon.com/ses/latest/DeveloperGuide/reputationdashboard-cloudwatch-alarm.html>, read 2026-11-29):
/// of mails that bounced, and of mails that recipients complained about.
const BOUNCE_RATE: f64 = 0.05;
const COMPLAINT_RATE: f64 = 0.001;

/// The events published in five minutes, as far as their number says something: fewer than 100 count as none. Else a
/// stack on which somebody tries a few calls would be unlike its own silence.
const PUBLISHED: &str = "IF(FILL(published, 0) < 100, 0, published)";

/// How many standard deviations the publish rate may be off what is usual. With CloudWatch's default of two, one value in
/// twenty of a rate that only varies would be off.
const USUAL_DEVIATIONS: u32 = 3;

const MINUTE: u32 = 60;
const FIVE_MINUTES: u32 = 5 * MINUTE;
const HOUR: u32 = 60 * MINUTE;

/// The age of a message in the dead-letter queue, in seconds, beyond which it is not being drained. A drained one is
/// there for seconds.
const UNDRAINED_SECONDS: u32 = 15 * MINUTE;

/// The dashboard for Grafana, as JSON.
///
/// # Errors
/// No error is known: the values are only texts and numbers.
pub(crate) fn render_for_grafana(deployment: &Deployment) -> Result<String, serde_json::Error> {
    let dashboard = grafana::dashboard(&dashboard::widgets(deployment));
    Ok(serde_json::to_string_pretty(&dashboard)? + "\n")
}

pub(crate) fn render(deployment: &Deployment) -> Result<String, askama::Error> {
    let mut sections: Vec<Section> = vec![of_whole_path(deployment), of_queries()];
    sections.extend(
        deployment
            .lanes()
            .into_iter()
            .map(|(function, lane)| of_lane(function, lane)),
    );
    sections.push(of_letters(deployment));
    sections.push(of_draining(deployment));
    sections.push(of_latency(deployment));
    sections.push(of_relay(deployment));
    sections.push(of_functions(deployment));
    sections.push(of_throttles());
    sections.push(of_jobs(deployment));
    sections.push(of_mails(deployment));
    sections.push(of_front());
    sections.retain(|section| !section.alarms.is_empty());
    let text = AwsOnly {
        parameters: parameter::texts(parameters::OF_ALARMS),
        conditions: parameter::conditions(parameters::OF_ALARMS),
        sections,
        told: deployment
            .functions()
            .iter()
            .flat_map(|function| function.tells)
            .copied()
            .collect(),
        widgets: dashboard::widgets(deployment),
    }
    .render()?;
    Ok(text + "\n")
}

#[derive(Template)]
#[template(path = "aws_only.yaml", escape = "none")]
struct AwsOnly {
    parameters: Vec<parameter::Text>,
    conditions: Vec<parameter::Condition>,
    sections: Vec<Section>,
    /// The types of events that the topic of the warnings is sent.
    told: Vec<&'static str>,
    widgets: Vec<Widget>,
}

struct Section {
    title: String,
    alarms: Vec<Alarm>,
}

/// An alarm: it is raised while its measure is beyond a threshold.
struct Alarm {
    id: String,
    name: String,
    text: String,
    /// Its section in infra/docs/runbook.md. Alarms that differ in the lane or function alone share one.
    runbook: String,
    severity: &'static str,
    /// The condition under which the alarm exists: the profiles that have it.
    condition: &'static str,
    measure: Measure,
    /// How many of the last periods must be beyond the threshold, and of how many.
    periods: (u32, u32),
    comparison: &'static str,
    threshold: Threshold,
    missing: &'static str,
}

/// What a measure is compared with.
#[derive(Clone, Copy)]
enum Threshold {
    Value(f64),
    /// The band of what is usual, so many standard deviations wide. CloudWatch learns it from the last two weeks
    /// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Anomaly_Detection.html>, read
    /// 2026-11-29). Only a [`Measure::Math`] can be compared with it here.
    Usual(u32),
}

const WARNING: &str = "Warning";
const CRITICAL: &str = "Critical";

impl Alarm {
    /// An alarm of the profile `full` that one period above zero raises. A period without data raises nothing.
    fn new(
        id: String,
        name: String,
        severity: &'static str,
        measure: impl Into<Measure>,
        text: impl Into<String>,
    ) -> Self {
        Self {
            id,
            runbook: name.clone(),
            name,
            text: text.into(),
            severity,
            condition: "RaisesAll",
            measure: measure.into(),
            periods: (1, 1),
            comparison: "GreaterThanThreshold",
            threshold: Threshold::Value(0.0),
            missing: "notBreaching",
        }
    }

    /// Also in the profile `essential`.
    fn essential(mut self) -> Self {
        self.condition = "RaisesEssential";
        self
    }

    /// Explained in this section of the runbook, with other alarms. Else in the section of its own name.
    fn explained_in(mut self, section: &str) -> Self {
        section.clone_into(&mut self.runbook);
        self
    }

    fn above(mut self, threshold: impl Into<f64>) -> Self {
        self.threshold = Threshold::Value(threshold.into());
        self
    }

    /// Raised by what is above or below the usual by more than so many standard deviations.
    fn unusual_by(mut self, deviations: u32) -> Self {
        self.comparison = "LessThanLowerOrGreaterThanUpperThreshold";
        self.threshold = Threshold::Usual(deviations);
        self
    }

    /// Raised by `most` periods beyond the threshold among the last `of`.
    fn in_periods(mut self, most: u32, of: u32) -> Self {
        self.periods = (most, of);
        self
    }

    /// Raised when there is less than one; a period without data is such a period.
    fn when_absent(mut self) -> Self {
        self.comparison = "LessThanThreshold";
        self.threshold = Threshold::Value(1.0);
        self.missing = "breaching";
        self
    }

    fn lines(&self) -> Vec<String> {
        wrapped(&format!("{} Runbook: {}", self.text, self.runbook), 8)
    }

    fn value(&self) -> Option<f64> {
        match self.threshold {
            Threshold::Value(value) => Some(value),
            Threshold::Usual(_) => None,
        }
    }

    /// The width of the band of what is usual.
    fn deviations(&self) -> Option<u32> {
        match self.threshold {
            Threshold::Value(_) => None,
            Threshold::Usual(deviations) => Some(deviations),
        }
    }

    /// How many of the periods must be beyond the threshold, unless all must.
    fn datapoints(&self) -> Option<u32> {
        (self.periods.0 != self.periods.1).then_some(self.periods.0)
    }
}

/// The heartbeat. An alarm on any single hop is silent when the hop before it passes nothing on: the metrics of a
/// function that is not invoked do not exist. This alarm needs no metric to be there.
fn of_whole_path(deployment: &Deployment) -> Section {
    let arrival = deployment
        .functions()
        .iter()
        .find(|one| one.name == HEARTBEAT_ARRIVAL);
    let alarm = |function: &&'static Function| {
        let arrived = of_ours(
            "EventHandlerSuccess",
            [("consumer", function.name.to_owned())],
            SUM,
            FIVE_MINUTES,
        );
        Alarm::new(
            "HeartbeatMissing".to_owned(),
            "heartbeat-missing".to_owned(),
            CRITICAL,
            // CloudWatch looks for the last values beyond the periods; filled with zeros, 15 minutes are 15 minutes.
            Measure::math("FILL(arrived, 0)", [("arrived", arrived)]),
            text::HEARTBEAT_MISSING,
        )
        .essential()
        .in_periods(3, 3)
        .when_absent()
    };
    Section {
        title: "The whole path: commit, event log, stream, relay, bus, rule, lane, handler"
            .to_owned(),
        alarms: arrival.map(alarm).into_iter().collect(),
    }
}

/// The hop from the bus to the lanes, and every consumer in one alarm. A query finds the metrics of every rule and every
/// consumer, of those that exist and of those that will be added. These metrics exist only while something fails, and a
/// query is charged by the metrics that it finds.
fn of_queries() -> Section {
    let alarm = |id: &str, name: &str, severity, measure, text: &str| {
        Alarm::new(id.to_owned(), name.to_owned(), severity, measure, text).essential()
    };
    Section {
        title: "From the bus to the lanes, and all consumers together".to_owned(),
        alarms: vec![
            alarm(
                "BusFailedInvocations",
                "bus-failed-invocations",
                CRITICAL,
                Measure::of_every_rule("FailedInvocations", FIVE_MINUTES),
                text::BUS_FAILED,
            ),
            alarm(
                "BusLostEvents",
                "bus-lost-events",
                CRITICAL,
                Measure::of_every_rule("InvocationsFailedToBeSentToDlq", FIVE_MINUTES),
                text::BUS_LOST,
            ),
            alarm(
                "Parked",
                "parked",
                WARNING,
                Measure::of_every_consumer("EventParked", HOUR),
                text::PARKED,
            )
            .above(10),
        ],
    }
}

fn of_lane(function: &'static Function, lane: Lane) -> Section {
    let (id, consumer) = (lane.logical_id(function), function.name);
    let queue = lane.queue();
    let is_express = lane.name == EXPRESS;
    // An express lane may be one minute behind, a standard lane five.
    let (oldest, severity) = if is_express {
        (60, CRITICAL)
    } else {
        (300, WARNING)
    };
    let alarm = |suffix: &str, name: &str, severity, measure: Measure, text: String| {
        Alarm::new(
            format!("{id}{suffix}"),
            format!("{queue}-{name}"),
            severity,
            measure,
            text,
        )
    };
    let waiting = || of_queue(&queue, WAITING, MAXIMUM, MINUTE).into();
    let age = |period| of_queue(&queue, AGE, MAXIMUM, period).into();
    let mut alarms = vec![
        alarm(
            "DepthWarning",
            "depth-warning",
            WARNING,
            waiting(),
            text::depth_warning(consumer),
        )
        .above(1_000)
        .in_periods(3, 3)
        .explained_in("lane-depth"),
        alarm(
            "DepthCritical",
            "depth-critical",
            CRITICAL,
            waiting(),
            text::depth_critical(consumer),
        )
        .above(10_000)
        .in_periods(3, 3)
        .explained_in("lane-depth"),
        alarm(
            "InFlight",
            "in-flight",
            CRITICAL,
            of_queue(&queue, IN_FLIGHT, MAXIMUM, MINUTE).into(),
            text::in_flight(consumer),
        )
        .above(60_000)
        .explained_in("lane-in-flight"),
        alarm(
            "Oldest",
            "oldest",
            severity,
            age(MINUTE),
            text::oldest(consumer, oldest),
        )
        .above(oldest)
        .in_periods(5, 5)
        .explained_in("lane-oldest"),
    ];
    // The oldest message of an express lane is critical after a minute.
    if !is_express {
        let stuck = alarm(
            "Stuck",
            "stuck",
            CRITICAL,
            age(FIVE_MINUTES),
            text::stuck(consumer),
        );
        alarms.push(stuck.above(STUCK_SECONDS).explained_in("lane-stuck"));
    }
    Section {
        title: format!("{consumer}, {} lane", lane.name),
        alarms,
    }
}

/// The dead letters of each consumer: the rows that are not resolved, which a job counts once a minute.
fn of_letters(deployment: &Deployment) -> Section {
    let of_consumer = |function: &&'static Function| {
        let alarm = |suffix: &str, name: &str, severity, text: String| {
            let consumer = [("consumer", function.name.to_owned())];
            Alarm::new(
                format!("{}Letters{suffix}", function.pascal()),
                format!("{}-letters-{name}", function.name),
                severity,
                of_ours("DeadLettersOpen", consumer, MAXIMUM, FIVE_MINUTES),
                text,
            )
            .explained_in("letters")
        };
        let name = function.name;
        [
            alarm("Warning", "warning", WARNING, text::letters_warning(name)).above(10),
            alarm(
                "Critical",
                "critical",
                CRITICAL,
                text::letters_critical(name),
            )
            .above(100),
            // An hour: without dead letters there are no values, so that one period of an hour could end with its first
            // minute.
            alarm(
                "Unhandled",
                "unhandled",
                WARNING,
                text::letters_unhandled(name),
            )
            .in_periods(12, 12),
        ]
    };
    let consumers = deployment.functions().iter();
    Section {
        title: "Dead letters, by consumer".to_owned(),
        alarms: consumers
            .filter(|one| one.consumer().is_some())
            .flat_map(of_consumer)
            .collect(),
    }
}

/// The function that makes rows of the dead-letter queue's messages. While it does not, no other alarm sees a dead letter.
fn of_draining(deployment: &Deployment) -> Section {
    let mut functions = deployment.functions().iter();
    let drainer = functions.find(|one| matches!(one.kind, Kind::DeadLetters));
    let alarms = |function: &&'static Function| {
        let alarm = |suffix: &str, name: &str, severity, measure: Metric, text: &str| {
            Alarm::new(
                format!("{}{suffix}", function.pascal()),
                format!("{}-{name}", function.name),
                severity,
                measure,
                text,
            )
        };
        let queue = |metric, statistic, period| of_queue(DEAD_LETTERS, metric, statistic, period);
        [
            alarm(
                "Undrained",
                "undrained",
                CRITICAL,
                queue(AGE, MAXIMUM, MINUTE),
                text::UNDRAINED,
            )
            .above(UNDRAINED_SECONDS)
            .in_periods(5, 5)
            .essential(),
            // The age leaves a message out from its third receive on. One that the drainer fails to store is hidden nearly
            // all the time until it is received again.
            alarm(
                "Unstored",
                "unstored",
                WARNING,
                queue(IN_FLIGHT, MINIMUM, FIVE_MINUTES),
                text::UNSTORED,
            )
            .in_periods(6, 6)
            .essential(),
        ]
    };
    Section {
        title: "The dead-letter queue and its drainer".to_owned(),
        alarms: drainer.into_iter().flat_map(alarms).collect(),
    }
}

fn of_latency(deployment: &Deployment) -> Section {
    let pairs: BTreeSet<(&str, Priority)> = deployment
        .contracts()
        .iter()
        .map(|contract| {
            let domain = contract.event_type.split('.').next().unwrap_or_default();
            (domain, contract.priority)
        })
        .collect();
    let alarms = pairs
        .into_iter()
        .filter_map(|(domain, priority)| {
            let (_, objective) = OBJECTIVES.into_iter().find(|(one, _)| *one == priority)?;
            let name = priority.as_str();
            let latency = |statistic| {
                let dimensions = [("domain", domain.to_owned()), ("priority", name.to_owned())];
                of_ours("DeliveryLatency", dimensions, statistic, FIVE_MINUTES)
            };
            let (severity, measure): (_, Measure) = if priority == Priority::Critical {
                // An event that comes once in a while meets functions that start first, which can take a second.
                let math = "IF(events >= 5, p95, p95 / 10)";
                let both = [("p95", latency(P95)), ("events", latency(SAMPLES))];
                (CRITICAL, Measure::math(math, both))
            } else {
                (WARNING, latency(P95).into())
            };
            let id = format!("{}{}Latency", pascal(domain), pascal(name));
            let full_name = format!("{domain}-{name}-latency");
            let text = text::latency(domain, priority, objective);
            let alarm = Alarm::new(id, full_name, severity, measure, text).above(objective);
            Some(alarm.explained_in("latency"))
        })
        .collect();
    Section {
        title: "From commit to handler start, p95 over five minutes, per domain and priority of the contracts (low has no objective)"
            .to_owned(),
        alarms,
    }
}

fn of_relay(deployment: &Deployment) -> Section {
    let relays = deployment
        .functions()
        .iter()
        .filter(|function| matches!(function.kind, Kind::Relay));
    let alarms = relays
        .flat_map(|function| {
            let alarm = |suffix: &str, name: &str, severity, measure: Metric, text: &str| {
                Alarm::new(
                    format!("{}{suffix}", function.pascal()),
                    format!("{}-{name}", function.name),
                    severity,
                    measure,
                    text,
                )
            };
            let age = || of_function(function, "IteratorAge", MAXIMUM, MINUTE);
            let consumer = || [("consumer", function.name.to_owned())];
            let published = of_ours("EventPublished", consumer(), SUM, FIVE_MINUTES);
            [
                alarm(
                    "AgeWarning",
                    "age-warning",
                    WARNING,
                    age(),
                    text::RELAY_BEHIND,
                )
                .above(60_000)
                .in_periods(5, 5)
                .explained_in("outbox-relay-age"),
                alarm(
                    "AgeCritical",
                    "age-critical",
                    CRITICAL,
                    age(),
                    text::RELAY_FAR_BEHIND,
                )
                .above(3_600_000)
                .essential()
                .explained_in("outbox-relay-age"),
                alarm(
                    "PublishErrors",
                    "publish-errors",
                    WARNING,
                    of_ours("EventPublishError", consumer(), SUM, MINUTE),
                    text::PUBLISH_ERRORS,
                ),
                Alarm::new(
                    format!("{}PublishRate", function.pascal()),
                    format!("{}-publish-rate", function.name),
                    WARNING,
                    Measure::math(PUBLISHED, [("published", published)]),
                    text::PUBLISH_RATE,
                )
                .unusual_by(USUAL_DEVIATIONS)
                .in_periods(3, 3),
            ]
        })
        .collect();
    Section {
        title: "Relay".to_owned(),
        alarms,
    }
}

fn of_functions(deployment: &Deployment) -> Section {
    let mut alarms = Vec::new();
    for function in deployment.functions() {
        let job = function.job();
        let keeps = function.needs(Need::KeepFailures);
        let is_relay = matches!(function.kind, Kind::Relay);
        let first_rings = keeps || job.is_some_and(|job| job.first_error_rings);
        // A message that crashes its consumer comes back after the lane's visibility timeout of three minutes.
        let (period, (most, of)) = if first_rings {
            (MINUTE, (1, 1))
        } else {
            (FIVE_MINUTES, (2, 3))
        };
        let alarm = |id: String, name: &str, metric, period, text: String| {
            let name = format!("{}-{name}", function.name);
            Alarm::new(
                id,
                name,
                WARNING,
                of_function(function, metric, SUM, period),
                text,
            )
        };
        let words = match (&function.kind, job) {
            (_, Some(job)) => job.on_error.to_owned(),
            (Kind::Relay, None) => text::relay_errors(function.name),
            (_, None) if keeps => text::keeping_errors(function.name),
            (_, None) => text::errors(function.name),
        };
        let id = format!("{}Errors", function.logical_id());
        let errors = alarm(id, "errors", "Errors", period, words).in_periods(most, of);
        alarms.push(match (&function.kind, job) {
            (Kind::Relay, _) => errors.essential().explained_in("outbox-relay-age"),
            (_, Some(_)) => errors.explained_in("job-errors"),
            (_, None) => errors.explained_in("function-errors"),
        });
        // Failed invocations of both go to the bucket for failures.
        if keeps || is_relay {
            let id = format!("{}FailuresLost", function.pascal());
            let metric = "DestinationDeliveryFailures";
            let words = text::failures_lost(function.name);
            let lost = alarm(id, "failures-lost", metric, FIVE_MINUTES, words);
            alarms.push(lost.explained_in("failures-lost"));
        }
        if keeps {
            let id = format!("{}FailuresKept", function.pascal());
            let words = text::failures_kept(function.name);
            let metric = "AsyncEventsDropped";
            let kept = alarm(id, "failures-kept", metric, FIVE_MINUTES, words);
            alarms.push(kept.explained_in("failures-kept"));
        }
    }
    Section {
        title: "Functions: an error is a crash, a timeout or a missing setting at start; a failed record is not an error"
            .to_owned(),
        alarms,
    }
}

/// Throttled invocations of any function of the account, in one metric. A metric of each function of the stack would cost
/// as much as all other alarms on functions, and a throttled function of another stack starves this one, too.
fn of_throttles() -> Section {
    let of_account = Metric {
        namespace: "AWS/Lambda",
        name: "Throttles",
        dimensions: Vec::new(),
        statistic: SUM,
        period: FIVE_MINUTES,
    };
    let account = Alarm::new(
        "AccountThrottles".to_owned(),
        "account-throttles".to_owned(),
        WARNING,
        of_account,
        text::ACCOUNT_THROTTLES,
    )
    .essential()
    .in_periods(2, 3);
    Section {
        title: "Throttles: Lambda had no instance to run a function".to_owned(),
        alarms: vec![account],
    }
}

fn of_jobs(deployment: &Deployment) -> Section {
    let mut alarms = Vec::new();
    for function in deployment.functions() {
        let Some(job) = function.job() else { continue };
        alarms.extend(of_job(function, job));
    }
    Section {
        title: "Scheduled jobs: they start, they run, and what they count".to_owned(),
        alarms,
    }
}

fn of_job(function: &Function, job: &Job) -> Vec<Alarm> {
    let alarm = |suffix: &str, name: &str, measure: Measure, text: String| {
        Alarm::new(
            format!("{}{suffix}", function.pascal()),
            format!("{}-{name}", function.name),
            WARNING,
            measure,
            text,
        )
    };
    let starts = of_rule(function.name, "FailedInvocations", FIVE_MINUTES);
    let words = text::not_started(function.name);
    let mut alarms = vec![
        alarm("NotStarted", "not-started", starts.into(), words).explained_in("job-not-started"),
    ];
    // The schedule of a job that only a parameter turns on may be off, which this stack cannot know.
    if job.only_with.is_none() && function.name != HEARTBEAT {
        let runs = of_function(function, "Invocations", SUM, HOUR);
        alarms.push(
            alarm(
                "Missing",
                "missing",
                Measure::math("FILL(runs, 0)", [("runs", runs)]),
                text::job_missing(function.name, SILENT_HOURS),
            )
            .in_periods(SILENT_HOURS, SILENT_HOURS)
            .when_absent()
            .explained_in("job-missing"),
        );
    }
    alarms.extend(job.alarms.iter().map(|one| {
        let consumer = [("consumer", function.name.to_owned())];
        let counted = of_ours(one.metric, consumer, SUM, MINUTE);
        alarm(
            &pascal(one.name),
            one.name,
            counted.into(),
            one.text.to_owned(),
        )
    }));
    alarms
}

/// What SES says of the mails of the whole account in this region.
fn of_mails(deployment: &Deployment) -> Section {
    let sends = deployment
        .functions()
        .iter()
        .any(|function| function.needs(Need::SendMail));
    let alarm = |id: &str, name: &str, metric, rate, text: &str| {
        let measure = of_mail(metric, HOUR);
        Alarm::new(id.to_owned(), name.to_owned(), WARNING, measure, text)
            .above(rate)
            .explained_in("mails")
    };
    let alarms = [
        alarm(
            "MailBounces",
            "mail-bounces",
            "Reputation.BounceRate",
            BOUNCE_RATE,
            text::MAIL_BOUNCES,
        ),
        alarm(
            "MailComplaints",
            "mail-complaints",
            "Reputation.ComplaintRate",
            COMPLAINT_RATE,
            text::MAIL_COMPLAINTS,
        ),
    ];
    Section {
        title: "Mails".to_owned(),
        alarms: alarms.into_iter().filter(|_| sends).collect(),
    }
}

fn of_front() -> Section {
    let errors = Metric {
        namespace: "AWS/ApiGateway",
        name: "5XXError",
        dimensions: vec![("ApiName", "!Ref MillraceStack".to_owned())],
        statistic: SUM,
        period: FIVE_MINUTES,
    };
    let name = "api-5xx".to_owned();
    Section {
        title: "Front".to_owned(),
        alarms: vec![
            Alarm::new("Api5xx".to_owned(), name, WARNING, errors, text::FRONT)
                .above(5)
                .essential(),
        ],
    }
}
