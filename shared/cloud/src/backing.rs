//! How much of the outstanding credits the reserve covers, and the alert that follows from it.
//!
//! An episode begins when the reserve falls short and ends when it is sufficient again. The state item holds whether an
//! episode is open, and its number. Each change of it is one transaction with the episode's own mark, so the alert is
//! published once, however many handlers see the shortfall at the same time.

use domain::{Contradiction, Rebuild, Step as Folded};
use events::{
    Amount, AmountError, Contract, Credits, Draft, Envelope, EventId, IdempotencyKey, Percent,
    Retention, Sequence, Timestamp, Unit, Usd, contracts::alert::TreasuryBackingLow,
};
use outbox::{BuildError, Condition, Entity, Key, Mark, State, Table, Transaction};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Rate, totals::Reading};

/// The subject of the alert: the id of its aggregate, the name of its episodes, and the type of its rows.
pub const ID: &str = TreasuryBackingLow::AGGREGATE_ID;

/// The treasury's figures at one moment.
///
/// Whether the reserve is sufficient is decided on exact decimals. The figures are rounded for display: dollars half to
/// even, the percentage towards zero. A figure that its type cannot hold is shown as the type's largest amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Credits outstanding.
    pub outstanding: Credits,
    /// The value of the outstanding credits at the rate.
    pub outstanding_usd: Usd,
    /// The balance of account 1110.
    pub reserve: Usd,
    /// Reserve ÷ value, truncated to two decimals, so it never shows 100 while the reserve falls short. `None` if
    /// nothing is outstanding.
    pub backing_percent: Option<Percent>,
    /// What is missing to 100 %, at least a cent; `None` if nothing is missing.
    pub shortfall: Option<Usd>,
}

impl Figures {
    /// Calculates the figures from a reading.
    ///
    /// # Errors
    /// [`AmountError`] if a figure does not fit its type. Clamping makes that impossible.
    pub fn of(reading: &Reading, rate: Rate) -> Result<Self, AmountError> {
        const CENT: Decimal = Decimal::from_parts(1, 0, 0, false, 2);
        let outstanding = reading.outstanding.max(Decimal::ZERO);
        let value = rate.exact(outstanding);
        let reserve = reading.reserve.decimal();
        let backing_percent = if value.is_zero() {
            None
        } else {
            let percent = reserve
                .saturating_mul(Decimal::ONE_HUNDRED)
                .checked_div(value)
                .unwrap_or(Decimal::MAX);
            Some(Percent::truncated(statable::<events::PercentUnit>(
                percent,
            ))?)
        };
        let shortfall = if reserve < value {
            let missing = Usd::rounded(statable::<events::Dollar>(value - reserve))?;
            Some(missing.max(Usd::new(CENT)?))
        } else {
            None
        };
        Ok(Self {
            outstanding: Credits::truncated(statable::<events::Cloud>(outstanding))?,
            outstanding_usd: Usd::rounded(statable::<events::Dollar>(value))?,
            reserve: reading.reserve,
            backing_percent,
            shortfall,
        })
    }
}

fn statable<U: Unit>(value: Decimal) -> Decimal {
    value.min(Amount::<U>::max())
}

/// The state of the alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backing {
    /// Whether an episode is open: the reserve falls short and the event is recorded.
    open: bool,
    /// The number of the latest episode, from 1.
    episode: u64,
}

impl State for Backing {
    const AGGREGATE: &'static str = TreasuryBackingLow::AGGREGATE;
}

impl Backing {
    /// Whether an episode is open: the reserve falls short and the event is recorded.
    #[must_use]
    pub fn open(&self) -> bool {
        self.open
    }

    /// The number of the latest episode, from 1.
    #[must_use]
    pub fn episode(&self) -> u64 {
        self.episode
    }
}

impl Rebuild for Backing {
    type Stored = Self;
    const RETENTION: Retention = TreasuryBackingLow::RETENTION;
    /// No event records the end of an episode.
    const UNRECORDED: &'static [&'static str] = &["open"];
    const SILENT_WRITES: bool = true;

    fn stored(&self) -> Self {
        *self
    }

    fn apply(_: &str, before: Option<Self>, envelope: &Envelope) -> Folded<Self> {
        let TreasuryBackingLow { .. } = events::decode_payload(envelope)?;
        let episode = before.map_or(1, |before| before.episode + 1);
        // The row is written twice in an episode: at the beginning, with an event, and at the end, without one.
        let version = Sequence::new(2 * episode - 1);
        let version = version.map_err(|_| Contradiction::Says("there are too many episodes"))?;
        let open = true;
        Ok((Self { open, episode }, version))
    }
}

/// The severity of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Severity {
    /// Somebody must act on it now.
    Critical,
}

/// An alert as it is stored: one row per episode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The subject of the alert: [`ID`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The severity.
    pub severity: Severity,
    /// The text for people.
    pub message: String,
    /// The figures when the episode began.
    pub data: TreasuryBackingLow,
    /// The episode's number.
    pub episode: u64,
    /// When the episode began.
    pub opened_at: Timestamp,
    /// When the episode ended; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
}

impl Alert {
    /// The key of an episode's row.
    #[must_use]
    pub fn key(table: &Table, episode: u64) -> Key {
        table.key(
            format!("{}#{ID}", TreasuryBackingLow::AGGREGATE),
            format!("episode#{episode:016}"),
        )
    }
}

/// What has to change, given the figures and the alert's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// An episode begins.
    Open(Opening),
    /// The open episode ends.
    Close(Closing),
    /// Nothing changes.
    Stay,
}

/// The beginning of an episode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The alert's state after it.
    pub backing: Backing,
    /// The event.
    pub event: TreasuryBackingLow,
}

/// The end of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closing {
    /// The alert's state after it.
    pub backing: Backing,
}

/// Decides whether an episode begins or ends.
#[must_use]
pub fn step(figures: &Figures, backing: Option<&Backing>) -> Step {
    let (open, episode) = backing.map_or((false, 0), |backing| (backing.open, backing.episode));
    match (open, figures.shortfall, figures.backing_percent) {
        (false, Some(shortfall), Some(backing_percent)) => Step::Open(Opening {
            backing: Backing {
                open: true,
                episode: episode + 1,
            },
            event: TreasuryBackingLow {
                backing_percent,
                total_cloud_outstanding: figures.outstanding,
                mercury_balance: figures.reserve,
                shortfall,
            },
        }),
        (true, None, _) => Step::Close(Closing {
            backing: Backing {
                open: false,
                episode,
            },
        }),
        // If nothing is outstanding, there is no shortfall, so a shortfall always has a percentage.
        (false, _, _) | (true, Some(_), _) => Step::Stay,
    }
}

impl Step {
    /// The mark of the step's transaction. It ensures that an episode begins once and ends once.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        let (number, phase) = match self {
            Self::Open(opening) => (opening.backing.episode, "opened"),
            Self::Close(closing) => (closing.backing.episode, "closed"),
            Self::Stay => return None,
        };
        Some(Mark::Episode {
            name: ID,
            number,
            phase,
        })
    }
}

impl Opening {
    /// The row of the episode.
    #[must_use]
    pub fn alert(&self, opened_at: Timestamp) -> Alert {
        let event = &self.event;
        Alert {
            kind: ID.to_owned(),
            severity: Severity::Critical,
            message: format!(
                "CLOUD backing is {} %: the reserve of {} USD is {} USD short of covering {} outstanding CLOUD",
                event.backing_percent,
                event.mercury_balance,
                event.shortfall,
                event.total_cloud_outstanding
            ),
            data: event.clone(),
            episode: self.backing.episode,
            opened_at,
            closed_at: None,
        }
    }

    /// Puts state, event and row into a transaction.
    ///
    /// # Errors
    /// [`BuildError`] when the entity is another thing's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        table: &Table,
        entity: &Entity<Backing>,
    ) -> Result<Vec<EventId>, BuildError> {
        let episode = self.backing.episode;
        let fact =
            IdempotencyKey::new(format!("{ID}/{episode}")).map_err(events::DraftError::from)?;
        let draft = Draft::of(&self.event)?.with_idempotency_key(fact);
        let ids = transaction.update(entity, &self.backing, vec![draft])?;
        let alert = self.alert(transaction.now());
        transaction.insert(Alert::key(table, episode), &alert)?;
        Ok(ids)
    }
}

impl Closing {
    /// Puts the state into a transaction, and the end of the episode into its row.
    ///
    /// # Errors
    /// [`BuildError`] when a row cannot be written.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        table: &Table,
        entity: &Entity<Backing>,
        alert: Option<Alert>,
    ) -> Result<(), BuildError> {
        transaction.update(entity, &self.backing, Vec::new())?;
        // An operator might have removed the row. The episode ends nevertheless.
        if let Some(alert) = alert {
            let closed = Alert {
                closed_at: Some(transaction.now()),
                ..alert
            };
            let key = Alert::key(table, self.backing.episode);
            transaction.put(key, &closed, Condition::Present)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().expect("a decimal")
    }

    fn figures(outstanding: &str, reserve: &str) -> Figures {
        let reading = Reading {
            outstanding: decimal(outstanding),
            reserve: reserve.parse().expect("dollars"),
        };
        Figures::of(&reading, "10".parse().expect("a rate")).expect("statable")
    }

    fn percent(figures: &Figures) -> Option<String> {
        figures.backing_percent.map(|percent| percent.to_string())
    }

    #[test]
    fn nothing_outstanding_has_no_backing_and_no_shortfall() {
        for outstanding in ["0", "-5"] {
            let figures = figures(outstanding, "0");
            assert_eq!(figures.backing_percent, None);
            assert_eq!(figures.shortfall, None);
            assert_eq!(figures.outstanding, Credits::ZERO);
            assert_eq!(step(&figures, None), Step::Stay);
        }
    }

    #[test]
    fn the_percentage_is_cut_off_and_never_reads_100_while_below() {
        assert_eq!(percent(&figures("100", "1000")).as_deref(), Some("100.00"));
        assert_eq!(percent(&figures("120", "1000")).as_deref(), Some("83.33"));
        let just_below = figures("100000000", "999999999.99");
        assert_eq!(percent(&just_below).as_deref(), Some("99.99"));
        assert_eq!(just_below.shortfall.expect("short").to_string(), "0.01");
    }

    #[test]
    fn a_shortfall_below_a_cent_is_still_one() {
        let figures = figures("10.0004", "100.00");
        assert_eq!(figures.outstanding_usd.to_string(), "100.00");
        assert_eq!(percent(&figures).as_deref(), Some("99.99"));
        assert_eq!(figures.shortfall.expect("short").to_string(), "0.01");
    }

    #[test]
    fn figures_beyond_their_types_stand_at_the_largest_amount() {
        let much = figures("79000000000000", "9999999999999.99");
        assert_eq!(much.outstanding.decimal(), Credits::max());
        assert_eq!(much.outstanding_usd.decimal(), Usd::max());
        assert!(much.shortfall.is_some());
        let rich = figures("0.000001", "9999999999999.99");
        assert_eq!(
            rich.backing_percent.expect("some").decimal(),
            Percent::max()
        );
        assert_eq!(rich.shortfall, None);
    }

    #[test]
    fn an_episode_opens_once_closes_once_and_the_next_has_the_next_number() {
        let (short, covered) = (figures("120", "1000"), figures("100", "1000"));
        let Step::Open(first) = step(&short, None) else {
            panic!("opens");
        };
        assert_eq!(
            first.backing,
            Backing {
                open: true,
                episode: 1
            }
        );
        assert_eq!(first.event.shortfall.to_string(), "200.00");
        assert_eq!(step(&short, Some(&first.backing)), Step::Stay);
        let Step::Close(end) = step(&covered, Some(&first.backing)) else {
            panic!("closes");
        };
        assert_eq!(
            end.backing,
            Backing {
                open: false,
                episode: 1
            }
        );
        assert_eq!(step(&covered, Some(&end.backing)), Step::Stay);
        let again = step(&short, Some(&end.backing));
        let mark = again.mark().expect("a mark");
        assert!(matches!(
            mark,
            Mark::Episode {
                number: 2,
                phase: "opened",
                ..
            }
        ));
    }

    #[test]
    fn the_alert_says_what_is_short_in_words_and_figures() {
        let Step::Open(opening) = step(&figures("120", "1000"), None) else {
            panic!("opens");
        };
        let alert = serde_json::to_value(opening.alert(Timestamp::EPOCH)).expect("serialises");
        assert_eq!(alert["type"], "treasury_backing");
        assert_eq!(alert["severity"], "critical");
        assert_eq!(alert["data"]["backing_percent"], 83.33);
        assert_eq!(
            alert["message"],
            "CLOUD backing is 83.33 %: the reserve of 1000.00 USD is 200.00 USD short of covering 120 outstanding CLOUD"
        );
    }

    proptest! {
        #[test]
        fn an_alert_is_open_exactly_while_the_reserve_is_below_the_value(
            units in 0_i64..=8_000_000_000_000_000, cents in 0_i64..=100_000_000_000,
        ) {
            let outstanding = Decimal::new(units, 6);
            let reserve = Usd::new(Decimal::new(cents, 2)).expect("dollars");
            let rate: Rate = "10".parse().expect("a rate");
            let figures = Figures::of(&Reading { outstanding, reserve }, rate).expect("statable");
            let below = reserve.decimal() < outstanding * Decimal::TEN;
            prop_assert_eq!(figures.shortfall.is_some(), below);
            prop_assert_eq!(matches!(step(&figures, None), Step::Open(_)), below);
            if below {
                let percent = figures.backing_percent.expect("something is outstanding");
                prop_assert!(percent.decimal() < Decimal::ONE_HUNDRED);
                prop_assert!(!figures.shortfall.expect("short").is_zero());
            }
        }
    }
}
