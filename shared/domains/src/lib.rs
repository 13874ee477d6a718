//! A list of the business domains in this workspace. Code that works on every domain takes them from here, so no domain
//! imports another.

use domain::{Domain, Witnessed};

/// Every domain. Add a new domain as a line here.
pub const ALL: &[Domain] = &[
    cloud::DOMAIN,
    commerce::DOMAIN,
    endpoints::DOMAIN,
    letters::DOMAIN,
    loan::DOMAIN,
    member::DOMAIN,
    settlement::DOMAIN,
    wallet::DOMAIN,
];

/// The aggregate of this type and the domain that it belongs to.
#[must_use]
pub fn aggregate(aggregate_type: &str) -> Option<(&'static Domain, &'static dyn Witnessed)> {
    ALL.iter()
        .find_map(|domain| Some((domain, domain.aggregate(aggregate_type)?)))
}

/// The aggregate types of all domains, in the order of the lists.
pub fn aggregate_types() -> impl Iterator<Item = &'static str> {
    let aggregates = ALL.iter().flat_map(|domain| domain.aggregates);
    aggregates.map(|one| one.aggregate_type())
}
