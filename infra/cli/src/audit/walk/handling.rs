//! Events that are still on their way: when consumers began, what the lanes hold, the dead letters, and the finding about
//! an unhandled event.

use std::collections::{BTreeMap, HashMap, HashSet};

use events::{Envelope, Priority, Timestamp};
use letters::{Body, Drained, Letter as Row, QueueMessage, unresolved};
use outbox::{Item, Key};

use super::{
    super::{
        Error, Finding, Kind, Lane, LaneSeen, Leftover,
        evidence::{Block, Proof, ProofStatus},
    },
    advice,
    audit::{Audit, Open, PAGE, count, shown, text},
};

/// How many rows of dead letters are read, and how many messages of the dead-letter queue.
const LETTERS_AT_MOST: usize = 10_000;

/// Where a dead letter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a row.
    Row,
    /// In the dead-letter queue.
    Queue,
}

/// A dead letter that was found.
struct Found {
    drained: Drained,
    /// The envelope, if the message has a complete one.
    envelope: Option<Envelope>,
    /// When a consumer parked it. `None` if SQS or EventBridge moved it.
    parked_at: Option<Timestamp>,
    place: Place,
}

impl Found {
    /// A row and its message. A row without a message still tells what it is about.
    fn of_row(row: Row, body: Option<&Body>) -> Self {
        Self {
            envelope: body.and_then(Body::envelope),
            parked_at: body.and_then(|body| parked_at(&body.attributes)),
            drained: row.into(),
            place: Place::Row,
        }
    }

    /// A message that is not drained yet.
    fn of_message(message: &QueueMessage, now: Timestamp) -> Self {
        Self {
            drained: Drained::read(message, now),
            envelope: Body::of(message, now).envelope(),
            parked_at: parked_at(&message.attributes),
            place: Place::Queue,
        }
    }
}

fn parked_at(attributes: &BTreeMap<String, String>) -> Option<Timestamp> {
    attributes.get("parked_at")?.parse().ok()
}

/// Whether a dead letter was parked after its event's mark was written. Then the effect was committed, and the step
/// after the commit, such as notifying the administrators, failed permanently.
fn is_unsettled(letter: &Found, proof: &Proof, mark: Option<&Item>) -> bool {
    let Proof::Mark(_) = proof else { return false };
    let marked_at = mark.and_then(|mark| text(mark, "created_at"));
    let marked_at = marked_at.and_then(|at| at.parse::<Timestamp>().ok());
    marked_at
        .zip(letter.parked_at)
        .is_some_and(|(marked_at, parked_at)| marked_at < parked_at)
}

impl Audit<'_> {
    /// Reads since when each checked consumer can have received events: since its first lane was created.
    pub(super) async fn consumers(&mut self) -> Result<(), Error> {
        let mut began = vec![None; self.checked_consumers.len()];
        for lane in &self.sources.lanes {
            let Some(number) = self.checked_consumer_of(lane) else {
                continue;
            };
            let made = self.sources.queues.created_at(&lane.url).await?;
            if let Some(began) = began.get_mut(number) {
                let first: Timestamp = began.map_or(made, |first| made.min(first));
                *began = Some(first);
            }
        }
        self.before_consumer = vec![0; began.len()];
        self.began = began;
        Ok(())
    }

    /// Whether an event was published before a consumer had a lane.
    pub(super) fn is_before(&self, number: usize, published_at: Timestamp) -> bool {
        let began = self.began.get(number).copied().flatten();
        began.is_some_and(|began| published_at < began)
    }

    /// Counts an event that is older than a consumer, or was published while that consumer was set up.
    pub(super) fn not_for(&mut self, number: usize) {
        self.counts.before_consumer += 1;
        if let Some(events) = self.before_consumer.get_mut(number) {
            *events += 1;
        }
    }

    pub(super) async fn depths(&mut self) -> Result<HashMap<String, u64>, Error> {
        let mut depths = HashMap::new();
        for lane in &self.sources.lanes {
            let depth = self.sources.queues.depth(&lane.url).await?;
            depths.insert(lane.url.clone(), depth);
            self.lanes.push(LaneSeen {
                consumer: self.name_of(lane),
                lane: lane.name,
                waiting: depth,
            });
        }
        Ok(depths)
    }

    pub(super) fn checked_consumer_of(&self, lane: &Lane) -> Option<usize> {
        self.checked_consumers
            .iter()
            .position(|consumer| consumer.stack_name() == lane.consumer)
    }

    pub(super) fn name_of(&self, lane: &Lane) -> String {
        self.checked_consumer_of(lane)
            .and_then(|number| self.checked_consumers.get(number))
            .map_or_else(
                || lane.consumer.clone(),
                |consumer| consumer.name.to_owned(),
            )
    }

    /// Reads the unresolved dead letters: the rows, and what is still in the dead-letter queue.
    pub(super) async fn letters(&mut self) -> Result<(), Error> {
        let (mut found, all_rows) = self.letter_rows().await?;
        let queue = &self.sources.dead_letters_url;
        let peeked = self.sources.queues.peek(queue, LETTERS_AT_MOST).await?;
        self.all_letters_read = all_rows && peeked.complete;
        let now = self.sources.clock.now();
        let messages = peeked.letters.iter();
        found.extend(messages.map(|message| Found::of_message(message, now)));
        self.counts.letters += count(found.len());
        let mut seen_ids = HashSet::new();
        let mut letters = Vec::new();
        for one in found {
            let seen = self
                .letters
                .entry(one.drained.consumer.clone())
                .or_default();
            match one.place {
                Place::Row => seen.open += 1,
                Place::Queue => seen.not_drained += 1,
            }
            let aggregate = one.drained.aggregate.as_ref();
            if !self.scope.is_empty() && !aggregate.is_some_and(|name| self.scope.contains(name)) {
                continue;
            }
            if seen_ids.insert(one.drained.letter_id()) {
                letters.push(one);
            } else {
                self.counts.letter_copies += 1;
            }
        }
        let proofs: Vec<Option<Proof>> = letters
            .iter()
            .map(|one| {
                let number = self.number_of(&one.drained.consumer)?;
                let envelope = one.envelope.as_ref()?;
                let consumer = self.checked_consumers.get(number)?;
                consumer.proof(envelope, &self.evidence_tables).ok()?
            })
            .collect();
        let keys: Vec<Key> = proofs
            .iter()
            .flatten()
            .map(|proof| proof.key().clone())
            .collect();
        let mut items = self.items(&keys).await?.into_iter();
        for (letter, proof) in letters.into_iter().zip(proofs) {
            let handled = proof.as_ref().is_some_and(|proof| {
                let item = items.next().flatten();
                proof.status(item.as_ref()) != ProofStatus::Missing
                    && !is_unsettled(&letter, proof, item.as_ref())
            });
            self.letter(letter, proof, handled);
        }
        Ok(())
    }

    /// The rows of unresolved dead letters, each with its message, and whether these are all.
    async fn letter_rows(&mut self) -> Result<(Vec<Found>, bool), Error> {
        let Some(table) = self.sources.letters_table() else {
            return Ok((Vec::new(), true));
        };
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.query(&unresolved(&table, PAGE, after)).await?;
            let rows: Vec<Row> = page
                .items
                .into_iter()
                .filter_map(|item| self.typed(&table, item))
                .collect();
            let keys: Vec<Key> = rows
                .iter()
                .map(|row| Body::key(&table, &row.letter_id))
                .collect();
            let bodies = self.items(&keys).await?;
            for (row, body) in rows.into_iter().zip(bodies) {
                let body = body.and_then(|item| self.typed::<Body>(&table, item));
                found.push(Found::of_row(row, body.as_ref()));
            }
            after = page.next;
            if after.is_none() || found.len() >= LETTERS_AT_MOST {
                return Ok((found, after.is_none()));
            }
        }
    }

    /// The place of a consumer among the checked ones, by its name.
    fn number_of(&self, consumer: &str) -> Option<usize> {
        let mut consumers = self.checked_consumers.iter();
        consumers.position(|one| one.name == consumer)
    }

    fn letter(&mut self, found: Found, proof: Option<Proof>, handled: bool) {
        let Found { drained, place, .. } = found;
        if handled {
            self.counts.leftovers += 1;
            self.leftovers.push(Leftover {
                consumer: drained.consumer,
                event_id: drained.event_id.unwrap_or_default(),
                reason: drained.reason,
            });
            return;
        }
        let number = self.number_of(&drained.consumer);
        if let (Some(number), Some(event_id)) = (number, &drained.event_id) {
            self.parked_events.insert((number, event_id.clone()));
        }
        if let Some(Proof::Mark(key)) = proof {
            self.parked_marks.insert(key);
        }
        let what = if drained.error.is_empty() {
            drained.reason
        } else {
            format!("{}: {}", drained.reason, drained.error)
        };
        self.findings.push(Finding {
            kind: Kind::Parked,
            event_id: drained.event_id,
            event_type: drained.event_type,
            aggregate: drained.aggregate.as_deref().map(shown),
            sequence: drained.sequence,
            consumer: Some(drained.consumer),
            stopped: match place {
                Place::Row => "a dead letter".to_owned(),
                Place::Queue => "in the dead-letter queue, not drained yet".to_owned(),
            },
            what,
            advice: advice::PARKED,
        });
    }

    /// Reports an event for which a consumer has no evidence at the second look either.
    pub(super) fn unhandled(
        &mut self,
        one: &Open,
        item: Option<&Item>,
        depths: &HashMap<String, u64>,
    ) {
        let event_id = one.event_id;
        let as_letter = self
            .parked_events
            .contains(&(one.consumer, event_id.to_string()))
            || self.parked_marks.contains(one.proof.key());
        if as_letter {
            return;
        }
        if self.is_young(one.published_at) {
            self.counts.young += 1;
            return;
        }
        let Some(consumer) = self.checked_consumers.get(one.consumer) else {
            return;
        };
        let (name, stack_name) = (consumer.name, consumer.stack_name());
        let lanes: Vec<&Lane> = self
            .sources
            .lanes
            .iter()
            .filter(|lane| lane.consumer == stack_name)
            .collect();
        let urgent = matches!(one.priority, Priority::Critical | Priority::High);
        // A consumer with one lane gets all events through it.
        let lane = lanes
            .iter()
            .find(|lane| lanes.len() == 1 || (lane.name == "express") == urgent);
        let waiting = lane
            .and_then(|lane| depths.get(&lane.url))
            .copied()
            .unwrap_or(0);
        let handled_by = if one.handled_by.is_empty() {
            String::new()
        } else {
            format!("handled by {}, ", one.handled_by.join(", "))
        };
        let stopped = Some(format!("{handled_by}not by {name}"));
        let lane_name = lane.map_or("its", |lane| lane.name);
        let block = match (&one.proof, item) {
            (Proof::Cursor(_, sequence), Some(item)) => {
                Block::of(item).map(|block| (block, *sequence))
            }
            _ => None,
        };
        if let Some((block, sequence)) = &block
            && block.sequence < *sequence
        {
            let letter = (one.consumer, block.event_id.clone());
            // If its dead letter is gone, the parked event is on its way again, or has a finding of its own.
            let kind = if self.parked_events.contains(&letter) {
                Kind::Parked
            } else {
                Kind::Late
            };
            let what = format!(
                "waits behind the parked event {} (number {}, {}): {name} handles this aggregate's events in order",
                block.event_id, block.sequence, block.reason
            );
            self.about(kind, event_id, Some(name), stopped, what, advice::BEHIND);
            return;
        }
        let still = !self.options.settled && self.age(one.published_at) < topology::LANE_RETENTION;
        if still && waiting > 0 {
            let what = format!(
                "{name} has no evidence of it; {waiting} messages are in the {lane_name} lane, and it may be one of them"
            );
            self.about(
                Kind::Late,
                event_id,
                Some(name),
                stopped,
                what,
                advice::LATE,
            );
        } else if !self.all_letters_read {
            let what = format!(
                "{name} has no evidence of it; it may be one of the dead letters that could not be read"
            );
            self.about(
                Kind::Late,
                event_id,
                Some(name),
                stopped,
                what,
                advice::LATE,
            );
        } else {
            if let Some((block, _)) = &block {
                let what = format!(
                    "{name} parked it ({}) and its aggregate waits for it, but it has no dead letter and is in none of its lanes",
                    block.reason
                );
                self.about(
                    Kind::Lost,
                    event_id,
                    Some(name),
                    stopped,
                    what,
                    advice::BLOCKED,
                );
                return;
            }
            let began = self.began.get(one.consumer).copied().flatten();
            let set_up = began.map(|began| began.plus(self.options.start_up));
            if item.is_none() && set_up.is_some_and(|set_up| one.published_at < set_up) {
                self.not_for(one.consumer);
                return;
            }
            let row = match &one.proof {
                Proof::Mark(_) => "mark",
                Proof::Cursor(..) => "cursor behind",
                Proof::Row(_) => "row",
            };
            let what = format!(
                "{name} has no {row} of it, it has no dead letter, and it is in none of its lanes"
            );
            self.about(
                Kind::Lost,
                event_id,
                Some(name),
                stopped,
                what,
                advice::LOST,
            );
        }
    }
}
