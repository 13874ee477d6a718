//! What clients ask for, carried out by the shipped operations on the shipped items.

use async_trait::async_trait;
use cloud::{
    account::{Holder, Parties, StripePayment},
    operations::{
        BurnOf, Cloud, Members, MintFor, ProposeBy, RedeemFor, StakeFor, Stopped, TransferBetween,
    },
    redemption::Metering,
    stake::{Position, RevenueShares},
    treasury,
};
use events::{
    AccountId, Cause, Credits, ExternalReference, MemberId, Quantity, Sequence, Text, Usd,
    contracts::cloud::{Primitive, Rates},
};
use member::Member;
use outbox::{Answer, Decision, Entity, Mark, Outbox, Outcome, Transaction};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use testkit::flow::BoxError;

use super::{
    MEMBERS, address, cloud_table, loan, member_id, member_table, rate, settlement, wallet,
};

/// Stakes that can be ended at any time: no test waits for a month.
fn shares() -> RevenueShares {
    "0:5".parse().expect("a table")
}

/// The owner of the API key with which a member proposes and approves rate cards. Two owners have all keys.
fn key_owner(member: u8) -> Text<64> {
    Text::new(format!("desk-{}", member % 2)).expect("an owner")
}

pub(super) fn whole(amount: u16) -> Credits {
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
    Propose {
        by: u8,
        quarters: u8,
    },
    Approve {
        card: u8,
        by: u8,
    },
    Redeem {
        member: u8,
        card: u8,
        primitive: Primitive,
        thousandths: u32,
    },
    Stake {
        member: u8,
        amount: u16,
    },
    /// Ends one of the member's stakes.
    Unstake {
        member: u8,
        which: u8,
    },
    Reserve {
        dollars: u16,
    },
    Wallet(wallet::Command),
    Settlement(settlement::Command),
    Loan(loan::Command),
}

/// A command, and how often clients send it with the same idempotency key.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) command: Command,
    pub(crate) copies: u8,
}

impl Order {
    /// A member proposes the next rate card.
    pub(crate) fn propose(by: u8) -> Self {
        let command = Command::Propose { by, quarters: 1 };
        Self { command, copies: 1 }
    }

    /// A member approves a rate card.
    pub(crate) fn approve(card: u8, by: u8) -> Self {
        let command = Command::Approve { card, by };
        Self { command, copies: 1 }
    }
}

pub(crate) fn orders(
    count: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = Vec<Order>> {
    let member = || 0..MEMBERS;
    let holder = || prop_oneof![4 => member().prop_map(Some), 1 => Just(None)];
    let command = prop_oneof![
        2 => member().prop_map(|member| Command::Register { member }),
        2 => (member(), 0..4_u8).prop_map(|(member, name)| Command::Rename { member, name }),
        7 => (holder(), 1..100_u16, prop::option::weighted(0.4, 0..6_u8))
            .prop_map(|(member, amount, charge)| Command::Mint { member, amount, charge }),
        4 => (member(), member(), 1..60_u16).prop_map(|(from, to, amount)| Command::Transfer { from, to, amount }),
        3 => (holder(), 1..80_u16).prop_map(|(member, amount)| Command::Burn { member, amount }),
        2 => (member(), 1..9_u8).prop_map(|(by, quarters)| Command::Propose { by, quarters }),
        3 => (1..4_u8, member()).prop_map(|(card, by)| Command::Approve { card, by }),
        3 => (member(), 1..4_u8, prop::sample::select(Primitive::ALL.to_vec()), 1..60_000_u32)
            .prop_map(|(member, card, primitive, thousandths)| Command::Redeem { member, card, primitive, thousandths }),
        2 => (member(), 1..40_u16).prop_map(|(member, amount)| Command::Stake { member, amount }),
        2 => (member(), 0..3_u8).prop_map(|(member, which)| Command::Unstake { member, which }),
        2 => (0..3_000_u16).prop_map(|dollars| Command::Reserve { dollars }),
        14 => wallet::command().prop_map(Command::Wallet),
        10 => settlement::command().prop_map(Command::Settlement),
        11 => loan::command().prop_map(Command::Loan),
    ];
    prop::collection::vec(order_of(command), count)
}

/// Orders of wallets only.
pub(crate) fn wallet_orders(
    count: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = Vec<Order>> {
    prop::collection::vec(order_of(wallet::command().prop_map(Command::Wallet)), count)
}

/// Orders of payments and settlements only.
pub(crate) fn settlement_orders(
    count: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = Vec<Order>> {
    let command = settlement::command().prop_map(Command::Settlement);
    prop::collection::vec(order_of(command), count)
}

/// Orders of loans only.
pub(crate) fn loan_orders(
    count: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = Vec<Order>> {
    prop::collection::vec(order_of(loan::command().prop_map(Command::Loan)), count)
}

/// A command as clients send it: sometimes more than once with the same idempotency key.
fn order_of(command: impl Strategy<Value = Command>) -> impl Strategy<Value = Order> {
    let copies = prop_oneof![2 => Just(1_u8), 1 => Just(2), 1 => Just(3)];
    (command, copies).prop_map(|(command, copies)| Order { command, copies })
}

/// An error means that there was no response, so the client repeats the call.
pub(super) type Answered = Result<Option<Value>, BoxError>;

/// One decision behind a request's mark. `Some`: the first response to what was done; `None`: refused.
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

pub(super) fn committed(mut transaction: Transaction) -> Decision<Value, ()> {
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

/// The members of this world, read as the API reads them.
struct Known<'a>(&'a Outbox);

#[async_trait]
impl Members for Known<'_> {
    async fn holder(&self, id: &MemberId) -> Result<Option<Holder>, outbox::Error> {
        let entity: Entity<Member> = self.0.load(&member_table(), id.as_str()).await?;
        Ok(entity.state().map(|member| Holder {
            member_id: member.member_id().clone(),
            name: member.name().clone(),
        }))
    }
}

pub(super) async fn perform(outbox: &Outbox, key: &str, command: &Command) -> Answered {
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
    if let Command::Wallet(command) = command {
        return wallet::decide(outbox, command, transaction).await;
    }
    if let Command::Settlement(command) = command {
        return settlement::decide(outbox, *command, transaction).await;
    }
    if let Command::Loan(command) = command {
        return loan::decide(outbox, *command, transaction).await;
    }
    let done = match command {
        Command::Register { .. } | Command::Rename { .. } => {
            of_members(outbox, command, &mut transaction).await
        }
        _ => of_credits(outbox, command, &mut transaction).await,
    };
    match done {
        Ok(true) => Ok(committed(transaction)),
        Ok(false) => Ok(Decision::Refuse(())),
        Err(error) => Err(error),
    }
}

/// Returns `false` if the command is refused.
async fn of_members(
    outbox: &Outbox,
    command: &Command,
    transaction: &mut Transaction,
) -> Result<bool, outbox::Error> {
    let members = member::operations::Members {
        outbox,
        table: &member_table(),
    };
    let done = match *command {
        Command::Register { member } => {
            let mut registration = json!({
                "member_id": member_id(member),
                "name": format!("Member {member}"),
                "email": format!("member-{member}@example.org"),
                "role": if member == 0 { "admin" } else { "member" },
            });
            if let Some(address) = address(member) {
                registration["ethereum_address"] = json!(address);
            }
            let registration = serde_json::from_value(registration).expect("a registration");
            members.register(transaction, registration).await
        }
        Command::Rename { member, name } => {
            let patch = json!({ "name": format!("Name {name}") });
            let patch = serde_json::from_value(patch).expect("a patch");
            members.patch(transaction, &member_id(member), patch).await
        }
        _ => return Ok(false),
    };
    match done {
        Ok(_) => Ok(true),
        Err(member::operations::Stopped::Refused(_)) => Ok(false),
        Err(member::operations::Stopped::Failed(error)) => Err(error),
    }
}

/// Returns `false` if the command is refused.
async fn of_credits(
    outbox: &Outbox,
    command: &Command,
    transaction: &mut Transaction,
) -> Result<bool, outbox::Error> {
    let cloud = Cloud {
        outbox,
        table: &cloud_table(),
        members: &Known(outbox),
        rate: rate(),
        shares: &shares(),
    };
    match run(&cloud, command, transaction).await {
        Ok(done) => Ok(done),
        Err(Stopped::Refused(_)) => Ok(false),
        Err(Stopped::Failed(error)) => Err(error),
    }
}

async fn run(
    cloud: &Cloud<'_, Known<'_>>,
    command: &Command,
    transaction: &mut Transaction,
) -> Result<bool, Stopped> {
    match *command {
        Command::Mint {
            member,
            amount,
            charge: charge_of,
        } => {
            let charge = |number| ExternalReference::new(format!("ch_{number}")).expect("a charge");
            let mint = MintFor {
                member_id: member.map(member_id),
                amount: whole(amount),
                payment: StripePayment {
                    charge_id: charge_of.map(charge),
                    payment_intent_id: None,
                },
                description: None,
            };
            cloud.mint(transaction, mint).await?;
        }
        Command::Transfer { from, to, amount } => {
            let transfer = TransferBetween {
                parties: Parties::new(member_id(from), member_id(to))?,
                amount: whole(amount),
                description: None,
            };
            cloud.transfer(transaction, transfer).await?;
        }
        Command::Burn { member, amount } => {
            let burn = BurnOf {
                member_id: member.map(member_id),
                amount: whole(amount),
                reason: Text::new("spent").expect("a reason"),
                description: None,
            };
            cloud.burn(transaction, burn).await?;
        }
        Command::Propose { by, quarters } => {
            let rate = Credits::new(Decimal::new(i64::from(quarters) * 25, 2)).expect("a rate");
            let propose = ProposeBy {
                proposer: member_id(by),
                key_owner: key_owner(by),
                effective_date: transaction.now(),
                notice_date: transaction.now(),
                rates: Rates {
                    compute: rate,
                    transfer: rate,
                    ltm: rate,
                    stm: rate,
                },
            };
            cloud.propose(transaction, propose).await?;
        }
        Command::Approve { card, by } => {
            let version = Sequence::new(card.into())?;
            let (approver, key_owner) = (member_id(by), key_owner(by));
            cloud
                .approve(transaction, version, &approver, &key_owner)
                .await?;
        }
        Command::Redeem {
            member,
            card,
            primitive,
            thousandths,
        } => {
            let quantity = Decimal::new(thousandths.into(), 3);
            let redeem = RedeemFor {
                member_id: member_id(member),
                amount: None,
                metering: Metering::named(primitive.as_str(), primitive.unit().as_str())?,
                quantity: Quantity::new(quantity).expect("a quantity"),
                service_name: Text::new("habitat-api").expect("a name"),
                period_id: Text::new("q1-2026").expect("a period"),
                rate_card_version: Sequence::new(card.into())?,
            };
            cloud.redeem(transaction, redeem).await?;
        }
        Command::Stake { member, amount } => {
            let stake = StakeFor {
                member_id: member_id(member),
                amount: whole(amount),
                lock_duration_days: 0,
            };
            cloud.stake(transaction, stake).await?;
        }
        Command::Unstake { member, which } => {
            let query = Position::of_member(cloud.table, &member_id(member), 100);
            let (positions, _) = cloud.outbox.rows::<Position>(&query).await?;
            let Some(position) = positions.get(usize::from(which)) else {
                return Ok(false);
            };
            let position = position.position_id();
            cloud.unstake(transaction, position, None).await?;
        }
        Command::Reserve { dollars } => {
            let id = AccountId::new(treasury::RESERVE).expect("an id");
            let balance = Usd::new(dollars.into()).expect("dollars");
            cloud.state_balance(transaction, &id, balance).await?;
        }
        Command::Register { .. }
        | Command::Rename { .. }
        | Command::Wallet(_)
        | Command::Settlement(_)
        | Command::Loan(_) => return Ok(false),
    }
    Ok(true)
}
