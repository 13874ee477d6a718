//! The settings of `notifications-sender`.

use std::time::Duration;

use consumer::schedule;
use events::EmailAddress;
use mail::texts::Writer;
use outbox::{
    Table,
    env::{Env, SettingError, wrong},
};

use crate::job::Pace;

/// The maximum of the mails-per-second setting. SES has its own limit for each account, 1 in the sandbox
/// (<https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas.html>, read 2026-11-21).
const MOST_MAILS_PER_SECOND: u32 = 1_000;

/// The rate that SES allows an account in the sandbox; same page.
const SANDBOX_MAILS_PER_SECOND: u32 = 1;

/// How long after its event a fan-out begins. Most late contacts (retries after 10 and 60 s) have arrived by then.
const FANOUT_DELAY: Duration = Duration::from_secs(90);

/// The settings of this job only. [`host::Job`] reads those that every job has.
#[derive(Debug, Clone)]
pub struct Config {
    /// Contacts, notes, fan-outs, mails.
    pub table: Table,
    /// The application's URL and the value of a credit, for the texts.
    pub writer: Writer,
    /// The From address of e-mails; on AWS a verified SES identity.
    pub email_sender: EmailAddress,
    /// When fan-outs begin, and how fast mails are sent.
    pub pace: Pace,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env, schedule: &schedule::Settings) -> Result<Self, SettingError> {
        let email_sender = EmailAddress::new(env.required("EMAIL_SENDER")?)
            .map_err(|_| wrong("EMAIL_SENDER", "an e-mail address"))?;
        let pace = pace(env)?;
        // A page waits for its mail's turn, sends the mail and commits. The wait must leave time for the rest.
        if schedule.page_timeout < Pace::LEAST_PAGE {
            return Err(wrong(
                "PAGE_TIMEOUT_MS",
                format!("at least {} for a mail", Pace::LEAST_PAGE.as_millis()),
            ));
        }
        Ok(Self {
            table: Table::domain(env.required("NOTIFICATIONS_TABLE")?),
            writer: Writer::of_settings(env.required("APP_URL")?, env.required("CLOUD_USD_RATE")?)?,
            email_sender,
            pace,
        })
    }
}

fn pace(env: &Env) -> Result<Pace, SettingError> {
    const KEY: &str = "MAILS_PER_SECOND";
    let expected = format!("a whole number from 1 to {MOST_MAILS_PER_SECOND}");
    let mails_per_second: u32 = env.parsed(KEY, &expected, SANDBOX_MAILS_PER_SECOND)?;
    if !(1..=MOST_MAILS_PER_SECOND).contains(&mails_per_second) {
        return Err(wrong(KEY, expected));
    }
    Ok(Pace {
        between_mails: Duration::from_secs(1) / mails_per_second,
        fanout_delay: env.seconds("FANOUT_DELAY_SECONDS", FANOUT_DELAY)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: [(&str, &str); 5] = [
        ("STACK_NAME", "dev"),
        ("NOTIFICATIONS_TABLE", "notifications"),
        ("APP_URL", "https://app.example.com"),
        ("EMAIL_SENDER", "millrace@example.com"),
        ("CLOUD_USD_RATE", "10"),
    ];

    fn with(key: &'static str, value: &'static str) -> Result<Config, SettingError> {
        let env = Env::of(WHOLE.into_iter().chain([(key, value)]));
        Config::from_env(&env, &schedule::Settings::from_env(&env)?)
    }

    #[test]
    fn the_default_is_what_a_sandbox_may_send() {
        let config = with("RUST_LOG", "info").expect("whole");
        assert_eq!(config.pace.between_mails, Duration::from_secs(1));
        assert_eq!(config.pace.fanout_delay, Duration::from_secs(90));
        let config = with("MAILS_PER_SECOND", "14").expect("whole");
        assert_eq!(config.pace.between_mails, Duration::from_secs(1) / 14);
    }

    #[test]
    fn a_missing_or_wrong_setting_is_named() {
        for (key, value) in [
            ("STACK_NAME", ""),
            ("NOTIFICATIONS_TABLE", ""),
            ("APP_URL", ""),
            ("APP_URL", "app.example.com"),
            ("EMAIL_SENDER", ""),
            ("EMAIL_SENDER", "nobody"),
            ("CLOUD_USD_RATE", ""),
            ("CLOUD_USD_RATE", "0"),
            ("MAILS_PER_SECOND", "0"),
            ("MAILS_PER_SECOND", "1001"),
            ("MAILS_PER_SECOND", "0.5"),
            ("FANOUT_DELAY_SECONDS", "-1"),
            ("LEASE_SECONDS", "1"),
            ("PAGE_TIMEOUT_MS", "3000"),
        ] {
            let error = with(key, value).expect_err("refused").to_string();
            assert!(error.contains(key), "{error} does not name {key} ({value})");
        }
    }
}
