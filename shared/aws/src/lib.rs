//! AWS behind the ports: the store on DynamoDB, the publisher on EventBridge, a consumer's queues on SQS, and the SDK's
//! settings, read once at start. The ports themselves stand in `outbox` and `consumer`, which compile no SDK.

mod clients;
pub mod dynamo;
mod eventbridge;
mod sqs;

pub use clients::{dynamodb, eventbridge, fault, sdk_config, sqs};
pub use dynamo::DynamoStore;
pub use eventbridge::EventBridgePublisher;
pub use sqs::{SqsQueue, sqs_fault};
