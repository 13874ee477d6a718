//! What `notifications` is.

use crate::{
    Access,
    Action::{Check, Get, Put, Query, Update},
    Consumer, Function, Index, Kind, Need, Projection, Setting, Table, parameters,
};

events::subscription! {
    /// What the consumer listens to.
    pub enum Event {
        /// A contact to keep.
        Registered(events::contracts::member::Registered) by Guard,
        /// A contact to keep up to date.
        Updated(events::contracts::member::Updated) by Guard,
        /// Tells the member.
        Minted(events::contracts::cloud::Minted) by Mark,
        /// Tells both members.
        Transferred(events::contracts::cloud::Transferred) by Mark,
        /// Tells the member, by note only, where it is much.
        Redeemed(events::contracts::cloud::Redeemed) by Mark,
        /// Tells the member, where there is one.
        Burned(events::contracts::cloud::Burned) by Mark,
        /// Tells the member.
        Staked(events::contracts::cloud::Staked) by Mark,
        /// Tells the member.
        Unstaked(events::contracts::cloud::Unstaked) by Mark,
        /// Opens a fan-out to every member with a subname.
        RateCardCreated(events::contracts::cloud::RateCardCreated) by Mark,
        /// Opens a fan-out to every member with a subname.
        RateCardApproved(events::contracts::cloud::RateCardApproved) by Mark,
        /// Tells every admin.
        SyncDiverged(events::contracts::cloud::SyncDiverged) by Mark,
        /// Tells every admin.
        BackingLow(events::contracts::alert::TreasuryBackingLow) by Mark,
        /// Tells the model.
        EscrowSettled(events::contracts::wallet::EscrowSettled) by Mark,
        /// Tells the model.
        EscrowPartialSettled(events::contracts::wallet::EscrowPartialSettled) by Mark,
        /// Tells the borrower that the loan was funded, or that a new payment plan holds.
        LoanScheduleGenerated(events::contracts::loan::PaymentScheduleGenerated) by Mark,
        /// Tells the borrower.
        LoanPaymentReceived(events::contracts::loan::PaymentReceived) by Mark,
        /// Tells the borrower.
        LoanDrawApproved(events::contracts::loan::DrawApproved) by Mark,
        /// Tells the borrower.
        LoanPaidOff(events::contracts::loan::PaidOff) by Mark,
    }
}

/// What it keeps.
pub const TABLE: Table = Table {
    expires: true,
    indexes: &[
        Index {
            name: "admins",
            hash: "admin",
            range: "pk",
            projection: Projection::All,
            about: "Only contacts of admins carry the attribute.",
        },
        Index {
            name: "subnamed",
            hash: "subnamed",
            range: "pk",
            projection: Projection::KeysOnly,
            about: "Only contacts of members with a subname. Keys alone: what changes about a member does not move them.",
        },
    ],
    ..Table::new(
        "Notifications",
        "NOTIFICATIONS_TABLE",
        "Contacts, in-app notes, fan-outs, mails.",
    )
};

/// The declaration.
pub const FUNCTION: Function = Function::new(
    "notifications",
    "Tells members by e-mail and in-app note, and admins of alerts.",
    Kind::Consumer(Consumer::of::<Event>()),
)
.with_domains(&["cloud", "wallet", "loan"])
.owning(&[Access::to(&TABLE, &[Get, Query, Put, Update, Check]).and_indexes(&["admins"])])
.needing(&[Need::SendMail])
.with_settings(&[
    Setting::of("CLOUD_USD_RATE", &parameters::CLOUD_USD_RATE),
    Setting::of("APP_URL", &parameters::APP_URL),
    Setting::of("REDEEMED_NOTE_FROM", &parameters::REDEEMED_NOTE_FROM),
]);
