use domain::testing::Log;
use events::{DrawId, InterestRate, LoanId, PaymentId, Text};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    books::{BookRow, BookRows, Books},
    draw::Draw,
    loan::{Beside, Create, LoanChange, LoanWithDraws, Terms, payoff},
    payment::Payment,
};

pub(crate) fn money(text: &str) -> Money {
    text.parse().expect("money")
}

fn rate(text: &str) -> InterestRate {
    text.parse().expect("a rate")
}

fn at(day: &str) -> Timestamp {
    Timestamp::read(day).expect("a moment")
}

fn version(number: u64) -> Sequence {
    Sequence::new(number).expect("a number")
}

fn by(name: &str) -> Text<64> {
    Text::new(name).expect("a name")
}

/// A loan with its schedules, rows and events, changed step by step as the operations would change it.
pub(crate) struct Trial {
    pub(crate) loan: Loan,
    schedules: Vec<Schedule>,
    pub(crate) log: Log,
    /// The rows written beside the loan's state.
    pub(crate) rows: BookRows,
    now: Timestamp,
    steps: u64,
}

impl Trial {
    pub(crate) fn create(amount: &str, yearly: &str, months: u32, day: &str) -> Self {
        let create = Create {
            loan_id: LoanId::from(Uuid::from_u128(1)),
            borrower_id: "ada".parse().expect("an id"),
            amount: money(amount),
            currency: Currency::Usd,
            interest_rate: rate(yearly),
            term_months: months,
        };
        let change = LoanChange::create(create, version(1), at(day)).expect("created");
        let mut trial = Self {
            loan: change.state().clone(),
            schedules: Vec::new(),
            log: Log::default(),
            rows: BookRows::new(),
            now: at(day),
            steps: 1,
        };
        trial.append(&change);
        trial
    }

    fn append(&mut self, change: &LoanChange) {
        let drafts = change
            .events()
            .iter()
            .map(|event| event.draft().expect("a draft"));
        self.log.append(drafts, self.now);
        for row in change.beside() {
            let (sort_key, row) = match row {
                Beside::Lent(_) => continue,
                Beside::Asked(draw) | Beside::Decided(draw) => {
                    (Draw::sort_key(draw.draw_id), BookRow::Draw(draw.clone()))
                }
                Beside::Payment(payment) => (
                    Payment::sort_key(payment.number),
                    BookRow::Payment(payment.clone()),
                ),
                Beside::Schedule(schedule) => (
                    Schedule::sort_key(schedule.revision),
                    BookRow::Schedule(schedule.clone()),
                ),
            };
            self.rows.insert(sort_key, row);
        }
    }

    /// A new id.
    fn id(&self) -> Uuid {
        Uuid::from_u128(1_000 + u128::from(self.steps))
    }

    /// Asserts that the events alone rebuild the loan.
    pub(crate) fn is_told(&self) {
        let rebuilt = domain::rebuild::<LoanWithDraws>(&self.log.0)
            .expect("they follow")
            .expect("one");
        assert_eq!(rebuilt.state.loan(), &self.loan);
        assert!(self.log.names_every_fact_once());
    }

    /// Asserts that the rows derived from the events are the rows that were written.
    pub(crate) fn rows_are_told(&self) {
        let books = Books::of(&self.log.0).expect("they follow");
        assert_eq!(books.check(&self.rows), []);
    }

    pub(crate) fn funded(amount: &str, yearly: &str, months: u32, day: &str) -> Self {
        let mut trial = Self::create(amount, yearly, months, day);
        trial.step(|change| change.fund(None)).expect("funded");
        trial.plan();
        trial
    }

    pub(crate) fn on(&mut self, day: &str) -> &mut Self {
        self.now = at(day);
        self
    }

    pub(crate) fn step(
        &mut self,
        step: impl FnOnce(LoanChange) -> Result<LoanChange, Refusal>,
    ) -> Result<(), Refusal> {
        let change = step(LoanChange::of(
            &self.loan,
            version(self.steps + 1),
            self.now,
        ))?;
        if !change.events().is_empty() {
            self.steps += 1;
            self.append(&change);
            self.loan = change.state().clone();
        }
        Ok(())
    }

    pub(crate) fn plan(&mut self) -> &Schedule {
        let before = self.schedules.last();
        let id = ScheduleId::from(Uuid::from_u128(2));
        let schedule = plan(&self.loan, before, id, self.now).expect("planned");
        assert_eq!(schedule.principal(), self.loan.lent(), "{schedule:?}");
        self.step(|change| change.planned(schedule.clone()))
            .expect("taken");
        self.schedules.push(schedule);
        self.schedules.last().expect("one")
    }

    pub(crate) fn pay(&mut self, amount: Money) -> Result<(), Refusal> {
        let id = PaymentId::from(self.id());
        self.step(|change| change.pay(id, amount, Text::new("ach").expect("text")))
    }

    /// Requests a draw as the key owner `desk`.
    pub(crate) fn ask(&mut self, amount: &str) -> Draw {
        let id = DrawId::from(self.id());
        let mut draw = None;
        self.step(|change| {
            let change = change.request_draw(id, money(amount), by("desk"))?;
            if let Some(Beside::Asked(asked)) = change.beside().first() {
                draw = Some(asked.clone());
            }
            Ok(change)
        })
        .expect("asked");
        draw.expect("a draw")
    }

    pub(crate) fn draw(&mut self, amount: &str) {
        let draw = self.ask(amount);
        self.step(|change| change.approve_draw(&draw, by("credit")))
            .expect("approved");
    }

    fn was_paid(&self) -> bool {
        let paid = |event: &events::Envelope| event.event_type.as_str() == "loan.payment_received";
        self.log.0.iter().any(paid)
    }

    /// Asserts that paying each open instalment on its due day follows the plan, and that the last one pays the loan
    /// off.
    fn can_be_kept(&self, schedule: &Schedule) {
        let mut loan = self.loan.clone();
        for one in schedule.open().iter().filter(|one| !one.amount.is_zero()) {
            let change = LoanChange::of(&loan, version(1), at(&one.due_on.to_string()));
            let method = Text::new("ach").expect("text");
            let change = change
                .pay(self.id().into(), one.amount, method)
                .expect("paid");
            loan = change.state().clone();
            assert_eq!(loan.balance().open_principal, one.open_after, "{one:?}");
        }
        assert_eq!(loan.status().as_str(), "paid_off", "{schedule:?}");
    }

    /// Due day, amount, interest, principal and open principal after it, for every instalment.
    fn table(&self) -> Vec<(String, String, String, String, String)> {
        let schedule = self.schedules.last().expect("one");
        let line = |one: &Instalment| {
            (
                one.due_on.to_string(),
                one.amount.to_string(),
                one.interest.to_string(),
                one.principal.to_string(),
                one.open_after.to_string(),
            )
        };
        schedule.instalments.iter().map(line).collect()
    }

    fn parts(&self) -> Vec<[String; 4]> {
        let table = self.table().into_iter();
        table
            .map(|(_, amount, interest, principal, open)| [amount, interest, principal, open])
            .collect()
    }
}

fn lines(lines: &[[&str; 4]]) -> Vec<[String; 4]> {
    lines.iter().map(|line| line.map(str::to_owned)).collect()
}

/// Apache Fineract, commit `048cf93c398524899433b82df9974619e1b3a6de`, `ProgressiveEMICalculatorTest`, facts only:
/// `test_disbursedAmt100_dayInYears360_daysInMonth30_repayEvery1Month`.
const AT_9_4822: [[&str; 4]; 6] = [
    ["17.13", "0.79", "16.34", "83.66"],
    ["17.13", "0.66", "16.47", "67.19"],
    ["17.13", "0.53", "16.60", "50.59"],
    ["17.13", "0.40", "16.73", "33.86"],
    ["17.13", "0.27", "16.86", "17.00"],
    ["17.13", "0.13", "17.00", "0.00"],
];

#[test]
fn schedules_are_those_of_fineract() {
    let trial = Trial::funded("100", "9.4822", 6, "2024-01-01");
    assert_eq!(trial.parts(), lines(&AT_9_4822));
    // `test_chargeback_principalAndInterest_Amt100_dayInYears360_daysInMonth30_repayEvery1Month`, after the disbursement.
    let trial = Trial::funded("100", "7", 6, "2024-01-01");
    let seven = lines(&[
        ["17.01", "0.58", "16.43", "83.57"],
        ["17.01", "0.49", "16.52", "67.05"],
        ["17.01", "0.39", "16.62", "50.43"],
        ["17.01", "0.29", "16.72", "33.71"],
        ["17.01", "0.20", "16.81", "16.90"],
        ["17.00", "0.10", "16.90", "0.00"],
    ]);
    assert_eq!(trial.parts(), seven);
    let due: Vec<String> = trial.table().into_iter().map(|line| line.0).collect();
    assert_eq!(due[0], "2024-02-01");
    assert_eq!(due[5], "2024-07-01");
    // `test_disbursedAmt1000_NoInterest_repayEvery1Month`.
    let trial = Trial::funded("1000", "0", 4, "2024-01-01");
    let free =
        ["750.00", "500.00", "250.00", "0.00"].map(|open| ["250.00", "0.00", "250.00", open]);
    assert_eq!(trial.parts(), lines(&free));
}

/// `test_multi_disbursedAmt200_2ndOnDueDate_dayInYears360_daysInMonth30_repayEvery1Month`.
#[test]
fn a_draw_on_a_due_day_plans_the_rest_as_fineract_does() {
    let mut trial = Trial::create("200", "9.4822", 6, "2024-01-01");
    trial
        .step(|change| change.fund(Some(money("100"))))
        .expect("funded");
    trial.plan();
    for day in ["2024-02-01", "2024-03-01"] {
        trial.on(day).pay(money("17.13")).expect("paid");
    }
    trial.draw("100");
    trial.plan();
    let mut wanted = lines(&AT_9_4822[..2]);
    wanted.extend(lines(&[
        ["42.63", "1.32", "41.31", "125.88"],
        ["42.63", "0.99", "41.64", "84.24"],
        ["42.63", "0.67", "41.96", "42.28"],
        ["42.61", "0.33", "42.28", "0.00"],
    ]));
    assert_eq!(trial.parts(), wanted);
}

/// `test_reschedule_interest_on0201_4per_disbursedAmt100_dayInYears360_daysInMonth30_repayEvery1Month`.
#[test]
fn a_new_rate_from_the_second_month_on_plans_the_rest_as_fineract_does() {
    let mut trial = Trial::funded("100", "7", 6, "2024-01-01");
    trial.on("2024-02-01").pay(money("17.01")).expect("paid");
    let terms = Terms {
        interest_rate: Some(rate("4")),
        term_months: None,
    };
    trial.step(|change| change.modify(terms)).expect("modified");
    trial.plan();
    let wanted = lines(&[
        ["17.01", "0.58", "16.43", "83.57"],
        ["16.88", "0.28", "16.60", "66.97"],
        ["16.88", "0.22", "16.66", "50.31"],
        ["16.88", "0.17", "16.71", "33.60"],
        ["16.88", "0.11", "16.77", "16.83"],
        ["16.89", "0.06", "16.83", "0.00"],
    ]);
    assert_eq!(trial.parts(), wanted);
    assert_eq!(trial.schedules.last().map(|one| one.paid), Some(1));
}

/// OpenStax, "Principles of Finance", 8.3: 32,000 at 6 % over 36 months. Its rows are calculated from unrounded sums, so
/// they drift from a ledger in cents by a few cents.
#[test]
fn a_textbooks_table_is_met_to_a_few_cents() {
    let trial = Trial::funded("32000", "6", 36, "2026-01-31");
    let table = trial.table();
    for (month, interest, principal, open) in [
        (1, "160.00", "813.50", "31186.50"),
        (2, "155.93", "817.57", "30368.93"),
        (3, "151.84", "821.66", "29547.27"),
        (5, "143.61", "829.89", "27891.61"),
        (33, "19.23", "954.27", "2891.54"),
        (35, "9.66", "963.84", "968.66"),
        (36, "4.84", "968.66", "0.00"),
    ] {
        let line = &table[month - 1];
        for (ours, theirs) in [(&line.2, interest), (&line.3, principal), (&line.4, open)] {
            let off = money(ours).decimal() - money(theirs).decimal();
            assert!(
                off.abs() <= Decimal::new(10, 2),
                "month {month}: {ours}, {theirs}"
            );
        }
    }
    // Due on the last days of the months, also in a leap year.
    assert_eq!(
        (table[0].0.as_str(), table[1].0.as_str()),
        ("2026-02-28", "2026-03-31")
    );
    assert_eq!(table[24].0, "2028-02-29");
}

#[test]
fn a_hundred_thousand_over_36_months_is_paid_back_to_the_cent() {
    let mut trial = Trial::funded("100000", "7.25", 36, "2026-01-15");
    let schedule = trial.schedules[0].clone();
    assert_eq!(schedule.instalments.len(), 36);
    assert_eq!(schedule.principal(), Decimal::from(100_000));
    assert_eq!(schedule.instalment.to_string(), "3099.15");
    assert_eq!(
        schedule
            .annual_percentage_rate
            .map(|rate| rate.to_string())
            .as_deref(),
        Some("7.50")
    );
    // A month's instalment pays as planned on any day of its month, and the last one pays the loan off.
    for one in &schedule.instalments {
        trial
            .on(&one.due_on.to_string())
            .pay(one.amount)
            .expect("paid");
        assert_eq!(
            trial.loan.balance().open_principal,
            one.open_after,
            "{one:?}"
        );
    }
    assert_eq!(trial.loan.status().as_str(), "paid_off");
    trial.is_told();
}

#[test]
fn more_than_is_owed_is_refused_with_what_is() {
    let mut trial = Trial::funded("1000", "12", 12, "2026-01-31");
    // On the day of the funding no month has begun.
    let most = Refusal::PaymentTooLarge {
        payoff: money("1000"),
    };
    assert_eq!(trial.pay(money("1000.01")), Err(most));
    // The first month begins on the next day.
    let most = Refusal::PaymentTooLarge {
        payoff: money("1010"),
    };
    assert_eq!(
        trial.on("2026-02-01").pay(money("1010.01")),
        Err(most.clone())
    );
    assert_eq!(trial.on("2026-02-28").pay(money("1010.01")), Err(most));
    // Late: one more month is charged, without interest on interest.
    let most = Refusal::PaymentTooLarge {
        payoff: money("1020"),
    };
    assert_eq!(trial.on("2026-03-01").pay(money("1020.01")), Err(most));
    trial.pay(money("15")).expect("paid");
    let balance = trial.loan.balance();
    assert_eq!(
        (balance.open_principal, balance.interest_due),
        (money("1000"), money("5"))
    );
    trial.pay(money("1005")).expect("paid");
    assert_eq!(trial.loan.status().as_str(), "paid_off");
}

#[test]
fn what_is_late_is_spread_over_the_months_that_are_left() {
    let mut trial = Trial::funded("1200", "0", 12, "2026-01-15");
    trial.on("2026-02-15").pay(money("100")).expect("paid");
    // Three months without a payment; the fifth has begun.
    let terms = Terms {
        interest_rate: None,
        term_months: Some(15),
    };
    trial
        .on("2026-06-01")
        .step(|change| change.modify(terms))
        .expect("modified");
    let schedule = trial.plan();
    assert_eq!((schedule.paid, schedule.instalments.len()), (1, 12));
    assert_eq!(schedule.instalments[1].due_on.to_string(), "2026-06-15");
    assert_eq!(schedule.instalments[11].due_on.to_string(), "2027-04-15");
    assert_eq!(schedule.instalment, money("100"));
}

/// A step of a loan, at most a month after the step before.
#[derive(Debug, Clone)]
enum Done {
    Pay(u32),
    Modify(u32, u32),
    Draw(u32),
    Wait,
}

fn done() -> impl Strategy<Value = (u16, Done)> {
    let what = prop_oneof![
        6 => (1_u32..120).prop_map(Done::Pay),
        1 => (0_u32..3_000, 1_u32..60).prop_map(|(rate, months)| Done::Modify(rate, months)),
        1 => (1_u32..50_000).prop_map(Done::Draw),
        1 => Just(Done::Wait),
    ];
    (0_u16..45, what)
}

proptest! {
    #[test]
    fn paid_and_open_principal_are_what_was_lent_at_every_step(
        yearly in 0_u32..10_000,
        months in 1_u32..60,
        first in 1_u32..100_000,
        steps in prop::collection::vec(done(), 1..40),
    ) {
        let mut trial = Trial::create("2000", "5", 12, "2026-01-31");
        let terms = |rate: u32, months| Terms {
            interest_rate: Some(InterestRate::new(Decimal::new(rate.into(), 2)).expect("a rate")),
            term_months: Some(months),
        };
        trial.step(|change| change.modify(terms(yearly, months))).expect("before the funding");
        trial.step(|change| change.fund(Some(Money::new(Decimal::new(first.into(), 2)).expect("money")))).expect("funded");
        trial.plan();
        for (days, done) in steps {
            trial.now = trial.now.plus(std::time::Duration::from_secs(u64::from(days) * 86_400));
            match done {
                Done::Wait => {}
                // The payment in per cent of an instalment.
                Done::Pay(part) => {
                    let level = trial.schedules.last().expect("one").instalment;
                    let amount = Money::rounded(level.decimal() * Decimal::new(part.into(), 2)).expect("money");
                    let owed = trial.loan.owed_on(Day::of(trial.now)).expect("owed");
                    let amount = amount.min(payoff(&owed).expect("payoff"));
                    if !amount.is_zero() {
                        trial.pay(amount).expect("paid");
                    }
                }
                Done::Modify(rate, months) => {
                    // Refused if more months have begun.
                    trial.step(|change| change.modify(terms(rate, months))).ok();
                }
                Done::Draw(cents) => {
                    let amount = Money::new(Decimal::new(cents.into(), 2)).expect("money");
                    if amount <= trial.loan.available() && trial.loan.must_be_active().is_ok() {
                        trial.draw(&amount.to_string());
                    }
                }
            }
            trial.is_told();
            let loan = &trial.loan;
            let known = loan.principal_paid().decimal() + loan.balance().open_principal.decimal();
            prop_assert_eq!(known, loan.lent());
            if loan.must_be_active().is_err() {
                break;
            }
            if loan.wants_schedule() {
                let schedule = trial.plan().clone();
                let last = schedule.instalments.last().expect("one");
                prop_assert!(last.open_after.is_zero());
                let numbers = schedule.instalments.iter().map(|one| one.number);
                prop_assert!(numbers.eq(1..=u32::try_from(schedule.instalments.len()).expect("small")));
                let due: Vec<Day> = schedule.instalments.iter().map(|one| one.due_on).collect();
                // If the term is over, the last instalment shares the current due day.
                prop_assert!(due.is_sorted(), "{due:?}");
                let kept = &schedule.instalments[..usize::try_from(schedule.paid).expect("small")];
                let is_owed = |one: &Instalment| !one.amount.is_zero();
                prop_assert!(trial.was_paid() || !kept.iter().any(is_owed), "nothing came and {kept:?} are paid");
                trial.can_be_kept(&schedule);
            }
        }
        trial.rows_are_told();
    }
}

#[test]
fn a_month_that_was_paid_is_not_planned_again_after_an_earlier_one_was_late() {
    let mut trial = Trial::funded("1200", "0", 12, "2026-01-15");
    trial.on("2026-02-15").pay(money("100")).expect("paid");
    let longer = |months| Terms {
        interest_rate: None,
        term_months: Some(months),
    };
    trial
        .on("2026-06-01")
        .step(|change| change.modify(longer(15)))
        .expect("modified");
    trial.plan();
    trial.on("2026-06-10").pay(money("100")).expect("paid");
    trial
        .on("2026-06-12")
        .step(|change| change.modify(longer(16)))
        .expect("modified");
    let schedule = trial.plan();
    assert_eq!(schedule.paid, 2);
    assert_eq!(schedule.open()[0].due_on.to_string(), "2026-07-15");
}

#[test]
fn an_instalment_without_principal_is_paid_only_by_its_interest() {
    let mut trial = Trial::funded("10000", "12", 120, "2026-01-15");
    let rate = |text: &str| Terms {
        interest_rate: Some(text.parse().expect("a rate")),
        term_months: None,
    };
    for (day, yearly) in [("2026-03-20", "11"), ("2026-03-25", "10")] {
        trial
            .on(day)
            .step(|change| change.modify(rate(yearly)))
            .expect("modified");
        let schedule = trial.plan();
        assert_eq!(
            (schedule.paid, schedule.open()[0].interest),
            (0, money("300"))
        );
        assert_eq!(schedule.open()[0].due_on.to_string(), "2026-04-15");
    }
}

#[test]
fn arrears_come_on_top_of_the_first_instalment_and_leave_the_rest_level() {
    let mut trial = Trial::funded("10000", "24", 12, "2026-01-15");
    let longer = Terms {
        interest_rate: None,
        term_months: Some(24),
    };
    trial
        .on("2026-11-20")
        .step(|change| change.modify(longer))
        .expect("modified");
    let schedule = trial.plan();
    let rest = &schedule.open()[1..];
    let (last, level) = rest.split_last().expect("some");
    assert!(
        level.iter().all(|one| one.amount == schedule.instalment),
        "{schedule:?}"
    );
    let off = last.amount.decimal() - schedule.instalment.decimal();
    assert!(off.abs() < Decimal::ONE, "{last:?}");
}

#[test]
fn where_the_term_is_over_all_is_due_on_the_current_due_day() {
    let mut trial = Trial::funded("1200", "0", 12, "2026-01-15");
    trial.on("2026-02-10").pay(money("100")).expect("paid");
    let short = Terms {
        interest_rate: None,
        term_months: Some(1),
    };
    trial.step(|change| change.modify(short)).expect("modified");
    let schedule = trial.plan();
    assert_eq!((schedule.paid, schedule.instalments.len()), (1, 2));
    assert_eq!(schedule.instalments[1].due_on.to_string(), "2026-02-15");
    assert_eq!(schedule.instalments[1].amount, money("1100"));
}
