//! The invariants of wallets at the end.

use std::collections::{BTreeMap, BTreeSet};

use events::{
    Contract, EscrowId, MemberId, Points, TransactionId,
    contracts::wallet::{
        AccountType, BalanceState, BalanceUpdated, Deposited, EscrowHeld, EscrowPartialSettled,
        EscrowRefunded, EscrowSettled, Withdrawn,
    },
};
use outbox::Entity;
use rust_decimal::Decimal;
use serde_json::Value;
use views::activity::{self, Activity};
use wallet::{
    Account, Escrow,
    balances::{self, BalanceRow},
    escrow::Status,
    ledger::{self, LedgerEntry, Side},
};

use super::{
    super::{
        Field,
        books::{Finding, Logged, listens, whole},
        clients::{self, OrderResult},
    },
    Request,
};
use crate::e2e::{Result, points};

/// The aggregates of the campaign's wallets: the members' accounts, and the escrows in their ledgers.
pub(in super::super) async fn aggregates(field: &Field) -> Result<Vec<String>> {
    let mut aggregates = Vec::new();
    let mut escrows = BTreeSet::new();
    for member in &field.members {
        let id = MemberId::new(member.as_str())?;
        for account_type in AccountType::ALL {
            aggregates.push(format!(
                "{}#{}",
                BalanceUpdated::AGGREGATE,
                account_type.account(&id)
            ));
        }
        for entry in entries(field, AccountType::User, &id).await? {
            escrows.extend(entry.escrow_id.map(|id| id.to_string()));
        }
    }
    aggregates.extend(
        escrows
            .iter()
            .map(|id| format!("{}#{id}", EscrowHeld::AGGREGATE)),
    );
    Ok(aggregates)
}

async fn entries(
    field: &Field,
    account_type: AccountType,
    id: &MemberId,
) -> Result<Vec<LedgerEntry>> {
    let query = ledger::newest_first(&field.wallet, account_type, id, 1_000);
    let items = whole(field, &query).await?.into_iter();
    let entries = items.map(|item| serde_json::from_value(Value::Object(item)));
    Ok(entries.collect::<std::result::Result<_, _>>()?)
}

type Of = (AccountType, String, BalanceState);

/// The sums of the responses: balances, and how each escrow ended.
#[derive(Debug, Default, PartialEq)]
struct Books {
    balances: BTreeMap<Of, Decimal>,
    escrows: BTreeMap<String, (Decimal, Vec<Ending>)>,
}

/// How an escrow ended, what was refunded, and what was earned.
type Ending = (Status, Decimal, Decimal);

impl Books {
    fn change(
        &mut self,
        account_type: AccountType,
        member: &str,
        state: BalanceState,
        by: Decimal,
    ) {
        let of = (account_type, member.to_owned(), state);
        *self.balances.entry(of).or_default() += by;
    }

    fn held(&mut self, id: &str, user: &str, amount: Decimal) {
        self.change(AccountType::User, user, BalanceState::Available, -amount);
        self.change(AccountType::User, user, BalanceState::Escrow, amount);
        self.escrows.entry(id.to_owned()).or_default().0 += amount;
    }

    fn ended(
        &mut self,
        (id, user): (&str, &str),
        status: Status,
        refund: Decimal,
        (model, settle): (&str, Decimal),
    ) {
        self.change(
            AccountType::User,
            user,
            BalanceState::Escrow,
            -refund - settle,
        );
        if !refund.is_zero() {
            self.change(AccountType::User, user, BalanceState::Available, refund);
        }
        if !settle.is_zero() {
            self.change(AccountType::Model, model, BalanceState::Earned, settle);
        }
        let ends = &mut self.escrows.entry(id.to_owned()).or_default().1;
        ends.push((status, refund, settle));
    }

    /// The sums by the requests that got a successful response.
    fn by_answers(field: &Field, results: &[OrderResult]) -> Self {
        let mut books = Self::default();
        let id = |number: usize| field.members[number].as_str();
        for one in results {
            let (clients::Request::Wallet(request), Some(answer)) =
                (&one.order.request, &one.answer)
            else {
                continue;
            };
            match request {
                Request::Deposit { member, amount, .. } => {
                    let state = BalanceState::Available;
                    books.change(AccountType::User, id(*member), state, *amount);
                }
                Request::Withdraw {
                    account_type,
                    member,
                    amount,
                    ..
                } => {
                    let state = wallet::outside::withdrawable(*account_type);
                    books.change(*account_type, id(*member), state, -*amount);
                }
                Request::Hold { member, amount, .. } => {
                    let escrow = answer["escrow_id"].as_str().unwrap_or_default();
                    books.held(escrow, id(*member), *amount);
                }
                Request::Settle { escrow, model } => books.ended(
                    (&escrow.id, id(escrow.user)),
                    Status::Settled,
                    Decimal::ZERO,
                    (id(*model), escrow.amount),
                ),
                Request::Refund { escrow } => books.ended(
                    (&escrow.id, id(escrow.user)),
                    Status::Refunded,
                    escrow.amount,
                    ("", Decimal::ZERO),
                ),
                Request::PartialSettle {
                    escrow,
                    model,
                    refund,
                } => books.ended(
                    (&escrow.id, id(escrow.user)),
                    Status::PartiallySettled,
                    *refund,
                    (id(*model), escrow.amount - refund),
                ),
            }
        }
        books
    }

    /// The sums by the events of escrows, deposits and withdrawals alone.
    fn by_log(log: &[Logged]) -> Result<Self> {
        let mut books = Self::default();
        for one in log {
            let payload = &one.payload;
            let word = |name: &str| payload[name].as_str().unwrap_or_default();
            let amount = |name: &str| points(&payload[name]).map(Points::decimal);
            let escrow = (word("escrow_id"), word("user_id"));
            let account_type = || match word("account_type") {
                "model" => AccountType::Model,
                _ => AccountType::User,
            };
            match one.row.event_type.as_str() {
                Deposited::TYPE => {
                    let state = BalanceState::Available;
                    books.change(account_type(), word("account_id"), state, amount("amount")?);
                }
                Withdrawn::TYPE => {
                    let of = account_type();
                    let state = wallet::outside::withdrawable(of);
                    books.change(of, word("account_id"), state, -amount("amount")?);
                }
                EscrowHeld::TYPE => books.held(escrow.0, escrow.1, amount("amount")?),
                EscrowSettled::TYPE => {
                    let model = (word("model_id"), amount("amount")?);
                    books.ended(escrow, Status::Settled, Decimal::ZERO, model);
                }
                EscrowRefunded::TYPE => {
                    let none = ("", Decimal::ZERO);
                    books.ended(escrow, Status::Refunded, amount("amount")?, none);
                }
                EscrowPartialSettled::TYPE => {
                    let model = (word("model_id"), amount("settle_amount")?);
                    let refund = amount("refund_amount")?;
                    books.ended(escrow, Status::PartiallySettled, refund, model);
                }
                _ => {}
            }
        }
        Ok(books)
    }
}

/// Responses, balances, ledger, events and read models must agree, and every escrow ended at most once.
pub(in super::super) async fn check(
    field: &Field,
    results: &[OrderResult],
    log: &[Logged],
    found: &mut Vec<Finding>,
) -> Result {
    let books = Books::by_answers(field, results);
    let logged = Books::by_log(log)?;
    if books != logged {
        found.push(Finding::of(format!(
            "the responses add up to {books:?}, the event log to {logged:?}"
        )));
    }
    movements(results, log, found);
    accounts(field, &books, log, found).await?;
    escrows(field, &books, found).await?;
    activities(field, log, found).await
}

/// Every movement is in a response, and every balance change belongs to a movement.
fn movements(results: &[OrderResult], log: &[Logged], found: &mut Vec<Finding>) {
    let known: BTreeSet<&str> = results
        .iter()
        .filter(|one| matches!(one.order.request, clients::Request::Wallet(_)))
        .filter_map(|one| one.answer.as_ref()?["transaction_id"].as_str())
        .collect();
    for one in log {
        if !one.row.event_type.starts_with("wallet.") {
            continue;
        }
        let movement = one.payload["transaction_id"].as_str().unwrap_or_default();
        if !known.contains(movement) {
            found.push(Finding::of(format!(
                "{} {} was done, but no response names it: {}",
                one.row.aggregate, one.row.sequence, one.payload
            )));
        }
    }
}

/// The last events of an account: its version, and each balance with the version that set it.
#[derive(Default)]
struct Last {
    version: u64,
    balances: BTreeMap<BalanceState, (Decimal, u64, TransactionId)>,
}

async fn accounts(
    field: &Field,
    books: &Books,
    log: &[Logged],
    found: &mut Vec<Finding>,
) -> Result {
    let mut last: BTreeMap<(AccountType, String), Last> = BTreeMap::new();
    for one in log {
        if one.row.event_type != BalanceUpdated::TYPE {
            continue;
        }
        let update: BalanceUpdated = serde_json::from_value(one.payload.clone())?;
        let of = last
            .entry((update.account_type, update.account_id.to_string()))
            .or_default();
        let version = update.version.number();
        let says = (
            update.balance_after.decimal(),
            version,
            update.transaction_id,
        );
        of.version = of.version.max(version);
        of.balances.insert(update.balance_state, says);
    }
    let mut all: Vec<LedgerEntry> = Vec::new();
    for (member, account_type) in field
        .members
        .iter()
        .flat_map(|member| AccountType::ALL.map(|account_type| (member, account_type)))
    {
        let id = MemberId::new(member.as_str())?;
        let name = account_type.account(&id);
        let latest = last
            .remove(&(account_type, member.clone()))
            .unwrap_or_default();
        let entity: Entity<Account> = field.outbox.load(&field.wallet, &name).await?;
        let account = entity.state().copied().unwrap_or_default();
        if entity.version() != latest.version {
            found.push(Finding::of(format!(
                "{name} has version {}, its last event has {}",
                entity.version(),
                latest.version
            )));
        }
        let entries = entries(field, account_type, &id).await?;
        if u64::try_from(entries.len())? != account.last_entry() {
            found.push(Finding::of(format!(
                "{name} counts {} entries, {} exist",
                account.last_entry(),
                entries.len()
            )));
        }
        let sums = ledger::sums(&entries);
        all.extend(entries);
        let query = balances::of_account(&field.wallet, account_type, &id);
        let rows: Vec<BalanceRow> = whole(field, &query)
            .await?
            .into_iter()
            .map(|item| serde_json::from_value(Value::Object(item)))
            .collect::<std::result::Result<_, _>>()?;
        for state in BalanceState::ALL {
            let due = books
                .balances
                .get(&(account_type, member.clone(), state))
                .copied()
                .unwrap_or_default();
            let entered = sums
                .get(&(account_type, id.clone(), Side::from(state)))
                .copied()
                .unwrap_or_default();
            let says = latest.balances.get(&state);
            let event = says.map_or(Decimal::ZERO, |(balance, ..)| *balance);
            let stored = account.balance(state).decimal();
            if [stored, entered, event] != [due; 3] {
                found.push(Finding::of(format!(
                    "{name}: {state} is {stored}, its entries add up to {entered}, its last event states {event}, the responses add up to {due}"
                )));
            }
            let row = rows.iter().find(|row| row.balance_state == state);
            let row = row.map(|row| {
                (
                    row.balance.decimal(),
                    row.version.number(),
                    row.transaction_id,
                )
            });
            if row.as_ref() != says {
                found.push(Finding::of(format!(
                    "{name}: {state} is {row:?} in the read model, but its last event states {says:?}"
                )));
            }
        }
        let path =
            format!("/api/v1/wallets/{member}/balance?account_type={account_type}&consistent=true");
        let shown = field.stack.get(&path).await?;
        for state in BalanceState::ALL {
            if points(&shown[state.as_str()])? != account.balance(state) {
                found.push(Finding::of(format!(
                    "{path}: {shown}, but the account is {account:?}"
                )));
            }
        }
    }
    let faults = ledger::faults(&all);
    found.extend(
        faults
            .iter()
            .map(|fault| Finding::of(format!("ledger: {fault}"))),
    );
    let sum: Decimal = all.iter().map(|entry| entry.amount.decimal()).sum();
    if !sum.is_zero() {
        found.push(Finding::of(format!("the ledger sums to {sum}")));
    }
    Ok(())
}

async fn escrows(field: &Field, books: &Books, found: &mut Vec<Finding>) -> Result {
    for (id, (held, ends)) in &books.escrows {
        let due = match ends.as_slice() {
            [] => (Status::Held, None, None),
            [(status, refund, settle)] => (*status, Some(*refund), Some(*settle)),
            more => {
                found.push(Finding::of(format!(
                    "escrow {id} ended {} times: {more:?}",
                    more.len()
                )));
                continue;
            }
        };
        let entity: Entity<Escrow> = field.outbox.load(&field.wallet, id).await?;
        let stored = entity.state().map(|escrow| {
            let refund = escrow.refund_amount().map(Points::decimal);
            let settle = escrow.settle_amount().map(Points::decimal);
            (escrow.amount().decimal(), (escrow.status(), refund, settle))
        });
        if stored != Some((*held, due)) {
            found.push(Finding::of(format!(
                "escrow {id}: {stored:?} is stored, but by the responses {held} was held and then {due:?}"
            )));
        }
        if let (_, Some(refund), Some(settle)) = due
            && refund + settle != *held
        {
            found.push(Finding::of(format!(
                "escrow {id}: {held} was held, {refund} was refunded, {settle} was earned"
            )));
        }
    }
    Ok(())
}

/// Every user has exactly the activity entries that follow from the event log, if a consumer keeps them.
async fn activities(field: &Field, log: &[Logged], found: &mut Vec<Finding>) -> Result {
    const ACTIVITY_FEED: &str = "activity-feed";
    let mut due: BTreeMap<&str, Vec<(String, EscrowId)>> = BTreeMap::new();
    let mut is_kept = false;
    for one in log {
        if listens(ACTIVITY_FEED, &one.row.event_type) {
            is_kept = true;
            let user = one.payload["user_id"].as_str().unwrap_or_default();
            let escrow = serde_json::from_value(one.payload["escrow_id"].clone())?;
            due.entry(user)
                .or_default()
                .push((one.row.event_id.clone(), escrow));
        }
    }
    if !is_kept {
        return Ok(());
    }
    for member in &field.members {
        let id = MemberId::new(member.as_str())?;
        let mut there = Vec::new();
        for item in whole(field, &activity::page(&field.activity, &id, 1_000, None)).await? {
            let entry: Activity = serde_json::from_value(Value::Object(item))?;
            there.push((entry.event_id.to_string(), entry.escrow_id));
        }
        let mut due = due.remove(member.as_str()).unwrap_or_default();
        due.sort();
        there.sort();
        if due != there {
            found.push(Finding::of(format!(
                "{member} has {} activity entries, {} are expected",
                there.len(),
                due.len()
            )));
        }
    }
    Ok(())
}
