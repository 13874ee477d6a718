//! Notices about credits that are staked and unstaked.

use askama::Template as _;
use events::contracts::cloud::{Staked, Unstaked};
use views::notes::Icon;

use super::{Bodies, Head, Page, Rendered, Words};

/// The page that shows staked credits.
const STAKING: &str = "/cloud/staking";

const fn head(subject: &'static str) -> Head {
    Head {
        subject,
        link: STAKING,
        link_text: "See your stakes",
    }
}

pub(super) const STAKED: Head = head("$CLOUD Credits Staked");
pub(super) const UNSTAKED: Head = head("$CLOUD Credits Unstaked");

pub(super) fn staked_note(staked: &Staked) -> Words {
    Words {
        title: "Credits Staked",
        body: format!(
            "{} CLOUD are locked for {} days at {} % of the revenue, until {}.",
            staked.amount,
            staked.lock_duration_days,
            staked.revenue_share_percent,
            staked.unlock_at.date()
        ),
        link: STAKING,
        icon: Icon::Success,
    }
}

pub(super) fn unstaked_note(unstaked: &Unstaked) -> Words {
    Words {
        title: "Credits Unstaked",
        body: format!(
            "{} CLOUD are free again after {} days.",
            unstaked.amount, unstaked.staked_duration
        ),
        link: STAKING,
        icon: Icon::Success,
    }
}

pub(super) fn staked(page: &Page<'_>, data: &Staked) -> Rendered {
    bodies!("staked.html", "staked.txt", Staked, page, data)
}

pub(super) fn unstaked(page: &Page<'_>, data: &Unstaked) -> Rendered {
    bodies!("unstaked.html", "unstaked.txt", Unstaked, page, data)
}
