//! Reads balances from this instance's cache, otherwise from the rows of `wallet-balances`, otherwise from the accounts
//! themselves. A balance never lags behind the writes of this instance (`infra/adr/0020`).

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use events::{
    MemberId, Points, Timestamp,
    contracts::wallet::{AccountType, BalanceState},
};
use moka::sync::Cache;
use outbox::{Entity, Error, Outbox, Table};
use schemars::JsonSchema;
use serde::Serialize;
use wallet::{
    Account, Posting,
    balances::{self, BalanceRow},
    outside,
};

/// The settings of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSettings {
    /// Whether the cache is on.
    pub on: bool,
    /// The maximum number of accounts.
    pub size: u64,
    /// How long a balance is cached.
    pub ttl: Duration,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            on: true,
            size: 10_000,
            ttl: Duration::from_secs(5),
        }
    }
}

/// The source of a balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Source {
    /// The instance's cache.
    Cache,
    /// The rows of `wallet-balances`, which reflect the newest handled events.
    ReadModel,
    /// The account itself.
    Store,
}

/// The balances of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// The points that can be spent.
    pub available: Points,
    /// The points that are held.
    pub escrow: Points,
    /// The points that were earned.
    pub earned: Points,
    /// The time of the data. For rows, it is the newest row's time; another row may be older.
    pub as_of: Timestamp,
}

/// For each balance state, the account's version at its last change, in the order of [`BalanceState::ALL`].
type Versions = [u64; BalanceState::ALL.len()];

/// A write of this instance to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    account: String,
    versions: Versions,
}

/// The writes of a command, from its last decision. If the answer was lost, the writes may or may not have been
/// committed. If they were, the rows catch up. If they were not, the rows are not trusted until a later movement of the
/// same balance states.
#[derive(Debug, Default)]
pub struct Writing(Mutex<Vec<Written>>);

impl Writing {
    /// Sets the writes to those of a new decision.
    pub fn set<'p>(&self, postings: impl IntoIterator<Item = &'p Posting>) {
        *lock(&self.0) = postings
            .into_iter()
            .map(|posting| {
                let mut versions = Versions::default();
                for update in &posting.updates {
                    versions[place(update.balance_state)] = posting.version.number();
                }
                Written {
                    account: posting.account_type.account(&posting.account_id),
                    versions,
                }
            })
            .collect();
    }

    fn take(&self) -> Vec<Written> {
        std::mem::take(&mut *lock(&self.0))
    }
}

fn place(state: BalanceState) -> usize {
    match state {
        BalanceState::Available => 0,
        BalanceState::Escrow => 1,
        BalanceState::Earned => 2,
    }
}

/// The writes of this instance that the read model may not have yet.
#[derive(Debug, Default)]
struct Own {
    /// Every command increases it by one. A read that was in progress at that time is not cached.
    epoch: u64,
    versions: HashMap<String, Versions>,
    /// Some writes were dropped because `versions` was full. From then on, for the life of the instance, nothing is
    /// known about an account that is not in `versions`.
    forgot: bool,
}

/// Reads balances.
#[derive(Debug)]
pub struct Balances {
    cache: Option<Cache<String, Snapshot>>,
    own: Mutex<Own>,
    /// The maximum number of accounts in `versions`, the same as of the cache.
    remembered: usize,
}

impl Balances {
    /// Creates the reader, with or without a cache.
    #[must_use]
    pub fn new(settings: &CacheSettings) -> Self {
        let cache = settings.on.then(|| {
            Cache::builder()
                .max_capacity(settings.size)
                .time_to_live(settings.ttl)
                .build()
        });
        Self {
            cache,
            own: Mutex::default(),
            remembered: usize::try_from(settings.size).unwrap_or(usize::MAX),
        }
    }

    /// Returns the balances of an account and their source; `None` if the account does not exist.
    ///
    /// # Errors
    /// [`Error`] if the store fails or an item cannot be read.
    pub async fn read(
        &self,
        outbox: &Outbox,
        table: &Table,
        (account_type, account_id): (AccountType, &MemberId),
        consistent: bool,
    ) -> Result<Option<(Snapshot, Source)>, Error> {
        let account = account_type.account(account_id);
        if !consistent && let Some(snapshot) = self.cached(&account) {
            return Ok(Some((snapshot, Source::Cache)));
        }
        let epoch = lock(&self.own).epoch;
        if !consistent {
            let query = balances::of_account(table, account_type, account_id);
            let (rows, _) = outbox.rows::<BalanceRow>(&query).await?;
            if let Some(snapshot) = of_rows(account_type, &rows)
                && self.has_own_writes(&account, &rows)
            {
                self.keep(account, snapshot, epoch);
                return Ok(Some((snapshot, Source::ReadModel)));
            }
        }
        let as_of = outbox.clock().now();
        let entity: Entity<Account> = outbox.load(table, &account).await?;
        let Some(state) = entity.state() else {
            return Ok(None);
        };
        let snapshot = Snapshot {
            available: state.available(),
            escrow: state.escrow(),
            earned: state.earned(),
            as_of,
        };
        self.keep(account, snapshot, epoch);
        Ok(Some((snapshot, Source::Store)))
    }

    /// Records that a command was, or may have been, committed. Removes its accounts from the cache, and no longer
    /// trusts older rows.
    pub fn wrote(&self, writing: &Writing) {
        let mut own = self.forgetting(writing);
        for Written { account, versions } in writing.take() {
            if let Some(known) = own.versions.get_mut(&account) {
                for (known, version) in known.iter_mut().zip(versions) {
                    *known = version.max(*known);
                }
            } else if own.versions.len() < self.remembered {
                own.versions.insert(account, versions);
            } else {
                own.forgot = true;
            }
        }
    }

    /// Records that a command was refused. Removes its accounts from the cache.
    pub fn forget(&self, writing: &Writing) {
        drop(self.forgetting(writing));
    }

    fn forgetting(&self, writing: &Writing) -> MutexGuard<'_, Own> {
        let mut own = lock(&self.own);
        own.epoch = own.epoch.wrapping_add(1);
        if let Some(cache) = &self.cache {
            for written in lock(&writing.0).iter() {
                cache.invalidate(&written.account);
            }
        }
        own
    }

    fn cached(&self, account: &str) -> Option<Snapshot> {
        self.cache.as_ref()?.get(account)
    }

    fn keep(&self, account: String, snapshot: Snapshot, epoch: u64) {
        let Some(cache) = &self.cache else { return };
        // The lock is held, so no command can end between the check and the insertion.
        let own = lock(&self.own);
        if own.epoch == epoch {
            cache.insert(account, snapshot);
        }
    }

    /// Whether the rows contain all writes of this instance. Once they do, they always will, because rows never go
    /// back.
    fn has_own_writes(&self, account: &str, rows: &[BalanceRow]) -> bool {
        let mut own = lock(&self.own);
        let Some(versions) = own.versions.get(account) else {
            return !own.forgot;
        };
        let has = BalanceState::ALL.into_iter().all(|state| {
            let row = rows.iter().find(|row| row.balance_state == state);
            row.map_or(0, |row| row.version.number()) >= versions[place(state)]
        });
        if has && !own.forgot {
            own.versions.remove(account);
        }
        has
    }
}

/// Returns the balances of the rows; `None` if a row is missing that every account of this type has.
fn of_rows(account_type: AccountType, rows: &[BalanceRow]) -> Option<Snapshot> {
    // The first posting of an account changes this state, so if its row is missing, an event is still on its way. A
    // user's escrow row may be missing because the user never held anything. Otherwise the hold is half delivered, as
    // can happen between any two rows.
    let first = outside::withdrawable(account_type);
    rows.iter().find(|row| row.balance_state == first)?;
    let newest = rows.iter().max_by_key(|row| row.version)?;
    let balance = |state| {
        let row = rows.iter().find(|row| row.balance_state == state);
        row.map_or(Points::ZERO, |row| row.balance)
    };
    Some(Snapshot {
        available: balance(BalanceState::Available),
        escrow: balance(BalanceState::Escrow),
        earned: balance(BalanceState::Earned),
        as_of: newest.occurred_at,
    })
}

/// A panic while the lock was held leaves, at worst, a balance that is not cached.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
