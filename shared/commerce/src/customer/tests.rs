use domain::testing::{Log, at, number};
use events::Draft;

use super::*;

fn profile(name: &str) -> Profile {
    Profile {
        customer_type: CustomerType::B2b,
        name: Text::new(name).expect("a name"),
        email: "orders@acme.example".parse().expect("an address"),
        tier: None,
        payment_term: PaymentTerm::Net30,
        country: CountryCode::new("RO").expect("a country"),
        vat_id: None,
        vat_treatment: VatTreatment::Domestic,
        notification_preferences: None,
    }
}

fn customer(name: &str, updated: u64) -> Customer {
    Customer {
        customer_id: CustomerId::new("CUST-1").expect("an id"),
        profile: profile(name),
        registered_at: at(1),
        updated_at: at(updated),
        updated_by: Text::new("desk").expect("a name"),
    }
}

#[test]
fn a_customer_is_what_its_events_come_to() {
    let (first, mut second) = (customer("Acme", 1), customer("Acme Trading", 4));
    second.profile.notification_preferences = Some(NotificationPreferences {
        email_enabled: false,
    });
    let mut log = Log::default();
    let registered = Draft::of(&event!(Registered, first, number(1))).expect("a draft");
    log.append([registered], at(1));
    let updated = Draft::of(&event!(Updated, second, number(2))).expect("a draft");
    log.append([updated], at(4));
    let rebuilt = domain::rebuild::<Customer>(&log.0).expect("they follow");
    assert_eq!(rebuilt.map(|rebuilt| rebuilt.state), Some(second));
    // The first event alone, and the second without it.
    let rebuilt = domain::rebuild::<Customer>(&log.0[..1]).expect("it begins");
    assert_eq!(rebuilt.map(|rebuilt| rebuilt.state), Some(first));
    domain::rebuild::<Customer>(&log.0[1..]).expect_err("it was never registered");
}
