//! A decided change of a state, with the event that tells of it.

use events::{Cause, Contract, Draft, IdempotencyKey, Sequence};
use outbox::{Entity, Error, State, Transaction};

/// A decided change: the state after it, and its event. It has none if the state has these values already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<S, E> {
    state: S,
    event: Option<E>,
}

/// A state with the version that its row has once the transaction is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done<S> {
    /// The state.
    pub state: S,
    /// Its version.
    pub version: Sequence,
}

impl<S: State + Clone> Done<S> {
    /// What is stored; `None` if there is no row.
    ///
    /// # Errors
    /// [`Error`] if the row's version is out of range.
    pub fn stored(entity: &Entity<S>) -> Result<Option<Self>, Error> {
        let Some(state) = entity.state().cloned() else {
            return Ok(None);
        };
        let version = Sequence::new(entity.version())?;
        Ok(Some(Self { state, version }))
    }
}

impl<S: State + Clone, E: Contract> Change<S, E> {
    pub(crate) fn new(state: S, event: E) -> Self {
        let event = Some(event);
        Self { state, event }
    }

    pub(crate) fn none(state: S) -> Self {
        Self { state, event: None }
    }

    /// The state after the change.
    #[must_use]
    pub fn state(&self) -> &S {
        &self.state
    }

    /// The event; `None` if nothing changes.
    #[must_use]
    pub fn event(&self) -> Option<&E> {
        self.event.as_ref()
    }

    /// Puts the state and its event into a transaction, which checks the version and numbers the event. Without an event it
    /// puts nothing there.
    ///
    /// # Errors
    /// [`Error`] if the entity is another one's.
    pub fn save(self, transaction: &mut Transaction, entity: &Entity<S>) -> Result<Done<S>, Error> {
        self.save_caused(transaction, entity, None)
    }

    /// Like [`Self::save`], with an event that something else caused than what the transaction is about, if there is a cause.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub(crate) fn save_caused(
        self,
        transaction: &mut Transaction,
        entity: &Entity<S>,
        cause: Option<&Cause>,
    ) -> Result<Done<S>, Error> {
        let state = self.state;
        let Some(event) = self.event else {
            let version = Sequence::new(entity.version())?;
            return Ok(Done { state, version });
        };
        let version = entity.next_version()?;
        let mut draft = numbered(Draft::of(&event)?, version)?;
        if let Some(cause) = cause {
            draft = draft.caused_by(cause);
        }
        transaction.update(entity, &state, vec![draft])?;
        Ok(Done { state, version })
    }
}

/// The draft of the one event of a change, named by its aggregate and the version that the change leads to.
pub(crate) fn numbered(draft: Draft, version: Sequence) -> Result<Draft, Error> {
    let fact = format!("{}/{version}", draft.aggregate().replace('#', "/"));
    Ok(draft.with_idempotency_key(IdempotencyKey::new(fact)?))
}
