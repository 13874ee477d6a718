//! Commands on the shipped domains, the consumers that follow them, and what must be true of them in the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use analytics::handler::Analytics;
use async_trait::async_trait;
use cloud::{
    Account, Rate,
    account::{
        self, Burn, ChargeId, Holder, Mint, MintedCharge, Moment, Parties, Position, Transfer,
    },
    backing::{self, Alert, Backing, Figures},
    totals::Reading,
    treasury::{self, Stated, TreasuryAccount},
};
use cloud_treasury::handler::Treasury;
use consumer::{Failure, Handler, Received};
use events::{
    AccountId, Cause, Credits, Envelope, MemberId, Subscription, Text, Usd,
    contracts::{self, cloud::UNALLOCATED},
};
use member::{Member, Patched};
use notifications::{
    handler::{Event as Told, Notifications},
    mail::{Mail, MailKey, Mailer},
    texts::Writer,
};
use outbox::{Answer, Decision, Entity, Fault, Mark, Outbox, Outcome, Table, Transaction};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use testkit::flow::{BoxError, Builder, Faults, Flow, Site};
use views::{contacts::Contact, notes};

pub(crate) const MEMBERS: u8 = 4;

pub(crate) fn cloud_table() -> Table {
    Table::domain("cloud")
}

pub(crate) fn member_table() -> Table {
    Table::domain("member")
}

pub(crate) fn notifications_table() -> Table {
    Table::domain("notifications")
}

pub(crate) fn analytics_table() -> Table {
    Table::domain("analytics")
}

pub(crate) fn rate() -> Rate {
    "10".parse().expect("a rate")
}

pub(crate) fn member_id(number: u8) -> MemberId {
    MemberId::new(format!("member-{number}")).expect("an id")
}

fn whole(amount: u16) -> Credits {
    Credits::new(amount.into()).expect("an amount")
}

/// What a client asks for.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    Register {
        member: u8,
    },
    Rename {
        member: u8,
        name: u8,
    },
    Mint {
        member: Option<u8>,
        amount: u16,
        charge: Option<u8>,
    },
    Transfer {
        from: u8,
        to: u8,
        amount: u16,
    },
    Burn {
        member: Option<u8>,
        amount: u16,
    },
    Reserve {
        dollars: u16,
    },
}

/// A command and how often clients send it with the same key.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    command: Command,
    copies: u8,
}

pub(crate) fn orders(
    count: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = Vec<Order>> {
    let member = || 0..MEMBERS;
    let holder = || prop_oneof![4 => member().prop_map(Some), 1 => Just(None)];
    let command = prop_oneof![
        2 => member().prop_map(|member| Command::Register { member }),
        2 => (member(), 0..4_u8).prop_map(|(member, name)| Command::Rename { member, name }),
        5 => (holder(), 1..100_u16, prop::option::weighted(0.4, 0..6_u8))
            .prop_map(|(member, amount, charge)| Command::Mint { member, amount, charge }),
        4 => (member(), member(), 1..60_u16).prop_map(|(from, to, amount)| Command::Transfer { from, to, amount }),
        3 => (holder(), 1..80_u16).prop_map(|(member, amount)| Command::Burn { member, amount }),
        2 => (0..3_000_u16).prop_map(|dollars| Command::Reserve { dollars }),
    ];
    let order = (
        command,
        prop_oneof![2 => Just(1_u8), 1 => Just(2), 1 => Just(3)],
    )
        .prop_map(|(command, copies)| Order { command, copies });
    prop::collection::vec(order, count)
}

pub(crate) fn weather() -> impl Strategy<Value = Faults> {
    let rare = || prop_oneof![1 => Just(0.0), 2 => 0.0..0.15_f64];
    // Per step or per call: more than this and hardly anything ever comes to its end.
    let very_rare = || prop_oneof![1 => Just(0.0), 2 => 0.0..0.02_f64];
    (
        rare(),
        0.0..=1.0_f64,
        rare(),
        very_rare(),
        rare(),
        rare(),
        0.0..0.4_f64,
        very_rare(),
    )
        .prop_map(
            |(
                duplicates,
                reordering,
                lost_answers,
                crashes,
                throttles,
                conflicts,
                partial_publish,
                stalls,
            )| Faults {
                duplicates,
                reordering,
                lost_answers,
                crashes,
                throttles,
                conflicts,
                partial_publish,
                stalls,
            },
        )
}

/// Why a client repeats a call: nothing was answered.
type Answered = Result<Option<Value>, BoxError>;

/// One decision behind a request's mark; `Some`: the first answer of what was done, `None`: refused.
async fn request<F, Fut>(outbox: &Outbox, key: &str, decide: F) -> Answered
where
    F: Fn(Transaction) -> Fut,
    Fut: Future<Output = Result<Decision<Value, ()>, outbox::Error>>,
{
    let mark = Mark::Request {
        owner: "client".into(),
        method: "POST".into(),
        path: "/orders".into(),
        key: key.into(),
        body_sha256: Mark::body_sha256(b"order"),
    };
    match outbox.execute(&mark, &Cause::default(), decide).await? {
        Outcome::Committed { value, .. } => Ok(Some(value)),
        Outcome::AlreadyDone(done) => {
            Ok(Some(done.answer.ok_or("a mark without its answer")?.body))
        }
        Outcome::Refused(()) => Ok(None),
        Outcome::Contention => Err("contention".into()),
    }
}

fn committed(mut transaction: Transaction) -> Decision<Value, ()> {
    let ids: Vec<String> = transaction
        .events()
        .iter()
        .map(|event| event.event_id.to_string())
        .collect();
    let body = json!({ "event_ids": ids });
    transaction.answer(Answer {
        status: 201,
        body: body.clone(),
    });
    Decision::Commit(transaction, body)
}

fn build<E: Into<outbox::BuildError>>(error: E) -> outbox::Error {
    error.into().into()
}

async fn holder(outbox: &Outbox, member: u8) -> Result<Option<Holder>, outbox::Error> {
    let entity: Entity<Member> = outbox
        .load(&member_table(), member_id(member).as_str())
        .await?;
    Ok(entity.state().map(|member| Holder {
        member_id: member.member_id.clone(),
        name: member.name.clone(),
    }))
}

/// Whose account it is; `None`: the member does not exist.
async fn account_holder(
    outbox: &Outbox,
    member: Option<u8>,
) -> Result<Option<Option<Holder>>, outbox::Error> {
    match member {
        Some(number) => Ok(holder(outbox, number).await?.map(Some)),
        None => Ok(Some(None)),
    }
}

async fn perform(outbox: &Outbox, key: &str, command: &Command) -> Answered {
    request(outbox, key, |transaction| {
        decide(outbox, command, transaction)
    })
    .await
}

async fn decide(
    outbox: &Outbox,
    command: &Command,
    mut transaction: Transaction,
) -> Result<Decision<Value, ()>, outbox::Error> {
    let (cloud, members) = (cloud_table(), member_table());
    let moment = Moment::of(&transaction, rate());
    match *command {
        Command::Register { member } => {
            let id = member_id(member);
            let entity: Entity<Member> = outbox.load(&members, id.as_str()).await?;
            let registration = json!({
                "name": format!("Member {member}"),
                "email": format!("member-{member}@example.org"),
                "role": if member == 0 { "admin" } else { "member" },
            });
            let registration = serde_json::from_value(registration).expect("a registration");
            let version = entity.next_version().map_err(build)?;
            match member::register(entity.state(), id, registration, version, transaction.now()) {
                Ok(registering) => {
                    registering.save(&mut transaction, &entity)?;
                }
                Err(_) => return Ok(Decision::Refuse(())),
            }
        }
        Command::Rename { member, name } => {
            let entity: Entity<Member> = outbox.load(&members, member_id(member).as_str()).await?;
            let Some(state) = entity.state() else {
                return Ok(Decision::Refuse(()));
            };
            let patch =
                serde_json::from_value(json!({ "name": format!("Name {name}") })).expect("a patch");
            let version = entity.next_version().map_err(build)?;
            match member::patch(state, patch, version, transaction.now()) {
                Patched::Changed(change) => {
                    change.save(&mut transaction, &entity)?;
                }
                Patched::Same => {}
            }
        }
        Command::Mint {
            member,
            amount,
            charge,
        } => {
            let Some(holder) = account_holder(outbox, member).await? else {
                return Ok(Decision::Refuse(()));
            };
            let charge =
                charge.map(|number| ChargeId::new(format!("ch_{number}")).expect("a charge"));
            let before: Option<MintedCharge> = match &charge {
                Some(charge) => outbox.row(&charge.fact_key(&cloud).expect("a key")).await?,
                None => None,
            };
            let id = holder.as_ref().map(|holder| holder.member_id.clone());
            let entity: Entity<Account> = outbox
                .load(&cloud, account::account_id(id.as_ref()))
                .await?;
            let mint = Mint {
                holder,
                amount: whole(amount),
                stripe_charge_id: charge,
                stripe_payment_intent_id: None,
                description: None,
            };
            match account::mint(
                Position::of(&entity).map_err(build)?,
                before.as_ref(),
                mint,
                &moment,
            ) {
                Ok(minting) => {
                    minting.save(&mut transaction, &cloud, &entity)?;
                }
                Err(_) => return Ok(Decision::Refuse(())),
            }
        }
        Command::Transfer { from, to, amount } => {
            let Ok(parties) = Parties::new(member_id(from), member_id(to)) else {
                return Ok(Decision::Refuse(()));
            };
            let (Some(giver), Some(taker)) =
                (holder(outbox, from).await?, holder(outbox, to).await?)
            else {
                return Ok(Decision::Refuse(()));
            };
            let (one, two): (Entity<Account>, Entity<Account>) = outbox
                .load_pair(&cloud, giver.member_id.as_str(), taker.member_id.as_str())
                .await?;
            let transfer = Transfer {
                parties,
                from_name: giver.name,
                to_name: taker.name,
                amount: whole(amount),
                description: None,
            };
            let (first, second) = (
                Position::of(&one).map_err(build)?,
                Position::of(&two).map_err(build)?,
            );
            match account::transfer(first, second, transfer, &moment) {
                Ok(transferring) => {
                    transferring.save(&mut transaction, &cloud, &one, &two)?;
                }
                Err(_) => return Ok(Decision::Refuse(())),
            }
        }
        Command::Burn { member, amount } => {
            let Some(holder) = account_holder(outbox, member).await? else {
                return Ok(Decision::Refuse(()));
            };
            let id = holder.as_ref().map(|holder| holder.member_id.clone());
            let entity: Entity<Account> = outbox
                .load(&cloud, account::account_id(id.as_ref()))
                .await?;
            let reason = Text::new("spent").expect("a reason");
            let burn = Burn {
                holder,
                amount: whole(amount),
                reason,
                description: None,
            };
            match account::burn(Position::of(&entity).map_err(build)?, burn, &moment) {
                Ok(burning) => {
                    burning.save(&mut transaction, &cloud, &entity)?;
                }
                Err(_) => return Ok(Decision::Refuse(())),
            }
        }
        Command::Reserve { dollars } => {
            let entity: Entity<TreasuryAccount> = outbox.load(&cloud, treasury::RESERVE).await?;
            let id = AccountId::new(treasury::RESERVE).expect("an id");
            let balance = Usd::new(dollars.into()).expect("dollars");
            let version = entity.next_version().map_err(build)?;
            match treasury::state_balance(entity.state(), id, balance, version) {
                Stated::Changed(change) => {
                    change.save(&mut transaction, &entity)?;
                }
                Stated::Same => {}
            }
        }
    }
    Ok(committed(transaction))
}

events::subscription! {
    /// A consumer that emits by the transaction of its mark.
    enum Arrival {
        Registered(contracts::member::Registered) by Mark,
    }
}

/// Gives every new member 5 credits.
struct Welcome {
    outbox: Outbox,
}

const WELCOME: u16 = 5;

#[async_trait]
impl Handler for Welcome {
    const NAME: &'static str = "welcome";
    type Event = Arrival;

    async fn decide(
        &self,
        received: &Received<Arrival>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        let Arrival::Registered(member) = &received.event;
        let account: Entity<Account> = self
            .outbox
            .load(&cloud_table(), member.member_id.as_str())
            .await?;
        let mint = Mint {
            holder: Some(Holder {
                member_id: member.member_id.clone(),
                name: member.name.clone(),
            }),
            amount: whole(WELCOME),
            stripe_charge_id: None,
            stripe_payment_intent_id: None,
            description: None,
        };
        let moment = Moment::of(&transaction, rate());
        account::mint(Position::of(&account)?, None, mint, &moment)
            .map_err(Failure::park)?
            .save(&mut transaction, &cloud_table(), &account)?;
        Ok(transaction)
    }
}

/// A mail service one can wait for, be throttled by, and lose the answer of.
struct FlowMailer {
    site: Site,
    sent: Arc<Mutex<Vec<Mail>>>,
}

#[async_trait]
impl Mailer for FlowMailer {
    async fn send(&self, mail: &Mail) -> Result<String, Fault> {
        self.site
            .call("ses SendEmail", || {
                let mut sent = self.sent.lock().expect("never poisoned");
                sent.push(mail.clone());
                format!("mail-{}", sent.len())
            })
            .await
    }
}

/// What clients were told, by key: once per copy that was answered.
type Answers = Arc<Mutex<BTreeMap<String, Vec<Option<Value>>>>>;

/// A flow with the shipped consumers and one that emits.
pub(crate) struct World {
    pub(crate) flow: Flow,
    mails: Arc<Mutex<Vec<Mail>>>,
    answers: Answers,
    keys: usize,
}

pub(crate) const CONSUMERS: [&str; 4] = [
    Treasury::NAME,
    Notifications::NAME,
    Analytics::NAME,
    Welcome::NAME,
];

impl World {
    pub(crate) fn new(seed: u64, faults: Faults, arrange: impl FnOnce(Builder) -> Builder) -> Self {
        let mails = Arc::new(Mutex::new(Vec::new()));
        let sent = Arc::clone(&mails);
        let builder = Flow::builder(seed)
            .faults(faults)
            .consumer(|site| Treasury::new(site.outbox().clone(), cloud_table(), rate()))
            .consumer(move |site| {
                let mailer = FlowMailer {
                    site: site.clone(),
                    sent: Arc::clone(&sent),
                };
                let writer = Writer {
                    app_url: "https://example.org".into(),
                    usd_rate: rate().dollars(),
                };
                let (outbox, sending) = (site.outbox().clone(), Duration::from_secs(2));
                Notifications::new(
                    outbox,
                    Arc::new(mailer),
                    notifications_table(),
                    writer,
                    sending,
                )
            })
            .consumer(|_| Analytics::new(analytics_table()))
            .consumer(|site| Welcome {
                outbox: site.outbox().clone(),
            });
        let flow = arrange(builder).build().expect("a runtime");
        Self {
            flow,
            mails,
            answers: Answers::default(),
            keys: 0,
        }
    }

    pub(crate) fn hand_in(&mut self, orders: &[Order]) {
        for order in orders {
            let key = format!("order-{}", self.keys);
            self.keys += 1;
            for _ in 0..order.copies {
                let (key, command, answers) = (
                    key.clone(),
                    order.command.clone(),
                    Arc::clone(&self.answers),
                );
                self.flow.submit(move |site| {
                    let (key, command, answers) =
                        (key.clone(), command.clone(), Arc::clone(&answers));
                    async move {
                        let answer = perform(site.outbox(), &key, &command).await?;
                        answers
                            .lock()
                            .expect("never poisoned")
                            .entry(key)
                            .or_default()
                            .push(answer);
                        Ok(())
                    }
                });
            }
        }
    }

    /// Without an admin nobody hears of an alert, without its contact no member of a movement.
    pub(crate) fn register_everybody(&mut self) {
        let register = |member| Order {
            command: Command::Register { member },
            copies: 1,
        };
        self.hand_in(&(0..MEMBERS).map(register).collect::<Vec<_>>());
    }

    /// Makes calls one after the other while nothing else of the pipeline moves; nothing goes wrong with them.
    pub(crate) fn commit_unseen(&mut self, orders: &[Order]) {
        for order in orders {
            let key = format!("order-{}", self.keys);
            self.keys += 1;
            let (command, site_key) = (order.command.clone(), key.clone());
            let answer = self
                .flow
                .look(|site| async move { perform(site.outbox(), &site_key, &command).await });
            let answer = answer.expect("answered");
            self.answers
                .lock()
                .expect("never poisoned")
                .entry(key)
                .or_default()
                .push(answer);
        }
    }

    /// Everything to its end; then what was parked on a bad day is sent back on a good one.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        self.flow.drain().map_err(|error| error.to_string())?;
        self.flow.audit().map_err(|error| error.to_string())?;
        self.flow.set_faults(Faults::NONE);
        self.register_everybody();
        self.flow.drain().map_err(|error| error.to_string())?;
        for consumer in CONSUMERS {
            self.flow.redrive(consumer);
        }
        self.flow.drain().map_err(|error| error.to_string())?;
        for consumer in CONSUMERS {
            if let Some(letter) = self.flow.letters(consumer).first() {
                return Err(format!(
                    "{consumer} still has a letter on a good day: {letter:?}"
                ));
            }
        }
        self.flow.audit().map_err(|error| error.to_string())
    }

    /// What became of every event at every consumer, as far as could be told.
    pub(crate) fn outcomes(&self) -> Vec<consumer::Outcome> {
        let log = self.flow.log();
        let places = log
            .iter()
            .flat_map(|event| CONSUMERS.map(|consumer| (consumer, event.event_id.to_string())));
        places
            .flat_map(|(consumer, id)| self.flow.outcomes(consumer, &id))
            .collect()
    }

    /// Everything that is not as it must be.
    pub(crate) fn judge(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let log = self.flow.log();
        self.judge_answers(&log, &mut wrong);
        self.judge_credits(&log, &mut wrong);
        self.judge_alert(&log, &mut wrong);
        self.judge_read_models(&log, &mut wrong);
        self.judge_chains(&log, &mut wrong);
        wrong
    }

    /// All copies of a command got one answer, and the log holds exactly the events that answers and handlers tell of.
    fn judge_answers(&self, log: &[Envelope], wrong: &mut Vec<String>) {
        let answers = self.answers.lock().expect("never poisoned");
        let mut told: Vec<String> = Vec::new();
        for (key, answers) in answers.iter() {
            let done: BTreeSet<String> = answers.iter().flatten().map(Value::to_string).collect();
            if done.len() > 1 {
                wrong.push(format!("{key} was answered differently: {done:?}"));
            }
            if let Some(answer) = answers.iter().flatten().next() {
                let ids = answer["event_ids"].as_array().into_iter().flatten();
                told.extend(ids.filter_map(Value::as_str).map(str::to_owned));
            }
        }
        let by_clients = log.iter().filter(|event| event.causation_id.is_none());
        let mut logged: Vec<String> = by_clients.map(|event| event.event_id.to_string()).collect();
        told.sort();
        logged.sort();
        if told != logged {
            wrong.push(format!(
                "clients were told of {} events, the log has {} of them",
                told.len(),
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
                "{arrivals} members arrived, but as many were not welcomed"
            ));
        }
        let facts: Vec<String> = log
            .iter()
            .filter_map(|event| event.idempotency_key.as_ref())
            .map(ToString::to_string)
            .collect();
        if facts.iter().collect::<BTreeSet<_>>().len() != facts.len() {
            wrong.push(format!("a fact is told twice: {facts:?}"));
        }
    }

    fn balance(&self, account: &str) -> Decimal {
        let account: Result<Entity<Account>, _> = self
            .flow
            .look(|site| async move { site.outbox().load(&cloud_table(), account).await });
        let account = account.expect("readable");
        account
            .state()
            .map_or(Decimal::ZERO, |account| account.balance.decimal())
    }

    /// The credits of all accounts are what was minted less what was burned, and so the consumer's total says; every
    /// account holds what its history adds up to.
    fn judge_credits(&self, log: &[Envelope], wrong: &mut Vec<String>) {
        let mut minted = Decimal::ZERO;
        let mut expected: BTreeMap<String, Decimal> = BTreeMap::new();
        for event in log {
            match Movement::of(event) {
                Some(Movement::Minted(minting)) => {
                    minted += minting.amount.decimal();
                    let account = account::account_id(minting.member_id.as_ref()).to_owned();
                    *expected.entry(account).or_default() += minting.amount.decimal();
                }
                Some(Movement::Burned(burning)) => {
                    minted -= burning.amount.decimal();
                    let account = account::account_id(burning.member_id.as_ref()).to_owned();
                    *expected.entry(account).or_default() -= burning.amount.decimal();
                }
                Some(Movement::Transferred(moved)) => {
                    *expected
                        .entry(moved.from_member_id.to_string())
                        .or_default() -= moved.amount.decimal();
                    *expected.entry(moved.to_member_id.to_string()).or_default() +=
                        moved.amount.decimal();
                }
                None => {}
            }
        }
        let mut sum = Decimal::ZERO;
        let accounts = (0..MEMBERS)
            .map(|number| member_id(number).to_string())
            .chain([UNALLOCATED.to_owned()]);
        for account in accounts {
            let balance = self.balance(&account);
            let told = expected.get(&account).copied().unwrap_or_default();
            if balance != told {
                wrong.push(format!(
                    "{account} holds {balance}, its events add up to {told}"
                ));
            }
            sum += balance;
        }
        if sum != minted {
            wrong.push(format!(
                "accounts hold {sum}, {minted} were minted and not burned"
            ));
        }
        let reading = self.reading();
        if reading.outstanding != minted {
            wrong.push(format!(
                "the total says {}, {minted} are outstanding",
                reading.outstanding
            ));
        }
    }

    fn reading(&self) -> Reading {
        let reading = self
            .flow
            .look(|site| async move { Reading::of(site.outbox(), &cloud_table()).await });
        reading.expect("readable")
    }

    /// An episode is open exactly while the reserve falls short, it was told once, and so was each before it.
    fn judge_alert(&self, log: &[Envelope], wrong: &mut Vec<String>) {
        let entity: Result<Entity<Backing>, _> = self
            .flow
            .look(|site| async move { site.outbox().load(&cloud_table(), backing::ID).await });
        let entity = entity.expect("readable");
        let (open, episodes) = entity
            .state()
            .map_or((false, 0), |backing| (backing.open, backing.episode));
        let figures = Figures::of(&self.reading(), rate()).expect("statable");
        if open != figures.shortfall.is_some() {
            wrong.push(format!(
                "an episode is open: {open}, but the figures are {figures:?}"
            ));
        }
        let told = log
            .iter()
            .filter(|event| event.event_type.as_str() == "alert.treasury_backing_low")
            .count();
        if u64::try_from(told).ok() != Some(episodes) {
            wrong.push(format!("{episodes} episodes were told {told} times"));
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

    /// Contacts are as their members are; every member has exactly the notes that the log speaks of, and was mailed each
    /// at least once and nothing else.
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
                    member.name.as_str().to_owned(),
                    member.email.to_string(),
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
            for (member, template) in tidings(event) {
                let identity = match Mark::event(Notifications::NAME, event) {
                    Mark::Event { event, .. } => event,
                    other => unreachable!("{other:?}"),
                };
                mails.insert(MailKey::of(&identity, &member, template));
                if template != "backing_low" {
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
                "{} notes are due, {} are there",
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

    /// What a handler emits belongs to the chain of the event it handled.
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

enum Movement {
    Minted(contracts::cloud::Minted),
    Burned(contracts::cloud::Burned),
    Transferred(contracts::cloud::Transferred),
}

impl Movement {
    fn of(event: &Envelope) -> Option<Self> {
        let payload = event.payload.json();
        let read = "a payload that the registry let in";
        match event.event_type.as_str() {
            "cloud.minted" => Some(Self::Minted(serde_json::from_str(payload).expect(read))),
            "cloud.burned" => Some(Self::Burned(serde_json::from_str(payload).expect(read))),
            "cloud.transferred" => Some(Self::Transferred(
                serde_json::from_str(payload).expect(read),
            )),
            _ => None,
        }
    }
}

/// Who is told what of an event: everybody takes every channel, member 0 is the only admin.
fn tidings(event: &Envelope) -> Vec<(MemberId, &'static str)> {
    match Told::decode(event) {
        Ok(Told::Minted(minted)) => minted
            .member_id
            .into_iter()
            .map(|id| (id, "added"))
            .collect(),
        Ok(Told::Transferred(moved)) => vec![
            (moved.from_member_id, "sent"),
            (moved.to_member_id, "received"),
        ],
        Ok(Told::BackingLow(_)) => vec![(member_id(0), "backing_low")],
        Ok(Told::Registered(_) | Told::Updated(_)) | Err(_) => Vec::new(),
    }
}

/// One whole run; `Err` with everything that is not as it must be.
pub(crate) fn run(
    seed: u64,
    faults: Faults,
    orders: &[Order],
    arrange: impl FnOnce(Builder) -> Builder,
) -> Result<World, String> {
    let mut world = World::new(seed, faults, arrange);
    // Among the rest: some orders come before their members are registered, and are refused.
    world.register_everybody();
    world.hand_in(orders);
    let mut wrong: Vec<String> = world.settle().err().into_iter().collect();
    wrong.extend(world.judge());
    if wrong.is_empty() {
        Ok(world)
    } else {
        Err(format!("seed {seed}: {}", wrong.join("; ")))
    }
}
