//! `template.yaml`.

use std::collections::BTreeMap;

use askama::Template;
use topology::{
    Concurrency, Deployment, EXPRESS, Form, Function, Index, Key, Kind, Lane, Need, Parameter,
    Projection, STACK_NAME_AT_MOST, Table, parameters,
};

use crate::{
    role::{Statement, statements},
    settings::settings,
    yaml::{flow, prose, quoted, wrapped},
};

/// Seconds that a consumer's invocation may take.
const TIMEOUT: u32 = 30;
/// A message in work is not handed out again before six times the function's time
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>, read 2026-11-21).
const VISIBILITY_PER_TIMEOUT: u32 = 6;
/// Seconds that a lane keeps a message.
const RETENTION: u32 = 4 * 24 * 60 * 60;
/// Seconds that a letter is kept: as long as SQS can
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>, read 2026-11-21).
const LETTER_RETENTION: u32 = 14 * 24 * 60 * 60;
/// The net below the retry schedule: 6 h at the last delay is about 75 receives.
const MAX_RECEIVES: u32 = 100;
/// Seconds that an API function may take: under the gateway's 29.
const API_TIMEOUT: u32 = 15;
/// Seconds of the relay: twice what ten PutEvents calls with three attempts each and the published marks need on a bad day; a hung
/// invocation holds its shard no longer than this.
const RELAY_TIMEOUT: u32 = 60;

pub(crate) fn render(deployment: &Deployment) -> Result<String, askama::Error> {
    let parameters = deployment.parameters();
    let mut groups: BTreeMap<topology::Group, Vec<&'static str>> = BTreeMap::new();
    for parameter in &parameters {
        groups
            .entry(parameter.group)
            .or_default()
            .push(parameter.name);
    }
    let names: Vec<&str> = deployment.domains().collect();
    let text = Main {
        domains: if names.is_empty() {
            "none, the spine alone".to_owned()
        } else {
            names.join(", ")
        },
        stack_name_at_most: STACK_NAME_AT_MOST,
        groups: groups
            .into_iter()
            .map(|(group, names)| ParameterGroup {
                label: group.label(),
                names,
            })
            .collect(),
        conditions: parameters.iter().filter_map(|one| condition(one)).collect(),
        parameters: parameters
            .iter()
            .map(|one| ParameterText {
                name: one.name,
                lines: parameter_lines(one),
            })
            .collect(),
        timeout: TIMEOUT,
        retention: RETENTION,
        letter_retention: LETTER_RETENTION,
        max_receives: MAX_RECEIVES,
        tables: deployment.tables(),
        functions: deployment
            .functions()
            .iter()
            .map(|function| FunctionText::of(deployment, function))
            .collect(),
        deployed: deployment.functions().to_vec(),
    }
    .render()?;
    Ok(text + "\n")
}

#[derive(Template)]
#[template(path = "main.yaml", escape = "none")]
struct Main {
    domains: String,
    stack_name_at_most: usize,
    groups: Vec<ParameterGroup>,
    conditions: Vec<Condition>,
    parameters: Vec<ParameterText>,
    timeout: u32,
    retention: u32,
    letter_retention: u32,
    max_receives: u32,
    tables: Vec<&'static Table>,
    functions: Vec<FunctionText>,
    deployed: Vec<&'static Function>,
}

impl Main {
    #[expect(clippy::unused_self, reason = "askama calls methods of the template")]
    fn key(&self, table: &Table) -> Vec<(&'static str, &'static str)> {
        match table.key {
            Key::PkSk => vec![("pk", "HASH"), ("sk", "RANGE")],
            Key::Aggregate => vec![("aggregate", "HASH"), ("sequence", "RANGE")],
            Key::Mark => vec![("mark", "HASH")],
        }
    }

    /// Each attribute once, however many keys name it.
    fn attributes(&self, table: &Table) -> Vec<(&'static str, &'static str)> {
        let mut attributes: Vec<(&'static str, &'static str)> = Vec::new();
        let of_indexes = table
            .indexes
            .iter()
            .flat_map(|index| [index.hash, index.range]);
        for name in self
            .key(table)
            .into_iter()
            .map(|(name, _)| name)
            .chain(of_indexes)
        {
            if !attributes.iter().any(|(known, _)| *known == name) {
                let kind = if table.key == Key::Aggregate && name == "sequence" {
                    "N"
                } else {
                    "S"
                };
                attributes.push((name, kind));
            }
        }
        attributes
    }

    #[expect(clippy::unused_self, reason = "askama calls methods of the template")]
    fn projection(&self, index: &Index) -> &'static str {
        match index.projection {
            Projection::All => "ALL",
            Projection::KeysOnly => "KEYS_ONLY",
        }
    }

    fn seals(&self) -> bool {
        self.deployed.iter().any(|one| one.needs(Need::Seal))
    }

    /// Functions with an address of their own, and what they serve there.
    fn urls(&self) -> Vec<(String, &'static str)> {
        self.deployed
            .iter()
            .filter(|one| matches!(one.kind, Kind::Stream(_)))
            .map(|one| (one.logical_id(), "api/v1/events/stream and dashboard/"))
            .collect()
    }
}

struct ParameterGroup {
    label: &'static str,
    names: Vec<&'static str>,
}

struct ParameterText {
    name: &'static str,
    lines: Vec<String>,
}

struct Condition {
    name: &'static str,
    parameter: &'static str,
    default: String,
}

/// The condition that a parameter is not its default.
fn condition(parameter: &Parameter) -> Option<Condition> {
    Some(Condition {
        name: parameter.condition?,
        parameter: parameter.name,
        default: default(parameter)?,
    })
}

/// A parameter's default, as YAML writes it.
fn default(parameter: &Parameter) -> Option<String> {
    let default = parameter.default?;
    Some(match parameter.form {
        Form::Number(..) | Form::OneOfNumbers(_) => default.to_owned(),
        _ => quoted(default),
    })
}

fn parameter_lines(parameter: &Parameter) -> Vec<String> {
    let kind = match parameter.form {
        Form::Number(..) | Form::OneOfNumbers(_) => "Number",
        _ => "String",
    };
    let mut lines = vec![format!("Type: {kind}")];
    lines.extend(default(parameter).map(|default| format!("Default: {default}")));
    if parameter.secret {
        lines.push("NoEcho: true".to_owned());
    }
    match parameter.form {
        Form::Text => {}
        // A pattern has backslashes: single quotes leave them as they are.
        Form::Pattern(pattern) => lines.push(format!("AllowedPattern: '{pattern}'")),
        Form::Length(least, most) => {
            lines.push(format!("MinLength: {least}"));
            lines.push(format!("MaxLength: {most}"));
        }
        Form::OneOf(values) => {
            let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            lines.push(format!("AllowedValues: {}", flow(&values)));
        }
        Form::Number(least, most) => {
            lines.push(format!("MinValue: {least}"));
            lines.push(format!("MaxValue: {most}"));
        }
        Form::OneOfNumbers(values) => {
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            lines.push(format!("AllowedValues: {}", flow(&values)));
        }
    }
    lines.extend(prose("Description", parameter.description, 4));
    lines
}

struct LaneText {
    id: String,
    queue: String,
    letters: String,
    waits: bool,
    visibility: u32,
    description: String,
    types: Vec<String>,
    priorities: Option<&'static str>,
}

impl LaneText {
    fn of(deployment: &Deployment, function: &'static Function, lane: Lane) -> Self {
        let waits = lane.name != EXPRESS;
        let window = match parameters::STANDARD_BATCHING_WINDOW_SECONDS.form {
            Form::Number(_, most) if waits => most,
            _ => 0,
        };
        let name = function.name;
        Self {
            id: lane.logical_id(function),
            queue: lane.queue(),
            letters: lane.letters(),
            waits,
            visibility: VISIBILITY_PER_TIMEOUT * TIMEOUT + window,
            description: match (lane.is_one_of_two, waits) {
                (false, _) => format!(
                    "To the {} lane of {name}, whatever the priority.",
                    lane.name
                ),
                (true, false) => format!("Urgent events to the express lane of {name}."),
                (true, true) => {
                    format!(
                        "The rest, and events without a priority, to the standard lane of {name}."
                    )
                }
            },
            types: types(deployment, function),
            priorities: lane.is_one_of_two.then_some(if waits {
                "[low, normal, {exists: false}]"
            } else {
                "[critical, high]"
            }),
        }
    }
}

/// What a rule matches: a whole domain by its prefix if the consumer takes kinds of events, else the types.
fn types(deployment: &Deployment, function: &'static Function) -> Vec<String> {
    let domain = |event_type: &'static str| event_type.split('.').next().unwrap_or_default();
    let taken = deployment.contracts_of(function);
    let by_kind = function
        .consumer()
        .is_some_and(|consumer| !matches!(consumer.selection, events::Selection::Types(_)));
    let mut types = Vec::new();
    for contract in &taken {
        let of = domain(contract.event_type);
        let whole = by_kind
            && deployment
                .contracts()
                .iter()
                .filter(|other| domain(other.event_type) == of)
                .all(|other| taken.contains(other));
        let kind = if whole {
            format!("{{prefix: {of}.}}")
        } else {
            contract.event_type.to_owned()
        };
        if !types.contains(&kind) {
            types.push(kind);
        }
    }
    types.sort();
    types
}

struct FunctionText {
    id: String,
    name: &'static str,
    description: &'static str,
    heading: Vec<String>,
    lanes: Vec<LaneText>,
    statements: Vec<Statement>,
    properties: Vec<String>,
    settings: Vec<(String, String)>,
    events: Vec<String>,
}

impl FunctionText {
    fn of(deployment: &Deployment, function: &'static Function) -> Self {
        let lanes = deployment.lanes_of(function);
        let kind = match &function.kind {
            Kind::Relay => "Relay",
            Kind::Consumer(_) => "Consumer",
            Kind::Job(_) => "Scheduled job",
            Kind::Api(_) => "API",
            Kind::Stream(_) => "Stream",
        };
        let heading = format!(
            "{kind} {}: {} {}",
            function.name, function.description, function.about
        );
        let mut events = Vec::new();
        for lane in &lanes {
            events.extend(lane_event(function, *lane));
        }
        events.extend(other_events(deployment, function));
        Self {
            id: function.logical_id(),
            name: function.name,
            description: function.description,
            heading: wrapped(&heading, 4),
            lanes: lanes
                .into_iter()
                .map(|lane| LaneText::of(deployment, function, lane))
                .collect(),
            statements: statements(deployment, function),
            properties: properties(function),
            settings: settings(deployment, function),
            events,
        }
    }
}

fn reserved(parameter: &Parameter) -> String {
    format!(
        "ReservedConcurrentExecutions: !If [{}, !Ref {}, !Ref AWS::NoValue]",
        parameter.condition.unwrap_or_default(),
        parameter.name
    )
}

fn properties(function: &Function) -> Vec<String> {
    match &function.kind {
        Kind::Relay => vec![
            format!("Timeout: {RELAY_TIMEOUT}"),
            reserved(&parameters::RELAY_RESERVED_CONCURRENCY),
        ],
        Kind::Consumer(_) => vec![reserved(&parameters::CONSUMER_RESERVED_CONCURRENCY)],
        Kind::Job(job) => vec![
            format!("Timeout: {}", job.timeout),
            // A lease lets one run work at a time (infra/adr/0013-lease-and-fence.md); the schedule comes again by itself.
            "EventInvokeConfig: {MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60}".to_owned(),
        ],
        Kind::Api(_) if function.needs(Need::KeepFailures) => vec![
            format!("Timeout: {API_TIMEOUT}"),
            "# What an asynchronous invocation, a rule's say, could not do after two retries.".to_owned(),
            "EventInvokeConfig: {MaximumRetryAttempts: 2, DestinationConfig: {OnFailure: {Type: S3Bucket, Destination: !GetAtt RelayFailuresBucket.Arn}}}".to_owned(),
        ],
        Kind::Api(_) => vec![format!("Timeout: {API_TIMEOUT}")],
        Kind::Stream(endpoint) => vec![
            format!("Timeout: {}", endpoint.timeout),
            reserved(endpoint.reserved),
            "FunctionUrlConfig: {AuthType: NONE, InvokeMode: RESPONSE_STREAM}".to_owned(),
        ],
    }
}

fn lane_event(function: &'static Function, lane: Lane) -> Vec<String> {
    let (event, window) = if lane.name == EXPRESS {
        ("Express", "0".to_owned())
    } else {
        let parameter = &parameters::STANDARD_BATCHING_WINDOW_SECONDS;
        ("Standard", format!("!Ref {}", parameter.name))
    };
    let most = match function.consumer().map(|one| one.lane_concurrency) {
        Some(Concurrency::Fixed(number)) => number.to_string(),
        _ => {
            let parameter = &parameters::LANE_MAXIMUM_CONCURRENCY;
            format!(
                "!If [{}, !Ref {}, {}]",
                parameter.condition.unwrap_or_default(),
                parameter.name,
                parameter.default.unwrap_or_default()
            )
        }
    };
    vec![
        format!("{event}:"),
        "  Type: SQS".to_owned(),
        "  Properties:".to_owned(),
        format!("    Queue: !GetAtt {}Queue.Arn", lane.logical_id(function)),
        "    BatchSize: 10".to_owned(),
        format!("    MaximumBatchingWindowInSeconds: {window}"),
        "    FunctionResponseTypes: [ReportBatchItemFailures]".to_owned(),
        format!("    ScalingConfig: {{MaximumConcurrency: {most}}}"),
    ]
}

fn other_events(deployment: &Deployment, function: &'static Function) -> Vec<String> {
    match &function.kind {
        Kind::Relay => EVENT_LOG.lines().map(str::to_owned).collect(),
        Kind::Job(job) => {
            let mut lines = vec![
                "Schedule:".to_owned(),
                "  Type: Schedule".to_owned(),
                "  Properties:".to_owned(),
                format!("    Description: {}", job.looks_for),
                format!("    Schedule: !Ref {}", job.schedule.name),
            ];
            lines.extend(job.only_with.map(|parameter| {
                format!(
                    "    State: !If [{}, ENABLED, DISABLED]",
                    parameter.condition.unwrap_or_default()
                )
            }));
            lines.push("    # A start that is late is none: the schedule comes again.".to_owned());
            lines.push(
                "    RetryPolicy: {MaximumRetryAttempts: 2, MaximumEventAgeInSeconds: 60}"
                    .to_owned(),
            );
            lines
        }
        Kind::Api(_) => function
            .routes()
            .chain(deployment.preflights(function))
            .flat_map(|route| {
                [
                    format!("{}:", route.event_name()),
                    "  Type: Api".to_owned(),
                    format!(
                        "  Properties: {{RestApiId: !Ref Api, Path: {}, Method: {}}}",
                        quoted(route.path),
                        route.method.as_str()
                    ),
                ]
            })
            .collect(),
        Kind::Consumer(_) | Kind::Stream(_) => Vec::new(),
    }
}

/// The relay's mapping.
const EVENT_LOG: &str = r#"EventLog:
  Type: DynamoDB
  Properties:
    Stream: !GetAtt EventsTable.StreamArn
    StartingPosition: TRIM_HORIZON
    BatchSize: 100
    MaximumBatchingWindowInSeconds: 0
    # The relay's own updates of published_at must not wake it.
    FilterCriteria:
      Filters:
        - Pattern: '{"eventName":["INSERT"]}'
    # Endless: a batch leaves only published, or by age just before the stream forgets it.
    MaximumRetryAttempts: -1
    MaximumRecordAgeInSeconds: 86340
    # A batch that crashes the relay is halved until the one bad row stands alone.
    BisectBatchOnFunctionError: true
    # No ReportBatchItemFailures: the whole invocation fails and the instance remembers what it has published.
    DestinationConfig:
      OnFailure: {Type: S3, Destination: !GetAtt RelayFailuresBucket.Arn}"#;
