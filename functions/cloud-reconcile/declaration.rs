//! The declaration of `cloud-reconcile`.

use crate::{
    Access,
    Action::{BatchGet, Check, Get, Put, Query, Update},
    Function, Job, Kind, Setting,
    functions::cloud_api,
    parameters,
};

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "cloud-reconcile",
    "Compares the books with the chain and publishes divergences.",
    Kind::Job(Job {
        schedule: &parameters::RECONCILE_SCHEDULE,
        looks_for: "Books against chain.",
        only_with: Some(&parameters::CHAIN_RPC_URL),
        timeout: 300,
        on_error: "A run of cloud-reconcile failed: the comparison of books and chain is incomplete. `millrace jobs \
            cloud-reconcile` shows why. The next run continues with the page that failed; you can also invoke the function.",
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
