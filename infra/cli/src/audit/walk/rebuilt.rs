//! Rebuilds every aggregate of every domain from its events alone and compares it with the stored row.
//!
//! A fault that the domain's own check or the walk over the log has found in an aggregate is not reported again.

use std::collections::HashSet;

use domain::{Verdict, Witness, witness};

use super::{
    super::{Error, Kind},
    advice,
    audit::{Audit, shown},
    domains::DomainAudit,
};

impl Audit<'_> {
    /// Rebuilds every aggregate that has events in the log and compares it with its row. This reads each event and row
    /// once more, and for an account also the events of the accounts that transferred to it.
    pub(super) async fn rebuild(
        &mut self,
        domains: &mut [Box<dyn DomainAudit>],
    ) -> Result<(), Error> {
        let outbox = self.outbox();
        let named: HashSet<String> = self
            .findings
            .iter()
            .filter(|one| one.consumer.is_none())
            .flat_map(|one| [one.aggregate.clone(), one.event_id.clone()])
            .flatten()
            .collect();
        let names: Vec<String> = self.aggregates.keys().cloned().collect();
        for name in names {
            let Some((kind, id)) = name.split_once('#') else {
                continue;
            };
            let Some((domain, aggregate)) = ::domains::aggregate(kind) else {
                continue;
            };
            let Some(table) = self.sources.tables.of(domain.name) else {
                continue;
            };
            let begun = self.sources.clock.now();
            let compared = witness(aggregate, &outbox, &table, id, usize::MAX).await?;
            let Some(compared) = compared else { continue };
            self.pace(compared.events + 1, begun).await;
            self.counts.rebuilt += 1;
            for one in domains.iter_mut() {
                one.on_rebuilt(self, &name, &compared);
            }
            self.compared(&name, &compared, &named);
        }
        Ok(())
    }

    fn compared(&mut self, name: &str, compared: &Witness, named: &HashSet<String>) {
        if compared.verdict != Verdict::Parted || named.contains(&shown(name)) {
            return;
        }
        let last = self.aggregates.get(name).and_then(|known| known.last);
        if last.is_none_or(|(_, _, committed_at)| self.is_young(committed_at)) {
            self.counts.moving += 1;
            return;
        }
        let reason = compared.reason.clone().unwrap_or_default();
        let parted = compared.parted_at.as_ref();
        let event_id = parted.and_then(|at| at.event_id.parse().ok());
        match event_id {
            Some(_) if parted.is_some_and(|at| named.contains(&at.event_id)) => {}
            Some(event_id) => self.of_event(Kind::Books, event_id, reason, advice::BOOKS),
            None => self.of_state(Kind::Books, name, reason, advice::BOOKS),
        }
    }
}
