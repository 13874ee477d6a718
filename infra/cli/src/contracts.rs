//! `millrace contracts`: the event types, their producers and consumers. They are compiled in, so the verb calls
//! nothing.

use clap::Args;
use events::Registry;
use serde_json::json;

use crate::{
    names,
    output::{self, CliError},
};

/// List the event types with their producers and consumers; for a single type, also the schema of its payload
///
/// The contracts are compiled in: the verb calls nothing and needs no stack.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    millrace contracts\n  \
    millrace contracts loan.funded")]
pub(crate) struct Arguments {
    /// Only this event type
    event_type: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn consumers(event_type: &str) -> Vec<&'static str> {
    topology::consumers()
        .filter(|(_, consumer)| consumer.selection.takes(event_type))
        .map(|(function, _)| function.name)
        .collect()
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let registry = Registry::shipped();
    let wanted = arguments.event_type.as_deref();
    let registered = registry.registered().iter();
    let chosen: Vec<_> = registered
        .filter(|contract| wanted.is_none_or(|wanted| wanted == contract.info().event_type))
        .collect();
    if let Some(wanted) = wanted
        && chosen.is_empty()
    {
        let unknown = names::unknown_type(wanted).unwrap_or_default();
        return Err(format!("{unknown} (`millrace contracts` lists all types)").into());
    }
    if arguments.json {
        let items: Vec<_> = chosen
            .into_iter()
            .map(|contract| {
                let info = contract.info();
                json!({
                    "event_type": info.event_type, "event_version": format!("v{}", info.version),
                    "priority": info.priority, "producer": info.producer, "open": info.is_open(),
                    "consumers": consumers(info.event_type), "aggregate": info.aggregate_pattern(),
                    "retention": info.retention.to_string(), "schema": contract.schema(),
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
    for contract in &chosen {
        let info = contract.info();
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
        for contract in chosen {
            output::text(&format!("{:#}\n", contract.schema()))?;
        }
    }
    Ok(())
}
