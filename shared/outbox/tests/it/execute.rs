//! Decisions and commits under conflicts, lost answers and refusals.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use events::{Cause, Sequence, Usd};
use outbox::{
    Answer, BuildError, Clock, Condition, Decision, Done, Error, FaultKind, MAX_TRANSACTION_ITEMS,
    Mark, MarkError, Outbox, Outcome, Reason, RetryLimits, Store, Transaction, memory::MemoryStore,
};
use serde_json::{Value, json};
use testkit::TestClock;

use crate::{
    faulty::{Fate, Faulty},
    fixtures::{
        Account, domain, draft, events_table, execute_set, fact, marks, outbox, request, set, usd,
    },
};

const ID: &str = "1110";

struct Bench {
    memory: Arc<MemoryStore>,
    store: Arc<Faulty>,
    outbox: Outbox,
}

fn bench(script: impl IntoIterator<Item = Fate>, otherwise: Fate) -> Bench {
    let memory = Arc::new(MemoryStore::new());
    let store = Faulty::new(&memory, script, otherwise);
    let outbox = outbox(
        Arc::clone(&store) as Arc<dyn Store>,
        Arc::new(TestClock::new(1)),
    );
    Bench {
        memory,
        store,
        outbox,
    }
}

impl Bench {
    fn events(&self) -> usize {
        self.memory.items(&events_table()).len()
    }

    async fn balance(&self) -> Option<Usd> {
        let entity = self
            .outbox
            .load::<Account>(&domain(), ID)
            .await
            .expect("loads");
        entity.state().map(|account| account.balance)
    }

    async fn set(&self, key: &str, balance: &str) -> Result<Outcome<String, String>, Error> {
        execute_set(&self.outbox, &request(key), ID, balance).await
    }

    fn all_sendings_were_the_same(&self) -> bool {
        let sent = self.store.sent();
        sent.iter().all(|prepared| *prepared == sent[0])
    }
}

fn committed(outcome: Result<Outcome<String, String>, Error>) -> String {
    match outcome {
        Ok(Outcome::Committed { value, .. }) => value,
        other => panic!("expected a commit, saw {other:?}"),
    }
}

fn already_done(outcome: Result<Outcome<String, String>, Error>) -> Done {
    match outcome {
        Ok(Outcome::AlreadyDone(done)) => done,
        other => panic!("expected already done, saw {other:?}"),
    }
}

fn build_error(outcome: Result<Outcome<(), String>, Error>) -> BuildError {
    match outcome {
        Err(Error::Build(error)) => error,
        other => panic!("expected a build error, saw {other:?}"),
    }
}

fn balance_of(done: &Done) -> &Value {
    &done.answer.as_ref().expect("an answer").body["balance"]
}

#[tokio::test]
async fn state_events_and_mark_are_committed_together() {
    let bench = bench([], Fate::Pass);
    assert_eq!(committed(bench.set("a", "10").await), "10.00");
    assert_eq!(bench.balance().await, Some(usd("10")));
    assert_eq!(bench.events(), 1);
    let done = bench.outbox.done(&request("a")).await.expect("reads");
    let done = done.expect("the mark is there");
    assert_eq!(balance_of(&done), &json!(10));
    assert_eq!(done.body_sha256, Some(Mark::body_sha256(b"a")));
    assert!(bench.store.sent().len() == 1);
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_whatever_happened_since() {
    let bench = bench([], Fate::Pass);
    committed(bench.set("a", "10").await);
    committed(bench.set("b", "20").await);
    let done = already_done(bench.set("a", "30").await);
    assert_eq!(balance_of(&done), &json!(10));
    assert_eq!(bench.balance().await, Some(usd("20")));
    assert_eq!(bench.events(), 2);
}

#[tokio::test]
async fn a_message_is_handled_once_by_each_consumer() {
    let bench = bench([], Fate::Pass);
    let of = |consumer, id: &str| Mark::Message {
        consumer,
        message_id: id.to_owned(),
    };
    let mark = of("dead-letters", "m-1");
    let key = mark.key(&marks()).expect("a key");
    assert_eq!(key.pk, "message#dead-letters#m-1");
    assert_eq!(mark.kind(), "message");
    committed(execute_set(&bench.outbox, &mark, ID, "1").await);
    let done = already_done(execute_set(&bench.outbox, &mark, ID, "2").await);
    assert_eq!(done.kind, "message");
    assert!(done.expires_at.is_some());
    committed(execute_set(&bench.outbox, &of("dead-letters", "m-2"), ID, "3").await);
    committed(execute_set(&bench.outbox, &of("another", "m-1"), ID, "4").await);
    assert_eq!(bench.balance().await, Some(usd("4")));
}

#[tokio::test]
async fn a_refusal_after_it_was_done_is_already_done() {
    let bench = bench([], Fate::Pass);
    committed(bench.set("a", "10").await);
    let refuse = |key: &'static str| {
        let outbox = &bench.outbox;
        async move {
            outbox
                .execute(&request(key), &Cause::default(), |_| async {
                    Ok::<Decision<String, String>, Error>(Decision::Refuse("spent".to_owned()))
                })
                .await
        }
    };
    assert_eq!(balance_of(&already_done(refuse("a").await)), &json!(10));
    match refuse("b").await {
        Ok(Outcome::Refused(why)) => assert_eq!(why, "spent"),
        other => panic!("expected a refusal, saw {other:?}"),
    }
}

#[tokio::test]
async fn a_lost_answer_of_a_commit_that_took_effect_is_a_commit() {
    let bench = bench([Fate::DoneButLost], Fate::Pass);
    assert_eq!(committed(bench.set("a", "10").await), "10.00");
    assert_eq!((bench.events(), bench.store.sent().len()), (1, 2));
    assert!(bench.all_sendings_were_the_same());
}

#[tokio::test]
async fn a_lost_commit_is_sent_again_and_not_decided_again() {
    let bench = bench([Fate::Lost, Fate::Lost], Fate::Pass);
    let decisions = AtomicU32::new(0);
    let outcome = bench
        .outbox
        .execute(&request("a"), &Cause::default(), |transaction| {
            decisions.fetch_add(1, Ordering::SeqCst);
            set(&bench.outbox, transaction, ID, "10")
        })
        .await;
    committed(outcome);
    assert_eq!(decisions.load(Ordering::SeqCst), 1);
    assert_eq!((bench.events(), bench.store.sent().len()), (1, 3));
    assert!(bench.all_sendings_were_the_same());
}

#[tokio::test]
async fn our_own_lost_commit_is_recognised_by_its_token() {
    // A store that has forgotten the token cancels the second attempt, because the first attempt wrote the mark.
    let reasons = vec![
        Reason::ConditionFailed,
        Reason::ConditionFailed,
        Reason::ConditionFailed,
    ];
    let bench = bench([Fate::DoneButLost, Fate::Cancel(reasons)], Fate::Pass);
    assert_eq!(committed(bench.set("a", "10").await), "10.00");
    assert_eq!(bench.events(), 1);
}

#[tokio::test]
async fn our_own_lost_commit_is_recognised_also_when_only_the_state_is_named() {
    // After a lost answer our own commit can have made the conditions fail, so the mark decides.
    let reasons = vec![Reason::None, Reason::ConditionFailed, Reason::None];
    let bench = bench([Fate::DoneButLost, Fate::Cancel(reasons)], Fate::Pass);
    assert_eq!(committed(bench.set("a", "10").await), "10.00");
    assert_eq!((bench.events(), bench.store.sent().len()), (1, 2));
}

#[tokio::test]
async fn a_lost_commit_that_is_still_under_way_is_waited_for() {
    let in_progress = Fate::Cancel(vec![Reason::Conflict, Reason::Conflict, Reason::Conflict]);
    let bench = bench([Fate::Late, in_progress], Fate::Pass);
    assert_eq!(committed(bench.set("a", "10").await), "10.00");
    assert_eq!((bench.events(), bench.store.sent().len()), (1, 3));
    assert!(bench.all_sendings_were_the_same());
}

#[tokio::test]
async fn somebody_elses_mark_after_a_lost_answer_is_already_done() {
    let bench = bench([Fate::Lost], Fate::Pass);
    let rival = outbox(
        Arc::clone(&bench.memory) as Arc<dyn Store>,
        Arc::new(TestClock::new(2)),
    );
    let outcome = bench
        .outbox
        .execute(&request("a"), &Cause::default(), |transaction| async {
            let decision = set(&bench.outbox, transaction, ID, "10").await;
            committed(execute_set(&rival, &request("a"), ID, "99").await);
            decision
        })
        .await;
    assert_eq!(balance_of(&already_done(outcome)), &json!(99));
    assert_eq!(bench.events(), 1);
}

#[tokio::test]
async fn an_answer_lost_for_good_is_unknown_and_the_same_mark_is_safe() {
    let bench = bench(vec![Fate::Lost; 4], Fate::Pass);
    match bench.set("a", "10").await {
        Err(error @ Error::Unknown(_)) => assert!(error.is_unavailable()),
        other => panic!("expected unknown, saw {other:?}"),
    }
    assert_eq!((bench.events(), bench.store.sent().len()), (0, 4));
    assert_eq!(committed(bench.set("a", "10").await), "10.00");
    assert_eq!(bench.events(), 1);
}

#[tokio::test]
async fn every_answer_lost_of_a_commit_that_took_effect_is_settled_by_the_mark() {
    let bench = bench([Fate::DoneButLost], Fate::Lost);
    assert_eq!(committed(bench.set("a", "10").await), "10.00");
    assert_eq!(bench.events(), 1);
}

#[tokio::test]
async fn throttling_is_sent_again_and_is_known_not_to_have_happened() {
    let throttled = || Fate::NotWritten(FaultKind::Unavailable);
    let recovered = bench([throttled(), throttled()], Fate::Pass);
    assert_eq!(committed(recovered.set("a", "10").await), "10.00");
    let never = bench([], throttled());
    match never.set("a", "10").await {
        Err(error @ Error::Fault(_)) => assert!(error.is_unavailable()),
        other => panic!("expected a fault, saw {other:?}"),
    }
}

#[tokio::test]
async fn a_denial_is_told_at_once_unless_an_answer_was_lost() {
    let denied = || Fate::NotWritten(FaultKind::Denied);
    let plain = bench([], denied());
    match plain.set("a", "10").await {
        Err(Error::Fault(fault)) => assert_eq!(fault.kind, FaultKind::Denied),
        other => panic!("expected a fault, saw {other:?}"),
    }
    assert_eq!(plain.store.sent().len(), 1);
    let after_loss = bench([Fate::DoneButLost], denied());
    assert_eq!(committed(after_loss.set("a", "10").await), "10.00");
}

#[tokio::test]
async fn a_conflict_is_decided_again_on_what_is_there_now() {
    let bench = bench([], Fate::Pass);
    let decisions = AtomicU32::new(0);
    let outcome = bench
        .outbox
        .execute(&request("a"), &Cause::default(), |transaction| async {
            let decision = set(&bench.outbox, transaction, ID, "10").await;
            // Another writer is faster, twice.
            let round = decisions.fetch_add(1, Ordering::SeqCst);
            if round < 2 {
                committed(bench.set(&format!("rival-{round}"), "5").await);
            }
            decision
        })
        .await;
    committed(outcome);
    assert_eq!(decisions.load(Ordering::SeqCst), 3);
    assert_eq!(bench.balance().await, Some(usd("10")));
    assert_eq!(bench.events(), 3);
}

#[tokio::test]
async fn a_storm_of_conflicts_ends_in_contention_with_nothing_written() {
    for reason in [Reason::Conflict, Reason::ConditionFailed, Reason::Throttled] {
        let storm = Fate::Cancel(vec![Reason::None, reason, Reason::None]);
        let bench = bench([], storm);
        let outcome = bench.set("a", "10").await;
        assert!(matches!(outcome, Ok(Outcome::Contention)), "{outcome:?}");
        let decided = RetryLimits::default().decisions;
        assert_eq!(bench.store.sent().len(), usize::try_from(decided).unwrap());
        assert_eq!(bench.events(), 0);
        // Each decision has its own token.
        let mut tokens: Vec<String> = bench
            .store
            .sent()
            .into_iter()
            .map(|prepared| prepared.token)
            .collect();
        tokens.dedup();
        assert_eq!(tokens.len(), usize::try_from(decided).unwrap());
    }
}

/// The number of decisions during a storm of conflicts, if each takes `took`, and the duration of the whole storm.
async fn decided_in_a_storm(limits: RetryLimits, took: Duration) -> (usize, Duration) {
    let storm = Fate::Cancel(vec![Reason::None, Reason::Conflict, Reason::None]);
    let bench = bench([], storm);
    let clock = Arc::new(TestClock::new(1));
    let store = Arc::clone(&bench.store) as Arc<dyn Store>;
    let outbox = outbox(store, Arc::clone(&clock) as _).with_limits(limits);
    let begun = clock.now();
    let outcome = outbox
        .execute(&request("a"), &Cause::default(), |transaction| {
            clock.advance(took);
            set(&outbox, transaction, ID, "10")
        })
        .await;
    assert!(matches!(outcome, Ok(Outcome::Contention)), "{outcome:?}");
    (bench.store.sent().len(), clock.now().since(begun))
}

#[tokio::test]
async fn nothing_is_decided_again_when_patience_is_over() {
    let limits = RetryLimits {
        decisions: 1_000,
        ..RetryLimits::for_callers()
    };
    let (decisions, lasted) = decided_in_a_storm(limits, Duration::from_millis(5)).await;
    assert!((4..100).contains(&decisions), "{decisions}");
    let longest = limits.patience + limits.cap * 4 + Duration::from_millis(10);
    assert!((limits.patience..longest).contains(&lasted), "{lasted:?}");
    // At least one decision is made, however long it takes.
    let (decisions, _) = decided_in_a_storm(limits, Duration::from_secs(9)).await;
    assert_eq!(decisions, 1);
}

#[tokio::test]
async fn the_slower_the_decisions_the_longer_the_pauses_between_them() {
    let limits = RetryLimits {
        decisions: 9,
        patience: Duration::MAX,
        ..RetryLimits::for_callers()
    };
    let (decisions, quick) = decided_in_a_storm(limits, Duration::from_millis(1)).await;
    assert_eq!(decisions, 9);
    let took = Duration::from_millis(2_400);
    let (decisions, slow) = decided_in_a_storm(limits, took).await;
    assert_eq!(decisions, 9);
    // The average pause is twice the length of a decision, ± the deviation of 8 draws between 0 and twice that value.
    let (quick, slow) = (quick.as_secs_f64(), (slow - took * 9).as_secs_f64());
    assert!((0.5..10.2).contains(&quick), "{quick}");
    assert!((11.0..37.0).contains(&slow), "{slow}");
}

#[tokio::test]
async fn a_storm_of_conflicts_with_our_own_copy_is_already_done() {
    let storm = Fate::Cancel(vec![Reason::None, Reason::Conflict, Reason::None]);
    let bench = bench([], storm);
    let copy = outbox(
        Arc::clone(&bench.memory) as Arc<dyn Store>,
        Arc::new(TestClock::new(2)),
    );
    let outcome = bench
        .outbox
        .execute(&request("a"), &Cause::default(), |transaction| async {
            let decision = set(&bench.outbox, transaction, ID, "10").await;
            execute_set(&copy, &request("a"), ID, "10").await?;
            decision
        })
        .await;
    already_done(outcome);
    assert_eq!(bench.events(), 1);
}

#[tokio::test]
async fn the_marks_reason_outranks_all_others() {
    let bench = bench([], Fate::Pass);
    committed(bench.set("a", "10").await);
    let reasons = vec![
        Reason::ConditionFailed,
        Reason::Conflict,
        Reason::Other("ValidationError".into()),
    ];
    let again = Faulty::new(&bench.memory, [Fate::Cancel(reasons)], Fate::Pass);
    let outbox = outbox(again, Arc::new(TestClock::new(3)));
    already_done(execute_set(&outbox, &request("a"), ID, "11").await);
}

#[tokio::test]
async fn a_reason_that_no_repeat_changes_is_a_refusal_of_the_store() {
    let reasons = vec![
        Reason::None,
        Reason::Other("ValidationError: too large".into()),
    ];
    let bench = bench([], Fate::Cancel(reasons));
    match bench.set("a", "10").await {
        Err(error @ Error::Refused(_)) => {
            assert!(!error.is_unavailable());
            assert!(error.to_string().contains("too large"), "{error}");
        }
        other => panic!("expected a refusal, saw {other:?}"),
    }
    assert_eq!(bench.store.sent().len(), 1);
}

#[tokio::test]
async fn of_two_racers_with_one_key_one_commits_and_both_learn_its_answer() {
    let bench = bench([], Fate::Pass);
    let (one, two) = tokio::join!(bench.set("a", "10"), bench.set("a", "20"));
    let (value, done) = match (one, two) {
        (Ok(Outcome::Committed { value, .. }), Ok(Outcome::AlreadyDone(done)))
        | (Ok(Outcome::AlreadyDone(done)), Ok(Outcome::Committed { value, .. })) => (value, done),
        other => panic!("expected one commit, saw {other:?}"),
    };
    assert_eq!(
        serde_json::from_value::<Usd>(balance_of(&done).clone())
            .expect("dollars")
            .to_string(),
        value
    );
    assert_eq!(bench.events(), 1);
    assert!(bench.store.sent().len() >= 2, "they did race");
}

#[tokio::test]
async fn racing_commands_number_their_events_without_gaps() {
    let bench = bench([], Fate::Pass);
    let keys: Vec<String> = (0..5).map(|n| format!("k{n}")).collect();
    let outcomes = futures::future::join_all(keys.iter().map(|key| bench.set(key, "10"))).await;
    let done = outcomes
        .into_iter()
        .filter(|outcome| matches!(outcome, Ok(Outcome::Committed { .. })))
        .count();
    let sequences: Vec<Option<u64>> = bench
        .memory
        .items(&events_table())
        .iter()
        .map(|item| item["sequence"].as_u64())
        .collect();
    let expected: Vec<Option<u64>> = (1..=done).map(|n| u64::try_from(n).ok()).collect();
    assert_eq!(sequences, expected);
    assert!(done >= 2, "{done} of 5 committed");
}

#[tokio::test]
async fn a_fact_holds_for_ever_under_any_key() {
    let bench = bench([], Fate::Pass);
    let charge = |key: &'static str| {
        let outbox = &bench.outbox;
        async move {
            outbox
                .execute(&request(key), &Cause::default(), |mut transaction| async {
                    transaction.fact(&domain(), &fact("stripe/ch_1"), &json!({"by": key}))?;
                    Ok::<Decision<(), String>, Error>(Decision::Commit(transaction, ()))
                })
                .await
        }
    };
    assert!(matches!(charge("a").await, Ok(Outcome::Committed { .. })));
    assert!(matches!(charge("b").await, Ok(Outcome::Contention)));
    let (table, known) = (domain(), fact("stripe/ch_1"));
    let row: Option<Value> = bench.outbox.fact(&table, &known).await.expect("reads");
    assert_eq!(row.expect("the fact")["by"], "a");
}

/// Fills a transaction with `fill` and tries to commit it.
async fn built(
    fill: impl Fn(&mut Transaction) -> Result<(), BuildError>,
) -> Result<Outcome<(), String>, Error> {
    let bench = bench([], Fate::Pass);
    let outcome = bench
        .outbox
        .execute(&request("a"), &Cause::default(), |mut transaction| {
            let filled = fill(&mut transaction);
            async move {
                filled?;
                Ok::<_, Error>(Decision::Commit(transaction, ()))
            }
        })
        .await;
    if outcome.is_err() {
        assert!(bench.store.sent().is_empty(), "refused before it was sent");
    }
    outcome
}

fn rows(count: usize) -> impl Fn(&mut Transaction) -> Result<(), BuildError> {
    move |transaction| {
        for n in 0..count {
            transaction.insert(domain().key("row", n.to_string()), &json!({}))?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_hundred_items_fit_the_mark_included_and_one_more_does_not() {
    let fits = built(rows(MAX_TRANSACTION_ITEMS - 1)).await;
    assert!(matches!(fits, Ok(Outcome::Committed { .. })), "{fits:?}");
    let error = build_error(built(rows(MAX_TRANSACTION_ITEMS)).await);
    assert!(matches!(error, BuildError::TooManyItems { items: 101 }));
    assert!(error.to_string().contains("101") && error.to_string().contains("100"));
}

#[tokio::test]
async fn four_megabytes_are_refused_with_both_numbers() {
    let large = "x".repeat(300_000);
    let error = build_error(
        built(|transaction| {
            for n in 0..15 {
                let key = domain().key("row", n.to_string());
                transaction.insert(key, &json!({ "text": large }))?;
            }
            Ok(())
        })
        .await,
    );
    assert!(matches!(error, BuildError::TooLarge { bytes } if bytes > 4_500_000));
    assert!(error.to_string().contains("4194304"), "{error}");
}

#[tokio::test]
async fn an_item_written_twice_is_refused_by_name() {
    let error = build_error(
        built(|transaction| {
            let key = domain().key("row", "1");
            transaction.insert(key.clone(), &json!({}))?;
            transaction.check(key, Condition::Absent);
            Ok(())
        })
        .await,
    );
    assert_eq!(
        error.to_string(),
        "the transaction writes cloud/row/1 twice"
    );
}

#[tokio::test]
async fn the_same_fact_told_twice_is_refused() {
    let bench = bench([], Fate::Pass);
    let entity = bench.outbox.load::<Account>(&domain(), ID).await.unwrap();
    let error = build_error(
        built(|transaction| {
            let drafted = || draft(&entity, ID, usd("1")).with_idempotency_key(fact("bank/1"));
            let state = Account { balance: usd("1") };
            transaction.update(&entity, &state, vec![drafted(), drafted()])?;
            Ok(())
        })
        .await,
    );
    assert!(matches!(error, BuildError::FactTwice { .. }), "{error}");
}

#[tokio::test]
async fn an_event_about_something_else_is_refused() {
    let bench = bench([], Fate::Pass);
    let entity = bench.outbox.load::<Account>(&domain(), ID).await.unwrap();
    let error = build_error(
        built(|transaction| {
            let other = draft(&entity, "2220", usd("1"));
            transaction.update(&entity, &Account { balance: usd("1") }, vec![other])?;
            Ok(())
        })
        .await,
    );
    assert_eq!(
        error.to_string(),
        "the event is about treasury_account#2220, the state is treasury_account#1110"
    );
}

#[tokio::test]
async fn an_envelope_beyond_its_size_is_refused_with_both_numbers() {
    let bench = bench([], Fate::Pass);
    let entity = bench.outbox.load::<Account>(&domain(), ID).await.unwrap();
    let metadata = events::Metadata {
        other: [("note".to_owned(), "x".repeat(210_000))].into(),
        ..events::Metadata::default()
    };
    let error = build_error(
        built(|transaction| {
            let large = draft(&entity, ID, usd("1")).with_metadata(metadata.clone());
            transaction.update(&entity, &Account { balance: usd("1") }, vec![large])?;
            Ok(())
        })
        .await,
    );
    assert!(matches!(error, BuildError::Envelope(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains("210") && text.contains("204800"), "{text}");
}

#[tokio::test]
async fn an_answer_beyond_its_size_is_refused_with_its_number() {
    let error = build_error(
        built(|transaction| {
            transaction.answer(Answer {
                status: 200,
                body: json!({ "text": "x".repeat(5_000) }),
            });
            Ok(())
        })
        .await,
    );
    assert!(
        matches!(error, BuildError::Mark(MarkError::AnswerTooLarge { bytes }) if bytes > 5_000),
        "{error}"
    );
}

#[tokio::test]
async fn history_shows_what_was_committed_in_sequence_and_in_pages() {
    let bench = bench([], Fate::Pass);
    for n in 1..=5 {
        committed(bench.set(&format!("k{n}"), &n.to_string()).await);
    }
    let mut seen = Vec::new();
    let mut from = Some(Sequence::new(1).unwrap());
    let mut pages = 0;
    while let Some(start) = from {
        let page = bench
            .outbox
            .history("treasury_account#1110", start, 2)
            .await
            .expect("reads");
        pages += 1;
        seen.extend(page.envelopes.iter().map(|envelope| {
            let envelope: Value = serde_json::from_str(envelope.get()).expect("JSON");
            (
                envelope["sequence"].clone(),
                envelope["payload"]["balance"].clone(),
            )
        }));
        from = page.next;
    }
    let expected: Vec<(Value, Value)> = (1..=5).map(|n| (json!(n), json!(n))).collect();
    assert_eq!((seen, pages), (expected, 3));
}
