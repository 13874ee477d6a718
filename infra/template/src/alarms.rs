//! Renders `infra/aws-only.yaml`: the alarms and the dashboard.

mod dashboard;
mod text;

use std::collections::BTreeSet;

use askama::Template;
use events::Priority;
use topology::{Deployment, EXPRESS, Function, Kind, Lane, Need, parameters, pascal};

use crate::{parameter, yaml::wrapped};

use dashboard::Widget;

/// The objectives of `DeliveryLatency`, p95 in milliseconds. Priority low has none.
pub(crate) const OBJECTIVES: [(Priority, u32); 3] = [
    (Priority::Critical, 1_000),
    (Priority::High, 5_000),
    (Priority::Normal, 30_000),
];

pub(crate) fn render(deployment: &Deployment) -> Result<String, askama::Error> {
    let mut sections: Vec<Section> = deployment
        .lanes()
        .into_iter()
        .map(|(function, lane)| of_lane(function, lane))
        .collect();
    sections.push(of_latency(deployment));
    sections.push(of_relay(deployment));
    sections.push(of_functions(deployment));
    sections.push(of_front());
    let text = AwsOnly {
        parameters: parameter::texts(parameters::OF_ALARMS),
        conditions: parameter::conditions(parameters::OF_ALARMS),
        sections,
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
    widgets: Vec<Widget>,
}

struct Section {
    title: String,
    alarms: Vec<Alarm>,
}

/// An alarm, which is raised while a measure is above a threshold.
struct Alarm {
    id: String,
    name: String,
    text: String,
    severity: &'static str,
    measure: Measure,
    periods: u32,
    of_periods: Option<u32>,
    above: u32,
}

const WARNING: &str = "Warning";
const CRITICAL: &str = "Critical";

impl Alarm {
    fn lines(&self) -> Vec<String> {
        wrapped(&self.text, 8)
    }
}

/// What an alarm measures.
enum Measure {
    Metric {
        namespace: &'static str,
        metric: &'static str,
        /// Each dimension's name, and its value as a YAML expression.
        dimensions: Vec<(&'static str, String)>,
        statistic: &'static str,
        period: u32,
    },
    /// Whether dead letters wait in a queue and none was removed for an hour.
    Unhandled { queue: String },
}

const MAXIMUM: &str = "Statistic: Maximum";
const SUM: &str = "Statistic: Sum";
const P95: &str = "ExtendedStatistic: p95";
const WAITING: &str = "ApproximateNumberOfMessagesVisible";
const IN_FLIGHT: &str = "ApproximateNumberOfMessagesNotVisible";
const AGE: &str = "ApproximateAgeOfOldestMessage";

/// The name of a resource in the other stack, as a YAML expression.
fn physical(name: &str) -> String {
    format!("!Sub \"${{MillraceStack}}_{name}\"")
}

fn of_queue(queue: &str, metric: &'static str) -> Measure {
    Measure::Metric {
        namespace: "AWS/SQS",
        metric,
        dimensions: vec![("QueueName", physical(queue))],
        statistic: MAXIMUM,
        period: 60,
    }
}

fn of_function(function: &Function, metric: &'static str, statistic: &'static str) -> Measure {
    Measure::Metric {
        namespace: "AWS/Lambda",
        metric,
        dimensions: vec![("FunctionName", physical(function.name))],
        statistic,
        period: 60,
    }
}

/// One of Millrace's own metrics, with its dimensions in addition to the stage.
fn of_ours(
    metric: &'static str,
    dimensions: impl IntoIterator<Item = (&'static str, String)>,
    statistic: &'static str,
) -> Measure {
    Measure::Metric {
        namespace: "Millrace",
        metric,
        dimensions: [("stage", "!Ref Stage".to_owned())]
            .into_iter()
            .chain(dimensions)
            .collect(),
        statistic,
        period: 60,
    }
}

fn of_lane(function: &'static Function, lane: Lane) -> Section {
    let (id, consumer) = (lane.logical_id(function), function.name);
    let (queue, letters) = (lane.queue(), lane.letters());
    // An express lane may be one minute behind, a standard lane five.
    let (oldest, severity) = if lane.name == EXPRESS {
        (60, CRITICAL)
    } else {
        (300, WARNING)
    };
    let alarm = |suffix: &str, name: &str, text: String, severity, measure, periods, above| Alarm {
        id: format!("{id}{suffix}"),
        name: format!("{queue}-{name}"),
        text,
        severity,
        measure,
        periods,
        of_periods: None,
        above,
    };
    let waiting = || of_queue(&queue, WAITING);
    let dead = || of_queue(&letters, WAITING);
    Section {
        title: format!("{consumer}, {} lane", lane.name),
        alarms: vec![
            alarm(
                "LettersWarning",
                "letters-warning",
                text::letters_warning(consumer),
                WARNING,
                dead(),
                1,
                10,
            ),
            alarm(
                "LettersCritical",
                "letters-critical",
                text::letters_critical(consumer),
                CRITICAL,
                dead(),
                1,
                100,
            ),
            alarm(
                "LettersOld",
                "letters-old",
                text::letters_old(consumer),
                CRITICAL,
                of_queue(&letters, AGE),
                1,
                864_000,
            ),
            alarm(
                "LettersUnhandled",
                "letters-unhandled",
                text::letters_unhandled(consumer),
                WARNING,
                Measure::Unhandled {
                    queue: physical(&letters),
                },
                1,
                0,
            ),
            alarm(
                "DepthWarning",
                "depth-warning",
                text::depth_warning(consumer),
                WARNING,
                waiting(),
                3,
                1_000,
            ),
            alarm(
                "DepthCritical",
                "depth-critical",
                text::depth_critical(consumer),
                CRITICAL,
                waiting(),
                3,
                10_000,
            ),
            alarm(
                "InFlight",
                "in-flight",
                text::in_flight(consumer),
                CRITICAL,
                of_queue(&queue, IN_FLIGHT),
                1,
                60_000,
            ),
            alarm(
                "Oldest",
                "oldest",
                text::oldest(consumer, oldest),
                severity,
                of_queue(&queue, AGE),
                5,
                oldest,
            ),
        ],
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
            let severity = if priority == Priority::Critical {
                CRITICAL
            } else {
                WARNING
            };
            Some(Alarm {
                id: format!("{}{}Latency", pascal(domain), pascal(name)),
                name: format!("{domain}-{name}-latency"),
                text: text::latency(domain, name, objective),
                severity,
                measure: of_ours(
                    "DeliveryLatency",
                    [("domain", domain.to_owned()), ("priority", name.to_owned())],
                    P95,
                ),
                periods: 5,
                of_periods: None,
                above: objective,
            })
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
            let id = function.pascal();
            let alarm =
                |suffix: &str, name: &str, text: &str, severity, measure, periods, above| Alarm {
                    id: format!("{id}{suffix}"),
                    name: format!("{}-{name}", function.name),
                    text: text.to_owned(),
                    severity,
                    measure,
                    periods,
                    of_periods: None,
                    above,
                };
            let age = || of_function(function, "IteratorAge", MAXIMUM);
            let consumer = [("consumer", function.name.to_owned())];
            [
                alarm(
                    "AgeWarning",
                    "age-warning",
                    text::RELAY_BEHIND,
                    WARNING,
                    age(),
                    5,
                    60_000,
                ),
                alarm(
                    "AgeCritical",
                    "age-critical",
                    text::RELAY_FAR_BEHIND,
                    CRITICAL,
                    age(),
                    1,
                    3_600_000,
                ),
                alarm(
                    "PublishErrors",
                    "publish-errors",
                    text::PUBLISH_ERRORS,
                    WARNING,
                    of_ours("EventPublishError", consumer, SUM),
                    1,
                    0,
                ),
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
        let first_rings = keeps || job.is_some_and(|job| job.first_error_rings);
        alarms.push(Alarm {
            id: format!("{}Errors", function.logical_id()),
            name: format!("{}-errors", function.name),
            text: match (&function.kind, job) {
                (_, Some(job)) => job.on_error.to_owned(),
                (Kind::Relay, None) => text::relay_errors(function.name),
                (_, None) if keeps => text::keeping_errors(function.name),
                (_, None) => text::errors(function.name),
            },
            severity: WARNING,
            measure: of_function(function, "Errors", SUM),
            periods: if first_rings { 1 } else { 5 },
            of_periods: (!first_rings).then_some(3),
            above: 0,
        });
        for one in job.map_or(&[][..], |job| job.alarms) {
            alarms.push(Alarm {
                id: format!("{}{}", function.pascal(), pascal(one.name)),
                name: format!("{}-{}", function.name, one.name),
                text: one.text.to_owned(),
                severity: WARNING,
                measure: of_ours(one.metric, [("consumer", function.name.to_owned())], SUM),
                periods: 1,
                of_periods: None,
                above: 0,
            });
        }
    }
    Section {
        title: "Functions: an error is a crash, a timeout or a missing setting at start; a failed record is not an error"
            .to_owned(),
        alarms,
    }
}

fn of_front() -> Section {
    Section {
        title: "Front".to_owned(),
        alarms: vec![Alarm {
            id: "Api5xx".to_owned(),
            name: "api-5xx".to_owned(),
            text: text::FRONT.to_owned(),
            severity: WARNING,
            measure: Measure::Metric {
                namespace: "AWS/ApiGateway",
                metric: "5XXError",
                dimensions: vec![
                    ("ApiName", "!Ref MillraceStack".to_owned()),
                    ("Stage", "!Ref Stage".to_owned()),
                ],
                statistic: SUM,
                period: 300,
            },
            periods: 1,
            of_periods: None,
            above: 5,
        }],
    }
}
