//! Whether each alarm can be raised, and is not raised by what is well: the rendered alarms are evaluated as CloudWatch
//! does, with series that must raise them and series that must not.
//!
//! The series are by kind of alarm. An alarm of a new kind fails the test until its kind has series.

use std::collections::{BTreeMap, BTreeSet};

use topology::{Deployment, HEARTBEAT_ARRIVAL};

use super::{
    MODEL,
    cloudwatch::{Alarm, Measured, Minute, Reading},
    model::{Model, resources},
};

/// Values of a metric, named by its id in the expression or by its own name: from a minute to another (exclusive), every so
/// many minutes, so many values of this height. Minute 0 is the first at which the test looks at the alarm.
type Values = (&'static str, Minute, Minute, usize, usize, f64);
type Series = &'static [Values];

/// What raises an alarm of a kind, and what does not.
struct Row {
    kind: &'static str,
    raises: &'static [Series],
    is_well: &'static [Series],
}

const VISIBLE: &str = "ApproximateNumberOfMessagesVisible";
const IN_FLIGHT: &str = "ApproximateNumberOfMessagesNotVisible";
const AGE: &str = "ApproximateAgeOfOldestMessage";
const OPEN: &str = "DeadLettersOpen";
const LATENCY: &str = "DeliveryLatency";
const PUBLISHED: &str = "EventPublished";
/// The band of what is usual.
const LOWER: &str = "lower";
const UPPER: &str = "upper";
/// Of the whole time that a test looks at.
const LONG: Minute = 6_000;
/// Nothing was measured at all.
const NOTHING: Series = &[];

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row {
        kind: "FILL(arrived, 0): Sum Millrace/EventHandlerSuccess < 1 or absent, 3 of 3 x 300 s",
        // The heartbeats end, or there never was one.
        raises: &[&[("EventHandlerSuccess", -LONG, 1, 5, 1, 1.0)], NOTHING],
        // One in five minutes; and every second one is missing.
        is_well: &[&[("EventHandlerSuccess", -LONG, LONG, 5, 1, 1.0)], &[("EventHandlerSuccess", -LONG, LONG, 10, 1, 1.0)]],
    },
    Row {
        kind: "query of FailedInvocations > 0, 1 of 1 x 300 s",
        raises: &[&[("FailedInvocations", 0, 1, 1, 1, 1.0)]],
        is_well: &[NOTHING],
    },
    Row {
        kind: "query of InvocationsFailedToBeSentToDlq > 0, 1 of 1 x 300 s",
        raises: &[&[("InvocationsFailedToBeSentToDlq", 0, 1, 1, 1, 1.0)]],
        is_well: &[NOTHING],
    },
    Row {
        kind: "Maximum Millrace/DeadLettersOpen > 10, 1 of 1 x 300 s",
        // In the second series the job ran in one of five minutes.
        raises: &[&[(OPEN, 0, 60, 1, 1, 11.0)], &[(OPEN, 0, 60, 5, 1, 11.0)]],
        // Ten letters that are counted every minute are not more than ten.
        is_well: &[&[(OPEN, -LONG, LONG, 1, 1, 10.0)], NOTHING],
    },
    Row {
        kind: "Maximum Millrace/DeadLettersOpen > 100, 1 of 1 x 300 s",
        raises: &[&[(OPEN, 0, 60, 1, 1, 101.0)]],
        is_well: &[&[(OPEN, -LONG, LONG, 1, 1, 100.0)], NOTHING],
    },
    Row {
        kind: "Maximum Millrace/DeadLettersOpen > 0, 12 of 12 x 300 s",
        raises: &[&[(OPEN, 0, 60, 1, 1, 1.0)]],
        // The first ones, handled within the hour: after that there are no values.
        is_well: &[&[(OPEN, 0, 50, 1, 1, 9.0)], NOTHING],
    },
    Row {
        kind: "Maximum AWS/SQS/ApproximateAgeOfOldestMessage > 900, 5 of 5 x 60 s",
        // Nothing drains the queue.
        raises: &[&[(AGE, 0, 5, 1, 1, 901.0)]],
        // A letter whose first attempt failed is stored at the second, after the visibility timeout.
        is_well: &[&[(AGE, 0, 4, 1, 1, 240.0), (AGE, 4, 60, 1, 1, 0.0)], NOTHING],
    },
    Row {
        kind: "Minimum AWS/SQS/ApproximateNumberOfMessagesNotVisible > 0, 6 of 6 x 300 s",
        // The drainer receives a letter again and again, and stores it never.
        raises: &[&[(IN_FLIGHT, 0, 60, 1, 1, 1.0)]],
        // A storm of letters with a moment of quiet in a quarter of an hour; a letter that is stored at the second attempt.
        is_well: &[&[(IN_FLIGHT, 0, 60, 1, 1, 9.0), (IN_FLIGHT, 0, 60, 15, 1, 0.0)], &[(IN_FLIGHT, 0, 4, 1, 1, 1.0), (IN_FLIGHT, 4, 60, 1, 1, 0.0)], NOTHING],
    },
    Row {
        kind: "query of EventParked > 10, 1 of 1 x 3600 s",
        raises: &[&[("EventParked", 0, 55, 5, 1, 1.0)]],
        is_well: &[&[("EventParked", 0, 50, 5, 1, 1.0)], NOTHING],
    },
    Row {
        kind: "Maximum AWS/SQS/ApproximateNumberOfMessagesVisible > 1000, 3 of 3 x 60 s",
        raises: &[&[(VISIBLE, 0, 3, 1, 1, 1_001.0)]],
        // A burst that is handled within two minutes.
        is_well: &[&[(VISIBLE, 0, 2, 1, 1, 1_001.0), (VISIBLE, 2, 60, 1, 1, 0.0)], NOTHING],
    },
    Row {
        kind: "Maximum AWS/SQS/ApproximateNumberOfMessagesVisible > 10000, 3 of 3 x 60 s",
        raises: &[&[(VISIBLE, 0, 3, 1, 1, 10_001.0)]],
        is_well: &[&[(VISIBLE, 0, 2, 1, 1, 10_001.0), (VISIBLE, 2, 60, 1, 1, 10_000.0)], NOTHING],
    },
    Row {
        kind: "Maximum AWS/SQS/ApproximateNumberOfMessagesNotVisible > 60000, 1 of 1 x 60 s",
        raises: &[&[(IN_FLIGHT, 0, 1, 1, 1, 60_001.0)]],
        is_well: &[&[(IN_FLIGHT, 0, 60, 1, 1, 60_000.0)], NOTHING],
    },
    Row {
        kind: "Maximum AWS/SQS/ApproximateAgeOfOldestMessage > 60, 5 of 5 x 60 s",
        raises: &[&[(AGE, 0, 5, 1, 1, 61.0)]],
        // A failed record leaves the metric at its third receive, after 70 s.
        is_well: &[&[(AGE, 0, 2, 1, 1, 70.0), (AGE, 2, 60, 1, 1, 0.0)], NOTHING],
    },
    Row {
        kind: "Maximum AWS/SQS/ApproximateAgeOfOldestMessage > 300, 5 of 5 x 60 s",
        raises: &[&[(AGE, 0, 5, 1, 1, 301.0)]],
        is_well: &[&[(AGE, 0, 60, 1, 1, 300.0)], NOTHING],
    },
    Row {
        kind: "Maximum AWS/SQS/ApproximateAgeOfOldestMessage > 21600, 1 of 1 x 300 s",
        raises: &[&[(AGE, 0, 1, 1, 1, 21_601.0)]],
        is_well: &[&[(AGE, 0, 60, 1, 1, 21_600.0)], NOTHING],
    },
    Row {
        kind: "p95 Millrace/DeliveryLatency > 5000, 1 of 1 x 300 s",
        // A single late event of an hour, and a steady stream of them.
        raises: &[&[(LATENCY, 0, 1, 1, 1, 5_001.0)], &[(LATENCY, 0, 5, 1, 100, 6_000.0)]],
        // Four of a hundred are late.
        is_well: &[&[(LATENCY, 0, 1, 1, 96, 100.0), (LATENCY, 0, 1, 1, 4, 60_000.0)], NOTHING],
    },
    Row {
        kind: "p95 Millrace/DeliveryLatency > 30000, 1 of 1 x 300 s",
        raises: &[&[(LATENCY, 0, 1, 1, 1, 30_001.0)]],
        is_well: &[&[(LATENCY, 0, 1, 1, 96, 100.0), (LATENCY, 0, 1, 1, 4, 60_000.0)], NOTHING],
    },
    Row {
        kind: "IF(events >= 5, p95, p95 / 10): p95 Millrace/DeliveryLatency, SampleCount Millrace/DeliveryLatency > 1000, 1 of 1 x 300 s",
        // An alert that comes once in an episode and is 11 s late, and a steady stream that is hardly late.
        raises: &[&[(LATENCY, 0, 1, 1, 1, 11_000.0)], &[(LATENCY, 0, 5, 1, 1, 1_001.0)]],
        // An alert that meets functions that must start; and a steady stream in time.
        is_well: &[&[(LATENCY, 0, 1, 1, 1, 2_500.0)], &[(LATENCY, 0, 60, 1, 10, 900.0)], NOTHING],
    },
    Row {
        kind: "Maximum AWS/Lambda/IteratorAge > 60000, 5 of 5 x 60 s",
        raises: &[&[("IteratorAge", 0, 5, 1, 1, 60_001.0)]],
        is_well: &[&[("IteratorAge", 0, 4, 1, 1, 90_000.0), ("IteratorAge", 4, 60, 1, 1, 0.0)], NOTHING],
    },
    Row {
        kind: "Maximum AWS/Lambda/IteratorAge > 3600000, 1 of 1 x 60 s",
        raises: &[&[("IteratorAge", 0, 1, 1, 1, 3_600_001.0)]],
        is_well: &[&[("IteratorAge", 0, 60, 1, 1, 3_600_000.0)], NOTHING],
    },
    Row {
        kind: "Sum Millrace/EventPublishError > 0, 1 of 1 x 60 s",
        raises: &[&[("EventPublishError", 0, 1, 1, 1, 1.0)]],
        is_well: &[NOTHING],
    },
    Row {
        kind: "IF(FILL(published, 0) < 100, 0, published): Sum Millrace/EventPublished unusual by 3 deviations, 3 of 3 x 300 s",
        raises: &[
            // A loop of events on a stack that is usually quiet; a caller that repeats on a busy one.
            &[(LOWER, -LONG, LONG, 1, 1, 0.0), (UPPER, -LONG, LONG, 1, 1, 0.0), (PUBLISHED, 0, 20, 1, 1, 200.0)],
            &[(LOWER, -LONG, LONG, 1, 1, 8_000.0), (UPPER, -LONG, LONG, 1, 1, 12_000.0), (PUBLISHED, -LONG, 0, 1, 1, 2_000.0), (PUBLISHED, 0, 60, 1, 1, 4_000.0)],
            // Callers that cannot reach the API: half of what is usual; heartbeats alone.
            &[(LOWER, -LONG, LONG, 1, 1, 8_000.0), (UPPER, -LONG, LONG, 1, 1, 12_000.0), (PUBLISHED, -LONG, 0, 1, 1, 2_000.0), (PUBLISHED, 0, 60, 1, 1, 1_000.0)],
            &[(LOWER, -LONG, LONG, 1, 1, 8_000.0), (UPPER, -LONG, LONG, 1, 1, 12_000.0), (PUBLISHED, -LONG, 0, 1, 1, 2_000.0), (PUBLISHED, 0, 60, 5, 1, 1.0)],
        ],
        is_well: &[
            // A quiet stack: heartbeats; some calls that somebody tries; nothing at all.
            &[(LOWER, -LONG, LONG, 1, 1, 0.0), (UPPER, -LONG, LONG, 1, 1, 0.0), (PUBLISHED, -LONG, LONG, 5, 1, 1.0)],
            &[(LOWER, -LONG, LONG, 1, 1, 0.0), (UPPER, -LONG, LONG, 1, 1, 0.0), (PUBLISHED, 0, 60, 1, 1, 19.0)],
            &[(LOWER, -LONG, LONG, 1, 1, 0.0), (UPPER, -LONG, LONG, 1, 1, 0.0)],
            // A busy one as usual, and with a burst of five minutes.
            &[(LOWER, -LONG, LONG, 1, 1, 8_000.0), (UPPER, -LONG, LONG, 1, 1, 12_000.0), (PUBLISHED, -LONG, LONG, 1, 1, 2_000.0)],
            &[(LOWER, -LONG, LONG, 1, 1, 0.0), (UPPER, -LONG, LONG, 1, 1, 0.0), (PUBLISHED, 0, 5, 1, 1, 9_000.0)],
            // CloudWatch has not learned yet what is usual.
            &[(PUBLISHED, 0, LONG, 1, 1, 9_000.0)],
            NOTHING,
        ],
    },
    Row {
        kind: "Sum AWS/Lambda/Errors > 0, 1 of 1 x 60 s",
        raises: &[&[("Errors", 0, 1, 1, 1, 1.0)]],
        is_well: &[&[("Errors", 0, 60, 1, 1, 0.0)], NOTHING],
    },
    Row {
        kind: "Sum AWS/Lambda/Errors > 0, 2 of 3 x 300 s",
        // One message that crashes its consumer comes back after the visibility timeout of 180 s; a job crashes each minute.
        raises: &[&[("Errors", 0, 15, 3, 1, 1.0)], &[("Errors", 0, 15, 1, 1, 1.0)]],
        is_well: &[&[("Errors", 0, 1, 1, 1, 1.0), ("Errors", 1, 60, 1, 1, 0.0)], NOTHING],
    },
    Row {
        kind: "Sum AWS/Lambda/DestinationDeliveryFailures > 0, 1 of 1 x 300 s",
        raises: &[&[("DestinationDeliveryFailures", 0, 1, 1, 1, 1.0)]],
        is_well: &[NOTHING],
    },
    Row {
        kind: "Sum AWS/Lambda/AsyncEventsDropped > 0, 1 of 1 x 300 s",
        raises: &[&[("AsyncEventsDropped", 0, 1, 1, 1, 1.0)]],
        is_well: &[NOTHING],
    },
    Row {
        kind: "Sum AWS/Lambda/Throttles > 0, 2 of 3 x 300 s",
        raises: &[&[("Throttles", 0, 15, 3, 1, 1.0)]],
        is_well: &[&[("Throttles", 0, 1, 1, 1, 9.0), ("Throttles", 1, 60, 1, 1, 0.0)], NOTHING],
    },
    Row {
        kind: "Sum AWS/Events/FailedInvocations > 0, 1 of 1 x 300 s",
        raises: &[&[("FailedInvocations", 0, 1, 1, 1, 1.0)]],
        is_well: &[NOTHING],
    },
    Row {
        kind: "FILL(runs, 0): Sum AWS/Lambda/Invocations < 1 or absent, 26 of 26 x 3600 s",
        // Its rule was switched off; it never ran.
        raises: &[&[("Invocations", -LONG, 0, 1, 1, 1.0)], NOTHING],
        // By the minute; and once a day.
        is_well: &[&[("Invocations", -LONG, LONG, 1, 1, 1.0)], &[("Invocations", -LONG, LONG, 1_440, 1, 1.0)]],
    },
    Row {
        kind: "Sum Millrace/ChainJobFailed > 0, 1 of 1 x 60 s",
        raises: &[&[("ChainJobFailed", 0, 1, 1, 1, 1.0)]],
        is_well: &[NOTHING],
    },
    Row {
        kind: "Sum Millrace/OrdersStuck > 0, 1 of 1 x 60 s",
        raises: &[&[("OrdersStuck", 0, 1, 1, 1, 1.0)]],
        is_well: &[NOTHING],
    },
    Row {
        kind: "Maximum AWS/SES/Reputation.BounceRate > 0.05, 1 of 1 x 3600 s",
        raises: &[&[("Reputation.BounceRate", 0, 60, 15, 1, 0.051)]],
        is_well: &[&[("Reputation.BounceRate", 0, 60, 15, 1, 0.05)], NOTHING],
    },
    Row {
        kind: "Maximum AWS/SES/Reputation.ComplaintRate > 0.001, 1 of 1 x 3600 s",
        raises: &[&[("Reputation.ComplaintRate", 0, 60, 15, 1, 0.0011)]],
        is_well: &[&[("Reputation.ComplaintRate", 0, 60, 15, 1, 0.001)], NOTHING],
    },
    Row {
        kind: "Sum AWS/ApiGateway/5XXError > 5, 1 of 1 x 300 s",
        raises: &[&[("5XXError", 0, 3, 1, 2, 1.0)]],
        is_well: &[&[("5XXError", 0, 1, 1, 5, 1.0)], NOTHING],
    },
];

fn measured(series: Series) -> Measured {
    let mut measured = Measured::default();
    for (metric, from, to, every, count, value) in series {
        let minutes = measured.0.entry((*metric).to_owned()).or_default();
        for minute in (*from..*to).step_by(*every) {
            minutes
                .entry(minute)
                .or_default()
                .extend(vec![*value; *count]);
        }
    }
    measured
}

/// Whether an alarm is raised at any minute from 0 on: while there are values and, unless a missing value means a fault of
/// its own, as long as the last value counts.
fn is_raised(alarm: &Alarm, series: Series, must: bool, reading: Reading) -> bool {
    let end = series
        .iter()
        .map(|values| values.2)
        .max()
        .unwrap_or_default();
    let last = if must || !alarm.missing_breaches {
        end + alarm.range(reading)
    } else {
        end
    };
    let measured = measured(series);
    (0..=last).any(|minute| alarm.is_raised(&measured, minute, reading))
}

/// The alarms of a model by kind: one of each kind, with its logical id.
fn kinds(model: &Model) -> BTreeMap<String, (String, Alarm)> {
    resources(&model.aws_only, "AWS::CloudWatch::Alarm")
        .map(|(id, properties)| {
            let alarm = Alarm::read(properties).unwrap_or_else(|error| panic!("{id}: {error}"));
            (alarm.kind(), (id.to_owned(), alarm))
        })
        .collect()
}

#[test]
fn every_alarm_is_raised_by_what_is_broken_and_by_nothing_that_is_well() {
    let mut wrong = Vec::new();
    let kinds = kinds(&MODEL);
    for (kind, (id, alarm)) in &kinds {
        let Some(row) = ROWS.iter().find(|row| row.kind == kind) else {
            wrong.push(format!(
                "{id}: there are no series for alarms of the kind {kind}"
            ));
            continue;
        };
        assert!(!row.raises.is_empty() && !row.is_well.is_empty(), "{kind}");
        for reading in Reading::ALL {
            for (at, series) in row.raises.iter().enumerate() {
                if !is_raised(alarm, series, true, reading) {
                    wrong.push(format!(
                        "{id}: series {at} of {kind} does not raise it ({reading:?})"
                    ));
                }
            }
            for (at, series) in row.is_well.iter().enumerate() {
                if is_raised(alarm, series, false, reading) {
                    wrong.push(format!(
                        "{id}: series {at} of {kind} raises it, and all is well ({reading:?})"
                    ));
                }
            }
        }
    }
    let unused = ROWS.iter().filter(|row| !kinds.contains_key(row.kind));
    wrong.extend(
        unused.map(|row| format!("no alarm is of the kind {}: remove its series", row.kind)),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_kinds_with_series_are_all_different() {
    let kinds: BTreeSet<&str> = ROWS.iter().map(|row| row.kind).collect();
    assert_eq!(kinds.len(), ROWS.len());
}

/// The heartbeat's alarm exists exactly where its consumer is deployed.
#[test]
fn a_deployment_with_a_heartbeat_has_the_alarm_on_its_absence() {
    let has_alarm = |model: &Model| !model.aws_only["Resources"]["HeartbeatMissing"].is_null();
    assert!(has_alarm(&MODEL));
    let spine = Deployment::of([]).unwrap();
    let rendered = template::render(&spine).unwrap();
    let model = Model::of(&spine, &rendered.main, &rendered.aws_only);
    let beats = spine
        .functions()
        .iter()
        .any(|one| one.name == HEARTBEAT_ARRIVAL);
    assert_eq!(has_alarm(&model), beats);
}

/// The alarms that were replaced because nothing could raise them. The series are of what they were meant for.
#[test]
fn what_could_not_be_raised_is_seen_not_to_be_raised() {
    use serde_json::json;
    let alarm = |metric: &str,
                 statistic: &str,
                 value: &str,
                 period: u32,
                 periods: u32,
                 datapoints: u32,
                 threshold: u32| {
        let mut properties = json!({
            "Namespace": "N", "MetricName": metric, "Period": period, "EvaluationPeriods": periods, "DatapointsToAlarm": datapoints,
            "ComparisonOperator": "GreaterThanThreshold", "Threshold": threshold, "TreatMissingData": "notBreaching",
        });
        properties[statistic] = json!(value);
        Alarm::read(&properties).unwrap()
    };
    let never: [(Alarm, Series); 3] = [
        // An alert that comes once in an episode, an hour late: five breaching minutes were wanted.
        (
            alarm(LATENCY, "ExtendedStatistic", "p95", 60, 5, 5, 1_000),
            &[(LATENCY, 0, 1, 1, 1, 3_600_000.0)],
        ),
        // A message that crashes its consumer, every three minutes for a day: three of five minutes were wanted.
        (
            alarm("Errors", "Statistic", "Sum", 60, 5, 3, 0),
            &[("Errors", 0, 1_440, 3, 1, 1.0)],
        ),
        // Dead letters that the audit received three times no longer have an age.
        (
            alarm(AGE, "Statistic", "Maximum", 60, 1, 1, 864_000),
            &[(AGE, 0, 60, 1, 1, 0.0)],
        ),
    ];
    for (alarm, series) in never {
        let reading = Reading {
            looks_further: 0,
            fills_nothing: false,
        };
        assert!(
            !is_raised(&alarm, series, true, reading),
            "{}",
            alarm.kind()
        );
    }
}
