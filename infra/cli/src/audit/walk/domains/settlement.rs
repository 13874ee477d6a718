//! Payments and settlements: their states, that each settlement is of an existing payment and in its currency, and that
//! the settlements of a payment that did not fail are what it counts and within what was captured and not refunded.

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::Witness;
use events::{
    Contract, PaymentId,
    contracts::{payment, settlement as contracts},
};
use outbox::Table;
use settlement::{
    Payment, Settlement,
    books::{Books, Wrong},
};

use super::{
    DomainAudit,
    states::{rebuilt, typed},
};
use crate::audit::{
    AuditTables, Error, Kind,
    walk::{
        advice,
        audit::{Audit, kind_of},
    },
};

const PAYMENT: &str = payment::Created::AGGREGATE;
const SETTLEMENT: &str = contracts::Created::AGGREGATE;

/// The table `settlement`, and what was rebuilt of it.
pub(super) struct Settlements {
    table: Table,
    payments: u64,
    settlements: u64,
    books: Books,
    /// The payments that changed, or whose settlements did, after the audit began.
    moving: BTreeSet<PaymentId>,
    /// Whether every settlement was rebuilt, so that the sums of a payment's settlements are complete.
    is_complete: bool,
}

impl Settlements {
    pub(super) fn new(tables: &AuditTables) -> Option<Self> {
        Some(Self {
            table: tables.of("settlement")?,
            payments: 0,
            settlements: 0,
            books: Books::default(),
            moving: BTreeSet::new(),
            is_complete: true,
        })
    }

    /// Reports a fault of the books, unless what it rests on was still changing.
    fn wrong(&self, audit: &mut Audit<'_>, wrong: Wrong) {
        let payment = format!("{PAYMENT}#{}", wrong.payment_id());
        let settlement = wrong.settlement_id().map(|id| format!("{SETTLEMENT}#{id}"));
        let first = settlement.and_then(|name| audit.aggregates.get(&name)?.first);
        match (wrong, first) {
            (Wrong::NoPayment { .. }, first) => {
                // The settlement may have been read before the payment was made, or the payment is outside the scope or
                // has a finding already.
                let is_young = first.is_none_or(|(_, _, at)| audit.is_young(at));
                if !audit.is_whole() || is_young || audit.aggregates.contains_key(&payment) {
                    return;
                }
            }
            // Settlements that are outside the scope, or could not be rebuilt, are missing in the sum.
            (Wrong::OtherSum { .. }, _) if !audit.is_whole() || !self.is_complete => return,
            (Wrong::TooMuch { .. } | Wrong::OtherSum { .. }, _)
                if self.moving.contains(&wrong.payment_id()) =>
            {
                audit.counts.moving += 1;
                return;
            }
            _ => {}
        }
        match first {
            Some((_, event_id, _)) => {
                audit.of_event(Kind::Books, event_id, wrong.to_string(), advice::HISTORY);
            }
            None => audit.of_state(Kind::Books, &payment, wrong.to_string(), advice::HISTORY),
        }
    }
}

#[async_trait]
impl DomainAudit for Settlements {
    fn name(&self) -> &'static str {
        settlement::DOMAIN.name
    }

    async fn check(&mut self, audit: &mut Audit<'_>) -> Result<(), Error> {
        audit.states_of(&settlement::DOMAIN, &self.table).await
    }

    fn on_rebuilt(&mut self, audit: &mut Audit<'_>, aggregate: &str, witness: &Witness) {
        let is_stored = u64::from(witness.stored.is_some());
        match kind_of(aggregate) {
            PAYMENT => self.payments += is_stored,
            SETTLEMENT => self.settlements += is_stored,
            _ => return,
        }
        // Both are read again after the log, so they can be newer than what the log had.
        let rebuilt = rebuilt(witness);
        if kind_of(aggregate) == PAYMENT {
            // A payment that could not be rebuilt has a finding already.
            let Some(payment) = rebuilt.and_then(typed::<Payment>) else {
                return;
            };
            self.books.enter_payment(&payment);
            let is_young = audit.is_young(payment.updated_at());
            self.moving.extend(is_young.then(|| payment.payment_id()));
            return;
        }
        match rebuilt.and_then(typed::<Settlement>) {
            None => self.is_complete = false,
            Some(settlement) => {
                self.books.enter_settlement(&settlement);
                let is_young = audit.is_young(settlement.updated_at());
                self.moving
                    .extend(is_young.then(|| settlement.payment_id()));
            }
        }
    }

    async fn conclude(&mut self, audit: &mut Audit<'_>) -> Result<(), Error> {
        for wrong in std::mem::take(&mut self.books).check() {
            self.wrong(audit, wrong);
        }
        Ok(())
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("payments", self.payments),
            ("settlements", self.settlements),
        ]
    }
}
