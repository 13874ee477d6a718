//! What an alarm measures.

use topology::Function;

pub(super) const MAXIMUM: &str = "Maximum";
pub(super) const MINIMUM: &str = "Minimum";
pub(super) const SUM: &str = "Sum";
pub(super) const SAMPLES: &str = "SampleCount";
pub(super) const P95: &str = "p95";

pub(super) const WAITING: &str = "ApproximateNumberOfMessagesVisible";
pub(super) const IN_FLIGHT: &str = "ApproximateNumberOfMessagesNotVisible";
pub(super) const AGE: &str = "ApproximateAgeOfOldestMessage";

/// A metric, and how its values of one period become one.
pub(super) struct Metric {
    pub(super) namespace: &'static str,
    pub(super) name: &'static str,
    /// Each dimension's name, and its value as a YAML expression.
    pub(super) dimensions: Vec<(&'static str, String)>,
    pub(super) statistic: &'static str,
    /// In seconds.
    pub(super) period: u32,
}

impl Metric {
    /// The property for the statistic of an alarm on this metric alone.
    pub(super) fn statistic(&self) -> String {
        let is_percentile = self.statistic == P95;
        let property = if is_percentile {
            "ExtendedStatistic"
        } else {
            "Statistic"
        };
        format!("{property}: {}", self.statistic)
    }
}

/// What an alarm measures.
pub(super) enum Measure {
    Metric(Metric),
    /// An expression, and its metrics, each with the name that the expression uses.
    Math(&'static str, Vec<(&'static str, Metric)>),
    /// A query of Metrics Insights as a YAML expression, and its period in seconds.
    Query(String, u32),
}

impl Measure {
    pub(super) fn math<const N: usize>(
        expression: &'static str,
        metrics: [(&'static str, Metric); N],
    ) -> Self {
        Self::Math(expression, metrics.into())
    }

    /// The sum of a metric of EventBridge over every rule of the stack's bus. A metric of a rule of a bus other than the
    /// default has the dimensions `EventBusName` and `RuleName`
    /// (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html>, read 2026-11-29).
    pub(super) fn of_every_rule(metric: &str, period: u32) -> Self {
        Self::query(
            metric,
            r#""AWS/Events" WHERE EventBusName = '${MillraceStack}-events'"#,
            period,
        )
    }

    /// The sum of one of Millrace's own metrics over every consumer of the stack.
    pub(super) fn of_every_consumer(metric: &str, period: u32) -> Self {
        Self::query(
            metric,
            r#""Millrace" WHERE "stack" = '${MillraceStack}'"#,
            period,
        )
    }

    /// The sum of a metric over what is found.
    fn query(metric: &str, of: &str, period: u32) -> Self {
        let query = format!("SELECT SUM({metric}) FROM {of}").replace('"', "\\\"");
        Self::Query(format!("!Sub \"{query}\""), period)
    }
}

impl From<Metric> for Measure {
    fn from(metric: Metric) -> Self {
        Self::Metric(metric)
    }
}

/// The name of a resource in the other stack, as a YAML expression.
fn physical(name: &str) -> String {
    format!("!Sub \"${{MillraceStack}}_{name}\"")
}

pub(super) fn of_queue(
    queue: &str,
    name: &'static str,
    statistic: &'static str,
    period: u32,
) -> Metric {
    Metric {
        namespace: "AWS/SQS",
        name,
        dimensions: vec![("QueueName", physical(queue))],
        statistic,
        period,
    }
}

pub(super) fn of_function(
    function: &Function,
    name: &'static str,
    statistic: &'static str,
    period: u32,
) -> Metric {
    Metric {
        namespace: "AWS/Lambda",
        name,
        dimensions: vec![("FunctionName", physical(function.name))],
        statistic,
        period,
    }
}

/// A metric of a rule of the default bus, such as a schedule.
pub(super) fn of_rule(rule: &str, name: &'static str, period: u32) -> Metric {
    Metric {
        namespace: "AWS/Events",
        name,
        dimensions: vec![("RuleName", physical(rule))],
        statistic: SUM,
        period,
    }
}

/// A metric of the account's mails.
pub(super) fn of_mail(name: &'static str, period: u32) -> Metric {
    Metric {
        namespace: "AWS/SES",
        name,
        dimensions: Vec::new(),
        statistic: MAXIMUM,
        period,
    }
}

/// One of Millrace's own metrics, with its dimensions in addition to the stack.
pub(super) fn of_ours(
    name: &'static str,
    dimensions: impl IntoIterator<Item = (&'static str, String)>,
    statistic: &'static str,
    period: u32,
) -> Metric {
    Metric {
        namespace: "Millrace",
        name,
        dimensions: [("stack", "!Ref MillraceStack".to_owned())]
            .into_iter()
            .chain(dimensions)
            .collect(),
        statistic,
        period,
    }
}
