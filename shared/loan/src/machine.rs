//! The state machine of a loan as a table: which status can follow which. Every other transition is refused.

use domain::Transitions;
use events::contracts::loan::LoanStatus as Status;

/// The transitions of a loan.
pub const LOAN: Transitions<Status> = Transitions::new(&[
    (Status::Created, &[Status::Active, Status::Cancelled]),
    (Status::Active, &[Status::PaidOff]),
    (Status::PaidOff, &[]),
    (Status::Cancelled, &[]),
]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_row_and_none_comes_back() {
        assert!(LOAN.statuses().eq(Status::ALL));
        // The idempotency keys of the events rely on this: a status is reached at most once.
        assert!(!LOAN.statuses().any(|one| LOAN.comes_back(one)));
    }
}
