//! The port to what AWS knows of the stack and no table has: since when lanes exist, and how large the event log is.

use async_trait::async_trait;
use events::Timestamp;
use outbox::Fault;
use topology::physical_name;

/// The size of a table, as DynamoDB has counted it. It counts about every six hours
/// (<https://boto3.amazonaws.com/v1/documentation/api/latest/reference/services/dynamodb/table/table_size_bytes.html>, read
/// 2026-11-29).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableSize {
    /// How many rows.
    pub rows: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// What AWS knows of the stack.
#[async_trait]
pub trait StackFacts: Send + Sync {
    /// When the queue with this name within the stack, such as `notifications-express`, was created. It may be up to a
    /// second early, and never late.
    async fn created_at(&self, queue: &str) -> Result<Timestamp, Fault>;

    /// The size of the event log.
    async fn log_size(&self) -> Result<TableSize, Fault>;
}

/// The facts on AWS. Permissions: `sqs:GetQueueUrl` and `sqs:GetQueueAttributes` on every lane, `dynamodb:DescribeTable` on
/// the event log.
#[derive(Debug)]
pub struct AwsFacts {
    sqs: aws_sdk_sqs::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    stack: String,
    events_table: String,
}

impl AwsFacts {
    /// The facts of a stack, and of the event log with this name.
    #[must_use]
    pub fn new(
        sqs: aws_sdk_sqs::Client,
        dynamodb: aws_sdk_dynamodb::Client,
        stack: String,
        events_table: String,
    ) -> Self {
        Self {
            sqs,
            dynamodb,
            stack,
            events_table,
        }
    }
}

#[async_trait]
impl StackFacts for AwsFacts {
    async fn created_at(&self, queue: &str) -> Result<Timestamp, Fault> {
        let name = physical_name(&self.stack, queue);
        let url = aws::queue_url(&self.sqs, &name).await?;
        aws::queue_created_at(&self.sqs, &url).await
    }

    async fn log_size(&self) -> Result<TableSize, Fault> {
        let asked = self
            .dynamodb
            .describe_table()
            .table_name(&self.events_table);
        let answer = asked.send().await;
        let table = answer
            .map_err(aws::fault("dynamodb DescribeTable"))?
            .table
            .unwrap_or_else(|| aws_sdk_dynamodb::types::TableDescription::builder().build());
        let number =
            |number: Option<i64>| number.unwrap_or_default().try_into().unwrap_or_default();
        Ok(TableSize {
            rows: number(table.item_count),
            bytes: number(table.table_size_bytes),
        })
    }
}

/// Facts that are given, for tests.
#[derive(Debug, Clone, Copy)]
pub struct GivenFacts {
    /// When every lane was created.
    pub created_at: Timestamp,
    /// The size of the event log.
    pub log_size: TableSize,
}

impl Default for GivenFacts {
    fn default() -> Self {
        Self {
            created_at: Timestamp::EPOCH,
            log_size: TableSize::default(),
        }
    }
}

#[async_trait]
impl StackFacts for GivenFacts {
    async fn created_at(&self, _: &str) -> Result<Timestamp, Fault> {
        Ok(self.created_at)
    }

    async fn log_size(&self) -> Result<TableSize, Fault> {
        Ok(self.log_size)
    }
}
