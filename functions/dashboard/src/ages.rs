//! The age of the oldest message of each queue. SQS reports it only to CloudWatch, once a minute.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use aws_sdk_cloudwatch::{
    Client,
    primitives::DateTime,
    types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy},
};
use events::Timestamp;
use futures::future::try_join_all;
use outbox::{Fault, FaultKind};
use tokio::sync::Mutex;

/// The maximum number of metrics in one call:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>, read 2026-11-26.
const MAX_QUERIES: usize = 500;

/// How often SQS measures, in seconds:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html>, read 2026-11-26.
const PERIOD_SECONDS: i32 = 60;

/// The maximum age of a measurement, in milliseconds. Measurements are delayed, and an idle queue has none.
const WINDOW_MILLIS: i64 = 5 * 60 * 1_000;

/// The port that reads the ages.
#[async_trait]
pub trait Ages: Send + Sync {
    /// Returns how many seconds the oldest message of each queue had waited at the last measurement, by the queue's
    /// name. A queue without a recent measurement is left out.
    ///
    /// # Errors
    /// [`Fault`] when they cannot be read.
    async fn oldest(&self, queues: &[&str], now: Timestamp) -> Result<HashMap<String, u64>, Fault>;
}

/// The ages that were read, and when.
type Read = Option<(Timestamp, HashMap<String, u64>)>;

/// Reads the ages from CloudWatch. A local AWS has no queue metrics, so it returns no ages.
#[derive(Debug)]
pub struct CloudWatchAges {
    client: Client,
    good_for: Duration,
    last: Mutex<Read>,
}

impl CloudWatchAges {
    /// Creates the reader over a client. It reuses an answer for a while, because every metric that it requests costs
    /// money.
    #[must_use]
    pub fn new(client: Client, good_for: Duration) -> Self {
        Self {
            client,
            good_for,
            last: Mutex::default(),
        }
    }

    async fn read(&self, queues: &[&str], now: Timestamp) -> Result<HashMap<String, u64>, Fault> {
        let failed = |error: aws_sdk_cloudwatch::Error| {
            Fault::new(FaultKind::Unavailable, "cloudwatch GetMetricData", error)
        };
        let queries: Vec<MetricDataQuery> = queues
            .iter()
            .enumerate()
            .map(|(place, queue)| query(place, queue))
            .collect();
        let asked = self
            .client
            .get_metric_data()
            .set_metric_data_queries(Some(queries))
            .start_time(DateTime::from_millis(
                now.unix_millis().saturating_sub(WINDOW_MILLIS),
            ))
            .end_time(DateTime::from_millis(now.unix_millis()))
            .scan_by(ScanBy::TimestampDescending)
            .send()
            .await
            .map_err(|error| failed(error.into()))?;
        let found = asked.metric_data_results().iter().filter_map(|result| {
            let place: usize = result.id()?.strip_prefix(ID)?.parse().ok()?;
            // Take the newest value. An emulator may not keep the requested order.
            let measured = result.timestamps().iter().zip(result.values());
            let (_, newest) = measured.max_by_key(|(when, _)| when.as_nanos())?;
            let seconds = seconds(*newest)?;
            Some(((*queues.get(place)?).to_owned(), seconds))
        });
        Ok(found.collect())
    }
}

#[async_trait]
impl Ages for CloudWatchAges {
    async fn oldest(&self, queues: &[&str], now: Timestamp) -> Result<HashMap<String, u64>, Fault> {
        // Callers that arrive during a request wait for it and share its answer.
        let mut last = self.last.lock().await;
        if let Some((when, known)) = &*last
            && now < when.plus(self.good_for)
        {
            return Ok(known.clone());
        }
        let asked = queues.chunks(MAX_QUERIES).map(|some| self.read(some, now));
        let read = try_join_all(asked)
            .await
            .map(|parts| parts.into_iter().flatten().collect());
        // A failure is remembered too: otherwise each status request would call CloudWatch again, and fail again.
        let known: HashMap<String, u64> =
            read.as_ref().map_or_else(|_| HashMap::new(), Clone::clone);
        *last = Some((now, known));
        read
    }
}

/// The prefix of query ids, which must start with a lower-case letter.
const ID: &str = "q";

fn query(place: usize, queue: &str) -> MetricDataQuery {
    let queue = Dimension::builder().name("QueueName").value(queue).build();
    let metric = Metric::builder()
        .namespace("AWS/SQS")
        .metric_name("ApproximateAgeOfOldestMessage")
        .dimensions(queue)
        .build();
    let stat = MetricStat::builder()
        .metric(metric)
        .period(PERIOD_SECONDS)
        .stat("Maximum")
        .build();
    MetricDataQuery::builder()
        .id(format!("{ID}{place}"))
        .metric_stat(stat)
        .build()
}

/// CloudWatch returns floating-point numbers; an age is in whole seconds.
fn seconds(value: f64) -> Option<u64> {
    Duration::try_from_secs_f64(value)
        .ok()
        .map(|age| age.as_secs())
}
