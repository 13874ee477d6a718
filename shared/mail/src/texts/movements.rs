//! Notices about credits that are added, transferred, spent and removed.

use askama::Template as _;
use events::{
    Credits, Usd,
    contracts::cloud::{Burned, Minted, Redeemed, Transferred},
};
use views::notes::Icon;

use super::{Bodies, Head, Page, Rendered, Words, one_line};

/// The page that shows the balance.
const BALANCE: &str = "/cloud";

/// The page that shows the use of resources.
const USAGE: &str = "/cloud/usage";

const fn head(subject: &'static str) -> Head {
    Head {
        subject,
        link: BALANCE,
        link_text: "See your balance",
    }
}

pub(super) const ADDED: Head = head("$CLOUD Credits Added");
pub(super) const SENT: Head = head("$CLOUD Credits Sent");
pub(super) const RECEIVED: Head = head("$CLOUD Credits Received");
pub(super) const BURNED: Head = head("$CLOUD Credits Removed");

pub(super) fn added_note(minted: &Minted) -> Words {
    Words {
        title: "Credits Added",
        body: format!("{} CLOUD arrived in your account.", minted.amount),
        link: BALANCE,
        icon: Icon::Success,
    }
}

pub(super) fn sent_note(moved: &Transferred) -> Words {
    let to = one_line(moved.to_member_name.as_str());
    Words {
        title: "Credits Sent",
        body: format!("{} CLOUD went to {to}.", moved.amount),
        link: BALANCE,
        icon: Icon::Info,
    }
}

pub(super) fn received_note(moved: &Transferred) -> Words {
    let from = one_line(moved.from_member_name.as_str());
    Words {
        title: "Credits Received",
        body: format!("{} CLOUD came from {from}.", moved.amount),
        link: BALANCE,
        icon: Icon::Success,
    }
}

pub(super) fn redeemed_note(redeemed: &Redeemed) -> Words {
    let (amount, quantity, unit) = (redeemed.amount, redeemed.quantity, redeemed.unit.as_str());
    Words {
        title: "Credits Redeemed",
        body: format!(
            "{amount} CLOUD paid for {}: {quantity} {unit}.",
            redeemed.primitive.as_str()
        ),
        link: USAGE,
        icon: Icon::Info,
    }
}

pub(super) fn burned_note(burned: &Burned) -> Words {
    let reason = one_line(burned.reason.as_str());
    Words {
        title: "Credits Removed",
        body: format!("{} CLOUD left your account: {reason}.", burned.amount),
        link: BALANCE,
        icon: Icon::Info,
    }
}

struct Added<'a> {
    amount: Credits,
    amount_usd: Usd,
    balance: Credits,
    balance_usd: Option<Usd>,
    payment: Option<&'a str>,
}

pub(super) fn added(page: &Page<'_>, minted: &Minted, balance_usd: Option<Usd>) -> Rendered {
    let data = &Added {
        amount: minted.amount,
        amount_usd: minted.amount_usd,
        balance: minted.balance_after,
        balance_usd,
        payment: minted.stripe_charge_id.as_ref().map(|id| id.as_str()),
    };
    bodies!("added.html", "added.txt", Added<'a>, page, data)
}

struct Moved {
    amount: Credits,
    amount_usd: Usd,
    other: String,
    balance: Credits,
}

pub(super) fn sent(page: &Page<'_>, moved: &Transferred) -> Rendered {
    let data = &Moved {
        amount: moved.amount,
        amount_usd: moved.amount_usd,
        other: one_line(moved.to_member_name.as_str()),
        balance: moved.from_balance_after,
    };
    bodies!("sent.html", "sent.txt", Moved, page, data)
}

pub(super) fn received(page: &Page<'_>, moved: &Transferred) -> Rendered {
    let data = &Moved {
        amount: moved.amount,
        amount_usd: moved.amount_usd,
        other: one_line(moved.from_member_name.as_str()),
        balance: moved.to_balance_after,
    };
    bodies!("received.html", "received.txt", Moved, page, data)
}

struct Gone {
    amount: Credits,
    amount_usd: Usd,
    reason: String,
    balance: Option<Credits>,
}

pub(super) fn burned(page: &Page<'_>, burned: &Burned) -> Rendered {
    let data = &Gone {
        amount: burned.amount,
        amount_usd: burned.amount_usd,
        reason: one_line(burned.reason.as_str()),
        balance: burned.balance_after,
    };
    bodies!("burned.html", "burned.txt", Gone, page, data)
}
