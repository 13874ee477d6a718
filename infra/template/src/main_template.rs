//! Renders `template.yaml`.

use std::collections::BTreeMap;

use askama::Template;
use topology::{
    Concurrency, DEAD_LETTERS, Deployment, EXPRESS, Form, Function, Kind, LANE_RETENTION, Lane,
    Need, Parameter, STACK_NAME_AT_MOST, parameters,
};

use crate::{
    Shift, parameter,
    role::{DEAD_LETTER_QUEUE, Statement, statements},
    settings::{OF_EVERY_FUNCTION, STACK_NAME, audit_key, settings},
    table::TableText,
    yaml::{quoted, wrapped},
};

/// The timeout of a consumer, in seconds.
const TIMEOUT: u32 = 30;
/// The visibility timeout of a lane in multiples of the function's timeout: six times, as AWS recommends
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>, read 2026-11-21).
const VISIBILITY_PER_TIMEOUT: u32 = 6;
/// The `maxReceiveCount` of a lane, a safety net behind the retry schedule: 6 h at the last delay is about 75 receives.
const MAX_RECEIVES: u32 = 100;
/// The timeout of an API function, in seconds. It is below the gateway's 29.
const API_TIMEOUT: u32 = 15;
/// The timeout of the relay, in seconds: twice the time that ten PutEvents calls with three attempts each and the
/// published marks need on a bad day. A hung invocation holds its shard no longer than this.
const RELAY_TIMEOUT: u32 = 60;

/// The dead letters in a batch of their drainer.
const DRAINED_AT_ONCE: u32 = 10;
/// The instances of the drainer, the fewest that a mapping can be limited to
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>, read 2026-11-28). Dead letters are not urgent,
/// and a fault that parks many must not take the account's concurrency from the consumers.
const DRAINERS: u32 = 2;

/// The alias that the front calls if traffic moves gradually.
const ALIAS: &str = "live";

/// The parameters of the template, by reader.
pub(crate) fn parameters(deployment: &Deployment, shift: Shift) -> Vec<&'static Parameter> {
    let mut parameters = deployment.parameters();
    if shift == Shift::Gradually {
        parameters.extend(parameters::OF_GRADUAL_DEPLOYMENTS);
        parameters.sort_by_key(|parameter| parameter.group);
    }
    parameters
}

pub(crate) fn render(deployment: &Deployment, shift: Shift) -> Result<String, askama::Error> {
    let parameters = parameters(deployment, shift);
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
            "none, only the spine".to_owned()
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
        conditions: parameter::conditions(&parameters),
        parameters: parameter::texts(&parameters),
        of_every_function: OF_EVERY_FUNCTION,
        stack_name: STACK_NAME,
        timeout: TIMEOUT,
        dead_letters: DEAD_LETTERS,
        drainer_visibility: VISIBILITY_PER_TIMEOUT * TIMEOUT,
        retention: LANE_RETENTION.as_secs(),
        max_receives: MAX_RECEIVES,
        audit_key: audit_key(),
        tables: deployment.tables().into_iter().map(TableText::of).collect(),
        front: front(deployment, shift),
        functions: deployment
            .functions()
            .iter()
            .map(|function| FunctionText::of(deployment, function, shift))
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
    conditions: Vec<parameter::Condition>,
    parameters: Vec<parameter::Text>,
    of_every_function: &'static [(&'static str, &'static Parameter)],
    stack_name: (&'static str, &'static str, &'static str),
    timeout: u32,
    /// The dead-letter queue's name within the stack, and its visibility timeout.
    dead_letters: &'static str,
    drainer_visibility: u32,
    retention: u64,
    max_receives: u32,
    audit_key: String,
    tables: Vec<TableText>,
    front: Vec<PathText>,
    functions: Vec<FunctionText>,
    deployed: Vec<&'static Function>,
}

impl Main {
    /// The function that seals the audit log.
    fn sealer(&self) -> Option<String> {
        self.deployed
            .iter()
            .find(|one| one.needs(Need::Seal))
            .map(|one| one.logical_id())
    }

    /// Whether the traffic of any function moves gradually.
    fn shifts(&self) -> bool {
        self.functions.iter().any(|one| one.alias.is_some())
    }

    /// The functions with a Function URL.
    fn urls(&self) -> Vec<String> {
        self.deployed
            .iter()
            .filter(|one| matches!(one.kind, Kind::Stream(_)))
            .map(|one| one.logical_id())
            .collect()
    }

    fn makes_token_secret(&self) -> bool {
        self.deployed
            .iter()
            .any(|one| one.needs(Need::StreamTokens))
    }

    /// Whether the front serves the dashboard's page.
    fn has_page(&self) -> bool {
        self.deployed
            .iter()
            .any(|one| one.needs(Need::StreamAddress))
    }
}

struct ParameterGroup {
    label: &'static str,
    names: Vec<&'static str>,
}

/// A path of the front.
struct PathText {
    path: String,
    methods: Vec<MethodText>,
}

/// A method of a path, and where the gateway calls the function that answers it, or its alias.
struct MethodText {
    method: String,
    uri: String,
}

/// What the front routes where.
fn front(deployment: &Deployment, shift: Shift) -> Vec<PathText> {
    let mut paths: BTreeMap<&'static str, Vec<MethodText>> = BTreeMap::new();
    for function in deployment.functions() {
        let uri = uri(&function.logical_id(), alias(function, shift).is_some());
        for route in function.routes().chain(deployment.preflights(function)) {
            paths.entry(route.path).or_default().push(MethodText {
                method: route.method.as_str().to_lowercase(),
                uri: uri.clone(),
            });
        }
    }
    let texts = paths.into_iter().map(|(path, methods)| PathText {
        path: quoted(path),
        methods,
    });
    texts.collect()
}

/// Where the gateway calls a function. An alias is a variable of the text: cfn-lint knows a function's attributes, and `Alias` is one
/// only of SAM's.
fn uri(function: &str, has_alias: bool) -> String {
    let of = |target: &str| {
        format!(
            r#""arn:${{AWS::Partition}}:apigateway:${{AWS::Region}}:lambda:path/2015-03-31/functions/${{{target}}}/invocations""#
        )
    };
    if has_alias {
        format!("!Sub [{}, {{Alias: !Ref {function}.Alias}}]", of("Alias"))
    } else {
        format!("!Sub {}", of(&format!("{function}.Arn")))
    }
}

struct LaneText {
    id: String,
    queue: String,
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
            waits,
            visibility: VISIBILITY_PER_TIMEOUT * TIMEOUT + window,
            description: match (lane.is_one_of_two, waits) {
                (false, _) => format!(
                    "Events of every priority to the {} lane of {name}.",
                    lane.name
                ),
                (true, false) => format!("Urgent events to the express lane of {name}."),
                (true, true) => {
                    format!(
                        "Other events, and those without a priority, to the standard lane of {name}."
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

/// The event types that a rule matches. For a consumer of every event it matches all, including types without a
/// contract here. For a consumer of another kind of events it matches whole domains by their prefix. Otherwise it
/// matches the types.
fn types(deployment: &Deployment, function: &'static Function) -> Vec<String> {
    let selection = function.consumer().map(|consumer| consumer.selection);
    if matches!(selection, Some(events::Selection::Every(_))) {
        return vec!["{exists: true}".to_owned()];
    }
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
    /// The alias that CodeDeploy moves to new versions; `None`: callers get the newest code.
    alias: Option<&'static str>,
    /// Whether the front calls it.
    has_routes: bool,
    has_url: bool,
}

impl FunctionText {
    fn of(deployment: &Deployment, function: &'static Function, shift: Shift) -> Self {
        let lanes = deployment.lanes_of(function);
        let kind = match &function.kind {
            Kind::Relay => "Relay",
            Kind::Consumer(_) => "Consumer",
            Kind::DeadLetters => "Drainer",
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
        events.extend(other_events(function));
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
            settings: settings(deployment, function)
                .into_iter()
                .map(|setting| (setting.name, setting.source.yaml()))
                .collect(),
            events,
            alias: alias(function, shift),
            has_routes: function.routes().next().is_some(),
            has_url: matches!(function.kind, Kind::Stream(_)),
        }
    }
}

fn alias(function: &'static Function, shift: Shift) -> Option<&'static str> {
    (shift == Shift::Gradually && has_only_the_front(function)).then_some(ALIAS)
}

/// Whether only the front calls a function. Whoever calls one that also keeps failed asynchronous invocations names the
/// function and not its alias: the invocation would miss what the alias is configured with.
fn has_only_the_front(function: &Function) -> bool {
    matches!(function.kind, Kind::Api(_)) && !function.needs(Need::KeepFailures)
}

fn reserved(parameter: &Parameter) -> String {
    format!(
        "ReservedConcurrentExecutions: !If [{}, !Ref {}, !Ref AWS::NoValue]",
        parameter.condition.unwrap_or_default(),
        parameter.name
    )
}

/// An empty destination is none
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-lambda-eventinvokeconfig-onfailure.html>,
/// read 2026-11-29).
fn kept_failures(parameter: &Parameter) -> String {
    format!(
        "EventInvokeConfig: {{MaximumRetryAttempts: 2, DestinationConfig: {{OnFailure: {{Type: S3Bucket, Destination: !If [{}, \"\", !GetAtt RelayFailuresBucket.Arn]}}}}}}",
        parameter.condition.unwrap_or_default()
    )
}

fn properties(function: &Function) -> Vec<String> {
    match &function.kind {
        Kind::Relay => vec![
            format!("Timeout: {RELAY_TIMEOUT}"),
            reserved(&parameters::RELAY_RESERVED_CONCURRENCY),
        ],
        Kind::Consumer(_) => vec![reserved(&parameters::CONSUMER_RESERVED_CONCURRENCY)],
        Kind::DeadLetters => Vec::new(),
        Kind::Job(job) => vec![
            format!("Timeout: {}", job.timeout),
            // Runs do not retry: the schedule starts the next run, and a lease lets only one run work
            // (infra/adr/0013-lease-and-fence.md).
            "EventInvokeConfig: {MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60}".to_owned(),
        ],
        Kind::Api(_) if function.needs(Need::KeepFailures) => vec![
            format!("Timeout: {API_TIMEOUT}"),
            "# Keeps asynchronous invocations, such as those of a rule, that failed after two retries.".to_owned(),
            kept_failures(&parameters::KEEP_FAILED_INVOCATIONS),
        ],
        Kind::Api(_) => vec![format!("Timeout: {API_TIMEOUT}")],
        Kind::Stream(endpoint) => vec![
            format!("Timeout: {}", endpoint.timeout),
            reserved(endpoint.reserved),
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

fn other_events(function: &'static Function) -> Vec<String> {
    match &function.kind {
        Kind::Relay => EVENT_LOG.lines().map(str::to_owned).collect(),
        Kind::Job(job) => {
            let mut lines = vec![
                "Schedule:".to_owned(),
                "  Type: Schedule".to_owned(),
                "  Properties:".to_owned(),
                format!("    Description: {}", job.looks_for),
                "    # The alarm on starts that failed finds the rule by this name.".to_owned(),
                format!("    Name: !Sub ${{AWS::StackName}}_{}", function.name),
                format!("    Schedule: !Ref {}", job.schedule.name),
            ];
            lines.extend(job.only_with.map(|parameter| {
                format!(
                    "    State: !If [{}, ENABLED, DISABLED]",
                    parameter.condition.unwrap_or_default()
                )
            }));
            lines.push(
                "    # A late start is dropped: the schedule starts the next run.".to_owned(),
            );
            lines.push(
                "    RetryPolicy: {MaximumRetryAttempts: 2, MaximumEventAgeInSeconds: 60}"
                    .to_owned(),
            );
            lines
        }
        Kind::DeadLetters => drained(),
        // What the front calls, the API itself says.
        Kind::Api(_) | Kind::Consumer(_) | Kind::Stream(_) => Vec::new(),
    }
}

/// The event source mapping of the function that drains the dead-letter queue.
fn drained() -> Vec<String> {
    vec![
        "DeadLetters:".to_owned(),
        "  Type: SQS".to_owned(),
        "  Properties:".to_owned(),
        format!("    Queue: !GetAtt {DEAD_LETTER_QUEUE}.Arn"),
        format!("    BatchSize: {DRAINED_AT_ONCE}"),
        "    FunctionResponseTypes: [ReportBatchItemFailures]".to_owned(),
        format!("    ScalingConfig: {{MaximumConcurrency: {DRAINERS}}}"),
    ]
}

/// The relay's event source mapping.
const EVENT_LOG: &str = r#"EventLog:
  Type: DynamoDB
  Properties:
    Stream: !GetAtt EventsTable.StreamArn
    StartingPosition: TRIM_HORIZON
    BatchSize: 100
    MaximumBatchingWindowInSeconds: 0
    # The relay's own updates of published_at must not invoke it.
    FilterCriteria:
      Filters:
        - Pattern: '{"eventName":["INSERT"]}'
    # Retries forever: a batch leaves only when it is published, or by age just before it expires from the stream.
    MaximumRetryAttempts: -1
    MaximumRecordAgeInSeconds: 86340
    # A batch that crashes the relay is halved until the bad row is alone in its batch.
    BisectBatchOnFunctionError: true
    # No ReportBatchItemFailures: the whole invocation fails, and the instance remembers what it has published.
    DestinationConfig:
      OnFailure: {Type: S3, Destination: !GetAtt RelayFailuresBucket.Arn}"#;
