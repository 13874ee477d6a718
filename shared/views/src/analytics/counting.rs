//! Counting an event: which rows it adds to, and what.

use events::{
    Envelope, EventId, MemberId, Metered, Quantity, Unit as _, contracts::cloud::Primitive,
};
use outbox::{Key, Table};
use rust_decimal::Decimal;

use super::{
    buckets::{DAY_MILLIS, HOUR_MILLIS},
    kinds::Kind,
    rows::{
        AMOUNT, COUNT, Direction, Part, QUANTITY, REFUNDED, SHARDS, Sums, day_text, member, total,
    },
};

/// What an event adds besides 1 to the count; by default nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fact {
    /// The amount that it moved, in its kind's unit; zero if the kind has none.
    pub amount: Decimal,
    /// The resource that it is about, and the quantity.
    pub metered: Option<(Primitive, Quantity)>,
    /// The refunded part, in its kind's unit; zero if nothing was divided.
    pub refunded: Decimal,
    /// The members that it names, each once, or once on each side.
    pub members: Vec<(MemberId, Option<Direction>)>,
}

/// What an event adds to one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The key of the row.
    pub key: Key,
    /// The hour of the row's day, 0 to 23.
    pub hour: usize,
    /// What is added to that hour.
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

/// The shard in which an event is counted. The last byte of an event's id is random in both versions of UUID.
#[must_use]
pub fn shard_of(event_id: EventId) -> u8 {
    event_id.uuid().as_bytes()[15] % SHARDS
}

/// The hour of the event's day, 0 to 23.
pub(super) fn hour_of(event: &Envelope) -> usize {
    let hour = event.occurred_at.unix_millis().rem_euclid(DAY_MILLIS) / HOUR_MILLIS;
    usize::try_from(hour).unwrap_or_default()
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

/// What an event adds, and to which rows: first the row of all members, then the rows of the members that it names.
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
        Count {
            key,
            hour: hour_of(event),
            sums: Sums {
                count: 1,
                amount: self.amount,
                quantity: self
                    .metered
                    .map_or(Decimal::ZERO, |(_, quantity)| quantity.decimal()),
                refunded: self.refunded,
            },
            // An event type that this code does not know has no amount that it could count.
            scale: Kind::of(event.event_type.as_str()).map_or(0, |kind| kind.scale),
        }
    }
}
