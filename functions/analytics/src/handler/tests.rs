//! The handler in the whole pipeline in memory, on the frozen sample of every event it counts.

use std::collections::BTreeSet;

use events::Contract as _;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use testkit::flow::Flow;
use views::analytics::{Bucket, Direction, Figure, KINDS, Part, Wanted};

use super::*;

macro_rules! sample {
    ($path:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../shared/events/samples/",
            $path,
            "-v1/full.json"
        ))
    };
}

const SAMPLES: [(&str, &str); 17] = [
    (
        "alert.treasury_backing_low",
        sample!("alert/treasury-backing-low"),
    ),
    ("cloud.burned", sample!("cloud/burned")),
    ("cloud.minted", sample!("cloud/minted")),
    (
        "cloud.rate_card_approved",
        sample!("cloud/rate-card-approved"),
    ),
    (
        "cloud.rate_card_created",
        sample!("cloud/rate-card-created"),
    ),
    ("cloud.redeemed", sample!("cloud/redeemed")),
    ("cloud.staked", sample!("cloud/staked")),
    ("cloud.sync_diverged", sample!("cloud/sync-diverged")),
    ("cloud.transferred", sample!("cloud/transferred")),
    ("cloud.unstaked", sample!("cloud/unstaked")),
    ("wallet.balance_updated", sample!("wallet/balance-updated")),
    ("wallet.deposited", sample!("wallet/deposited")),
    ("wallet.escrow_held", sample!("wallet/escrow-held")),
    (
        "wallet.escrow_partial_settled",
        sample!("wallet/escrow-partial-settled"),
    ),
    ("wallet.escrow_refunded", sample!("wallet/escrow-refunded")),
    ("wallet.escrow_settled", sample!("wallet/escrow-settled")),
    ("wallet.withdrawn", sample!("wallet/withdrawn")),
];

fn table() -> Table {
    Table::domain("analytics")
}

fn flow() -> Flow {
    Flow::builder(1)
        .consumer(|_| Analytics::new(table()))
        .build()
        .expect("a flow")
}

/// All of 2026, by the day; the flow's clock begins with it.
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
    let (_, sample) = SAMPLES
        .into_iter()
        .find(|(known, _)| *known == event_type)
        .expect("a sample");
    let mut payload: Value = serde_json::from_str(sample).expect("JSON");
    change(&mut payload);
    flow.message(event_type, &payload.to_string())
        .expect("a contract")
}

#[test]
fn every_event_it_listens_to_is_a_kind_that_is_counted_and_the_reverse() {
    let heard: BTreeSet<&str> = Event::TYPES.iter().map(|one| one.event_type).collect();
    let counted: BTreeSet<&str> = KINDS.iter().map(|kind| kind.event_type).collect();
    let sampled: BTreeSet<&str> = SAMPLES.iter().map(|(event_type, _)| *event_type).collect();
    assert_eq!(heard, counted);
    assert_eq!(heard, sampled);
}

#[test]
fn every_event_is_counted_once_in_all_and_for_whom_it_names_however_often_it_comes() {
    for (event_type, sample) in SAMPLES {
        let mut flow = flow();
        let body = flow.message(event_type, sample).expect("a contract");
        for copy in [&body, &body, &body] {
            assert!(flow.send(Analytics::NAME, copy.clone()));
        }
        flow.drain().expect("drains");
        assert_eq!(flow.letters(Analytics::NAME), [], "{event_type}");

        let payload: Value = serde_json::from_str(sample).expect("JSON");
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
        // What was divided has no amount of its own.
        let amount = stated("amount") + stated("settle_amount");
        assert_eq!(of_all.sums.amount, amount, "{event_type}");
        assert_eq!(
            of_all.sums.refunded,
            stated("refund_amount"),
            "{event_type}"
        );
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
            let [own] = own.as_slice() else {
                panic!("{event_type}, {member}: {own:?}");
            };
            assert_eq!((own.kind, own.sums), (of_all.kind, of_all.sums));
        }
    }
}

#[test]
fn a_kind_has_a_unit_exactly_where_its_events_move_something() {
    for (event_type, sample) in SAMPLES {
        let flow = flow();
        let body = flow.message(event_type, sample).expect("a contract");
        let envelope: Envelope = serde_json::from_str(&body).expect("an envelope");
        let event = Event::decode(&envelope).expect("decodes");
        let fact = fact(&event).expect("counted");
        assert_eq!(
            fact.kind.unit.is_some(),
            !fact.amount.is_zero(),
            "{event_type}"
        );
        assert_eq!(fact.kind.metered, fact.metered.is_some(), "{event_type}");
        let divided = !fact.refunded.is_zero();
        assert_eq!(fact.kind.divided, divided, "{event_type}");
    }
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
        let told: Vec<String> = figures(&flow, &year(Some(member)))
            .iter()
            .map(|one| {
                assert_eq!(one.part, Part::Side(side));
                let (amount, back) = (one.sums.amount.normalize(), one.sums.refunded.normalize());
                let unit = one.kind.unit.unwrap_or_default();
                format!("{} {amount} {unit}, {back} back", one.kind.event_type)
            })
            .collect();
        assert_eq!(
            told,
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
    assert_eq!(flow.store().items(&table()).len(), 2);
}

#[test]
fn what_is_no_event_of_its_own_is_a_letter_and_counts_nothing() {
    let mut flow = flow();
    let unknown = flow.message(
        "member.registered",
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../shared/events/samples/member/registered-v1/full.json"
        )),
    );
    let broken = message(&flow, "cloud.minted", |payload| {
        payload["amount"] = json!(-1);
    });
    for body in [unknown.expect("a contract"), broken, "no event".to_owned()] {
        assert!(flow.send(Analytics::NAME, body));
    }
    flow.drain().expect("drains");
    let letters = flow.letters(Analytics::NAME);
    assert_eq!(letters.len(), 3, "{letters:?}");
    assert_eq!(flow.store().items(&table()).len(), 0);
}
