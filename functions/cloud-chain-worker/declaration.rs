//! The declaration of `cloud-chain-worker`.

use crate::{
    Access,
    Action::{BatchGet, Check, Get, Put, Query, Update},
    Function, Job, JobAlarm, Kind, Setting,
    functions::cloud_api,
    parameters,
};

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "cloud-chain-worker",
    "Checks on the chain the balances that jobs wait for.",
    Kind::Job(Job {
        schedule: &parameters::CHAIN_WORKER_SCHEDULE,
        looks_for: "Jobs that wait for the chain.",
        only_with: Some(&parameters::CHAIN_RPC_URL),
        timeout: 60,
        on_error: "cloud-chain-worker keeps failing: jobs wait, nothing is lost. `millrace jobs \
            cloud-chain-worker` shows the page and the reason. Most often the node does not answer (ChainRpcUrl).",
        first_error_rings: false,
        alarms: &[JobAlarm {
            metric: "ChainJobFailed",
            name: "jobs-failed",
            text: "The chain did not confirm movements in time. The run's notes name them: `millrace jobs cloud-chain-worker`; \
                for all jobs of a member: `millrace chain jobs --member`. Check whether the writer to the chain has fallen behind or \
                stopped. The next comparison notifies every admin of what still differs.",
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
