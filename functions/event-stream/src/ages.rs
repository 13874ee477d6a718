//! How long the oldest message of a queue has waited: SQS tells it to CloudWatch only, once a minute.

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

/// The most metrics of one call:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>, read 2026-11-26.
const MAX_QUERIES: usize = 500;

/// How often SQS measures, in seconds:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html>, read 2026-11-26.
const PERIOD_SECONDS: i32 = 60;

/// How old a measurement may be, in milliseconds. They come with a delay; an idle queue has none.
const WINDOW_MILLIS: i64 = 5 * 60 * 1_000;

/// The port to what is known of ages.
#[async_trait]
pub trait Ages: Send + Sync {
    /// Seconds that the oldest message of each queue had waited when last measured, by the queue's name. A queue without a
    /// recent measurement is not among them.
    ///
    /// # Errors
    /// [`Fault`] when they cannot be read.
    async fn oldest(&self, queues: &[&str], now: Timestamp) -> Result<HashMap<String, u64>, Fault>;
}

/// What was read, and when.
type Read = Option<(Timestamp, HashMap<String, u64>)>;

/// The port on CloudWatch. A local AWS has no metrics of queues: there nothing is known.
#[derive(Debug)]
pub struct CloudWatchAges {
    client: Client,
    good_for: Duration,
    last: Mutex<Read>,
}

impl CloudWatchAges {
    /// Over a client. An answer is good for a while: each metric asked for costs money.
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
            // The newest; an emulator may not keep the order that was asked for.
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
        // Whoever comes while somebody asks takes the same answer.
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
        // A failure is remembered as well: each look at the status would only fail again.
        let known: HashMap<String, u64> =
            read.as_ref().map_or_else(|_| HashMap::new(), Clone::clone);
        *last = Some((now, known));
        read
    }
}

/// What an id of a query begins with; they begin with a small letter.
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

/// CloudWatch's numbers are binary fractions; an age is whole seconds.
fn seconds(value: f64) -> Option<u64> {
    Duration::try_from_secs_f64(value)
        .ok()
        .map(|age| age.as_secs())
}
