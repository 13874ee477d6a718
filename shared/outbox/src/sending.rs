//! Sending a transaction until it is known whether it took effect.
//!
//! | the store answers | what follows |
//! |---|---|
//! | written | done |
//! | nothing (timeout, broken connection, 5xx, in progress) | the answer is *lost*: the same bytes go again under the same token |
//! | not written, unavailable | the same bytes go again |
//! | not written, for good | an error at once, unless an answer was lost before: then only the evidence can tell |
//! | cancelled | the sender's [`Evidence`] says what that means |
//!
//! After the last sending the evidence is read. A commit whose answer was lost and of which no trace is found, or cannot be
//! looked for, is [`Error::Unknown`]; nobody decides again before that.

use std::time::Duration;

use async_trait::async_trait;

use crate::{Clock, CommitError, Error, Fault, FaultKind, Prepared, Reason, Store, execute::chain};

/// How often, and how far apart, the same bytes are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sendings {
    /// Times they are sent again after the first.
    pub resends: u32,
    /// First pause; doubles with each sending.
    pub base: Duration,
    /// Longest pause.
    pub cap: Duration,
}

impl Sendings {
    /// A lost answer is not asked for at once: so far a pause strays from its length, in percent of it.
    const JITTER: u64 = 50;

    /// The pause before sending number `resend` again, from 1.
    fn pause(&self, resend: u32) -> Duration {
        self.base
            .saturating_mul(1 << resend.min(16).saturating_sub(1))
            .min(self.cap)
    }
}

impl Default for Sendings {
    /// For rows that nobody else wants: three times more, after 50, 100 and 200 ms.
    fn default() -> Self {
        Self {
            resends: 3,
            base: Duration::from_millis(50),
            cap: Duration::from_millis(640),
        }
    }
}

/// By what it is seen whether a transaction took effect.
#[async_trait]
pub trait Evidence: Sync {
    /// What became of the transaction.
    type Verdict: Send;

    /// The store answered that it was written.
    fn written(&self) -> Self::Verdict;

    /// Looks for a trace of it, consistently; `None` where there is none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    async fn look(&self) -> Result<Option<Self::Verdict>, Error>;

    /// What a cancellation means; `None` while an earlier sending may still be under way, or where the same bytes may
    /// do better: they are sent again.
    ///
    /// # Errors
    /// [`Error`] when the evidence cannot be read, or the store refused the transaction.
    async fn cancelled(
        &self,
        reasons: &[Reason],
        is_answer_lost: bool,
    ) -> Result<Option<Self::Verdict>, Error>;
}

/// Sends the bytes until it is known whether they took effect, see the module's table.
///
/// # Errors
/// [`Error::Unknown`] when an answer was lost and the evidence does not tell; else the store's fault.
pub async fn send_until_known<E: Evidence>(
    store: &dyn Store,
    clock: &dyn Clock,
    prepared: &Prepared,
    sendings: Sendings,
    evidence: &E,
) -> Result<E::Verdict, Error> {
    let mut last: Option<Fault> = None;
    let mut is_answer_lost = false;
    for resend in 0..=sendings.resends {
        if resend > 0 {
            clock
                .sleep_jittered(sendings.pause(resend), Sendings::JITTER)
                .await;
        }
        match store.commit(prepared).await {
            Ok(()) => return Ok(evidence.written()),
            Err(CommitError::Unknown(fault)) => {
                tracing::warn!(error = %chain(&fault), resend, "answer of a commit lost, sending the same bytes again");
                is_answer_lost = true;
                last = Some(fault);
            }
            Err(CommitError::NotWritten(fault)) => {
                if !is_answer_lost && fault.kind != FaultKind::Unavailable {
                    return Err(fault.into());
                }
                last = Some(fault);
            }
            Err(CommitError::Cancelled(reasons)) => {
                match evidence.cancelled(&reasons, is_answer_lost).await {
                    Ok(Some(verdict)) => return Ok(verdict),
                    Ok(None) => {}
                    Err(error) => return Err(unless_lost(error, is_answer_lost)),
                }
            }
        }
    }
    match evidence.look().await {
        Ok(Some(verdict)) => return Ok(verdict),
        Ok(None) => {}
        Err(error) => return Err(unless_lost(error, is_answer_lost)),
    }
    let fault = last.unwrap_or_else(|| {
        Fault::new(
            FaultKind::Unavailable,
            "dynamodb TransactWriteItems",
            "the commit stayed in progress",
        )
    });
    Err(if is_answer_lost {
        Error::Unknown(fault)
    } else {
        Error::Fault(fault)
    })
}

/// What cannot be looked at stays unknown where an answer was lost.
fn unless_lost(error: Error, is_answer_lost: bool) -> Error {
    match error {
        Error::Fault(fault) if is_answer_lost => Error::Unknown(fault),
        other => other,
    }
}
