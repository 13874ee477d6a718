//! The contracts that ship with Millrace, a module per domain.
//!
//! Adding one: the payload's type in its domain's module, its line in the module's `contracts!`, its schema by `make schemas`.

use crate::{Contract, Entry};

/// The contracts of a domain: a line for each type says what it is called on the wire, its priority, who publishes it, and
/// what it is about, with the payload field that holds the id.
///
/// | id | aggregate |
/// |---|---|
/// | `[field]` | the field's text |
/// | `[field or ID]` | the field's text, or `ID` where it is absent |
/// | `[kind - field]` | both fields' texts, joined by a hyphen |
/// | `[= ID]` | always `ID` |
///
/// A line is version 1. A newer version is a type that implements [`Contract`] with its upcaster; its line is its name.
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
                const AGGREGATE_FIELD: $crate::AggregateField = contracts!(@field $($id)+);

                fn aggregate_id(&self) -> $crate::AggregateId {
                    // Checked by a narrower type: such texts always have an aggregate id's shape.
                    $crate::AggregateId::of_checked(contracts!(@id self, $($id)+))
                }
            }
        )?)+

        pub(super) fn visit(visitor: &mut impl super::Visitor) {
            $(visitor.visit::<$name>();)+
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

/// The list of domains, and what follows from it.
macro_rules! domains {
    ($($domain:ident),+ $(,)?) => {
        /// The closed list of domains, the part of an event's type before the dot.
        pub const DOMAINS: &[&str] = &[$(stringify!($domain)),+];

        /// Shows a visitor every shipped contract, domain by domain.
        pub fn visit(visitor: &mut impl Visitor) {
            $($domain::visit(visitor);)+
        }
    };
}

pub mod alert;
pub mod cloud;
pub mod erp;
pub mod loan;
pub mod member;
pub mod payment;
pub mod settlement;
pub mod supplier;
pub mod treasury;
pub mod wallet;

domains!(
    alert, cloud, erp, loan, member, payment, settlement, supplier, treasury, wallet
);

/// What is done with the type of every contract.
pub trait Visitor {
    /// Does it with one.
    fn visit<C: Contract>(&mut self);
}

/// Every shipped contract.
#[must_use]
pub fn all() -> Vec<Entry> {
    struct Entries(Vec<Entry>);
    impl Visitor for Entries {
        fn visit<C: Contract>(&mut self) {
            self.0.push(Entry::of::<C>());
        }
    }
    let mut entries = Entries(Vec::new());
    visit(&mut entries);
    entries.0
}
