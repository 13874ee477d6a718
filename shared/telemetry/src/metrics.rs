//! Metrics in CloudWatch's embedded metric format: log lines that CloudWatch reads as metrics, without a call or a
//! permission.
//!
//! Custom metrics are charged per series. So there are only two sets of dimensions, {stack, consumer} and {stack,
//! domain, priority}, and all names come from [`Counter`] and [`Timer`]. An invocation writes one line per set of
//! dimensions, and more only if a metric has over 100 values.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::{Duration, SystemTime},
};

use serde_json::{Map, Value, json};

/// The metrics' namespace in CloudWatch.
pub const NAMESPACE: &str = "Millrace";

/// The maximum number of values of one metric in one line
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>,
/// read 2026-11-21).
pub const MAX_VALUES_PER_LINE: usize = 100;

/// A counted quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counter {
    /// Events that the bus accepted: by domain and priority, and of the relay all together.
    EventPublished,
    /// Entries that the bus did not accept, counted at each attempt.
    EventPublishError,
    /// Repeated events that were already handled.
    EventDuplicateDetected,
    /// Published events of a type that no rule matches.
    EventUnrouted,
    /// Records that a handler has completed.
    EventHandlerSuccess,
    /// Records that a handler failed on.
    EventHandlerError,
    /// Records that were parked: put into the dead-letter queue with their reason.
    EventParked,
    /// A consumer's unresolved dead letters at the moment of a run of the job that counts them. It is a level and no
    /// sum: read its maximum. There is no value while there are none.
    DeadLettersOpen,
    /// Movements that the chain did not confirm in time.
    ChainJobFailed,
    /// Orders that credit and stock have not answered for too long.
    OrdersStuck,
    /// Clients to which a process streams events, reported once a minute.
    StreamClients,
}

impl Counter {
    /// Every counter, for dashboards and tests.
    pub const ALL: [Self; 11] = [
        Self::EventPublished,
        Self::EventPublishError,
        Self::EventDuplicateDetected,
        Self::EventUnrouted,
        Self::EventHandlerSuccess,
        Self::EventHandlerError,
        Self::EventParked,
        Self::DeadLettersOpen,
        Self::ChainJobFailed,
        Self::OrdersStuck,
        Self::StreamClients,
    ];

    /// The name in CloudWatch.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EventPublished => "EventPublished",
            Self::EventPublishError => "EventPublishError",
            Self::EventDuplicateDetected => "EventDuplicateDetected",
            Self::EventUnrouted => "EventUnrouted",
            Self::EventHandlerSuccess => "EventHandlerSuccess",
            Self::EventHandlerError => "EventHandlerError",
            Self::EventParked => "EventParked",
            Self::DeadLettersOpen => "DeadLettersOpen",
            Self::ChainJobFailed => "ChainJobFailed",
            Self::OrdersStuck => "OrdersStuck",
            Self::StreamClients => "StreamClients",
        }
    }
}

/// A duration, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// From commit to publication.
    OutboxLag,
    /// From commit to the start of the handler.
    DeliveryLatency,
    /// The time a consumer spends on a record: decoding, deciding, committing. The objective is a p95 under 100 ms.
    HandlerTime,
}

impl Timer {
    /// Every timer, for dashboards and tests.
    pub const ALL: [Self; 3] = [Self::OutboxLag, Self::DeliveryLatency, Self::HandlerTime];

    /// The name in CloudWatch.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OutboxLag => "OutboxLag",
            Self::DeliveryLatency => "DeliveryLatency",
            Self::HandlerTime => "HandlerTime",
        }
    }
}

/// The metrics of one invocation under one set of dimensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    dimensions: Vec<(&'static str, String)>,
    counts: BTreeMap<Counter, u64>,
    times: BTreeMap<Timer, Vec<u64>>,
}

impl Metrics {
    /// Metrics of a consumer.
    pub fn for_consumer(stack: impl Into<String>, consumer: impl Into<String>) -> Self {
        Self::with(vec![("stack", stack.into()), ("consumer", consumer.into())])
    }

    /// Metrics of a domain's events of one priority.
    pub fn for_domain(
        stack: impl Into<String>,
        domain: impl Into<String>,
        priority: impl Into<String>,
    ) -> Self {
        Self::with(vec![
            ("stack", stack.into()),
            ("domain", domain.into()),
            ("priority", priority.into()),
        ])
    }

    fn with(dimensions: Vec<(&'static str, String)>) -> Self {
        Self {
            dimensions,
            counts: BTreeMap::new(),
            times: BTreeMap::new(),
        }
    }

    /// Adds `n` to a counter.
    pub fn count(&mut self, counter: Counter, n: u64) -> &mut Self {
        if n > 0 {
            let sum = self.counts.entry(counter).or_default();
            *sum = sum.saturating_add(n);
        }
        self
    }

    /// Adds one duration. Below a millisecond it is 0.
    pub fn time(&mut self, timer: Timer, span: Duration) -> &mut Self {
        self.times
            .entry(timer)
            .or_default()
            .push(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.times.is_empty()
    }

    /// The lines, without line ends: none if there are no values, and one unless a timer has over
    /// [`MAX_VALUES_PER_LINE`] values. Only the first line holds the counts.
    #[must_use]
    pub fn lines(&self, now: SystemTime) -> Vec<String> {
        let millis = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .ok()
            .and_then(|span| u64::try_from(span.as_millis()).ok())
            .unwrap_or(0);
        let mut lines = Vec::new();
        loop {
            let at = lines.len();
            let mut metrics = Vec::new();
            let mut values = Map::new();
            if at == 0 {
                for (counter, n) in &self.counts {
                    metrics.push(json!({ "Name": counter.name(), "Unit": "Count" }));
                    values.insert(counter.name().into(), (*n).into());
                }
            }
            for (timer, all) in &self.times {
                if let Some(part) = all.chunks(MAX_VALUES_PER_LINE).nth(at) {
                    metrics.push(json!({ "Name": timer.name(), "Unit": "Milliseconds" }));
                    values.insert(timer.name().into(), part.into());
                }
            }
            if metrics.is_empty() {
                return lines;
            }
            lines.push(self.line(millis, &metrics, values));
        }
    }

    fn line(&self, millis: u64, metrics: &[Value], values: Map<String, Value>) -> String {
        let names: Vec<&str> = self.dimensions.iter().map(|(name, _)| *name).collect();
        let mut line = Map::new();
        line.insert(
            "_aws".into(),
            json!({
                "Timestamp": millis,
                "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": [names], "Metrics": metrics }],
            }),
        );
        for (name, value) in &self.dimensions {
            line.insert((*name).into(), value.as_str().into());
        }
        line.extend(values);
        Value::Object(line).to_string()
    }

    /// Writes all values and clears them.
    ///
    /// # Errors
    /// If the writer fails. The values are then kept.
    pub fn flush_to(&mut self, writer: &mut impl Write, now: SystemTime) -> io::Result<()> {
        for line in self.lines(now) {
            writer.write_all(line.as_bytes())?;
            writer.write_all(b"\n")?;
        }
        writer.flush()?;
        self.clear();
        Ok(())
    }

    /// Writes all values to standard output, with the present time, and clears them. Writes nothing if there are no
    /// values.
    pub fn flush(&mut self) {
        for line in self.lines(SystemTime::now()) {
            crate::write_line(&line);
        }
        self.clear();
    }

    fn clear(&mut self) {
        self.counts.clear();
        self.times.clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn moment() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_219_200_123)
    }

    fn text(metrics: &mut Metrics) -> String {
        let mut written = Vec::new();
        metrics.flush_to(&mut written, moment()).unwrap();
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn a_consumers_line_is_as_the_specification_says() {
        let mut metrics = Metrics::for_consumer("millrace-prod", "cloud-treasury");
        metrics
            .count(Counter::EventHandlerSuccess, 2)
            .count(Counter::EventHandlerSuccess, 1)
            .time(Timer::DeliveryLatency, Duration::from_millis(120))
            .time(Timer::DeliveryLatency, Duration::from_micros(95_900));
        let written = text(&mut metrics);
        assert_eq!(written.matches('\n').count(), 1, "one line");
        assert_eq!(
            serde_json::from_str::<Value>(&written).unwrap(),
            json!({
                "_aws": {
                    "Timestamp": 1_795_219_200_123_u64,
                    "CloudWatchMetrics": [{
                        "Namespace": "Millrace",
                        "Dimensions": [["stack", "consumer"]],
                        "Metrics": [
                            { "Name": "EventHandlerSuccess", "Unit": "Count" },
                            { "Name": "DeliveryLatency", "Unit": "Milliseconds" },
                        ],
                    }],
                },
                "stack": "millrace-prod",
                "consumer": "cloud-treasury",
                "EventHandlerSuccess": 3,
                "DeliveryLatency": [120, 95],
            })
        );
        assert!(metrics.is_empty(), "a flush begins anew");
        assert_eq!(text(&mut metrics), "");
    }

    #[test]
    fn a_domains_line_has_stack_domain_and_priority() {
        let mut metrics = Metrics::for_domain("dev", "cloud", "high");
        metrics.count(Counter::EventPublished, 10);
        let line: Value = serde_json::from_str(&text(&mut metrics)).unwrap();
        assert_eq!(
            line["_aws"]["CloudWatchMetrics"][0]["Dimensions"],
            json!([["stack", "domain", "priority"]])
        );
        assert_eq!(line["priority"], "high");
        assert_eq!(line["EventPublished"], 10);
    }

    #[test]
    fn nothing_counted_writes_nothing() {
        let mut metrics = Metrics::for_consumer("dev", "notifications");
        metrics.count(Counter::EventParked, 0);
        assert_eq!(text(&mut metrics), "");
    }

    #[test]
    fn over_a_hundred_values_go_on_in_a_second_line_and_counts_are_told_once() {
        let mut metrics = Metrics::for_consumer("dev", "notifications");
        metrics.count(Counter::EventHandlerSuccess, 250);
        for millis in 0..250 {
            metrics.time(Timer::DeliveryLatency, Duration::from_millis(millis));
        }
        let lines: Vec<Value> = text(&mut metrics)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 3);
        let emitted: Vec<u64> = lines
            .iter()
            .flat_map(|line| line["DeliveryLatency"].as_array().unwrap())
            .map(|value| value.as_u64().unwrap())
            .collect();
        assert_eq!(emitted, (0..250).collect::<Vec<_>>());
        for line in &lines {
            assert!(line["DeliveryLatency"].as_array().unwrap().len() <= MAX_VALUES_PER_LINE);
            for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
                .as_array()
                .unwrap()
            {
                assert!(
                    !line[metric["Name"].as_str().unwrap()].is_null(),
                    "a named metric has its value"
                );
            }
        }
        assert_eq!(lines[0]["EventHandlerSuccess"], 250);
        assert!(lines[1].get("EventHandlerSuccess").is_none());
    }

    #[test]
    fn names_are_all_different() {
        let names: std::collections::BTreeSet<&str> = Counter::ALL
            .iter()
            .map(|counter| counter.name())
            .chain(Timer::ALL.iter().map(|timer| timer.name()))
            .collect();
        assert_eq!(names.len(), Counter::ALL.len() + Timer::ALL.len());
    }
}
