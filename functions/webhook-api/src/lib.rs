//! `webhook-api`: endpoints outside that are sent events, over HTTP under `/api/v1/webhooks`: set up, changed, enabled,
//! disabled, removed, and looked at with what they were sent.
//!
//! * [`config`]: its settings.
//! * [`router`]: its endpoints. The OpenAPI document is generated from them.
//! * [`handler`]: what each endpoint reads, decides and writes.
//! * [`reach`]: the port to the network that looks up a URL's name.
//! * [`wire`]: request and response bodies.
//!
//! How could a change show a secret? The path and query of a URL and the secrets are in [`wire::Hidden`] while a request is
//! handled, and `Debug` does not show it. No answer has a field for a URL. The answer with a secret is stored without it
//! ([`api::execute_keeping`]), and the integration test searches every answer, event and mark for it.

pub mod config;
pub mod handler;
pub mod reach;
pub mod router;
pub mod wire;
