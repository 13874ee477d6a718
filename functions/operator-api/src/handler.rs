//! What each endpoint reads, decides and writes.

pub mod consumers;
pub mod jobs;
pub mod operations;
pub mod reads;
mod refused;
pub mod replays;
pub mod republish;

use api::{Command, Created, Operation, Output, Path, Problem, Reply, State};
use axum::response::{IntoResponse, Response};
use events::{Violation, contracts::operation::LetterCriteria, nearest};
use letters::{
    Consumers, Letters, Operations,
    drained::UNKNOWN,
    listing::{Note, is_state, states},
};
use mappings::Mappings;
use outbox::Outbox;
use schemars::JsonSchema;
use std::{fmt, sync::Arc};

use crate::{
    config::Config,
    stack::StackFacts,
    wire::{GroupPath, NoteAnswer, NoteRequest},
};

/// The state that the endpoints share.
#[derive(Clone)]
pub struct App {
    outbox: Outbox,
    config: Config,
    mappings: Arc<dyn Mappings>,
    stack: Arc<dyn StackFacts>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl App {
    /// Creates the state from an outbox, the settings, and the ports to the consumers' event source mappings and to what AWS
    /// knows of the stack.
    #[must_use]
    pub fn new(
        outbox: Outbox,
        config: Config,
        mappings: Arc<dyn Mappings>,
        stack: Arc<dyn StackFacts>,
    ) -> Self {
        Self {
            outbox,
            config,
            mappings,
            stack,
        }
    }

    fn letters(&self) -> Letters<'_> {
        Letters {
            outbox: &self.outbox,
            table: &self.config.letters,
        }
    }

    fn operations(&self) -> Operations<'_> {
        Operations {
            outbox: &self.outbox,
            table: &self.config.letters,
        }
    }

    fn consumers(&self) -> Consumers<'_> {
        Consumers {
            outbox: &self.outbox,
            table: &self.config.letters,
        }
    }
}

/// The answer to the beginning of an operation: the operation, or what it would do.
#[derive(Debug)]
pub enum Beginning<B, P> {
    /// The operation.
    Begun(Created<B>),
    /// What it would do. Mostly larger than the operation.
    Previewed(Box<Reply<P>>),
}

impl<B, P> Beginning<B, P> {
    fn previewed(preview: Reply<P>) -> Self {
        Self::Previewed(Box::new(preview))
    }
}

impl<B, P> IntoResponse for Beginning<B, P> {
    fn into_response(self) -> Response {
        match self {
            Self::Begun(answer) => answer.into_response(),
            Self::Previewed(answer) => answer.into_response(),
        }
    }
}

impl<B: JsonSchema, P: JsonSchema> Output for Beginning<B, P> {
    fn describe(operation: &mut Operation) {
        operation.answers::<P>(200);
        operation.answers::<B>(201);
    }
}

/// Refuses criteria that no letter can ever fit. `place` is the pointer to them.
fn checked(criteria: &LetterCriteria, place: &str) -> Result<(), Problem> {
    let mut violations = Vec::new();
    let mut closed = |name: &str, asked: Option<&str>, known: Vec<&'static str>| {
        let Some(asked) = asked.filter(|asked| !known.contains(asked)) else {
            return;
        };
        let meant = nearest(asked, known.iter().copied());
        let meant = meant.map_or_else(String::new, |name| format!("; did you mean {name}?"));
        let message = format!("is not a known {name}{meant}");
        violations.push(Violation::new(format!("{place}/{name}"), message));
    };
    let consumers = topology::consumers().map(|(function, _)| function.name);
    let consumer = criteria.consumer.as_ref().map(events::Text::as_str);
    closed("consumer", consumer, consumers.chain([UNKNOWN]).collect());
    let state = criteria.state.as_ref().map(events::Text::as_str);
    closed(
        "state",
        state.filter(|state| !is_state(state)),
        states().collect(),
    );
    if criteria
        .from
        .zip(criteria.to)
        .is_some_and(|(from, to)| from >= to)
    {
        violations.push(Violation::new(
            format!("{place}/from"),
            "is not before `to`",
        ));
    }
    if violations.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(violations))
    }
}

/// POST `/letters/groups/{signature_id}/note`.
///
/// # Errors
/// The problems that every command can return.
pub async fn note(
    State(app): State<Arc<App>>,
    Path(path): Path<GroupPath>,
    command: Command<NoteRequest>,
) -> Result<Reply<NoteAnswer>, Problem> {
    let (app, path, by) = (&app, &path, command.caller().owner().to_string());
    let by = &by;
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let at = transaction.now();
        let note = Note::new(body.note.to_string(), by.clone(), at);
        let signature_id = path.signature_id.clone();
        note.save(&mut transaction, &app.config.letters, &signature_id)
            .map_err(outbox::Error::from)?;
        let answer = NoteAnswer { signature_id, at };
        Ok(api::Decision::Commit(transaction, answer))
    })
    .await
}
