//! The texts of in-app notices, and of e-mails, which are rendered from templates.

use events::{
    Credits, Envelope, Timestamp, Usd,
    contracts::{
        alert::TreasuryBackingLow,
        cloud::{
            Burned, Minted, RateCardApproved, RateCardCreated, Redeemed, Staked, SyncDiverged,
            Transferred, Unstaked,
        },
        credit,
        loan::{DrawApproved, PaidOff, PaymentReceived, PaymentScheduleGenerated},
        order,
    },
};
use outbox::env::{SettingError, wrong};
use views::notes::{Icon, Note};

use crate::MailKey;

/// Renders both bodies of a mail. The file extension decides on escaping: `.html` escapes, `.txt` does not.
macro_rules! bodies {
    ($html:tt, $text:tt, $data_type:ty, $page:expr, $data:expr) => {{
        #[derive(askama::Template)]
        #[template(path = $html)]
        struct Html<'a> {
            page: &'a Page<'a>,
            told: &'a $data_type,
        }
        #[derive(askama::Template)]
        #[template(path = $text)]
        struct Plain<'a> {
            page: &'a Page<'a>,
            told: &'a $data_type,
        }
        let (page, told) = ($page, $data);
        Ok(Bodies {
            html: Html { page, told }.render()?,
            text: Plain { page, told }.render()?,
        })
    }};
}

mod admins;
mod earnings;
mod loans;
mod movements;
mod orders;
mod rate_cards;
mod stakes;

pub use earnings::Earned;

/// A notice. Its name is part of the keys of in-app notices and mails: never rename one.
#[derive(Debug, Clone, Copy)]
pub enum Notice<'a> {
    /// Credits were added to the recipient's account.
    Added(&'a Minted),
    /// The recipient transferred credits to another member.
    Sent(&'a Transferred),
    /// The recipient received credits from another member.
    Received(&'a Transferred),
    /// The recipient's credits paid for a resource.
    Redeemed(&'a Redeemed),
    /// The recipient's credits were destroyed.
    Burned(&'a Burned),
    /// The recipient's credits were locked.
    Staked(&'a Staked),
    /// The recipient's locked credits are free again.
    Unstaked(&'a Unstaked),
    /// A rate card was proposed.
    RateCardCreated(&'a RateCardCreated),
    /// A rate card was approved.
    RateCardApproved(&'a RateCardApproved),
    /// The credits are no longer fully backed.
    BackingLow(&'a TreasuryBackingLow),
    /// The books and the chain state different balances.
    SyncDiverged(&'a SyncDiverged),
    /// The recipient earned points.
    EarningsReceived(Earned),
    /// The recipient's loan was funded; the event is its first payment plan.
    LoanFunded(&'a PaymentScheduleGenerated),
    /// A new payment plan applies to the recipient's loan.
    LoanPlanChanged(&'a PaymentScheduleGenerated),
    /// A payment on the recipient's loan was received.
    LoanPaymentReceived(&'a PaymentReceived),
    /// A draw on the recipient's loan was approved and paid out.
    LoanDrawApproved(&'a DrawApproved),
    /// The recipient's loan was paid off.
    LoanPaidOff(&'a PaidOff),
    /// The recipient placed an order.
    OrderReceived(&'a order::Created),
    /// The recipient's order was confirmed.
    OrderConfirmed(&'a order::Confirmed),
    /// The recipient's order was rejected.
    OrderRejected(&'a order::Rejected),
    /// The recipient's order was cancelled.
    OrderCancelled(&'a order::Cancelled),
    /// The goods of the recipient's order were shipped.
    OrderShipped(&'a order::Shipped),
    /// The recipient's credit account was blocked.
    CreditBlocked(&'a credit::Changed),
    /// Credit or stock does not answer an order.
    OrderStuck(&'a order::Stuck),
}

/// The text of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The subject.
    pub subject: &'static str,
    /// The body as HTML.
    pub html: String,
    /// The body as plain text.
    pub text: String,
}

/// Renders the mails.
#[derive(Debug, Clone)]
pub struct Writer {
    /// The application's URL, without a slash at the end.
    pub app_url: String,
    /// US dollars per credit.
    pub usd_rate: Usd,
}

/// The text of an in-app notice.
struct Words {
    title: &'static str,
    body: String,
    /// A path below the application's URL.
    link: &'static str,
    icon: Icon,
}

/// The parts that all mails of one kind share.
struct Head {
    subject: &'static str,
    /// A path below the application's URL.
    link: &'static str,
    link_text: &'static str,
}

/// The parts that every mail has.
struct Page<'a> {
    subject: &'static str,
    name: String,
    link: String,
    link_text: &'static str,
    reference: &'a str,
}

struct Bodies {
    html: String,
    text: String,
}

type Rendered = Result<Bodies, askama::Error>;

impl Notice<'_> {
    /// The notice's name in keys and logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Added(_) => "added",
            Self::Sent(_) => "sent",
            Self::Received(_) => "received",
            Self::Redeemed(_) => "redeemed",
            Self::Burned(_) => "burned",
            Self::Staked(_) => "staked",
            Self::Unstaked(_) => "unstaked",
            Self::RateCardCreated(_) => "rate_card_created",
            Self::RateCardApproved(_) => "rate_card_approved",
            Self::BackingLow(_) => "backing_low",
            Self::SyncDiverged(_) => "sync_diverged",
            Self::EarningsReceived(_) => "earnings_received",
            Self::LoanFunded(_) => "loan_funded",
            Self::LoanPlanChanged(_) => "loan_plan_changed",
            Self::LoanPaymentReceived(_) => "loan_payment_received",
            Self::LoanDrawApproved(_) => "loan_draw_approved",
            Self::LoanPaidOff(_) => "loan_paid_off",
            Self::OrderReceived(_) => "order_received",
            Self::OrderConfirmed(_) => "order_confirmed",
            Self::OrderRejected(_) => "order_rejected",
            Self::OrderCancelled(_) => "order_cancelled",
            Self::OrderShipped(_) => "order_shipped",
            Self::CreditBlocked(_) => "credit_blocked",
            Self::OrderStuck(_) => "order_stuck",
        }
    }

    /// The head of the mail; `None` if this notice is not sent by mail.
    const fn head(&self) -> Option<Head> {
        Some(match self {
            Self::Added(_) => movements::ADDED,
            Self::Sent(_) => movements::SENT,
            Self::Received(_) => movements::RECEIVED,
            // Resources are used all day long, so a mail for each use would be too much.
            Self::Redeemed(_) => return None,
            Self::Burned(_) => movements::BURNED,
            Self::Staked(_) => stakes::STAKED,
            Self::Unstaked(_) => stakes::UNSTAKED,
            Self::RateCardCreated(_) => rate_cards::CREATED,
            Self::RateCardApproved(_) => rate_cards::APPROVED,
            Self::BackingLow(_) => admins::BACKING_LOW,
            Self::SyncDiverged(_) => admins::SYNC_DIVERGED,
            Self::EarningsReceived(_) => earnings::RECEIVED,
            Self::LoanFunded(_) => loans::FUNDED,
            Self::LoanPlanChanged(_) => loans::PLAN_CHANGED,
            Self::LoanPaymentReceived(_) => loans::PAYMENT_RECEIVED,
            Self::LoanDrawApproved(_) => loans::DRAW_APPROVED,
            Self::LoanPaidOff(_) => loans::PAID_OFF,
            Self::OrderReceived(_) => orders::RECEIVED,
            Self::OrderConfirmed(_) => orders::CONFIRMED,
            Self::OrderRejected(_) => orders::REJECTED,
            Self::OrderCancelled(_) => orders::CANCELLED,
            Self::OrderShipped(_) => orders::SHIPPED,
            Self::CreditBlocked(_) => orders::CREDIT_BLOCKED,
            Self::OrderStuck(_) => admins::ORDER_STUCK,
        })
    }

    fn words(&self) -> Option<Words> {
        Some(match self {
            Self::Added(minted) => movements::added_note(minted),
            Self::Sent(moved) => movements::sent_note(moved),
            Self::Received(moved) => movements::received_note(moved),
            Self::Redeemed(redeemed) => movements::redeemed_note(redeemed),
            Self::Burned(burned) => movements::burned_note(burned),
            Self::Staked(staked) => stakes::staked_note(staked),
            Self::Unstaked(unstaked) => stakes::unstaked_note(unstaked),
            Self::RateCardCreated(card) => rate_cards::created_note(card),
            Self::RateCardApproved(card) => rate_cards::approved_note(card),
            Self::EarningsReceived(earned) => earnings::received_note(earned),
            Self::LoanFunded(plan) => loans::funded_note(plan),
            Self::LoanPlanChanged(plan) => loans::plan_changed_note(plan),
            Self::LoanPaymentReceived(payment) => loans::payment_received_note(payment),
            Self::LoanDrawApproved(draw) => loans::draw_approved_note(draw),
            Self::LoanPaidOff(end) => loans::paid_off_note(end),
            // Alerts for admins are not news about the admin's own account.
            Self::BackingLow(_) | Self::SyncDiverged(_) | Self::OrderStuck(_) => return None,
            // Customers have no in-app notices.
            Self::OrderReceived(_)
            | Self::OrderConfirmed(_)
            | Self::OrderRejected(_)
            | Self::OrderCancelled(_)
            | Self::OrderShipped(_)
            | Self::CreditBlocked(_) => return None,
        })
    }

    /// The subject of the mail; `None` if this notice is in-app only.
    #[must_use]
    pub const fn subject(&self) -> Option<&'static str> {
        match self.head() {
            Some(head) => Some(head.subject),
            None => None,
        }
    }

    /// The in-app notice; `None` if this notice is sent by mail only.
    #[must_use]
    pub fn note(&self, envelope: &Envelope) -> Option<Note> {
        let words = self.words()?;
        Some(Note {
            title: words.title.to_owned(),
            body: words.body,
            link: words.link.to_owned(),
            icon: words.icon,
            created_at: envelope.occurred_at,
            event_id: envelope.event_id,
        })
    }
}

impl Writer {
    /// A writer from the settings `APP_URL` and `CLOUD_USD_RATE`.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn of_settings(app_url: &str, usd_rate: &str) -> Result<Self, SettingError> {
        const RATE: &str = "must be dollars per credit: above zero, with at most two decimals";
        let rate: Usd = usd_rate
            .parse()
            .map_err(|_| wrong("CLOUD_USD_RATE", RATE))?;
        if rate.is_zero() {
            return Err(wrong("CLOUD_USD_RATE", RATE));
        }
        Ok(Self {
            app_url: checked_url(app_url)?,
            usd_rate: rate,
        })
    }

    /// The mail to the person with this name; `None` if this notice is in-app only.
    ///
    /// # Errors
    /// [`askama::Error`] when a template cannot be rendered.
    pub fn mail(
        &self,
        notice: &Notice<'_>,
        name: &str,
        key: &MailKey,
    ) -> Result<Option<Content>, askama::Error> {
        let Some(head) = notice.head() else {
            return Ok(None);
        };
        let page = &Page {
            subject: head.subject,
            name: one_line(name),
            link: format!("{}{}", self.app_url, head.link),
            link_text: head.link_text,
            reference: key.as_str(),
        };
        let bodies = match notice {
            Notice::Added(minted) => {
                movements::added(page, minted, self.in_dollars(minted.balance_after))
            }
            Notice::Sent(moved) => movements::sent(page, moved),
            Notice::Received(moved) => movements::received(page, moved),
            Notice::Redeemed(_) => return Ok(None),
            Notice::Burned(burned) => movements::burned(page, burned),
            Notice::Staked(staked) => stakes::staked(page, staked),
            Notice::Unstaked(unstaked) => stakes::unstaked(page, unstaked),
            Notice::RateCardCreated(card) => rate_cards::created(page, card),
            Notice::RateCardApproved(card) => rate_cards::approved(page, card),
            Notice::BackingLow(alert) => admins::backing_low(page, alert),
            Notice::SyncDiverged(diverged) => admins::sync_diverged(page, diverged),
            Notice::EarningsReceived(earned) => earnings::received(page, earned),
            Notice::LoanFunded(plan) => loans::funded(page, plan),
            Notice::LoanPlanChanged(plan) => loans::plan_changed(page, plan),
            Notice::LoanPaymentReceived(payment) => loans::payment_received(page, payment),
            Notice::LoanDrawApproved(draw) => loans::draw_approved(page, draw),
            Notice::LoanPaidOff(end) => loans::paid_off(page, end),
            Notice::OrderReceived(order) => orders::received(page, order),
            Notice::OrderConfirmed(order) => orders::confirmed(page, order),
            Notice::OrderRejected(order) => orders::rejected(page, order),
            Notice::OrderCancelled(order) => orders::cancelled(page, order),
            Notice::OrderShipped(order) => orders::shipped(page, order),
            Notice::CreditBlocked(change) => orders::credit_blocked(page, change),
            Notice::OrderStuck(stuck) => admins::order_stuck(page, stuck),
        }?;
        Ok(Some(Content {
            subject: head.subject,
            html: bodies.html,
            text: bodies.text,
        }))
    }

    /// The value of credits in US dollars; `None` if it does not fit an amount.
    fn in_dollars(&self, credits: Credits) -> Option<Usd> {
        let exact = credits.decimal().checked_mul(self.usd_rate.decimal())?;
        Usd::rounded(exact).ok()
    }
}

/// Checks the application's URL. Paths are appended to it, so it must not end with a slash, query or fragment.
fn checked_url(text: &str) -> Result<String, SettingError> {
    let shaped = text.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
    });
    if shaped && !text.ends_with('/') && !text.contains(['?', '#']) {
        Ok(text.to_owned())
    } else {
        Err(wrong(
            "APP_URL",
            "must be an http or https URL without a slash, query or fragment at the end",
        ))
    }
}

/// A time for people, to the minute.
fn to_the_minute(moment: Timestamp) -> String {
    let text = moment.to_string();
    let time: String = text.chars().skip(11).take(5).collect();
    format!("{} {time} UTC", moment.date())
}

/// Makes text that somebody else wrote safe to show as a name: one line, single spaces, and no marks that change the
/// writing direction of the text after it.
fn one_line(text: &str) -> String {
    let plain: String = text
        .chars()
        .filter(|c| !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .map(|c| if c.is_control() || c == '\u{2028}' || c == '\u{2029}' { ' ' } else { c })
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
