//! The operator's tool as an operator runs it: on the stack that `make test` deploys, or on a stub.

mod audit;
mod audit_log;
mod credentials;
mod letters;
mod place;
