//! Walks over all shards, page by page.

use outbox::{Cursor, Error, Item, Outbox, Query};
use serde::{Deserialize, Serialize};

use super::member::SHARDS;

/// How many queries one page makes at most. If they find little, the walk continues with another page.
const MOST_QUERIES: usize = 50;

/// Where a walk continues.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    shard: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

/// The next page of a walk over all shards: at most `limit` items that `wanted` accepts, and the place where the walk
/// continues, or `None` at the end. `query` builds the query of a shard, with a limit and a start.
///
/// # Errors
/// [`Error`] if the store fails.
pub async fn walk(
    outbox: &Outbox,
    place: Option<&Place>,
    limit: u32,
    query: impl Fn(u8, u32, Option<Cursor>) -> Query,
    wanted: impl Fn(&Item) -> bool,
) -> Result<(Vec<Item>, Option<Place>), Error> {
    let mut place = place.cloned().unwrap_or_default();
    let mut found = Vec::new();
    for _ in 0..MOST_QUERIES {
        let left = limit.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
        if left == 0 {
            break;
        }
        if place.shard >= SHARDS {
            return Ok((found, None));
        }
        let after = place.after.as_deref().and_then(Cursor::from_text);
        let page = outbox
            .store()
            .query(&query(place.shard, left, after))
            .await?;
        found.extend(page.items.into_iter().filter(&wanted));
        place = match page.next {
            Some(next) => Place {
                shard: place.shard,
                after: Some(next.to_text()),
            },
            None => Place {
                shard: place.shard + 1,
                after: None,
            },
        };
    }
    let is_end = place.shard >= SHARDS;
    Ok((found, (!is_end).then_some(place)))
}
