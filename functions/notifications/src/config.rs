//! The settings of `notifications`.

use events::{EmailAddress, Usd};
use outbox::{
    Table,
    env::{Env, SettingError, wrong},
};

use crate::texts::Writer;

/// Everything the consumer reads from its environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// The runtime's settings and lanes.
    pub consumer: consumer::Config,
    /// The marks.
    pub marks: Table,
    /// Contacts, notes and the record of sent mails.
    pub table: Table,
    /// The application's URL and the credits' rate, for texts.
    pub writer: Writer,
    /// The From address of e-mails; on AWS a verified SES identity.
    pub email_sender: EmailAddress,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        const RATE: &str = "dollars per credit above zero, at most two decimals";
        let usd_rate: Usd = env
            .required("CLOUD_USD_RATE")?
            .parse()
            .map_err(|_| wrong("CLOUD_USD_RATE", RATE))?;
        if usd_rate.is_zero() {
            return Err(wrong("CLOUD_USD_RATE", RATE));
        }
        let email_sender = EmailAddress::new(env.required("EMAIL_SENDER")?)
            .map_err(|_| wrong("EMAIL_SENDER", "an e-mail address"))?;
        Ok(Self {
            consumer: consumer::Config::from_env(env)?,
            marks: Table::marks(env.required("MARKS_TABLE")?),
            table: Table::domain(env.required("NOTIFICATIONS_TABLE")?),
            writer: Writer {
                app_url: app_url(env.required("APP_URL")?)?,
                usd_rate,
            },
            email_sender,
        })
    }
}

/// Paths are appended to it, so it has no slash, query or fragment at its end.
fn app_url(text: &str) -> Result<String, SettingError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: [(&str, &str); 9] = [
        ("STAGE", "test"),
        ("EXPRESS_QUEUE_ARN", "arn:aws:sqs:us-east-1:000000000000:q"),
        ("EXPRESS_QUEUE_URL", "http://queue"),
        ("EXPRESS_DLQ_URL", "http://letters"),
        ("MARKS_TABLE", "marks"),
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
    }

    #[test]
    fn a_missing_or_wrong_setting_is_named() {
        for (key, value) in [
            ("STAGE", ""),
            ("EXPRESS_QUEUE_ARN", ""),
            ("MARKS_TABLE", ""),
            ("NOTIFICATIONS_TABLE", ""),
            ("EMAIL_SENDER", ""),
            ("EMAIL_SENDER", "nobody"),
            ("EMAIL_SENDER", "a@b.example\r\nBcc: c@d.example"),
            ("CLOUD_USD_RATE", ""),
            ("CLOUD_USD_RATE", "0"),
            ("CLOUD_USD_RATE", "ten"),
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
