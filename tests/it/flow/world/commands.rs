//! What clients ask for, and how it is decided: the shipped rules on the shipped items.

use cloud::{
    Account,
    account::{
        self, Burn, ChargeId, Holder, Holding, Mint, MintedCharge, Moment, Parties, Transfer,
    },
    rate_card::{self, Propose, RateCard, Vacant},
    redemption::{self, Metering, Redeem},
    stake::{self, Position, RevenueShares, Stake},
    treasury::{self, Stated, TreasuryAccount},
};
use events::{
    AccountId, Cause, Credits, Quantity, Sequence, Text, Usd,
    contracts::cloud::{Primitive, Rates},
};
use member::{Member, Patched};
use outbox::{Answer, Decision, Entity, Mark, Outbox, Outcome, Transaction};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use testkit::flow::BoxError;

use super::{MEMBERS, address, cloud_table, member_id, member_table, rate, settlement, wallet};

/// Stakes that can be had back at any time: nobody here waits for a month.
fn shares() -> RevenueShares {
    "0:5".parse().expect("a table")
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
}

/// A command and how often clients send it with the same key.
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
    ];
    prop::collection::vec(order_of(command), count)
}

/// Orders of wallets alone.
pub(crate) fn wallet_orders(
    count: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = Vec<Order>> {
    prop::collection::vec(order_of(wallet::command().prop_map(Command::Wallet)), count)
}

/// Orders of payments and settlements alone.
pub(crate) fn settlement_orders(
    count: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = Vec<Order>> {
    let command = settlement::command().prop_map(Command::Settlement);
    prop::collection::vec(order_of(command), count)
}

/// A command as clients send it: some of them more than once with the same key.
fn order_of(command: impl Strategy<Value = Command>) -> impl Strategy<Value = Order> {
    let copies = prop_oneof![2 => Just(1_u8), 1 => Just(2), 1 => Just(3)];
    (command, copies).prop_map(|(command, copies)| Order { command, copies })
}

/// Why a client repeats a call: nothing was answered.
pub(super) type Answered = Result<Option<Value>, BoxError>;

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

pub(super) fn build<E: Into<outbox::BuildError>>(error: E) -> outbox::Error {
    error.into().into()
}

async fn holder(outbox: &Outbox, member: u8) -> Result<Option<Holder>, outbox::Error> {
    let entity: Entity<Member> = outbox
        .load(&member_table(), member_id(member).as_str())
        .await?;
    Ok(entity.state().map(|member| Holder {
        member_id: member.member_id().clone(),
        name: member.name().clone(),
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
    let (cloud, members) = (cloud_table(), member_table());
    let moment = Moment::of(&transaction, rate());
    match *command {
        Command::Register { member } => {
            let id = member_id(member);
            let entity: Entity<Member> = outbox.load(&members, id.as_str()).await?;
            let mut registration = json!({
                "name": format!("Member {member}"),
                "email": format!("member-{member}@example.org"),
                "role": if member == 0 { "admin" } else { "member" },
            });
            if let Some(address) = address(member) {
                registration["ethereum_address"] = json!(address);
            }
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
                Holding::of(&entity).map_err(build)?,
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
                Holding::of(&one).map_err(build)?,
                Holding::of(&two).map_err(build)?,
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
            match account::burn(Holding::of(&entity).map_err(build)?, burn, &moment) {
                Ok(burning) => {
                    burning.save(&mut transaction, &cloud, &entity)?;
                }
                Err(_) => return Ok(Decision::Refuse(())),
            }
        }
        Command::Propose { by, quarters } => {
            let Some(proposer) = holder(outbox, by).await? else {
                return Ok(Decision::Refuse(()));
            };
            let Some(vacant) = Vacant::next(outbox, &cloud).await? else {
                return Ok(Decision::Refuse(()));
            };
            let rate = Credits::new(Decimal::new(i64::from(quarters) * 25, 2)).expect("a rate");
            let propose = Propose {
                effective_date: transaction.now(),
                notice_date: transaction.now(),
                rates: Rates {
                    compute: rate,
                    transfer: rate,
                    ltm: rate,
                    stm: rate,
                },
                proposer,
            };
            match rate_card::propose(propose, &vacant, transaction.now()) {
                Ok(proposing) => {
                    proposing.save(&mut transaction, &vacant)?;
                }
                Err(_) => return Ok(Decision::Refuse(())),
            }
        }
        Command::Approve { card, by } => {
            let entity: Entity<RateCard> = outbox.load(&cloud, &card.to_string()).await?;
            let (Some(approver), Some(card)) = (holder(outbox, by).await?, entity.state()) else {
                return Ok(Decision::Refuse(()));
            };
            let revision = entity.next_version().map_err(build)?;
            match rate_card::approve(card, approver, revision, transaction.now()) {
                Ok(approving) => {
                    approving.save(&mut transaction, &entity)?;
                }
                Err(_) => return Ok(Decision::Refuse(())),
            }
        }
        Command::Redeem {
            member,
            card,
            primitive,
            thousandths,
        } => {
            let Some(holder) = holder(outbox, member).await? else {
                return Ok(Decision::Refuse(()));
            };
            let entity: Entity<Account> = outbox.load(&cloud, holder.member_id.as_str()).await?;
            let card_entity: Entity<RateCard> = outbox.load(&cloud, &card.to_string()).await?;
            let redeem = Redeem {
                holder,
                amount: None,
                metering: Metering::named(primitive.as_str(), primitive.unit().as_str())
                    .expect("known"),
                quantity: Quantity::new(Decimal::new(thousandths.into(), 3)).expect("a quantity"),
                service_name: Text::new("habitat-api").expect("a name"),
                period_id: Text::new("q1-2026").expect("a period"),
                rate_card_version: Sequence::new(card.into()).map_err(build)?,
            };
            let holding = Holding::of(&entity).map_err(build)?;
            match redemption::redeem(holding, card_entity.state(), redeem, &moment) {
                Ok(redeeming) => {
                    redeeming.save(&mut transaction, &cloud, &entity)?;
                }
                Err(_) => return Ok(Decision::Refuse(())),
            }
        }
        Command::Stake { member, amount } => {
            let Some(holder) = holder(outbox, member).await? else {
                return Ok(Decision::Refuse(()));
            };
            let entity: Entity<Account> = outbox.load(&cloud, holder.member_id.as_str()).await?;
            let stake = Stake {
                holder,
                amount: whole(amount),
                lock_duration_days: 0,
            };
            let position = transaction.uuid().into();
            let holding = Holding::of(&entity).map_err(build)?;
            match stake::stake(holding, stake, &shares(), position, &moment) {
                Ok(staking) => {
                    staking.save(&mut transaction, &cloud, &entity)?;
                }
                Err(_) => return Ok(Decision::Refuse(())),
            }
        }
        Command::Unstake { member, which } => {
            let Some(holder) = holder(outbox, member).await? else {
                return Ok(Decision::Refuse(()));
            };
            // Positions after the account would do as well: the row's own condition settles it.
            let query = Position::of_member(&cloud, &holder.member_id, 100);
            let (positions, _) = outbox.rows::<Position>(&query).await?;
            let entity: Entity<Account> = outbox.load(&cloud, holder.member_id.as_str()).await?;
            let Some(position) = positions.get(usize::from(which)) else {
                return Ok(Decision::Refuse(()));
            };
            let holding = Holding::of(&entity).map_err(build)?;
            match stake::unstake(holding, position, holder, None, &moment) {
                Ok(unstaking) => {
                    unstaking.save(&mut transaction, &cloud, &entity)?;
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
        Command::Wallet(_) | Command::Settlement(_) => unreachable!("decided above"),
    }
    Ok(committed(transaction))
}
