//! Counts and sums of what happened: per event type and per member, by the hour and by the day.
//!
//! A row is one day (UTC, by `occurred_at`) of one event type: for each of its 24 hours how many events there were and the
//! sum of what they moved. A day is the sum of its hours, so the two cannot disagree, and an event costs one write where
//! rows for hours beside rows for days would cost two.
//!
//! | row | partition | sort key |
//! |---|---|---|
//! | of all members, in 8 shards summed on read | `total#{event_type}#{shard}` | `{day}` or `{day}#{primitive}` |
//! | of one member | `member#{member_id}` | `{day}#{event_type}`, behind it `#{primitive}`, `#in` or `#out` |
//!
//! A member's rows need no shards: they are written once for each change of the member's own account, so they are never
//! busier than that. An event is counted in the shard that its id names; any would do, but so each row can be compared
//! with the event log by itself.
//!
//! Attributes: `c00` to `c23` events in that hour, `a00`… sum of their amounts, `q00`… sum of their metered quantities,
//! `r00`… sum of what of them went back. Sums are kept in the smallest step of what they are counted in (a credit's or a
//! quantity's millionth, a point's hundredth), as whole numbers: those are carried exactly up to 2^64 − 1, decimals only up
//! to 15 digits. A row of a full day stays below 1 KB, one write unit: no kind has both quantities and what went back.

use std::{collections::BTreeMap, fmt, sync::LazyLock};

use events::{
    Cloud, Contract, Envelope, EventId, Evidence, MemberId, Metered, Quantity, Reward, Selection,
    Timestamp, Unit,
    contracts::{
        cloud::{Burned, Minted, Primitive, Redeemed, Staked, Transferred, Unstaked},
        wallet::{
            Deposited, EscrowHeld, EscrowPartialSettled, EscrowRefunded, EscrowSettled, Withdrawn,
        },
    },
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use outbox::{Error, Item, Key, Outbox, Query, SortKey, Table};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many rows a day of an event type is spread over.
pub const SHARDS: u8 = 8;

/// Hours of a row.
pub const HOURS: usize = 24;

/// Rows read at once: below what one call returns (1 MB), and little enough to hold for several partitions.
const PAGE: u32 = 200;

/// Partitions read at the same time.
const AT_ONCE: usize = 16;

const HOUR_MILLIS: i64 = 3_600_000;
const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;

macro_rules! hourly {
    ($name:ident, $letter:literal) => {
        const $name: [&str; HOURS] = hourly!(@ $letter
            "00" "01" "02" "03" "04" "05" "06" "07" "08" "09" "10" "11"
            "12" "13" "14" "15" "16" "17" "18" "19" "20" "21" "22" "23");
    };
    (@ $letter:literal $($hour:literal)+) => { [$(concat!($letter, $hour)),+] };
}

hourly!(COUNT, "c");
hourly!(AMOUNT, "a");
hourly!(QUANTITY, "q");
hourly!(REFUNDED, "r");

/// An event type that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// `domain.action`.
    pub event_type: &'static str,
    /// What its amounts are counted in; `None`: it moves nothing.
    pub unit: Option<&'static str>,
    /// Whether it is about a metered resource, and so has a row for each primitive.
    pub metered: bool,
    /// Whether what it is about was divided: its amount went on, the rest went back.
    pub divided: bool,
    /// Digits behind the point that its amounts have.
    scale: u32,
}

const fn moves<C: Contract, U: Unit>() -> Kind {
    Kind {
        event_type: C::TYPE,
        unit: Some(U::NAME),
        metered: false,
        divided: false,
        scale: U::SCALE,
    }
}

const fn happens(event_type: &'static str) -> Kind {
    Kind {
        event_type,
        unit: None,
        metered: false,
        divided: false,
        scale: 0,
    }
}

/// The domains whose events are counted, all of them: what the consumer listens to. A new contract of theirs is counted
/// without an edit; what it moves is summed once it stands in [`SUMMED`].
pub const DOMAINS: &[&str] = &["alert", "cloud", "wallet"];

/// The counted event types that move something. Of all others only the number is kept.
const SUMMED: [Kind; 12] = [
    moves::<Burned, Cloud>(),
    moves::<Minted, Cloud>(),
    Kind {
        metered: true,
        ..moves::<Redeemed, Cloud>()
    },
    moves::<Staked, Cloud>(),
    moves::<Transferred, Cloud>(),
    moves::<Unstaked, Cloud>(),
    moves::<Deposited, Reward>(),
    moves::<EscrowHeld, Reward>(),
    Kind {
        divided: true,
        ..moves::<EscrowPartialSettled, Reward>()
    },
    moves::<EscrowRefunded, Reward>(),
    moves::<EscrowSettled, Reward>(),
    moves::<Withdrawn, Reward>(),
];

/// Every event type that is counted, by name: those of the shipped contracts.
#[must_use]
pub fn kinds() -> &'static [Kind] {
    static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
        let counted = Selection::Domains {
            domains: DOMAINS,
            evidence: Evidence::Mark,
        };
        let summed = |event_type| {
            SUMMED
                .into_iter()
                .find(|kind| kind.event_type == event_type)
        };
        let types = counted.types().into_iter().map(|one| one.event_type);
        types
            .map(|event_type| summed(event_type).unwrap_or(happens(event_type)))
            .collect()
    });
    &KINDS
}

impl Kind {
    /// The kind of an event type; `None` where it is not counted.
    #[must_use]
    pub fn of(event_type: &str) -> Option<&'static Self> {
        kinds().iter().find(|kind| kind.event_type == event_type)
    }
}

/// On which side of a movement a member stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Direction {
    /// They got it.
    In,
    /// They gave it.
    Out,
}

/// What of an event type a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// All of it.
    Whole,
    /// What went for this resource.
    For(Primitive),
    /// A member's side of it.
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

/// The end of a sort key: nothing for the whole.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            part => write!(f, "#{}", part.as_str()),
        }
    }
}

/// What an event adds besides its number; nothing, by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fact {
    /// What it moved, in its kind's unit; zero where the kind has none.
    pub amount: Decimal,
    /// How much of which resource it is about.
    pub metered: Option<(Primitive, Quantity)>,
    /// What of it went back, in its kind's unit; zero where nothing is divided.
    pub refunded: Decimal,
    /// Whom it names, each once or once on each side.
    pub members: Vec<(MemberId, Option<Direction>)>,
}

/// What happened in a span of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Events.
    pub count: u64,
    /// What they moved.
    pub amount: Decimal,
    /// How much of a resource they were about.
    pub quantity: Decimal,
    /// What of it went back besides.
    pub refunded: Decimal,
}

impl Sums {
    /// Both together.
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

/// What an event adds to one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Which row.
    pub key: Key,
    /// The hour of the row's day, 0 to 23.
    pub hour: usize,
    /// What is added there.
    pub sums: Sums,
    scale: u32,
}

impl Count {
    /// The row's attributes and what is added to each.
    #[must_use]
    pub fn amounts(&self) -> Vec<(&'static str, Decimal)> {
        let steps = |sum: Decimal, scale: u32| sum.saturating_mul(Decimal::from(10_u64.pow(scale)));
        let sums = [
            (COUNT, Decimal::from(self.sums.count)),
            (AMOUNT, steps(self.sums.amount, self.scale)),
            (QUANTITY, steps(self.sums.quantity, Metered::SCALE)),
            (REFUNDED, steps(self.sums.refunded, self.scale)),
        ];
        sums.into_iter()
            .filter(|(_, sum)| !sum.is_zero())
            .filter_map(|(names, sum)| Some((*names.get(self.hour)?, sum)))
            .collect()
    }
}

/// The shard that an event is counted in. The last byte of an event's id is random in both versions of UUID.
#[must_use]
pub fn shard_of(event_id: EventId) -> u8 {
    event_id.uuid().as_bytes()[15] % SHARDS
}

/// What an event adds to the row of all members.
#[must_use]
pub fn count_of_all(table: &Table, event: &Envelope, fact: &Fact) -> Count {
    let part = fact
        .metered
        .map_or(Part::Whole, |(primitive, _)| Part::For(primitive));
    let pk = total(event.event_type.as_str(), shard_of(event.event_id));
    let sk = format!("{}{part}", day_text(event.occurred_at));
    fact.count(event, table.key(pk, sk))
}

/// What an event adds to which rows: that of all members first, then those of the members it names.
#[must_use]
pub fn counts(table: &Table, event: &Envelope, fact: &Fact) -> Vec<Count> {
    let of_member = |(member_id, direction): &(MemberId, Option<Direction>)| {
        let part = match (fact.metered, direction) {
            (Some((primitive, _)), _) => Part::For(primitive),
            (None, Some(direction)) => Part::Side(*direction),
            (None, None) => Part::Whole,
        };
        let sk = format!("{}#{}{part}", day_text(event.occurred_at), event.event_type);
        fact.count(event, table.key(member(member_id), sk))
    };
    let mut counts = vec![count_of_all(table, event, fact)];
    counts.extend(fact.members.iter().map(of_member));
    counts
}

impl Fact {
    fn count(&self, event: &Envelope, key: Key) -> Count {
        let hour = event.occurred_at.unix_millis().rem_euclid(DAY_MILLIS) / HOUR_MILLIS;
        Count {
            key,
            hour: usize::try_from(hour).unwrap_or_default(),
            sums: Sums {
                count: 1,
                amount: self.amount,
                quantity: self
                    .metered
                    .map_or(Decimal::ZERO, |(_, quantity)| quantity.decimal()),
                refunded: self.refunded,
            },
            // A type that this code does not know moves nothing that it knows of.
            scale: Kind::of(event.event_type.as_str()).map_or(0, |kind| kind.scale),
        }
    }
}

fn total(event_type: &str, shard: u8) -> String {
    format!("total#{event_type}#{shard}")
}

fn member(member_id: &MemberId) -> String {
    format!("member#{member_id}")
}

/// `YYYY-MM-DD`: a moment's text begins with it, and it sorts by time.
fn day_text(moment: Timestamp) -> String {
    moment.to_string().chars().take(10).collect()
}

/// How wide the spans are that an answer is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Bucket {
    /// An hour, from its full hour on, UTC.
    #[default]
    Hour,
    /// A day, from midnight on, UTC.
    Day,
}

impl Bucket {
    const fn millis(self) -> i64 {
        match self {
            Self::Hour => HOUR_MILLIS,
            Self::Day => DAY_MILLIS,
        }
    }

    /// The beginning of the bucket that a moment is in.
    #[must_use]
    pub fn start(self, moment: Timestamp) -> Timestamp {
        self.moved(moment, -moment.unix_millis().rem_euclid(self.millis()))
    }

    /// The end of the last bucket before a moment that begins one; otherwise of the one it is in.
    #[must_use]
    pub fn end(self, moment: Timestamp) -> Timestamp {
        self.moved(moment, (-moment.unix_millis()).rem_euclid(self.millis()))
    }

    /// So many buckets before a moment.
    #[must_use]
    pub fn before(self, moment: Timestamp, buckets: u32) -> Timestamp {
        self.moved(moment, -self.millis().saturating_mul(buckets.into()))
    }

    /// How many buckets a span has, the last one whole.
    #[must_use]
    pub fn count(self, from: Timestamp, to: Timestamp) -> i64 {
        let millis = to.unix_millis() - from.unix_millis();
        millis.div_euclid(self.millis()) + i64::from(millis.rem_euclid(self.millis()) > 0)
    }

    // Stays where it is at the ends of the calendar.
    fn moved(self, moment: Timestamp, millis: i64) -> Timestamp {
        Timestamp::from_unix_millis(moment.unix_millis() + millis).unwrap_or(moment)
    }
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// How wide the spans are.
    pub bucket: Bucket,
    /// From here on, a bucket's beginning.
    pub from: Timestamp,
    /// Up to here, a bucket's end.
    pub to: Timestamp,
    /// Of this kind only.
    pub kind: Option<Kind>,
    /// What went for this resource only.
    pub primitive: Option<Primitive>,
    /// Of this member only.
    pub member_id: Option<MemberId>,
}

/// What happened in a bucket of time. Buckets without events are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// Where the bucket begins.
    pub start: Timestamp,
    /// What happened.
    pub kind: Kind,
    /// Which part of it.
    pub part: Part,
    /// How often, and how much.
    pub sums: Sums,
}

/// A row: a day of an event type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    /// Midnight.
    pub start: Timestamp,
    /// Which part of the event type.
    pub part: Part,
    /// What happened in each hour.
    pub hours: [Sums; HOURS],
    kind: Option<Kind>,
}

impl Day {
    /// Reads a row of all members or of one.
    ///
    /// # Errors
    /// [`Error::Item`] names the row when it is none.
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
            .map_err(|_| wrong("its sort key begins with no day".to_owned()))?;
        let kind = match pk.split('#').next() {
            Some("total") => pk.split('#').nth(1),
            Some("member") => parts.next(),
            _ => None,
        };
        // A type that was counted once and is not any more is passed over.
        let kind = kind.and_then(Kind::of).copied();
        let scale = kind.map_or(0, |kind| kind.scale);
        let part = Part::of(parts.next().unwrap_or_default())
            .ok_or_else(|| wrong("its sort key ends with nothing known".to_owned()))?;
        let whole = |name: &str| match item.get(name) {
            None => Ok(0),
            Some(value) => value
                .as_u64()
                .ok_or_else(|| wrong(format!("attribute {name} is no whole number"))),
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

/// The partitions of a kind's rows of all members.
pub fn totals(kind: &Kind) -> impl Iterator<Item = String> {
    let event_type = kind.event_type;
    (0..SHARDS).map(move |shard| total(event_type, shard))
}

impl Wanted {
    /// Where its rows stand: partitions and how many rows of each a day can have.
    fn partitions(&self) -> Vec<(String, u32)> {
        let kinds = kinds()
            .iter()
            .filter(|kind| self.kind.is_none_or(|wanted| wanted == **kind))
            .filter(|kind| self.primitive.is_none() || kind.metered);
        match &self.member_id {
            Some(member_id) => vec![(member(member_id), PAGE)],
            None => kinds
                .flat_map(|kind| totals(kind).map(|pk| (pk, if kind.metered { 4 } else { 1 })))
                .collect(),
        }
    }

    fn takes(&self, kind: Kind, part: Part) -> bool {
        self.kind.is_none_or(|wanted| wanted == kind)
            && self
                .primitive
                .is_none_or(|primitive| part == Part::For(primitive))
    }

    /// Reads it, consistently, by time, then by event type.
    ///
    /// # Errors
    /// [`Error`] when the store fails or a row cannot be read.
    pub async fn read(&self, outbox: &Outbox, table: &Table) -> Result<Vec<Figure>, Error> {
        let mut days = stream::iter(self.partitions())
            .map(|(pk, rows)| self.partition(outbox, table, pk, rows))
            .buffer_unordered(AT_ONCE);
        let mut figures = BTreeMap::new();
        while let Some(days) = days.try_next().await? {
            for day in &days {
                self.enter(day, &mut figures);
            }
        }
        Ok(figures.into_values().collect())
    }

    async fn partition(
        &self,
        outbox: &Outbox,
        table: &Table,
        pk: String,
        rows_of_a_day: u32,
    ) -> Result<Vec<Day>, Error> {
        let days = u32::try_from(Bucket::Day.count(self.from, self.to)).unwrap_or(PAGE);
        // One more than there can be: where it comes or the partition ends, there is nothing left to ask for.
        let limit = days
            .saturating_mul(rows_of_a_day)
            .saturating_add(1)
            .min(PAGE);
        let mut query = Query {
            from: Some(SortKey::Text(day_text(self.from))),
            ..Query::partition(table, pk, limit)
        };
        let mut days = Vec::new();
        loop {
            let page = outbox.store().query(&query).await?;
            for item in &page.items {
                let day = Day::read(table, item)?;
                if day.start >= self.to {
                    return Ok(days);
                }
                days.push(day);
            }
            query.after = page.next;
            if query.after.is_none() {
                return Ok(days);
            }
        }
    }

    fn enter(&self, day: &Day, figures: &mut BTreeMap<(Timestamp, &'static str, Part), Figure>) {
        let Some(kind) = day.kind.filter(|kind| self.takes(*kind, day.part)) else {
            return;
        };
        let mut hour_start = day.start.unix_millis();
        for sums in day.hours {
            let moment = Timestamp::from_unix_millis(hour_start).unwrap_or(day.start);
            hour_start += HOUR_MILLIS;
            if sums.count == 0 || moment < self.from || moment >= self.to {
                continue;
            }
            let start = self.bucket.start(moment);
            let figure = figures
                .entry((start, kind.event_type, day.part))
                .or_insert(Figure {
                    start,
                    kind,
                    part: day.part,
                    sums: Sums::default(),
                });
            figure.sums = figure.sums.plus(sums);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use events::{Cause, Registry};
    use outbox::{Decision, Mark, SystemClock, encode_item, memory::MemoryStore};
    use uuid::Uuid;

    use super::*;

    /// An event type, and what one of it adds.
    type Told = (&'static str, Fact);

    fn outbox() -> (Outbox, Table) {
        let outbox = Outbox::new(
            Arc::new(MemoryStore::new()),
            Arc::new(SystemClock),
            Arc::new(Registry::shipped()),
            Table::events("events"),
            Table::marks("marks"),
        );
        (outbox, Table::domain("analytics"))
    }

    fn decimal(text: &str) -> Decimal {
        text.parse().expect("a decimal")
    }

    fn moment(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    fn kind(event_type: &str) -> Kind {
        *Kind::of(event_type).expect("counted")
    }

    fn id(text: &str) -> MemberId {
        MemberId::new(text).expect("an id")
    }

    fn transfer(amount: &str) -> Told {
        let fact = Fact {
            amount: decimal(amount),
            metered: None,
            refunded: Decimal::ZERO,
            members: vec![
                (id("ada"), Some(Direction::Out)),
                (id("bob"), Some(Direction::In)),
            ],
        };
        ("cloud.transferred", fact)
    }

    fn partial(settled: &str, refunded: &str) -> Told {
        let fact = Fact {
            refunded: decimal(refunded),
            ..transfer(settled).1
        };
        ("wallet.escrow_partial_settled", fact)
    }

    fn redemption(primitive: Primitive, amount: &str, quantity: &str) -> Told {
        let fact = Fact {
            amount: decimal(amount),
            metered: Some((primitive, quantity.parse().expect("a quantity"))),
            refunded: Decimal::ZERO,
            members: vec![(id("ada"), None)],
        };
        ("cloud.redeemed", fact)
    }

    fn envelope(event_type: &str, at: &str) -> Envelope {
        let id = Uuid::now_v7();
        let envelope = serde_json::json!({
            "event_id": id, "event_type": event_type, "event_version": "v1", "occurred_at": at, "producer": "test",
            "correlation_id": id, "priority": "normal", "aggregate_type": "thing", "aggregate_id": "1", "sequence": 1,
            "payload": {},
        });
        Registry::read(&envelope.to_string()).expect("an envelope")
    }

    async fn enter(outbox: &Outbox, table: &Table, number: u64, at: &str, (name, fact): &Told) {
        let event = &envelope(name, at);
        let mark = Mark::Episode {
            name: "test",
            number,
            phase: "opened",
        };
        let outcome = outbox
            .execute::<(), (), Error, _, _>(
                &mark,
                &Cause::default(),
                |mut transaction| async move {
                    for count in counts(table, event, fact) {
                        transaction.add(count.key.clone(), count.amounts());
                    }
                    Ok(Decision::Commit(transaction, ()))
                },
            )
            .await;
        assert!(matches!(outcome, Ok(outbox::Outcome::Committed { .. })));
    }

    fn wanted(bucket: Bucket, from: &str, to: &str) -> Wanted {
        Wanted {
            bucket,
            from: moment(from),
            to: moment(to),
            kind: None,
            primitive: None,
            member_id: None,
        }
    }

    async fn told(outbox: &Outbox, table: &Table, wanted: &Wanted) -> Vec<String> {
        let figures = wanted.read(outbox, table).await.expect("reads");
        let shown = figures.iter().map(|figure| {
            let Sums {
                count,
                amount,
                quantity,
                refunded,
            } = figure.sums;
            // Of a kind that is divided, what went back; of the others there is none.
            let more = if figure.kind.divided {
                refunded
            } else {
                quantity
            };
            format!(
                "{} {}{} {count} {} {}",
                &figure.start.to_string()[..13],
                figure.kind.event_type,
                figure.part,
                amount.normalize(),
                more.normalize(),
            )
        });
        shown.collect()
    }

    #[tokio::test]
    async fn hours_and_days_are_the_exact_sums_of_all_shards_and_end_where_they_should() {
        let (outbox, table) = outbox();
        let entered = [
            ("2026-11-20T23:59:59.999Z", transfer("7")),
            ("2026-11-21T00:00:00.000Z", transfer("0.1")),
            ("2026-11-21T00:59:59.999Z", transfer("0.2")),
            ("2026-11-21T01:00:00.000Z", transfer("0.000001")),
            (
                "2026-11-21T01:30:00.000Z",
                redemption(Primitive::Compute, "4", "2.5"),
            ),
            (
                "2026-11-21T01:30:00.000Z",
                redemption(Primitive::Compute, "1", "0.5"),
            ),
            (
                "2026-11-21T23:00:00.000Z",
                redemption(Primitive::Stm, "3", "9"),
            ),
            ("2026-11-22T00:00:00.000Z", transfer("5")),
        ];
        for (number, (at, fact)) in (1..).zip(&entered) {
            enter(&outbox, &table, number, at, fact).await;
        }
        let day = ("2026-11-21T00:00:00.000Z", "2026-11-22T00:00:00.000Z");
        assert_eq!(
            told(&outbox, &table, &wanted(Bucket::Hour, day.0, day.1)).await,
            [
                "2026-11-21T00 cloud.transferred 2 0.3 0",
                "2026-11-21T01 cloud.redeemed#compute 2 5 3",
                "2026-11-21T01 cloud.transferred 1 0.000001 0",
                "2026-11-21T23 cloud.redeemed#stm 1 3 9",
            ]
        );
        assert_eq!(
            told(&outbox, &table, &wanted(Bucket::Day, day.0, day.1)).await,
            [
                "2026-11-21T00 cloud.redeemed#compute 2 5 3",
                "2026-11-21T00 cloud.redeemed#stm 1 3 9",
                "2026-11-21T00 cloud.transferred 3 0.300001 0",
            ]
        );
        let hour = wanted(
            Bucket::Hour,
            "2026-11-21T01:00:00.000Z",
            "2026-11-21T02:00:00.000Z",
        );
        let narrowed = Wanted {
            primitive: Some(Primitive::Compute),
            ..hour.clone()
        };
        assert_eq!(
            told(&outbox, &table, &narrowed).await,
            ["2026-11-21T01 cloud.redeemed#compute 2 5 3"]
        );
        let narrowed = Wanted {
            kind: Some(kind("cloud.transferred")),
            ..hour
        };
        assert_eq!(
            told(&outbox, &table, &narrowed).await,
            ["2026-11-21T01 cloud.transferred 1 0.000001 0"]
        );
    }

    #[tokio::test]
    async fn a_member_sees_their_own_side_and_nothing_of_one_whose_name_begins_alike() {
        let (outbox, table) = outbox();
        let at = "2026-11-21T10:00:00.000Z";
        let mut back = transfer("1.5");
        back.1.members.reverse();
        back.1.members[0].1 = Some(Direction::Out);
        back.1.members[1].1 = Some(Direction::In);
        let mut other = transfer("9");
        other.1.members = vec![
            (id("ada-1"), Some(Direction::Out)),
            (id("bob-1"), Some(Direction::In)),
        ];
        let entered = [
            transfer("4"),
            transfer("4"),
            back,
            other,
            redemption(Primitive::Ltm, "1", "2"),
        ];
        for (number, fact) in (1..).zip(&entered) {
            enter(&outbox, &table, number, at, fact).await;
        }
        let of = |member: &str| Wanted {
            member_id: Some(id(member)),
            ..wanted(
                Bucket::Day,
                "2026-11-01T00:00:00.000Z",
                "2026-12-01T00:00:00.000Z",
            )
        };
        assert_eq!(
            told(&outbox, &table, &of("ada")).await,
            [
                "2026-11-21T00 cloud.redeemed#ltm 1 1 2",
                "2026-11-21T00 cloud.transferred#in 1 1.5 0",
                "2026-11-21T00 cloud.transferred#out 2 8 0",
            ]
        );
        assert_eq!(
            told(&outbox, &table, &of("bob")).await,
            [
                "2026-11-21T00 cloud.transferred#in 2 8 0",
                "2026-11-21T00 cloud.transferred#out 1 1.5 0",
            ]
        );
        let of_one_type = Wanted {
            kind: Some(kind("cloud.redeemed")),
            ..of("ada")
        };
        assert_eq!(
            told(&outbox, &table, &of_one_type).await,
            ["2026-11-21T00 cloud.redeemed#ltm 1 1 2"]
        );
    }

    #[tokio::test]
    async fn more_rows_than_a_page_are_read_to_the_end_and_not_beyond_it() {
        let (outbox, table) = outbox();
        let first = moment("2025-12-31T00:00:00.000Z");
        for number in 0..402_u32 {
            let day = first.unix_millis() + i64::from(number) * DAY_MILLIS;
            let day = Timestamp::from_unix_millis(day).expect("in range");
            let fact = redemption(Primitive::Compute, "1", "1");
            enter(&outbox, &table, number.into(), &day.to_string(), &fact).await;
        }
        for member_id in [None, Some(id("ada"))] {
            let year = Wanted {
                member_id,
                ..wanted(
                    Bucket::Day,
                    "2026-01-01T00:00:00.000Z",
                    "2027-01-01T00:00:00.000Z",
                )
            };
            let figures = year.read(&outbox, &table).await.expect("reads");
            assert_eq!(figures.len(), 365);
            assert_eq!(figures[0].start, year.from);
            assert_eq!(Bucket::Day.end(figures[364].start), figures[364].start);
        }
    }

    #[tokio::test]
    async fn what_was_divided_tells_both_sides_what_went_on_and_what_went_back() {
        let (outbox, table) = outbox();
        let at = "2026-11-21T10:00:00.000Z";
        for (number, fact) in [(0, partial("69.75", "30.25")), (1, partial("0.01", "0.99"))] {
            enter(&outbox, &table, number, at, &fact).await;
        }
        let of = |member: Option<&str>| Wanted {
            member_id: member.map(id),
            ..wanted(
                Bucket::Day,
                "2026-11-21T00:00:00.000Z",
                "2026-11-22T00:00:00.000Z",
            )
        };
        for (member, part) in [(None, ""), (Some("ada"), "#out"), (Some("bob"), "#in")] {
            let line = format!("2026-11-21T00 wallet.escrow_partial_settled{part} 2 69.76 31.24");
            assert_eq!(told(&outbox, &table, &of(member)).await, [line]);
        }
    }

    #[tokio::test]
    async fn sums_beyond_fifteen_digits_stay_exact() {
        let (outbox, table) = outbox();
        let at = "2026-11-21T10:00:00.000Z";
        let credits = transfer("999999999.999999");
        let points = ("wallet.escrow_settled", transfer("9999999999999.99").1);
        for number in 0..60 {
            for (number, fact) in [(number, &credits), (100 + number, &points)] {
                enter(&outbox, &table, number, at, fact).await;
            }
        }
        let day = wanted(
            Bucket::Day,
            "2026-11-21T00:00:00.000Z",
            "2026-11-22T00:00:00.000Z",
        );
        assert_eq!(
            told(&outbox, &table, &day).await,
            [
                "2026-11-21T00 cloud.transferred 60 59999999999.99994 0",
                "2026-11-21T00 wallet.escrow_settled 60 599999999999999.4 0",
            ]
        );
    }

    #[test]
    fn a_row_of_a_full_day_costs_one_write_unit() {
        let table = Table::domain("analytics");
        let member_id = id(&"m".repeat(64));
        let longest = kinds().iter().map(|kind| kind.event_type.len()).max();
        let event_type = "t".repeat(longest.expect("kinds"));
        let key = table.key(
            member(&member_id),
            format!("2026-11-21#{event_type}#transfer"),
        );
        let mut item = encode_item(&key, &serde_json::json!({})).expect("writes");
        // No kind has more than three: it is about a metered resource, or divided.
        assert!(SUMMED.iter().all(|kind| !(kind.metered && kind.divided)));
        for names in [COUNT, AMOUNT, QUANTITY] {
            for name in names {
                // A hundred million credits in each hour.
                item.insert(name.into(), 123_456_789_123_456_u64.into());
            }
        }
        // As DynamoDB counts: names and texts by their bytes, a number by two digits a byte and one more.
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
    fn buckets_begin_and_end_on_full_hours_and_at_midnight_also_before_1970() {
        let at = moment("1969-07-20T20:17:40.000Z");
        assert_eq!(
            Bucket::Hour.start(at).to_string(),
            "1969-07-20T20:00:00.000Z"
        );
        assert_eq!(Bucket::Hour.end(at).to_string(), "1969-07-20T21:00:00.000Z");
        assert_eq!(
            Bucket::Day.start(at).to_string(),
            "1969-07-20T00:00:00.000Z"
        );
        assert_eq!(Bucket::Day.end(at).to_string(), "1969-07-21T00:00:00.000Z");
        let full = Bucket::Day.start(at);
        assert_eq!(
            (Bucket::Day.start(full), Bucket::Day.end(full)),
            (full, full)
        );
        assert_eq!(
            Bucket::Day.before(full, 20).to_string(),
            "1969-06-30T00:00:00.000Z"
        );
        assert_eq!(Bucket::Day.count(full, at), 1);
        assert_eq!(Bucket::Hour.count(full, at), 21);
        let last = moment("9999-12-31T23:30:00.000Z");
        assert_eq!(Bucket::Day.end(last), last);
    }

    #[test]
    fn what_is_no_row_is_named() {
        let table = Table::domain("analytics");
        for (pk, sk, name, value) in [
            (
                "total#cloud.minted#3",
                "someday",
                "c00",
                serde_json::json!(1),
            ),
            (
                "total#cloud.minted#3",
                "2026-11-21#gold",
                "c00",
                serde_json::json!(1),
            ),
            (
                "total#cloud.minted#3",
                "2026-11-21",
                "a07",
                serde_json::json!(0.5),
            ),
            (
                "total#cloud.minted#3",
                "2026-11-21",
                "c07",
                serde_json::json!("1"),
            ),
        ] {
            let mut item = table.key(pk, sk).attributes();
            item.insert(name.into(), value);
            let error = Day::read(&table, &item).expect_err("refused").to_string();
            assert!(error.contains(sk), "{error}");
        }
    }

    #[test]
    fn every_type_of_a_counted_domain_is_a_kind_and_one_that_is_not_summed_is_only_counted() {
        let registry = Registry::shipped();
        for contract in registry.contracts() {
            let domain = contract.event_type.split('.').next().unwrap_or_default();
            let kind = Kind::of(contract.event_type);
            assert_eq!(kind.is_some(), DOMAINS.contains(&domain));
        }
        for kind in kinds() {
            let summed = SUMMED.contains(kind);
            assert_eq!(kind.unit.is_some(), summed, "{kind:?}");
        }
        assert!(SUMMED.iter().all(|kind| kinds().contains(kind)));
    }

    #[tokio::test]
    async fn a_type_that_this_code_does_not_know_is_counted_for_code_that_does() {
        let table = Table::domain("analytics");
        let event = envelope("wallet.frozen", "2026-11-21T10:00:00.000Z");
        let added = counts(&table, &event, &Fact::default());
        let [count] = added.as_slice() else {
            panic!("{added:?}")
        };
        let shard = shard_of(event.event_id);
        let row = table.key(format!("total#wallet.frozen#{shard}"), "2026-11-21");
        assert_eq!(
            (&count.key, count.amounts()),
            (&row, vec![("c10", Decimal::ONE)])
        );
        // Until then its rows are passed over.
        let mut item = row.attributes();
        item.insert("c10".into(), 1.into());
        let day = Day::read(&table, &item).expect("reads");
        assert_eq!((day.kind, day.hours[10].count), (None, 1));
    }

    #[test]
    fn a_part_reads_back_from_its_name_and_kinds_are_listed_once_by_name() {
        for part in Part::ALL {
            assert_eq!(Part::of(part.as_str()), Some(part));
        }
        assert!(kinds().is_sorted_by(|one, other| one.event_type < other.event_type));
    }

    #[test]
    fn every_event_has_a_shard_and_all_shards_are_used() {
        let mut used = [0_u32; SHARDS as usize];
        for _ in 0..1_000 {
            let event_id = EventId::new(Uuid::now_v7()).expect("version 7");
            used[usize::from(shard_of(event_id))] += 1;
        }
        assert!(used.iter().all(|count| *count > 50), "{used:?}");
    }
}
