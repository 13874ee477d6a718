//! Stream tokens, and the filter that they carry. `dashboard` issues them, `event-stream` checks them. Both know one
//! secret, and nothing is stored.

pub mod filter;
mod token;

pub use filter::Filter;
pub use token::{Claims, Tokens, TooShort};
