//! What clients ask of payments and settlements, carried out by the shipped operations on the shipped items.

use std::num::NonZeroU32;

use events::{
    Money, NetworkName, PaymentId, SettlementId, Text, TxHash, contracts::payment::Currency,
};
use outbox::{Decision, Outbox, Table, Transaction};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::Value;
use settlement::{
    operations::{Settle, Settlements, Stopped},
    payment,
    selection::{Candidate, Gas, Weights},
    settlement::SettlementChange,
};
use uuid::Uuid;

use super::commands::committed;

/// The number of payments: few, so that several clients use the same one at once.
pub(crate) const PAYMENTS: u8 = 4;

/// The number of settlements: more than there are payments, so that several compete for the money of one.
pub(crate) const SETTLEMENTS: u8 = 8;

/// The number of payments that are captured, and of settlements that are in progress, when clients begin.
const BEGUN: u8 = 3;

pub(crate) fn settlement_table() -> Table {
    Table::domain("settlement")
}

/// What a client asks for; amounts in cents. Clients choose the ids here: an id that exists is not created again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Command {
    Payment { payment: u8, step: Step },
    Settlement { settlement: u8, step: Leg },
}

/// What a client asks of a payment.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Create { amount: i64, currency: Currency },
    Authorize,
    Capture,
    Cancel,
    Fail,
    Refund { amount: i64 },
}

/// What a client asks of a settlement.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Leg {
    Create { payment: u8, amount: i64 },
    Submit { hash: u8 },
    Confirm { confirmations: u32 },
    Settle { gas: u8 },
    Fail,
}

/// How many confirmations confirm a settlement.
const REQUIRED: u32 = 4;

/// Some captured payments, and settlements that a network has in progress: the other commands start from these.
pub(super) fn begun() -> impl Iterator<Item = Command> {
    let payment = |payment, step| Command::Payment { payment, step };
    (0..BEGUN).flat_map(move |number| {
        let currency = Currency::ALL[usize::from(number) % 2];
        let amount = 10_000;
        // The rest can be refunded, or settled by others.
        let create = Leg::Create {
            payment: number,
            amount: 4_000,
        };
        let leg = |step| Command::Settlement {
            settlement: number,
            step,
        };
        [
            payment(number, Step::Create { amount, currency }),
            payment(number, Step::Authorize),
            payment(number, Step::Capture),
            leg(create),
            leg(Leg::Submit { hash: 0 }),
            leg(Leg::Confirm {
                confirmations: u32::from(number) * 2,
            }),
        ]
    })
}

pub(super) fn command() -> impl Strategy<Value = Command> {
    let which = || 0..PAYMENTS;
    let currency = prop::sample::select(Currency::ALL.to_vec());
    let step = prop_oneof![
        2 => (0..20_000_i64, currency).prop_map(|(amount, currency)| Step::Create { amount, currency }),
        2 => Just(Step::Authorize),
        2 => Just(Step::Capture),
        1 => Just(Step::Cancel),
        1 => Just(Step::Fail),
        // A part of what was captured, or all of it: then settlements have the money, or it is too much.
        8 => prop_oneof![4 => 0..4_000_i64, 1 => Just(10_000)].prop_map(|amount| Step::Refund { amount }),
    ];
    // A part of what was captured, or more than that. Some ids are taken.
    let amount = prop_oneof![6 => 0..5_000_i64, 1 => 0..20_000_i64];
    let create = (0..SETTLEMENTS, which(), amount).prop_map(|(settlement, payment, amount)| {
        let step = Leg::Create { payment, amount };
        Command::Settlement { settlement, step }
    });
    let step_of = prop_oneof![3 => 0..BEGUN, 2 => BEGUN..SETTLEMENTS];
    let leg = prop_oneof![
        2 => (0..3_u8).prop_map(|hash| Leg::Submit { hash }),
        8 => prop_oneof![3 => 0..=REQUIRED + 1, 1 => Just(REQUIRED)]
            .prop_map(|confirmations| Leg::Confirm { confirmations }),
        5 => (0..3_u8).prop_map(|gas| Leg::Settle { gas }),
        2 => Just(Leg::Fail),
    ];
    prop_oneof![
        6 => (which(), step).prop_map(|(payment, step)| Command::Payment { payment, step }),
        2 => create,
        6 => (step_of, leg).prop_map(|(settlement, step)| Command::Settlement { settlement, step }),
    ]
}

pub(crate) fn payment_id(number: u8) -> PaymentId {
    Uuid::from_u128(1_000 + u128::from(number)).into()
}

pub(crate) fn settlement_id(number: u8) -> SettlementId {
    Uuid::from_u128(2_000 + u128::from(number)).into()
}

fn money(cents: i64) -> Money {
    Money::new(Decimal::new(cents, 2)).expect("money")
}

fn gas(number: u8) -> Gas {
    let text = format!("0.00{number}").parse().expect("a decimal");
    Gas::new(text).expect("not below zero")
}

fn reason() -> Text<500> {
    Text::new("storm").expect("a text")
}

fn networks() -> Vec<Candidate> {
    let one = |name: &str, cost: &str| Candidate {
        network: NetworkName::new(name).expect("a name"),
        cost_usd: cost.parse().expect("a cost"),
        seconds: 60,
        reliability: "0.99".parse().expect("a part"),
        gas_estimate: gas(1),
        required_confirmations: NonZeroU32::new(REQUIRED).expect("more than none"),
    };
    vec![one("base", "0.02"), one("polygon", "0.01")]
}

/// Runs a command. A command against the rules is refused.
pub(super) async fn decide(
    outbox: &Outbox,
    command: Command,
    mut transaction: Transaction,
) -> Result<Decision<Value, ()>, outbox::Error> {
    let settlements = Settlements {
        outbox,
        table: &settlement_table(),
        weights: &Weights::default(),
    };
    let done = match command {
        Command::Payment { payment, step } => {
            let id = payment_id(payment);
            of_payment(&settlements, id, step, &mut transaction).await
        }
        Command::Settlement { settlement, step } => {
            let id = settlement_id(settlement);
            of_settlement(&settlements, id, step, &mut transaction).await
        }
    };
    match done {
        Ok(()) => Ok(committed(transaction)),
        Err(Stopped::Refused(_)) => Ok(Decision::Refuse(())),
        Err(Stopped::Failed(error)) => Err(error),
    }
}

async fn of_payment(
    settlements: &Settlements<'_>,
    id: PaymentId,
    step: Step,
    transaction: &mut Transaction,
) -> Result<(), Stopped> {
    if let Step::Create { amount, currency } = step {
        let create = payment::Create {
            payment_id: id,
            amount: money(amount),
            currency,
            reference: None,
        };
        let created = settlements.create_payment(transaction, create);
        return created.await.map(drop);
    }
    let step = |change: payment::PaymentChange| match step {
        Step::Create { .. } => unreachable!("created above"),
        Step::Authorize => change.authorize(),
        Step::Capture => change.capture(),
        Step::Cancel => change.cancel(),
        Step::Fail => change.fail(reason()),
        Step::Refund { amount } => change.refund(money(amount)),
    };
    let done = settlements.step_payment(transaction, id, step);
    done.await.map(drop)
}

async fn of_settlement(
    settlements: &Settlements<'_>,
    id: SettlementId,
    step: Leg,
    transaction: &mut Transaction,
) -> Result<(), Stopped> {
    if let Leg::Create { payment, amount } = step {
        let settle = Settle {
            settlement_id: id,
            payment_id: payment_id(payment),
            amount: money(amount),
            currency: None,
            networks: networks(),
        };
        return settlements.create(transaction, settle).await.map(drop);
    }
    let step = |change: SettlementChange| match step {
        Leg::Create { .. } => unreachable!("created above"),
        Leg::Submit { hash } => change.submit(TxHash::new(format!("0x{hash}")).expect("a hash")),
        Leg::Confirm { confirmations } => change.confirm(confirmations),
        Leg::Settle { gas: number } => change.settle(gas(number)),
        Leg::Fail => change.fail(reason()),
    };
    settlements.step(transaction, id, step).await.map(drop)
}
