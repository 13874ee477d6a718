//! Every aggregate that the campaign used: its events alone must rebuild what is stored.

use domain::{History, Verdict};
use outbox::Table;

use super::{
    Field,
    books::{Finding, Logged},
};
use crate::e2e::Result;

/// The table of a domain.
fn table<'f>(field: &'f Field, domain: &str) -> Result<&'f Table> {
    match domain {
        "cloud" => Ok(&field.cloud),
        "commerce" => Ok(&field.commerce),
        "member" => Ok(&field.member),
        "settlement" => Ok(&field.settlement),
        "loan" => Ok(&field.loan),
        "letters" => Ok(&field.letters),
        "wallet" => Ok(&field.wallet),
        "webhooks" => Ok(&field.webhooks),
        other => Err(format!("the campaign does not know the table of {other}").into()),
    }
}

/// Rebuilds each aggregate from the event log and compares it with its row.
pub(super) async fn check(field: &Field, log: &[Logged], found: &mut Vec<Finding>) -> Result {
    for domain in domains::ALL {
        let table = table(field, domain.name)?;
        for aggregate in domain.aggregates {
            let envelopes = log.iter().map(|one| &one.envelope);
            for (id, history) in History::collect(*aggregate, envelopes) {
                let stored = field.outbox.store().get(&aggregate.key(table, &id)).await?;
                let witness = aggregate.compare(&history, stored.as_ref());
                if witness.verdict != Verdict::Agrees {
                    let kind = aggregate.aggregate_type();
                    found.push(Finding::of(format!("{kind} {id}: {witness:?}")));
                }
            }
        }
    }
    Ok(())
}
