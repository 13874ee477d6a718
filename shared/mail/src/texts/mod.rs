//! What is said, and how: in-app notes, and e-mails from the templates.

use events::{
    Credits, Envelope, Timestamp, Usd,
    contracts::{
        alert::TreasuryBackingLow,
        cloud::{
            Burned, Minted, RateCardApproved, RateCardCreated, Redeemed, Staked, SyncDiverged,
            Transferred, Unstaked,
        },
        loan::{DrawApproved, PaidOff, PaymentReceived, PaymentScheduleGenerated},
    },
};
use outbox::env::{SettingError, wrong};
use views::notes::{Icon, Note};

use crate::MailKey;

/// Both bodies of a mail. The file's ending decides on escaping: `.html` escapes, `.txt` does not.
macro_rules! bodies {
    ($html:tt, $text:tt, $told_type:ty, $page:expr, $told:expr) => {{
        #[derive(askama::Template)]
        #[template(path = $html)]
        struct Html<'a> {
            page: &'a Page<'a>,
            told: &'a $told_type,
        }
        #[derive(askama::Template)]
        #[template(path = $text)]
        struct Plain<'a> {
            page: &'a Page<'a>,
            told: &'a $told_type,
        }
        let (page, told) = ($page, $told);
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
mod rate_cards;
mod stakes;

pub use earnings::Earned;

/// What somebody is told. The name of each is part of the keys of notes and mails: never rename one.
#[derive(Debug, Clone, Copy)]
pub enum Tidings<'a> {
    /// Credits were added to their account.
    Added(&'a Minted),
    /// They gave credits away.
    Sent(&'a Transferred),
    /// They got credits.
    Received(&'a Transferred),
    /// Credits of theirs were used up for a resource.
    Redeemed(&'a Redeemed),
    /// Credits of theirs ceased to be.
    Burned(&'a Burned),
    /// Credits of theirs are locked.
    Staked(&'a Staked),
    /// Locked credits of theirs are free again.
    Unstaked(&'a Unstaked),
    /// A rate card was proposed.
    RateCardCreated(&'a RateCardCreated),
    /// A rate card was approved.
    RateCardApproved(&'a RateCardApproved),
    /// The credits are no longer fully backed.
    BackingLow(&'a TreasuryBackingLow),
    /// Books and chain state different balances.
    SyncDiverged(&'a SyncDiverged),
    /// They earned points.
    EarningsReceived(Earned),
    /// A loan of theirs was funded; its first payment plan says how it comes back.
    LoanFunded(&'a PaymentScheduleGenerated),
    /// Another payment plan holds for a loan of theirs.
    LoanPlanChanged(&'a PaymentScheduleGenerated),
    /// Their money for a loan came.
    LoanPaymentReceived(&'a PaymentReceived),
    /// More was lent to them.
    LoanDrawApproved(&'a DrawApproved),
    /// All of a loan of theirs came back.
    LoanPaidOff(&'a PaidOff),
}

/// A mail's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The subject.
    pub subject: &'static str,
    /// The body as HTML.
    pub html: String,
    /// The body as plain text.
    pub text: String,
}

/// Writes the mails.
#[derive(Debug, Clone)]
pub struct Writer {
    /// The application's URL, without a slash at its end.
    pub app_url: String,
    /// US dollars per credit.
    pub usd_rate: Usd,
}

/// A note's words.
struct Words {
    title: &'static str,
    body: String,
    /// A path under the application's URL.
    link: &'static str,
    icon: Icon,
}

/// What is the same in all mails of a kind.
struct Head {
    subject: &'static str,
    /// A path under the application's URL.
    link: &'static str,
    link_text: &'static str,
}

/// What every mail has.
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

impl Tidings<'_> {
    /// The word in keys and logs.
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
        }
    }

    /// The mail's head; `None`: there is no mail.
    const fn head(&self) -> Option<Head> {
        Some(match self {
            Self::Added(_) => movements::ADDED,
            Self::Sent(_) => movements::SENT,
            Self::Received(_) => movements::RECEIVED,
            // Resources are used all day long: whoever wants to know looks.
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
            // What admins must look at is no news of their account.
            Self::BackingLow(_) | Self::SyncDiverged(_) => return None,
        })
    }

    /// The mail's subject; `None`: these go by note only.
    #[must_use]
    pub const fn subject(&self) -> Option<&'static str> {
        match self.head() {
            Some(head) => Some(head.subject),
            None => None,
        }
    }

    /// The in-app note; `None`: these go by mail only.
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
    /// A writer as settings describe it: `APP_URL` and `CLOUD_USD_RATE`.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn of_settings(app_url: &str, usd_rate: &str) -> Result<Self, SettingError> {
        const RATE: &str = "dollars per credit above zero, at most two decimals";
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

    /// The mail to somebody of this name; `None` where these tidings go by note only.
    ///
    /// # Errors
    /// [`askama::Error`] when a template cannot be rendered.
    pub fn mail(
        &self,
        tidings: &Tidings<'_>,
        name: &str,
        key: &MailKey,
    ) -> Result<Option<Content>, askama::Error> {
        let Some(head) = tidings.head() else {
            return Ok(None);
        };
        let page = &Page {
            subject: head.subject,
            name: one_line(name),
            link: format!("{}{}", self.app_url, head.link),
            link_text: head.link_text,
            reference: key.as_str(),
        };
        let bodies = match tidings {
            Tidings::Added(minted) => {
                movements::added(page, minted, self.in_dollars(minted.balance_after))
            }
            Tidings::Sent(moved) => movements::sent(page, moved),
            Tidings::Received(moved) => movements::received(page, moved),
            Tidings::Redeemed(_) => return Ok(None),
            Tidings::Burned(burned) => movements::burned(page, burned),
            Tidings::Staked(staked) => stakes::staked(page, staked),
            Tidings::Unstaked(unstaked) => stakes::unstaked(page, unstaked),
            Tidings::RateCardCreated(card) => rate_cards::created(page, card),
            Tidings::RateCardApproved(card) => rate_cards::approved(page, card),
            Tidings::BackingLow(alert) => admins::backing_low(page, alert),
            Tidings::SyncDiverged(diverged) => admins::sync_diverged(page, diverged),
            Tidings::EarningsReceived(earned) => earnings::received(page, earned),
            Tidings::LoanFunded(plan) => loans::funded(page, plan),
            Tidings::LoanPlanChanged(plan) => loans::plan_changed(page, plan),
            Tidings::LoanPaymentReceived(payment) => loans::payment_received(page, payment),
            Tidings::LoanDrawApproved(draw) => loans::draw_approved(page, draw),
            Tidings::LoanPaidOff(end) => loans::paid_off(page, end),
        }?;
        Ok(Some(Content {
            subject: head.subject,
            html: bodies.html,
            text: bodies.text,
        }))
    }

    /// What credits are worth; `None` beyond what an amount holds.
    fn in_dollars(&self, credits: Credits) -> Option<Usd> {
        let exact = credits.decimal().checked_mul(self.usd_rate.decimal())?;
        Usd::rounded(exact).ok()
    }
}

/// Paths are appended to it, so it has no slash, query or fragment at its end.
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
            "an http or https URL without a slash, query or fragment at its end",
        ))
    }
}

/// A moment as people read it, to the minute.
fn to_the_minute(moment: Timestamp) -> String {
    let text = moment.to_string();
    let time: String = text.chars().skip(11).take(5).collect();
    format!("{} {time} UTC", moment.date())
}

/// What a member wrote, so that it can look like nothing but a name: one line, single spaces, no marks that turn the
/// direction of what follows.
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
