//! Commands on the shipped domains, the consumers of their events, and the invariants at the end.

mod commands;
mod judge;
mod loan;
mod settlement;
mod wallet;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use self::commands::{perform, whole};
pub(crate) use self::{
    commands::{Command, Order, loan_orders, orders, settlement_orders, wallet_orders},
    loan::loan_table,
    settlement::settlement_table,
    wallet::wallet_table,
};
use activity_feed::handler::ActivityFeed;
use analytics::handler::Analytics;
use async_trait::async_trait;
use audit_log::handler::AuditLog;
use cloud::{
    Account, Rate,
    account::{self, CommandContext, Holder, Holding, Mint, StripePayment},
};
use cloud_chain_sync::handler::{Chain, ChainSync};
use cloud_treasury::handler::Treasury;
use consumer::{Failure, Handler, Received, Settings};
use event_feed::handler::EventFeed;
use events::{
    Credits, EthereumAddress, MemberId,
    contracts::{self},
};
use loan_servicing::handler::LoanServicing;
use mail::{Mail, Mailer, texts::Writer};
use notifications::handler::Notifications;
use outbox::{Entity, Fault, Outbox, Table, Transaction};
use proptest::prelude::*;
use serde_json::Value;
use testkit::flow::{Builder, Faults, Flow, Site};
use wallet_balances::handler::WalletBalances;

use super::ledger::{Ledger, RefusalPlan};

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

pub(crate) fn activity_table() -> Table {
    Table::domain("activity")
}

pub(crate) fn audit_table() -> Table {
    Table::domain("audit")
}

pub(crate) fn feed_table() -> Table {
    Table::domain("feed")
}

pub(crate) fn rate() -> Rate {
    "10".parse().expect("a rate")
}

pub(crate) fn member_id(number: u8) -> MemberId {
    MemberId::new(format!("member-{number}")).expect("an id")
}

/// A member's address on the chain. The first member has none.
pub(crate) fn address(number: u8) -> Option<EthereumAddress> {
    let address = format!("0x{number:040x}");
    (number > 0).then(|| EthereumAddress::new(address).expect("an address"))
}

pub(crate) fn any_faults() -> impl Strategy<Value = Faults> {
    let rare = || prop_oneof![1 => Just(0.0), 2 => 0.0..0.15_f64];
    // Per step or per call: with a higher probability hardly anything ever completes.
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

events::subscription! {
    /// A consumer that emits in the transaction of its mark.
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
            payment: StripePayment::default(),
            description: None,
        };
        let context = CommandContext::of(&transaction, rate());
        account::mint(Holding::of(&account)?, None, mint, &context)
            .map_err(Failure::park)?
            .save(&mut transaction, &cloud_table(), &account)?;
        Ok(transaction)
    }
}

/// How often the operator redrives while faults happen.
const STORMY_REDRIVES: u32 = 4;

/// How often the operator redrives without faults: a dead letter may have to wait for an earlier one.
const GOOD_REDRIVES: u32 = 20;

/// Redemptions of a smaller value leave no note.
fn redeemed_note_from() -> Credits {
    whole(10)
}

/// A mail service that can be late, throttle, and lose its answer.
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

/// The responses to clients, by idempotency key: one for each copy that got a response.
type Answers = Arc<Mutex<BTreeMap<String, Vec<Option<Value>>>>>;

/// All records of the feed write the same head, so the template sets that they are handled one after the other.
fn one_at_a_time(settings: Settings) -> Settings {
    Settings {
        concurrency: 1,
        ..settings
    }
}

/// A flow with the shipped consumers, one consumer that emits, and one in-order consumer.
pub(crate) struct World {
    pub(crate) flow: Flow,
    mails: Arc<Mutex<Vec<Mail>>>,
    answers: Answers,
    keys: usize,
    pub(super) refusals: RefusalPlan,
}

pub(crate) const CONSUMERS: [&str; 11] = [
    ActivityFeed::NAME,
    AuditLog::NAME,
    ChainSync::NAME,
    Treasury::NAME,
    EventFeed::NAME,
    LoanServicing::NAME,
    Notifications::NAME,
    Analytics::NAME,
    WalletBalances::NAME,
    Welcome::NAME,
    Ledger::NAME,
];

impl World {
    pub(crate) fn new(seed: u64, faults: Faults, arrange: impl FnOnce(Builder) -> Builder) -> Self {
        let mails = Arc::new(Mutex::new(Vec::new()));
        let sent = Arc::clone(&mails);
        let refusals = RefusalPlan::default();
        let ledgers_refusals = refusals.clone();
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
                    redeemed_note_from(),
                )
            })
            .consumer(|_| Analytics::new(analytics_table()))
            .consumer(|site| LoanServicing::new(site.outbox().clone(), loan_table()))
            .consumer(|_| WalletBalances::new(wallet_table()))
            .consumer(|_| ActivityFeed::new(activity_table()))
            .consumer(|site| AuditLog::new(site.outbox().clone(), audit_table()))
            .consumer_with(one_at_a_time, |site| {
                EventFeed::new(site.outbox().clone(), feed_table(), views::feed::LEAST_LIFE)
            })
            .consumer(|site| ChainSync::new(site.outbox().clone(), cloud_table(), Chain::There))
            .consumer(|site| Welcome {
                outbox: site.outbox().clone(),
            })
            .consumer(move |site| Ledger {
                outbox: site.outbox().clone(),
                refusals: ledgers_refusals.clone(),
            });
        let flow = arrange(builder).build().expect("a runtime");
        Self {
            flow,
            mails,
            answers: Answers::default(),
            keys: 0,
            refusals,
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

    /// One client makes its calls one after the other, so that they are spread over everything that happens.
    pub(crate) fn hand_in_in_turn(&mut self, commands: &[Command]) {
        let from = self.keys;
        self.keys += commands.len();
        let (commands, answers) = (commands.to_vec(), Arc::clone(&self.answers));
        self.flow.submit(move |site| {
            let (commands, answers) = (commands.clone(), Arc::clone(&answers));
            async move {
                for (place, command) in commands.iter().enumerate() {
                    let key = format!("order-{}", from + place);
                    let answer = perform(site.outbox(), &key, command).await?;
                    let mut answers = answers.lock().expect("never poisoned");
                    answers.entry(key).or_default().push(answer);
                }
                Ok(())
            }
        });
    }

    /// Without an admin no alert has a recipient; without a contact no member gets a notice of a movement.
    pub(crate) fn register_everybody(&mut self) {
        let register = |member| Order {
            command: Command::Register { member },
            copies: 1,
        };
        self.hand_in(&(0..MEMBERS).map(register).collect::<Vec<_>>());
    }

    /// Makes calls one after the other, without faults, while the rest of the pipeline stands still.
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

    /// Points in every wallet, some of them held; payments, settlements and loans in progress.
    pub(crate) fn fund(&mut self) {
        let funds = wallet::funds().map(Command::Wallet);
        let begun = settlement::begun().map(Command::Settlement);
        let lent = loan::begun().map(Command::Loan);
        let orders: Vec<Order> = funds
            .chain(begun)
            .chain(lent)
            .map(|command| Order { command, copies: 1 })
            .collect();
        self.commit_unseen(&orders);
    }

    /// Proposes and approves a rate card, whatever else happens in the run.
    pub(crate) fn approve_a_card(&mut self) {
        let order = |command| Order { command, copies: 1 };
        self.commit_unseen(&[
            order(Command::Propose { by: 1, quarters: 4 }),
            order(Command::Approve { card: 1, by: 2 }),
        ]);
    }

    /// Lets everything complete; then faults end and dead letters are sent back.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        self.flow.drain().map_err(|error| error.to_string())?;
        // The fan-outs to all members. No member here has a subname.
        super::fanout::submit(self);
        self.flow.drain().map_err(|error| error.to_string())?;
        self.flow.audit().map_err(|error| error.to_string())?;
        // Also during the storm: events behind a parked one continue from there, or wait again.
        for _ in 0..STORMY_REDRIVES {
            if self.flow.redrive(Ledger::NAME) == 0 {
                break;
            }
            self.flow.drain().map_err(|error| error.to_string())?;
            self.flow.audit().map_err(|error| error.to_string())?;
        }
        self.flow.set_faults(Faults::NONE);
        self.refusals.set(false);
        self.register_everybody();
        self.flow.drain().map_err(|error| error.to_string())?;
        for _ in 0..GOOD_REDRIVES {
            let redriven: usize = CONSUMERS
                .into_iter()
                .map(|consumer| self.flow.redrive(consumer))
                .sum();
            if redriven == 0 {
                break;
            }
            self.flow.drain().map_err(|error| error.to_string())?;
        }
        super::fanout::submit(self);
        self.flow.drain().map_err(|error| error.to_string())?;
        for consumer in CONSUMERS {
            if let Some(letter) = self.flow.letters(consumer).first() {
                return Err(format!(
                    "{consumer} still has a dead letter although faults have ended: {letter:?}"
                ));
            }
        }
        self.flow.audit().map_err(|error| error.to_string())
    }

    /// The outcomes of all events at all consumers, as far as they were reported.
    pub(crate) fn outcomes(&self) -> Vec<consumer::Outcome> {
        let log = self.flow.log();
        let places = log
            .iter()
            .flat_map(|event| CONSUMERS.map(|consumer| (consumer, event.event_id.to_string())));
        places
            .flat_map(|(consumer, id)| self.flow.outcomes(consumer, &id))
            .collect()
    }
}

/// One whole run. `Err` holds all violations.
pub(crate) fn run(
    seed: u64,
    faults: Faults,
    orders: &[Order],
    arrange: impl FnOnce(Builder) -> Builder,
) -> Result<World, String> {
    let mut world = World::new(seed, faults, arrange);
    world.refusals.set(true);
    // Submitted together with the rest: some orders arrive before their members are registered, and are refused.
    world.fund();
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
