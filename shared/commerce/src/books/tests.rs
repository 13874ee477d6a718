use domain::testing::{Log, at};
use events::{Contract, Draft};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;

const BUSINESS: &str = "acme";
const CONSUMER: &str = "ada";
const SKU: &str = "PRD-001";
const NOW: &str = "2026-02-13T12:00:00.000Z";
const PAYMENT: &str = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f0999";

fn id(number: u16) -> String {
    format!("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f{number:04x}")
}

fn order_id(number: u16) -> OrderId {
    id(number).parse().expect("an id")
}

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("as it is stored")
}

/// An order of 10 pieces that comes to 1,785.00.
fn order(number: u16, customer: &str, status: &str, fulfillment: &str, paid: f64) -> Order {
    let item = json!({
        "item_id": id(0xf000 + number), "product_id": SKU, "sku": SKU, "quantity": 10, "unit_price": 150,
        "line_total": 1500, "tax_category": "standard", "tax_rate": 19, "tax_amount": 285,
    });
    read(json!({
        "order_id": id(number), "order_number": "ORD-00012345", "customer_id": customer,
        "customer_type": if customer == BUSINESS { "b2b" } else { "b2c" }, "payment_term": "net_30",
        "country": "RO", "vat_treatment": "domestic", "status": status,
        "payment_status": if paid > 0.0 { "paid" } else { "pending" }, "fulfillment_status": fulfillment,
        "items": [item], "paid": paid, "stock_requested": true,
        "totals": { "subtotal": 1500, "tax_amount": 285, "total": 1785, "currency": "EUR" },
        "created_at": NOW, "created_by": "desk", "updated_at": NOW,
    }))
}

fn credit(number: u16, status: &str, paid: f64) -> credit::Reservation {
    read(json!({
        "order_id": id(number), "customer_id": BUSINESS, "status": status, "amount": 1785, "paid": paid,
        "currency": "EUR", "updated_at": NOW,
    }))
}

fn goods(number: u16, status: &str) -> stock::Reservation {
    read(json!({
        "order_id": id(number), "status": status, "items": [{ "sku": SKU, "quantity": 10 }], "updated_at": NOW,
    }))
}

fn account(reserved: f64, balance: f64) -> CreditAccount {
    read(json!({
        "customer_id": BUSINESS, "currency": "EUR", "credit_limit": 9000, "reserved": reserved, "balance": balance,
        "blocked": false, "updated_at": NOW, "updated_by": "desk",
    }))
}

fn stock(reserved: u32) -> Stock {
    read(json!({
        "product_id": SKU, "sku": SKU, "on_hand": 100, "reserved": reserved, "threshold_low_stock": 0,
        "updated_at": NOW, "updated_by": "desk",
    }))
}

fn due(number: u16) -> Due {
    Due {
        order_id: order_id(number),
        look_at: at(1),
        named: false,
    }
}

/// An order of a business that waits for its parcel, one that is shipped, one that is paid and completed, one that was
/// cancelled, and one of a consumer who has not paid yet.
fn sound() -> Books {
    let mut books = Books::default();
    books.enter_account(&account(785.0, 1785.0));
    books.enter_stock(&stock(20));
    for (number, status, fulfillment, paid, of_credit, of_goods) in [
        (
            1,
            "confirmed",
            "unfulfilled",
            1000.0,
            "reserved",
            "reserved",
        ),
        (2, "confirmed", "shipped", 0.0, "owed", "shipped"),
        (3, "completed", "delivered", 1785.0, "settled", "shipped"),
        (4, "cancelled", "unfulfilled", 0.0, "restored", "released"),
    ] {
        books.enter_order(&order(number, BUSINESS, status, fulfillment, paid));
        books.enter_credit(&credit(number, of_credit, paid));
        books.enter_goods(&goods(number, of_goods));
    }
    books.enter_order(&order(5, CONSUMER, "confirmed", "unfulfilled", 0.0));
    books.enter_goods(&goods(5, "reserved"));
    books.enter_due(&due(5));
    books
}

/// What is wrong, with the aggregate that it is about.
fn words(books: &Books) -> Vec<String> {
    let found = books.check().into_iter();
    found
        .map(|wrong| format!("{}: {wrong}", wrong.aggregate()))
        .collect()
}

#[test]
fn what_orders_hold_is_what_their_account_and_stock_state() {
    assert_eq!(words(&sound()), [""; 0]);
}

#[test]
fn a_cent_or_a_piece_that_no_order_holds_is_found_with_both_numbers() {
    let mut books = sound();
    books.enter_account(&account(785.01, 1784.99));
    books.enter_stock(&stock(19));
    assert_eq!(
        words(&books),
        [
            "credit#acme: 785.01 are reserved of it; what is reserved for its orders comes to 785.00",
            "credit#acme: 1784.99 are owed on it; what is owed for its orders comes to 1785.00",
            "stock#PRD-001: 19 pieces are reserved of it; what is reserved for orders comes to 20",
        ]
    );
    let mut alone = Books::default();
    alone.enter_order(&order(1, BUSINESS, "confirmed", "unfulfilled", 0.0));
    alone.enter_credit(&credit(1, "reserved", 0.0));
    alone.enter_goods(&goods(1, "reserved"));
    let found = alone.check();
    assert!(
        matches!(&found[..], [Wrong::Reserved { .. }, Wrong::Stock { .. }]),
        "neither account nor stock: {found:?}"
    );
}

#[test]
fn an_order_that_holds_what_it_must_not_or_lacks_what_it_must_have_is_found() {
    /// What is found about the order of a business: its status, where its goods are, its credit and its reserved goods.
    fn found_of(words: &str) -> Vec<String> {
        let words: Vec<&str> = words.split(' ').collect();
        let [status, fulfillment, of_credit, of_goods] = words[..] else {
            panic!("{words:?}");
        };
        let mut books = Books::default();
        books.enter_order(&order(1, BUSINESS, status, fulfillment, 0.0));
        books.enter_credit(&credit(1, of_credit, 0.0));
        books.enter_goods(&goods(1, of_goods));
        books.enter_due(&due(1));
        // The sums are another matter.
        let found = books.check().into_iter();
        let of_order = found.filter(|wrong| wrong.order_id().is_some());
        of_order.map(|wrong| wrong.to_string()).collect()
    }
    for (words, wrong) in [
        (
            "cancelled unfulfilled reserved released",
            "credit is reserved",
        ),
        (
            "cancelled unfulfilled restored reserved",
            "goods is reserved",
        ),
        ("rejected unfulfilled owed failed", "credit is owed"),
        (
            "confirmed unfulfilled restored reserved",
            "credit is restored",
        ),
        (
            "confirmed unfulfilled reserved released",
            "goods is released",
        ),
        ("confirmed shipped reserved shipped", "credit is reserved"),
        ("completed delivered settled reserved", "goods is reserved"),
    ] {
        let found = found_of(words);
        assert!(
            matches!(&found[..], [one] if one.contains(wrong)),
            "{words}: {found:?}"
        );
    }
    // Before it is decided on, it may hold anything.
    assert_eq!(found_of("pending unfulfilled reserved failed"), [""; 0]);
    let mut consumer = sound();
    consumer.enter_order(&order(1, CONSUMER, "confirmed", "unfulfilled", 1785.0));
    let found = words(&consumer);
    assert!(
        found.iter().any(|one| one.contains("status of its credit")),
        "a consumer with credit: {found:?}"
    );
}

#[test]
fn credit_and_goods_are_those_of_their_order_and_there_is_one() {
    let mut books = sound();
    let mut changed: Value = json!(credit(2, "owed", 0.0));
    changed["currency"] = json!("RON");
    books.enter_credit(&read(changed));
    let mut changed: Value = json!(goods(3, "shipped"));
    changed["items"][0]["quantity"] = json!(9);
    books.enter_goods(&read(changed));
    books.enter_goods(&goods(8, "failed"));
    books.enter_credit(&credit(9, "rejected", 0.0));
    let expected = [
        format!(
            "order#{}: its credit is another customer's, or of another amount",
            id(2)
        ),
        format!(
            "order#{}: other goods are reserved for it than it has",
            id(3)
        ),
        format!("credit_reservation#{}: there is no such order", id(9)),
        format!("stock_reservation#{}: there is no such order", id(8)),
    ];
    assert_eq!(words(&books), expected);
}

fn enter<C: Contract>(books: &mut Books, event: Value) {
    let mut log = Log::default();
    let event: C = read(event);
    log.append([Draft::of(&event).expect("a draft")], at(1));
    for envelope in &log.0 {
        books.enter_event(envelope).expect("readable");
    }
}

/// A payment for an order reaches a status.
fn paid_by_card(books: &mut Books, order: &str, currency: &str, to_status: &str) {
    let event = json!({
        "payment_id": PAYMENT, "from_status": "authorized", "to_status": to_status, "amount": 1785,
        "currency": currency, "reference": { "type": "order", "id": order }, "version": 3,
    });
    enter::<StatusChanged>(books, event);
}

fn paid_on_account(books: &mut Books, number: u16, amount: f64) {
    let event = json!({
        "order_id": id(number), "customer_id": BUSINESS, "status": "reserved", "amount": 1785, "paid": amount,
        "currency": "EUR", "payment": { "external_reference": "BT-1", "amount": amount }, "changed_at": NOW,
        "version": 2,
    });
    enter::<ReservationChanged>(books, event);
}

fn counted(books: &mut Books, number: u16, reference: &str, amount: f64) {
    let event = json!({
        "order_id": id(number), "order_number": "ORD-00012345", "customer_id": BUSINESS, "customer_type": "b2b",
        "payment_reference": reference, "on_account": reference != PAYMENT, "amount": amount, "currency": "EUR",
        "outstanding": 0, "payment_status": "paid", "status": "confirmed", "paid_at": NOW, "version": 5,
    });
    enter::<Paid>(books, event);
}

#[test]
fn each_payment_for_an_order_counts_towards_it_once() {
    let mut books = sound();
    paid_by_card(&mut books, &id(5), "EUR", "captured");
    paid_on_account(&mut books, 1, 1000.0);
    let order = id(5);
    assert_eq!(
        words(&books),
        [
            format!(
                "order#{}: order/{0} counts 0.00 of the payment BT-1, of which 1000.00 was paid",
                id(1)
            ),
            format!(
                "order#{order}: order/{order} counts 0.00 of the payment {PAYMENT}, of which 1785.00 was paid"
            ),
        ]
    );
    counted(&mut books, 5, PAYMENT, 1785.0);
    counted(&mut books, 1, "BT-1", 1000.0);
    assert_eq!(words(&books), [""; 0]);
    counted(&mut books, 5, PAYMENT, 1785.0);
    counted(&mut books, 1, "BT-2", 1.0);
    let found = words(&books);
    let expected = [
        "counts 1.00 of the payment BT-2",
        "counts 3570.00 of the payment",
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (one, words) in found.iter().zip(expected) {
        assert!(one.contains(words), "{one}");
    }
}

#[test]
fn a_payment_that_no_order_can_count_is_named_until_all_of_it_is_refunded() {
    for (reference, currency, words) in [
        ("ORD-00012345", "EUR", "which does not exist"),
        (&*id(7), "EUR", "which does not exist"),
        (&*id(5), "USD", "which is in another currency"),
    ] {
        let mut books = sound();
        paid_by_card(&mut books, reference, currency, "captured");
        let found = books.check();
        let [wrong] = &found[..] else {
            panic!("{reference}: {found:?}");
        };
        assert!(wrong.to_string().contains(words), "{wrong}");
        assert_eq!(wrong.aggregate(), format!("payment#{PAYMENT}"));
        assert!(wrong.event_id().is_some());
        paid_by_card(&mut books, reference, currency, "partially_refunded");
        assert_eq!(books.check().len(), 1);
        paid_by_card(&mut books, reference, currency, "refunded");
        assert_eq!(books.check(), []);
    }
}

#[test]
fn an_order_that_can_take_too_long_has_one_row_and_no_row_is_of_none() {
    let due_of = |order: &Order, rows: usize| {
        let mut books = Books::default();
        books.enter_order(order);
        for _ in 0..rows {
            books.enter_due(&due(1));
        }
        let found = books.check().into_iter();
        let of_rows = found.filter(|wrong| {
            matches!(
                wrong,
                Wrong::NotDue { .. } | Wrong::DueTwice { .. } | Wrong::DueForNoOrder { .. }
            )
        });
        of_rows.collect::<Vec<_>>()
    };
    let order_id = order_id(1);
    for (customer, status, paid) in [
        (BUSINESS, "pending", 0.0),
        (CONSUMER, "pending", 1785.0),
        (CONSUMER, "confirmed", 0.0),
    ] {
        let order = order(1, customer, status, "unfulfilled", paid);
        let status = order.status();
        assert_eq!(due_of(&order, 0), [Wrong::NotDue { order_id, status }]);
        assert_eq!(due_of(&order, 1), []);
        assert_eq!(due_of(&order, 2), [Wrong::DueTwice { order_id }]);
    }
    // The row is still there until its time comes.
    for (customer, status, fulfillment, paid) in [
        (BUSINESS, "confirmed", "unfulfilled", 0.0),
        (CONSUMER, "confirmed", "shipped", 1785.0),
        (CONSUMER, "cancelled", "unfulfilled", 0.0),
    ] {
        let order = order(1, customer, status, fulfillment, paid);
        for rows in 0..=1 {
            assert_eq!(due_of(&order, rows), [], "{status}");
        }
    }
    let mut books = Books::default();
    books.enter_due(&due(1));
    assert_eq!(books.check(), [Wrong::DueForNoOrder { order_id }]);
}
