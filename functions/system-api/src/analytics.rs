//! Counts and sums of events over time, as the consumer `analytics` keeps them.

use std::sync::Arc;

use api::{MomentInput, Problem, Query, Reply, State};
use events::{
    DecimalText, EventType, MemberId, Timestamp, Violation,
    contracts::cloud::{Primitive, ResourceUnit},
};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use views::analytics::{Bucket, Direction, Figure, Kind, Part, Wanted};

use crate::router::App;

/// Hours one answer covers at most: a month's. An hour has some twenty items, so an answer stays below the 6 MB that a
/// function may answer (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>, read 2026-11-21).
pub const MAX_HOURS: u32 = 31 * 24;

/// Days one answer covers at most: a year's. A longer history is asked for year by year.
pub const MAX_DAYS: u32 = 366;

/// Hours of an answer where nothing is said.
const DEFAULT_HOURS: u32 = 24;

/// Days of an answer where nothing is said.
const DEFAULT_DAYS: u32 = 30;

pub(crate) const DESCRIPTION: &str = "\
Per bucket of time (UTC, by the events' `occurred_at`) and event type, sorted by both; a bucket in which nothing happened has \
no item. `cloud.redeemed` has an item for each primitive, with the quantity; of one member, `cloud.transferred`, \
`wallet.escrow_settled` and `wallet.escrow_partial_settled` have an item for each direction. `unit` says what the amounts are \
counted in: CLOUD or points. Of `wallet.escrow_partial_settled` the amount is what was earned, `refund_amount` what went back. \
`amount`, `refund_amount` and `quantity` are decimal text: sums may have more digits than a JSON number carries exactly. \
`from` is taken back to the beginning of its bucket and `to` on to the end of its own; the answer says both. At most 744 hours \
or 366 days; where nothing is said, the last 24 hours or 30 days. What happened a moment ago may not be counted yet.";

/// Which counts.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AnalyticsQuery {
    /// Only events of this type.
    #[serde(default, rename = "type")]
    pub event_type: Option<EventType>,
    /// From this moment or day on.
    #[serde(default)]
    pub from: Option<MomentInput>,
    /// Up to this moment, or up to the beginning of this day; where nothing is said, now.
    #[serde(default)]
    pub to: Option<MomentInput>,
    /// How wide the buckets are.
    #[serde(default)]
    pub bucket: Bucket,
    /// Only what concerned this member.
    #[serde(default)]
    pub member_id: Option<MemberId>,
    /// Only what was redeemed for this.
    #[serde(default)]
    pub primitive: Option<Primitive>,
}

/// What happened in a bucket of time.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AnalyticsItem {
    /// Where the bucket begins.
    pub start: Timestamp,
    /// What happened: `domain.action`.
    pub event_type: &'static str,
    /// What it was redeemed for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primitive: Option<Primitive>,
    /// On which side of it the member stood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// How often.
    pub count: u64,
    /// The sum of what the events moved, where they move something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<DecimalText>,
    /// What the amount is counted in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'static str>,
    /// The sum of what went back besides, where what was held was divided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund_amount: Option<DecimalText>,
    /// The sum of the metered quantities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<DecimalText>,
    /// What the quantity is counted in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity_unit: Option<ResourceUnit>,
}

/// Counts and sums over a span of time.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AnalyticsReport {
    /// How wide the buckets are.
    pub bucket: Bucket,
    /// Where the first bucket begins.
    pub from: Timestamp,
    /// Where the last bucket ends.
    pub to: Timestamp,
    /// By time, then by event type; empty buckets are left out.
    pub items: Vec<AnalyticsItem>,
}

/// A sum as text.
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

/// The kind that is asked for, and whether its parts can be.
fn kind(query: &AnalyticsQuery, wrong: &mut Vec<Violation>) -> Option<Kind> {
    let event_type = query.event_type.as_ref()?;
    let kind = Kind::of(event_type.as_str()).copied();
    match kind {
        None => wrong.push(Violation::new(
            "/query/type",
            format!("{event_type} is not among the types that are counted"),
        )),
        Some(kind) if query.primitive.is_some() && !kind.metered => wrong.push(Violation::new(
            "/query/primitive",
            format!("{event_type} is about no metered resource"),
        )),
        Some(_) => {}
    }
    kind
}

/// A span of time in whole buckets.
pub(crate) fn span_of(
    from: Option<MomentInput>,
    to: Option<MomentInput>,
    bucket: Bucket,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), Violation> {
    let (asked_from, to) = (from.map(MomentInput::moment), to.map(MomentInput::moment));
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

/// What is wanted, in whole buckets.
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
