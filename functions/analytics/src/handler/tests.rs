//! Tests the handler in the whole pipeline, in memory, with the frozen sample of every event that it counts.

use std::collections::BTreeMap;

use events::{Contract as _, contracts};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use testkit::{costs::sample, flow::Flow};
use views::analytics::{
    Bucket, Direction, Figure, Kind, Part, Wanted, ever, ever_of_producers, kinds,
    outside_producers,
};

use super::*;
use views::analytics::decoded_types;

/// Every event type that is counted, with its sample.
fn samples() -> Vec<(&'static str, Value)> {
    let types = kinds().iter().map(|kind| kind.event_type);
    types.map(|one| (one, sample(one))).collect()
}

fn table() -> Table {
    Table::domain("analytics")
}

fn flow() -> Flow {
    Flow::builder(1)
        .consumer(|_| Analytics::new(table()))
        .build()
        .expect("a flow")
}

/// All of 2026, by day. The flow's clock starts on the first day of 2026.
fn year(member: Option<&str>) -> Wanted {
    Wanted {
        bucket: Bucket::Day,
        from: "2026-01-01T00:00:00.000Z".parse().expect("a moment"),
        to: "2027-01-01T00:00:00.000Z".parse().expect("a moment"),
        kind: None,
        primitive: None,
        member_id: member.map(|id| id.parse().expect("an id")),
    }
}

fn figures(flow: &Flow, wanted: &Wanted) -> Vec<Figure> {
    let read = flow.look(|site| {
        let wanted = wanted.clone();
        async move { wanted.read(site.outbox(), &table()).await }
    });
    read.expect("reads")
}

fn message(flow: &Flow, event_type: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut payload = sample(event_type);
    change(&mut payload);
    flow.message(event_type, &payload.to_string())
        .expect("a contract")
}

#[test]
fn every_event_it_listens_to_is_a_kind_that_is_counted_and_the_reverse() {
    let types = Event::SELECTION.types();
    let heard: Vec<&str> = types.iter().map(|one| one.event_type).collect();
    let counted: Vec<&str> = kinds().iter().map(|kind| kind.event_type).collect();
    assert_eq!(heard, counted);
    for one in decoded_types() {
        assert!(
            heard.contains(&one),
            "{one} is decoded, but no consumer lane delivers it"
        );
    }
}

#[test]
fn every_event_is_counted_once_in_all_and_for_whom_it_names_however_often_it_comes() {
    for (event_type, payload) in samples() {
        let mut flow = flow();
        let body = flow.message(event_type, &payload.to_string());
        let body = body.expect("a contract");
        for copy in [&body, &body, &body] {
            assert!(flow.send(Analytics::NAME, copy.clone()));
        }
        flow.drain().expect("drains");
        assert_eq!(flow.letters(Analytics::NAME), [], "{event_type}");

        let all = figures(&flow, &year(None));
        let [of_all] = all.as_slice() else {
            panic!("{event_type}: {all:?}");
        };
        assert_eq!(of_all.kind.event_type, event_type);
        assert_eq!(of_all.sums.count, 1);
        let stated = |name: &str| match payload.get(name) {
            Some(Value::Number(number)) => number.to_string().parse().expect("an amount"),
            _ => Decimal::ZERO,
        };
        // An amount that was divided has two sums. Amounts that exist in several currencies are counted and not summed.
        let [amount, back] = match of_all.kind.unit {
            Some(_) => [
                stated("amount") + stated("settle_amount"),
                stated("refund_amount"),
            ],
            None => [Decimal::ZERO; 2],
        };
        assert_eq!(of_all.sums.amount, amount, "{event_type}");
        assert_eq!(of_all.sums.refunded, back, "{event_type}");
        assert_eq!(of_all.sums.quantity, stated("quantity"), "{event_type}");
        let members: Vec<&str> = [
            "member_id",
            "from_member_id",
            "to_member_id",
            "proposed_by",
            "approved_by",
            "account_id",
            "user_id",
            "model_id",
        ]
        .into_iter()
        .filter_map(|name| payload.get(name)?.as_str())
        .collect();
        for member in members {
            let own = figures(&flow, &year(Some(member)));
            // Events of a type that is not decoded are counted in the total, and for no member.
            if !decoded_types().contains(&event_type) {
                assert_eq!(own.len(), 0, "{event_type}, {member}: {own:?}");
                continue;
            }
            let [own] = own.as_slice() else {
                panic!("{event_type}, {member}: {own:?}");
            };
            assert_eq!((own.kind, own.sums), (of_all.kind, of_all.sums));
        }
    }
}

#[test]
fn a_kind_has_a_unit_exactly_where_its_events_move_something() {
    for (event_type, payload) in samples() {
        let body = flow().message(event_type, &payload.to_string());
        let envelope: Envelope = serde_json::from_str(&body.expect("a contract")).expect("reads");
        let Event(fact) = Event::decode(&envelope).expect("decodes");
        let kind = Kind::of(event_type).expect("counted");
        assert_eq!(kind.unit.is_some(), !fact.amount.is_zero(), "{event_type}");
        assert_eq!(kind.metered, fact.metered.is_some(), "{event_type}");
        assert_eq!(kind.divided, !fact.refunded.is_zero(), "{event_type}");
    }
}

/// An envelope whose type has no contract yet: its producer was deployed before this consumer.
fn of_tomorrow(flow: &Flow, event_type: &str) -> String {
    let body = message(flow, "wallet.deposited", |payload| {
        *payload = json!({ "note": "of tomorrow" });
    });
    body.replace("wallet.deposited", event_type)
}

#[test]
fn a_type_that_nobody_knows_yet_is_counted() {
    let mut flow = flow();
    for event_type in ["wallet.frozen", "shelf.built"] {
        let body = of_tomorrow(&flow, event_type);
        for copy in [&body, &body] {
            assert!(flow.send(Analytics::NAME, copy.clone()));
        }
    }
    flow.drain().expect("drains");
    assert_eq!(flow.letters(Analytics::NAME), []);
    let rows = flow.store().items(&table());
    for event_type in ["wallet.frozen", "shelf.built"] {
        let of_day = rows.iter().find(|row| {
            let pk = row["pk"].as_str().expect("text");
            pk.starts_with(&format!("total#{event_type}#"))
        });
        // The flow's clock starts at the beginning of a year, so the event falls into the first hour of its day.
        assert_eq!(of_day.expect("a row")["c00"], 1);
        assert_eq!(ever_of(&flow)[event_type], 1);
    }
}

fn ever_of(flow: &Flow) -> BTreeMap<String, u64> {
    flow.look(|site| async move { ever(site.outbox(), &table()).await })
        .expect("reads")
}

#[test]
fn producers_from_outside_are_counted_by_name_and_ours_by_their_contracts() {
    let mut flow = flow();
    for producer in ["erp.cluj", "erp.cluj", "erp.iasi"] {
        let body = flow.message(
            "erp.stock_counted",
            &sample("erp.stock_counted").to_string(),
        );
        let body = body
            .expect("a contract")
            .replace("\"event-ingest\"", &format!("\"{producer}\""));
        assert!(flow.send(Analytics::NAME, body));
    }
    assert!(flow.send(Analytics::NAME, message(&flow, "loan.funded", |_| ())));
    flow.drain().expect("drains");
    let Wanted { from, to, .. } = year(None);
    let (all, days) = flow.look(|site| async move {
        let all = ever_of_producers(site.outbox(), &table())
            .await
            .expect("reads");
        let days = outside_producers(site.outbox(), &table(), Bucket::Day, (from, to)).await;
        (all, days.expect("reads"))
    });
    let all: Vec<_> = all
        .iter()
        .map(|(name, number)| (name.as_str(), *number))
        .collect();
    assert_eq!(all, [("erp.cluj", 2), ("erp.iasi", 1), ("loan-api", 1)]);
    let days: Vec<_> = days
        .iter()
        .map(|((start, name), number)| (start.to_string(), name.as_str(), *number))
        .collect();
    let day = "2026-01-01T00:00:00.000Z".to_owned();
    assert_eq!(days, [(day.clone(), "erp.cluj", 2), (day, "erp.iasi", 1)]);
}

#[test]
fn a_transfer_has_two_sides_and_one_to_oneself_is_no_conflict() {
    let mut flow = flow();
    let name = contracts::cloud::Transferred::TYPE;
    for to in ["bob", "ada"] {
        let body = message(&flow, name, |payload| {
            payload["from_member_id"] = json!("ada");
            payload["to_member_id"] = json!(to);
            payload["amount"] = json!(2.5);
        });
        assert!(flow.send(Analytics::NAME, body));
    }
    flow.drain().expect("drains");
    let sides = |member| -> Vec<(Part, u64, String)> {
        figures(&flow, &year(Some(member)))
            .iter()
            .map(|one| {
                let amount = one.sums.amount.normalize().to_string();
                (one.part, one.sums.count, amount)
            })
            .collect()
    };
    assert_eq!(
        sides("ada"),
        [
            (Part::Side(Direction::In), 1, "2.5".to_owned()),
            (Part::Side(Direction::Out), 2, "5".to_owned())
        ]
    );
    assert_eq!(
        sides("bob"),
        [(Part::Side(Direction::In), 1, "2.5".to_owned())]
    );
}

#[test]
fn points_that_were_earned_left_the_user_and_came_to_the_model() {
    let mut flow = flow();
    for (name, settled, refunded) in [
        (contracts::wallet::EscrowSettled::TYPE, "amount", None),
        (
            contracts::wallet::EscrowPartialSettled::TYPE,
            "settle_amount",
            Some("refund_amount"),
        ),
    ] {
        let body = message(&flow, name, |payload| {
            payload["user_id"] = json!("ada");
            payload["model_id"] = json!("kim");
            payload[settled] = json!(69.75);
            if let Some(refunded) = refunded {
                payload[refunded] = json!(30.25);
            }
        });
        assert!(flow.send(Analytics::NAME, body));
    }
    flow.drain().expect("drains");
    for (member, side) in [("ada", Direction::Out), ("kim", Direction::In)] {
        let counted: Vec<String> = figures(&flow, &year(Some(member)))
            .iter()
            .map(|one| {
                assert_eq!(one.part, Part::Side(side));
                let (amount, back) = (one.sums.amount.normalize(), one.sums.refunded.normalize());
                let unit = one.kind.unit.unwrap_or_default();
                format!("{} {amount} {unit}, {back} back", one.kind.event_type)
            })
            .collect();
        assert_eq!(
            counted,
            [
                "wallet.escrow_partial_settled 69.75 points, 30.25 back",
                "wallet.escrow_settled 69.75 points, 0 back",
            ]
        );
    }
}

#[test]
fn credits_of_nobody_are_counted_in_all() {
    let mut flow = flow();
    for name in [
        contracts::cloud::Minted::TYPE,
        contracts::cloud::Burned::TYPE,
    ] {
        let body = message(&flow, name, |payload| {
            let fields = payload.as_object_mut().expect("an object");
            fields.remove("member_id");
            fields.remove("member_name");
        });
        assert!(flow.send(Analytics::NAME, body));
    }
    flow.drain().expect("drains");
    assert_eq!(figures(&flow, &year(None)).len(), 2);
    // Each type has the row of its day and the all-time row.
    assert_eq!(flow.store().items(&table()).len(), 4);
}

#[test]
fn what_is_no_event_of_its_own_is_a_letter_and_counts_nothing() {
    let mut flow = flow();
    let broken = message(&flow, "cloud.minted", |payload| {
        payload["amount"] = json!(-1);
    });
    for body in [broken, "no event".to_owned()] {
        assert!(flow.send(Analytics::NAME, body));
    }
    flow.drain().expect("drains");
    let letters = flow.letters(Analytics::NAME);
    assert_eq!(letters.len(), 2, "{letters:?}");
    assert_eq!(flow.store().items(&table()).len(), 0);
}
