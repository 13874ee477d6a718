//! Loans through the deployed stack: the schedule is made automatically; a change makes a new plan; a second person
//! approves a draw; the borrower gets a notice of each step; and the events alone explain everything.

use rust_decimal::Decimal;

use super::*;

const LOANS: &str = "/api/v1/loans";

async fn funded(stack: &Stack, borrower: &str, amount: &str, funded: &str) -> Result<String> {
    let body = json!({
        "borrower_id": borrower, "amount": amount, "currency": "USD", "interest_rate": 7.25, "term_months": 36
    });
    let made = post(stack, LOANS, &body)
        .await?
        .expect(StatusCode::CREATED)?;
    let id = made["loan_id"].as_str().ok_or("no loan_id")?.to_owned();
    let (path, key) = (format!("{LOANS}/{id}/fund"), unique("key"));
    let body = json!({ "funded_amount": funded });
    for _ in 0..2 {
        let done = stack
            .call(Method::POST, &path, Some(&key), Some(&body))
            .await?;
        assert_eq!(done.expect(StatusCode::OK)?["status"], "active");
    }
    Ok(id)
}

async fn schedule(stack: &Stack, loan: &str, revision: u64) -> Result<Value> {
    let path = format!("{LOANS}/{loan}/schedule?revision={revision}");
    until("a schedule", SOON, || async {
        let answer = stack.call(Method::GET, &path, None, None).await?;
        Ok((answer.status == StatusCode::OK).then_some(answer.body))
    })
    .await
}

/// The principal in all instalments.
fn principal(schedule: &Value) -> Result<Decimal> {
    let mut sum = Decimal::ZERO;
    for one in schedule["instalments"].as_array().ok_or("no instalments")? {
        sum += points(&one["principal"])?.decimal();
    }
    Ok(sum)
}

#[tokio::test]
async fn a_funded_loan_gets_its_schedule_and_is_changed_drawn_on_and_paid_to_the_end() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let borrower = new_member(&stack, "Borrower").await?;
    let loan = funded(&stack, &borrower, "120000", "100000").await?;
    let path = format!("{LOANS}/{loan}");

    let first = schedule(&stack, &loan, 1).await?;
    assert_eq!(first["instalments"].as_array().map(Vec::len), Some(36));
    assert_eq!(principal(&first)?, Decimal::from(100_000));
    assert_eq!(first["instalment"], json!(3099.15));

    let body = json!({ "term_months": 48 });
    post(&stack, &format!("{path}/modify"), &body)
        .await?
        .expect(StatusCode::OK)?;
    let second = schedule(&stack, &loan, 2).await?;
    assert_eq!(second["instalments"].as_array().map(Vec::len), Some(48));

    let body = json!({ "amount": "15000" });
    let draw = post(&stack, &format!("{path}/draws"), &body)
        .await?
        .expect(StatusCode::CREATED)?;
    let draw = draw["draw_id"].as_str().ok_or("no draw_id")?;
    let approve = format!("{path}/draws/{draw}/approve");
    // The owner who requested the draw cannot approve it, whatever scopes the key has.
    let own = post(&stack, &approve, &json!({}))
        .await?
        .expect(StatusCode::FORBIDDEN)?;
    assert_eq!(own["type"], "urn:millrace:problem:approval-by-requester");
    let key = new_key(&stack, APPROVER, &["loans:approve"]).await?;
    let approved = post_by(&stack, &key, &approve, &json!({})).await?;
    assert_eq!(approved.expect(StatusCode::OK)?["available"], 5_000);
    let third = schedule(&stack, &loan, 3).await?;
    assert_eq!(principal(&third)?, Decimal::from(115_000));

    let pay = |amount: &Decimal| json!({ "amount": amount.to_string(), "payment_method": "wire" });
    let payments = format!("{path}/payments");
    let owed = async || {
        let loan = stack.get(&path).await?;
        points(&loan["payoff_amount"]).map(|payoff| payoff.decimal())
    };
    // More than will be owed on any day soon.
    let more = post(&stack, &payments, &pay(&Decimal::from(200_000))).await?;
    let more = more.expect(StatusCode::CONFLICT)?;
    assert!(more["payoff_amount"].is_number(), "{more}");
    let first = Decimal::from(40_000);
    let paid = post(&stack, &payments, &pay(&first)).await?;
    assert_eq!(paid.expect(StatusCode::CREATED)?["status"], "active");
    // After midnight a new month has begun, and its interest is owed too.
    until("it is paid off", SOON, || async {
        let paid = post(&stack, &payments, &pay(&owed().await?)).await?;
        Ok((paid.body["status"] == "paid_off").then_some(()))
    })
    .await?;
    let over = post(&stack, &payments, &pay(&Decimal::ONE))
        .await?
        .expect(StatusCode::CONFLICT)?;
    assert_eq!(
        (&over["loan_status"], &over["allowed"]),
        (&json!("paid_off"), &json!(["active"]))
    );

    let events = history(&stack, "loan", &loan).await?;
    let types: Vec<&str> = events
        .iter()
        .filter_map(|event| event["event_type"].as_str())
        .collect();
    let schedules = types
        .iter()
        .filter(|one| **one == "loan.payment_schedule_generated")
        .count();
    assert_eq!(schedules, 3, "{types:?}");
    let witness = format!("/api/v1/events/witness?aggregate_type=loan&aggregate_id={loan}");
    let witness = stack.get(&witness).await?;
    assert_eq!(witness["verdict"], "agrees", "{witness}");

    until("every note", SOON, || async {
        // The funding, two new plans, a draw, two payments, and the end.
        Ok((notes(&stack, &borrower).await?.len() == 7).then_some(()))
    })
    .await?;
    until("every mail", SOON, || async {
        Ok((mails_to(&stack, &borrower).await?.len() == 7).then_some(()))
    })
    .await?;
    let scope = vec![("loan".to_owned(), loan.clone())];
    until("a clean audit", SOON, || async {
        let report = audit::look_at(&stack, scope.clone()).await?;
        assert_eq!(report.counts.rebuilt, 1);
        Ok(report.clean.then_some(()))
    })
    .await
}

#[tokio::test]
async fn what_is_changed_before_the_funding_is_in_the_first_schedule() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let borrower = new_member(&stack, "Borrower").await?;
    let body = json!({
        "borrower_id": borrower, "amount": 1200, "currency": "EUR", "interest_rate": 5, "term_months": 36
    });
    let made = post(&stack, LOANS, &body)
        .await?
        .expect(StatusCode::CREATED)?;
    let loan = made["loan_id"].as_str().ok_or("no loan_id")?;
    let path = format!("{LOANS}/{loan}");
    let body = json!({ "interest_rate": 0, "term_months": 12 });
    post(&stack, &format!("{path}/modify"), &body)
        .await?
        .expect(StatusCode::OK)?;
    post(&stack, &format!("{path}/fund"), &json!({}))
        .await?
        .expect(StatusCode::OK)?;
    let first = schedule(&stack, loan, 1).await?;
    assert_eq!(first["instalment"], 100);
    assert_eq!(first["instalments"].as_array().map(Vec::len), Some(12));
    let listed = stack
        .get(&format!("{LOANS}?borrower_id={borrower}"))
        .await?;
    assert_eq!(listed["items"][0]["loan_id"], loan);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    let nobody = json!({ "borrower_id": "nobody-at-all", "amount": 1, "currency": "EUR", "interest_rate": 5, "term_months": 1 });
    post(&stack, LOANS, &nobody)
        .await?
        .expect(StatusCode::NOT_FOUND)?;
    Ok(())
}
