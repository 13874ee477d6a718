//! Whether `infra/grafana-dashboard.json` is a dashboard that Grafana can import into any account: each graph asks for something,
//! none lies on another, and it shows what CloudWatch's dashboard shows.

use std::{collections::BTreeSet, sync::LazyLock};

use serde_json::{Value, json};
use topology::Deployment;

use super::model::{self, list, resources};

/// The columns of a dashboard (<https://grafana.com/docs/grafana/latest/visualizations/dashboards/build-dashboards/view-dashboard-json-model/>,
/// read 2026-11-29).
const COLUMNS: i64 = 24;
/// The version of the classic model. Grafana 9 has it, and later ones migrate it.
const SCHEMA_VERSION: i64 = 36;

/// What the file refers to instead of one account's own.
const VARIABLES: [&str; 3] = ["datasource", "region", "stack"];

static RENDERED: LazyLock<(Value, Value)> = LazyLock::new(|| {
    let rendered = template::render(&Deployment::whole()).unwrap();
    let grafana = serde_json::from_str(&rendered.grafana).unwrap();
    (
        grafana,
        model::template("infra/aws-only.yaml", &rendered.aws_only),
    )
});

/// Where a panel begins and ends.
fn place(panel: &Value) -> [i64; 4] {
    let at = |name: &str| panel["gridPos"][name].as_i64().unwrap_or(-1);
    let (x, y) = (at("x"), at("y"));
    [x, x + at("w"), y, y + at("h")]
}

fn findings(dashboard: &Value) -> Vec<String> {
    let mut findings = Vec::new();
    if dashboard["schemaVersion"] != SCHEMA_VERSION {
        findings.push(format!("schemaVersion is not {SCHEMA_VERSION}"));
    }
    if !dashboard["id"].is_null() {
        findings.push("it has the id of another Grafana".to_owned());
    }
    let variables: Vec<&str> = list(&dashboard["templating"]["list"])
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    if variables != VARIABLES {
        findings.push(format!("its variables are {variables:?}"));
    }
    let panels = list(&dashboard["panels"]);
    if panels.is_empty() {
        findings.push("it has no panels".to_owned());
    }
    let mut ids = BTreeSet::new();
    for (at, panel) in panels.iter().enumerate() {
        let title = panel["title"].as_str().unwrap_or_default();
        let [left, right, top, bottom] = place(panel);
        if left < 0 || right > COLUMNS || right <= left || top < 0 || bottom <= top {
            findings.push(format!("{title}: lies at {}", panel["gridPos"]));
        }
        for other in &panels[..at] {
            let [others_left, others_right, others_top, others_bottom] = place(other);
            let lies_beside = right <= others_left || others_right <= left;
            let lies_below = bottom <= others_top || others_bottom <= top;
            if !lies_beside && !lies_below {
                findings.push(format!("{title}: lies on {}", other["title"]));
            }
        }
        if title.is_empty() || panel["type"] != "timeseries" || !ids.insert(panel["id"].to_string())
        {
            findings.push(format!(
                "panel {at}: no title, no graph, or the id of another"
            ));
        }
        let targets = list(&panel["targets"]);
        if targets.is_empty() {
            findings.push(format!("{title}: asks for nothing"));
        }
        let mut names = BTreeSet::new();
        for target in targets {
            let name = target["refId"].as_str().unwrap_or_default();
            if name.is_empty() || !names.insert(name) {
                findings.push(format!("{title}: two queries are called {name:?}"));
            }
            findings.extend(
                of_target(target)
                    .into_iter()
                    .map(|finding| format!("{title}, query {name}: {finding}")),
            );
        }
    }
    let text = dashboard.to_string();
    let is_account = |word: &str| word.len() == 12 && word.bytes().all(|one| one.is_ascii_digit());
    if text.contains("arn:")
        || text
            .split(|one: char| !one.is_alphanumeric())
            .any(is_account)
    {
        findings.push("it names something of one account".to_owned());
    }
    findings
}

/// What a query lacks.
fn of_target(target: &Value) -> Vec<String> {
    let mut findings = Vec::new();
    for name in [
        "namespace",
        "metricName",
        "statistic",
        "region",
        "period",
        "label",
    ] {
        if target[name].as_str().is_none_or(str::is_empty) {
            findings.push(format!("has no {name}"));
        }
    }
    if target["region"] != "$region" || target["datasource"]["uid"] != "${datasource}" {
        findings.push("asks one account's region or data source".to_owned());
    }
    // Without these Grafana takes a query for one that is written.
    for (name, value) in [
        ("queryMode", json!("Metrics")),
        ("metricQueryType", json!(0)),
        ("metricEditorMode", json!(0)),
    ] {
        if target[name] != value {
            findings.push(format!("{name} is not {value}"));
        }
    }
    let mut values = model::entries(&target["dimensions"]).map(|(_, value)| value);
    if !values.any(|value| {
        let value = value.as_str().unwrap_or_default();
        value.starts_with("$stack") || value.starts_with("${stack}_")
    }) {
        findings.push("has no dimension that is the stack's".to_owned());
    }
    findings
}

#[test]
fn the_dashboard_can_be_imported_anywhere() {
    assert_eq!(findings(&RENDERED.0), Vec::<String>::new());
}

#[test]
fn grafana_shows_what_cloudwatch_shows() {
    let (grafana, aws_only) = &*RENDERED;
    let body = resources(aws_only, "AWS::CloudWatch::Dashboard")
        .find_map(|(_, dashboard)| dashboard["DashboardBody"]["Fn::Sub"].as_str())
        .unwrap();
    let cloudwatch: Value = serde_json::from_str(body).unwrap();
    let of_cloudwatch: Vec<(&Value, usize)> = list(&cloudwatch["widgets"])
        .iter()
        .map(|widget| &widget["properties"])
        .map(|widget| (&widget["title"], list(&widget["metrics"]).len()))
        .collect();
    let of_grafana: Vec<(&Value, usize)> = list(&grafana["panels"])
        .iter()
        .map(|panel| (&panel["title"], list(&panel["targets"]).len()))
        .collect();
    assert_eq!(of_grafana, of_cloudwatch);
    // The same resources, by the name that each has within its stack.
    let named = |text: &str, stack: &str| -> BTreeSet<String> {
        text.split(stack)
            .skip(1)
            .filter_map(|rest| rest.strip_prefix('_')?.split(['"', '\\']).next())
            .map(str::to_owned)
            .collect()
    };
    let resources = named(&grafana.to_string(), "${stack}");
    assert!(resources.len() > 20, "{resources:?}");
    assert_eq!(resources, named(body, "${MillraceStack}"));
}

#[test]
fn a_broken_dashboard_is_found() {
    type Break = fn(&mut Value);
    let broken: [(&str, Break); 9] = [
        ("schemaVersion", |d| d["schemaVersion"] = json!(1)),
        ("id of another", |d| d["id"] = json!(7)),
        ("variables", |d| {
            d["templating"]["list"][1]["name"] = json!("place");
        }),
        ("lies on", |d| d["panels"][1]["gridPos"]["x"] = json!(7)),
        ("lies at", |d| d["panels"][2]["gridPos"]["w"] = json!(9)),
        ("asks for nothing", |d| {
            d["panels"][0]["targets"] = json!([]);
        }),
        ("has no metricName", |d| {
            d["panels"][0]["targets"][0]["metricName"] = json!("");
        }),
        ("no dimension", |d| {
            d["panels"][0]["targets"][0]["dimensions"] = json!({ "stack": "millrace-prod" });
        }),
        ("of one account", |d| {
            d["title"] = json!("Millrace of 123456789012");
        }),
    ];
    for (wanted, break_it) in broken {
        let mut dashboard = RENDERED.0.clone();
        break_it(&mut dashboard);
        let findings = findings(&dashboard);
        assert!(
            findings.iter().any(|one| one.contains(wanted)),
            "{wanted}: {findings:?}"
        );
    }
}
