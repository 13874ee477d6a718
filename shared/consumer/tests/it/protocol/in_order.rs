//! Evidence by cursor: the path of an aggregate's events from the log to an in-order consumer, as a separate state
//! machine. It has no marks. The relay is checked elsewhere; in this model it only delivers logged events, in any
//! order.
//!
//! | action | the code, or the outside actor |
//! |---|---|
//! | `Log` | a transaction of a producer, with one event or several |
//! | `Relay`, `Duplicate` | a logged event reaches the lane, once or several times, in any order |
//! | `Receive` | an invocation with one message. The messages of an aggregate go one after the other, so a larger batch would equal several invocations in a row |
//! | `ReadCursor` | `Outbox::progress`; a message whose aggregate waits is acknowledged here |
//! | `BeginPage`, `EndPage` | `Outbox::rows_after`: the page can show an event that is logged in between or not, or show a later event without an earlier one |
//! | `Step` | the read of a sequence that the page does not show (`BatchRunner::is_gap`), the decision, or the end of the page |
//! | `Commit` | `outbox::Outbox::commit_until_known`: one attempt, and what happens to its answer |
//! | `Recheck` | the cursor's read in `Outbox::cancelled`, at the end of `Outbox::commit_until_known` and in `BatchRunner::unless_done` |
//! | `GiveUp` | a failure after which the message comes back, or one that parks |
//! | `Park`, `ReadForBlock`, `Block` | `BatchRunner::park` and `BatchRunner::block`: the dead letter, the cursor's read, the conditional put |
//! | `Respond`, `CrashRun`, `Expire`, `Land` | as in [`super`] |
//! | `Redrive` | the operator: a dead letter becomes a message again |

use std::collections::BTreeSet;

use stateright::{Model, Property};

/// A removed safeguard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutation {
    /// After the commit that ends a block the log is not read again.
    NoFinalReading,
    /// The block is set before the dead letter is sent.
    BlocksBeforeLetter,
    /// An advance has no condition.
    NoCondition,
    /// A message whose own event is handled is acknowledged without reading the events after it.
    AcknowledgesOwnHandled,
    /// A message whose event is found handled when the block is set is acknowledged as if the block had been set.
    AcknowledgesPassedBlock,
    /// A sequence that a page does not show counts as gone.
    BelievesGaps,
    /// A waiting message is acknowledged although the block's dead letter is not sent yet: the dead letter is sent
    /// last, after the message was acknowledged.
    AcknowledgesBeforeLetter,
}

/// How many faults of each kind a run can meet.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Faults {
    pub(super) crashes: u8,
    /// The answer to a commit, a dead letter or a block is lost.
    pub(super) lost: u8,
    pub(super) duplicates: u8,
    pub(super) expiries: u8,
    /// The handler fails. The operator fixes it before the dead letter is sent back, or it fails again.
    pub(super) failures: u8,
}

#[derive(Debug, Clone)]
pub(super) struct Bounds {
    pub(super) name: &'static str,
    /// The number of events in each transaction of the producer.
    pub(super) transactions: &'static [u8],
    /// How many of these are in the lane at the beginning.
    pub(super) on_lane: usize,
    pub(super) faults: Faults,
    pub(super) invocations: usize,
    pub(super) sights: &'static [&'static str],
    pub(super) floor: usize,
}

/// An event's sequence; there is only one aggregate.
type Number = u8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Message {
    event: Number,
    copy: u8,
    receives: u8,
    hidden: bool,
}

/// The owner of a commit, and the version of the cursor that it was decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Token {
    event: Number,
    copy: u8,
    receives: u8,
    base: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Sent {
    token: Token,
    to: Number,
}

/// The page that a run works on: the cursor as it was read, the events that the page shows, and the next of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Hand {
    version: u8,
    /// The last event that was handled or checked.
    seen: Number,
    until: Number,
    /// An event that is logged, but that this page does not show.
    hidden: Option<Number>,
    handled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Phase {
    ReadingCursor,
    BeforePage {
        position: Number,
        version: u8,
    },
    Page {
        position: Number,
        version: u8,
        first: Number,
    },
    Handling(Hand),
    Sending {
        hand: Hand,
        lost: bool,
    },
    /// Reads the cursor. `lost`: a commit of this run can have taken effect, or still will.
    Rechecking {
        hand: Hand,
        lost: bool,
    },
    /// The event failed, and the cursor showed that it was not done.
    Failed {
        event: Number,
    },
    Parking {
        event: Number,
        blocked: bool,
    },
    BeforeBlock {
        event: Number,
    },
    Blocking {
        event: Number,
        version: u8,
    },
    Over {
        acknowledged: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Run {
    event: Number,
    copy: u8,
    receives: u8,
    was_blocked: bool,
    phase: Phase,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Cursor {
    position: Number,
    version: u8,
    blocked: Option<Number>,
    token: Option<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    faults: Faults,
    transactions: usize,
    logged: Number,
    unrelayed: BTreeSet<Number>,
    /// How many messages of each event there were in total.
    copies: Vec<u8>,
    lane: Vec<Message>,
    letters: Vec<Number>,
    cursor: Cursor,
    effects: Vec<(Number, Token)>,
    late: Vec<Sent>,
    runs: Vec<Run>,
}

/// What happens to a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Answered,
    LostWritten,
    LostForEver,
    LostAndLate,
}

/// Which of the events that are logged during the read a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    Nothing,
    All,
    /// All except the first.
    Torn,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Log,
    Relay(Number),
    Duplicate(Number),
    Receive(usize),
    ReadCursor(usize),
    BeginPage(usize),
    EndPage(usize, Shows),
    Step(usize),
    Fail(usize),
    Commit(usize, Fate),
    /// The record's time limit passes while the commit is under way.
    CutOff(usize, Fate),
    Recheck(usize),
    GiveUp {
        run: usize,
        parks: bool,
    },
    Park(usize, Fate),
    ReadForBlock(usize),
    Block(usize, Fate),
    Respond {
        run: usize,
        stale_receipt_deletes: bool,
    },
    CrashRun(usize),
    Expire(usize),
    Land(usize),
    Redrive(usize),
}

#[derive(Debug, Clone)]
pub(super) struct InOrder {
    pub(super) bounds: Bounds,
    pub(super) mutation: Option<Mutation>,
}

pub(super) const ONCE_AND_IN_ORDER: &str = "every event is handled once, after the one before it";
pub(super) const ENDS: &str = "in the end the cursor is at the log's end, or the aggregate waits for an event with a dead letter";
pub(super) const NOT_STUCK: &str = "an unfinished state always allows an action";

pub(super) const WAITED: &str = "a message is acknowledged because its aggregate waits";
pub(super) const WENT_ON: &str = "the redrive of an event continues with the events that waited";
pub(super) const TORN: &str = "a page shows an event without the one before it";
pub(super) const PASSED: &str = "a run that is about to block finds the event handled";
pub(super) const SETTLED: &str = "a lost answer is resolved as committed";
pub(super) const STALE: &str = "two runs meet at an event";
pub(super) const TWO_LETTERS: &str = "an event has two letters";
pub(super) const BLOCKED_AGAIN: &str = "a dead letter is sent back, and its event fails again";

impl InOrder {
    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    fn events(&self) -> Number {
        self.bounds.transactions.iter().sum()
    }

    fn holds(&self, world: &World, sent: &Sent) -> bool {
        world.cursor.version == sent.token.base || self.is(Mutation::NoCondition)
    }

    /// Whether this same content was written before.
    fn written(world: &World, sent: &Sent) -> bool {
        world.effects.iter().any(|(_, token)| *token == sent.token)
    }

    fn write(world: &mut World, sent: &Sent) {
        world.effects.push((sent.to, sent.token));
        world.cursor = Cursor {
            position: sent.to,
            version: sent.token.base + 1,
            blocked: None,
            token: Some(sent.token),
        };
    }

    fn sent(run: &Run, hand: &Hand) -> Sent {
        Sent {
            token: Token {
                event: run.event,
                copy: run.copy,
                receives: run.receives,
                base: hand.version,
            },
            to: hand.seen + 1,
        }
    }

    /// Reads the cursor at the beginning of a round.
    fn read_cursor(&self, world: &mut World, place: usize) {
        let cursor = world.cursor.clone();
        let run = &mut world.runs[place];
        if let Some(blocked) = cursor.blocked {
            if blocked != run.event {
                run.phase = Phase::Over { acknowledged: true };
                return;
            }
            run.was_blocked = true;
        }
        let handled = run.event <= cursor.position;
        run.phase = if handled && self.is(Mutation::AcknowledgesOwnHandled) {
            Phase::Over { acknowledged: true }
        } else {
            Phase::BeforePage {
                position: cursor.position,
                version: cursor.version,
            }
        };
    }

    fn end_page(world: &mut World, place: usize, shows: Shows) {
        let logged = world.logged;
        let run = &mut world.runs[place];
        let Phase::Page {
            position,
            version,
            first,
        } = run.phase
        else {
            return;
        };
        let (until, hidden) = match shows {
            Shows::Nothing => (first, None),
            Shows::All => (logged, None),
            Shows::Torn => (logged, Some(first + 1)),
        };
        run.phase = Phase::Handling(Hand {
            version,
            seen: position,
            until,
            hidden: hidden.filter(|hidden| *hidden > position),
            handled: false,
        });
    }

    /// The page's next event, or its end.
    fn step(&self, world: &mut World, place: usize) {
        let run = &mut world.runs[place];
        let Phase::Handling(mut hand) = run.phase else {
            return;
        };
        if hand.hidden == Some(hand.seen + 1) {
            if self.is(Mutation::BelievesGaps) {
                hand.seen += 1;
                hand.hidden = None;
                run.phase = Phase::Handling(hand);
            } else {
                run.phase = Phase::ReadingCursor;
            }
            return;
        }
        run.phase = if hand.seen < hand.until {
            Phase::Sending { hand, lost: false }
        } else if hand.handled && run.was_blocked && !self.is(Mutation::NoFinalReading) {
            Phase::ReadingCursor
        } else {
            // The message's event was logged before the message existed.
            Phase::Over {
                acknowledged: run.event <= hand.seen,
            }
        };
    }

    fn committed(world: &mut World, place: usize, mut hand: Hand) {
        let run = &mut world.runs[place];
        hand.seen += 1;
        hand.version += 1;
        hand.handled = true;
        run.phase = Phase::Handling(hand);
    }

    /// Applies a commit at the store; `true` if it took effect, now or before.
    fn send(&self, world: &mut World, sent: &Sent) -> bool {
        if Self::written(world, sent) {
            return true;
        }
        let holds = self.holds(world, sent);
        if holds {
            Self::write(world, sent);
        }
        holds
    }

    fn lose(&self, world: &mut World, sent: Sent, fate: Fate) {
        match fate {
            Fate::LostWritten => {
                self.send(world, &sent);
            }
            Fate::LostAndLate => world.late.push(sent),
            Fate::Answered | Fate::LostForEver => {}
        }
    }

    fn commit(&self, world: &mut World, place: usize, fate: Fate) {
        let run = world.runs[place];
        let Phase::Sending { hand, lost } = run.phase else {
            return;
        };
        let sent = Self::sent(&run, &hand);
        if fate != Fate::Answered {
            world.faults.lost -= 1;
            self.lose(world, sent, fate);
            // The commit is sent once more; then the cursor decides.
            world.runs[place].phase = if lost {
                Phase::Rechecking { hand, lost: true }
            } else {
                Phase::Sending { hand, lost: true }
            };
        } else if self.send(world, &sent) {
            Self::committed(world, place, hand);
        } else if lost {
            world.runs[place].phase = Phase::Rechecking { hand, lost: true };
        } else {
            world.runs[place].phase = Phase::ReadingCursor;
        }
    }

    fn recheck(world: &mut World, place: usize) {
        let run = world.runs[place];
        let Phase::Rechecking { hand, .. } = run.phase else {
            return;
        };
        let event = hand.seen + 1;
        if world.cursor.position < event {
            world.runs[place].phase = Phase::Failed { event };
        } else if world.cursor.token == Some(Self::sent(&run, &hand).token) {
            Self::committed(world, place, hand);
        } else {
            world.runs[place].phase = Phase::ReadingCursor;
        }
    }

    fn park(&self, world: &mut World, place: usize, fate: Fate) {
        let run = &mut world.runs[place];
        let Phase::Parking { event, blocked } = run.phase else {
            return;
        };
        if fate != Fate::LostForEver {
            world.letters.push(event);
        }
        if fate != Fate::Answered {
            world.faults.lost -= 1;
            run.phase = Phase::Over {
                acknowledged: false,
            };
        } else if blocked {
            run.phase = Phase::Over { acknowledged: true };
        } else {
            run.phase = Phase::BeforeBlock { event };
        }
    }

    fn read_for_block(&self, world: &mut World, place: usize) {
        let (position, version) = (world.cursor.position, world.cursor.version);
        let run = &mut world.runs[place];
        let Phase::BeforeBlock { event } = run.phase else {
            return;
        };
        run.phase = if position >= event {
            Phase::Over {
                acknowledged: self.is(Mutation::AcknowledgesPassedBlock),
            }
        } else {
            Phase::Blocking { event, version }
        };
    }

    fn block(&self, world: &mut World, place: usize, fate: Fate) {
        let run = &mut world.runs[place];
        let Phase::Blocking { event, version } = run.phase else {
            return;
        };
        let applied = fate != Fate::LostForEver && world.cursor.version == version;
        if applied {
            world.cursor.blocked = Some(event);
            world.cursor.version += 1;
        }
        run.phase = if fate != Fate::Answered {
            world.faults.lost -= 1;
            Phase::Over {
                acknowledged: false,
            }
        } else if !applied {
            Phase::BeforeBlock { event }
        } else if self.is(Mutation::BlocksBeforeLetter) {
            Phase::Parking {
                event,
                blocked: true,
            }
        } else {
            Phase::Over { acknowledged: true }
        };
    }

    fn give_up(&self, world: &mut World, place: usize, parks: bool) {
        let run = &mut world.runs[place];
        let Phase::Failed { event } = run.phase else {
            return;
        };
        run.phase = if !parks {
            Phase::Over {
                acknowledged: false,
            }
        } else if self.is(Mutation::BlocksBeforeLetter) {
            Phase::BeforeBlock { event }
        } else {
            Phase::Parking {
                event,
                blocked: false,
            }
        };
        if parks && self.is(Mutation::AcknowledgesBeforeLetter) {
            let (event, copy) = (run.event, run.copy);
            world
                .lane
                .retain(|message| (message.event, message.copy) != (event, copy));
        }
    }

    fn to_lane(world: &mut World, event: Number) {
        let copies = &mut world.copies[usize::from(event) - 1];
        let copy = *copies;
        *copies += 1;
        world.lane.push(Message {
            event,
            copy,
            receives: 0,
            hidden: false,
        });
    }

    /// The place of a run's message, and whether its receipt is the newest.
    fn message_of(world: &World, run: &Run) -> Option<(usize, bool)> {
        let own = |message: &Message| (message.event, message.copy) == (run.event, run.copy);
        let place = world.lane.iter().position(own)?;
        let message = world.lane[place];
        Some((place, message.hidden && message.receives == run.receives))
    }

    fn respond(world: &mut World, place: usize, stale_receipt_deletes: bool) {
        let run = world.runs.remove(place);
        let Phase::Over { acknowledged } = run.phase else {
            return;
        };
        let Some((place, current)) = Self::message_of(world, &run) else {
            return;
        };
        if acknowledged && (current || stale_receipt_deletes) {
            world.lane.remove(place);
        } else if !acknowledged && current {
            world.lane[place].hidden = false;
        }
    }

    fn fates(&self, world: &World, sent: &Sent, fates: &mut Vec<Fate>) {
        fates.push(Fate::LostForEver);
        // A commit that is cancelled without an answer has no effect.
        if self.holds(world, sent) && !Self::written(world, sent) {
            fates.extend([Fate::LostWritten, Fate::LostAndLate]);
        }
    }

    fn run_actions(&self, world: &World, place: usize, actions: &mut Vec<Action>) {
        let run = &world.runs[place];
        let lost = world.faults.lost > 0;
        match &run.phase {
            Phase::ReadingCursor => actions.push(Action::ReadCursor(place)),
            Phase::BeforePage { .. } => actions.push(Action::BeginPage(place)),
            Phase::Page { first, .. } => {
                actions.push(Action::EndPage(place, Shows::All));
                if world.logged > *first {
                    actions.push(Action::EndPage(place, Shows::Nothing));
                }
                if world.logged > first + 1 {
                    actions.push(Action::EndPage(place, Shows::Torn));
                }
            }
            Phase::Handling(hand) => {
                actions.push(Action::Step(place));
                let event = hand.seen < hand.until && hand.hidden != Some(hand.seen + 1);
                if event && world.faults.failures > 0 {
                    actions.push(Action::Fail(place));
                }
            }
            Phase::Sending { hand, .. } => {
                actions.push(Action::Commit(place, Fate::Answered));
                if lost {
                    let mut fates = Vec::new();
                    self.fates(world, &Self::sent(run, hand), &mut fates);
                    actions.extend(fates.iter().map(|fate| Action::Commit(place, *fate)));
                    actions.extend(fates.iter().map(|fate| Action::CutOff(place, *fate)));
                }
            }
            Phase::Rechecking { .. } => actions.push(Action::Recheck(place)),
            Phase::Failed { .. } => {
                // The message is parked if it is too old or a retry cannot help. Otherwise it comes back.
                actions.push(Action::GiveUp {
                    run: place,
                    parks: true,
                });
                actions.push(Action::GiveUp {
                    run: place,
                    parks: false,
                });
            }
            Phase::Parking { .. } => {
                actions.push(Action::Park(place, Fate::Answered));
                if lost {
                    actions.push(Action::Park(place, Fate::LostWritten));
                    actions.push(Action::Park(place, Fate::LostForEver));
                }
            }
            Phase::BeforeBlock { .. } => actions.push(Action::ReadForBlock(place)),
            Phase::Blocking { .. } => {
                actions.push(Action::Block(place, Fate::Answered));
                if lost {
                    actions.push(Action::Block(place, Fate::LostWritten));
                    actions.push(Action::Block(place, Fate::LostForEver));
                }
            }
            Phase::Over { .. } => {
                actions.push(Action::Respond {
                    run: place,
                    stale_receipt_deletes: false,
                });
                if Self::message_of(world, run).is_some_and(|(_, current)| !current) {
                    actions.push(Action::Respond {
                        run: place,
                        stale_receipt_deletes: true,
                    });
                }
            }
        }
    }

    fn tidy(world: &mut World) {
        world.lane.sort_unstable();
        world.letters.sort_unstable();
        world.late.sort_unstable();
        world.runs.sort_unstable();
    }
}

impl World {
    fn handling(&self) -> impl Iterator<Item = (&Run, &Hand)> {
        self.runs.iter().filter_map(|run| match &run.phase {
            Phase::Handling(hand) => Some((run, hand)),
            _ => None,
        })
    }

    /// Whether nothing is under way, and only dead letters wait.
    fn is_quiet(&self) -> bool {
        self.unrelayed.is_empty()
            && self.lane.is_empty()
            && self.runs.is_empty()
            && self.late.is_empty()
    }
}

impl Model for InOrder {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let mut world = World {
            faults: self.bounds.faults.clone(),
            transactions: 0,
            logged: 0,
            unrelayed: BTreeSet::new(),
            copies: vec![0; usize::from(self.events())],
            lane: Vec::new(),
            letters: Vec::new(),
            cursor: Cursor::default(),
            effects: Vec::new(),
            late: Vec::new(),
            runs: Vec::new(),
        };
        for events in &self.bounds.transactions[..self.bounds.on_lane] {
            for _ in 0..*events {
                world.logged += 1;
                let event = world.logged;
                Self::to_lane(&mut world, event);
            }
            world.transactions += 1;
        }
        vec![world]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.transactions < self.bounds.transactions.len() {
            actions.push(Action::Log);
        }
        actions.extend(world.unrelayed.iter().copied().map(Action::Relay));
        if world.faults.duplicates > 0 {
            let events: BTreeSet<Number> = world.lane.iter().map(|one| one.event).collect();
            actions.extend(events.into_iter().map(Action::Duplicate));
        }
        for (place, message) in world.lane.iter().enumerate() {
            if message.hidden {
                if world.faults.expiries > 0 {
                    actions.push(Action::Expire(place));
                }
            } else if world.runs.len() < self.bounds.invocations {
                actions.push(Action::Receive(place));
            }
        }
        for place in 0..world.runs.len() {
            self.run_actions(world, place, actions);
            if world.faults.crashes > 0 {
                actions.push(Action::CrashRun(place));
            }
        }
        actions.extend((0..world.late.len()).map(Action::Land));
        let letters = 0..world.letters.len();
        actions.extend(
            letters
                .filter(|place| *place == 0 || world.letters[place - 1] != world.letters[*place])
                .map(Action::Redrive),
        );
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut after = before.clone();
        let world = &mut after;
        match action {
            Action::Log => {
                for _ in 0..self.bounds.transactions[world.transactions] {
                    world.logged += 1;
                    world.unrelayed.insert(world.logged);
                }
                world.transactions += 1;
            }
            Action::Relay(event) => {
                world.unrelayed.remove(&event);
                Self::to_lane(world, event);
            }
            Action::Duplicate(event) => {
                world.faults.duplicates -= 1;
                Self::to_lane(world, event);
            }
            Action::Receive(place) => {
                let message = &mut world.lane[place];
                message.hidden = true;
                message.receives += 1;
                world.runs.push(Run {
                    event: message.event,
                    copy: message.copy,
                    receives: message.receives,
                    was_blocked: false,
                    phase: Phase::ReadingCursor,
                });
            }
            Action::ReadCursor(place) => self.read_cursor(world, place),
            Action::BeginPage(place) => {
                let first = world.logged;
                let run = &mut world.runs[place];
                if let Phase::BeforePage { position, version } = run.phase {
                    run.phase = Phase::Page {
                        position,
                        version,
                        first,
                    };
                }
            }
            Action::EndPage(place, shows) => Self::end_page(world, place, shows),
            Action::Step(place) => self.step(world, place),
            Action::Fail(place) => {
                world.faults.failures -= 1;
                let run = &mut world.runs[place];
                if let Phase::Handling(hand) = run.phase {
                    run.phase = Phase::Rechecking { hand, lost: false };
                }
            }
            Action::Commit(place, fate) => self.commit(world, place, fate),
            Action::CutOff(place, fate) => {
                world.faults.lost -= 1;
                let run = world.runs[place];
                if let Phase::Sending { hand, .. } = run.phase {
                    self.lose(world, Self::sent(&run, &hand), fate);
                    world.runs[place].phase = Phase::Rechecking { hand, lost: true };
                }
            }
            Action::Recheck(place) => Self::recheck(world, place),
            Action::GiveUp { run, parks } => self.give_up(world, run, parks),
            Action::Park(place, fate) => self.park(world, place, fate),
            Action::ReadForBlock(place) => self.read_for_block(world, place),
            Action::Block(place, fate) => self.block(world, place, fate),
            Action::Respond {
                run,
                stale_receipt_deletes,
            } => Self::respond(world, run, stale_receipt_deletes),
            Action::CrashRun(place) => {
                world.faults.crashes -= 1;
                let run = world.runs.remove(place);
                if let Some((place, true)) = Self::message_of(world, &run) {
                    world.lane[place].hidden = false;
                }
            }
            Action::Expire(place) => {
                world.faults.expiries -= 1;
                world.lane[place].hidden = false;
            }
            Action::Land(place) => {
                let sent = world.late.remove(place);
                self.send(world, &sent);
            }
            Action::Redrive(place) => {
                let event = world.letters.remove(place);
                Self::to_lane(world, event);
            }
        }
        Self::tidy(world);
        Some(after)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(ONCE_AND_IN_ORDER, |_, world: &World| {
                let numbers = world.effects.iter().map(|(event, _)| *event);
                numbers.eq(1..=world.cursor.position)
            }),
            Property::always(ENDS, |_, world: &World| {
                let position = world.cursor.position;
                let waits = world.cursor.blocked == Some(position + 1)
                    && world.letters.contains(&(position + 1));
                !world.is_quiet() || position == world.logged || waits
            }),
            Property::always(NOT_STUCK, |model: &Self, world: &World| {
                let mut actions = Vec::new();
                model.actions(world, &mut actions);
                world.is_quiet() || !actions.is_empty()
            }),
        ];
        let sights: [Property<Self>; 8] = [
            Property::sometimes(WAITED, |_, world: &World| {
                let blocked = world.cursor.blocked;
                world.runs.iter().any(|run| {
                    run.phase == Phase::Over { acknowledged: true }
                        && blocked.is_some_and(|blocked| blocked < run.event)
                })
            }),
            Property::sometimes(WENT_ON, |_, world: &World| {
                world
                    .handling()
                    .any(|(run, hand)| run.was_blocked && hand.handled && hand.seen > run.event)
            }),
            Property::sometimes(TORN, |_, world: &World| {
                world.handling().any(|(_, hand)| hand.hidden.is_some())
            }),
            Property::sometimes(PASSED, |_, world: &World| {
                world.runs.iter().any(|run| {
                    matches!(run.phase, Phase::BeforeBlock { event } if event <= world.cursor.position)
                })
            }),
            Property::sometimes(SETTLED, |_, world: &World| {
                world.runs.iter().any(|run| match &run.phase {
                    Phase::Sending { hand, lost: true } => {
                        Self::written(world, &Self::sent(run, hand))
                    }
                    _ => false,
                })
            }),
            Property::sometimes(STALE, |_, world: &World| {
                world.runs.iter().any(|run| match &run.phase {
                    Phase::Sending { hand, lost: false } => hand.version < world.cursor.version,
                    _ => false,
                })
            }),
            Property::sometimes(TWO_LETTERS, |_, world: &World| {
                world.letters.windows(2).any(|pair| pair[0] == pair[1])
            }),
            Property::sometimes(BLOCKED_AGAIN, |model: &Self, world: &World| {
                let copies = |event: Number| world.copies[usize::from(event) - 1];
                model.bounds.faults.duplicates == 0
                    && world.is_quiet()
                    && world.cursor.blocked.is_some_and(|event| copies(event) > 1)
            }),
        ];
        let asked = |one: &Property<Self>| self.bounds.sights.contains(&one.name);
        properties.extend(sights.into_iter().filter(asked));
        properties
    }
}

const NONE: Faults = Faults {
    crashes: 0,
    lost: 0,
    duplicates: 0,
    expiries: 0,
    failures: 0,
};

/// Concurrent wake-ups while the log grows.
pub(super) const WAKE_UPS: Bounds = Bounds {
    name: "in order, wake-ups while the log grows",
    transactions: &[1, 2],
    on_lane: 1,
    faults: NONE,
    invocations: 2,
    sights: &[TORN, STALE],
    floor: 5_000,
};

/// An event that fails, is parked and is sent back, with other events after it.
pub(super) const PARKED: Bounds = Bounds {
    name: "in order, an event is parked",
    transactions: &[1, 1],
    on_lane: 1,
    faults: Faults {
        crashes: 1,
        failures: 2,
        ..NONE
    },
    sights: &[WAITED, WENT_ON, TWO_LETTERS, BLOCKED_AGAIN],
    floor: 850_000,
    ..WAKE_UPS
};

/// The same with a lost answer.
pub(super) const PARKED_UNHEARD: Bounds = Bounds {
    name: "in order, an event is parked and answers are lost",
    transactions: &[1, 1],
    faults: Faults {
        lost: 1,
        failures: 1,
        ..NONE
    },
    sights: &[WAITED, WENT_ON, PASSED, SETTLED],
    floor: 450_000,
    ..PARKED
};

/// One event whose message comes twice at the same time, and whose run dies or loses an answer.
pub(super) const COPIES: Bounds = Bounds {
    name: "in order, copies of one message",
    transactions: &[1],
    faults: Faults {
        crashes: 1,
        lost: 1,
        duplicates: 1,
        ..NONE
    },
    sights: &[SETTLED, STALE],
    floor: 35_000,
    ..WAKE_UPS
};
