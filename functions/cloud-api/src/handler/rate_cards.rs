//! Rate cards: proposed, approved, read.

use std::sync::Arc;

use api::{Command, Created, Decision, Page, PageQuery, Path, Problem, Query, Reply, State};
use cloud::rate_card::{self, Propose, RateCard, Vacant};
use events::Sequence;
use outbox::Entity;

use super::{App, refused, unknown_member};
use crate::wire::{
    ApprovalAnswer, ApprovalRequest, ProposalAnswer, ProposalRequest, RateCardPath, RateCardView,
};

/// POST `/cloud/rate-cards`.
///
/// # Errors
/// 404 for an unknown proposer; 422 for a notice after the effective date; what every command has.
pub async fn propose(
    State(app): State<Arc<App>>,
    command: Command<ProposalRequest>,
) -> Result<Created<ProposalAnswer>, Problem> {
    let app = &app;
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let (proposer, vacant) = tokio::try_join!(
            app.member(&body.proposed_by),
            Vacant::next(&app.outbox, &app.cloud)
        )?;
        let Some(proposer) = proposer else {
            return Ok(Decision::Refuse(unknown_member(
                "/proposed_by",
                &body.proposed_by,
            )));
        };
        // Whoever else proposes at the same time takes the same number, and one of the two decides again.
        let Some(vacant) = vacant else {
            return Ok(Decision::Refuse(Problem::contention()));
        };
        let propose = Propose {
            effective_date: body.effective_date.moment(),
            notice_date: body.notice_date.moment(),
            rates: body.rates.rates(),
            proposer,
        };
        let proposing = match rate_card::propose(propose, &vacant, transaction.now()) {
            Ok(proposing) => proposing,
            Err(refusal) => return refused(&refusal),
        };
        let event_id = proposing.save(&mut transaction, &vacant)?;
        let answer = ProposalAnswer {
            version: proposing.card.number(),
            event_id,
            effective_date: proposing.card.effective_date(),
            notice_date: proposing.card.notice_date(),
        };
        Ok(Decision::Commit(transaction, answer))
    })
    .await
}

/// POST `/cloud/rate-cards/{version}/approve`.
///
/// # Errors
/// 404 for an unknown card or approver; 409 for its proposer and once it is approved; what every command has.
pub async fn approve(
    State(app): State<Arc<App>>,
    Path(path): Path<RateCardPath>,
    command: Command<ApprovalRequest>,
) -> Result<Reply<ApprovalAnswer>, Problem> {
    let (app, version, number) = (&app, &path.version, &path.version.to_string());
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let version = *version;
        let (approver, entity) = tokio::try_join!(
            app.member(&body.approved_by),
            app.outbox.load::<RateCard>(&app.cloud, number)
        )?;
        let Some(card) = entity.state() else {
            return Ok(Decision::Refuse(unknown_card(version)));
        };
        let Some(approver) = approver else {
            return Ok(Decision::Refuse(unknown_member(
                "/approved_by",
                &body.approved_by,
            )));
        };
        let revision = entity.next_version()?;
        let approving = match rate_card::approve(card, approver, revision, transaction.now()) {
            Ok(approving) => approving,
            Err(refusal) => return refused(&refusal),
        };
        let event_id = approving.save(&mut transaction, &entity)?;
        let answer = ApprovalAnswer {
            version,
            event_id,
            effective_date: approving.event.effective_date,
            approved_by: approving.event.approved_by,
            approved_at: approving.event.approved_at,
        };
        Ok(Decision::Commit(transaction, answer))
    })
    .await
}

/// GET `/cloud/rate-cards`.
///
/// # Errors
/// What every reading has.
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

fn unknown_card(version: Sequence) -> Problem {
    Problem::not_found(format!("there is no rate card {version}")).with("version", version.number())
}
