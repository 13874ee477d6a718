//! What commerce's functions write: prices, a tier, tax rates and a stock, each changed more than once.

use commerce::{
    operations::{Commerce, Stopped},
    price::{PriceList, SetPrice},
    stock::StockStep,
    tax::SetTaxRate,
    tier::SetTier,
};
use events::{
    CountryCode, ProductId, Sku, Text, TierName,
    contracts::price::{Currency, TaxCategory, VolumePrice},
};
use outbox::{Error, Transaction};
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
        list: PriceList {
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
