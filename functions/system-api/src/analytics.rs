//! Counts and sums of events over time, as the consumer `analytics` keeps them.

use std::sync::Arc;

use api::{Problem, Query, Reply, State, TimestampInput};
use events::{
    DecimalText, EventType, MemberId, Timestamp, Violation,
    contracts::cloud::{Primitive, ResourceUnit},
    did_you_mean,
};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use views::analytics::{Bucket, Direction, Figure, Kind, Part, Wanted, kinds};

use crate::router::App;

/// The maximum number of hours in an answer: a month. An hour has some twenty items, so an answer stays below the 6 MB
/// limit of a function's response (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>, read
/// 2026-11-21).
pub const MAX_HOURS: u32 = 31 * 24;

/// The maximum number of days in an answer: a year. Callers request a longer history year by year.
pub const MAX_DAYS: u32 = 366;

/// The hours of an answer if the request has no span.
const DEFAULT_HOURS: u32 = 24;

/// The days of an answer if the request has no span.
const DEFAULT_DAYS: u32 = 30;

pub(crate) const DESCRIPTION: &str = "\
Per bucket of time (UTC, by the events' `occurred_at`) and event type, sorted by both. A bucket without events has no item. \
`cloud.redeemed` has an item for each primitive, with the quantity. For a member, `cloud.transferred`, \
`wallet.escrow_settled` and `wallet.escrow_partial_settled` have an item for each direction. `unit` is the unit of the amounts: \
CLOUD or points. For `wallet.escrow_partial_settled`, `amount` is what was earned and `refund_amount` what went back. \
`amount`, `refund_amount` and `quantity` are decimal text, because a sum can have more digits than a JSON number holds exactly. \
The span is widened to whole buckets, and the answer has the widened `from` and `to`. It is at most 744 hours \
or 366 days; by default the last 24 hours or 30 days. Events of the last moments may not be counted yet.";

/// The query of the counts.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AnalyticsQuery {
    /// Only events of this type.
    #[serde(default, rename = "type")]
    pub event_type: Option<EventType>,
    /// The start of the span, a time or a day.
    #[serde(default)]
    pub from: Option<TimestampInput>,
    /// The end of the span: a time, or the beginning of a day. If absent, now.
    #[serde(default)]
    pub to: Option<TimestampInput>,
    /// The width of the buckets.
    #[serde(default)]
    pub bucket: Bucket,
    /// Only events that concern this member.
    #[serde(default)]
    pub member_id: Option<MemberId>,
    /// Only redemptions for this primitive.
    #[serde(default)]
    pub primitive: Option<Primitive>,
}

/// The events of one type in one bucket.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AnalyticsItem {
    /// When the bucket begins.
    pub start: Timestamp,
    /// The event type, `domain.action`.
    pub event_type: &'static str,
    /// The primitive that was redeemed for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primitive: Option<Primitive>,
    /// The side that the member was on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// The number of events.
    pub count: u64,
    /// The sum of the events' amounts, if they have amounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<DecimalText>,
    /// The unit of the amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'static str>,
    /// For divided escrows, the sum of the parts that went back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund_amount: Option<DecimalText>,
    /// The sum of the metered quantities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<DecimalText>,
    /// The unit of the quantity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity_unit: Option<ResourceUnit>,
}

/// Counts and sums over a span of time.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AnalyticsReport {
    /// The width of the buckets.
    pub bucket: Bucket,
    /// When the first bucket begins.
    pub from: Timestamp,
    /// When the last bucket ends.
    pub to: Timestamp,
    /// By time, then by event type; empty buckets are left out.
    pub items: Vec<AnalyticsItem>,
}

/// Formats a sum as text.
fn text(sum: Decimal) -> Result<DecimalText, Problem> {
    DecimalText::new(sum.normalize().to_string()).map_err(|error| Problem::internal(&error))
}

impl AnalyticsItem {
    fn of(figure: &Figure) -> Result<Self, Problem> {
        let (primitive, direction) = match figure.part {
            Part::Whole => (None, None),
            Part::For(primitive) => (Some(primitive), None),
            Part::Side(direction) => (None, Some(direction)),
        };
        let amount = figure.kind.unit.map(|_| text(figure.sums.amount));
        let refunded = figure.kind.divided.then(|| text(figure.sums.refunded));
        let quantity = primitive.map(|_| text(figure.sums.quantity));
        Ok(Self {
            start: figure.start,
            event_type: figure.kind.event_type,
            primitive,
            direction,
            count: figure.sums.count,
            amount: amount.transpose()?,
            unit: figure.kind.unit,
            refund_amount: refunded.transpose()?,
            quantity: quantity.transpose()?,
            quantity_unit: primitive.map(Primitive::unit),
        })
    }
}

/// Returns the requested kind of counts, and records violations if the parameters do not fit it.
fn kind(query: &AnalyticsQuery, wrong: &mut Vec<Violation>) -> Option<Kind> {
    let event_type = query.event_type.as_ref()?;
    let kind = Kind::of(event_type.as_str()).copied();
    match kind {
        None => {
            let counted = kinds().iter().map(|kind| kind.event_type);
            let meant = did_you_mean(event_type.as_str(), counted);
            let message = format!("{event_type} is not a counted type{meant}");
            wrong.push(Violation::new("/query/type", message));
        }
        Some(kind) if query.primitive.is_some() && !kind.metered => wrong.push(Violation::new(
            "/query/primitive",
            format!("{event_type} has no metered resource"),
        )),
        Some(_) => {}
    }
    kind
}

/// Widens a span of time to whole buckets.
pub(crate) fn span_of(
    from: Option<TimestampInput>,
    to: Option<TimestampInput>,
    bucket: Bucket,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), Violation> {
    let (asked_from, to) = (
        from.map(TimestampInput::timestamp),
        to.map(TimestampInput::timestamp),
    );
    let (usual, most, name) = match bucket {
        Bucket::Hour => (DEFAULT_HOURS, MAX_HOURS, "hours"),
        Bucket::Day => (DEFAULT_DAYS, MAX_DAYS, "days"),
    };
    let asked_to = to.unwrap_or(now);
    let to = bucket.end(asked_to);
    let from = match asked_from {
        Some(from) => bucket.start(from),
        None => bucket.before(to, usual),
    };
    let wrong = if asked_from.is_some_and(|from| from >= asked_to) {
        format!("is not before `to`, {asked_to}")
    } else if bucket.count(from, to) > i64::from(most) {
        format!("at most {most} {name} before `to`, {to}")
    } else {
        return Ok((from, to));
    };
    Err(Violation::new("/query/from", wrong))
}

/// Returns the validated query, in whole buckets.
fn wanted(query: &AnalyticsQuery, now: Timestamp) -> Result<Wanted, Problem> {
    let mut wrong = Vec::new();
    let kind = kind(query, &mut wrong);
    let span = span_of(query.from, query.to, query.bucket, now);
    let (from, to) = match span {
        Ok(span) if wrong.is_empty() => span,
        Ok(_) => return Err(Problem::invalid(wrong)),
        Err(violation) => {
            wrong.push(violation);
            return Err(Problem::invalid(wrong));
        }
    };
    Ok(Wanted {
        bucket: query.bucket,
        from,
        to,
        kind,
        primitive: query.primitive,
        member_id: query.member_id.clone(),
    })
}

pub(crate) async fn events(
    State(app): State<Arc<App>>,
    Query(query): Query<AnalyticsQuery>,
) -> Result<Reply<AnalyticsReport>, Problem> {
    let wanted = wanted(&query, app.outbox.clock().now())?;
    let figures = wanted.read(&app.outbox, &app.analytics).await?;
    Reply::of(&AnalyticsReport {
        bucket: wanted.bucket,
        from: wanted.from,
        to: wanted.to,
        items: figures
            .iter()
            .map(AnalyticsItem::of)
            .collect::<Result<_, _>>()?,
    })
}
