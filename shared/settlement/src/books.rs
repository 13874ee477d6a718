//! Compares payments with their settlements: what the settlements of a payment have that did not fail, and what was
//! refunded, is no more than what was captured. Flow, the fault campaign and the audit run it over states that are
//! rebuilt from events, so it shares nothing with the rules but those states.

use std::{collections::BTreeMap, fmt};

use events::{
    Money, PaymentId, SettlementId,
    contracts::{
        payment::{Currency, PaymentStatus},
        settlement::SettlementStatus,
    },
};
use rust_decimal::Decimal;

use crate::{Payment, Settlement};

/// Something that does not add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// A settlement is of a payment that is not in the books.
    NoPayment {
        /// The settlement.
        settlement_id: SettlementId,
        /// The payment that it names.
        payment_id: PaymentId,
    },
    /// A settlement is in another currency than its payment.
    OtherCurrency {
        /// The settlement.
        settlement_id: SettlementId,
        /// Its payment.
        payment_id: PaymentId,
    },
    /// More was settled and refunded than was captured.
    TooMuch {
        /// The payment.
        payment_id: PaymentId,
        /// What was captured; zero if the payment was never captured.
        captured: Money,
        /// What was refunded.
        refunded: Money,
        /// The sum of the settlements that have not failed.
        settled: Decimal,
        /// The part of it in settlements that the payment does not count, because they were created before payments
        /// did.
        uncounted: Decimal,
    },
    /// A payment counts another sum than its settlements give.
    OtherSum {
        /// The payment.
        payment_id: PaymentId,
        /// What the payment counts.
        allocated: Money,
        /// The sum of the settlements that it counts and that have not failed.
        settled: Decimal,
    },
}

impl Wrong {
    /// The settlement that it is about; `None` if it is about a payment.
    #[must_use]
    pub fn settlement_id(&self) -> Option<SettlementId> {
        match self {
            Self::NoPayment { settlement_id, .. } | Self::OtherCurrency { settlement_id, .. } => {
                Some(*settlement_id)
            }
            Self::TooMuch { .. } | Self::OtherSum { .. } => None,
        }
    }

    /// The payment.
    #[must_use]
    pub fn payment_id(&self) -> PaymentId {
        match self {
            Self::NoPayment { payment_id, .. }
            | Self::OtherCurrency { payment_id, .. }
            | Self::TooMuch { payment_id, .. }
            | Self::OtherSum { payment_id, .. } => *payment_id,
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPayment { payment_id, .. } => {
                write!(f, "settles payment/{payment_id}, which has no event")
            }
            Self::OtherCurrency { payment_id, .. } => {
                write!(f, "is in another currency than payment/{payment_id}")
            }
            Self::TooMuch {
                payment_id,
                captured,
                refunded,
                settled,
                uncounted,
            } => {
                write!(
                    f,
                    "the settlements of payment/{payment_id} have {settled:.2}, but {captured} were captured and {refunded} refunded"
                )?;
                if uncounted.is_zero() {
                    return Ok(());
                }
                write!(f, "; it does not count {uncounted:.2} of its settlements")
            }
            Self::OtherSum {
                payment_id,
                allocated,
                settled,
            } => write!(
                f,
                "payment/{payment_id} counts {allocated} in its settlements, which have {settled:.2}"
            ),
        }
    }
}

/// What the books need of a payment.
#[derive(Debug, Clone, Copy)]
struct Paid {
    currency: Currency,
    captured: Money,
    refunded: Money,
    allocated: Money,
    /// The sum of its settlements that have not failed, counted by the payment and not.
    settled: [Decimal; 2],
}

/// What the books need of a settlement.
#[derive(Debug, Clone, Copy)]
struct Sent {
    settlement_id: SettlementId,
    payment_id: PaymentId,
    currency: Currency,
    amount: Money,
    has_failed: bool,
    is_counted: bool,
}

/// Payments and settlements that are compared with each other.
#[derive(Debug, Clone, Default)]
pub struct Books {
    payments: BTreeMap<PaymentId, Paid>,
    settlements: Vec<Sent>,
}

impl Books {
    /// Enters a payment.
    pub fn enter_payment(&mut self, payment: &Payment) {
        let captured = match payment.status() {
            PaymentStatus::Captured
            | PaymentStatus::PartiallyRefunded
            | PaymentStatus::Refunded => payment.amount(),
            PaymentStatus::Created
            | PaymentStatus::Authorized
            | PaymentStatus::Failed
            | PaymentStatus::Cancelled => Money::ZERO,
        };
        let paid = Paid {
            currency: payment.currency(),
            captured,
            refunded: payment.refunded(),
            allocated: payment.allocated(),
            settled: [Decimal::ZERO; 2],
        };
        self.payments.insert(payment.payment_id(), paid);
    }

    /// Enters a settlement.
    pub fn enter_settlement(&mut self, settlement: &Settlement) {
        self.settlements.push(Sent {
            settlement_id: settlement.settlement_id(),
            payment_id: settlement.payment_id(),
            currency: settlement.currency(),
            amount: settlement.amount(),
            has_failed: settlement.status() == SettlementStatus::Failed,
            is_counted: settlement.payment_version().is_some(),
        });
    }

    /// Everything that does not add up; what is about settlements first. Each payment's sum is compared with what it
    /// counts only if every settlement belongs to a payment in its currency: otherwise the sums are wrong for that
    /// reason.
    #[must_use]
    pub fn check(mut self) -> Vec<Wrong> {
        let mut found = Vec::new();
        for sent in &self.settlements {
            let (settlement_id, payment_id) = (sent.settlement_id, sent.payment_id);
            let Some(paid) = self.payments.get_mut(&payment_id) else {
                found.push(Wrong::NoPayment {
                    settlement_id,
                    payment_id,
                });
                continue;
            };
            if paid.currency != sent.currency {
                found.push(Wrong::OtherCurrency {
                    settlement_id,
                    payment_id,
                });
                continue;
            }
            if !sent.has_failed {
                let [counted, uncounted] = &mut paid.settled;
                let sum = if sent.is_counted { counted } else { uncounted };
                *sum = sum.saturating_add(sent.amount.decimal());
            }
        }
        let all_belong = found.is_empty();
        for (payment_id, paid) in self.payments {
            let [counted, uncounted] = paid.settled;
            let settled = counted.saturating_add(uncounted);
            if settled.saturating_add(paid.refunded.decimal()) > paid.captured.decimal() {
                found.push(Wrong::TooMuch {
                    payment_id,
                    captured: paid.captured,
                    refunded: paid.refunded,
                    settled,
                    uncounted,
                });
            } else if all_belong && counted != paid.allocated.decimal() {
                found.push(Wrong::OtherSum {
                    payment_id,
                    allocated: paid.allocated,
                    settled: counted,
                });
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use domain::testing::{at, number};
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    fn payment_id() -> PaymentId {
        Uuid::from_u128(1).into()
    }

    fn payment(status: &str, refunded: f64, allocated: f64) -> Payment {
        let payment = json!({
            "payment_id": payment_id(), "amount": 10, "currency": "USD", "status": status, "refunded": refunded,
            "refunds": 0, "allocated": allocated, "created_at": at(0), "updated_at": at(0)
        });
        serde_json::from_value(payment).expect("a payment")
    }

    fn settlement(id: u128, amount: f64, status: &str, payment_version: Option<u64>) -> Settlement {
        let settlement = json!({
            "settlement_id": Uuid::from_u128(id), "payment_id": payment_id(), "amount": amount, "currency": "USD",
            "status": status, "transitions": 1, "confirmations": 0, "payment_version": payment_version.map(number),
            "created_at": at(0), "updated_at": at(0)
        });
        serde_json::from_value(settlement).expect("a settlement")
    }

    fn check(payment: &Payment, settlements: &[Settlement]) -> Vec<Wrong> {
        let mut books = Books::default();
        books.enter_payment(payment);
        for one in settlements {
            books.enter_settlement(one);
        }
        books.check()
    }

    fn words(found: &[Wrong]) -> Vec<String> {
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn settlements_within_what_was_captured_are_sound_and_those_that_failed_count_for_nothing() {
        let found = check(
            &payment("partially_refunded", 3.0, 7.0),
            &[
                settlement(2, 4.0, "settled", Some(4)),
                settlement(3, 3.0, "submitted", Some(5)),
                settlement(4, 10.0, "failed", Some(6)),
            ],
        );
        assert_eq!(words(&found), [""; 0]);
    }

    #[test]
    fn a_cent_more_than_was_captured_is_found_with_the_numbers() {
        let id = payment_id();
        let found = check(
            &payment("partially_refunded", 3.0, 7.01),
            &[settlement(2, 7.01, "settled", Some(4))],
        );
        let expected = format!(
            "the settlements of payment/{id} have 7.01, but 10.00 were captured and 3.00 refunded"
        );
        assert_eq!(words(&found), [expected]);
        let found = check(
            &payment("authorized", 0.0, 0.0),
            &[settlement(2, 1.0, "created", None)],
        );
        let expected = format!(
            "the settlements of payment/{id} have 1.00, but 0.00 were captured and 0.00 refunded; it does not count 1.00 of its settlements"
        );
        assert_eq!(words(&found), [expected]);
    }

    #[test]
    fn a_payment_that_counts_another_sum_than_its_settlements_have_is_found() {
        let id = payment_id();
        let uncounted = check(
            &payment("captured", 0.0, 7.0),
            &[settlement(2, 7.0, "settled", None)],
        );
        let expected = format!("payment/{id} counts 7.00 in its settlements, which have 0.00");
        assert_eq!(words(&uncounted), [expected]);
        let given_back = check(
            &payment("captured", 0.0, 0.0),
            &[settlement(2, 7.0, "settled", Some(4))],
        );
        let expected = format!("payment/{id} counts 0.00 in its settlements, which have 7.00");
        assert_eq!(words(&given_back), [expected]);
        let kept = check(
            &payment("captured", 0.0, 7.0),
            &[settlement(2, 7.0, "failed", Some(4))],
        );
        assert!(matches!(&kept[..], [Wrong::OtherSum { .. }]), "{kept:?}");
    }

    #[test]
    fn a_settlement_of_no_payment_or_in_another_currency_is_found_and_no_sum_is_blamed_for_it() {
        let captured = payment("captured", 0.0, 7.0);
        for (field, value) in [
            ("currency", json!("EUR")),
            ("payment_id", json!(Uuid::from_u128(9))),
        ] {
            let mut changed: Value = json!(settlement(2, 7.0, "settled", Some(4)));
            changed[field] = value;
            let changed: Settlement = serde_json::from_value(changed).expect("a settlement");
            let found = check(&captured, &[changed]);
            let [wrong] = &found[..] else {
                panic!("{field}: {found:?}")
            };
            assert_eq!(wrong.settlement_id(), Some(Uuid::from_u128(2).into()));
        }
    }
}
