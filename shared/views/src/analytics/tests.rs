//! What is counted is what is read: events are entered by the hour and read back over every shard.

use std::sync::Arc;

use events::{
    Cause, Envelope, EventId, MemberId, Registry, Timestamp, contracts::cloud::Primitive,
};
use outbox::{Decision, Error, Mark, Outbox, SystemClock, Table, memory::MemoryStore};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{buckets::DAY_MILLIS, *};

/// An event type, and what one event of it adds.
type Added = (&'static str, Fact);

fn outbox() -> (Outbox, Table) {
    let outbox = Outbox::new(
        Arc::new(MemoryStore::new()),
        Arc::new(SystemClock),
        Arc::new(Registry::shipped()),
        Table::events("events"),
        Table::marks("marks"),
    );
    (outbox, Table::domain("analytics"))
}

fn decimal(text: &str) -> Decimal {
    text.parse().expect("a decimal")
}

fn moment(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

fn kind(event_type: &str) -> Kind {
    *Kind::of(event_type).expect("counted")
}

fn id(text: &str) -> MemberId {
    MemberId::new(text).expect("an id")
}

fn transfer(amount: &str) -> Added {
    let fact = Fact {
        amount: decimal(amount),
        metered: None,
        refunded: Decimal::ZERO,
        members: vec![
            (id("ada"), Some(Direction::Out)),
            (id("bob"), Some(Direction::In)),
        ],
    };
    ("cloud.transferred", fact)
}

fn partial(settled: &str, refunded: &str) -> Added {
    let fact = Fact {
        refunded: decimal(refunded),
        ..transfer(settled).1
    };
    ("wallet.escrow_partial_settled", fact)
}

fn redemption(primitive: Primitive, amount: &str, quantity: &str) -> Added {
    let fact = Fact {
        amount: decimal(amount),
        metered: Some((primitive, quantity.parse().expect("a quantity"))),
        refunded: Decimal::ZERO,
        members: vec![(id("ada"), None)],
    };
    ("cloud.redeemed", fact)
}

fn envelope(event_type: &str, at: &str) -> Envelope {
    let id = Uuid::now_v7();
    let envelope = serde_json::json!({
        "event_id": id, "event_type": event_type, "event_version": "v1", "occurred_at": at, "producer": "test",
        "correlation_id": id, "priority": "normal", "aggregate_type": "thing", "aggregate_id": "1", "sequence": 1,
        "payload": {},
    });
    Registry::read(&envelope.to_string()).expect("an envelope")
}

async fn enter(outbox: &Outbox, table: &Table, number: u64, at: &str, (name, fact): &Added) {
    let event = &envelope(name, at);
    let mark = Mark::Episode {
        name: "test",
        number,
        phase: "opened",
    };
    let outcome = outbox
        .execute::<(), (), Error, _, _>(&mark, &Cause::default(), |mut transaction| async move {
            for count in counts(table, event, fact) {
                transaction.add(count.key.clone(), count.amounts());
            }
            Ok(Decision::Commit(transaction, ()))
        })
        .await;
    assert!(matches!(outcome, Ok(outbox::Outcome::Committed { .. })));
}

fn wanted(bucket: Bucket, from: &str, to: &str) -> Wanted {
    Wanted {
        bucket,
        from: moment(from),
        to: moment(to),
        kind: None,
        primitive: None,
        member_id: None,
    }
}

async fn lines(outbox: &Outbox, table: &Table, wanted: &Wanted) -> Vec<String> {
    let figures = wanted.read(outbox, table).await.expect("reads");
    let shown = figures.iter().map(|figure| {
        let Sums {
            count,
            amount,
            quantity,
            refunded,
        } = figure.sums;
        // The refunded part for a divided kind; other kinds have none.
        let more = if figure.kind.divided {
            refunded
        } else {
            quantity
        };
        format!(
            "{} {}{} {count} {} {}",
            &figure.start.to_string()[..13],
            figure.kind.event_type,
            figure.part,
            amount.normalize(),
            more.normalize(),
        )
    });
    shown.collect()
}

#[tokio::test]
async fn hours_and_days_are_the_exact_sums_of_all_shards_and_end_where_they_should() {
    let (outbox, table) = outbox();
    let entered = [
        ("2026-11-20T23:59:59.999Z", transfer("7")),
        ("2026-11-21T00:00:00.000Z", transfer("0.1")),
        ("2026-11-21T00:59:59.999Z", transfer("0.2")),
        ("2026-11-21T01:00:00.000Z", transfer("0.000001")),
        (
            "2026-11-21T01:30:00.000Z",
            redemption(Primitive::Compute, "4", "2.5"),
        ),
        (
            "2026-11-21T01:30:00.000Z",
            redemption(Primitive::Compute, "1", "0.5"),
        ),
        (
            "2026-11-21T23:00:00.000Z",
            redemption(Primitive::Stm, "3", "9"),
        ),
        ("2026-11-22T00:00:00.000Z", transfer("5")),
    ];
    for (number, (at, fact)) in (1..).zip(&entered) {
        enter(&outbox, &table, number, at, fact).await;
    }
    let day = ("2026-11-21T00:00:00.000Z", "2026-11-22T00:00:00.000Z");
    assert_eq!(
        lines(&outbox, &table, &wanted(Bucket::Hour, day.0, day.1)).await,
        [
            "2026-11-21T00 cloud.transferred 2 0.3 0",
            "2026-11-21T01 cloud.redeemed#compute 2 5 3",
            "2026-11-21T01 cloud.transferred 1 0.000001 0",
            "2026-11-21T23 cloud.redeemed#stm 1 3 9",
        ]
    );
    assert_eq!(
        lines(&outbox, &table, &wanted(Bucket::Day, day.0, day.1)).await,
        [
            "2026-11-21T00 cloud.redeemed#compute 2 5 3",
            "2026-11-21T00 cloud.redeemed#stm 1 3 9",
            "2026-11-21T00 cloud.transferred 3 0.300001 0",
        ]
    );
    let hour = wanted(
        Bucket::Hour,
        "2026-11-21T01:00:00.000Z",
        "2026-11-21T02:00:00.000Z",
    );
    let narrowed = Wanted {
        primitive: Some(Primitive::Compute),
        ..hour.clone()
    };
    assert_eq!(
        lines(&outbox, &table, &narrowed).await,
        ["2026-11-21T01 cloud.redeemed#compute 2 5 3"]
    );
    let narrowed = Wanted {
        kind: Some(kind("cloud.transferred")),
        ..hour
    };
    assert_eq!(
        lines(&outbox, &table, &narrowed).await,
        ["2026-11-21T01 cloud.transferred 1 0.000001 0"]
    );
}

#[tokio::test]
async fn a_member_sees_their_own_side_and_nothing_of_one_whose_name_begins_alike() {
    let (outbox, table) = outbox();
    let at = "2026-11-21T10:00:00.000Z";
    let mut back = transfer("1.5");
    back.1.members.reverse();
    back.1.members[0].1 = Some(Direction::Out);
    back.1.members[1].1 = Some(Direction::In);
    let mut other = transfer("9");
    other.1.members = vec![
        (id("ada-1"), Some(Direction::Out)),
        (id("bob-1"), Some(Direction::In)),
    ];
    let entered = [
        transfer("4"),
        transfer("4"),
        back,
        other,
        redemption(Primitive::Ltm, "1", "2"),
    ];
    for (number, fact) in (1..).zip(&entered) {
        enter(&outbox, &table, number, at, fact).await;
    }
    let of = |member: &str| Wanted {
        member_id: Some(id(member)),
        ..wanted(
            Bucket::Day,
            "2026-11-01T00:00:00.000Z",
            "2026-12-01T00:00:00.000Z",
        )
    };
    assert_eq!(
        lines(&outbox, &table, &of("ada")).await,
        [
            "2026-11-21T00 cloud.redeemed#ltm 1 1 2",
            "2026-11-21T00 cloud.transferred#in 1 1.5 0",
            "2026-11-21T00 cloud.transferred#out 2 8 0",
        ]
    );
    assert_eq!(
        lines(&outbox, &table, &of("bob")).await,
        [
            "2026-11-21T00 cloud.transferred#in 2 8 0",
            "2026-11-21T00 cloud.transferred#out 1 1.5 0",
        ]
    );
    let of_one_type = Wanted {
        kind: Some(kind("cloud.redeemed")),
        ..of("ada")
    };
    assert_eq!(
        lines(&outbox, &table, &of_one_type).await,
        ["2026-11-21T00 cloud.redeemed#ltm 1 1 2"]
    );
}

#[tokio::test]
async fn more_rows_than_a_page_are_read_to_the_end_and_not_beyond_it() {
    let (outbox, table) = outbox();
    let first = moment("2025-12-31T00:00:00.000Z");
    for number in 0..402_u32 {
        let day = first.unix_millis() + i64::from(number) * DAY_MILLIS;
        let day = Timestamp::from_unix_millis(day).expect("in range");
        let fact = redemption(Primitive::Compute, "1", "1");
        enter(&outbox, &table, number.into(), &day.to_string(), &fact).await;
    }
    for member_id in [None, Some(id("ada"))] {
        let year = Wanted {
            member_id,
            ..wanted(
                Bucket::Day,
                "2026-01-01T00:00:00.000Z",
                "2027-01-01T00:00:00.000Z",
            )
        };
        let figures = year.read(&outbox, &table).await.expect("reads");
        assert_eq!(figures.len(), 365);
        assert_eq!(figures[0].start, year.from);
        assert_eq!(Bucket::Day.end(figures[364].start), figures[364].start);
    }
}

#[tokio::test]
async fn of_a_divided_escrow_both_sides_have_what_was_earned_and_what_went_back() {
    let (outbox, table) = outbox();
    let at = "2026-11-21T10:00:00.000Z";
    for (number, fact) in [(0, partial("69.75", "30.25")), (1, partial("0.01", "0.99"))] {
        enter(&outbox, &table, number, at, &fact).await;
    }
    let of = |member: Option<&str>| Wanted {
        member_id: member.map(id),
        ..wanted(
            Bucket::Day,
            "2026-11-21T00:00:00.000Z",
            "2026-11-22T00:00:00.000Z",
        )
    };
    for (member, part) in [(None, ""), (Some("ada"), "#out"), (Some("bob"), "#in")] {
        let line = format!("2026-11-21T00 wallet.escrow_partial_settled{part} 2 69.76 31.24");
        assert_eq!(lines(&outbox, &table, &of(member)).await, [line]);
    }
}

#[tokio::test]
async fn sums_beyond_fifteen_digits_stay_exact() {
    let (outbox, table) = outbox();
    let at = "2026-11-21T10:00:00.000Z";
    let credits = transfer("999999999.999999");
    let points = ("wallet.escrow_settled", transfer("9999999999999.99").1);
    for number in 0..60 {
        for (number, fact) in [(number, &credits), (100 + number, &points)] {
            enter(&outbox, &table, number, at, fact).await;
        }
    }
    let day = wanted(
        Bucket::Day,
        "2026-11-21T00:00:00.000Z",
        "2026-11-22T00:00:00.000Z",
    );
    assert_eq!(
        lines(&outbox, &table, &day).await,
        [
            "2026-11-21T00 cloud.transferred 60 59999999999.99994 0",
            "2026-11-21T00 wallet.escrow_settled 60 599999999999999.4 0",
        ]
    );
}

#[tokio::test]
async fn a_type_that_this_code_does_not_know_is_counted_for_code_that_does() {
    let table = Table::domain("analytics");
    let event = envelope("wallet.frozen", "2026-11-21T10:00:00.000Z");
    let added = counts(&table, &event, &Fact::default());
    let [count] = added.as_slice() else {
        panic!("{added:?}")
    };
    let shard = shard_of(event.event_id);
    let row = table.key(format!("total#wallet.frozen#{shard}"), "2026-11-21");
    assert_eq!(
        (&count.key, count.amounts()),
        (&row, vec![("c10", Decimal::ONE)])
    );
    // Until this code knows the type, its rows are skipped.
    let mut item = row.attributes();
    item.insert("c10".into(), 1.into());
    let day = Day::read(&table, &item).expect("reads");
    assert_eq!((day.kind, day.hours[10].count), (None, 1));
}

#[test]
fn every_event_has_a_shard_and_all_shards_are_used() {
    let mut used = [0_u32; SHARDS as usize];
    for _ in 0..1_000 {
        let event_id = EventId::new(Uuid::now_v7()).expect("version 7");
        used[usize::from(shard_of(event_id))] += 1;
    }
    assert!(used.iter().all(|count| *count > 50), "{used:?}");
}
