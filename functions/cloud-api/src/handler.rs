//! What each endpoint reads, decides and writes.

pub mod rate_cards;
pub mod redemptions;
mod refused;
pub mod stakes;

use std::sync::Arc;

use api::{
    Command, Created, Decision, Failure, Page, PageQuery, Path, Problem, Query, Reply, State,
};
use cloud::{
    Account, Rate,
    account::{self, Burn, ChargeId, Holder, Holding, MintedCharge, Moment, Movement, Parties},
    backing::Figures,
    stake::RevenueShares,
    totals::Reading,
    treasury::{self, Stated, TreasuryAccount},
};
use events::{Credits, MemberId, Sequence};
use member::Member;
use outbox::{Entity, Error, Outbox, Table};

use self::refused::refused;
use crate::wire::{
    AccountPath, BalanceAnswer, BurnAnswer, BurnRequest, MintAnswer, MintRequest, TransferAnswer,
    TransferRequest, TreasuryAccountAnswer, TreasuryAccountPath, TreasuryAccountRequest,
    TreasuryAnswer,
};

/// What the endpoints work on.
#[derive(Debug, Clone)]
pub struct App {
    outbox: Outbox,
    cloud: Table,
    members: Table,
    rate: Rate,
    shares: RevenueShares,
}

type Decided<A> = Result<Decision<A, Problem>, Failure>;

impl App {
    /// Over an outbox, with the domain's table, the members', what a credit is worth and which share of the revenue a
    /// stake earns.
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

    async fn account(&self, id: &str) -> Result<Entity<Account>, Error> {
        self.outbox.load(&self.cloud, id).await
    }

    async fn member(&self, id: &MemberId) -> Result<Option<Holder>, Error> {
        let member: Entity<Member> = self.outbox.load(&self.members, id.as_str()).await?;
        Ok(member.state().map(|member| Holder {
            member_id: member.member_id().clone(),
            name: member.name().clone(),
        }))
    }

    /// Who an account's credits belong to: a member, nobody (unallocated), or a member that does not exist.
    async fn holder(
        &self,
        id: Option<&MemberId>,
    ) -> Result<Result<Option<Holder>, Problem>, Error> {
        let Some(id) = id else { return Ok(Ok(None)) };
        Ok(match self.member(id).await? {
            Some(holder) => Ok(Some(holder)),
            None => Err(unknown_member("/member_id", id)),
        })
    }

    async fn minted_before(
        &self,
        charge: Option<&ChargeId>,
    ) -> Result<Option<MintedCharge>, Failure> {
        match charge {
            Some(charge) => Ok(self.outbox.row(&charge.fact_key(&self.cloud)?).await?),
            None => Ok(None),
        }
    }
}

/// 404 for a member that a request names at `pointer`.
fn unknown_member(pointer: &str, id: &MemberId) -> Problem {
    Problem::not_found(format!("there is no member {id}"))
        .violation(pointer, "is no member")
        .with("member_id", id.as_str())
}

/// POST `/cloud/mints`.
///
/// # Errors
/// 404 for an unknown member; 409 for a charge minted before; what every command has.
pub async fn mint(
    State(app): State<Arc<App>>,
    command: Command<MintRequest>,
) -> Result<Created<MintAnswer>, Problem> {
    let app = &app;
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let member_id = body.member_id.as_ref();
        let account_id = account::account_id(member_id);
        let (holder, minted_before, account) = tokio::try_join!(
            async { Ok(app.holder(member_id).await?) },
            app.minted_before(body.stripe_charge_id.as_ref()),
            async { Ok::<_, Failure>(app.account(account_id).await?) },
        )?;
        let holder = match holder {
            Ok(holder) => holder,
            Err(unknown) => return Ok(Decision::Refuse(unknown)),
        };
        let mint = account::Mint {
            holder,
            amount: body.amount.amount(),
            stripe_charge_id: body.stripe_charge_id.clone(),
            stripe_payment_intent_id: body.stripe_payment_intent_id.clone(),
            description: body.description.clone(),
        };
        let moment = Moment::of(&transaction, app.rate);
        let minting = match account::mint(
            Holding::of(&account)?,
            minted_before.as_ref(),
            mint,
            &moment,
        ) {
            Ok(minting) => minting,
            Err(refusal) => return refused(&refusal),
        };
        let event_id = minting.save(&mut transaction, &app.cloud, &account)?;
        let answer = MintAnswer {
            transaction_id: minting.event.transaction_id,
            event_id,
            balance_after: minting.event.balance_after,
        };
        Ok(Decision::Commit(transaction, answer))
    })
    .await
}

/// POST `/cloud/transfers`.
///
/// # Errors
/// 404 for an unknown member; 409 where the balance is not enough; 422 to oneself; what every command has.
pub async fn transfer(
    State(app): State<Arc<App>>,
    command: Command<TransferRequest>,
) -> Result<Created<TransferAnswer>, Problem> {
    let app = &app;
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let parties = match Parties::new(body.from_member_id.clone(), body.to_member_id.clone()) {
            Ok(parties) => parties,
            Err(refusal) => return refused(&refusal),
        };
        let (giver, receiver, accounts) = tokio::try_join!(
            app.member(parties.from()),
            app.member(parties.to()),
            app.outbox.load_pair::<Account>(
                &app.cloud,
                parties.from().as_str(),
                parties.to().as_str()
            ),
        )?;
        let (from, to) = accounts;
        let Some(giver) = giver else {
            return Ok(Decision::Refuse(unknown_member(
                "/from_member_id",
                parties.from(),
            )));
        };
        let Some(receiver) = receiver else {
            return Ok(Decision::Refuse(unknown_member(
                "/to_member_id",
                parties.to(),
            )));
        };
        let transfer = account::Transfer {
            parties,
            from_name: giver.name,
            to_name: receiver.name,
            amount: body.amount.amount(),
            description: body.description.clone(),
        };
        let moment = Moment::of(&transaction, app.rate);
        let transferring =
            match account::transfer(Holding::of(&from)?, Holding::of(&to)?, transfer, &moment) {
                Ok(transferring) => transferring,
                Err(refusal) => return refused(&refusal),
            };
        let event_id = transferring.save(&mut transaction, &app.cloud, &from, &to)?;
        let answer = TransferAnswer {
            transaction_id: transferring.event.transaction_id,
            event_id,
            from_balance_after: transferring.event.from_balance_after,
            to_balance_after: transferring.event.to_balance_after,
        };
        Ok(Decision::Commit(transaction, answer))
    })
    .await
}

/// POST `/cloud/burns`.
///
/// # Errors
/// 404 for an unknown member; 409 where the balance is not enough; what every command has.
pub async fn burn(
    State(app): State<Arc<App>>,
    command: Command<BurnRequest>,
) -> Result<Created<BurnAnswer>, Problem> {
    let app = &app;
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let member_id = body.member_id.as_ref();
        let (holder, account) = tokio::try_join!(
            app.holder(member_id),
            app.account(account::account_id(member_id))
        )?;
        let holder = match holder {
            Ok(holder) => holder,
            Err(unknown) => return Ok(Decision::Refuse(unknown)),
        };
        let burn = Burn {
            holder,
            amount: body.amount.amount(),
            reason: body.reason.clone(),
            description: body.description.clone(),
        };
        let moment = Moment::of(&transaction, app.rate);
        let burning = match account::burn(Holding::of(&account)?, burn, &moment) {
            Ok(burning) => burning,
            Err(refusal) => return refused(&refusal),
        };
        let event_id = burning.save(&mut transaction, &app.cloud, &account)?;
        let answer = BurnAnswer {
            transaction_id: burning.event.transaction_id,
            event_id,
            balance_after: burning.account.balance(),
        };
        Ok(Decision::Commit(transaction, answer))
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
        app.holder(member_id.member_id()),
        app.account(member_id.account_id())
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
        app.holder(path.member_id.member_id()),
        app.outbox.rows::<Movement>(&query)
    )?;
    holder?;
    Reply::of(&Page::of(&query, lines, next.as_ref()))
}

/// PUT `/cloud/treasury/accounts/{account_id}`.
///
/// # Errors
/// What every command has.
pub async fn state_treasury_account(
    State(app): State<Arc<App>>,
    Path(path): Path<TreasuryAccountPath>,
    command: Command<TreasuryAccountRequest>,
) -> Result<Reply<TreasuryAccountAnswer>, Problem> {
    let (app, account_id) = (&app, &path.account_id);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let balance = body.balance.amount();
        let entity: Entity<TreasuryAccount> =
            app.outbox.load(&app.cloud, account_id.as_str()).await?;
        let next = entity.next_version()?;
        let version =
            match treasury::state_balance(entity.state(), account_id.clone(), balance, next) {
                Stated::Same => Sequence::new(entity.version())?,
                Stated::Changed(change) => {
                    change.save(&mut transaction, &entity)?;
                    next
                }
            };
        let answer = TreasuryAccountAnswer {
            account_id: account_id.clone(),
            balance,
            version,
        };
        Ok(Decision::Commit(transaction, answer))
    })
    .await
}

/// GET `/cloud/treasury`.
///
/// # Errors
/// What every reading has.
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
