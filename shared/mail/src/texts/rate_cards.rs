//! Notices about rate cards: the prices of resources.

use askama::Template as _;
use events::{
    Credits,
    contracts::cloud::{Primitive, RateCardApproved, RateCardCreated},
};
use views::notes::Icon;

use super::{Bodies, Head, Page, Rendered, Words, one_line};

/// The page that shows rate cards.
const RATE_CARDS: &str = "/cloud/rate-cards";

const fn head(subject: &'static str) -> Head {
    Head {
        subject,
        link: RATE_CARDS,
        link_text: "See the rate card",
    }
}

pub(super) const CREATED: Head = head("New $CLOUD Rate Card Proposed");
pub(super) const APPROVED: Head = head("$CLOUD Rate Card Approved");

pub(super) fn created_note(card: &RateCardCreated) -> Words {
    Words {
        title: "Rate Card Proposed",
        body: format!(
            "{} proposed rate card v{}, effective {}.",
            one_line(card.proposed_by_name.as_str()),
            card.version,
            card.effective_date.date()
        ),
        link: RATE_CARDS,
        icon: Icon::Info,
    }
}

pub(super) fn approved_note(card: &RateCardApproved) -> Words {
    Words {
        title: "Rate Card Approved",
        body: format!(
            "Rate card v{} is approved and applies from {}.",
            card.version,
            card.effective_date.date()
        ),
        link: RATE_CARDS,
        icon: Icon::Info,
    }
}

/// A line of a rate card.
struct Rate {
    name: &'static str,
    credits: Credits,
    unit: &'static str,
}

struct Proposed<'a> {
    card: &'a RateCardCreated,
    proposer: String,
    rates: [Rate; Primitive::ALL.len()],
}

pub(super) fn created(page: &Page<'_>, card: &RateCardCreated) -> Rendered {
    let data = &Proposed {
        card,
        proposer: one_line(card.proposed_by_name.as_str()),
        rates: Primitive::ALL.map(|primitive| Rate {
            name: match primitive {
                Primitive::Compute => "Compute",
                Primitive::Transfer => "Transfer",
                Primitive::Ltm => "Long-term memory",
                Primitive::Stm => "Short-term memory",
            },
            credits: card.rates.of(primitive),
            unit: primitive.unit().as_str(),
        }),
    };
    bodies!(
        "rate_card_created.html",
        "rate_card_created.txt",
        Proposed<'a>,
        page,
        data
    )
}

struct Approved<'a> {
    card: &'a RateCardApproved,
    approver: String,
}

pub(super) fn approved(page: &Page<'_>, card: &RateCardApproved) -> Rendered {
    let data = &Approved {
        card,
        approver: one_line(card.approved_by_name.as_str()),
    };
    bodies!(
        "rate_card_approved.html",
        "rate_card_approved.txt",
        Approved<'a>,
        page,
        data
    )
}
