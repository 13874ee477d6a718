//! Loans: compares their states and the rows beside them (draws, payments, schedules) with their events.

use async_trait::async_trait;
use domain::{Witness, history};
use events::{Contract, contracts::loan::Created};
use loan::books::{BookRow, BookRows, Books};
use outbox::{Item, Outbox, Table};

use super::DomainAudit;
use crate::audit::{
    AuditTables, Error, Kind,
    walk::{
        advice,
        audit::{Audit, count, is_state, kind_of},
        reading::Partitions,
    },
};

const LOAN: &str = Created::AGGREGATE;

/// The table `loan`, and how many of its rows were compared.
pub(super) struct Loans {
    table: Table,
    rebuilt: u64,
    draws: u64,
    payments: u64,
    schedules: u64,
}

impl Loans {
    pub(super) fn new(tables: &AuditTables) -> Option<Self> {
        Some(Self {
            table: tables.of("loan")?,
            rebuilt: 0,
            draws: 0,
            payments: 0,
            schedules: 0,
        })
    }

    /// The rows of a loan's partition. `None` if one of them cannot be read, which is reported here.
    fn read(&mut self, audit: &mut Audit<'_>, pk: &str, items: Vec<Item>) -> Option<BookRows> {
        let (mut rows, mut readable) = (BookRows::new(), true);
        for item in items {
            match BookRow::read(&self.table, item) {
                Ok(row) => rows.extend(row),
                Err(error) => {
                    audit.unreadable(pk, &error);
                    readable = false;
                }
            }
        }
        readable.then_some(rows)
    }

    /// Compares the rows beside a loan. They were read before the events, so the log has the events of all of them.
    /// Events newer than the rows count as young.
    async fn rows(
        &mut self,
        audit: &mut Audit<'_>,
        outbox: &Outbox,
        pk: &str,
        items: Vec<Item>,
    ) -> Result<(), Error> {
        let Some(rows) = self.read(audit, pk, items) else {
            return Ok(());
        };
        let id = pk.split_once('#').map_or("", |(_, id)| id);
        let begun = audit.sources.clock.now();
        let recorded = history(outbox, LOAN, id, usize::MAX).await?;
        audit.pace(recorded.own.len(), begun).await;
        // An unreadable event was reported. A history that gives no loan is reported where aggregates are rebuilt.
        let (Some(last), Ok(books), None) = (
            recorded.own.last(),
            Books::of(&recorded.own),
            &recorded.unreadable,
        ) else {
            return Ok(());
        };
        for row in rows.values() {
            *match row {
                BookRow::Draw(_) => &mut self.draws,
                BookRow::Payment(_) => &mut self.payments,
                BookRow::Schedule(_) => &mut self.schedules,
            } += 1;
        }
        let found = books.check(&rows);
        if !found.is_empty() && audit.is_young(last.occurred_at) {
            audit.counts.moving += count(found.len());
            return Ok(());
        }
        for wrong in found {
            let what = wrong.to_string();
            match wrong.event_id() {
                Some(event_id) => audit.of_event(Kind::Books, event_id, what, advice::BOOKS),
                None => audit.of_state(Kind::Books, pk, what, advice::BOOKS),
            }
        }
        Ok(())
    }
}

#[async_trait]
impl DomainAudit for Loans {
    fn name(&self) -> &'static str {
        "loan"
    }

    async fn check(&mut self, audit: &mut Audit<'_>) -> Result<(), Error> {
        let places = audit.places_of(&self.table, &[LOAN]);
        let outbox = audit.outbox();
        let mut partitions = Partitions::of(places, &self.table, |pk, _| kind_of(pk) == LOAN);
        while let Some((pk, items)) = partitions.next(audit).await? {
            if let Some(state) = items.iter().find(|item| is_state(item)) {
                audit.state(&pk, state).await?;
            }
            self.rows(audit, &outbox, &pk, items).await?;
        }
        Ok(())
    }

    fn on_rebuilt(&mut self, _: &mut Audit<'_>, aggregate: &str, _: &Witness) {
        self.rebuilt += u64::from(kind_of(aggregate) == LOAN);
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("rebuilt", self.rebuilt),
            ("draws", self.draws),
            ("payments", self.payments),
            ("schedules", self.schedules),
        ]
    }
}
