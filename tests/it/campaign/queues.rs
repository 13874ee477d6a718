//! Lanes and dead letters, handled as an operator does, under the same faults.

use std::collections::HashSet;

use aws_sdk_sqs::{
    Client,
    types::{
        DeleteMessageBatchRequestEntry, Message, QueueAttributeName, SendMessageBatchRequestEntry,
    },
};
use events::{Priority, Registry};
use local_programs::proxy::ProxyControl;
use millrace::audit::{self, CheckedConsumer, Sources};
use serde_json::Value;
use testkit::stack::{Emulator, Stack};

use crate::e2e::Result;

/// The visibility timeout during a campaign, in seconds. It is shorter than the template's three minutes, so that a
/// killed consumer's messages return within the campaign, and longer than a record may take.
pub(super) const VISIBILITY: u32 = 15;
/// How long a dead letter is hidden while it is looked at, in seconds.
const LOOK: i32 = 3;

struct Lane {
    url: String,
    dead_letters: String,
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
            url: lane.url.clone(),
            dead_letters: lane.letters_url.clone(),
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

    /// Whether no lane holds a message, visible or in flight.
    pub(super) async fn idle(&self) -> Result<bool> {
        Ok(self.longest().await? == 0)
    }

    /// The most messages that a lane holds, visible or in flight.
    pub(super) async fn longest(&self) -> Result<u64> {
        use QueueAttributeName as Name;
        let mut longest = 0;
        for lane in &self.lanes {
            let answer = self
                .calm
                .get_queue_attributes()
                .queue_url(&lane.url)
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

    /// Sends copies to every lane that takes them, or as dead letters to its dead-letter queue. Returns how many
    /// arrived for certain. The others are not sent again: they were only copies.
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
            let url = if as_letters {
                &lane.dead_letters
            } else {
                &lane.url
            };
            for chunk in of_lane.chunks(10) {
                sent += self.send(url, chunk).await.len();
            }
        }
        Ok(u64::try_from(sent)?)
    }

    /// Sends dead letters that contain one of these names back to their lanes, and deletes those that arrived there.
    /// Returns how many.
    pub(super) async fn redrive(&self, names: &[String]) -> Result<u64> {
        let mut redriven = 0;
        for lane in &self.lanes {
            let letters = self.look(lane, names).await?;
            let bodies: Vec<&str> = letters
                .iter()
                .map(|letter| letter.body().unwrap_or_default())
                .collect();
            if bodies.is_empty() {
                continue;
            }
            let arrived = self.send(&lane.url, &bodies).await;
            let gone: Vec<&Message> = letters
                .iter()
                .enumerate()
                .filter(|(place, _)| arrived.contains(place))
                .map(|(_, letter)| letter)
                .collect();
            redriven += gone.len();
            self.delete(&lane.dead_letters, &gone).await?;
        }
        Ok(u64::try_from(redriven)?)
    }

    /// How many dead letters contain one of these names, visible or in flight.
    pub(super) async fn letters(&self, emulator: &dyn Emulator, names: &[String]) -> Result<usize> {
        let mut count = 0;
        for lane in &self.lanes {
            let bodies = emulator.queued(&lane.dead_letters).await?;
            count += bodies.iter().filter(|body| is_about(body, names)).count();
        }
        Ok(count)
    }

    async fn look(&self, lane: &Lane, names: &[String]) -> Result<Vec<Message>> {
        let mut letters = self.receive(lane).await?;
        letters.retain(|letter| is_about(letter.body().unwrap_or_default(), names));
        Ok(letters)
    }

    async fn receive(&self, lane: &Lane) -> Result<Vec<Message>> {
        let answer = self
            .calm
            .receive_message()
            .queue_url(&lane.dead_letters)
            .max_number_of_messages(10)
            .visibility_timeout(LOOK)
            .send()
            .await?;
        Ok(answer.messages.unwrap_or_default())
    }

    /// Sends at most 10 bodies in one call. Returns the places of those that arrived for certain.
    #[expect(
        clippy::disallowed_methods,
        reason = "counts only the entries that the response lists as sent"
    )]
    async fn send(&self, url: &str, bodies: &[&str]) -> HashSet<usize> {
        let entries = bodies.iter().enumerate().filter_map(|(place, body)| {
            SendMessageBatchRequestEntry::builder()
                .id(place.to_string())
                .message_body(*body)
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

    /// Deletes dead letters. Those that are not deleted appear again, and are redriven again.
    #[expect(
        clippy::disallowed_methods,
        reason = "an entry that failed stays in the queue and is read again"
    )]
    async fn delete(&self, url: &str, letters: &[&Message]) -> Result {
        let mut entries = Vec::new();
        for (place, letter) in letters.iter().enumerate() {
            entries.push(
                DeleteMessageBatchRequestEntry::builder()
                    .id(place.to_string())
                    .receipt_handle(letter.receipt_handle().unwrap_or_default())
                    .build()?,
            );
        }
        if !entries.is_empty() {
            // Through the fault proxy: whatever happens to the call, the dead letters that stay appear again.
            self.stormy
                .delete_message_batch()
                .queue_url(url)
                .set_entries(Some(entries))
                .send()
                .await
                .ok();
        }
        Ok(())
    }
}

fn is_about(body: &str, names: &[String]) -> bool {
    names.iter().any(|name| body.contains(name.as_str()))
}
