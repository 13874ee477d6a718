//! Brings the mappings of a function to what is wanted.

use futures::future::join_all;
use outbox::Fault;

use crate::{Answer, Mapping, MappingState, Mappings, Polling};

/// How far the mappings of a function are, the least finished one deciding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Applied {
    /// Every one is as wanted.
    Settled,
    /// Lambda makes the change already.
    Changing,
    /// The change was asked for now, and accepted.
    Asked,
    /// One cannot be changed now. It has to be tried again.
    Busy,
}

impl Applied {
    /// Whether the mappings are as wanted, or will be without another call.
    #[must_use]
    pub const fn is_accepted(self) -> bool {
        !matches!(self, Self::Busy)
    }
}

/// Asks for the change of each mapping of a function that is not as wanted. It does not wait until Lambda has made the
/// change. A function without mappings is as wanted.
///
/// # Errors
/// [`Fault`] of the list, or of the first change that failed; the other changes were asked for nevertheless.
pub async fn apply(
    mappings: &dyn Mappings,
    function: &str,
    wanted: Polling,
) -> Result<Applied, Fault> {
    let found = mappings.of(function).await?;
    let asked = found.iter().map(|one| bring(mappings, one, wanted));
    join_all(asked)
        .await
        .into_iter()
        .try_fold(Applied::Settled, |least, one| Ok(least.max(one?)))
}

async fn bring(
    mappings: &dyn Mappings,
    mapping: &Mapping,
    wanted: Polling,
) -> Result<Applied, Fault> {
    use MappingState::{Disabled, Disabling, Enabled, Enabling, Updating};
    match (mapping.state, wanted) {
        (Enabled, Polling::Enabled) | (Disabled, Polling::Disabled) => Ok(Applied::Settled),
        (Enabling, Polling::Enabled) | (Disabling, Polling::Disabled) => Ok(Applied::Changing),
        (Enabling | Disabling | Updating, _) => Ok(Applied::Busy),
        (Enabled, Polling::Disabled) | (Disabled, Polling::Enabled) => {
            Ok(match mappings.set(&mapping.id, wanted).await? {
                Answer::Accepted => Applied::Asked,
                Answer::Busy => Applied::Busy,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use outbox::FaultKind;

    use super::*;
    use crate::MemoryMappings;

    const FUNCTION: &str = "mill_analytics";

    #[tokio::test]
    async fn mappings_are_brought_to_what_is_wanted_and_only_those_that_are_not_are_touched() {
        let mappings = MemoryMappings::new()
            .with(FUNCTION, 2)
            .with("mill_other", 1);
        let apply = async |wanted| apply(&mappings, FUNCTION, wanted).await.expect("applied");
        assert_eq!(apply(Polling::Disabled).await, Applied::Asked);
        assert_eq!(mappings.states(FUNCTION), [MappingState::Disabled; 2]);
        assert_eq!(mappings.states("mill_other"), [MappingState::Enabled]);
        assert_eq!(apply(Polling::Disabled).await, Applied::Settled);
        assert_eq!(mappings.asked().len(), 2);
        // A deployment enables one of them.
        mappings.set_state(FUNCTION, 1, MappingState::Enabled);
        assert_eq!(apply(Polling::Disabled).await, Applied::Asked);
        assert_eq!(mappings.asked().len(), 3);
        assert_eq!(apply(Polling::Enabled).await, Applied::Asked);
        assert_eq!(mappings.states(FUNCTION), [MappingState::Enabled; 2]);
    }

    #[tokio::test]
    async fn what_lambda_is_changing_is_left_alone_and_said() {
        let mappings = MemoryMappings::new().with(FUNCTION, 2);
        for (state, wanted, expected) in [
            (
                MappingState::Disabling,
                Polling::Disabled,
                Applied::Changing,
            ),
            (MappingState::Disabling, Polling::Enabled, Applied::Busy),
            (MappingState::Enabling, Polling::Enabled, Applied::Changing),
            (MappingState::Enabling, Polling::Disabled, Applied::Busy),
            (MappingState::Updating, Polling::Disabled, Applied::Busy),
        ] {
            for place in 0..2 {
                mappings.set_state(FUNCTION, place, state);
            }
            let applied = apply(&mappings, FUNCTION, wanted).await.expect("applied");
            assert_eq!(applied, expected, "{state:?} {wanted:?}");
            assert_eq!(applied.is_accepted(), expected != Applied::Busy);
        }
        assert!(mappings.asked().is_empty());
        mappings.set_state(FUNCTION, 0, MappingState::Enabled);
        mappings.set_state(FUNCTION, 1, MappingState::Enabled);
        mappings.set_busy(true);
        let applied = apply(&mappings, FUNCTION, Polling::Disabled).await;
        assert_eq!(applied.expect("applied"), Applied::Busy);
    }

    #[tokio::test]
    async fn a_function_without_mappings_is_as_wanted_and_a_fault_is_returned() {
        let mappings = MemoryMappings::new().with(FUNCTION, 1);
        let none = apply(&mappings, "mill_gone", Polling::Disabled).await;
        assert_eq!(none.expect("applied"), Applied::Settled);
        mappings.fail(Some(FaultKind::Unavailable));
        let failed = apply(&mappings, FUNCTION, Polling::Disabled).await;
        assert_eq!(failed.expect_err("fails").kind, FaultKind::Unavailable);
    }
}
