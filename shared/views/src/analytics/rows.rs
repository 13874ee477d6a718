//! The rows: their keys and attributes, and how they are read.

use std::fmt;

use events::{MemberId, Metered, Timestamp, Unit as _, contracts::cloud::Primitive};
use outbox::{Error, Item, Table};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kinds::Kind;

/// How many rows a day of an event type is spread over.
pub const SHARDS: u8 = 8;

/// How many hours a row has.
pub const HOURS: usize = 24;

macro_rules! hourly {
    ($name:ident, $letter:literal) => {
        pub(super) const $name: [&str; HOURS] = hourly!(@ $letter
            "00" "01" "02" "03" "04" "05" "06" "07" "08" "09" "10" "11"
            "12" "13" "14" "15" "16" "17" "18" "19" "20" "21" "22" "23");
    };
    (@ $letter:literal $($hour:literal)+) => { [$(concat!($letter, $hour)),+] };
}

hourly!(COUNT, "c");
hourly!(AMOUNT, "a");
hourly!(QUANTITY, "q");
hourly!(REFUNDED, "r");

/// The member's side of a movement.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Direction {
    /// The member received.
    In,
    /// The member gave.
    Out,
}

/// The part of an event type that a row covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The whole event type.
    Whole,
    /// Credits spent on this resource.
    For(Primitive),
    /// A member's side of the movement.
    Side(Direction),
}

impl Part {
    const ALL: [Self; 7] = [
        Self::Whole,
        Self::For(Primitive::Compute),
        Self::For(Primitive::Transfer),
        Self::For(Primitive::Ltm),
        Self::For(Primitive::Stm),
        Self::Side(Direction::In),
        Self::Side(Direction::Out),
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::For(primitive) => primitive.as_str(),
            Self::Side(Direction::In) => "in",
            Self::Side(Direction::Out) => "out",
        }
    }

    fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.as_str() == text)
    }
}

/// The end of a sort key; empty for the whole event type.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            part => write!(f, "#{}", part.as_str()),
        }
    }
}

/// The figures of a span of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// The number of events.
    pub count: u64,
    /// The sum of the amounts that they moved.
    pub amount: Decimal,
    /// The sum of the metered quantities.
    pub quantity: Decimal,
    /// The sum of the refunded parts.
    pub refunded: Decimal,
}

impl Sums {
    /// The sums of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            amount: self.amount.saturating_add(other.amount),
            quantity: self.quantity.saturating_add(other.quantity),
            refunded: self.refunded.saturating_add(other.refunded),
        }
    }
}

pub(super) fn total(event_type: &str, shard: u8) -> String {
    format!("total#{event_type}#{shard}")
}

/// The partitions of a kind's rows of all members.
pub fn totals(kind: &Kind) -> impl Iterator<Item = String> {
    let event_type = kind.event_type;
    (0..SHARDS).map(move |shard| total(event_type, shard))
}

pub(super) fn member(member_id: &MemberId) -> String {
    format!("member#{member_id}")
}

/// `YYYY-MM-DD`, the beginning of a timestamp's text. It sorts by time.
pub(super) fn day_text(moment: Timestamp) -> String {
    moment.to_string().chars().take(10).collect()
}

/// A row: a day of an event type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    /// Midnight, the beginning of the day.
    pub start: Timestamp,
    /// The part of the event type.
    pub part: Part,
    /// The figures of each hour.
    pub hours: [Sums; HOURS],
    pub(super) kind: Option<Kind>,
}

impl Day {
    /// Reads a row, either of all members or of one member.
    ///
    /// # Errors
    /// [`Error::Item`] names the row if it is malformed.
    pub fn read(table: &Table, item: &Item) -> Result<Self, Error> {
        let text = |name| item.get(name).and_then(Value::as_str).unwrap_or_default();
        let (pk, sk) = (text("pk"), text("sk"));
        let wrong = |what: String| Error::Item {
            key: table.key(pk, sk).to_string(),
            source: serde::de::Error::custom(what),
        };
        let mut parts = sk.split('#');
        let start = format!("{}T00:00:00.000Z", parts.next().unwrap_or_default());
        let start: Timestamp = start
            .parse()
            .map_err(|_| wrong("its sort key does not begin with a day".to_owned()))?;
        let kind = match pk.split('#').next() {
            Some("total") => pk.split('#').nth(1),
            Some("member") => parts.next(),
            _ => None,
        };
        // A type that is no longer counted is skipped.
        let kind = kind.and_then(Kind::of).copied();
        let scale = kind.map_or(0, |kind| kind.scale);
        let part = Part::of(parts.next().unwrap_or_default())
            .ok_or_else(|| wrong("its sort key has an unknown ending".to_owned()))?;
        let whole = |name: &str| match item.get(name) {
            None => Ok(0),
            Some(value) => value
                .as_u64()
                .ok_or_else(|| wrong(format!("attribute {name} is not a whole number"))),
        };
        let sum = |name: &str, scale: u32| {
            Decimal::try_from_i128_with_scale(whole(name)?.into(), scale)
                .map_err(|error| wrong(format!("attribute {name}: {error}")))
        };
        let mut hours = [Sums::default(); HOURS];
        let names = COUNT.iter().zip(AMOUNT).zip(QUANTITY.iter().zip(REFUNDED));
        for (hour, ((count, amount), (quantity, refunded))) in hours.iter_mut().zip(names) {
            *hour = Sums {
                count: whole(count)?,
                amount: sum(amount, scale)?,
                quantity: sum(quantity, Metered::SCALE)?,
                refunded: sum(refunded, scale)?,
            };
        }
        Ok(Self {
            start,
            part,
            hours,
            kind,
        })
    }
}

#[cfg(test)]
mod tests {
    use outbox::encode_item;
    use serde_json::json;

    use super::{
        super::kinds::{SUMMED, kinds},
        *,
    };

    #[test]
    fn a_malformed_row_is_refused_with_its_key() {
        let table = Table::domain("analytics");
        for (pk, sk, name, value) in [
            ("total#cloud.minted#3", "someday", "c00", json!(1)),
            ("total#cloud.minted#3", "2026-11-21#gold", "c00", json!(1)),
            ("total#cloud.minted#3", "2026-11-21", "a07", json!(0.5)),
            ("total#cloud.minted#3", "2026-11-21", "c07", json!("1")),
        ] {
            let mut item = table.key(pk, sk).attributes();
            item.insert(name.into(), value);
            let error = Day::read(&table, &item).expect_err("refused").to_string();
            assert!(error.contains(sk), "{error}");
        }
    }

    #[test]
    fn a_row_of_a_full_day_costs_one_write_unit() {
        let table = Table::domain("analytics");
        let member_id = MemberId::new("m".repeat(64)).expect("an id");
        let longest = kinds().iter().map(|kind| kind.event_type.len()).max();
        let event_type = "t".repeat(longest.expect("kinds"));
        let key = table.key(
            member(&member_id),
            format!("2026-11-21#{event_type}#transfer"),
        );
        let mut item = encode_item(&key, &json!({})).expect("writes");
        // No kind has more than three: a kind is about a metered resource or is divided, never both.
        assert!(SUMMED.iter().all(|kind| !(kind.metered && kind.divided)));
        for names in [COUNT, AMOUNT, QUANTITY] {
            for name in names {
                // A hundred million credits in each hour.
                item.insert(name.into(), 123_456_789_123_456_u64.into());
            }
        }
        // DynamoDB counts names and texts by their bytes, and a number as one byte per two digits plus one.
        let bytes: usize = item
            .iter()
            .map(|(name, value)| {
                name.len()
                    + value
                        .as_str()
                        .map_or_else(|| value.to_string().len().div_ceil(2) + 1, str::len)
            })
            .sum();
        assert!(bytes <= 1_024, "{bytes} bytes");
    }

    #[test]
    fn a_part_reads_back_from_its_name_and_kinds_are_listed_once_by_name() {
        for part in Part::ALL {
            assert_eq!(Part::of(part.as_str()), Some(part));
        }
        assert!(kinds().is_sorted_by(|one, other| one.event_type < other.event_type));
    }
}
