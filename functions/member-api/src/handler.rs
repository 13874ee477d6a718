//! What each endpoint reads, decides and writes.

use std::sync::Arc;

use api::{Command, CommandError, Created, Page, PageQuery, Path, Problem, Query, Reply, State};
use events::{
    EmailAddress, EthereumAddress, MemberId, Sequence, Text, Timestamp,
    contracts::member::{NotificationPreferences, Role},
};
use member::{
    Member, Patch, Refusal, Registration,
    operations::{Done, Members},
};
use outbox::{Outbox, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use views::notes::{self, Note};

/// The state that the endpoints share.
#[derive(Debug, Clone)]
pub struct App {
    outbox: Outbox,
    members: Table,
    notifications: Option<Table>,
}

impl App {
    /// Creates the state from an outbox, the domain's table, and the table of in-app notes, if the deployment keeps
    /// notes.
    #[must_use]
    pub fn new(outbox: Outbox, members: Table, notifications: Option<Table>) -> Self {
        Self {
            outbox,
            members,
            notifications,
        }
    }

    fn operations(&self) -> Members<'_> {
        Members {
            outbox: &self.outbox,
            table: &self.members,
        }
    }
}

/// The path parameter of a member.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct MemberPath {
    /// The member's id.
    pub member_id: MemberId,
}

/// A member.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Member")]
pub struct MemberAnswer {
    /// The member's id.
    pub member_id: MemberId,
    /// Their name.
    pub name: Text<200>,
    /// The member's e-mail address.
    pub email: EmailAddress,
    /// The member's role.
    pub role: Role,
    /// The member's name in the Ethereum Name Service, or null.
    pub ens_subname: Option<Text<255>>,
    /// The member's address on the chain, or null.
    pub ethereum_address: Option<EthereumAddress>,
    /// The channels that the member has enabled.
    pub notification_preferences: NotificationPreferences,
    /// When the member was registered.
    pub registered_at: Timestamp,
    /// When the member was last changed.
    pub updated_at: Timestamp,
    /// The version: every change increases it by one.
    pub version: Sequence,
}

impl MemberAnswer {
    fn of(member: &Member, version: Sequence) -> Self {
        Self {
            member_id: member.member_id().clone(),
            name: member.name().clone(),
            email: member.email().clone(),
            role: member.role(),
            ens_subname: member.ens_subname().cloned(),
            ethereum_address: member.ethereum_address().cloned(),
            notification_preferences: member.notification_preferences(),
            registered_at: member.registered_at(),
            updated_at: member.updated_at(),
            version,
        }
    }
}

fn unknown_member(id: &MemberId) -> Problem {
    Problem::not_found(format!("there is no member {id}")).with("member_id", id.as_str())
}

fn refused(refusal: &Refusal) -> Result<Problem, CommandError> {
    let words = refusal.to_string();
    Ok(match refusal {
        Refusal::Unknown { member_id } => unknown_member(member_id),
        Refusal::AlreadyRegistered { member_id } => {
            Problem::conflict("member-already-registered", "The id is already taken")
                .detail(words)
                .with("member_id", member_id.as_str())
        }
    })
}

fn answer(done: &Done) -> MemberAnswer {
    MemberAnswer::of(&done.member, done.version)
}

/// POST `/members`.
///
/// # Errors
/// 409 if the id is taken; the problems that every command can return.
pub async fn register(
    State(app): State<Arc<App>>,
    command: Command<Registration>,
) -> Result<Created<MemberAnswer>, Problem> {
    let app = &app;
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let operations = app.operations();
        let done = operations.register(&mut transaction, body.clone()).await;
        api::decided(transaction, done, refused, answer)
    })
    .await
}

/// GET `/members/{member_id}`.
///
/// # Errors
/// 404 for an unknown member.
pub async fn read(
    State(app): State<Arc<App>>,
    Path(path): Path<MemberPath>,
) -> Result<Reply<MemberAnswer>, Problem> {
    let entity = app.operations().member(&path.member_id).await?;
    let member = entity
        .state()
        .ok_or_else(|| unknown_member(&path.member_id))?;
    let version = Sequence::new(entity.version()).map_err(|error| Problem::internal(&error))?;
    Reply::of(&MemberAnswer::of(member, version))
}

/// PATCH `/members/{member_id}`.
///
/// # Errors
/// 404 for an unknown member; the problems that every command can return.
pub async fn patch(
    State(app): State<Arc<App>>,
    Path(path): Path<MemberPath>,
    command: Command<Patch>,
) -> Result<Reply<MemberAnswer>, Problem> {
    let (app, member_id) = (&app, &path.member_id);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let operations = app.operations();
        let done = operations
            .patch(&mut transaction, member_id, body.clone())
            .await;
        api::decided(transaction, done, refused, answer)
    })
    .await
}

/// GET `/members/{member_id}/notifications`.
///
/// # Errors
/// 404 for an unknown member, and if the deployment has no domain that notifies members.
pub async fn notifications(
    State(app): State<Arc<App>>,
    Path(path): Path<MemberPath>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<Note>>, Problem> {
    let member_id = &path.member_id;
    let table = app.notifications.as_ref().ok_or_else(|| {
        Problem::not_found("no notes are kept: the deployment has no domain that notifies members")
    })?;
    let query = notes::page(table, member_id, page.limit.number(), None);
    let query = page.apply(query)?;
    let members = app.operations();
    let (entity, (items, next)) =
        tokio::try_join!(members.member(member_id), app.outbox.rows::<Note>(&query))?;
    if entity.state().is_none() {
        return Err(unknown_member(member_id));
    }
    Reply::of(&Page::of(&query, items, next.as_ref()))
}
