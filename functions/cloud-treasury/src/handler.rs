//! What the treasury does about an event: counts it, then looks whether the reserve still suffices.

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
use events::{Cause, contracts};
use outbox::{Decision, Entity, Mark, Outbox, Outcome, Table, Transaction};
use tokio::sync::Mutex;

/// How often the second look is repeated while others keep opening and closing episodes.
const LOOKS: u32 = 8;

events::subscription! {
    /// What the treasury listens to.
    pub enum Event {
        /// Credits came into being.
        Minted(contracts::cloud::Minted) by Mark,
        /// Credits ceased to be.
        Burned(contracts::cloud::Burned) by Mark,
        /// Credits were used up.
        Redeemed(contracts::cloud::Redeemed) by Mark,
        /// The reserve may have moved.
        AccountChanged(contracts::treasury::AccountChanged) by Mark,
    }
}

/// The backing as it was read at one time.
struct Look {
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

/// Lets many who each need something done *after now* share it: whoever waits while it is done once more is served by a
/// run that began after they came.
#[derive(Debug, Default)]
struct Turns {
    /// Runs begun so far.
    begun: AtomicU64,
    /// The number of the last run that succeeded.
    done: Mutex<u64>,
}

impl Turns {
    /// Answers when a run that began after this call has succeeded, its own or another's.
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
    /// Over the domain's table, at a rate.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table, rate: Rate) -> Self {
        Self {
            outbox,
            table,
            rate,
            turns: Turns::default(),
        }
    }

    /// What the figures ask for now, with everything it was decided on.
    async fn look(&self) -> Result<Look, Failure> {
        // The alert first: a step that somebody takes between the two readings makes ours conflict, not repeat.
        let entity = self.outbox.load::<Backing>(&self.table, ID).await?;
        let snapshot = Snapshot::of(&self.outbox, &self.table).await?;
        let figures = Figures::of(&snapshot.reading, self.rate)?;
        Ok(Look {
            step: step(&figures, entity.state()),
            snapshot,
            entity,
        })
    }

    /// The step whose mark is held, decided on what was seen or, after a conflict, on a new look.
    async fn decide_step(
        &self,
        mark: &Mark,
        seen: Option<Look>,
        mut transaction: Transaction,
    ) -> Result<Decision<(), ()>, Failure> {
        let Look {
            step,
            snapshot,
            entity,
        } = match seen {
            Some(look) => look,
            None => self.look().await?,
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

    /// Opens or closes the episode that the figures ask for, until they ask for nothing.
    async fn watch(&self, cause: &Cause) -> Result<(), Failure> {
        for _ in 0..LOOKS {
            let look = self.look().await?;
            let Some(mark) = look.step.mark() else {
                return Ok(());
            };
            let (mark, mut seen) = (&mark, Some(look));
            let outcome: Outcome<(), ()> = self
                .outbox
                .execute(mark, cause, |transaction| {
                    self.decide_step(mark, seen.take(), transaction)
                })
                .await?;
            match outcome {
                Outcome::Committed { .. } => tracing::info!(?mark, "backing episode"),
                // Somebody else took the step, or it is no longer called for: look again.
                Outcome::AlreadyDone(_) | Outcome::Refused(()) => {}
                Outcome::Contention => {
                    return Err(Failure::retry(
                        "the totals kept changing under the backing's look",
                    ));
                }
            }
        }
        Err(Failure::retry("backing episodes keep opening and closing"))
    }
}

#[async_trait]
impl Handler for Treasury {
    const NAME: &'static str = "cloud-treasury";
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
            // Nothing to count: the account's own item is the reserve. The mark alone.
            Event::AccountChanged(_) => return Ok(transaction),
        };
        let event_id = received.envelope.event_id;
        totals::add(&mut transaction, &self.table, event_id, change);
        Ok(transaction)
    }

    /// The second look. It comes after the commit, so that whoever commits last sees what all have counted, and before
    /// the acknowledgement, so that a crash in between repeats it. The events of a batch share it: what has been committed
    /// before a look began is what it sees.
    async fn settle(&self, received: &Received<Event>) -> Result<(), Failure> {
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
        // The first began before the others came; one more serves all of them.
        assert_eq!(runs.get(), 2);
        turns.after_now(run).await.expect("done");
        assert_eq!(runs.get(), 3, "nobody is served by what began before");
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
