//! The settings of `system-api`.

use outbox::{
    Table,
    env::{Env, SettingError, wrong},
};
use topology::Deployment;

use crate::{router::SystemTables, witness::DomainTables};

/// The settings of this function only. [`host::Api`] reads those that every API has.
#[derive(Debug, Clone)]
pub struct Config {
    /// The tables that are only read. [`domain::Domain::table_setting`] names those of the domains.
    pub tables: SystemTables,
    /// The bus that `/health` checks.
    pub bus_name: String,
    /// The queue of any lane. `/health` reads its attributes to check that SQS answers.
    pub health_queue_url: String,
    /// The deployment. The OpenAPI document has the endpoints of its functions.
    pub deployment: Deployment,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        Ok(Self {
            tables: SystemTables {
                analytics: Table::domain(env.required("ANALYTICS_TABLE")?),
                feed: Table::domain(env.required("EVENT_FEED_TABLE")?),
                evidence: evidence::EvidenceTables::from_env(env)?,
                domains: DomainTables::from_env(env),
            },
            bus_name: env.required("BUS_NAME")?.to_owned(),
            health_queue_url: env.required("HEALTH_QUEUE_URL")?.to_owned(),
            deployment: Deployment::of_setting(env.optional("DOMAINS").unwrap_or_default())
                .map_err(|problems| wrong("DOMAINS", problems))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: [(&str, &str); 5] = [
        ("ANALYTICS_TABLE", "analytics"),
        ("EVENT_FEED_TABLE", "feed"),
        ("MARKS_TABLE", "marks"),
        ("BUS_NAME", "bus"),
        ("HEALTH_QUEUE_URL", "http://queue"),
    ];

    #[test]
    fn a_domain_is_deployed_where_its_table_is_named() {
        let config = |env: &Env| Config::from_env(env).expect("whole");
        let none = config(&Env::of(WHOLE));
        assert!(none.tables.domains.types().is_empty());
        let all = domains::ALL.iter().map(|one| (one.table_setting, one.name));
        let all = config(&Env::of(WHOLE.into_iter().chain(all)));
        assert!(
            all.tables
                .domains
                .types()
                .into_iter()
                .eq(domains::aggregate_types())
        );
    }

    #[test]
    fn a_missing_setting_is_named() {
        assert!(Config::from_env(&Env::of(WHOLE)).is_ok());
        for (key, _) in WHOLE {
            let env = Env::of(WHOLE.into_iter().chain([(key, "")]));
            let error = Config::from_env(&env).expect_err("refused").to_string();
            assert!(error.contains(key), "{error} does not name {key}");
        }
    }
}
