//! The operations on operations: load, decide, save. The API and every other caller run these. The caller provides the
//! transaction, and commits it if the operation succeeds.

use std::collections::BTreeMap;

use domain::Illegal;
use events::{
    ConsumerName, OperationId, Text, Timestamp,
    contracts::operation::{
        EditedLetter, LetterCriteria, OperationAct, OperationChange, OperationOutcome, PatchStep,
    },
};
use outbox::{
    BuildError, Entity, Error, Outbox, Query, State as _, Table, Transaction, decode_item,
    log::LogRow,
};
use serde_json::Value;

use crate::{
    drained::Body,
    edit::{Edit, EditRefusal},
    letter::{Letter, LetterId, LetterState},
    listing::{Letters, MOST_LETTERS},
    operation::{
        Begin, By, Event, Operation, PAGE_LETTERS, Progress, SELECTION_LIFE, SelectionPage,
        Unfinished,
    },
};

/// How many letters are read in one call.
const READ_AT_ONCE: usize = 100;

/// How many unfinished operations there can be. Each is looked at by every run of the job, and by everyone who begins
/// another.
pub const MOST_UNFINISHED: u32 = 20;

/// Why nothing was begun or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such operation.
    #[error("there is no operation {operation_id}")]
    UnknownOperation {
        /// The id.
        operation_id: OperationId,
    },
    /// A letter that was named does not exist.
    #[error("there is no letter {letter_id}")]
    UnknownLetter {
        /// Its place in the list, from 0.
        at: usize,
        /// The id.
        letter_id: LetterId,
    },
    /// A letter that was named is handled or discarded.
    #[error("letter {letter_id} is {state}")]
    Resolved {
        /// Its place in the list, from 0.
        at: usize,
        /// The letter.
        letter_id: LetterId,
        /// Its state.
        state: LetterState,
    },
    /// No letter fits.
    #[error("no unresolved letter fits")]
    NoLetter,
    /// More letters fit than an operation can have.
    #[error("more than {MOST_LETTERS} letters fit: choose fewer")]
    TooMany,
    /// More letters fit than the caller allowed.
    #[error("{count} letters fit, which is more than the cap of {cap}")]
    OverCap {
        /// How many.
        count: usize,
        /// The cap.
        cap: u32,
    },
    /// A letter is in another operation that is not finished.
    #[error("letter {letter_id} is in operation {operation_id}, which is not finished")]
    LetterInOperation {
        /// The letter.
        letter_id: LetterId,
        /// The operation.
        operation_id: OperationId,
    },
    /// Too many operations are unfinished.
    #[error("{MOST_UNFINISHED} operations are unfinished: wait for one of them, or cancel one")]
    TooManyOperations,
    /// The operation's status does not allow the step.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// The letter's message, or the edited one, stands in the event log, which nobody edits.
    #[error("event {event_id} stands in the event log, and what stands there is never edited")]
    Logged {
        /// The event in the log.
        event_id: String,
    },
    /// The letter's body has expired or was cut: there is nothing to edit.
    #[error("the body of letter {letter_id} is not there, or not whole")]
    NoBody {
        /// The letter.
        letter_id: LetterId,
    },
    /// The edited event has a letter of its own already.
    #[error("letter {letter_id} is about the edited event already")]
    HasLetter {
        /// That letter.
        letter_id: LetterId,
    },
    /// The edited message cannot be sent.
    #[error(transparent)]
    Edit(#[from] EditRefusal),
    /// A replay has nothing to send.
    #[error("{consumer} listens to no event that fits")]
    NoEvent {
        /// The consumer.
        consumer: ConsumerName,
    },
    /// All events that can fit a replay are so old that their consumer could not tell them from repeats.
    #[error(
        "{consumer} handles these events by marks, which are gone: it could not tell them from repeats. Possible are events that \
         occurred at {possible_from} or later; and what was before the consumer began, once, in a replay of all of it"
    )]
    TooOld {
        /// The consumer.
        consumer: ConsumerName,
        /// From when on events can be sent.
        possible_from: Timestamp,
    },
    /// What was before a consumer began cannot be replayed any more: a part of it was sent so long ago that the marks of that
    /// are about to expire.
    #[error(
        "what was before {consumer} began was first sent at {since}, and the marks of that expire: what is left could not be told from \
         repeats. Possible are events that occurred at {possible_from} or later"
    )]
    TooLate {
        /// The consumer.
        consumer: ConsumerName,
        /// When a replay could first send events from before the consumer began.
        since: Timestamp,
        /// From when on events can be sent.
        possible_from: Timestamp,
    },
    /// What was before a consumer began is being replayed, or was replayed to the end.
    #[error("what was before {consumer} began is replayed once, by operation {operation_id}")]
    ReplayedBefore {
        /// The consumer.
        consumer: ConsumerName,
        /// The operation.
        operation_id: OperationId,
    },
    /// Pending events are being published already.
    #[error("operation {operation_id} publishes the pending events already, and is not finished")]
    Republishing {
        /// The operation.
        operation_id: OperationId,
    },
    /// It is not known since when a consumer is there: it has no lane.
    #[error("{consumer} has no lane, so it is not known when it began")]
    NoLane {
        /// The consumer.
        consumer: ConsumerName,
    },
}

/// Why an operation wrote nothing.
pub type Stopped = domain::Stopped<Refusal>;

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What an edit needs beside the letter's id.
#[derive(Debug, Clone, Copy)]
pub struct Editing<'a> {
    /// The edited message.
    pub message: &'a Value,
    /// Whether a consumer subscribes to an event type.
    pub listens: fn(consumer: &str, event_type: &str) -> bool,
    /// Who edits it, and why.
    pub by: &'a By,
    /// The owner of the API key with which it is done.
    pub key_owner: &'a Text<256>,
}

/// A letter that was edited.
#[derive(Debug, Clone, PartialEq)]
pub struct Edited {
    /// The operation that tells of it.
    pub operation: Operation,
    /// The letter that the edited message goes on as.
    pub letter: Letter,
    /// What was changed.
    pub patch: Vec<PatchStep>,
}

/// Which letters are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// These.
    Letters(Vec<LetterId>),
    /// All that fit.
    Fitting(Box<LetterCriteria>),
}

/// The letters that an operation would have now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selected {
    /// The letters, in the order in which they would be taken.
    pub letters: Vec<Letter>,
    /// The first letter that is in another unfinished operation.
    pub conflict: Option<(LetterId, OperationId)>,
}

/// The operations and what they need.
#[derive(Debug, Clone, Copy)]
pub struct Operations<'a> {
    /// Loads the state that decisions are based on.
    pub outbox: &'a Outbox,
    /// The table of letters.
    pub table: &'a Table,
}

impl Operations<'_> {
    /// The operation; the entity is empty if there is none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn operation(&self, id: OperationId) -> Result<Entity<Operation>, Error> {
        self.outbox.load(self.table, &id.to_string()).await
    }

    /// How far an operation has got; the entity is empty if there is none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn progress(&self, id: OperationId) -> Result<Entity<Progress>, Error> {
        self.outbox.load(self.table, &id.to_string()).await
    }

    /// The operations that are not finished, by id.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn unfinished(&self) -> Result<Vec<OperationId>, Error> {
        /// A row of the partition: an operation's, or another one.
        #[derive(serde::Deserialize)]
        struct Row {
            #[serde(default)]
            operation_id: Option<OperationId>,
        }
        // The rows of operations come first.
        let query = Query::partition(self.table, Unfinished::PARTITION, MOST_UNFINISHED * 2);
        let (rows, _) = self.outbox.rows::<Row>(&query).await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| row.operation_id)
            .collect())
    }

    /// Whether the job has anything to do besides unresolved letters: an operation is unfinished, or a consumer is paused or
    /// was resumed lately.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn is_work_left(&self) -> Result<bool, Error> {
        let query = Query::partition(self.table, Unfinished::PARTITION, 1);
        Ok(!self.outbox.store().query(&query).await?.items.is_empty())
    }

    /// The letters of an operation's selection, page by page.
    async fn selection(&self, id: OperationId) -> Result<Vec<LetterId>, Error> {
        let (mut letters, mut after) = (Vec::new(), None);
        loop {
            let query = Query {
                prefix: Some(SelectionPage::PREFIX.to_owned()),
                after,
                ..Query::partition(self.table, format!("operation#{id}"), 100)
            };
            let (pages, next) = self.outbox.rows::<SelectionPage>(&query).await?;
            letters.extend(pages.into_iter().flat_map(|page| page.letters));
            after = next;
            if after.is_none() {
                return Ok(letters);
            }
        }
    }

    /// Letters by id, in the order of the ids.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn letters(&self, ids: &[LetterId]) -> Result<Vec<Option<Letter>>, Error> {
        let mut letters = Vec::with_capacity(ids.len());
        for some in ids.chunks(READ_AT_ONCE) {
            let keys: Vec<_> = some
                .iter()
                .map(|id| Letter::key(self.table, id.as_str()))
                .collect();
            let items = self.outbox.store().get_many(&keys).await?;
            for (key, item) in keys.iter().zip(items) {
                letters.push(item.map(|item| decode_item(key, item)).transpose()?);
            }
        }
        Ok(letters)
    }

    /// Selects letters, in the order in which an operation takes them: those of an aggregate by their sequence.
    ///
    /// # Errors
    /// [`Refusal`] about a letter that was named, or if there are too many; [`Stopped::Failed`].
    pub async fn select(&self, wanted: &Wanted) -> Result<Selected, Stopped> {
        let mut letters = match wanted {
            Wanted::Letters(ids) => self.named(ids).await?,
            Wanted::Fitting(criteria) => self.fitting(criteria).await?,
        };
        letters.sort_by(|one, other| one.order().cmp(&other.order()));
        letters.dedup_by(|one, other| one.letter_id == other.letter_id);
        let taken = self.taken().await?;
        let conflict = letters.iter().find_map(|letter| {
            let by = letter
                .taken_by()
                .or_else(|| taken.get(&letter.letter_id).copied());
            Some((letter.letter_id.clone(), by?))
        });
        Ok(Selected { letters, conflict })
    }

    async fn named(&self, ids: &[LetterId]) -> Result<Vec<Letter>, Stopped> {
        if ids.len() > MOST_LETTERS {
            return Err(Refusal::TooMany.into());
        }
        let mut letters = Vec::with_capacity(ids.len());
        for (at, letter) in self.letters(ids).await?.into_iter().enumerate() {
            let letter_id = || ids.get(at).cloned();
            match (letter, letter_id()) {
                (Some(letter), _) if letter.state.is_unresolved() => letters.push(letter),
                (Some(letter), _) => {
                    let (letter_id, state) = (letter.letter_id, letter.state);
                    return Err(Refusal::Resolved {
                        at,
                        letter_id,
                        state,
                    }
                    .into());
                }
                (None, Some(letter_id)) => {
                    return Err(Refusal::UnknownLetter { at, letter_id }.into());
                }
                (None, None) => {}
            }
        }
        Ok(letters)
    }

    async fn fitting(&self, criteria: &LetterCriteria) -> Result<Vec<Letter>, Stopped> {
        let mut letters: Vec<Letter> = Vec::new();
        let most = MOST_LETTERS;
        let reader = Letters {
            outbox: self.outbox,
            table: self.table,
        };
        let rest = reader
            .walk(criteria, usize::MAX, None, |letter| {
                if letter.state.is_unresolved() {
                    letters.push(letter);
                }
                letters.len() <= most
            })
            .await?;
        if letters.len() > most || rest.is_some() {
            return Err(Refusal::TooMany.into());
        }
        Ok(letters)
    }

    /// The letters in the selections of all unfinished operations.
    async fn taken(&self) -> Result<BTreeMap<LetterId, OperationId>, Error> {
        let mut taken = BTreeMap::new();
        for id in self.unfinished().await? {
            let letters = self.selection(id).await?.into_iter();
            taken.extend(letters.map(|letter| (letter, id)));
        }
        Ok(taken)
    }

    /// Begins an operation over the letters that are selected now. Letters that fit later are not in it.
    ///
    /// # Errors
    /// [`Refusal`] of the selection; [`Stopped::Failed`].
    pub async fn begin(
        &self,
        transaction: &mut Transaction,
        wanted: &Wanted,
        begin: impl FnOnce(OperationId, Vec<LetterId>) -> Begin,
    ) -> Result<Operation, Stopped> {
        let selected = self.select(wanted).await?;
        if let Some((letter_id, operation_id)) = selected.conflict {
            return Err(Refusal::LetterInOperation {
                letter_id,
                operation_id,
            }
            .into());
        }
        let count = selected.letters.len();
        let letters: Vec<LetterId> = selected
            .letters
            .into_iter()
            .map(|one| one.letter_id)
            .collect();
        let begin = begin(transaction.uuid().into(), letters);
        if count == 0 {
            return Err(Refusal::NoLetter.into());
        }
        if let Some(cap) = begin.cap
            && count > usize::try_from(cap).unwrap_or(usize::MAX)
        {
            return Err(Refusal::OverCap { count, cap }.into());
        }
        self.must_have_room().await?;
        let id = begin.operation_id;
        let expires_at = transaction.now().plus(SELECTION_LIFE).unix_seconds();
        for (number, some) in begin.letters.chunks(PAGE_LETTERS).enumerate() {
            let page = SelectionPage {
                letters: some.to_vec(),
                expires_at,
            };
            transaction.insert(SelectionPage::key(self.table, id, number), &page)?;
        }
        self.save_begun(transaction, &begin, &Progress::default())
            .await
    }

    /// Refuses another operation if there are too many.
    pub(crate) async fn must_have_room(&self) -> Result<(), Stopped> {
        let limit = usize::try_from(MOST_UNFINISHED).unwrap_or(usize::MAX);
        if self.unfinished().await?.len() >= limit {
            return Err(Refusal::TooManyOperations.into());
        }
        Ok(())
    }

    /// Writes an operation that begins, and that the job has it to do.
    pub(crate) async fn save_begun(
        &self,
        transaction: &mut Transaction,
        begin: &Begin,
        progress: &Progress,
    ) -> Result<Operation, Stopped> {
        let id = begin.operation_id;
        let entity = self.operation(id).await?;
        let change = Operation::begin(begin, entity.next_version()?, transaction.now())?;
        change.save(transaction, &entity)?;
        transaction.insert(
            Unfinished::key(self.table, id),
            &Unfinished { operation_id: id },
        )?;
        let before = self.progress(id).await?;
        transaction.update(&before, progress, Vec::new())?;
        Ok(change.operation)
    }

    /// Pauses, resumes or cancels an operation.
    ///
    /// # Errors
    /// [`Refusal::UnknownOperation`], [`Refusal::Illegal`]; [`Stopped::Failed`].
    pub async fn change(
        &self,
        transaction: &mut Transaction,
        operation_id: OperationId,
        to: OperationChange,
        by: By,
    ) -> Result<Operation, Stopped> {
        let entity = self.operation(operation_id).await?;
        let operation = entity
            .state()
            .ok_or(Refusal::UnknownOperation { operation_id })?;
        let change = operation
            .change(to, by, entity.next_version()?, transaction.now())
            .map_err(Refusal::from)?;
        change.save(transaction, &entity)?;
        Ok(change.operation)
    }

    /// Puts another message in the place of a letter's, which must not stand in the event log. The edited message is a
    /// letter that an operation can send; if its event has another id than the letter's, that one is closed and keeps its
    /// body.
    ///
    /// # Errors
    /// [`Refusal`]; [`Stopped::Failed`].
    pub async fn edit(
        &self,
        transaction: &mut Transaction,
        letter_id: &LetterId,
        editing: Editing<'_>,
    ) -> Result<Edited, Stopped> {
        let entity: Entity<Letter> = self.outbox.load(self.table, letter_id.as_str()).await?;
        let (letter, body) = self.editable(letter_id, &entity).await?;
        let consumer = letter.consumer.as_str();
        let listens = |event_type: &str| (editing.listens)(consumer, event_type);
        let registry = self.outbox.registry();
        let edit = Edit::of(&body.body, editing.message, registry, consumer, listens)
            .map_err(Refusal::from)?;
        let (aggregate, sequence) = (edit.envelope.aggregate(), edit.envelope.sequence.number());
        self.must_not_stand_in_the_log(Some((&aggregate, sequence)))
            .await?;

        let (now, id) = (transaction.now(), transaction.uuid().into());
        let goes_on_as = edit.letter_id(letter);
        let is_same = goes_on_as == *letter_id;
        let reason = editing.by.reason.as_str();
        let (drained, new_body) = edit.letter(letter, now);
        let edited = letter.edited(&drained, id, reason, now);
        if is_same {
            transaction.update(&entity, &edited, Vec::new())?;
            let original = Body::original_key(self.table, letter_id);
            if self.outbox.row::<Body>(&original).await?.is_none() {
                transaction.insert(original, &body)?;
            }
        } else {
            let other: Entity<Letter> = self.outbox.load(self.table, goes_on_as.as_str()).await?;
            if other.state().is_some() {
                let letter_id = goes_on_as;
                return Err(Refusal::HasLetter { letter_id }.into());
            }
            let why = format!("edited, goes on as letter {goes_on_as}: {reason}");
            // The letter is unresolved and nobody has taken it: nothing else can be said of it.
            if let Ok(closed) = letter.discarded(id, &why, now) {
                transaction.update(&entity, &closed, Vec::new())?;
            }
            transaction.update(&other, &edited, Vec::new())?;
        }
        new_body.save(transaction, self.table, &goes_on_as)?;
        let begin = Begin {
            operation_id: id,
            act: OperationAct::Edit,
            selection: None,
            letters: vec![letter_id.clone()],
            cap: None,
            rate_per_second: 1,
            canary: false,
            reason: editing.by.reason.clone(),
            actor: editing.by.actor.clone(),
            key_owner: editing.key_owner.clone(),
            edited: Some(EditedLetter {
                letter_id: Text::new(letter_id.as_str())?,
                goes_on_as: Text::new(goes_on_as.as_str())?,
                patch: edit.patch.clone(),
            }),
            replay: None,
            republish: None,
        };
        let outcome = OperationOutcome {
            discarded: u32::from(!is_same),
            ..OperationOutcome::default()
        };
        let operation = self.at_once(transaction, &begin, outcome).await?;
        Ok(Edited {
            operation,
            letter: edited,
            patch: edit.patch,
        })
    }

    /// A letter that can be edited, and its body.
    async fn editable<'l>(
        &self,
        letter_id: &LetterId,
        entity: &'l Entity<Letter>,
    ) -> Result<(&'l Letter, Body), Stopped> {
        let (at, letter_id) = (0, letter_id.clone());
        let Some(letter) = entity.state() else {
            return Err(Refusal::UnknownLetter { at, letter_id }.into());
        };
        if !letter.state.is_unresolved() {
            let state = letter.state;
            return Err(Refusal::Resolved {
                at,
                letter_id,
                state,
            }
            .into());
        }
        if let Some(operation_id) = letter.taken_by() {
            return Err(Refusal::LetterInOperation {
                letter_id,
                operation_id,
            }
            .into());
        }
        let place = letter.aggregate.as_deref().zip(letter.sequence);
        self.must_not_stand_in_the_log(place).await?;
        let body: Option<Body> = self.outbox.row(&Body::key(self.table, &letter_id)).await?;
        match body.filter(Body::is_whole) {
            Some(body) => Ok((letter, body)),
            None => Err(Refusal::NoBody { letter_id }.into()),
        }
    }

    /// Writes an operation that is finished as soon as it is begun.
    async fn at_once(
        &self,
        transaction: &mut Transaction,
        begin: &Begin,
        outcome: OperationOutcome,
    ) -> Result<Operation, Stopped> {
        let now = transaction.now();
        let entity = self.operation(begin.operation_id).await?;
        let version = entity.next_version()?;
        let begun = Operation::begin(begin, version, now)?;
        let finished = begun.operation.finish(outcome, version, now);
        let finished = finished.map_err(Refusal::from)?;
        let draft = |event: &Event| event.draft().map_err(BuildError::from);
        let drafts = vec![draft(&begun.event)?, draft(&finished.event)?];
        transaction.update(&entity, &finished.operation, drafts)?;
        Ok(finished.operation)
    }

    /// Refuses what has the place of an event of the log: the number of an aggregate.
    async fn must_not_stand_in_the_log(&self, place: Option<(&str, u64)>) -> Result<(), Stopped> {
        let Some((aggregate, sequence)) = place else {
            return Ok(());
        };
        let before = sequence.saturating_sub(1);
        let (rows, _) = self.outbox.rows_after(aggregate, before, 1).await?;
        match rows.into_iter().find(|row| row.sequence == sequence) {
            Some(LogRow { event_id, .. }) => Err(Refusal::Logged { event_id }.into()),
            None => Ok(()),
        }
    }

    /// The ids of an operation's selection from a position on, within one page.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn from_position(
        &self,
        id: OperationId,
        position: u32,
    ) -> Result<Vec<LetterId>, Error> {
        let position = usize::try_from(position).unwrap_or(usize::MAX);
        let key = SelectionPage::key(self.table, id, position / PAGE_LETTERS);
        let page: Option<SelectionPage> = self.outbox.row(&key).await?;
        let letters = page.map(|page| page.letters).unwrap_or_default();
        Ok(letters.into_iter().skip(position % PAGE_LETTERS).collect())
    }
}

/// Whether an act sends letters, as far as a letter can be sent: it must be about an event.
#[must_use]
pub fn can_take(act: OperationAct, letter: &Letter) -> bool {
    match act {
        OperationAct::Redrive => letter.event_id.is_some(),
        OperationAct::Discard => true,
        OperationAct::Edit | OperationAct::Replay | OperationAct::Republish => false,
    }
}
