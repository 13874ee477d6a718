//! Renders the CloudWatch dashboard.

use topology::{DEAD_LETTERS, Deployment, Kind};

use super::{AGE, OBJECTIVES, WAITING};

pub(super) struct Widget {
    pub(super) x: u8,
    pub(super) y: u8,
    pub(super) width: u8,
    pub(super) title: &'static str,
    pub(super) stat: &'static str,
    /// More properties, each followed by a comma.
    pub(super) more: String,
    pub(super) metrics: Vec<String>,
}

pub(super) fn widgets(deployment: &Deployment) -> Vec<Widget> {
    let widget = |(x, y, width), title, stat, metrics| Widget {
        x,
        y,
        width,
        title,
        stat,
        more: String::new(),
        metrics,
    };
    let lines: Vec<String> = OBJECTIVES
        .iter()
        .map(|(priority, objective)| {
            format!(
                "{{\"label\": \"{}\", \"value\": {objective}}}",
                priority.as_str()
            )
        })
        .collect();
    let objectives = format!(
        " \"annotations\": {{\"horizontal\": [{}]}},",
        lines.join(", ")
    );
    let by_priority = "stack,domain,priority";
    let by_consumer = "stack,consumer";
    let mut failed = vec![
        search(by_consumer, "EventHandlerError", "Sum"),
        search(by_consumer, "EventParked", "Sum"),
    ];
    failed.extend(
        deployment
            .functions()
            .iter()
            .filter_map(|function| function.job())
            .flat_map(|job| job.alarms)
            .map(|alarm| search(by_consumer, alarm.metric, "Sum")),
    );
    vec![
        widget(
            (0, 0, 8),
            "Published",
            "Sum",
            vec![search(by_priority, "EventPublished", "Sum")],
        ),
        widget(
            (8, 0, 8),
            "Publish errors and unrouted",
            "Sum",
            vec![
                search(by_consumer, "EventPublishError", "Sum"),
                search(by_priority, "EventUnrouted", "Sum"),
            ],
        ),
        widget(
            (16, 0, 8),
            "Relay behind the event log (ms)",
            "Maximum",
            relays(deployment),
        ),
        Widget {
            more: objectives,
            ..widget(
                (0, 6, 12),
                "Commit to handler start, p95 (ms)",
                "Sum",
                vec![search(by_priority, "DeliveryLatency", "p95")],
            )
        },
        widget(
            (12, 6, 12),
            "Commit to publication, p95 (ms)",
            "Sum",
            vec![search(by_priority, "OutboxLag", "p95")],
        ),
        widget(
            (0, 12, 8),
            "Waiting in lanes",
            "Maximum",
            lanes(deployment, WAITING),
        ),
        widget(
            (8, 12, 8),
            "Oldest in lanes (s)",
            "Maximum",
            lanes(deployment, AGE),
        ),
        widget(
            (16, 12, 8),
            "Dead letters",
            "Maximum",
            vec![
                search(by_consumer, "DeadLettersOpen", "Maximum"),
                queue(WAITING, DEAD_LETTERS, "not drained"),
            ],
        ),
        widget(
            (0, 18, 8),
            "Handled",
            "Sum",
            vec![search(by_consumer, "EventHandlerSuccess", "Sum")],
        ),
        widget((8, 18, 8), "Failed and parked", "Sum", failed),
        widget(
            (16, 18, 8),
            "Duplicates",
            "Sum",
            vec![search(by_consumer, "EventDuplicateDetected", "Sum")],
        ),
        widget(
            (0, 24, 8),
            "Function errors",
            "Sum",
            functions(deployment, "Errors"),
        ),
        widget(
            (8, 24, 8),
            "Function duration, p95 (ms)",
            "p95",
            functions(deployment, "Duration"),
        ),
        widget(
            (0, 30, 8),
            "Handler time, p95 (ms)",
            "p95",
            vec![search(by_consumer, "HandlerTime", "p95")],
        ),
        widget(
            (16, 24, 8),
            "Front",
            "Sum",
            ["Count", "4XXError", "5XXError"]
                .into_iter()
                .map(front)
                .collect(),
        ),
    ]
}

/// A search for every series of one of Millrace's own metrics.
fn search(dimensions: &str, metric: &str, statistic: &str) -> String {
    let (first, rest) = metric.split_at(metric.len().min(1));
    let id = first.to_lowercase() + rest;
    format!(
        "[{{\"expression\": \"SEARCH('{{Millrace,{dimensions}}} stack=\\\"${{MillraceStack}}\\\" MetricName=\\\"{metric}\\\"', '{statistic}', 60)\", \
         \"label\": \"\", \"id\": \"{id}\"}}]"
    )
}

fn relays(deployment: &Deployment) -> Vec<String> {
    deployment
        .functions()
        .iter()
        .filter(|function| matches!(function.kind, Kind::Relay))
        .map(|function| {
            format!(
                "[\"AWS/Lambda\", \"IteratorAge\", \"FunctionName\", \"${{MillraceStack}}_{}\"]",
                function.name
            )
        })
        .collect()
}

fn lanes(deployment: &Deployment, metric: &str) -> Vec<String> {
    deployment
        .lanes()
        .into_iter()
        .map(|(function, lane)| {
            let label = format!("{} {}", function.name, lane.name);
            queue(metric, &lane.queue(), &label)
        })
        .collect()
}

fn queue(metric: &str, queue: &str, label: &str) -> String {
    format!(
        "[\"AWS/SQS\", \"{metric}\", \"QueueName\", \"${{MillraceStack}}_{queue}\", {{\"label\": \"{label}\"}}]"
    )
}

fn functions(deployment: &Deployment, metric: &str) -> Vec<String> {
    deployment
        .functions()
        .iter()
        .map(|function| {
            format!(
                "[\"AWS/Lambda\", \"{metric}\", \"FunctionName\", \"${{MillraceStack}}_{}\", {{\"label\": \"{}\"}}]",
                function.name, function.name
            )
        })
        .collect()
}

fn front(metric: &str) -> String {
    format!("[\"AWS/ApiGateway\", \"{metric}\", \"ApiName\", \"${{MillraceStack}}\"]")
}
