use domain::testing::{Log, at, number};
use proptest::prelude::*;

use super::*;
use events::{ItemId, ProductId, contracts::price::TaxCategory};

fn by() -> Text<256> {
    Text::new("desk").expect("a name")
}

fn money(text: &str) -> Money {
    text.parse().expect("money")
}

/// The order of the seed's sample: 10 × 150.00, of which 19 % are 285.00.
fn placed(customer_type: CustomerType) -> OrderChange {
    let item_id: ItemId = "f1e2d3c4-b5a6-9876-fedc-987654321098"
        .parse()
        .expect("an id");
    let item = Item {
        item_id,
        product_id: ProductId::new("PRD-001").expect("an id"),
        sku: Sku::new("PRD-001").expect("a sku"),
        quantity: 10,
        unit_price: "150".parse().expect("a price"),
        line_total: money("1500"),
        tax_category: Some(TaxCategory::Standard),
        tax_rate: "19".parse().ok(),
        tax_amount: "285".parse().ok(),
        name: None,
        available: None,
    };
    let placed = Placed {
        order_id: "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
            .parse()
            .expect("an id"),
        order_number: OrderNumber::of(12_345),
        customer_id: CustomerId::new("CUST-00123").expect("an id"),
        customer_type,
        payment_term: PaymentTerm::Net30,
        country: CountryCode::new("RO").expect("a country"),
        vat_treatment: VatTreatment::Domestic,
        items: vec![item],
        totals: Totals {
            subtotal: money("1500"),
            tax_lines: Vec::new(),
            tax_amount: money("285"),
            total: money("1785"),
            currency: Currency::Eur,
        },
        quote_id: "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a88".parse().ok(),
        by: by(),
    };
    place(placed, number(1), at(1))
}

fn pay(amount: &str) -> OrderStep {
    OrderStep::Pay {
        reference: Text::new("BT-1").expect("a reference"),
        on_account: true,
        amount: money(amount),
    }
}

fn reject() -> OrderStep {
    OrderStep::Reject {
        reason: Rejection::OutOfStock,
        shortages: Vec::new(),
    }
}

fn cancel() -> OrderStep {
    OrderStep::Cancel {
        reason: None,
        by: by(),
    }
}

fn ship() -> OrderStep {
    OrderStep::Ship {
        carrier: None,
        tracking: None,
        by: by(),
    }
}

fn deliver() -> OrderStep {
    OrderStep::Deliver { by: by() }
}

/// An order and the log of its events.
struct Life {
    order: Order,
    version: u64,
    log: Log,
}

impl Life {
    fn begin(customer_type: CustomerType) -> Self {
        let mut log = Log::default();
        let placed = placed(customer_type);
        log.append(drafts(&placed), at(1));
        let order = placed.state().clone();
        Self {
            order,
            version: 1,
            log,
        }
    }

    fn step(&mut self, step: OrderStep) -> Result<(), Refusal> {
        let version = self.version + 1;
        let change = change(&self.order, step, number(version), at(version))?;
        self.log.append(drafts(&change), at(version));
        self.order = change.state().clone();
        self.version = version;
        Ok(())
    }

    /// After these steps, each of which must be allowed.
    fn after(customer_type: CustomerType, steps: impl IntoIterator<Item = OrderStep>) -> Self {
        let mut life = Self::begin(customer_type);
        for step in steps {
            life.step(step).expect("allowed");
        }
        life
    }

    fn agrees(&self) {
        let rebuilt = domain::rebuild::<Order>(&self.log.0).expect("they follow");
        let rebuilt = rebuilt.map(|rebuilt| rebuilt.state);
        assert_eq!(rebuilt.as_ref(), Some(&self.order));
        assert!(self.log.names_every_fact_once());
    }
}

fn drafts(change: &OrderChange) -> Vec<Draft> {
    let drafts = change.events().iter().map(Event::draft);
    drafts.collect::<Result<_, _>>().expect("drafts")
}

#[test]
fn the_order_of_a_business_goes_from_credit_over_stock_to_its_end() {
    let mut life = Life::begin(CustomerType::B2b);
    assert!(life.order.awaits_credit() && !life.order.awaits_stock());
    life.step(OrderStep::AskForStock)
        .expect("credit is reserved");
    assert!(!life.order.awaits_credit() && life.order.awaits_stock());
    life.step(OrderStep::Confirm)
        .expect("the goods are reserved");
    life.step(pay("785")).expect("a part");
    assert_eq!(life.order.payment_status(), PaymentStatus::PartiallyPaid);
    life.step(ship()).expect("a business pays later");
    life.step(deliver()).expect("shipped");
    assert_eq!(life.order.status(), OrderStatus::Confirmed);
    life.step(pay("1000")).expect("the rest");
    assert_eq!(
        (life.order.status(), life.order.payment_status()),
        (OrderStatus::Completed, PaymentStatus::Paid)
    );
    life.agrees();
}

#[test]
fn the_goods_of_a_consumer_are_asked_for_at_once_and_shipped_once_they_are_paid() {
    let mut life = Life::begin(CustomerType::B2c);
    assert!(life.order.awaits_stock());
    assert_eq!(life.log.0.len(), 2);
    life.step(OrderStep::Confirm)
        .expect("the goods are reserved");
    let outstanding = money("1785");
    assert_eq!(life.step(ship()), Err(Refusal::NotPaid { outstanding }));
    life.step(pay("1785")).expect("all");
    life.step(ship()).expect("paid");
    life.step(deliver()).expect("shipped");
    assert_eq!(life.order.status(), OrderStatus::Completed);
    life.agrees();
}

#[test]
fn what_the_status_does_not_allow_is_refused_with_what_it_allows() {
    use CustomerType::B2b;
    let confirmed = || [OrderStep::AskForStock, OrderStep::Confirm];
    let shipped = || confirmed().into_iter().chain([ship()]);
    let refused = |mut life: Life, step: OrderStep| match life.step(step) {
        Err(Refusal::Illegal(illegal)) => (illegal.from, illegal.allowed),
        other => panic!("{other:?}"),
    };
    let nothing: [&str; 0] = [];
    for (life, step, from, allowed) in [
        (
            Life::begin(B2b),
            ship(),
            "pending",
            &["confirmed", "rejected", "cancelled"][..],
        ),
        (
            Life::after(B2b, confirmed()),
            deliver(),
            "unfulfilled",
            &["shipped"],
        ),
        (
            Life::after(B2b, confirmed()),
            reject(),
            "confirmed",
            &["completed", "cancelled"],
        ),
        (
            Life::after(B2b, shipped()),
            cancel(),
            "shipped",
            &["delivered"],
        ),
        (
            Life::after(B2b, shipped()),
            ship(),
            "shipped",
            &["delivered"],
        ),
        (
            Life::after(B2b, [cancel()]),
            OrderStep::Confirm,
            "cancelled",
            &nothing,
        ),
        (
            Life::after(B2b, [cancel()]),
            cancel(),
            "cancelled",
            &nothing,
        ),
        (
            Life::after(B2b, [OrderStep::AskForStock, reject()]),
            cancel(),
            "rejected",
            &nothing,
        ),
        (
            Life::after(B2b, [OrderStep::AskForStock, reject()]),
            ship(),
            "rejected",
            &nothing,
        ),
    ] {
        let what = format!("{step:?}");
        let (was, can) = refused(life, step);
        assert_eq!(
            (was.as_str(), can),
            (from, allowed.iter().map(|one| (*one).to_owned()).collect()),
            "{what}"
        );
    }
}

#[test]
fn a_payment_that_comes_after_the_end_is_kept_and_ends_nothing_else() {
    let mut life = Life::after(CustomerType::B2b, [cancel()]);
    life.step(pay("1785")).expect("what is paid is paid");
    assert_eq!(
        (life.order.status(), life.order.paid()),
        (OrderStatus::Cancelled, money("1785"))
    );
    life.agrees();
}

#[test]
fn every_status_has_its_row_and_none_comes_back() {
    assert!(STATUS.statuses().eq(OrderStatus::ALL));
    assert!(FULFILLMENT.statuses().eq(FulfillmentStatus::ALL));
    assert!(!STATUS.statuses().any(|one| STATUS.comes_back(one)));
    assert!(
        !FULFILLMENT
            .statuses()
            .any(|one| FULFILLMENT.comes_back(one))
    );
}

#[test]
fn an_order_that_takes_too_long_is_named_and_then_cancelled() {
    let patience = Patience {
        pending: std::time::Duration::from_secs(86_400),
        unpaid: std::time::Duration::from_secs(3_600),
    };
    let (business, consumer) = (CustomerType::B2b, CustomerType::B2c);
    let confirmed = || {
        let mut life = Life::begin(consumer);
        life.step(OrderStep::Confirm)
            .expect("the goods are reserved");
        life
    };
    let paid = Life::after(consumer, [OrderStep::Confirm, pay("1")]);
    let stuck = Overdue::Stuck { until: at(86_401) };
    let wait = Overdue::Wait { until: at(3_601) };
    let waits = |second: u64| Overdue::Wait { until: at(second) };
    let stuck_until = |second: u64| Overdue::Stuck { until: at(second) };
    for (life, named, second, wanted) in [
        (Life::begin(business), false, 901, Some(stuck)),
        (Life::begin(business), true, 86_400, Some(waits(86_401))),
        (Life::begin(business), true, 86_401, None),
        (Life::begin(consumer), false, 901, Some(stuck_until(3_601))),
        (Life::begin(consumer), true, 3_601, Some(waits(86_401))),
        (Life::begin(consumer), true, 86_401, None),
        (confirmed(), false, 3_600, Some(wait)),
        (confirmed(), true, 3_601, None),
        (paid, false, 90_000, Some(Overdue::Nothing)),
        (
            Life::after(business, [cancel()]),
            false,
            90_000,
            Some(Overdue::Nothing),
        ),
    ] {
        let overdue = life.order.overdue(named, patience, at(second));
        match wanted {
            Some(wanted) => assert_eq!(overdue, wanted, "{second}"),
            None => assert!(matches!(overdue, Overdue::Cancel { .. }), "{second}"),
        }
    }
    let business = Life::after(business, [OrderStep::AskForStock, OrderStep::Confirm]);
    assert_eq!(
        business.order.overdue(false, patience, at(90_000)),
        Overdue::Nothing
    );
}

proptest! {
    #[test]
    fn an_order_is_what_its_events_come_to(business in any::<bool>(), steps in prop::collection::vec(0_u8..8, 0..20)) {
        let kind = if business { CustomerType::B2b } else { CustomerType::B2c };
        let mut life = Life::begin(kind);
        for step in steps {
            // What is refused changes nothing.
            drop(life.step(match step {
                7 => OrderStep::Stuck,
                0 => OrderStep::AskForStock,
                1 => OrderStep::Confirm,
                2 => reject(),
                3 => cancel(),
                4 => pay("600"),
                5 => ship(),
                _ => deliver(),
            }));
        }
        life.agrees();
        let done = life.order.status() == OrderStatus::Completed;
        let delivered = life.order.fulfillment_status() == FulfillmentStatus::Delivered;
        prop_assert_eq!(done, delivered && life.order.payment_status() == PaymentStatus::Paid);
    }
}
