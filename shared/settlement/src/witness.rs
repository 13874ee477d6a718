//! Witnesses: a payment or a settlement rebuilt from its events alone, to be compared with what is stored.
//!
//! Every field of the stored state comes from an event, and its times are the times at which the events occurred. An
//! incomplete history does not rebuild to a state: event numbers and transitions must have no gaps, and each transition
//! must start where the one before ended.

use domain::rebuild;
pub use domain::{Broken, Contradiction, Rebuilt};
use events::Envelope;

use crate::{Payment, Settlement};

/// Rebuilds a settlement from all its events, in order; `None` if there are none.
///
/// # Errors
/// [`Broken`] at the first event that does not follow from those before it.
pub fn settlement(events: &[Envelope]) -> Result<Option<Rebuilt<Settlement>>, Broken> {
    rebuild(events)
}

/// Rebuilds a payment from all its events, in order; `None` if there are none.
///
/// # Errors
/// [`Broken`] at the first event that does not follow from those before it.
pub fn payment(events: &[Envelope]) -> Result<Option<Rebuilt<Payment>>, Broken> {
    rebuild(events)
}
