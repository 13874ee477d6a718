//! Credits: accounts, stakes, rate cards, treasury accounts, the outstanding total, the backing's alert, and the
//! chain's jobs.

mod accounts;
mod chain;
mod episodes;
mod outstanding;

use async_trait::async_trait;
use cloud::{
    books::{Books, StoredAccount, Wrong, check_account},
    rate_card::RateCard,
};
use events::{
    Contract, Envelope, EventId,
    contracts::{
        alert::TreasuryBackingLow,
        cloud::{Minted, RateCardCreated},
    },
};
use outbox::{Item, Table};
use rust_decimal::Decimal;

use self::{
    chain::{JOBS, Jobs},
    outstanding::Outstanding,
};
use super::{DomainAudit, HandlingStatus};
use crate::audit::{
    AuditTables, Error, Figure, Kind,
    walk::{
        advice,
        audit::{Audit, is_state, kind_of},
        reading::Partitions,
    },
};

/// The unit of the domain's figures.
const UNIT: &str = "CLOUD";

/// The first words of the partitions whose rows are compared with more than the end of their events.
const COMPARED: [&str; 4] = [
    Minted::AGGREGATE,
    JOBS,
    TreasuryBackingLow::AGGREGATE,
    RateCardCreated::AGGREGATE,
];

/// The table `cloud`, and what follows from the log.
pub(super) struct Cloud {
    table: Table,
    books: Books,
    outstanding: Outstanding,
    jobs: Jobs,
    statement_lines: u64,
    stakes: u64,
    /// The sum that all accounts can spend.
    balances: Decimal,
    /// The sum that all accounts have staked.
    staked: Decimal,
    figures: Vec<(&'static str, Figure)>,
}

impl Cloud {
    pub(super) fn new(tables: &AuditTables) -> Option<Self> {
        Some(Self {
            table: tables.of("cloud")?,
            books: Books::default(),
            outstanding: Outstanding::default(),
            jobs: Jobs::default(),
            statement_lines: 0,
            stakes: 0,
            balances: Decimal::ZERO,
            staked: Decimal::ZERO,
            figures: Vec::new(),
        })
    }

    /// All items of one partition.
    async fn partition(
        &mut self,
        audit: &mut Audit<'_>,
        pk: &str,
        items: Vec<Item>,
    ) -> Result<(), Error> {
        if pk == RateCardCreated::AGGREGATE {
            return self.rate_cards(audit, &items).await;
        }
        for item in items.iter().filter(|item| is_state(item)) {
            audit.state(pk, item).await?;
        }
        let Some((kind, id)) = pk.split_once('#') else {
            return Ok(());
        };
        match kind {
            Minted::AGGREGATE => self.account(audit, pk, id, items),
            JOBS => self.jobs.of_member(audit, &self.table, items),
            TreasuryBackingLow::AGGREGATE => {
                episodes::check(audit, &self.table, pk, items).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Checks the rate cards. One partition holds the states of all of them.
    async fn rate_cards(&self, audit: &mut Audit<'_>, items: &[Item]) -> Result<(), Error> {
        for item in items {
            if let Some(card) = audit.typed::<RateCard>(&self.table, item.clone()) {
                let aggregate = format!("{}#{}", RateCardCreated::AGGREGATE, card.number());
                if audit.is_wanted(&aggregate) {
                    audit.state(&aggregate, item).await?;
                }
            }
        }
        Ok(())
    }

    /// Reports accounts that have events and no stored row.
    fn without_rows(&mut self, audit: &mut Audit<'_>) {
        for (account, ledger) in std::mem::take(&mut self.books).rest() {
            let aggregate = format!("{}#{account}", Minted::AGGREGATE);
            if !audit.is_wanted(&aggregate) {
                continue;
            }
            let checked = check_account(&ledger, &StoredAccount::default(), None);
            // The missing statement lines need no finding of their own.
            let gone = checked
                .wrong
                .into_iter()
                .filter(|one| matches!(one, Wrong::NoAccount { .. }));
            for wrong in gone {
                accounts::wrong(audit, &aggregate, &wrong);
            }
            audit.state_was_missed(&aggregate);
        }
    }
}

#[async_trait]
impl DomainAudit for Cloud {
    fn name(&self) -> &'static str {
        "cloud"
    }

    /// Checks that a rate card is proposed once, by its first event.
    fn on_row(&mut self, audit: &mut Audit<'_>, envelope: &Envelope) {
        if envelope.aggregate_type.as_str() != RateCardCreated::AGGREGATE {
            return;
        }
        let is_first = envelope.sequence.number() == 1;
        let is_proposal = envelope.event_type.as_str() == RateCardCreated::TYPE;
        let (kind, what) = match (is_first, is_proposal) {
            (true, false) => (
                Kind::OutOfSequence,
                "it is the first event of a rate card and does not propose it",
            ),
            (false, true) => (
                Kind::Doubled,
                "proposes a rate card that has events already",
            ),
            (true, true) | (false, false) => return,
        };
        audit.of_event(kind, envelope.event_id, what.to_owned(), advice::TWICE);
    }

    fn on_event(&mut self, _: &mut Audit<'_>, envelope: &Envelope) -> Result<(), String> {
        let entered = self.books.enter(envelope);
        entered.map_err(|error| error.to_string())?;
        self.jobs.enter(envelope);
        Ok(())
    }

    fn on_evidence(
        &mut self,
        _: &mut Audit<'_>,
        consumer: &str,
        envelope: &Envelope,
        seen: HandlingStatus,
    ) {
        self.outstanding.enter(consumer, envelope, seen);
    }

    fn on_handled(&mut self, consumer: &str, event_id: EventId) {
        self.outstanding.handled(consumer, event_id);
    }

    async fn check(&mut self, audit: &mut Audit<'_>) -> Result<(), Error> {
        self.outstanding.read(audit, &self.table).await?;
        let places = audit.places(&self.table, |aggregate| {
            let (kind, id) = aggregate.split_once('#').unwrap_or((aggregate, ""));
            let mut partitions = Vec::new();
            if kind == RateCardCreated::AGGREGATE {
                partitions.push(kind.to_owned());
            } else if self.states().contains(&kind) {
                partitions.push(aggregate.to_owned());
            }
            if kind == Minted::AGGREGATE {
                partitions.push(format!("{JOBS}#{id}"));
            }
            partitions
        });
        let mut partitions = Partitions::of(places, &self.table, |pk, item| {
            is_state(item) || COMPARED.contains(&kind_of(pk))
        });
        while let Some((pk, items)) = partitions.next(audit).await? {
            self.partition(audit, &pk, items).await?;
        }
        let (minted, burned, redeemed) =
            (self.books.minted, self.books.burned, self.books.redeemed);
        self.without_rows(audit);
        self.outstanding.recorded = [minted, burned, redeemed];
        Ok(())
    }

    async fn conclude(&mut self, audit: &mut Audit<'_>) -> Result<(), Error> {
        let Some(counted) = self.outstanding.check(audit) else {
            return Ok(());
        };
        let [minted, burned, redeemed] = self.outstanding.recorded;
        let (balances, staked) = (self.balances, self.staked);
        let owed = minted - burned - redeemed;
        let is_sure = audit.counts.moving == 0 && audit.findings.is_empty();
        if is_sure && balances + staked != owed {
            let what = format!(
                "all balances come to {balances}, {staked} are staked; {minted} were minted, {burned} burned and {redeemed} redeemed"
            );
            audit.found(Kind::Books, None, None, what, "stored state", advice::BOOKS);
        }
        self.figures = [
            ("minted", minted),
            ("burned", burned),
            ("redeemed", redeemed),
            ("balances", balances),
            ("staked", staked),
            ("outstanding", counted),
        ]
        .map(|(name, sum)| (name, Figure::new(sum, UNIT)))
        .into();
        Ok(())
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("statement_lines", self.statement_lines),
            ("stakes", self.stakes),
            ("chain_jobs", self.jobs.compared),
        ]
    }

    fn figures(&self) -> Vec<(&'static str, Figure)> {
        self.figures.clone()
    }
}
