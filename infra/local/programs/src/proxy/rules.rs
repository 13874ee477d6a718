//! What goes wrong, how often, and for which operations. The random choices are the same for the same seed.

use std::{collections::BTreeMap, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};

use super::operation::Operation;

/// What the proxy can do to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The call is delayed. This is the only kind that can happen together with another one.
    Delay,
    /// Rejected with the service's 500.
    #[serde(rename = "error_500")]
    Error500,
    /// Rejected with the service's 503.
    #[serde(rename = "error_503")]
    Error503,
    /// Rejected with the service's throttling error.
    Throttle,
    /// The connection is reset before the service sees the call.
    ResetBefore,
    /// The call takes effect, then the connection is reset: a lost answer.
    ResetAfter,
    /// The call takes effect, but the response is the service's 500.
    ErrorAfter,
    /// `PutEvents`, `SendMessageBatch`, `DeleteMessageBatch`: some entries are rejected, the others pass.
    PartialFailure,
    /// `BatchWriteItem`, `BatchGetItem`: some items are returned as unprocessed, the others pass.
    Unprocessed,
    /// DynamoDB writes: another transaction holds an item; nothing is written.
    TransactionConflict,
    /// `TransactWriteItems`: the response says that an earlier request with these bytes is in progress. That request
    /// took effect or never started.
    TransactionInProgress,
    /// `PutEvents`: the call is made twice.
    DuplicatePublish,
    /// Held back until a later call of the operation has passed, or for [`Rule::hold_ms`]. The entries of a `PutEvents`
    /// call also change places.
    Reorder,
}

impl Kind {
    /// Every kind, in the order in which the random choices are made.
    pub const ALL: [Self; 13] = [
        Self::Delay,
        Self::Error500,
        Self::Error503,
        Self::Throttle,
        Self::ResetBefore,
        Self::ResetAfter,
        Self::ErrorAfter,
        Self::PartialFailure,
        Self::Unprocessed,
        Self::TransactionConflict,
        Self::TransactionInProgress,
        Self::DuplicatePublish,
        Self::Reorder,
    ];

    /// Whether the kind can happen to this operation. A rule for many operations may name kinds that only some of them
    /// support.
    #[must_use]
    pub fn applies_to(self, operation: &Operation) -> bool {
        match self {
            Self::Delay
            | Self::Error500
            | Self::Error503
            | Self::Throttle
            | Self::ResetBefore
            | Self::ResetAfter
            | Self::ErrorAfter
            | Self::Reorder => true,
            Self::PartialFailure => {
                operation.is("events", &["PutEvents"])
                    || operation.is("sqs", &["SendMessageBatch", "DeleteMessageBatch"])
            }
            Self::Unprocessed => operation.is("dynamodb", &["BatchWriteItem", "BatchGetItem"]),
            Self::TransactionConflict => operation.is(
                "dynamodb",
                &["TransactWriteItems", "PutItem", "UpdateItem", "DeleteItem"],
            ),
            Self::TransactionInProgress => operation.is("dynamodb", &["TransactWriteItems"]),
            Self::DuplicatePublish => operation.is("events", &["PutEvents"]),
        }
    }
}

/// What goes wrong with the calls of some operations.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The service. If absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The operation. If absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Only calls whose body contains this text, such as a table's name or `event#activity-feed#`, the prefix of that
    /// consumer's marks. If absent: any. Calls of operations that the proxy does not know have no body here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containing: Option<String>,
    /// The probability of each kind, from 0 to 1, if no kind before it in [`Kind::ALL`] was chosen. Kinds that the
    /// operation does not support are skipped.
    pub faults: BTreeMap<Kind, f64>,
    /// Shortest and longest delay, in milliseconds.
    #[serde(default = "default_delay")]
    pub delay_ms: (u64, u64),
    /// How long a reordered call waits at most for a later one, in milliseconds.
    #[serde(default = "default_hold")]
    pub hold_ms: u64,
}

const fn default_delay() -> (u64, u64) {
    (10, 200)
}

const fn default_hold() -> u64 {
    200
}

impl Rule {
    /// A rule for every operation of every service.
    pub fn everywhere(faults: impl IntoIterator<Item = (Kind, f64)>) -> Self {
        Self {
            service: None,
            operation: None,
            containing: None,
            faults: faults.into_iter().collect(),
            delay_ms: default_delay(),
            hold_ms: default_hold(),
        }
    }

    /// A rule for one operation.
    pub fn on(
        service: &str,
        operation: &str,
        faults: impl IntoIterator<Item = (Kind, f64)>,
    ) -> Self {
        Self {
            service: Some(service.to_owned()),
            operation: Some(operation.to_owned()),
            ..Self::everywhere(faults)
        }
    }

    /// Sets the bounds of the delay, in milliseconds.
    #[must_use]
    pub fn delayed_by(mut self, shortest_ms: u64, longest_ms: u64) -> Self {
        self.delay_ms = (shortest_ms, longest_ms);
        self
    }

    /// Limits the rule to calls whose body contains this text.
    #[must_use]
    pub fn containing(mut self, text: impl Into<String>) -> Self {
        self.containing = Some(text.into());
        self
    }

    fn matches(&self, operation: &Operation, body: &[u8]) -> bool {
        let held = |text: &String| {
            body.windows(text.len().max(1))
                .any(|part| part == text.as_bytes())
        };
        if !self.containing.as_ref().is_none_or(held) {
            return false;
        }
        let is = |wanted: &Option<String>, name: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == name)
        };
        is(&self.service, &operation.service) && is(&self.operation, &operation.name)
    }
}

/// The seed and the rules. Without rules, everything passes unchanged.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// The seed of all random choices.
    #[serde(default)]
    pub seed: u64,
    /// The first rule that matches a call applies.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

impl Rules {
    /// Rules with which everything passes unchanged.
    #[must_use]
    pub fn calm() -> Self {
        Self::default()
    }

    /// Checks the rules.
    ///
    /// # Errors
    /// What is wrong, with the place of the rule.
    pub fn check(&self) -> Result<(), String> {
        for (place, rule) in self.rules.iter().enumerate() {
            for (kind, probability) in &rule.faults {
                if !(0.0..=1.0).contains(probability) {
                    return Err(format!(
                        "rule {place}: {kind:?} has probability {probability}, which is not between 0 and 1"
                    ));
                }
            }
            if rule.delay_ms.0 > rule.delay_ms.1 {
                return Err(format!(
                    "rule {place}: the shortest delay is longer than the longest"
                ));
            }
        }
        Ok(())
    }

    /// Decides what happens to the `number`-th call of an operation, counted from 0. The same seed, rules, operation,
    /// number and body give the same decision, whatever other calls happen in between.
    #[must_use]
    pub fn decide(&self, operation: &Operation, body: &[u8], number: u64) -> Decision {
        let mut dice = dice(self.seed, operation, number);
        let mut decision = Decision {
            delay: None,
            fault: None,
            hold: Duration::ZERO,
            dice: dice.clone(),
        };
        let Some(rule) = self.rules.iter().find(|rule| rule.matches(operation, body)) else {
            return decision;
        };
        decision.hold = Duration::from_millis(rule.hold_ms);
        for kind in Kind::ALL {
            let probability = rule.faults.get(&kind).copied().unwrap_or(0.0);
            if !kind.applies_to(operation) || !dice.random_bool(probability.clamp(0.0, 1.0)) {
                continue;
            }
            if kind == Kind::Delay {
                let (shortest, longest) = rule.delay_ms;
                let span = dice.random_range(shortest..=longest.max(shortest));
                decision.delay = Some(Duration::from_millis(span));
            } else {
                decision.fault = Some(kind);
                break;
            }
        }
        decision.dice = dice;
        decision
    }
}

/// What happens to one call.
#[derive(Debug, Clone)]
pub struct Decision {
    /// How long the call waits first.
    pub delay: Option<Duration>,
    /// What else goes wrong.
    pub fault: Option<Kind>,
    /// How long a reordered call waits at most.
    pub(crate) hold: Duration,
    /// For random choices within the fault: which entries fail, or which place they get.
    pub(crate) dice: StdRng,
}

impl PartialEq for Decision {
    fn eq(&self, other: &Self) -> bool {
        (self.delay, self.fault, self.hold, &self.dice)
            == (other.delay, other.fault, other.hold, &other.dice)
    }
}

/// A generator for each call, so that a decision depends only on the seed, the operation and the number.
fn dice(seed: u64, operation: &Operation, number: u64) -> StdRng {
    let mut bytes = [0_u8; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&number.to_le_bytes());
    bytes[16..24].copy_from_slice(&fnv1a(operation.to_string().as_bytes()).to_le_bytes());
    StdRng::from_seed(bytes)
}

/// FNV-1a. It only has to give different operations different numbers.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storm(seed: u64) -> Rules {
        Rules {
            seed,
            rules: vec![Rule::everywhere(Kind::ALL.map(|kind| (kind, 0.05)))],
        }
    }

    fn decisions(rules: &Rules, operation: &Operation) -> Vec<Decision> {
        (0..400)
            .map(|number| rules.decide(operation, b"", number))
            .collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_decisions_and_another_seed_others() {
        let put = Operation::new("events", "PutEvents");
        let first = decisions(&storm(7), &put);
        assert_eq!(first, decisions(&storm(7), &put));
        assert_ne!(first, decisions(&storm(8), &put));
        assert_ne!(
            first,
            decisions(&storm(7), &Operation::new("events", "PutRule"))
        );
    }

    #[test]
    fn every_kind_strikes_where_it_can_and_nowhere_else() {
        let mut seen = std::collections::BTreeSet::new();
        for operation in [
            Operation::new("events", "PutEvents"),
            Operation::new("dynamodb", "TransactWriteItems"),
            Operation::new("dynamodb", "BatchWriteItem"),
            Operation::new("dynamodb", "GetItem"),
        ] {
            for decision in decisions(&storm(1), &operation) {
                seen.extend(decision.delay.map(|_| Kind::Delay));
                if let Some(kind) = decision.fault {
                    assert!(kind.applies_to(&operation), "{kind:?} at {operation}");
                    seen.insert(kind);
                }
            }
        }
        assert_eq!(seen.len(), Kind::ALL.len(), "{seen:?}");
    }

    #[test]
    fn the_first_rule_that_matches_counts() {
        let rules = Rules {
            seed: 1,
            rules: vec![
                Rule::on("events", "PutEvents", []),
                Rule {
                    operation: None,
                    ..Rule::on("dynamodb", "", [(Kind::Throttle, 1.0)])
                },
            ],
        };
        let fault = |service, name| rules.decide(&Operation::new(service, name), b"", 0).fault;
        assert_eq!(fault("events", "PutEvents"), None);
        assert_eq!(fault("dynamodb", "GetItem"), Some(Kind::Throttle));
        assert_eq!(fault("sqs", "SendMessage"), None);
    }

    #[test]
    fn rules_that_make_no_sense_are_told() {
        let wrong = |rule| {
            let rules = Rules {
                seed: 0,
                rules: vec![rule],
            };
            rules.check().expect_err("refused")
        };
        assert!(wrong(Rule::everywhere([(Kind::Throttle, 1.5)])).contains("Throttle"));
        assert!(wrong(Rule::everywhere([]).delayed_by(2, 1)).contains("delay"));
    }

    #[test]
    fn a_rule_for_calls_that_hold_a_text_leaves_the_others_alone() {
        let rule = Rule::on("dynamodb", "PutItem", [(Kind::Error500, 1.0)]).containing("activity");
        let rules = Rules {
            seed: 1,
            rules: vec![rule],
        };
        let put = Operation::new("dynamodb", "PutItem");
        let fault = |body: &str| rules.decide(&put, body.as_bytes(), 0).fault;
        assert_eq!(fault("{\"TableName\":\"activity\"}"), Some(Kind::Error500));
        assert_eq!(fault("{\"TableName\":\"wallet\"}"), None);
        assert_eq!(fault(""), None);
    }
}
