//! A shop for tests: what the seed's sample order needs, and a way to do a step of it once.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "only tests use it: what cannot be done fails the test"
)]

use std::fmt::Debug;

use domain::Stopped;
use events::{
    CartId, CategoryId, Cause, CountryCode, CustomerId, OrderId, PriceListId, ProductId, QuoteId,
    Sku, Slug, Text, TierName,
    contracts::{
        customer::{CustomerType, PaymentTerm, VatTreatment},
        order::Goods,
        price::{Currency, ListKind, ListTerms, TaxCategory},
        product::{ProductStatus, Variant, Visibility},
    },
};
use outbox::{Decision, Error, Mark, Outbox, Outcome, Table, Transaction};

use crate::{
    cart::{Followers, ListUnderWay, Refresh, Subject},
    category,
    customer::Profile,
    operations::{CartStep, Commerce, PlaceOrder},
    order::Numbers,
    price::{Prices, SetPrice},
    price_list::{Audience, SetPriceList},
    product::Details,
    quote,
    stock::StockStep,
    tax::SetTaxRate,
    tier::SetTier,
};

/// The business that the samples name.
pub const CUSTOMER: &str = "CUST-00123";

/// The order that the samples name.
pub const ORDER: &str = "a1b2c3d4-e5f6-7890-abcd-ef1234567890";

/// The domain's table in tests.
#[must_use]
pub fn table() -> Table {
    Table::domain("commerce")
}

/// The business that the samples name.
///
/// # Panics
/// Never: it is an id.
#[must_use]
pub fn customer_id() -> CustomerId {
    CustomerId::new(CUSTOMER).expect("an id")
}

/// The order that the samples name.
///
/// # Panics
/// Never: it is an id.
#[must_use]
pub fn order_id() -> OrderId {
    ORDER.parse().expect("an id")
}

/// Who does it.
///
/// # Panics
/// Never: it is a name.
#[must_use]
pub fn desk() -> Text<256> {
    Text::new("desk").expect("a name")
}

/// A customer that buys in Romania.
///
/// # Panics
/// Never: it is a profile.
#[must_use]
pub fn profile(customer_type: CustomerType) -> Profile {
    Profile {
        customer_type,
        name: Text::new("Acme SRL").expect("a name"),
        email: "orders@acme.example".parse().expect("an address"),
        tier: None,
        payment_term: PaymentTerm::Net30,
        country: CountryCode::new("RO").expect("a country"),
        vat_id: None,
        vat_treatment: VatTreatment::Domestic,
        notification_preferences: None,
    }
}

/// Commits a step, once for each number.
///
/// # Panics
/// If the rules forbid it or it was not committed.
pub async fn commit<T, R: Debug>(
    outbox: &Outbox,
    number: u64,
    act: impl AsyncFn(&Commerce<'_>, &mut Transaction) -> Result<T, Stopped<R>>,
) {
    let mark = Mark::Episode {
        name: "shop",
        number,
        phase: "opened",
    };
    let (table, act) = (&table(), &act);
    let outcome = outbox
        .execute::<(), (), Error, _, _>(&mark, &Cause::default(), |mut transaction| async move {
            match act(&Commerce { outbox, table }, &mut transaction).await {
                Ok(_) => Ok(Decision::Commit(transaction, ())),
                Err(Stopped::Failed(error)) => Err(error),
                Err(Stopped::Refused(refusal)) => panic!("{refusal:?}"),
            }
        })
        .await;
    let done = matches!(
        outcome,
        Ok(Outcome::Committed { .. } | Outcome::AlreadyDone(_))
    );
    assert!(done, "{outcome:?}");
}

/// The id of the product that has only the variant of this sku.
///
/// # Panics
/// Never: a sku that a test uses is an id, too.
#[must_use]
pub fn product_id(sku: &Sku) -> ProductId {
    ProductId::new(sku.as_str()).expect("an id")
}

/// What the catalogue says of a product that everybody can buy, with these variants.
///
/// # Panics
/// Never: it is a name.
#[must_use]
pub fn details(skus: &[&Sku]) -> Details {
    let variants = skus.iter().map(|sku| Variant {
        sku: (*sku).clone(),
        name: None,
        attributes: Vec::new(),
        stock_status: None,
    });
    Details {
        name: Text::new("Chair").expect("a name"),
        description: None,
        status: ProductStatus::Active,
        visibility: Visibility::Public,
        tax_category: TaxCategory::Standard,
        category_id: None,
        variants: variants.collect(),
    }
}

/// Puts a product with this variant into the catalogue, sets its price in euros, and how much of it there is. Takes three numbers, the
/// first of them this one.
pub async fn sell(outbox: &Outbox, sku: &Sku, price: &str, quantity: u32, number: u64) {
    let product_id = product_id(sku);
    commit(outbox, number + 2, async |commerce, transaction| {
        let details = details(&[sku]);
        commerce
            .set_product(transaction, &product_id, details, desk())
            .await
    })
    .await;
    reprice(outbox, sku, price, number).await;
    commit(outbox, number + 1, async |commerce, transaction| {
        let counted = StockStep::Counted {
            product_id: product_id.clone(),
            quantity,
        };
        commerce
            .change_stock(transaction, sku, counted, desk())
            .await
    })
    .await;
}

/// Makes a category, whose slug and name are its id, below another one or at the top. Takes one number.
///
/// # Panics
/// If the id has a capital letter, a dot or an underscore.
pub async fn category(
    outbox: &Outbox,
    category_id: &CategoryId,
    parent_id: Option<&CategoryId>,
    number: u64,
) {
    commit(outbox, number, async |commerce, transaction| {
        let details = category::Details {
            parent_id: parent_id.cloned(),
            name: Text::new(category_id.as_str()).expect("a name"),
            slug: Slug::new(category_id.as_str()).expect("a slug"),
            position: 0,
            attributes: Vec::new(),
        };
        commerce
            .set_category(transaction, category_id, details, desk())
            .await
    })
    .await;
}

/// Sets the price of a sku in euros. Takes one number.
pub async fn reprice(outbox: &Outbox, sku: &Sku, price: &str, number: u64) {
    let product_id = product_id(sku);
    commit(outbox, number, async |commerce, transaction| {
        let set = SetPrice {
            product_id: product_id.clone(),
            sku: sku.clone(),
            currency: Currency::Eur,
            list: Prices {
                base_price: price.parse().expect("a price"),
                volume_prices: Vec::new(),
            },
            by: desk(),
        };
        commerce.set_price(transaction, set).await
    })
    .await;
}

/// The tier that tests have.
///
/// # Panics
/// Never: it is a name.
#[must_use]
pub fn gold() -> TierName {
    TierName::new("gold").expect("a name")
}

/// Sets the percentage of the tier that tests have. Takes one number.
pub async fn tier(outbox: &Outbox, percent: &str, number: u64) {
    commit(outbox, number, async |commerce, transaction| {
        let set = SetTier {
            tier: gold(),
            discount_percent: percent.parse().expect("per cent"),
            by: desk(),
        };
        commerce.set_tier(transaction, set).await
    })
    .await;
}

/// Puts the samples' business into the tier that tests have. Takes one number.
pub async fn promote(outbox: &Outbox, number: u64) {
    commit(outbox, number, async |commerce, transaction| {
        let profile = Profile {
            tier: Some(gold()),
            ..profile(CustomerType::B2b)
        };
        commerce
            .set_customer(transaction, &customer_id(), profile, desk())
            .await
    })
    .await;
}

/// The terms of a price list that is valid at once and for ever.
///
/// # Panics
/// Never: it is a name.
#[must_use]
pub fn terms(kind: ListKind) -> ListTerms {
    ListTerms {
        name: Text::new("List").expect("a name"),
        kind,
        priority: 0,
        valid_from: None,
        valid_until: None,
    }
}

/// The id of a price list.
///
/// # Panics
/// If it has a `-`.
#[must_use]
pub fn list_id(id: &str) -> PriceListId {
    PriceListId::new(id).expect("an id")
}

/// Makes a price list in euros, or replaces its terms. Takes one number.
pub async fn price_list(
    outbox: &Outbox,
    id: &str,
    audience: Audience,
    terms: ListTerms,
    number: u64,
) {
    commit(outbox, number, async |commerce, transaction| {
        let set = SetPriceList {
            price_list_id: list_id(id),
            audience: audience.clone(),
            currency: Currency::Eur,
            terms: terms.clone(),
            by: desk(),
        };
        commerce.set_price_list(transaction, set).await
    })
    .await;
}

/// Sets the price of a sku in a price list. Takes one number.
pub async fn list_price(outbox: &Outbox, id: &str, sku: &Sku, price: &str, number: u64) {
    commit(outbox, number, async |commerce, transaction| {
        let prices = Prices {
            base_price: price.parse().expect("a price"),
            volume_prices: Vec::new(),
        };
        let of = (&list_id(id), sku);
        commerce
            .set_list_price(transaction, of, prices, desk())
            .await
    })
    .await;
}

/// Sets the tax rate in Romania, in per cent. Takes one number.
pub async fn tax(outbox: &Outbox, rate: &str, number: u64) {
    commit(outbox, number, async |commerce, transaction| {
        let rate = SetTaxRate {
            country: CountryCode::new("RO").expect("a country"),
            tax_category: TaxCategory::Standard,
            rate: rate.parse().expect("per cent"),
            valid_from: "1970-01-01".parse().expect("a day"),
            by: desk(),
        };
        commerce.set_tax_rate(transaction, rate).await
    })
    .await;
}

/// Registers a customer that buys in Romania, a business if it gets credit in euros. Takes two numbers, the first of them this one.
pub async fn buyer(outbox: &Outbox, id: &CustomerId, credit: Option<&str>, number: u64) {
    let customer_type = credit.map_or(CustomerType::B2c, |_| CustomerType::B2b);
    commit(outbox, number, async |commerce, transaction| {
        commerce
            .set_customer(transaction, id, profile(customer_type), desk())
            .await
    })
    .await;
    let Some(credit) = credit else {
        return;
    };
    commit(outbox, number + 1, async |commerce, transaction| {
        let limit = (Currency::Eur, credit.parse().expect("money"));
        commerce
            .set_credit_limit(transaction, id, limit, desk())
            .await
    })
    .await;
}

/// Opens a shop: 19 % tax in Romania, the samples' business with a credit of 5,000.00, and 50 of each sku at 150.00. Takes the
/// numbers below 1,000.
pub async fn open(outbox: &Outbox, skus: &[Sku]) {
    tax(outbox, "19", 1).await;
    buyer(outbox, &customer_id(), Some("5000"), 2).await;
    for (number, sku) in (10..).step_by(3).zip(skus) {
        sell(outbox, sku, "150", 50, number).await;
    }
}

/// Places the samples' order: so many of each sku. Takes one number.
pub async fn place(outbox: &Outbox, skus: &[Sku], quantity: u32, number: u64) {
    let numbers = &Numbers::default();
    commit(outbox, number, async |commerce, transaction| {
        let lines = skus.iter().map(|sku| Goods {
            sku: sku.clone(),
            quantity,
        });
        let place = PlaceOrder {
            order_id: order_id(),
            customer_id: customer_id(),
            currency: Currency::Eur,
            lines: lines.collect(),
            expected_total: None,
            by: desk(),
        };
        commerce.place_order(transaction, numbers, place).await
    })
    .await;
}

/// The id of a cart.
///
/// # Panics
/// Never: it is an id.
#[must_use]
pub fn cart_id(number: u64) -> CartId {
    let id = format!("0190a1b2-c3d4-7e5f-8a9b-0c1d{number:08x}");
    id.parse().expect("an id")
}

/// Makes a cart for a customer. Takes one number.
pub async fn cart(outbox: &Outbox, cart_id: CartId, customer_id: &CustomerId, number: u64) {
    commit(outbox, number, async |commerce, transaction| {
        let new = (customer_id.clone(), Currency::Eur);
        commerce
            .create_cart(transaction, cart_id, new, desk())
            .await
    })
    .await;
}

/// Makes a cart for the samples' business, with so many pieces. Takes two numbers, the first of them this one.
pub async fn fill(outbox: &Outbox, cart_id: CartId, sku: &Sku, quantity: u32, number: u64) {
    cart(outbox, cart_id, &customer_id(), number).await;
    commit(outbox, number + 1, async |commerce, transaction| {
        let sku = sku.clone();
        let add = CartStep::Add { sku, quantity };
        commerce.step_cart(transaction, cart_id, add, desk()).await
    })
    .await;
}

/// The id of a quote.
///
/// # Panics
/// Never: it is an id.
#[must_use]
pub fn quote_id(number: u64) -> QuoteId {
    let id = format!("0190a1b2-c3d4-7e5f-8a9b-0c20{number:08x}");
    id.parse().expect("an id")
}

/// Makes a quote from a cart, valid for 30 days. Takes one number.
pub async fn offer(outbox: &Outbox, cart_id: CartId, quote_id: QuoteId, number: u64) {
    let numbers = &quote::Numbers::default();
    commit(outbox, number, async |commerce, transaction| {
        let ids = (cart_id, quote_id);
        commerce
            .create_quote(transaction, numbers, ids, quote::VALID_DAYS, desk())
            .await
    })
    .await;
}

/// Writes down that something changed from which carts follow, as `commerce-carts` does. Takes one number, which is the event's, too.
///
/// # Panics
/// If it was not committed.
pub async fn changed(outbox: &Outbox, subjects: Vec<Subject>, number: u64) {
    begin(outbox, subjects, None, number).await;
}

/// Writes down that a price list for everybody changed, as `commerce-carts` does. Takes one number, which is the event's, too.
///
/// # Panics
/// If it was not committed.
pub async fn list_changed(outbox: &Outbox, id: &str, number: u64) {
    let list = ListUnderWay {
        price_list_id: list_id(id),
        after: None,
    };
    begin(outbox, Vec::new(), Some(list), number).await;
}

async fn begin(
    outbox: &Outbox,
    subjects: Vec<Subject>,
    price_list: Option<ListUnderWay>,
    number: u64,
) {
    let id = format!("0190a1b2-c3d4-7e5f-8a9b-0c1e{number:08x}");
    let refresh = Refresh {
        event_id: id.parse().expect("an id"),
        correlation_id: id.parse().expect("an id"),
        occurred_at: outbox.clock().now(),
        subjects,
        price_list,
        followers: Followers::default(),
        after: None,
    };
    commit(outbox, number, async |_, transaction| {
        let row = transaction.insert(refresh.key(&table()), &refresh);
        row.map_err(|error| Stopped::<()>::Failed(error.into()))
    })
    .await;
}
