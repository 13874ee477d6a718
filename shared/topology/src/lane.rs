//! Lanes, and the names of what is deployed.

use events::Priority;

use crate::{Deployment, Function, LONGEST_NAME};

/// The lane of what is urgent: critical and high.
pub const EXPRESS: &str = "express";
/// The lane of the rest, and of what came without a priority.
pub const STANDARD: &str = "standard";

/// The most characters of a stack's name, so that every name that follows from it fits.
pub const STACK_NAME_AT_MOST: usize = 64 - 1 - LONGEST_NAME;

/// The name that AWS gives something of a stack: `${AWS::StackName}_notifications-express`.
///
/// An underscore stands between, because a stack's name cannot have one
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html>, read 2026-11-28): so `mill_*` names
/// what belongs to the stack `mill`, and nothing of the stack `mill-two`.
#[must_use]
pub fn physical_name(stack: &str, what: &str) -> String {
    format!("{stack}_{what}")
}

/// A lane: one queue of a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    /// The consumer.
    pub consumer: &'static str,
    /// [`EXPRESS`] or [`STANDARD`].
    pub name: &'static str,
    /// Whether the consumer has the other lane, too. If not, this one takes everything.
    pub is_one_of_two: bool,
}

impl Lane {
    /// What its queue is called within the stack: `notifications-express`.
    #[must_use]
    pub fn queue(&self) -> String {
        format!("{}-{}", self.consumer, self.name)
    }

    /// What its dead-letter queue is called within the stack.
    #[must_use]
    pub fn letters(&self) -> String {
        format!("{}-letters", self.queue())
    }

    /// How the logical ids of its resources begin: `NotificationsExpress`.
    #[must_use]
    pub fn logical_id(&self, function: &Function) -> String {
        let kind = if self.name == EXPRESS {
            "Express"
        } else {
            "Standard"
        };
        format!("{}{kind}", function.pascal())
    }

    /// The priorities that it takes.
    #[must_use]
    pub fn takes(&self, priority: Option<Priority>) -> bool {
        !self.is_one_of_two || is_urgent(priority) == (self.name == EXPRESS)
    }
}

const fn is_urgent(priority: Option<Priority>) -> bool {
    matches!(priority, Some(Priority::Critical | Priority::High))
}

/// The lanes of a consumer: two if its contracts are partly urgent, else the one that its contracts want.
pub(crate) fn of(function: &'static Function, deployment: &Deployment) -> Vec<Lane> {
    let urgencies: Vec<bool> = deployment
        .contracts_of(function)
        .iter()
        .map(|contract| is_urgent(Some(contract.priority)))
        .collect();
    let kinds: Vec<&'static str> = [(EXPRESS, true), (STANDARD, false)]
        .into_iter()
        .filter(|(_, urgent)| urgencies.contains(urgent))
        .map(|(name, _)| name)
        .collect();
    kinds
        .iter()
        .map(|name| Lane {
            consumer: function.name,
            name,
            is_one_of_two: kinds.len() == 2,
        })
        .collect()
}
