//! Redemptions: credits spent on metered resources, at the rate of a rate card.

use events::{
    Credits, Draft, EventId, Quantity, Sequence, Text, Timestamp,
    contracts::cloud::{Primitive, Redeemed, ResourceUnit},
};
use outbox::{BuildError, Entity, Table, Transaction};

use crate::{
    Refusal,
    account::{Account, CommandContext, Holder, Holding, Kind, Movement, Usage, positive},
    rate_card::RateCard,
};

/// A resource together with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metering(Primitive);

impl Metering {
    /// Accepts the name of a primitive with the name of its unit.
    ///
    /// # Errors
    /// [`Refusal::UnknownPrimitive`], [`Refusal::UnknownUnit`], [`Refusal::WrongUnit`].
    pub fn named(primitive: &str, unit: &str) -> Result<Self, Refusal> {
        let primitive = Primitive::named(primitive).ok_or(Refusal::UnknownPrimitive)?;
        let unit = ResourceUnit::named(unit).ok_or(Refusal::UnknownUnit)?;
        let expected = primitive.unit();
        if unit == expected {
            Ok(Self(primitive))
        } else {
            Err(Refusal::WrongUnit {
                primitive,
                expected,
            })
        }
    }

    /// The primitive.
    #[must_use]
    pub fn primitive(self) -> Primitive {
        self.0
    }
}

/// Spends credits on a metered resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeem {
    /// The member whose credits they are.
    pub holder: Holder,
    /// The amount that the caller calculated, to be checked.
    pub amount: Option<Credits>,
    /// The resource and its unit.
    pub metering: Metering,
    /// The quantity, more than zero.
    pub quantity: Quantity,
    /// The service that used the resource.
    pub service_name: Text<200>,
    /// The metering period.
    pub period_id: Text<100>,
    /// The requested rate card.
    pub rate_card_version: Sequence,
}

/// A decided redemption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeeming {
    /// The account after the redemption.
    pub account: Account,
    /// The event.
    pub event: Redeemed,
    /// When it happened.
    pub occurred_at: Timestamp,
}

/// The cost of a quantity: quantity × rate, rounded half to even.
///
/// # Errors
/// [`Refusal::RedemptionRoundsToZero`], [`Refusal::RedemptionTooLarge`].
pub fn cost(quantity: Quantity, rate: Credits) -> Result<Credits, Refusal> {
    // Each factor has 15 digits, at most 6 of them decimals, so the product has at most 30 digits, 12 of them decimals.
    // A product that does not fit a `Decimal` is far beyond what an account can hold.
    let too_large = || Refusal::RedemptionTooLarge {
        max: Credits::max(),
    };
    let exact = quantity.decimal().checked_mul(rate.decimal());
    let cost = Credits::rounded(exact.ok_or_else(too_large)?).map_err(|_| too_large())?;
    if cost.is_zero() {
        return Err(Refusal::RedemptionRoundsToZero);
    }
    Ok(cost)
}

/// Decides a redemption. `card` is the requested rate card, if it exists.
///
/// # Errors
/// [`Refusal`] if a rule forbids it.
pub fn redeem(
    account: Holding,
    card: Option<&RateCard>,
    command: Redeem,
    context: &CommandContext,
) -> Result<Redeeming, Refusal> {
    let version = command.rate_card_version;
    let card = card.ok_or(Refusal::UnknownRateCard { version })?;
    let primitive = command.metering.primitive();
    let rate = card.rate_of(primitive, context.now)?;
    let computed = cost(command.quantity, rate)?;
    if let Some(stated) = command.amount.filter(|stated| *stated != computed) {
        return Err(Refusal::AmountDiffers { stated, computed });
    }
    let amount = positive(computed)?;
    let after = account.lowered(amount)?;
    Ok(Redeeming {
        account: after,
        event: Redeemed {
            transaction_id: context.transaction_id,
            member_id: command.holder.member_id,
            member_name: command.holder.name,
            amount,
            amount_usd: context.value_of(amount)?,
            balance_after: after.balance(),
            primitive,
            quantity: command.quantity,
            unit: primitive.unit(),
            service_name: command.service_name,
            period_id: command.period_id,
            rate_card_version: card.number(),
            credits_per_unit: rate,
            version: account.next_version,
        },
        occurred_at: context.now,
    })
}

impl Redeeming {
    /// The redemption's line in the account's statement.
    #[must_use]
    pub fn movement(&self, event_id: EventId) -> Movement {
        let event = &self.event;
        Movement {
            usage: Some(Usage {
                primitive: event.primitive,
                quantity: event.quantity,
                unit: event.unit,
                service_name: event.service_name.clone(),
                period_id: event.period_id.clone(),
                rate_card_version: event.rate_card_version,
            }),
            ..Movement::of(
                Kind::Redeemed,
                event.transaction_id,
                event.amount,
                event.balance_after,
                self.occurred_at,
                event_id,
            )
        }
    }

    /// Puts account, event and statement line into a transaction. Returns the event's id. The rate card needs no check,
    /// because an approved card never changes.
    ///
    /// # Errors
    /// [`BuildError`] if the entity is another account's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        table: &Table,
        entity: &Entity<Account>,
    ) -> Result<EventId, BuildError> {
        let draft = Draft::of(&self.event)?;
        let event_id = transaction.tell(entity, &self.account, draft, Vec::new())?;
        let key = Movement::key(table, self.event.member_id.as_str(), self.event.version);
        transaction.insert(key, &self.movement(event_id))?;
        Ok(event_id)
    }
}

#[cfg(test)]
mod tests {
    use events::MemberId;
    use proptest::prelude::*;
    use rust_decimal::Decimal;
    use uuid::Uuid;

    use super::*;
    use crate::rate_card::tests::approved;

    fn credits(text: &str) -> Credits {
        text.parse().expect("an amount")
    }

    fn person(id: &str) -> Holder {
        Holder {
            member_id: MemberId::new(id).expect("an id"),
            name: Text::new("Ada").expect("a name"),
        }
    }

    fn command(quantity: &str, amount: Option<&str>) -> Redeem {
        Redeem {
            holder: person("ada"),
            amount: amount.map(credits),
            metering: Metering::named("ltm", "GB-month").expect("known"),
            quantity: quantity.parse().expect("a quantity"),
            service_name: Text::new("habitat-api").expect("a name"),
            period_id: Text::new("q1-2026").expect("a period"),
            rate_card_version: Sequence::new(3).expect("a number"),
        }
    }

    fn holding(balance: &str) -> Holding {
        Holding {
            account: Account::holding(credits(balance), credits("7")),
            next_version: Sequence::new(5).expect("a version"),
        }
    }

    fn context() -> CommandContext {
        CommandContext {
            transaction_id: Uuid::from_u128(1).into(),
            now: Timestamp::EPOCH,
            rate: "10".parse().expect("a rate"),
        }
    }

    #[test]
    fn a_redemption_costs_quantity_times_rate_and_leaves_what_is_staked_alone() {
        let redeeming = redeem(
            holding("10"),
            Some(&approved(3, "0.25")),
            command("2.5", Some("0.625")),
            &context(),
        );
        let redeeming = redeeming.expect("allowed");
        assert_eq!(redeeming.event.amount, credits("0.625"));
        assert_eq!(redeeming.event.credits_per_unit, credits("0.25"));
        assert_eq!(redeeming.account.balance(), credits("9.375"));
        assert_eq!(redeeming.account.staked(), credits("7"));
        assert_eq!(redeeming.event.unit, ResourceUnit::GigabyteMonth);
    }

    #[test]
    fn products_round_half_to_even_to_six_decimals() {
        let of =
            |quantity: &str, rate: &str| cost(quantity.parse().expect("a quantity"), credits(rate));
        assert_eq!(of("0.5", "0.000003"), Ok(credits("0.000002")));
        assert_eq!(of("0.5", "0.000005"), Ok(credits("0.000002")));
        assert_eq!(of("0.5", "0.000001"), Err(Refusal::RedemptionRoundsToZero));
        assert_eq!(of("0.500001", "0.000001"), Ok(credits("0.000001")));
        assert_eq!(
            of("999999999.999999", "999999999.999999"),
            Err(Refusal::RedemptionTooLarge {
                max: Credits::max()
            })
        );
    }

    #[test]
    fn another_amount_than_the_cards_is_refused_with_both_numbers() {
        let refused = redeem(
            holding("10"),
            Some(&approved(3, "1")),
            command("2", Some("2.000001")),
            &context(),
        );
        assert_eq!(
            refused,
            Err(Refusal::AmountDiffers {
                stated: credits("2.000001"),
                computed: credits("2")
            })
        );
    }

    #[test]
    fn names_are_checked_before_anything_else() {
        assert_eq!(Metering::named("gpu", "GB"), Err(Refusal::UnknownPrimitive));
        assert_eq!(
            Metering::named("compute", "hours"),
            Err(Refusal::UnknownUnit)
        );
        assert_eq!(
            Metering::named("compute", "GB"),
            Err(Refusal::WrongUnit {
                primitive: Primitive::Compute,
                expected: ResourceUnit::ComputeHour
            })
        );
        for primitive in Primitive::ALL {
            let metering = Metering::named(primitive.as_str(), primitive.unit().as_str());
            assert_eq!(metering.map(Metering::primitive), Ok(primitive));
        }
    }

    #[test]
    fn an_unknown_card_and_an_empty_account_are_refused() {
        let version = Sequence::new(3).expect("a number");
        assert_eq!(
            redeem(holding("10"), None, command("1", None), &context()),
            Err(Refusal::UnknownRateCard { version })
        );
        assert_eq!(
            redeem(
                holding("0.5"),
                Some(&approved(3, "1")),
                command("1", None),
                &context()
            ),
            Err(Refusal::InsufficientBalance {
                available: credits("0.5"),
                needed: credits("1")
            })
        );
    }

    proptest! {
        #[test]
        fn the_cost_is_within_half_a_step_of_the_exact_product(
            quantity in 1_i64..1_000_000_000, rate in 1_i64..1_000_000_000,
        ) {
            let step = Decimal::new(1, 6);
            let quantity = Quantity::new(Decimal::new(quantity, 6)).expect("a quantity");
            let rate = Credits::new(Decimal::new(rate, 6)).expect("a rate");
            let exact = quantity.decimal() * rate.decimal();
            match cost(quantity, rate) {
                Ok(cost) => prop_assert!((cost.decimal() - exact).abs() * Decimal::TWO <= step),
                Err(refusal) => {
                    prop_assert_eq!(refusal, Refusal::RedemptionRoundsToZero);
                    prop_assert!(exact * Decimal::TWO <= step);
                }
            }
        }
    }
}
