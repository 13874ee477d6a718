//! Anchors: the heads of all chains at a given time, under one MAC. A chain that is changed later no longer matches its
//! anchors, and new anchors cannot be created without the key.

use std::time::Duration;

use events::Timestamp;
use outbox::{Cursor, Key, Query, Table};
use serde::{Deserialize, Serialize};

use crate::{
    Hash, Head,
    chain::numbered,
    hash::{encode, hex, unhex},
};

/// The number of heads in one row. An aggregate's name has at most 1,089 bytes; with number and hash a head has 1.2 KB.
/// So a row with the longest names stays under 300 KB and fits an item (400 KB,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>, read 2026-11-21).
pub const HEADS_PER_PAGE: u32 = 250;

/// How long the pages of an anchor are kept. Every anchor of the last month can be checked in full, with some spare
/// days for a monthly check. The anchors themselves are kept forever.
pub const PAGE_LIFE: Duration = Duration::from_secs(35 * 24 * 60 * 60);

const PAGE: &str = "millrace audit anchor page 1";
const ROOT: &str = "millrace audit anchor root 1";
const ANCHOR: &str = "millrace audit anchor 1";

/// A head as recorded in an anchor: the entry `number` of this chain has this hash, and must keep it forever.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AnchoredHead {
    /// The aggregate of the chain, `type#id`.
    pub aggregate: String,
    /// The number of the last entry.
    pub number: u64,
    /// The hash of that entry.
    pub hash: Hash,
}

impl From<Head> for AnchoredHead {
    fn from(head: Head) -> Self {
        Self {
            aggregate: head.aggregate,
            number: head.number,
            hash: head.hash,
        }
    }
}

/// A page of the heads of an anchor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnchorPage {
    /// The job's pass that read the heads; the anchor names it.
    pub pass: String,
    /// The page's number within the pass, from 1.
    pub number: u64,
    /// The heads, each as it was when it was read.
    pub heads: Vec<AnchoredHead>,
}

/// A page as it is stored.
#[derive(Debug, Serialize)]
pub struct StoredPage<'a> {
    #[serde(flatten)]
    page: &'a AnchorPage,
    /// DynamoDB TTL, seconds since 1970.
    expires_at: i64,
}

impl AnchorPage {
    /// The page's row, which expires after [`PAGE_LIFE`].
    #[must_use]
    pub fn stored(&self, now: Timestamp) -> StoredPage<'_> {
        StoredPage {
            page: self,
            expires_at: now.plus(PAGE_LIFE).unix_seconds(),
        }
    }

    /// The digest of the page, from which the anchor's root is computed.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let number = self.number.to_be_bytes();
        let numbers: Vec<[u8; 8]> = self
            .heads
            .iter()
            .map(|head| head.number.to_be_bytes())
            .collect();
        let mut parts: Vec<&[u8]> = vec![self.pass.as_bytes(), &number];
        for (head, number) in self.heads.iter().zip(&numbers) {
            parts.extend([
                head.aggregate.as_bytes(),
                number.as_slice(),
                head.hash.as_bytes(),
            ]);
        }
        Hash::of(PAGE, &parts)
    }
}

/// The running totals over the pages of an anchor that is being written or checked: the number of pages and heads, and
/// the root so far. The root is the SHA-256 over the previous root and the next page's digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealing {
    /// The number of pages so far.
    pub pages: u64,
    /// The number of heads in those pages.
    pub heads: u64,
    /// The root over those pages.
    pub root: Hash,
}

impl Default for Sealing {
    fn default() -> Self {
        Self {
            pages: 0,
            heads: 0,
            root: Hash::START,
        }
    }
}

impl Sealing {
    /// The totals after one more page.
    #[must_use]
    pub fn with(self, page: &AnchorPage) -> Self {
        let heads = u64::try_from(page.heads.len()).unwrap_or(u64::MAX);
        Self {
            pages: self.pages + 1,
            heads: self.heads.saturating_add(heads),
            root: Hash::of(ROOT, &[self.root.as_bytes(), page.digest().as_bytes()]),
        }
    }
}

/// The heads of all chains at a given time, sealed by a MAC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The anchor's number: 1, 2, 3… without gaps.
    pub number: u64,
    /// The job's pass that read the heads.
    pub pass: String,
    /// When the first head was read.
    pub started_at: Timestamp,
    /// When the last head was read. No head is newer.
    pub taken_at: Timestamp,
    /// The number of pages and heads, and the root.
    #[serde(flatten)]
    pub sealing: Sealing,
    /// The MAC of the previous anchor, hexadecimal; absent in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_mac: Option<String>,
    /// The MAC over all other fields, hexadecimal; empty until the anchor is sealed.
    pub mac: String,
}

impl Anchor {
    /// The anchor after another one, not yet sealed.
    #[must_use]
    pub fn behind(
        last: Option<&Self>,
        pass: String,
        started_at: Timestamp,
        taken_at: Timestamp,
        sealing: Sealing,
    ) -> Self {
        Self {
            number: last.map_or(0, |last| last.number) + 1,
            pass,
            started_at,
            taken_at,
            sealing,
            previous_mac: last.map(|last| last.mac.clone()),
            mac: String::new(),
        }
    }

    /// The message that the MAC covers: every field except the MAC itself. It has a few hundred bytes; KMS accepts
    /// 4,096 (<https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateMac.html>, read 2026-11-21).
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        encode(
            ANCHOR,
            &[
                &self.number.to_be_bytes(),
                self.pass.as_bytes(),
                self.started_at.to_string().as_bytes(),
                self.taken_at.to_string().as_bytes(),
                &self.sealing.pages.to_be_bytes(),
                &self.sealing.heads.to_be_bytes(),
                self.sealing.root.as_bytes(),
                self.previous_mac.as_deref().unwrap_or_default().as_bytes(),
            ],
        )
    }

    /// The same anchor, sealed with this MAC.
    #[must_use]
    pub fn sealed(self, mac: &[u8]) -> Self {
        Self {
            mac: hex(mac),
            ..self
        }
    }

    /// The MAC's bytes; `None` if the text is not hexadecimal or is empty.
    #[must_use]
    pub fn mac_bytes(&self) -> Option<Vec<u8>> {
        unhex(&self.mac).filter(|mac| !mac.is_empty())
    }
}

const ANCHORS: &str = "anchors";

/// The key of an anchor.
#[must_use]
pub fn anchor_key(table: &Table, number: u64) -> Key {
    table.key(ANCHORS, numbered(number))
}

/// The query for a page of the anchors, in order.
#[must_use]
pub fn anchors(table: &Table, limit: u32, after: Option<Cursor>) -> Query {
    Query {
        after,
        ..Query::partition(table, ANCHORS, limit)
    }
}

/// The query for the newest anchor.
#[must_use]
pub fn last_anchor(table: &Table) -> Query {
    Query {
        descending: true,
        ..Query::partition(table, ANCHORS, 1)
    }
}

/// The key of a page of an anchor.
#[must_use]
pub fn page_key(table: &Table, pass: &str, number: u64) -> Key {
    table.key(format!("anchor#{pass}"), numbered(number))
}

/// The query for the pages of an anchor, in order.
#[must_use]
pub fn pages(table: &Table, pass: &str, limit: u32, after: Option<Cursor>) -> Query {
    Query {
        after,
        ..Query::partition(table, format!("anchor#{pass}"), limit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(pass: &str, number: u64, heads: &[(String, u64)]) -> AnchorPage {
        AnchorPage {
            pass: pass.into(),
            number,
            heads: heads
                .iter()
                .map(|(aggregate, number)| AnchoredHead {
                    aggregate: aggregate.clone(),
                    number: *number,
                    hash: Hash::of("h", &[aggregate.as_bytes()]),
                })
                .collect(),
        }
    }

    fn heads() -> impl Strategy<Value = Vec<(String, u64)>> {
        prop::collection::vec(("[a-b]{1,3}#[a-b]{0,2}", 1..4_u64), 0..4)
    }

    proptest! {
        #[test]
        fn pages_with_the_same_digest_are_the_same(
            one in heads(), other in heads(), numbers in (1..3_u64, 1..3_u64),
        ) {
            let (left, right) = (page("p", numbers.0, &one), page("p", numbers.1, &other));
            prop_assert_eq!(left.digest() == right.digest(), left == right);
        }
    }

    #[test]
    fn the_root_depends_on_every_page_and_on_their_order() {
        let (one, two) = (
            page("p", 1, &[("a#1".into(), 1)]),
            page("p", 2, &[("b#1".into(), 1)]),
        );
        let root = |pages: &[&AnchorPage]| {
            let sealing = Sealing::default();
            pages.iter().fold(sealing, |so_far, page| so_far.with(page))
        };
        let whole = root(&[&one, &two]);
        assert_eq!((whole.pages, whole.heads), (2, 2));
        let roots = [
            whole.root,
            root(&[&two, &one]).root,
            root(&[&one]).root,
            root(&[]).root,
        ];
        for (at, root) in roots.iter().enumerate() {
            assert!(!roots[at + 1..].contains(root));
        }
    }

    #[test]
    fn everything_in_an_anchor_but_its_mac_is_under_the_mac() {
        let last = Anchor::behind(
            None,
            "p".into(),
            Timestamp::EPOCH,
            Timestamp::EPOCH,
            Sealing::default(),
        )
        .sealed(&[1, 2]);
        assert_eq!((last.number, last.mac_bytes()), (1, Some(vec![1, 2])));
        let later = Timestamp::EPOCH.plus(Duration::from_millis(1));
        let next = Anchor::behind(Some(&last), "q".into(), later, later, Sealing::default());
        assert_eq!(
            (next.number, next.previous_mac.as_deref()),
            (2, Some("0102"))
        );
        let message = next.message();
        assert!(message.len() < 4_096);
        assert_eq!(next.clone().sealed(&[9]).message(), message);
        let earlier = Timestamp::EPOCH;
        let changed = [
            Anchor {
                number: 3,
                ..next.clone()
            },
            Anchor {
                pass: "r".into(),
                ..next.clone()
            },
            Anchor {
                started_at: earlier,
                ..next.clone()
            },
            Anchor {
                taken_at: earlier,
                ..next.clone()
            },
            Anchor {
                sealing: Sealing {
                    pages: 1,
                    ..next.sealing
                },
                ..next.clone()
            },
            Anchor {
                sealing: Sealing {
                    heads: 1,
                    ..next.sealing
                },
                ..next.clone()
            },
            Anchor {
                sealing: Sealing {
                    root: Hash::of("x", &[]),
                    ..next.sealing
                },
                ..next.clone()
            },
            Anchor {
                previous_mac: None,
                ..next
            },
        ];
        for anchor in changed {
            assert_ne!(anchor.message(), message, "{anchor:?}");
        }
    }

    #[test]
    fn a_page_of_the_longest_names_fits_an_item() {
        // 64 characters of type, `#`, and 256 characters of id with four bytes each.
        let longest = "a".repeat(64) + "#" + &"𝄞".repeat(256);
        let heads: Vec<(String, u64)> = (0..HEADS_PER_PAGE)
            .map(|_| (longest.clone(), u64::MAX))
            .collect();
        let page = page(&"p".repeat(36), u64::MAX, &heads);
        let row = serde_json::to_string(&page.stored(Timestamp::EPOCH)).expect("writes");
        assert!(row.len() < 350 * 1_024, "{}", row.len());
    }
}
