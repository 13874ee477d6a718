//! A handler that fails is retried by the schedule.

use super::*;

/// Whether a statement of a consumer's role allows writes to the consumer's own table. Every consumer may write to
/// marks and the log.
fn is_of_its_table(statement: &Value) -> bool {
    let sid = statement["Sid"].as_str().unwrap_or_default();
    sid.starts_with("Dynamodb") && !["DynamodbMarks", "DynamodbEvents"].contains(&sid)
}

#[tokio::test]
async fn a_handler_that_fails_twice_succeeds_on_the_third_try() -> Result {
    let (_use, stack) = (sole_use().await, Stack::connect().await?);
    let ada = new_member(&stack, "Ada").await?;
    let since = now_millis();
    let before = outstanding(&stack).await?;

    let taken = take_away_writes(&stack, "CloudTreasuryFunctionRole").await?;
    let tried = fail_twice(&stack, &ada, since).await;
    // The permissions are given back whatever happened, so that the other stories find a sound stack.
    taken.give_back(&stack).await?;
    let event_id = tried?;

    let done = outcome(&stack, "CloudTreasuryFunction", &event_id, "done", since).await?;
    assert_eq!(done["attempt"], json!(3));
    let lines = record_lines(&stack, "CloudTreasuryFunction", &event_id, since).await?;
    let outcomes: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["outcome"].as_str())
        .collect();
    assert_eq!(outcomes, ["retry", "retry", "done"]);
    let error = lines[0]["error"].as_str().unwrap_or_default();
    assert!(
        error.contains("AccessDenied"),
        "the error does not say why: {error}"
    );
    assert_eq!(
        outstanding(&stack).await?,
        before.plus(credits(&json!(2))?)?
    );
    Ok(())
}

async fn fail_twice(stack: &Stack, member: &str, since: i64) -> Result<String> {
    let minted = mint(stack, member, 2.0).await?;
    let event_id = minted["event_id"].as_str().ok_or("no event_id")?.to_owned();
    until("two failures are logged", SOON, || async {
        let lines = record_lines(stack, "CloudTreasuryFunction", &event_id, since).await?;
        Ok((lines
            .iter()
            .filter(|line| line["outcome"] == "retry")
            .count()
            >= 2)
            .then_some(()))
    })
    .await?;
    Ok(event_id)
}

/// A role's policy as it was before [`take_away_writes`].
pub(super) struct Taken {
    role: String,
    policy: String,
    whole: Value,
}

impl Taken {
    pub(super) async fn give_back(&self, stack: &Stack) -> Result {
        stack
            .signed()
            .put_role_policy(&self.role, &self.policy, &self.whole)
            .await
    }
}

/// Removes a function's permissions on its own table.
pub(super) async fn take_away_writes(stack: &Stack, role_id: &str) -> Result<Taken> {
    let role = stack.resource(role_id)?.to_owned();
    let (policy, whole) = policy_with(stack, &role).await?;
    let mut without = whole.clone();
    without["Statement"]
        .as_array_mut()
        .ok_or("the policy has no statements")?
        .retain(|statement| !is_of_its_table(statement));
    stack
        .signed()
        .put_role_policy(&role, &policy, &without)
        .await?;
    Ok(Taken {
        role,
        policy,
        whole,
    })
}

async fn policy_with(stack: &Stack, role: &str) -> Result<(String, Value)> {
    for name in stack.signed().role_policies(role).await? {
        let document = stack.signed().role_policy(role, &name).await?;
        if document["Statement"]
            .as_array()
            .into_iter()
            .flatten()
            .any(is_of_its_table)
        {
            return Ok((name, document));
        }
    }
    Err(format!("no policy of {role} lets it write to a table of its own").into())
}
