//! The rows beside a loan's state, derived from its events. Flow and the audit compare them with what is stored.
//!
//! The events contain all fields of a draw and of a payment. The event of a schedule states only its sums, so the
//! schedule is planned again from the loan before the event and the previous schedule.

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
    loan::{LoanWithDraws, Recorded},
    payment::Payment,
    schedule::{Schedule, plan},
};

/// A row beside a loan's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum BookRow {
    /// A draw.
    Draw(Draw),
    /// A payment.
    Payment(Payment),
    /// A schedule.
    Schedule(Box<Schedule>),
}

/// The rows by their sort keys.
pub type BookRows = BTreeMap<String, BookRow>;

impl BookRow {
    /// Reads an item of a loan's partition. Returns its sort key and row, or `None` for the state and for unknown
    /// items.
    ///
    /// # Errors
    /// [`Error`] if the item is not of the kind that its sort key names.
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

    /// The names of the fields in which the two rows differ.
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

/// A fault in a row beside a loan's state, which is named by its sort key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// The row does not exist.
    Missing {
        /// The row's sort key.
        row: String,
        /// The last event about the row.
        event_id: EventId,
    },
    /// The row differs from the events.
    Differs {
        /// The row's sort key.
        row: String,
        /// The last event about the row.
        event_id: EventId,
        /// The fields that differ.
        differing: Vec<String>,
    },
    /// No event reports the row.
    Unrecorded {
        /// The row's sort key.
        row: String,
    },
    /// The event of a schedule states other sums than the plan that follows from the history before it.
    OtherPlan {
        /// The sort key of the schedule's row.
        row: String,
        /// The event of the schedule.
        event_id: EventId,
    },
}

impl Wrong {
    /// The event that contradicts the row, if there is one.
    #[must_use]
    pub fn event_id(&self) -> Option<EventId> {
        match self {
            Self::Missing { event_id, .. }
            | Self::Differs { event_id, .. }
            | Self::OtherPlan { event_id, .. } => Some(*event_id),
            Self::Unrecorded { .. } => None,
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { row, .. } => write!(f, "its row {row} does not exist"),
            Self::Differs { row, differing, .. } => {
                let differing = differing.join(", ");
                write!(f, "the row {row} differs from the events in {differing}")
            }
            Self::Unrecorded { row } => write!(f, "no event reports the row {row}"),
            Self::OtherPlan { row, .. } => {
                write!(
                    f,
                    "the event of {row} states other sums than the plan that follows from the loan's history"
                )
            }
        }
    }
}

/// The rows that follow from a loan's events.
#[derive(Debug, Default)]
pub struct Books {
    /// Each row with the last event about it.
    rows: BTreeMap<String, (EventId, BookRow)>,
    last_schedule: Option<Schedule>,
    /// The faults found in the events themselves.
    wrong: Vec<Wrong>,
}

impl Books {
    /// Derives the rows from all events of a loan, in order.
    ///
    /// # Errors
    /// [`Broken`] if the events do not rebuild to a loan.
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
        let decoded = <Recorded as events::Subscription>::decode(envelope);
        match (decoded, before) {
            (Ok(Recorded::DrawRequested(event)), _) => {
                self.draw(id, after.draws().get(&event.draw_id));
            }
            (Ok(Recorded::DrawApproved(event)), _) => {
                self.draw(id, after.draws().get(&event.draw_id));
            }
            (Ok(Recorded::DrawRejected(event)), _) => {
                self.draw(id, after.draws().get(&event.draw_id));
            }
            (Ok(Recorded::Paid(event)), _) => self.payment(id, event, after.loan()),
            (Ok(Recorded::Planned(event)), Some(before)) => self.schedule(envelope, &event, before),
            // Other events write no row, and an unreadable event already stopped the rebuild.
            _ => {}
        }
    }

    fn draw(&mut self, event_id: EventId, draw: Option<&Draw>) {
        let row = draw.map(|draw| {
            let row = BookRow::Draw(draw.clone());
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
        let row = (event_id, BookRow::Payment(payment));
        self.rows.insert(Payment::sort_key(number), row);
    }

    fn schedule(&mut self, envelope: &Envelope, event: &PaymentScheduleGenerated, before: &Loan) {
        let (event_id, row) = (envelope.event_id, Schedule::sort_key(event.revision));
        let last = self.last_schedule.as_ref();
        let planned = plan(before, last, event.schedule_id, envelope.occurred_at);
        // A loan that cannot be planned cannot have this schedule.
        let Ok(schedule) = planned else {
            self.wrong.push(Wrong::OtherPlan { row, event_id });
            return;
        };
        if schedule.event(before, event.version).as_ref() != Ok(event) {
            let row = row.clone();
            self.wrong.push(Wrong::OtherPlan { row, event_id });
        }
        self.last_schedule = Some(schedule.clone());
        let schedule = BookRow::Schedule(Box::new(schedule));
        self.rows.insert(row, (event_id, schedule));
    }

    /// Compares the derived rows with the stored rows. Returns the faults in the rows and in the sums that the events
    /// state.
    #[must_use]
    pub fn check(&self, stored: &BookRows) -> Vec<Wrong> {
        let wrong_rows = self.rows.iter().filter_map(|(row, (event_id, recorded))| {
            let (row, event_id) = (row.clone(), *event_id);
            match stored.get(&row) {
                None => Some(Wrong::Missing { row, event_id }),
                Some(stored) if stored == recorded => None,
                Some(stored) => Some(Wrong::Differs {
                    row,
                    event_id,
                    differing: stored.differing(recorded),
                }),
            }
        });
        let unrecorded = stored.keys().filter(|row| !self.rows.contains_key(*row));
        let unrecorded = unrecorded.cloned().map(|row| Wrong::Unrecorded { row });
        self.wrong
            .iter()
            .cloned()
            .chain(wrong_rows)
            .chain(unrecorded)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use events::Money;

    use super::*;
    use crate::schedule::tests::{Trial, money};

    /// A loan with two schedules, two payments, and one draw of each status.
    fn trial() -> Trial {
        let mut trial = Trial::create("1000", "5", 12, "2026-01-15");
        trial
            .step(|change| change.fund(Some(money("600"))))
            .expect("funded");
        trial.plan();
        trial.on("2026-02-10").pay(money("51.5")).expect("paid");
        trial.draw("100");
        trial.plan();
        trial.on("2026-03-11").pay(money("60")).expect("paid");
        let rejected = trial.ask("200");
        let why = events::Text::new("too much").ok();
        trial
            .step(|change| change.reject_draw(&rejected, rejected.requested_by.clone(), why))
            .expect("rejected");
        trial.ask("50");
        trial.rows_are_told();
        trial
    }

    fn changed(row: &BookRow) -> BookRow {
        let cent = |amount: Money| amount.plus(money("0.01")).expect("small");
        match row.clone() {
            BookRow::Draw(mut draw) => {
                draw.amount = cent(draw.amount);
                BookRow::Draw(draw)
            }
            BookRow::Payment(mut payment) => {
                payment.amount = cent(payment.amount);
                BookRow::Payment(payment)
            }
            // Swaps two instalments: the sums stay the same.
            BookRow::Schedule(mut schedule) => {
                let (first, last) = (0, schedule.instalments.len() - 1);
                schedule.instalments.swap(first, last);
                BookRow::Schedule(schedule)
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
                BookRow::Schedule(_) => "instalments",
                BookRow::Draw(_) | BookRow::Payment(_) => "amount",
            };
            assert!(
                matches!(&other[..], [Wrong::Differs { row, differing, .. }] if row == name && *differing == [field]),
                "{other:?}"
            );
            let mut rows = trial.rows.clone();
            let stray = format!("{name}0");
            rows.insert(stray.clone(), row.clone());
            assert_eq!(books.check(&rows), [Wrong::Unrecorded { row: stray }]);
        }
    }

    #[test]
    fn the_event_named_is_the_last_that_tells_of_the_row() {
        let trial = trial();
        let books = Books::of(&trial.log.0).expect("they follow");
        let found = books.check(&BookRows::new());
        let types: Vec<&str> = found
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
        let mut read = BookRows::new();
        for (sort_key, row) in &trial.rows {
            let key = table.key("loan#1", sort_key.as_str());
            let item = outbox::encode_item(&key, row).expect("an item");
            read.extend(BookRow::read(&table, item).expect("readable"));
        }
        assert_eq!(read, trial.rows);
        let state = outbox::encode_item(&table.key("loan#1", "state"), &trial.loan);
        assert_eq!(
            BookRow::read(&table, state.expect("an item")).ok(),
            Some(None)
        );
        let torn = table.key("loan#1", "payment#1").attributes();
        assert!(BookRow::read(&table, torn).is_err());
    }
}
