//! `millrace keys`: API keys. A deployment's first key is created here, with AWS credentials that may write the keys
//! table.

use std::sync::Arc;

use api::{Keys, Owner, Scope, keys::NewKey};
use aws::DynamoStore;
use clap::{Args, Subcommand};
use outbox::{Clock, Store, SystemClock, Table};
use serde::Serialize;

use crate::{
    output::{self, CliError},
    place::{Names, Place},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a key and print it: {"key_id", "key"}. The key is shown only this once
    #[command(after_help = "Example:\n  \
        millrace keys create --owner billing --scopes cloud:read,cloud:write")]
    Create(Create),
    /// List all keys, without their secrets
    #[command(after_help = "Example:\n  millrace keys list")]
    List(KeysPlace),
    /// Delete a key. Requests with it are refused from then on
    #[command(after_help = "Example:\n  millrace keys delete <KEY_ID>")]
    Delete(Delete),
}

#[derive(Debug, Args)]
pub(crate) struct KeysPlace {
    /// The keys table, instead of a stack. Default: KEYS_TABLE, if the command line names no stack
    #[arg(long, value_name = "NAME", help_heading = "Which stack")]
    table: Option<String>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    _output: output::AlwaysJson,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    place: KeysPlace,
    /// Whose key it is. Idempotency keys are kept per owner: give each calling service an owner of its own
    #[arg(long)]
    owner: Owner,
    /// What it may do: `*`, or a comma-separated list such as `cloud:read,cloud:write`. Write does not include read
    #[arg(long, required = true, value_delimiter = ',')]
    scopes: Vec<Scope>,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    place: KeysPlace,
    /// The id of the key
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

async fn open(place: KeysPlace) -> Result<Keys, CliError> {
    let given = place.table.map(|table| [table]);
    let (sdk, names) = place.place.open_or(given, ["KEYS_TABLE"]).await?;
    let table = match names {
        Names::Given([table]) => table,
        Names::Stack(resources) => resources.table("KeysTable")?.to_owned(),
    };
    let store: Arc<dyn Store> = Arc::new(DynamoStore::new(aws::dynamodb(&sdk)));
    Ok(Keys::new(store, Table::domain(table)))
}

pub(crate) async fn run(command: Command) -> Result<(), CliError> {
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
