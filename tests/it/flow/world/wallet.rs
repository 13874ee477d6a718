//! What clients ask of wallets, decided by the shipped rules on the shipped items.

use events::{EscrowId, Points, Text, contracts::wallet::AccountType};
use outbox::{Decision, Entity, Outbox, Table, Transaction};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::Value;
use wallet::{
    Account, Escrow, HoldReason, Holding, Moment,
    escrow::{self, Held, Hold, Parts, Read},
    ledger::{Entry, Side, newest_first},
    outside,
};

use super::{
    MEMBERS,
    commands::{build, committed},
    member_id,
};

pub(crate) fn wallet_table() -> Table {
    Table::domain("wallet")
}

/// What a client asks for; amounts in hundredths of a point. Every member may be a user and a model.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    Deposit {
        member: u8,
        amount: i64,
    },
    Withdraw {
        account_type: AccountType,
        member: u8,
        amount: i64,
    },
    Hold {
        member: u8,
        amount: i64,
        reason: HoldReason,
    },
    /// Ends one of the user's last escrows, whatever became of it before.
    Settle {
        user: u8,
        which: u8,
        model: u8,
    },
    Refund {
        user: u8,
        which: u8,
    },
    /// Divides one by hundredths of it; `off`: parts that leave so much over.
    PartialSettle {
        user: u8,
        which: u8,
        model: u8,
        percent: u8,
        off: i64,
    },
}

/// Every member has points, and some of them held: what the rest begins with, so that escrows are ended by several at once.
pub(super) fn funds() -> impl Iterator<Item = Command> {
    (0..MEMBERS).flat_map(|member| {
        let (amount, reason) = (10_000, HoldReason::Tip);
        let deposit = Command::Deposit { member, amount };
        let amount = 3_000;
        let hold = Command::Hold {
            member,
            amount,
            reason,
        };
        [deposit, hold]
    })
}

pub(super) fn command() -> impl Strategy<Value = Command> {
    let member = || 0..MEMBERS;
    // The first escrows are asked for most: they are ended by several at once.
    let which = || prop_oneof![2 => Just(0_u8), 1 => 0..4_u8];
    let account_type = || prop::sample::select(AccountType::ALL.to_vec());
    let reason = || prop::sample::select(HoldReason::ALL.to_vec());
    let off = || prop_oneof![4 => Just(0_i64), 1 => -1..=1_i64];
    prop_oneof![
        4 => (member(), 1..20_000_i64).prop_map(|(member, amount)| Command::Deposit { member, amount }),
        2 => (account_type(), member(), 0..6_000_i64)
            .prop_map(|(account_type, member, amount)| Command::Withdraw { account_type, member, amount }),
        5 => (member(), 0..6_000_i64, reason())
            .prop_map(|(member, amount, reason)| Command::Hold { member, amount, reason }),
        2 => (member(), which(), member()).prop_map(|(user, which, model)| Command::Settle { user, which, model }),
        2 => (member(), which()).prop_map(|(user, which)| Command::Refund { user, which }),
        2 => (member(), which(), member(), 1..100_u8, off()).prop_map(|(user, which, model, percent, off)| {
            Command::PartialSettle { user, which, model, percent, off }
        }),
    ]
}

fn points(hundredths: i64) -> Points {
    Points::new(Decimal::new(hundredths, 2)).expect("points")
}

async fn account(
    outbox: &Outbox,
    account_type: AccountType,
    member: u8,
) -> Result<(Entity<Account>, Holding), outbox::Error> {
    let id = member_id(member);
    let entity = outbox
        .load(&wallet_table(), &account_type.account(&id))
        .await?;
    let holding = Holding::of(account_type, id, &entity).map_err(build)?;
    Ok((entity, holding))
}

/// One of the escrows that the user's ledger tells of last.
async fn escrow(
    outbox: &Outbox,
    user: u8,
    which: u8,
) -> Result<Option<Entity<Escrow>>, outbox::Error> {
    let query = newest_first(&wallet_table(), AccountType::User, &member_id(user), 40);
    let (entries, _) = outbox.rows::<Entry>(&query).await?;
    let ids: Vec<EscrowId> = entries
        .into_iter()
        .filter(|entry| {
            entry.balance_state == Side::Escrow && entry.amount.decimal() > Decimal::ZERO
        })
        .filter_map(|entry| entry.escrow_id)
        .collect();
    match ids.get(usize::from(which)) {
        Some(id) => Ok(Some(outbox.load(&wallet_table(), &id.to_string()).await?)),
        None => Ok(None),
    }
}

/// Decides a command; against the rules, it is refused. Who is a member is what the API looks up.
pub(super) async fn decide(
    outbox: &Outbox,
    command: &Command,
    mut transaction: Transaction,
) -> Result<Decision<Value, ()>, outbox::Error> {
    let (table, moment) = (wallet_table(), Moment::of(&transaction));
    let refused = Ok(Decision::Refuse(()));
    match *command {
        Command::Deposit { member, amount } => {
            let (entity, user) = account(outbox, AccountType::User, member).await?;
            match outside::deposit(&user, points(amount), &moment) {
                Ok(moving) => moving.save(&mut transaction, &table, &entity)?,
                Err(_) => return refused,
            };
        }
        Command::Withdraw {
            account_type,
            member,
            amount,
        } => {
            let (entity, holding) = account(outbox, account_type, member).await?;
            match outside::withdraw(&holding, points(amount), &moment) {
                Ok(moving) => moving.save(&mut transaction, &table, &entity)?,
                Err(_) => return refused,
            };
        }
        Command::Hold {
            member,
            amount,
            reason,
        } => {
            let escrow_id: EscrowId = transaction.uuid().into();
            let (entity, user) = account(outbox, AccountType::User, member).await?;
            let escrow: Entity<Escrow> = outbox.load(&table, &escrow_id.to_string()).await?;
            let hold = Hold {
                escrow_id,
                amount: points(amount),
                reason,
                queue_item_id: Text::new("queue-1").expect("a text"),
                feature_type: Text::new("song").expect("a text"),
                request_id: Text::new("request-1").expect("a text"),
            };
            let version = escrow.next_version().map_err(build)?;
            let read = Read {
                escrow: &escrow,
                user: &entity,
                model: None,
            };
            match escrow::hold(&user, hold, version, &moment) {
                Ok(moving) => moving.save(&mut transaction, &table, read)?,
                Err(_) => return refused,
            };
        }
        Command::Settle { user, which, model } => {
            let Some(escrow) = escrow(outbox, user, which).await? else {
                return refused;
            };
            let (user_entity, user) = account(outbox, AccountType::User, user).await?;
            let (model_entity, holding) = account(outbox, AccountType::Model, model).await?;
            let Some(held) = Held::of(&escrow).map_err(build)? else {
                return refused;
            };
            let read = Read {
                escrow: &escrow,
                user: &user_entity,
                model: Some(&model_entity),
            };
            match escrow::settle(&held, &user, &holding, &moment) {
                Ok(moving) => moving.save(&mut transaction, &table, read)?,
                Err(_) => return refused,
            };
        }
        Command::Refund { user, which } => {
            let Some(escrow) = escrow(outbox, user, which).await? else {
                return refused;
            };
            let (entity, user) = account(outbox, AccountType::User, user).await?;
            let Some(held) = Held::of(&escrow).map_err(build)? else {
                return refused;
            };
            let read = Read {
                escrow: &escrow,
                user: &entity,
                model: None,
            };
            match escrow::refund(&held, &user, &moment) {
                Ok(moving) => moving.save(&mut transaction, &table, read)?,
                Err(_) => return refused,
            };
        }
        Command::PartialSettle {
            user,
            which,
            model,
            percent,
            off,
        } => {
            let Some(escrow) = escrow(outbox, user, which).await? else {
                return refused;
            };
            let (user_entity, user) = account(outbox, AccountType::User, user).await?;
            let (model_entity, holding) = account(outbox, AccountType::Model, model).await?;
            let Some(held) = Held::of(&escrow).map_err(build)? else {
                return refused;
            };
            let whole = held.escrow.amount().decimal();
            let settle = (whole * Decimal::new(percent.into(), 2)).round_dp(2);
            let refund = whole - settle + Decimal::new(off, 2);
            let (Ok(refund), Ok(settle)) = (Points::new(refund), Points::new(settle)) else {
                return refused;
            };
            let read = Read {
                escrow: &escrow,
                user: &user_entity,
                model: Some(&model_entity),
            };
            let parts = Parts { refund, settle };
            match escrow::partial_settle(&held, &user, &holding, parts, &moment) {
                Ok(moving) => moving.save(&mut transaction, &table, read)?,
                Err(_) => return refused,
            };
        }
    }
    Ok(committed(transaction))
}
