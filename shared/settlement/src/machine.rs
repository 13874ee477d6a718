//! State machines as data: a table says which status may follow which, everything else is refused.

use std::fmt;

use events::contracts::{payment::PaymentStatus, settlement::SettlementStatus};

/// A status of a machine.
pub trait Status: Copy + Eq + fmt::Display + 'static {
    /// What may follow what: every status once, with those that may come next.
    const TABLE: &'static [(Self, &'static [Self])];

    /// What may come next; nothing where the machine has come to its end.
    #[must_use]
    fn next(self) -> &'static [Self] {
        let row = Self::TABLE.iter().find(|(from, _)| *from == self);
        row.map_or(&[], |(_, next)| next)
    }

    /// Whether nothing comes next.
    #[must_use]
    fn is_final(self) -> bool {
        self.next().is_empty()
    }

    /// Whether `to` may come next.
    ///
    /// # Errors
    /// [`Illegal`] names both and what may come instead.
    fn may_become(self, to: Self) -> Result<(), Illegal> {
        if self.next().contains(&to) {
            Ok(())
        } else {
            Err(self.refused(to))
        }
    }

    /// That `to` may not come next.
    #[must_use]
    fn refused(self, to: Self) -> Illegal {
        Illegal {
            from: self.to_string(),
            to: to.to_string(),
            allowed: self.next().iter().map(ToString::to_string).collect(),
        }
    }
}

/// A transition that the table does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{from} cannot become {to}; {}", words(.allowed))]
pub struct Illegal {
    /// The status that it has.
    pub from: String,
    /// The one that was asked for.
    pub to: String,
    /// Those that may come next.
    pub allowed: Vec<String>,
}

fn words(allowed: &[String]) -> String {
    match allowed.split_last() {
        None => "nothing comes after it".to_owned(),
        Some((one, [])) => format!("only {one} comes next"),
        Some((last, rest)) => format!("{} or {last} comes next", rest.join(", ")),
    }
}

impl Status for PaymentStatus {
    const TABLE: &'static [(Self, &'static [Self])] = &[
        (
            Self::Created,
            &[Self::Authorized, Self::Failed, Self::Cancelled],
        ),
        (
            Self::Authorized,
            &[Self::Captured, Self::Failed, Self::Cancelled],
        ),
        (Self::Captured, &[Self::PartiallyRefunded, Self::Refunded]),
        (Self::PartiallyRefunded, &[Self::Refunded]),
        (Self::Refunded, &[]),
        (Self::Failed, &[]),
        (Self::Cancelled, &[]),
    ];
}

impl Status for SettlementStatus {
    const TABLE: &'static [(Self, &'static [Self])] = &[
        (Self::Created, &[Self::NetworkSelected, Self::Failed]),
        (Self::NetworkSelected, &[Self::Submitted, Self::Failed]),
        (Self::Submitted, &[Self::Confirming, Self::Failed]),
        (Self::Confirming, &[Self::Confirmed, Self::Failed]),
        (Self::Confirmed, &[Self::Settled, Self::Failed]),
        (Self::Settled, &[]),
        (Self::Failed, &[]),
    ];
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn rows<S: Status + Ord>() -> BTreeSet<S> {
        let rows: BTreeSet<S> = S::TABLE.iter().map(|(from, _)| *from).collect();
        assert_eq!(rows.len(), S::TABLE.len(), "a status stands twice");
        rows
    }

    /// Whether a status can come back, whichever way.
    fn comes_back<S: Status + Ord>(status: S) -> bool {
        let mut seen = BTreeSet::new();
        let mut ahead: Vec<S> = status.next().to_vec();
        while let Some(one) = ahead.pop() {
            if one == status {
                return true;
            }
            if seen.insert(one) {
                ahead.extend(one.next());
            }
        }
        false
    }

    #[test]
    fn every_status_has_its_row_and_none_comes_back() {
        assert_eq!(rows(), BTreeSet::from(PaymentStatus::ALL));
        assert_eq!(rows(), BTreeSet::from(SettlementStatus::ALL));
        // What the names of facts rest on: a status is reached at most once.
        assert!(!PaymentStatus::ALL.into_iter().any(comes_back));
        assert!(!SettlementStatus::ALL.into_iter().any(comes_back));
    }

    #[test]
    fn a_settlement_fails_from_wherever_it_is_not_at_its_end() {
        for status in SettlementStatus::ALL {
            let fails = status.may_become(SettlementStatus::Failed).is_ok();
            assert_eq!(fails, !status.is_final(), "{status}");
        }
    }

    #[test]
    fn what_the_table_lacks_is_refused_with_from_to_and_what_comes_next() {
        let refused = PaymentStatus::Created.may_become(PaymentStatus::Captured);
        let refused = refused.expect_err("not before it is authorized");
        assert_eq!(
            refused.to_string(),
            "created cannot become captured; authorized, failed or cancelled comes next"
        );
        let refused = SettlementStatus::Settled.may_become(SettlementStatus::Failed);
        let refused = refused.expect_err("it is over");
        assert_eq!(
            refused.to_string(),
            "settled cannot become failed; nothing comes after it"
        );
        let refused = PaymentStatus::PartiallyRefunded.may_become(PaymentStatus::Failed);
        assert_eq!(refused.expect_err("too late").allowed, ["refunded"]);
    }
}
