//! The relay's settings.

use std::time::Duration;

use outbox::{
    Table,
    env::{Env, SettingError, wrong},
    relay::Settings,
};
use topology::Deployment;

/// The settings that the relay reads from its environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// The stack's name, for metrics.
    pub stack: String,
    /// The event log.
    pub events: Table,
    /// The bus's name.
    pub bus_name: String,
    /// How the relay publishes.
    pub settings: Settings,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        let default = Settings::default();
        let attempts = env.parsed(
            "PUBLISH_ATTEMPTS",
            "a whole number from 1 to 10",
            default.attempts,
        )?;
        if !(1..=10).contains(&attempts) {
            return Err(wrong("PUBLISH_ATTEMPTS", "a whole number from 1 to 10"));
        }
        let circuit_failures = env.parsed(
            "CIRCUIT_FAILURES",
            "a whole number from 1",
            default.circuit_failures,
        )?;
        if circuit_failures == 0 {
            return Err(wrong("CIRCUIT_FAILURES", "a whole number from 1"));
        }
        Ok(Self {
            stack: env.required("STACK_NAME")?.to_owned(),
            events: Table::events(env.required("EVENTS_TABLE")?),
            bus_name: env.required("BUS_NAME")?.to_owned(),
            settings: Settings {
                attempts,
                circuit_failures,
                circuit_open: env.seconds("CIRCUIT_OPEN_SECONDS", default.circuit_open)?,
                budget: env.millis("PUBLISH_BUDGET_MS", Duration::from_secs(10))?,
                routed: Some(routed()),
                ..default
            },
        })
    }
}

/// Returns the event types that at least one consumer handles. The relay counts all others as unrouted.
fn routed() -> Vec<String> {
    let deployment = Deployment::whole();
    let mut types: Vec<String> = deployment
        .functions()
        .iter()
        .flat_map(|function| deployment.contracts_of(function))
        .map(|contract| contract.event_type.to_owned())
        .collect();
    types.sort();
    types.dedup();
    types
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: [(&str, &str); 3] = [
        ("STACK_NAME", "test"),
        ("EVENTS_TABLE", "events"),
        ("BUS_NAME", "bus"),
    ];

    #[test]
    fn routed_types_are_what_consumers_listen_to_and_the_rest_has_defaults() {
        let config = Config::from_env(&Env::of(WHOLE)).expect("whole");
        let routed = config.settings.routed.expect("known");
        assert!(routed.contains(&"cloud.minted".to_owned()), "{routed:?}");
        assert!(
            !routed.contains(&"cloud.evaporated".to_owned()),
            "{routed:?}"
        );
        assert_eq!(config.settings.attempts, 3);
        assert_eq!(config.settings.circuit_open, Duration::from_secs(60));
    }

    #[test]
    fn a_missing_or_wrong_setting_is_named() {
        for (key, value) in [
            ("STACK_NAME", ""),
            ("EVENTS_TABLE", ""),
            ("BUS_NAME", ""),
            ("PUBLISH_ATTEMPTS", "0"),
            ("CIRCUIT_FAILURES", "none"),
            ("CIRCUIT_OPEN_SECONDS", "1.5"),
        ] {
            let env = Env::of(WHOLE.into_iter().chain([(key, value)]));
            let error = Config::from_env(&env).expect_err("refused").to_string();
            assert!(error.contains(key), "{error} does not name {key}");
        }
    }
}
