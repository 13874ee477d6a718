//! The job reads the heads of all chains page by page, and seals them with the last page.
//!
//! An anchor is not a snapshot of one moment: each head is as it was when the job read it. That is enough, because a
//! chain only grows: an anchored head states that entry `number` had this hash, and the entry must keep it forever.
//!
//! The job writes the anchor's row in the transaction of the last page, after KMS has computed the MAC. If KMS cannot
//! be reached, nothing of that page is written, and the next run starts with the same page. So a partial anchor never
//! exists.

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

/// The position of a pass, and what its pages have sealed so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// When the pass began.
    started_at: Timestamp,
    /// The partition of the heads that is being read.
    shard: u8,
    /// The head after which reading continues ([`Cursor::to_text`]). If absent, reading starts with the first head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    /// The digest of the pages so far.
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
    /// Creates the job over the table of the chains, with the key that seals them.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table, key: Arc<dyn MacKey>) -> Self {
        Self { outbox, table, key }
    }

    /// Reads the next heads. Also returns the position of the ones after them.
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

    /// Returns the anchor that seals all heads of the pass.
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
    // The job's lease and its pages' marks contain this name: never rename it.
    const NAME: &'static str = topology::functions::audit_anchor::FUNCTION.name;
    type Cursor = Place;

    async fn page(
        &self,
        cursor: Option<&Place>,
        mut transaction: Transaction,
    ) -> Result<Paged<Place>, Failure> {
        let Mark::JobPage { run: pass, .. } = transaction.mark() else {
            return Err(Failure::park("the page's mark is not a job's mark"));
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
