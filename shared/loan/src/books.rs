//! The rows beside a loan's state, as its events come to them: what Flow and the audit compare with what is stored.
//!
//! A draw and a payment are what their events say. The event of a schedule states its sums alone, so the schedule is planned once more, from
//! the loan as it was before the event and the schedule before it.

use std::{collections::BTreeMap, fmt};

use domain::{Broken, Rebuilt, rebuild_each};
use events::{
    Envelope, EventId, Sequence,
    contracts::loan::{PaymentReceived, PaymentScheduleGenerated},
};
use outbox::{Error, Item, Table, decode_item};
use serde::Serialize;
use serde_json::Value;

use crate::{
    Loan,
    draw::Draw,
    loan::{LoanWithDraws, Told},
    payment::Payment,
    schedule::{Schedule, plan},
};

/// A row beside a loan's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Row {
    /// A draw.
    Draw(Draw),
    /// A payment.
    Payment(Payment),
    /// A schedule.
    Schedule(Box<Schedule>),
}

/// Rows by their sort keys.
pub type Rows = BTreeMap<String, Row>;

impl Row {
    /// Reads an item of a loan's partition, with its sort key; `None` of the state and of what is unknown.
    ///
    /// # Errors
    /// [`Error`] where it is not what its sort key says.
    pub fn read(table: &Table, item: Item) -> Result<Option<(String, Self)>, Error> {
        let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
        let (sort_key, key) = (text("sk").to_owned(), table.key(text("pk"), text("sk")));
        let row = if sort_key.starts_with(Draw::PREFIX) {
            Self::Draw(decode_item(&key, item)?)
        } else if sort_key.starts_with(Payment::PREFIX) {
            Self::Payment(decode_item(&key, item)?)
        } else if sort_key.starts_with(Schedule::PREFIX) {
            Self::Schedule(decode_item(&key, item)?)
        } else {
            return Ok(None);
        };
        Ok(Some((sort_key, row)))
    }

    /// The fields that another row has otherwise.
    fn differing(&self, other: &Self) -> Vec<String> {
        let fields = |row: &Self| match serde_json::to_value(row) {
            Ok(Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        let (one, other) = (fields(self), fields(other));
        let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
        names.sort();
        names.dedup();
        names.retain(|name| one.get(*name) != other.get(*name));
        names.into_iter().cloned().collect()
    }
}

/// What is wrong with a row beside a loan, which is named by its sort key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// It is not there.
    Missing {
        /// Which.
        row: String,
        /// The last event that tells of it.
        event_id: EventId,
    },
    /// It is not what the events say.
    Differs {
        /// Which.
        row: String,
        /// The last event that tells of it.
        event_id: EventId,
        /// The fields that are otherwise.
        differing: Vec<String>,
    },
    /// No event tells of it.
    Untold {
        /// Which.
        row: String,
    },
    /// The event of a schedule states other sums than the history up to it asks for.
    OtherPlan {
        /// Which.
        row: String,
        /// The event.
        event_id: EventId,
    },
}

impl Wrong {
    /// The event that tells otherwise.
    #[must_use]
    pub fn event_id(&self) -> Option<EventId> {
        match self {
            Self::Missing { event_id, .. }
            | Self::Differs { event_id, .. }
            | Self::OtherPlan { event_id, .. } => Some(*event_id),
            Self::Untold { .. } => None,
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { row, .. } => write!(f, "there is no row {row} of it"),
            Self::Differs { row, differing, .. } => {
                let differing = differing.join(", ");
                write!(
                    f,
                    "the row {row} has another {differing} than follows from the events"
                )
            }
            Self::Untold { row } => write!(f, "no event tells of the row {row}"),
            Self::OtherPlan { row, .. } => {
                write!(
                    f,
                    "the event of {row} states other sums than the loan's history asks for"
                )
            }
        }
    }
}

/// The rows that a loan's events come to.
#[derive(Debug, Default)]
pub struct Books {
    /// Each with the last event that tells of it.
    rows: BTreeMap<String, (EventId, Row)>,
    last_schedule: Option<Schedule>,
    /// What is wrong with the events themselves.
    wrong: Vec<Wrong>,
}

impl Books {
    /// Of all events of a loan, in the order of their numbers.
    ///
    /// # Errors
    /// [`Broken`] where they do not come to a loan.
    pub fn of(events: &[Envelope]) -> Result<Self, Broken> {
        let mut books = Self::default();
        let mut before: Option<Loan> = None;
        rebuild_each(events, |envelope, after: &Rebuilt<LoanWithDraws>| {
            books.enter(envelope, before.as_ref(), &after.state);
            before = Some(after.state.loan().clone());
        })?;
        Ok(books)
    }

    fn enter(&mut self, envelope: &Envelope, before: Option<&Loan>, after: &LoanWithDraws) {
        let id = envelope.event_id;
        let decoded = <Told as events::Subscription>::decode(envelope);
        match (decoded, before) {
            (Ok(Told::DrawRequested(event)), _) => self.draw(id, after.draws().get(&event.draw_id)),
            (Ok(Told::DrawApproved(event)), _) => self.draw(id, after.draws().get(&event.draw_id)),
            (Ok(Told::DrawRejected(event)), _) => self.draw(id, after.draws().get(&event.draw_id)),
            (Ok(Told::Paid(event)), _) => self.payment(id, event, after.loan()),
            (Ok(Told::Planned(event)), Some(before)) => self.schedule(envelope, &event, before),
            // The others write no row; one that cannot be read comes to no loan.
            _ => {}
        }
    }

    fn draw(&mut self, event_id: EventId, draw: Option<&Draw>) {
        let row = draw.map(|draw| {
            let row = Row::Draw(draw.clone());
            (Draw::sort_key(draw.draw_id), (event_id, row))
        });
        self.rows.extend(row);
    }

    fn payment(&mut self, event_id: EventId, event: PaymentReceived, after: &Loan) {
        let Ok(number) = Sequence::new(after.payments()) else {
            return;
        };
        let payment = Payment {
            payment_id: event.payment_id,
            loan_id: event.loan_id,
            number,
            amount: event.amount,
            payment_method: event.payment_method,
            interest_paid: event.interest_paid,
            principal_paid: event.principal_paid,
            balance: event.balance,
            received_at: after.updated_at(),
        };
        let row = (event_id, Row::Payment(payment));
        self.rows.insert(Payment::sort_key(number), row);
    }

    fn schedule(&mut self, envelope: &Envelope, event: &PaymentScheduleGenerated, before: &Loan) {
        let (event_id, row) = (envelope.event_id, Schedule::sort_key(event.revision));
        let last = self.last_schedule.as_ref();
        let planned = plan(before, last, event.schedule_id, envelope.occurred_at);
        // A loan that cannot be planned has no schedule to come.
        let Ok(schedule) = planned else {
            self.wrong.push(Wrong::OtherPlan { row, event_id });
            return;
        };
        if schedule.event(before, event.version).as_ref() != Ok(event) {
            let row = row.clone();
            self.wrong.push(Wrong::OtherPlan { row, event_id });
        }
        self.last_schedule = Some(schedule.clone());
        let schedule = Row::Schedule(Box::new(schedule));
        self.rows.insert(row, (event_id, schedule));
    }

    /// What is wrong with the rows that are stored, and with the sums that events state.
    #[must_use]
    pub fn check(&self, stored: &Rows) -> Vec<Wrong> {
        let told = self.rows.iter().filter_map(|(row, (event_id, told))| {
            let (row, event_id) = (row.clone(), *event_id);
            match stored.get(&row) {
                None => Some(Wrong::Missing { row, event_id }),
                Some(stored) if stored == told => None,
                Some(stored) => Some(Wrong::Differs {
                    row,
                    event_id,
                    differing: stored.differing(told),
                }),
            }
        });
        let untold = stored.keys().filter(|row| !self.rows.contains_key(*row));
        let untold = untold.cloned().map(|row| Wrong::Untold { row });
        self.wrong
            .iter()
            .cloned()
            .chain(told)
            .chain(untold)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use events::Money;

    use super::*;
    use crate::schedule::tests::{Trial, money};

    /// A loan with two schedules, two payments, and a draw of each status.
    fn trial() -> Trial {
        let mut trial = Trial::create("1000", "5", 12, "2026-01-15");
        trial
            .step(|course| course.fund(Some(money("600"))))
            .expect("funded");
        trial.plan();
        trial.on("2026-02-10").pay(money("51.5")).expect("paid");
        trial.draw("100");
        trial.plan();
        trial.on("2026-03-11").pay(money("60")).expect("paid");
        let rejected = trial.ask("200");
        let why = events::Text::new("too much").ok();
        trial
            .step(|course| course.reject_draw(&rejected, rejected.requested_by.clone(), why))
            .expect("rejected");
        trial.ask("50");
        trial.rows_are_told();
        trial
    }

    fn changed(row: &Row) -> Row {
        let cent = |amount: Money| amount.plus(money("0.01")).expect("small");
        match row.clone() {
            Row::Draw(mut draw) => {
                draw.amount = cent(draw.amount);
                Row::Draw(draw)
            }
            Row::Payment(mut payment) => {
                payment.amount = cent(payment.amount);
                Row::Payment(payment)
            }
            // A cent from one instalment to another: no sum is otherwise.
            Row::Schedule(mut schedule) => {
                let (first, last) = (0, schedule.instalments.len() - 1);
                schedule.instalments.swap(first, last);
                Row::Schedule(schedule)
            }
        }
    }

    #[test]
    fn each_row_that_is_lost_changed_or_of_no_event_is_named() {
        let trial = trial();
        let books = Books::of(&trial.log.0).expect("they follow");
        assert_eq!(trial.rows.len(), 7);
        for (name, row) in &trial.rows {
            let mut rows = trial.rows.clone();
            rows.remove(name);
            let lost = books.check(&rows);
            assert!(
                matches!(&lost[..], [Wrong::Missing { row, .. }] if row == name),
                "{lost:?}"
            );
            rows.insert(name.clone(), changed(row));
            let other = books.check(&rows);
            let field = match row {
                Row::Schedule(_) => "instalments",
                Row::Draw(_) | Row::Payment(_) => "amount",
            };
            assert!(
                matches!(&other[..], [Wrong::Differs { row, differing, .. }] if row == name && *differing == [field]),
                "{other:?}"
            );
            let mut rows = trial.rows.clone();
            let stray = format!("{name}0");
            rows.insert(stray.clone(), row.clone());
            assert_eq!(books.check(&rows), [Wrong::Untold { row: stray }]);
        }
    }

    #[test]
    fn the_event_named_is_the_last_that_tells_of_the_row() {
        let trial = trial();
        let books = Books::of(&trial.log.0).expect("they follow");
        let told = books.check(&Rows::new());
        let types: Vec<&str> = told
            .iter()
            .map(|wrong| {
                let id = wrong.event_id().expect("an event");
                let mut log = trial.log.0.iter();
                let event = log.find(|event| event.event_id == id).expect("of the log");
                event.event_type.as_str()
            })
            .collect();
        assert_eq!(
            types,
            [
                "loan.draw_approved",
                "loan.draw_rejected",
                "loan.draw_requested",
                "loan.payment_received",
                "loan.payment_received",
                "loan.payment_schedule_generated",
                "loan.payment_schedule_generated",
            ]
        );
    }

    #[test]
    fn a_schedules_event_with_other_sums_than_its_plan_is_named() {
        let trial = trial();
        let last = trial
            .log
            .0
            .iter()
            .rposition(|event| event.event_type.as_str() == "loan.payment_schedule_generated");
        let mut events = trial.log.0.clone();
        let event = &mut events[last.expect("a schedule")];
        let mut whole = serde_json::to_value(&*event).expect("JSON");
        whole["payload"]["open_interest"] = serde_json::json!(0.01);
        *event = serde_json::from_value(whole).expect("an event");
        let (row, event_id) = ("schedule#0000000000000002".to_owned(), event.event_id);
        let books = Books::of(&events).expect("they follow");
        assert_eq!(
            books.check(&trial.rows),
            [Wrong::OtherPlan { row, event_id }]
        );
    }

    #[test]
    fn rows_are_read_by_their_sort_keys() {
        let trial = trial();
        let table = Table::domain("loan");
        let mut read = Rows::new();
        for (sort_key, row) in &trial.rows {
            let key = table.key("loan#1", sort_key.as_str());
            let item = outbox::encode_item(&key, row).expect("an item");
            read.extend(Row::read(&table, item).expect("readable"));
        }
        assert_eq!(read, trial.rows);
        let state = outbox::encode_item(&table.key("loan#1", "state"), &trial.loan);
        assert_eq!(Row::read(&table, state.expect("an item")).ok(), Some(None));
        let torn = table.key("loan#1", "payment#1").attributes();
        assert!(Row::read(&table, torn).is_err());
    }
}
