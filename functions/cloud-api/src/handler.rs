//! What each endpoint reads, decides and writes.

pub mod rate_cards;
pub mod redemptions;
mod refused;
pub mod stakes;

use std::sync::Arc;

use api::{Command, Created, Decision, Page, PageQuery, Path, Problem, Query, Reply, State};
use async_trait::async_trait;
use cloud::{
    Account, Rate,
    account::{Holder, Movement, Parties, StripePayment},
    backing::Figures,
    operations::{BurnOf, Cloud, Members, MintFor, TransferBetween},
    stake::RevenueShares,
    totals::Reading,
};
use events::{Credits, MemberId};
use member::Member;
use outbox::{Entity, Error, Outbox, Table};

use self::refused::refused;
use crate::wire::{
    AccountPath, BalanceAnswer, BurnAnswer, BurnRequest, MintAnswer, MintRequest, TransferAnswer,
    TransferRequest, TreasuryAccountAnswer, TreasuryAccountPath, TreasuryAccountRequest,
    TreasuryAnswer,
};

/// The state that the endpoints share.
#[derive(Debug, Clone)]
pub struct App {
    outbox: Outbox,
    cloud: Table,
    members: Table,
    rate: Rate,
    shares: RevenueShares,
}

impl App {
    /// Creates the state from an outbox, the domain's table, the members' table, the value of a credit, and the table
    /// of revenue shares.
    #[must_use]
    pub fn new(
        outbox: Outbox,
        cloud: Table,
        members: Table,
        rate: Rate,
        shares: RevenueShares,
    ) -> Self {
        Self {
            outbox,
            cloud,
            members,
            rate,
            shares,
        }
    }

    fn operations(&self) -> Cloud<'_, Self> {
        Cloud {
            outbox: &self.outbox,
            table: &self.cloud,
            members: self,
            rate: self.rate,
            shares: &self.shares,
        }
    }

    /// Checks that the account's member exists. The unallocated account (`None`) always exists.
    async fn owned(&self, id: Option<&MemberId>) -> Result<Result<(), Problem>, Error> {
        let owner = self.operations().owner(id).await?;
        Ok(owner.map(drop).map_err(|_| match id {
            Some(id) => unknown_member("/member_id", id),
            None => Problem::not_found("there is no such account"),
        }))
    }
}

/// The 404 problem for an unknown member that the request names at `pointer`.
fn unknown_member(pointer: &str, id: &MemberId) -> Problem {
    Problem::not_found(format!("there is no member {id}"))
        .violation(pointer, "is no member")
        .with("member_id", id.as_str())
}

#[async_trait]
impl Members for App {
    async fn holder(&self, id: &MemberId) -> Result<Option<Holder>, Error> {
        let member: Entity<Member> = self.outbox.load(&self.members, id.as_str()).await?;
        Ok(member.state().map(|member| Holder {
            member_id: member.member_id().clone(),
            name: member.name().clone(),
        }))
    }
}

/// POST `/cloud/mints`.
///
/// # Errors
/// 404 for an unknown member; 409 for a charge that has already been minted; the problems that every command can
/// return.
pub async fn mint(
    State(app): State<Arc<App>>,
    command: Command<MintRequest>,
) -> Result<Created<MintAnswer>, Problem> {
    let app = &app;
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let mint = MintFor {
            member_id: body.member_id.clone(),
            amount: body.amount.amount(),
            payment: StripePayment {
                charge_id: body.stripe_charge_id.clone(),
                payment_intent_id: body.stripe_payment_intent_id.clone(),
            },
            description: body.description.clone(),
        };
        let done = app.operations().mint(&mut transaction, mint).await;
        api::decided(transaction, done, refused, |done| MintAnswer {
            transaction_id: done.decided.event.transaction_id,
            event_id: done.event_id,
            balance_after: done.decided.event.balance_after,
        })
    })
    .await
}

/// POST `/cloud/transfers`.
///
/// # Errors
/// 404 for an unknown member; 409 if the balance is insufficient; 422 for a transfer to oneself; the problems that
/// every command can return.
pub async fn transfer(
    State(app): State<Arc<App>>,
    command: Command<TransferRequest>,
) -> Result<Created<TransferAnswer>, Problem> {
    let app = &app;
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let parties = match Parties::new(body.from_member_id.clone(), body.to_member_id.clone()) {
            Ok(parties) => parties,
            Err(refusal) => return Ok(Decision::Refuse(refused(&refusal)?)),
        };
        let transfer = TransferBetween {
            parties,
            amount: body.amount.amount(),
            description: body.description.clone(),
        };
        let done = app.operations().transfer(&mut transaction, transfer).await;
        api::decided(transaction, done, refused, |done| {
            let event = &done.decided.event;
            TransferAnswer {
                transaction_id: event.transaction_id,
                event_id: done.event_id,
                from_balance_after: event.from_balance_after,
                to_balance_after: event.to_balance_after,
            }
        })
    })
    .await
}

/// POST `/cloud/burns`.
///
/// # Errors
/// 404 for an unknown member; 409 if the balance is insufficient; the problems that every command can return.
pub async fn burn(
    State(app): State<Arc<App>>,
    command: Command<BurnRequest>,
) -> Result<Created<BurnAnswer>, Problem> {
    let app = &app;
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let burn = BurnOf {
            member_id: body.member_id.clone(),
            amount: body.amount.amount(),
            reason: body.reason.clone(),
            description: body.description.clone(),
        };
        let done = app.operations().burn(&mut transaction, burn).await;
        api::decided(transaction, done, refused, |done| BurnAnswer {
            transaction_id: done.decided.event.transaction_id,
            event_id: done.event_id,
            balance_after: done.decided.account.balance(),
        })
    })
    .await
}

/// GET `/cloud/balances/{member_id}`.
///
/// # Errors
/// 404 for an unknown member.
pub async fn balance(
    State(app): State<Arc<App>>,
    Path(path): Path<AccountPath>,
) -> Result<Reply<BalanceAnswer>, Problem> {
    let member_id = path.member_id;
    let (holder, account) = tokio::try_join!(
        app.owned(member_id.member_id()),
        app.outbox
            .load::<Account>(&app.cloud, member_id.account_id())
    )?;
    holder?;
    let balance = account.state().map_or(Credits::ZERO, Account::balance);
    let balance_usd = app
        .rate
        .value_of(balance)
        .map_err(|error| Problem::internal(&error))?;
    Reply::of(&BalanceAnswer {
        member_id,
        balance,
        balance_usd,
        staked_balance: account.state().map_or(Credits::ZERO, Account::staked),
    })
}

/// GET `/cloud/members/{member_id}/transactions`.
///
/// # Errors
/// 404 for an unknown member.
pub async fn transactions(
    State(app): State<Arc<App>>,
    Path(path): Path<AccountPath>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<Movement>>, Problem> {
    let query = Movement::statement(&app.cloud, path.member_id.account_id(), page.limit.number());
    let query = page.apply(query)?;
    let (holder, (lines, next)) = tokio::try_join!(
        app.owned(path.member_id.member_id()),
        app.outbox.rows::<Movement>(&query)
    )?;
    holder?;
    Reply::of(&Page::of(&query, lines, next.as_ref()))
}

/// PUT `/cloud/treasury/accounts/{account_id}`.
///
/// # Errors
/// The problems that every command can return.
pub async fn state_treasury_account(
    State(app): State<Arc<App>>,
    Path(path): Path<TreasuryAccountPath>,
    command: Command<TreasuryAccountRequest>,
) -> Result<Reply<TreasuryAccountAnswer>, Problem> {
    let (app, account_id) = (&app, &path.account_id);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let balance = body.balance.amount();
        let operations = app.operations();
        let done = operations
            .state_balance(&mut transaction, account_id, balance)
            .await;
        api::decided(transaction, done, refused, |version| {
            TreasuryAccountAnswer {
                account_id: account_id.clone(),
                balance,
                version: *version,
            }
        })
    })
    .await
}

/// GET `/cloud/treasury`.
///
/// # Errors
/// The problems that every read can return.
pub async fn treasury(State(app): State<Arc<App>>) -> Result<Reply<TreasuryAnswer>, Problem> {
    let reading = Reading::of(&app.outbox, &app.cloud).await?;
    let figures = Figures::of(&reading, app.rate).map_err(|error| Problem::internal(&error))?;
    Reply::of(&TreasuryAnswer {
        outstanding: figures.outstanding,
        outstanding_usd: figures.outstanding_usd,
        reserve_usd: figures.reserve,
        backing_percent: figures.backing_percent,
    })
}
