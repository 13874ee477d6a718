//! The job: as long as an endpoint is enabled, it looks at the feed every half second and gives every endpoint its turns.
//!
//! Each endpoint has a task of its own, so one that takes its time delays no other. A task ends when its endpoint has caught
//! up, and begins again when the feed has something new. A page lasts as long as attempts may begin, then the next one goes on;
//! a run lasts until the next run, which waits for the lease, takes over.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use consumer::{
    Failure,
    schedule::{self, Next, Paged},
};
use endpoints::{Endpoint, EndpointStatus, Endpoints, Lane, Stand, endpoint::warnings_due};
use events::{
    Cause, Envelope, MemberId, Registry, Sequence, Subscription, Text, Timestamp, WebhookId,
};
use futures::{
    StreamExt,
    future::{Either, select},
    stream::FuturesUnordered,
};
use mail::{Announcement, recipients::notices};
use outbox::{Clock, Decision, Error, Mark, Outbox, Outcome, Table, Transaction};
use serde::{Deserialize, Serialize};
use topology::functions::notifications::Event as Noticed;
use views::{
    contacts::{self, Contact, Recipient},
    feed::{FeedRow, Head},
};

use crate::post::Post;

/// How often the job looks for new events, for retries that are due, and for new endpoints.
const LOOKS_EVERY: Duration = Duration::from_millis(500);

/// What a page needs after its last attempt: the log, the lane, and what the endpoint is told.
const AFTER_AN_ATTEMPT: Duration = Duration::from_secs(2);

/// The tables that the job reads and writes.
#[derive(Debug, Clone)]
pub struct Tables {
    /// Endpoints, lanes, retries and the log.
    pub webhooks: Table,
    /// The feed, read only.
    pub feed: Table,
    /// Contacts with their preferences, read only; absent if no deployed domain has members.
    pub contacts: Option<Table>,
}

/// The job `webhook-sender`.
pub struct Sender {
    pub(crate) outbox: Outbox,
    pub(crate) client: Arc<dyn Post>,
    pub(crate) tables: Tables,
    /// For how long of a page attempts may begin.
    begins_within: Duration,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender")
            .field("tables", &self.tables)
            .finish_non_exhaustive()
    }
}

/// A pass has no end while there is an endpoint; each page begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again;

/// What a page has done.
#[derive(Debug, Default)]
struct Served {
    delivered: u64,
    failed: u64,
    given_up: u64,
    /// The endpoints whose turn failed, and the last error of each.
    errors: BTreeMap<WebhookId, String>,
    /// Endpoints that had a turn.
    served: BTreeSet<WebhookId>,
}

/// An endpoint as the page knows it.
struct Attended {
    /// The head of the feed at its last turn; what is not newer is no reason for another turn.
    head: u64,
    /// When it has something to do although the feed has nothing new.
    due: Option<Timestamp>,
}

impl Sender {
    /// The job over its tables. `page` is a page's time limit, and `attempt` the time limit of one attempt.
    #[must_use]
    pub fn new(
        outbox: Outbox,
        client: Arc<dyn Post>,
        tables: Tables,
        page: Duration,
        attempt: Duration,
    ) -> Self {
        Self {
            outbox,
            client,
            tables,
            begins_within: page.saturating_sub(attempt + AFTER_AN_ATTEMPT),
        }
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &**self.outbox.clock()
    }

    pub(crate) fn endpoints(&self) -> Endpoints<'_> {
        Endpoints {
            outbox: &self.outbox,
            table: &self.tables.webhooks,
            feed: &self.tables.feed,
        }
    }

    /// From when an endpoint is sent the event of a row; `None` if it is not. A member's endpoint is sent what the member
    /// gets a notice about, and an announcement to everybody not before its day.
    pub(crate) async fn takes(
        &self,
        endpoint: &Endpoint,
        row: &FeedRow,
    ) -> Result<Option<Timestamp>, Failure> {
        let selection = endpoint.selection();
        if !endpoints::endpoint::takes(selection, row) {
            return Ok(None);
        }
        let Some(member_id) = &selection.member_id else {
            return Ok(Some(row.fed_at));
        };
        let (Some(table), Ok(envelope)) = (&self.tables.contacts, Registry::read(&row.envelope))
        else {
            return Ok(None);
        };
        let announcement = Announcement::read(&envelope).ok().flatten();
        if announcement.is_none() && !is_noticed(&envelope, member_id) {
            return Ok(None);
        }
        let contact: Option<Contact> = self.outbox.row(&contacts::key(table, member_id)).await?;
        let Some(contact) = contact.filter(|contact| contact.preferences.webhook_enabled) else {
            return Ok(None);
        };
        Ok(match announcement {
            None => Some(row.fed_at),
            Some(announcement) => contact
                .ens_subname
                .map(|_| announcement.not_before(&envelope)),
        })
    }

    async fn enabled(&self) -> Result<Vec<Endpoint>, Error> {
        let all = self.endpoints().all().await?.into_iter();
        Ok(all
            .filter(|one| one.status() == EndpointStatus::Enabled)
            .collect())
    }

    /// Gives an endpoint its turns until it has caught up or attempts may no longer begin. Returns when it has something to do
    /// next.
    async fn attend(
        &self,
        endpoint: &Endpoint,
        until: Timestamp,
        served: &mut Served,
    ) -> Result<Option<Timestamp>, Failure> {
        let endpoints = self.endpoints();
        let Some(mut stand) = endpoints.stand(endpoint.webhook_id()).await? else {
            return Ok(None);
        };
        loop {
            let turn = self.turn(endpoint, &mut stand).await?;
            served.delivered += turn.delivered;
            served.failed += turn.failed;
            served.given_up += turn.given_up;
            if turn.failed > 0 && !self.judge(endpoint, &mut stand, turn.is_gone).await? {
                return Ok(None);
            }
            if !turn.worked || self.clock().now() >= until {
                return Ok(turn.next_due);
            }
        }
    }

    async fn head(&self) -> Result<u64, Error> {
        let head = Head::read(&self.outbox, &self.tables.feed).await?;
        Ok(head.map_or(0, |head| head.position))
    }

    /// Gives every endpoint its turns, each in a task of its own, while attempts may begin. Returns `None` if there is no
    /// endpoint.
    async fn serve(&self) -> Result<Option<Served>, Error> {
        let until = self.clock().now().plus(self.begins_within);
        let (mut all, mut known) = (Served::default(), BTreeMap::new());
        let (mut running, mut under_way) = (FuturesUnordered::new(), BTreeSet::new());
        let mut looks_at = self.clock().now();
        loop {
            let now = self.clock().now();
            if now < until && (now >= looks_at || running.is_empty()) {
                looks_at = now.plus(LOOKS_EVERY);
                let (head, enabled) = (self.head().await?, self.enabled().await?);
                if enabled.is_empty() && running.is_empty() {
                    return Ok(None);
                }
                for endpoint in enabled {
                    let id = endpoint.webhook_id();
                    let before: Option<&Attended> = known.get(&id);
                    let has_work = before.is_none_or(|before| {
                        before.head < head || before.due.is_some_and(|due| due <= now)
                    });
                    if has_work && under_way.insert(id) {
                        known.insert(id, Attended { head, due: None });
                        running.push(async move {
                            let mut served = Served::default();
                            let attended = self.attend(&endpoint, until, &mut served).await;
                            (id, served, attended)
                        });
                    }
                }
            }
            if now >= until && running.is_empty() {
                return Ok(Some(all));
            }
            let looking = self.clock().sleep(LOOKS_EVERY);
            if running.is_empty() {
                looking.await;
                continue;
            }
            let Either::Left((Some((id, served, attended)), _)) =
                select(running.next(), looking).await
            else {
                continue;
            };
            under_way.remove(&id);
            all.delivered += served.delivered;
            all.failed += served.failed;
            all.given_up += served.given_up;
            all.served.insert(id);
            match attended {
                Ok(due) => {
                    if let Some(known) = known.get_mut(&id) {
                        known.due = due;
                    }
                    all.errors.remove(&id);
                }
                Err(failure) => {
                    let (webhook_id, error) = (id.to_string(), failure.chain());
                    tracing::warn!(webhook_id, error, "the endpoint's turn failed");
                    all.errors.insert(id, error);
                    // It is read anew at the next look.
                    if let Some(known) = known.get_mut(&id) {
                        known.due = Some(self.clock().now().plus(LOOKS_EVERY));
                    }
                }
            }
        }
    }

    /// After a failure: warns or disables if it is time. Returns whether the endpoint is still sent anything.
    async fn judge(
        &self,
        endpoint: &Endpoint,
        stand: &mut Stand,
        is_gone: bool,
    ) -> Result<bool, Failure> {
        let now = self.clock().now();
        let lane = &stand.lane;
        let since = lane.failing_since.unwrap_or(now);
        let error = lane.last_error.clone().unwrap_or_default();
        let last_error = Text::new(error).or_else(|_| Text::new("no answer"));
        let last_error = &last_error.map_err(Failure::retry)?;
        let (id, warned) = (endpoint.webhook_id(), lane.warnings);
        let follows = |endpoint: &Endpoint, version, now| {
            endpoint.failed(since, warned, is_gone, last_error.clone(), version, now)
        };
        // Most failures have no consequence, and need no transaction to say so.
        if follows(endpoint, Sequence::FIRST, now).is_none() {
            return Ok(true);
        }
        // A lane has each version once, so this is one fact, however often the turn is repeated.
        let mark = Mark::Message {
            consumer: <Self as schedule::Job>::NAME,
            message_id: format!("{id}/{}", lane.version()),
        };
        let table = &self.tables.webhooks;
        let mut warned_lane = lane.next();
        warned_lane.warnings = warnings_due(now.since(since));
        let (next, follows) = (&warned_lane, &follows);
        let outcome: Outcome<bool, ()> = self
            .outbox
            .execute(&mark, &Cause::default(), async |mut transaction| {
                let endpoints = self.endpoints();
                let entity = endpoints.endpoint(id).await?;
                let change = match entity.state() {
                    Some(state) => {
                        let (version, now) = (
                            entity.next_version().map_err(Error::from)?,
                            transaction.now(),
                        );
                        follows(state, version, now)
                    }
                    None => None,
                };
                let Some(change) = change else {
                    return Ok::<_, Error>(Decision::Refuse(()));
                };
                endpoints.save(&mut transaction, &entity, &change)?;
                transaction.put(Lane::key(table, id), next, Lane::unchanged(Some(lane)))?;
                let is_enabled = change.state.status() == EndpointStatus::Enabled;
                Ok(Decision::Commit(transaction, is_enabled))
            })
            .await?;
        match outcome {
            Outcome::Committed {
                value: is_enabled, ..
            } => {
                let webhook_id = id.to_string();
                if is_enabled {
                    tracing::warn!(webhook_id, since = %since, "the endpoint keeps failing");
                } else {
                    tracing::error!(webhook_id, since = %since, is_gone, "the endpoint is disabled");
                }
                stand.lane = warned_lane;
                Ok(is_enabled)
            }
            // A request has changed the endpoint meanwhile: the next look sees how.
            Outcome::AlreadyDone(_) | Outcome::Refused(()) | Outcome::Contention => Ok(false),
        }
    }
}

#[async_trait]
impl schedule::Job for Sender {
    // The lease and the marks of pages contain this name: never rename it.
    const NAME: &'static str = topology::functions::webhook_sender::FUNCTION.name;
    const WAITS: bool = true;
    type Cursor = Again;

    async fn has_work(&self, _now: Timestamp) -> Result<bool, Failure> {
        Ok(!self.enabled().await?.is_empty())
    }

    async fn page(
        &self,
        _cursor: Option<&Again>,
        transaction: Transaction,
    ) -> Result<Paged<Again>, Failure> {
        let Some(served) = self.serve().await? else {
            return Ok(Paged::new(transaction, Next::End));
        };
        // What the others were sent stays; the run fails if none could be served.
        if !served.errors.is_empty() && served.errors.len() == served.served.len() {
            let first = served.errors.into_values().next();
            return Err(Failure::unavailable(first.unwrap_or_default()));
        }
        let mut page = Paged::new(transaction, Next::From(Again))
            .count("delivered", served.delivered)
            .count("failed", served.failed)
            .count("given_up", served.given_up);
        for (id, error) in served.errors {
            page = page.note(format!("webhook {id}: {error}"));
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests;

/// Whether a member gets a notice of their own about an event.
fn is_noticed(envelope: &Envelope, member_id: &MemberId) -> bool {
    let Ok(event) = Noticed::decode(envelope) else {
        return false;
    };
    notices(&event, envelope.occurred_at)
        .iter()
        .any(|(recipient, _)| matches!(recipient, Recipient::Member(id) if id == member_id))
}
