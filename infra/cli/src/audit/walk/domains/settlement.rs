//! Payments and settlements: their states, and that each settlement is of an existing payment and in its currency.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::Witness;
use events::{
    Contract, EventId,
    contracts::{payment, settlement as contracts},
};
use outbox::Table;
use serde_json::Value;

use super::DomainAudit;
use crate::audit::{
    AuditTables, Error, Kind,
    walk::{
        advice,
        audit::{Audit, kind_of, shown},
    },
};

const PAYMENT: &str = payment::Created::AGGREGATE;
const SETTLEMENT: &str = contracts::Created::AGGREGATE;

/// The table `settlement`, and the parts of payments and settlements that are compared with each other.
pub(super) struct Settlements {
    table: Table,
    payments: u64,
    settlements: u64,
    /// The currency of each payment.
    currencies: HashMap<String, Value>,
    /// The first event of each settlement, its payment, and its currency.
    settled: Vec<(EventId, String, Value)>,
}

impl Settlements {
    pub(super) fn new(tables: &AuditTables) -> Option<Self> {
        Some(Self {
            table: tables.of("settlement")?,
            payments: 0,
            settlements: 0,
            currencies: HashMap::new(),
            settled: Vec::new(),
        })
    }
}

#[async_trait]
impl DomainAudit for Settlements {
    fn name(&self) -> &'static str {
        "settlement"
    }

    async fn check(&mut self, audit: &mut Audit<'_>) -> Result<(), Error> {
        let places = audit.places_of(&self.table, &self.states());
        audit.states_in(places).await
    }

    fn on_rebuilt(&mut self, audit: &mut Audit<'_>, aggregate: &str, witness: &Witness) {
        let is_stored = u64::from(witness.stored.is_some());
        match kind_of(aggregate) {
            PAYMENT => self.payments += is_stored,
            SETTLEMENT => self.settlements += is_stored,
            _ => return,
        }
        let Some(rebuilt) = &witness.rebuilt else {
            return;
        };
        let value = |name: &str| rebuilt.state.get(name).cloned().unwrap_or_default();
        if kind_of(aggregate) == PAYMENT {
            self.currencies
                .insert(aggregate.to_owned(), value("currency"));
        } else if let Some(first) = audit.aggregates.get(aggregate).and_then(|one| one.first) {
            let payment = value("payment_id");
            let payment = format!("{PAYMENT}#{}", payment.as_str().unwrap_or_default());
            self.settled.push((first.1, payment, value("currency")));
        }
    }

    async fn conclude(&mut self, audit: &mut Audit<'_>) -> Result<(), Error> {
        for (first, payment, currency) in std::mem::take(&mut self.settled) {
            let what = match self.currencies.get(&payment) {
                Some(of_payment) if *of_payment == currency => continue,
                Some(_) => format!("is in another currency than {}", shown(&payment)),
                // The settlement may have been read before the payment was made, or the payment is outside the scope or
                // has a finding already.
                None => {
                    let made = audit.index.get(&first);
                    let is_young = made.is_none_or(|made| audit.is_young(made.committed_at));
                    let is_known = audit.aggregates.contains_key(&payment);
                    if !audit.is_whole() || is_young || is_known {
                        continue;
                    }
                    format!("settles {}, which has no event", shown(&payment))
                }
            };
            audit.of_event(Kind::Books, first, what, advice::HISTORY);
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
