//! Notices about earned points.

use askama::Template as _;
use events::{
    Points, Timestamp,
    contracts::wallet::{EscrowPartialSettled, EscrowSettled},
};
use views::notes::Icon;

use super::{Bodies, Head, Page, Rendered, Words, to_the_minute};

/// The page that shows earnings.
const EARNINGS: &str = "/wallet/earnings";

pub(super) const RECEIVED: Head = Head {
    subject: "Earnings Received",
    link: EARNINGS,
    link_text: "See your earnings",
};

/// What a model earned from an escrow, in full or in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earned {
    amount: Points,
    balance: Points,
    at: Timestamp,
}

impl Earned {
    /// All held points, earned at this time.
    #[must_use]
    pub fn whole(settled: &EscrowSettled, at: Timestamp) -> Self {
        Self {
            amount: settled.amount,
            balance: settled.model_earned_balance,
            at,
        }
    }

    /// The earned part of a divided escrow; `None` if nothing was earned.
    #[must_use]
    pub fn part(divided: &EscrowPartialSettled, at: Timestamp) -> Option<Self> {
        (!divided.settle_amount.is_zero()).then_some(Self {
            amount: divided.settle_amount,
            balance: divided.model_earned_balance,
            at,
        })
    }

    fn time(&self) -> String {
        to_the_minute(self.at)
    }
}

pub(super) fn received_note(earned: &Earned) -> Words {
    Words {
        title: "Earnings Received",
        body: format!("You earned {} points on {}.", earned.amount, earned.time()),
        link: EARNINGS,
        icon: Icon::Success,
    }
}

pub(super) fn received(page: &Page<'_>, data: &Earned) -> Rendered {
    bodies!(
        "earnings_received.html",
        "earnings_received.txt",
        Earned,
        page,
        data
    )
}
