//! Redemptions of credits.

use std::sync::Arc;

use api::{Command, Created, Decision, Problem, State};
use cloud::{operations::RedeemFor, redemption::Metering};

use super::{App, refused};
use crate::wire::{RedemptionAnswer, RedemptionRequest};

/// POST `/cloud/redemptions`.
///
/// # Errors
/// 404 for an unknown member or rate card; 409 for a card whose rates are not effective, and if the balance is
/// insufficient; 422 for an unknown primitive or unit, a quantity whose cost rounds to zero, or an amount that differs
/// from the card's; the problems that every command can return.
pub async fn redeem(
    State(app): State<Arc<App>>,
    command: Command<RedemptionRequest>,
) -> Result<Created<RedemptionAnswer>, Problem> {
    let app = &app;
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let metering = match Metering::named(body.primitive.as_str(), body.unit.as_str()) {
            Ok(metering) => metering,
            Err(refusal) => return Ok(Decision::Refuse(refused(&refusal)?)),
        };
        let redeem = RedeemFor {
            member_id: body.member_id.clone(),
            amount: body.amount.map(api::PositiveInput::amount),
            metering,
            quantity: body.quantity.amount(),
            service_name: body.service_name.clone(),
            period_id: body.period_id.clone(),
            rate_card_version: body.rate_card_version,
        };
        let done = app.operations().redeem(&mut transaction, redeem).await;
        api::decided(transaction, done, refused, |done| {
            let event = &done.decided.event;
            RedemptionAnswer {
                transaction_id: event.transaction_id,
                event_id: done.event_id,
                amount: event.amount,
                amount_usd: event.amount_usd,
                credits_per_unit: event.credits_per_unit,
                balance_after: event.balance_after,
            }
        })
    })
    .await
}
