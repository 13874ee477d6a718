//! The dashboard: what it shows, and how CloudWatch is told so. [`grafana`](super::grafana) tells Grafana.

use topology::{DEAD_LETTERS, Deployment, Kind};

use super::{AGE, OBJECTIVES, WAITING};

/// The dimensions of Millrace's own metrics, beside the stack.
const BY_PRIORITY: &[&str] = &["domain", "priority"];
const BY_CONSUMER: &[&str] = &["consumer"];

/// The height of a widget in CloudWatch.
pub(super) const ROWS: u8 = 6;

/// A graph.
pub(super) struct Widget {
    pub(super) x: u8,
    pub(super) y: u8,
    pub(super) width: u8,
    pub(super) title: &'static str,
    pub(super) unit: Unit,
    /// The statistic of those metrics that have none of their own.
    pub(super) stat: &'static str,
    /// Whether a line shows the objective of each priority.
    pub(super) has_objectives: bool,
    pub(super) series: Vec<Series>,
}

/// What a graph counts in.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    Number,
    Milliseconds,
    Seconds,
}

/// What a graph shows.
pub(super) enum Series {
    /// Every series of one of Millrace's own metrics: one for each value of the dimensions beside the stack.
    Ours {
        metric: &'static str,
        dimensions: &'static [&'static str],
        statistic: &'static str,
    },
    /// A metric of AWS.
    Of {
        namespace: &'static str,
        metric: &'static str,
        dimension: &'static str,
        /// The name of the queue or function within its stack. None: the stack's own.
        resource: Option<String>,
        label: Option<String>,
    },
}

impl Widget {
    /// CloudWatch's property for lines, followed by a comma.
    pub(super) fn annotations(&self) -> String {
        if !self.has_objectives {
            return String::new();
        }
        let lines: Vec<String> = OBJECTIVES
            .iter()
            .map(|(priority, objective)| {
                format!(
                    "{{\"label\": \"{}\", \"value\": {objective}}}",
                    priority.as_str()
                )
            })
            .collect();
        format!(
            " \"annotations\": {{\"horizontal\": [{}]}},",
            lines.join(", ")
        )
    }

    /// The series, as CloudWatch is told.
    pub(super) fn metrics(&self) -> Vec<String> {
        self.series.iter().map(Series::for_cloudwatch).collect()
    }
}

impl Series {
    fn for_cloudwatch(&self) -> String {
        match self {
            Self::Ours {
                metric,
                dimensions,
                statistic,
            } => {
                let (first, rest) = metric.split_at(metric.len().min(1));
                let id = first.to_lowercase() + rest;
                let dimensions = dimensions.join(",");
                format!(
                    "[{{\"expression\": \"SEARCH('{{Millrace,stack,{dimensions}}} stack=\\\"${{MillraceStack}}\\\" MetricName=\\\"{metric}\\\"', '{statistic}', 60)\", \
                     \"label\": \"\", \"id\": \"{id}\"}}]"
                )
            }
            Self::Of {
                namespace,
                metric,
                dimension,
                resource,
                label,
            } => {
                let of = resource
                    .as_ref()
                    .map_or_else(String::new, |name| format!("_{name}"));
                let label = label
                    .as_ref()
                    .map_or_else(String::new, |label| format!(", {{\"label\": \"{label}\"}}"));
                format!(
                    "[\"{namespace}\", \"{metric}\", \"{dimension}\", \"${{MillraceStack}}{of}\"{label}]"
                )
            }
        }
    }
}

/// The graphs, one row for each question.
pub(super) fn widgets(deployment: &Deployment) -> Vec<Widget> {
    let widget = |(x, y, width), title, unit, stat, series| Widget {
        x,
        y,
        width,
        title,
        unit,
        stat,
        has_objectives: false,
        series,
    };
    let mut failed = vec![
        ours(BY_CONSUMER, "EventHandlerError", "Sum"),
        ours(BY_CONSUMER, "EventParked", "Sum"),
    ];
    failed.extend(
        deployment
            .functions()
            .iter()
            .filter_map(|function| function.job())
            .flat_map(|job| job.alarms)
            .map(|alarm| ours(BY_CONSUMER, alarm.metric, "Sum")),
    );
    vec![
        widget(
            (0, 0, 8),
            "Published",
            Unit::Number,
            "Sum",
            vec![ours(BY_PRIORITY, "EventPublished", "Sum")],
        ),
        widget(
            (8, 0, 8),
            "Publish errors and unrouted",
            Unit::Number,
            "Sum",
            vec![
                ours(BY_CONSUMER, "EventPublishError", "Sum"),
                ours(BY_PRIORITY, "EventUnrouted", "Sum"),
            ],
        ),
        widget(
            (16, 0, 8),
            "Relay behind the event log (ms)",
            Unit::Milliseconds,
            "Maximum",
            relays(deployment),
        ),
        Widget {
            has_objectives: true,
            ..widget(
                (0, 6, 12),
                "Commit to handler start, p95 (ms)",
                Unit::Milliseconds,
                "Sum",
                vec![ours(BY_PRIORITY, "DeliveryLatency", "p95")],
            )
        },
        widget(
            (12, 6, 12),
            "Commit to publication, p95 (ms)",
            Unit::Milliseconds,
            "Sum",
            vec![ours(BY_PRIORITY, "OutboxLag", "p95")],
        ),
        widget(
            (0, 12, 8),
            "Waiting in lanes",
            Unit::Number,
            "Maximum",
            lanes(deployment, WAITING),
        ),
        widget(
            (8, 12, 8),
            "Oldest in lanes (s)",
            Unit::Seconds,
            "Maximum",
            lanes(deployment, AGE),
        ),
        widget(
            (16, 12, 8),
            "Dead letters",
            Unit::Number,
            "Maximum",
            vec![
                ours(BY_CONSUMER, "DeadLettersOpen", "Maximum"),
                queue(WAITING, DEAD_LETTERS.to_owned(), "not drained".to_owned()),
            ],
        ),
        widget(
            (0, 18, 8),
            "Handled",
            Unit::Number,
            "Sum",
            vec![ours(BY_CONSUMER, "EventHandlerSuccess", "Sum")],
        ),
        widget((8, 18, 8), "Failed and parked", Unit::Number, "Sum", failed),
        widget(
            (16, 18, 8),
            "Duplicates",
            Unit::Number,
            "Sum",
            vec![ours(BY_CONSUMER, "EventDuplicateDetected", "Sum")],
        ),
        widget(
            (0, 24, 8),
            "Function errors",
            Unit::Number,
            "Sum",
            functions(deployment, "Errors"),
        ),
        widget(
            (8, 24, 8),
            "Function duration, p95 (ms)",
            Unit::Milliseconds,
            "p95",
            functions(deployment, "Duration"),
        ),
        widget(
            (0, 30, 8),
            "Handler time, p95 (ms)",
            Unit::Milliseconds,
            "p95",
            vec![ours(BY_CONSUMER, "HandlerTime", "p95")],
        ),
        widget(
            (16, 24, 8),
            "Front",
            Unit::Number,
            "Sum",
            ["Count", "4XXError", "5XXError"]
                .into_iter()
                .map(front)
                .collect(),
        ),
    ]
}

fn ours(
    dimensions: &'static [&'static str],
    metric: &'static str,
    statistic: &'static str,
) -> Series {
    Series::Ours {
        metric,
        dimensions,
        statistic,
    }
}

fn relays(deployment: &Deployment) -> Vec<Series> {
    deployment
        .functions()
        .iter()
        .filter(|function| matches!(function.kind, Kind::Relay))
        .map(|function| Series::Of {
            namespace: "AWS/Lambda",
            metric: "IteratorAge",
            dimension: "FunctionName",
            resource: Some(function.name.to_owned()),
            label: None,
        })
        .collect()
}

fn lanes(deployment: &Deployment, metric: &'static str) -> Vec<Series> {
    deployment
        .lanes()
        .into_iter()
        .map(|(function, lane)| {
            let label = format!("{} {}", function.name, lane.name);
            queue(metric, lane.queue(), label)
        })
        .collect()
}

fn queue(metric: &'static str, queue: String, label: String) -> Series {
    Series::Of {
        namespace: "AWS/SQS",
        metric,
        dimension: "QueueName",
        resource: Some(queue),
        label: Some(label),
    }
}

fn functions(deployment: &Deployment, metric: &'static str) -> Vec<Series> {
    deployment
        .functions()
        .iter()
        .map(|function| Series::Of {
            namespace: "AWS/Lambda",
            metric,
            dimension: "FunctionName",
            resource: Some(function.name.to_owned()),
            label: Some(function.name.to_owned()),
        })
        .collect()
}

fn front(metric: &'static str) -> Series {
    Series::Of {
        namespace: "AWS/ApiGateway",
        metric,
        dimension: "ApiName",
        resource: None,
        label: None,
    }
}
