//! A function's role. Its permissions follow from the function's kind, tables and needs; it has no others.

use events::Selection;
use topology::{
    Access, Action, Consumer, Deployment, Function, Kind, Need, Parameter, Table, Value,
    parameters, tables,
};

use crate::{
    settings::token_secret,
    yaml::{flow, quoted},
};

/// The logical id of the stack's dead-letter queue.
pub(crate) const DEAD_LETTER_QUEUE: &str = "DeadLetterQueue";

/// Every queue of this stack, and of no other stack: see `topology::physical_name`.
const EVERY_QUEUE: &str =
    "!Sub arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:${AWS::StackName}_*";

/// Every event source mapping. Lambda generates their ids, so only their functions tell to which stack they belong.
const EVERY_MAPPING: &str =
    "!Sub arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:event-source-mapping:*";

/// The condition that an event source mapping belongs to a function of this stack
/// (<https://docs.aws.amazon.com/lambda/latest/dg/lambda-api-permissions-ref.html>, read 2026-11-29). On AWS the key is in
/// every such call; a local AWS does not know it, and would refuse every call without `IfExists`.
const MAPS_TO_THIS_STACK: &str = "{ArnLikeIfExists: {\"lambda:FunctionArn\": !Sub \"arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${AWS::StackName}_*\"}}";

/// A statement in a role's policy.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    sid: String,
    actions: Vec<String>,
    /// The resources as YAML expressions.
    resources: Vec<String>,
    /// What must hold of a call, as a YAML expression; `None`: nothing.
    holds: Option<&'static str>,
    /// The condition of the template under which the role has the statement; `None`: always.
    condition: Option<&'static str>,
}

impl Statement {
    fn new<A: Into<String>>(
        sid: impl Into<String>,
        actions: impl IntoIterator<Item = A>,
        resources: Vec<String>,
    ) -> Self {
        Self {
            sid: sid.into(),
            actions: actions.into_iter().map(Into::into).collect(),
            resources,
            holds: None,
            condition: None,
        }
    }

    const fn where_holds(mut self, holds: &'static str) -> Self {
        self.holds = Some(holds);
        self
    }

    const fn only_if(mut self, condition: Option<&'static str>) -> Self {
        self.condition = condition;
        self
    }

    /// The statement as an item of a YAML list, line by line.
    pub(crate) fn lines(&self) -> Vec<String> {
        let quoted: Vec<String> = self.actions.iter().map(|action| quoted(action)).collect();
        let mut lines = vec![
            format!("- Sid: {}", self.sid),
            "  Effect: Allow".to_owned(),
            format!("  Action: {}", flow(&quoted)),
            "  Resource:".to_owned(),
        ];
        lines.extend(self.resources.iter().map(|one| format!("    - {one}")));
        lines.extend(self.holds.map(|holds| format!("  Condition: {holds}")));
        let Some(condition) = self.condition else {
            return lines;
        };
        let mut chosen = vec!["- !If".to_owned(), format!("  - {condition}")];
        chosen.extend(lines.into_iter().map(|line| format!("  {line}")));
        chosen.push("  - !Ref AWS::NoValue".to_owned());
        chosen
    }
}

/// The permissions of a function on one table, merged from everything that asks for them.
pub(crate) struct Grant {
    pub(crate) table: &'static Table,
    actions: Vec<Action>,
    indexes: Vec<&'static str>,
}

/// The tables of a function: those it declares, and those that follow from its kind.
pub(crate) fn grants(deployment: &Deployment, function: &'static Function) -> Vec<Grant> {
    let mut grants: Vec<Grant> = Vec::new();
    let mut allow = |table: &'static Table, actions: &[Action], indexes: &[&'static str]| {
        let at = match grants.iter().position(|grant| grant.table == table) {
            Some(at) => at,
            None => {
                grants.push(Grant {
                    table,
                    actions: Vec::new(),
                    indexes: Vec::new(),
                });
                grants.len() - 1
            }
        };
        if let Some(grant) = grants.get_mut(at) {
            grant.actions.extend(actions);
            grant.actions.sort_unstable();
            grant.actions.dedup();
            grant.indexes.extend(indexes);
        }
    };
    for Access {
        table,
        actions,
        indexes,
        ..
    } in deployment.accesses(function)
    {
        allow(table, actions, indexes);
    }
    let marks = [Action::Get, Action::Put];
    match &function.kind {
        Kind::Consumer(consumer) => {
            let by = |evidence| {
                consumer
                    .selection
                    .types()
                    .iter()
                    .any(|one| one.evidence == evidence)
            };
            if by(events::Evidence::Cursor) {
                allow(&tables::EVENTS, &[Action::Get, Action::Query], &[]);
            }
            // The evidence of a guard is the projected row itself. But every consumer counts its failures beside the
            // marks.
            allow(&tables::MARKS, &marks, &[]);
        }
        Kind::Job(_) => allow(&tables::MARKS, &marks, &[]),
        Kind::Api(api) => {
            if api.changes_state {
                allow(&tables::MARKS, &marks, &[]);
            }
            allow(&tables::KEYS, &[Action::Get], &[]);
        }
        // A drained message is written with its mark.
        Kind::DeadLetters => allow(&tables::MARKS, &marks, &[]),
        Kind::Relay | Kind::Stream(_) => {}
    }
    if function.emits() {
        allow(&tables::EVENTS, &[Action::Put], &[]);
    }
    grants
}

/// The statements of a function's role.
pub(crate) fn statements(deployment: &Deployment, function: &'static Function) -> Vec<Statement> {
    let arn = |id: &str| format!("!GetAtt {id}.Arn");
    let id = function.logical_id();
    let mut statements = vec![
        Statement::new(
            "Logs",
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            vec![arn(&format!("{id}LogGroup"))],
        ),
        Statement::new(
            "Xray",
            ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
            vec!["\"*\"".to_owned()],
        ),
    ];
    if matches!(function.kind, Kind::Relay) {
        statements.push(Statement::new(
            "Stream",
            [
                "dynamodb:DescribeStream",
                "dynamodb:GetRecords",
                "dynamodb:GetShardIterator",
                "dynamodb:ListStreams",
            ],
            vec!["!GetAtt EventsTable.StreamArn".to_owned()],
        ));
        statements.extend(failures());
    }
    let lanes: Vec<String> = deployment
        .lanes_of(function)
        .iter()
        .map(|lane| arn(&format!("{}Queue", lane.logical_id(function))))
        .collect();
    let draining = [
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
    ];
    if !lanes.is_empty() {
        let retrying = draining.into_iter().chain(["sqs:ChangeMessageVisibility"]);
        statements.push(Statement::new("Sqs", retrying, lanes));
        statements.push(Statement::new(
            "Letters",
            ["sqs:SendMessage"],
            vec![arn(DEAD_LETTER_QUEUE)],
        ));
    }
    if matches!(function.kind, Kind::DeadLetters) {
        let queue = vec![arn(DEAD_LETTER_QUEUE)];
        statements.push(Statement::new("Letters", draining, queue));
    }
    for grant in grants(deployment, function) {
        let table = grant.table.logical_id();
        let sid = format!("Dynamodb{}", grant.table.id);
        // A function can need an index alone.
        if !grant.actions.is_empty() {
            statements.push(Statement::new(
                &sid,
                grant.actions.iter().map(|action| action.iam()),
                vec![arn(&table)],
            ));
        }
        if !grant.indexes.is_empty() {
            let indexes = grant
                .indexes
                .iter()
                .map(|index| format!("!Sub ${{{table}.Arn}}/index/{index}"))
                .collect();
            statements.push(Statement::new(
                format!("{sid}Indexes"),
                [Action::Query.iam()],
                indexes,
            ));
        }
    }
    statements.extend(
        function
            .needs
            .iter()
            .flat_map(|need| of_need(*need, deployment)),
    );
    statements.extend(secrets_of(function).map(|secret| {
        let arn = vec![format!("!Ref {}", secret.name)];
        Statement::new(secret.name, [READ_SECRET], arn).only_if(secret.condition)
    }));
    statements
}

const READ_SECRET: &str = "secretsmanager:GetSecretValue";

/// The parameters that can hold the ARN of a secret that the function reads.
pub(crate) fn secrets_of(function: &'static Function) -> impl Iterator<Item = &'static Parameter> {
    function
        .settings
        .iter()
        .filter_map(|setting| match setting.value {
            Value::Of(parameter) => parameter.secret_arn,
            Value::IsSet(_) | Value::Text(..) => None,
        })
}

/// Lambda itself writes to the bucket, with the function's role
/// (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>, read 2026-11-29).
fn failures() -> [Statement; 2] {
    let bucket = "RelayFailuresBucket";
    let objects = vec![format!("!Sub ${{{bucket}.Arn}}/*")];
    [
        Statement::new("Failures", ["s3:PutObject"], objects),
        Statement::new(
            "FailuresBucket",
            ["s3:ListBucket"],
            vec![format!("!GetAtt {bucket}.Arn")],
        ),
    ]
}

fn of_need(need: Need, deployment: &Deployment) -> Vec<Statement> {
    let bus = || "!GetAtt EventBus.Arn".to_owned();
    match need {
        Need::Publish => vec![Statement::new("Events", ["events:PutEvents"], vec![bus()])],
        Need::DescribeBus => vec![Statement::new(
            "Events",
            ["events:DescribeEventBus"],
            vec![
                bus(),
                // A local AWS names the bus like this in this call; on AWS no such rule exists.
                "!Sub arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/default/${EventBus}"
                    .to_owned(),
            ],
        )],
        Need::OneLane => one_lane(deployment)
            .map(|queue| {
                Statement::new(
                    "Sqs",
                    ["sqs:GetQueueAttributes"],
                    vec![format!("!GetAtt {queue}.Arn")],
                )
            })
            .into_iter()
            .collect(),
        Need::SendMail => vec![Statement::new(
            "Ses",
            ["ses:SendEmail"],
            vec![
                "!If [HasSesResource, !Ref SesResource, !Sub \"arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity/*\"]"
                    .to_owned(),
            ],
        )],
        // The stack's own key names this role in its policy, which is enough in one account: it needs no statement here
        // (https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html, read 2026-11-29).
        Need::Seal => {
            let key = &parameters::EXISTING_AUDIT_KEY_ARN;
            let own = vec![format!("!Ref {}", key.name)];
            vec![Statement::new("Kms", ["kms:GenerateMac"], own).only_if(key.condition)]
        }
        Need::WatchLanes => vec![
            // CloudWatch has no resource types for this action
            // (https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html, read
            // 2026-11-26).
            Statement::new("Ages", ["cloudwatch:GetMetricData"], vec!["\"*\"".to_owned()]),
            Statement::new(
                "Sqs",
                ["sqs:GetQueueAttributes", "sqs:GetQueueUrl"],
                vec![EVERY_QUEUE.to_owned()],
            ),
        ],
        Need::SendToLanes => vec![Statement::new(
            "Lanes",
            ["sqs:SendMessage", "sqs:GetQueueUrl"],
            vec![EVERY_QUEUE.to_owned()],
        )],
        Need::KnowLanesAndLog => vec![
            Statement::new(
                "LaneAges",
                ["sqs:GetQueueAttributes", "sqs:GetQueueUrl"],
                vec![EVERY_QUEUE.to_owned()],
            ),
            Statement::new(
                "LogSize",
                ["dynamodb:DescribeTable"],
                vec!["!GetAtt EventsTable.Arn".to_owned()],
            ),
        ],
        Need::PauseConsumers => vec![
            // Lambda has no resource types for this action: the same page.
            Statement::new(
                "Mappings",
                ["lambda:ListEventSourceMappings"],
                vec!["\"*\"".to_owned()],
            ),
            Statement::new(
                "Polling",
                ["lambda:UpdateEventSourceMapping"],
                vec![EVERY_MAPPING.to_owned()],
            )
            .where_holds(MAPS_TO_THIS_STACK),
        ],
        Need::StreamTokens => vec![Statement::new(
            "StreamTokenSecret",
            [READ_SECRET],
            vec![token_secret()],
        )],
        Need::Domains | Need::StreamAddress | Need::CallEndpoints => Vec::new(),
        Need::KeepFailures => failures().into(),
    }
}

/// The logical id of one lane's queue in the spine, which shows whether SQS answers. Consumers of the spine listen by
/// kind.
pub(crate) fn one_lane(deployment: &Deployment) -> Option<String> {
    let by_kind = |consumer: &Consumer| !matches!(consumer.selection, Selection::Types(_));
    deployment
        .lanes()
        .into_iter()
        .find(|(function, _)| function.consumer().is_some_and(by_kind))
        .map(|(function, lane)| format!("{}Queue", lane.logical_id(function)))
}
