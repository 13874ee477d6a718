//! An endpoint's turn: what of the feed and of its retries is sent now, and what follows from the answers.
//!
//! What is durable when: a turn makes its attempts, and then writes lane, retries and the log in one transaction, on the
//! condition that the lane is as it was read. A crash in between repeats the attempts of this turn, with
//! the same `webhook-id`; receivers know a repeat by it. A retry is written together with the lane that passes its event, so
//! no event is lost.

use std::collections::BTreeSet;

use bytes::Bytes;
use consumer::Failure;
use endpoints::{
    Attempt, Endpoint, Lane, Retry, Stand,
    lane::{AttemptOutcome, LOG_LIFE},
};
use events::{EventId, Sequence, Timestamp};
use futures::future::join_all;
use outbox::{CommitError, Condition, Error, Prepared, Reason, Write};
use serde::Deserialize;
use views::feed::{FeedRow, Head, gone_up_to, rows_after};
use webhook::{Answer, TargetError, Verdict, next_delay, signed_headers, verdict};

use crate::job::Sender;

/// How many attempts of an endpoint are made at once.
const AT_ONCE: usize = 10;

/// How many rows of the feed a turn looks at.
const LOOKED_AT: u32 = 100;

/// How many events a turn puts behind others of their aggregate. A transaction can have 100 items.
const PUT_BEHIND: usize = 50;

/// What a turn came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Whether anything was tried or passed.
    pub(crate) worked: bool,
    /// When the next retry is due.
    pub(crate) next_due: Option<Timestamp>,
    /// How many events were delivered.
    pub(crate) delivered: u64,
    /// How many attempts failed.
    pub(crate) failed: u64,
    /// How many of them were the last ones.
    pub(crate) given_up: u64,
    /// Whether the endpoint is gone.
    pub(crate) is_gone: bool,
}

/// An event that is tried now.
struct Pick {
    retry: Retry,
    /// The row of the feed; `None` if it has expired.
    row: Option<FeedRow>,
    /// The retry as it was read; `None` for an event that is sent for the first time.
    before: Option<Retry>,
    /// It is not due, and only tells whether the endpoint is back: it does not count as one of the event's attempts.
    is_probe: bool,
}

/// An attempt, as it ended.
struct Tried {
    pick: Pick,
    verdict: Verdict,
    attempt: Attempt,
    next: Option<Retry>,
}

/// What a turn does: what it tries, and what it puts behind others of the same aggregate or off until it may be known.
struct Plan {
    picks: Vec<Pick>,
    behind: Vec<Retry>,
    position: u64,
}

impl Sender {
    /// Makes the next attempts of an endpoint.
    ///
    /// # Errors
    /// [`Failure`] when the store fails or another run has moved the lane. The stand is then out of date.
    pub(crate) async fn turn(
        &self,
        endpoint: &Endpoint,
        stand: &mut Stand,
    ) -> Result<Turn, Failure> {
        let plan = self.plan(endpoint, stand).await?;
        let mut turn = Turn::default();
        if !plan.picks.is_empty() || plan.position != stand.lane.position {
            turn.worked = true;
            let tried = join_all(
                plan.picks
                    .into_iter()
                    .map(|pick| self.attempt(endpoint, pick)),
            )
            .await;
            self.apply(
                endpoint,
                stand,
                tried,
                plan.behind,
                plan.position,
                &mut turn,
            )
            .await?;
        }
        turn.next_due = stand.next_due(endpoint);
        Ok(turn)
    }

    async fn plan(&self, endpoint: &Endpoint, stand: &Stand) -> Result<Plan, Failure> {
        let (now, lane) = (self.clock().now(), &stand.lane);
        let mut plan = Plan {
            picks: Vec::new(),
            behind: Vec::new(),
            position: lane.position,
        };
        for retry in stand.candidates(endpoint) {
            if plan.picks.len() >= AT_ONCE {
                break;
            }
            if stand.due(retry) <= now {
                let key = FeedRow::key(&self.tables.feed, retry.position);
                let row = self.outbox.row(&key).await?;
                plan.picks.push(Pick {
                    retry: retry.clone(),
                    row,
                    before: Some(retry.clone()),
                    is_probe: retry.due(lane) > now,
                });
            }
        }
        // If nothing is left to be tried again, an endpoint that is sent nothing new is probed with the next event.
        let most = match (stand.is_halted(), stand.probes().next().is_none()) {
            (false, _) => AT_ONCE,
            (true, true) if stand.probed_at() <= now => 1,
            (true, _) => return Ok(plan),
        };
        let feed = &self.tables.feed;
        let head = Head::read(&self.outbox, feed).await?;
        let head = head.map_or(0, |head| head.position);
        let rows = rows_after(&self.outbox, feed, lane.position, head, LOOKED_AT).await?;
        if rows.is_empty() && lane.position < head {
            let to = gone_up_to(&self.outbox, feed, lane.position, head, now).await?;
            if to > lane.position {
                let (webhook_id, from) = (endpoint.webhook_id().to_string(), lane.position + 1);
                tracing::error!(
                    webhook_id,
                    from,
                    to,
                    "the feed no longer has events that the endpoint was not sent"
                );
            }
            plan.position = to.max(lane.position);
            return Ok(plan);
        }
        let mut waiting: BTreeSet<String> = if endpoint.in_order() {
            let waiting = stand.retries.iter().filter(|one| !one.redelivery);
            waiting.map(|one| one.aggregate.clone()).collect()
        } else {
            BTreeSet::new()
        };
        for row in rows {
            let position = row.position;
            // A caller who asks for a redelivery before the event's turn puts it among the retries.
            let is_asked_for = stand.retries.iter().any(|retry| retry.position == position);
            let from = if is_asked_for {
                None
            } else {
                self.takes(endpoint, &row).await?
            };
            if let Some(from) = from {
                let Some(event_id) = event_id(&row) else {
                    let webhook_id = endpoint.webhook_id().to_string();
                    tracing::error!(
                        webhook_id,
                        position,
                        "a row of the feed has no event; passed over"
                    );
                    plan.position = position;
                    continue;
                };
                let retry = Retry {
                    postponed: from > now,
                    ..Retry::of(&row, event_id, from.max(now))
                };
                if retry.postponed || waiting.contains(&row.aggregate) {
                    if plan.behind.len() >= PUT_BEHIND {
                        break;
                    }
                    if endpoint.in_order() {
                        waiting.insert(row.aggregate.clone());
                    }
                    plan.behind.push(retry);
                } else if plan.picks.len() < most {
                    if endpoint.in_order() {
                        waiting.insert(row.aggregate.clone());
                    }
                    plan.picks.push(Pick {
                        retry,
                        row: Some(row),
                        before: None,
                        is_probe: false,
                    });
                } else {
                    break;
                }
            }
            plan.position = position;
        }
        Ok(plan)
    }

    /// Makes one attempt.
    async fn attempt(&self, endpoint: &Endpoint, pick: Pick) -> Tried {
        let started = self.clock().now();
        let answer = match &pick.row {
            Some(row) => self.post(endpoint, &pick.retry, row, started).await,
            None => Err("the feed no longer has the event".to_owned()),
        };
        let ended = self.clock().now();
        let attempts = pick.retry.attempts.saturating_add(1);
        let (verdict, status, detail, delay) = match answer {
            Ok(answer) => {
                let random = |below| self.clock().random_below(below);
                let delay = next_delay(attempts, retry_after(&answer), random);
                let (status, detail) = told(&answer);
                (verdict(&answer), status, detail, delay)
            }
            // No further attempt can help.
            Err(why) => (Verdict::Failed, None, Some(why), None),
        };
        let again = Retry {
            tried_at: Some(ended),
            postponed: false,
            ..pick.retry.clone()
        };
        let next = match (verdict, delay) {
            (Verdict::Delivered, _) => None,
            _ if pick.is_probe => Some(again),
            (_, Some(delay)) => Some(Retry {
                attempts,
                due_at: ended.plus(delay),
                ..again
            }),
            (_, None) => None,
        };
        let outcome = match (verdict, &next) {
            (Verdict::Delivered, _) => AttemptOutcome::Delivered,
            (_, Some(_)) => AttemptOutcome::Failed,
            (_, None) => AttemptOutcome::GivenUp,
        };
        let attempt = Attempt {
            event_id: pick.retry.event_id,
            event_type: pick.retry.event_type.clone(),
            position: pick.retry.position,
            attempt: Sequence::new(attempts.into()).unwrap_or(Sequence::FIRST),
            at: started,
            took_ms: u64::try_from(ended.since(started).as_millis()).unwrap_or(u64::MAX),
            outcome,
            status,
            detail,
            next_at: next.as_ref().map(|next| next.due_at),
            expires_at: started.plus(LOG_LIFE).unix_seconds(),
        };
        Tried {
            pick,
            verdict,
            attempt,
            next,
        }
    }

    /// Signs and posts an event as the event log has it.
    async fn post(
        &self,
        endpoint: &Endpoint,
        retry: &Retry,
        row: &FeedRow,
        now: Timestamp,
    ) -> Result<Answer, String> {
        let secrets = endpoint.secrets(now).map_err(|error| error.to_string())?;
        let (id, body) = (retry.event_id.to_string(), row.envelope.as_bytes());
        let headers = signed_headers(&id, now.unix_seconds(), body, &secrets)
            .map_err(|error| error.to_string())?;
        let body = Bytes::copy_from_slice(body);
        Ok(self.client.post(endpoint.url(), headers, body).await)
    }

    /// Writes what the attempts came to.
    async fn apply(
        &self,
        endpoint: &Endpoint,
        stand: &mut Stand,
        tried: Vec<Tried>,
        behind: Vec<Retry>,
        position: u64,
        turn: &mut Turn,
    ) -> Result<(), Failure> {
        let (table, id, now) = (
            &self.tables.webhooks,
            endpoint.webhook_id(),
            self.clock().now(),
        );
        let mut lane = stand.lane.next();
        lane.position = position;
        // Failures first: one success among them shows that the endpoint is there.
        for one in tried.iter().filter(|one| one.verdict != Verdict::Delivered) {
            let error = one.attempt.detail.clone().unwrap_or_default();
            let error = one
                .attempt
                .status
                .map_or(error, |status| format!("status {status}"));
            lane.failed(&error, now);
            turn.failed += 1;
            turn.is_gone |= one.verdict == Verdict::Gone;
            turn.given_up += u64::from(one.next.is_none());
        }
        for _ in tried.iter().filter(|one| one.verdict == Verdict::Delivered) {
            lane.succeeded(now);
            turn.delivered += 1;
        }
        let is_unmoved = Lane::unchanged(Some(&stand.lane));
        let mut writes = vec![Write::put(Lane::key(table, id), &lane, is_unmoved)?];
        for one in &tried {
            let key = one.attempt.key(table, id);
            writes.push(Write::put(key, &one.attempt, Condition::Absent)?);
            tell(endpoint, &one.attempt);
        }
        let mut retries = stand.retries.clone();
        for one in tried {
            let key = Retry::key(table, id, one.pick.retry.position);
            let condition = one
                .pick
                .before
                .as_ref()
                .map_or(Condition::Absent, Retry::unchanged);
            retries.retain(|retry| retry.position != one.pick.retry.position);
            match one.next {
                Some(next) => {
                    writes.push(Write::put(key, &next, condition)?);
                    retries.push(next);
                }
                None if one.pick.before.is_some() => writes.push(Write::Delete { key, condition }),
                None => {}
            }
        }
        for retry in behind {
            let key = Retry::key(table, id, retry.position);
            writes.push(Write::put(key, &retry, Condition::Absent)?);
            retries.push(retry);
        }
        retries.sort_by_key(|retry| retry.position);
        let prepared = Prepared::new(self.clock().uuid().to_string(), writes);
        match self.outbox.store().commit(&prepared).await {
            Ok(()) => {
                *stand = Stand { lane, retries };
                Ok(())
            }
            Err(CommitError::Cancelled(reasons)) => Err(moved(&reasons)),
            Err(CommitError::NotWritten(fault) | CommitError::Unknown(fault)) => {
                Err(Error::from(fault).into())
            }
        }
    }
}

fn moved(reasons: &[Reason]) -> Failure {
    Failure::unavailable(format!(
        "a request or another run has changed what the endpoint is sent: {reasons:?}"
    ))
}

/// The event of a row. Nothing else of the envelope is read, so that one of a later version is sent, too.
fn event_id(row: &FeedRow) -> Option<EventId> {
    #[derive(Deserialize)]
    struct Named {
        event_id: EventId,
    }
    let named: Result<Named, _> = serde_json::from_str(&row.envelope);
    named.ok().map(|named| named.event_id)
}

fn retry_after(answer: &Answer) -> Option<std::time::Duration> {
    match answer {
        Answer::Answered { retry_after, .. } => *retry_after,
        Answer::Refused | Answer::TimedOut | Answer::Failed(_) => None,
    }
}

/// The status and the words of an answer, for the log.
fn told(answer: &Answer) -> (Option<u16>, Option<String>) {
    match answer {
        Answer::Answered {
            status, excerpt, ..
        } => (
            Some(*status),
            (!excerpt.is_empty()).then(|| excerpt.clone()),
        ),
        Answer::Refused => (None, Some(TargetError::Address.to_string())),
        Answer::TimedOut => (None, Some("no answer in time".to_owned())),
        Answer::Failed(why) => (None, Some(why.clone())),
    }
}

fn tell(endpoint: &Endpoint, attempt: &Attempt) {
    let (webhook_id, event_id) = (
        endpoint.webhook_id().to_string(),
        attempt.event_id.to_string(),
    );
    macro_rules! line {
        ($level:ident, $outcome:literal) => {
            tracing::$level!(
                webhook_id,
                event_id,
                event_type = attempt.event_type,
                attempt = attempt.attempt.number(),
                duration_ms = attempt.took_ms,
                status = attempt.status,
                outcome = $outcome,
                "webhook"
            )
        };
    }
    match attempt.outcome {
        AttemptOutcome::Delivered => line!(info, "delivered"),
        AttemptOutcome::Failed => line!(warn, "failed"),
        AttemptOutcome::GivenUp => line!(error, "given_up"),
    }
}
