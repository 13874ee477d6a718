//! The contracts that ship with Millrace, a module per domain.

use crate::Entry;

pub mod alert;
pub mod cloud;
pub mod member;
pub mod payment;
pub mod settlement;
pub mod treasury;
pub mod wallet;

/// Every shipped contract. Adding one: the type in its domain's module, a line here, its schema by `make schemas`.
#[must_use]
pub fn all() -> Vec<Entry> {
    vec![
        Entry::of::<alert::TreasuryBackingLow>(),
        Entry::of::<cloud::Burned>(),
        Entry::of::<cloud::Minted>(),
        Entry::of::<cloud::RateCardApproved>(),
        Entry::of::<cloud::RateCardCreated>(),
        Entry::of::<cloud::Redeemed>(),
        Entry::of::<cloud::Staked>(),
        Entry::of::<cloud::SyncDiverged>(),
        Entry::of::<cloud::Transferred>(),
        Entry::of::<cloud::Unstaked>(),
        Entry::of::<member::Registered>(),
        Entry::of::<member::Updated>(),
        Entry::of::<payment::Created>(),
        Entry::of::<payment::Refunded>(),
        Entry::of::<payment::StatusChanged>(),
        Entry::of::<settlement::ConfirmationProgress>(),
        Entry::of::<settlement::Created>(),
        Entry::of::<settlement::Failed>(),
        Entry::of::<settlement::GasEstimated>(),
        Entry::of::<settlement::NetworkSelected>(),
        Entry::of::<settlement::Settled>(),
        Entry::of::<settlement::StatusChanged>(),
        Entry::of::<treasury::AccountChanged>(),
        Entry::of::<wallet::BalanceUpdated>(),
        Entry::of::<wallet::Deposited>(),
        Entry::of::<wallet::EscrowHeld>(),
        Entry::of::<wallet::EscrowPartialSettled>(),
        Entry::of::<wallet::EscrowRefunded>(),
        Entry::of::<wallet::EscrowSettled>(),
        Entry::of::<wallet::Withdrawn>(),
    ]
}

/// An id whose text was already checked by a narrower type: such texts always have an aggregate id's shape.
fn aggregate_id(text: impl Into<String>) -> crate::AggregateId {
    crate::AggregateId::of_checked(text)
}
