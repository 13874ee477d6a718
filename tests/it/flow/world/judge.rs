//! The invariants of a world at the end of a run.

mod aggregates;
mod feed;
mod loan;
mod settlement;
mod wallet;

use std::collections::{BTreeMap, BTreeSet};

use cloud::{
    Account,
    backing::{self, Alert, Backing, Figures},
    books::{Books, RecordedChange},
    rate_card::{Approval, RateCard},
    totals::Reading,
};
use consumer::Handler as _;
use events::{
    Contract, Envelope, MemberId, Subscription,
    contracts::cloud::{RateCardCreated, UNALLOCATED},
};
use mail::MailKey;
use member::Member;
use notifications::handler::{Event, Notifications};
use outbox::{Entity, Mark};
use rust_decimal::Decimal;
use serde_json::Value;
use views::{contacts::Contact, notes};

use super::{
    MEMBERS, World, cloud_table, member_id, member_table, notifications_table, rate,
    redeemed_note_from,
};

impl World {
    /// All violations.
    pub(crate) fn judge(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let log = self.flow.log();
        self.judge_answers(&log, &mut wrong);
        self.judge_aggregates(&log, &mut wrong);
        self.judge_credits(&log, &mut wrong);
        self.judge_rate_cards(&log, &mut wrong);
        self.judge_alert(&log, &mut wrong);
        self.judge_read_models(&log, &mut wrong);
        self.judge_chains(&log, &mut wrong);
        self.judge_ledger(&log, &mut wrong);
        self.judge_wallets(&log, &mut wrong);
        self.judge_settlements(&log, &mut wrong);
        self.judge_loans(&log, &mut wrong);
        self.judge_feed(&log, &mut wrong);
        wrong
    }

    /// All copies of a command got the same response, and the log holds exactly the events that responses and handlers
    /// name.
    fn judge_answers(&self, log: &[Envelope], wrong: &mut Vec<String>) {
        let answers = self.answers.lock().expect("never poisoned");
        let mut event_ids: Vec<String> = Vec::new();
        for (key, answers) in answers.iter() {
            let done: BTreeSet<String> = answers.iter().flatten().map(Value::to_string).collect();
            if done.len() > 1 {
                wrong.push(format!("{key} was answered differently: {done:?}"));
            }
            if let Some(answer) = answers.iter().flatten().next() {
                let ids = answer["event_ids"].as_array().into_iter().flatten();
                event_ids.extend(ids.filter_map(Value::as_str).map(str::to_owned));
            }
        }
        let by_clients = log.iter().filter(|event| event.causation_id.is_none());
        let mut logged: Vec<String> = by_clients.map(|event| event.event_id.to_string()).collect();
        event_ids.sort();
        logged.sort();
        if event_ids != logged {
            wrong.push(format!(
                "the responses name {} events, the log has {} of them",
                event_ids.len(),
                logged.len()
            ));
        }
        let arrivals = log
            .iter()
            .filter(|event| event.event_type.as_str() == "member.registered")
            .count();
        let welcomes = log.iter().filter(|event| {
            event.event_type.as_str() == "cloud.minted" && event.causation_id.is_some()
        });
        if welcomes.count() != arrivals {
            wrong.push(format!(
                "{arrivals} members arrived, but another number was welcomed"
            ));
        }
        // A status, and what was found out with it, may be one fact in events of two types.
        let fact = |event: &Envelope| {
            let key = event.idempotency_key.as_ref()?;
            Some(format!("{} {key}", event.event_type))
        };
        let facts: Vec<String> = log.iter().filter_map(fact).collect();
        if facts.iter().collect::<BTreeSet<_>>().len() != facts.len() {
            wrong.push(format!("a fact is published twice: {facts:?}"));
        }
    }

    fn account(&self, account: &str) -> Account {
        let account: Result<Entity<Account>, _> = self
            .flow
            .look(|site| async move { site.outbox().load(&cloud_table(), account).await });
        account
            .expect("readable")
            .state()
            .copied()
            .unwrap_or_default()
    }

    /// Every minted credit is burned, redeemed, liquid or staked. Every account holds what its events add up to. The
    /// consumer's total is the same.
    fn judge_credits(&self, log: &[Envelope], wrong: &mut Vec<String>) {
        let mut books = Books::default();
        for event in log {
            if let Err(error) = books.enter(event) {
                wrong.push(format!("{}: {error}", event.event_id));
            }
        }
        let outstanding = books.outstanding();
        let mut sum = Decimal::ZERO;
        let accounts = (0..MEMBERS)
            .map(|number| member_id(number).to_string())
            .chain([UNALLOCATED.to_owned()]);
        for id in accounts {
            let ledger = books.take(&id);
            let changes = || ledger.values().flatten();
            let liquid: Decimal = changes().map(RecordedChange::change).sum();
            let staked: Decimal = changes().map(RecordedChange::staked_change).sum();
            let account = self.account(&id);
            let stored = (account.balance().decimal(), account.staked().decimal());
            if stored != (liquid, staked) {
                wrong.push(format!(
                    "{id} holds {stored:?}, its events add up to {liquid} and {staked} staked"
                ));
            }
            sum += stored.0 + stored.1;
        }
        if sum != outstanding {
            wrong.push(format!("accounts hold {sum}, {outstanding} are expected"));
        }
        let reading = self.reading();
        if reading.outstanding != outstanding {
            wrong.push(format!(
                "the total is {}, but {outstanding} are outstanding",
                reading.outstanding
            ));
        }
    }

    /// Rate cards are numbered without gaps, and each was proposed exactly once. No card is approved by its proposer,
    /// neither by the member nor by the owner of the API key.
    fn judge_rate_cards(&self, log: &[Envelope], wrong: &mut Vec<String>) {
        let query = RateCard::newest_first(&cloud_table(), 10_000);
        let cards: Result<(Vec<RateCard>, _), _> = self
            .flow
            .look(|site| async move { site.outbox().rows(&query).await });
        let (cards, _) = cards.expect("readable");
        let numbers = cards.iter().rev().map(|card| card.number().number());
        if !numbers.eq(1..=u64::try_from(cards.len()).expect("few")) {
            wrong.push("rate cards have gaps".to_owned());
        }
        let proposed = |number: &str| {
            log.iter()
                .filter(|event| event.event_type.as_str() == RateCardCreated::TYPE)
                .filter(|event| event.aggregate_id.as_str() == number)
                .map(|event| event.sequence.number())
                .collect::<Vec<_>>()
        };
        for card in &cards {
            let number = card.number().to_string();
            let at = proposed(&number);
            if at != [1] {
                wrong.push(format!(
                    "rate card {number} was proposed by its events {at:?}, not by its first alone"
                ));
            }
            let is_own = |approval: &Approval| {
                approval.approved_by == *card.proposed_by()
                    || approval.approved_by_key_owner.as_ref() == card.proposed_by_key_owner()
            };
            if card.approval().is_some_and(is_own) {
                wrong.push(format!(
                    "rate card {} was approved by its proposer",
                    card.number()
                ));
            }
        }
    }

    fn reading(&self) -> Reading {
        let reading = self
            .flow
            .look(|site| async move { Reading::of(site.outbox(), &cloud_table()).await });
        reading.expect("readable")
    }

    /// An episode is open exactly while the reserve falls short. Each episode was published once.
    fn judge_alert(&self, log: &[Envelope], wrong: &mut Vec<String>) {
        let entity: Result<Entity<Backing>, _> = self
            .flow
            .look(|site| async move { site.outbox().load(&cloud_table(), backing::ID).await });
        let entity = entity.expect("readable");
        let (open, episodes) = entity
            .state()
            .map_or((false, 0), |backing| (backing.open(), backing.episode()));
        let figures = Figures::of(&self.reading(), rate()).expect("statable");
        if open != figures.shortfall.is_some() {
            wrong.push(format!(
                "an episode is open: {open}, but the figures are {figures:?}"
            ));
        }
        let count = log
            .iter()
            .filter(|event| event.event_type.as_str() == "alert.treasury_backing_low")
            .count();
        if u64::try_from(count).ok() != Some(episodes) {
            wrong.push(format!("{episodes} episodes were published {count} times"));
        }
        for episode in 1..=episodes {
            let key = Alert::key(&cloud_table(), episode);
            let alert: Result<Option<Alert>, _> = self
                .flow
                .look(|site| async move { site.outbox().row(&key).await });
            match alert.expect("readable") {
                None => wrong.push(format!("episode {episode} has no row")),
                Some(alert) if alert.closed_at.is_none() != (open && episode == episodes) => {
                    wrong.push(format!(
                        "episode {episode} of {episodes} ended at {:?}, open: {open}",
                        alert.closed_at
                    ));
                }
                Some(_) => {}
            }
        }
    }

    /// Contacts equal their members. Every member has exactly the notes that follow from the log, and got each mail at
    /// least once and no other mail.
    fn judge_read_models(&self, log: &[Envelope], wrong: &mut Vec<String>) {
        for number in 0..MEMBERS {
            let id = member_id(number);
            let entity: Result<Entity<Member>, _> = self.flow.look(|site| {
                let id = id.clone();
                async move { site.outbox().load(&member_table(), id.as_str()).await }
            });
            let entity = entity.expect("readable");
            let key = views::contacts::key(&notifications_table(), &id);
            let contact: Result<Option<Contact>, _> = self
                .flow
                .look(|site| async move { site.outbox().row(&key).await });
            let contact = contact.expect("readable");
            let stated = contact.as_ref().map(|contact| {
                (
                    contact.name.as_str().to_owned(),
                    contact.email.to_string(),
                    contact.version.number(),
                )
            });
            let truth = entity.state().map(|member| {
                (
                    member.name().as_str().to_owned(),
                    member.email().to_string(),
                    entity.version(),
                )
            });
            if stated != truth {
                wrong.push(format!(
                    "contact of {id}: {stated:?}, the member: {truth:?}"
                ));
            }
        }
        let mut notes = Vec::new();
        let mut mails = BTreeSet::new();
        for event in log {
            for (member, template) in notices(event) {
                let identity = match Mark::event(Notifications::NAME, event) {
                    Mark::Event { event, .. } => event,
                    other => unreachable!("{other:?}"),
                };
                if template != "redeemed" {
                    mails.insert(MailKey::of(&identity, &member, template));
                }
                if !["backing_low", "sync_diverged"].contains(&template) {
                    notes.push((member.to_string(), event.event_id.to_string()));
                }
            }
        }
        let mut found = Vec::new();
        for number in 0..MEMBERS {
            let id = member_id(number);
            let page = notes::page(&notifications_table(), &id, 10_000, None);
            let rows: Result<(Vec<notes::Note>, _), _> = self
                .flow
                .look(|site| async move { site.outbox().rows(&page).await });
            let (rows, _) = rows.expect("readable");
            found.extend(
                rows.into_iter()
                    .map(|note| (id.to_string(), note.event_id.to_string())),
            );
        }
        notes.sort();
        found.sort();
        if notes != found {
            wrong.push(format!(
                "{} notes are due, {} exist",
                notes.len(),
                found.len()
            ));
        }
        let sent: BTreeSet<MailKey> = self
            .mails
            .lock()
            .expect("never poisoned")
            .iter()
            .map(|mail| mail.key.clone())
            .collect();
        if sent != mails {
            wrong.push(format!(
                "{} mails are due, {} were sent",
                mails.len(),
                sent.len()
            ));
        }
    }

    /// What a handler emits belongs to the causation chain of the event that it handled.
    fn judge_chains(&self, log: &[Envelope], wrong: &mut Vec<String>) {
        let by_id: BTreeMap<_, _> = log.iter().map(|event| (event.event_id, event)).collect();
        for event in log {
            let Some(cause) = event.causation_id else {
                if event.correlation_id.uuid() != event.event_id.uuid() {
                    wrong.push(format!(
                        "{} begins a chain that is not its own",
                        event.event_id
                    ));
                }
                continue;
            };
            if by_id
                .get(&cause)
                .is_none_or(|cause| cause.correlation_id != event.correlation_id)
            {
                wrong.push(format!("{} left the chain of {cause}", event.event_id));
            }
        }
    }
}

/// The recipients of an event's notices. All members accept every channel; member 0 is the only admin.
fn notices(event: &Envelope) -> Vec<(MemberId, &'static str)> {
    match Event::decode(event) {
        Ok(Event::Minted(minted)) => minted
            .member_id
            .into_iter()
            .map(|id| (id, "added"))
            .collect(),
        Ok(Event::Transferred(moved)) => vec![
            (moved.from_member_id, "sent"),
            (moved.to_member_id, "received"),
        ],
        Ok(Event::Burned(burned)) => burned
            .member_id
            .into_iter()
            .map(|id| (id, "burned"))
            .collect(),
        Ok(Event::Redeemed(redeemed)) => Some(redeemed)
            .filter(|redeemed| redeemed.amount >= redeemed_note_from())
            .into_iter()
            .map(|redeemed| (redeemed.member_id, "redeemed"))
            .collect(),
        Ok(Event::Staked(staked)) => vec![(staked.member_id, "staked")],
        Ok(Event::Unstaked(unstaked)) => vec![(unstaked.member_id, "unstaked")],
        Ok(Event::BackingLow(_)) => vec![(member_id(0), "backing_low")],
        Ok(Event::SyncDiverged(_)) => vec![(member_id(0), "sync_diverged")],
        Ok(Event::EscrowSettled(settled)) => vec![(settled.model_id, "earnings_received")],
        Ok(Event::EscrowPartialSettled(divided)) => Some(divided)
            .filter(|divided| !divided.settle_amount.is_zero())
            .into_iter()
            .map(|divided| (divided.model_id, "earnings_received"))
            .collect(),
        Ok(Event::LoanScheduleGenerated(planned)) => {
            let is_first = planned.revision.number() == 1;
            let template = if is_first {
                "loan_funded"
            } else {
                "loan_plan_changed"
            };
            vec![(planned.borrower_id, template)]
        }
        Ok(Event::LoanPaymentReceived(paid)) => vec![(paid.borrower_id, "loan_payment_received")],
        Ok(Event::LoanDrawApproved(draw)) => vec![(draw.borrower_id, "loan_draw_approved")],
        Ok(Event::LoanPaidOff(paid)) => vec![(paid.borrower_id, "loan_paid_off")],
        // No member here has a subname.
        Ok(Event::RateCardCreated(_) | Event::RateCardApproved(_)) => Vec::new(),
        Ok(Event::Registered(_) | Event::Updated(_)) | Err(_) => Vec::new(),
        // Nobody here buys anything.
        Ok(
            Event::CustomerRegistered(_)
            | Event::CustomerUpdated(_)
            | Event::OrderCreated(_)
            | Event::OrderConfirmed(_)
            | Event::OrderRejected(_)
            | Event::OrderCancelled(_)
            | Event::OrderShipped(_)
            | Event::OrderStuck(_)
            | Event::CreditChanged(_),
        ) => Vec::new(),
    }
}
