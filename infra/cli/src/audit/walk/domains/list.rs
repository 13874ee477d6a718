//! The list.

use super::{
    super::super::Tables, analytics::Analytics, cloud::Cloud, domain::DomainAudit, feed::Feed,
    member::Member, notifications::Notifications, settlement::Settlements, wallet::Wallets,
};

/// All that the stack has the table of, in the order in which they are checked.
pub(in super::super) fn domains(tables: &Tables) -> Vec<Box<dyn DomainAudit>> {
    let all = [
        boxed(Member::new(tables)),
        boxed(Cloud::new(tables)),
        boxed(Wallets::new(tables)),
        boxed(Settlements::new(tables)),
        boxed(Analytics::new(tables)),
        boxed(Notifications::new(tables)),
        boxed(Feed::new(tables)),
    ];
    all.into_iter().flatten().collect()
}

fn boxed<D: DomainAudit + 'static>(domain: Option<D>) -> Option<Box<dyn DomainAudit>> {
    domain.map(|domain| Box::new(domain) as Box<dyn DomainAudit>)
}
