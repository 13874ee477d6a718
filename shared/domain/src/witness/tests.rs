use std::sync::Arc;

use events::{
    AccountId, Cause, Contract as _, Draft, Registry, Sequence, Usd,
    contracts::treasury::AccountChanged,
};
use outbox::{Decision, Entity, Mark, Outcome, State, SystemClock, memory::MemoryStore};
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::{
    Contradiction, Step, must,
    testing::{Log, at, number},
};

/// An account as a domain would keep it. No event states `note`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Account {
    balance: Usd,
    changes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl State for Account {
    const AGGREGATE: &'static str = AccountChanged::AGGREGATE;
}

fn applied(before: Option<&Account>, envelope: &Envelope) -> Step<Account> {
    let event: AccountChanged = events::decode_payload(envelope)?;
    let same = before.is_some_and(|before| before.balance == event.balance);
    must(!same, "it had this balance already")?;
    let changes = before.map_or(1, |before| before.changes + 1);
    let (balance, note) = (event.balance, None);
    let account = Account {
        balance,
        changes,
        note,
    };
    Ok((account, event.version))
}

impl Rebuild for Account {
    type Stored = Self;
    const RETENTION: Retention = Retention::Forever;
    const UNRECORDED: &'static [&'static str] = &["note"];

    fn apply(_: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        applied(before.as_ref(), envelope)
    }

    fn stored(&self) -> Self {
        self.clone()
    }
}

/// The same account, if its events were kept for only a week and its row were also written without events.
#[derive(Debug, Clone, PartialEq)]
struct Brief(Account);

impl Rebuild for Brief {
    type Stored = Account;
    const RETENTION: Retention = Retention::Days(7);
    const UNRECORDED: &'static [&'static str] = &["note"];
    const SILENT_WRITES: bool = true;

    fn apply(_: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let before = before.map(|before| before.0);
        let (account, version) = applied(before.as_ref(), envelope)?;
        Ok((Self(account), version))
    }

    fn stored(&self) -> Account {
        self.0.clone()
    }
}

const ID: &str = "1110";

fn changed(balance: u64, version: u64) -> Draft {
    let event = AccountChanged {
        account_id: AccountId::new(ID).expect("an id"),
        balance: balance.to_string().parse().expect("dollars"),
        version: number(version),
    };
    Draft::of(&event).expect("a draft")
}

/// Balances 1, 2, 3 and 4, one event each.
fn log() -> History {
    let mut log = Log::default();
    log.append((1..=4).map(|one| changed(one, one)), at(0));
    History::of(ID, log.0)
}

fn stored(balance: u64, changes: u64, version: u64, last_sequence: u64) -> Item {
    let item = json!({
        "pk": "treasury_account#1110", "sk": "state", "balance": balance, "changes": changes, "note": "by hand",
        "version": version, "last_sequence": last_sequence,
    });
    item.as_object().expect("an object").clone()
}

fn looked(history: &History, item: &Item) -> Witness {
    Of::<Account>::NEW.compare(history, Some(item))
}

fn place(witness: &Witness) -> Option<u64> {
    witness.parted_at.as_ref().map(|at| at.sequence)
}

#[test]
fn an_aggregate_agrees_with_its_events_whatever_stands_in_fields_that_none_of_them_states() {
    let witness = looked(&log(), &stored(4, 4, 4, 4));
    assert_eq!(witness.verdict, Verdict::Agrees, "{witness:?}");
    assert_eq!(witness.stored, witness.rebuilt);
    let state = &witness.stored.expect("stored").state;
    assert_eq!(json!(state), json!({ "balance": 4, "changes": 4 }));
    assert_eq!((witness.events, witness.first_sequence), (4, Some(1)));
}

#[test]
fn a_row_that_lags_parts_at_the_first_event_that_it_lacks() {
    let witness = looked(&log(), &stored(2, 2, 2, 2));
    assert_eq!(
        (witness.verdict, place(&witness)),
        (Verdict::Parted, Some(3))
    );
    let reason = witness.reason.expect("a reason");
    assert!(
        reason.contains("lacks this event")
            && reason.contains("balance is 2, but its events give 4"),
        "{reason}"
    );
}

#[test]
fn a_field_that_differs_parts_at_the_event_that_gave_it_its_last_value() {
    let witness = looked(&log(), &stored(7, 4, 4, 4));
    assert_eq!(place(&witness), Some(4));
    assert_eq!(witness.differing, ["balance"]);
    assert_eq!(
        witness.reason.as_deref(),
        Some("balance is 7, but its events give 4")
    );
    // For a field that stopped changing earlier, it is an earlier event.
    let mut history = log();
    let mut again = Log(std::mem::take(&mut history.own));
    again.append([changed(9, 5)], at(1));
    history.own = again.0;
    let witness = looked(&history, &stored(9, 4, 5, 5));
    assert_eq!(
        (place(&witness), witness.differing),
        (Some(5), vec!["changes".to_owned()])
    );
    let witness = looked(&log(), &stored(4, 4, 3, 4));
    assert_eq!(
        (place(&witness), witness.differing),
        (Some(4), vec!["version".to_owned()])
    );
}

#[test]
fn a_history_that_lacks_an_event_or_contradicts_itself_parts_there() {
    let mut lost = log();
    lost.own.remove(1);
    let witness = looked(&lost, &stored(4, 4, 4, 4));
    assert_eq!(place(&witness), Some(3));
    assert_eq!(
        witness.parted_at.expect("named").reason,
        "event 2 is missing"
    );

    // Even if the sequences have no gap, a version is missing.
    let mut lost = log();
    lost.own.remove(1);
    for (sequence, envelope) in (1..).zip(&mut lost.own) {
        envelope.sequence = number(sequence);
    }
    let witness = looked(&lost, &stored(4, 3, 4, 3));
    assert_eq!(
        witness.parted_at.expect("named").reason,
        "no event states version 2"
    );

    let mut twice = Log(log().own);
    twice.append([changed(4, 5)], at(1));
    let witness = looked(&History::of(ID, twice.0), &stored(4, 5, 5, 5));
    assert_eq!(
        witness.parted_at.expect("named").reason,
        "it had this balance already"
    );

    let mut other = log();
    other.aggregate_id = "1120".to_owned();
    let witness = looked(&other, &stored(4, 4, 4, 4));
    assert!(
        witness
            .reason
            .expect("a reason")
            .contains("it is about treasury_account#1110")
    );
}

#[test]
fn one_side_alone_is_told_as_such() {
    let none = Of::<Account>::NEW.compare(&log(), None);
    assert_eq!((none.verdict, place(&none)), (Verdict::Parted, Some(1)));
    let empty = History::of(ID, Vec::new());
    let unrecorded = looked(&empty, &stored(4, 4, 4, 4));
    assert_eq!(
        (unrecorded.verdict, place(&unrecorded)),
        (Verdict::Parted, None)
    );
    let mut short = log();
    short.own.pop();
    let lost = looked(&short, &stored(4, 4, 4, 4));
    let reason = "the stored row counts 4 events, the log has 3";
    assert_eq!(lost.reason.as_deref(), Some(reason));
    let unreadable = looked(
        &log(),
        &json!({ "version": 4, "last_sequence": 4 })
            .as_object()
            .expect("one")
            .clone(),
    );
    assert!(
        unreadable
            .reason
            .expect("a reason")
            .starts_with("the stored row cannot be read")
    );
}

#[test]
fn what_is_not_kept_for_ever_is_incomplete_once_an_event_is_gone() {
    let brief = |history: &History, item: &Item| Of::<Brief>::NEW.compare(history, Some(item));
    let whole = log();
    let row = stored(4, 4, 4, 4);
    assert_eq!(brief(&whole, &row).verdict, Verdict::Agrees);
    for gone in [&[0][..], &[0, 1], &[1], &[3]] {
        let mut history = log();
        let mut place = 0;
        history.own.retain(|_| {
            place += 1;
            !gone.contains(&(place - 1))
        });
        let witness = brief(&history, &row);
        assert_eq!(witness.verdict, Verdict::Incomplete, "{gone:?}");
        let first = history.own[0].sequence.number();
        assert_eq!(witness.first_sequence, Some(first));
        let reason = witness.reason.expect("a reason");
        assert!(reason.contains(&format!("number {first}")), "{reason}");
    }
    let witness = brief(&History::of(ID, Vec::new()), &row);
    assert_eq!(
        (witness.verdict, witness.first_sequence),
        (Verdict::Incomplete, None)
    );
    // The row is also written without events. Then only its version is newer.
    assert_eq!(brief(&whole, &stored(4, 4, 9, 4)).verdict, Verdict::Agrees);
    assert_eq!(brief(&whole, &stored(5, 4, 9, 4)).verdict, Verdict::Parted);
}

async fn kept(changes: u64) -> (Outbox, Table) {
    let outbox = Outbox::new(
        Arc::new(MemoryStore::new()),
        Arc::new(SystemClock),
        Arc::new(Registry::shipped()),
        Table::events("events"),
        Table::marks("marks"),
    );
    let table = Table::domain("cloud");
    for one in 1..=changes {
        let mark = Mark::Episode {
            name: "change",
            number: one,
            phase: "opened",
        };
        let decide = async |mut transaction: outbox::Transaction| {
            let entity: Entity<Account> = outbox.load(&table, ID).await?;
            let account = Account {
                balance: one.to_string().parse().expect("dollars"),
                changes: one,
                note: None,
            };
            transaction.update(&entity, &account, vec![changed(one, one)])?;
            Ok(Decision::Commit(transaction, ()))
        };
        let cause = Cause::default();
        let done = outbox.execute::<(), (), Error, _, _>(&mark, &cause, decide);
        assert!(matches!(done.await, Ok(Outcome::Committed { .. })));
    }
    (outbox, table)
}

#[tokio::test]
async fn events_and_row_are_read_page_by_page_up_to_a_bound() {
    let (outbox, table) = kept(230).await;
    let look = async |id, most| {
        let aggregate = Of::<Account>::NEW;
        let found = witness(&aggregate, &outbox, &table, id, most).await;
        found.expect("readable")
    };
    let whole = look(ID, 230).await.expect("there");
    assert_eq!((whole.verdict, whole.events), (Verdict::Agrees, 230));
    let cut = look(ID, 229).await.expect("there");
    assert_eq!((cut.verdict, cut.events), (Verdict::Incomplete, 229));
    assert_eq!(cut.rebuilt.expect("as far as read").last_sequence, 229);
    assert_eq!(cut.stored.expect("stored").last_sequence, 230);
    assert_eq!(look("1120", 230).await, None);
}

#[test]
fn versions_never_go_back() {
    let mut log = Log::default();
    log.append([changed(1, 1), changed(2, 2)], at(0));
    let mut later = Log::default();
    later.append([changed(1, 1), changed(2, 2), changed(3, 1)], at(0));
    let broken = crate::rebuild::<Account>(&later.0).expect_err("it went back");
    assert!(matches!(broken.why, Contradiction::Says(_)), "{broken}");
    let rebuilt = crate::rebuild::<Account>(&log.0).expect("whole");
    let version = rebuilt.map(|one| one.version);
    assert_eq!(version, Sequence::new(2).ok());
}
