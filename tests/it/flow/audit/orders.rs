//! Damage to what orders hold, to what is paid for them, and to the rows by which they are looked at again. Each is such that every
//! row is still what its events come to: only the comparison with the orders can find it.

use commerce::{
    order::Due,
    testing::{self, table},
};
use commerce_orders::handler::CommerceOrders;
use consumer::Handler as _;
use events::{
    Contract as _, Envelope, PaymentId, Percent, Sku,
    contracts::{
        order::{Goods, Paid},
        payment::StatusChanged,
    },
};
use millrace::audit::{Kind, Options, Report};
use outbox::{Item, Key, encode_item};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use settlement::{operations::Settlements, selection::Weights};
use testkit::flow::{Faults, Site};

use super::{
    super::{
        orders::{Act, credit_and_stock, open, order_id, submit},
        world::{World, settlement_table},
    },
    Stand, add, commerce_table,
    operator::once,
    summary,
};

/// The number of an order that nobody placed.
const NOBODYS: usize = 99;

/// Orders of each kind, by their numbers: 0 is paid on account and completed, 1 is paid in part, 2 is a consumer's that is paid by
/// card and shipped, 3 and 5 are cancelled, 4 is shipped and paid in part, 6 and 8 wait for their parcel, and 7 for its payment.
fn stand() -> Stand {
    stand_after(|_| {})
}

/// The same, and what comes after it.
fn stand_after(more: impl FnOnce(&mut World)) -> Stand {
    let mut world = World::new(14, Faults::NONE, |builder| {
        credit_and_stock(builder)
            .consumer(|site| CommerceOrders::new(site.outbox().clone(), table()))
    });
    world.flow.look(open);
    world.flow.drain().expect("drains");
    let place = |customer, lines: &[(&'static str, u32)]| {
        let lines = lines.to_vec();
        Act::Place { customer, lines }
    };
    let steps = [
        vec![
            (0, place("rich", &[("A", 2)])),
            (1, place("rich", &[("B", 1)])),
            (2, place("consumer", &[("A", 1)])),
            (3, place("rich", &[("C", 3)])),
            (4, place("poor", &[("A", 10)])),
            (5, place("consumer", &[("B", 2)])),
            (6, place("rich", &[("A", 1), ("B", 1)])),
            (7, place("consumer", &[("C", 1)])),
        ],
        vec![
            (0, Act::Ship),
            (1, Act::Pay(50)),
            (2, Act::Card(121)),
            (3, Act::Cancel),
            (4, Act::Ship),
            (5, Act::Cancel),
        ],
        vec![
            (0, Act::Deliver),
            (0, Act::Pay(242)),
            (2, Act::Ship),
            (4, Act::Pay(10)),
        ],
        vec![(8, place("rich", &[("C", 2)]))],
    ];
    for acts in steps {
        for (number, act) in acts {
            submit(&mut world.flow, number, act);
        }
        world.flow.drain().expect("drains");
    }
    more(&mut world);
    world.flow.drain().expect("drains");
    Stand::of(&world)
}

/// An aggregate of an order, as the event log names it.
fn of_order(kind: &str, number: usize) -> String {
    format!("{kind}#{}", order_id(number))
}

fn events_of(stand: &Stand, aggregate: &str) -> Vec<Envelope> {
    let of_it = stand.log.iter().filter(|one| one.aggregate() == aggregate);
    of_it.cloned().collect()
}

fn last(stand: &Stand, aggregate: &str) -> Envelope {
    let last = events_of(stand, aggregate).pop();
    last.unwrap_or_else(|| panic!("{aggregate} has no event"))
}

fn state_of(aggregate: &str) -> Key {
    commerce_table().key(aggregate, "state")
}

fn fields(payload: &mut Value) -> &mut Item {
    payload.as_object_mut().expect("an object")
}

fn decimal(fields: &Item, name: &str) -> Decimal {
    fields[name].to_string().parse().expect("a number")
}

/// An account states a cent more in one part, and so does its last event.
fn a_cent_more(stand: &Stand, customer: &str, part: &str) {
    let aggregate = format!("credit#{customer}");
    stand.retell_everywhere(&last(stand, &aggregate), |payload| {
        let fields = fields(payload);
        add(fields, part, &json!(0.01));
        add(fields, "available_credit", &json!(-0.01));
        if part == "balance" {
            add(fields, "balance_change_amount", &json!(0.01));
        }
        let used = decimal(fields, "reserved") + decimal(fields, "balance");
        let used = Decimal::ONE_HUNDRED * used / decimal(fields, "credit_limit");
        let used = Percent::rounded(used).expect("per cent");
        fields.insert("credit_utilization".to_owned(), json!(used));
    });
    stand.change(&state_of(&aggregate), |item| {
        add(item, part, &json!(0.01));
    });
}

/// Changes a field of an aggregate in its row and in some of its events.
fn set(stand: &Stand, events: &[Envelope], name: &str, value: &Value) {
    for event in events {
        stand.retell_everywhere(event, |payload| payload[name] = value.clone());
        stand.change(&state_of(&event.aggregate()), |item| {
            item.insert(name.to_owned(), value.clone());
        });
    }
}

/// The row by which an order is looked at again.
fn due(stand: &Stand, number: usize) -> Due {
    let mut rows = stand.store.items(&commerce_table()).into_iter();
    let is_its =
        |item: &Item| item["pk"] == "order_due" && item["order_id"] == order_id(number).to_string();
    let row = rows.find(is_its).expect("a row");
    serde_json::from_value(Value::Object(row)).expect("a row")
}

fn put_due(stand: &Stand, due: &Due) {
    let item = encode_item(&due.key(&commerce_table()), due).expect("an item");
    stand.put(&commerce_table(), item);
}

/// The order of this number counts its payment under another name.
fn rename_payment(stand: &Stand, number: usize) {
    let events = events_of(stand, &of_order("order", number)).into_iter();
    let mut paid = events.filter(|event| event.event_type.as_str() == Paid::TYPE);
    let paid = paid.next().expect("it was paid");
    stand.retell_everywhere(&paid, |payload| {
        payload["payment_reference"] = json!("another");
    });
}

/// What is damaged, how, and what each finding says.
type Planted = (&'static str, fn(&Stand), &'static [&'static str]);

const PLANTED: &[Planted] = &[
    (
        "more is reserved of an account than for its orders",
        |stand| a_cent_more(stand, "rich", "reserved"),
        &["555.01 are reserved of it; what is reserved for its orders comes to 555.00"],
    ),
    (
        "more is owed on an account than for its orders",
        |stand| a_cent_more(stand, "poor", "balance"),
        &["1200.01 are owed on it; what is owed for its orders comes to 1200.00"],
    ),
    (
        "more is reserved of a stock than for orders",
        |stand| {
            let aggregate = "stock#C";
            stand.retell_everywhere(&last(stand, aggregate), |payload| {
                let fields = fields(payload);
                add(fields, "reserved", &json!(1));
                for name in ["new_quantity", "new_available", "quantity_change"] {
                    add(fields, name, &json!(-1));
                }
            });
            stand.change(&state_of(aggregate), |item| {
                add(item, "reserved", &json!(1));
            });
        },
        &["4 pieces are reserved of it; what is reserved for orders comes to 3"],
    ),
    (
        "the goods of a cancelled order left the house",
        |stand| {
            let goods = of_order("stock_reservation", 5);
            set(stand, &[last(stand, &goods)], "status", &json!("shipped"));
        },
        &["it is cancelled and unfulfilled, but the status of its goods is shipped"],
    ),
    (
        "the credit for a confirmed order was withdrawn",
        |stand| {
            let credit = of_order("credit_reservation", 6);
            set(
                stand,
                &[last(stand, &credit)],
                "status",
                &json!("withdrawn"),
            );
        },
        &[
            "it is confirmed and unfulfilled, but the status of its credit is withdrawn",
            "555.00 are reserved of it; what is reserved for its orders comes to 313.00",
        ],
    ),
    (
        "an order's credit is another customer's",
        |stand| {
            let credit = of_order("credit_reservation", 0);
            let events = events_of(stand, &credit);
            set(stand, &events, "customer_id", &json!("poor"));
        },
        &["its credit is another customer's, or of another amount"],
    ),
    (
        "other goods left the house than the order has",
        |stand| {
            let goods = of_order("stock_reservation", 2);
            let items = json!([{ "sku": "A", "quantity": 2 }]);
            set(stand, &events_of(stand, &goods), "items", &items);
        },
        &["other goods are reserved for it than it has"],
    ),
    (
        "an order counts a captured payment under another name",
        |stand| rename_payment(stand, 2),
        &[
            "counts 121.00 of the payment another, of which 0.00 was paid",
            "counts 0.00 of the payment",
        ],
    ),
    (
        "an order counts a payment on account under another name",
        |stand| rename_payment(stand, 1),
        &[
            "counts 50.00 of the payment another, of which 0.00 was paid",
            "counts 0.00 of the payment BT-1-50, of which 50.00 was paid",
        ],
    ),
    (
        "an unpaid order is never looked at again",
        |stand| stand.store.remove(&due(stand, 7).key(&commerce_table())),
        &["it is confirmed, and no row says when it is looked at again"],
    ),
    (
        "an order is looked at twice",
        |stand| {
            let mut due = due(stand, 6);
            due.look_at = due.look_at.plus(std::time::Duration::from_secs(1));
            put_due(stand, &due);
        },
        &["several rows say when it is looked at again"],
    ),
    (
        "an order that does not exist is looked at",
        |stand| {
            let mut due = due(stand, 6);
            due.order_id = order_id(NOBODYS);
            put_due(stand, &due);
        },
        &["a row says when it is looked at again, but there is no such order"],
    ),
];

/// Whether the report has these findings, each about the books, and no others.
fn has_only(report: &Report, expected: &[&str]) -> bool {
    let found = &report.findings;
    let is_found = |words: &&str| {
        let mut of_books = found.iter().filter(|one| one.kind == Kind::Books);
        of_books.any(|one| one.what.contains(*words))
    };
    found.len() == expected.len() && expected.iter().all(is_found)
}

#[test]
fn each_thing_that_is_damaged_of_orders_is_named_and_nothing_else_is() {
    let clean = stand().settled();
    assert!(clean.clean, "{clean}");
    assert_eq!(
        ["orders", "orders_due"].map(|name| clean.count("commerce", name)),
        [Some(9), Some(9)],
        "{clean}"
    );
    let mut wrong = Vec::new();
    for (what, plant, expected) in PLANTED {
        let stand = stand();
        plant(&stand);
        let report = stand.settled();
        if !has_only(&report, expected) {
            wrong.push(format!("{what}: {report}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn goods_of_no_order_are_named() {
    let stand = stand_after(|world| {
        world.flow.look(|site| async move {
            testing::commit(site.outbox(), 2_000, async |commerce, transaction| {
                let goods = Goods {
                    sku: Sku::new("B").expect("a sku"),
                    quantity: 1,
                };
                commerce
                    .reserve_stock(transaction, order_id(NOBODYS), vec![goods])
                    .await
            })
            .await;
        });
    });
    let report = stand.settled();
    assert!(has_only(&report, &["there is no such order"]), "{report}");
    let aggregate = report.findings[0].aggregate.as_deref();
    let expected = of_order("stock_reservation", NOBODYS).replace('#', "/");
    assert_eq!(aggregate, Some(expected.as_str()));
}

/// Five euros by card for an order that does not exist.
fn pay_for_nothing(world: &mut World) {
    submit(&mut world.flow, NOBODYS, Act::Card(5));
}

/// The event by which they were captured.
fn captured_for_nothing(log: &[Envelope]) -> Envelope {
    let is_it = |event: &&Envelope| {
        let payload = Stand::payload_value(event);
        event.event_type.as_str() == StatusChanged::TYPE
            && payload["to_status"] == "captured"
            && payload["reference"]["id"] == order_id(NOBODYS).to_string()
    };
    log.iter().find(is_it).expect("a capture").clone()
}

/// Pays them back.
async fn refund(site: Site, payment_id: PaymentId) {
    let site = &site;
    once(site, "refund".to_owned(), |mut transaction| async move {
        let settlements = Settlements {
            outbox: site.outbox(),
            table: &settlement_table(),
            weights: &Weights::default(),
        };
        let done = settlements
            .step_payment(&mut transaction, payment_id, |change| {
                change.refund("5".parse().expect("money"))
            })
            .await;
        done.expect("allowed");
        Ok(transaction)
    })
    .await;
}

#[test]
fn a_payment_that_refers_to_no_order_is_named_until_it_is_refunded_and_once() {
    let mut stand = stand_after(pay_for_nothing);
    let captured = captured_for_nothing(&stand.log);
    let id = captured.event_id.to_string();
    let report = stand.settled();
    let words = format!(
        "it was captured for the order {}, which does not exist",
        order_id(NOBODYS)
    );
    assert!(has_only(&report, &[&words]), "{report}");
    assert_eq!(report.findings[0].event_id.as_deref(), Some(id.as_str()));

    // As long as its dead letter is there, the letter says the same.
    let body = captured.to_json().expect("small");
    let attributes = [("consumer", CommerceOrders::NAME), ("reason", "rejected")];
    stand.park(body, &attributes);
    let report = stand.settled();
    assert_eq!(
        summary(&report),
        [(Kind::Parked, Some(id.as_str()))],
        "{report}"
    );

    let refunded = stand_after(|world| {
        pay_for_nothing(world);
        world.flow.drain().expect("drains");
        let captured: StatusChanged = Stand::payload(&captured_for_nothing(&world.flow.log()));
        world.flow.look(|site| refund(site, captured.payment_id));
    });
    let report = refunded.settled();
    assert!(report.clean, "{report}");
}

#[test]
fn an_audit_of_one_order_tells_nothing_of_what_it_did_not_read() {
    let stand = stand();
    a_cent_more(&stand, "rich", "reserved");
    stand.store.remove(&due(&stand, 7).key(&commerce_table()));
    let only = |kind: &str, number: usize| {
        stand.audit(&Options {
            settled: true,
            scope: vec![(kind.to_owned(), order_id(number).to_string())],
            ..Options::default()
        })
    };
    for number in 0..9 {
        for kind in ["order", "credit_reservation", "stock_reservation"] {
            let report = only(kind, number);
            let is_damaged = (kind, number) == ("order", 7);
            assert_eq!(report.findings.len(), usize::from(is_damaged), "{report}");
        }
    }
}

#[test]
fn what_changed_since_the_audit_began_is_called_moving() {
    let mut stand = stand();
    a_cent_more(&stand, "rich", "reserved");
    stand.now = last(&stand, "credit#rich").occurred_at;
    let report = stand.audit(&Options::default());
    assert!(
        report.findings.iter().all(|one| one.kind != Kind::Books),
        "{report}"
    );
    assert!(report.counts.moving > 0, "{report}");
}
