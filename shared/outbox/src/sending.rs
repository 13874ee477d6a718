//! Sends a transaction until it is known whether it took effect.
//!
//! | the store answers | what follows |
//! |---|---|
//! | written | done |
//! | nothing (timeout, broken connection, 5xx, in progress) | the answer is *lost*: the same bytes are sent again under the same token |
//! | not written, unavailable | the same bytes are sent again |
//! | not written, permanently | an error at once, unless an earlier answer was lost: then only the evidence decides |
//! | cancelled | the sender's [`Evidence`] says what that means |
//!
//! After the last attempt the evidence is read. If an answer was lost, and the evidence shows no trace of the commit or
//! cannot be read, the result is [`Error::Unknown`]. No caller decides again before the evidence was read.

use std::time::Duration;

use async_trait::async_trait;

use crate::{Clock, CommitError, Error, Fault, FaultKind, Prepared, Reason, Store, execute::chain};

/// How often, and with which pauses, the same bytes are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sendings {
    /// How often they are sent again after the first attempt.
    pub resends: u32,
    /// The first pause; it doubles with each attempt.
    pub base: Duration,
    /// The longest pause.
    pub cap: Duration,
}

impl Sendings {
    /// The jitter of a pause, in percent of its length, so that senders that lost answers together do not resend
    /// together.
    const JITTER: u64 = 50;

    /// The pause before resend number `resend`, counted from 1.
    fn pause(&self, resend: u32) -> Duration {
        self.base
            .saturating_mul(1 << resend.min(16).saturating_sub(1))
            .min(self.cap)
    }
}

impl Default for Sendings {
    /// For rows that no other writer contends for: three resends, after 50, 100 and 200 ms.
    fn default() -> Self {
        Self {
            resends: 3,
            base: Duration::from_millis(50),
            cap: Duration::from_millis(640),
        }
    }
}

/// The evidence that shows whether a transaction took effect.
#[async_trait]
pub trait Evidence: Sync {
    /// The outcome of the transaction.
    type Verdict: Send;

    /// The outcome if the store reports that the transaction was written.
    fn written(&self) -> Self::Verdict;

    /// Looks for a trace of the transaction with a consistent read; `None` if there is none.
    ///
    /// # Errors
    /// [`Error`] when the evidence cannot be read.
    async fn look(&self) -> Result<Option<Self::Verdict>, Error>;

    /// The outcome that a cancellation shows. `None` if an earlier attempt can still be under way, or if the same bytes
    /// can succeed later: the same bytes are then sent again.
    ///
    /// # Errors
    /// [`Error`] when the evidence cannot be read, or the store refused the transaction.
    async fn cancelled(
        &self,
        reasons: &[Reason],
        is_answer_lost: bool,
    ) -> Result<Option<Self::Verdict>, Error>;
}

/// Sends the bytes until it is known whether they took effect; see the table at the module's head.
///
/// # Errors
/// [`Error::Unknown`] when an answer was lost and the evidence shows no outcome; otherwise the store's fault.
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
                tracing::warn!(error = %chain(&fault), resend, "the answer to a commit was lost; sending the same bytes again");
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

/// If an answer was lost and the evidence cannot be read, the outcome is unknown.
fn unless_lost(error: Error, is_answer_lost: bool) -> Error {
    match error {
        Error::Fault(fault) if is_answer_lost => Error::Unknown(fault),
        other => other,
    }
}
