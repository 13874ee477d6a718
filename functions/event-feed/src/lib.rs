//! `event-feed`: gives every event its position in the feed, in the order of its aggregate.

#[cfg(test)]
mod costs;
pub mod handler;

use std::time::Duration;

use outbox::env::{Env, SettingError, wrong};
use views::feed::LEAST_LIFE;

/// How long rows are kept.
///
/// # Errors
/// [`SettingError`] where it is no number of days, or less than [`LEAST_LIFE`].
pub fn life(env: &Env) -> Result<Duration, SettingError> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    const KEY: &str = "FEED_RETENTION_DAYS";
    let days: u32 = env.parsed(KEY, "a whole number of days", 30)?;
    let life = DAY * days;
    if life < LEAST_LIFE {
        return Err(wrong(KEY, "at least 7 days"));
    }
    Ok(life)
}
