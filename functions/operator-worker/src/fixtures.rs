//! What the tests of the job and of its costs share: a configuration, and who begins an operation.

use events::{Cause, ConsumerName, Text};
use evidence::EvidenceTables;
use letters::{
    operation::By,
    operations::{Operations, Stopped},
    replay::WantedReplay,
};
use outbox::{Decision, Error, Mark, Outbox, Outcome, Table, Transaction};
use topology::Deployment;

use crate::config::Config;

pub(crate) const CONSUMER: &str = "analytics";

/// The table of dead letters and operations.
pub(crate) fn table() -> Table {
    Table::domain("letters")
}

pub(crate) fn config() -> Config {
    Config {
        stack: "mill".to_owned(),
        bus_name: "bus".to_owned(),
        letters: table(),
        evidence: EvidenceTables::new(Table::marks("marks")),
        deployment: Deployment::of_setting("").expect("the spine"),
    }
}

/// Who does something, and why.
pub(crate) fn because(reason: &str) -> By {
    By {
        reason: Text::new(reason).expect("a reason"),
        actor: None,
        key_owner: None,
    }
}

/// The owner of the API key with which operations are begun.
pub(crate) fn owner() -> Text<256> {
    Text::new("on-call").expect("an owner")
}

/// Every event that the consumer gets.
pub(crate) fn every_event() -> WantedReplay {
    WantedReplay {
        consumer: ConsumerName::new(CONSUMER).expect("a name"),
        aggregate: None,
        event_types: None,
        from: None,
        to: None,
        before_it_began: false,
    }
}

/// Decides on operations as a request would. The error is the refusal's text.
pub(crate) async fn execute<T: Send>(
    outbox: &Outbox,
    request: &str,
    decide: impl AsyncFn(&Operations<'_>, &mut Transaction) -> Result<T, Stopped>,
) -> Result<T, String> {
    let mark = Mark::Message {
        consumer: "tests",
        message_id: request.to_owned(),
    };
    let (table, decide) = (&table(), &decide);
    let outcome: Outcome<T, String> = outbox
        .execute::<_, _, Error, _, _>(&mark, &Cause::default(), |mut transaction| async move {
            let operations = Operations { outbox, table };
            match decide(&operations, &mut transaction).await {
                Ok(done) => Ok(Decision::Commit(transaction, done)),
                Err(Stopped::Refused(refusal)) => Ok(Decision::Refuse(refusal.to_string())),
                Err(Stopped::Failed(error)) => Err(error),
            }
        })
        .await
        .expect("executes");
    match outcome {
        Outcome::Committed { value, .. } => Ok(value),
        Outcome::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}", other = matches!(other, Outcome::Contention)),
    }
}
