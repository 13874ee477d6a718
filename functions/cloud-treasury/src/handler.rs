//! What the treasury does about an event: counts it, then looks whether the reserve still suffices.

use async_trait::async_trait;
use cloud::{
    Rate,
    backing::{Alert, Backing, Figures, ID, Step, step},
    totals::{self, Snapshot},
};
use consumer::{Failure, Handler, Received};
use events::{Cause, contracts};
use outbox::{Decision, Entity, Mark, Outbox, Outcome, Table, Transaction};

/// How often the second look is repeated while others keep opening and closing episodes.
const LOOKS: u32 = 8;

events::subscription! {
    /// What the treasury listens to.
    pub enum Event {
        /// Credits came into being.
        Minted(contracts::cloud::Minted) by Mark,
        /// Credits ceased to be.
        Burned(contracts::cloud::Burned) by Mark,
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
}

impl Treasury {
    /// Over the domain's table, at a rate.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table, rate: Rate) -> Self {
        Self {
            outbox,
            table,
            rate,
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
                let key = Alert::key(&self.table, closing.backing.episode);
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
        let event_id = received.envelope.event_id;
        match &received.event {
            Event::Minted(minted) => {
                totals::add_minted(&mut transaction, &self.table, event_id, minted);
            }
            Event::Burned(burned) => {
                totals::add_burned(&mut transaction, &self.table, event_id, burned);
            }
            // Nothing to count: the account's own item is the reserve. The mark alone.
            Event::AccountChanged(_) => {}
        }
        Ok(transaction)
    }

    /// The second look. It comes after the commit, so that whoever commits last sees what all have counted, and before
    /// the acknowledgement, so that a crash in between repeats it.
    async fn settle(&self, received: &Received<Event>) -> Result<(), Failure> {
        let cause = Cause::event(&received.envelope);
        for _ in 0..LOOKS {
            let look = self.look().await?;
            let Some(mark) = look.step.mark() else {
                return Ok(());
            };
            let (mark, mut seen) = (&mark, Some(look));
            let outcome: Outcome<(), ()> = self
                .outbox
                .execute(mark, &cause, |transaction| {
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
