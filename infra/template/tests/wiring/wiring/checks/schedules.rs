//! Scheduled functions: each is started by its schedule and by nothing else, and a failure of it is noticed.

use super::super::model::{Function, Model, list, reference, resources};
use super::{Finding, MOST_AGE_OF_A_START, SECONDS_OF_A_RUN, finding};

pub(super) fn schedules(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for function in model.functions() {
        let is_job = function
            .package()
            .and_then(|package| model.packages.get(package))
            .is_some_and(|package| package.is_job);
        for (event, _) in function.events("ScheduleV2") {
            findings.push(finding(
                function.id,
                format!(
                    "{event}: a ScheduleV2 event never fires on a local AWS: use Type: Schedule"
                ),
            ));
        }
        let schedules = function.events("Schedule");
        match (is_job, schedules.is_empty()) {
            (true, true) => findings.push(finding(
                function.id,
                "it is declared as a scheduled job, but nothing starts it: add a Schedule event",
            )),
            (false, false) => findings.push(finding(
                function.id,
                "has a Schedule event, but is not declared as a job",
            )),
            (false, true) => continue,
            (true, false) => {}
        }
        findings.extend(of_function(model, &function));
        for (event, properties) in schedules {
            let name = format!("{}.{event}", function.id);
            if properties["State"] == "DISABLED" || properties["Enabled"] == false {
                findings.push(finding(
                    &name,
                    "is always disabled: set State by a condition",
                ));
            }
            let age = model.largest(&properties["RetryPolicy"]["MaximumEventAgeInSeconds"]);
            if age.is_none_or(|seconds| seconds > MOST_AGE_OF_A_START) {
                findings.push(finding(
                    &name,
                    format!("a late start must be dropped: set RetryPolicy with MaximumEventAgeInSeconds of at most {MOST_AGE_OF_A_START}"),
                ));
            }
            let expressions = model.defaults(&properties["Schedule"]);
            let spans: Option<Vec<i64>> = expressions.iter().map(|one| seconds_of(one)).collect();
            match spans.as_deref() {
                Some([span, ..]) => findings.extend(alarm_can_ring(model, &function, *span)),
                _ => findings.push(finding(
                    &name,
                    format!("{expressions:?} must be rate(n minutes, hours or days), as a parameter's default or literally"),
                )),
            }
        }
    }
    findings
}

/// The requirements on the function itself.
fn of_function(model: &Model, function: &Function<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |advice: String| findings.push(finding(function.id, advice));
    let retries = &function.property("EventInvokeConfig")["MaximumRetryAttempts"];
    if model.largest(retries) != Some(0) {
        find("the schedule starts it again, so Lambda must not retry: set EventInvokeConfig: {MaximumRetryAttempts: 0, …}".into());
    }
    if !function.property("ReservedConcurrentExecutions").is_null() {
        find("its lease lets one run work at a time: remove ReservedConcurrentExecutions, which would throttle a start by hand".into());
    }
    let timeout = model.smallest(function.property("Timeout"));
    if timeout.is_none_or(|seconds| seconds < SECONDS_OF_A_RUN) {
        find(format!(
            "Timeout must be at least {SECONDS_OF_A_RUN} s: two pages of 10 s each, each with the time that must be left after it"
        ));
    }
    if reference(
        function
            .settings()
            .get("MARKS_TABLE")
            .copied()
            .unwrap_or(&serde_json::Value::Null),
    )
    .is_none()
    {
        find("its lease is in the marks table: set MARKS_TABLE: !Ref MarksTable".into());
    }
    findings
}

/// Whether the alarm can fire: whether the failed runs that it needs can happen within its evaluation time.
fn alarm_can_ring(model: &Model, function: &Function<'_>, span: i64) -> Vec<Finding> {
    let name = format!(
        "${{MillraceStack}}_{}",
        function.package().unwrap_or_default()
    );
    let alarms = resources(&model.aws_only, "AWS::CloudWatch::Alarm").filter(|(_, alarm)| {
        alarm["MetricName"] == "Errors"
            && list(&alarm["Dimensions"])
                .iter()
                .any(|one| one["Value"]["Fn::Sub"] == name.as_str())
    });
    alarms
        .filter_map(|(id, alarm)| {
            let number = |name: &str| alarm[name].as_i64();
            let periods = number("EvaluationPeriods")?;
            let seconds = number("Period")? * periods;
            let failures = number("DatapointsToAlarm").unwrap_or(periods);
            (failures > 1 && (failures - 1) * span >= seconds).then(|| {
                finding(
                    id,
                    format!("waits for {failures} failures within {seconds} s, but the function runs only every {span} s: one failure must be enough"),
                )
            })
        })
        .collect()
}

/// The span of a `rate(…)`, in seconds.
pub(in super::super) fn seconds_of(expression: &str) -> Option<i64> {
    let inner = expression.strip_prefix("rate(")?.strip_suffix(')')?;
    let (number, unit) = inner.split_once(' ')?;
    let seconds = match unit.trim_end_matches('s') {
        "minute" => 60,
        "hour" => 60 * 60,
        "day" => 24 * 60 * 60,
        _ => return None,
    };
    Some(number.parse::<i64>().ok()? * seconds)
}
