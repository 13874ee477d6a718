//! What clients ask of wallets, carried out by the shipped operations on the shipped items.

use async_trait::async_trait;
use events::{EscrowId, ExternalReference, MemberId, Points, Text, contracts::wallet::AccountType};
use outbox::{Decision, Outbox, Table, Transaction};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::Value;
use wallet::{
    Escrow, HoldReason,
    escrow::Parts,
    ledger::{LedgerEntry, Side, newest_first},
    operations::{HoldCommand, Members, Stopped, Wallets},
};

use super::{MEMBERS, commands::committed, member_id};

pub(crate) fn wallet_table() -> Table {
    Table::domain("wallet")
}

/// What a client asks for; amounts in hundredths of a point. Every member can be a user and a model.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// `payment`: the number of the outside's payment. Several clients book the same one.
    Deposit {
        member: u8,
        amount: i64,
        payment: u8,
    },
    Withdraw {
        account_type: AccountType,
        member: u8,
        amount: i64,
        payment: u8,
    },
    Hold {
        member: u8,
        amount: i64,
        reason: HoldReason,
    },
    /// Ends one of the user's last escrows, whatever happened to it before.
    Settle {
        user: u8,
        which: u8,
        model: u8,
    },
    Refund {
        user: u8,
        which: u8,
    },
    /// Divides an escrow by hundredths of it. `off`: how much the parts leave over.
    PartialSettle {
        user: u8,
        which: u8,
        model: u8,
        percent: u8,
        off: i64,
    },
}

/// The payments that random commands book. There are few, so that some are booked again, by others too.
const PAYMENTS: u8 = 60;

/// Gives every member points and holds some of them: the other commands start from these, and several clients end the
/// same escrows.
pub(super) fn funds() -> impl Iterator<Item = Command> {
    (0..MEMBERS).flat_map(|member| {
        let (amount, reason) = (10_000, HoldReason::Tip);
        // No other command books these payments.
        let payment = PAYMENTS + member;
        let deposit = Command::Deposit {
            member,
            amount,
            payment,
        };
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
    // The first escrows are used most, so that several clients end the same one.
    let which = || prop_oneof![2 => Just(0_u8), 1 => 0..4_u8];
    let account_type = || prop::sample::select(AccountType::ALL.to_vec());
    let payment = || 0..PAYMENTS;
    let reason = || prop::sample::select(HoldReason::ALL.to_vec());
    let off = || prop_oneof![4 => Just(0_i64), 1 => -1..=1_i64];
    prop_oneof![
        4 => (member(), 1..20_000_i64, payment())
            .prop_map(|(member, amount, payment)| Command::Deposit { member, amount, payment }),
        2 => (account_type(), member(), 0..6_000_i64, payment()).prop_map(|(account_type, member, amount, payment)| {
            Command::Withdraw { account_type, member, amount, payment }
        }),
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

fn reference(payment: u8) -> ExternalReference {
    ExternalReference::new(format!("bank/{payment}")).expect("a reference")
}

/// Everyone counts as a member here: the API looks up who is a member.
struct Everybody;

#[async_trait]
impl Members for Everybody {
    async fn is_member(&self, _: &MemberId) -> Result<bool, outbox::Error> {
        Ok(true)
    }
}

/// One of the last escrows in the user's ledger.
async fn escrow(outbox: &Outbox, user: u8, which: u8) -> Result<Option<EscrowId>, outbox::Error> {
    let query = newest_first(&wallet_table(), AccountType::User, &member_id(user), 40);
    let (entries, _) = outbox.rows::<LedgerEntry>(&query).await?;
    let ids: Vec<EscrowId> = entries
        .into_iter()
        .filter(|entry| {
            entry.balance_state == Side::Escrow && entry.amount.decimal() > Decimal::ZERO
        })
        .filter_map(|entry| entry.escrow_id)
        .collect();
    Ok(ids.get(usize::from(which)).copied())
}

/// Runs a command. A command against the rules is refused.
pub(super) async fn decide(
    outbox: &Outbox,
    command: &Command,
    mut transaction: Transaction,
) -> Result<Decision<Value, ()>, outbox::Error> {
    match run(outbox, command, &mut transaction).await {
        Ok(true) => Ok(committed(transaction)),
        Ok(false) | Err(Stopped::Refused(_)) => Ok(Decision::Refuse(())),
        Err(Stopped::Failed(error)) => Err(error),
    }
}

/// Runs a command. Returns `false` if the client finds nothing to ask for.
async fn run(
    outbox: &Outbox,
    command: &Command,
    transaction: &mut Transaction,
) -> Result<bool, Stopped> {
    let wallets = Wallets {
        outbox,
        table: &wallet_table(),
        members: &Everybody,
    };
    match *command {
        Command::Deposit {
            member,
            amount,
            payment,
        } => {
            let (user, reference) = (member_id(member), reference(payment));
            wallets
                .deposit(transaction, &user, points(amount), &reference)
                .await?;
        }
        Command::Withdraw {
            account_type,
            member,
            amount,
            payment,
        } => {
            let (member, amount) = (member_id(member), points(amount));
            let reference = reference(payment);
            wallets
                .withdraw(transaction, account_type, &member, amount, &reference)
                .await?;
        }
        Command::Hold {
            member,
            amount,
            reason,
        } => {
            let hold = HoldCommand {
                amount: points(amount),
                reason,
                queue_item_id: Text::new("queue-1").expect("a text"),
                feature_type: Text::new("song").expect("a text"),
                request_id: Text::new("request-1").expect("a text"),
            };
            let user = member_id(member);
            wallets.hold(transaction, &user, hold).await?;
        }
        Command::Settle { user, which, model } => {
            let Some(escrow) = escrow(outbox, user, which).await? else {
                return Ok(false);
            };
            let model = member_id(model);
            wallets.settle(transaction, escrow, &model).await?;
        }
        Command::Refund { user, which } => {
            let Some(escrow) = escrow(outbox, user, which).await? else {
                return Ok(false);
            };
            wallets.refund(transaction, escrow).await?;
        }
        Command::PartialSettle {
            user,
            which,
            model,
            percent,
            off,
        } => {
            let Some(escrow) = escrow(outbox, user, which).await? else {
                return Ok(false);
            };
            let held = wallets.escrow(escrow).await?;
            let whole = held.state().map_or(Points::ZERO, Escrow::amount).decimal();
            let settle = (whole * Decimal::new(percent.into(), 2)).round_dp(2);
            let refund = whole - settle + Decimal::new(off, 2);
            let (Ok(refund), Ok(settle)) = (Points::new(refund), Points::new(settle)) else {
                return Ok(false);
            };
            let (model, parts) = (member_id(model), Parts { refund, settle });
            wallets
                .partial_settle(transaction, escrow, &model, parts)
                .await?;
        }
    }
    Ok(true)
}
