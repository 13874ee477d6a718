//! The fault campaign: clients mint, transfer, burn, redeem, stake and unstake, propose and approve rate cards, deposit and
//! withdraw points, hold them in escrow and end that in every way, make payments, refund and settle them, borrow, pay back, ask for
//! draws and decide on them, through the deployed stack while calls are late, turned away, cut off before and after they took effect,
//! answered in part, doubled and held back, functions are killed in the middle of their work, and copies of events come again in any
//! order. Then the weather clears, the queues drain, and everything must add up to what clients were told: no event lost, no effect
//! doubled, the chains of the audit log whole and sealed.
//!
//! What needs a second person is approved with a key of another owner than asked for it; at times it is tried with the same one's.
//!
//! `make test` runs a short one, `make soak` a long one: the same code. Whoever calls repeats with the same key until
//! there is an answer, as a careful client does; what is claimed is about such clients. The seed decides what clients do,
//! which call of an operation goes wrong and how, what is killed and what comes again; when things meet is up to the
//! machine, so a seed repeats a run only as far as a real system can.

#![allow(
    clippy::print_stdout,
    reason = "a long run says how far it is, a failed one its seed"
)]

mod aggregates;
mod books;
mod clients;
mod feed;
mod jobs;
mod loans;
mod queues;
mod settings;
mod settlements;
mod storm;
mod wallets;

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
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
use self::{books::Finding, clients::Clients, queues::Queues, settings::Settings};
use crate::e2e::{APPROVER, Result, new_key, sole_use, unique};

/// How long draining may take once the weather is fair: a killed consumer's messages are away for [`queues::VISIBILITY`],
/// a retried one's for seconds.
const DRAIN: Duration = Duration::from_secs(300);
/// Members: the first two take part in every second movement, the last few in hardly any.
const MEMBERS: usize = 12;
/// So many members, the last ones, take e-mail.
const MAILED: usize = 4;
/// Who has an address on the chain, which mirrors the books: one of the first two, and one of the others.
const ON_CHAIN: [usize; 2] = [1, 6];
/// Who has a subname, and so is told of rate cards: one who takes e-mail, and one who does not.
const SUBNAMED: [usize; 2] = [3, 10];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_storm_nothing_is_lost_nothing_is_doubled_and_the_books_balance() -> Result {
    run(Settings::short()?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: make soak SEED=… OPERATIONS=… MINUTES=…"]
async fn soak() -> Result {
    run(Settings::soak()?).await
}

/// What all parts of a campaign look at.
struct Field {
    settings: Settings,
    stack: Stack,
    proxy: ProxyControl,
    bootstraps: Bootstraps,
    outbox: Outbox,
    cloud: Table,
    member: Table,
    notifications: Table,
    analytics: Table,
    wallet: Table,
    activity: Table,
    settlement: Table,
    loan: Table,
    feed: Table,
    marks: Table,
    members: Vec<String>,
    /// Payments and settlements that clients were told of.
    settlements: settlements::Known,
    /// Loans that clients were told of.
    loans: loans::Known,
    /// Those of other stories.
    settled_before: BTreeSet<String>,
    /// How far the feed was when the campaign began.
    fed_before: u64,
    queues: Queues,
    rate_card: OnceLock<u64>,
    /// A key of [`APPROVER`].
    approver_key: OnceLock<String>,
}

/// Whose API key a client uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyOwner {
    /// The owner who asks for everything.
    Requester,
    /// The owner who approves.
    Approver,
}

impl KeyOwner {
    /// Mostly the one that may approve.
    fn approving(dice: &mut StdRng) -> Self {
        if dice.random_bool(0.9) {
            Self::Approver
        } else {
            Self::Requester
        }
    }
}

impl Field {
    /// A random stream of its own for each part, all from the one seed.
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
        let mut field = Self {
            settings,
            cloud: Table::domain(table("CloudTable")?),
            member: Table::domain(table("MemberTable")?),
            notifications: Table::domain(table("NotificationsTable")?),
            analytics: Table::domain(table("AnalyticsTable")?),
            wallet: Table::domain(table("WalletTable")?),
            activity: Table::domain(table("ActivityTable")?),
            settlement: Table::domain(table("SettlementTable")?),
            loan: Table::domain(table("LoanTable")?),
            feed: Table::domain(table("FeedTable")?),
            settlements: settlements::Known::default(),
            loans: loans::Known::default(),
            settled_before: BTreeSet::new(),
            fed_before: 0,
            bootstraps: Bootstraps::of_group(group),
            members: (0..MEMBERS).map(|n| format!("{name}-{n}")).collect(),
            stack,
            proxy,
            outbox,
            marks,
            queues,
            rate_card: OnceLock::new(),
            approver_key: OnceLock::new(),
        };
        field.settled_before = settlements::stored(&field).await?;
        field.fed_before = feed::head(&field).await?;
        Ok(field)
    }

    /// What a letter about anything of ours names.
    fn names(&self) -> Vec<String> {
        let settlements = self.settlements.ids().into_iter();
        let ids = settlements.chain(self.loans.ids());
        self.members.iter().cloned().chain(ids).collect()
    }

    /// Members and a reserve that covers everything, before anything goes wrong.
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
                "notification_preferences": { "email_enabled": number >= MEMBERS - MAILED }
            });
            if ON_CHAIN.contains(&number) {
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
        // Whoever is no contact yet is told of no card.
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
        self.rate_card
            .set(version)
            .map_err(|_| "populated twice".into())
    }

    /// The rate card that everything is redeemed by.
    fn rate_card(&self) -> Result<u64> {
        let card = self.rate_card.get().copied();
        card.ok_or_else(|| "there is no rate card yet".into())
    }

    fn api_key(&self, owner: KeyOwner) -> Result<&str> {
        match owner {
            KeyOwner::Requester => self.stack.env("API_KEY"),
            KeyOwner::Approver => {
                let key = self.approver_key.get().map(String::as_str);
                key.ok_or_else(|| "there is no key to approve with yet".into())
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
    // What earlier stories left on its way is not ours to judge.
    let before = field.queues.visibility().await?;
    let short = vec![queues::VISIBILITY.to_string(); before.len()];
    field.queues.set_visibility(&short).await?;
    let judged = weathered(&field).await;
    // Whatever came of it, the stories after this one find a calm stack.
    field.proxy.set_rules(&Rules::calm()).await?;
    field.queues.set_visibility(&before).await?;
    judged
}

async fn weathered(field: &Field) -> Result {
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

    // The weather is fair from here on: whatever is still open comes to its end.
    clients.settle().await?;
    let begun = Instant::now();
    until("queues and event log drain", DRAIN, || async {
        let names = field.names();
        field.queues.redrive(&names).await?;
        Ok((field.queues.idle().await?
            && field
                .queues
                .letters(&*field.stack.emulator(), &names)
                .await?
                == 0
            && jobs::idle(field).await?
            && !books::is_pending(field).await?)
            .then_some(()))
    })
    .await?;
    let drained = begun.elapsed();
    let mut found = books::check(field, &clients.told(), outstanding).await?;
    found.extend(books::audit(field).await?);
    found.extend(books::audit_log(field).await?);
    report(field, &clients, &harm, &counts, rained, drained);
    if !wallets::were_busy(&clients.told()) {
        return Err("wallets had too little to do: not every movement was done once".into());
    }
    if !settlements::were_busy(&clients.told()) {
        return Err("payments and settlements had too little to do".into());
    }
    if !loans::were_busy(&clients.told()) {
        return Err("loans had too little to do".into());
    }
    weather_was_bad(field, &harm, &counts)?;
    if found.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = found.iter().take(40).map(Finding::to_string).collect();
    Err(format!("{} findings:\n{}", found.len(), shown.join("\n")).into())
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
        "campaign: seed {}: {} in {} s of rain, drained in {} s, {} calls of functions",
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
    println!(
        "campaign:   overtaken: {}, killed: {}, copies sent: {}, letters redriven: {}",
        counts.overtaken, harm.killed, harm.copies, harm.redriven
    );
}

/// A storm in which nothing went wrong would prove nothing.
fn weather_was_bad(field: &Field, harm: &storm::Harm, counts: &Counts) -> Result {
    let least = field.settings.least_per_kind;
    for kind in Kind::ALL {
        let count = counts.faults.get(&kind).copied().unwrap_or(0);
        if count < least {
            return Err(
                format!("{kind:?} happened {count} times, at least {least} are wanted").into(),
            );
        }
    }
    let can_kill = cfg!(target_os = "linux");
    if can_kill && harm.killed < least {
        return Err(format!(
            "{} functions were killed, at least {least} are wanted",
            harm.killed
        )
        .into());
    }
    if harm.runs < least {
        return Err(format!(
            "{} jobs were started, at least {least} are wanted",
            harm.runs
        )
        .into());
    }
    if harm.copies < least {
        return Err(format!(
            "{} copies were sent, at least {least} are wanted",
            harm.copies
        )
        .into());
    }
    Ok(())
}
