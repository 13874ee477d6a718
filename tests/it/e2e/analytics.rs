//! Counts over time: from the counted commands to the endpoint that returns the counts.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::*;

/// The counts in a response, summed over its buckets: by event type and direction.
async fn counts(stack: &Stack, query: &str) -> Result<BTreeMap<String, (u64, Decimal)>> {
    let path = format!("/api/v1/analytics/events?{query}");
    let body = stack.get(&path).await?;
    let mut sums: BTreeMap<String, (u64, Decimal)> = BTreeMap::new();
    for item in body["items"].as_array().ok_or("no items")? {
        let name = item["event_type"].as_str().ok_or("no event_type")?;
        let line = match item["direction"].as_str() {
            Some(direction) => format!("{name} {direction}"),
            None => name.to_owned(),
        };
        if item["unit"] != "CLOUD" {
            return Err(format!("no unit in {item}").into());
        }
        let amount: Decimal = item["amount"].as_str().ok_or("no amount")?.parse()?;
        let sum = sums.entry(line).or_default();
        sum.0 += item["count"].as_u64().ok_or("no count")?;
        sum.1 += amount;
    }
    Ok(sums)
}

fn lines(expected: &[(&str, u64, &str)]) -> Result<BTreeMap<String, (u64, Decimal)>> {
    expected
        .iter()
        .map(|(line, count, amount)| Ok(((*line).to_owned(), (*count, amount.parse()?))))
        .collect()
}

/// Waits until a response contains exactly these counts.
async fn until_counted(stack: &Stack, query: &str, expected: &[(&str, u64, &str)]) -> Result {
    let expected = lines(expected)?;
    until(&format!("{query} returns {expected:?}"), SOON, || async {
        Ok((counts(stack, query).await? == expected).then_some(()))
    })
    .await
}

#[tokio::test]
async fn analytics_counts_what_members_did_once_and_in_every_bucket() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let since = now_millis();
    let (ada, bob) = (
        new_member(&stack, "Ada").await?,
        new_member(&stack, "Bob").await?,
    );
    mint(&stack, &ada, 10.0).await?;
    mint(&stack, &ada, 0.000001).await?;
    let transfer = json!({ "from_member_id": ada, "to_member_id": bob, "amount": 4 });
    post(&stack, "/api/v1/cloud/transfers", &transfer)
        .await?
        .expect(StatusCode::CREATED)?;
    let burn = json!({ "member_id": bob, "amount": 1.5, "reason": "expired" });
    post(&stack, "/api/v1/cloud/burns", &burn)
        .await?
        .expect(StatusCode::CREATED)?;

    let of_ada = [
        ("cloud.minted", 2, "10.000001"),
        ("cloud.transferred out", 1, "4"),
    ];
    let of_bob = [("cloud.burned", 1, "1.5"), ("cloud.transferred in", 1, "4")];
    for bucket in ["hour", "day"] {
        until_counted(&stack, &format!("member_id={ada}&bucket={bucket}"), &of_ada).await?;
        until_counted(&stack, &format!("member_id={bob}&bucket={bucket}"), &of_bob).await?;
    }
    until_counted(
        &stack,
        &format!("member_id={ada}&type=cloud.minted"),
        &of_ada[..1],
    )
    .await?;

    // Copies change nothing, neither through the lane nor through the bus.
    let envelope = history(&stack, "cloud_account", &ada).await?.remove(0);
    let event_id = envelope["event_id"]
        .as_str()
        .ok_or("no event_id")?
        .to_owned();
    send(&stack, "AnalyticsExpressQueue", &envelope.to_string()).await?;
    send(&stack, "AnalyticsStandardQueue", &envelope.to_string()).await?;
    until("both copies are recognised as duplicates", SOON, || async {
        let lines = record_lines(&stack, "AnalyticsFunction", &event_id, since).await?;
        let outcomes = |outcome| {
            lines
                .iter()
                .filter(|line| line["outcome"] == outcome)
                .count()
        };
        Ok((outcomes("done") == 1 && outcomes("duplicate") == 2).then_some(()))
    })
    .await?;
    assert_eq!(
        counts(&stack, &format!("member_id={ada}")).await?,
        lines(&of_ada)?
    );

    // Redemptions are counted by what was redeemed.
    let card = super::usage::rate_card(&stack, &ada, &bob, "2020-01-01").await?;
    let redemption = json!({
        "member_id": ada, "primitive": "ltm", "quantity": 2.5, "unit": "GB-month", "service_name": "habitat-api",
        "period_id": "q1-2026", "rate_card_version": card, "amount": 0.5
    });
    post(&stack, "/api/v1/cloud/redemptions", &redemption)
        .await?
        .expect(StatusCode::CREATED)?;
    let path = format!("/api/v1/analytics/events?member_id={ada}&primitive=ltm");
    let item = until("the redemption is counted", SOON, || async {
        Ok(stack.get(&path).await?["items"].get(0).cloned())
    })
    .await?;
    let text_of = |name: &str| item[name].to_string();
    assert_eq!(
        [
            "event_type",
            "primitive",
            "count",
            "amount",
            "quantity",
            "quantity_unit"
        ]
        .map(text_of),
        [
            "\"cloud.redeemed\"",
            "\"ltm\"",
            "1",
            "\"0.5\"",
            "\"2.5\"",
            "\"GB-month\""
        ]
    );
    // Events of rate cards have the priority normal, so they use the other lane.
    for (member, event_type) in [
        (&ada, "cloud.rate_card_created"),
        (&bob, "cloud.rate_card_approved"),
    ] {
        let path = format!("/api/v1/analytics/events?member_id={member}&type={event_type}");
        until(event_type, SOON, || async {
            let answer = stack.get(&path).await?;
            Ok((answer["items"][0]["count"] == 1).then_some(()))
        })
        .await?;
    }

    // The counts of all members: at least these, because other stories run at the same time.
    let all = counts(&stack, "type=cloud.minted").await?;
    let minted = all.get("cloud.minted").ok_or("no mints")?;
    assert!(minted.0 >= 2 && minted.1 >= "10.000001".parse()?, "{all:?}");
    Ok(())
}
