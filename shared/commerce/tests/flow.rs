//! Prices in the whole pipeline in memory, with faults of every kind: no event is lost, none is handled twice, and each
//! row is what its events come to.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use async_trait::async_trait;
use commerce::{
    operations::{Commerce, Stopped},
    price::{Prices, SetPrice},
    stock::StockStep,
    tax::SetTaxRate,
    tier::SetTier,
};
use consumer::{Failure, Handler, Received};
use domain::Verdict;
use events::{
    Cause, CountryCode, Percent, ProductId, Sku, Text, TierName, UnitPrice,
    contracts::price::{Currency, TaxCategory},
};
use outbox::{Decision, Error, Mark, Outcome, Table, Transaction};
use testkit::flow::{BoxError, Faults, Flow, Site};

/// The skus, each set to as many prices, one after the other.
const SKUS: u32 = 4;
const PRICES: u32 = 3;
/// How many pieces of a stock break at the same time.
const BROKEN: u32 = 4;

events::subscription! {
    /// What the counter listens to.
    enum Event {
        /// A price was set.
        Price(events::contracts::price::Changed) by Mark,
        /// A percentage was set.
        Tier(events::contracts::price::TierChanged) by Mark,
        /// A tax rate was set.
        TaxRate(events::contracts::price::TaxRateChanged) by Mark,
        /// A stock changed.
        Stock(events::contracts::stock::Changed) by Mark,
    }
}

/// A consumer that counts the changes: a lost event or one handled twice shows in the number.
struct Counter(Table);

#[async_trait]
impl Handler for Counter {
    const NAME: &'static str = "price-changes";
    type Event = Event;

    async fn decide(
        &self,
        received: &Received<Event>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        let kind = match &received.event {
            Event::Price(_) => "price",
            Event::Tier(_) => "tier",
            Event::TaxRate(_) => "tax_rate",
            Event::Stock(_) => "stock",
        };
        transaction.add(self.0.key("changes", kind), vec![("count", 1.into())]);
        Ok(transaction)
    }
}

fn table() -> Table {
    Table::domain("commerce")
}

fn sku(number: u32) -> Sku {
    Sku::new(format!("PRD-{number}")).expect("a sku")
}

fn by() -> Text<256> {
    Text::new("desk").expect("a name")
}

/// One request of a client.
#[derive(Debug, Clone, Copy)]
enum Request {
    Price(u32, u32),
    Tier(u32),
    TaxRate(u32),
    /// So much of the first sku is in the house.
    Count(u32),
    /// One piece less; the number tells one such request from another.
    Break(u32),
}

/// Sends a request; a repeat of it is done once.
async fn call(site: Site, request: Request) -> Result<(), BoxError> {
    let (outbox, table) = (site.outbox(), table());
    let mark = Mark::Request {
        owner: "desk".to_owned(),
        method: "PUT".to_owned(),
        path: format!("/{request:?}"),
        key: "key".to_owned(),
        body_sha256: Mark::body_sha256(b""),
    };
    let commerce = &Commerce {
        outbox,
        table: &table,
    };
    let outcome = outbox
        .execute::<(), Stopped, Error, _, _>(
            &mark,
            &Cause::default(),
            |mut transaction| async move {
                let done = match request {
                    Request::Price(number, price) => {
                        let command = SetPrice {
                            product_id: ProductId::new("PRD").expect("an id"),
                            sku: sku(number),
                            currency: Currency::Eur,
                            list: Prices {
                                base_price: price
                                    .to_string()
                                    .parse::<UnitPrice>()
                                    .expect("a price"),
                                volume_prices: Vec::new(),
                            },
                            by: by(),
                        };
                        commerce
                            .set_price(&mut transaction, command)
                            .await
                            .map(drop)
                    }
                    Request::Tier(percent) => {
                        let command = SetTier {
                            tier: TierName::new("gold").expect("a name"),
                            discount_percent: percent
                                .to_string()
                                .parse::<Percent>()
                                .expect("small"),
                            by: by(),
                        };
                        commerce.set_tier(&mut transaction, command).await.map(drop)
                    }
                    Request::TaxRate(year) => {
                        let command = SetTaxRate {
                            country: CountryCode::new("RO").expect("a country"),
                            tax_category: TaxCategory::Standard,
                            rate: year.to_string().parse::<Percent>().expect("small"),
                            valid_from: format!("20{year}-08-01").parse().expect("a day"),
                            by: by(),
                        };
                        commerce
                            .set_tax_rate(&mut transaction, command)
                            .await
                            .map(drop)
                    }
                    Request::Count(quantity) => {
                        let product_id = ProductId::new("PRD").expect("an id");
                        let step = StockStep::Counted {
                            product_id,
                            quantity,
                        };
                        commerce
                            .change_stock(&mut transaction, &sku(0), step, by())
                            .await
                            .map(drop)
                    }
                    Request::Break(piece) => {
                        let reason = Text::new(format!("piece {piece} broke")).expect("a reason");
                        let step = StockStep::Adjusted { delta: -1, reason };
                        commerce
                            .change_stock(&mut transaction, &sku(0), step, by())
                            .await
                            .map(drop)
                    }
                };
                match done {
                    Ok(()) => Ok(Decision::Commit(transaction, ())),
                    Err(Stopped::Failed(error)) => Err(error),
                    Err(refused) => Ok(Decision::Refuse(refused)),
                }
            },
        )
        .await?;
    match outcome {
        Outcome::Contention => Err("others change it all the time: call again".into()),
        Outcome::Refused(refused) => Err(refused.to_string().into()),
        Outcome::Committed { .. } | Outcome::AlreadyDone(_) => Ok(()),
    }
}

#[test]
fn no_event_is_lost_or_handled_twice_and_each_row_is_what_its_events_come_to() {
    for seed in 0..20 {
        let mut flow = Flow::builder(seed)
            .faults(Faults::STORM)
            .consumer(|_| Counter(Table::domain("counters")))
            .build()
            .expect("a flow");
        flow.submit(|site| call(site, Request::Count(100)));
        flow.drain().expect("drains");
        for price in 1..=PRICES {
            for piece in 0..BROKEN {
                flow.submit(move |site| call(site, Request::Break(price * BROKEN + piece)));
            }
            for number in 0..SKUS {
                flow.submit(move |site| call(site, Request::Price(number, price)));
            }
            flow.submit(move |site| call(site, Request::Tier(price)));
            flow.submit(move |site| call(site, Request::TaxRate(24 + price)));
            flow.drain().expect("drains");
        }
        while flow.redrive(Counter::NAME) > 0 {
            flow.drain().expect("drains");
        }
        flow.audit()
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));

        for (kind, changes) in [
            ("price", SKUS * PRICES),
            ("tier", PRICES),
            ("tax_rate", PRICES),
        ] {
            let key = Table::domain("counters").key("changes", kind);
            let row =
                flow.look(|site| async move { site.outbox().row::<serde_json::Value>(&key).await });
            let counted = row.expect("reads").expect("counted")["count"].clone();
            assert_eq!(counted, changes, "seed {seed}: {kind}");
        }
        let stock = flow.look(|site| async move {
            let (outbox, table) = (site.outbox(), &table());
            Commerce { outbox, table }.stock(&sku(0)).await
        });
        let stock = stock.expect("reads");
        let left = stock.state().map(commerce::Stock::on_hand);
        assert_eq!(left, Some(100 - PRICES * BROKEN), "seed {seed}");
        let ids: Vec<(&str, String)> = (0..SKUS)
            .map(|number| ("price", sku(number).to_string()))
            .chain([
                ("stock", sku(0).to_string()),
                ("price_tier", "gold".to_owned()),
            ])
            .chain([("price_tax_rate", "RO-standard".to_owned())])
            .collect();
        for (kind, id) in ids {
            let witness = flow.look(|site| async move {
                let aggregate = commerce::DOMAIN.aggregate(kind).expect("one of them");
                domain::witness(aggregate, site.outbox(), &table(), &id, 100).await
            });
            let witness = witness.expect("reads").expect("it has events");
            assert_eq!(witness.verdict, Verdict::Agrees, "seed {seed}: {witness:?}");
        }
    }
}
