//! The operator's tool as an operator runs it, on the stack that `make test` deploys.

mod audit;
mod audit_log;
