//! Commerce through the deployed stack: prices are set and published, and an order comes to what they say; price lists count for those
//! whom they are for; stock is counted and corrected; an order goes from placed to completed, or is refused with nothing held, and its
//! customer is told by mail.

use std::collections::BTreeMap;

use outbox::{Clock as _, SystemClock};

use super::*;

/// Sends a PUT under a key of its own, and repeats it with the same key.
async fn put(stack: &Stack, path: &str, body: &Value) -> Result<Value> {
    let key = unique("key");
    let first = stack
        .call(Method::PUT, path, Some(&key), Some(body))
        .await?;
    let first = first.expect(StatusCode::OK)?;
    let again = stack
        .call(Method::PUT, path, Some(&key), Some(body))
        .await?;
    assert_eq!(again.expect(StatusCode::OK)?, first);
    Ok(first)
}

#[tokio::test]
async fn a_price_is_published_and_an_order_comes_to_the_seeds_total() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let (sku, tier) = (unique("PRD"), unique("gold").to_lowercase());
    let prices = format!("/api/v1/prices/{sku}");
    let price = |base: &str| json!({ "product_id": "PRD", "currency": "EUR", "base_price": base });
    put(&stack, &prices, &price("140")).await?;
    let set = put(&stack, &prices, &price("150.00")).await?;
    assert_eq!(set["prices"]["EUR"]["base_price"], 150);
    put(
        &stack,
        &format!("/api/v1/tiers/{tier}"),
        &json!({ "discount_percent": 12.5 }),
    )
    .await?;
    // The seed's rate. ISO 3166-1 leaves the codes XA to XZ to their users, so no country has it.
    let rate = json!({ "rate": 19, "valid_from": "2017-01-01" });
    put(&stack, "/api/v1/tax-rates/XA/standard", &rate).await?;

    let mut order = json!({
        "currency": "EUR", "country": "XA", "lines": [{ "sku": sku, "quantity": 10 }],
    });
    let calculate = "/api/v1/pricing/calculate-order";
    let ask = async |order: &Value| stack.call(Method::POST, calculate, None, Some(order)).await;
    let totals = ask(&order).await?.expect(StatusCode::OK)?["totals"].clone();
    assert_eq!(
        (&totals["subtotal"], &totals["tax_amount"], &totals["total"]),
        (&json!(1500), &json!(285), &json!(1785)),
        "{totals}"
    );
    order["tier"] = tier.as_str().into();
    let tiered = ask(&order).await?.expect(StatusCode::OK)?;
    assert_eq!(tiered["lines"][0]["unit_price"], 131.25);
    order["country"] = "XB".into();
    let untaxed = ask(&order)
        .await?
        .expect(StatusCode::UNPROCESSABLE_ENTITY)?;
    assert_eq!(untaxed["type"], "urn:millrace:problem:no-tax-rate");

    // A repeat is no second change.
    let events = history(&stack, "price", &sku).await?;
    assert_eq!(events.len(), 2, "{events:?}");
    let listed = stack.get(&format!("{prices}/history?order=newest")).await?;
    let rise = &listed["items"][0];
    assert_eq!(
        (
            &rise["payload"]["previous_price"],
            &rise["payload"]["price_difference"]
        ),
        (&json!(140), &json!(10))
    );
    let event_id = rise["event_id"].as_str().ok_or("no event_id")?;
    handled_by_all(&stack, event_id, SOON).await?;
    for (kind, id) in [
        ("price", sku.as_str()),
        ("price_tier", tier.as_str()),
        ("price_tax_rate", "XA-standard"),
    ] {
        let path = format!("/api/v1/events/witness?aggregate_type={kind}&aggregate_id={id}");
        let witness = stack.get(&path).await?;
        assert_eq!(witness["verdict"], "agrees", "{witness}");
    }
    Ok(())
}

#[tokio::test]
async fn stock_is_corrected_once_however_often_and_at_the_same_time_it_is_asked_for() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let sku = unique("PRD");
    let stock = format!("/api/v1/stock/{sku}");
    let body = json!({ "product_id": "PRD-1", "quantity": 10 });
    assert_eq!(put(&stack, &stock, &body).await?["available"], 10);
    put(
        &stack,
        &format!("{stock}/threshold"),
        &json!({ "threshold_low_stock": 5 }),
    )
    .await?;

    // Twelve pieces break at once, each told twice, but only ten are there.
    let (stack, path) = (&stack, &format!("{stock}/adjustments"));
    let body = &json!({ "delta": -1, "reason": "broken" });
    let broken = (0..12).map(|_| async move {
        let key = unique("key");
        let mut answers = Vec::new();
        for _ in 0..2 {
            let answer = until("an answer", SOON, || async {
                let answer = stack
                    .call(Method::POST, path, Some(&key), Some(body))
                    .await?;
                Ok((answer.status != StatusCode::SERVICE_UNAVAILABLE).then_some(answer.status))
            });
            answers.push(answer.await?);
        }
        Ok::<_, BoxError>(answers)
    });
    let answers = futures::future::try_join_all(broken).await?;
    let done = answers
        .iter()
        .filter(|answers| answers[..] == [StatusCode::OK; 2])
        .count();
    let refused = answers
        .iter()
        .filter(|answers| answers[..] == [StatusCode::CONFLICT; 2])
        .count();
    assert_eq!((done, refused), (10, 2), "{answers:?}");
    let left = stack.get(&stock).await?;
    assert_eq!(
        (&left["on_hand"], &left["stock_status"]),
        (&json!(0), &json!("out_of_stock"))
    );
    let events = history(stack, "stock", &sku).await?;
    assert_eq!(events.len(), 12, "{events:?}");
    let last = events[11]["event_id"].as_str().ok_or("no event_id")?;
    handled_by_all(stack, last, SOON).await?;
    let path = format!("/api/v1/events/witness?aggregate_type=stock&aggregate_id={sku}");
    let witness = stack.get(&path).await?;
    assert_eq!(witness["verdict"], "agrees", "{witness}");
    Ok(())
}

/// A sku at 150.00 and so many pieces of it, taxed with 19 % in a country that nobody has.
async fn sold(stack: &Stack, pieces: u32) -> Result<String> {
    let sku = unique("PRD");
    let product = json!({
        "name": "Chair", "status": "active", "visibility": "public", "variants": [{ "sku": sku, "name": "blue" }],
    });
    put(stack, &format!("/api/v1/products/{sku}"), &product).await?;
    let price = json!({ "product_id": sku, "currency": "EUR", "base_price": "150" });
    put(stack, &format!("/api/v1/prices/{sku}"), &price).await?;
    let stock = json!({ "product_id": sku, "quantity": pieces });
    put(stack, &format!("/api/v1/stock/{sku}"), &stock).await?;
    let rate = json!({ "rate": 19, "valid_from": "2017-01-01" });
    put(stack, "/api/v1/tax-rates/XA/standard", &rate).await?;
    Ok(sku)
}

/// A customer with an address of its own, and with this credit if it is a business.
async fn buyer(stack: &Stack, credit: Option<u32>) -> Result<String> {
    let id = unique("CUST");
    let email = format!("{id}@example.com");
    let customer = json!({
        "customer_type": if credit.is_some() { "b2b" } else { "b2c" }, "name": "Acme", "email": email,
        "payment_term": if credit.is_some() { "net_30" } else { "immediate" }, "country": "XA",
    });
    put(stack, &format!("/api/v1/customers/{id}"), &customer).await?;
    if let Some(limit) = credit {
        let limit = json!({ "currency": "EUR", "credit_limit": limit });
        put(
            stack,
            &format!("/api/v1/credit-accounts/{id}/limit"),
            &limit,
        )
        .await?;
    }
    Ok(id)
}

/// Waits until the customer was sent mails under all of these subjects. Returns every mail to the customer, by its subject.
async fn mailed(
    stack: &Stack,
    customer: &str,
    subjects: &[&str],
) -> Result<BTreeMap<String, SentMail>> {
    until("the customer's mails", SOON, || async {
        let mails = mails_to(stack, customer).await?.into_iter();
        let mails: BTreeMap<String, SentMail> =
            mails.map(|mail| (mail.subject.clone(), mail)).collect();
        let are_there = subjects.iter().all(|subject| mails.contains_key(*subject));
        Ok(are_there.then_some(mails))
    })
    .await
}

async fn order(stack: &Stack, customer: &str, sku: &str, quantity: u32) -> Result<Reply> {
    let body = json!({
        "customer_id": customer, "currency": "EUR", "lines": [{ "sku": sku, "quantity": quantity }],
    });
    let key = unique("key");
    let path = "/api/v1/orders";
    stack
        .call(Method::POST, path, Some(&key), Some(&body))
        .await
}

/// A cart with so many pieces, and the order that it became.
async fn checked_out(
    stack: &Stack,
    customer: &str,
    sku: &str,
    quantity: u32,
) -> Result<(String, Value)> {
    let post = async |path: String, body: Value| {
        stack
            .call(Method::POST, &path, Some(&unique("key")), Some(&body))
            .await
    };
    let made = json!({ "customer_id": customer, "currency": "EUR" });
    let made = post("/api/v1/carts".to_owned(), made).await?;
    let made = made.expect(StatusCode::CREATED)?;
    let id = made["cart_id"].as_str().ok_or("no cart_id")?.to_owned();
    let cart = format!("/api/v1/carts/{id}");
    let line = json!({ "sku": sku, "quantity": quantity });
    let filled = post(format!("{cart}/items"), line).await?;
    let total = filled.expect(StatusCode::OK)?["totals"]["total"].clone();
    let other = json!({ "expected_total": 1 });
    let other = post(format!("{cart}/checkout"), other).await?;
    let other = other.expect(StatusCode::CONFLICT)?;
    assert_eq!(other["type"], "urn:millrace:problem:total-changed");
    let placed = json!({ "expected_total": total });
    let placed = post(format!("{cart}/checkout"), placed).await?;
    Ok((id, placed.expect(StatusCode::CREATED)?))
}

fn id_of(placed: &Value) -> Result<String> {
    Ok(placed["order_id"].as_str().ok_or("no order_id")?.to_owned())
}

/// Waits until the order has left `pending`; returns it.
async fn decided(stack: &Stack, id: &str) -> Result<Value> {
    let path = format!("/api/v1/orders/{id}");
    until("credit and stock", SOON, || async {
        let order = stack.get(&path).await?;
        Ok((order["status"] != "pending").then_some(order))
    })
    .await
}

/// Waits until nothing of the order is under way, and checks what is stored of it against its events.
async fn settled(stack: &Stack, id: &str, customer: &str, sku: &str) -> Result {
    for kind in ["order", "credit_reservation", "stock_reservation"] {
        for event in history(stack, kind, id).await? {
            let event_id = event["event_id"].as_str().ok_or("no event_id")?;
            handled_by_all(stack, event_id, SOON).await?;
        }
    }
    for (kind, id) in [
        ("order", id),
        ("credit_reservation", id),
        ("stock_reservation", id),
        ("credit", customer),
        ("stock", sku),
    ] {
        if history(stack, kind, id).await?.is_empty() {
            continue;
        }
        let path = format!("/api/v1/events/witness?aggregate_type={kind}&aggregate_id={id}");
        let witness = stack.get(&path).await?;
        assert_eq!(witness["verdict"], "agrees", "{kind}: {witness}");
    }
    Ok(())
}

#[tokio::test]
async fn an_order_goes_from_credit_over_stock_to_delivered_and_paid() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let (sku, customer) = (sold(&stack, 20).await?, buyer(&stack, Some(5000)).await?);
    let (cart, placed) = checked_out(&stack, &customer, &sku, 10).await?;
    assert_eq!(placed["totals"]["total"], 1785, "{placed}");
    let id = id_of(&placed)?;
    assert_eq!(decided(&stack, &id).await?["status"], "confirmed");
    let account = format!("/api/v1/credit-accounts/{customer}");
    let (credit, stock) = (
        stack.get(&account).await?,
        stack.get(&format!("/api/v1/stock/{sku}")).await?,
    );
    assert_eq!(
        (&credit["reserved"], &credit["balance"]),
        (&json!(1785), &json!(0))
    );
    assert_eq!(
        (&stock["on_hand"], &stock["reserved"]),
        (&json!(20), &json!(10))
    );

    let path = format!("/api/v1/orders/{id}");
    let parcel = json!({ "carrier": "Sameday", "tracking": "1SDY123456" });
    let post = async |path: String, body: Value| -> Result<Value> {
        let answer = stack
            .call(Method::POST, &path, Some(&unique("key")), Some(&body))
            .await?;
        answer.expect(StatusCode::OK)
    };
    post(format!("{path}/ship"), parcel).await?;
    let owed = until("the debt", SOON, || async {
        let credit = stack.get(&account).await?;
        Ok((credit["balance"] == 1785).then_some(credit))
    });
    assert_eq!(owed.await?["reserved"], 0);
    until("the stock", SOON, || async {
        let stock = stack.get(&format!("/api/v1/stock/{sku}")).await?;
        Ok((stock["on_hand"] == 10 && stock["reserved"] == 0).then_some(()))
    })
    .await?;
    let late = stack
        .call(
            Method::POST,
            &format!("{path}/cancel"),
            Some(&unique("key")),
            None,
        )
        .await?;
    let late = late.expect(StatusCode::CONFLICT)?;
    assert_eq!(late["type"], "urn:millrace:problem:illegal-transition");

    let paid = json!({ "order_id": id, "amount": 1785, "external_reference": unique("BT") });
    let paid = post(format!("{account}/payments"), paid).await?;
    assert_eq!(paid["balance"], 0);
    post(format!("{path}/deliver"), json!({})).await?;
    until("payment and delivery", SOON, || async {
        let order = stack.get(&path).await?;
        Ok((order["status"] == "completed").then_some(()))
    })
    .await?;
    settled(&stack, &id, &customer, &sku).await?;
    let witness = format!("/api/v1/events/witness?aggregate_type=cart&aggregate_id={cart}");
    let witness = stack.get(&witness).await?;
    assert_eq!(witness["verdict"], "agrees", "{witness}");
    let timeline = stack.get(&format!("{path}/timeline")).await?;
    let steps = timeline["steps"].as_array().ok_or("no steps")?;
    let told: Vec<&str> = steps
        .iter()
        .filter_map(|step| step["event_type"].as_str())
        .collect();
    assert_eq!(
        told[..5],
        [
            "order.created",
            "credit.reservation_changed",
            "order.stock_requested",
            "stock.reservation_changed",
            "order.confirmed"
        ],
        "{timeline}"
    );
    assert!(steps[1..5].iter().all(|step| step["caused_by"].is_string()));

    let block = json!({ "reason": "nothing was paid for a year" });
    post(format!("{account}/block"), block).await?;
    let subjects = [
        "Credit Account Blocked",
        "Order Confirmed",
        "Order Received",
        "Order Shipped",
    ];
    let mails = mailed(&stack, &customer, &subjects).await?;
    let told: Vec<&str> = mails.keys().map(String::as_str).collect();
    assert_eq!(told, subjects, "no other change of order or credit is told");
    let number = placed["order_number"].as_str().ok_or("no number")?;
    for (subject, words) in [
        ("Order Received", vec![number, sku.as_str(), "1785.00 EUR"]),
        ("Order Confirmed", vec![number]),
        ("Order Shipped", vec![number, "Sameday", "1SDY123456"]),
        (
            "Credit Account Blocked",
            vec!["nothing was paid for a year"],
        ),
    ] {
        let mail = &mails[subject];
        for word in words {
            assert!(
                mail.text.contains(word) && mail.html.contains(word),
                "{word} in {mail:?}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_order_that_is_refused_or_cancelled_holds_nothing() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let sku = sold(&stack, 10).await?;
    let poor = buyer(&stack, Some(1000)).await?;
    let placed = order(&stack, &poor, &sku, 10).await?;
    let id = id_of(&placed.expect(StatusCode::CREATED)?)?;
    let rejected = decided(&stack, &id).await?;
    assert_eq!(
        (&rejected["status"], &rejected["rejection"]),
        (&json!("rejected"), &json!("insufficient_credit"))
    );
    settled(&stack, &id, &poor, &sku).await?;
    let mails = mailed(&stack, &poor, &["Order Received", "Order Rejected"]).await?;
    let why = "the order is more than what is left of your credit";
    assert!(mails["Order Rejected"].text.contains(why), "{mails:?}");

    // Both want more than half of the goods at the same moment.
    let rich = buyer(&stack, Some(50_000)).await?;
    let both =
        futures::future::try_join(order(&stack, &rich, &sku, 6), order(&stack, &rich, &sku, 6));
    let both = both.await?;
    let (mut confirmed, mut refused) = (Vec::new(), 0);
    for placed in [both.0, both.1] {
        if placed.status == StatusCode::CONFLICT {
            refused += 1;
            continue;
        }
        let id = id_of(&placed.expect(StatusCode::CREATED)?)?;
        let order = decided(&stack, &id).await?;
        if order["status"] == "confirmed" {
            confirmed.push(id);
        } else {
            assert_eq!(order["rejection"], "out_of_stock", "{order}");
            settled(&stack, &id, &rich, &sku).await?;
            refused += 1;
        }
    }
    assert_eq!((confirmed.len(), refused), (1, 1));

    let cancel = format!("/api/v1/orders/{}/cancel", confirmed[0]);
    let why = json!({ "reason": "ordered twice" });
    let cancelled = stack
        .call(Method::POST, &cancel, Some(&unique("key")), Some(&why))
        .await?;
    cancelled.expect(StatusCode::OK)?;
    settled(&stack, &confirmed[0], &rich, &sku).await?;
    let mails = mailed(&stack, &rich, &["Order Confirmed", "Order Cancelled"]).await?;
    let why = "ordered twice";
    assert!(
        mails["Order Cancelled"].text.contains(why),
        "{:?}",
        mails["Order Cancelled"]
    );
    for customer in [&poor, &rich] {
        let path = format!("/api/v1/credit-accounts/{customer}");
        let credit = stack.get(&path).await?;
        assert_eq!(
            (&credit["reserved"], &credit["balance"]),
            (&json!(0), &json!(0))
        );
    }
    let stock = stack.get(&format!("/api/v1/stock/{sku}")).await?;
    assert_eq!(
        (&stock["on_hand"], &stock["reserved"]),
        (&json!(10), &json!(0))
    );

    // A consumer needs no credit, and pays before the goods are shipped.
    let consumer = buyer(&stack, None).await?;
    let placed = order(&stack, &consumer, &sku, 1).await?;
    let id = id_of(&placed.expect(StatusCode::CREATED)?)?;
    assert_eq!(decided(&stack, &id).await?["status"], "confirmed");
    let ship = format!("/api/v1/orders/{id}/ship");
    let unpaid = stack
        .call(Method::POST, &ship, Some(&unique("key")), None)
        .await?;
    let unpaid = unpaid.expect(StatusCode::CONFLICT)?;
    assert_eq!(unpaid["type"], "urn:millrace:problem:not-paid");
    Ok(())
}

#[tokio::test]
async fn a_cart_follows_a_price_a_product_and_a_stock_by_itself() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let (sku, customer) = (sold(&stack, 20).await?, buyer(&stack, None).await?);
    let send = async |path: &str, body: Value| {
        stack
            .call(Method::POST, path, Some(&unique("key")), Some(&body))
            .await
    };
    let cart = filled(&stack, &customer, &sku).await?;
    let shown = stack.get(&cart).await?;
    assert_eq!(shown["totals"]["total"], 1785);
    let id = shown["cart_id"].as_str().ok_or("no cart_id")?;

    let follows = async |what: &str, is_so: fn(&Value) -> bool| -> Result<Value> {
        let look = async || {
            let line = stack.get(&cart).await?["items"][0].clone();
            Ok(is_so(&line).then_some(line))
        };
        until_run(&stack, "CommerceCartWorkerFunction", what, SOON, look).await
    };
    let price = json!({ "product_id": sku, "currency": "EUR", "base_price": "160" });
    put(&stack, &format!("/api/v1/prices/{sku}"), &price).await?;
    let line = follows("the new price", |line| line["unit_price"] == 160).await?;
    assert_eq!(
        (&line["name"], &line["line_total"], &line["available"]),
        (&json!("Chair, blue"), &json!(1600), &json!(true))
    );
    // Everything is sold to others: the product tells so, too.
    let count = json!({ "product_id": sku, "quantity": 0 });
    put(&stack, &format!("/api/v1/stock/{sku}"), &count).await?;
    follows("that nothing is left", |line| line["available"] == false).await?;
    let product = format!("/api/v1/products/{sku}");
    until("the product's stock", SOON, || async {
        let variant = stack.get(&product).await?["variants"][0].clone();
        Ok((variant["stock_status"] == "out_of_stock").then_some(()))
    })
    .await?;
    let short = send(&format!("{cart}/checkout"), json!({})).await?;
    let short = short.expect(StatusCode::CONFLICT)?;
    assert_eq!(short["type"], "urn:millrace:problem:insufficient-stock");
    let count = json!({ "product_id": sku, "quantity": 20 });
    put(&stack, &format!("/api/v1/stock/{sku}"), &count).await?;
    follows("that there is something again", |line| {
        line["available"] == true
    })
    .await?;
    let named = json!({
        "name": "Stool", "status": "active", "visibility": "public", "variants": [{ "sku": sku }],
    });
    put(&stack, &product, &named).await?;
    follows("the new name", |line| line["name"] == "Stool").await?;

    let events = history(&stack, "cart", id).await?;
    let actions: Vec<&str> = events
        .iter()
        .filter_map(|event| event["payload"]["action"].as_str())
        .collect();
    assert_eq!(
        actions,
        [
            "item_added",
            "price_updated",
            "availability_changed",
            "availability_changed",
            "item_details_updated"
        ]
    );
    // A cart is calculated by what holds when its turn comes: a change that was told before can be what it comes for.
    let mut causes = Vec::new();
    for kind in ["price", "stock", "product"] {
        causes.extend(history(&stack, kind, &sku).await?);
    }
    let cause = &events[2]["causation_id"];
    assert!(
        causes.iter().any(|event| event["event_id"] == *cause),
        "{cause} of {causes:?}"
    );
    assert_eq!(
        events[2]["payload"]["price_changes"][0]["previous_price"],
        150
    );
    for (kind, id) in [("cart", id), ("product", sku.as_str())] {
        let last = history(&stack, kind, id).await?;
        let last = last.last().ok_or("no event")?["event_id"].clone();
        handled_by_all(&stack, last.as_str().ok_or("no event_id")?, SOON).await?;
        let path = format!("/api/v1/events/witness?aggregate_type={kind}&aggregate_id={id}");
        let witness = stack.get(&path).await?;
        assert_eq!(witness["verdict"], "agrees", "{kind}: {witness}");
    }
    let listed = stack
        .get(&format!("/api/v1/orders?customer_id={customer}"))
        .await?;
    assert_eq!(listed["items"], json!([]));
    Ok(())
}

#[tokio::test]
async fn a_quote_is_priced_again_after_a_jump_and_its_order_keeps_its_total_after_a_step() -> Result
{
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let (sku, customer) = (sold(&stack, 20).await?, buyer(&stack, Some(5000)).await?);
    let send = async |path: &str, body: Value| {
        stack
            .call(Method::POST, path, Some(&unique("key")), Some(&body))
            .await
    };
    let reprice = async |price: &str| {
        let price = json!({ "product_id": sku, "currency": "EUR", "base_price": price });
        put(&stack, &format!("/api/v1/prices/{sku}"), &price).await
    };
    let made = json!({ "customer_id": customer, "currency": "EUR" });
    let made = send("/api/v1/carts", made).await?;
    let made = made.expect(StatusCode::CREATED)?;
    let cart = made["cart_id"].as_str().ok_or("no cart_id")?;
    let line = json!({ "sku": sku, "quantity": 10 });
    let filled = send(&format!("/api/v1/carts/{cart}/items"), line).await?;
    filled.expect(StatusCode::OK)?;
    let first = send("/api/v1/quotes", json!({ "cart_id": cart })).await?;
    let first = first.expect(StatusCode::CREATED)?;
    assert_eq!(first["totals"]["total"], 1785, "{first}");
    let first = first["quote_id"].as_str().ok_or("no quote_id")?;

    reprice("165").await?;
    let path = format!("/api/v1/quotes/{first}");
    let look = async || {
        let quote = stack.get(&path).await?;
        Ok((quote["needs_repricing"] == true).then_some(()))
    };
    let what = "that the quote needs repricing";
    until_run(&stack, "CommerceCartWorkerFunction", what, SOON, look).await?;
    let refused = send(&format!("{path}/accept"), json!({})).await?;
    let refused = refused.expect(StatusCode::CONFLICT)?;
    assert_eq!(
        refused["type"],
        "urn:millrace:problem:quote-needs-repricing"
    );

    let second = send(&format!("{path}/reprice"), json!({})).await?;
    let second = second.expect(StatusCode::CREATED)?;
    assert_eq!(second["totals"]["total"], 1963.5, "{second}");
    let second = second["quote_id"].as_str().ok_or("no quote_id")?;
    assert_eq!(stack.get(&path).await?["superseded_by"], second);
    reprice("166.65").await?;
    let path = format!("/api/v1/quotes/{second}");
    let seen = json!({ "expected_total": 1963.5 });
    let placed = send(&format!("{path}/accept"), seen).await?;
    let placed = placed.expect(StatusCode::CREATED)?;
    assert_eq!(
        (&placed["totals"]["total"], &placed["quote_id"]),
        (&json!(1963.5), &json!(second)),
        "{placed}"
    );
    let twice = send(&format!("{path}/accept"), json!({})).await?;
    let twice = twice.expect(StatusCode::CONFLICT)?;
    assert_eq!(
        (&twice["type"], &twice["order_id"]),
        (
            &json!("urn:millrace:problem:quote-closed"),
            &placed["order_id"]
        )
    );
    let id = id_of(&placed)?;
    let order = decided(&stack, &id).await?;
    assert_eq!(
        (&order["status"], &order["totals"]["total"]),
        (&json!("confirmed"), &json!(1963.5))
    );
    let witness = format!("/api/v1/events/witness?aggregate_type=order&aggregate_id={id}");
    assert_eq!(stack.get(&witness).await?["verdict"], "agrees");
    let changes = history(&stack, "price", &sku).await?;
    let meant: Vec<_> = changes
        .iter()
        .map(|event| {
            let payload = &event["payload"];
            (
                payload["affects_active_quotes"] == true,
                payload["requote_required"] == true,
            )
        })
        .collect();
    assert_eq!(meant, [(false, false), (true, true), (true, false)]);
    for (quote, last) in [(first, "quote.updated"), (second, "quote.accepted")] {
        let events = history(&stack, "quote", quote).await?;
        let event = events.last().ok_or("no event")?;
        assert_eq!(event["event_type"], last);
        let event_id = event["event_id"].as_str().ok_or("no event_id")?;
        handled_by_all(&stack, event_id, SOON).await?;
        let path = format!("/api/v1/events/witness?aggregate_type=quote&aggregate_id={quote}");
        let witness = stack.get(&path).await?;
        assert_eq!(witness["verdict"], "agrees", "{witness}");
    }
    let listed = stack
        .get(&format!("/api/v1/quotes?customer_id={customer}"))
        .await?;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2));
    Ok(())
}

#[tokio::test]
async fn a_category_takes_along_what_is_below_it_and_leaves_its_products_to_another_one() -> Result
{
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let [seats, chairs, office, stools] = ["seats", "chairs", "office", "stools"].map(unique);
    let path = |id: &str| format!("/api/v1/categories/{id}");
    let named = |id: &str, parent: Option<&str>| {
        let mut body = json!({ "name": id, "slug": id });
        if let Some(parent) = parent {
            body["parent_id"] = json!(parent);
        }
        body
    };
    put(&stack, &path(&seats), &named(&seats, None)).await?;
    let mut of_seats = named(&chairs, Some(seats.as_str()));
    of_seats["attributes"] = json!([{ "name": "height", "type": "number", "filterable": true }]);
    put(&stack, &path(&chairs), &of_seats).await?;
    put(
        &stack,
        &path(&office),
        &named(&office, Some(chairs.as_str())),
    )
    .await?;
    put(&stack, &path(&stools), &named(&stools, None)).await?;
    let shown = stack.get(&path(&office)).await?;
    assert_eq!(shown["path"], format!("{seats}/{chairs}/{office}"));

    // A product is listed by its category, and its attributes are as that one says.
    let sku = unique("PRD");
    let product = format!("/api/v1/products/{sku}");
    let chair = |height: &str| {
        json!({
            "name": "Chair", "status": "active", "visibility": "public", "category_id": chairs,
            "variants": [{ "sku": sku, "attributes": [{ "name": "height", "value": height }] }],
        })
    };
    let call = async |method: Method, path: &str, body: &Value| {
        stack
            .call(method, path, Some(&unique("key")), Some(body))
            .await
    };
    let high = call(Method::PUT, &product, &chair("high")).await?;
    let high = high.expect(StatusCode::UNPROCESSABLE_ENTITY)?;
    let pointer = &high["violations"][0]["pointer"];
    assert_eq!(pointer, "/variants/0/attributes/0/value", "{high}");
    let made = put(&stack, &product, &chair("45")).await?;
    let products_of = async |id: &str| -> Result<Value> {
        let listed = stack.get(&format!("{}/products", path(id))).await?;
        Ok(listed["items"].clone())
    };
    assert_eq!(products_of(&chairs).await?, json!([made]));

    // It moves with what stands below it, and not below itself.
    put(
        &stack,
        &path(&chairs),
        &named(&chairs, Some(stools.as_str())),
    )
    .await?;
    let shown = stack.get(&path(&office)).await?;
    assert_eq!(shown["path"], format!("{stools}/{chairs}/{office}"));
    let circle = call(
        Method::PUT,
        &path(&stools),
        &named(&stools, Some(office.as_str())),
    )
    .await?;
    let circle = circle.expect(StatusCode::UNPROCESSABLE_ENTITY)?;
    assert_eq!(circle["violations"][0]["pointer"], "/parent_id", "{circle}");

    // It is not deleted with what is in it, but leaves that to another one.
    let full = call(Method::DELETE, &path(&chairs), &json!({})).await?;
    let full = full.expect(StatusCode::CONFLICT)?;
    assert_eq!(full["type"], "urn:millrace:problem:category-has-children");
    let to = json!({ "reassign_to": seats });
    let closing = call(Method::DELETE, &path(&chairs), &to).await?;
    assert_eq!(closing.expect(StatusCode::OK)?["deleted"], false);
    let shown = stack.get(&path(&office)).await?;
    assert_eq!(shown["path"], format!("{seats}/{office}"), "at once");
    let look = async || {
        let gone = stack.call(Method::GET, &path(&chairs), None, None).await?;
        Ok((gone.status == StatusCode::NOT_FOUND).then_some(()))
    };
    let worker = "CommerceCartWorkerFunction";
    until_run(&stack, worker, "that the category is deleted", SOON, look).await?;
    let there = products_of(&seats).await?;
    assert_eq!(
        (&there[0]["product_id"], &there[0]["category_id"]),
        (&json!(sku), &json!(seats))
    );
    let tree = stack.get("/api/v1/categories").await?;
    let ids = tree["items"].as_array().ok_or("no items")?.iter();
    let ids: Vec<&str> = ids
        .filter_map(|item| item["category_id"].as_str())
        .collect();
    assert!(ids.contains(&office.as_str()) && !ids.contains(&chairs.as_str()));

    let events = history(&stack, "category", &chairs).await?;
    let told: Vec<&str> = events
        .iter()
        .filter_map(|event| event["event_type"].as_str())
        .collect();
    assert_eq!(
        told,
        [
            "category.created",
            "category.updated",
            "category.updated",
            "category.deleted"
        ]
    );
    let updates = history(&stack, "product", &sku).await?;
    let update = updates.last().ok_or("no event")?;
    assert_eq!(update["payload"]["change_type"], "category_changed");
    assert_eq!(update["causation_id"], events[2]["event_id"]);
    for (kind, id) in [
        ("category", &chairs),
        ("category", &office),
        ("product", &sku),
    ] {
        let last = history(&stack, kind, id).await?;
        let last = last.last().ok_or("no event")?["event_id"].clone();
        handled_by_all(&stack, last.as_str().ok_or("no event_id")?, SOON).await?;
        let path = format!("/api/v1/events/witness?aggregate_type={kind}&aggregate_id={id}");
        let witness = stack.get(&path).await?;
        assert_eq!(witness["verdict"], "agrees", "{kind}: {witness}");
    }
    Ok(())
}

/// A cart of a customer with ten pieces, as a path.
async fn filled(stack: &Stack, customer: &str, sku: &str) -> Result<String> {
    let send = async |path: &str, body: Value| {
        stack
            .call(Method::POST, path, Some(&unique("key")), Some(&body))
            .await
    };
    let made = json!({ "customer_id": customer, "currency": "EUR" });
    let made = send("/api/v1/carts", made).await?;
    let made = made.expect(StatusCode::CREATED)?;
    let id = made["cart_id"].as_str().ok_or("no cart_id")?;
    let cart = format!("/api/v1/carts/{id}");
    let line = json!({ "sku": sku, "quantity": 10 });
    let filled = send(&format!("{cart}/items"), line).await?;
    filled.expect(StatusCode::OK)?;
    Ok(cart)
}

/// Lets the job go through the carts until a unit of the cart's line costs this.
async fn costs(stack: &Stack, cart: &str, price: u32) -> Result {
    let look = async || {
        let line = stack.get(cart).await?["items"][0].clone();
        Ok((line["unit_price"] == price).then_some(()))
    };
    until_run(
        stack,
        "CommerceCartWorkerFunction",
        "the price in the cart",
        SOON,
        look,
    )
    .await
}

#[tokio::test]
async fn a_contract_price_is_for_its_customer_and_a_price_list_begins_by_itself() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let sku = sold(&stack, 20).await?;
    let (acme, other) = (buyer(&stack, None).await?, buyer(&stack, None).await?);
    let (of_acme, of_other) = (
        filled(&stack, &acme, &sku).await?,
        filled(&stack, &other, &sku).await?,
    );
    // The id of a price list has no '-'.
    let [contract, sale] = ["contract", "sale"].map(|name| unique(name).replace('-', "_"));
    let path = |id: &str| format!("/api/v1/price-lists/{id}");
    let priced = |id: &str| format!("/api/v1/price-lists/{id}/prices/{sku}");
    let terms =
        json!({ "name": "Contract", "kind": "override", "customer_id": acme, "currency": "EUR" });
    put(&stack, &path(&contract), &terms).await?;
    put(&stack, &priced(&contract), &json!({ "price": 120 })).await?;
    costs(&stack, &of_acme, 120).await?;
    assert_eq!(stack.get(&of_other).await?["items"][0]["unit_price"], 150);
    let calculate = async |customer: &str| {
        let question =
            json!({ "currency": "EUR", "sku": sku, "quantity": 1, "customer_id": customer });
        let path = "/api/v1/pricing/calculate";
        let answer = stack
            .call(Method::POST, path, None, Some(&question))
            .await?;
        answer.expect(StatusCode::OK)
    };
    let of_contract = calculate(&acme).await?;
    assert_eq!(
        (&of_contract["reason"], &of_contract["price_list_id"]),
        (&json!("contract_price"), &json!(contract))
    );
    assert_eq!(calculate(&other).await?["reason"], "base_price");

    // A list for everybody that is still to begin, and ends soon: the stack is everybody's.
    let begins = SystemClock.now().plus(Duration::from_secs(10));
    let ends = begins.plus(Duration::from_secs(900));
    let terms = json!({
        "name": "Sale", "kind": "sale", "currency": "EUR", "valid_from": begins, "valid_until": ends,
    });
    put(&stack, &path(&sale), &terms).await?;
    put(&stack, &priced(&sale), &json!({ "price": 100 })).await?;
    let before = calculate(&other).await?;
    if SystemClock.now() < begins {
        assert_eq!(before["unit_price"], 150);
    }
    let began = async || {
        let events = history(&stack, "price_list", &sale).await?;
        let told = events
            .iter()
            .any(|event| event["payload"]["change_type"] == "began");
        Ok(told.then_some(()))
    };
    until_run(
        &stack,
        "CommerceOrderTimerFunction",
        "the begin of the list",
        SOON,
        began,
    )
    .await?;
    costs(&stack, &of_other, 100).await?;
    assert_eq!(calculate(&other).await?["reason"], "list_price");
    // What was agreed counts first, though it is more.
    assert_eq!(stack.get(&of_acme).await?["items"][0]["unit_price"], 120);
    let key = unique("key");
    let withdraw = format!("{}/withdraw", path(&sale));
    let withdrawn = stack
        .call(Method::POST, &withdraw, Some(&key), Some(&json!({})))
        .await?;
    assert_eq!(withdrawn.expect(StatusCode::OK)?["status"], "withdrawn");
    costs(&stack, &of_other, 150).await?;

    // Ten at 120 with 19 % tax.
    let body = json!({ "expected_total": 1428 });
    let checkout = format!("{of_acme}/checkout");
    let order = stack
        .call(Method::POST, &checkout, Some(&unique("key")), Some(&body))
        .await?;
    let order = order.expect(StatusCode::CREATED)?;
    assert_eq!(order["totals"]["total"], 1428, "{order}");

    let said = format!("{contract}-{sku}");
    for (kind, id) in [
        ("price_list", &contract),
        ("price_list", &sale),
        ("price_list_price", &said),
        ("price", &sku),
        ("customer", &acme),
    ] {
        let last = history(&stack, kind, id).await?;
        let last = last.last().ok_or("no event")?["event_id"].clone();
        handled_by_all(&stack, last.as_str().ok_or("no event_id")?, SOON).await?;
        let path = format!("/api/v1/events/witness?aggregate_type={kind}&aggregate_id={id}");
        let witness = stack.get(&path).await?;
        assert_eq!(witness["verdict"], "agrees", "{kind}: {witness}");
    }
    Ok(())
}
