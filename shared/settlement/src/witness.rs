//! Witnesses: a payment or a settlement rebuilt from its events alone, to be compared with what is stored.
//!
//! Every field of the stored state comes from an event, its times from when the events occurred. A history that leaves
//! something out does not come to a state at all: numbers without gaps, transitions without gaps, each from where the one
//! before led.

use domain::rebuild;
pub use domain::{Broken, Contradiction, Rebuilt};
use events::Envelope;

use crate::{Payment, Settlement};

/// Rebuilds a settlement from all its events, in their order; `None` where there are none.
///
/// # Errors
/// [`Broken`] at the first event that does not follow from those before it.
pub fn settlement(events: &[Envelope]) -> Result<Option<Rebuilt<Settlement>>, Broken> {
    rebuild(events)
}

/// Rebuilds a payment from all its events, in their order; `None` where there are none.
///
/// # Errors
/// [`Broken`] at the first event that does not follow from those before it.
pub fn payment(events: &[Envelope]) -> Result<Option<Rebuilt<Payment>>, Broken> {
    rebuild(events)
}
