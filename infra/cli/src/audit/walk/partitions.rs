//! A table's items, partition by partition.

use std::collections::VecDeque;

use outbox::{Cursor, Item};

use super::super::Error;
use super::{Audit, Place, text};

/// What is left to read. A scan tells a partition's items one after the other, whatever its pages.
pub(super) struct Partitions {
    places: std::vec::IntoIter<Place>,
    /// The one that is being read, and behind what.
    place: Option<(Place, Option<Cursor>)>,
    read: VecDeque<Item>,
    /// So many of what was read belong to the first one's partition.
    together: usize,
}

impl Partitions {
    pub(super) fn of(places: Vec<Place>) -> Self {
        Self {
            places: places.into_iter(),
            place: None,
            read: VecDeque::new(),
            together: 0,
        }
    }

    /// All items of the next partition and its key; none: there is no other.
    pub(super) async fn next(
        &mut self,
        audit: &mut Audit<'_>,
    ) -> Result<Option<(String, Vec<Item>)>, Error> {
        loop {
            let first = self.read.front().and_then(|item| text(item, "pk"));
            let rest = self.read.iter().skip(self.together);
            self.together += rest.take_while(|item| text(item, "pk") == first).count();
            let another_begins = self.together < self.read.len();
            if another_begins || self.place.is_none() && !self.read.is_empty() {
                let pk = first.unwrap_or_default().to_owned();
                let items = self.read.drain(..self.together).collect();
                self.together = 0;
                return Ok(Some((pk, items)));
            }
            let place = self.place.take();
            let Some((place, after)) = place.or_else(|| Some((self.places.next()?, None))) else {
                return Ok(None);
            };
            let page = audit.page(&place, after).await?;
            self.read.extend(page.items);
            self.place = page.next.map(|next| (place, Some(next)));
        }
    }
}
