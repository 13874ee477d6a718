//! The storm of faults: what goes wrong while clients work.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use events::Sequence;
use local_programs::proxy::{Kind, Rule, Rules};
use rand::{
    Rng,
    seq::{IndexedRandom, SliceRandom},
};
use tokio::time::Instant;

use super::{Field, MEMBERS, clients::Clients, jobs, wallets};
use crate::e2e::Result;

/// The access key of clients such as this test. Functions have other ones.
const OUR_CALLER: &str = "test";

/// Clients wait while a lane holds more messages than this, and go on at half of it. The local AWS reads a queue in time
/// proportional to its length: behind tens of thousands of messages a consumer gets one a second, and nothing else is
/// answered in time either. A minute of faults does not reach it.
const BACKLOG: u64 = 1_000;

/// The harm that was done besides the proxy's faults.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Harm {
    pub(super) killed: u64,
    pub(super) copies: u64,
    pub(super) redriven: u64,
    pub(super) runs: u64,
}

/// The rules of a bad day for every service. Each kind of fault is frequent enough to appear within a thousand
/// operations, and rare enough that most calls succeed.
fn fault_rules(seed: u64) -> Rules {
    let usual = [
        (Kind::Delay, 0.06),
        (Kind::Error500, 0.006),
        (Kind::Error503, 0.006),
        (Kind::Throttle, 0.01),
        (Kind::ResetBefore, 0.008),
        (Kind::ResetAfter, 0.01),
        (Kind::ErrorAfter, 0.01),
        (Kind::Unprocessed, 0.15),
        (Kind::TransactionConflict, 0.02),
        (Kind::TransactionInProgress, 0.01),
        (Kind::Reorder, 0.01),
    ];
    let publishing = [
        (Kind::Delay, 0.05),
        (Kind::Error500, 0.02),
        (Kind::Throttle, 0.02),
        (Kind::ResetBefore, 0.02),
        (Kind::ResetAfter, 0.03),
        (Kind::ErrorAfter, 0.03),
        (Kind::PartialFailure, 0.1),
        (Kind::DuplicatePublish, 0.08),
        (Kind::Reorder, 0.05),
    ];
    let batches = [(Kind::PartialFailure, 0.25), (Kind::ResetAfter, 0.02)];
    Rules {
        seed,
        rules: vec![
            Rule::on("events", "PutEvents", publishing).delayed_by(5, 60),
            Rule::on("sqs", "SendMessageBatch", batches),
            Rule::on("sqs", "DeleteMessageBatch", batches),
            Rule::everywhere(usual).delayed_by(5, 150),
        ],
    }
}

/// Makes faults while clients work. The clients have ended when this returns.
pub(super) async fn rain(field: &Field, clients: &Clients<'_>) -> Result<Harm> {
    field
        .proxy
        .set_rules(&fault_rules(field.settings.seed))
        .await?;
    let begun = Instant::now();
    let (killed, copies, redriven) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let runs = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    let working = async {
        let work = (0..field.settings.clients).map(|number| clients.work(number, begun));
        let worked = futures::future::try_join_all(work).await;
        over.store(true, Ordering::Relaxed);
        worked.map(drop)
    };
    let telling = async {
        let begun = Instant::now();
        while !over.load(Ordering::Relaxed) {
            pause(&over, field.settings.tell_every).await;
            println!(
                "campaign: {} s: {}, {} killed, {} copies",
                begun.elapsed().as_secs(),
                clients.progress(),
                killed.load(Ordering::Relaxed),
                copies.load(Ordering::Relaxed)
            );
        }
        Ok(())
    };
    tokio::try_join!(
        working,
        kill(field, &over, &killed),
        copy(field, clients, &over, &copies),
        hold_back(field, clients, &over),
        redrive(field, &over, &redriven),
        run(field, &over, &runs),
        telling,
    )?;
    Ok(Harm {
        killed: killed.into_inner(),
        copies: copies.into_inner(),
        redriven: redriven.into_inner(),
        runs: runs.into_inner(),
    })
}

/// Pauses for this span, but ends when the faults end.
async fn pause(over: &AtomicBool, span: Duration) {
    let until = Instant::now() + span;
    while Instant::now() < until && !over.load(Ordering::Relaxed) {
        let left = until.duration_since(Instant::now());
        tokio::time::sleep(left.min(Duration::from_millis(100))).await;
    }
}

/// Kills functions in the middle of a batch or a request: functions that have a call in progress. At most one for every
/// 40 operations, so that enough functions survive to do the work.
async fn kill(field: &Field, over: &AtomicBool, killed: &AtomicU64) -> Result {
    let mut dice = field.dice(1);
    let most = field.settings.operations.div_ceil(40);
    while !over.load(Ordering::Relaxed) && killed.load(Ordering::Relaxed) < most {
        pause(over, Duration::from_millis(dice.random_range(500..2_500))).await;
        let mut calls = field.proxy.in_flight().await?;
        calls.retain(|call| call.caller != OUR_CALLER);
        calls.sort_by_key(|call| (call.operation.clone(), call.peer));
        if calls.is_empty() {
            continue;
        }
        let call = &calls[dice.random_range(0..calls.len())];
        // None: the call is over and its connection is closed.
        if let Some(one) = field.bootstraps.holding(call.peer)
            && field.bootstraps.kill(&one).await?
        {
            killed.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Lets clients wait while consumers are too far behind.
async fn hold_back(field: &Field, clients: &Clients<'_>, over: &AtomicBool) -> Result {
    while !over.load(Ordering::Relaxed) {
        pause(over, Duration::from_secs(1)).await;
        let longest = field.queues.longest().await?;
        let limit = if clients.is_held() {
            BACKLOG / 2
        } else {
            BACKLOG
        };
        clients.hold(longest > limit);
    }
    Ok(())
}

/// Sends copies of published events, old and new, in any order: to the lanes, and as dead letters that will be
/// redriven. None while clients wait.
async fn copy(
    field: &Field,
    clients: &Clients<'_>,
    over: &AtomicBool,
    copies: &AtomicU64,
) -> Result {
    let mut dice = field.dice(2);
    while !over.load(Ordering::Relaxed) {
        pause(over, Duration::from_millis(dice.random_range(100..500))).await;
        if clients.is_held() {
            continue;
        }
        let mut bodies = Vec::new();
        for _ in 0..3 {
            let so_far = clients.first_member() + MEMBERS;
            let member = &field.members[dice.random_range(0..so_far)];
            let (aggregate, latest) = match dice.random_range(0..100) {
                0..38 => (format!("cloud_account#{member}"), 40),
                38..49 => {
                    // None: there is no payment yet.
                    let all = field.settlements.aggregates();
                    let Some(one) = all.choose(&mut dice) else {
                        continue;
                    };
                    (one.clone(), 8)
                }
                49..62 => {
                    let all = field.shop.aggregates();
                    let Some(one) = all.choose(&mut dice) else {
                        continue;
                    };
                    (one.clone(), 6)
                }
                62..86 => (wallets::any_account(&mut dice, member), 80),
                86..92 => (format!("member#{member}"), 40),
                _ => {
                    let card = field.rate_card()? + dice.random_range(0..20);
                    (format!("rate_card#{card}"), 2)
                }
            };
            let from = Sequence::new(dice.random_range(1..=latest))?;
            let history = field.outbox.history(&aggregate, from, 4).await?;
            bodies.extend(history.envelopes.iter().map(|raw| raw.get().to_owned()));
        }
        bodies.shuffle(&mut dice);
        let as_letters = dice.random_bool(0.3);
        copies.fetch_add(
            field.queues.send_copies(&bodies, as_letters).await?,
            Ordering::Relaxed,
        );
    }
    Ok(())
}

/// An operator who sends dead letters back while faults still happen.
async fn redrive(field: &Field, over: &AtomicBool, redriven: &AtomicU64) -> Result {
    while !over.load(Ordering::Relaxed) {
        pause(over, Duration::from_millis(700)).await;
        redriven.fetch_add(field.operator.look(field).await?, Ordering::Relaxed);
    }
    Ok(())
}

/// Starts runs of the scheduled jobs, more often than their schedules do.
async fn run(field: &Field, over: &AtomicBool, runs: &AtomicU64) -> Result {
    let mut dice = field.dice(3);
    while !over.load(Ordering::Relaxed) {
        pause(over, Duration::from_millis(dice.random_range(500..3_000))).await;
        jobs::start(field, jobs::ALL[dice.random_range(0..jobs::ALL.len())]).await?;
        runs.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
