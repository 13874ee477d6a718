//! `dead-letters`: drains the stack's dead-letter queue.
//!
//! Nothing is stored yet. The function logs each dead letter and fails every message of its batch, so that SQS deletes
//! none of them: they stay in the queue until a version that stores them has been deployed.

pub mod handler;
