//! What commerce's functions write: prices, price lists, a tier, tax rates, a stock, a customer and its credit, each changed more than
//! once, and an order with what is reserved for it.

use commerce::{
    category::Details,
    credit::Asked,
    customer::Profile,
    operations::{CartStep, Commerce, Stopped},
    order,
    price::{Prices, SetPrice},
    price_list::Audience,
    stock::StockStep,
    tax::SetTaxRate,
    testing,
    tier::SetTier,
};
use events::{
    CartId, CategoryId, CountryCode, ProductId, Sku, Slug, Text, TierName,
    contracts::{
        category::{AttributeDefinition, AttributeType},
        customer::{CustomerType, NotificationPreferences},
        order::Goods,
        price::{Currency, ListKind, ListTerms, TaxCategory, VolumePrice},
    },
};
use outbox::{Error, Outbox, Transaction};
use testkit::flow::Site;

use super::{World, commerce_table, operator::once};

/// How often each of them changes.
const CHANGES: u32 = 3;

/// Commits the changes, while the rest of the pipeline stands still.
pub(super) fn act(world: &World) {
    for number in 1..=CHANGES {
        world.flow.look(|site| async move {
            let site = &site;
            once(
                site,
                format!("commerce-{number}"),
                |mut transaction| async move {
                    let done = change(site, number, &mut transaction).await;
                    match done {
                        Ok(()) => Ok(transaction),
                        Err(Stopped::Failed(error)) => Err::<_, Error>(error),
                        Err(Stopped::Refused(refusal)) => panic!("{refusal}"),
                    }
                },
            )
            .await;
        });
    }
    world
        .flow
        .look(|site| async move { order(site.outbox()).await });
    world
        .flow
        .look(|site| async move { categories(site.outbox()).await });
    world
        .flow
        .look(|site| async move { price_lists(site.outbox()).await });
}

/// Price lists for a customer, a tier and everybody: one of them gets other terms, and one is withdrawn.
async fn price_lists(outbox: &Outbox) {
    let sku = Sku::new("PRD-2").expect("a sku");
    let now = outbox.clock().now();
    let window = ListTerms {
        priority: 1,
        valid_from: Some(now),
        valid_until: Some(now.plus(std::time::Duration::from_secs(86_400))),
        ..testing::terms(ListKind::Sale)
    };
    let customer = || Audience::Customer(testing::customer_id());
    testing::price_list(
        outbox,
        "acme",
        customer(),
        testing::terms(ListKind::Override),
        1_060,
    )
    .await;
    testing::price_list(outbox, "acme", customer(), window.clone(), 1_061).await;
    let tier = Audience::Tier(testing::gold());
    testing::price_list(outbox, "golden", tier, window.clone(), 1_062).await;
    testing::price_list(outbox, "all", Audience::Everybody, window, 1_063).await;
    testing::list_price(outbox, "acme", &sku, "120", 1_064).await;
    testing::list_price(outbox, "acme", &sku, "121", 1_065).await;
    testing::list_price(outbox, "golden", &sku, "130", 1_066).await;
    testing::commit(outbox, 1_067, async |commerce, transaction| {
        let of = (&testing::list_id("golden"), &sku);
        commerce
            .remove_list_price(transaction, of, testing::desk())
            .await
    })
    .await;
    testing::commit(outbox, 1_068, async |commerce, transaction| {
        commerce
            .withdraw_price_list(transaction, &testing::list_id("golden"), testing::desk())
            .await
    })
    .await;
}

/// Two categories; one of them is put below the other, and deleted.
async fn categories(outbox: &Outbox) {
    let [seats, chairs] = ["seats", "chairs"].map(|id| CategoryId::new(id).expect("an id"));
    testing::category(outbox, &seats, None, 1_050).await;
    testing::category(outbox, &chairs, None, 1_051).await;
    let height = AttributeDefinition {
        name: Text::new("height").expect("a name"),
        attribute_type: AttributeType::Number,
        values: Vec::new(),
        filterable: true,
    };
    testing::commit(outbox, 1_052, async |commerce, transaction| {
        let details = Details {
            parent_id: Some(seats.clone()),
            name: Text::new("Chairs").expect("a name"),
            slug: Slug::new("chairs").expect("a slug"),
            position: 1,
            attributes: vec![height.clone()],
        };
        commerce
            .set_category(transaction, &chairs, details, testing::desk())
            .await
    })
    .await;
    testing::commit(outbox, 1_053, async |commerce, transaction| {
        commerce
            .delete_category(transaction, &chairs, None, testing::desk())
            .await
    })
    .await;
}

/// An order, its credit and its goods, as the consumers move them.
async fn order(outbox: &Outbox) {
    let skus = [
        Sku::new("PRD-2").expect("a sku"),
        Sku::new("PRD-3").expect("a sku"),
    ];
    testing::open(outbox, &skus).await;
    testing::commit(outbox, 1_000, async |commerce, transaction| {
        let limit = (Currency::Eur, "6000".parse().expect("money"));
        commerce
            .set_credit_limit(transaction, &testing::customer_id(), limit, testing::desk())
            .await
    })
    .await;
    testing::commit(outbox, 1_001, async |commerce, transaction| {
        let profile = Profile {
            tier: TierName::new("gold").ok(),
            vat_id: Text::new("RO12345678").ok(),
            notification_preferences: Some(NotificationPreferences::default()),
            ..testing::profile(CustomerType::B2b)
        };
        commerce
            .set_customer(
                transaction,
                &testing::customer_id(),
                profile,
                testing::desk(),
            )
            .await
    })
    .await;
    let cart_id: CartId = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a77"
        .parse()
        .expect("an id");
    testing::commit(outbox, 1_005, async |commerce, transaction| {
        let new = (testing::customer_id(), Currency::Eur);
        commerce
            .create_cart(transaction, cart_id, new, testing::desk())
            .await
    })
    .await;
    testing::commit(outbox, 1_006, async |commerce, transaction| {
        let step = CartStep::Add {
            sku: skus[0].clone(),
            quantity: 2,
        };
        commerce
            .step_cart(transaction, cart_id, step, testing::desk())
            .await
    })
    .await;
    quotes(outbox, cart_id).await;
    testing::place(outbox, &skus, 2, 1_002).await;
    testing::commit(outbox, 1_003, async |commerce, transaction| {
        let (order_id, customer_id) = (testing::order_id(), testing::customer_id());
        let order = commerce.order(order_id).await.expect("readable");
        let amount = order.state().expect("placed").totals().total;
        let asked = Asked::new(order_id, &customer_id, amount, Currency::Eur);
        commerce.reserve_credit(transaction, asked).await
    })
    .await;
    testing::commit(outbox, 1_004, async |commerce, transaction| {
        let goods = skus.iter().map(|sku| Goods {
            sku: sku.clone(),
            quantity: 2,
        });
        commerce
            .reserve_stock(transaction, testing::order_id(), goods.collect())
            .await
    })
    .await;
}

/// Quotes of a cart: one gives way to another, which is rejected, and the third becomes an order.
async fn quotes(outbox: &Outbox, cart_id: CartId) {
    for number in 0..3 {
        let id = testing::quote_id(number);
        testing::offer(outbox, cart_id, id, 1_010 + number).await;
        if number == 1 {
            testing::commit(outbox, 1_020, async |commerce, transaction| {
                let reason = Text::new("too expensive").ok();
                commerce
                    .reject_quote(transaction, id, reason, testing::desk())
                    .await
            })
            .await;
        }
    }
    let numbers = order::Numbers::default();
    let order_id = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a78"
        .parse()
        .expect("an id");
    testing::commit(outbox, 1_021, async |commerce, transaction| {
        let ids = (testing::quote_id(2), order_id);
        commerce
            .accept_quote(transaction, &numbers, ids, None, testing::desk())
            .await
    })
    .await;
}

async fn change(site: &Site, number: u32, transaction: &mut Transaction) -> Result<(), Stopped> {
    let (outbox, table) = (site.outbox(), &commerce_table());
    let commerce = Commerce { outbox, table };
    let sku = Sku::new("PRD-1").expect("a sku");
    let product_id = ProductId::new("PRD").expect("an id");
    let by = Text::new("desk").expect("a name");
    let price = |number: u32| number.to_string().parse().expect("a price");
    let set = SetPrice {
        product_id: product_id.clone(),
        sku: sku.clone(),
        currency: Currency::Eur,
        list: Prices {
            base_price: price(number * 100),
            volume_prices: vec![VolumePrice {
                min_quantity: 10,
                price: price(number * 90),
            }],
        },
        by: by.clone(),
    };
    commerce.set_price(transaction, set).await?;
    let set = SetTier {
        tier: TierName::new("gold").expect("a name"),
        discount_percent: number.to_string().parse().expect("per cent"),
        by: by.clone(),
    };
    commerce.set_tier(transaction, set).await?;
    let set = SetTaxRate {
        country: CountryCode::new("RO").expect("a country"),
        tax_category: TaxCategory::Standard,
        rate: (18 + number).to_string().parse().expect("per cent"),
        valid_from: format!("202{number}-08-01").parse().expect("a day"),
        by: by.clone(),
    };
    commerce.set_tax_rate(transaction, set).await?;
    let step = if number == 1 {
        let quantity = 50;
        StockStep::Counted {
            product_id,
            quantity,
        }
    } else {
        let reason = Text::new("broken").expect("a reason");
        StockStep::Adjusted { delta: -1, reason }
    };
    commerce.change_stock(transaction, &sku, step, by).await?;
    Ok(())
}
