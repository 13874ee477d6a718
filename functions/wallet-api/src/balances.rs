//! How balances are read: from this instance's cache, else from the rows of `wallet-balances`, else from the accounts
//! themselves; never below what this instance itself wrote (`infra/adr/0020`).

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
    balances::{self, Row},
    outside,
};

/// The settings of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSettings {
    /// Whether there is one.
    pub on: bool,
    /// How many accounts at most.
    pub size: u64,
    /// How long a reading is kept.
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

/// Where balances were read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Source {
    /// From what this instance read a moment ago.
    Cache,
    /// From what the newest events that were handled say.
    ReadModel,
    /// From the account itself.
    Store,
}

/// The balances of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// How many points can be spent.
    pub available: Points,
    /// How many are held.
    pub escrow: Points,
    /// How many were earned.
    pub earned: Points,
    /// The moment of what was read; of rows, of the newest: another may be older.
    pub as_of: Timestamp,
}

/// The account's version that each balance state was last changed by, by the place of the state in [`BalanceState::ALL`].
type Versions = [u64; BalanceState::ALL.len()];

/// What this instance wrote to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    account: String,
    versions: Versions,
}

/// What a command is about to write, from its last decision. Where the answer was lost it is what may have been written: the rows
/// then have it, or have never heard of it and are not believed until a later movement of the same balance states.
#[derive(Debug, Default)]
pub struct Writing(Mutex<Vec<Written>>);

impl Writing {
    /// Sets what it is now.
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

/// What this instance wrote that the read model may not have yet.
#[derive(Debug, Default)]
struct Own {
    /// One more with every command: a reading that was under way then is not kept.
    epoch: u64,
    versions: HashMap<String, Versions>,
    /// Something was written that found no room in `versions`: of an account that is not there nothing is known, for as long as
    /// the instance lives.
    forgot: bool,
}

/// Reads balances.
#[derive(Debug)]
pub struct Balances {
    cache: Option<Cache<String, Snapshot>>,
    own: Mutex<Own>,
    /// As many accounts are remembered as are cached.
    remembered: usize,
}

impl Balances {
    /// With a cache, or without.
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

    /// The balances of an account and where they were read from; none where there is no such account.
    ///
    /// # Errors
    /// [`Error`] when the store fails or an item cannot be read.
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
            let (rows, _) = outbox.rows::<Row>(&query).await?;
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

    /// A command was committed, or may have been: what was cached of its accounts goes, and no older row is believed any more.
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

    /// A command was refused: what was cached of its accounts goes.
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
        // Under the lock: no command's end comes between the question and the answer.
        let own = lock(&self.own);
        if own.epoch == epoch {
            cache.insert(account, snapshot);
        }
    }

    /// Whether the rows have all that this instance wrote. Once they have, they always will: they never go back.
    fn has_own_writes(&self, account: &str, rows: &[Row]) -> bool {
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

/// What the rows say; none where one is missing that every account of its type has.
fn of_rows(account_type: AccountType, rows: &[Row]) -> Option<Snapshot> {
    // An account's first posting changes this state, so without its row something is still on its way. A user's escrow may have
    // never held anything: without a row it is empty, or the hold is half delivered, as between any two rows.
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

/// A panic while it was held leaves at worst a reading that is not kept.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
