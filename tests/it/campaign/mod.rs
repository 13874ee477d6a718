//! The fault campaign. Clients use the deployed stack: they mint, transfer, burn, redeem, stake and unstake credits;
//! propose and approve rate cards; deposit, withdraw and hold points and end escrows in every way; make, refund and
//! settle payments; borrow, repay, request draws and decide them; fill carts, place orders, cancel, ship and pay them.
//! Meanwhile calls are delayed, rejected, cut off before or after they took effect, answered in part, doubled and held
//! back; functions are killed in the middle of their work; and copies of events arrive in any order. Then the faults
//! end, the queues drain, and everything must add up to the responses that clients got: no event lost, no effect
//! doubled, the chains of the audit log whole and sealed.
//!
//! A request that needs a second person is approved with an API key of another owner. Some clients try it with a key of
//! the same owner.
//!
//! `make test` runs a short campaign and `make soak` a long one, with the same code. Every client repeats a call with
//! the same idempotency key until it gets a response, as a careful client does; the claims hold for such clients. The
//! seed decides what clients do, which call of an operation fails and how, what is killed, and which copies are sent.
//! The machine decides the timing, so a seed repeats a run only as far as a real system can.

#![allow(
    clippy::print_stdout,
    reason = "a long run reports its progress, a failed run its seed"
)]

mod aggregates;
mod books;
mod clients;
mod feed;
mod jobs;
mod letters;
mod loans;
mod queues;
mod settings;
mod settlements;
mod shop;
mod storm;
mod wallets;
mod webhooks;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use aws::DynamoStore;
use events::Registry;
use local_programs::proxy::{Counts, Kind, ProxyControl, Rules};
use outbox::{Outbox, SystemClock, Table};
use rand::{Rng as _, SeedableRng, rngs::StdRng};
use reqwest::{Method, StatusCode};
use serde_json::json;
use testkit::{
    bootstraps::Bootstraps,
    stack::{Stack, until},
};

pub(crate) use self::settings::seed;
use self::{
    books::Finding, clients::Clients, queues::Queues, settings::Settings, webhooks::Outside,
};
use crate::e2e::{APPROVER, Result, new_key, sole_use, unique};

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Mostly one of the `last` ones, so that several clients use the same one.
fn one_of<T: Clone>(dice: &mut StdRng, all: &[T], last: usize) -> Option<T> {
    let from = if dice.random_bool(0.8) {
        all.len().saturating_sub(last)
    } else {
        0
    };
    (!all.is_empty()).then(|| all[dice.random_range(from..all.len())].clone())
}

/// How long draining may take after the faults end. A killed consumer's messages are hidden for [`queues::VISIBILITY`],
/// a retried one's for seconds.
const DRAIN: Duration = Duration::from_secs(300);
/// Number of members of a cohort. The first two take part in every second movement, the last ones in very few.
const MEMBERS: usize = 12;
/// An endpoint that failed twice is tried again after up to 6 minutes.
const TRIED_AGAIN: Duration = Duration::from_secs(420);
/// After this many operations clients go on with another cohort. The local AWS reads a history in time proportional to its
/// length: with one cohort, a soak of 20,000 operations spends most of its time there.
const PER_COHORT: u64 = 2_000;
/// This many members of a cohort, the last ones, accept e-mail.
const MAILED: usize = 4;
/// The members of a cohort with an address on the chain, which mirrors the books: one of the first two, and one of the others.
const ON_CHAIN: [usize; 2] = [1, 6];
/// The members with a subname, who get notices of rate cards: one who accepts e-mail, and one who does not. They are all of the
/// first cohort.
const SUBNAMED: [usize; 2] = [3, 10];

/// Whether a member, by number, has an address on the chain.
fn is_on_chain(number: usize) -> bool {
    ON_CHAIN.contains(&(number % MEMBERS))
}

/// Whether a member, by number, accepts e-mail.
fn is_mailed(number: usize) -> bool {
    number % MEMBERS >= MEMBERS - MAILED
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_storm_nothing_is_lost_nothing_is_doubled_and_the_books_balance() -> Result {
    run(Settings::short()?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long: run make soak SEED=… OPERATIONS=… MINUTES=…"]
async fn soak() -> Result {
    run(Settings::soak()?).await
}

/// What all parts of a campaign share.
struct Field {
    settings: Settings,
    stack: Stack,
    proxy: ProxyControl,
    bootstraps: Bootstraps,
    outbox: Outbox,
    cloud: Table,
    commerce: Table,
    member: Table,
    notifications: Table,
    analytics: Table,
    wallet: Table,
    activity: Table,
    settlement: Table,
    loan: Table,
    letters: Table,
    webhooks: Table,
    feed: Table,
    marks: Table,
    members: Vec<String>,
    /// Payments and settlements in the responses to clients.
    settlements: settlements::Known,
    /// Loans in the responses to clients.
    loans: loans::Known,
    /// Customers and goods, and the carts and orders in the responses to clients.
    shop: shop::Known,
    /// Payments and settlements of other stories.
    settled_before: BTreeSet<String>,
    /// The feed's head when the campaign began.
    fed_before: u64,
    queues: Queues,
    operator: letters::Operator,
    rate_card: OnceLock<u64>,
    /// An API key of [`APPROVER`].
    approver_key: OnceLock<String>,
    /// The endpoints that are sent events.
    outside: OnceLock<Outside>,
}

/// The owner of the API key that a client uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyOwner {
    /// The owner who requests everything.
    Requester,
    /// The owner who approves.
    Approver,
}

impl KeyOwner {
    /// Mostly the owner who may approve.
    fn approving(dice: &mut StdRng) -> Self {
        if dice.random_bool(0.9) {
            Self::Approver
        } else {
            Self::Requester
        }
    }
}

impl Field {
    /// A random stream for each part, derived from the one seed.
    fn dice(&self, part: u64) -> StdRng {
        StdRng::seed_from_u64(self.settings.seed ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    async fn prepare(settings: Settings) -> Result<Self> {
        let stack = Stack::connect().await?;
        let proxy = ProxyControl::new(stack.env("MILLRACE_FAULT_PROXY")?);
        let group = stack.env("MILLRACE_LOCAL_AWS_GROUP")?.parse()?;
        let store = DynamoStore::new(aws_sdk_dynamodb::Client::new(stack.sdk()));
        let table = |logical_id: &str| stack.resource(logical_id).map(str::to_owned);
        let marks = Table::marks(table("MarksTable")?);
        let outbox = Outbox::new(
            Arc::new(store),
            Arc::new(SystemClock),
            Arc::new(Registry::shipped()),
            Table::events(table("EventsTable")?),
            marks.clone(),
        );
        let queues = Queues::of(&stack, &proxy).await?;
        let name = unique("storm");
        let members = MEMBERS * settings.cohorts();
        let shop = shop::Known::new(&name, settings.cohorts());
        let mut field = Self {
            settings,
            cloud: Table::domain(table("CloudTable")?),
            commerce: Table::domain(table("CommerceTable")?),
            member: Table::domain(table("MemberTable")?),
            notifications: Table::domain(table("NotificationsTable")?),
            analytics: Table::domain(table("AnalyticsTable")?),
            wallet: Table::domain(table("WalletTable")?),
            activity: Table::domain(table("ActivityTable")?),
            settlement: Table::domain(table("SettlementTable")?),
            loan: Table::domain(table("LoanTable")?),
            letters: Table::domain(table("LettersTable")?),
            webhooks: Table::domain(table("WebhooksTable")?),
            feed: Table::domain(table("FeedTable")?),
            settlements: settlements::Known::default(),
            loans: loans::Known::default(),
            shop,
            settled_before: BTreeSet::new(),
            fed_before: 0,
            bootstraps: Bootstraps::of_group(group),
            members: (0..members).map(|n| format!("{name}-{n}")).collect(),
            stack,
            proxy,
            outbox,
            marks,
            queues,
            operator: letters::Operator::default(),
            rate_card: OnceLock::new(),
            approver_key: OnceLock::new(),
            outside: OnceLock::new(),
        };
        field.settled_before = settlements::stored(&field).await?;
        field.fed_before = feed::head(&field).await?;
        Ok(field)
    }

    /// The names by which a dead letter is about this campaign.
    fn names(&self) -> Vec<String> {
        let settlements = self.settlements.ids().into_iter();
        let ids = settlements.chain(self.loans.ids());
        let ids = ids.chain(self.shop.names());
        self.members.iter().cloned().chain(ids).collect()
    }

    /// Creates the members, a reserve that covers everything, and the shop, before any fault.
    async fn populate(&self) -> Result {
        let reserve = json!({ "balance": 1_000_000_000 });
        let path = "/api/v1/cloud/treasury/accounts/1110";
        self.stack
            .call(Method::PUT, path, Some(&unique("key")), Some(&reserve))
            .await?
            .expect(StatusCode::OK)?;
        for (number, id) in self.members.iter().enumerate() {
            let mut body = json!({
                "member_id": id, "name": format!("Member {number}"), "email": format!("{id}@example.com"),
                "notification_preferences": { "email_enabled": is_mailed(number) }
            });
            if is_on_chain(number) {
                let bytes = uuid::Uuid::new_v4().simple();
                body["ethereum_address"] = format!("0x00000000{bytes}").into();
            }
            if SUBNAMED.contains(&number) {
                body["ens_subname"] = format!("{id}.example.eth").into();
            }
            crate::e2e::post(&self.stack, "/api/v1/members", &body)
                .await?
                .expect(StatusCode::CREATED)?;
        }
        // A member without a contact would get no notice of a rate card.
        until("every member's contact", DRAIN, || async {
            Ok(books::contacts(self).await?.then_some(()))
        })
        .await?;
        let key = new_key(&self.stack, APPROVER, &["cloud:approve", "loans:approve"]).await?;
        self.approver_key.set(key).map_err(|_| "populated twice")?;
        let card = clients::card(&self.members[0]);
        let proposed = crate::e2e::post(&self.stack, "/api/v1/cloud/rate-cards", &card).await?;
        let version = proposed.expect(StatusCode::CREATED)?["version"]
            .as_u64()
            .ok_or("a rate card without a version")?;
        let approved = crate::e2e::approve_card(&self.stack, version, &self.members[1]).await?;
        approved.expect(StatusCode::OK)?;
        self.rate_card.set(version).map_err(|_| "populated twice")?;
        shop::open(self).await?;
        let outside = Outside::set_up(self).await?;
        self.outside
            .set(outside)
            .map_err(|_| "populated twice".into())
    }

    /// The endpoints that are sent events.
    fn outside(&self) -> Result<&Outside> {
        let outside = self.outside.get();
        outside.ok_or_else(|| "there is no endpoint yet".into())
    }

    /// The rate card of all redemptions.
    fn rate_card(&self) -> Result<u64> {
        let card = self.rate_card.get().copied();
        card.ok_or_else(|| "there is no rate card yet".into())
    }

    fn api_key(&self, owner: KeyOwner) -> Result<&str> {
        match owner {
            KeyOwner::Requester => self.stack.env("API_KEY"),
            KeyOwner::Approver => {
                let key = self.approver_key.get().map(String::as_str);
                key.ok_or_else(|| "there is no API key for approvals yet".into())
            }
        }
    }
}

async fn run(settings: Settings) -> Result {
    let seed = settings.seed;
    println!("campaign: {settings}");
    let outcome = campaign(settings).await;
    outcome.map_err(|error| format!("SEED={seed}: {}", outbox::chain(&*error)).into())
}

async fn campaign(settings: Settings) -> Result {
    let _use = sole_use().await;
    let field = Field::prepare(settings).await?;
    field.proxy.set_rules(&Rules::calm()).await?;
    // Messages that earlier stories left in transit are not checked here.
    let before = field.queues.visibility().await?;
    let short = vec![queues::VISIBILITY.to_string(); before.len()];
    field.queues.set_visibility(&short).await?;
    let judged = run_under_faults(&field).await;
    // Whatever happens, later stories must find a stack without faults, and a sender that has nothing to do.
    let calmed = field.proxy.set_rules(&Rules::calm()).await;
    let removed = match field.outside.get() {
        Some(outside) => outside.remove(&field).await,
        None => Ok(()),
    };
    let restored = field.queues.set_visibility(&before).await;
    judged?;
    calmed?;
    removed?;
    restored
}

async fn run_under_faults(field: &Field) -> Result {
    field.populate().await?;
    until("a calm start", DRAIN, || async {
        Ok((field.queues.idle().await? && jobs::idle(field).await?).then_some(()))
    })
    .await?;
    let outstanding = crate::e2e::outstanding(&field.stack).await?;
    field.proxy.reset().await?;

    let begun = Instant::now();
    let clients = Clients::new(field);
    let harm = storm::rain(field, &clients).await?;
    let rained = begun.elapsed();
    let counts = field.proxy.counts().await?;
    field.proxy.set_rules(&Rules::calm()).await?;

    // No faults from here on: everything that is open must complete.
    clients.cancel_unpaid().await?;
    clients.settle().await?;
    let begun = Instant::now();
    until("queues and event log drain", DRAIN, || async {
        field.operator.look(field).await?;
        Ok(is_quiet(field).await?.then_some(()))
    })
    .await?;
    let outside = field.outside()?;
    until("endpoints have what they selected", TRIED_AGAIN, || async {
        Ok(outside.is_idle(field).await?.then_some(()))
    })
    .await?;
    let drained = begun.elapsed();
    let mut found = books::check(field, &clients.results(), outstanding).await?;
    found.extend(books::audit(field).await?);
    found.extend(books::audit_log(field).await?);
    report(field, &clients, &harm, &counts, rained, drained);
    if !wallets::were_busy(&clients.results()) {
        return Err("wallets had too little to do: some kind of movement never succeeded".into());
    }
    if !settlements::were_busy(&clients.results()) {
        return Err("payments and settlements had too little to do".into());
    }
    if !loans::were_busy(&clients.results()) {
        return Err("loans had too little to do".into());
    }
    if !shop::were_busy(&clients.results()) {
        return Err("the shop had too little to do: some kind of request never succeeded".into());
    }
    check_faults_happened(field, &harm, &counts)?;
    if found.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = found.iter().take(40).map(Finding::to_string).collect();
    Err(format!("{} findings:\n{}", found.len(), shown.join("\n")).into())
}

/// Whether nothing is under way. An order goes on from event to event: one that was committed before the lanes were looked at, and
/// published before the log was, is then in a lane, or the feed has grown by it.
async fn is_quiet(field: &Field) -> Result<bool> {
    let fed = feed::head(field).await?;
    Ok(field.queues.idle().await?
        && letters::unresolved(field).await? == 0
        && jobs::idle(field).await?
        && !books::is_pending(field).await?
        && field.queues.idle().await?
        && feed::head(field).await? == fed)
}

fn report(
    field: &Field,
    clients: &Clients<'_>,
    harm: &storm::Harm,
    counts: &Counts,
    rained: Duration,
    drained: Duration,
) {
    println!(
        "campaign: seed {}: {} in {} s with faults, drained in {} s, {} calls of functions",
        field.settings.seed,
        clients.progress(),
        rained.as_secs(),
        drained.as_secs(),
        counts.calls(),
    );
    for (kind, count) in &counts.faults {
        println!("campaign:   {kind:?}: {count}");
    }
    println!("campaign:   jobs started: {}", harm.runs);
    println!("campaign:   {}", field.settlements);
    println!("campaign:   {}", field.shop);
    println!(
        "campaign:   overtaken: {}, killed: {}, copies sent: {}, dead letters redriven: {}",
        counts.overtaken, harm.killed, harm.copies, harm.redriven
    );
}

/// A storm in which nothing went wrong would prove nothing.
fn check_faults_happened(field: &Field, harm: &storm::Harm, counts: &Counts) -> Result {
    let least = field.settings.least_per_kind;
    for kind in Kind::ALL {
        let count = counts.faults.get(&kind).copied().unwrap_or(0);
        if count < least {
            return Err(
                format!("{kind:?} happened {count} times, at least {least} are required").into(),
            );
        }
    }
    let can_kill = cfg!(target_os = "linux");
    if can_kill && harm.killed < least {
        return Err(format!(
            "{} functions were killed, at least {least} are required",
            harm.killed
        )
        .into());
    }
    if harm.runs < least {
        return Err(format!(
            "{} jobs were started, at least {least} are required",
            harm.runs
        )
        .into());
    }
    if harm.copies < least {
        return Err(format!(
            "{} copies were sent, at least {least} are required",
            harm.copies
        )
        .into());
    }
    Ok(())
}
