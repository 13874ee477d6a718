//! The read endpoints.

use std::sync::Arc;

use api::{Page, PageQuery, Path, Problem, Query, Reply, State};
use events::Points;
use views::activity::{self, Activity};
use wallet::{
    Escrow,
    ledger::{self, LedgerEntry},
    operations::Members as _,
};

use super::{App, escrows::unknown_escrow, unknown_user};
use crate::{
    balances::{Snapshot, Source},
    wire::{BalanceAnswer, BalanceQuery, EscrowPath, LedgerQuery, WalletPath},
};

/// GET `/wallets/{user_id}/balance`.
///
/// # Errors
/// 404 for an unknown member.
pub async fn balance(
    State(app): State<Arc<App>>,
    Path(path): Path<WalletPath>,
    Query(asked): Query<BalanceQuery>,
) -> Result<Reply<BalanceAnswer>, Problem> {
    let user_id = &path.user_id;
    let account = (asked.account_type, user_id);
    let read = app
        .balances
        .read(&app.outbox, &app.tables.wallet, account, asked.consistent)
        .await?;
    // Only members have accounts, so the member is looked up only if there is no account.
    let (snapshot, source) = match read {
        Some(read) => read,
        None if app.is_member(user_id).await? => {
            let nothing = Snapshot {
                available: Points::ZERO,
                escrow: Points::ZERO,
                earned: Points::ZERO,
                as_of: app.outbox.clock().now(),
            };
            (nothing, Source::Store)
        }
        None => return Err(unknown_user(user_id)),
    };
    Reply::of(&BalanceAnswer {
        available: snapshot.available,
        escrow: snapshot.escrow,
        earned: snapshot.earned,
        as_of: snapshot.as_of,
        source,
    })
}

/// GET `/wallets/{user_id}/ledger`.
///
/// # Errors
/// 404 for an unknown member.
pub async fn entries(
    State(app): State<Arc<App>>,
    Path(path): Path<WalletPath>,
    Query(asked): Query<LedgerQuery>,
) -> Result<Reply<Page<LedgerEntry>>, Problem> {
    let user_id = &path.user_id;
    let limit = asked.limit.number();
    let query = ledger::newest_first(&app.tables.wallet, asked.account_type, user_id, limit);
    let query = asked.page().apply(query)?;
    let (known, (entries, next)) = tokio::try_join!(
        app.is_member(user_id),
        app.outbox.rows::<LedgerEntry>(&query)
    )?;
    if !known {
        return Err(unknown_user(user_id));
    }
    Reply::of(&Page::of(&query, entries, next.as_ref()))
}

/// GET `/wallets/{user_id}/activity`.
///
/// # Errors
/// 404 for an unknown member.
pub async fn activity(
    State(app): State<Arc<App>>,
    Path(path): Path<WalletPath>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<Activity>>, Problem> {
    let user_id = &path.user_id;
    let query = activity::page(&app.tables.activity, user_id, page.limit.number(), None);
    let query = page.apply(query)?;
    let (known, (items, next)) =
        tokio::try_join!(app.is_member(user_id), app.outbox.rows::<Activity>(&query))?;
    if !known {
        return Err(unknown_user(user_id));
    }
    Reply::of(&Page::of(&query, items, next.as_ref()))
}

/// GET `/escrows/{escrow_id}`.
///
/// # Errors
/// 404 for an unknown escrow.
pub async fn escrow(
    State(app): State<Arc<App>>,
    Path(path): Path<EscrowPath>,
) -> Result<Reply<Escrow>, Problem> {
    let entity = app.wallets().escrow(path.escrow_id).await?;
    match entity.state() {
        Some(escrow) => Reply::of(escrow),
        None => Err(unknown_escrow(path.escrow_id)),
    }
}
