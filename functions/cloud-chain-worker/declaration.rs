//! What `cloud-chain-worker` is.

use crate::{
    Access,
    Action::{BatchGet, Check, Get, Put, Query, Update},
    Function, Job, JobAlarm, Kind, Setting,
    functions::cloud_api,
    parameters,
};

/// The declaration.
pub const FUNCTION: Function = Function::new(
    "cloud-chain-worker",
    "Looks on the chain for the balances that are waited for.",
    Kind::Job(Job {
        schedule: &parameters::CHAIN_WORKER_SCHEDULE,
        looks_for: "Jobs that wait for the chain.",
        only_with: Some(&parameters::CHAIN_RPC_URL),
        timeout: 60,
        on_error: "cloud-chain-worker failed in three of five minutes: jobs wait, nothing is lost. `millrace jobs \
            cloud-chain-worker` says at which page and why; most often the node does not answer (ChainRpcUrl).",
        first_error_rings: false,
        alarms: &[JobAlarm {
            metric: "ChainJobFailed",
            name: "jobs-failed",
            text: "The chain did not bear movements out in time. The run's notes name them: `millrace jobs cloud-chain-worker`; \
                all of a member's: `millrace chain jobs --member`. Look whether whoever writes to the chain has fallen behind or \
                stopped; the next comparison tells every admin of what still differs.",
        }],
    }),
)
.with_domains(&["cloud"])
.owning(&[
    Access::to(&cloud_api::TABLE, &[Get, BatchGet, Query, Put, Update, Check]).and_indexes(&["chain_queue"]),
])
.with_settings(&[
    Setting::of("CHAIN_RPC_URL", &parameters::CHAIN_RPC_URL),
    Setting::of("CHAIN_TOKEN_CONTRACT", &parameters::CHAIN_TOKEN_CONTRACT),
    Setting::of("CHAIN_TOKEN_DECIMALS", &parameters::CHAIN_TOKEN_DECIMALS),
    Setting::of("CHAIN_ID", &parameters::CHAIN_ID),
    Setting::of("CHAIN_RPC_TIMEOUT_MS", &parameters::CHAIN_RPC_TIMEOUT_MS),
    Setting::of("CHAIN_CONFIRM_WITHIN_SECONDS", &parameters::CHAIN_CONFIRM_WITHIN_SECONDS),
]);
