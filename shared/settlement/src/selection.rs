//! Selects the network of a settlement: the best by cost, speed and reliability, weighed against each other.
//!
//! All arithmetic is in exact decimals, so the same networks and weights always give the same choice.

use std::{borrow::Cow, collections::BTreeMap, num::NonZeroU32, str::FromStr};

use events::{Amount, DecimalText, NetworkName, Ratio, Text, Unit, Violation, Violations};
use rust_decimal::{Decimal, RoundingStrategy};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::Refusal;

/// The largest number of networks to choose from.
pub const MAX_NETWORKS: usize = 32;

/// US dollars with six decimals: many network fees are less than a cent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fee;
impl Unit for Fee {
    const SCALE: u32 = 6;
    const NAME: &'static str = "USD";
}

/// What a network charges, in its own unit: a [`DecimalText`] of at least zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Gas(DecimalText);

impl Gas {
    /// Accepts a decimal of at least zero.
    #[must_use]
    pub fn new(text: DecimalText) -> Option<Self> {
        (!text.as_str().starts_with('-')).then_some(Self(text))
    }

    /// The decimal.
    #[must_use]
    pub fn text(&self) -> &DecimalText {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Gas {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(DecimalText::deserialize(deserializer)?)
            .ok_or_else(|| de::Error::custom("must be at least zero"))
    }
}

impl JsonSchema for Gas {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Gas".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "pattern": r"^(0|[1-9][0-9]{0,79})(\.[0-9]{1,36})?$", "minLength": 1, "maxLength": 117,
            "x-expected": "a decimal of at least 0 as text: at most 80 digits before and 36 after the point, no exponent"
        })
    }
}

/// A network that a settlement could use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The network's name.
    pub network: NetworkName,
    /// What a settlement over it costs.
    pub cost_usd: Amount<Fee>,
    /// How long a settlement takes, in seconds.
    pub seconds: u32,
    /// The probability that a settlement succeeds, at most 1.
    pub reliability: Ratio,
    /// What the network is expected to charge.
    pub gas_estimate: Gas,
    /// How many confirmations a settlement needs to be confirmed.
    pub required_confirmations: NonZeroU32,
}

/// A list of networks: at least one, and each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidates(Vec<Candidate>);

impl Candidates {
    /// Accepts 1 to [`MAX_NETWORKS`] networks with different names.
    ///
    /// # Errors
    /// [`Refusal::Networks`] with every violation.
    pub fn new(candidates: Vec<Candidate>) -> Result<Self, Refusal> {
        let mut found = Violations::default();
        if candidates.is_empty() || candidates.len() > MAX_NETWORKS {
            let message = format!("must hold 1 to {MAX_NETWORKS} networks");
            found.push(Violation::new("", message));
        }
        let mut first: BTreeMap<&NetworkName, usize> = BTreeMap::new();
        for (at, one) in candidates.iter().enumerate() {
            if let Some(first) = first.get(&one.network) {
                let message = format!("is already at /{first}");
                found.push(Violation::new(format!("/{at}/network"), message));
            } else {
                first.insert(&one.network, at);
            }
            if one.reliability.decimal() > Decimal::ONE {
                let pointer = format!("/{at}/reliability");
                found.push(Violation::new(pointer, "must be at most 1"));
            }
        }
        if found.is_empty() {
            Ok(Self(candidates))
        } else {
            Err(Refusal::Networks(found))
        }
    }
}

/// How much cost, speed and reliability count, in per cent. The three add up to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights {
    cost: u32,
    speed: u32,
    reliability: u32,
}

/// The text is not a valid list of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be cost:PERCENT,speed:PERCENT,reliability:PERCENT, whole numbers of at least 0 that add up to 100"
)]
pub struct WeightsError;

impl Default for Weights {
    /// Cost 40 %, speed 30 %, reliability 30 %.
    fn default() -> Self {
        Self {
            cost: 40,
            speed: 30,
            reliability: 30,
        }
    }
}

impl FromStr for Weights {
    type Err = WeightsError;
    fn from_str(text: &str) -> Result<Self, WeightsError> {
        let parts: Vec<&str> = text.split(',').collect();
        let [cost, speed, reliability] = parts.as_slice() else {
            return Err(WeightsError);
        };
        let percent = |part: &str, name: &str| {
            let digits = part.trim().strip_prefix(name)?.strip_prefix(':')?;
            let digits = Some(digits).filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
            digits.parse().ok().filter(|number: &u32| *number <= 100)
        };
        let weights = Self {
            cost: percent(cost, "cost").ok_or(WeightsError)?,
            speed: percent(speed, "speed").ok_or(WeightsError)?,
            reliability: percent(reliability, "reliability").ok_or(WeightsError)?,
        };
        if weights.cost + weights.speed + weights.reliability == 100 {
            Ok(weights)
        } else {
            Err(WeightsError)
        }
    }
}

/// The result of a selection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The selected network.
    pub candidate: Candidate,
    /// Its score compared with the other networks, from 0 to 1.
    pub score: Ratio,
    /// How the score was calculated, for people.
    pub reasoning: Text<1000>,
}

/// Rounds half to even, at the scale of a score.
fn rounded(value: Decimal) -> Decimal {
    value.round_dp_with_strategy(
        <events::Part as Unit>::SCALE,
        RoundingStrategy::MidpointNearestEven,
    )
}

/// Rates a figure of which less is better: the least of all candidates divided by this one. The least gets 1.
fn against(least: Decimal, own: Decimal) -> Decimal {
    if own.is_zero() {
        Decimal::ONE
    } else {
        rounded(least / own)
    }
}

struct Parts {
    cost: Decimal,
    speed: Decimal,
}

impl Weights {
    fn score(&self, candidate: &Candidate, parts: &Parts) -> Ratio {
        let weigh = |percent: u32, part: Decimal| Decimal::new(percent.into(), 2) * part;
        let score = weigh(self.cost, parts.cost)
            + weigh(self.speed, parts.speed)
            + weigh(self.reliability, candidate.reliability.decimal());
        // Three parts of at most 1, with weights that add up to 1, are always in range.
        Ratio::rounded(score).unwrap_or_default()
    }
}

/// Selects the network with the highest score; among equal scores, the first by name.
#[must_use]
pub fn select(candidates: &Candidates, weights: &Weights) -> Option<Selection> {
    let list = &candidates.0;
    let cheapest = list.iter().map(|one| one.cost_usd.decimal()).min()?;
    let fastest = Decimal::from(list.iter().map(|one| one.seconds).min()?);
    let mut scored: Vec<(Ratio, Parts, &Candidate)> = list
        .iter()
        .map(|one| {
            let parts = Parts {
                cost: against(cheapest, one.cost_usd.decimal()),
                speed: against(fastest, Decimal::from(one.seconds)),
            };
            (weights.score(one, &parts), parts, one)
        })
        .collect();
    scored.sort_by(|(left, _, one), (right, _, other)| {
        right
            .cmp(left)
            .then_with(|| one.network.cmp(&other.network))
    });
    let mut scored = scored.into_iter();
    let (score, parts, best) = scored.next()?;
    let second = scored.next();
    let weigh = |percent: u32, part: Decimal| format!("{percent} % of {}", part.normalize());
    let mut words = format!(
        "{} scores {}: cost {}, speed {}, reliability {}",
        best.network,
        score.decimal().normalize(),
        weigh(weights.cost, parts.cost),
        weigh(weights.speed, parts.speed),
        weigh(weights.reliability, best.reliability.decimal()),
    );
    words.push_str(&match second {
        None => "; there was no other".to_owned(),
        Some((second, _, next)) => {
            let second = second.decimal().normalize();
            format!(
                "; the next of {} was {} with {second}",
                list.len(),
                next.network
            )
        }
    });
    Some(Selection {
        candidate: best.clone(),
        score,
        // Two names of at most 40 characters and seven numbers stay far below the limit.
        reasoning: Text::new(words).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate(name: &str, cost: &str, seconds: u32, reliability: &str) -> Candidate {
        Candidate {
            network: NetworkName::new(name).expect("a name"),
            cost_usd: cost.parse().expect("a cost"),
            seconds,
            reliability: reliability.parse().expect("a part"),
            gas_estimate: Gas::new("0.1".parse().expect("a decimal")).expect("not below zero"),
            required_confirmations: NonZeroU32::MIN,
        }
    }

    fn choose(list: Vec<Candidate>, weights: &str) -> Selection {
        let weights = weights.parse().expect("weights");
        select(&Candidates::new(list).expect("a choice"), &weights).expect("one of them")
    }

    fn three() -> Vec<Candidate> {
        vec![
            candidate("ethereum", "4", 720, "0.999"),
            candidate("polygon", "0.01", 120, "0.99"),
            candidate("base", "0.02", 60, "0.98"),
        ]
    }

    #[test]
    fn the_weights_decide() {
        let name = |weights| choose(three(), weights).candidate.network.to_string();
        assert_eq!(name("cost:100,speed:0,reliability:0"), "polygon");
        assert_eq!(name("cost:0,speed:100,reliability:0"), "base");
        assert_eq!(name("cost:0,speed:0,reliability:100"), "ethereum");
    }

    #[test]
    fn a_score_is_exact_and_says_how_it_came_about() {
        let chosen = choose(three(), "cost:40,speed:30,reliability:30");
        // 0.4 × 1 + 0.3 × 60 ÷ 120 + 0.3 × 0.99
        assert_eq!(chosen.score.to_string(), "0.847");
        assert_eq!(
            chosen.reasoning.as_str(),
            "polygon scores 0.847: cost 40 % of 1, speed 30 % of 0.5, reliability 30 % of 0.99; \
             the next of 3 was base with 0.794"
        );
        let alone = choose(
            vec![candidate("base", "0", 0, "1")],
            "cost:40,speed:30,reliability:30",
        );
        assert_eq!(alone.score.decimal(), Decimal::ONE);
        assert!(alone.reasoning.as_str().ends_with("there was no other"));
    }

    #[test]
    fn of_equal_networks_the_first_by_name_is_chosen_wherever_it_stands() {
        let mut list = vec![
            candidate("b", "1", 1, "1"),
            candidate("a", "1", 1, "1"),
            candidate("c", "1", 1, "1"),
        ];
        for _ in 0..3 {
            list.rotate_left(1);
            let chosen = choose(list.clone(), "cost:40,speed:30,reliability:30");
            assert_eq!(chosen.candidate.network.as_str(), "a");
        }
    }

    #[test]
    fn what_is_no_choice_is_refused_with_every_violation_at_its_place() {
        let refused = Candidates::new(vec![
            candidate("a", "1", 1, "1"),
            candidate("b", "1", 1, "1.000001"),
            candidate("a", "2", 2, "0.5"),
        ]);
        let pointers = |refused: Result<Candidates, Refusal>| match refused {
            Err(Refusal::Networks(found)) => found.into_iter().map(|one| one.pointer).collect(),
            other => vec![format!("{other:?}")],
        };
        assert_eq!(pointers(refused), ["/1/reliability", "/2/network"]);
        assert_eq!(pointers(Candidates::new(Vec::new())), [""]);
        let many = (0..=MAX_NETWORKS).map(|n| candidate(&format!("n{n}"), "1", 1, "1"));
        assert_eq!(pointers(Candidates::new(many.collect())), [""]);
    }

    #[test]
    fn weights_are_read_whole_or_not_at_all() {
        let default: Weights = "cost:40,speed:30,reliability:30".parse().expect("weights");
        assert_eq!(default, Weights::default());
        for wrong in [
            "",
            "cost:40,speed:30",
            "cost:40,speed:30,reliability:31",
            "speed:30,cost:40,reliability:30",
            "cost:+40,speed:30,reliability:30",
            "cost:-1,speed:71,reliability:30",
            "cost:101,speed:0,reliability:0",
            "cost:40,speed:30,reliability:30,",
            "cost:40.5,speed:30,reliability:29.5",
        ] {
            assert!(wrong.parse::<Weights>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn gas_is_never_below_zero_and_schema_and_decoder_agree_on_it() {
        let validator = events::validator_for(&events::schema_of::<Gas>()).expect("a schema");
        for (text, taken) in [
            ("0", true),
            ("0.000000000000000021", true),
            ("-1", false),
            ("-0", false),
            ("1e3", false),
            ("01", false),
            ("", false),
        ] {
            let value = serde_json::Value::from(text);
            let valid = events::violations_of(&validator, &value, "").is_empty();
            assert_eq!(valid, taken, "{text:?}");
            assert_eq!(
                serde_json::from_value::<Gas>(value).is_ok(),
                taken,
                "{text:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn the_order_of_the_list_changes_nothing_and_nobody_scores_higher(
            figures in prop::collection::vec((0_i64..2_000_000, 0_u32..2_000, 0_i64..=1_000_000), 1..12),
            by in 0_usize..12,
        ) {
            let list: Vec<Candidate> = figures.iter().enumerate().map(|(at, (cost, seconds, reliability))| Candidate {
                cost_usd: Amount::new(Decimal::new(*cost, 6)).expect("a cost"),
                reliability: Ratio::new(Decimal::new(*reliability, 6)).expect("a part"),
                ..candidate(&format!("n{at}"), "0", *seconds, "0")
            }).collect();
            let weights = "cost:40,speed:30,reliability:30";
            let chosen = choose(list.clone(), weights);
            let mut turned = list.clone();
            turned.rotate_left(by % list.len());
            prop_assert_eq!(&choose(turned, weights), &chosen);
            prop_assert!(chosen.score.decimal() <= Decimal::ONE);
        }
    }
}
