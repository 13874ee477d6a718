//! What each endpoint reads, decides and writes.

pub mod escrows;
pub mod reads;
mod refused;

use std::sync::Arc;

use api::{Command, Created, Path, Problem, Reply, State};
use async_trait::async_trait;
use events::{MemberId, contracts::wallet::AccountType};
use member::Member;
use outbox::{Entity, Error, Outbox, Table};
use wallet::operations::{Members, Wallets};

use self::refused::refused;
use crate::{
    balances::{Balances, Writing},
    wire::{DepositAnswer, DepositRequest, WalletPath, WithdrawalAnswer, WithdrawalRequest},
};

/// The tables that the endpoints use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletTables {
    /// Accounts, ledger, escrows, and the rows of `wallet-balances`.
    pub wallet: Table,
    /// Members, read only.
    pub members: Table,
    /// The entries of `activity-feed`, read only.
    pub activity: Table,
}

/// The state that the endpoints share.
#[derive(Debug)]
pub struct App {
    outbox: Outbox,
    tables: WalletTables,
    balances: Balances,
}

impl App {
    /// Creates the state from an outbox, the tables and the reader of balances.
    #[must_use]
    pub fn new(outbox: Outbox, tables: WalletTables, balances: Balances) -> Self {
        Self {
            outbox,
            tables,
            balances,
        }
    }

    fn wallets(&self) -> Wallets<'_, Self> {
        Wallets {
            outbox: &self.outbox,
            table: &self.tables.wallet,
            members: self,
        }
    }

    /// Returns a command's answer, and updates or invalidates the cached balances. After a repeat or a failure (503,
    /// 500), the writes may have happened, so the last decision counts as written.
    fn answered<A, const STATUS: u16>(
        &self,
        writing: &Writing,
        reply: Result<Reply<A, STATUS>, Problem>,
    ) -> Result<Reply<A, STATUS>, Problem> {
        match &reply {
            Err(problem) if problem.status().is_client_error() => self.balances.forget(writing),
            Ok(_) | Err(_) => self.balances.wrote(writing),
        }
        reply
    }
}

#[async_trait]
impl Members for App {
    async fn is_member(&self, id: &MemberId) -> Result<bool, Error> {
        let member: Entity<Member> = self.outbox.load(&self.tables.members, id.as_str()).await?;
        Ok(member.state().is_some())
    }
}

/// The 404 problem for an unknown member that the request names at `pointer`.
fn unknown_member(pointer: &str, id: &MemberId) -> Problem {
    Problem::not_found(format!("there is no member {id}"))
        .violation(pointer, "is no member")
        .with("member_id", id.as_str())
}

/// The 404 problem for an unknown member in the path.
fn unknown_user(id: &MemberId) -> Problem {
    unknown_member("/path/user_id", id)
}

/// POST `/wallets/{user_id}/deposits`.
///
/// # Errors
/// 404 for an unknown member; 409 if the payment was deposited before or the balance would exceed the maximum; the problems that every command can return.
pub async fn deposit(
    State(app): State<Arc<App>>,
    Path(path): Path<WalletPath>,
    command: Command<DepositRequest>,
) -> Result<Created<DepositAnswer>, Problem> {
    let (app, user_id, writing) = (&app, &path.user_id, &Writing::default());
    let reply = api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let wallets = app.wallets();
        let (amount, reference) = (body.amount.amount(), &body.external_reference);
        let done = wallets
            .deposit(&mut transaction, user_id, amount, reference)
            .await;
        api::decided(transaction, done, refused, |done| {
            writing.set([&done.moving.posting]);
            DepositAnswer {
                transaction_id: done.transaction_id,
                event_id: done.event_id,
                available: done.moving.posting.account.available(),
            }
        })
    })
    .await;
    app.answered(writing, reply)
}

/// POST `/wallets/{user_id}/withdrawals`.
///
/// # Errors
/// 404 for an unknown member; 409 if the payment was withdrawn before or the account does not have enough; the problems that every command can return.
pub async fn withdraw(
    State(app): State<Arc<App>>,
    Path(path): Path<WalletPath>,
    command: Command<WithdrawalRequest>,
) -> Result<Created<WithdrawalAnswer>, Problem> {
    let (app, user_id, writing) = (&app, &path.user_id, &Writing::default());
    let reply = api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let (wallets, account_type) = (app.wallets(), body.account_type);
        let (amount, reference) = (body.amount.amount(), &body.external_reference);
        let done = wallets
            .withdraw(&mut transaction, account_type, user_id, amount, reference)
            .await;
        api::decided(transaction, done, refused, |done| {
            writing.set([&done.moving.posting]);
            let after = done.moving.event.balance_after;
            WithdrawalAnswer {
                transaction_id: done.transaction_id,
                event_id: done.event_id,
                available: (account_type == AccountType::User).then_some(after),
                earned: (account_type == AccountType::Model).then_some(after),
            }
        })
    })
    .await;
    app.answered(writing, reply)
}
