//! Loans: what was repaid plus what is open equals what was lent; every change of the repayment plan has its schedule;
//! and every row beside a loan, including each schedule, is the one that the loan's history requires.

use std::collections::BTreeMap;

use domain::rebuild;
use events::{Contract, Envelope, contracts::loan as contracts};
use loan::{
    Loan,
    books::{BookRow, BookRows, Books},
    loan::LoanWithDraws,
};

use super::super::{World, loan::loan_table};

impl World {
    pub(super) fn judge_loans(&self, log: &[Envelope], wrong: &mut Vec<String>) {
        let mut histories: BTreeMap<String, Vec<Envelope>> = BTreeMap::new();
        for event in log {
            if event.aggregate_type.as_str() == contracts::Created::AGGREGATE {
                histories
                    .entry(event.aggregate())
                    .or_default()
                    .push(event.clone());
            }
        }
        let mut stored = self.rows_beside_loans();
        for (name, events) in histories {
            let rows = stored.remove(&name).unwrap_or_default();
            // Events that cannot be rebuilt are reported where all aggregates are compared.
            if let Ok(Some(rebuilt)) = rebuild::<LoanWithDraws>(&events) {
                judge_loan(&name, rebuilt.state.loan(), wrong);
            }
            if let Ok(books) = Books::of(&events) {
                let found = books.check(&rows).into_iter();
                wrong.extend(found.map(|one| format!("{name}: {one}")));
            }
        }
        let unrecorded = stored.into_keys();
        wrong.extend(unrecorded.map(|name| format!("{name}: rows of a loan without an event")));
    }

    /// The rows beside loans, by partition.
    fn rows_beside_loans(&self) -> BTreeMap<String, BookRows> {
        let table = loan_table();
        let mut rows: BTreeMap<String, BookRows> = BTreeMap::new();
        for item in self.flow.store().items(&table) {
            let partition = item["pk"].as_str().expect("a key").to_owned();
            if let Some((sort_key, row)) = BookRow::read(&table, item).expect("readable") {
                rows.entry(partition).or_default().insert(sort_key, row);
            }
        }
        rows
    }
}

fn judge_loan(name: &str, loan: &Loan, wrong: &mut Vec<String>) {
    let known = loan.principal_paid().decimal() + loan.balance().open_principal.decimal();
    if known != loan.lent() {
        let lent = loan.lent();
        wrong.push(format!(
            "{name}: {known} is paid or open, but {lent} was lent"
        ));
    }
    if loan.wants_schedule() {
        wrong.push(format!("{name} waits for a schedule"));
    }
}
