//! What an operator did, as the operator's functions write it: an operation that was paused, resumed and finished, one that
//! is under way, and a consumer that was paused, resumed and paused again.

use events::{
    Cause, ConsumerName, OperationId, Text,
    contracts::operation::{OperationAct, OperationChange, OperationOutcome},
};
use letters::{
    ConsumerStatus::{self, Paused, Running},
    LetterId, Operation,
    operation::{Begin, By, Change},
    pause::{ConsumerState, PausedBy},
};
use outbox::{Decision, Entity, Error, Outcome, Transaction};
use testkit::flow::Site;

use super::{World, letters_table};

/// Commits the operator's acts, while the rest of the pipeline stands still.
pub(super) fn act(world: &World) {
    world.flow.look(|site| async move {
        for (place, to) in [Paused, Running, Paused].into_iter().enumerate() {
            pause(&site, place, to).await;
        }
    });
    for number in 1..=2 {
        world.flow.look(|site| async move {
            step(&site, number, 0, begun).await;
            if number == 1 {
                step(&site, number, 1, |entity, transaction| {
                    changed(entity, transaction, OperationChange::Paused)
                })
                .await;
                step(&site, number, 2, |entity, transaction| {
                    changed(entity, transaction, OperationChange::Resumed)
                })
                .await;
                step(&site, number, 3, finished).await;
            }
        });
    }
}

/// Commits once what is decided.
async fn once<F: Future<Output = Result<Transaction, Error>>>(
    site: &Site,
    name: String,
    decide: impl Fn(Transaction) -> F,
) {
    let mark = outbox::Mark::Message {
        consumer: "tests",
        message_id: name,
    };
    let decide = &decide;
    let done: Result<Outcome<(), ()>, Error> = site
        .outbox()
        .execute(&mark, &Cause::default(), |transaction| async move {
            Ok(Decision::Commit(decide(transaction).await?, ()))
        })
        .await;
    let done = done.expect("the store answers");
    assert!(matches!(done, Outcome::Committed { .. }), "not committed");
}

/// Pauses or resumes a consumer.
async fn pause(site: &Site, place: usize, to: ConsumerStatus) {
    once(
        site,
        format!("pause-{place}"),
        |mut transaction| async move {
            let name = ConsumerName::new("analytics").expect("a name");
            let table = letters_table();
            let entity: Entity<ConsumerState> = site.outbox().load(&table, name.as_str()).await?;
            let by = PausedBy {
                reason: text("why"),
                actor: Some(text("ada")),
                key_owner: text("on-call"),
            };
            let (version, now) = (entity.next_version()?, transaction.now());
            let changed = ConsumerState::change(entity.state(), &name, to, by, version, now);
            let changed = changed.expect("allowed");
            changed.save(&mut transaction, &table, &entity)?;
            Ok(transaction)
        },
    )
    .await;
}

/// One step of an operation.
async fn step(
    site: &Site,
    number: u128,
    place: u32,
    decide: impl Fn(&Entity<Operation>, &Transaction) -> Change,
) {
    let decide = &decide;
    once(
        site,
        format!("{number}-{place}"),
        |mut transaction| async move {
            let id = OperationId::from(uuid::Uuid::from_u128(number)).to_string();
            let entity: Entity<Operation> = site.outbox().load(&letters_table(), &id).await?;
            decide(&entity, &transaction).save(&mut transaction, &entity)?;
            Ok(transaction)
        },
    )
    .await;
}

fn text<const N: usize>(text: &str) -> Text<N> {
    Text::new(text).expect("a text")
}

fn begun(entity: &Entity<Operation>, transaction: &Transaction) -> Change {
    let begin = Begin {
        operation_id: entity
            .key()
            .pk
            .trim_start_matches("operation#")
            .parse()
            .expect("an id"),
        act: OperationAct::Redrive,
        selection: None,
        letters: vec![LetterId::of("analytics", Some("e"), "m")],
        cap: Some(10),
        rate_per_second: 10,
        canary: true,
        reason: text("mended"),
        actor: Some(text("ada")),
        key_owner: text("on-call"),
        edited: None,
        replay: None,
    };
    let version = entity.next_version().expect("a version");
    Operation::begin(&begin, version, transaction.now()).expect("a digest")
}

fn changed(entity: &Entity<Operation>, transaction: &Transaction, to: OperationChange) -> Change {
    let by = By {
        reason: text("why"),
        actor: None,
        key_owner: Some(text("on-call")),
    };
    let version = entity.next_version().expect("a version");
    let operation = entity.state().expect("begun");
    let changed = operation.change(to, by, version, transaction.now());
    changed.expect("allowed")
}

fn finished(entity: &Entity<Operation>, transaction: &Transaction) -> Change {
    let outcome = OperationOutcome {
        redriven: 1,
        handled: 1,
        ..OperationOutcome::default()
    };
    let version = entity.next_version().expect("a version");
    let operation = entity.state().expect("begun");
    let finished = operation.finish(outcome, version, transaction.now());
    finished.expect("not finished")
}
