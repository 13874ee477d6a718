//! The resources of a stack: the physical id of each by its logical id, which is its name in `template.yaml`.
//!
//! Verbs find tables, queues, the bus and the key this way, so a stack needs no output for them. One permission is
//! enough: `cloudformation:ListStackResources` on the stack.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_cloudformation::{Client, types::StackResourceSummary};
use outbox::chain;
use serde::Deserialize;

/// The resources of a stack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StackResources(BTreeMap<String, Resource>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Resource {
    kind: String,
    physical_id: String,
}

/// The resources of a stack cannot be read, or one is missing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnknownResources(String);

impl UnknownResources {
    pub(crate) const fn new(why: String) -> Self {
        Self(why)
    }
}

const TABLE: &str = "AWS::DynamoDB::Table";
const QUEUE: &str = "AWS::SQS::Queue";
const BUS: &str = "AWS::Events::EventBus";
const KEY: &str = "AWS::KMS::Key";
const API: &str = "AWS::ApiGateway::RestApi";
const STAGE: &str = "AWS::ApiGateway::Stage";

/// A resource as CloudFormation lists it. A resource whose creation failed has no physical id.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Summary {
    logical_resource_id: String,
    physical_resource_id: Option<String>,
    resource_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listing {
    stack_resource_summaries: Vec<Summary>,
}

impl FromIterator<Summary> for StackResources {
    fn from_iter<I: IntoIterator<Item = Summary>>(summaries: I) -> Self {
        let resource = |summary: Summary| {
            let resource = Resource {
                kind: summary.resource_type,
                physical_id: summary.physical_resource_id?,
            };
            Some((summary.logical_resource_id, resource))
        };
        Self(summaries.into_iter().filter_map(resource).collect())
    }
}

impl StackResources {
    /// Reads what `aws cloudformation list-stack-resources` prints.
    ///
    /// # Errors
    /// [`UnknownResources`] if it is anything else, or names no resource.
    pub fn from_json(text: &str) -> Result<Self, UnknownResources> {
        let wrong = || {
            UnknownResources(
                "the file is not what `aws cloudformation list-stack-resources` prints".to_owned(),
            )
        };
        let listing: Listing = serde_json::from_str(text).map_err(|_| wrong())?;
        let resources: Self = listing.stack_resource_summaries.into_iter().collect();
        if resources.0.is_empty() {
            return Err(wrong());
        }
        Ok(resources)
    }

    /// Asks CloudFormation, page by page.
    ///
    /// # Errors
    /// [`UnknownResources`] if there is no such stack, or the credentials may not list its resources.
    pub async fn of_stack(sdk: &SdkConfig, stack: &str) -> Result<Self, UnknownResources> {
        let mut pages = Client::new(sdk)
            .list_stack_resources()
            .stack_name(stack)
            .into_paginator()
            .items()
            .send();
        let mut summaries = Vec::new();
        while let Some(listed) = pages.next().await {
            let listed = listed.map_err(|error| {
                let why = chain(&error.into_service_error());
                UnknownResources(format!(
                    "the resources of stack {stack} cannot be listed: {why}"
                ))
            })?;
            summaries.extend(summary(listed));
        }
        if summaries.is_empty() {
            return Err(UnknownResources(format!("stack {stack} has no resources")));
        }
        Ok(summaries.into_iter().collect())
    }

    /// The name of a table.
    ///
    /// # Errors
    /// [`UnknownResources`] names the resource that is missing.
    pub fn table(&self, logical_id: &str) -> Result<&str, UnknownResources> {
        self.physical_id(TABLE, logical_id)
    }

    /// The URL of a queue.
    ///
    /// # Errors
    /// [`UnknownResources`] names the resource that is missing.
    pub fn queue(&self, logical_id: &str) -> Result<&str, UnknownResources> {
        self.physical_id(QUEUE, logical_id)
    }

    /// The name of a bus.
    ///
    /// # Errors
    /// [`UnknownResources`] names the resource that is missing.
    pub fn bus(&self, logical_id: &str) -> Result<&str, UnknownResources> {
        self.physical_id(BUS, logical_id)
    }

    /// The id of a KMS key.
    ///
    /// # Errors
    /// [`UnknownResources`] names the resource that is missing.
    pub fn key(&self, logical_id: &str) -> Result<&str, UnknownResources> {
        self.physical_id(KEY, logical_id)
    }

    /// The id of the REST API, and the name of its stage.
    ///
    /// # Errors
    /// [`UnknownResources`] names the resource that is missing.
    pub fn api(&self) -> Result<(&str, &str), UnknownResources> {
        // SAM calls the stage of an API so if its name is a parameter.
        let stage = self.physical_id(STAGE, "ApiStage")?;
        Ok((self.physical_id(API, "Api")?, stage))
    }

    /// The logical ids of all queues.
    pub fn queues(&self) -> impl Iterator<Item = &str> {
        let queues = self.0.iter().filter(|(_, resource)| resource.kind == QUEUE);
        queues.map(|(logical_id, _)| logical_id.as_str())
    }

    /// The logical ids and the names of all tables.
    pub fn tables(&self) -> impl Iterator<Item = (&str, &str)> {
        let tables = self.0.iter().filter(|(_, resource)| resource.kind == TABLE);
        tables.map(|(logical_id, resource)| (logical_id.as_str(), resource.physical_id.as_str()))
    }

    fn physical_id(&self, kind: &str, logical_id: &str) -> Result<&str, UnknownResources> {
        match self.0.get(logical_id) {
            Some(found) if found.kind == kind => Ok(&found.physical_id),
            Some(found) => Err(UnknownResources(format!(
                "the stack's resource {logical_id} is an {}; an {kind} is needed",
                found.kind
            ))),
            None => Err(UnknownResources(format!(
                "the stack has no {kind} {logical_id}: it is not a Millrace stack, or has another version"
            ))),
        }
    }
}

fn summary(listed: StackResourceSummary) -> Option<Summary> {
    Some(Summary {
        logical_resource_id: listed.logical_resource_id?,
        physical_resource_id: listed.physical_resource_id,
        resource_type: listed.resource_type?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = r#"{ "StackResourceSummaries": [
        { "LogicalResourceId": "EventsTable", "PhysicalResourceId": "s-EventsTable-1", "ResourceType": "AWS::DynamoDB::Table",
          "ResourceStatus": "CREATE_COMPLETE", "DriftInformation": { "StackResourceDriftStatus": "NOT_CHECKED" } },
        { "LogicalResourceId": "AnalyticsExpressQueue", "PhysicalResourceId": "https://sqs/1/q", "ResourceType": "AWS::SQS::Queue" },
        { "LogicalResourceId": "AnalyticsExpressQueuePolicy", "PhysicalResourceId": "p", "ResourceType": "AWS::SQS::QueuePolicy" },
        { "LogicalResourceId": "Api", "PhysicalResourceId": "a1b2", "ResourceType": "AWS::ApiGateway::RestApi" },
        { "LogicalResourceId": "ApiStage", "PhysicalResourceId": "prod", "ResourceType": "AWS::ApiGateway::Stage" },
        { "LogicalResourceId": "MarksTable", "ResourceType": "AWS::DynamoDB::Table" } ] }"#;

    #[test]
    fn resources_are_read_as_the_aws_cli_prints_them() {
        let resources = StackResources::from_json(LISTED).expect("resources");
        assert_eq!(
            resources.table("EventsTable").expect("a table"),
            "s-EventsTable-1"
        );
        assert_eq!(
            resources.queue("AnalyticsExpressQueue").expect("a queue"),
            "https://sqs/1/q"
        );
        assert_eq!(resources.api().expect("an API"), ("a1b2", "prod"));
        assert_eq!(
            resources.queues().collect::<Vec<_>>(),
            ["AnalyticsExpressQueue"]
        );
        for text in [
            "",
            "{}",
            "[]",
            r#"{ "StackResourceSummaries": [] }"#,
            r#"{ "StackResourceSummaries": [{ "LogicalResourceId": "A" }] }"#,
        ] {
            assert!(StackResources::from_json(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_error_names_the_resource_that_is_missing_or_of_another_kind() {
        let resources = StackResources::from_json(LISTED).expect("resources");
        // One that was never created has no physical id.
        for missing in ["MarksTable", "WalletTable"] {
            let error = resources.table(missing).expect_err("no such table");
            assert!(
                error
                    .to_string()
                    .contains(&format!("no AWS::DynamoDB::Table {missing}")),
                "{error}"
            );
        }
        let error = resources
            .key("EventsTable")
            .expect_err("a table is not a key")
            .to_string();
        assert!(
            error.contains("EventsTable") && error.contains("AWS::KMS::Key"),
            "{error}"
        );
    }
}
