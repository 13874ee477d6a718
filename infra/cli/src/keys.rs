//! `millrace keys`: the first key of a deployment is made here, by whoever may write its table.

use std::sync::Arc;

use api::{Keys, Owner, Scope, keys::NewKey};
use aws::DynamoStore;
use clap::{ArgGroup, Args, Subcommand};
use outbox::{Clock, Store, SystemClock, Table};
use serde::Serialize;

use crate::{
    output::{self, Failure},
    resources::Place,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a key and print it: {"key_id", "key"}. It is shown this once.
    Create(Create),
    /// Print all keys, without their text.
    List(KeysPlace),
    /// Delete a key; it stops with the next request.
    Delete(Delete),
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("where").args(["table", "stack", "resources"]).required(true).multiple(true)))]
pub(crate) struct KeysPlace {
    /// The keys' table instead of the stack.
    #[arg(long, env = "KEYS_TABLE")]
    table: Option<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    place: KeysPlace,
    /// Whose key it is. Requests are known again by owner: give each calling service its own.
    #[arg(long)]
    owner: Owner,
    /// What it may do: `*`, or a comma list like `cloud:read,cloud:write`. Write does not include read.
    #[arg(long, required = true, value_delimiter = ',')]
    scopes: Vec<Scope>,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    place: KeysPlace,
    /// Its id.
    key_id: String,
}

#[derive(Debug, Serialize)]
struct Created<'a> {
    key_id: &'a str,
    key: &'a str,
}

#[derive(Debug, Serialize)]
struct Listed {
    items: Vec<api::keys::KeyInfo>,
}

#[derive(Debug, Serialize)]
struct Deleted<'a> {
    deleted: &'a str,
}

async fn open(place: KeysPlace) -> Result<Keys, Failure> {
    let sdk = aws::sdk_config().await;
    let table = match place.table {
        Some(table) => table,
        None => place.place.find(&sdk).await?.table("KeysTable")?.to_owned(),
    };
    let store: Arc<dyn Store> = Arc::new(DynamoStore::new(aws::dynamodb(&sdk)));
    Ok(Keys::new(store, Table::domain(table)))
}

pub(crate) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(create) => {
            let keys = open(create.place).await?;
            let key = NewKey::generate(create.owner, create.scopes, SystemClock.now())?;
            keys.create(&SystemClock, &key).await?;
            output::result(&Created {
                key_id: key.key_id(),
                key: key.text(),
            })
        }
        Command::List(place) => {
            let keys = open(place).await?;
            let mut items = Vec::new();
            let mut after = None;
            loop {
                let (page, next) = keys.list(after, api::MAX_PAGE).await?;
                items.extend(page);
                after = next;
                if after.is_none() {
                    return output::result(&Listed { items });
                }
            }
        }
        Command::Delete(delete) => {
            let keys = open(delete.place).await?;
            keys.delete(&SystemClock, &delete.key_id).await?;
            output::result(&Deleted {
                deleted: &delete.key_id,
            })
        }
    }
}
