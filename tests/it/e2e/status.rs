//! What the dashboard's function shows about the lanes. A local AWS does not measure queues, so the test publishes a
//! measurement itself.

use aws_sdk_sqs::types::QueueAttributeName;

use super::*;

/// How long the function reuses an answer of CloudWatch.
const AGES_ARE_REUSED: Duration = Duration::from_secs(60);

async fn lanes(stack: &Stack) -> Result<Vec<Value>> {
    let status = stack.get("/api/v1/status").await?;
    let letters = status["letters"].as_array().ok_or("no letters")?;
    let is_counted = |one: &Value| one["consumer"].is_string() && one["open"].as_u64() > Some(0);
    assert!(letters.iter().all(is_counted), "{status}");
    Ok(status["consumers"]
        .as_array()
        .ok_or("no consumers")?
        .clone())
}

/// A queue's name, which is the last part of its ARN.
async fn queue_name(stack: &Stack, logical_id: &str) -> Result<String> {
    let answer = aws_sdk_sqs::Client::new(stack.sdk())
        .get_queue_attributes()
        .queue_url(stack.resource(logical_id)?)
        .attribute_names(QueueAttributeName::QueueArn)
        .send()
        .await?;
    let arn = answer
        .attributes
        .and_then(|mut attributes| attributes.remove(&QueueAttributeName::QueueArn))
        .ok_or("a queue without ARN")?;
    Ok(arn.rsplit(':').next().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn every_lane_is_shown_with_its_depth_and_the_age_that_cloudwatch_has() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let shown = lanes(&stack).await?;
    let queues = stack.resources_of("AWS::SQS::Queue");
    let lanes_of_stack = queues.filter(|name| !name.ends_with("DeadLetterQueue"));
    assert_eq!(shown.len(), lanes_of_stack.count());
    assert!(
        shown
            .iter()
            .all(|lane| lane["depth"].is_u64() && lane["letters"].is_u64())
    );

    let age = "4711";
    let queue = queue_name(&stack, "AnalyticsStandardQueue").await?;
    let measured = [
        ("Namespace", "AWS/SQS"),
        (
            "MetricData.member.1.MetricName",
            "ApproximateAgeOfOldestMessage",
        ),
        ("MetricData.member.1.Dimensions.member.1.Name", "QueueName"),
        ("MetricData.member.1.Dimensions.member.1.Value", &queue),
        ("MetricData.member.1.Value", age),
    ];
    until(
        "the measured age is shown",
        AGES_ARE_REUSED + SOON,
        || async {
            stack
                .signed()
                .query("monitoring", "2010-08-01", "PutMetricData", &measured)
                .await?;
            let shown = lanes(&stack).await?;
            let lane = shown
                .iter()
                .find(|lane| lane["consumer"] == "analytics" && lane["lane"] == "standard")
                .ok_or("no such lane")?;
            Ok((lane["oldest_seconds"] == 4711).then_some(()))
        },
    )
    .await
}
