//! Loans: what came back and what is open is what was lent; every change of what is to be paid back when has its schedule, and each
//! schedule is the one that the loan's history up to it asks for.

use std::collections::BTreeMap;

use domain::rebuild;
use events::{Contract, Envelope, contracts::loan as contracts};
use loan::{
    Loan,
    loan::LoanWithDraws,
    schedule::{Schedule, plan},
};

use super::super::{World, loan::loan_table};

impl World {
    pub(super) fn judge_loans(&self, log: &[Envelope], wrong: &mut Vec<String>) {
        let mut told: BTreeMap<&str, Vec<Envelope>> = BTreeMap::new();
        for event in log {
            if event.aggregate_type.as_str() == contracts::Created::AGGREGATE {
                let events = told.entry(event.aggregate_id.as_str()).or_default();
                events.push(event.clone());
            }
        }
        for (id, events) in told {
            // Events that come to nothing are named where all aggregates are compared.
            if let Ok(Some(rebuilt)) = rebuild::<LoanWithDraws>(&events) {
                self.judge_loan(id, rebuilt.state.loan(), &events, wrong);
            }
        }
    }

    fn judge_loan(&self, id: &str, loan: &Loan, events: &[Envelope], wrong: &mut Vec<String>) {
        let known = loan.principal_paid().decimal() + loan.balance().open_principal.decimal();
        if known != loan.lent() {
            let lent = loan.lent();
            wrong.push(format!(
                "loan {id}: {known} is paid or open, {lent} was lent"
            ));
        }
        if loan.wants_schedule() {
            wrong.push(format!("loan {id} waits for a schedule"));
        }
        let query = Schedule::of_loan(&loan_table(), loan.loan_id(), 10_000);
        let rows: Result<(Vec<Schedule>, _), _> = self
            .flow
            .look(|site| async move { site.outbox().rows(&query).await });
        let (mut rows, _) = rows.expect("readable");
        rows.reverse();
        let planned = events.iter().enumerate().filter(|(_, event)| {
            event.event_type.as_str() == contracts::PaymentScheduleGenerated::TYPE
        });
        let mut before: Option<&Schedule> = None;
        let mut planned = planned.map(|(place, _)| place);
        for row in &rows {
            let until = planned.next().unwrap_or(0);
            let Ok(Some(history)) = rebuild::<LoanWithDraws>(&events[..until]) else {
                wrong.push(format!(
                    "loan {id}: no event tells of schedule {}",
                    row.revision
                ));
                continue;
            };
            let asked = plan(
                history.state.loan(),
                before,
                row.schedule_id,
                row.generated_at,
            );
            if asked.as_ref() != Ok(row) {
                let revision = row.revision;
                wrong.push(format!(
                    "loan {id}: its history does not ask for schedule {revision}"
                ));
            }
            before = Some(row);
        }
        if planned.next().is_some() {
            wrong.push(format!("loan {id}: a schedule is told of and not there"));
        }
    }
}
