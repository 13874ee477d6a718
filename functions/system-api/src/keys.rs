//! API keys over HTTP: create, list, delete.

use std::sync::Arc;

use api::{
    Caller, Command, Created, CursorToken, Decision, NoContent, Owner, Page, PageQuery, Path,
    Problem, Query, Reply, Scope, State,
    keys::{KeyInfo, NewKey},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::router::App;

/// The name of the list of keys in its cursors.
const LIST: &str = "keys";

/// Create an API key.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct CreateKey {
    /// The owner. Repeated requests are recognised by owner, whichever of the owner's keys they use. Only a key with the
    /// scope `*` can name another owner than its own.
    pub owner: Owner,
    /// The scopes of the key.
    #[schemars(length(min = 1, max = 50))]
    pub scopes: Vec<Scope>,
}

/// A new API key.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CreatedKey {
    /// The key's id.
    pub key_id: String,
    /// The secret key, shown only once. A repeat of the request gets only the id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The path parameter of a key.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct KeyPath {
    /// The key's id.
    pub key_id: String,
}

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    command: Command<CreateKey>,
) -> Result<Created<CreatedKey>, Problem> {
    let (app, caller) = (&app, command.caller());
    api::execute_keeping(
        &app.outbox,
        &command,
        async move |mut transaction, body| {
            if let Err(problem) = may_create(caller, body) {
                return Ok(Decision::Refuse(problem));
            }
            let key = NewKey::generate(body.owner.clone(), body.scopes.clone(), transaction.now())?;
            app.keys.insert(&mut transaction, &key)?;
            let answer = CreatedKey {
                key_id: key.key_id().to_owned(),
                key: Some(key.text().to_owned()),
            };
            Ok(Decision::Commit(transaction, answer))
        },
        |answer| Ok(json!({ "key_id": answer.key_id })),
    )
    .await
}

/// Refuses a key with more rights than the caller's, or one that makes the caller a second person: an approval compares
/// the owners of keys.
fn may_create(caller: &Caller, key: &CreateKey) -> Result<(), Problem> {
    if let Some((at, scope)) = key
        .scopes
        .iter()
        .enumerate()
        .find(|(_, scope)| !caller.may(scope.as_str()))
    {
        let words = format!("only a key with the scope {scope} can give it");
        return Err(Problem::missing_scope(scope.as_str())
            .detail(words.as_str())
            .violation(format!("/scopes/{at}"), words));
    }
    if key.owner != *caller.owner() && !caller.may(Scope::ALL) {
        let words = format!(
            "only a key with the scope {} can make keys of another owner than its own ({})",
            Scope::ALL,
            caller.owner()
        );
        return Err(Problem::missing_scope(Scope::ALL)
            .detail(words.as_str())
            .violation("/owner", words));
    }
    Ok(())
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<KeyInfo>>, Problem> {
    let after = page
        .cursor
        .as_ref()
        .map(|cursor| cursor.open(LIST))
        .transpose()?;
    let (items, next) = app.keys.list(after, page.limit.number()).await?;
    Reply::of(&Page {
        items,
        next_cursor: next.map(|cursor| CursorToken::seal(LIST, &cursor)),
    })
}

pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Path(path): Path<KeyPath>,
) -> Result<NoContent, Problem> {
    app.keys.delete(&**app.outbox.clock(), &path.key_id).await?;
    Ok(NoContent)
}
