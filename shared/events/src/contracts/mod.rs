//! The contracts that ship with Millrace, one module per domain.
//!
//! To add one, add the payload's type to its domain's module and a line to the module's `contracts!`, then run `make
//! schemas`.

use crate::{Contract, RegisteredContract};

/// Declares the contracts of a domain. Each line gives one type's name on the wire, its priority, the function that
/// publishes it, its aggregate, and the payload field that holds the aggregate's id.
///
/// | id | aggregate |
/// |---|---|
/// | `[field]` | the field's text |
/// | `[field or ID]` | the field's text, or `ID` if the field is absent |
/// | `[kind - field]` | both fields' texts, joined by a hyphen |
/// | `[= ID]` | always `ID` |
///
/// A line declares version 1. A newer version is a type that implements [`Contract`] by hand, with its upcaster; its
/// line is only its name. The type of an id field must accept nothing that [`AggregateId`](crate::AggregateId) refuses.
///
/// A module has one such list. The macro generates the function `registered` from it, which you can pass to a registry
/// of your own. You declare contracts in a crate of your own in the same way:
///
/// ```
/// mod garden {
///     use events::{AggregateId, Retention, Sequence};
///
///     events::contracts! {
///         kept Retention::Days(7);
///         Watered: "garden.watered", Normal, "gardener", "plant" [plant_id];
///     }
///
///     /// A plant was watered.
///     #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
///     pub struct Watered {
///         pub plant_id: AggregateId,
///         pub litres: u32,
///         pub version: Sequence,
///     }
/// }
/// let registry = events::Registry::new(garden::registered());
/// assert_eq!(registry.contracts().len(), 1);
/// ```
#[macro_export]
macro_rules! contracts {
    (kept $retention:expr; $(
        $name:ident $(: $event_type:literal, $priority:ident, $producer:expr, $aggregate:literal [$($id:tt)+])?;
    )+) => {
        $($(
            impl $crate::Contract for $name {
                const TYPE: &'static str = $event_type;
                const VERSION: u16 = 1;
                const PRIORITY: $crate::Priority = $crate::Priority::$priority;
                const PRODUCER: &'static str = $producer;
                const AGGREGATE: &'static str = $aggregate;
                const RETENTION: $crate::Retention = $retention;
                const AGGREGATE_FIELD: $crate::AggregateField = $crate::contracts!(@field $($id)+);

                fn aggregate_id(&self) -> $crate::AggregateId {
                    // The field's narrower type has checked the text: it always has the shape of an aggregate id.
                    $crate::AggregateId::of_checked($crate::contracts!(@id self, $($id)+))
                }
            }
        )?)+

        /// Shows a visitor the type of each contract of this module, in the order of their lines.
        pub fn visit(visitor: &mut impl $crate::contracts::Visitor) {
            $(visitor.visit::<$name>();)+
        }

        /// The contracts of this module, in the order of the lines.
        #[must_use]
        pub fn registered() -> ::std::vec::Vec<$crate::RegisteredContract> {
            ::std::vec![$($crate::RegisteredContract::of::<$name>()),+]
        }
    };
    (@field $field:ident) => { $crate::AggregateField::Field(stringify!($field)) };
    (@field $field:ident or $id:expr) => { $crate::AggregateField::FieldOr(stringify!($field), $id) };
    (@field $kind:ident - $field:ident) => {
        $crate::AggregateField::Joined(stringify!($kind), stringify!($field))
    };
    (@field = $id:expr) => { $crate::AggregateField::Fixed($id) };
    (@id $event:ident, $field:ident) => { $event.$field.to_string() };
    (@id $event:ident, $field:ident or $id:expr) => {
        $event.$field.as_ref().map_or_else(|| $id.to_owned(), ToString::to_string)
    };
    (@id $event:ident, $kind:ident - $field:ident) => {
        format!("{}-{}", $event.$kind, $event.$field)
    };
    (@id $event:ident, = $id:expr) => { $id };
}

/// Generates the list of domains and the list of all contracts.
macro_rules! domains {
    ($($domain:ident),+ $(,)?) => {
        /// The closed list of domains. A domain is the part of an event type before the dot.
        pub const DOMAINS: &[&str] = &[$(stringify!($domain)),+];

        /// Shows a visitor the type of every shipped contract, domain by domain.
        pub fn visit(visitor: &mut impl Visitor) {
            $($domain::visit(visitor);)+
        }

        /// Every shipped contract, domain by domain.
        #[must_use]
        pub fn all() -> Vec<RegisteredContract> {
            let mut all = Vec::new();
            $(all.extend($domain::registered());)+
            all
        }
    };
}

pub mod alert;
pub mod cart;
pub mod category;
pub mod cloud;
pub mod consumer;
pub mod credit;
pub mod customer;
pub mod erp;
pub mod loan;
pub mod member;
pub mod operation;
pub mod order;
pub mod payment;
pub mod price;
pub mod product;
pub mod quote;
pub mod settlement;
pub mod stock;
pub mod supplier;
pub mod system;
pub mod treasury;
pub mod wallet;
pub mod webhook;

domains!(
    alert, cart, category, cloud, consumer, credit, customer, erp, loan, member, operation, order,
    payment, price, product, quote, settlement, stock, supplier, system, treasury, wallet, webhook
);

/// What is done with the type of every contract.
pub trait Visitor {
    /// Does it with one.
    fn visit<C: Contract>(&mut self);
}
