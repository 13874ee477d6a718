//! Wallets: under any faults, the ledger sums to zero, no escrow ends twice, and accounts, entries, events and the read
//! model agree.

use std::collections::{BTreeMap, BTreeSet};

use events::{
    Contract, Envelope, EscrowId, MemberId, TransactionId,
    contracts::wallet::{
        AccountType, BalanceState, BalanceUpdated, Deposited, EscrowHeld, EscrowPartialSettled,
        EscrowRefunded, EscrowSettled, Withdrawn,
    },
};
use outbox::{Entity, Item};
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wallet::{
    Account, Escrow,
    balances::BalanceRow,
    escrow::Status,
    ledger::{self, LedgerEntry},
};

use super::super::{MEMBERS, World, member_id, wallet::wallet_table};

/// Each payment of the outside was booked at most once, by whomever.
fn judge_payments(log: &[Envelope], wrong: &mut Vec<String>) {
    let mut booked = BTreeSet::new();
    for event in log {
        let reference = match event.event_type.as_str() {
            Deposited::TYPE => payload::<Deposited>(event).external_reference,
            Withdrawn::TYPE => payload::<Withdrawn>(event).external_reference,
            _ => continue,
        };
        if !booked.insert((event.event_type.clone(), reference.clone())) {
            wrong.push(format!("{}: {reference:?} booked twice", event.event_type));
        }
    }
}

/// All rows of the domain's table.
struct StoredWallets {
    entries: Vec<LedgerEntry>,
    rows: Vec<BalanceRow>,
    escrows: BTreeMap<EscrowId, Escrow>,
}

fn typed<T: DeserializeOwned>(item: Item) -> T {
    serde_json::from_value(Value::Object(item)).expect("a valid item")
}

fn payload<C: Contract>(event: &Envelope) -> C {
    events::decode_payload(event).expect("a payload")
}

impl World {
    fn wallets(&self) -> StoredWallets {
        let mut stored = StoredWallets {
            entries: Vec::new(),
            rows: Vec::new(),
            escrows: BTreeMap::new(),
        };
        for item in self.flow.store().items(&wallet_table()) {
            let word = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
            let (pk, sk) = (word("pk"), word("sk"));
            if sk.starts_with("entry#") {
                stored.entries.push(typed(item));
            } else if sk.starts_with("balance#") {
                stored.rows.push(typed(item));
            } else if pk.starts_with("escrow#") {
                let escrow: Escrow = typed(item);
                stored.escrows.insert(escrow.escrow_id(), escrow);
            }
        }
        stored
    }

    fn wallet(&self, account_type: AccountType, member: &MemberId) -> (Account, u64) {
        let id = account_type.account(member);
        let entity: Result<Entity<Account>, _> = self
            .flow
            .look(|site| async move { site.outbox().load(&wallet_table(), &id).await });
        let entity = entity.expect("readable");
        (
            entity.state().copied().unwrap_or_default(),
            entity.version(),
        )
    }

    pub(super) fn judge_wallets(&self, log: &[Envelope], wrong: &mut Vec<String>) {
        let stored = self.wallets();
        let faults = ledger::faults(&stored.entries);
        wrong.extend(faults.iter().map(|fault| format!("ledger: {fault}")));
        let sum: Decimal = stored
            .entries
            .iter()
            .map(|entry| entry.amount.decimal())
            .sum();
        if !sum.is_zero() {
            wrong.push(format!("the ledger sums to {sum}"));
        }
        judge_payments(log, wrong);
        self.judge_balances(&stored, log, wrong);
        judge_escrows(&stored, log, wrong);
    }

    /// Compares balances as stored, as the sum of their entries, as rebuilt from events alone, and as the read model
    /// shows them.
    fn judge_balances(&self, stored: &StoredWallets, log: &[Envelope], wrong: &mut Vec<String>) {
        let sums = ledger::sums(&stored.entries);
        let mut rebuilt: BTreeMap<(AccountType, MemberId, BalanceState), (Decimal, u64)> =
            BTreeMap::new();
        let mut versions: BTreeMap<(AccountType, MemberId), u64> = BTreeMap::new();
        for event in log {
            if event.event_type.as_str() != BalanceUpdated::TYPE {
                continue;
            }
            let update: BalanceUpdated = payload(event);
            let of = (update.account_type, update.account_id.clone());
            let version = versions.entry(of).or_default();
            *version = update.version.number().max(*version);
            let of = (update.account_type, update.account_id, update.balance_state);
            let balance = rebuilt.entry(of.clone()).or_default();
            if balance.0 != update.balance_before.decimal() {
                wrong.push(format!(
                    "{of:?}: {} follows {}",
                    update.balance_before, balance.0
                ));
            }
            *balance = (
                balance.0 + update.change_amount.decimal(),
                update.version.number(),
            );
            if balance.0 != update.balance_after.decimal() || balance.0 < Decimal::ZERO {
                wrong.push(format!(
                    "{of:?}: {} is stated as {}",
                    balance.0, update.balance_after
                ));
            }
        }
        let mut rows: BTreeMap<_, _> = stored
            .rows
            .iter()
            .map(|row| {
                let of = (row.account_type, row.account_id.clone(), row.balance_state);
                (of, (row.balance.decimal(), row.version.number()))
            })
            .collect();
        for (number, account_type) in
            (0..MEMBERS).flat_map(|number| AccountType::ALL.map(|kind| (number, kind)))
        {
            let id = member_id(number);
            let (account, version) = self.wallet(account_type, &id);
            let recorded = versions.remove(&(account_type, id.clone())).unwrap_or(0);
            if version != recorded {
                wrong.push(format!(
                    "{account_type} {id}: version is {version}, the last event states {recorded}"
                ));
            }
            let entries = stored.entries.iter();
            let last = entries
                .filter(|entry| entry.account_id == id && entry.account_type == account_type)
                .map(|entry| entry.number.number())
                .max();
            if account.last_entry() != last.unwrap_or(0) {
                wrong.push(format!(
                    "{account_type} {id} counts {} entries, the last is {last:?}",
                    account.last_entry()
                ));
            }
            for state in BalanceState::ALL {
                let balance = account.balance(state).decimal();
                let of = (account_type, id.clone(), state);
                let recorded = rebuilt.remove(&of);
                let entered = sums
                    .get(&(account_type, id.clone(), state.into()))
                    .copied()
                    .unwrap_or_default();
                let rebuilt = recorded.map_or(Decimal::ZERO, |(balance, _)| balance);
                if (balance, balance) != (entered, rebuilt) {
                    wrong.push(format!(
                        "{of:?} is {balance}, its entries add up to {entered}, its events rebuild {rebuilt}"
                    ));
                }
                let row = rows.remove(&of);
                if row != recorded {
                    wrong.push(format!(
                        "{of:?} is {row:?} in the read model, but {recorded:?} by its events"
                    ));
                }
            }
        }
        if !(rows.is_empty() && rebuilt.is_empty() && versions.is_empty()) {
            wrong.push(format!(
                "without an account: {rows:?}, {rebuilt:?}, {versions:?}"
            ));
        }
    }
}

/// How an escrow ended, from its event.
struct End {
    status: Status,
    refund: Decimal,
    settle: Decimal,
    transaction_id: TransactionId,
}

fn end_of(event: &Envelope) -> Option<(EscrowId, End)> {
    let end = |status, refund, settle, transaction_id| End {
        status,
        refund,
        settle,
        transaction_id,
    };
    match event.event_type.as_str() {
        EscrowSettled::TYPE => {
            let ended: EscrowSettled = payload(event);
            let (zero, amount) = (Decimal::ZERO, ended.amount.decimal());
            let end = end(Status::Settled, zero, amount, ended.transaction_id);
            Some((ended.escrow_id, end))
        }
        EscrowRefunded::TYPE => {
            let ended: EscrowRefunded = payload(event);
            let (amount, zero) = (ended.amount.decimal(), Decimal::ZERO);
            let end = end(Status::Refunded, amount, zero, ended.transaction_id);
            Some((ended.escrow_id, end))
        }
        EscrowPartialSettled::TYPE => {
            let ended: EscrowPartialSettled = payload(event);
            let (refund, settle) = (ended.refund_amount.decimal(), ended.settle_amount.decimal());
            let end = end(
                Status::PartiallySettled,
                refund,
                settle,
                ended.transaction_id,
            );
            Some((ended.escrow_id, end))
        }
        _ => None,
    }
}

/// Every escrow was held once and ended at most once. Its parts add up to what was held, and its state agrees. What is
/// still held is what users have in escrow.
fn judge_escrows(stored: &StoredWallets, log: &[Envelope], wrong: &mut Vec<String>) {
    let mut held: BTreeMap<EscrowId, EscrowHeld> = BTreeMap::new();
    let mut ends: BTreeMap<EscrowId, Vec<End>> = BTreeMap::new();
    for event in log {
        if event.event_type.as_str() == EscrowHeld::TYPE {
            let hold: EscrowHeld = payload(event);
            if let Some(before) = held.insert(hold.escrow_id, hold) {
                wrong.push(format!("escrow {} is held twice", before.escrow_id));
            }
        }
        if let Some((escrow_id, end)) = end_of(event) {
            ends.entry(escrow_id).or_default().push(end);
        }
    }
    if !held.keys().eq(stored.escrows.keys()) {
        wrong.push(format!(
            "{} escrows were published, {} are stored",
            held.len(),
            stored.escrows.len()
        ));
    }
    let mut still: BTreeMap<MemberId, Decimal> = BTreeMap::new();
    for (id, escrow) in &stored.escrows {
        let ends = ends.remove(id).unwrap_or_default();
        let amount = escrow.amount().decimal();
        if held
            .get(id)
            .is_none_or(|held| held.amount != escrow.amount())
        {
            wrong.push(format!("escrow {id} differs from what was held"));
        }
        let by_events = ends.first().map(|end| {
            let parts = (Some(end.refund), Some(end.settle));
            (end.status, parts, Some(end.transaction_id))
        });
        let by_events = by_events.unwrap_or((Status::Held, (None, None), None));
        let parts = (
            escrow.refund_amount().map(events::Points::decimal),
            escrow.settle_amount().map(events::Points::decimal),
        );
        let ended_by = escrow.ended().map(|(_, by)| by);
        if ends.len() > 1 || by_events != (escrow.status(), parts, ended_by) {
            wrong.push(format!(
                "escrow {id} ended {} times: {escrow:?}",
                ends.len()
            ));
        }
        match ends.first() {
            Some(end) if end.refund + end.settle != amount => {
                wrong.push(format!(
                    "escrow {id}: {amount} was held, {} was paid out",
                    end.refund + end.settle
                ));
            }
            Some(_) => {}
            None => *still.entry(escrow.user_id().clone()).or_default() += amount,
        }
    }
    for ((account_type, member, side), sum) in ledger::sums(&stored.entries) {
        let of_escrow = account_type == AccountType::User && side == BalanceState::Escrow.into();
        if of_escrow && sum != still.remove(&member).unwrap_or_default() {
            wrong.push(format!(
                "{member} has {sum} in escrow, but their escrows have another sum"
            ));
        }
    }
    if !(still.is_empty() && ends.is_empty()) {
        wrong.push(format!(
            "held without a wallet: {still:?}, {} ended",
            ends.len()
        ));
    }
}
