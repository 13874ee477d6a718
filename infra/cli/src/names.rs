//! Names that verbs take: each is checked against the names that exist, and a message about an unknown one offers the
//! nearest.

use std::collections::BTreeSet;

use events::{ConsumerName, DOMAINS, Registry, did_you_mean, unknown_domain};
use letters::drained::UNKNOWN;

/// Every event type that has a contract.
fn event_types() -> impl Iterator<Item = &'static str> {
    let contracts = Registry::shipped_contracts().iter();
    contracts.map(|contract| contract.event_type)
}

/// What is wrong with an event type that has no contract. `None` if it has one.
pub(crate) fn unknown_type(event_type: &str) -> Option<String> {
    let is_known = event_types().any(|known| known == event_type);
    let meant = did_you_mean(event_type, event_types());
    (!is_known).then(|| format!("no event type {event_type}{meant}"))
}

/// What is wrong with a consumer that is not declared. `None` if it is one, or stands for those that are not known.
pub(crate) fn unknown_consumer(name: &str) -> Option<String> {
    let consumers = || topology::consumers().map(|(function, _)| function.name);
    let is_known = name == UNKNOWN || consumers().any(|known| known == name);
    let meant = did_you_mean(name, consumers());
    (!is_known).then(|| format!("no consumer {name}{meant}"))
}

/// Reads the name of a consumer. Whether there is one of this name is known to the stack.
///
/// # Errors
/// What is expected.
pub(crate) fn consumer(text: &str) -> Result<ConsumerName, String> {
    ConsumerName::new(text).map_err(|error| error.to_string())
}

/// Reads a domain.
///
/// # Errors
/// The nearest domain, and all of them.
pub(crate) fn domain(text: &str) -> Result<String, String> {
    let Some(meant) = unknown_domain(text) else {
        return Ok(text.to_owned());
    };
    let all = DOMAINS.join(", ");
    Err(format!("no domain {text}{meant} [domains: {all}]"))
}

/// Reads an aggregate, `type/id`.
///
/// # Errors
/// What is expected, or the nearest type and all of them.
pub(crate) fn aggregate(text: &str) -> Result<(String, String), String> {
    let (kind, id) = match text.split_once('/') {
        Some((kind, id)) if !kind.is_empty() && !id.is_empty() => (kind, id),
        _ => return Err("type/id, e.g. cloud_account/member-1".to_owned()),
    };
    let contracts = Registry::shipped_contracts().iter();
    let types: BTreeSet<&str> = contracts.map(|contract| contract.aggregate_type).collect();
    if types.contains(kind) {
        return Ok((kind.to_owned(), id.to_owned()));
    }
    let meant = did_you_mean(kind, types.iter().copied());
    let all: Vec<&str> = types.into_iter().collect();
    Err(format!(
        "no aggregate type {kind}{meant} [types: {}]",
        all.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_event_type_is_answered_with_the_nearest() {
        assert_eq!(unknown_type("loan.funded"), None);
        assert_eq!(
            unknown_type("loan.founded").as_deref(),
            Some("no event type loan.founded; did you mean loan.funded?")
        );
        assert_eq!(
            unknown_type("inventory.booked").as_deref(),
            Some("no event type inventory.booked")
        );
    }

    #[test]
    fn an_unknown_consumer_is_answered_with_the_nearest() {
        assert_eq!(unknown_consumer("notifications"), None);
        assert_eq!(unknown_consumer("unknown"), None);
        assert_eq!(
            unknown_consumer("notification").as_deref(),
            Some("no consumer notification; did you mean notifications?")
        );
    }

    #[test]
    fn an_unknown_domain_is_refused_with_the_nearest_and_all() {
        assert_eq!(domain("loan"), Ok("loan".to_owned()));
        let near = domain("laon").expect_err("no such domain");
        assert!(
            near.starts_with("no domain laon; did you mean loan?") && near.contains("wallet"),
            "{near}"
        );
        let far = domain("inventory").expect_err("no such domain");
        assert!(
            !far.contains("did you mean") && far.contains("wallet"),
            "{far}"
        );
    }

    #[test]
    fn an_aggregate_is_a_known_type_and_an_id() {
        let pair = |kind: &str, id: &str| Ok((kind.to_owned(), id.to_owned()));
        assert_eq!(aggregate("cloud_account/m-1"), pair("cloud_account", "m-1"));
        assert_eq!(aggregate("member/a/b"), pair("member", "a/b"));
        for text in ["", "member", "/m", "member/"] {
            let wrong = aggregate(text).expect_err(text);
            assert!(wrong.starts_with("type/id"), "{text}: {wrong}");
        }
        let near = aggregate("clod_account/m-1").expect_err("no such type");
        assert!(
            near.starts_with(
                "no aggregate type clod_account; did you mean cloud_account? [types: "
            ),
            "{near}"
        );
    }
}
