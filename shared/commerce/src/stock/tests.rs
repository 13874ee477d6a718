use domain::testing::{Log, at, number};
use proptest::prelude::*;

use super::*;

fn sku() -> Sku {
    Sku::new("PRD-001-A").expect("a sku")
}

fn by() -> Text<256> {
    Text::new("user-456").expect("a name")
}

fn counted(quantity: u32) -> StockStep {
    let product_id = ProductId::new("PRD-00123").expect("an id");
    StockStep::Counted {
        product_id,
        quantity,
    }
}

fn adjusted(delta: i64) -> StockStep {
    let reason = Text::new("broken").expect("a reason");
    StockStep::Adjusted { delta, reason }
}

fn step(
    before: Option<&Stock>,
    version: u64,
    step: StockStep,
) -> Result<Change<Stock, Changed>, Refusal> {
    change(
        before,
        &sku(),
        (step, None),
        by(),
        number(version),
        at(version),
    )
}

fn stock(quantity: u32) -> Stock {
    step(None, 1, counted(quantity))
        .expect("allowed")
        .state()
        .clone()
}

#[test]
fn a_quantity_means_what_the_threshold_says() {
    for (available, threshold, status) in [
        (0, 0, StockStatus::OutOfStock),
        (0, 5, StockStatus::OutOfStock),
        (1, 0, StockStatus::InStock),
        (4, 5, StockStatus::LowStock),
        (5, 5, StockStatus::InStock),
    ] {
        assert_eq!(
            StockStatus::of(available, threshold),
            status,
            "{available} of {threshold}"
        );
    }
}

#[test]
fn each_step_states_what_can_be_sold_before_and_after_it() {
    let mut before: Option<Stock> = None;
    for (version, one, change_type, quantities, status) in [
        (
            1,
            counted(50),
            ChangeType::Adjusted,
            (0, 50, 50),
            StockStatus::InStock,
        ),
        (
            2,
            adjusted(-10),
            ChangeType::Adjusted,
            (50, 40, -10),
            StockStatus::InStock,
        ),
        (
            3,
            StockStep::Received { quantity: 2 },
            ChangeType::Received,
            (40, 42, 2),
            StockStatus::InStock,
        ),
        (
            4,
            StockStep::Threshold { quantity: 43 },
            ChangeType::ThresholdChanged,
            (42, 42, 0),
            StockStatus::LowStock,
        ),
        (
            5,
            counted(0),
            ChangeType::Adjusted,
            (42, 0, -42),
            StockStatus::OutOfStock,
        ),
    ] {
        let change = step(before.as_ref(), version, one).expect("allowed");
        let event = change.event().expect("it changes");
        let stated = (
            event.previous_quantity,
            event.new_quantity,
            event.quantity_change,
        );
        assert_eq!(
            (event.change_type, stated, event.stock_status),
            (change_type, quantities, status)
        );
        before = Some(change.state().clone());
    }
}

#[test]
fn what_cannot_be_is_refused_and_what_is_so_is_no_event() {
    let refused = |before: Option<&Stock>, one| step(before, 9, one).err();
    assert_eq!(
        refused(None, adjusted(1)),
        Some(Refusal::UnknownStock { sku: sku() })
    );
    let some = stock(3);
    let below = Refusal::BelowReserved {
        on_hand: 3,
        reserved: 0,
    };
    assert_eq!(refused(Some(&some), adjusted(-4)), Some(below.clone()));
    assert_eq!(refused(Some(&some), adjusted(i64::MIN)), Some(below));
    let most = LARGEST_STOCK;
    assert_eq!(
        refused(Some(&some), adjusted(i64::MAX)),
        Some(Refusal::TooMuch { most })
    );
    assert_eq!(
        refused(None, counted(most + 1)),
        Some(Refusal::TooMuch { most })
    );
    let reserved = Stock {
        reserved: 2,
        ..some.clone()
    };
    let below = Refusal::BelowReserved {
        on_hand: 3,
        reserved: 2,
    };
    assert_eq!(refused(Some(&reserved), counted(1)), Some(below));
    let other = StockStep::Counted {
        product_id: ProductId::new("P").expect("an id"),
        quantity: 3,
    };
    let product_id = some.product_id.clone();
    assert_eq!(
        refused(Some(&some), other),
        Some(Refusal::OtherProduct {
            sku: sku(),
            product_id
        })
    );
    let same = step(Some(&some), 2, counted(3)).expect("allowed");
    assert_eq!((same.event(), same.state()), (None, &some));
}

fn any_step() -> impl Strategy<Value = StockStep> {
    prop_oneof![
        (0..100_u32).prop_map(counted),
        (1..100_u32).prop_map(|quantity| StockStep::Received { quantity }),
        (-100..100_i64).prop_map(adjusted),
        (0..100_u32).prop_map(|quantity| StockStep::Threshold { quantity }),
    ]
}

proptest! {
    /// For any steps, the stored state is the one that its events rebuild.
    #[test]
    fn a_stock_is_what_its_events_come_to(steps in prop::collection::vec(any_step(), 1..20)) {
        let (mut log, mut state, mut version) = (Log::default(), None::<Stock>, 1);
        for one in steps {
            let Ok(change) = step(state.as_ref(), version, one) else { continue };
            state = Some(change.state().clone());
            let Some(event) = change.event() else { continue };
            log.append([events::Draft::of(event).expect("a draft")], at(version));
            version += 1;
        }
        let rebuilt = domain::rebuild::<Stock>(&log.0).expect("they follow");
        let rebuilt = rebuilt.map(|rebuilt| rebuilt.state);
        // A count of nothing begins a stock without changing a quantity, and that, too, is an event.
        prop_assert_eq!(rebuilt, state);
    }
}
