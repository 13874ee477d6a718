//! What is done with members: load, decide, save. The API, Flow and every other caller run these; a caller brings the
//! transaction, and commits it where an operation succeeds.

use events::{MemberId, Sequence};
use outbox::{Entity, Error, Outbox, Table, Transaction};

use crate::{Member, Patch, Patched, Refusal, Registration, patch, register};

/// Why an operation wrote nothing.
pub type Stopped = domain::Stopped<Refusal>;

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A member with the version it has once the transaction is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The member.
    pub member: Member,
    /// Its version.
    pub version: Sequence,
}

/// What operations work on.
#[derive(Debug, Clone, Copy)]
pub struct Members<'a> {
    /// Reads what is decided on.
    pub outbox: &'a Outbox,
    /// The domain's table.
    pub table: &'a Table,
}

impl Members<'_> {
    /// The member; empty where there is none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn member(&self, id: &MemberId) -> Result<Entity<Member>, Error> {
        self.outbox.load(self.table, id.as_str()).await
    }

    /// Registers a member, under a new id where none is asked for.
    ///
    /// # Errors
    /// What [`register`] refuses; [`Stopped::Failed`].
    pub async fn register(
        &self,
        transaction: &mut Transaction,
        command: Registration,
    ) -> Result<Done, Stopped> {
        let member_id = match &command.member_id {
            Some(given) => given.clone(),
            None => MemberId::new(transaction.uuid().to_string())?,
        };
        let entity = self.member(&member_id).await?;
        let (version, now) = (entity.next_version()?, transaction.now());
        let registering = register(entity.state(), member_id, command, version, now)?;
        registering.save(transaction, &entity)?;
        let member = registering.member;
        Ok(Done { member, version })
    }

    /// Changes what a patch names; where everything was so already, nothing is written.
    ///
    /// # Errors
    /// [`Refusal::Unknown`]; [`Stopped::Failed`].
    pub async fn patch(
        &self,
        transaction: &mut Transaction,
        member_id: &MemberId,
        command: Patch,
    ) -> Result<Done, Stopped> {
        let entity = self.member(member_id).await?;
        let member = entity.state().ok_or_else(|| Refusal::Unknown {
            member_id: member_id.clone(),
        })?;
        let next = entity.next_version()?;
        match patch(member, command, next, transaction.now()) {
            Patched::Same => Ok(Done {
                member: member.clone(),
                version: Sequence::new(entity.version())?,
            }),
            Patched::Changed(change) => {
                change.save(transaction, &entity)?;
                let member = change.member;
                let version = next;
                Ok(Done { member, version })
            }
        }
    }
}
