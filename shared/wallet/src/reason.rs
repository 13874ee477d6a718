//! The reasons why points move, as a closed list. On the wire the list is open, so that it can grow before its readers
//! are updated.

use events::MoveReason;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Refusal;

/// What the points are held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum HoldReason {
    /// A performance requested from a model.
    PerformanceRequest,
    /// A feature that a model unlocks.
    FeaturePurchase,
    /// A tip that the model has not taken yet.
    Tip,
    /// A round of a game.
    Game,
    /// Anything else; the feature type says what it is.
    Other,
}

impl HoldReason {
    /// All reasons.
    pub const ALL: [Self; 5] = [
        Self::PerformanceRequest,
        Self::FeaturePurchase,
        Self::Tip,
        Self::Game,
        Self::Other,
    ];

    /// Looks up a reason by its name on the wire.
    ///
    /// # Errors
    /// [`Refusal::UnknownReason`].
    pub fn named(name: &str) -> Result<Self, Refusal> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.wire().as_str() == name)
            .ok_or(Refusal::UnknownReason)
    }

    /// The reason as events and entries carry it.
    #[must_use]
    pub const fn wire(self) -> MoveReason {
        match self {
            Self::PerformanceRequest => const { MoveReason::constant("performance_request") },
            Self::FeaturePurchase => const { MoveReason::constant("feature_purchase") },
            Self::Tip => const { MoveReason::constant("tip") },
            Self::Game => const { MoveReason::constant("game") },
            Self::Other => const { MoveReason::constant("other") },
        }
    }
}

/// Why points moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A deposit from outside.
    Deposit,
    /// A withdrawal to the outside.
    Withdrawal,
    /// Points were held in escrow.
    Held(HoldReason),
    /// All held points were earned by a model.
    EscrowSettled,
    /// All held points went back to the user.
    EscrowRefunded,
    /// The held points were divided between user and model.
    EscrowPartiallySettled,
}

impl Reason {
    /// The reason as events and entries carry it.
    #[must_use]
    pub const fn wire(self) -> MoveReason {
        match self {
            Self::Deposit => const { MoveReason::constant("deposit") },
            Self::Withdrawal => const { MoveReason::constant("withdrawal") },
            Self::Held(reason) => reason.wire(),
            Self::EscrowSettled => const { MoveReason::constant("escrow_settled") },
            Self::EscrowRefunded => const { MoveReason::constant("escrow_refunded") },
            Self::EscrowPartiallySettled => {
                const { MoveReason::constant("escrow_partially_settled") }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_found_by_the_name_it_has_on_the_wire_and_in_items() {
        for reason in HoldReason::ALL {
            let name = serde_json::to_value(reason).expect("serialises");
            assert_eq!(name, reason.wire().as_str());
            assert_eq!(HoldReason::named(reason.wire().as_str()), Ok(reason));
        }
    }

    #[test]
    fn an_unknown_reason_is_refused_with_all_that_are_allowed() {
        let refusal = HoldReason::named("because").expect_err("refused");
        let words = refusal.to_string();
        for reason in HoldReason::ALL {
            assert!(words.contains(reason.wire().as_str()), "{words}");
        }
        // Callers cannot choose the reasons that the rules themselves assign.
        assert!(HoldReason::named("deposit").is_err());
    }
}
