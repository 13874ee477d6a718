//! Load, decide, save: the operations over endpoints, in a transaction that the caller brings.

use events::{EventId, Sequence, WebhookId};
use outbox::{Condition, Entity, Error, Outbox, Query, Table, Transaction};
use views::feed::{FeedRow, Head, Place};

use crate::{
    EndpointStatus,
    endpoint::{By, Change, Endpoint, New, PARTITION, Patch, Refusal},
    lane::{Lane, Retry},
    stand::Stand,
};

/// How many endpoints a stack can have. `webhook-sender` looks at all of them whenever there is an event.
pub const MOST_ENDPOINTS: usize = 200;

/// Why nothing was changed.
pub type Stopped = domain::Stopped<Refusal>;

/// The endpoints and what they need.
#[derive(Debug, Clone, Copy)]
pub struct Endpoints<'a> {
    /// Loads the state that decisions are based on.
    pub outbox: &'a Outbox,
    /// The table of endpoints.
    pub table: &'a Table,
    /// The feed, whose head is where a new endpoint begins.
    pub feed: &'a Table,
}

impl Endpoints<'_> {
    /// Every endpoint that was not removed.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn all(&self) -> Result<Vec<Endpoint>, Error> {
        let mut all = Vec::new();
        let mut query = Query::partition(self.table, PARTITION, 100);
        loop {
            let (page, next) = self.outbox.rows::<Endpoint>(&query).await?;
            all.extend(page.into_iter().filter(|one| !one.is_removed()));
            query.after = next;
            if query.after.is_none() {
                return Ok(all);
            }
        }
    }

    /// An endpoint; the entity is empty if it never was.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn endpoint(&self, id: WebhookId) -> Result<Entity<Endpoint>, Error> {
        self.outbox.load(self.table, &id.to_string()).await
    }

    /// How far an endpoint has got.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn lane(&self, id: WebhookId) -> Result<Option<Lane>, Error> {
        self.outbox.row(&Lane::key(self.table, id)).await
    }

    /// What an endpoint is to be sent again, the oldest event first.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn retries(&self, id: WebhookId) -> Result<Vec<Retry>, Error> {
        let query = Retry::of_endpoint(self.table, id);
        Ok(self.outbox.rows(&query).await?.0)
    }

    /// How an endpoint stands; `None` if it never was.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn stand(&self, id: WebhookId) -> Result<Option<Stand>, Error> {
        let Some(lane) = self.lane(id).await? else {
            return Ok(None);
        };
        let retries = self.retries(id).await?;
        Ok(Some(Stand { lane, retries }))
    }

    /// Sets up an endpoint, which begins with the events after this moment.
    ///
    /// # Errors
    /// [`Stopped::Refused`] if there are too many; [`Stopped::Failed`].
    pub async fn create(
        &self,
        transaction: &mut Transaction,
        new: New,
        by: By,
    ) -> Result<Endpoint, Stopped> {
        if self.all().await?.len() >= MOST_ENDPOINTS {
            return Err(Stopped::Refused(Refusal::TooMany {
                most: MOST_ENDPOINTS,
            }));
        }
        let id = new.webhook_id;
        let entity = self.endpoint(id).await?;
        let change = Endpoint::create(new, by, Sequence::FIRST, transaction.now());
        self.save(transaction, &entity, &change)?;
        self.begin_at_the_head(transaction, id).await?;
        Ok(change.state)
    }

    /// Sets up an endpoint in another way. One that is enabled again begins with the events after this moment.
    ///
    /// # Errors
    /// [`Stopped::Refused`]; [`Stopped::Failed`].
    pub async fn change(
        &self,
        transaction: &mut Transaction,
        id: WebhookId,
        patch: Patch,
        by: By,
    ) -> Result<Endpoint, Stopped> {
        let entity = self.endpoint(id).await?;
        let before = entity.state().ok_or(Stopped::Refused(Refusal::Unknown))?;
        let (version, now) = (entity.next_version()?, transaction.now());
        let change = before
            .change(patch, by, version, now)
            .map_err(Stopped::Refused)?;
        self.save(transaction, &entity, &change)?;
        let is_enabled = |one: &Endpoint| one.status() == EndpointStatus::Enabled;
        if is_enabled(&change.state) && !is_enabled(before) {
            self.begin_at_the_head(transaction, id).await?;
        }
        Ok(change.state)
    }

    /// Removes an endpoint.
    ///
    /// # Errors
    /// [`Stopped::Refused`]; [`Stopped::Failed`].
    pub async fn remove(
        &self,
        transaction: &mut Transaction,
        id: WebhookId,
        by: By,
    ) -> Result<Endpoint, Stopped> {
        let entity = self.endpoint(id).await?;
        let before = entity.state().ok_or(Stopped::Refused(Refusal::Unknown))?;
        let (version, now) = (entity.next_version()?, transaction.now());
        let change = before.remove(by, version, now).map_err(Stopped::Refused)?;
        self.save(transaction, &entity, &change)?;
        Ok(change.state)
    }

    /// Has an endpoint, which the caller has read, sent an event once more; `false` if the feed does not know the event (any
    /// more).
    ///
    /// # Errors
    /// [`Error`] when the feed cannot be read.
    pub async fn redeliver(
        &self,
        transaction: &mut Transaction,
        id: WebhookId,
        event_id: EventId,
    ) -> Result<bool, Error> {
        let place: Option<Place> = self.outbox.row(&Place::key(self.feed, event_id)).await?;
        let Some(place) = place else {
            return Ok(false);
        };
        let key = FeedRow::key(self.feed, place.position);
        let Some(row) = self.outbox.row::<FeedRow>(&key).await? else {
            return Ok(false);
        };
        let retry = Retry {
            redelivery: true,
            postponed: false,
            ..Retry::of(&row, event_id, transaction.now())
        };
        let key = Retry::key(self.table, id, retry.position);
        let before: Option<Retry> = self.outbox.row(&key).await?;
        // One that waits for its next attempt is tried at once, and keeps its schedule from there.
        let condition = match &before {
            None => Condition::Absent,
            Some(before) => before.unchanged(),
        };
        transaction.put(key, &retry, condition)?;
        Ok(true)
    }

    /// Puts a decided change into a transaction.
    ///
    /// # Errors
    /// [`outbox::BuildError`] when the entity is another endpoint's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        entity: &Entity<Endpoint>,
        change: &Change,
    ) -> Result<(), outbox::BuildError> {
        transaction.update(entity, &change.state, vec![change.event.draft()?])?;
        Ok(())
    }

    async fn begin_at_the_head(
        &self,
        transaction: &mut Transaction,
        id: WebhookId,
    ) -> Result<(), Error> {
        let before = self.lane(id).await?;
        let head = Head::read(self.outbox, self.feed).await?;
        let position = head.map_or(0, |head| head.position);
        let lane = Lane::from(id, position, before.as_ref());
        transaction.put(
            Lane::key(self.table, id),
            &lane,
            Lane::unchanged(before.as_ref()),
        )?;
        Ok(())
    }
}
