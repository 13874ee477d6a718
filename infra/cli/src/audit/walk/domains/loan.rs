//! Loans: their states, and the rows beside them, draws, payments and schedules, against what their events come to.

use async_trait::async_trait;
use domain::{Witness, history};
use events::{Contract, contracts::loan::Created};
use loan::books::{Books, Row, Rows};
use outbox::{Item, Outbox, Table};

use super::DomainAudit;
use crate::audit::{
    Error, Kind, Tables,
    walk::{
        advice,
        audit::{Audit, count, is_state, kind_of},
        reading::Partitions,
    },
};

const LOAN: &str = Created::AGGREGATE;

/// The table `loan`, and how much of it was compared.
pub(super) struct Loans {
    table: Table,
    rebuilt: u64,
    draws: u64,
    payments: u64,
    schedules: u64,
}

impl Loans {
    pub(super) fn new(tables: &Tables) -> Option<Self> {
        Some(Self {
            table: tables.of("loan")?,
            rebuilt: 0,
            draws: 0,
            payments: 0,
            schedules: 0,
        })
    }

    /// The rows of a loan's partition; `None` where one of them cannot be read, which is said.
    fn read(&mut self, audit: &mut Audit<'_>, pk: &str, items: Vec<Item>) -> Option<Rows> {
        let (mut rows, mut readable) = (Rows::new(), true);
        for item in items {
            match Row::read(&self.table, item) {
                Ok(row) => rows.extend(row),
                Err(error) => {
                    audit.unreadable(pk, &error);
                    readable = false;
                }
            }
        }
        readable.then_some(rows)
    }

    /// Compares the rows beside a loan. They were read before the events, so that whatever tells of them is there; what is newer than the
    /// rows is young.
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
        let told = history(outbox, LOAN, id, usize::MAX).await?;
        audit.pace(told.own.len(), begun).await;
        // An event that cannot be read was named, and a history that comes to no loan is where aggregates are rebuilt.
        let (Some(last), Ok(books), None) =
            (told.own.last(), Books::of(&told.own), &told.unreadable)
        else {
            return Ok(());
        };
        for row in rows.values() {
            *match row {
                Row::Draw(_) => &mut self.draws,
                Row::Payment(_) => &mut self.payments,
                Row::Schedule(_) => &mut self.schedules,
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
