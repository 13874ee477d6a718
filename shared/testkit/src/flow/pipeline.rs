//! The pipeline's steps: the stream, the relays, the bus, the lanes, the consumers and the callers take one step at a
//! time, in an order that the seed decides.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use consumer::{Message, Outcome, Queue, Settings, Summary};
use events::{Selection, Timestamp};
use outbox::{
    BusEntry, Clock, Item, Publisher, Store, Table,
    memory::{MemoryBus, MemoryStore},
    relay::{self, Relay},
};
use serde_json::Value;

use super::{
    BoxError, Site, Unsound,
    builder::{Hosted, Start},
    crowd::{Crowd, Task},
    faults::{World, locked},
    lane::Lanes,
};

/// Shards of the stream. All rows of an aggregate are in one shard, and each shard has its own relay.
pub(super) const SHARDS: usize = 2;
/// Most rows in one invocation of the relay, as the event source mapping sets it.
const STREAM_BATCH: usize = 100;
/// Pause before the stream delivers a failed batch again.
const STREAM_PAUSE: Duration = Duration::from_secs(1);
/// Most messages in one invocation of a consumer, as the event source mapping sets it.
const LANE_BATCH: usize = 10;
/// Most concurrent invocations of a lane.
const LANE_CONCURRENCY: usize = 2;
/// The functions' timeout.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause before a client repeats a call that was not answered.
const CLIENT_PAUSE: Duration = Duration::from_secs(1);
/// The tries after which a client gives up.
pub(super) const CLIENT_TRIES: u32 = 1_000;
/// The steps after which a flow counts as endless.
const MAX_STEPS: usize = 5_000_000;

pub(super) struct Consumer {
    pub(super) name: &'static str,
    pub(super) selection: Selection,
    pub(super) channels: Vec<(topology::Lane, usize)>,
    pub(super) start: Start,
    /// Instances that wait for an invocation, with what they remember.
    pub(super) idle: Vec<Arc<dyn Hosted>>,
}

pub(super) struct Shard {
    pub(super) items: VecDeque<Item>,
    pub(super) relay: Option<Arc<Relay>>,
    pub(super) busy: bool,
    pub(super) not_before: Timestamp,
}

impl Shard {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            items: VecDeque::new(),
            relay: None,
            busy: false,
            not_before: now,
        }
    }
}

pub(super) struct Submission {
    pub(super) call: Box<dyn FnMut(Site) -> Task<Result<(), BoxError>>>,
    pub(super) tries: u32,
    pub(super) not_before: Timestamp,
}

pub(super) enum About {
    Relay {
        shard: usize,
        count: usize,
    },
    Consumer {
        channel: usize,
        instance: Arc<dyn Hosted>,
        /// The ids of the messages that the invocation was given.
        messages: Vec<String>,
    },
    Submission(Submission),
}

pub(super) enum Ended {
    Relayed(Result<(), String>),
    Handled(Vec<Message>, Summary),
    Answered(Result<(), BoxError>),
}

pub(super) enum Action {
    Relay(usize),
    Route,
    Receive(usize),
    Submit(usize),
    Late,
    Step(usize),
}

pub(super) struct Pipeline {
    pub(super) seed: u64,
    pub(super) world: Arc<World>,
    pub(super) memory: Arc<MemoryStore>,
    pub(super) bus: Arc<MemoryBus>,
    pub(super) lanes: Arc<Mutex<Lanes>>,
    pub(super) events: Table,
    pub(super) site: Site,
    pub(super) calm: Site,
    pub(super) store: Arc<dyn Store>,
    pub(super) publisher: Arc<dyn Publisher>,
    pub(super) queue: Arc<dyn Queue>,
    pub(super) settings: Settings,
    pub(super) consumers: Vec<Consumer>,
    /// Invocations in progress, by lane.
    pub(super) busy: Vec<usize>,
    pub(super) shards: Vec<Shard>,
    pub(super) on_the_bus: Vec<BusEntry>,
    /// Ids of all events that the bus has taken.
    pub(super) taken: BTreeSet<String>,
    pub(super) submissions: Vec<Submission>,
    pub(super) crowd: Crowd<About, Ended>,
    /// The outcomes of an event at a consumer. An invocation that died reported none.
    pub(super) outcomes: BTreeMap<(usize, String), Vec<Outcome>>,
    pub(super) findings: BTreeSet<String>,
}

impl Pipeline {
    /// Moves what the store's stream and the bus hold into the pipeline.
    pub(super) fn collect(&mut self) {
        for item in self.memory.take_stream(&self.events) {
            let aggregate = item.get("aggregate").and_then(Value::as_str);
            let sum: usize = aggregate.unwrap_or_default().bytes().map(usize::from).sum();
            self.shards[sum % SHARDS].items.push_back(item);
        }
        for entry in self.bus.take() {
            self.taken.insert(event_id(&entry.detail));
            self.on_the_bus.push(entry);
        }
    }

    pub(super) fn actions(&self) -> Vec<Action> {
        let now = self.world.clock.now();
        let mut actions: Vec<Action> = self.crowd.ready().map(Action::Step).collect();
        for (at, shard) in self.shards.iter().enumerate() {
            if !shard.busy && !shard.items.is_empty() && shard.not_before <= now {
                actions.push(Action::Relay(at));
            }
        }
        if !self.on_the_bus.is_empty() {
            actions.push(Action::Route);
        }
        if self.world.has_late_commits() {
            actions.push(Action::Late);
        }
        let lanes = locked(&self.lanes);
        for channel in 0..lanes.channels().len() {
            if self.busy[channel] < LANE_CONCURRENCY && lanes.visible(channel, now) > 0 {
                actions.push(Action::Receive(channel));
            }
        }
        for (at, submission) in self.submissions.iter().enumerate() {
            if submission.not_before <= now {
                actions.push(Action::Submit(at));
            }
        }
        actions
    }

    /// The next time at which something can happen, if everything waits.
    pub(super) fn next_moment(&self) -> Option<Timestamp> {
        let shards = self.shards.iter().filter(|shard| !shard.items.is_empty());
        let waiting = shards.map(|shard| shard.not_before);
        let clients = self.submissions.iter().map(|one| one.not_before);
        let hidden = locked(&self.lanes).next_visible();
        waiting.chain(clients).chain(hidden).min()
    }

    pub(super) async fn drain(&mut self) -> Result<(), Unsound> {
        for _ in 0..MAX_STEPS {
            self.collect();
            let mut actions = self.actions();
            if !actions.is_empty() {
                let chosen = actions.swap_remove(self.world.below(actions.len()));
                self.perform(chosen).await;
            } else if !self.crowd.is_empty() {
                self.crowd.wait().await;
            } else if let Some(moment) = self.next_moment() {
                let clock = &self.world.clock;
                clock.advance(moment.since(clock.now()));
            } else {
                return Ok(());
            }
        }
        Err(self.unsound(vec![format!("not drained after {MAX_STEPS} steps")]))
    }

    pub(super) fn unsound(&self, findings: Vec<String>) -> Unsound {
        Unsound {
            seed: self.seed,
            findings,
        }
    }

    pub(super) async fn perform(&mut self, action: Action) {
        match action {
            Action::Relay(shard) => self.start_relay(shard),
            Action::Route => self.route(),
            Action::Receive(channel) => self.start_consumer(channel),
            Action::Submit(at) => {
                let mut submission = self.submissions.swap_remove(at);
                submission.tries += 1;
                let call = (submission.call)(self.site.clone());
                let task = Box::pin(async move { Ended::Answered(call.await) });
                self.crowd.join(About::Submission(submission), task);
            }
            Action::Late => {
                if let Some(prepared) = self.world.take_late_commit() {
                    // The caller no longer waits. If the commit succeeds or is cancelled, the mark shows it.
                    self.memory.commit(&prepared).await.ok();
                }
            }
            Action::Step(place) => {
                if self.world.strikes(|faults| faults.crashes) {
                    if let Some(about) = self.crowd.kill(place) {
                        self.killed(about);
                    }
                } else if let Some((about, ended)) = self.crowd.step(place) {
                    self.ended(about, ended);
                }
            }
        }
    }

    pub(super) fn start_relay(&mut self, at: usize) {
        let shard = &mut self.shards[at];
        let count = 1 + self.world.below(shard.items.len().min(STREAM_BATCH));
        let items: Vec<Item> = shard.items.iter().take(count).cloned().collect();
        let relay = shard.relay.get_or_insert_with(|| {
            Arc::new(Relay::new(
                Arc::clone(&self.publisher),
                Arc::clone(&self.store),
                self.events.clone(),
                Arc::clone(&self.world.clock) as Arc<dyn Clock>,
                relay::Settings::default(),
            ))
        });
        shard.busy = true;
        let (relay, world) = (Arc::clone(relay), Arc::clone(&self.world));
        let task = async move {
            let invocation = relay.relay(items).await;
            world.step().await;
            let error = invocation.error.map(|error| outbox::chain(&error));
            Ended::Relayed(error.map_or(Ok(()), Err))
        };
        self.crowd
            .join(About::Relay { shard: at, count }, Box::pin(task));
    }

    pub(super) fn route(&mut self) {
        let overtaken = self.world.strikes(|faults| faults.reordering);
        let at = if overtaken {
            self.world.below(self.on_the_bus.len())
        } else {
            0
        };
        let entry = if self.world.strikes(|faults| faults.duplicates) {
            self.on_the_bus[at].clone()
        } else {
            self.on_the_bus.remove(at)
        };
        let now = self.world.clock.now();
        let head: Value = serde_json::from_str(&entry.detail).unwrap_or_default();
        let priority = serde_json::from_value(head["priority"].clone()).ok();
        for consumer in &self.consumers {
            if !consumer.selection.takes(&entry.detail_type) {
                continue;
            }
            let takes = |(lane, _): &&(topology::Lane, usize)| lane.takes(priority);
            for (_, channel) in consumer.channels.iter().filter(takes) {
                locked(&self.lanes).send(*channel, entry.detail.clone(), now);
            }
        }
    }

    pub(super) fn start_consumer(&mut self, channel: usize) {
        let now = self.world.clock.now();
        let mut lanes = locked(&self.lanes);
        let visible = lanes.visible(channel, now);
        let size = 1 + self.world.below(visible.min(LANE_BATCH));
        let mut places: Vec<usize> = (0..visible).collect();
        if self.world.strikes(|faults| faults.reordering) {
            for at in 0..size {
                let other = at + self.world.below(visible - at);
                places.swap(at, other);
            }
        }
        places.truncate(size);
        let messages = lanes.receive(channel, &places, now);
        let Some(lane) = lanes.channels().get(channel).map(|one| one.lane.clone()) else {
            return;
        };
        let consumer = lanes.channels()[channel].consumer;
        drop(lanes);
        if messages.is_empty() {
            return;
        }
        self.kill_earlier_holders(channel, &messages);
        let consumer = &mut self.consumers[consumer];
        let instance = consumer.idle.pop().unwrap_or_else(|| {
            (consumer.start)(&self.site, Arc::clone(&self.queue), self.settings.clone())
        });
        self.busy[channel] += 1;
        let about = About::Consumer {
            channel,
            instance: Arc::clone(&instance),
            messages: messages.iter().map(|one| one.message_id.clone()).collect(),
        };
        let (world, deadline) = (Arc::clone(&self.world), now.plus(FUNCTION_TIMEOUT));
        let task = async move {
            let summary = instance.run(&lane, messages.clone(), deadline).await;
            world.step().await;
            Ended::Handled(messages, summary)
        };
        self.crowd.join(about, Box::pin(task));
    }

    /// Ends the invocations that still hold a message that became visible again. The visibility timeout is a multiple of
    /// the function's timeout, so Lambda ended them long before.
    fn kill_earlier_holders(&mut self, channel: usize, received: &[Message]) {
        let again = |id: &String| received.iter().any(|one| one.message_id == *id);
        let late = self.crowd.kill_where(|about| {
            matches!(about, About::Consumer { channel: at, messages, .. }
                if *at == channel && messages.iter().any(again))
        });
        for about in late {
            self.killed(about);
        }
    }

    /// A process died. Its memory is gone; the stream, the queue or the client brings its work again.
    pub(super) fn killed(&mut self, about: About) {
        match about {
            About::Relay { shard, .. } => {
                let again = self.world.clock.now().plus(STREAM_PAUSE);
                let shard = &mut self.shards[shard];
                shard.relay = None;
                shard.busy = false;
                shard.not_before = again;
                self.look_at_the_log();
            }
            About::Consumer { channel, .. } => self.busy[channel] -= 1,
            About::Submission(submission) => self.submit_again(submission, "it crashed"),
        }
    }

    pub(super) fn ended(&mut self, about: About, ended: Ended) {
        match (about, ended) {
            (About::Relay { shard, count }, Ended::Relayed(result)) => {
                let again = self.world.strikes(|faults| faults.duplicates);
                let now = self.world.clock.now();
                let shard = &mut self.shards[shard];
                shard.busy = false;
                match result {
                    Ok(()) if !again => {
                        shard.items.drain(..count.min(shard.items.len()));
                    }
                    Ok(()) => {}
                    Err(_) => shard.not_before = now.plus(STREAM_PAUSE),
                }
                self.look_at_the_log();
            }
            (
                About::Consumer {
                    channel, instance, ..
                },
                Ended::Handled(messages, summary),
            ) => {
                self.handled(channel, &messages, &summary);
                let consumer = locked(&self.lanes).channels()[channel].consumer;
                self.consumers[consumer].idle.push(instance);
                self.busy[channel] -= 1;
            }
            (About::Submission(submission), Ended::Answered(Err(error))) => {
                self.submit_again(submission, &error.to_string());
            }
            _ => {}
        }
    }

    pub(super) fn submit_again(&mut self, mut submission: Submission, why: &str) {
        if submission.tries >= CLIENT_TRIES {
            let finding = format!("a call was not answered after {CLIENT_TRIES} tries: {why}");
            self.findings.insert(finding);
            return;
        }
        submission.not_before = self.world.clock.now().plus(CLIENT_PAUSE);
        self.submissions.push(submission);
    }

    /// Acknowledges the handled messages and records their outcomes.
    pub(super) fn handled(&mut self, channel: usize, messages: &[Message], summary: &Summary) {
        let consumer = locked(&self.lanes).channels()[channel].consumer;
        let failed = summary.failed();
        for message in messages {
            let id = &message.message_id;
            let finished: Vec<&consumer::Finished> = summary
                .finished
                .iter()
                .filter(|one| one.message_id == *id)
                .collect();
            let [finished] = finished.as_slice() else {
                let finding = format!("{id} has {} outcomes", finished.len());
                self.findings.insert(finding);
                continue;
            };
            self.outcomes
                .entry((consumer, event_id(&message.body)))
                .or_default()
                .push(finished.outcome);
            let deleted = !self.world.strikes(|faults| faults.duplicates);
            if !failed.contains(id) && deleted {
                locked(&self.lanes).delete(channel, id);
            }
        }
    }
}

pub(super) fn event_id(body: &str) -> String {
    let document: Value = serde_json::from_str(body).unwrap_or_default();
    document["event_id"].as_str().unwrap_or_default().to_owned()
}
