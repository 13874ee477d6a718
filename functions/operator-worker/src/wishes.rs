//! What operators wish about consumers: Lambda is to poll their lanes or not to.
//!
//! The API has told Lambda already, right after it wrote the wish. This is for what came between: it died, Lambda was busy or
//! throttled, or a deployment began to poll a paused consumer's lanes again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use consumer::{Failure, schedule::Paged};
use events::Timestamp;
use futures::future::join_all;
use letters::{Consumers, pause::Wish};
use mappings::{Applied, Mappings, Polling};
use outbox::{Fault, Outbox, Transaction};
use topology::physical_name;

use crate::config::Config;

/// How long an instance does not look again: a pass has many pages, and a long one lasts several runs.
const EVERY: Duration = Duration::from_secs(30);

/// How long a page waits for Lambda at most. The rest of its time is the page's own.
const WITHIN: Duration = Duration::from_secs(5);

/// How many consumers are looked at at the same time. Lambda allows 15 calls of this kind a second, which deployments need,
/// too (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>, read 2026-11-29).
const AT_ONCE: usize = 4;

/// How many wishes a page removes at most: its transaction must hold them besides its own writes.
const REMOVED_AT_ONCE: usize = 10;

/// Has Lambda do what is wished.
pub struct Wishes {
    outbox: Outbox,
    mappings: Arc<dyn Mappings>,
    config: Config,
    /// When this instance looked last. It only saves calls.
    looked_at: Mutex<Option<Timestamp>>,
}

impl std::fmt::Debug for Wishes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wishes").finish_non_exhaustive()
    }
}

/// What was done: counts and notes for the run's record.
#[derive(Debug, Default)]
pub(crate) struct Done {
    counts: BTreeMap<&'static str, u64>,
    notes: Vec<String>,
}

impl Done {
    fn count(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    /// The page with these counts and notes.
    pub(crate) fn told_by<C>(self, page: Paged<C>) -> Paged<C> {
        let page = self
            .counts
            .into_iter()
            .fold(page, |page, (name, count)| page.count(name, count));
        self.notes.into_iter().fold(page, Paged::note)
    }
}

impl Wishes {
    /// What is wished in the stack of this configuration.
    #[must_use]
    pub fn new(outbox: Outbox, mappings: Arc<dyn Mappings>, config: Config) -> Self {
        Self {
            outbox,
            mappings,
            config,
            looked_at: Mutex::default(),
        }
    }

    fn looked_at(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.looked_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Has Lambda do what is wished, unless this instance has just looked. Removes the wishes about resumed consumers that
    /// are fulfilled. What Lambda refuses is noted and tried again later: it fails no page, for a page that cannot pause a
    /// consumer can still send dead letters.
    ///
    /// # Errors
    /// [`Failure`] when the wishes cannot be read.
    pub(crate) async fn fulfil(&self, transaction: &mut Transaction) -> Result<Done, Failure> {
        let now = self.outbox.clock().now();
        let is_recent = self
            .looked_at()
            .is_some_and(|before| now.since(before) < EVERY);
        if is_recent {
            return Ok(Done::default());
        }
        let consumers = Consumers {
            outbox: &self.outbox,
            table: &self.config.letters,
        };
        let wishes = consumers.wishes().await?;
        *self.looked_at() = Some(now);
        let mut done = Done::default();
        let Ok(answers) = tokio::time::timeout(WITHIN, self.apply_all(&wishes)).await else {
            let seconds = WITHIN.as_secs();
            tracing::warn!(seconds, "Lambda is slow: what is paused may not be");
            done.notes
                .push(format!("Lambda took longer than {seconds} s"));
            return Ok(done);
        };
        let mut removable = REMOVED_AT_ONCE;
        for (wish, answer) in wishes.iter().zip(answers) {
            let Wish {
                consumer, status, ..
            } = wish;
            match answer {
                Ok(Applied::Settled) if wish.is_over(now) && removable > 0 => {
                    wish.remove(transaction, &self.config.letters);
                    removable -= 1;
                }
                Ok(Applied::Settled | Applied::Changing) => {}
                Ok(Applied::Asked) => {
                    done.count(if wish.is_paused() {
                        "paused"
                    } else {
                        "resumed"
                    });
                    tracing::info!(%consumer, status = status.as_str(), "the mappings were not as wished");
                }
                Ok(Applied::Busy) => done.count("busy"),
                Err(fault) => {
                    done.count("not_applied");
                    let error = outbox::chain(&fault);
                    tracing::warn!(%consumer, status = status.as_str(), error, "the mappings are not as wished");
                    done.notes
                        .push(format!("{consumer} is not {status} yet: {error}"));
                }
            }
        }
        Ok(done)
    }

    async fn apply_all(&self, wishes: &[Wish]) -> Vec<Result<Applied, Fault>> {
        let mut answers = Vec::with_capacity(wishes.len());
        for some in wishes.chunks(AT_ONCE) {
            let asked = some.iter().map(|wish| self.apply(wish));
            answers.extend(join_all(asked).await);
        }
        answers
    }

    async fn apply(&self, wish: &Wish) -> Result<Applied, Fault> {
        let name = wish.consumer.as_str();
        let deployed = self.config.deployment.functions();
        if !deployed.iter().any(|function| function.name == name) {
            // It was removed while it was paused. There is nothing to poll.
            return Ok(Applied::Settled);
        }
        let wanted = Polling::paused(wish.is_paused());
        let function = physical_name(&self.config.stack, name);
        mappings::apply(&*self.mappings, &function, wanted).await
    }
}
