//! Lanes, and the names of what is deployed.

use std::collections::BTreeSet;

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
    /// The lanes of a consumer, by the priorities of what it takes: two if they are partly urgent; none if it takes nothing.
    #[must_use]
    pub fn of_consumer(
        consumer: &'static str,
        priorities: impl IntoIterator<Item = Priority>,
    ) -> Vec<Self> {
        let urgencies: BTreeSet<bool> = priorities
            .into_iter()
            .map(|priority| is_urgent(Some(priority)))
            .collect();
        [(EXPRESS, true), (STANDARD, false)]
            .into_iter()
            .filter(|(_, urgent)| urgencies.contains(urgent))
            .map(|(name, _)| Self {
                consumer,
                name,
                is_one_of_two: urgencies.len() == 2,
            })
            .collect()
    }

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

    /// Whether it takes what comes with a priority, or without one.
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
    let contracts = deployment.contracts_of(function);
    Lane::of_consumer(
        function.name,
        contracts.iter().map(|contract| contract.priority),
    )
}
