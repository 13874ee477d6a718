//! The declaration of `commerce-cart-worker`.

use events::{
    Contract,
    contracts::{cart, category, product, quote},
};

use crate::{
    Access,
    Action::{BatchGet, Check, Delete, Get, Put, Query},
    Function, Group, Job, Kind, Parameter,
    functions::commerce_pricing_api,
};

/// How often it looks for carts that are to follow a change.
pub const SCHEDULE: Parameter = Parameter::new(
    "CartWorkerSchedule",
    Group::Commerce,
    crate::parameters::SCHEDULE_FORM,
    "rate(1 minute)",
    "When open carts follow changes of prices, products, stock, tiers and customers, and open quotes are compared with prices; and when \
        what is in a category that is being deleted goes to another one.",
);

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "commerce-cart-worker",
    "Calculates open carts anew after a change of what their lines follow from, and compares open quotes with prices. Moves what is in a \
        category that is being deleted.",
    Kind::Job(Job {
        schedule: &SCHEDULE,
        looks_for: "Carts and quotes that are to follow a change, and categories that are being deleted.",
        only_with: None,
        timeout: 60,
        on_error: "commerce-cart-worker keeps failing: carts show prices of before; checking out calculates anew, so no order is wrong. \
            Quotes that need repricing can still be accepted. Categories that are being deleted stay. `millrace jobs commerce-cart-worker` shows why.",
        first_error_rings: false,
        alarms: &[],
    }),
)
.with_domains(&["commerce"])
.emitting(&[
    cart::Updated::TYPE,
    category::Deleted::TYPE,
    category::Updated::TYPE,
    product::Updated::TYPE,
    quote::Updated::TYPE,
])
.owning(&[Access::to(
    &commerce_pricing_api::TABLE,
    &[Check, Get, BatchGet, Query, Put, Delete],
)]);
