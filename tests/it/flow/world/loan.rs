//! What clients ask of loans, carried out by the shipped operations on the shipped items.

use async_trait::async_trait;
use events::{DrawId, InterestRate, LoanId, MemberId, Money, Text, contracts::payment::Currency};
use loan::{
    loan::{Create, LoanChange, Terms},
    operations::{Loans, Members, Stopped},
};
use outbox::{Decision, Outbox, Table, Transaction};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::Value;
use uuid::Uuid;

use super::{MEMBERS, commands::committed, member_id};

/// The number of loans: few, so that several clients use the same one at once.
const EACH: u8 = 4;

/// The number of draws on each loan.
const DRAWS: u8 = 3;

/// The names of the clients that request draws and approve them.
const NAMES: [&str; 2] = ["desk", "credit"];

pub(crate) fn loan_table() -> Table {
    Table::domain("loan")
}

/// What a client asks of a loan; amounts in cents. Clients choose the ids here: an id that exists is not created again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Command {
    loan: u8,
    step: Step,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Create { amount: i64, months: u32 },
    Fund { amount: i64 },
    Modify { rate: u32, months: u32 },
    Cancel,
    Request { draw: u8, amount: i64, by: usize },
    Approve { draw: u8, by: usize },
    Reject { draw: u8, by: usize },
    Pay { amount: i64 },
}

/// Some funded loans, and one that is not funded: the other commands start from these.
pub(super) fn begun() -> impl Iterator<Item = Command> {
    (0..EACH - 1).flat_map(|loan| {
        let step = move |step| Command { loan, step };
        let create = Step::Create {
            amount: 200_000,
            months: 36,
        };
        let fund = Step::Fund { amount: 100_000 };
        let funded = (loan > 0).then(|| step(fund));
        [Some(step(create)), funded].into_iter().flatten()
    })
}

pub(super) fn command() -> impl Strategy<Value = Command> {
    let by = || 0..NAMES.len();
    let draw = || 0..DRAWS;
    let step = prop_oneof![
        1 => (1..300_000_i64, 1..60_u32).prop_map(|(amount, months)| Step::Create { amount, months }),
        2 => (1..200_000_i64).prop_map(|amount| Step::Fund { amount }),
        3 => (0..3_000_u32, 1..60_u32).prop_map(|(rate, months)| Step::Modify { rate, months }),
        1 => Just(Step::Cancel),
        5 => (draw(), 1..30_000_i64, by()).prop_map(|(draw, amount, by)| Step::Request { draw, amount, by }),
        10 => (draw(), by()).prop_map(|(draw, by)| Step::Approve { draw, by }),
        1 => (draw(), by()).prop_map(|(draw, by)| Step::Reject { draw, by }),
        // A part of the debt, or all of a loan's first principal.
        6 => prop_oneof![4 => 1..40_000_i64, 1 => Just(100_000)].prop_map(|amount| Step::Pay { amount }),
    ];
    (0..EACH, step).prop_map(|(loan, step)| Command { loan, step })
}

pub(crate) fn loan_id(number: u8) -> LoanId {
    Uuid::from_u128(3_000 + u128::from(number)).into()
}

fn draw_id(loan: u8, draw: u8) -> DrawId {
    Uuid::from_u128(4_000 + u128::from(loan) * 16 + u128::from(draw)).into()
}

fn money(cents: i64) -> Money {
    Money::new(Decimal::new(cents, 2)).expect("money")
}

fn name(by: usize) -> Text<64> {
    Text::new(NAMES[by]).expect("a name")
}

/// Every borrower counts as a member here, although some register later.
struct Everybody;

#[async_trait]
impl Members for Everybody {
    async fn is_member(&self, _: &MemberId) -> Result<bool, outbox::Error> {
        Ok(true)
    }
}

/// Runs a command. A command against the rules is refused.
pub(super) async fn decide(
    outbox: &Outbox,
    command: Command,
    mut transaction: Transaction,
) -> Result<Decision<Value, ()>, outbox::Error> {
    let loans = Loans {
        outbox,
        table: &loan_table(),
    };
    match run(&loans, command, &mut transaction).await {
        Ok(change) if change.events().is_empty() => Ok(Decision::Refuse(())),
        Ok(_) => Ok(committed(transaction)),
        Err(Stopped::Refused(_)) => Ok(Decision::Refuse(())),
        Err(Stopped::Failed(error)) => Err(error),
    }
}

async fn run(
    loans: &Loans<'_>,
    Command { loan, step }: Command,
    transaction: &mut Transaction,
) -> Result<LoanChange, Stopped> {
    let id = loan_id(loan);
    let payment_id = transaction.uuid().into();
    match step {
        Step::Create { amount, months } => {
            let create = Create {
                loan_id: id,
                borrower_id: member_id(loan % MEMBERS),
                amount: money(amount),
                currency: Currency::ALL[usize::from(loan) % 2],
                interest_rate: "7.25".parse().expect("a rate"),
                term_months: months,
            };
            loans.create(transaction, &Everybody, create).await
        }
        Step::Approve { draw, by } => {
            let approve = |change: LoanChange, draw: &_| change.approve_draw(draw, name(by));
            loans
                .decide(transaction, id, draw_id(loan, draw), approve)
                .await
        }
        Step::Reject { draw, by } => {
            let reject = |change: LoanChange, draw: &_| change.reject_draw(draw, name(by), None);
            loans
                .decide(transaction, id, draw_id(loan, draw), reject)
                .await
        }
        Step::Request { draw, amount, by } => {
            let draw_id = draw_id(loan, draw);
            let known = loan::draw::Draw::key(loans.table, id, draw_id);
            let known: Option<loan::draw::Draw> = loans.outbox.row(&known).await?;
            if known.is_some() {
                return Err(loan::Refusal::IdTaken.into());
            }
            let ask = |change: LoanChange| change.request_draw(draw_id, money(amount), name(by));
            loans.step(transaction, id, ask).await
        }
        Step::Fund { amount } => {
            let fund = |change: LoanChange| change.fund(Some(money(amount)));
            loans.step(transaction, id, fund).await
        }
        Step::Modify { rate, months } => {
            let rate = InterestRate::new(Decimal::new(rate.into(), 2)).expect("a rate");
            let terms = Terms {
                interest_rate: Some(rate),
                term_months: Some(months),
            };
            loans
                .step(transaction, id, |change| change.modify(terms))
                .await
        }
        Step::Cancel => {
            loans
                .step(transaction, id, |change| change.cancel(None))
                .await
        }
        Step::Pay { amount } => {
            let method = Text::new("ach").expect("a method");
            let pay = |change: LoanChange| change.pay(payment_id, money(amount), method);
            loans.step(transaction, id, pay).await
        }
    }
}
