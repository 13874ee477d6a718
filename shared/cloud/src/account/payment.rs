//! The Stripe payment behind a mint. The fact that it was minted is kept forever.

use events::{ExternalReference, IdempotencyKey, TextError, Timestamp, TransactionId};
use serde::{Deserialize, Serialize};

/// A Stripe payment as the caller of a mint names it: by its charge, by its payment intent, by both, or not at all.
///
/// Each name is a fact of its own, because a later mint of the same payment can use the other name. Stripe charges a
/// payment intent successfully at most once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StripePayment {
    /// The charge.
    pub charge_id: Option<ExternalReference>,
    /// The payment intent behind the charge.
    pub payment_intent_id: Option<ExternalReference>,
}

/// By what a Stripe payment is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentName {
    /// Its charge.
    Charge,
    /// Its payment intent.
    PaymentIntent,
}

impl PaymentName {
    /// The words for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::PaymentIntent => "payment intent",
        }
    }
}

impl StripePayment {
    /// The facts that this payment was minted, as idempotency keys. The first one is the key of the event. Stripe's ids
    /// begin with their type (`ch_`, `pi_`), so a charge and a payment intent never share one.
    ///
    /// # Errors
    /// [`TextError`]. The references' format makes it impossible.
    pub fn facts(&self) -> Result<Vec<(PaymentName, IdempotencyKey)>, TextError> {
        let charge = self.charge_id.as_ref();
        // One id under both names is one fact: a transaction cannot record it twice.
        let intent = self.payment_intent_id.as_ref();
        let intent = intent.filter(|intent| Some(*intent) != charge);
        let named = |name, id: Option<&ExternalReference>| {
            id.map(|id| Ok((name, IdempotencyKey::new(format!("stripe/{id}"))?)))
        };
        let charge = named(PaymentName::Charge, charge);
        let intent = named(PaymentName::PaymentIntent, intent);
        charge.into_iter().chain(intent).collect()
    }
}

/// The row that records that a payment was minted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintedPayment {
    /// The transaction that minted it.
    pub transaction_id: TransactionId,
    /// When it was minted.
    pub minted_at: Timestamp,
}

/// What is known about a payment that was minted before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MintedBefore {
    /// The name under which it was found.
    pub name: PaymentName,
    /// Its row.
    pub payment: MintedPayment,
}
