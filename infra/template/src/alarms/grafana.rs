//! The dashboard in Grafana's JSON: the graphs of CloudWatch's, read from CloudWatch as a data source.
//!
//! Data source, region and stack are variables that the reader chooses, so the file fits every account. The forms are those of
//! <https://grafana.com/docs/grafana/latest/visualizations/dashboards/build-dashboards/view-dashboard-json-model/> (the
//! classic model, which every version since 9 imports) and
//! <https://grafana.com/docs/grafana/latest/datasources/aws-cloudwatch/query-editor/>, read 2026-11-29.

use serde_json::{Map, Value, json};

use super::{
    OBJECTIVES,
    dashboard::{ROWS, Series, Unit, Widget},
};

/// The version of the classic model, of Grafana 9. A later Grafana migrates it when it is imported.
const SCHEMA_VERSION: u32 = 36;
/// The height of a panel, in Grafana's units of 30 pixels.
const HEIGHT: u8 = 8;
/// The period of every series in seconds, as in CloudWatch's dashboard.
const PERIOD: &str = "60";
/// Grafana's number for a query that names a metric, as opposed to one of Metrics Insights.
const METRIC_SEARCH: u8 = 0;
/// Grafana's number for a query that is made of fields, as opposed to one that is written.
const BUILDER: u8 = 0;

/// The dashboard with these graphs.
pub(super) fn dashboard(widgets: &[Widget]) -> Value {
    let panels: Vec<Value> = (1..).zip(widgets).map(panel).collect();
    json!({
        "id": null,
        "uid": "millrace",
        "title": "Millrace",
        "description": "Rendered by `make template`. The same graphs as CloudWatch's dashboard. Choose data source, region and stack above.",
        "tags": ["millrace"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "timezone": "browser",
        "time": {"from": "now-3h", "to": "now"},
        // Each refresh asks CloudWatch for every series, which costs.
        "refresh": "",
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": variables()},
        "panels": panels,
    })
}

fn variables() -> Value {
    let query = |name: &str, label: &str, current: &Value, query: &Value| {
        json!({
            "name": name,
            "label": label,
            "type": "query",
            "datasource": source(),
            "query": query,
            "current": current,
            "options": [],
            "includeAll": false,
            "multi": false,
            "hide": 0,
            "refresh": 1,
            "regex": "",
            "sort": 1,
        })
    };
    // The name that Grafana's own editor gives to the query of a variable.
    let reference = "CloudWatchVariableQueryEditor-VariableQuery";
    json!([
        {
            "name": "datasource",
            "label": "Data source",
            "type": "datasource",
            "query": "cloudwatch",
            "current": {},
            "options": [],
            "includeAll": false,
            "multi": false,
            "hide": 0,
            "refresh": 1,
            "regex": "",
        },
        query(
            "region",
            "Region",
            // That of the data source.
            &json!({"text": "default", "value": "default", "selected": false}),
            &json!({"queryType": "regions", "refId": reference}),
        ),
        // Every stack publishes heartbeats.
        query(
            "stack",
            "Stack",
            &json!({}),
            &json!({
                "queryType": "dimensionValues",
                "region": "$region",
                "namespace": "Millrace",
                "metricName": "EventPublished",
                "dimensionKey": "stack",
                "dimensionFilters": {},
                "refId": reference,
            }),
        ),
    ])
}

/// The reader's data source.
fn source() -> Value {
    json!({"type": "cloudwatch", "uid": "${datasource}"})
}

fn panel((id, widget): (u32, &Widget)) -> Value {
    let targets: Vec<Value> = (0..)
        .zip(&widget.series)
        .map(|(at, series)| target(at, series, widget))
        .collect();
    let unit = match widget.unit {
        Unit::Number => "short",
        Unit::Milliseconds => "ms",
        Unit::Seconds => "s",
    };
    let (steps, style) = if widget.has_objectives {
        (objectives(), "dashed")
    } else {
        (vec![json!({"color": "text", "value": null})], "off")
    };
    json!({
        "id": id,
        "type": "timeseries",
        "title": widget.title,
        "datasource": source(),
        "gridPos": {"x": widget.x, "y": widget.y / ROWS * HEIGHT, "w": widget.width, "h": HEIGHT},
        "targets": targets,
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "min": 0,
                "color": {"mode": "palette-classic"},
                "custom": {
                    "drawStyle": "line",
                    "lineWidth": 1,
                    "fillOpacity": 10,
                    "showPoints": "auto",
                    "spanNulls": false,
                    "thresholdsStyle": {"mode": style},
                },
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    })
}

/// A line for the objective of each priority, the strictest first.
fn objectives() -> Vec<Value> {
    let colours = ["red", "orange", "yellow"];
    let line =
        |((_, objective), colour): (&(_, u32), &str)| json!({"color": colour, "value": objective});
    let mut steps = vec![json!({"color": "text", "value": null})];
    steps.extend(OBJECTIVES.iter().zip(colours).map(line));
    steps
}

fn target(at: usize, series: &Series, widget: &Widget) -> Value {
    let (namespace, metric, statistic, dimensions, label) = match series {
        Series::Ours {
            metric,
            dimensions,
            statistic,
        } => (
            "Millrace",
            *metric,
            *statistic,
            // Every value; the stack's is one.
            dimensions
                .iter()
                .map(|name| ((*name).to_owned(), "*".into()))
                .chain([("stack".to_owned(), "$stack".into())])
                .collect::<Map<_, _>>(),
            label_of(metric, dimensions, widget),
        ),
        Series::Of {
            namespace,
            metric,
            dimension,
            resource,
            label,
        } => {
            let name = match resource {
                Some(name) => format!("${{stack}}_{name}"),
                None => "$stack".to_owned(),
            };
            let label = label.clone().unwrap_or_else(|| (*metric).to_owned());
            (
                *namespace,
                *metric,
                widget.stat,
                Map::from_iter([((*dimension).to_owned(), name.into())]),
                label,
            )
        }
    };
    json!({
        "refId": reference(at),
        "datasource": source(),
        "queryMode": "Metrics",
        "metricQueryType": METRIC_SEARCH,
        "metricEditorMode": BUILDER,
        "id": "",
        "expression": "",
        "region": "$region",
        "namespace": namespace,
        "metricName": metric,
        "dimensions": dimensions,
        "matchExact": true,
        "statistic": statistic,
        "period": PERIOD,
        "label": label,
        "hide": false,
    })
}

/// The dimensions' values, which CloudWatch fills in; with the metric's name where a graph has several metrics.
fn label_of(metric: &str, dimensions: &[&str], widget: &Widget) -> String {
    let mut words: Vec<String> = dimensions
        .iter()
        .map(|name| format!("${{PROP('Dim.{name}')}}"))
        .collect();
    if widget.series.len() > 1 {
        words.insert(0, metric.to_owned());
    }
    words.join(" ")
}

/// The name of a query within its panel: A to Z, then AA, AB…
fn reference(at: usize) -> String {
    let letter = |at: usize| {
        (b'A'..=b'Z')
            .nth(at % 26)
            .map_or(String::new(), |one| char::from(one).to_string())
    };
    if at < 26 {
        letter(at)
    } else {
        reference(at / 26 - 1) + &letter(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_named_as_columns_of_a_sheet_are() {
        let names: Vec<String> = [0, 25, 26, 51, 53, 701, 702].map(reference).into();
        assert_eq!(names, ["A", "Z", "AA", "AZ", "BB", "ZZ", "AAA"]);
    }
}
