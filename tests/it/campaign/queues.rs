//! The lanes and the dead-letter queue: how full they are, and copies for them.

use std::collections::{HashMap, HashSet};

use aws_sdk_sqs::{
    Client,
    types::{MessageAttributeValue, QueueAttributeName, SendMessageBatchRequestEntry},
};
use consumer::{Letter, ParkReason};
use events::{Priority, Registry, Timestamp};
use local_programs::proxy::ProxyControl;
use millrace::audit::{self, CheckedConsumer, Sources};
use serde_json::Value;
use testkit::stack::Stack;

use crate::e2e::Result;

/// The visibility timeout during a campaign, in seconds. It is shorter than the template's three minutes, so that a
/// killed consumer's messages return within the campaign, and longer than a record may take.
pub(super) const VISIBILITY: u32 = 15;

struct Lane {
    consumer: &'static str,
    url: String,
    takes: Vec<&'static str>,
}

impl Lane {
    /// A lane of the stack. The events it takes follow from its consumer's subscription and the contracts.
    fn of(
        lane: &audit::Lane,
        all: &[audit::Lane],
        checked_consumers: &[CheckedConsumer],
    ) -> Result<Self> {
        let consumer = checked_consumers
            .iter()
            .find(|one| one.stack_name() == lane.consumer)
            .ok_or_else(|| format!("the subscription of {} is not known", lane.consumer))?;
        let registry = Registry::shipped();
        let is_only = all
            .iter()
            .filter(|one| one.consumer == lane.consumer)
            .count()
            == 1;
        let takes = |event_type: &str, version: u16| {
            let entry = registry.get(event_type, version);
            let urgent = entry.is_some_and(|entry| {
                matches!(entry.info().priority, Priority::Critical | Priority::High)
            });
            is_only || urgent == (lane.name == "express")
        };
        Ok(Self {
            consumer: consumer.name,
            url: lane.url.clone(),
            takes: consumer
                .selection
                .types()
                .into_iter()
                .filter(|one| takes(one.event_type, one.version))
                .map(|one| one.event_type)
                .collect(),
        })
    }
}

pub(super) struct Queues {
    /// Calls the service directly.
    calm: Client,
    /// Calls the service through the fault proxy.
    stormy: Client,
    lanes: Vec<Lane>,
    dead_letters: String,
}

impl Queues {
    /// The lanes of every consumer among the stack's resources. A new consumer is included without a change here.
    pub(super) async fn of(stack: &Stack, proxy: &ProxyControl) -> Result<Self> {
        let sources = Sources::of_stack(stack.sdk(), stack.name()?).await?;
        let (lanes, checked_consumers) = (sources.lanes(), audit::checked_consumers());
        for one in &checked_consumers {
            if lanes.iter().all(|lane| lane.consumer != one.stack_name()) {
                return Err(format!("the stack has no lane of {}", one.name).into());
            }
        }
        let stormy = aws_sdk_sqs::config::Builder::from(stack.sdk())
            .endpoint_url(proxy.endpoint())
            .build();
        Ok(Self {
            calm: Client::new(stack.sdk()),
            stormy: Client::from_conf(stormy),
            lanes: lanes
                .iter()
                .map(|lane| Lane::of(lane, lanes, &checked_consumers))
                .collect::<Result<_>>()?,
            dead_letters: sources.dead_letters_url().to_owned(),
        })
    }

    /// The visibility timeout of each lane: as in the template, or as an earlier campaign left it.
    pub(super) async fn visibility(&self) -> Result<Vec<String>> {
        let mut seconds = Vec::new();
        for lane in &self.lanes {
            let name = QueueAttributeName::VisibilityTimeout;
            let answer = self
                .calm
                .get_queue_attributes()
                .queue_url(&lane.url)
                .attribute_names(name.clone())
                .send()
                .await?;
            let found = answer.attributes.and_then(|mut all| all.remove(&name));
            seconds.push(found.ok_or("a lane without a visibility timeout")?);
        }
        Ok(seconds)
    }

    /// Sets the visibility timeout of each lane, in the order of [`Self::visibility`].
    pub(super) async fn set_visibility(&self, seconds: &[String]) -> Result {
        for (lane, seconds) in self.lanes.iter().zip(seconds) {
            self.calm
                .set_queue_attributes()
                .queue_url(&lane.url)
                .attributes(QueueAttributeName::VisibilityTimeout, seconds)
                .send()
                .await?;
        }
        Ok(())
    }

    /// Whether no lane holds a message, visible or in flight, and neither does the dead-letter queue.
    pub(super) async fn idle(&self) -> Result<bool> {
        Ok(self.longest().await? == 0)
    }

    /// The most messages that a lane holds, visible or in flight.
    pub(super) async fn longest(&self) -> Result<u64> {
        use QueueAttributeName as Name;
        let mut longest = 0;
        let lanes = self.lanes.iter().map(|lane| &lane.url);
        for url in lanes.chain([&self.dead_letters]) {
            let answer = self
                .calm
                .get_queue_attributes()
                .queue_url(url)
                .attribute_names(Name::ApproximateNumberOfMessages)
                .attribute_names(Name::ApproximateNumberOfMessagesNotVisible)
                .attribute_names(Name::ApproximateNumberOfMessagesDelayed)
                .send()
                .await?;
            let mut messages = 0;
            for count in answer.attributes.unwrap_or_default().values() {
                messages += count.parse::<u64>()?;
            }
            longest = longest.max(messages);
        }
        Ok(longest)
    }

    /// Sends copies to every lane that takes them, or as its consumer's dead letters to the dead-letter queue. Returns how
    /// many arrived for certain. The others are not sent again: they were only copies.
    pub(super) async fn send_copies(&self, bodies: &[String], as_letters: bool) -> Result<u64> {
        let mut sent = 0;
        for lane in &self.lanes {
            let of_lane: Vec<&str> = bodies
                .iter()
                .filter(|body| {
                    let event: Value = serde_json::from_str(body).unwrap_or_default();
                    let event_type = event["event_type"].as_str().unwrap_or_default();
                    lane.takes.contains(&event_type)
                })
                .map(String::as_str)
                .collect();
            let (url, parked_by) = if as_letters {
                (&self.dead_letters, Some(lane.consumer))
            } else {
                (&lane.url, None)
            };
            for chunk in of_lane.chunks(10) {
                sent += self.send(url, chunk, parked_by).await.len();
            }
        }
        Ok(u64::try_from(sent)?)
    }

    /// Sends at most 10 bodies in one call, as dead letters of a consumer if it is named. Returns the places of those that
    /// arrived for certain.
    #[expect(
        clippy::disallowed_methods,
        reason = "counts only the entries that the response lists as sent"
    )]
    async fn send(
        &self,
        url: &str,
        bodies: &[&str],
        parked_by: Option<&'static str>,
    ) -> HashSet<usize> {
        let entries = bodies.iter().enumerate().filter_map(|(place, body)| {
            SendMessageBatchRequestEntry::builder()
                .id(place.to_string())
                .message_body(*body)
                .set_message_attributes(parked_by.map(|consumer| attributes(consumer, body)))
                .build()
                .ok()
        });
        let answer = self
            .stormy
            .send_message_batch()
            .queue_url(url)
            .set_entries(Some(entries.collect()))
            .send()
            .await;
        let arrived = answer.map(|answer| answer.successful).unwrap_or_default();
        arrived
            .into_iter()
            .filter_map(|entry| entry.id.parse().ok())
            .collect()
    }
}

/// The attributes of a copy that arrives as a dead letter of this consumer.
fn attributes(consumer: &'static str, body: &str) -> HashMap<String, MessageAttributeValue> {
    let event: Value = serde_json::from_str(body).unwrap_or_default();
    let text = |name: &str| event[name].as_str().map(str::to_owned);
    let letter = Letter {
        body: body.to_owned(),
        consumer,
        event_id: text("event_id"),
        event_type: text("event_type"),
        reason: ParkReason::Rejected,
        error: "a copy of the campaign".to_owned(),
        attempts: 1,
        // As old as can be, so that the copy was parked before any mark.
        first_received_at: Timestamp::EPOCH,
        parked_at: Timestamp::EPOCH,
        first_replay: None,
    };
    let value = |text: String| {
        let value = MessageAttributeValue::builder().data_type("String");
        value.string_value(text).build().ok()
    };
    letter
        .attributes()
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), value(text)?)))
        .collect()
}
