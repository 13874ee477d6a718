//! Each run commits one heartbeat. Everything after that is the way of any event.

use async_trait::async_trait;
use consumer::{
    Failure,
    schedule::{self, Next, Paged},
};
use events::{Draft, contracts::system::Heartbeat};
use outbox::{Entity, Numbered, Outbox, Table, Transaction};

/// The job `heartbeat`.
#[derive(Debug)]
pub struct Heartbeats {
    outbox: Outbox,
    table: Table,
}

impl Heartbeats {
    /// Creates the job over the table with the last number.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table) -> Self {
        Self { outbox, table }
    }
}

#[async_trait]
impl schedule::Job for Heartbeats {
    // The job's lease and its pages' marks contain this name: never rename it.
    const NAME: &'static str = topology::functions::heartbeat::FUNCTION.name;
    type Cursor = ();

    async fn page(
        &self,
        _: Option<&()>,
        mut transaction: Transaction,
    ) -> Result<Paged<()>, Failure> {
        let aggregate = format!("heartbeat#{}", Heartbeat::AGGREGATE_ID);
        let last: Entity<Numbered> = self.outbox.load_numbered(&self.table, &aggregate).await?;
        let beat = Heartbeat {
            version: last.next_version()?,
            note: None,
        };
        transaction.update(&last, &Numbered {}, vec![Draft::of(&beat)?])?;
        Ok(Paged::new(transaction, Next::End).count("heartbeats", 1))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use consumer::schedule::Ending;
    use testkit::jobs::JobSite;

    use super::*;

    #[tokio::test]
    async fn every_run_logs_the_next_heartbeat() {
        let site = JobSite::new();
        for number in 1..=3_u64 {
            let job = Heartbeats::new(site.outbox().clone(), Table::domain("heartbeat"));
            let report = site.run(job).await.expect("runs");
            assert_eq!(
                (report.outcome, report.counts["heartbeats"]),
                (Ending::Finished, 1)
            );
            let log = site.store().items(&Table::events("events"));
            assert_eq!(log.len() as u64, number);
            let newest = log.last().expect("a row")["envelope"]
                .as_str()
                .expect("text");
            let newest = events::Registry::read(newest).expect("an envelope");
            assert_eq!(newest.event_type.as_str(), "system.heartbeat");
            assert_eq!(newest.sequence.number(), number);
            let payload: serde_json::Value =
                serde_json::from_str(newest.payload.json()).expect("JSON");
            assert_eq!(payload["version"], number);
        }
    }
}
