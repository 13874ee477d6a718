//! The responses to bad input.

use super::*;

fn problem(reply: &Reply, status: StatusCode) -> Result<&Value> {
    assert_eq!(reply.status, status, "{reply:?}");
    assert_eq!(
        reply.headers.get("content-type").map(String::as_str),
        Some("application/problem+json"),
        "{reply:?}"
    );
    assert!(
        reply.body["type"].is_string() && reply.body["title"].is_string(),
        "{reply:?}"
    );
    Ok(&reply.body)
}

#[tokio::test]
async fn calls_without_a_key_with_a_wrong_one_or_without_the_scope_are_refused() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let path = "/api/v1/cloud/treasury";
    for key in [
        None,
        Some("nonsense"),
        Some("mr_00000000-0000-7000-8000-000000000000_secret"),
    ] {
        problem(
            &stack.call_as(key, Method::GET, path, None, None).await?,
            StatusCode::UNAUTHORIZED,
        )?;
    }
    let owner = unique("owner");
    let body = json!({ "owner": owner, "scopes": ["cloud:read"] });
    let created = post(&stack, "/api/v1/keys", &body)
        .await?
        .expect(StatusCode::CREATED)?;
    let (key_id, key) = (
        created["key_id"].as_str().ok_or("no key_id")?,
        created["key"].as_str().ok_or("no key")?,
    );
    stack
        .call_as(Some(key), Method::GET, path, None, None)
        .await?
        .expect(StatusCode::OK)?;
    let mint = json!({ "amount": 1 }).to_string();
    let denied = stack
        .call_as(
            Some(key),
            Method::POST,
            "/api/v1/cloud/mints",
            Some(&unique("key")),
            Some(&mint),
        )
        .await?;
    assert!(
        problem(&denied, StatusCode::FORBIDDEN)?
            .to_string()
            .contains("cloud:write"),
        "{denied:?}"
    );
    let deleted = stack
        .call(
            Method::DELETE,
            &format!("/api/v1/keys/{key_id}"),
            None,
            None,
        )
        .await?;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    problem(
        &stack
            .call_as(Some(key), Method::GET, path, None, None)
            .await?,
        StatusCode::UNAUTHORIZED,
    )?;
    Ok(())
}

#[tokio::test]
async fn a_repeated_key_creation_shows_no_secret() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let (idempotency_key, body) = (
        unique("key"),
        json!({ "owner": unique("owner"), "scopes": ["cloud:read"] }),
    );
    let call = || {
        stack.call(
            Method::POST,
            "/api/v1/keys",
            Some(&idempotency_key),
            Some(&body),
        )
    };
    let first = call().await?.expect(StatusCode::CREATED)?;
    let again = call().await?.expect(StatusCode::CREATED)?;
    assert_eq!(again, json!({ "key_id": first["key_id"] }));
    let listed = stack.get("/api/v1/keys").await?.to_string();
    let key = first["key"].as_str().ok_or("no key")?;
    let secret = key.rsplit('_').next().unwrap_or(key);
    assert!(listed.contains(first["key_id"].as_str().unwrap_or("?")) && !listed.contains(secret));
    Ok(())
}

#[tokio::test]
async fn invalid_bodies_are_told_every_violation_with_its_pointer() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let body = json!({ "member_id": "has space", "amount": 0.0000001, "surprise": 1 });
    let reply = post(&stack, "/api/v1/cloud/mints", &body).await?;
    let violations = problem(&reply, StatusCode::UNPROCESSABLE_ENTITY)?["violations"].to_string();
    for pointer in ["/member_id", "/amount", "/surprise"] {
        assert!(
            violations.contains(pointer),
            "{pointer} is not named: {violations}"
        );
    }
    let key = unique("key");
    let api_key = Some(stack.env("API_KEY")?);
    let mints = "/api/v1/cloud/mints";
    problem(
        &stack
            .call_as(api_key, Method::POST, mints, Some(&key), Some("{broken"))
            .await?,
        StatusCode::BAD_REQUEST,
    )?;
    problem(
        &stack
            .call_as(api_key, Method::POST, mints, None, Some("{}"))
            .await?,
        StatusCode::BAD_REQUEST,
    )?;
    let large = json!({ "amount": 1, "description": "x".repeat(260 * 1024) }).to_string();
    problem(
        &stack
            .call_as(api_key, Method::POST, mints, Some(&key), Some(&large))
            .await?,
        StatusCode::PAYLOAD_TOO_LARGE,
    )?;
    Ok(())
}

#[tokio::test]
async fn the_rules_refuse_what_they_must_and_write_nothing() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let (ada, bob) = (
        new_member(&stack, "Ada").await?,
        new_member(&stack, "Bob").await?,
    );
    mint(&stack, &ada, 1.0).await?;
    let transfer = |from: &str, to: &str, amount: u32| json!({ "from_member_id": from, "to_member_id": to, "amount": amount });
    for (path, body, status) in [
        (
            "mints",
            json!({ "member_id": unique("nobody"), "amount": 1 }),
            StatusCode::NOT_FOUND,
        ),
        (
            "mints",
            json!({ "member_id": ada, "amount": 0 }),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        ("transfers", transfer(&ada, &bob, 2), StatusCode::CONFLICT),
        (
            "transfers",
            transfer(&ada, &ada, 1),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            "transfers",
            transfer(&ada, &unique("nobody"), 1),
            StatusCode::NOT_FOUND,
        ),
        (
            "burns",
            json!({ "member_id": bob, "amount": 1, "reason": "none" }),
            StatusCode::CONFLICT,
        ),
    ] {
        problem(
            &post(&stack, &format!("/api/v1/cloud/{path}"), &body).await?,
            status,
        )?;
    }
    assert_eq!(balance(&stack, &ada).await?["balance"], json!(1));
    assert_eq!(history(&stack, "cloud_account", &ada).await?.len(), 1);
    let unknown = stack
        .call(
            Method::GET,
            &format!("/api/v1/cloud/balances/{}", unique("nobody")),
            None,
            None,
        )
        .await?;
    problem(&unknown, StatusCode::NOT_FOUND)?;
    Ok(())
}

#[tokio::test]
async fn health_and_openapi_are_open_and_tell_the_truth() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let health = stack
        .call_as(None, Method::GET, "/health", None, None)
        .await?
        .expect(StatusCode::OK)?;
    for component in ["dynamodb", "eventbridge", "sqs"] {
        assert_eq!(
            health["components"][component]["status"], "healthy",
            "{health}"
        );
    }
    let document = stack
        .call_as(None, Method::GET, "/api/v1/openapi.json", None, None)
        .await?
        .expect(StatusCode::OK)?;
    for path in [
        "/api/v1/members",
        "/api/v1/cloud/mints",
        "/api/v1/events",
        "/api/v1/keys",
    ] {
        assert!(
            document["paths"][path].is_object(),
            "{path} is not in the OpenAPI document"
        );
    }
    let contracts = stack.get("/api/v1/contracts").await?;
    assert!(contracts.to_string().contains("cloud.transferred"));
    Ok(())
}
