//! The parameters that several functions, or none, take. One that a single function takes may stand in its declaration.

#![expect(
    missing_docs,
    reason = "each parameter's own description says what it means"
)]

use crate::{Form, Group, Parameter};

pub const STAGE: Parameter = Parameter::new(
    "Stage",
    Group::Deployment,
    Form::Pattern("^[a-z][a-z0-9]{0,15}$"),
    "dev",
    "Name of the deployment, in every log line, metric and URL. `prod` protects the tables from deletion.",
);

pub const ARCHITECTURE: Parameter = Parameter::new(
    "Architecture",
    Group::Deployment,
    Form::OneOf(&["x86_64", "arm64"]),
    "x86_64",
    "Must be what the bootstraps under target/lambda were built for.",
);

pub const LOG_LEVEL: Parameter = Parameter::new(
    "LogLevel",
    Group::Deployment,
    Form::Text,
    "info",
    "RUST_LOG of every function, a tracing filter such as `info` or `info,outbox=debug`.",
);

pub const LOG_RETENTION_DAYS: Parameter = Parameter::new(
    "LogRetentionDays",
    Group::Deployment,
    Form::OneOfNumbers(&[
        1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557,
        2922, 3288, 3653,
    ]),
    "30",
    "Days that the functions' logs are kept.",
);

pub const CORS_ORIGINS: Parameter = Parameter::new(
    "CorsOrigins",
    Group::Deployment,
    Form::Text,
    "",
    "Origins whose pages may call API and event stream from a browser, separated by commas: `https://app.example,http://localhost:5173`. Empty: none.",
);

pub const RETRY_DELAYS_SECONDS: Parameter = Parameter::new(
    "RetryDelaysSeconds",
    Group::Retries,
    Form::Pattern("^[0-9]{1,5}(,[0-9]{1,5})*$"),
    "10,60,300",
    "Seconds before the 2nd, 3rd, ... attempt of a failed record (each up to 43200); after the last it is parked.",
);

pub const UNAVAILABLE_MAX_AGE_SECONDS: Parameter = Parameter::new(
    "UnavailableMaxAgeSeconds",
    Group::Retries,
    Form::Number(60, 172_800),
    "21600",
    "A record whose dependency is unavailable is repeated at the last delay until the message is this old. Keep it under 80 times the last delay: maxReceiveCount (100) is only the net below the schedule.",
);

pub const RECORD_TIMEOUT_MS: Parameter = Parameter::new(
    "RecordTimeoutMs",
    Group::Retries,
    Form::Number(100, 25_000),
    "5000",
    "Time limit of one record in milliseconds; limit plus 500 ms must fit into the consumers' 30 s.",
);

pub const RECORD_CONCURRENCY: Parameter = Parameter::new(
    "RecordConcurrency",
    Group::Retries,
    Form::Number(1, 100),
    "10",
    "Records of a batch that a consumer handles at the same time.",
);

pub const LANE_MAXIMUM_CONCURRENCY: Parameter = Parameter::new(
    "LaneMaximumConcurrency",
    Group::Throughput,
    Form::Number(2, 1_000),
    "5",
    "Instances that one lane may use at once, so that no lane starves the others of the account's concurrency.",
)
.with_condition("HasOwnLaneConcurrency");

pub const STANDARD_BATCHING_WINDOW_SECONDS: Parameter = Parameter::new(
    "StandardBatchingWindowSeconds",
    Group::Throughput,
    Form::Number(0, 20),
    "0",
    "Seconds that a standard lane waits to fill a batch; more is cheaper and later. Express lanes never wait.",
);

pub const CONSUMER_RESERVED_CONCURRENCY: Parameter = Parameter::new(
    "ConsumerReservedConcurrency",
    Group::Throughput,
    Form::Number(0, 2_000),
    "0",
    "Reserved concurrency of every consumer; 0 reserves none (new accounts have 10 in all). Otherwise at least LaneMaximumConcurrency times the consumer's lanes (2 at most), else SQS messages are throttled into the net.",
)
.with_condition("HasConsumerReservation");

pub const RELAY_RESERVED_CONCURRENCY: Parameter = Parameter::new(
    "RelayReservedConcurrency",
    Group::Throughput,
    Form::Number(0, 1_000),
    "0",
    "Reserved concurrency of the relay; 0 reserves none. One instance per shard of the event log's stream.",
)
.with_condition("HasRelayReservation");

pub const API_RATE_LIMIT: Parameter = Parameter::new(
    "ApiRateLimit",
    Group::Throughput,
    Form::Number(1, 10_000),
    "500",
    "Steady requests per second that the front lets through.",
);

pub const API_BURST_LIMIT: Parameter = Parameter::new(
    "ApiBurstLimit",
    Group::Throughput,
    Form::Number(1, 5_000),
    "1000",
    "Requests that the front lets through at once.",
);

pub const CLOUD_USD_RATE: Parameter = Parameter::new(
    "CloudUsdRate",
    Group::Domains,
    Form::Pattern(r"^[0-9]{1,9}(\.[0-9]{1,2})?$"),
    "10",
    "USD per CLOUD credit, above zero, at most two decimals.",
);

pub const REVENUE_SHARES: Parameter = Parameter::new(
    "RevenueShares",
    Group::Domains,
    Form::Pattern(
        r"^[0-9]{1,5}:[0-9]{1,3}(\.[0-9]{1,2})?(,[0-9]{1,5}:[0-9]{1,3}(\.[0-9]{1,2})?)*$",
    ),
    "30:5,90:10,180:15,365:20",
    "Days that credits are staked for (0 has no lock) and the percentage of the revenue each earns, DAYS:PERCENT.",
);

pub const BALANCE_CACHE: Parameter = Parameter::new(
    "BalanceCache",
    Group::Domains,
    Form::OneOf(&["true", "false"]),
    "true",
    "Whether an instance of wallet-api keeps balances that it read.",
);

pub const BALANCE_CACHE_SIZE: Parameter = Parameter::new(
    "BalanceCacheSize",
    Group::Domains,
    Form::Number(1, 1_000_000),
    "10000",
    "Accounts whose balances an instance of wallet-api keeps at most.",
);

pub const BALANCE_CACHE_TTL_MS: Parameter = Parameter::new(
    "BalanceCacheTtlMs",
    Group::Domains,
    Form::Number(1, 3_600_000),
    "5000",
    "Milliseconds after which it reads them again.",
);

pub const NETWORK_WEIGHTS: Parameter = Parameter::new(
    "NetworkWeights",
    Group::Domains,
    Form::Pattern("^cost:[0-9]{1,3},speed:[0-9]{1,3},reliability:[0-9]{1,3}$"),
    "cost:40,speed:30,reliability:30",
    "How much cost, speed and reliability count when a settlement's network is selected, in per cent that make 100.",
);

pub const APP_URL: Parameter = Parameter::new(
    "AppUrl",
    Group::Domains,
    Form::Pattern(r"^https?://[^\s]*[^\s/]$"),
    "https://app.example.com",
    "Where links in notes and e-mails lead, without a slash at the end.",
);

pub const EMAIL_SENDER: Parameter = Parameter::new(
    "EmailSender",
    Group::Domains,
    Form::Pattern(r"^[^\s@]+@[^\s@]+$"),
    "millrace@example.com",
    "From address of notifications; a verified SES identity on AWS.",
);

pub const SES_RESOURCE: Parameter = Parameter::new(
    "SesResource",
    Group::Domains,
    Form::Text,
    "",
    "ARN of the SES identity that notifications may send with. Empty: the identities of this account and region. `*` for a local AWS that knows no identities.",
)
.with_condition("HasSesResource");

pub const REDEEMED_NOTE_FROM: Parameter = Parameter::new(
    "RedeemedNoteFrom",
    Group::Notifications,
    Form::Pattern(r"^[0-9]{1,9}(\.[0-9]{1,6})?$"),
    "10",
    "A redemption of fewer CLOUD leaves no in-app note.",
);

pub const FANOUT_DELAY_SECONDS: Parameter = Parameter::new(
    "FanoutDelaySeconds",
    Group::Notifications,
    Form::Number(0, 86_400),
    "90",
    "Seconds from a rate card's event to the first member who is told of it. Who registers in that time is told, too, and so is whose registration was handled at its second or third try.",
);

pub const MAILS_PER_SECOND: Parameter = Parameter::new(
    "MailsPerSecond",
    Group::Notifications,
    Form::Number(1, 1_000),
    "1",
    "Mails of a fan-out per second, at most what SES lets the account send; 1 in its sandbox.",
);

pub const NOTIFICATIONS_SENDER_SCHEDULE: Parameter = Parameter::new(
    "NotificationsSenderSchedule",
    Group::Notifications,
    Form::Pattern(r"^(rate|cron)\(.+\)$"),
    "rate(1 minute)",
    "When it is looked whether there is something to tell all members, and mails to send.",
);

pub const CHAIN_RPC_URL: Parameter = Parameter::new(
    "ChainRpcUrl",
    Group::Chain,
    Form::Pattern(r"^(https?://[^\s@]+)?$"),
    "",
    "JSON-RPC endpoint of an Ethereum node, its key in path or query. Empty: no chain, nothing is queued for it and the schedules of cloud-chain-worker and cloud-reconcile are off.",
)
.with_condition("HasChain")
.secret();

pub const CHAIN_TOKEN_CONTRACT: Parameter = Parameter::new(
    "ChainTokenContract",
    Group::Chain,
    Form::Pattern("^(0x[0-9a-fA-F]{40})?$"),
    "",
    "Address of the ERC-20 contract that holds the credits; required with ChainRpcUrl.",
);

pub const CHAIN_TOKEN_DECIMALS: Parameter = Parameter::new(
    "ChainTokenDecimals",
    Group::Chain,
    Form::Number(0, 36),
    "18",
    "Decimals of the token, as the contract's decimals() says.",
);

pub const CHAIN_ID: Parameter = Parameter::new(
    "ChainId",
    Group::Chain,
    Form::Pattern("^[0-9]{0,18}$"),
    "",
    "The chain that the endpoint must be on (1 is Ethereum's main net): nothing is compared with another one. Empty: not looked at.",
);

pub const CHAIN_RPC_TIMEOUT_MS: Parameter = Parameter::new(
    "ChainRpcTimeoutMs",
    Group::Chain,
    Form::Number(100, 4_000),
    "2000",
    "Milliseconds that one call of the endpoint may take. Above 2000 fewer balances are read at a time: a page's 10 s hold two of these beyond them.",
);

pub const CHAIN_WORKER_SCHEDULE: Parameter = Parameter::new(
    "ChainWorkerSchedule",
    Group::Chain,
    Form::Pattern(r"^(rate|cron)\(.+\)$"),
    "rate(1 minute)",
    "When the jobs that wait for the chain are looked at.",
);

pub const CHAIN_CONFIRM_WITHIN_SECONDS: Parameter = Parameter::new(
    "ChainConfirmWithinSeconds",
    Group::Chain,
    Form::Number(60, 604_800),
    "3600",
    "A job that the chain has not borne out after so many seconds has failed.",
);

pub const RECONCILE_SCHEDULE: Parameter = Parameter::new(
    "ReconcileSchedule",
    Group::Chain,
    Form::Pattern(r"^(rate|cron)\(.+\)$"),
    "rate(1 hour)",
    "When books and chain are compared.",
);

pub const CHAIN_IN_FLIGHT_SECONDS: Parameter = Parameter::new(
    "ChainInFlightSeconds",
    Group::Chain,
    Form::Number(0, 604_800),
    "3600",
    "Where credits came or went within so many seconds a difference is no divergence yet: the chain follows the books. Keep it at ChainConfirmWithinSeconds or above.",
);

pub const CHAIN_UNSYNCED_MAX_SECONDS: Parameter = Parameter::new(
    "ChainUnsyncedMaxSeconds",
    Group::Chain,
    Form::Number(60, 2_592_000),
    "86400",
    "A member whose books and chain have not agreed for so many seconds is told of as diverged however often their credits move. Keep it well above ChainInFlightSeconds, and above any outage of the node that shall tell of nobody.",
);

pub const AUDIT_ANCHOR_SCHEDULE: Parameter = Parameter::new(
    "AuditAnchorSchedule",
    Group::AuditLog,
    Form::Pattern(r"^(rate|cron)\(.+\)$"),
    "rate(1 hour)",
    "When the heads of the audit log are sealed. What is changed before its first seal can be seen by the log alone.",
);

pub const STREAM_TOKEN_SECRET: Parameter = Parameter::new(
    "StreamTokenSecret",
    Group::EventStream,
    Form::Length(32, 256),
    "",
    "Signs the stream tokens of browsers, at least 32 random characters (openssl rand -hex 32). Another one makes the tokens that were given out invalid, nothing else. It has no default: a known secret is none.",
)
.secret()
.without_default();

pub const STREAM_POLL_MS: Parameter = Parameter::new(
    "StreamPollMs",
    Group::EventStream,
    Form::Number(50, 60_000),
    "500",
    "Milliseconds between two looks of the event stream at the feed, per process that has clients.",
);

pub const FEED_RETENTION_DAYS: Parameter = Parameter::new(
    "FeedRetentionDays",
    Group::EventStream,
    Form::Number(7, 3_650),
    "30",
    "Days that the feed keeps an event: how far back the stream can be resumed and recent events are listed.",
);

pub const STREAM_RESERVED_CONCURRENCY: Parameter = Parameter::new(
    "StreamReservedConcurrency",
    Group::EventStream,
    Form::Number(0, 1_000),
    "0",
    "Connections of the event stream at once, each an instance of its own; 0 reserves none, and streams then take from what all functions of the account share.",
)
.with_condition("HasStreamReservation");

/// What every deployment has, whatever its functions.
pub const OF_EVERY_DEPLOYMENT: &[&Parameter] = &[
    &STAGE,
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
