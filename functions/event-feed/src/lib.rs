//! `event-feed`: gives every event a position in the feed. The events of an aggregate keep their order.

#[cfg(test)]
mod costs;
pub mod handler;

use std::time::Duration;

use outbox::env::{Env, SettingError, wrong};
use views::feed::LEAST_LIFE;

/// Reads how long rows are kept.
///
/// # Errors
/// [`SettingError`] if it is not a number of days, or less than [`LEAST_LIFE`].
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
