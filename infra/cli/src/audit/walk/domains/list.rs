//! The list.

use super::{
    super::super::Tables, analytics::Analytics, cloud::Cloud, domain::DomainAudit, feed::Feed,
    loan::Loans, notifications::Notifications, settlement::Settlements, states::States,
    wallet::Wallets,
};

/// All that the stack has the table of, in the order in which they are checked: what knows more of a domain, or of a
/// consumer's rows, than its states; then the states of the domains that are left.
pub(in super::super) fn domains(tables: &Tables) -> Vec<Box<dyn DomainAudit>> {
    let more = [
        boxed(Cloud::new(tables)),
        boxed(Wallets::new(tables)),
        boxed(Settlements::new(tables)),
        boxed(Loans::new(tables)),
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
