//! Where an audit reads: the tables and queues of one stack, found by its outputs.

use std::{collections::BTreeMap, sync::Arc};

use aws::DynamoStore;
use aws_config::SdkConfig;
use consumer::Handler;
use outbox::{Clock, Store, SystemClock, Table, chain};

use super::{
    Error,
    evidence::{Watched, watched},
    letters::{Queues, SqsQueues},
};

/// The outputs of a stack, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outputs(BTreeMap<String, String>);

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Outputs {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

impl Outputs {
    /// Reads outputs from JSON: an object of names and values, or what `aws cloudformation describe-stacks` and
    /// `sam list stack-outputs --output json` print.
    ///
    /// # Errors
    /// [`Error::Outputs`] when it is neither.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::Outputs("the file holds no outputs: an object of names and values, or what describe-stacks prints".to_owned())
        };
        let document: serde_json::Value = serde_json::from_str(text).map_err(|_| wrong())?;
        let list = document.pointer("/Stacks/0/Outputs").unwrap_or(&document);
        let pairs: Option<Vec<(String, String)>> = match list {
            serde_json::Value::Object(map) => map
                .iter()
                .map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect(),
            serde_json::Value::Array(rows) => rows
                .iter()
                .map(|row| {
                    let text = |name| Some(row.get(name)?.as_str()?.to_owned());
                    Some((text("OutputKey")?, text("OutputValue")?))
                })
                .collect(),
            _ => None,
        };
        let outputs: Self = pairs.ok_or_else(wrong)?.into_iter().collect();
        if outputs.0.is_empty() {
            return Err(wrong());
        }
        Ok(outputs)
    }

    /// Asks CloudFormation for the outputs of a stack.
    ///
    /// # Errors
    /// [`Error::Outputs`] when there is no such stack, or it may not be read.
    pub async fn of_stack(sdk: &SdkConfig, stack: &str) -> Result<Self, Error> {
        let answer = aws_sdk_cloudformation::Client::new(sdk)
            .describe_stacks()
            .stack_name(stack)
            .send()
            .await
            .map_err(|error| {
                let why = chain(&error.into_service_error());
                Error::Outputs(format!("stack {stack} cannot be described: {why}"))
            })?;
        let outputs: Self = answer
            .stacks()
            .iter()
            .flat_map(aws_sdk_cloudformation::types::Stack::outputs)
            .filter_map(|output| Some((output.output_key()?, output.output_value()?)))
            .collect();
        if outputs.0.is_empty() {
            return Err(Error::Outputs(format!("stack {stack} has no outputs")));
        }
        Ok(outputs)
    }

    pub(crate) fn get(&self, name: &str) -> Result<&str, Error> {
        let found = self.0.get(name).map(String::as_str);
        found.ok_or_else(|| Error::Outputs(format!("the stack has no output {name}")))
    }
}

/// The tables an audit reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// The event log.
    pub events: Table,
    /// The marks.
    pub marks: Table,
    /// Members.
    pub member: Table,
    /// Credits, treasury accounts, totals, alerts.
    pub cloud: Table,
    /// Contacts and notes.
    pub notifications: Table,
    /// Counts and sums over time.
    pub analytics: Table,
    /// Wallets, their ledger, escrows, balances to read.
    pub wallet: Table,
    /// Payments and settlements.
    pub settlement: Table,
    /// The feed: rows, places, its head.
    pub feed: Table,
}

impl Tables {
    /// Those that evidence stands in.
    pub(super) fn evidence(&self) -> super::evidence::Tables {
        super::evidence::Tables {
            marks: self.marks.clone(),
            cloud: self.cloud.clone(),
            notifications: self.notifications.clone(),
            wallet: self.wallet.clone(),
        }
    }
}

/// A lane and its dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// The consumer's logical name in the stack: `CloudTreasury`.
    pub consumer: String,
    /// `express` or `standard`.
    pub name: &'static str,
    /// The queue's URL.
    pub url: String,
    /// The URL of its dead-letter queue.
    pub letters_url: String,
}

/// Everything an audit reads. It writes nothing.
#[derive(Clone)]
pub struct Sources {
    pub(super) store: Arc<dyn Store>,
    pub(super) queues: Arc<dyn Queues>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tables: Tables,
    pub(super) lanes: Vec<Lane>,
    pub(super) watched: Vec<Watched>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources")
            .field("tables", &self.tables)
            .field("lanes", &self.lanes)
            .finish_non_exhaustive()
    }
}

const LANES: [(&str, &str); 2] = [("express", "Express"), ("standard", "Standard")];

impl Sources {
    /// The tables and queues that a stack's outputs name.
    ///
    /// # Errors
    /// [`Error::Outputs`] names the output that is missing.
    pub fn of_outputs(sdk: &SdkConfig, outputs: &Outputs) -> Result<Self, Error> {
        let tables = Tables {
            events: Table::events(outputs.get("EventsTableName")?),
            marks: Table::marks(outputs.get("MarksTableName")?),
            member: Table::domain(outputs.get("MemberTableName")?),
            cloud: Table::domain(outputs.get("CloudTableName")?),
            notifications: Table::domain(outputs.get("NotificationsTableName")?),
            analytics: Table::domain(outputs.get("AnalyticsTableName")?),
            wallet: Table::domain(outputs.get("WalletTableName")?),
            settlement: Table::domain(outputs.get("SettlementTableName")?),
            feed: Table::domain(outputs.get("FeedTableName")?),
        };
        let mut lanes = Vec::new();
        for output in outputs.0.keys() {
            for (name, word) in LANES {
                let Some(consumer) = output.strip_suffix(&format!("{word}QueueUrl")) else {
                    continue;
                };
                lanes.push(Lane {
                    consumer: consumer.to_owned(),
                    name,
                    url: outputs.get(output)?.to_owned(),
                    letters_url: outputs
                        .get(&format!("{consumer}{word}DeadLetterQueueUrl"))?
                        .to_owned(),
                });
            }
        }
        Ok(Self::new(
            Arc::new(DynamoStore::new(aws::dynamodb(sdk))),
            Arc::new(SqsQueues::new(aws_sdk_sqs::Client::new(sdk))),
            Arc::new(SystemClock),
            tables,
            lanes,
        ))
    }

    /// The same for a stack by name.
    ///
    /// # Errors
    /// [`Error::Outputs`] when the stack cannot be read or is none of Millrace's.
    pub async fn of_stack(sdk: &SdkConfig, stack: &str) -> Result<Self, Error> {
        Self::of_outputs(sdk, &Outputs::of_stack(sdk, stack).await?)
    }

    /// The lanes of every consumer, with their dead-letter queues.
    #[must_use]
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// Any store and queues, such as those in memory.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        queues: Arc<dyn Queues>,
        clock: Arc<dyn Clock>,
        tables: Tables,
        lanes: Vec<Lane>,
    ) -> Self {
        Self {
            store,
            queues,
            clock,
            tables,
            lanes,
            watched: watched(),
        }
    }

    /// Looks at a consumer of your own, too; its evidence must not be a guard.
    #[must_use]
    pub fn watching<H: Handler>(mut self) -> Self {
        self.watched.push(Watched::of::<H>());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_read_in_every_form_that_tools_print_them() {
        let expected: Outputs = [("A", "1"), ("B", "2")].into_iter().collect();
        for text in [
            r#"{"A": "1", "B": "2"}"#,
            r#"[{"OutputKey": "A", "OutputValue": "1"}, {"OutputKey": "B", "OutputValue": "2", "Description": "b"}]"#,
            r#"{"Stacks": [{"StackName": "s", "Outputs": [{"OutputKey": "A", "OutputValue": "1"}, {"OutputKey": "B", "OutputValue": "2"}]}]}"#,
        ] {
            assert_eq!(Outputs::from_json(text).expect("outputs"), expected);
        }
        for text in [
            "",
            "{}",
            "[]",
            "7",
            r#"{"A": 1}"#,
            r#"[{"OutputKey": "A"}]"#,
        ] {
            assert!(Outputs::from_json(text).is_err(), "{text}");
        }
    }
}
