//! The order in which an audit does its steps.

use super::{
    super::{
        BeforeConsumer, DomainReport, Error, Finding, Options, Progress, Report, Sources,
        evidence::CheckedConsumer,
    },
    audit::{Audit, count, shown},
    domains::{DomainAudit, domains},
};

/// A running audit.
pub(super) struct Run<'a> {
    pub(super) audit: Audit<'a>,
    pub(super) domains: Vec<Box<dyn DomainAudit>>,
}

/// Audits a stack.
pub(in super::super) async fn run(
    sources: &Sources,
    options: &Options,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, Error> {
    let run = Run {
        domains: domains(&sources.tables),
        audit: Audit::new(sources, options, progress),
    };
    run.finish().await
}

impl Run<'_> {
    async fn finish(mut self) -> Result<Report, Error> {
        self.audit.consumers().await?;
        self.log().await?;
        self.audit.missing_events();
        self.audit.stage = "letters";
        let depths = self.audit.depths().await?;
        self.audit.letters().await?;
        self.audit.stage = "evidence";
        self.second_look(&depths).await?;
        let (audit, domains) = (&mut self.audit, &mut self.domains);
        for domain in domains.iter_mut() {
            audit.stage = domain.name();
            domain.check(audit).await?;
        }
        let with_state: Vec<&str> = domains.iter().flat_map(|one| one.states()).collect();
        audit.missing_states(&with_state);
        audit.stage = "states";
        audit.rebuild(domains).await?;
        for domain in domains.iter_mut() {
            audit.stage = domain.name();
            domain.conclude(audit).await?;
        }
        Ok(self.report())
    }

    fn report(self) -> Report {
        let mut audit = self.audit;
        audit.counts.aggregates = count(audit.aggregates.len());
        let known: Vec<String> = audit
            .checked_consumers
            .iter()
            .map(CheckedConsumer::stack_name)
            .collect();
        let lanes = audit.sources.lanes.iter();
        let mut not_audited: Vec<String> = lanes
            .map(|lane| lane.consumer.clone())
            .filter(|name| !known.contains(name))
            .collect();
        not_audited.dedup();
        let mut findings = audit.findings;
        findings.sort_by(|one, other| {
            let order = |one: &Finding| {
                let place = (one.aggregate.clone(), one.sequence, one.event_id.clone());
                (one.kind, place, one.what.clone())
            };
            order(one).cmp(&order(other))
        });
        let before_consumer = audit
            .checked_consumers
            .iter()
            .zip(audit.began.iter().zip(&audit.before_consumer))
            .filter_map(|(consumer, (began, events))| {
                let began_at = (*began).filter(|_| *events > 0)?;
                Some(BeforeConsumer {
                    consumer: consumer.name.to_owned(),
                    began_at,
                    events: *events,
                })
            })
            .collect();
        let domains = self.domains.iter().map(|domain| {
            let report = DomainReport {
                counts: domain.counts().into_iter().collect(),
                figures: domain.figures().into_iter().collect(),
            };
            (domain.name(), report)
        });
        Report {
            clean: findings.is_empty(),
            started_at: audit.started_at,
            finished_at: audit.sources.clock.now(),
            settled: audit.options.settled,
            grace_seconds: audit.options.grace.as_secs(),
            scope: audit
                .scope
                .iter()
                .map(|aggregate| shown(aggregate))
                .collect(),
            counts: audit.counts,
            domains: domains.collect(),
            lanes: audit.lanes,
            letters: audit.letters,
            all_letters_read: audit.all_letters_read,
            findings,
            leftovers: audit.leftovers,
            before_consumer,
            not_deployed: audit.not_deployed,
            not_audited,
        }
    }
}
