//! Signs webhooks and delivers them to endpoints that customers choose.
//!
//! A customer's URL is untrusted: it can point at the cloud's metadata service, at a neighbor in the private network,
//! or at a name whose address changes between two looks (server-side request forgery,
//! <https://owasp.org/www-community/attacks/Server_Side_Request_Forgery>).
//!
//! * [`Allowed`] says which addresses may be called: public ones, and networks that the operator adds.
//! * [`Target`] is an endpoint's URL that [`Rules`] accept: its form, its port, and its address if it states one.
//! * [`GuardedResolver`] resolves a name through the port [`Lookup`] and refuses the whole name if one of its addresses
//!   is not allowed. The connector connects to exactly the addresses that were checked.
//! * [`Client`] posts a body and describes the result as an [`Answer`]. It follows no redirects and uses no proxy.
//! * [`sign`] makes the headers of the Standard Webhooks specification, [`schedule`] says when to try again.
//!
//! The crate stores nothing and reads no environment.

pub mod address;
mod client;
mod failure;
mod resolver;
pub mod schedule;
pub mod sign;
mod target;

pub use address::{Allowed, NetworkError};
pub use client::{Answer, Authorities, Client, ClientSettings};
pub use resolver::{GuardedResolver, Lookup, ResolveError, SystemLookup};
pub use schedule::{Verdict, next_delay, verdict};
pub use sign::{Secret, SecretError, SignError, signed_headers};
pub use target::{MAX_URL_CHARS, Rules, Target, TargetError};
