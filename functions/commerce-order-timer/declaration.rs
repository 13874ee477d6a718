//! The declaration of `commerce-order-timer`.

use events::{
    Contract,
    contracts::{price::ListChanged, quote::Expired},
};

use crate::{
    Access,
    Action::{BatchGet, Delete, Get, Put, Query},
    Form, Function, Group, Job, JobAlarm, Kind, Parameter, Setting,
    functions::commerce_pricing_api,
};

/// How often it looks for orders that take too long.
pub const SCHEDULE: Parameter = Parameter::new(
    "OrderTimerSchedule",
    Group::Commerce,
    crate::parameters::SCHEDULE_FORM,
    "rate(1 minute)",
    "When orders that take too long, quotes whose time is over, and price lists that begin or end are looked for.",
);

/// How long an order may be pending.
pub const PENDING: Parameter = Parameter::new(
    "OrderPendingMinutes",
    Group::Commerce,
    Form::Number(15, 43_200),
    "1440",
    "Minutes after which an order that is still pending is cancelled. One that is pending after 15 raises an alarm.",
);

/// How long a consumer may take to pay.
pub const UNPAID: Parameter = Parameter::new(
    "OrderUnpaidMinutes",
    Group::Commerce,
    Form::Number(15, 43_200),
    "60",
    "Minutes after which the confirmed order of a consumer who has paid nothing is cancelled.",
);

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "commerce-order-timer",
    "Names orders that are stuck, cancels those that took too long, ends quotes whose time is over, and tells when price lists begin and end.",
    Kind::Job(Job {
        schedule: &SCHEDULE,
        looks_for: "Orders that take too long, quotes whose time is over, and price lists that begin or end.",
        only_with: None,
        timeout: 60,
        on_error: "commerce-order-timer keeps failing: orders that took too long are not cancelled and keep their credit and goods, and \
            carts do not follow price lists that begin or end; nothing is lost. `millrace jobs commerce-order-timer` shows why.",
        first_error_rings: false,
        alarms: &[JobAlarm {
            metric: "OrdersStuck",
            name: "orders-stuck",
            text: "Orders are pending for more than 15 minutes: credit or stock has not answered. The run's notes name them: \
                `millrace jobs commerce-order-timer`; `GET /api/v1/orders/{order_id}/timeline` shows the last step. Look for dead \
                letters and pauses of commerce-credit, commerce-stock and commerce-orders.",
        }],
    }),
)
.with_domains(&["commerce"])
.emitting(&[ListChanged::TYPE, Expired::TYPE])
.owning(&[Access::to(
    &commerce_pricing_api::TABLE,
    &[Get, BatchGet, Query, Put, Delete],
)])
.with_settings(&[
    Setting::of("ORDER_PENDING_MINUTES", &PENDING),
    Setting::of("ORDER_UNPAID_MINUTES", &UNPAID),
]);
