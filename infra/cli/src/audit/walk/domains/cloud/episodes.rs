//! The alert for low backing: only the last episode may be open, and exactly while the alert is.

use std::collections::BTreeMap;

use cloud::{
    backing::{Alert, Backing},
    books::{WrongEpisode, check_episodes},
};
use outbox::{Item, Table};

use crate::audit::{
    Error, Kind,
    walk::{
        advice,
        audit::{Audit, text},
        reading::Place,
    },
};

/// Compares the alert's state with the rows of its episodes.
pub(super) async fn check(
    audit: &mut Audit<'_>,
    table: &Table,
    pk: &str,
    items: Vec<Item>,
) -> Result<(), Error> {
    let mut wrong = episodes_of(audit, table, items);
    if !wrong.is_empty() {
        // An episode may have begun or ended between two pages. A difference is reported only if a second read shows it
        // too.
        let place = Place::Partition(table.clone(), pk.to_owned());
        let items = place.pages().all(audit).await?;
        let again = episodes_of(audit, table, items);
        wrong.retain(|one| again.contains(one));
    }
    for one in wrong {
        let what = match one {
            WrongEpisode::NeverBegan { episode } => {
                format!("there is a row of episode {episode}, which never began")
            }
            WrongEpisode::StillOpen { episode } => {
                format!("the row of episode {episode} is open, the alert is not open with it")
            }
            WrongEpisode::ClosedTooSoon { episode } => {
                format!("the row of episode {episode} is closed, the alert is open with it")
            }
        };
        audit.of_state(Kind::Books, pk, what, advice::BOOKS);
    }
    Ok(())
}

fn episodes_of(audit: &mut Audit<'_>, table: &Table, items: Vec<Item>) -> Vec<WrongEpisode> {
    let mut backing = None;
    let mut alerts = BTreeMap::new();
    for item in items {
        let sk = text(&item, "sk").unwrap_or_default().to_owned();
        if sk == "state" {
            backing = audit.typed::<Backing>(table, item);
        } else if let Some(Ok(episode)) = sk.strip_prefix("episode#").map(str::parse::<u64>) {
            let alert = audit.typed::<Alert>(table, item);
            alerts.extend(alert.map(|alert| (episode, alert)));
        }
    }
    check_episodes(backing.as_ref(), &alerts)
}
