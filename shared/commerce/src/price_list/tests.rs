use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use domain::testing::{Log, at, number};
use events::{Draft, PriceListId, UnitPrice, contracts::price::ListKind};
use testkit::jobs::JobSite;

use super::*;
use crate::{
    Price, Refusal as Calculation,
    calculation::{PriceReason, UnitCalculation},
    change,
    operations::{Buyer, CartStep, Commerce, PriceListStopped},
    price::Prices,
    testing::{
        self, cart, cart_id, commit, customer_id, desk, gold, list_id, list_price, open,
        price_list, product_id, promote, sell, table, terms, tier,
    },
};

fn sku() -> Sku {
    Sku::new("PRD-001").expect("a sku")
}

fn unit(text: &str) -> UnitPrice {
    text.parse().expect("a price")
}

/// The terms of a list that is valid from this second until that one.
fn window(from: Option<u64>, until: Option<u64>) -> ListTerms {
    ListTerms {
        valid_from: from.map(at),
        valid_until: until.map(at),
        ..terms(ListKind::Override)
    }
}

fn command(terms: ListTerms) -> SetPriceList {
    SetPriceList {
        price_list_id: list_id("acme"),
        audience: Audience::Customer(customer_id()),
        currency: Currency::Eur,
        terms,
        by: desk(),
    }
}

/// A list and the log of its events.
#[derive(Default)]
struct Life {
    list: Option<PriceList>,
    version: u64,
    log: Log,
}

impl Life {
    fn next(&self) -> Sequence {
        number(self.version + 1)
    }

    fn take(&mut self, change: &Change<PriceList, ListChanged>, second: u64) -> ListChange {
        let event = change.event().expect("something changes");
        let (version, draft) = (self.next(), Draft::of(event).expect("a draft"));
        let draft = change::numbered(draft, version).expect("a name");
        self.log.append([draft], at(second));
        self.list = Some(change.state().clone());
        self.version = version.number();
        let rebuilt = domain::rebuild::<PriceList>(&self.log.0).expect("they follow");
        assert_eq!(rebuilt.map(|rebuilt| rebuilt.state), self.list);
        event.change_type
    }

    fn set(&mut self, terms: ListTerms, second: u64) -> ListChange {
        let change = set(self.list.as_ref(), command(terms), self.next(), at(second));
        self.take(&change.expect("allowed"), second)
    }

    /// What is told at this second; `None` if nothing is.
    fn look(&mut self, second: u64) -> Option<ListChange> {
        let list = self.list.clone().expect("made");
        let change = look(&list, desk(), self.next(), at(second));
        change.event()?;
        Some(self.take(&change, second))
    }

    fn withdraw(&mut self, second: u64) -> ListChange {
        let list = self.list.clone().expect("made");
        let change = withdraw(&list, desk(), self.next(), at(second));
        self.take(&change, second)
    }
}

#[test]
fn a_price_list_is_what_its_events_come_to() {
    let mut life = Life::default();
    let made = life.set(window(Some(10), Some(20)), 1);
    assert_eq!(made, ListChange::Created);
    assert_eq!(life.look(9), None);
    assert_eq!(life.look(10), Some(ListChange::Began));
    assert_eq!(
        life.set(window(Some(10), Some(30)), 11),
        ListChange::Updated
    );
    assert_eq!(life.look(29), None);
    assert_eq!(life.look(31), Some(ListChange::Ended));
    assert_eq!(life.look(99), None);
    // It can begin once more, by other terms. The clock goes back meanwhile; the list does not.
    assert_eq!(life.set(window(None, None), 25), ListChange::Updated);
    assert_eq!(life.withdraw(40), ListChange::Withdrawn);
    assert!(life.log.names_every_fact_once());
    let list = life.list.expect("made");
    assert_eq!((list.created_at(), list.updated_at()), (at(1), at(40)));
    // What was withdrawn stays as it is.
    let again = withdraw(&list, desk(), number(9), at(41));
    assert_eq!(again.event(), None);
    let refused = set(Some(&list), command(window(None, None)), number(9), at(41));
    let price_list_id = list_id("acme");
    assert_eq!(refused, Err(Refusal::Withdrawn { price_list_id }));
}

#[test]
fn a_list_that_was_not_looked_at_between_its_begin_and_its_end_has_ended() {
    let mut life = Life::default();
    life.set(window(Some(10), Some(20)), 1);
    assert_eq!(life.look(20), Some(ListChange::Ended));
    assert_eq!(life.list.and_then(|list| list.look_at()), None);
}

#[test]
fn what_is_set_already_is_no_event_and_what_cannot_change_is_refused() {
    let first = set(None, command(window(None, Some(9))), number(1), at(1)).expect("allowed");
    let list = first.state();
    let change = |command: SetPriceList| set(Some(list), command, number(2), at(2));
    let same = change(command(window(None, Some(9)))).expect("allowed");
    assert_eq!((same.event(), same.state()), (None, list));
    let mut other = command(window(None, Some(9)));
    other.audience = Audience::Everybody;
    let audience = Audience::Customer(customer_id());
    assert_eq!(change(other), Err(Refusal::OtherAudience { audience }));
    let mut other = command(window(None, Some(9)));
    other.currency = Currency::Ron;
    let currency = Currency::Eur;
    assert_eq!(change(other), Err(Refusal::OtherCurrency { currency }));
    let backwards = change(command(window(Some(9), Some(9))));
    assert_eq!(backwards, Err(Refusal::EndsTooEarly));
}

/// A list of this number, valid from this second until that one.
fn numbered(number: usize, from: Option<u64>, until: Option<u64>) -> PriceList {
    let mut command = command(window(from, until));
    command.price_list_id = PriceListId::new(format!("list{number}")).expect("an id");
    let change = set(None, command, domain::testing::number(1), at(1));
    change.expect("allowed").state().clone()
}

fn all(windows: &[(Option<u64>, Option<u64>)]) -> Result<Lists, Refusal> {
    let mut lists = Lists::default();
    for (number, (from, until)) in windows.iter().enumerate() {
        lists = lists.with(&numbered(number, *from, *until), at(1));
    }
    lists.check(&Audience::Everybody)?;
    Ok(lists)
}

#[test]
fn no_more_lists_are_valid_at_once_than_a_calculation_reads() {
    let always = vec![(None, None); MOST_AT_ONCE];
    assert!(all(&always).is_ok());
    let too_many = Err(Refusal::TooManyAtOnce {
        audience: Audience::Everybody,
        currency: Currency::Eur,
        most: MOST_AT_ONCE,
    });
    let mut one_more = always;
    one_more.push((Some(50), Some(60)));
    assert_eq!(all(&one_more), too_many);
    // Five until then, and five from then on.
    let mut relay = vec![(None, Some(50)); MOST_AT_ONCE];
    relay.extend(vec![(Some(50), None); MOST_AT_ONCE]);
    assert!(all(&relay).is_ok());
    relay.push((Some(49), Some(51)));
    assert_eq!(all(&relay), too_many);
}

#[test]
fn lists_that_ended_or_were_withdrawn_do_not_count() {
    let each = (0..u64::try_from(MOST_LISTS).expect("small"))
        .map(|second| (Some(100 + second), Some(101 + second)));
    let windows: Vec<_> = each.collect();
    let lists = all(&windows).expect("as many as possible");
    let later = numbered(99, Some(500), None);
    let one_more = lists.with(&later, at(1)).check(&Audience::Everybody);
    assert_eq!(
        one_more,
        Err(Refusal::TooManyLists {
            audience: Audience::Everybody,
            most: MOST_LISTS
        })
    );
    // The first one has ended.
    assert_eq!(
        lists.with(&later, at(101)).check(&Audience::Everybody),
        Ok(())
    );
    let withdrawn = withdraw(&numbered(0, Some(100), Some(101)), desk(), number(2), at(2));
    let without = lists.with(withdrawn.state(), at(2));
    assert_eq!(
        without.with(&later, at(2)).check(&Audience::Everybody),
        Ok(())
    );
    let valid = |second| lists.valid(Currency::Eur, at(second)).count();
    assert_eq!((valid(99), valid(100), valid(120)), (0, 1, 0));
    assert_eq!(lists.valid(Currency::Ron, at(100)).count(), 0);
}

/// A shop with one sku at 150.00, whose customer has a tier with 10 % off. Takes the numbers below 1,000.
async fn shop() -> JobSite {
    let site = JobSite::new();
    open(site.outbox(), &[sku()]).await;
    tier(site.outbox(), "10", 900).await;
    promote(site.outbox(), 901).await;
    site
}

async fn asked(site: &JobSite, buyer: &Buyer) -> UnitCalculation {
    let (outbox, table) = (site.outbox(), &table());
    let commerce = Commerce { outbox, table };
    let calculated = commerce.calculate(Currency::Eur, buyer, &sku(), 1).await;
    calculated.expect("calculated").0
}

/// What one piece costs the samples' business, and why.
async fn price(site: &JobSite) -> (String, PriceReason) {
    let calculated = asked(site, &Buyer::Customer(customer_id())).await;
    (calculated.unit_price.to_string(), calculated.reason)
}

fn costs(price: &str, reason: PriceReason) -> (String, PriceReason) {
    (price.to_owned(), reason)
}

#[tokio::test]
async fn a_customer_pays_the_price_of_the_first_list_that_concerns_it() {
    let site = shop().await;
    let outbox = site.outbox();
    assert_eq!(price(&site).await, costs("135", PriceReason::TierDiscount));
    let of = terms(ListKind::Override);
    for (first, id, audience, amount) in [
        (1_000, "all", Audience::Everybody, "140"),
        (1_010, "golden", Audience::Tier(gold()), "130"),
        (1_020, "acme", Audience::Customer(customer_id()), "120"),
    ] {
        price_list(outbox, id, audience, of.clone(), first).await;
        // A list that says nothing of the goods is not chosen.
        let before = price(&site).await.0;
        assert_ne!(before, amount);
        list_price(outbox, id, &sku(), amount, first + 1).await;
    }
    assert_eq!(price(&site).await, costs("120", PriceReason::ContractPrice));
    let of_tier = asked(&site, &Buyer::OfTier(gold())).await;
    assert_eq!(of_tier.reason, PriceReason::TierPrice);
    assert_eq!(of_tier.price_list_id, Some(list_id("golden")));
    let other = asked(&site, &Buyer::Anybody).await;
    assert_eq!(
        (other.unit_price, other.reason),
        (unit("140"), PriceReason::ListPrice)
    );
    commit(outbox, 1_030, async |commerce, transaction| {
        commerce
            .withdraw_price_list(transaction, &list_id("acme"), desk())
            .await
    })
    .await;
    assert_eq!(price(&site).await, costs("130", PriceReason::TierPrice));
    commit(outbox, 1_031, async |commerce, transaction| {
        let of = (&list_id("golden"), &sku());
        commerce.remove_list_price(transaction, of, desk()).await
    })
    .await;
    assert_eq!(price(&site).await, costs("140", PriceReason::ListPrice));
}

#[tokio::test]
async fn a_list_is_valid_from_its_first_moment_until_its_last_whether_that_was_told_or_not() {
    let site = shop().await;
    let outbox = site.outbox();
    let now = outbox.clock().now();
    let hour = Duration::from_secs(3_600);
    let window = ListTerms {
        valid_from: Some(now.plus(hour)),
        valid_until: Some(now.plus(hour * 2)),
        ..terms(ListKind::Sale)
    };
    price_list(outbox, "spring", Audience::Everybody, window, 1_000).await;
    list_price(outbox, "spring", &sku(), "100", 1_001).await;
    let moment = Duration::from_millis(1);
    site.clock().advance(hour - moment);
    assert_eq!(price(&site).await.0, "135");
    site.clock().advance(moment);
    assert_eq!(price(&site).await, costs("100", PriceReason::ListPrice));
    site.clock().advance(hour - moment);
    assert_eq!(price(&site).await.0, "100");
    site.clock().advance(moment);
    assert_eq!(price(&site).await.0, "135");
}

/// Why a change is refused. Takes no number: nothing is written.
async fn refused<T: std::fmt::Debug>(
    site: &JobSite,
    act: impl AsyncFn(&Commerce<'_>, &mut outbox::Transaction) -> Result<T, PriceListStopped>,
) -> Refusal {
    let mark = outbox::Mark::Episode {
        name: "refused",
        number: 1,
        phase: "opened",
    };
    let (outbox, table, act) = (site.outbox(), &table(), &act);
    let outcome = outbox
        .execute::<(), Refusal, outbox::Error, _, _>(
            &mark,
            &events::Cause::default(),
            |mut transaction| async move {
                let commerce = Commerce { outbox, table };
                match act(&commerce, &mut transaction).await {
                    Ok(_) => Ok(outbox::Decision::Commit(transaction, ())),
                    Err(PriceListStopped::Refused(refusal)) => {
                        Ok(outbox::Decision::Refuse(refusal))
                    }
                    Err(PriceListStopped::Failed(error)) => Err(error),
                }
            },
        )
        .await;
    match outcome {
        Ok(outbox::Outcome::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_list_for_nobody_and_a_price_of_nothing_are_refused() {
    let site = shop().await;
    let list_for = async |audience: Audience| {
        refused(&site, async |commerce, transaction| {
            let set = SetPriceList {
                audience: audience.clone(),
                ..command(terms(ListKind::Override))
            };
            commerce.set_price_list(transaction, set).await
        })
        .await
    };
    let customer_id = CustomerId::new("nobody").expect("an id");
    let unknown = list_for(Audience::Customer(customer_id.clone())).await;
    assert_eq!(unknown, Refusal::UnknownCustomer { customer_id });
    let tier = TierName::new("silver").expect("a name");
    let unknown = list_for(Audience::Tier(tier.clone())).await;
    assert_eq!(unknown, Refusal::UnknownTier { tier });

    let priced = async |id: &str, sku: &Sku| {
        refused(&site, async |commerce, transaction| {
            let prices = Prices {
                base_price: unit("1"),
                volume_prices: Vec::new(),
            };
            let of = (&list_id(id), sku);
            commerce
                .set_list_price(transaction, of, prices, desk())
                .await
        })
        .await
    };
    let price_list_id = list_id("acme");
    assert_eq!(
        priced("acme", &sku()).await,
        Refusal::UnknownList { price_list_id }
    );
    price_list(
        site.outbox(),
        "acme",
        Audience::Everybody,
        terms(ListKind::Sale),
        1_000,
    )
    .await;
    let unknown = Sku::new("PRD-9").expect("a sku");
    assert_eq!(
        priced("acme", &unknown).await,
        Refusal::Prices(Calculation::UnknownSku {
            sku: unknown.clone()
        })
    );
    commit(site.outbox(), 1_001, async |commerce, transaction| {
        let set = SetPriceList {
            price_list_id: list_id("lei"),
            audience: Audience::Everybody,
            currency: Currency::Ron,
            ..command(terms(ListKind::Sale))
        };
        commerce.set_price_list(transaction, set).await
    })
    .await;
    let currency = Currency::Ron;
    assert_eq!(
        priced("lei", &sku()).await,
        Refusal::NoBasePrice {
            sku: sku(),
            currency
        }
    );
    let nothing = refused(&site, async |commerce, transaction| {
        let of = (&list_id("acme"), &sku());
        commerce.remove_list_price(transaction, of, desk()).await
    })
    .await;
    let price_list_id = list_id("acme");
    let sku = sku();
    assert_eq!(nothing, Refusal::UnknownListPrice { price_list_id, sku });
}

/// Puts ten pieces into the cart; before the first try is committed, this happens. Returns what each of them costs. Takes the number
/// 2,001.
async fn adds_while(site: &JobSite, happens: impl AsyncFn()) -> String {
    let tries = AtomicU64::new(0);
    commit(site.outbox(), 2_001, async |commerce, transaction| {
        let add = CartStep::Add {
            sku: sku(),
            quantity: 10,
        };
        let done = commerce
            .step_cart(transaction, cart_id(0), add, desk())
            .await;
        if tries.fetch_add(1, Ordering::Relaxed) == 0 {
            happens().await;
        }
        done
    })
    .await;
    assert_eq!(tries.into_inner(), 2, "it is decided again");
    let (outbox, table) = (site.outbox(), &table());
    let entity = Commerce { outbox, table }.cart(cart_id(0)).await;
    let entity = entity.expect("reads");
    let line = &entity.state().expect("made").items()[0];
    line.unit_price.to_string()
}

#[tokio::test]
async fn a_list_price_that_is_set_before_a_new_line_is_committed_is_in_the_line() {
    for audience in [
        Audience::Customer(customer_id()),
        Audience::Tier(gold()),
        Audience::Everybody,
    ] {
        let site = shop().await;
        let outbox = site.outbox();
        cart(outbox, cart_id(0), &customer_id(), 2_000).await;
        let price = adds_while(&site, async || {
            let terms = terms(ListKind::Override);
            price_list(outbox, "acme", audience.clone(), terms, 1_000).await;
            list_price(outbox, "acme", &sku(), "120", 1_001).await;
        });
        assert_eq!(price.await, "120", "{audience}");
    }
}

#[tokio::test]
async fn a_list_that_changes_before_a_new_line_is_committed_is_in_the_line() {
    // For one that is for everybody, those who look for its carts see to it.
    for audience in [Audience::Customer(customer_id()), Audience::Tier(gold())] {
        let site = shop().await;
        let outbox = site.outbox();
        cart(outbox, cart_id(0), &customer_id(), 2_000).await;
        let of = terms(ListKind::Override);
        price_list(outbox, "acme", audience.clone(), of, 1_000).await;
        list_price(outbox, "acme", &sku(), "120", 1_001).await;
        let price = adds_while(&site, async || {
            commit(outbox, 1_002, async |commerce, transaction| {
                commerce
                    .withdraw_price_list(transaction, &list_id("acme"), desk())
                    .await
            })
            .await;
        });
        assert_eq!(price.await, "135", "{audience}");
    }
}

/// A list that begins makes no other row of the lists than before; that it began is seen nevertheless.
#[tokio::test]
async fn a_list_that_begins_before_a_new_line_is_committed_is_in_the_line() {
    let site = shop().await;
    let outbox = site.outbox();
    cart(outbox, cart_id(0), &customer_id(), 2_000).await;
    let second = Duration::from_secs(1);
    let begins = ListTerms {
        valid_from: Some(outbox.clock().now().plus(second)),
        ..terms(ListKind::Override)
    };
    let audience = Audience::Customer(customer_id());
    price_list(outbox, "acme", audience, begins, 1_000).await;
    list_price(outbox, "acme", &sku(), "120", 1_001).await;
    let price = adds_while(&site, async || {
        site.clock().advance(second);
        commit(outbox, 1_002, async |commerce, transaction| {
            commerce.look_at_price_list(transaction).await
        })
        .await;
    });
    assert_eq!(price.await, "120");
}

/// The most that a cart checks and writes at once is stated in the operations; this is a cart of as many lines, in which all of them come
/// out otherwise.
#[tokio::test]
async fn the_largest_cart_can_be_changed_while_it_is_behind() {
    let site = shop().await;
    let outbox = site.outbox();
    cart(outbox, cart_id(0), &customer_id(), 2_000).await;
    let most = u64::try_from(crate::calculation::MOST_LINES).expect("small");
    let skus: Vec<Sku> = (0..most)
        .map(|line| Sku::new(format!("LINE-{line}")).expect("a sku"))
        .collect();
    for (number, sku) in (3_000..).step_by(3).zip(&skus) {
        sell(outbox, sku, "150", 50, number).await;
    }
    let add = async |line: usize, number: u64| {
        commit(outbox, number, async |commerce, transaction| {
            let add = CartStep::Add {
                sku: skus[line].clone(),
                quantity: 1,
            };
            commerce
                .step_cart(transaction, cart_id(0), add, desk())
                .await
        })
        .await;
    };
    let last = skus.len() - 1;
    for (number, line) in (4_000..).zip(0..last) {
        add(line, number).await;
    }
    // Another tier, by which all prices are others.
    commit(outbox, 4_100, async |commerce, transaction| {
        let set = crate::tier::SetTier {
            tier: TierName::new("silver").expect("a name"),
            discount_percent: "20".parse().expect("per cent"),
            by: desk(),
        };
        commerce.set_tier(transaction, set).await
    })
    .await;
    commit(outbox, 4_101, async |commerce, transaction| {
        let profile = crate::customer::Profile {
            tier: TierName::new("silver").ok(),
            ..testing::profile(events::contracts::customer::CustomerType::B2b)
        };
        commerce
            .set_customer(transaction, &customer_id(), profile, desk())
            .await
    })
    .await;
    add(last, 4_102).await;
    let table = &table();
    let entity = Commerce { outbox, table }.cart(cart_id(0)).await;
    let entity = entity.expect("reads");
    let items = entity.state().expect("made").items();
    assert_eq!(items.len(), skus.len());
    assert!(items.iter().all(|item| item.unit_price == unit("120")));
}

#[tokio::test]
async fn what_a_list_says_of_a_sku_is_what_its_events_come_to_and_the_rewritten_rows_agree() {
    let site = shop().await;
    let outbox = site.outbox();
    let audience = Audience::Customer(customer_id());
    price_list(outbox, "acme", audience, terms(ListKind::Sale), 1_000).await;
    price_list(
        outbox,
        "golden",
        Audience::Tier(gold()),
        terms(ListKind::Sale),
        1_001,
    )
    .await;
    list_price(outbox, "acme", &sku(), "120", 1_002).await;
    // What is set already changes nothing.
    list_price(outbox, "acme", &sku(), "120.00", 1_003).await;
    list_price(outbox, "acme", &sku(), "110", 1_004).await;
    commit(outbox, 1_005, async |commerce, transaction| {
        let of = (&list_id("acme"), &sku());
        commerce.remove_list_price(transaction, of, desk()).await
    })
    .await;
    list_price(outbox, "acme", &sku(), "115", 1_006).await;
    testing::reprice(outbox, &sku(), "160", 1_007).await;
    tier(outbox, "12", 1_008).await;
    let customer = customer_id().to_string();
    for (kind, id, events) in [
        ("price_list", "acme", 1),
        ("price_list_price", "acme-PRD-001", 4),
        ("price", "PRD-001", 2),
        ("price_tier", "gold", 2),
        ("customer", customer.as_str(), 2),
    ] {
        let aggregate = crate::DOMAIN.aggregate(kind).expect("one of them");
        let witness = domain::witness(aggregate, outbox, &table(), id, 100).await;
        let witness = witness.expect("reads").expect("it has events");
        assert_eq!(
            witness.verdict,
            domain::Verdict::Agrees,
            "{kind}: {witness:?}"
        );
        assert_eq!(witness.events, events, "{kind}");
    }
    // Two changes of the price itself, and four of what the list says, each of which is a version of the row.
    let table = &table();
    let entity = Commerce { outbox, table }.price(&sku()).await;
    let entity = entity.expect("reads");
    assert_eq!(entity.version(), 6);
    let owner = entity.state().map(Price::product_id);
    assert_eq!(owner, Some(&product_id(&sku())));
}
