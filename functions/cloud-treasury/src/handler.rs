//! The handler of `cloud-treasury`: adds an event to the total of outstanding credits, then checks whether the reserve
//! still backs it.

use std::{
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use cloud::{
    Rate,
    backing::{Alert, Backing, Figures, ID, Step, step},
    totals::{self, Snapshot},
};
use consumer::{Failure, Handler, Received};
use events::Cause;
use outbox::{Decision, Entity, Mark, Outbox, Outcome, Table, Transaction};
use tokio::sync::Mutex;

/// The maximum number of backing checks after one commit, while other instances keep opening and closing episodes.
const OBSERVATIONS: u32 = 8;

/// The events that the consumer handles, as declared.
pub use topology::functions::cloud_treasury::Event;

/// The backing as it was read once, and the step that follows from it.
struct Observation {
    step: Step,
    snapshot: Snapshot,
    entity: Entity<Backing>,
}

/// The consumer `cloud-treasury`.
#[derive(Debug)]
pub struct Treasury {
    outbox: Outbox,
    table: Table,
    rate: Rate,
    turns: Turns,
}

/// Lets concurrent callers share one run of an operation. Each caller needs a run that starts after its call. Callers
/// that wait during a run share the next one.
#[derive(Debug, Default)]
struct Turns {
    /// The number of runs that have started.
    begun: AtomicU64,
    /// The number of the last run that succeeded.
    done: Mutex<u64>,
}

impl Turns {
    /// Returns once a run that started after this call has succeeded. It may be another caller's run.
    async fn after_now<E, Fut>(&self, run: impl FnOnce() -> Fut) -> Result<(), E>
    where
        Fut: Future<Output = Result<(), E>>,
    {
        let begun_before = self.begun.load(Ordering::SeqCst);
        let mut done = self.done.lock().await;
        if *done > begun_before {
            return Ok(());
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        run().await?;
        *done = number;
        Ok(())
    }
}

impl Treasury {
    /// Creates the consumer over the domain's table, with the value of a credit.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table, rate: Rate) -> Self {
        Self {
            outbox,
            table,
            rate,
            turns: Turns::default(),
        }
    }

    /// Reads reserve, totals and alert, and derives the step that is due now.
    async fn observe(&self) -> Result<Observation, Failure> {
        // The alert is read first. If another instance takes a step between the two reads, this one's transaction
        // conflicts instead of repeating the step.
        let entity = self.outbox.load::<Backing>(&self.table, ID).await?;
        let snapshot = Snapshot::of(&self.outbox, &self.table).await?;
        let figures = Figures::of(&snapshot.reading, self.rate)?;
        Ok(Observation {
            step: step(&figures, entity.state()),
            snapshot,
            entity,
        })
    }

    /// Decides the step of this mark from the observation or, after a conflict, from a new one.
    async fn decide_step(
        &self,
        mark: &Mark,
        seen: Option<Observation>,
        mut transaction: Transaction,
    ) -> Result<Decision<(), ()>, Failure> {
        let Observation {
            step,
            snapshot,
            entity,
        } = match seen {
            Some(observation) => observation,
            None => self.observe().await?,
        };
        if step.mark().as_ref() != Some(mark) {
            return Ok(Decision::Refuse(()));
        }
        match &step {
            Step::Open(opening) => {
                opening
                    .save(&mut transaction, &self.table, &entity)
                    .map_err(outbox::Error::from)?;
            }
            Step::Close(closing) => {
                let key = Alert::key(&self.table, closing.backing.episode());
                let alert = self.outbox.row(&key).await?;
                closing
                    .save(&mut transaction, &self.table, &entity, alert)
                    .map_err(outbox::Error::from)?;
            }
            Step::Stay => return Ok(Decision::Refuse(())),
        }
        snapshot.hold(&mut transaction);
        Ok(Decision::Commit(transaction, ()))
    }

    /// Opens or closes episodes until no step is due.
    async fn watch(&self, cause: &Cause) -> Result<(), Failure> {
        for _ in 0..OBSERVATIONS {
            let observation = self.observe().await?;
            let Some(mark) = observation.step.mark() else {
                return Ok(());
            };
            let (mark, mut seen) = (&mark, Some(observation));
            let outcome: Outcome<(), ()> = self
                .outbox
                .execute(mark, cause, |transaction| {
                    self.decide_step(mark, seen.take(), transaction)
                })
                .await?;
            match outcome {
                Outcome::Committed { .. } => tracing::info!(?mark, "backing episode"),
                // Another instance took the step, or it is no longer due: observe again.
                Outcome::AlreadyDone(_) | Outcome::Refused(()) => {}
                Outcome::Contention => {
                    return Err(Failure::unavailable(
                        "the totals kept changing during the backing check",
                    ));
                }
            }
        }
        Err(Failure::retry("backing episodes keep opening and closing"))
    }
}

#[async_trait]
impl Handler for Treasury {
    const NAME: &'static str = topology::functions::cloud_treasury::FUNCTION.name;
    type Event = Event;

    async fn decide(
        &self,
        received: &Received<Event>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        let change = match &received.event {
            Event::Minted(minted) => minted.amount.decimal(),
            Event::Burned(burned) => -burned.amount.decimal(),
            Event::Redeemed(redeemed) => -redeemed.amount.decimal(),
            // There is nothing to count: the account's own item is the reserve. The transaction writes only the mark.
            Event::AccountChanged(_) => return Ok(transaction),
        };
        let event_id = received.envelope.event_id;
        totals::add(&mut transaction, &self.table, event_id, change);
        Ok(transaction)
    }

    /// Checks the backing. The check runs after the commit, so the last instance to commit sees what all have counted.
    /// It runs before the message is acknowledged, so a crash in between repeats it. The events of a batch share one
    /// check: it sees everything that was committed before it started.
    async fn after_commit(&self, received: &Received<Event>) -> Result<(), Failure> {
        let cause = Cause::event(&received.envelope);
        self.turns.after_now(|| self.watch(&cause)).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn those_who_wait_share_a_run_that_began_after_they_came() {
        let turns = Turns::default();
        let runs = Cell::new(0);
        let run = || async {
            runs.set(runs.get() + 1);
            tokio::task::yield_now().await;
            Ok::<_, ()>(())
        };
        let all = (0..10).map(|_| turns.after_now(run));
        for answer in futures::future::join_all(all).await {
            answer.expect("done");
        }
        // The first run started before the others called. One more run serves all of them.
        assert_eq!(runs.get(), 2);
        turns.after_now(run).await.expect("done");
        assert_eq!(
            runs.get(),
            3,
            "no caller is served by a run that started before its call"
        );
    }

    #[tokio::test]
    async fn a_run_that_fails_serves_nobody_but_itself() {
        let turns = Turns::default();
        let runs = Cell::new(0);
        let run = || async {
            runs.set(runs.get() + 1);
            tokio::task::yield_now().await;
            if runs.get() == 1 { Err("down") } else { Ok(()) }
        };
        let all = (0..3).map(|_| turns.after_now(run));
        let answers = futures::future::join_all(all).await;
        assert_eq!(answers, [Err("down"), Ok(()), Ok(())]);
        assert_eq!(runs.get(), 2);
    }
}
