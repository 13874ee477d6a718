//! The business domains, each of which a deployment includes or leaves out.

/// A business domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Domain {
    /// Its name, as in `make template DOMAINS='cloud wallet'`.
    pub name: &'static str,
    /// The first parts of its event types.
    pub events: &'static [&'static str],
}

/// Every business domain. The spine is part of every deployment: keys, members, event log, relay, feed, stream, system
/// API, audit log, analytics.
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
    Domain {
        name: "commerce",
        events: &[
            "cart", "category", "credit", "customer", "order", "price", "product", "quote", "stock",
        ],
    },
];

/// The first parts of the event types that belong to the spine: those that belong to no business domain. Every domain
/// refers to members, and `event-ingest` accepts the events that other systems publish.
pub fn spine_events() -> impl Iterator<Item = &'static str> {
    let of_domains = |one: &&str| DOMAINS.iter().any(|domain| domain.events.contains(one));
    events::DOMAINS
        .iter()
        .copied()
        .filter(move |one| !of_domains(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_type_belongs_to_one_domain_or_to_the_spine() {
        let of_domains = DOMAINS.iter().flat_map(|domain| domain.events).copied();
        let mut owned: Vec<&str> = of_domains.chain(spine_events()).collect();
        owned.sort_unstable();
        assert_eq!(owned, events::DOMAINS);
        assert!(spine_events().any(|one| one == "member"));
    }
}
