//! Rate cards: proposed, approved, read.

use std::sync::Arc;

use api::{Command, Created, Page, PageQuery, Path, Problem, Query, Reply, State};
use cloud::{operations::ProposeBy, rate_card::RateCard};
use events::Sequence;
use outbox::Entity;

use super::{App, refused};
use crate::wire::{
    ApprovalAnswer, ApprovalRequest, ProposalAnswer, ProposalRequest, RateCardPath, RateCardView,
};

/// POST `/cloud/rate-cards`.
///
/// # Errors
/// 404 for an unknown proposer; 422 for a notice after the effective date; the problems that every command can return.
pub async fn propose(
    State(app): State<Arc<App>>,
    command: Command<ProposalRequest>,
) -> Result<Created<ProposalAnswer>, Problem> {
    let (app, key_owner) = (&app, command.caller().owner().as_text());
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let propose = ProposeBy {
            proposer: body.proposed_by.clone(),
            key_owner: key_owner.clone(),
            effective_date: body.effective_date.timestamp(),
            notice_date: body.notice_date.timestamp(),
            rates: body.rates.rates(),
        };
        let done = app.operations().propose(&mut transaction, propose).await;
        api::decided(transaction, done, refused, |done| {
            let card = &done.decided.card;
            ProposalAnswer {
                version: card.number(),
                event_id: done.event_id,
                effective_date: card.effective_date(),
                notice_date: card.notice_date(),
            }
        })
    })
    .await
}

/// POST `/cloud/rate-cards/{version}/approve`.
///
/// # Errors
/// 403 if the owner of the caller's key also proposed the card; 404 for an unknown card or approver; 409 for the member
/// who proposed it, and once it is approved; the problems that every command can return.
pub async fn approve(
    State(app): State<Arc<App>>,
    Path(path): Path<RateCardPath>,
    command: Command<ApprovalRequest>,
) -> Result<Reply<ApprovalAnswer>, Problem> {
    let (app, version) = (&app, &path.version);
    let key_owner = command.caller().owner().as_text();
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let operations = app.operations();
        let done = operations
            .approve(&mut transaction, *version, &body.approved_by, key_owner)
            .await;
        api::decided(transaction, done, refused, |done| {
            let event = &done.decided.event;
            ApprovalAnswer {
                version: *version,
                event_id: done.event_id,
                effective_date: event.effective_date,
                approved_by: event.approved_by.clone(),
                approved_at: event.approved_at,
            }
        })
    })
    .await
}

/// GET `/cloud/rate-cards`.
///
/// # Errors
/// The problems that every read can return.
pub async fn rate_cards(
    State(app): State<Arc<App>>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<RateCardView>>, Problem> {
    let query = page.apply(RateCard::newest_first(&app.cloud, page.limit.number()))?;
    let (cards, next) = app.outbox.rows::<RateCard>(&query).await?;
    let now = app.outbox.clock().now();
    let cards = cards.iter().map(|card| RateCardView::of(card, now));
    Reply::of(&Page::of(&query, cards.collect(), next.as_ref()))
}

/// GET `/cloud/rate-cards/{version}`.
///
/// # Errors
/// 404 for an unknown card.
pub async fn rate_card(
    State(app): State<Arc<App>>,
    Path(path): Path<RateCardPath>,
) -> Result<Reply<RateCardView>, Problem> {
    let number = path.version.to_string();
    let entity: Entity<RateCard> = app.outbox.load(&app.cloud, &number).await?;
    let card = entity.state().ok_or_else(|| unknown_card(path.version))?;
    Reply::of(&RateCardView::of(card, app.outbox.clock().now()))
}

pub(super) fn unknown_card(version: Sequence) -> Problem {
    Problem::not_found(format!("there is no rate card {version}")).with("version", version.number())
}
