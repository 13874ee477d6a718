//! The books: states, statements, totals and episodes against what the events come to.

use std::{collections::BTreeMap, time::Duration};

use cloud::{
    account::{Account, Kind as MovementKind, Movement},
    backing::{Alert, Backing},
    books::{
        AsIf, Stored, Told, Total, Wrong, WrongEpisode, check_account, check_episodes, check_total,
    },
    rate_card::RateCard,
    stake::Position,
    totals,
};
use events::{
    Contract, EventId, Retention, Timestamp,
    contracts::{
        alert::TreasuryBackingLow,
        cloud::{Minted, RateCardCreated, SyncDiverged},
        member::Registered,
        payment, settlement,
        treasury::AccountChanged,
        wallet::{BalanceUpdated, EscrowHeld},
    },
};
use outbox::{Item, Key, Query, SortKey, Table, decode_item};
use rust_decimal::Decimal;
use serde_json::Value;

use super::super::{Error, Figures, Kind};
use super::{
    Audit, PAGE, advice,
    chain::JOBS,
    count,
    reading::{Pages, Partitions, Place},
    same, shown, text,
};

/// What the partitions of the table `cloud` begin with whose rows are compared with anything.
const OF_CLOUD: [&str; 4] = [
    Minted::AGGREGATE,
    JOBS,
    TreasuryBackingLow::AGGREGATE,
    RateCardCreated::AGGREGATE,
];

impl Audit<'_> {
    pub(super) async fn totals(&mut self) -> Result<Option<Vec<Decimal>>, Error> {
        if !self.scope.is_empty() {
            return Ok(None);
        }
        let cloud = self.sources.tables.cloud.clone();
        let keys: Vec<Key> = (0..totals::SHARDS)
            .map(|shard| totals::key(&cloud, shard))
            .collect();
        let items = self.items(&keys).await?;
        let mut rows = Vec::new();
        for (key, item) in keys.iter().zip(items) {
            rows.push(match item {
                Some(item) => totals::row(key, item)?,
                None => Decimal::ZERO,
            });
        }
        Ok(Some(rows))
    }

    pub(super) async fn members(&mut self) -> Result<(), Error> {
        let table = self.sources.tables.member.clone();
        let places = self.places(&table, |aggregate| {
            aggregate
                .starts_with("member#")
                .then(|| aggregate.to_owned())
        });
        let mut pages = Pages::of(places);
        while let Some(items) = pages.next(self).await? {
            for item in &items {
                if text(item, "sk") == Some("state")
                    && let Some(aggregate) = text(item, "pk").map(str::to_owned)
                {
                    self.state(&aggregate, item).await?;
                }
            }
        }
        Ok(())
    }

    /// Compares a state item with the end of its aggregate's log and with what its last event states.
    pub(super) async fn state(&mut self, aggregate: &str, item: &Item) -> Result<(), Error> {
        self.counts.states += 1;
        let Some(last_sequence) = item.get("last_sequence").and_then(Value::as_u64) else {
            self.found(
                Kind::Unreadable,
                Some(aggregate),
                None,
                "its state item has no last_sequence".to_owned(),
                "stored state",
                advice::UNREADABLE,
            );
            return Ok(());
        };
        let known = self.aggregates.get_mut(aggregate).map(|known| {
            known.has_state = true;
            let last_event = known.last.map(|(_, event_id, _)| event_id);
            (known.sequences.last(), last_event)
        });
        let (last, last_event) = known.unwrap_or((0, None));
        if last_sequence < last {
            let what = format!("its state counts {last_sequence} events, the log has {last}");
            match last_event {
                Some(event_id) => {
                    self.about(
                        Kind::OutOfSequence,
                        event_id,
                        None,
                        None,
                        what,
                        advice::BOOKS,
                    );
                }
                None => self.found(
                    Kind::OutOfSequence,
                    Some(aggregate),
                    Some(last),
                    what,
                    "stored state",
                    advice::BOOKS,
                ),
            }
        } else if last_sequence > last {
            self.ahead(item, aggregate, last, last_sequence).await?;
        } else if let Some(event_id) = last_event
            && let Some((_, Some(stated))) = self.stated.get(aggregate)
        {
            let differing: Vec<String> = stated
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(name, value)| item.get(*name).is_some_and(|stored| !same(stored, value)))
                .map(|(name, _)| name.clone())
                .collect();
            if !differing.is_empty() {
                let what = format!(
                    "the stored state has another {} than its last event states",
                    differing.join(", ")
                );
                self.about(Kind::Books, event_id, None, None, what, advice::BOOKS);
            }
        }
        Ok(())
    }

    /// A state that counts more events than the log had when it was read: they were added since, or they are missing.
    pub(super) async fn ahead(
        &mut self,
        item: &Item,
        aggregate: &str,
        last: u64,
        last_sequence: u64,
    ) -> Result<(), Error> {
        let events = self.sources.tables.events.clone();
        let mut reached = last;
        let mut after = None;
        loop {
            let query = Query {
                from: Some(SortKey::Number(last + 1)),
                after,
                ..Query::partition(&events, aggregate, PAGE)
            };
            let begun = self.sources.clock.now();
            let page = self.sources.store.query(&query).await?;
            self.pace(page.items.len(), begun).await;
            for row in &page.items {
                if row.get("sequence").and_then(Value::as_u64) == Some(reached + 1) {
                    reached += 1;
                }
            }
            after = page.next;
            if after.is_none() || reached >= last_sequence {
                break;
            }
        }
        if reached >= last_sequence {
            self.counts.moving += reached - last;
            return Ok(());
        }
        let missing = last_sequence - reached;
        let known = self.aggregates.get(aggregate);
        let kept = known
            .and_then(|known| known.kept)
            .map(|(_, kept)| kept)
            .or_else(|| self.kept(aggregate));
        let touched = text(item, "updated_at").and_then(|moment| moment.parse::<Timestamp>().ok());
        let last = known.and_then(|known| known.last);
        let since = last.map(|(_, _, committed_at)| committed_at).max(touched);
        let may_be_gone =
            kept.is_some_and(|kept| since.is_none_or(|at| self.started_at.since(at) >= kept));
        if may_be_gone {
            self.counts.expired += missing;
            return Ok(());
        }
        let what = format!("its state counts {last_sequence} events, the log ends with {reached}");
        self.found(
            Kind::OutOfSequence,
            Some(aggregate),
            Some(reached + 1),
            what,
            "a change whose event is not in the event log",
            advice::SEQUENCE,
        );
        Ok(())
    }

    /// How long events of an aggregate's type are kept, where not for ever.
    pub(super) fn kept(&self, aggregate: &str) -> Option<Duration> {
        let kind = aggregate.split('#').next()?;
        self.registry
            .contracts()
            .iter()
            .filter(|contract| contract.aggregate_type == kind)
            .filter_map(|contract| match contract.retention {
                Retention::Days(days) => Some(Duration::from_secs(u64::from(days) * 86_400)),
                Retention::Forever => None,
            })
            .min()
    }

    pub(super) async fn cloud(&mut self) -> Result<(), Error> {
        let table = self.sources.tables.cloud.clone();
        let kinds = [
            Minted::AGGREGATE,
            AccountChanged::AGGREGATE,
            TreasuryBackingLow::AGGREGATE,
            SyncDiverged::AGGREGATE,
        ];
        let places = self.places(&table, |aggregate| {
            let (kind, id) = aggregate.split_once('#').unwrap_or((aggregate, ""));
            let mut partitions = Vec::new();
            if kind == RateCardCreated::AGGREGATE {
                partitions.push(kind.to_owned());
            }
            if kinds.contains(&kind) {
                partitions.push(aggregate.to_owned());
            }
            if kind == Minted::AGGREGATE {
                partitions.push(format!("{JOBS}#{id}"));
            }
            partitions
        });
        let mut partitions = Partitions::of(places, &table, |pk, item| {
            let kind = pk.split('#').next().unwrap_or_default();
            text(item, "sk") == Some("state") || OF_CLOUD.contains(&kind)
        });
        while let Some((pk, items)) = partitions.next(self).await? {
            self.partition(&pk, items).await?;
        }
        let books = std::mem::take(&mut self.books);
        self.sums = (books.minted, books.burned, books.redeemed);
        let rest = books.rest();
        for (account, ledger) in rest {
            let aggregate = format!("{}#{account}", Minted::AGGREGATE);
            if self.scope.is_empty() || self.scope.contains(&aggregate) {
                let checked = check_account(&ledger, &Stored::default(), None);
                // That every line is missing too needs no word of its own.
                let gone = checked
                    .wrong
                    .into_iter()
                    .filter(|one| matches!(one, Wrong::NoAccount { .. }));
                for wrong in gone {
                    self.account_wrong(&aggregate, &wrong);
                }
                if let Some(known) = self.aggregates.get_mut(&aggregate) {
                    known.has_state = true;
                }
            }
        }
        Ok(())
    }

    /// All items of one partition of the table `cloud`.
    pub(super) async fn partition(&mut self, pk: &str, items: Vec<Item>) -> Result<(), Error> {
        if pk == RateCardCreated::AGGREGATE {
            return self.rate_cards(&items).await;
        }
        for item in &items {
            if text(item, "sk") == Some("state") {
                self.state(pk, item).await?;
            }
        }
        let Some((kind, id)) = pk.split_once('#') else {
            return Ok(());
        };
        if kind == Minted::AGGREGATE {
            self.account(pk, id, items);
        } else if kind == JOBS {
            self.chain_jobs(items);
        } else if kind == TreasuryBackingLow::AGGREGATE {
            self.episodes(pk, items).await?;
        }
        Ok(())
    }

    /// The rate cards: one partition holds the states of all.
    async fn rate_cards(&mut self, items: &[Item]) -> Result<(), Error> {
        let table = self.sources.tables.cloud.clone();
        for item in items {
            if let Some(card) = self.typed::<RateCard>(&table, item.clone()) {
                let aggregate = format!("{}#{}", RateCardCreated::AGGREGATE, card.number());
                if self.scope.is_empty() || self.scope.contains(&aggregate) {
                    self.state(&aggregate, item).await?;
                }
            }
        }
        Ok(())
    }

    /// A row by its type, or a finding.
    pub(super) fn typed<T: serde::de::DeserializeOwned>(
        &mut self,
        table: &Table,
        item: Item,
    ) -> Option<T> {
        let place = |name| text(&item, name).unwrap_or_default().to_owned();
        let (pk, key) = (place("pk"), table.key(place("pk"), place("sk")));
        match decode_item(&key, item) {
            Ok(row) => Some(row),
            Err(error) => {
                let what = outbox::chain(&error);
                self.found(
                    Kind::Unreadable,
                    Some(&pk),
                    None,
                    what,
                    "a stored item",
                    advice::UNREADABLE,
                );
                None
            }
        }
    }

    pub(super) fn account(&mut self, pk: &str, id: &str, items: Vec<Item>) {
        let table = self.sources.tables.cloud.clone();
        let mut stored = Stored::default();
        let mut readable = true;
        for item in items {
            let sk = text(&item, "sk").unwrap_or_default().to_owned();
            if sk == "state" {
                let version = item.get("version").and_then(Value::as_u64).unwrap_or(0);
                let account = self.typed::<Account>(&table, item);
                readable &= account.is_some();
                stored.account = account.map(|account| (version, account));
            } else if let Some(digits) = sk.strip_prefix("transaction#") {
                let version = digits.parse::<u64>();
                let line = self.typed::<Movement>(&table, item);
                readable &= line.is_some();
                if let (Ok(version), Some(line)) = (version, line) {
                    stored.statement.insert(version, line);
                }
            } else if sk.starts_with("stake#") {
                let position = self.typed::<Position>(&table, item);
                readable &= position.is_some();
                stored.positions.extend(position);
            }
        }
        let mut ledger = self.books.take(id);
        if !self.scope.is_empty() {
            // The other side's events are out of sight: the statement's own word is taken.
            for (version, line) in &stored.statement {
                let giver = line
                    .counterparty
                    .as_ref()
                    .map(|one| format!("{}#{one}", Minted::AGGREGATE));
                if line.kind == MovementKind::TransferredIn
                    && giver.is_some_and(|giver| !self.scope.contains(&giver))
                {
                    ledger
                        .entry(*version)
                        .or_insert_with(|| vec![Told::of_line(line)]);
                }
            }
        }
        self.counts.statement_lines += count(stored.statement.len());
        self.counts.stakes += count(stored.positions.len());
        if let Some((_, account)) = &stored.account {
            self.balances = self.balances.saturating_add(account.balance().decimal());
            self.staked = self.staked.saturating_add(account.staked().decimal());
        }
        if !readable {
            return;
        }
        let checked = check_account(&ledger, &stored, self.moving_since());
        self.counts.moving += checked.moving;
        // What was counted after the log was read may be in the total already.
        for (version, line) in &stored.statement {
            let change = line.kind.outstanding_change(line.amount);
            if !change.is_zero() && !ledger.contains_key(version) {
                let number = usize::from(totals::shard_of(line.event_id));
                if let Some(shard) = self.shards.get_mut(number) {
                    shard.uncertain.push((line.event_id, change));
                }
            }
        }
        for wrong in checked.wrong {
            self.account_wrong(pk, &wrong);
        }
        if stored.account.is_none()
            && let Some(known) = self.aggregates.get_mut(pk)
        {
            // Said already.
            known.has_state = true;
        }
    }

    pub(super) fn account_wrong(&mut self, aggregate: &str, wrong: &Wrong) {
        let account = shown(aggregate);
        let books = |audit: &mut Self, event_id, what| {
            audit.about(Kind::Books, event_id, None, None, what, advice::BOOKS);
        };
        match *wrong {
            Wrong::VersionTwice { version, event_id } => {
                let what = format!("another event states version {version} of {account} too");
                self.about(Kind::Doubled, event_id, None, None, what, advice::TWICE);
            }
            Wrong::VersionUntold { version } => self.found(
                Kind::Books,
                Some(aggregate),
                None,
                format!("no event and no line of the statement tells of version {version}"),
                "stored state",
                advice::BOOKS,
            ),
            Wrong::LineWithoutEvent { version, event_id } => {
                let what = format!(
                    "the statement of {account} has it as version {version}, the event log does not have it"
                );
                self.about(
                    Kind::OutOfSequence,
                    event_id,
                    None,
                    None,
                    what,
                    advice::SEQUENCE,
                );
            }
            Wrong::EventWithoutLine { version, event_id } => {
                books(
                    self,
                    event_id,
                    format!("the statement of {account} has no line for version {version}"),
                );
            }
            Wrong::OtherLine { version, event_id } => {
                books(
                    self,
                    event_id,
                    format!("line {version} in the statement of {account} says something else"),
                );
            }
            Wrong::Step {
                version,
                event_id,
                expected,
                stated,
            } => books(
                self,
                event_id,
                format!(
                    "states {stated} as the balance of {account} at version {version}; {expected} follows from the event before"
                ),
            ),
            Wrong::StakedStep {
                version,
                event_id,
                expected,
                stated,
            } => books(
                self,
                event_id,
                format!(
                    "states {stated} as staked of {account} at version {version}; {expected} follows from the event before"
                ),
            ),
            Wrong::Staked {
                event_id,
                expected,
                stored,
            } => books(
                self,
                event_id,
                format!(
                    "{stored} are stored as staked of {account}; its events come to {expected}"
                ),
            ),
            Wrong::Positions {
                event_id,
                active,
                stored,
            } => books(
                self,
                event_id,
                format!(
                    "the active stakes of {account} come to {active}; {stored} are stored as staked"
                ),
            ),
            Wrong::Balance {
                event_id,
                expected,
                stored,
                as_if,
            } => match as_if {
                AsIf::Twice(twice) => {
                    let what = format!(
                        "the balance of {account} is {stored} instead of {expected}, as if this event had taken effect twice"
                    );
                    self.about(Kind::Doubled, twice, None, None, what, advice::DOUBLED);
                }
                AsIf::Never(never) => {
                    books(
                        self,
                        never,
                        format!(
                            "the balance of {account} is {stored} instead of {expected}, as if this event had taken no effect"
                        ),
                    );
                }
                AsIf::Unknown => {
                    books(
                        self,
                        event_id,
                        format!(
                            "the balance of {account} is {stored}; its events come to {expected}"
                        ),
                    );
                }
            },
            Wrong::Behind {
                event_id,
                told,
                stored,
            } => {
                books(
                    self,
                    event_id,
                    format!("{account} is stored with version {stored}; its events come to {told}"),
                );
            }
            Wrong::NoAccount { event_id } => {
                books(
                    self,
                    event_id,
                    format!("there is no {account}, though events tell of it"),
                );
            }
        }
    }

    pub(super) async fn episodes(&mut self, pk: &str, items: Vec<Item>) -> Result<(), Error> {
        let mut wrong = self.episodes_of(items);
        if !wrong.is_empty() {
            // An episode may have begun or ended between two pages: what is still so on another look is wrong.
            let table = self.sources.tables.cloud.clone();
            let place = Place::Partition(table, pk.to_owned());
            let items = place.pages().all(self).await?;
            let again = self.episodes_of(items);
            wrong.retain(|one| again.contains(one));
        }
        for one in wrong {
            let what = match one {
                WrongEpisode::NeverBegan { episode } => {
                    format!("there is a row of episode {episode}, which never began")
                }
                WrongEpisode::StillOpen { episode } => {
                    format!("the row of episode {episode} is open, the alert is not open with it")
                }
                WrongEpisode::ClosedTooSoon { episode } => {
                    format!("the row of episode {episode} is closed, the alert is open with it")
                }
            };
            self.found(
                Kind::Books,
                Some(pk),
                None,
                what,
                "stored state",
                advice::BOOKS,
            );
        }
        Ok(())
    }

    pub(super) fn episodes_of(&mut self, items: Vec<Item>) -> Vec<WrongEpisode> {
        let table = self.sources.tables.cloud.clone();
        let mut backing = None;
        let mut alerts = BTreeMap::new();
        for item in items {
            let sk = text(&item, "sk").unwrap_or_default().to_owned();
            if sk == "state" {
                backing = self.typed::<Backing>(&table, item);
            } else if let Some(Ok(episode)) = sk.strip_prefix("episode#").map(str::parse::<u64>) {
                alerts.extend(
                    self.typed::<Alert>(&table, item)
                        .map(|alert| (episode, alert)),
                );
            }
        }
        check_episodes(backing.as_ref(), &alerts)
    }

    /// Aggregates that have events and no state.
    pub(super) fn missing_states(&mut self) {
        let kinds = [
            Registered::AGGREGATE,
            AccountChanged::AGGREGATE,
            TreasuryBackingLow::AGGREGATE,
            Minted::AGGREGATE,
            RateCardCreated::AGGREGATE,
            SyncDiverged::AGGREGATE,
            BalanceUpdated::AGGREGATE,
            EscrowHeld::AGGREGATE,
            payment::Created::AGGREGATE,
            settlement::Created::AGGREGATE,
        ];
        let gone: Vec<EventId> = self
            .aggregates
            .iter()
            .filter(|(name, known)| {
                !known.has_state
                    && name
                        .split('#')
                        .next()
                        .is_some_and(|kind| kinds.contains(&kind))
            })
            .filter_map(|(_, known)| known.last)
            .map(|(_, event_id, _)| event_id)
            .collect();
        for event_id in gone {
            let what =
                "there is no state of what it is about, though it was committed together with it"
                    .to_owned();
            self.about(Kind::Books, event_id, None, None, what, advice::BOOKS);
        }
    }

    pub(super) fn check_totals(&mut self, totals: Option<Vec<Decimal>>) -> Option<Figures> {
        let totals = totals?;
        let name = <cloud_treasury::handler::Treasury as consumer::Handler>::NAME;
        let mut shards = std::mem::take(&mut self.shards);
        for shard in &mut shards {
            // Ids ascend with time: of several that explain a difference, the latest is named.
            shard.counted.sort_by_key(|(event_id, _)| *event_id);
        }
        for (number, (shard, stored)) in shards.iter().zip(&totals).enumerate() {
            match check_total(&shard.counted, &shard.uncertain, *stored) {
                Total::Agrees => {}
                // Of a settled stack, what is uncertain is a finding already.
                Total::AgreesWithUncertain if self.options.settled => {}
                Total::AgreesWithUncertain | Total::Unknown => self.counts.moving += 1,
                Total::Wrong { expected, as_if } => {
                    let row = format!(
                        "row {number} of the outstanding total is {stored} instead of {expected}"
                    );
                    match as_if {
                        AsIf::Twice(event_id) => self.about(
                            Kind::Doubled,
                            event_id,
                            Some(name),
                            Some(format!("handled by {name}")),
                            format!("{row}, as if this event had been counted twice"),
                            advice::DOUBLED,
                        ),
                        AsIf::Never(event_id) => self.about(
                            Kind::Lost,
                            event_id,
                            Some(name),
                            Some(format!("marked as handled by {name}")),
                            format!("{row}, as if this event had not been counted"),
                            advice::BOOKS,
                        ),
                        AsIf::Unknown => self.found(
                            Kind::Books,
                            None,
                            None,
                            row,
                            "counted by cloud-treasury",
                            advice::BOOKS,
                        ),
                    }
                }
            }
        }
        let (minted, burned, redeemed) = self.sums;
        let held = self.balances + self.staked;
        if self.counts.moving == 0 && self.findings.is_empty() && held != minted - burned - redeemed
        {
            let what = format!(
                "all balances come to {}, {} are staked; {minted} were minted, {burned} burned and {redeemed} redeemed",
                self.balances, self.staked
            );
            self.found(Kind::Books, None, None, what, "stored state", advice::BOOKS);
        }
        let outstanding: Decimal = totals.iter().sum();
        Some(Figures {
            minted: minted.normalize().to_string(),
            burned: burned.normalize().to_string(),
            redeemed: redeemed.normalize().to_string(),
            staked: self.staked.normalize().to_string(),
            balances: self.balances.normalize().to_string(),
            outstanding: outstanding.normalize().to_string(),
        })
    }
}
