//! The settings of `notifications`.

use events::{Credits, EmailAddress};
use mail::texts::Writer;
use outbox::{
    Table,
    env::{Env, SettingError, wrong},
};

/// Smaller redemptions leave no note, unless the setting changes this.
const REDEEMED_NOTE_FROM: u16 = 10;

/// The settings of this consumer only. [`host::Consumer`] reads those that every consumer has.
#[derive(Debug, Clone)]
pub struct Config {
    /// Contacts, notes, fan-outs and the record of sent mails.
    pub table: Table,
    /// The application's URL and the value of a credit, for the texts.
    pub writer: Writer,
    /// The From address of e-mails; on AWS a verified SES identity.
    pub email_sender: EmailAddress,
    /// Smaller redemptions leave no note.
    pub redeemed_note_from: Credits,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        let email_sender = EmailAddress::new(env.required("EMAIL_SENDER")?)
            .map_err(|_| wrong("EMAIL_SENDER", "an e-mail address"))?;
        Ok(Self {
            table: Table::domain(env.required("NOTIFICATIONS_TABLE")?),
            writer: Writer::of_settings(env.required("APP_URL")?, env.required("CLOUD_USD_RATE")?)?,
            email_sender,
            redeemed_note_from: redeemed_note_from(env)?,
        })
    }
}

fn redeemed_note_from(env: &Env) -> Result<Credits, SettingError> {
    const KEY: &str = "REDEEMED_NOTE_FROM";
    let expected = "credits, at most six decimals";
    match env.optional(KEY) {
        Some(text) => text.parse().map_err(|_| wrong(KEY, expected)),
        None => Credits::new(REDEEMED_NOTE_FROM.into()).map_err(|_| wrong(KEY, expected)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: [(&str, &str); 4] = [
        ("NOTIFICATIONS_TABLE", "notifications"),
        ("APP_URL", "https://app.example.com/millrace"),
        ("EMAIL_SENDER", "millrace@example.com"),
        ("CLOUD_USD_RATE", "10"),
    ];

    fn with(key: &'static str, value: &'static str) -> Result<Config, SettingError> {
        Config::from_env(&Env::of(WHOLE.into_iter().chain([(key, value)])))
    }

    #[test]
    fn a_whole_environment_is_read() {
        let config = with("APP_URL", "http://127.0.0.1:8080").expect("whole");
        assert_eq!(config.writer.app_url, "http://127.0.0.1:8080");
        assert_eq!(config.email_sender.as_str(), "millrace@example.com");
        assert_eq!(config.writer.usd_rate.to_string(), "10.00");
        assert_eq!(config.table.name(), "notifications");
        assert_eq!(config.redeemed_note_from.to_string(), "10");
        let config = with("REDEEMED_NOTE_FROM", "0.5").expect("whole");
        assert_eq!(config.redeemed_note_from.to_string(), "0.50");
    }

    #[test]
    fn a_missing_or_wrong_setting_is_named() {
        for (key, value) in [
            ("NOTIFICATIONS_TABLE", ""),
            ("EMAIL_SENDER", ""),
            ("EMAIL_SENDER", "nobody"),
            ("EMAIL_SENDER", "a@b.example\r\nBcc: c@d.example"),
            ("CLOUD_USD_RATE", ""),
            ("CLOUD_USD_RATE", "0"),
            ("CLOUD_USD_RATE", "ten"),
            ("REDEEMED_NOTE_FROM", "much"),
            ("REDEEMED_NOTE_FROM", "-1"),
            ("APP_URL", ""),
            ("APP_URL", "app.example.com"),
            ("APP_URL", "ftp://app.example.com"),
            ("APP_URL", "https://app.example.com/"),
            ("APP_URL", "https://app.example.com?x=1"),
            ("APP_URL", "https://app.example.com#top"),
            ("APP_URL", "https://"),
            ("APP_URL", "https://app example.com"),
        ] {
            let error = with(key, value).expect_err("refused").to_string();
            assert!(error.contains(key), "{error} does not name {key} ({value})");
        }
    }
}
