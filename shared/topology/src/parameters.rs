//! The parameters that several functions, or none, use. A function can declare a parameter that only it uses in its own
//! declaration.

#![expect(
    missing_docs,
    reason = "each parameter's own description says what it means"
)]

use crate::{Form, Group, Parameter};

/// The form of a stage's name, which becomes part of URLs and names.
const STAGE_FORM: Form = Form::Pattern(
    "^[a-z][a-z0-9]{0,15}$",
    "a lower-case letter, then up to 15 lower-case letters and digits",
);

/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html>.
pub(crate) const SCHEDULE_FORM: Form = Form::Pattern(
    r"^(rate|cron)\(.+\)$",
    "a schedule of EventBridge such as `rate(5 minutes)` or `cron(0 3 * * ? *)`, in UTC",
);

/// <https://docs.aws.amazon.com/sns/latest/dg/sns-create-topic.html>.
const TOPIC_FORM: Form = Form::Pattern(
    r"^(arn:[^\s:]+:sns:[^\s:]+:[0-9]{12}:[^\s:]+)?$",
    "the ARN of an SNS topic, or nothing",
);

/// <https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id-key-ARN>, read 2026-11-29. An alias is no
/// key's ARN: policies that name one grant nothing.
const KEY_FORM: Form = Form::Pattern(
    r"^(arn:[^\s:]+:kms:[^\s:]+:[0-9]{12}:key/[A-Za-z0-9-]+)?$",
    "the ARN of a KMS key, or nothing",
);

pub const STAGE: Parameter = Parameter::new(
    "Stage",
    Group::Every,
    STAGE_FORM,
    "dev",
    "Name of the deployment, in the tags and in every URL of the API.",
);

pub const PROTECT_DATA: Parameter = Parameter::new(
    "ProtectData",
    Group::Every,
    Form::OneOf(&["true", "false"]),
    "false",
    "Whether DynamoDB refuses to delete the tables, whoever asks: then also a deletion of the stack fails at them and keeps them. Create a stack with `false` and switch it on by an update, or a failed creation cannot be rolled back.",
)
.with_condition("ProtectsData");

pub const DEMAND_TLS: Parameter = Parameter::new(
    "DemandTls",
    Group::Every,
    Form::OneOf(&["true", "false"]),
    "true",
    "Whether the queues and the failures bucket refuse requests without TLS. `false` is for a local AWS, which is reached by http.",
);

pub const RESTORED_TABLES: Parameter = Parameter::new(
    "RestoredTables",
    Group::Every,
    Form::Pattern(
        "^([a-z0-9][a-z0-9-]{0,30})?$",
        "up to 31 lower-case letters, digits and hyphens, or nothing",
    ),
    "",
    "End of the names of tables that were restored and imported, `<stack>-<table>-<this>` (infra/docs/restore.md). Empty: CloudFormation names the tables. A change on a stack that has tables already replaces all of them by empty ones (the old ones remain outside the stack).",
)
.with_condition("HasRestoredTables");

pub const ARCHITECTURE: Parameter = Parameter::new(
    "Architecture",
    Group::Every,
    Form::OneOf(&["x86_64", "arm64"]),
    "x86_64",
    "Must be what the bootstraps under target/lambda were built for.",
);

pub const LOG_LEVEL: Parameter = Parameter::new(
    "LogLevel",
    Group::Every,
    Form::Text,
    "info",
    "RUST_LOG of every function, a tracing filter such as `info` or `info,outbox=debug`. An invalid filter counts as `info`.",
);

pub const LOG_RETENTION_DAYS: Parameter = Parameter::new(
    "LogRetentionDays",
    Group::Every,
    Form::OneOfNumbers(&[
        1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557,
        2922, 3288, 3653,
    ]),
    "30",
    "Days for which the functions' logs are kept.",
);

/// The form of an origin that `api::Cors` accepts, as a browser sends it.
pub const CORS_ORIGINS: Parameter = Parameter::new(
    "CorsOrigins",
    Group::Front,
    Form::Pattern(
        r"^(https?://[a-z0-9.:_\[\]-]+(,https?://[a-z0-9.:_\[\]-]+)*)?$",
        "origins (scheme, host, optionally a port; lower case, no path) separated by commas, or nothing",
    ),
    "",
    "Origins whose pages may call the API and the event stream from a browser, separated by commas: `https://app.example,http://localhost:5173`. Empty: none.",
);

/// Each delay is at most 12 hours, the longest time for which SQS can hide a message
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>).
pub const RETRY_DELAYS_SECONDS: Parameter = Parameter::new(
    "RetryDelaysSeconds",
    Group::Consumers,
    Form::Pattern(
        "^([0-9]{1,4}|[1-3][0-9]{4}|4[0-2][0-9]{3}|43[01][0-9]{2}|43200)(,([0-9]{1,4}|[1-3][0-9]{4}|4[0-2][0-9]{3}|43[01][0-9]{2}|43200))*$",
        "whole seconds, each 0 to 43200, separated by commas",
    ),
    "10,60,300",
    "Seconds before the 2nd, 3rd, ... attempt of a failed record. Each is at most 43200, the longest time for which SQS can hide a message. After the last attempt the record is parked.",
);

pub const UNAVAILABLE_MAX_AGE_SECONDS: Parameter = Parameter::new(
    "UnavailableMaxAgeSeconds",
    Group::Consumers,
    Form::Number(60, 172_800),
    "21600",
    "A record whose dependency is unavailable is retried at the last delay until its message is this old. Keep it under 80 times the last delay: maxReceiveCount (100) is only the safety net behind the retry schedule.",
);

pub const RECORD_TIMEOUT_MS: Parameter = Parameter::new(
    "RecordTimeoutMs",
    Group::Consumers,
    Form::Number(100, 25_000),
    "5000",
    "Time limit of one record in milliseconds. The limit plus 3 s must fit into the consumers' timeout of 30 s.",
);

pub const RECORD_CONCURRENCY: Parameter = Parameter::new(
    "RecordConcurrency",
    Group::Consumers,
    Form::Number(1, 100),
    "10",
    "Records of a batch that a consumer handles at the same time.",
);

pub const LANE_MAXIMUM_CONCURRENCY: Parameter = Parameter::new(
    "LaneMaximumConcurrency",
    Group::Consumers,
    Form::Number(2, 1_000),
    "5",
    "Instances that one lane can use at once. The limit keeps one lane from taking the account's concurrency away from the others.",
)
.with_condition("HasOwnLaneConcurrency");

pub const STANDARD_BATCHING_WINDOW_SECONDS: Parameter = Parameter::new(
    "StandardBatchingWindowSeconds",
    Group::Consumers,
    Form::Number(0, 20),
    "0",
    "Seconds that a standard lane waits to fill a batch. A longer wait costs less and delivers later. Express lanes never wait.",
);

pub const CONSUMER_RESERVED_CONCURRENCY: Parameter = Parameter::new(
    "ConsumerReservedConcurrency",
    Group::Consumers,
    Form::Number(0, 2_000),
    "0",
    "Reserved concurrency of every consumer; 0 reserves none (new accounts have 10 in all). Any other value must be at least LaneMaximumConcurrency times the consumer's lanes (2 at most). Below that, Lambda throttles SQS messages, and their receives count towards maxReceiveCount.",
)
.with_condition("HasConsumerReservation");

pub const RELAY_RESERVED_CONCURRENCY: Parameter = Parameter::new(
    "RelayReservedConcurrency",
    Group::Relay,
    Form::Number(0, 1_000),
    "0",
    "Reserved concurrency of the relay; 0 reserves none. One instance per shard of the event log's stream. Set it, such as to 5, once the account's quota allows: with it no other function of the account can keep the relay from publishing. AWS refuses a reservation that leaves less than 100 unreserved, and new accounts have 10 in all.",
)
.with_condition("HasRelayReservation");

pub const API_RATE_LIMIT: Parameter = Parameter::new(
    "ApiRateLimit",
    Group::Front,
    Form::Number(1, 10_000),
    "500",
    "Steady requests per second that the front accepts.",
);

pub const API_BURST_LIMIT: Parameter = Parameter::new(
    "ApiBurstLimit",
    Group::Front,
    Form::Number(1, 5_000),
    "1000",
    "Burst of requests that the front accepts at once.",
);

/// The values that `cloud::Rate` accepts.
pub const CLOUD_USD_RATE: Parameter = Parameter::new(
    "CloudUsdRate",
    Group::Cloud,
    Form::Pattern(
        r"^(?!0+(\.0+)?$)([0-9]{1,4}(\.[0-9]{1,2})?|10000(\.0{1,2})?)$",
        "above 0, at most 10000, at most two decimals",
    ),
    "10",
    "US dollars per CLOUD credit. At 10000 the largest amount of credits is worth the largest amount of dollars.",
);

/// The values that `cloud::stake::RevenueShares` accepts, up to its `MAX_DAYS`.
pub const REVENUE_SHARES: Parameter = Parameter::new(
    "RevenueShares",
    Group::Cloud,
    Form::Pattern(
        r"^[0-9]{1,5}:(100(\.0{1,2})?|[0-9]{1,2}(\.[0-9]{1,2})?)(,[0-9]{1,5}:(100(\.0{1,2})?|[0-9]{1,2}(\.[0-9]{1,2})?))*$",
        "DAYS:PERCENT pairs separated by commas; days 0 to 36500, each once, per cent 0 to 100 with at most two decimals",
    ),
    "30:5,90:10,180:15,365:20",
    "Lock durations in days (0 has no lock) and the percentage of the revenue that each earns, as DAYS:PERCENT pairs.",
);

pub const BALANCE_CACHE: Parameter = Parameter::new(
    "BalanceCache",
    Group::Wallet,
    Form::OneOf(&["true", "false"]),
    "true",
    "Whether an instance of wallet-api caches the balances that it reads.",
);

pub const BALANCE_CACHE_SIZE: Parameter = Parameter::new(
    "BalanceCacheSize",
    Group::Wallet,
    Form::Number(1, 1_000_000),
    "10000",
    "Maximum number of accounts whose balances an instance of wallet-api caches.",
);

pub const BALANCE_CACHE_TTL_MS: Parameter = Parameter::new(
    "BalanceCacheTtlMs",
    Group::Wallet,
    Form::Number(1, 3_600_000),
    "5000",
    "Milliseconds after which wallet-api reads a cached balance again.",
);

pub const NETWORK_WEIGHTS: Parameter = Parameter::new(
    "NetworkWeights",
    Group::Settlement,
    Form::Pattern(
        "^cost:[0-9]{1,3},speed:[0-9]{1,3},reliability:[0-9]{1,3}$",
        "cost:N,speed:N,reliability:N, whole numbers that add up to 100",
    ),
    "cost:40,speed:30,reliability:30",
    "Weights of cost, speed and reliability when a settlement's network is selected, in per cent that add up to 100.",
);

pub const APP_URL: Parameter = Parameter::new(
    "AppUrl",
    Group::Notifications,
    Form::Pattern(
        r"^https?://[^\s?#]*[^\s/?#]$",
        "an http or https URL without query, fragment or a slash at its end",
    ),
    "https://app.example.com",
    "Base URL of the links in notices and e-mails, without a slash at the end.",
);

pub const EMAIL_SENDER: Parameter = Parameter::new(
    "EmailSender",
    Group::Notifications,
    Form::Pattern(r"^[^\s@]+@[^\s@]+$", "an e-mail address"),
    "millrace@example.com",
    "From address of notifications. On AWS it must be a verified SES identity.",
);

pub const SES_RESOURCE: Parameter = Parameter::new(
    "SesResource",
    Group::Notifications,
    Form::Pattern(r"^(\*|arn:[^\s]+)?$", "an ARN, `*` or nothing"),
    "",
    "ARN of the SES identity that notifications may send with. Empty: the identities of this account and region. Use `*` for a local AWS that has no identities.",
)
.with_condition("HasSesResource");

/// Lambda takes a bucket as on-failure destination of asynchronous invocations
/// (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>, read 2026-11-29). LocalStack
/// 2026.3 refuses the whole stack because of it, and takes no destination.
pub const KEEP_FAILED_INVOCATIONS: Parameter = Parameter::new(
    "KeepFailedInvocations",
    Group::Front,
    Form::OneOf(&["true", "false"]),
    "true",
    "Whether events that a rule handed to event-ingest, and that failed after all retries, are kept in the bucket RelayFailuresBucketName. Use `false` only for a local AWS that takes no bucket as on-failure destination.",
)
.with_condition("DropsFailedInvocations");

pub const REDEEMED_NOTE_FROM: Parameter = Parameter::new(
    "RedeemedNoteFrom",
    Group::Notifications,
    Form::Pattern(
        r"^[0-9]{1,9}(\.[0-9]{1,6})?$",
        "credits below 1000000000, at most six decimals",
    ),
    "10",
    "The smallest redemption, in CLOUD credits, for which a member gets an in-app notice.",
);

pub const FANOUT_DELAY_SECONDS: Parameter = Parameter::new(
    "FanoutDelaySeconds",
    Group::Notifications,
    Form::Number(0, 86_400),
    "90",
    "Seconds from a rate card's event to the first notice about it. Members who register in that time get a notice, too, even if their registration was handled only at the second or third attempt.",
);

pub const MAILS_PER_SECOND: Parameter = Parameter::new(
    "MailsPerSecond",
    Group::Notifications,
    Form::Number(1, 1_000),
    "1",
    "Mails of a fan-out per second, at most the sending rate that SES allows the account; 1 in its sandbox.",
);

pub const NOTIFICATIONS_SENDER_SCHEDULE: Parameter = Parameter::new(
    "NotificationsSenderSchedule",
    Group::Notifications,
    SCHEDULE_FORM,
    "rate(1 minute)",
    "When notifications-sender looks for fan-outs to all members and for mails to send. At least once a day: an alarm reports 26 hours without a run.",
);

/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html>, read 2026-11-29.
const SECRET_FORM: Form = Form::Pattern(
    r"^(arn:[^\s:]+:secretsmanager:[^\s:]+:[0-9]{12}:secret:[^\s:]+)?$",
    "the ARN of a secret in Secrets Manager, or nothing",
);

pub const CHAIN_RPC_URL_SECRET_ARN: Parameter = Parameter::new(
    "ChainRpcUrlSecretArn",
    Group::Chain,
    SECRET_FORM,
    "",
    "ARN of a secret in Secrets Manager whose text is the value of ChainRpcUrl, so that the node's key is neither on a command line nor in a function's configuration. The functions read it when they start. It takes precedence over ChainRpcUrl.",
)
.with_condition("HasChainRpcUrlSecret");

pub const CHAIN_RPC_URL: Parameter = Parameter::new(
    "ChainRpcUrl",
    Group::Chain,
    Form::Pattern(
        r"^(https?://[^\s@]+)?$",
        "an http or https URL without user and password, or nothing",
    ),
    "",
    "JSON-RPC endpoint of an Ethereum node, with its key in path or query. Empty: there is no chain; nothing is queued for it, and the schedules of cloud-chain-worker and cloud-reconcile are off.",
)
.with_condition("HasChain")
.or_secret(&CHAIN_RPC_URL_SECRET_ARN)
.secret();

pub const CHAIN_TOKEN_CONTRACT: Parameter = Parameter::new(
    "ChainTokenContract",
    Group::Chain,
    Form::Pattern(
        "^(0x[0-9a-fA-F]{40})?$",
        "0x and 40 hexadecimal digits, or nothing",
    ),
    "",
    "Address of the ERC-20 contract that holds the credits; required with ChainRpcUrl.",
);

pub const CHAIN_TOKEN_DECIMALS: Parameter = Parameter::new(
    "ChainTokenDecimals",
    Group::Chain,
    Form::Number(0, 36),
    "18",
    "Decimals of the token, as the contract's decimals() returns them.",
);

pub const CHAIN_ID: Parameter = Parameter::new(
    "ChainId",
    Group::Chain,
    Form::Pattern("^[0-9]{0,18}$", "up to 18 digits, or nothing"),
    "",
    "The id of the chain that the endpoint must serve (1 is Ethereum's main net). Nothing is compared with any other chain. Empty: the id is not checked.",
);

pub const CHAIN_RPC_TIMEOUT_MS: Parameter = Parameter::new(
    "ChainRpcTimeoutMs",
    Group::Chain,
    Form::Number(100, 4_000),
    "2000",
    "Time limit of one call to the endpoint in milliseconds. Above 2000, fewer balances are read at a time: the 10 s of a page must also leave room for two more calls.",
);

pub const CHAIN_WORKER_SCHEDULE: Parameter = Parameter::new(
    "ChainWorkerSchedule",
    Group::Chain,
    SCHEDULE_FORM,
    "rate(1 minute)",
    "When the jobs that wait for the chain are checked.",
);

pub const CHAIN_CONFIRM_WITHIN_SECONDS: Parameter = Parameter::new(
    "ChainConfirmWithinSeconds",
    Group::Chain,
    Form::Number(60, 604_800),
    "3600",
    "Seconds after which a job fails if the chain has not confirmed it.",
);

pub const RECONCILE_SCHEDULE: Parameter = Parameter::new(
    "ReconcileSchedule",
    Group::Chain,
    SCHEDULE_FORM,
    "rate(1 hour)",
    "When books and chain are compared.",
);

pub const CHAIN_IN_FLIGHT_SECONDS: Parameter = Parameter::new(
    "ChainInFlightSeconds",
    Group::Chain,
    Form::Number(0, 604_800),
    "3600",
    "A difference is not yet a divergence if the member's credits moved within so many seconds, because the chain follows the books. Keep it at ChainConfirmWithinSeconds or above.",
);

pub const CHAIN_UNSYNCED_MAX_SECONDS: Parameter = Parameter::new(
    "ChainUnsyncedMaxSeconds",
    Group::Chain,
    Form::Number(60, 2_592_000),
    "86400",
    "A member whose books and chain have not agreed for so many seconds is reported as diverged, however often their credits move. Keep it well above ChainInFlightSeconds, and above the longest outage of the node that should not cause reports.",
);

pub const AUDIT_ANCHOR_SCHEDULE: Parameter = Parameter::new(
    "AuditAnchorSchedule",
    Group::AuditLog,
    SCHEDULE_FORM,
    "rate(1 hour)",
    "When the heads of the audit log are sealed. At least once a day: an alarm reports 26 hours without a run. A change made before an entry's first seal can be found only by comparison with the event log.",
);

pub const EXISTING_AUDIT_KEY_ARN: Parameter = Parameter::new(
    "ExistingAuditKeyArn",
    Group::AuditLog,
    KEY_FORM,
    "",
    "ARN of the HMAC key that sealed a restored audit log. Empty: the stack creates a key of its own. The key's policy must let the role of audit-anchor make MACs; see infra/docs/restore.md.",
)
.with_condition("HasExistingAuditKey");

pub const WEBHOOK_NETWORKS: Parameter = Parameter::new(
    "WebhookNetworks",
    Group::Webhooks,
    Form::Pattern(
        r"^([0-9a-fA-F:.]+/[0-9]{1,3}(,[0-9a-fA-F:.]+/[0-9]{1,3})*)?$",
        "networks such as 10.1.0.0/16, separated by commas, or nothing",
    ),
    "",
    "Networks that webhooks may go to besides public addresses, also by plain http. Empty: public addresses only, by https.",
);

pub const WEBHOOK_PORTS: Parameter = Parameter::new(
    "WebhookPorts",
    Group::Webhooks,
    Form::Pattern(
        r"^[0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*$",
        "ports and ranges of ports such as 8000-8999, separated by commas",
    ),
    "443",
    "Ports that webhooks may go to: ports and ranges such as 8000-8999, separated by commas.",
);

pub const STREAM_TOKEN_SECRET_ARN: Parameter = Parameter::new(
    "StreamTokenSecretArn",
    Group::EventStream,
    SECRET_FORM,
    "",
    "ARN of a secret in Secrets Manager whose text, at least 32 random characters, signs the stream tokens of browsers. Empty: the stack makes one. Changing it invalidates the issued tokens and nothing else.",
)
.with_condition("HasStreamTokenSecret");

pub const STREAM_POLL_MS: Parameter = Parameter::new(
    "StreamPollMs",
    Group::EventStream,
    Form::Number(50, 60_000),
    "500",
    "Milliseconds between two reads of the feed by the event stream, per process that has clients.",
);

pub const FEED_RETENTION_DAYS: Parameter = Parameter::new(
    "FeedRetentionDays",
    Group::EventStream,
    Form::Number(7, 3_650),
    "30",
    "Days for which the feed keeps an event. It limits how far back the stream can resume and recent events are listed.",
);

pub const STREAMS_AT_MOST: Parameter = Parameter::new(
    "StreamsAtMost",
    Group::EventStream,
    Form::Number(1, 1_000),
    "5",
    "Streams that may be open at the same time on Lambda, each of which occupies an instance. More get 429. The default leaves half of a new account's 10 instances to everything else; raise it with the account's quota.",
);

pub const STREAMS_PER_KEY: Parameter = Parameter::new(
    "StreamsPerKey",
    Group::EventStream,
    Form::Number(1, 1_000),
    "3",
    "Streams of one API key that may be open at the same time on Lambda. A client that disconnects keeps its place for up to a minute, because AWS goes on with the invocation.",
);

pub const STREAM_FUNCTION_URL: Parameter = Parameter::new(
    "StreamFunctionUrl",
    Group::EventStream,
    Form::OneOf(&["true", "false"]),
    "true",
    "Whether the event stream has a public Function URL. If not, nobody outside can open a stream on Lambda; run event-stream as a server of its own (StreamAddress), or do without.",
);

pub const STREAM_ADDRESS: Parameter = Parameter::new(
    "StreamAddress",
    Group::EventStream,
    Form::Pattern(
        r"^(https?://[^\s?#@]+)?$",
        "an http or https URL without query, or nothing",
    ),
    "",
    "URL before /api/v1/events/stream at which clients reach the event stream, if it runs as a server of its own or behind a domain. Empty: the Function URL. The dashboard connects to it.",
)
.with_condition("HasStreamAddress");

pub const STREAM_RESERVED_CONCURRENCY: Parameter = Parameter::new(
    "StreamReservedConcurrency",
    Group::EventStream,
    Form::Number(0, 1_000),
    "0",
    "Reserved concurrency of the event stream; 0 reserves none. Set it to StreamsAtMost plus some for short answers, such as 10, once the account's quota allows: AWS refuses a reservation that leaves less than 100 unreserved, and new accounts have 10 in all. Until then StreamsAtMost is the limit, but requests that are refused also take an instance for a moment.",
)
.with_condition("HasStreamReservation");

/// A letter, then letters, digits and hyphens
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html>), in all
/// [`crate::STACK_NAME_AT_MOST`].
pub const MILLRACE_STACK: Parameter = Parameter::new(
    "MillraceStack",
    Group::Alarms,
    Form::Pattern(
        "^[a-zA-Z][-a-zA-Z0-9]{0,34}$",
        "a letter, then letters, digits and hyphens, at most 35 characters in all",
    ),
    "",
    "Name of the stack made from template.yaml. `make deploy` passes its STACK.",
)
.without_default();

pub const ALARM_PROFILE: Parameter = Parameter::new(
    "AlarmProfile",
    Group::Alarms,
    Form::OneOf(&["none", "essential", "full"]),
    "full",
    "`essential`: the few alarms that are worth waking someone for, without the dashboard; `full`: all alarms, and the dashboard; `none`: neither. infra/docs/idle-costs.md has the price of each.",
);

pub const ALARM_EMAIL: Parameter = Parameter::new(
    "AlarmEmail",
    Group::Alarms,
    Form::Pattern(r"^([^\s@]+@[^\s@]+)?$", "an e-mail address, or nothing"),
    "",
    "Address that receives the alarms of each severity without a topic of its own. SNS sends it a link first; nothing arrives until the link is opened. Empty: no topic is made.",
)
.with_condition("HasAlarmEmail");

pub const WARNING_TOPIC_ARN: Parameter = Parameter::new(
    "WarningTopicArn",
    Group::Alarms,
    TOPIC_FORM,
    "",
    "SNS topic that receives warnings. Empty: AlarmEmail receives them; if that is empty too, no one is notified.",
)
.with_condition("HasWarningTopic");

pub const CRITICAL_TOPIC_ARN: Parameter = Parameter::new(
    "CriticalTopicArn",
    Group::Alarms,
    TOPIC_FORM,
    "",
    "SNS topic that receives critical alarms. Empty: AlarmEmail receives them; if that is empty too, no one is notified.",
)
.with_condition("HasCriticalTopic");

/// The deployment configurations of CodeDeploy that SAM knows
/// (<https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/automating-updates-to-serverless-apps.html>,
/// read 2026-11-29).
pub const DEPLOY_GRADUALLY: Parameter = Parameter::new(
    "DeployGradually",
    Group::Front,
    Form::OneOf(&[
        "Canary10Percent5Minutes",
        "Canary10Percent10Minutes",
        "Canary10Percent15Minutes",
        "Canary10Percent30Minutes",
        "Linear10PercentEvery1Minute",
        "Linear10PercentEvery2Minutes",
        "Linear10PercentEvery3Minutes",
        "Linear10PercentEvery10Minutes",
        "AllAtOnce",
    ]),
    "Canary10Percent5Minutes",
    "How the traffic of each API function moves to a new version. Only in the variant of the template with gradual deployments; see infra/docs/rollback.md.",
);

/// The parameters that only the variant of `template.yaml` with gradual deployments has.
pub const OF_GRADUAL_DEPLOYMENTS: &[&Parameter] = &[&DEPLOY_GRADUALLY];

/// The parameters of `infra/aws-only.yaml`.
pub const OF_ALARMS: &[&Parameter] = &[
    &MILLRACE_STACK,
    &ALARM_PROFILE,
    &ALARM_EMAIL,
    &WARNING_TOPIC_ARN,
    &CRITICAL_TOPIC_ARN,
];

/// The parameters of every deployment, whatever its functions.
pub const OF_EVERY_DEPLOYMENT: &[&Parameter] = &[
    &STAGE,
    &PROTECT_DATA,
    &DEMAND_TLS,
    &RESTORED_TABLES,
    &ARCHITECTURE,
    &LOG_LEVEL,
    &LOG_RETENTION_DAYS,
    &CORS_ORIGINS,
    &RETRY_DELAYS_SECONDS,
    &UNAVAILABLE_MAX_AGE_SECONDS,
    &RECORD_TIMEOUT_MS,
    &RECORD_CONCURRENCY,
    &LANE_MAXIMUM_CONCURRENCY,
    &STANDARD_BATCHING_WINDOW_SECONDS,
    &CONSUMER_RESERVED_CONCURRENCY,
    &RELAY_RESERVED_CONCURRENCY,
    &API_RATE_LIMIT,
    &API_BURST_LIMIT,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_stack_may_be_as_long_as_what_is_called_after_it_allows() {
        let Form::Pattern(pattern, words) = MILLRACE_STACK.form else {
            unreachable!("it has a pattern");
        };
        let most = crate::STACK_NAME_AT_MOST;
        assert!(
            pattern.ends_with(&format!("{{0,{}}}$", most - 1)),
            "{pattern}"
        );
        assert!(
            words.contains(&format!("at most {most} characters")),
            "{words}"
        );
    }
}
