//! What `cloud-reconcile` is.

use crate::{
    Access,
    Action::{BatchGet, Check, Get, Put, Query, Update},
    Function, Job, Kind, Setting,
    functions::cloud_api,
    parameters,
};

/// The declaration.
pub const FUNCTION: Function = Function::new(
    "cloud-reconcile",
    "Compares the books with the chain and tells of divergences.",
    Kind::Job(Job {
        schedule: &parameters::RECONCILE_SCHEDULE,
        looks_for: "Books against chain.",
        only_with: Some(&parameters::CHAIN_RPC_URL),
        timeout: 300,
        on_error: "A run of cloud-reconcile failed: books and chain were not compared to the end. `millrace jobs \
            cloud-reconcile` says why; the next run goes on with the page that failed, or invoke the function.",
        first_error_rings: true,
        alarms: &[],
    }),
)
.with_domains(&["cloud"])
.owning(&[Access::to(&cloud_api::TABLE, &[Get, BatchGet, Query, Put, Update, Check])])
.with_settings(&[
    Setting::of("CHAIN_RPC_URL", &parameters::CHAIN_RPC_URL),
    Setting::of("CHAIN_TOKEN_CONTRACT", &parameters::CHAIN_TOKEN_CONTRACT),
    Setting::of("CHAIN_TOKEN_DECIMALS", &parameters::CHAIN_TOKEN_DECIMALS),
    Setting::of("CHAIN_ID", &parameters::CHAIN_ID),
    Setting::of("CHAIN_RPC_TIMEOUT_MS", &parameters::CHAIN_RPC_TIMEOUT_MS),
    Setting::of("CLOUD_USD_RATE", &parameters::CLOUD_USD_RATE),
    Setting::of("CHAIN_IN_FLIGHT_SECONDS", &parameters::CHAIN_IN_FLIGHT_SECONDS),
    Setting::of("CHAIN_UNSYNCED_MAX_SECONDS", &parameters::CHAIN_UNSYNCED_MAX_SECONDS),
]);
