//! The settings that the functions of webhooks share.

use outbox::env::{Env, SettingError, wrong};
use webhook::{Allowed, Rules};

/// What may be called: `WEBHOOK_PORTS` and `WEBHOOK_NETWORKS`, both separated by commas.
///
/// # Errors
/// [`SettingError`] names the key and what is wrong with it.
pub fn rules(env: &Env) -> Result<Rules, SettingError> {
    let parts = |key: &'static str| -> Vec<String> {
        let text = env.optional(key).unwrap_or_default();
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let networks = parts("WEBHOOK_NETWORKS");
    let allowed = Allowed::public()
        .and(&networks)
        .map_err(|error| wrong("WEBHOOK_NETWORKS", error.to_string()))?;
    let mut rules = Rules {
        allowed,
        ..Rules::default()
    };
    let ports = parts("WEBHOOK_PORTS");
    if !ports.is_empty() {
        rules.ports.clear();
        for text in ports {
            let (first, last) = text.split_once('-').unwrap_or((&text, &text));
            let range = first.parse::<u16>().ok().zip(last.parse::<u16>().ok());
            let range = range.filter(|(first, last)| *first > 0 && first <= last);
            let (first, last) = range.ok_or_else(|| {
                let what = "is no port from 1 to 65535, and no range such as 8000-8999";
                wrong("WEBHOOK_PORTS", format!("{text} {what}"))
            })?;
            rules.ports.extend(first..=last);
        }
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn ports_and_networks_are_lists_and_a_wrong_entry_is_named() {
        let read = |ports: &'static str, networks: &'static str| {
            rules(&Env::of([
                ("WEBHOOK_PORTS", ports),
                ("WEBHOOK_NETWORKS", networks),
            ]))
        };
        assert_eq!(read("", "").expect("defaults"), Rules::default());
        let rules = read("443, 8443", "10.1.0.0/16,127.0.0.0/8").expect("reads");
        assert_eq!(rules.ports, [443, 8443]);
        let ranges = super::rules(&Env::of([("WEBHOOK_PORTS", "443,8000-8002")]));
        assert_eq!(ranges.expect("reads").ports, [443, 8000, 8001, 8002]);
        assert!(rules.allowed.has_additional());
        for (ports, networks, named) in [
            ("https", "", "https"),
            ("0", "", "0"),
            ("9-8", "", "9-8"),
            ("", "10.1", "10.1"),
        ] {
            let error = read(ports, networks).expect_err("refused").to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
