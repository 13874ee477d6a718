//! Rate cards, redemptions and stakes.

use super::*;

const CARDS: &str = "/api/v1/cloud/rate-cards";
const REDEMPTIONS: &str = "/api/v1/cloud/redemptions";
const STAKES: &str = "/api/v1/cloud/stakes";

/// A rate card proposed by one member and approved by another, with API keys of different owners. Returns its number.
pub(super) async fn rate_card(
    stack: &Stack,
    proposer: &str,
    approver: &str,
    effective: &str,
) -> Result<u64> {
    let card = json!({
        "effective_date": effective, "notice_date": "2020-01-01", "proposed_by": proposer,
        "rates": { "compute": 1.5, "transfer": 0.05, "ltm": 0.2, "stm": 0.01 }
    });
    let proposed = post(stack, CARDS, &card)
        .await?
        .expect(StatusCode::CREATED)?;
    let version = proposed["version"].as_u64().ok_or("no version")?;
    let approved = approve_card(stack, version, approver).await?;
    approved.expect(StatusCode::OK)?;
    Ok(version)
}

fn redemption(member: &str, card: u64) -> Value {
    json!({
        "member_id": member, "primitive": "compute", "quantity": 8, "unit": "compute-hour",
        "service_name": "habitat-api", "period_id": "q1-2026", "rate_card_version": card, "amount": 12
    })
}

/// Waits until analytics has counted this many events of a type for a member.
pub(super) async fn counted(stack: &Stack, member: &str, event_type: &str, wanted: u64) -> Result {
    let path = format!("/api/v1/analytics/events?type={event_type}&bucket=day&member_id={member}");
    until(&format!("{wanted} {event_type} counted"), SOON, || async {
        let answer = stack.get(&path).await?;
        let items = answer["items"].as_array().cloned().unwrap_or_default();
        let sum: u64 = items.iter().filter_map(|item| item["count"].as_u64()).sum();
        Ok((sum == wanted).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_redemption_at_an_approved_card_lowers_what_is_outstanding() -> Result {
    let (_use, stack) = (sole_use().await, Stack::connect().await?);
    let (ada, bob) = (
        new_member(&stack, "Ada").await?,
        new_member(&stack, "Bob").await?,
    );
    let card = rate_card(&stack, &ada, &bob, "2020-01-01").await?;
    let before = outstanding(&stack).await?;
    mint(&stack, &ada, 20.0).await?;
    let done = post(&stack, REDEMPTIONS, &redemption(&ada, card))
        .await?
        .expect(StatusCode::CREATED)?;
    assert_eq!(
        (&done["amount"], &done["balance_after"]),
        (&json!(12), &json!(8))
    );
    let expected = before.plus(credits(&json!(8))?)?;
    until("the treasury counts both", SOON, || async {
        Ok((outstanding(&stack).await? == expected).then_some(()))
    })
    .await?;
    counted(&stack, &ada, "cloud.redeemed", 1).await?;
    let events = history(&stack, "cloud_account", &ada).await?;
    assert_eq!(events[1]["event_type"], "cloud.redeemed");
    assert_eq!(events[1]["payload"]["primitive"], "compute");
    Ok(())
}

#[tokio::test]
async fn what_a_card_does_not_allow_is_refused_with_its_own_problem_and_leaves_no_trace() -> Result
{
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let (ada, bob) = (
        new_member(&stack, "Ada").await?,
        new_member(&stack, "Bob").await?,
    );
    mint(&stack, &ada, 20.0).await?;
    let later = rate_card(&stack, &ada, &bob, "2999-01-01").await?;
    let open = json!({
        "effective_date": "2020-01-01", "notice_date": "2020-01-01", "proposed_by": ada,
        "rates": { "compute": 1.5, "transfer": 0.05, "ltm": 0.2, "stm": 0.01 }
    });
    let proposed = post(&stack, CARDS, &open)
        .await?
        .expect(StatusCode::CREATED)?;
    let open = proposed["version"].as_u64().ok_or("no version")?;
    let problem = |reply: Reply| {
        let name = reply.body["type"].as_str().unwrap_or_default().to_owned();
        (reply.status, name.replace("urn:millrace:problem:", ""))
    };
    let refused = |status, name: &str| (status, name.to_owned());
    let conflict = StatusCode::CONFLICT;
    for (card, name) in [
        (open, "rate-card-not-approved"),
        (later, "rate-card-not-effective"),
    ] {
        let reply = post(&stack, REDEMPTIONS, &redemption(&ada, card)).await?;
        assert_eq!(problem(reply), refused(conflict, name));
    }
    let approve = format!("{CARDS}/{open}/approve");
    let own = post(&stack, &approve, &json!({ "approved_by": bob })).await?;
    assert_eq!(
        problem(own),
        refused(StatusCode::FORBIDDEN, "approval-by-requester")
    );
    let own = approve_card(&stack, open, &ada).await?;
    assert_eq!(problem(own), refused(conflict, "approval-by-proposer"));
    let second = approve_card(&stack, later, &bob).await?;
    assert_eq!(
        problem(second),
        refused(conflict, "rate-card-already-approved")
    );
    for (field, value, name) in [
        ("primitive", json!("gpu"), "unknown-primitive"),
        ("unit", json!("hours"), "unknown-unit"),
    ] {
        let mut body = redemption(&ada, later);
        body[field] = value;
        let reply = post(&stack, REDEMPTIONS, &body).await?;
        assert_eq!(
            problem(reply),
            refused(StatusCode::UNPROCESSABLE_ENTITY, name)
        );
    }
    let much = json!({ "member_id": ada, "amount": 20.000_001, "lock_duration_days": 30 });
    let reply = post(&stack, STAKES, &much).await?;
    assert_eq!(problem(reply), refused(conflict, "insufficient-balance"));
    assert_eq!(history(&stack, "cloud_account", &ada).await?.len(), 1);
    assert_eq!(
        history(&stack, "rate_card", &open.to_string()).await?.len(),
        1
    );
    assert_eq!(
        history(&stack, "rate_card", &later.to_string())
            .await?
            .len(),
        2
    );
    Ok(())
}

#[tokio::test]
async fn staked_credits_are_locked_outstanding_and_had_back() -> Result {
    let (_use, stack) = (sole_use().await, Stack::connect().await?);
    let ada = new_member(&stack, "Ada").await?;
    let before = outstanding(&stack).await?;
    mint(&stack, &ada, 20.0).await?;
    let stake = |amount: f64, days: u32| json!({ "member_id": ada, "amount": amount, "lock_duration_days": days });
    let locked = post(&stack, STAKES, &stake(5.0, 30))
        .await?
        .expect(StatusCode::CREATED)?;
    assert_eq!(locked["revenue_share_percent"], 5);
    let free = post(&stack, STAKES, &stake(7.5, 0))
        .await?
        .expect(StatusCode::CREATED)?;
    assert_eq!(free["staked_balance_after"], 12.5);
    let end = |answer: &Value| {
        format!(
            "{STAKES}/{}/unstake",
            answer["position_id"].as_str().unwrap_or_default()
        )
    };
    let early = post(&stack, &end(&locked), &json!({})).await?;
    assert_eq!(early.body["type"], "urn:millrace:problem:stake-locked");
    let ended = post(&stack, &end(&free), &json!({ "revenue_earned": 0.5 }))
        .await?
        .expect(StatusCode::OK)?;
    assert_eq!(
        (
            &ended["liquid_balance_after"],
            &ended["staked_balance_after"]
        ),
        (&json!(15), &json!(5))
    );
    let shown = balance(&stack, &ada).await?;
    assert_eq!(
        (&shown["balance"], &shown["staked_balance"]),
        (&json!(15), &json!(5))
    );
    let listed = stack.get(&format!("{STAKES}?member_id={ada}")).await?;
    let states: Vec<&Value> = listed["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| &item["status"])
        .collect();
    assert_eq!(states, ["released", "active"]);

    counted(&stack, &ada, "cloud.staked", 2).await?;
    counted(&stack, &ada, "cloud.unstaked", 1).await?;
    // A move between liquid and locked does not change what is outstanding.
    let expected = before.plus(credits(&json!(20))?)?;
    until("the treasury counts only the mint", SOON, || async {
        Ok((outstanding(&stack).await? == expected).then_some(()))
    })
    .await?;
    let report = super::audit::look(&stack, &[ada.as_str()]).await?;
    assert!(report.clean, "{report}");
    assert_eq!(report.count("cloud", "stakes"), Some(2));
    Ok(())
}
