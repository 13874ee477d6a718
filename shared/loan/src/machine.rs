//! The statuses as a table: which may follow which. Everything else is refused.

use domain::Transitions;
use events::contracts::loan::LoanStatus as Status;

/// The statuses of a loan.
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
        // What the names of facts rest on: a status is reached at most once.
        assert!(!LOAN.statuses().any(|one| LOAN.comes_back(one)));
    }
}
