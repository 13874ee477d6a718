//! The declaration of `notifications`.

use crate::{
    Access,
    Action::{Check, Get, Put, Query, Update},
    Consumer, Function, Index, Kind, Need, Projection, Setting, Table, parameters,
};

events::subscription! {
    /// The events that the consumer handles.
    pub enum Event {
        /// Creates the member's contact.
        Registered(events::contracts::member::Registered) by Guard,
        /// Updates the member's contact.
        Updated(events::contracts::member::Updated) by Guard,
        /// Notifies the member.
        Minted(events::contracts::cloud::Minted) by Mark,
        /// Notifies both members.
        Transferred(events::contracts::cloud::Transferred) by Mark,
        /// Notifies the member, only by note, and only for larger amounts.
        Redeemed(events::contracts::cloud::Redeemed) by Mark,
        /// Notifies the member, if there is one.
        Burned(events::contracts::cloud::Burned) by Mark,
        /// Notifies the member.
        Staked(events::contracts::cloud::Staked) by Mark,
        /// Notifies the member.
        Unstaked(events::contracts::cloud::Unstaked) by Mark,
        /// Opens a fan-out to every member with a subname.
        RateCardCreated(events::contracts::cloud::RateCardCreated) by Mark,
        /// Opens a fan-out to every member with a subname.
        RateCardApproved(events::contracts::cloud::RateCardApproved) by Mark,
        /// Notifies every admin.
        SyncDiverged(events::contracts::cloud::SyncDiverged) by Mark,
        /// Notifies every admin.
        BackingLow(events::contracts::alert::TreasuryBackingLow) by Mark,
        /// Notifies the model.
        EscrowSettled(events::contracts::wallet::EscrowSettled) by Mark,
        /// Notifies the model.
        EscrowPartialSettled(events::contracts::wallet::EscrowPartialSettled) by Mark,
        /// Notifies the borrower that the loan was funded, or that there is a new payment plan.
        LoanScheduleGenerated(events::contracts::loan::PaymentScheduleGenerated) by Mark,
        /// Notifies the borrower.
        LoanPaymentReceived(events::contracts::loan::PaymentReceived) by Mark,
        /// Notifies the borrower.
        LoanDrawApproved(events::contracts::loan::DrawApproved) by Mark,
        /// Notifies the borrower.
        LoanPaidOff(events::contracts::loan::PaidOff) by Mark,
        /// Creates the customer's contact.
        CustomerRegistered(events::contracts::customer::Registered) by Guard,
        /// Updates the customer's contact.
        CustomerUpdated(events::contracts::customer::Updated) by Guard,
        /// Notifies the customer.
        OrderCreated(events::contracts::order::Created) by Mark,
        /// Notifies the customer.
        OrderConfirmed(events::contracts::order::Confirmed) by Mark,
        /// Notifies the customer.
        OrderRejected(events::contracts::order::Rejected) by Mark,
        /// Notifies the customer.
        OrderCancelled(events::contracts::order::Cancelled) by Mark,
        /// Notifies the customer.
        OrderShipped(events::contracts::order::Shipped) by Mark,
        /// Notifies every admin.
        OrderStuck(events::contracts::order::Stuck) by Mark,
        /// Notifies the customer, only if their account was blocked.
        CreditChanged(events::contracts::credit::Changed) by Mark,
    }
}

/// The function's table.
pub const TABLE: Table = Table {
    expires: true,
    indexes: &[
        Index {
            name: "admins",
            hash: "admin",
            range: "pk",
            projection: Projection::All,
            about: "Only contacts of admins have the attribute.",
        },
        Index {
            name: "subnamed",
            hash: "subnamed",
            range: "pk",
            projection: Projection::KeysOnly,
            about: "Only contacts of members with a subname. The index has only keys, so a change to a member does not rewrite its entry.",
        },
    ],
    ..Table::new(
        "Notifications",
        "NOTIFICATIONS_TABLE",
        "Contacts, in-app notes, fan-outs, mails.",
    )
};

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "notifications",
    "Notifies members by e-mail and in-app note, customers by e-mail, and admins of alerts.",
    Kind::Consumer(Consumer::of::<Event>()),
)
.with_domains(&["cloud", "wallet", "loan", "commerce"])
.owning(&[Access::to(&TABLE, &[Get, Query, Put, Update, Check]).and_indexes(&["admins"])])
.needing(&[Need::SendMail])
.with_settings(&[
    Setting::of("CLOUD_USD_RATE", &parameters::CLOUD_USD_RATE),
    Setting::of("APP_URL", &parameters::APP_URL),
    Setting::of("REDEEMED_NOTE_FROM", &parameters::REDEEMED_NOTE_FROM),
]);
