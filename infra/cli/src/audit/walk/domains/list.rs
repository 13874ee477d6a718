//! The list of all domain audits.

use super::{
    super::super::AuditTables, analytics::Analytics, cloud::Cloud, commerce::Commerce,
    domain::DomainAudit, feed::Feed, loan::Loans, notifications::Notifications,
    settlement::Settlements, states::States, wallet::Wallets,
};

/// The audits of every domain and consumer whose table the stack has, in the order in which they run: first the ones
/// with comparisons of their own, then the states of the remaining domains.
pub(in super::super) fn domains(tables: &AuditTables) -> Vec<Box<dyn DomainAudit>> {
    let more = [
        boxed(Cloud::new(tables)),
        boxed(Wallets::new(tables)),
        boxed(Settlements::new(tables)),
        boxed(Loans::new(tables)),
        boxed(Commerce::new(tables)),
        boxed(Analytics::new(tables)),
        boxed(Notifications::new(tables)),
        boxed(Feed::new(tables)),
    ];
    let mut all: Vec<_> = more.into_iter().flatten().collect();
    for domain in ::domains::ALL {
        if !all.iter().any(|one| one.name() == domain.name) {
            all.extend(boxed(States::of(domain, tables)));
        }
    }
    all
}

fn boxed<D: DomainAudit + 'static>(domain: Option<D>) -> Option<Box<dyn DomainAudit>> {
    domain.map(|domain| Box::new(domain) as Box<dyn DomainAudit>)
}
