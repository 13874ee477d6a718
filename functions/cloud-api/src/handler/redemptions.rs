//! Credits used up.

use std::sync::Arc;

use api::{Command, Created, Decision, Failure, Problem, State};
use cloud::{
    account::{Holding, Moment},
    rate_card::RateCard,
    redemption::{self, Metering},
};
use outbox::Entity;

use super::{App, refused, unknown_member};
use crate::wire::{RedemptionAnswer, RedemptionRequest};

/// POST `/cloud/redemptions`.
///
/// # Errors
/// 404 for an unknown member or rate card; 409 for a card whose rates do not hold, and where the balance is not enough; 422
/// for an unknown primitive or unit, a quantity that costs nothing, another amount than the card's; what every command has.
pub async fn redeem(
    State(app): State<Arc<App>>,
    command: Command<RedemptionRequest>,
) -> Result<Created<RedemptionAnswer>, Problem> {
    let app = &app;
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let metering = match Metering::named(body.primitive.as_str(), body.unit.as_str()) {
            Ok(metering) => metering,
            Err(refusal) => return refused(&refusal),
        };
        let card_number = body.rate_card_version.to_string();
        let (holder, account, card) = tokio::try_join!(
            async { Ok::<_, Failure>(app.member(&body.member_id).await?) },
            async { Ok(app.account(body.member_id.as_str()).await?) },
            async {
                let card: Entity<RateCard> = app.outbox.load(&app.cloud, &card_number).await?;
                Ok(card)
            },
        )?;
        let Some(holder) = holder else {
            return Ok(Decision::Refuse(unknown_member(
                "/member_id",
                &body.member_id,
            )));
        };
        let redeem = redemption::Redeem {
            holder,
            amount: body.amount.map(api::PositiveInput::amount),
            metering,
            quantity: body.quantity.amount(),
            service_name: body.service_name.clone(),
            period_id: body.period_id.clone(),
            rate_card_version: body.rate_card_version,
        };
        let moment = Moment::of(&transaction, app.rate);
        let redeeming =
            match redemption::redeem(Holding::of(&account)?, card.state(), redeem, &moment) {
                Ok(redeeming) => redeeming,
                Err(refusal) => return refused(&refusal),
            };
        let event_id = redeeming.save(&mut transaction, &app.cloud, &account)?;
        let answer = RedemptionAnswer {
            transaction_id: redeeming.event.transaction_id,
            event_id,
            amount: redeeming.event.amount,
            amount_usd: redeeming.event.amount_usd,
            credits_per_unit: redeeming.event.credits_per_unit,
            balance_after: redeeming.event.balance_after,
        };
        Ok(Decision::Commit(transaction, answer))
    })
    .await
}
