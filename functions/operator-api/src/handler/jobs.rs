//! Scheduled jobs: what each is at, and how its last runs ended.

use std::sync::Arc;

use api::{Problem, Reply, State};
use consumer::schedule::{self, JobState};
use futures::future::try_join_all;
use outbox::Error;

use super::App;
use crate::wire::{JobView, JobsAnswer};

/// How many runs of each job are shown.
const RUNS: u32 = 10;

/// GET `/jobs`.
///
/// # Errors
/// The problems that every read can return.
pub async fn list(State(app): State<Arc<App>>) -> Result<Reply<JobsAnswer>, Problem> {
    let now = app.outbox.clock().now();
    let marks = app.outbox.marks_table().map_err(Error::from)?;
    let store = app.outbox.store();
    let functions = app.config.deployment.functions().iter();
    let jobs = functions.filter_map(|function| Some((function.name, function.job()?)));
    let views = jobs.map(async |(name, job)| {
        let (lease, runs) = schedule::look(store, marks, name, RUNS).await?;
        Ok::<_, Error>(JobView {
            job: name.to_owned(),
            looks_for: job.looks_for.to_owned(),
            state: JobState::of(lease.as_ref(), now),
            lease: lease.map(Into::into),
            runs: runs.into_iter().map(Into::into).collect(),
        })
    });
    let mut jobs = try_join_all(views).await?;
    jobs.sort_by(|one, other| one.job.cmp(&other.job));
    Reply::of(&JobsAnswer { jobs })
}
