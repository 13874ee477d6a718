//! Leases: how many streams are open at the same time, counted across all instances.
//!
//! On Lambda an instance serves one stream, so no memory can count them. A stream therefore takes two *places* before it
//! begins, in one transaction: one of its API key and one of the stack. A place is a row of its own, so streams that
//! open at the same time meet only if they choose the same free place.
//!
//! A lease ends with its stream, or by its time: the instance of a stream cannot outlive it. A client that disconnects
//! ends nothing, because AWS goes on with the invocation. Its place stays taken for as long as the instance is.
//!
//! How could someone get this wrong? A place that is only put if it looks expired could be taken twice by two clocks. So
//! each write requires that the row is still the one that was read.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use events::Timestamp;
use outbox::{
    Clock, CommitError, Condition, Error, Fault, FaultKind, Outbox, Prepared, Query, Reason, Table,
    Write, chain,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::hub::Full;

/// How long a lease lasts beyond its stream. Clocks of instances differ by less.
const GRACE: Duration = Duration::from_secs(2);

/// How long a row is kept after its lease.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// How often the places are read again after others took the chosen ones.
const ATTEMPTS: u32 = 8;

/// When to try again if others kept taking the chosen places.
const AGAIN: Duration = Duration::from_secs(1);

/// The partition of the stack's places.
const OF_STACK: &str = "stack";

/// How many streams may be open at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// In the whole stack, 1 to 1,000.
    pub of_stack: u32,
    /// Of one API key, 1 to 1,000.
    pub of_key: u32,
}

/// A place that is taken, or was.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Place {
    /// Its number in its partition, from 0.
    number: u32,
    /// Identifies this write of the row.
    lease: Uuid,
    /// The API key of the stream.
    key_id: String,
    /// Nobody else takes the place before this time.
    held_until: Timestamp,
    /// When DynamoDB may delete the row, in seconds since 1970.
    expires_at: i64,
}

/// The condition that a row is still the one that this lease wrote.
fn unchanged(lease: Uuid) -> Condition {
    Condition::Equals(vec![("lease", lease.to_string().into())])
}

/// Why a stream does not begin.
#[derive(Debug)]
pub enum NoPlace {
    /// All places are taken; the next one becomes free after this time at the latest.
    Full(Full, Duration),
    /// The places cannot be read or written.
    Store(Error),
}

/// Gives out the places.
#[derive(Clone)]
pub struct Leases {
    outbox: Outbox,
    table: Table,
    limits: Limits,
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leases")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// A partition of places, as it was read.
struct Places {
    pk: String,
    most: u32,
    rows: HashMap<u32, Place>,
}

/// A place to write, and the condition that nobody wrote it since it was read.
struct Chosen {
    pk: String,
    number: u32,
    unchanged: Condition,
}

impl Places {
    /// One of the free places, by chance, so that streams that open at the same time choose different ones.
    ///
    /// # Errors
    /// How long it takes until a place becomes free, if none is.
    fn free(&self, clock: &dyn Clock, now: Timestamp) -> Result<Chosen, Duration> {
        let is_free =
            |number: &u32| (self.rows.get(number)).is_none_or(|place| place.held_until <= now);
        let free: Vec<u32> = (0..self.most).filter(is_free).collect();
        let bound = u64::try_from(free.len()).unwrap_or(u64::MAX);
        let at = usize::try_from(clock.random_below(bound)).unwrap_or_default();
        let Some(number) = free.get(at).copied() else {
            let next = self.rows.values().map(|place| place.held_until.since(now));
            // Rounded up to whole seconds, as `Retry-After` tells them.
            let next = next.min().unwrap_or(AGAIN).as_secs() + 1;
            return Err(Duration::from_secs(next));
        };
        let read = self.rows.get(&number);
        Ok(Chosen {
            pk: self.pk.clone(),
            number,
            unchanged: read.map_or(Condition::Absent, |place| unchanged(place.lease)),
        })
    }
}

impl Leases {
    /// Gives out places of this table.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table, limits: Limits) -> Self {
        Self {
            outbox,
            table,
            limits,
        }
    }

    /// Takes the places of a stream that lives at most this long.
    ///
    /// # Errors
    /// [`NoPlace`].
    pub async fn take(&self, key_id: &str, life: Duration) -> Result<Lease, NoPlace> {
        let clock = Arc::clone(self.outbox.clock());
        for _ in 0..ATTEMPTS {
            let of_key = self.places(format!("key#{key_id}"), self.limits.of_key);
            let of_stack = self.places(OF_STACK.to_owned(), self.limits.of_stack);
            let (of_key, of_stack) =
                futures::try_join!(of_key, of_stack).map_err(NoPlace::Store)?;
            let now = clock.now();
            let free = |places: &Places, full| {
                let free = places.free(&*clock, now);
                free.map_err(|wait| NoPlace::Full(full, wait))
            };
            let chosen = [free(&of_key, Full::OfKey)?, free(&of_stack, Full::All)?];
            let until = now.plus(life).plus(GRACE);
            let held = Held {
                lease: clock.uuid(),
                key_id: key_id.to_owned(),
                until,
            };
            if (self.write(&chosen, &held).await).map_err(NoPlace::Store)? {
                let leases = self.clone();
                let places = chosen.map(|chosen| (chosen.pk, chosen.number));
                return Ok(Lease {
                    leases,
                    places,
                    held,
                });
            }
        }
        Err(NoPlace::Full(Full::All, AGAIN))
    }

    async fn places(&self, pk: String, most: u32) -> Result<Places, Error> {
        let query = Query::partition(&self.table, pk.as_str(), most);
        let (rows, _) = self.outbox.rows::<Place>(&query).await?;
        let rows = rows
            .into_iter()
            .map(|place| (place.number, place))
            .collect();
        Ok(Places { pk, most, rows })
    }

    /// Writes both rows if nobody wrote them since they were read; false if somebody did.
    async fn write(&self, chosen: &[Chosen; 2], held: &Held) -> Result<bool, Error> {
        let writes = chosen.iter().map(|chosen| {
            let key = (self.table).key(chosen.pk.as_str(), format!("place#{:04}", chosen.number));
            let place = Place {
                number: chosen.number,
                lease: held.lease,
                key_id: held.key_id.clone(),
                held_until: held.until,
                expires_at: held.until.plus(KEPT).unix_seconds(),
            };
            Write::put(key, &place, chosen.unchanged.clone())
        });
        let writes = writes.collect::<Result<_, Error>>()?;
        let prepared = Prepared::new(self.outbox.clock().uuid().to_string(), writes);
        let lost = |reason: &Reason| matches!(reason, Reason::ConditionFailed | Reason::Conflict);
        match self.outbox.store().commit(&prepared).await {
            Ok(()) => Ok(true),
            Err(CommitError::Cancelled(reasons)) if reasons.iter().any(lost) => Ok(false),
            Err(CommitError::Cancelled(reasons)) => {
                let why = format!("{reasons:?}");
                Err(Fault::new(FaultKind::Unavailable, "a stream's lease", why).into())
            }
            // If it is unknown whether the places were taken, they stay so until the lease's time is over.
            Err(CommitError::NotWritten(fault) | CommitError::Unknown(fault)) => Err(fault.into()),
        }
    }
}

/// What both rows of a lease say.
struct Held {
    lease: Uuid,
    key_id: String,
    until: Timestamp,
}

/// The places of one stream.
pub struct Lease {
    leases: Leases,
    places: [(String, u32); 2],
    held: Held,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("places", &self.places)
            .field("until", &self.held.until)
            .finish_non_exhaustive()
    }
}

impl Lease {
    /// Gives the places back. If that fails, they become free by their time.
    pub async fn give_back(self) {
        let chosen = self.places.map(|(pk, number)| Chosen {
            pk,
            number,
            unchanged: unchanged(self.held.lease),
        });
        let over = Held {
            until: self.leases.outbox.clock().now(),
            ..self.held
        };
        if let Err(error) = self.leases.write(&chosen, &over).await {
            tracing::warn!(error = chain(&error), "the places of a stream stay taken");
        }
    }
}
