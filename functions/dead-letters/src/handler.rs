//! Each message becomes a letter's row, or changes it, in one transaction with the message's mark. SQS deletes the message
//! only after that.

use async_trait::async_trait;
use consumer::{
    Failure,
    messages::{AnyMessage, MessageHandler},
};
use events::Cause;
use letters::{Body, Drained, Letter, QueueMessage};
use outbox::{Decision, Entity, Error, Mark, Outbox, Outcome, Table, Transaction};

/// The function's name, which is in the marks of its messages: never rename it.
const NAME: &str = topology::functions::dead_letters::FUNCTION.name;

/// Writes letters.
#[derive(Debug)]
pub struct DeadLetters {
    outbox: Outbox,
    table: Table,
}

/// What a message was to its letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drainage {
    /// It made a letter, or changed one.
    Written,
    /// It is a copy of a message that the letter already has.
    Copy,
    /// This message was handled before.
    Again,
}

impl DeadLetters {
    /// Writes letters to this table.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table) -> Self {
        Self { outbox, table }
    }

    /// Writes a message into its letter's row, once.
    ///
    /// # Errors
    /// [`Failure`] when the store fails or other messages about the same letter keep changing it. The same message is safe
    /// to drain again.
    pub async fn drain(&self, message: &QueueMessage) -> Result<Drainage, Failure> {
        let mark = Mark::Message {
            consumer: NAME,
            message_id: message.message_id.clone(),
        };
        let decide = |transaction| self.decide(message, transaction);
        let outcome: Outcome<Drainage, std::convert::Infallible> = self
            .outbox
            .execute::<_, _, Error, _, _>(&mark, &Cause::default(), decide)
            .await?;
        match outcome {
            Outcome::Committed { value, .. } => Ok(value),
            Outcome::AlreadyDone(_) => Ok(Drainage::Again),
            Outcome::Refused(never) => match never {},
            Outcome::Contention => Err(Failure::retry("other messages keep changing the letter")),
        }
    }

    async fn decide(
        &self,
        message: &QueueMessage,
        mut transaction: Transaction,
    ) -> Result<Decision<Drainage, std::convert::Infallible>, Error> {
        let now = transaction.now();
        let drained = Drained::read(message, now);
        let id = drained.letter_id();
        let entity: Entity<Letter> = self.outbox.load(&self.table, id.as_str()).await?;
        let letter = match entity.state() {
            None => Some(Letter::first(&drained, now)),
            Some(letter) => letter.again(&drained, now),
        };
        let Some(letter) = letter else {
            return Ok(Decision::Commit(transaction, Drainage::Copy));
        };
        transaction.update(&entity, &letter, Vec::new())?;
        Body::of(message, now).save(&mut transaction, &self.table, &id)?;
        tracing::info!(
            letter_id = %letter.letter_id,
            consumer = letter.consumer,
            reason = letter.reason,
            event_id = letter.event_id,
            event_type = letter.event_type,
            state = letter.state.as_str(),
            parked = letter.parked,
            "a dead letter"
        );
        Ok(Decision::Commit(transaction, Drainage::Written))
    }
}

#[async_trait]
impl MessageHandler for DeadLetters {
    const NAME: &'static str = NAME;

    async fn handle(&self, message: &AnyMessage) -> Result<(), Failure> {
        let message = QueueMessage {
            message_id: message.message_id.clone(),
            body: message.body.clone(),
            attributes: message.attributes.clone(),
            source_arn: message.moved_from.clone(),
        };
        let drainage = self.drain(&message).await?;
        tracing::debug!(message_id = message.message_id, ?drainage, "drained");
        Ok(())
    }
}

#[cfg(test)]
mod tests;
