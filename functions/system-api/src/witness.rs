//! Compares the stored row of an aggregate with the state rebuilt from its events.

use std::sync::Arc;

use api::{Problem, Query, Reply, State};
use domain::{MOST_EVENTS, Witness, Witnessed};
use events::{AggregateId, AggregateType, did_you_mean};
use outbox::{Table, env::Env};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::router::App;

pub(crate) const DESCRIPTION: &str = "\
Rebuilds the state of an aggregate from its events and compares it with the stored row, field by field, without the fields that \
no event states. `verdict` is `agrees`, `parted` or `incomplete`. If `parted`, `reason` describes the difference, and `parted_at` \
names the first event that does not follow from the earlier ones or is missing from the stored row. If `incomplete`, the retention \
of some events is over, or there are more than 10,000 (`rebuilt` then has the first 10,000, and `millrace audit` compares all).";

/// The tables of the deployed domains.
#[derive(Debug, Clone, Default)]
pub struct DomainTables(Vec<(&'static domain::Domain, Table)>);

impl DomainTables {
    /// Returns the tables whose setting is present.
    #[must_use]
    pub fn from_env(env: &Env) -> Self {
        let named = domains::ALL.iter().filter_map(|domain| {
            let table = env.optional(domain.table_setting)?;
            Some((domain, Table::domain(table)))
        });
        Self(named.collect())
    }

    /// Returns the aggregate types that can be rebuilt.
    #[must_use]
    pub fn types(&self) -> Vec<&'static str> {
        let aggregates = self.0.iter().flat_map(|(domain, _)| domain.aggregates);
        aggregates.map(|one| one.aggregate_type()).collect()
    }

    fn aggregate(&self, aggregate_type: &str) -> Option<(&'static dyn Witnessed, &Table)> {
        let mut tables = self.0.iter();
        tables.find_map(|(domain, table)| Some((domain.aggregate(aggregate_type)?, table)))
    }
}

/// The query of a witness.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WitnessQuery {
    /// The aggregate's type.
    pub aggregate_type: AggregateType,
    /// The aggregate's id.
    pub aggregate_id: AggregateId,
}

/// The stored state of an aggregate, and the state rebuilt from its events.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AggregateWitness {
    /// The aggregate's type.
    pub aggregate_type: AggregateType,
    /// The aggregate's id.
    pub aggregate_id: AggregateId,
    /// The comparison.
    #[serde(flatten)]
    pub witness: Witness,
}

pub(crate) async fn witness(
    State(app): State<Arc<App>>,
    Query(query): Query<WitnessQuery>,
) -> Result<Reply<AggregateWitness>, Problem> {
    let (aggregate_type, id) = (query.aggregate_type, query.aggregate_id);
    let Some((aggregate, table)) = app.domains.aggregate(aggregate_type.as_str()) else {
        let known = app.domains.types();
        let meant = did_you_mean(aggregate_type.as_str(), known.iter().copied());
        let words = format!("no aggregate of the type {aggregate_type} can be rebuilt{meant}");
        return Err(Problem::not_found(words)
            .violation("/query/aggregate_type", "is not among `known`")
            .with("known", known));
    };
    let found = domain::witness(aggregate, &app.outbox, table, id.as_str(), MOST_EVENTS).await?;
    let Some(witness) = found else {
        let words = format!("there is no {aggregate_type} {id}, and no event of one");
        return Err(Problem::not_found(words));
    };
    Reply::of(&AggregateWitness {
        aggregate_type,
        aggregate_id: id,
        witness,
    })
}
