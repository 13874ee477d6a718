//! The business domains of this workspace, a line each. Nothing but a list: what works on every domain takes it from here,
//! so that no domain imports another.

use domain::{Domain, Witnessed};

/// Every domain. Adding one: a line here.
pub const ALL: &[Domain] = &[
    cloud::DOMAIN,
    loan::DOMAIN,
    member::DOMAIN,
    settlement::DOMAIN,
    wallet::DOMAIN,
];

/// The aggregate of a type with the domain that it belongs to.
#[must_use]
pub fn aggregate(aggregate_type: &str) -> Option<(&'static Domain, &'static dyn Witnessed)> {
    ALL.iter()
        .find_map(|domain| Some((domain, domain.aggregate(aggregate_type)?)))
}

/// The aggregate types of every domain, in the order of the lists.
pub fn aggregate_types() -> impl Iterator<Item = &'static str> {
    let aggregates = ALL.iter().flat_map(|domain| domain.aggregates);
    aggregates.map(|one| one.aggregate_type())
}
