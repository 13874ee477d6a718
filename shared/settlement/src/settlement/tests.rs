use domain::{
    Illegal,
    testing::{Log, at, number},
};
use events::{
    DecimalText,
    contracts::settlement::SettlementStatus::{
        self, Confirmed, Confirming, NetworkSelected, Submitted,
    },
};
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::{machine::SETTLEMENT, selection::Candidate, witness};

fn candidates(required: u32) -> Candidates {
    let one = |name: &str, cost: &str, required: u32| Candidate {
        network: NetworkName::new(name).expect("a name"),
        cost_usd: cost.parse().expect("a cost"),
        seconds: 60,
        reliability: "0.99".parse().expect("a part"),
        gas_estimate: gas("0.000021"),
        required_confirmations: NonZeroU32::new(required).expect("at least one"),
    };
    Candidates::new(vec![
        one("base", "0.02", 7),
        one("polygon", "0.01", required),
    ])
    .expect("a choice")
}

fn gas(text: &str) -> Gas {
    let text: DecimalText = text.parse().expect("a decimal");
    Gas::new(text).expect("not below zero")
}

fn command() -> Create {
    Create {
        settlement_id: Uuid::from_u128(1).into(),
        payment_id: Uuid::from_u128(2).into(),
        amount: "12.50".parse().expect("money"),
        currency: Currency::Eur,
        payment_version: number(4),
    }
}

fn hash() -> TxHash {
    TxHash::new("0xabc").expect("a hash")
}

fn text(words: &str) -> Text<500> {
    Text::new(words).expect("a text")
}

fn created() -> SettlementChange {
    SettlementChange::create(command(), number(1), at(0)).expect("allowed")
}

fn chosen(required: u32) -> Settlement {
    let change = created().choose(&candidates(required), &Weights::default());
    change.expect("allowed").state
}

fn submitted(required: u32) -> Settlement {
    let change = SettlementChange::of(&chosen(required), number(2), at(1)).submit(hash());
    change.expect("allowed").state
}

/// The transitions that a change makes.
fn path(change: &SettlementChange) -> Vec<String> {
    let events = change.events.iter().filter_map(|event| match event {
        Event::Created(_) => Some("created".to_owned()),
        Event::NetworkSelected(_) => Some("network_selected".to_owned()),
        Event::StatusChanged(event) => Some(format!("{}→{}", event.from_status, event.to_status)),
        _ => None,
    });
    events.collect()
}

#[test]
fn a_new_settlement_gets_its_network_in_the_same_write() {
    let change = created();
    assert!(matches!(&change.events[..], [Event::Created(event)] if event.network.is_none()));
    let change = change
        .choose(&candidates(30), &Weights::default())
        .expect("allowed");
    assert_eq!(path(&change), ["created", "network_selected"]);
    assert_eq!(
        change.state.network.as_ref().expect("chosen").as_str(),
        "polygon"
    );
    assert_eq!(change.state.transitions, number(2));
    let Event::GasEstimated(event) = &change.events[2] else {
        panic!("{:?}", change.events)
    };
    assert_eq!(event.gas_estimate.as_str(), "0.000021");
}

#[test]
fn the_first_confirmation_and_the_required_one_are_transitions() {
    let step = |state: &Settlement, confirmations| {
        SettlementChange::of(state, number(3), at(2))
            .confirm(confirmations)
            .expect("allowed")
    };
    let first = step(&submitted(30), 1);
    assert_eq!(path(&first), ["submitted→confirming"]);
    let next = step(&first.state, 29);
    assert_eq!(path(&next), [""; 0]);
    assert_eq!(next.events.len(), 1);
    let last = step(&next.state, 30);
    assert_eq!(path(&last), ["confirming→confirmed"]);
    let at_once = step(&submitted(30), 35);
    assert_eq!(
        path(&at_once),
        ["submitted→confirming", "confirming→confirmed"]
    );
    assert_eq!(at_once.state.confirmations, 35);
    let numbers: Vec<_> = at_once
        .events
        .iter()
        .filter_map(Event::transition)
        .collect();
    assert_eq!(numbers, [number(4), number(5)]);
}

#[test]
fn confirmations_never_go_back_and_the_same_number_changes_nothing() {
    let change = SettlementChange::of(&submitted(30), number(3), at(2))
        .confirm(5)
        .expect("allowed");
    let again = SettlementChange::of(&change.state, number(4), at(3));
    assert!(again.clone().confirm(5).expect("allowed").events.is_empty());
    assert_eq!(
        again.clone().confirm(4),
        Err(Refusal::ConfirmationsWentBack {
            current: 5,
            stated: 4
        })
    );
    let confirmed = again.confirm(30).expect("allowed");
    let over = SettlementChange::of(&confirmed.state, number(5), at(4));
    assert!(
        over.clone()
            .confirm(30)
            .expect("heard again")
            .events
            .is_empty()
    );
    for other in [29, 31] {
        let refused = over.clone().confirm(other);
        assert!(
            matches!(refused, Err(Refusal::IllegalTransition(Illegal { .. }))),
            "{other}"
        );
    }
    let zero = SettlementChange::of(&submitted(30), number(3), at(2))
        .confirm(0)
        .expect("none yet");
    assert_eq!((zero.state.status, zero.events.len()), (Submitted, 0));
}

#[test]
fn a_settled_one_says_what_it_cost_and_a_failed_one_why() {
    let confirmed = SettlementChange::of(&submitted(1), number(3), at(2))
        .confirm(1)
        .expect("allowed")
        .state;
    let change = SettlementChange::of(&confirmed, number(4), at(3))
        .settle(gas("0.00002"))
        .expect("allowed");
    assert_eq!(path(&change), ["confirmed→settled"]);
    assert!(
        matches!(&change.events[1], Event::Settled(event) if event.gas_actual.as_str() == "0.00002")
    );
    let refused = SettlementChange::of(&change.state, number(5), at(4)).fail(text("late"));
    assert!(matches!(refused, Err(Refusal::IllegalTransition(_))));
    // A settlement can also fail before a network is selected.
    let change = SettlementChange::of(&created().state, number(2), at(1))
        .fail(text("no money"))
        .expect("allowed");
    assert_eq!(path(&change), ["created→failed"]);
    assert!(
        matches!(&change.events[1], Event::Failed(event) if event.error.as_str() == "no money")
    );
}

#[test]
fn steps_out_of_turn_are_refused_with_what_comes_next() {
    let refused = SettlementChange::of(&chosen(30), number(2), at(1)).settle(gas("1"));
    let Err(Refusal::IllegalTransition(illegal)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        (illegal.from.as_str(), illegal.to.as_str()),
        ("network_selected", "settled")
    );
    assert_eq!(illegal.allowed, ["submitted", "failed"]);
    let nothing = Create {
        amount: Money::ZERO,
        ..command()
    };
    let refused = SettlementChange::create(nothing, number(1), at(0));
    assert_eq!(refused.expect_err("nothing"), Refusal::AmountNotPositive);
}

#[test]
fn only_a_settlement_that_fails_gives_back_what_its_payment_counts() {
    let fail = |state: &Settlement| {
        let change = SettlementChange::of(state, number(3), at(2)).fail(text("e"));
        change.expect("allowed")
    };
    assert_eq!(created().gives_back(), None);
    let step = SettlementChange::of(&chosen(1), number(2), at(1)).submit(hash());
    assert_eq!(step.expect("allowed").gives_back(), None);
    let failed = fail(&submitted(1));
    let whole = Allocation {
        settlement_id: command().settlement_id,
        amount: command().amount,
        currency: Currency::Eur,
    };
    assert_eq!(failed.gives_back(), Some(whole));
    // A change that was loaded after the failure gives nothing back again.
    let later = SettlementChange::of(&failed.state, number(4), at(3));
    assert_eq!(later.gives_back(), None);
    let mut row = json!(SettlementRow::of(&submitted(1)));
    let fields = row.as_object_mut().expect("an object");
    assert_eq!(fields.remove("payment_version"), Some(json!(4)));
    let from_before: SettlementRow = serde_json::from_value(row).expect("reads");
    assert_eq!(fail(from_before.settlement()).gives_back(), None);
}

#[test]
fn a_row_is_in_the_index_while_its_settlement_is_under_way() {
    let open = json!(SettlementRow::of(&submitted(1)));
    assert_eq!(open["open_status"], "submitted");
    assert_eq!(
        open["open_since"],
        format!("{}#{}", at(0), Uuid::from_u128(1))
    );
    let failed = SettlementChange::of(&submitted(1), number(3), at(2))
        .fail(text("e"))
        .expect("allowed");
    let closed = SettlementRow::of(&failed.state);
    assert!(json!(closed).get("open_status").is_none());
    let read: SettlementRow = serde_json::from_value(json!(closed)).expect("reads back");
    assert_eq!(read, closed);
    assert_eq!(json!(read)["amount"], 12.5);
}

#[derive(Debug, Clone)]
enum Step {
    Choose(u32),
    Submit,
    Confirm(u32),
    Settle,
    Fail,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1_u32..6).prop_map(Step::Choose),
        3 => Just(Step::Submit),
        6 => (0_u32..9).prop_map(Step::Confirm),
        2 => Just(Step::Settle),
        1 => Just(Step::Fail),
    ];
    prop::collection::vec(step, 0..16)
}

fn take(change: SettlementChange, step: &Step) -> Result<SettlementChange, Refusal> {
    match step {
        Step::Choose(required) => change.choose(&candidates(*required), &Weights::default()),
        Step::Submit => change.submit(hash()),
        Step::Confirm(confirmations) => change.confirm(*confirmations),
        Step::Settle => change.settle(gas("0.5")),
        Step::Fail => change.fail(text("as it goes")),
    }
}

/// INV-S5: every transition is recorded once, numbers have no gaps, and each transition starts where the one before
/// ended.
fn every_transition_is_told_once(log: &Log, state: &Settlement) -> Result<(), TestCaseError> {
    let mut at: Option<SettlementStatus> = None;
    let mut count = 0;
    for envelope in &log.0 {
        let payload: serde_json::Value =
            serde_json::from_str(envelope.payload.json()).expect("JSON");
        let (from, to) = match envelope.event_type.as_str() {
            "settlement.created" => (None, json!("created")),
            "settlement.network_selected" => (Some(json!("created")), json!("network_selected")),
            "settlement.status_changed" => (
                Some(payload["from_status"].clone()),
                payload["to_status"].clone(),
            ),
            _ => {
                prop_assert!(payload.get("transition").is_none());
                continue;
            }
        };
        count += 1;
        prop_assert_eq!(&payload["transition"], &json!(count));
        prop_assert_eq!(from, at.map(|at| json!(at)));
        at = Some(serde_json::from_value(to).expect("a status"));
    }
    prop_assert_eq!(count, state.transitions.number());
    prop_assert_eq!(at, Some(state.status));
    Ok(())
}

proptest! {
    #[test]
    fn whatever_is_asked_the_events_come_to_the_state_and_tell_every_transition_once(steps in steps()) {
        let first = created();
        let mut state = first.state;
        let mut version = 1;
        let mut log = Log::default();
        log.append(first.events.iter().map(|event| event.draft().expect("a draft")), at(0));
        for (second, step) in (1..).zip(&steps) {
            let before = state.clone();
            let now = at(second);
            match take(SettlementChange::of(&state, number(version + 1), now), step) {
                Ok(change) if change.events.is_empty() => {
                    // Without an event, the state is unchanged.
                    prop_assert_eq!(&Settlement { updated_at: before.updated_at, ..change.state }, &before);
                }
                Ok(change) => {
                    version += 1;
                    log.append(change.events.iter().map(|event| event.draft().expect("a draft")), now);
                    state = change.state;
                }
                Err(Refusal::IllegalTransition(illegal)) => {
                    prop_assert_eq!(&illegal.from, &before.status.to_string());
                    let allowed: Vec<String> = SETTLEMENT.next(before.status).iter().map(ToString::to_string).collect();
                    prop_assert_eq!(&illegal.allowed, &allowed);
                }
                Err(Refusal::ConfirmationsWentBack { current, stated }) => prop_assert!(stated < current),
                Err(other) => prop_assert!(false, "{other:?}"),
            }
            prop_assert!(state.confirmations >= before.confirmations);
            let rebuilt = witness::settlement(&log.0).expect("whole").expect("there");
            prop_assert_eq!(&rebuilt.state, &state);
            prop_assert_eq!(rebuilt.version.number(), version);
            every_transition_is_told_once(&log, &state)?;
        }
        prop_assert!(log.names_every_fact_once());
        if [Confirming, Confirmed, NetworkSelected].contains(&state.status) {
            prop_assert!(state.network.is_some());
        }
    }

    #[test]
    fn a_history_that_lacks_or_repeats_an_event_comes_to_no_state(lost in 0_usize..9, twice: bool) {
        let mut log = Log::default();
        let mut change = created().choose(&candidates(2), &Weights::default()).expect("allowed");
        log.append(change.events.iter().map(|event| event.draft().expect("a draft")), at(0));
        for (version, step) in (2..).zip([Step::Submit, Step::Confirm(1), Step::Confirm(2), Step::Settle]) {
            change = take(SettlementChange::of(&change.state, number(version), at(version)), &step).expect("allowed");
            log.append(change.events.iter().map(|event| event.draft().expect("a draft")), at(version));
        }
        let mut events = log.0;
        if twice {
            let again = events[lost].clone();
            events.insert(lost, again);
        } else {
            events.remove(lost);
        }
        let broken = witness::settlement(&events);
        prop_assert!(broken.is_err(), "{broken:?}");
        // A lost transition is detected even if the events are renumbered without a gap.
        for (sequence, envelope) in (1..).zip(&mut events) {
            envelope.sequence = number(sequence);
        }
        let rebuilt = witness::settlement(&events);
        prop_assert!(!rebuilt.is_ok_and(|one| one.is_some_and(|one| one.state == change.state)));
    }
}
