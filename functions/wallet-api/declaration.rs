//! The declaration of `wallet-api`.

use crate::{
    Access,
    Action::{BatchGet, Get, Put, Query},
    Api, Function, Kind, Method, Setting, Table,
    functions::{activity_feed, member_api},
    parameters,
};

/// The domain's table.
pub const TABLE: Table = Table::new(
    "Wallet",
    "WALLET_TABLE",
    "Wallets, their ledger, escrows, balances to read.",
);

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "wallet-api",
    "Wallets and escrow, under /api/v1/wallets and /api/v1/escrows.",
    Kind::Api(Api::of(&[
        (Method::Get, "/api/v1/wallets/{proxy+}"),
        (Method::Post, "/api/v1/wallets/{proxy+}"),
        (Method::Get, "/api/v1/escrows/{proxy+}"),
        (Method::Post, "/api/v1/escrows/{proxy+}"),
    ])),
)
.with_domains(&["wallet"])
.owning(&[Access::to(&TABLE, &[Get, BatchGet, Query, Put])])
.reading(&[
    Access::to(&member_api::TABLE, &[Get]),
    Access::to(&activity_feed::TABLE, &[Query]),
])
.with_settings(&[
    Setting::of("BALANCE_CACHE", &parameters::BALANCE_CACHE),
    Setting::of("BALANCE_CACHE_SIZE", &parameters::BALANCE_CACHE_SIZE),
    Setting::of("BALANCE_CACHE_TTL_MS", &parameters::BALANCE_CACHE_TTL_MS),
]);
