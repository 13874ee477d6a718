//! The declaration of `commerce-cart-worker`.

use events::{Contract, contracts::cart::Updated};

use crate::{
    Access,
    Action::{BatchGet, Delete, Get, Put, Query},
    Function, Group, Job, Kind, Parameter,
    functions::commerce_pricing_api,
};

/// How often it looks for carts that are to follow a change.
pub const SCHEDULE: Parameter = Parameter::new(
    "CartWorkerSchedule",
    Group::Commerce,
    crate::parameters::SCHEDULE_FORM,
    "rate(1 minute)",
    "When open carts follow changes of prices, products, stock, tiers and customers.",
);

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "commerce-cart-worker",
    "Calculates open carts anew after a change of what their lines follow from.",
    Kind::Job(Job {
        schedule: &SCHEDULE,
        looks_for: "Carts that are to follow a change.",
        only_with: None,
        timeout: 60,
        on_error: "commerce-cart-worker keeps failing: carts show prices of before; checking out calculates anew, so no order is wrong. \
            `millrace jobs commerce-cart-worker` shows why.",
        first_error_rings: false,
        alarms: &[],
    }),
)
.with_domains(&["commerce"])
.emitting(&[Updated::TYPE])
.owning(&[Access::to(
    &commerce_pricing_api::TABLE,
    &[Get, BatchGet, Query, Put, Delete],
)]);
