//! Settlements.

use std::sync::Arc;

use api::{Command, Created, Page, PageQuery, Path, Problem, Query, Reply, State};
use domain::{History, MOST_EVENTS};
use events::{Contract as _, Sequence, SettlementId, contracts};
use outbox::{Cursor, Entity, Item};
use serde::Serialize;
use settlement::{
    Refusal,
    operations::Settle,
    settlement::{SettlementChange, SettlementRow},
    witness,
};

use super::{App, refused, unknown_settlement};
use crate::wire::{
    ConfirmationsAnswer, ConfirmationsRequest, NetworkOffer, OpenStatus, SettlementAnswer,
    SettlementChoice, SettlementEnd, SettlementFailure, SettlementPath, SettlementRequest,
    SettlementSubmission, SettlementView, SettlementWitness, SettlementsQuery,
};

/// The maximum number of reads of events and state, if writes come in between the two.
const WITNESS_READS: u32 = 4;

/// POST `/settlements`.
///
/// # Errors
/// 404 for an unknown payment; 409 if it is not captured; 422 above what is left of it, for another currency or for an
/// invalid list of networks; the problems that every command can return.
pub async fn create(
    State(app): State<Arc<App>>,
    command: Command<SettlementRequest>,
) -> Result<Created<SettlementChoice>, Problem> {
    let app = &app;
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let settle = Settle {
            settlement_id: transaction.uuid().into(),
            payment_id: body.payment_id,
            amount: body.amount.amount(),
            currency: body.currency,
            networks: body.networks.iter().map(NetworkOffer::candidate).collect(),
        };
        let done = app.settlements().create(&mut transaction, settle).await;
        api::decided(transaction, done, refused, |change| {
            let state = change.state();
            SettlementChoice {
                settlement_id: state.settlement_id(),
                status: state.status(),
                network: state.network().cloned(),
                required_confirmations: state.required_confirmations(),
            }
        })
    })
    .await
}

/// Applies a step to an existing settlement.
async fn step<T, A: Serialize>(
    app: &App,
    settlement_id: &SettlementId,
    command: &Command<T>,
    step: impl Fn(SettlementChange, &T) -> Result<SettlementChange, Refusal>,
    answer: impl Fn(&SettlementChange) -> A,
) -> Result<Reply<A>, Problem> {
    let (step, answer) = (&step, &answer);
    api::execute(&app.outbox, command, async move |mut transaction, body| {
        let settlements = app.settlements();
        let done = settlements
            .step(&mut transaction, *settlement_id, |change| {
                step(change, body)
            })
            .await;
        api::decided(transaction, done, refused, |change| answer(change))
    })
    .await
}

fn answer(change: &SettlementChange) -> SettlementAnswer {
    SettlementAnswer {
        settlement_id: change.state().settlement_id(),
        status: change.state().status(),
    }
}

/// POST `/settlements/{settlement_id}/submit`.
///
/// # Errors
/// 404 for an unknown settlement; 409 if its status does not allow it; the problems that every command can return.
pub async fn submit(
    State(app): State<Arc<App>>,
    Path(path): Path<SettlementPath>,
    command: Command<SettlementSubmission>,
) -> Result<Reply<SettlementAnswer>, Problem> {
    let submit =
        |change: SettlementChange, body: &SettlementSubmission| change.submit(body.tx_hash.clone());
    step(&app, &path.settlement_id, &command, submit, answer).await
}

/// POST `/settlements/{settlement_id}/confirmations`.
///
/// # Errors
/// 404 for an unknown settlement; 409 if its status does not allow it or more confirmations were already reported; the
/// problems that every command can return.
pub async fn confirm(
    State(app): State<Arc<App>>,
    Path(path): Path<SettlementPath>,
    command: Command<ConfirmationsRequest>,
) -> Result<Reply<ConfirmationsAnswer>, Problem> {
    let answer = |change: &SettlementChange| ConfirmationsAnswer {
        settlement_id: change.state().settlement_id(),
        status: change.state().status(),
        confirmations: change.state().confirmations(),
        required_confirmations: change.state().required_confirmations(),
    };
    let confirm =
        |change: SettlementChange, body: &ConfirmationsRequest| change.confirm(body.confirmations);
    step(&app, &path.settlement_id, &command, confirm, answer).await
}

/// POST `/settlements/{settlement_id}/settle`.
///
/// # Errors
/// 404 for an unknown settlement; 409 if its status does not allow it; the problems that every command can return.
pub async fn settle(
    State(app): State<Arc<App>>,
    Path(path): Path<SettlementPath>,
    command: Command<SettlementEnd>,
) -> Result<Reply<SettlementAnswer>, Problem> {
    let settle =
        |change: SettlementChange, body: &SettlementEnd| change.settle(body.gas_actual.clone());
    step(&app, &path.settlement_id, &command, settle, answer).await
}

/// POST `/settlements/{settlement_id}/fail`.
///
/// # Errors
/// 404 for an unknown settlement; 409 if it has already ended; the problems that every command can return.
pub async fn fail(
    State(app): State<Arc<App>>,
    Path(path): Path<SettlementPath>,
    command: Command<SettlementFailure>,
) -> Result<Reply<SettlementAnswer>, Problem> {
    let fail = |change: SettlementChange, body: &SettlementFailure| change.fail(body.error.clone());
    step(&app, &path.settlement_id, &command, fail, answer).await
}

/// Returns the stored settlement with its version; `None` if there is none.
fn view(entity: &Entity<SettlementRow>) -> Result<Option<SettlementView>, Problem> {
    let Some(row) = entity.state() else {
        return Ok(None);
    };
    Ok(Some(SettlementView {
        settlement: row.settlement().clone(),
        version: Sequence::new(entity.version()).map_err(|error| Problem::internal(&error))?,
    }))
}

/// GET `/settlements/{settlement_id}`.
///
/// # Errors
/// 404 for an unknown settlement.
pub async fn settlement(
    State(app): State<Arc<App>>,
    Path(path): Path<SettlementPath>,
) -> Result<Reply<SettlementView>, Problem> {
    let view = view(&app.settlements().settlement(path.settlement_id).await?)?;
    Reply::of(&view.ok_or_else(|| unknown_settlement(path.settlement_id))?)
}

/// GET `/settlements`.
///
/// # Errors
/// 400 for a final status, or a cursor of another list.
pub async fn settlements(
    State(app): State<Arc<App>>,
    Query(asked): Query<SettlementsQuery>,
) -> Result<Reply<Page<SettlementView>>, Problem> {
    let page = PageQuery {
        limit: asked.limit,
        cursor: asked.cursor,
    };
    let limit = page.limit.number();
    // There is one list per status, and they are read one after the other. The cursor's seal identifies the list that
    // it belongs to.
    let mut lists: Vec<outbox::Query> = OpenStatus::ALL
        .into_iter()
        .filter(|open| asked.status.is_none_or(|status| status == *open))
        .map(|open| SettlementRow::open(&app.table, open.status(), limit))
        .collect();
    let mut refused = Problem::not_found("there is no list with this status");
    let mut begin = None;
    for (at, list) in lists.iter().enumerate() {
        match page.apply(list.clone()) {
            Ok(query) => {
                begin = Some((at, query));
                break;
            }
            Err(problem) => refused = problem,
        }
    }
    let Some((at, mut query)) = begin else {
        return Err(refused);
    };
    // An empty cursor is the beginning of a list.
    query.after = query.after.filter(|cursor| !cursor.0.is_empty());
    let mut lists = lists.drain(at..).skip(1).peekable();
    let mut items: Vec<SettlementView> = Vec::new();
    loop {
        query.limit = limit.saturating_sub(u32::try_from(items.len()).unwrap_or(limit));
        let (rows, next) = app.outbox.rows::<SettlementView>(&query).await?;
        items.extend(rows);
        if next.is_some() {
            return Reply::of(&Page::of(&query, items, next.as_ref()));
        }
        let full = u32::try_from(items.len()).unwrap_or(limit) >= limit;
        match lists.next() {
            None => return Reply::of(&Page::of(&query, items, None)),
            Some(list) if full => {
                let beginning = Cursor(Item::new());
                return Reply::of(&Page::of(&list, items, Some(&beginning)));
            }
            Some(list) => query = list,
        }
    }
}

/// GET `/settlements/{settlement_id}/witness`.
///
/// # Errors
/// 404 if there is neither a settlement nor an event of it.
pub async fn witness(
    State(app): State<Arc<App>>,
    Path(path): Path<SettlementPath>,
) -> Result<Reply<SettlementWitness>, Problem> {
    let id = path.settlement_id;
    let (kind, name) = (contracts::settlement::Created::AGGREGATE, id.to_string());
    let mut reads = 1;
    loop {
        // The events are read first: a write in between is then in the state but not in the events.
        let history = domain::history(&app.outbox, kind, &name, MOST_EVENTS).await?;
        let stored = view(&app.settlements().settlement(id).await?)?;
        let witness = compare(&history, stored);
        let version = |view: &Option<SettlementView>| view.as_ref().map(|view| view.version);
        let behind = version(&witness.rebuilt) < version(&witness.stored);
        if behind && witness.reason.is_none() && reads < WITNESS_READS {
            reads += 1;
            continue;
        }
        if witness.stored.is_none() && witness.events == 0 && witness.reason.is_none() {
            return Err(unknown_settlement(id));
        }
        return Reply::of(&witness);
    }
}

fn compare(history: &History, stored: Option<SettlementView>) -> SettlementWitness {
    let (events, rebuilt) = match &history.unreadable {
        None if history.more => {
            let reason = format!("it has more than {MOST_EVENTS} events");
            (history.own.len(), Err(reason))
        }
        None => {
            let rebuilt = witness::settlement(&history.own).map_err(|error| error.to_string());
            (history.own.len(), rebuilt)
        }
        Some(event) => {
            let reason = format!("event {}: {}", event.sequence, event.reason);
            (0, Err(reason))
        }
    };
    let (rebuilt, reason) = match rebuilt {
        Ok(rebuilt) => (rebuilt, None),
        Err(reason) => (None, Some(reason)),
    };
    let rebuilt = rebuilt.map(|rebuilt| SettlementView {
        settlement: rebuilt.state,
        version: rebuilt.version,
    });
    SettlementWitness {
        agrees: reason.is_none() && stored == rebuilt,
        stored,
        rebuilt,
        events,
        reason,
    }
}
