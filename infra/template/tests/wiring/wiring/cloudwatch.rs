//! What CloudWatch makes of an alarm of the rendered template and the values of its metrics: how it computes data points,
//! and when it raises the alarm.
//!
//! The rules are those of AWS's pages, read 2026-11-29:
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html>,
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html>,
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html>.
//! How CloudWatch learns the band of what is usual, they do not say: a test states the band, as the series `lower` and `upper`.
//! Where the pages leave something open, [`Reading`] has each possibility, and the tests try all.

#![expect(
    clippy::float_arithmetic,
    reason = "CloudWatch computes with floating-point numbers"
)]

use std::collections::BTreeMap;

use serde_json::Value;

use super::model::{list, text};

/// Minutes, from the moment at which a test begins to look at the alarm.
pub(crate) type Minute = i64;

/// What was measured, by the id that an expression gives a metric, or by the metric's name: the values of each minute.
#[derive(Debug, Clone, Default)]
pub(crate) struct Measured(pub(crate) BTreeMap<String, BTreeMap<Minute, Vec<f64>>>);

/// What AWS's pages leave open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// How many data points CloudWatch looks at in addition to the alarm's periods, to find some that are not missing.
    /// The pages give one example: five data points for three periods.
    pub(crate) looks_further: usize,
    /// Whether `FILL` also fills a series without any data point.
    pub(crate) fills_nothing: bool,
}

impl Reading {
    pub(crate) const ALL: [Self; 4] = [
        Self {
            looks_further: 0,
            fills_nothing: false,
        },
        Self {
            looks_further: 0,
            fills_nothing: true,
        },
        Self {
            looks_further: 2,
            fills_nothing: false,
        },
        Self {
            looks_further: 2,
            fills_nothing: true,
        },
    ];
}

/// An alarm, as CloudWatch reads it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Alarm {
    metrics: Vec<Metric>,
    expression: Option<Expression>,
    /// `FILL(runs, 0): Sum AWS/Lambda/Invocations`
    measure: String,
    breach: Breach,
    /// In minutes.
    period: i64,
    periods: usize,
    datapoints: usize,
    pub(crate) missing_breaches: bool,
    /// For how many metrics AWS charges. A query is charged for what it finds, which is nothing while nothing fails.
    pub(crate) charged: usize,
}

/// What raises an alarm.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Breach {
    Above(f64),
    Below(f64),
    /// A value outside of the band of what is usual, which is so many standard deviations wide.
    Unusual(f64),
}

/// The series that are the band.
const BAND: [&str; 2] = ["lower", "upper"];

#[derive(Debug, Clone, PartialEq)]
struct Metric {
    id: String,
    name: String,
    statistic: String,
}

impl Alarm {
    /// Reads the properties of an alarm.
    ///
    /// # Errors
    /// What AWS would refuse, or what this module does not know.
    pub(crate) fn read(properties: &Value) -> Result<Self, String> {
        let words = |value: &Value| text(value).ok_or_else(|| format!("{value} is no text"));
        let number = |name: &str| {
            let value = properties[name].as_i64();
            value.ok_or_else(|| format!("{name} is no whole number"))
        };
        let statistic_of = |one: &Value| match (&one["Statistic"], &one["ExtendedStatistic"]) {
            (Value::Null, other) | (other, Value::Null) => words(other),
            _ => Err("two statistics".to_owned()),
        };
        let mut metrics = Vec::new();
        let mut names = Vec::new();
        let mut seconds = Vec::new();
        let mut expression = None;
        let mut queried = None;
        let mut band = None;
        for one in list(&properties["Metrics"]) {
            let stat = &one["MetricStat"];
            if stat.is_null() {
                let source = match &one["Expression"]["Fn::Sub"] {
                    Value::Null => words(&one["Expression"])?,
                    sub => words(sub)?,
                };
                if let Some(arguments) = source.strip_prefix("ANOMALY_DETECTION_BAND(") {
                    let deviations = arguments
                        .strip_prefix("result, ")
                        .and_then(|rest| rest.strip_suffix(')')?.parse().ok())
                        .ok_or_else(|| format!("{source} is not the band of the result"))?;
                    // An alarm on what is usual has no threshold but the band, and both the band and what it is of return data.
                    if properties["ThresholdMetricId"] != one["Id"]
                        || one["ReturnData"] != true
                        || !properties["Threshold"].is_null()
                    {
                        return Err(format!("{source} is not the threshold"));
                    }
                    band = Some(Breach::Unusual(deviations));
                    continue;
                }
                if source.chars().count() > 1_024
                    || expression.is_some()
                    || one["ReturnData"] != true
                {
                    return Err(format!(
                        "one expression of 1,024 characters must return data: {source}"
                    ));
                }
                if let Some(query) = source.strip_prefix("SELECT SUM(") {
                    let name = query.split(')').next().unwrap_or_default().to_owned();
                    seconds.push(one["Period"].as_i64().ok_or("a query needs a Period")?);
                    queried = Some(name.clone());
                    expression = Some(Expression::Id("queried".into()));
                    metrics.push(Metric {
                        id: "queried".into(),
                        name,
                        statistic: "Sum".into(),
                    });
                } else {
                    expression = Some(Expression::parse(&source)?);
                }
                names.insert(0, source);
                continue;
            }
            if one["ReturnData"] != false {
                return Err("only the expression may return data".to_owned());
            }
            let metric = Metric {
                id: words(&one["Id"])?,
                name: words(&stat["Metric"]["MetricName"])?,
                statistic: words(&stat["Stat"])?,
            };
            seconds.push(stat["Period"].as_i64().ok_or("a metric needs a Period")?);
            names.push(format!(
                "{} {}/{}",
                metric.statistic,
                words(&stat["Metric"]["Namespace"])?,
                metric.name
            ));
            metrics.push(metric);
        }
        // What is usual has a lower and an upper bound, and each is charged as another metric.
        let bounds = if band.is_some() { BAND.len() } else { 0 };
        let charged = if queried.is_some() {
            0
        } else {
            metrics.len().max(1) * (1 + bounds)
        };
        if metrics.is_empty() {
            let metric = Metric {
                id: "metric".into(),
                name: words(&properties["MetricName"])?,
                statistic: statistic_of(properties)?,
            };
            names.push(format!(
                "{} {}/{}",
                metric.statistic,
                words(&properties["Namespace"])?,
                metric.name
            ));
            seconds.push(number("Period")?);
            metrics.push(metric);
        }
        seconds.dedup();
        let [seconds] = seconds[..] else {
            return Err(format!("different periods: {seconds:?}"));
        };
        let periods = number("EvaluationPeriods")?;
        let longest = if seconds < 3_600 { 86_400 } else { 604_800 };
        if metrics.len() > 10 || seconds % 60 != 0 || seconds * periods > longest {
            return Err("more than 10 metrics, or periods that AWS refuses".to_owned());
        }
        let datapoints = if properties["DatapointsToAlarm"].is_null() {
            periods
        } else {
            number("DatapointsToAlarm")?
        };
        if !(1..=periods).contains(&datapoints) {
            return Err(format!("{datapoints} of {periods} periods"));
        }
        let threshold = || {
            let value = properties["Threshold"].as_f64();
            value.ok_or("Threshold is no number")
        };
        Ok(Self {
            measure: measure(names, queried.as_deref()),
            breach: match (properties["ComparisonOperator"].as_str(), band) {
                (Some("GreaterThanThreshold"), None) => Breach::Above(threshold()?),
                (Some("LessThanThreshold"), None) => Breach::Below(threshold()?),
                (Some("LessThanLowerOrGreaterThanUpperThreshold"), Some(band)) => band,
                (other, _) => return Err(format!("the comparison {other:?} is not known here")),
            },
            period: seconds / 60,
            periods: usize::try_from(periods).unwrap_or_default(),
            datapoints: usize::try_from(datapoints).unwrap_or_default(),
            missing_breaches: match properties["TreatMissingData"].as_str() {
                Some("breaching") => true,
                Some("notBreaching") => false,
                other => return Err(format!("TreatMissingData {other:?} is not known here")),
            },
            metrics,
            expression,
            charged,
        })
    }

    /// What it measures, and when it is raised: `Sum AWS/Lambda/Errors > 0, 2 of 3 x 300 s`. Alarms of the same kind differ
    /// in their dimensions alone.
    pub(crate) fn kind(&self) -> String {
        let compared = match self.breach {
            Breach::Above(threshold) => format!("> {threshold}"),
            Breach::Below(threshold) => format!("< {threshold}"),
            Breach::Unusual(deviations) => format!("unusual by {deviations} deviations"),
        };
        let absent = if self.missing_breaches {
            " or absent"
        } else {
            ""
        };
        format!(
            "{} {compared}{absent}, {} of {} x {} s",
            self.measure,
            self.datapoints,
            self.periods,
            self.period * 60
        )
    }

    /// How long the alarm looks back, in minutes.
    pub(crate) fn range(&self, reading: Reading) -> Minute {
        let points = self.periods + reading.looks_further;
        self.period * Minute::try_from(points).unwrap_or_default()
    }

    /// Whether CloudWatch raises the alarm at this minute. Data points before it are of whole periods that end at it.
    pub(crate) fn is_raised(&self, measured: &Measured, at: Minute, reading: Reading) -> bool {
        let points = self.points(measured, at, reading);
        let begins = self.begins(at, reading);
        let breaches = |(begin, value): (Minute, f64)| match self.breach {
            Breach::Above(threshold) => value > threshold,
            Breach::Below(threshold) => value < threshold,
            // Before CloudWatch has learned a band, nothing is outside of it.
            Breach::Unusual(_) => {
                let end = begin + self.period;
                let [lower, upper] = BAND.map(|bound| measured.bound(bound, begin, end));
                lower.is_some_and(|bound| value < bound) || upper.is_some_and(|bound| value > bound)
            }
        };
        let present: Vec<(Minute, f64)> = begins
            .zip(points)
            .filter_map(|(begin, point)| Some((begin, point?)))
            .collect();
        // With enough real data points the missing ones do not count; the newest are evaluated.
        let evaluated = &present[present.len().saturating_sub(self.periods)..];
        let missing = self.periods - evaluated.len();
        let breaching = evaluated.iter().filter(|one| breaches(**one)).count();
        breaching + if self.missing_breaches { missing } else { 0 } >= self.datapoints
    }

    /// The first minutes of the periods that CloudWatch looks at, the oldest first.
    fn begins(&self, at: Minute, reading: Reading) -> impl Iterator<Item = Minute> + use<> {
        let count = Minute::try_from(self.periods + reading.looks_further).unwrap_or_default();
        let period = self.period;
        (1..=count).rev().map(move |back| at - back * period)
    }

    /// The data points, the oldest first.
    fn points(&self, measured: &Measured, at: Minute, reading: Reading) -> Vec<Option<f64>> {
        let count = self.periods + reading.looks_further;
        let series: BTreeMap<&str, Vec<Option<f64>>> = self
            .metrics
            .iter()
            .map(|metric| {
                let points = self.begins(at, reading).map(|begin| {
                    let values = measured.of(metric, begin, begin + self.period);
                    statistic(&metric.statistic, values)
                });
                (metric.id.as_str(), points.collect())
            })
            .collect();
        match &self.expression {
            None => series.into_values().next().unwrap_or_default(),
            Some(expression) => expression.points(&series, count, reading),
        }
    }
}

/// What an alarm measures: its expression or query, then each metric once.
fn measure(mut names: Vec<String>, queried: Option<&str>) -> String {
    if let Some(name) = queried {
        return format!("query of {name}");
    }
    // The terms of a sum are as many as there are functions.
    let expression = (names.len() > 1).then(|| names.remove(0));
    names.dedup();
    let metrics = names.join(", ");
    match expression {
        None => metrics,
        Some(sum) if sum.starts_with("SUM(") => format!("SUM: {metrics}"),
        Some(expression) => format!("{expression}: {metrics}"),
    }
}

impl Measured {
    /// The last value of a bound in these minutes.
    fn bound(&self, name: &str, from: Minute, to: Minute) -> Option<f64> {
        let minutes = self.0.get(name)?;
        let (_, values) = minutes.range(from..to).next_back()?;
        values.last().copied()
    }

    fn of(&self, metric: &Metric, from: Minute, to: Minute) -> Vec<f64> {
        let all = self.0.get(&metric.id).or_else(|| self.0.get(&metric.name));
        all.into_iter()
            .flat_map(|minutes| minutes.range(from..to))
            .flat_map(|(_, values)| values.iter().copied())
            .collect()
    }
}

fn statistic(name: &str, mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (first, last) = (*values.first()?, *values.last()?);
    #[expect(clippy::cast_precision_loss, reason = "a test has few values")]
    let count = values.len() as f64;
    Some(match name {
        "Sum" => values.iter().sum(),
        "Maximum" => last,
        "Minimum" => first,
        "SampleCount" => count,
        "p95" => values[(values.len() * 95).div_ceil(100) - 1],
        other => unreachable!("the statistic {other} is not known here"),
    })
}

/// A metric-math expression, as far as the alarms use them.
#[derive(Debug, Clone, PartialEq)]
enum Expression {
    Number(f64),
    Id(String),
    Both(Box<Self>, &'static str, Box<Self>),
    If(Box<[Self; 3]>),
    Fill(Box<Self>, f64),
    Sum(Vec<Self>),
}

/// Operators, the weakest first.
const OPERATORS: [&[&str]; 5] = [
    &["OR"],
    &["AND"],
    &["==", ">=", "<=", ">", "<"],
    &["+", "-"],
    &["*", "/"],
];

impl Expression {
    fn parse(source: &str) -> Result<Self, String> {
        let mut tokens = tokens(source);
        tokens.reverse();
        let parsed = Self::of_level(&mut tokens, 0)?;
        if tokens.is_empty() {
            Ok(parsed)
        } else {
            Err(format!("{source}: ends at {tokens:?}"))
        }
    }

    fn of_level(tokens: &mut Vec<String>, level: usize) -> Result<Self, String> {
        let Some(operators) = OPERATORS.get(level) else {
            return Self::atom(tokens);
        };
        let mut left = Self::of_level(tokens, level + 1)?;
        while let Some(operator) = operators
            .iter()
            .find(|one| tokens.last().is_some_and(|next| next == **one))
        {
            tokens.pop();
            left = Self::Both(
                Box::new(left),
                operator,
                Box::new(Self::of_level(tokens, level + 1)?),
            );
        }
        Ok(left)
    }

    fn atom(tokens: &mut Vec<String>) -> Result<Self, String> {
        let token = tokens.pop().ok_or("the expression ends too early")?;
        if let Ok(number) = token.parse() {
            return Ok(Self::Number(number));
        }
        match token.as_str() {
            "(" => {
                let inner = Self::of_level(tokens, 0)?;
                expect(tokens, ")")?;
                Ok(inner)
            }
            "IF" => {
                let [condition, yes, no] =
                    <[Self; 3]>::try_from(Self::arguments(tokens, "(", ")")?)
                        .map_err(|_| "IF takes three arguments")?;
                Ok(Self::If(Box::new([condition, yes, no])))
            }
            "FILL" => match Self::arguments(tokens, "(", ")")?.as_slice() {
                [series, Self::Number(filling)] => {
                    Ok(Self::Fill(Box::new(series.clone()), *filling))
                }
                _ => Err("FILL takes a series and a number here".to_owned()),
            },
            "SUM" => {
                expect(tokens, "(")?;
                let series = Self::arguments(tokens, "[", "]")?;
                expect(tokens, ")")?;
                Ok(Self::Sum(series))
            }
            id if id.starts_with(|first: char| first.is_ascii_lowercase()) => Ok(Self::Id(token)),
            other => Err(format!("{other} is not known here")),
        }
    }

    fn arguments(tokens: &mut Vec<String>, open: &str, close: &str) -> Result<Vec<Self>, String> {
        expect(tokens, open)?;
        let mut arguments = vec![Self::of_level(tokens, 0)?];
        while tokens.last().is_some_and(|next| next == ",") {
            tokens.pop();
            arguments.push(Self::of_level(tokens, 0)?);
        }
        expect(tokens, close)?;
        Ok(arguments)
    }

    /// The expression's data points. One that lacks an operand is missing.
    fn points(
        &self,
        series: &BTreeMap<&str, Vec<Option<f64>>>,
        count: usize,
        reading: Reading,
    ) -> Vec<Option<f64>> {
        let of = |inner: &Self| inner.points(series, count, reading);
        match self {
            Self::Number(number) => vec![Some(*number); count],
            Self::Id(id) => series
                .get(id.as_str())
                .cloned()
                .unwrap_or_else(|| vec![None; count]),
            Self::Both(left, operator, right) => {
                let both = of(left).into_iter().zip(of(right));
                both.map(|(left, right)| Some(applied(left?, operator, right?)))
                    .collect()
            }
            Self::If(parts) => {
                let [conditions, yes, no] = parts.each_ref().map(of);
                let branches = yes.into_iter().zip(no);
                let all = conditions.into_iter().zip(branches);
                all.map(|(condition, (yes, no))| if condition? == 0.0 { no } else { yes })
                    .collect()
            }
            Self::Fill(inner, filling) => {
                let points = of(inner);
                if points.iter().all(Option::is_none) && !reading.fills_nothing {
                    return points;
                }
                points
                    .into_iter()
                    .map(|point| point.or(Some(*filling)))
                    .collect()
            }
            Self::Sum(all) => {
                let all: Vec<Vec<Option<f64>>> = all.iter().map(of).collect();
                let sum = |at: usize| {
                    let present: Vec<f64> = all.iter().filter_map(|points| points[at]).collect();
                    (!present.is_empty()).then(|| present.iter().sum())
                };
                (0..count).map(sum).collect()
            }
        }
    }
}

fn applied(left: f64, operator: &str, right: f64) -> f64 {
    let flag = |flag| if flag { 1.0 } else { 0.0 };
    match operator {
        "OR" => flag(left != 0.0 || right != 0.0),
        "AND" => flag(left != 0.0 && right != 0.0),
        "==" => flag((left - right).abs() < f64::EPSILON),
        ">=" => flag(left >= right),
        "<=" => flag(left <= right),
        ">" => flag(left > right),
        "<" => flag(left < right),
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        _ => left / right,
    }
}

fn expect(tokens: &mut Vec<String>, wanted: &str) -> Result<(), String> {
    match tokens.pop() {
        Some(token) if token == wanted => Ok(()),
        other => Err(format!("{wanted} is wanted, not {other:?}")),
    }
}

fn tokens(source: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let is_word = |one: char| one.is_alphanumeric() || one == '_' || one == '.';
    let mut before = ' ';
    for one in source.chars() {
        let continues =
            is_word(one) && is_word(before) || one == '=' && matches!(before, '=' | '<' | '>');
        match tokens.last_mut() {
            Some(last) if continues => last.push(one),
            _ if one.is_whitespace() => {}
            _ => tokens.push(one.to_string()),
        }
        before = one;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn alarm(missing: &str) -> Alarm {
        Alarm::read(&json!({
            "Namespace": "N", "MetricName": "M", "Statistic": "Maximum", "Period": 60, "EvaluationPeriods": 3,
            "ComparisonOperator": "GreaterThanThreshold", "Threshold": 0, "TreatMissingData": missing,
        }))
        .unwrap()
    }

    /// The table of AWS's page for three of three periods: a breaching data point is `X`, one within the threshold `0`.
    #[test]
    fn missing_data_is_treated_as_awss_table_says() {
        for (points, breaching, not_breaching) in [
            ("0-X-X", false, false),
            ("----0", false, false),
            ("-----", true, false),
            ("0XX-X", true, true),
            ("--X--", true, false),
        ] {
            let minutes = (-5..)
                .zip(points.chars())
                .filter_map(|(minute, point)| match point {
                    'X' => Some((minute, vec![1.0])),
                    '0' => Some((minute, vec![0.0])),
                    _ => None,
                });
            let measured = Measured(BTreeMap::from([("M".to_owned(), minutes.collect())]));
            let reading = Reading {
                looks_further: 2,
                fills_nothing: false,
            };
            for (missing, wanted) in [("breaching", breaching), ("notBreaching", not_breaching)] {
                assert_eq!(
                    alarm(missing).is_raised(&measured, 0, reading),
                    wanted,
                    "{points} {missing}"
                );
            }
        }
    }

    #[test]
    fn expressions_are_computed_as_aws_computes_them() {
        let series = BTreeMap::from([
            ("a", vec![Some(2.0), None, Some(0.0)]),
            ("b", vec![Some(3.0), Some(1.0), None]),
        ]);
        for (source, wanted) in [
            ("a + b * 2", vec![Some(8.0), None, None]),
            ("SUM([a, b])", vec![Some(5.0), Some(1.0), Some(0.0)]),
            ("FILL(a, 7)", vec![Some(2.0), Some(7.0), Some(0.0)]),
            (
                "IF(a >= 2 AND FILL(b, 0) == 3, 1, b / 2)",
                vec![Some(1.0), None, None],
            ),
        ] {
            let expression = Expression::parse(source).unwrap();
            let reading = Reading::ALL[0];
            assert_eq!(expression.points(&series, 3, reading), wanted, "{source}");
        }
        for wrong in ["", "a +", "IF(a, b)", "SEARCH(a)", "a b"] {
            assert!(Expression::parse(wrong).is_err(), "{wrong}");
        }
    }

    /// An alarm on what is unusual: any value above or below a band.
    fn unusual() -> Value {
        json!({
            "EvaluationPeriods": 2, "ComparisonOperator": "LessThanLowerOrGreaterThanUpperThreshold",
            "ThresholdMetricId": "usual", "TreatMissingData": "notBreaching",
            "Metrics": [
                { "Id": "result", "Expression": "FILL(m, 0)", "ReturnData": true },
                { "Id": "usual", "Expression": "ANOMALY_DETECTION_BAND(result, 3)", "ReturnData": true },
                {
                    "Id": "m", "ReturnData": false,
                    "MetricStat": { "Metric": { "Namespace": "N", "MetricName": "M" }, "Period": 60, "Stat": "Sum" },
                },
            ],
        })
    }

    #[test]
    fn a_value_is_unusual_above_and_below_the_band_and_never_without_one() {
        let alarm = Alarm::read(&unusual()).unwrap();
        assert_eq!(
            alarm.kind(),
            "FILL(m, 0): Sum N/M unusual by 3 deviations, 2 of 2 x 60 s"
        );
        assert_eq!(alarm.charged, 3, "the metric and two bounds");
        let series = |value: f64| BTreeMap::from([(-2, vec![value]), (-1, vec![value])]);
        for (value, band, wanted) in [
            (11.0, Some((5.0, 10.0)), true),
            (4.0, Some((5.0, 10.0)), true),
            (10.0, Some((5.0, 10.0)), false),
            (5.0, Some((5.0, 10.0)), false),
            (1_000.0, None, false),
        ] {
            let mut measured = BTreeMap::from([("M".to_owned(), series(value))]);
            if let Some((lower, upper)) = band {
                measured.insert("lower".to_owned(), series(lower));
                measured.insert("upper".to_owned(), series(upper));
            }
            let raised = alarm.is_raised(&Measured(measured), 0, Reading::ALL[0]);
            assert_eq!(raised, wanted, "{value} in {band:?}");
        }
    }

    #[test]
    fn a_band_that_is_not_the_threshold_is_refused() {
        for (pointer, value) in [
            ("/ThresholdMetricId", json!("other")),
            ("/Threshold", json!(1)),
            ("/Metrics/1/ReturnData", json!(false)),
            (
                "/Metrics/1/Expression",
                json!("ANOMALY_DETECTION_BAND(m, 3)"),
            ),
            ("/ComparisonOperator", json!("GreaterThanThreshold")),
        ] {
            let mut broken = unusual();
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            broken.pointer_mut(parent).unwrap()[name] = value;
            assert!(Alarm::read(&broken).is_err(), "{pointer}");
        }
    }

    #[test]
    fn what_aws_refuses_is_refused() {
        let whole = json!({
            "Namespace": "N", "MetricName": "M", "Statistic": "Sum", "Period": 300, "EvaluationPeriods": 3,
            "DatapointsToAlarm": 2, "ComparisonOperator": "GreaterThanThreshold", "Threshold": 0,
            "TreatMissingData": "notBreaching",
        });
        assert_eq!(
            Alarm::read(&whole).unwrap().kind(),
            "Sum N/M > 0, 2 of 3 x 300 s"
        );
        for (name, value) in [
            ("EvaluationPeriods", json!(289)),
            ("DatapointsToAlarm", json!(4)),
            ("Period", json!(90)),
            ("TreatMissingData", json!("sometimes")),
            ("ExtendedStatistic", json!("p95")),
        ] {
            let mut broken = whole.clone();
            broken[name] = value;
            assert!(Alarm::read(&broken).is_err(), "{name}");
        }
    }
}
