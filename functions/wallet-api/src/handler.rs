//! What each endpoint reads, decides and writes.

pub mod escrows;
pub mod reads;
mod refused;

use std::sync::Arc;

use api::{Command, Created, Decision, Failure, Path, Problem, Reply, State};
use events::{MemberId, contracts::wallet::AccountType};
use member::Member;
use outbox::{Entity, Error, Outbox, Table};
use wallet::{Account, Holding, Moment, outside};

use self::refused::refused;
use crate::{
    balances::{Balances, Writing},
    wire::{DepositAnswer, DepositRequest, WalletPath, WithdrawalAnswer, WithdrawalRequest},
};

/// The tables that the endpoints work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// Accounts, ledger, escrows, balances to read.
    pub wallet: Table,
    /// Members, read only.
    pub members: Table,
    /// What `activity-feed` keeps, read only.
    pub activity: Table,
}

/// What the endpoints work on.
#[derive(Debug)]
pub struct App {
    outbox: Outbox,
    tables: Tables,
    balances: Balances,
}

type Decided<A> = Result<Decision<A, Problem>, Failure>;

impl App {
    /// Over an outbox, with the tables and the reader of balances.
    #[must_use]
    pub fn new(outbox: Outbox, tables: Tables, balances: Balances) -> Self {
        Self {
            outbox,
            tables,
            balances,
        }
    }

    /// Members are never deleted: whoever is there stays there.
    async fn is_member(&self, id: &MemberId) -> Result<bool, Error> {
        let member: Entity<Member> = self.outbox.load(&self.tables.members, id.as_str()).await?;
        Ok(member.state().is_some())
    }

    async fn account(
        &self,
        account_type: AccountType,
        id: &MemberId,
    ) -> Result<Entity<Account>, Error> {
        self.outbox
            .load(&self.tables.wallet, &account_type.account(id))
            .await
    }

    /// Hands a command's answer on, and lets no reading fall behind what it wrote. A repeat, and what failed (503, 500), may have
    /// been written all the same: as of what was decided last.
    fn told<A, const STATUS: u16>(
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

/// 404 for a member that a request names at `pointer`.
fn unknown_member(pointer: &str, id: &MemberId) -> Problem {
    Problem::not_found(format!("there is no member {id}"))
        .violation(pointer, "is no member")
        .with("member_id", id.as_str())
}

/// 404 for the member in the path.
fn unknown_user(id: &MemberId) -> Problem {
    unknown_member("/path/user_id", id)
}

/// POST `/wallets/{user_id}/deposits`.
///
/// # Errors
/// 404 for an unknown member; 409 for a full account; what every command has.
pub async fn deposit(
    State(app): State<Arc<App>>,
    Path(path): Path<WalletPath>,
    command: Command<DepositRequest>,
) -> Result<Created<DepositAnswer>, Problem> {
    let (app, user_id, writing) = (&app, &path.user_id, &Writing::default());
    let reply = api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let (known, entity) = tokio::try_join!(
            app.is_member(user_id),
            app.account(AccountType::User, user_id)
        )?;
        if !known {
            return Ok(Decision::Refuse(unknown_user(user_id)));
        }
        let user = Holding::of(AccountType::User, user_id.clone(), &entity)?;
        let moment = Moment::of(&transaction);
        let moving = match outside::deposit(&user, body.amount.amount(), &moment) {
            Ok(moving) => moving,
            Err(refusal) => return refused(&refusal),
        };
        let event_id = moving.save(&mut transaction, &app.tables.wallet, &entity)?;
        writing.set([&moving.posting]);
        let answer = DepositAnswer {
            transaction_id: moment.transaction_id,
            event_id,
            available: moving.posting.account.available(),
        };
        Ok(Decision::Commit(transaction, answer))
    })
    .await;
    app.told(writing, reply)
}

/// POST `/wallets/{user_id}/withdrawals`.
///
/// # Errors
/// 404 for an unknown member; 409 where the account has not enough; what every command has.
pub async fn withdraw(
    State(app): State<Arc<App>>,
    Path(path): Path<WalletPath>,
    command: Command<WithdrawalRequest>,
) -> Result<Created<WithdrawalAnswer>, Problem> {
    let (app, user_id, writing) = (&app, &path.user_id, &Writing::default());
    let reply = api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let account_type = body.account_type;
        let (known, entity) =
            tokio::try_join!(app.is_member(user_id), app.account(account_type, user_id))?;
        if !known {
            return Ok(Decision::Refuse(unknown_user(user_id)));
        }
        let holding = Holding::of(account_type, user_id.clone(), &entity)?;
        let moment = Moment::of(&transaction);
        let moving = match outside::withdraw(&holding, body.amount.amount(), &moment) {
            Ok(moving) => moving,
            Err(refusal) => return refused(&refusal),
        };
        let event_id = moving.save(&mut transaction, &app.tables.wallet, &entity)?;
        writing.set([&moving.posting]);
        let after = moving.event.balance_after;
        let answer = WithdrawalAnswer {
            transaction_id: moment.transaction_id,
            event_id,
            available: (account_type == AccountType::User).then_some(after),
            earned: (account_type == AccountType::Model).then_some(after),
        };
        Ok(Decision::Commit(transaction, answer))
    })
    .await;
    app.told(writing, reply)
}
