//! Operations on members: load, decide, save. The API, Flow and all other callers use them. The caller brings the
//! transaction and commits it if the operation succeeds.

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

/// A member, with the version that it has once the transaction is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The member.
    pub member: Member,
    /// The member's version.
    pub version: Sequence,
}

/// What the operations work on.
#[derive(Debug, Clone, Copy)]
pub struct Members<'a> {
    /// Reads the state that operations decide on.
    pub outbox: &'a Outbox,
    /// The domain's table.
    pub table: &'a Table,
}

impl Members<'_> {
    /// The member; empty if there is no such member.
    ///
    /// # Errors
    /// [`Error`] if the member cannot be read.
    pub async fn member(&self, id: &MemberId) -> Result<Entity<Member>, Error> {
        self.outbox.load(self.table, id.as_str()).await
    }

    /// Registers a member, under a new id if the command names none.
    ///
    /// # Errors
    /// The refusals of [`register`], and [`Stopped::Failed`].
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

    /// Changes what the patch names. If that changes nothing, nothing is written.
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
