//! Scheduled jobs are listed with what they are at and how their last runs ended.

use std::sync::Arc;

use async_trait::async_trait;
use consumer::{
    Failure,
    schedule::{Job, JobRunner, Next, Paged, Settings},
};
use events::Timestamp;
use outbox::{Clock as _, Transaction};
use serde_json::{Value, json};

use crate::http::service_with;

/// Two pages, of which the second fails once.
struct Failing {
    fails: bool,
}

#[async_trait]
impl Job for Failing {
    const NAME: &'static str = "operator-worker";
    type Cursor = u64;

    async fn page(
        &self,
        cursor: Option<&u64>,
        transaction: Transaction,
    ) -> Result<Paged<u64>, Failure> {
        match cursor {
            None => Ok(Paged::new(transaction, Next::From(1)).count("sent", 3)),
            Some(_) if self.fails => Err(Failure::unavailable("the queue is not there")),
            Some(_) => Ok(Paged::new(transaction, Next::End).note("the last page")),
        }
    }
}

/// What is listed of a job.
async fn listed(service: &testkit::service::Service, name: &str) -> Value {
    let list = service.get("/api/v1/jobs").await;
    assert_eq!(list.status, 200, "{list:?}");
    let mut jobs = list.body["jobs"].as_array().unwrap().iter();
    let job = jobs.find(|one| one["job"] == name);
    job.unwrap_or_else(|| panic!("{name} is not listed: {list:?}"))
        .clone()
}

#[tokio::test]
async fn a_job_is_shown_with_what_it_is_at_and_why_its_last_run_failed() {
    let service = service_with(Arc::default()).await;
    let before = listed(&service, Failing::NAME).await;
    assert_eq!(
        (&before["state"], &before["lease"], &before["runs"]),
        (&json!("never_ran"), &Value::Null, &json!([]))
    );
    assert!(before["looks_for"].is_string(), "{before}");

    let run = async |fails| {
        let runner = JobRunner::new(
            Failing { fails },
            service.outbox().clone(),
            Settings::default(),
        );
        let deadline: Timestamp = service
            .clock()
            .now()
            .plus(std::time::Duration::from_secs(600));
        runner.run(deadline).await
    };
    run(true).await.expect_err("the second page fails");
    let failed = listed(&service, Failing::NAME).await;
    assert_eq!(
        (&failed["state"], &failed["lease"]["page"]),
        (&json!("unfinished"), &json!(1))
    );
    let last = &failed["runs"][0];
    assert_eq!(
        (&last["outcome"], &last["pages"], &last["counts"]),
        (&json!("failed"), &json!(1), &json!({ "sent": 3 }))
    );
    let error = last["error"].as_str().unwrap();
    assert!(error.contains("the queue is not there"), "{error}");

    run(false).await.expect("finishes");
    let done = listed(&service, Failing::NAME).await;
    assert_eq!(done["state"], "idle");
    let runs = done["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2, "newest first: {done}");
    assert_eq!(
        (&runs[0]["outcome"], &runs[0]["notes"]),
        (&json!("finished"), &json!(["the last page"]))
    );
    assert_eq!(runs[1]["outcome"], "failed");
}
