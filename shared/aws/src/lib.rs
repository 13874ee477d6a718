//! The adapters for AWS: the store on DynamoDB, the publisher on EventBridge, a consumer's queues on SQS, and the SDK's
//! settings, read once at start. The ports are in `outbox` and `consumer`, which do not compile the SDK.

mod clients;
pub mod dynamo;
mod eventbridge;
mod secrets;
mod sqs;

pub use clients::{
    Endpoint, dynamodb, eventbridge, fault, sdk_config, sdk_config_named, sdk_config_of, sqs,
};
pub use dynamo::DynamoStore;
pub use eventbridge::EventBridgePublisher;
pub use secrets::{SecretError, revealed};
pub use sqs::{SqsQueue, queue_created_at, queue_numbers, queue_url, sqs_fault, text_attribute};
