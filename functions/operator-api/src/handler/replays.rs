//! Replays: previewed and begun. They are operations, and listed, shown, paused, resumed and cancelled as such.

use std::sync::Arc;

use api::{Command, Problem, Reply, State};
use events::{ConsumerName, Selection, Text, Timestamp, Violation, did_you_mean};
use futures::future::try_join_all;
use letters::{
    Operation, Replays,
    operations::Stopped,
    replay::{BeginReplay, ROWS_PER_SECOND, Reach, Ready, WantedReplay},
};
use outbox::{Error, chain};
use views::analytics::{Bucket, Wanted, kinds};

use super::{
    App, Beginning,
    operations::caller,
    refused::{refused, stopped},
};
use crate::{
    stack::TableSize,
    wire::{CountedBy, ReplayAnswer, ReplayPreview, ReplayRequest},
};

/// The longest span of which events are counted by the hour, and by the day.
const HOURS_AT_MOST: i64 = 744;
const DAYS_AT_MOST: i64 = 366;

/// With more event types than this, the counts of all types are read at once.
const TYPES_READ_ONE_BY_ONE: usize = 20;

/// What a consistent read of one unit returns, in bytes
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>, read 2026-11-21).
pub(super) const READ_UNIT_BYTES: u64 = 4 * 1024;

/// A request whose names are known.
struct Asked {
    wanted: WantedReplay,
    listened: Selection,
    /// When the consumer began, if that must be known.
    began: Option<Timestamp>,
}

impl App {
    fn replays(&self) -> Replays<'_> {
        Replays {
            outbox: &self.outbox,
            table: &self.config.letters,
        }
    }

    /// When a consumer began: when the first of its lanes was created.
    async fn began(&self, consumer: &ConsumerName) -> Result<Option<Timestamp>, Error> {
        let Some(function) = topology::function(consumer.as_str()) else {
            return Ok(None);
        };
        let lanes = self.config.deployment.lanes_of(function).into_iter();
        let queues: Vec<String> = lanes.map(|lane| lane.queue()).collect();
        let created = queues.iter().map(|queue| self.stack.created_at(queue));
        Ok(try_join_all(created).await?.into_iter().min())
    }

    /// Checks the names of a request, and finds out what must be known to decide on it.
    async fn asked(&self, request: &ReplayRequest) -> Result<Asked, Problem> {
        let name = request.consumer.as_str();
        let is_deployed = self.deployed().any(|one| one == name);
        let function = topology::function(name).filter(|_| is_deployed);
        let Some(consumer) = function.and_then(|function| function.consumer()) else {
            let meant = did_you_mean(name, self.deployed());
            let message = format!("is not a deployed consumer{meant}");
            return Err(Problem::invalid(Violation::new("/consumer", message)));
        };
        let listened = consumer.selection;
        let violations = violations(request, listened);
        if !violations.is_empty() {
            return Err(Problem::invalid(violations));
        }
        let kind = request.aggregate_type.clone();
        let wanted = WantedReplay {
            consumer: request.consumer.clone(),
            aggregate: kind.zip(request.aggregate_id.clone()),
            event_types: request.event_types.clone(),
            from: request.from,
            to: request.to,
            before_it_began: request.before_it_began,
        };
        let reach = Reach::of(&wanted, listened);
        let began = if reach.is_some_and(|reach| reach.needs_beginning(&wanted)) {
            self.began(&wanted.consumer).await?
        } else {
            None
        };
        Ok(Asked {
            wanted,
            listened,
            began,
        })
    }
}

/// What is wrong with a request, whatever the log holds.
fn violations(request: &ReplayRequest, listened: Selection) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut wrong = |pointer: &str, message: String| {
        violations.push(Violation::new(pointer, message));
    };
    let name = request.consumer.as_str();
    for (at, event_type) in request.event_types.iter().flatten().enumerate() {
        if listened.takes(event_type.as_str()) {
            continue;
        }
        let types = listened.types();
        let known = types.iter().map(|one| one.event_type);
        let meant = did_you_mean(event_type.as_str(), known);
        let pointer = format!("/event_types/{at}");
        wrong(
            &pointer,
            format!("is no type that {name} listens to{meant}"),
        );
    }
    if request.event_types.as_ref().is_some_and(Vec::is_empty) {
        wrong("/event_types", "must name a type".to_owned());
    }
    let has_type = request.aggregate_type.is_some();
    if has_type != request.aggregate_id.is_some() {
        let message = "`aggregate_type` and `aggregate_id` belong together";
        wrong("", message.to_owned());
    }
    let times = request.from.is_some() || request.to.is_some();
    let chooses = has_type || request.event_types.is_some() || times;
    if chooses == request.before_it_began {
        let message = "either `before_it_began`, or an aggregate, event types or times are required, and not both";
        wrong("", message.to_owned());
    }
    if request
        .from
        .zip(request.to)
        .is_some_and(|(from, to)| from >= to)
    {
        wrong("/from", "is not before `to`".to_owned());
    }
    violations
}

/// POST `/replays`.
///
/// # Errors
/// 409 if what was before the consumer began is or was replayed, or too many operations are unfinished; 422 for an unknown
/// consumer or type, if nothing can fit, or if what fits is too old; the problems that every command can return.
pub async fn begin(
    State(app): State<Arc<App>>,
    command: Command<ReplayRequest>,
) -> Result<Beginning<ReplayAnswer, ReplayPreview>, Problem> {
    let asked = &app.asked(command.body()).await?;
    let app = &app;
    if command.body().preview {
        let preview = preview(app, command.body(), asked).await?;
        return Ok(Beginning::previewed(preview));
    }
    let by = &caller(&command, Text::clone(&command.body().reason))?;
    let created = api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let (replays, now) = (app.replays(), transaction.now());
        let Asked {
            wanted,
            listened,
            began,
        } = asked;
        let deciding = async {
            let ready = replays.ready(wanted, *listened, *began, now).await?;
            let counted = replays.count(&ready.selection, *listened, now).await?;
            let begin = BeginReplay {
                rate_per_second: body.rate(),
                by: by.by.clone(),
                key_owner: by.owner.clone(),
                count: counted.map_or(0, |counted| counted.sent),
            };
            replays.begin(&mut transaction, ready, begin).await
        };
        let done: Result<Operation, Stopped> = deciding.await;
        api::decided(transaction, done, refused, ReplayAnswer::of)
    })
    .await?;
    Ok(Beginning::Begun(created))
}

async fn preview(
    app: &App,
    request: &ReplayRequest,
    asked: &Asked,
) -> Result<Reply<ReplayPreview>, Problem> {
    let Asked {
        wanted,
        listened,
        began,
    } = asked;
    let (replays, now) = (app.replays(), app.outbox.clock().now());
    let ready = replays.ready(wanted, *listened, *began, now).await;
    let Ready {
        selection,
        progress,
        ..
    } = ready.map_err(stopped)?;
    let counted = replays.count(&selection, *listened, now).await?;
    let (count, counted_by) = match counted {
        Some(counted) => (Some(counted.sent.into()), CountedBy::EventLog),
        None => match counted_over_time(app, wanted, *listened, selection.to).await? {
            Some(count) => (Some(count), CountedBy::Analytics),
            None => (None, CountedBy::Nothing),
        },
    };
    // An aggregate is read alone, everything else by a walk over the whole log.
    let log = match wanted.aggregate {
        Some(_) => None,
        None => log_size(app).await,
    };
    let rate = u64::from(request.rate());
    let sending = count.map(|count| count.div_ceil(rate));
    let reading = log.map(|log| log.rows.div_ceil(ROWS_PER_SECOND.into()));
    Reply::of(&ReplayPreview {
        consumer: selection.consumer.clone(),
        to: selection.to,
        began: *began,
        goes_on: progress.rows > 0,
        count,
        counted_by,
        passed_over: counted.map(|counted| counted.passed_over),
        too_old: counted.map(|counted| counted.too_old),
        seconds_at_least: sending.max(reading),
        log_rows: log.map(|log| log.rows),
        log_bytes: log.map(|log| log.bytes),
        read_units: log.map(|log| log.bytes.div_ceil(READ_UNIT_BYTES)),
    })
}

/// The size of the event log; `None` if DynamoDB does not tell it, without which an operation can begin.
pub(super) async fn log_size(app: &App) -> Option<TableSize> {
    match app.stack.log_size().await {
        Ok(size) => Some(size),
        Err(fault) => {
            tracing::warn!(
                error = chain(&fault),
                "the size of the event log is not known"
            );
            None
        }
    }
}

/// About how many events fit, by the counts over time; `None` if these do not cover the span.
async fn counted_over_time(
    app: &App,
    wanted: &WantedReplay,
    listened: Selection,
    to: Timestamp,
) -> Result<Option<u64>, Error> {
    let Some(from) = wanted.from.filter(|_| wanted.aggregate.is_none()) else {
        return Ok(None);
    };
    let bucket = if Bucket::Hour.count(from, to) <= HOURS_AT_MOST {
        Bucket::Hour
    } else if Bucket::Day.count(from, to) <= DAYS_AT_MOST {
        Bucket::Day
    } else {
        return Ok(None);
    };
    let is_wanted = |event_type: &str| {
        let types = wanted.event_types.as_ref();
        listened.takes(event_type)
            && types.is_none_or(|types| types.iter().any(|one| one.as_str() == event_type))
    };
    let all = || Wanted {
        bucket,
        from: bucket.start(from),
        to: bucket.end(to),
        kind: None,
        primitive: None,
        member_id: None,
    };
    let chosen: Vec<_> = kinds()
        .iter()
        .filter(|kind| is_wanted(kind.event_type))
        .collect();
    let reads: Vec<Wanted> = if chosen.len() > TYPES_READ_ONE_BY_ONE {
        vec![all()]
    } else {
        let of = |kind: &&_| Wanted {
            kind: Some(**kind),
            ..all()
        };
        chosen.iter().map(of).collect()
    };
    let read = reads
        .iter()
        .map(|wanted| wanted.read(&app.outbox, &app.config.analytics));
    let figures = try_join_all(read).await?;
    let counts = figures.iter().flatten();
    let counts = counts.filter(|figure| is_wanted(figure.kind.event_type));
    Ok(Some(counts.map(|figure| figure.sums.count).sum()))
}
