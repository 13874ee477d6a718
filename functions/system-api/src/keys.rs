//! API keys over HTTP: made, listed, deleted.

use std::sync::Arc;

use api::{
    Command, Created, CursorToken, Decision, NoContent, Owner, Page, PageQuery, Path, Problem,
    Query, Reply, Scope, State,
    keys::{KeyInfo, NewKey},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::router::App;

/// What the list of keys is called in its cursors.
const LIST: &str = "keys";

/// A key to make.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct CreateKey {
    /// Whose it is: repeats of a request are known by owner, whichever key they come with.
    pub owner: Owner,
    /// What it may do.
    #[schemars(length(min = 1, max = 50))]
    pub scopes: Vec<Scope>,
}

/// A key that was made.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CreatedKey {
    /// Its id.
    pub key_id: String,
    /// Its text, shown this once; a repeat of the request gets the id alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Which key.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct KeyPath {
    /// Its id.
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
            // Nobody gives away more than they have: a key for keys is not a key for everything.
            if let Some(scope) = body.scopes.iter().find(|scope| !caller.may(scope.as_str())) {
                let problem = Problem::missing_scope(scope.as_str())
                    .detail(format!("only who has the scope {scope} can give it"));
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
