//! What an operator did, as the operator's functions write it: an operation that was paused, resumed and finished, one that
//! is under way, a consumer that was paused, resumed and paused again, and endpoints of webhooks: one that failed until it was
//! disabled and is enabled again, and one that was removed.

use std::time::Duration;

use endpoints::{
    Endpoint, Endpoints,
    endpoint::{self, CheckedUrl, DISABLED_AFTER, New, Patch, WARNED_AFTER},
};
use events::{
    Cause, ConsumerName, OperationId, Text, Timestamp, WebhookId,
    contracts::{
        operation::{OperationAct, OperationChange, OperationOutcome},
        webhook::{WebhookSelection, WebhookStatus},
    },
};
use letters::{
    ConsumerStatus::{self, Paused, Running},
    LetterId, Operation,
    operation::{Begin, By, Change},
    pause::{ConsumerState, PausedBy},
};
use outbox::{Decision, Entity, Error, Outcome, Transaction};
use testkit::flow::Site;

use super::{World, feed_table, letters_table, webhooks_table};

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
    world.flow.look(|site| async move {
        set_up(&site, 1).await;
        let half = Patch {
            in_order: Some(true),
            secret: Some(webhook::Secret::new([2; 32])),
            ..Patch::default()
        };
        change(&site, 1, "half", &half).await;
        for failing_for in [WARNED_AFTER[0], DISABLED_AFTER] {
            failed(&site, 1, failing_for).await;
        }
        let enabled = Patch {
            status: Some(WebhookStatus::Enabled),
            reason: Some(text("mended")),
            ..Patch::default()
        };
        change(&site, 1, "enabled", &enabled).await;
        set_up(&site, 2).await;
        remove(&site, 2).await;
    });
}

/// Commits once what is decided.
pub(super) async fn once<F: Future<Output = Result<Transaction, Error>>>(
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
        republish: None,
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

fn webhook_id(number: u128) -> WebhookId {
    WebhookId::from(uuid::Uuid::from_u128(number))
}

fn who() -> endpoint::By {
    endpoint::By {
        actor: Some(text("ada")),
        key_owner: text("on-call"),
    }
}

/// Commits a change of an endpoint.
async fn of_endpoints(
    site: &Site,
    name: String,
    decide: impl AsyncFn(Endpoints<'_>, &mut Transaction) -> Result<(), endpoints::operations::Stopped>,
) {
    let (table, feed, decide) = (webhooks_table(), feed_table(), &decide);
    let (table, feed) = (&table, &feed);
    once(site, name, |mut transaction| async move {
        let endpoints = Endpoints {
            outbox: site.outbox(),
            table,
            feed,
        };
        let decided = decide(endpoints, &mut transaction).await;
        decided.expect("allowed");
        Ok(transaction)
    })
    .await;
}

async fn set_up(site: &Site, number: u128) {
    of_endpoints(
        site,
        format!("set-up-{number}"),
        async |endpoints, transaction| {
            let new = New {
                webhook_id: webhook_id(number),
                url: CheckedUrl {
                    url: "https://a.example/token-in-the-path".to_owned(),
                    origin: text("https://a.example"),
                },
                secret: webhook::Secret::new([1; 32]),
                selection: WebhookSelection::default(),
                in_order: false,
                description: Some(text("what it is for")),
            };
            endpoints.create(transaction, new, who()).await?;
            Ok(())
        },
    )
    .await;
}

async fn change(site: &Site, number: u128, name: &str, patch: &Patch) {
    of_endpoints(
        site,
        format!("{name}-{number}"),
        async |endpoints, transaction| {
            let id = webhook_id(number);
            endpoints
                .change(transaction, id, patch.clone(), who())
                .await?;
            Ok(())
        },
    )
    .await;
}

async fn remove(site: &Site, number: u128) {
    of_endpoints(
        site,
        format!("remove-{number}"),
        async |endpoints, transaction| {
            endpoints
                .remove(transaction, webhook_id(number), who())
                .await?;
            Ok(())
        },
    )
    .await;
}

/// What follows once an endpoint has failed for so long.
async fn failed(site: &Site, number: u128, failing_for: Duration) {
    of_endpoints(
        site,
        format!("failed-{number}-{}", failing_for.as_secs()),
        async |endpoints, transaction| {
            let entity: Entity<Endpoint> = endpoints.endpoint(webhook_id(number)).await?;
            let (version, now) = (entity.next_version()?, transaction.now());
            let state = entity.state().expect("set up");
            let past = i64::try_from(failing_for.as_millis()).expect("some days");
            let since = Timestamp::from_unix_millis(now.unix_millis() - past).expect("a time");
            let change = state.failed(since, 0, false, text("status 500"), version, now);
            endpoints.save(transaction, &entity, &change.expect("it is told"))?;
            Ok(())
        },
    )
    .await;
}
