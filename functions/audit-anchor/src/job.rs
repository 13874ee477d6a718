//! The job: reads all heads page by page, and seals them with the last page.
//!
//! No moment is caught at which all chains stood so: each head is as it was when it was read. That is enough, because a
//! chain only grows: an anchored head says that entry `number` had this hash, and it must have it for ever.
//!
//! The anchor's row is written in the transaction of the last page, after the key has sealed it. Where the key cannot be
//! reached nothing of that page is written, and the next run begins with it again: there are no half anchors.

use std::sync::Arc;

use async_trait::async_trait;
use audit_chain::{
    Anchor, AnchorPage, AnchoredHead, HEAD_SHARDS, HEADS_PER_PAGE, Head, MacKey, Sealing,
    anchor_key, heads, last_anchor, page_key,
};
use consumer::{
    Failure,
    schedule::{self, Next, Paged},
};
use events::Timestamp;
use outbox::{Cursor, Mark, Outbox, Table, Transaction};
use serde::{Deserialize, Serialize};

/// The job `audit-anchor`.
pub struct AuditAnchor {
    outbox: Outbox,
    table: Table,
    key: Arc<dyn MacKey>,
}

impl std::fmt::Debug for AuditAnchor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditAnchor")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

/// Where a pass stands, and what its pages came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// When it began.
    started_at: Timestamp,
    /// Which partition of the heads.
    shard: u8,
    /// Behind which of its heads ([`Cursor::to_text`]); absent: with its first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    /// The pages so far.
    #[serde(flatten)]
    sealing: Sealing,
}

impl Place {
    fn beginning(now: Timestamp) -> Self {
        Self {
            started_at: now,
            shard: 0,
            after: None,
            sealing: Sealing::default(),
        }
    }
}

impl AuditAnchor {
    /// Over the table of the chains, sealing with a key.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table, key: Arc<dyn MacKey>) -> Self {
        Self { outbox, table, key }
    }

    /// The next heads, and where the ones after them are.
    async fn heads(&self, mut place: Place) -> Result<(Vec<AnchoredHead>, Place), Failure> {
        let mut found: Vec<AnchoredHead> = Vec::new();
        while place.shard < HEAD_SHARDS {
            let have = u32::try_from(found.len()).unwrap_or(u32::MAX);
            let left = HEADS_PER_PAGE.saturating_sub(have);
            if left == 0 {
                break;
            }
            let after = place.after.as_deref().and_then(Cursor::from_text);
            let query = heads(&self.table, place.shard, left, after);
            let (rows, next) = self.outbox.rows::<Head>(&query).await?;
            found.extend(rows.into_iter().map(AnchoredHead::from));
            match next {
                Some(next) => place.after = Some(next.to_text()),
                None => (place.shard, place.after) = (place.shard + 1, None),
            }
        }
        Ok((found, place))
    }

    /// What seals all that was read.
    async fn anchor(&self, pass: &str, place: &Place, now: Timestamp) -> Result<Anchor, Failure> {
        let (last, _) = self
            .outbox
            .rows::<Anchor>(&last_anchor(&self.table))
            .await?;
        let anchor = Anchor::behind(
            last.first(),
            pass.to_owned(),
            place.started_at,
            now,
            place.sealing,
        );
        let mac = self.key.generate(&anchor.message()).await?;
        Ok(anchor.sealed(&mac))
    }
}

#[async_trait]
impl schedule::Job for AuditAnchor {
    // The identity of its lease and of its pages' marks: never rename it.
    const NAME: &'static str = topology::functions::audit_anchor::FUNCTION.name;
    type Cursor = Place;

    async fn page(
        &self,
        cursor: Option<&Place>,
        mut transaction: Transaction,
    ) -> Result<Paged<Place>, Failure> {
        let Mark::JobPage { run: pass, .. } = transaction.mark() else {
            return Err(Failure::park("a page of a job has a job's mark"));
        };
        let (pass, now) = (pass.clone(), transaction.now());
        let begun = cursor.cloned().unwrap_or_else(|| Place::beginning(now));
        let (found, mut place) = self.heads(begun).await?;
        let read = u64::try_from(found.len()).unwrap_or(u64::MAX);
        if read > 0 {
            let page = AnchorPage {
                pass: pass.clone(),
                number: place.sealing.pages + 1,
                heads: found,
            };
            let key = page_key(&self.table, &pass, page.number);
            transaction.insert(key, &page.stored(now))?;
            place.sealing = place.sealing.with(&page);
        }
        if place.shard < HEAD_SHARDS {
            return Ok(Paged::new(transaction, Next::From(place)).count("heads", read));
        }
        let anchor = self.anchor(&pass, &place, now).await?;
        transaction.insert(anchor_key(&self.table, anchor.number), &anchor)?;
        Ok(Paged::new(transaction, Next::End)
            .count("heads", read)
            .count("anchors", 1))
    }
}

#[cfg(test)]
mod tests;
