//! The numbers of orders and of quotes. A process takes a block of them at a time, so that no two requests wait for each other's
//! number.

use std::{
    marker::PhantomData,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use events::{OrderNumber, QuoteNumber};
use outbox::{
    CommitError, Condition, Error, Fault, FaultKind, Key, Outbox, Prepared, Reason, Table, Write,
};
use serde::{Deserialize, Serialize};

/// How many numbers a block has. Those that a process has left when it ends are never used.
const BLOCK: u64 = 100;

/// How often a block is asked for while other processes take theirs.
const TRIES: u32 = 10;

/// The pause before it is asked for again, and how far the pause deviates from it, in percent.
const PAUSE: Duration = Duration::from_millis(20);
const JITTER: u64 = 100;

/// A kind of number that is given once.
pub trait Numbered {
    /// The partition of the row that says how many were taken.
    const PARTITION: &'static str;

    /// The number as people read it.
    fn numbered(number: u64) -> Self;
}

impl Numbered for OrderNumber {
    const PARTITION: &'static str = "order_numbers";

    fn numbered(number: u64) -> Self {
        Self::of(number)
    }
}

impl Numbered for QuoteNumber {
    const PARTITION: &'static str = "quote_numbers";

    fn numbered(number: u64) -> Self {
        Self::of(number)
    }
}

/// How many numbers were taken so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Taken {
    taken: u64,
}

/// The numbers of a kind that this process has taken and not yet given.
#[derive(Debug)]
pub struct Numbers<N> {
    left: Mutex<Range<u64>>,
    kind: PhantomData<fn() -> N>,
}

impl<N> Default for Numbers<N> {
    fn default() -> Self {
        Self {
            left: Mutex::default(),
            kind: PhantomData,
        }
    }
}

impl<N: Numbered> Numbers<N> {
    fn left(&self) -> MutexGuard<'_, Range<u64>> {
        // A range is whole at every moment, so a thread that panicked leaves no harm.
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that nothing else of its kind has. Every call gives another one, also for a request that comes again.
    ///
    /// # Errors
    /// [`Error`] when no block can be taken. If the answer to the taking was lost, its block is left out.
    pub async fn next(&self, outbox: &Outbox, table: &Table) -> Result<N, Error> {
        let given = self.left().next();
        if let Some(number) = given {
            return Ok(N::numbered(number));
        }
        let mut block = take(outbox, &table.key(N::PARTITION, "taken")).await?;
        let first = block.next().unwrap_or(block.end);
        // Two requests can have taken a block at the same time: the numbers of the one that came first are left out.
        *self.left() = block;
        Ok(N::numbered(first))
    }
}

/// Takes the next block.
async fn take(outbox: &Outbox, key: &Key) -> Result<Range<u64>, Error> {
    for _ in 0..TRIES {
        let before: Option<Taken> = outbox.row(key).await?;
        let taken = before.map_or(0, |before| before.taken);
        let condition = if before.is_none() {
            Condition::Absent
        } else {
            Condition::Equals(vec![("taken", taken.into())])
        };
        let after = Taken {
            taken: taken + BLOCK,
        };
        let write = Write::put(key.clone(), &after, condition)?;
        let token = outbox.clock().uuid().to_string();
        let prepared = Prepared::new(token, vec![write]);
        match outbox.store().commit(&prepared).await {
            Ok(()) => return Ok(taken + 1..after.taken + 1),
            // Another process takes this block, or has taken it.
            Err(CommitError::Cancelled(reasons)) => {
                if let [Reason::Other(code)] = &reasons[..] {
                    return Err(Error::Refused(code.clone()));
                }
                outbox.clock().sleep_jittered(PAUSE, JITTER).await;
            }
            Err(CommitError::NotWritten(fault)) => return Err(fault.into()),
            Err(CommitError::Unknown(fault)) => return Err(Error::Unknown(fault)),
        }
    }
    let kind = FaultKind::Unavailable;
    let busy = "other processes kept taking numbers";
    Err(Fault::new(kind, "take numbers", busy).into())
}

#[cfg(test)]
mod tests;
