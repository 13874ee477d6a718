//! Consumers: listed, paused, resumed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::{Command, Decision, Path, Problem, Reply, State};
use events::{ConsumerName, did_you_mean, nearest};
use letters::{
    ConsumerState, ConsumerStatus,
    pause::{PausedBy, Wish},
};
use mappings::Polling;
use topology::{HEARTBEAT_ARRIVAL, physical_name};

use super::{App, refused::not_allowed};
use crate::wire::{
    ConsumerPath, ConsumerView, ConsumersAnswer, PauseAnswer, PauseRequest, PauseStep, PausedView,
};

/// How long a request waits for Lambda after its commit. With the commit it is less than the function's timeout; what was not
/// done in time, `operator-worker` does.
const APPLY_WITHIN: Duration = Duration::from_secs(5);

/// What the caller must know who pauses the consumer of the heartbeat.
const RINGS: &str = "the alarm heartbeat-missing is raised after 15 minutes, and sees nothing else until the consumer is resumed";

impl App {
    /// The names of the deployed consumers.
    pub(super) fn deployed(&self) -> impl Iterator<Item = &'static str> {
        let functions = self.config.deployment.functions().iter();
        functions
            .filter(|function| function.consumer().is_some())
            .map(|function| function.name)
    }

    fn unknown(&self, name: &ConsumerName) -> Problem {
        let meant = did_you_mean(name.as_str(), self.deployed());
        let problem = Problem::not_found(format!("there is no consumer {name}{meant}"));
        let problem = problem.with("consumer", name.as_str());
        match nearest(name.as_str(), self.deployed()) {
            Some(nearest) => problem.with("nearest", nearest),
            None => problem,
        }
    }

    /// Brings the consumer's mappings to what is wished now, which can be more than the request's own wish. Returns whether
    /// Lambda does it or has done it.
    async fn apply(&self, name: &ConsumerName) -> bool {
        let applying = async {
            let entity = self.consumers().consumer(name).await?;
            let is_paused = entity
                .state()
                .is_some_and(|state| state.status() == ConsumerStatus::Paused);
            let wanted = Polling::paused(is_paused);
            let function = physical_name(&self.config.stack, name.as_str());
            let applied = mappings::apply(&*self.mappings, &function, wanted).await?;
            Ok::<_, outbox::Error>(applied)
        };
        match tokio::time::timeout(APPLY_WITHIN, applying).await {
            Ok(Ok(applied)) => applied.is_accepted(),
            Ok(Err(error)) => {
                let error = outbox::chain(&error);
                tracing::warn!(consumer = %name, error, "the mappings are left to operator-worker");
                false
            }
            Err(_) => {
                tracing::warn!(consumer = %name, "Lambda is slow: the mappings are left to operator-worker");
                false
            }
        }
    }
}

/// GET `/consumers`.
///
/// # Errors
/// The problems that every read can return.
pub async fn list(State(app): State<Arc<App>>) -> Result<Reply<ConsumersAnswer>, Problem> {
    let wishes = app.consumers().wishes().await?.into_iter();
    let mut paused: BTreeMap<String, Wish> = wishes
        .filter(Wish::is_paused)
        .map(|wish| (wish.consumer.to_string(), wish))
        .collect();
    let deployment = &app.config.deployment;
    let consumers = deployment.functions().iter();
    let deployed = consumers.filter(|function| function.consumer().is_some());
    let mut items: Vec<ConsumerView> = deployed
        .map(|function| {
            let lanes = deployment.lanes_of(function).into_iter();
            ConsumerView {
                consumer: function.name.to_owned(),
                lanes: lanes.map(|lane| lane.name.to_owned()).collect(),
                paused: paused.remove(function.name).map(PausedView::of),
            }
        })
        .collect();
    // One that was paused and then removed can still be resumed.
    items.extend(paused.into_iter().map(|(consumer, wish)| ConsumerView {
        consumer,
        lanes: Vec::new(),
        paused: Some(PausedView::of(wish)),
    }));
    items.sort_by(|one, other| one.consumer.cmp(&other.consumer));
    Reply::of(&ConsumersAnswer { items })
}

fn paused_by(command: &Command<PauseRequest>) -> Result<PausedBy, Problem> {
    Ok(PausedBy {
        reason: command.body().reason.clone(),
        actor: command.actor(),
        key_owner: command.key_owner()?,
    })
}

/// Writes the wish, and then has Lambda do it. The order is what makes it safe: a wish that Lambda was not told of, because
/// this function died, is found by `operator-worker`.
async fn change(
    app: &App,
    path: &ConsumerPath,
    command: &Command<PauseRequest>,
    to: ConsumerStatus,
) -> Result<Reply<PauseAnswer>, Problem> {
    let (name, to, by) = (&path.name, &to, &paused_by(command)?);
    let step: Reply<PauseStep> =
        api::execute(&app.outbox, command, async move |mut transaction, _| {
            let consumers = app.consumers();
            let entity = consumers.consumer(name).await?;
            let is_known = app.deployed().any(|one| one == name.as_str());
            if !is_known && entity.state().is_none() {
                return Ok(Decision::Refuse(app.unknown(name)));
            }
            let done = consumers.change(&mut transaction, &entity, name, *to, by.clone());
            let refused = |illegal: &_| {
                let title = "The consumer's status does not allow this step";
                Ok(not_allowed(illegal, title).with("consumer", name.as_str()))
            };
            api::decided(transaction, done, refused, |state: &ConsumerState| {
                PauseStep {
                    consumer: state.consumer().clone(),
                    status: state.status(),
                    since: state.since(),
                }
            })
        })
        .await?;
    let applied = app.apply(name).await;
    step.and(|step| {
        let rings = step.status == ConsumerStatus::Paused && name.as_str() == HEARTBEAT_ARRIVAL;
        PauseAnswer {
            consumer: step.consumer,
            status: step.status,
            since: step.since,
            applied,
            note: rings.then(|| RINGS.to_owned()),
        }
    })
}

/// POST `/consumers/{name}/pause`.
///
/// # Errors
/// 404 for an unknown consumer; 409 if it is paused; the problems that every command can return.
pub async fn pause(
    State(app): State<Arc<App>>,
    Path(path): Path<ConsumerPath>,
    command: Command<PauseRequest>,
) -> Result<Reply<PauseAnswer>, Problem> {
    change(&app, &path, &command, ConsumerStatus::Paused).await
}

/// POST `/consumers/{name}/resume`.
///
/// # Errors
/// 404 for an unknown consumer; 409 if it is running; the problems that every command can return.
pub async fn resume(
    State(app): State<Arc<App>>,
    Path(path): Path<ConsumerPath>,
    command: Command<PauseRequest>,
) -> Result<Reply<PauseAnswer>, Problem> {
    change(&app, &path, &command, ConsumerStatus::Running).await
}
