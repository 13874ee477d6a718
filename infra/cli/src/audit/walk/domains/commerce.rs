//! Commerce: the states of all its aggregates, and that accounts, stocks and payments are what the orders come to. What is reserved
//! and owed of an account, and what is reserved of a stock, is the sum over its orders; an order that ended holds nothing; each
//! payment for an order counts towards it; each order that can still take too long has its row for `commerce-order-timer`.
//!
//! The rows are read before the orders are rebuilt, and a row is removed only once its order needs none. So an order that needs one
//! and was there before has one among them.

use std::collections::{BTreeSet, HashSet};

use async_trait::async_trait;
use commerce::{
    CreditAccount, Order, Stock,
    books::{Books, Wrong},
    credit,
    order::Due,
    stock,
};
use domain::Witness;
use events::{Envelope, OrderId, Timestamp};
use outbox::{Key, Query, State as _, Table};
use serde_json::{Map, Value};
use topology::functions::{commerce_credit, commerce_orders, commerce_stock};

use super::{
    DomainAudit,
    states::{rebuilt, typed},
};
use crate::audit::{
    AuditTables, Error, Kind,
    walk::{
        advice,
        audit::{Audit, PAGE, count, kind_of, shown},
    },
};

const ORDER: &str = Order::AGGREGATE;
const ACCOUNT: &str = CreditAccount::AGGREGATE;
const CREDIT: &str = credit::Reservation::AGGREGATE;
const STOCK: &str = Stock::AGGREGATE;
const GOODS: &str = stock::Reservation::AGGREGATE;

/// The consumers that move orders, credit and goods.
const MOVERS: [&str; 3] = [
    commerce_credit::FUNCTION.name,
    commerce_orders::FUNCTION.name,
    commerce_stock::FUNCTION.name,
];

fn order_name(order_id: OrderId) -> String {
    format!("{ORDER}#{order_id}")
}

/// The table `commerce`, and what was rebuilt of it.
pub(super) struct Commerce {
    table: Table,
    books: Books,
    /// The orders, accounts and stocks that changed after the audit began, or of which a part did.
    moving: BTreeSet<String>,
    /// Whether every account, stock and reservation was rebuilt, so that the sums are complete.
    is_complete: bool,
    /// The rows by which orders are looked at again.
    due: Vec<Due>,
    rebuilt: u64,
    orders: u64,
}

impl Commerce {
    pub(super) fn new(tables: &AuditTables) -> Option<Self> {
        Some(Self {
            table: tables.of(commerce::DOMAIN.name)?,
            books: Books::default(),
            moving: BTreeSet::new(),
            is_complete: true,
            due: Vec::new(),
            rebuilt: 0,
            orders: 0,
        })
    }

    /// Reads the rows by which the wanted orders are looked at again.
    async fn read_due(&mut self, audit: &mut Audit<'_>) -> Result<(), Error> {
        if !audit.is_whole() && !audit.scope.iter().any(|name| kind_of(name) == ORDER) {
            return Ok(());
        }
        let table = self.table.clone();
        let first = Due::first(&table, PAGE);
        let items = audit
            .all(|after| Query {
                after,
                ..first.clone()
            })
            .await?;
        for item in items {
            let due = audit.typed::<Due>(&table, item);
            self.due
                .extend(due.filter(|due| audit.is_wanted(&order_name(due.order_id))));
        }
        for due in &self.due {
            self.books.enter_due(due);
        }
        Ok(())
    }

    /// Enters what was rebuilt. Returns what it is a part of; `None` if it is not what its type says, which has a finding.
    fn enter(&mut self, kind: &str, state: &Map<String, Value>) -> Option<Vec<String>> {
        Some(match kind {
            ORDER => {
                let order: Order = typed(state)?;
                self.orders += 1;
                self.books.enter_order(&order);
                vec![order_name(order.order_id())]
            }
            ACCOUNT => {
                let account: CreditAccount = typed(state)?;
                self.books.enter_account(&account);
                vec![format!("{ACCOUNT}#{}", account.customer_id())]
            }
            CREDIT => {
                let credit: credit::Reservation = typed(state)?;
                self.books.enter_credit(&credit);
                vec![
                    order_name(credit.order_id()),
                    format!("{ACCOUNT}#{}", credit.customer_id()),
                ]
            }
            STOCK => {
                let stock: Stock = typed(state)?;
                self.books.enter_stock(&stock);
                vec![format!("{STOCK}#{}", stock.sku())]
            }
            GOODS => {
                let goods: stock::Reservation = typed(state)?;
                self.books.enter_goods(&goods);
                let stocks = goods.items().iter();
                let stocks = stocks.map(|line| format!("{STOCK}#{}", line.sku));
                let order = std::iter::once(order_name(goods.order_id()));
                order.chain(stocks).collect()
            }
            _ => Vec::new(),
        })
    }

    /// Whether what was read is enough to tell.
    fn is_sure(&self, audit: &Audit<'_>, wrong: &Wrong) -> bool {
        // Something that is outside the scope, or could not be rebuilt, is missing in the sums.
        let has_all = audit.is_whole() && self.is_complete;
        // An order that has events and could not be rebuilt has a finding already.
        let is_unknown = |order: String| audit.is_whole() && !audit.aggregates.contains_key(&order);
        match wrong {
            Wrong::Reserved { .. }
            | Wrong::Owed { .. }
            | Wrong::Stock { .. }
            | Wrong::Credit { credit: None, .. }
            | Wrong::Goods { goods: None, .. } => has_all,
            Wrong::CreditOfNoOrder { order_id }
            | Wrong::GoodsOfNoOrder { order_id }
            | Wrong::DueForNoOrder { order_id } => is_unknown(order_name(*order_id)),
            Wrong::PaymentForNoOrder { id, .. } => is_unknown(format!("{ORDER}#{id}")),
            // The payment may be outside the scope.
            Wrong::Payment { made, .. } => audit.is_whole() || !made.is_zero(),
            Wrong::Credit { .. }
            | Wrong::Goods { .. }
            | Wrong::OtherCredit { .. }
            | Wrong::OtherGoods { .. }
            | Wrong::PaymentInOtherCurrency { .. }
            | Wrong::NotDue { .. }
            | Wrong::DueTwice { .. } => true,
        }
    }

    /// Whether what it is about changed after the audit began.
    fn is_moving(&self, audit: &Audit<'_>, wrong: &Wrong) -> bool {
        let order = wrong.order_id().map(order_name);
        let mut about = order.into_iter().chain([wrong.aggregate()]);
        let event = wrong.event_id().and_then(|id| audit.index.get(&id));
        about.any(|name| self.moving.contains(&name))
            || event.is_some_and(|named| audit.is_young(named.committed_at))
    }

    /// Whether a wrong row is still there: one can be moved or removed while the rows are read.
    async fn is_still_there(&self, audit: &mut Audit<'_>, wrong: &Wrong) -> Result<bool, Error> {
        let order_id = match wrong {
            Wrong::DueTwice { order_id } | Wrong::DueForNoOrder { order_id } => *order_id,
            _ => return Ok(true),
        };
        let rows = self.due.iter().filter(|due| due.order_id == order_id);
        let mut keys: Vec<Key> = rows.map(|due| due.key(&self.table)).collect();
        keys.push(Order::key(&self.table, &order_id.to_string()));
        let mut items = audit.items(&keys).await?;
        let order = items.pop().flatten();
        let rows = items.iter().flatten().count();
        Ok(match wrong {
            Wrong::DueTwice { .. } => rows > 1,
            // An order that was placed after the log was read is not in the books.
            _ => rows > 0 && order.is_none(),
        })
    }
}

/// What has a finding already: aggregates and events as the report shows them. A finding about another consumer, such as a mail
/// that was not sent, explains nothing here.
fn named(audit: &Audit<'_>) -> HashSet<String> {
    let findings = audit.findings.iter().filter(|one| {
        let consumer = one.consumer.as_deref();
        consumer.is_none_or(|consumer| MOVERS.contains(&consumer))
    });
    let names = findings.flat_map(|one| [one.aggregate.clone(), one.event_id.clone()]);
    names.flatten().collect()
}

/// Whether what explains it has a finding already: a parked event of an order leaves its credit as it was.
fn is_explained(named: &HashSet<String>, wrong: &Wrong) -> bool {
    let of_order = wrong.order_id().into_iter();
    let of_order =
        of_order.flat_map(|id| [ORDER, CREDIT, GOODS].map(|kind| format!("{kind}/{id}")));
    let event = wrong.event_id().map(|id| id.to_string());
    let own = shown(&wrong.aggregate());
    let mut about = of_order.chain(event).chain([own]);
    about.any(|name| named.contains(&name))
}

fn advice_on(wrong: &Wrong) -> &'static str {
    match wrong {
        Wrong::Reserved { .. }
        | Wrong::Owed { .. }
        | Wrong::Stock { .. }
        | Wrong::OtherCredit { .. }
        | Wrong::OtherGoods { .. }
        | Wrong::CreditOfNoOrder { .. }
        | Wrong::GoodsOfNoOrder { .. } => advice::ORDERS,
        Wrong::Credit { .. } | Wrong::Goods { .. } => advice::HELD,
        Wrong::Payment { .. } => advice::UNCOUNTED,
        Wrong::PaymentForNoOrder { .. } | Wrong::PaymentInOtherCurrency { .. } => advice::REFUND,
        Wrong::NotDue { .. } => advice::NOT_DUE,
        Wrong::DueTwice { .. } | Wrong::DueForNoOrder { .. } => advice::DUE,
    }
}

#[async_trait]
impl DomainAudit for Commerce {
    fn name(&self) -> &'static str {
        commerce::DOMAIN.name
    }

    fn on_event(&mut self, _: &mut Audit<'_>, envelope: &Envelope) -> Result<(), String> {
        let entered = self.books.enter_event(envelope);
        entered.map_err(|error| error.to_string())
    }

    async fn check(&mut self, audit: &mut Audit<'_>) -> Result<(), Error> {
        audit.states_of(&commerce::DOMAIN, &self.table).await?;
        self.read_due(audit).await
    }

    fn on_rebuilt(&mut self, audit: &mut Audit<'_>, aggregate: &str, witness: &Witness) {
        let kind = kind_of(aggregate);
        if !self.states().contains(&kind) {
            return;
        }
        self.rebuilt += 1;
        // One that could not be rebuilt has a finding already.
        let state = rebuilt(witness);
        let Some((state, about)) = state.and_then(|state| Some((state, self.enter(kind, state)?)))
        else {
            self.is_complete &= ![ACCOUNT, CREDIT, STOCK, GOODS].contains(&kind);
            return;
        };
        // It was read after the log, so it can be newer than what the log had.
        let changed = state.get("updated_at").and_then(Value::as_str);
        let changed = changed.and_then(|at| at.parse::<Timestamp>().ok());
        if changed.is_none_or(|at| audit.is_young(at)) {
            self.moving.extend(about);
        }
    }

    async fn conclude(&mut self, audit: &mut Audit<'_>) -> Result<(), Error> {
        let named = named(audit);
        for wrong in std::mem::take(&mut self.books).check() {
            if !self.is_sure(audit, &wrong) || is_explained(&named, &wrong) {
                continue;
            }
            if self.is_moving(audit, &wrong) || !self.is_still_there(audit, &wrong).await? {
                audit.counts.moving += 1;
                continue;
            }
            let (what, advice) = (wrong.to_string(), advice_on(&wrong));
            match wrong.event_id() {
                Some(event_id) => audit.of_event(Kind::Books, event_id, what, advice),
                None => audit.of_state(Kind::Books, &wrong.aggregate(), what, advice),
            }
        }
        Ok(())
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("rebuilt", self.rebuilt),
            ("orders", self.orders),
            ("orders_due", count(self.due.len())),
        ]
    }
}
