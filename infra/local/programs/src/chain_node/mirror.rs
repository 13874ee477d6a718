//! Mirrors the books of a stack, as a chain would.

use std::sync::Arc;

use aws::DynamoStore;
use cloud::{
    Account,
    chain::{Member, Place, books, walk},
};
use events::Registry;
use num_bigint::BigUint;
use outbox::{Outbox, SystemClock, Table, decode_item};
use serde::{Deserialize, Serialize};

use crate::BoxError;

/// Rows in one page.
const ROWS: u32 = 500;

/// The books to mirror, and the token's decimals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// The domain's table. The node uses the endpoint and the credentials of its own environment.
    pub cloud_table: String,
    /// The token's decimals, 6 or more.
    pub decimals: u8,
}

/// The mirrored books.
pub(super) struct Books {
    outbox: Outbox,
    table: Table,
    decimals: u8,
}

impl std::fmt::Debug for Books {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Books")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl Books {
    pub(super) async fn open(mirror: &Mirror) -> Self {
        let sdk = aws::sdk_config().await;
        // The outbox is used only for reading.
        let outbox = Outbox::for_guards(
            Arc::new(DynamoStore::new(aws::dynamodb(&sdk))),
            Arc::new(SystemClock),
            Arc::new(Registry::shipped()),
        );
        Self {
            outbox,
            table: Table::domain(mirror.cloud_table.as_str()),
            decimals: mirror.decimals,
        }
    }

    /// The balance in the books of the holder of this address (in lower case), in the token's smallest units.
    pub(super) async fn units(&self, holder: &str) -> Result<BigUint, BoxError> {
        let Some(member) = self.member_at(holder).await? else {
            return Ok(BigUint::ZERO);
        };
        let id = member.member_id.as_str();
        let account = self.outbox.load::<Account>(&self.table, id).await?;
        let mut exact = books(account.state());
        exact.rescale(6);
        let units = BigUint::try_from(exact.mantissa())?;
        Ok(units * BigUint::from(10_u8).pow(u32::from(self.decimals.saturating_sub(6))))
    }

    async fn member_at(&self, holder: &str) -> Result<Option<Member>, BoxError> {
        let mut place: Option<Place> = None;
        loop {
            let query = |shard, limit, after| Member::page(&self.table, shard, limit, after);
            let is_holder = |item: &outbox::Item| {
                item.get("ethereum_address")
                    .and_then(serde_json::Value::as_str)
                    .is_some_and(|address| address.eq_ignore_ascii_case(holder))
            };
            let (items, next) = walk(&self.outbox, place.as_ref(), ROWS, query, is_holder).await?;
            if let Some(item) = items.into_iter().next() {
                return Ok(Some(decode_item(
                    &self.table.key("chain_members", "*"),
                    item,
                )?));
            }
            if next.is_none() {
                return Ok(None);
            }
            place = next;
        }
    }
}
