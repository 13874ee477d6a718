//! Lanes, and the names of deployed resources.

use std::{collections::BTreeSet, time::Duration};

use events::Priority;

use crate::{Deployment, Function, LONGEST_NAME};

/// The lane of urgent events: priority critical and high.
pub const EXPRESS: &str = "express";
/// The lane of all other events, including those without a priority.
pub const STANDARD: &str = "standard";

/// The name of the stack's dead-letter queue. Every lane, every rule's target and every consumer of the stack puts there
/// what cannot be delivered or handled. The queue exists even if no function drains it ([`crate::Kind::DeadLetters`]).
pub const DEAD_LETTERS: &str = "dead-letters";

/// How long a lane keeps a message, and the dead-letter queue a dead letter: the maximum of SQS
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>, read
/// 2026-11-21). SQS deletes what is older; it does not move it to the dead-letter queue.
pub const LANE_RETENTION: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// The maximum length of a stack's name, in characters. Every name made from it then fits AWS's limits.
pub const STACK_NAME_AT_MOST: usize = 64 - 1 - LONGEST_NAME;

/// The name of a stack's resource on AWS: `${AWS::StackName}_notifications-express`.
///
/// The separator is an underscore, because a stack's name cannot contain one
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html>, read 2026-11-28). So
/// `mill_*` matches the resources of the stack `mill`, and none of the stack `mill-two`.
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
    /// Whether the consumer also has the other lane. If not, this lane takes all its events.
    pub is_one_of_two: bool,
}

impl Lane {
    /// The lanes of a consumer, by the priorities of its events: two if only some are urgent, one if all or none are,
    /// none if there are no events.
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

    /// The queue's name within the stack: `notifications-express`.
    #[must_use]
    pub fn queue(&self) -> String {
        format!("{}-{}", self.consumer, self.name)
    }

    /// The beginning of its resources' logical ids: `NotificationsExpress`.
    #[must_use]
    pub fn logical_id(&self, function: &Function) -> String {
        let kind = if self.name == EXPRESS {
            "Express"
        } else {
            "Standard"
        };
        format!("{}{kind}", function.pascal())
    }

    /// Whether it takes events of this priority; `None` is an event without one.
    #[must_use]
    pub fn takes(&self, priority: Option<Priority>) -> bool {
        !self.is_one_of_two || is_urgent(priority) == (self.name == EXPRESS)
    }
}

const fn is_urgent(priority: Option<Priority>) -> bool {
    matches!(priority, Some(Priority::Critical | Priority::High))
}

/// The lanes of a consumer: two if only some of its contracts are urgent, else the one that fits all of them.
pub(crate) fn of(function: &'static Function, deployment: &Deployment) -> Vec<Lane> {
    let contracts = deployment.contracts_of(function);
    Lane::of_consumer(
        function.name,
        contracts.iter().map(|contract| contract.priority),
    )
}
