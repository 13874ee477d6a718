//! The business domains that a deployment takes or leaves out.

/// A business domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Domain {
    /// Its name, as in `make template DOMAINS='cloud wallet'`.
    pub name: &'static str,
    /// The first parts of its event types.
    pub events: &'static [&'static str],
}

/// Every business domain. The spine is always there: keys, members, event log, relay, feed, stream, system API, audit log,
/// analytics.
pub const DOMAINS: &[Domain] = &[
    Domain {
        name: "cloud",
        events: &["cloud", "treasury", "alert"],
    },
    Domain {
        name: "wallet",
        events: &["wallet"],
    },
    Domain {
        name: "loan",
        events: &["loan"],
    },
    Domain {
        name: "settlement",
        events: &["payment", "settlement"],
    },
];

/// The first parts of the event types that the spine itself tells of: every domain refers to members, and `event-ingest` takes what
/// others publish.
pub const SPINE_EVENTS: &[&str] = &["member", "erp", "supplier"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_type_belongs_to_one_domain_or_to_the_spine() {
        let of_domains = DOMAINS.iter().flat_map(|domain| domain.events);
        let mut owned: Vec<&str> = of_domains.chain(SPINE_EVENTS).copied().collect();
        owned.sort_unstable();
        assert_eq!(owned, events::DOMAINS);
    }
}
