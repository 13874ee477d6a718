//! `millrace contracts`: the event types, who tells them and who listens. Asks nobody: they are compiled in.

use clap::Args;
use events::Registry;
use serde_json::json;

use crate::output::{self, Failure};

/// Lists the contracts; of one type also the schema of its payload.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// One event type.
    event_type: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

fn consumers(event_type: &str) -> Vec<&'static str> {
    topology::consumers()
        .filter(|(_, consumer)| consumer.selection.takes(event_type))
        .map(|(function, _)| function.name)
        .collect()
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let registry = Registry::shipped();
    let wanted = arguments.event_type.as_deref();
    let entries = registry.entries().iter();
    let chosen: Vec<_> = entries
        .filter(|entry| wanted.is_none_or(|wanted| wanted == entry.info().event_type))
        .collect();
    if let Some(wanted) = wanted
        && chosen.is_empty()
    {
        return Err(format!("{wanted} {}", registry.unknown_type(wanted)).into());
    }
    if arguments.json {
        let items: Vec<_> = chosen
            .into_iter()
            .map(|entry| {
                let info = entry.info();
                json!({
                    "event_type": info.event_type, "event_version": format!("v{}", info.version),
                    "priority": info.priority, "producer": info.producer, "open": info.is_open(),
                    "consumers": consumers(info.event_type), "aggregate": info.aggregate_pattern(),
                    "retention": info.retention.to_string(), "schema": entry.schema(),
                })
            })
            .collect();
        return output::result(&json!({ "items": items }));
    }
    let head = [
        "TYPE",
        "VERSION",
        "PRIORITY",
        "PRODUCER",
        "KEPT",
        "CONSUMERS",
    ];
    let mut lines = vec![head.map(str::to_owned)];
    for entry in &chosen {
        let info = entry.info();
        let producer = if info.is_open() {
            format!("{} (open)", info.producer)
        } else {
            info.producer.to_owned()
        };
        lines.push([
            info.event_type.to_owned(),
            format!("v{}", info.version),
            info.priority.to_string(),
            producer,
            info.retention.to_string(),
            consumers(info.event_type).join(", "),
        ]);
    }
    output::table(&lines)?;
    if wanted.is_some() {
        for entry in chosen {
            output::text(&format!("{:#}\n", entry.schema()))?;
        }
    }
    Ok(())
}
