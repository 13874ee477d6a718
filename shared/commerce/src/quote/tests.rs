use std::sync::atomic::{AtomicU64, Ordering};

use domain::{
    Stopped,
    testing::{Log, at, number},
};
use events::{
    Cause, Contract, Draft, ItemId, Money, ProductId,
    contracts::{
        cart::CartStatus,
        customer::CustomerType,
        price::{self, TaxCategory},
    },
};
use outbox::Mark;
use testkit::jobs::JobSite;

use super::*;
use crate::{
    Cart, Order, change,
    customer::Profile,
    operations::{CartStep, Commerce},
    testing::{
        self, cart, cart_id, commit, customer_id, desk, fill, offer, open, order_id, profile,
        quote_id, reprice, sell, table,
    },
    tier::SetTier,
};

const BEGUN: u64 = 1;
const OVER: u64 = BEGUN + 30 * 24 * 60 * 60;

fn money(text: &str) -> Money {
    text.parse().expect("money")
}

fn unit(text: &str) -> UnitPrice {
    text.parse().expect("a price")
}

fn sku() -> Sku {
    Sku::new("PRD-001").expect("a sku")
}

/// A quote of 10 × 150.00, of which 19 % are 285.00.
fn offered() -> Offered {
    let item_id: ItemId = "f1e2d3c4-b5a6-9876-fedc-987654321098"
        .parse()
        .expect("an id");
    let item = Item {
        item_id,
        product_id: ProductId::new("PRD-001").expect("an id"),
        sku: sku(),
        quantity: 10,
        unit_price: unit("150"),
        line_total: money("1500"),
        tax_category: Some(TaxCategory::Standard),
        tax_rate: "19".parse().ok(),
        tax_amount: "285".parse().ok(),
        name: None,
        available: None,
    };
    Offered {
        quote_id: quote_id(1),
        quote_number: QuoteNumber::of(12_345),
        customer_id: customer_id(),
        cart_id: cart_id(1),
        items: vec![item],
        totals: Totals {
            subtotal: money("1500"),
            tax_lines: Vec::new(),
            tax_amount: money("285"),
            total: money("1785"),
            currency: Currency::Eur,
        },
        country: CountryCode::new("RO").expect("a country"),
        vat_treatment: VatTreatment::Domestic,
        tier: TierName::new("gold").ok(),
        valid_days: VALID_DAYS,
        by: desk(),
    }
}

/// A quote and the log of its events.
struct Life {
    quote: Quote,
    version: u64,
    log: Log,
}

impl Life {
    fn begin() -> Self {
        let change = create(offered(), number(1), at(BEGUN));
        let mut life = Self {
            quote: change.state().clone(),
            version: 0,
            log: Log::default(),
        };
        life.take(&change, BEGUN);
        life
    }

    fn next(&self) -> Sequence {
        number(self.version + 1)
    }

    fn take<E: Contract>(&mut self, change: &Change<Quote, E>, second: u64) {
        let event = change.event().expect("something changes");
        let version = self.next();
        let draft = Draft::of(event).expect("a draft");
        let draft = change::numbered(draft, version).expect("a name");
        self.log.append([draft], at(second));
        self.quote = change.state().clone();
        self.version = version.number();
    }

    fn flag(&mut self) {
        let prices = BTreeMap::from([(sku(), unit("165"))]);
        let changes = self.quote.price_changes(&prices);
        let change = flag(&self.quote, changes, desk(), self.next(), at(2));
        self.take(&change, 2);
    }

    fn supersede(&mut self, second: u64) {
        let change = supersede(&self.quote, quote_id(2), desk(), self.next(), at(second));
        self.take(&change.expect("allowed"), second);
    }

    fn accept(&mut self) {
        let change = accept(&self.quote, order_id(), desk(), self.next(), at(3));
        self.take(&change.expect("allowed"), 3);
    }

    fn reject(&mut self) {
        let reason = Text::new("too expensive").ok();
        let change = reject(&self.quote, reason, desk(), self.next(), at(3));
        self.take(&change.expect("allowed"), 3);
    }

    fn expire(&mut self) {
        let change = expire(&self.quote, desk(), self.next(), at(OVER));
        self.take(&change, OVER);
    }

    fn agrees(&self) {
        let rebuilt = domain::rebuild::<Quote>(&self.log.0).expect("they follow");
        let rebuilt = rebuilt.map(|rebuilt| rebuilt.state);
        assert_eq!(rebuilt.as_ref(), Some(&self.quote));
        assert!(self.log.names_every_fact_once());
    }
}

#[test]
fn a_quote_is_what_its_events_come_to() {
    let lives: [fn(&mut Life); 7] = [
        |_| (),
        Life::flag,
        Life::accept,
        Life::reject,
        |life| {
            life.flag();
            life.supersede(5);
        },
        |life| {
            life.flag();
            life.reject();
        },
        |life| {
            life.expire();
            life.supersede(OVER + 1);
        },
    ];
    for lived in lives {
        let mut life = Life::begin();
        lived(&mut life);
        life.agrees();
        if life.log.0.len() > 1 {
            domain::rebuild::<Quote>(&life.log.0[1..]).expect_err("it was never made");
        }
    }
}

#[test]
fn a_quote_cannot_be_accepted_after_an_event_that_forbids_it() {
    let mut flagged = Life::begin();
    let accepted = accept(&flagged.quote, order_id(), desk(), number(3), at(3)).expect("allowed");
    flagged.flag();
    flagged.take(&accepted, 3);
    let broken = domain::rebuild::<Quote>(&flagged.log.0).expect_err("it needed repricing");
    assert!(format!("{broken:?}").contains("repricing"), "{broken:?}");
}

#[test]
fn every_status_has_its_row_and_none_comes_back() {
    let statuses: Vec<_> = STATUS.statuses().collect();
    assert_eq!(statuses, QuoteStatus::ALL);
    for status in statuses {
        assert!(!STATUS.comes_back(status), "{status}");
    }
}

#[test]
fn a_quote_that_was_closed_says_what_became_of_it() {
    let closed = |life: &Life| {
        let (quote, next) = (&life.quote, life.next());
        let refusals = [
            accept(quote, order_id(), desk(), next, at(9)).err(),
            reject(quote, None, desk(), next, at(9)).err(),
            supersede(quote, quote_id(3), desk(), next, at(9)).err(),
        ];
        assert!(refusals.windows(2).all(|pair| pair[0] == pair[1]));
        refusals.into_iter().next().flatten()
    };
    let mut accepted = Life::begin();
    accepted.accept();
    let refusal = Refusal::QuoteClosed {
        status: QuoteStatus::Accepted,
        order_id: Some(order_id()),
        superseded_by: None,
    };
    assert_eq!(closed(&accepted), Some(refusal));
    let mut superseded = Life::begin();
    superseded.supersede(2);
    let refusal = Refusal::QuoteClosed {
        status: QuoteStatus::Superseded,
        order_id: None,
        superseded_by: Some(quote_id(2)),
    };
    assert_eq!(closed(&superseded), Some(refusal));
    let mut rejected = Life::begin();
    rejected.reject();
    let refusal = Refusal::QuoteClosed {
        status: QuoteStatus::Rejected,
        order_id: None,
        superseded_by: None,
    };
    assert_eq!(closed(&rejected), Some(refusal));
    assert_eq!(
        rejected.quote.reason().map(Text::as_str),
        Some("too expensive")
    );
}

#[test]
fn the_time_ends_a_quote_whether_that_was_written_down_or_not() {
    let mut life = Life::begin();
    let accepted = |quote: &Quote, second| accept(quote, order_id(), desk(), number(2), at(second));
    accepted(&life.quote, OVER - 1).expect("the last second");
    let over = Some(Refusal::QuoteExpired {
        valid_until: at(OVER),
    });
    assert_eq!(accepted(&life.quote, OVER).err(), over);
    let early = expire(&life.quote, desk(), number(2), at(OVER - 1));
    assert_eq!((early.event(), early.state()), (None, &life.quote));
    life.expire();
    assert_eq!(accepted(&life.quote, OVER).err(), over);
    let rejected = reject(&life.quote, None, desk(), number(3), at(OVER));
    assert_eq!(rejected.err(), over);
    let again = expire(&life.quote, desk(), number(3), at(OVER + 1));
    assert_eq!(again.event(), None);
}

#[test]
fn a_price_is_far_from_five_per_cent_on() {
    for (before, after, far) in [
        ("100", "105", true),
        ("100", "104.9999", false),
        ("100", "95", true),
        ("100", "95.0001", false),
        ("100", "100", false),
        ("0", "0", false),
        ("0", "0.0001", true),
        ("0.01", "0", true),
    ] {
        assert_eq!(is_far(unit(before), unit(after)), far, "{before}, {after}");
    }
}

#[test]
fn a_quote_is_flagged_once_and_only_while_it_is_open() {
    let mut life = Life::begin();
    let flagged = |life: &Life, price: &str, second| {
        let prices = BTreeMap::from([(sku(), unit(price))]);
        let changes = life.quote.price_changes(&prices);
        let change = flag(&life.quote, changes, desk(), life.next(), at(second));
        change.event().is_some()
    };
    assert!(!flagged(&life, "157.4999", 2));
    assert!(flagged(&life, "157.5", 2));
    assert!(!flagged(&life, "157.5", OVER));
    life.flag();
    assert!(life.quote.needs_repricing());
    assert!(!flagged(&life, "300", 4));
    let refusal = accept(&life.quote, order_id(), desk(), life.next(), at(4)).err();
    let quote_id = quote_id(1);
    assert_eq!(refusal, Some(Refusal::QuoteNeedsRepricing { quote_id }));
}

/// A shop with one cart of ten pieces, and its quote. Takes the numbers from 2,000 to 2,002.
async fn quoted() -> JobSite {
    let site = JobSite::new();
    open(site.outbox(), &[sku()]).await;
    fill(site.outbox(), cart_id(1), &sku(), 10, 2_000).await;
    offer(site.outbox(), cart_id(1), quote_id(1), 2_002).await;
    site
}

async fn read<S: State + Clone>(site: &JobSite, id: &impl ToString) -> S {
    let entity = site.outbox().load::<S>(&table(), &id.to_string()).await;
    entity.expect("reads").state().expect("made").clone()
}

/// Accepts a quote. Takes one number.
async fn accepted(site: &JobSite, quote_id: QuoteId, number: u64) {
    let numbers = &crate::order::Numbers::default();
    commit(site.outbox(), number, async |commerce, transaction| {
        let ids = (quote_id, order_id());
        commerce
            .accept_quote(transaction, numbers, ids, None, desk())
            .await
    })
    .await;
}

/// Why a quote is not accepted.
async fn not_accepted(site: &JobSite, quote_id: QuoteId, expected: Option<&str>) -> Refusal {
    let (outbox, table) = (site.outbox(), &table());
    let mark = Mark::Episode {
        name: "shop",
        number: 1,
        phase: "refused",
    };
    let mut transaction = outbox.begin(&mark, &Cause::default());
    let numbers = crate::order::Numbers::default();
    // Another order than that of an acceptance before.
    let ids = (quote_id, outbox.clock().uuid().into());
    let done = Commerce { outbox, table }
        .accept_quote(&mut transaction, &numbers, ids, expected.map(money), desk())
        .await;
    match done {
        Err(Stopped::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Prices a quote again. Takes one number.
async fn repriced(site: &JobSite, ids: (QuoteId, QuoteId), number: u64) {
    let numbers = &Numbers::default();
    commit(site.outbox(), number, async |commerce, transaction| {
        commerce
            .reprice_quote(transaction, numbers, ids, VALID_DAYS, desk())
            .await
    })
    .await;
}

/// How many rows of the table are in partitions that begin like this.
fn rows(site: &JobSite, partition: &str) -> usize {
    let items = site.store().items(&table());
    let pks = items.iter().filter_map(|item| item["pk"].as_str());
    pks.filter(|pk| pk.starts_with(partition)).count()
}

#[tokio::test]
async fn a_quote_becomes_one_order_at_its_prices_whatever_they_are_since() {
    let site = quoted().await;
    reprice(site.outbox(), &sku(), "151", 2_010).await;
    let changed = not_accepted(&site, quote_id(1), Some("1796.9")).await;
    assert!(matches!(changed, Refusal::TotalChanged { .. }), "{changed}");
    accepted(&site, quote_id(1), 2_011).await;
    let order: Order = read(&site, &order_id()).await;
    assert_eq!(order.totals().total, money("1785"));
    assert_eq!(order.quote_id(), Some(quote_id(1)));
    let quote: Quote = read(&site, &quote_id(1)).await;
    assert_eq!(quote.status(), QuoteStatus::Accepted);
    assert_eq!(quote.order_id(), Some(order_id()));
    assert_eq!(order.items(), quote.items());
    let cart: Cart = read(&site, &cart_id(1)).await;
    assert_eq!(cart.order_id(), Some(order_id()));
    // Whose events are told with it, and why.
    let first = events::Sequence::FIRST;
    let mut told = Vec::new();
    for aggregate in [
        format!("order#{}", order_id()),
        format!("quote#{}", quote_id(1)),
        format!("cart#{}", cart_id(1)),
    ] {
        let history = site.outbox().history(&aggregate, first, 100).await;
        let history = history.expect("reads");
        let last = history.envelopes.last().expect("events");
        told.push(serde_json::from_str::<Envelope>(last.get()).expect("an envelope"));
    }
    assert_eq!(told[1].event_type.as_str(), Accepted::TYPE);
    assert_eq!(told[1].causation_id, Some(told[0].event_id));
    assert_eq!(told[2].causation_id, Some(told[0].event_id));
    let refusal = Refusal::QuoteClosed {
        status: QuoteStatus::Accepted,
        order_id: Some(order_id()),
        superseded_by: None,
    };
    assert_eq!(not_accepted(&site, quote_id(1), None).await, refusal);
}

#[tokio::test]
async fn goods_must_still_be_there_and_for_sale() {
    let site = quoted().await;
    commit(site.outbox(), 2_010, async |commerce, transaction| {
        let counted = crate::stock::StockStep::Counted {
            product_id: testing::product_id(&sku()),
            quantity: 9,
        };
        commerce
            .change_stock(transaction, &sku(), counted, desk())
            .await
    })
    .await;
    let short = not_accepted(&site, quote_id(1), None).await;
    assert!(
        matches!(short, Refusal::InsufficientStock { .. }),
        "{short}"
    );
    commit(site.outbox(), 2_011, async |commerce, transaction| {
        commerce
            .delete_product(transaction, &testing::product_id(&sku()), desk())
            .await
    })
    .await;
    let gone = not_accepted(&site, quote_id(1), None).await;
    assert!(matches!(gone, Refusal::NotForSale { .. }), "{gone}");
}

#[tokio::test]
async fn a_cart_with_other_goods_stays_as_it_is() {
    let site = quoted().await;
    commit(site.outbox(), 2_010, async |commerce, transaction| {
        let add = CartStep::Add {
            sku: sku(),
            quantity: 1,
        };
        commerce
            .step_cart(transaction, cart_id(1), add, desk())
            .await
    })
    .await;
    accepted(&site, quote_id(1), 2_011).await;
    let cart: Cart = read(&site, &cart_id(1)).await;
    assert_eq!(cart.status(), CartStatus::Open);
    assert_eq!(cart.items()[0].quantity, 11);
}

#[tokio::test]
async fn a_quote_whose_time_is_over_is_priced_again_and_gives_way() {
    let site = quoted().await;
    site.clock().advance(Duration::from_secs(OVER));
    let over = not_accepted(&site, quote_id(1), None).await;
    assert!(matches!(over, Refusal::QuoteExpired { .. }), "{over}");
    reprice(site.outbox(), &sku(), "160", 2_010).await;
    repriced(&site, (quote_id(1), quote_id(2)), 2_011).await;
    let old: Quote = read(&site, &quote_id(1)).await;
    assert_eq!(old.status(), QuoteStatus::Superseded);
    assert_eq!(old.superseded_by(), Some(quote_id(2)));
    let new: Quote = read(&site, &quote_id(2)).await;
    assert_eq!(new.totals().total, money("1904"));
    assert_ne!(new.quote_number(), old.quote_number());
    // The cart's next quote finds the second.
    offer(site.outbox(), cart_id(1), quote_id(3), 2_012).await;
    let second: Quote = read(&site, &quote_id(2)).await;
    assert_eq!(second.superseded_by(), Some(quote_id(3)));
    let (outbox, of) = (site.outbox(), &table());
    let commerce = Commerce { outbox, table: of };
    let query = commerce.quotes_of(&customer_id(), 2);
    let (page, next) = commerce.quotes(&query).await.expect("reads");
    let listed: Vec<QuoteId> = page.iter().map(|done| done.state.quote_id()).collect();
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert!(!listed.contains(&quote_id(1)), "the oldest comes last");
    assert!(next.is_some());
}

#[tokio::test]
async fn a_price_that_changes_before_a_quote_is_committed_is_in_the_quote() {
    let site = JobSite::new();
    open(site.outbox(), &[sku()]).await;
    fill(site.outbox(), cart_id(1), &sku(), 10, 2_000).await;
    let (tries, numbers) = (AtomicU64::new(0), Numbers::default());
    commit(site.outbox(), 2_002, async |commerce, transaction| {
        let ids = (cart_id(1), quote_id(1));
        let done = commerce
            .create_quote(transaction, &numbers, ids, VALID_DAYS, desk())
            .await;
        if tries.fetch_add(1, Ordering::Relaxed) == 0 {
            // Whoever looks for the quotes of this change does not find this one yet.
            reprice(site.outbox(), &sku(), "160", 2_003).await;
        }
        done
    })
    .await;
    assert_eq!(tries.into_inner(), 2);
    let quote: Quote = read(&site, &quote_id(1)).await;
    assert_eq!(quote.items()[0].unit_price, unit("160"));
}

#[tokio::test]
async fn a_change_of_a_price_says_what_it_means_for_open_quotes() {
    let site = JobSite::new();
    open(site.outbox(), &[sku()]).await;
    fill(site.outbox(), cart_id(1), &sku(), 10, 2_000).await;
    let told = async |price: &str, number: u64| {
        reprice(site.outbox(), &sku(), price, number).await;
        let aggregate = format!("price#{}", sku());
        let first = events::Sequence::FIRST;
        let history = site.outbox().history(&aggregate, first, 100).await;
        let history = history.expect("reads");
        let last = history.envelopes.last().expect("events");
        let envelope: Envelope = serde_json::from_str(last.get()).expect("an envelope");
        let event: price::Changed =
            serde_json::from_str(envelope.payload.json()).expect("a price.changed");
        (event.affects_active_quotes, event.requote_required)
    };
    assert_eq!(told("160", 2_010).await, (false, false));
    offer(site.outbox(), cart_id(1), quote_id(1), 2_011).await;
    assert_eq!(told("167.99", 2_012).await, (true, false));
    assert_eq!(told("150", 2_013).await, (true, true));
    site.clock().advance(Duration::from_secs(OVER));
    assert_eq!(told("300", 2_014).await, (false, false));
}

/// Puts one piece of each sku into a cart. Takes as many numbers as there are skus.
async fn put_in(site: &JobSite, cart_id: CartId, skus: &[Sku], number: u64) {
    for (number, sku) in (number..).zip(skus) {
        commit(site.outbox(), number, async |commerce, transaction| {
            let add = CartStep::Add {
                sku: sku.clone(),
                quantity: 1,
            };
            commerce.step_cart(transaction, cart_id, add, desk()).await
        })
        .await;
    }
}

/// 90 skus, a consumer in a tier, and a cart of its with the first 45 of them. Takes the numbers up to 2,100.
async fn largest() -> (JobSite, Vec<Sku>) {
    let site = JobSite::new();
    let skus: Vec<Sku> = (0..90)
        .map(|number| Sku::new(format!("PRD-{number:03}")).expect("a sku"))
        .collect();
    open(site.outbox(), &[]).await;
    for (number, sku) in (100..).step_by(3).zip(&skus) {
        sell(site.outbox(), sku, "150", 50, number).await;
    }
    commit(site.outbox(), 900, async |commerce, transaction| {
        let set = SetTier {
            tier: TierName::new("gold").expect("a name"),
            discount_percent: "10".parse().expect("per cent"),
            by: desk(),
        };
        commerce.set_tier(transaction, set).await
    })
    .await;
    commit(site.outbox(), 901, async |commerce, transaction| {
        let profile = Profile {
            tier: TierName::new("gold").ok(),
            ..profile(CustomerType::B2c)
        };
        commerce
            .set_customer(transaction, &customer_id(), profile, desk())
            .await
    })
    .await;
    cart(site.outbox(), cart_id(1), &customer_id(), 2_000).await;
    put_in(&site, cart_id(1), &skus[..45], 2_001).await;
    (site, skus)
}

#[tokio::test]
async fn the_largest_quote_takes_the_place_of_one_of_other_goods() {
    let (site, skus) = largest().await;
    offer(site.outbox(), cart_id(1), quote_id(1), 2_100).await;
    commit(site.outbox(), 2_101, async |commerce, transaction| {
        commerce
            .step_cart(transaction, cart_id(1), CartStep::Clear, desk())
            .await
    })
    .await;
    put_in(&site, cart_id(1), &skus[45..], 2_102).await;
    offer(site.outbox(), cart_id(1), quote_id(2), 2_200).await;
    let first: Quote = read(&site, &quote_id(1)).await;
    assert_eq!(first.superseded_by(), Some(quote_id(2)));
    let second: Quote = read(&site, &quote_id(2)).await;
    assert_eq!(second.items().len(), 45);
    assert_eq!(rows(&site, "quote_watch#sku/"), 90);
    assert_eq!(rows(&site, "quote_due"), 2);
}

#[tokio::test]
async fn the_largest_quote_becomes_an_order_and_closes_its_cart() {
    let (site, _) = largest().await;
    offer(site.outbox(), cart_id(1), quote_id(1), 2_100).await;
    assert_eq!(rows(&site, "cart_watch#"), 47);
    accepted(&site, quote_id(1), 2_101).await;
    let order: Order = read(&site, &order_id()).await;
    assert_eq!(order.items().len(), 45);
    let cart: Cart = read(&site, &cart_id(1)).await;
    assert_eq!(cart.status(), CartStatus::Ordered);
    assert_eq!(rows(&site, "cart_watch#"), 0);
    // The rows of a quote stay until they expire.
    assert_eq!(rows(&site, "quote_watch#sku/"), 45);
}
