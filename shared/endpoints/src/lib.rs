//! Endpoints of webhooks as rows: who is sent which events, how far each has got, and what was sent.
//!
//! An endpoint reads the feed ([`views::feed`]): its [`Lane`] says up to which position it was sent what it selects. An event
//! that it did not take becomes a [`Retry`], and the lane goes on. So one endpoint never delays another, nothing is queued for
//! an endpoint that is down, and what it missed is still in the feed.
//!
//! * [`endpoint`]: how an endpoint is set up, told by events. Decisions are pure.
//! * [`lane`]: how far an endpoint has got, what it did not take, and the log of attempts.
//! * [`stand`]: lane and retries together, and what follows for the next attempts.
//! * [`operations`]: load, decide, save.
//!
//! Items, all in the table `Webhooks`:
//!
//! | pk | sk | what | written by |
//! |---|---|---|---|
//! | `endpoints` | `{webhook id}` | [`Endpoint`] | `webhook-api`, `webhook-sender` |
//! | `lane#{webhook id}` | `lane` | [`Lane`] | `webhook-api`, `webhook-sender` |
//! | `retry#{webhook id}` | `{position}` | [`Retry`] | `webhook-api`, `webhook-sender` |
//! | `log#{webhook id}` | `{time}#{position}` | [`Attempt`] | `webhook-sender` |

pub mod endpoint;
pub mod lane;
pub mod operations;
pub mod settings;
pub mod stand;

pub use endpoint::{By, Endpoint, EndpointStatus, Refusal};
pub use lane::{Attempt, Lane, Retry};
pub use operations::Endpoints;
pub use stand::Stand;

/// The domain's aggregates, one per line.
pub const DOMAIN: domain::Domain = domain::Domain {
    name: "webhooks",
    table_setting: "WEBHOOKS_TABLE",
    aggregates: &[&domain::Of::<Endpoint>::NEW],
};
