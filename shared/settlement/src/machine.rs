//! The two state machines as tables: which status can follow which. Every other transition is refused.

use domain::Transitions;
use events::contracts::{
    payment::PaymentStatus as Payment, settlement::SettlementStatus as Settlement,
};

/// The transitions of a payment.
pub const PAYMENT: Transitions<Payment> = Transitions::new(&[
    (
        Payment::Created,
        &[Payment::Authorized, Payment::Failed, Payment::Cancelled],
    ),
    (
        Payment::Authorized,
        &[Payment::Captured, Payment::Failed, Payment::Cancelled],
    ),
    (
        Payment::Captured,
        &[Payment::PartiallyRefunded, Payment::Refunded],
    ),
    (Payment::PartiallyRefunded, &[Payment::Refunded]),
    (Payment::Refunded, &[]),
    (Payment::Failed, &[]),
    (Payment::Cancelled, &[]),
]);

/// The transitions of a settlement.
pub const SETTLEMENT: Transitions<Settlement> = Transitions::new(&[
    (
        Settlement::Created,
        &[Settlement::NetworkSelected, Settlement::Failed],
    ),
    (
        Settlement::NetworkSelected,
        &[Settlement::Submitted, Settlement::Failed],
    ),
    (
        Settlement::Submitted,
        &[Settlement::Confirming, Settlement::Failed],
    ),
    (
        Settlement::Confirming,
        &[Settlement::Confirmed, Settlement::Failed],
    ),
    (
        Settlement::Confirmed,
        &[Settlement::Settled, Settlement::Failed],
    ),
    (Settlement::Settled, &[]),
    (Settlement::Failed, &[]),
]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_row_and_none_comes_back() {
        assert!(PAYMENT.statuses().eq(Payment::ALL));
        assert!(SETTLEMENT.statuses().eq(Settlement::ALL));
        // The idempotency keys of the events rely on this: a status is reached at most once.
        assert!(!PAYMENT.statuses().any(|one| PAYMENT.comes_back(one)));
        assert!(!SETTLEMENT.statuses().any(|one| SETTLEMENT.comes_back(one)));
    }

    #[test]
    fn a_settlement_fails_from_wherever_it_is_not_at_its_end() {
        for status in Settlement::ALL {
            let fails = SETTLEMENT.check(status, Settlement::Failed).is_ok();
            assert_eq!(fails, !SETTLEMENT.is_final(status), "{status}");
        }
    }

    #[test]
    fn a_refusal_names_from_to_and_what_comes_next() {
        let refused = PAYMENT.check(Payment::Created, Payment::Captured);
        let refused = refused.expect_err("not before it is authorized");
        assert_eq!(
            refused.to_string(),
            "created cannot become captured; only authorized, failed or cancelled can follow"
        );
        let refused = SETTLEMENT.check(Settlement::Settled, Settlement::Failed);
        let refused = refused.expect_err("it is over");
        assert_eq!(
            refused.to_string(),
            "settled cannot become failed; it is a final status"
        );
        let refused = PAYMENT.check(Payment::PartiallyRefunded, Payment::Failed);
        assert_eq!(refused.expect_err("too late").allowed, ["refunded"]);
    }
}
