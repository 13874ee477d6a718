//! A customer of the shop: who it is, and on which terms it buys.

use domain::{Contradiction, Rebuild, Step, must};
use events::{
    Contract as _, CountryCode, CustomerId, EmailAddress, Envelope, Retention, Text, TierName,
    Timestamp,
    contracts::customer::{
        CustomerType, NotificationPreferences, PaymentTerm, Registered, Updated, VatTreatment,
    },
    subscription,
};
use outbox::{Entity, State, Transaction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Change, Done};

/// What is known of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Profile {
    /// Whether it buys for a business.
    pub customer_type: CustomerType,
    /// Its name.
    pub name: Text<200>,
    /// The address to which notices go.
    pub email: EmailAddress,
    /// The price tier that it belongs to; if absent, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierName>,
    /// When its orders are to be paid.
    pub payment_term: PaymentTerm,
    /// The country whose tax rates apply to its orders.
    pub country: CountryCode,
    /// Its VAT id, as it states it. Nothing looks it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<Text<20>>,
    /// How its orders are taxed; if absent, by the rates of its country.
    #[serde(default)]
    pub vat_treatment: VatTreatment,
    /// The channels on which it wants notices; if absent, e-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_preferences: Option<NotificationPreferences>,
}

/// A customer. Its fields change in this module alone, which also makes the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    customer_id: CustomerId,
    #[serde(flatten)]
    profile: Profile,
    registered_at: Timestamp,
    updated_at: Timestamp,
    updated_by: Text<256>,
}

impl State for Customer {
    const AGGREGATE: &'static str = Registered::AGGREGATE;
}

impl Customer {
    /// Its id.
    #[must_use]
    pub fn customer_id(&self) -> &CustomerId {
        &self.customer_id
    }

    /// What is known of it.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// When it was registered.
    #[must_use]
    pub fn registered_at(&self) -> Timestamp {
        self.registered_at
    }

    /// When it changed last.
    #[must_use]
    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    /// Who changed it last.
    #[must_use]
    pub fn updated_by(&self) -> &Text<256> {
        &self.updated_by
    }
}

/// An event of a customer has the same fields, whichever it is.
macro_rules! event {
    ($name:ident, $customer:expr, $version:expr) => {{
        let Customer {
            customer_id,
            profile,
            updated_at,
            updated_by,
            ..
        } = $customer.clone();
        $name {
            customer_id,
            customer_type: profile.customer_type,
            name: profile.name,
            email: profile.email,
            tier: profile.tier,
            payment_term: profile.payment_term,
            country: profile.country,
            vat_id: profile.vat_id,
            vat_treatment: profile.vat_treatment,
            notification_preferences: profile.notification_preferences,
            changed_at: updated_at,
            changed_by: updated_by,
            version: $version,
        }
    }};
}

/// Registers a customer, or replaces what is known of it, in a transaction. What is known already changes nothing.
///
/// # Errors
/// [`outbox::Error`] if the entity is another one's.
pub(crate) fn set(
    transaction: &mut Transaction,
    entity: &Entity<Customer>,
    customer_id: &CustomerId,
    profile: Profile,
    by: Text<256>,
) -> Result<Done<Customer>, outbox::Error> {
    let before = entity.state();
    let version = entity.next_version()?;
    if let Some(customer) = before
        && customer.profile == profile
    {
        let unchanged = Change::<_, Updated>::none(customer.clone());
        return unchanged.save(transaction, entity);
    }
    let now = transaction.now();
    let customer = Customer {
        customer_id: customer_id.clone(),
        profile,
        registered_at: before.map_or(now, |customer| customer.registered_at),
        updated_at: before.map_or(now, |customer| customer.updated_at.max(now)),
        updated_by: by,
    };
    if before.is_none() {
        let event = event!(Registered, customer, version);
        Change::new(customer, event).save(transaction, entity)
    } else {
        let event = event!(Updated, customer, version);
        Change::new(customer, event).save(transaction, entity)
    }
}

subscription! {
    /// The recorded events.
    enum Recorded {
        /// It was registered.
        Registered(events::contracts::customer::Registered) by Mark,
        /// What is known of it changed.
        Updated(events::contracts::customer::Updated) by Mark,
    }
}

/// The state after an event, from the fields that both events have.
macro_rules! told {
    ($event:expr, $registered_at:expr) => {{
        let event = $event;
        let profile = Profile {
            customer_type: event.customer_type,
            name: event.name,
            email: event.email,
            tier: event.tier,
            payment_term: event.payment_term,
            country: event.country,
            vat_id: event.vat_id,
            vat_treatment: event.vat_treatment,
            notification_preferences: event.notification_preferences,
        };
        let customer = Customer {
            customer_id: event.customer_id,
            profile,
            registered_at: $registered_at.unwrap_or(event.changed_at),
            updated_at: event.changed_at,
            updated_by: event.changed_by,
        };
        (customer, event.version)
    }};
}

impl Rebuild for Customer {
    type Stored = Self;
    const RETENTION: Retention = Registered::RETENTION;
    /// A change of a price list for the customer rewrites the row.
    const SILENT_WRITES: bool = true;

    fn stored(&self) -> Self {
        self.clone()
    }

    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let recorded = <Recorded as events::Subscription>::decode(envelope)?;
        let registered_at = before.as_ref().map(Self::registered_at);
        let (customer, version) = match recorded {
            Recorded::Registered(event) => {
                must(before.is_none(), "it is registered twice")?;
                told!(event, registered_at)
            }
            Recorded::Updated(event) => {
                let before = before.ok_or(Contradiction::Says("it was never registered"))?;
                must(
                    before.updated_at <= event.changed_at,
                    "it happened before the last change",
                )?;
                told!(event, registered_at)
            }
        };
        must(
            customer.customer_id.as_str() == id,
            "it is about another customer",
        )?;
        Ok((customer, version))
    }
}

#[cfg(test)]
mod tests;
