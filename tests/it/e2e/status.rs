//! What the event stream's process shows of the lanes. A local AWS measures no queues, so the test states a measurement itself.

use super::*;

async fn lanes(stack: &Stack) -> Result<Vec<Value>> {
    let url = format!("{}/api/v1/status", stack.env("STREAM_URL")?);
    let answer = reqwest::Client::new()
        .get(url)
        .bearer_auth(stack.env("API_KEY")?)
        .send()
        .await?
        .error_for_status()?;
    let status: Value = serde_json::from_str(&answer.text().await?)?;
    Ok(status["consumers"]
        .as_array()
        .ok_or("no consumers")?
        .clone())
}

#[tokio::test]
async fn every_lane_is_shown_with_its_depth_and_the_age_that_cloudwatch_has() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let shown = lanes(&stack).await?;
    let queues = stack.outputs().keys();
    let queues =
        queues.filter(|name| name.ends_with("QueueName") && !name.ends_with("DeadLetterQueueName"));
    assert_eq!(shown.len(), queues.count());
    assert!(
        shown
            .iter()
            .all(|lane| lane["depth"].is_u64() && lane["letters"].is_u64())
    );

    let age = "4711";
    let queue = stack.output("AnalyticsStandardQueueName")?;
    let measured = [
        ("Namespace", "AWS/SQS"),
        (
            "MetricData.member.1.MetricName",
            "ApproximateAgeOfOldestMessage",
        ),
        ("MetricData.member.1.Dimensions.member.1.Name", "QueueName"),
        ("MetricData.member.1.Dimensions.member.1.Value", queue),
        ("MetricData.member.1.Value", age),
    ];
    until("the measured age is shown", SOON, || async {
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
    })
    .await
}
