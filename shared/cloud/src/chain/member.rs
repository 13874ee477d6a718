//! Which members have an address on the chain: this domain's own projection of `member.*`, protected by the version
//! guard on the member's version.

use events::{
    EthereumAddress, MemberId, Sequence, Text,
    contracts::member::{Registered, Updated},
};
use outbox::{Cursor, Error, GuardedPut, Key, Query, Table, encode_item};
use serde::{Deserialize, Serialize};

/// Over how many partitions members and waiting jobs are spread, so that no partition takes all writes.
pub const SHARDS: u8 = 8;

/// The member's data that the chain needs, from the member's latest event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The member's id.
    pub member_id: MemberId,
    /// The member's name.
    pub name: Text<200>,
    /// The member's address on the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ethereum_address: Option<EthereumAddress>,
    /// The member's version in that event.
    pub version: Sequence,
}

macro_rules! member_from {
    ($event:ty) => {
        impl From<&$event> for Member {
            fn from(event: &$event) -> Self {
                Self {
                    member_id: event.member_id.clone(),
                    name: event.name.clone(),
                    ethereum_address: event.ethereum_address.clone(),
                    version: event.version,
                }
            }
        }
    };
}

member_from!(Registered);
member_from!(Updated);

impl Member {
    /// The key of a member's row.
    #[must_use]
    pub fn key(table: &Table, member_id: &MemberId) -> Key {
        table.key(partition(shard_of(member_id)), member_id.as_str())
    }

    /// The write for an event of the member. The version guard ignores an event that is older than the row.
    ///
    /// # Errors
    /// [`Error::Item`] when the row cannot be written as an item.
    pub fn guarded_put(&self, table: &Table) -> Result<GuardedPut, Error> {
        let key = Self::key(table, &self.member_id);
        let item = encode_item(&key, self)?;
        Ok(GuardedPut {
            key,
            item,
            version: self.version.number(),
        })
    }

    /// A page of a shard's members; `shard` is 0 to [`SHARDS`] − 1.
    #[must_use]
    pub fn page(table: &Table, shard: u8, limit: u32, after: Option<Cursor>) -> Query {
        Query {
            after,
            ..Query::partition(table, partition(shard), limit)
        }
    }
}

fn partition(shard: u8) -> String {
    format!("chain_members#{shard}")
}

/// A member's shard. It must never change, because the keys of stored rows contain it. FNV-1a over the id's bytes,
/// folded.
pub(super) fn shard_of(member_id: &MemberId) -> u8 {
    let hash = member_id
        .as_str()
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
    let [one, two, three, four] = hash.to_be_bytes();
    (one ^ two ^ three ^ four) % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_spread_over_the_shards_and_each_stays_in_its_own() {
        let mut used = [0_u32; SHARDS as usize];
        for number in 0..800 {
            let id = MemberId::new(format!("member-{number}")).expect("an id");
            used[usize::from(shard_of(&id))] += 1;
        }
        assert!(used.iter().all(|&members| members > 50), "{used:?}");
        // The keys of stored rows contain the shard: another function would not find them.
        let shards: Vec<u8> = ["ada", "grace", "member-1", "0x"]
            .map(|id| shard_of(&MemberId::new(id).expect("an id")))
            .to_vec();
        assert_eq!(shards, [7, 5, 0, 3]);
    }
}
