//! The basis of in-order consumers: the cursor's row, and how the outbox advances and blocks it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use events::{Cause, RegisteredContract as Known, Registry};
use outbox::{
    Blocked, Clock, CommitError, Decision, Error, Fault, FaultKind, Guarded, GuardedPut, Item, Key,
    Outbox, Page, Prepared, Progress, Query, RetryLimits, Scan, Store, SystemClock, Table, chain,
};
use serde_json::Value;

use super::{Checked, FailedCheck, TestTables, ensure, equal, in_order::Happened};

pub(super) const CONSUMER: &str = "conformance-in-order";

pub(super) struct Bench {
    pub(super) store: Arc<dyn Store>,
    pub(super) outbox: Outbox,
    pub(super) domain: Table,
    pub(super) run: String,
}

pub(super) fn outbox(store: &Arc<dyn Store>, tables: &TestTables) -> Outbox {
    Outbox::new(
        Arc::clone(store),
        Arc::new(SystemClock),
        Arc::new(Registry::new(vec![Known::of::<Happened>()])),
        tables.events.clone(),
        tables.marks.clone(),
    )
}

/// Runs the suite for cursors on a store.
///
/// # Errors
/// Every check that failed.
pub async fn cursors(store: Arc<dyn Store>, tables: TestTables) -> Result<(), Vec<FailedCheck>> {
    let bench = &Bench {
        outbox: outbox(&store, &tables),
        store,
        domain: tables.domain,
        run: SystemClock.uuid().to_string(),
    };
    checks!(bench;
        a_cursor_begins_before_the_first_event,
        an_advance_and_its_effect_are_committed_together,
        an_advance_from_what_is_no_longer_so_writes_nothing,
        a_block_loses_against_an_advance,
        an_advance_loses_against_a_block_and_ends_one_that_it_knows,
        a_lost_answer_is_found_by_the_cursor,
        many_advances_at_once_commit_each_position_once,
        several_cursors_are_read_in_the_order_asked_for,
    )
}

#[expect(clippy::needless_pass_by_value, reason = "shaped for map_err")]
pub(super) fn error(error: Error) -> String {
    chain(&error)
}

impl Bench {
    pub(super) fn aggregate(&self, check: &str) -> String {
        format!("conformance#{}-{check}", self.run)
    }

    pub(super) fn effect(&self, check: &str, position: u64) -> Key {
        self.domain.key(
            format!("conformance#{}#{check}", self.run),
            format!("{position:05}"),
        )
    }

    pub(super) async fn progress(&self, check: &str) -> Result<Progress, String> {
        let aggregate = self.aggregate(check);
        let read = self.outbox.progress(CONSUMER, &aggregate);
        read.await.map_err(error)
    }

    async fn effects(&self, check: &str) -> Result<Vec<u64>, String> {
        let pk = format!("conformance#{}#{check}", self.run);
        let query = Query::partition(&self.domain, pk, 100);
        let (rows, _) = self.outbox.rows::<Value>(&query).await.map_err(error)?;
        Ok(rows
            .iter()
            .filter_map(|row| row["count"].as_u64())
            .collect())
    }

    /// One try: `true` if this one committed.
    async fn advance(
        &self,
        outbox: &Outbox,
        check: &str,
        from: &Progress,
        to: u64,
    ) -> Result<bool, String> {
        let key = &self.effect(check, to);
        let outcome = outbox
            .execute(
                &from.advance(to),
                &Cause::default(),
                |mut transaction| async move {
                    transaction.add(key.clone(), vec![("count", 1.into())]);
                    Ok::<_, Error>(Decision::<(), ()>::Commit(transaction, ()))
                },
            )
            .await
            .map_err(error)?;
        Ok(matches!(outcome, outbox::Outcome::Committed { .. }))
    }

    async fn block(&self, from: &Progress, sequence: u64) -> Result<Guarded, String> {
        let blocked = Blocked {
            at: SystemClock.now(),
            sequence,
            event_id: "an event".into(),
            reason: "rejected".into(),
        };
        self.outbox.block(from, blocked).await.map_err(error)
    }
}

async fn a_cursor_begins_before_the_first_event(bench: &Bench) -> Checked {
    let progress = bench.progress("begins").await?;
    equal("the position", &progress.position(), &0)?;
    equal("the block", &progress.blocked(), &None)
}

async fn an_advance_and_its_effect_are_committed_together(bench: &Bench) -> Checked {
    let check = "advances";
    let first = bench.progress(check).await?;
    ensure(
        bench.advance(&bench.outbox, check, &first, 3).await?,
        || "the first advance was not committed".to_owned(),
    )?;
    let second = bench.progress(check).await?;
    equal("the position", &second.position(), &3)?;
    // Two reads of the same cursor give the same advance.
    ensure(
        second.is_same_as(&first.advanced_to(3, SystemClock.now())),
        || format!("{second:?} is not one advance from {first:?}"),
    )?;
    bench.advance(&bench.outbox, check, &second, 4).await?;
    equal("the position", &bench.progress(check).await?.position(), &4)?;
    equal("the effects", &bench.effects(check).await?, &vec![1, 1])
}

async fn an_advance_from_what_is_no_longer_so_writes_nothing(bench: &Bench) -> Checked {
    let check = "stale";
    let before = bench.progress(check).await?;
    bench.advance(&bench.outbox, check, &before, 2).await?;
    for to in [1, 2, 3] {
        let committed = bench.advance(&bench.outbox, check, &before, to).await?;
        equal("whether it committed", &committed, &false)?;
    }
    equal("the position", &bench.progress(check).await?.position(), &2)?;
    equal("the effects", &bench.effects(check).await?, &vec![1])
}

async fn a_block_loses_against_an_advance(bench: &Bench) -> Checked {
    let check = "block-loses";
    let before = bench.progress(check).await?;
    bench.advance(&bench.outbox, check, &before, 1).await?;
    let answer = bench.block(&before, 1).await?;
    equal("the answer", &answer, &Guarded::Ignored)?;
    let after = bench.progress(check).await?;
    equal("the position", &after.position(), &1)?;
    equal("the block", &after.blocked(), &None)
}

async fn an_advance_loses_against_a_block_and_ends_one_that_it_knows(bench: &Bench) -> Checked {
    let check = "block-wins";
    let before = bench.progress(check).await?;
    equal(
        "the answer",
        &bench.block(&before, 1).await?,
        &Guarded::Applied,
    )?;
    // The same block again, as after a lost answer.
    equal(
        "the second answer",
        &bench.block(&before, 1).await?,
        &Guarded::Ignored,
    )?;
    let committed = bench.advance(&bench.outbox, check, &before, 1).await?;
    equal("whether it committed", &committed, &false)?;
    let blocked = bench.progress(check).await?;
    equal(
        "the block",
        &blocked
            .blocked()
            .map(|one| (one.sequence, one.reason.as_str())),
        &Some((1, "rejected")),
    )?;
    equal("the position", &blocked.position(), &0)?;
    let committed = bench.advance(&bench.outbox, check, &blocked, 1).await?;
    equal("whether the second committed", &committed, &true)?;
    let after = bench.progress(check).await?;
    equal("the position", &after.position(), &1)?;
    equal("the block", &after.blocked(), &None)
}

/// A store that loses the answer to its first commit.
struct Unheard {
    inner: Arc<dyn Store>,
    lost: AtomicBool,
}

#[async_trait]
impl Store for Unheard {
    async fn get(&self, key: &Key) -> Result<Option<Item>, Fault> {
        self.inner.get(key).await
    }
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Fault> {
        self.inner.get_many(keys).await
    }
    async fn query(&self, query: &Query) -> Result<Page, Fault> {
        self.inner.query(query).await
    }
    async fn scan(&self, scan: &Scan) -> Result<Page, Fault> {
        self.inner.scan(scan).await
    }
    async fn commit(&self, prepared: &Prepared) -> Result<(), CommitError> {
        self.inner.commit(prepared).await?;
        if self.lost.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let fault = Fault::new(FaultKind::Unavailable, "conformance", "the answer was lost");
        Err(CommitError::Unknown(fault))
    }
    async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Fault> {
        self.inner.put_guarded(put).await
    }
    async fn put_all(&self, table: &Table, items: &[Item]) -> Result<(), Fault> {
        self.inner.put_all(table, items).await
    }
}

async fn a_lost_answer_is_found_by_the_cursor(bench: &Bench) -> Checked {
    // In the first case the same bytes are sent again; in the second only the cursor can show what happened.
    for (check, resends) in [("lost-resent", 3), ("lost-looked-up", 0)] {
        let unheard = Arc::new(Unheard {
            inner: Arc::clone(&bench.store),
            lost: AtomicBool::new(false),
        });
        let outbox = bench.outbox.with_store(unheard).with_limits(RetryLimits {
            resends,
            ..RetryLimits::default()
        });
        let before = bench.progress(check).await?;
        let committed = bench.advance(&outbox, check, &before, 1).await?;
        equal("whether it committed", &committed, &true)?;
        equal("the position", &bench.progress(check).await?.position(), &1)?;
        equal("the effects", &bench.effects(check).await?, &vec![1])?;
    }
    Ok(())
}

async fn many_advances_at_once_commit_each_position_once(bench: &Bench) -> Checked {
    const POSITIONS: u64 = 12;
    let check = "race";
    let racers = (0..6).map(|_| async move {
        let mut committed = 0;
        loop {
            let progress = bench.progress(check).await?;
            if progress.position() >= POSITIONS {
                return Ok::<usize, String>(committed);
            }
            let to = progress.position() + 1;
            if bench.advance(&bench.outbox, check, &progress, to).await? {
                committed += 1;
            }
        }
    });
    let committed: usize = futures::future::try_join_all(racers)
        .await?
        .into_iter()
        .sum();
    let each_once = vec![1; usize::try_from(POSITIONS).unwrap_or(0)];
    equal("the effects", &bench.effects(check).await?, &each_once)?;
    equal("the reported commits", &committed, &each_once.len())
}

async fn several_cursors_are_read_in_the_order_asked_for(bench: &Bench) -> Checked {
    for (check, to) in [("several-a", 1), ("several-b", 2)] {
        let from = bench.progress(check).await?;
        bench.advance(&bench.outbox, check, &from, to).await?;
    }
    let aggregates = ["several-b", "several-none", "several-a"].map(|check| bench.aggregate(check));
    let read = bench.outbox.progress_of(CONSUMER, &aggregates);
    let read = read.await.map_err(error)?;
    let positions: Vec<u64> = read.iter().map(Progress::position).collect();
    equal("the positions", &positions, &vec![2, 0, 1])
}
