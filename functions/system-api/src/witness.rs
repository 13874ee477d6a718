//! An aggregate rebuilt from its events alone, beside what is stored of it.

use std::sync::Arc;

use api::{Problem, Query, Reply, State};
use domain::{MOST_EVENTS, Witness, Witnessed};
use events::{AggregateId, AggregateType};
use outbox::{Table, env::Env};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::router::App;

pub(crate) const DESCRIPTION: &str = "\
Folds the events of an aggregate into its state and compares it with the stored row, field by field; fields that no event \
states are left out. `verdict` is `agrees`; `parted`: `reason` says how, `parted_at` names the first event that does not follow \
from those before it, or that the stored row does not carry; or `incomplete`: the retention of some events is over, or there \
are more than 10,000 (then `rebuilt` is what the first 10,000 come to, and `millrace audit` compares them all).";

/// The tables of the domains that are deployed.
#[derive(Debug, Clone, Default)]
pub struct DomainTables(Vec<(&'static domain::Domain, Table)>);

impl DomainTables {
    /// Those whose setting is there.
    #[must_use]
    pub fn from_env(env: &Env) -> Self {
        let named = domains::ALL.iter().filter_map(|domain| {
            let table = env.optional(domain.table_setting)?;
            Some((domain, Table::domain(table)))
        });
        Self(named.collect())
    }

    /// The aggregate types that can be asked for.
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

/// Which aggregate.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WitnessQuery {
    /// What kind of thing it is.
    pub aggregate_type: AggregateType,
    /// Which of them.
    pub aggregate_id: AggregateId,
}

/// What is stored of an aggregate, and what its events alone come to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AggregateWitness {
    /// What kind of thing it is.
    pub aggregate_type: AggregateType,
    /// Which of them.
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
        let words = format!("no aggregate of the type {aggregate_type} can be rebuilt");
        return Err(Problem::not_found(words)
            .violation("/query/aggregate_type", "is not among `known`")
            .with("known", app.domains.types()));
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
