//! A repeated call changes nothing and gets the first response.

use super::*;

#[tokio::test]
async fn a_repeated_call_gets_the_first_answer_even_after_the_balance_was_spent() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let (ada, bob) = (
        new_member(&stack, "Ada").await?,
        new_member(&stack, "Bob").await?,
    );
    let (mint_key, transfer_key) = (unique("mint"), unique("transfer"));
    let mint_body = json!({ "member_id": ada, "amount": 10 });
    let transfer_body = json!({ "from_member_id": ada, "to_member_id": bob, "amount": 10 });
    let call = async |path: &str, key: &str, body: &Value| {
        stack
            .call(Method::POST, path, Some(key), Some(body))
            .await?
            .expect(StatusCode::CREATED)
    };
    let minted = call("/api/v1/cloud/mints", &mint_key, &mint_body).await?;
    assert_eq!(
        call("/api/v1/cloud/mints", &mint_key, &mint_body).await?,
        minted
    );
    let moved = call("/api/v1/cloud/transfers", &transfer_key, &transfer_body).await?;
    // Nothing is left: a new transfer is refused, and the repeats get the same response as before.
    assert_eq!(
        call("/api/v1/cloud/transfers", &transfer_key, &transfer_body).await?,
        moved
    );
    assert_eq!(
        call("/api/v1/cloud/mints", &mint_key, &mint_body).await?,
        minted
    );
    let refused = post(&stack, "/api/v1/cloud/transfers", &transfer_body).await?;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{refused:?}");
    assert_eq!(balance(&stack, &ada).await?["balance"], json!(0));
    assert_eq!(balance(&stack, &bob).await?["balance"], json!(10));
    assert_eq!(history(&stack, "cloud_account", &ada).await?.len(), 2);

    let other = json!({ "member_id": ada, "amount": 11 });
    let reused = stack
        .call(
            Method::POST,
            "/api/v1/cloud/mints",
            Some(&mint_key),
            Some(&other),
        )
        .await?;
    assert_eq!(
        reused.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{reused:?}"
    );
    Ok(())
}

#[tokio::test]
async fn copies_of_an_event_change_nothing() -> Result {
    let (_use, stack) = (sole_use().await, Stack::connect().await?);
    let since = now_millis();
    let ada = new_member(&stack, "Ada").await?;
    let minted = mint(&stack, &ada, 7.0).await?;
    let event_id = minted["event_id"].as_str().ok_or("no event_id")?;
    for function in ["CloudTreasuryFunction", "NotificationsFunction"] {
        outcome(&stack, function, event_id, "done", since).await?;
    }
    until("the mail", SOON, || async {
        Ok(mails_to(&stack, &ada).await?.pop())
    })
    .await?;
    let treasury = stack.get("/api/v1/cloud/treasury").await?;

    // One copy in each lane, as SQS could deliver it, and one over the bus, as a relay that lost its memory would
    // publish it.
    let envelope = history(&stack, "cloud_account", &ada)
        .await?
        .remove(0)
        .to_string();
    send(&stack, "CloudTreasuryExpressQueue", &envelope).await?;
    send(&stack, "NotificationsExpressQueue", &envelope).await?;
    let bus = aws_sdk_eventbridge::Client::new(stack.sdk());
    let entry = aws_sdk_eventbridge::types::PutEventsRequestEntry::builder()
        .event_bus_name(stack.resource("EventBus")?)
        .source("cloud-api")
        .detail_type("cloud.minted")
        .detail(&envelope)
        .build();
    #[expect(
        clippy::disallowed_methods,
        reason = "one entry; its result is read on the next line"
    )]
    let answer = bus.put_events().entries(entry).send().await?;
    assert_eq!(answer.failed_entry_count, 0);

    for function in ["CloudTreasuryFunction", "NotificationsFunction"] {
        until("all copies are recognised as duplicates", SOON, || async {
            let lines = record_lines(&stack, function, event_id, since).await?;
            Ok((lines
                .iter()
                .filter(|line| line["outcome"] == "duplicate")
                .count()
                == 2)
                .then_some(()))
        })
        .await?;
    }
    assert_eq!(stack.get("/api/v1/cloud/treasury").await?, treasury);
    assert_eq!(notes(&stack, &ada).await?.len(), 1);
    assert_eq!(mails_to(&stack, &ada).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_stripe_charge_is_minted_once_for_whoever_and_under_whatever_key() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let (ada, bob) = (
        new_member(&stack, "Ada").await?,
        new_member(&stack, "Bob").await?,
    );
    let charge = unique("ch");
    let body =
        |member: &str| json!({ "member_id": member, "amount": 3, "stripe_charge_id": charge });
    let first = post(&stack, "/api/v1/cloud/mints", &body(&ada))
        .await?
        .expect(StatusCode::CREATED)?;
    for member in [&ada, &bob] {
        let again = post(&stack, "/api/v1/cloud/mints", &body(member)).await?;
        assert_eq!(again.status, StatusCode::CONFLICT, "{again:?}");
        let first_id = first["transaction_id"]
            .as_str()
            .ok_or("no transaction_id")?;
        assert!(
            again.body.to_string().contains(first_id),
            "does not name the first transaction: {again:?}"
        );
    }
    assert_eq!(balance(&stack, &bob).await?["balance"], json!(0));
    Ok(())
}
