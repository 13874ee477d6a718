//! What is said, and how: in-app notes, and e-mails from the templates.

use askama::Template;
use events::{
    Credits, Envelope, Usd,
    contracts::{
        alert::TreasuryBackingLow,
        cloud::{Minted, Transferred},
    },
};
use views::notes::{Icon, Note};

use crate::mail::MailKey;

/// Where the balance is shown, under the application's URL.
const BALANCE_PATH: &str = "/cloud";

/// What somebody is told. The name of each is part of the keys of notes and mails: never rename one.
#[derive(Debug, Clone, Copy)]
pub enum Tidings<'a> {
    /// Credits were added to their account.
    Added(&'a Minted),
    /// They gave credits away.
    Sent(&'a Transferred),
    /// They got credits.
    Received(&'a Transferred),
    /// The credits are no longer fully backed.
    BackingLow(&'a TreasuryBackingLow),
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

/// What every mail has.
struct Page<'a> {
    subject: &'static str,
    name: String,
    link: String,
    link_text: &'static str,
    reference: &'a str,
}

struct Added<'a> {
    amount: Credits,
    amount_usd: Usd,
    balance: Credits,
    balance_usd: Option<Usd>,
    payment: Option<&'a str>,
}

struct Moved {
    amount: Credits,
    amount_usd: Usd,
    other: String,
    balance: Credits,
}

/// Both bodies of a mail. The file's ending decides on escaping: `.html` escapes, `.txt` does not.
macro_rules! bodies {
    ($html:tt, $text:tt, $told_type:ty, $page:expr, $told:expr) => {{
        #[derive(Template)]
        #[template(path = $html)]
        struct Html<'a> {
            page: &'a Page<'a>,
            told: &'a $told_type,
        }
        #[derive(Template)]
        #[template(path = $text)]
        struct Plain<'a> {
            page: &'a Page<'a>,
            told: &'a $told_type,
        }
        let (page, told) = ($page, $told);
        (
            Html { page, told }.render()?,
            Plain { page, told }.render()?,
        )
    }};
}

impl Tidings<'_> {
    /// The word in keys and logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Added(_) => "added",
            Self::Sent(_) => "sent",
            Self::Received(_) => "received",
            Self::BackingLow(_) => "backing_low",
        }
    }

    const fn subject(&self) -> &'static str {
        match self {
            Self::Added(_) => "$CLOUD Credits Added",
            Self::Sent(_) => "$CLOUD Credits Sent",
            Self::Received(_) => "$CLOUD Credits Received",
            Self::BackingLow(_) => "$CLOUD Backing Below 100 %",
        }
    }

    /// The in-app note; alerts go by mail only.
    #[must_use]
    pub fn note(&self, envelope: &Envelope) -> Option<Note> {
        let (title, body, icon) = match self {
            Self::Added(minted) => (
                "Credits Added",
                format!("{} CLOUD arrived on your account.", minted.amount),
                Icon::Success,
            ),
            Self::Sent(moved) => (
                "Credits Sent",
                format!(
                    "{} CLOUD went to {}.",
                    moved.amount,
                    one_line(moved.to_member_name.as_str())
                ),
                Icon::Info,
            ),
            Self::Received(moved) => (
                "Credits Received",
                format!(
                    "{} CLOUD came from {}.",
                    moved.amount,
                    one_line(moved.from_member_name.as_str())
                ),
                Icon::Success,
            ),
            Self::BackingLow(_) => return None,
        };
        Some(Note {
            title: title.to_owned(),
            body,
            link: BALANCE_PATH.to_owned(),
            icon,
            created_at: envelope.occurred_at,
            event_id: envelope.event_id,
        })
    }
}

impl Writer {
    /// The mail to somebody of this name.
    ///
    /// # Errors
    /// [`askama::Error`] when a template cannot be rendered.
    pub fn mail(
        &self,
        tidings: &Tidings<'_>,
        name: &str,
        key: &MailKey,
    ) -> Result<Content, askama::Error> {
        let subject = tidings.subject();
        let page = &Page {
            subject,
            name: one_line(name),
            link: format!("{}{BALANCE_PATH}", self.app_url),
            link_text: match tidings {
                Tidings::BackingLow(_) => "Open $CLOUD",
                Tidings::Added(_) | Tidings::Sent(_) | Tidings::Received(_) => "See your balance",
            },
            reference: key.as_str(),
        };
        let (html, text) = match tidings {
            Tidings::Added(minted) => {
                let told = &Added {
                    amount: minted.amount,
                    amount_usd: minted.amount_usd,
                    balance: minted.balance_after,
                    balance_usd: self.in_dollars(minted.balance_after),
                    payment: minted.stripe_charge_id.as_ref().map(|id| id.as_str()),
                };
                bodies!("minted.html", "minted.txt", Added<'a>, page, told)
            }
            Tidings::Sent(moved) => {
                let told = &Moved {
                    amount: moved.amount,
                    amount_usd: moved.amount_usd,
                    other: one_line(moved.to_member_name.as_str()),
                    balance: moved.from_balance_after,
                };
                bodies!("sent.html", "sent.txt", Moved, page, told)
            }
            Tidings::Received(moved) => {
                let told = &Moved {
                    amount: moved.amount,
                    amount_usd: moved.amount_usd,
                    other: one_line(moved.from_member_name.as_str()),
                    balance: moved.to_balance_after,
                };
                bodies!("received.html", "received.txt", Moved, page, told)
            }
            Tidings::BackingLow(alert) => bodies!(
                "backing_low.html",
                "backing_low.txt",
                TreasuryBackingLow,
                page,
                *alert
            ),
        };
        Ok(Content {
            subject,
            html,
            text,
        })
    }

    /// What credits are worth; `None` beyond what an amount holds.
    fn in_dollars(&self, credits: Credits) -> Option<Usd> {
        let exact = credits.decimal().checked_mul(self.usd_rate.decimal())?;
        Usd::rounded(exact).ok()
    }
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
mod tests {
    use events::MemberId;

    use super::*;

    const HOSTILE: &str =
        "<script>alert(1)</script>\nBcc: all@example.com\t\"x\" & 'y' \u{202e}evil";

    fn writer() -> Writer {
        Writer {
            app_url: "https://app.example.com".into(),
            usd_rate: "10".parse().expect("dollars"),
        }
    }

    fn transferred(from: &str, to: &str) -> Transferred {
        serde_json::from_value(serde_json::json!({
            "transaction_id": "00000000-0000-4000-8000-000000000001",
            "from_member_id": "m-1", "from_member_name": from, "to_member_id": "m-2", "to_member_name": to,
            "amount": 12.5, "amount_usd": 125, "from_balance_after": 87.5, "to_balance_after": 12.5,
            "from_version": 2, "to_version": 1,
        }))
        .expect("a transfer")
    }

    fn minted(balance: f64) -> Minted {
        serde_json::from_value(serde_json::json!({
            "transaction_id": "00000000-0000-4000-8000-000000000001",
            "member_id": "m-1", "member_name": "Ada", "amount": 100, "amount_usd": 1000, "balance_after": balance,
            "stripe_charge_id": "ch_<1>", "version": 1,
        }))
        .expect("a mint")
    }

    fn key(template: &str) -> MailKey {
        MailKey::of("e-1", &MemberId::new("m-1").expect("an id"), template)
    }

    fn mail(tidings: &Tidings<'_>, name: &str) -> Content {
        writer()
            .mail(tidings, name, &key(tidings.name()))
            .expect("renders")
    }

    #[test]
    fn a_mint_mail_says_amount_balance_payment_and_where_to_look() {
        let content = mail(&Tidings::Added(&minted(100.125)), "Ada");
        assert_eq!(content.subject, "$CLOUD Credits Added");
        assert_eq!(
            content.text,
            format!(
                "Hello Ada,\n\n100 CLOUD ($1000.00) arrived on your account.\nYou now hold 100.125 CLOUD ($1001.25).\n\
                 Payment: ch_<1>\n\nSee your balance: https://app.example.com/cloud\n\nReference: {}",
                key("added")
            )
        );
        assert!(
            content
                .html
                .contains(r#"href="https://app.example.com/cloud""#)
        );
        assert!(content.html.contains("100.125 CLOUD ($1001.25)"));
        assert!(content.html.contains("ch_&#60;1&#62;"));
    }

    #[test]
    fn a_balance_beyond_the_largest_amount_of_dollars_is_shown_in_credits_only() {
        let rich = Writer {
            usd_rate: "9999999999".parse().expect("dollars"),
            ..writer()
        };
        let minted = minted(999_999_999.999_999);
        let content = rich.mail(&Tidings::Added(&minted), "Ada", &key("added"));
        assert!(
            content
                .expect("renders")
                .text
                .contains("hold 999999999.999999 CLOUD.")
        );
    }

    #[test]
    fn hostile_names_are_escaped_and_stay_on_their_line() {
        let moved = transferred(HOSTILE, HOSTILE);
        for tidings in [Tidings::Sent(&moved), Tidings::Received(&moved)] {
            let content = mail(&tidings, HOSTILE);
            assert!(!content.html.contains("<script"), "{}", content.html);
            assert!(content.html.contains("&#60;script&#62;alert(1)&#60;/script&#62; Bcc: all@example.com &#34;x&#34; &#38; &#39;y&#39; evil"));
            let plain = "<script>alert(1)</script> Bcc: all@example.com \"x\" & 'y' evil";
            assert!(
                content.text.starts_with(&format!("Hello {plain},\n")),
                "{}",
                content.text
            );
            assert!(!content.subject.contains("Bcc"));
            for body in [&content.html, &content.text] {
                assert!(!body.contains("\nBcc") && !body.contains('\u{202e}'));
            }
        }
    }

    #[test]
    fn both_sides_of_a_transfer_read_their_own_balance_and_the_others_name() {
        let moved = transferred("Ada", "Bob");
        let sent = mail(&Tidings::Sent(&moved), "Ada");
        assert_eq!(sent.subject, "$CLOUD Credits Sent");
        assert!(
            sent.text
                .contains("12.50 CLOUD ($125.00) to Bob is done.\nYou now hold 87.50 CLOUD.")
        );
        let received = mail(&Tidings::Received(&moved), "Bob");
        assert_eq!(received.subject, "$CLOUD Credits Received");
        assert!(
            received
                .text
                .contains("Ada gave you 12.50 CLOUD ($125.00).\nYou now hold 12.50 CLOUD.")
        );
    }

    #[test]
    fn the_alert_mail_says_how_much_is_missing() {
        let alert = TreasuryBackingLow {
            backing_percent: "87.50".parse().expect("per cent"),
            total_cloud_outstanding: "200".parse().expect("credits"),
            mercury_balance: "1750".parse().expect("dollars"),
            shortfall: "250".parse().expect("dollars"),
        };
        let content = mail(&Tidings::BackingLow(&alert), "Eve");
        assert_eq!(content.subject, "$CLOUD Backing Below 100 %");
        for words in [
            "87.50 %",
            "200 CLOUD",
            "$1750.00",
            "Missing to 100 %: $250.00",
        ] {
            assert!(content.text.contains(words), "{}", content.text);
            assert!(content.html.contains(words), "{}", content.html);
        }
    }
}
