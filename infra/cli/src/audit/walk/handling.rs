//! Events that are still on their way: when consumers began, what lanes and dead-letter queues hold, and the finding
//! about an unhandled event.

use std::collections::{HashMap, HashSet};

use events::{Priority, Timestamp};
use outbox::{Item, Key};

use super::{
    super::{
        Error, Finding, Kind, Lane, LaneSeen, Leftover,
        evidence::{Block, Proof, ProofStatus},
        letters::Letter,
    },
    advice,
    audit::{Audit, Open, count, shown, text},
};

/// How many dead letters are read from one queue. If it has more, the queue itself is the finding.
const LETTERS_AT_MOST: usize = 10_000;

/// Whether a dead letter was parked after its event's mark was written. Then the effect was committed, and the step
/// after the commit, such as notifying the administrators, failed permanently.
fn is_unsettled(letter: &Letter, proof: &Proof, mark: Option<&Item>) -> bool {
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
                letters: 0,
                all_letters_read: false,
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

    pub(super) async fn letters(&mut self) -> Result<(), Error> {
        for (place, lane) in self.sources.lanes.iter().enumerate() {
            let peeked = self
                .sources
                .queues
                .peek(&lane.letters_url, LETTERS_AT_MOST)
                .await?;
            if let Some(seen) = self.lanes.get_mut(place) {
                seen.letters = count(peeked.letters.len());
                seen.all_letters_read = peeked.complete;
            }
            self.counts.letters += count(peeked.letters.len());
            let number = self.checked_consumer_of(lane);
            let mut seen_ids = HashSet::new();
            let mut letters = Vec::new();
            for raw in &peeked.letters {
                let letter = Letter::read(raw);
                if !self.scope.is_empty()
                    && !letter
                        .aggregate
                        .as_ref()
                        .is_some_and(|one| self.scope.contains(one))
                {
                    continue;
                }
                let identity = letter
                    .event_id
                    .clone()
                    .unwrap_or_else(|| raw.message_id.clone());
                if seen_ids.insert(identity) {
                    letters.push(letter);
                } else {
                    self.counts.letter_copies += 1;
                }
            }
            let proofs: Vec<Option<Proof>> = letters
                .iter()
                .map(|letter| {
                    let consumer = self.checked_consumers.get(number?)?;
                    let envelope = letter.envelope.as_ref()?;
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
                self.letter(lane, number, letter, proof, handled);
            }
        }
        Ok(())
    }

    pub(super) fn letter(
        &mut self,
        lane: &Lane,
        number: Option<usize>,
        letter: Letter,
        proof: Option<Proof>,
        handled: bool,
    ) {
        let name = self.name_of(lane);
        if handled {
            self.counts.leftovers += 1;
            self.leftovers.push(Leftover {
                consumer: name,
                event_id: letter.event_id.unwrap_or_default(),
                reason: letter.reason,
            });
            return;
        }
        if let (Some(number), Some(event_id)) = (number, &letter.event_id) {
            self.parked_events.insert((number, event_id.clone()));
        }
        if let Some(Proof::Mark(key)) = proof {
            self.parked_marks.insert(key);
        }
        let error = letter
            .error
            .map_or(String::new(), |error| format!(": {error}"));
        self.findings.push(Finding {
            kind: Kind::Parked,
            event_id: letter.event_id,
            event_type: letter.event_type,
            aggregate: letter.aggregate.as_deref().map(shown),
            sequence: letter.sequence,
            consumer: Some(name),
            stopped: format!("in the dead-letter queue of the {} lane", lane.name),
            what: format!("{}{error}", letter.reason),
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
        let letters_left = lane.is_some_and(|lane| {
            self.sources
                .lanes
                .iter()
                .position(|one| one == *lane)
                .and_then(|place| self.lanes.get(place))
                .is_some_and(|seen| !seen.all_letters_read)
        });
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
        } else if letters_left {
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
                    "{name} parked it ({}) and its aggregate waits for it, but its letter is in none of its queues",
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
            let what = format!("{name} has no {row} of it, and it is in none of its queues");
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
