//! Scheduled functions: each is started, by nothing else than its schedule, and a failure of it is seen.

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
                format!("{event}: a ScheduleV2 event fires on no local AWS: Type: Schedule"),
            ));
        }
        let schedules = function.events("Schedule");
        match (is_job, schedules.is_empty()) {
            (true, true) => findings.push(finding(
                function.id,
                "it is declared as a scheduled job and nothing starts it: add a Schedule event",
            )),
            (false, false) => findings.push(finding(
                function.id,
                "has a Schedule event, and is declared as no job",
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
                    "is switched off for good: State by a condition",
                ));
            }
            let age = model.largest(&properties["RetryPolicy"]["MaximumEventAgeInSeconds"]);
            if age.is_none_or(|seconds| seconds > MOST_AGE_OF_A_START) {
                findings.push(finding(
                    &name,
                    format!("a start that is late is none: RetryPolicy with MaximumEventAgeInSeconds of {MOST_AGE_OF_A_START} at most"),
                ));
            }
            let expressions = model.defaults(&properties["Schedule"]);
            let spans: Option<Vec<i64>> = expressions.iter().map(|one| seconds_of(one)).collect();
            match spans.as_deref() {
                Some([span, ..]) => findings.extend(alarm_can_ring(model, &function, *span)),
                _ => findings.push(finding(
                    &name,
                    format!("{expressions:?}: rate(n minutes, hours or days), as a parameter's default or by itself"),
                )),
            }
        }
    }
    findings
}

/// What the function itself must be like.
fn of_function(model: &Model, function: &Function<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |advice: String| findings.push(finding(function.id, advice));
    let retries = &function.property("EventInvokeConfig")["MaximumRetryAttempts"];
    if model.largest(retries) != Some(0) {
        find("the schedule comes again, Lambda need not: EventInvokeConfig: {MaximumRetryAttempts: 0, …}".into());
    }
    if !function.property("ReservedConcurrentExecutions").is_null() {
        find("its lease lets one run work at a time: no ReservedConcurrentExecutions, which a start by hand would run into".into());
    }
    let timeout = model.smallest(function.property("Timeout"));
    if timeout.is_none_or(|seconds| seconds < SECONDS_OF_A_RUN) {
        find(format!(
            "Timeout of {SECONDS_OF_A_RUN} s or more: a page of 10 s, what is left over for its end, and then another"
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
        find("its lease is in the marks' table: MARKS_TABLE: !Ref MarksTable".into());
    }
    findings
}

/// Whether so many failed runs as an alarm waits for can happen within what it looks at.
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
                    format!("waits for {failures} failures within {seconds} s of a function that runs every {span} s: one must do"),
                )
            })
        })
        .collect()
}

/// The span of a `rate(…)`, in seconds.
fn seconds_of(expression: &str) -> Option<i64> {
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
