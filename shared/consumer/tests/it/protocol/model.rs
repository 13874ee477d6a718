//! States, actions and transitions. See the table in [`super`] for the function behind each action.

use std::collections::BTreeSet;

use stateright::{Model, Property};

use super::{mutations::Mutation, properties};

/// An event, named by its place in the log. The order of commits assigns the sequences, so the name is the same in
/// every run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct EventId {
    pub(super) aggregate: u8,
    pub(super) sequence: u8,
}

/// Where a run begins. A part of the path can be checked with more faults than the whole path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// Nothing has happened.
    Commands,
    /// Every command is committed and answered; its event is in the stream.
    Logged,
    /// Every event is published and is in the lane.
    OnLane,
}

/// What protects a consumer against repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// The log is the end: nothing is relayed.
    Unread,
    /// The bus is the end: no consumer subscribes.
    Nobody,
    /// Effect and mark are in one transaction. The decision reads the effect's row and adds a condition on its version.
    Mark,
    /// Effect and mark are in one transaction. The effect is a blind `Add`, so only the mark protects.
    BlindMark,
    /// One conditional put, no mark.
    Guard,
    // Evidence by cursor has a separate model; see `super::in_order`.
}

/// How many faults of each kind a run can meet. Each fault is used up, so every run ends.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Faults {
    /// An API call, a relay invocation or a consumer invocation dies at any point.
    pub(super) crashes: u8,
    /// The answer to a commit, or to sending a dead letter, is lost. The call took effect, does so later, or never
    /// does.
    pub(super) lost: u8,
    /// A client repeats although its call still runs or was answered.
    pub(super) repeats: u8,
    /// Some entries of a `PutEvents` call fail, or its answer is lost.
    pub(super) bus: u8,
    /// The bus refuses an entry permanently.
    pub(super) refusals: u8,
    /// A publication cannot be recorded.
    pub(super) records: u8,
    /// The bus or the lane delivers a message once more.
    pub(super) duplicates: u8,
    /// A message becomes visible while it is being handled.
    pub(super) expiries: u8,
    /// A handler fails.
    pub(super) failures: u8,
    /// The record's time limit passes while its commit is under way.
    pub(super) cut_offs: u8,
    /// From now on the rules refuse every command, e.g. because its deadline has passed. No version guard protects
    /// against such a reason.
    pub(super) closings: u8,
}

/// A size of the model.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    pub(super) name: &'static str,
    pub(super) start: Start,
    /// The aggregate of each command. Each committed command logs one event.
    pub(super) commands: &'static [u8],
    /// How many commands of an aggregate are accepted; the next is refused.
    pub(super) limit: u8,
    pub(super) evidence: Evidence,
    pub(super) faults: Faults,
    /// `RetryLimits::decisions`.
    pub(super) decisions: u8,
    /// `RetryLimits::resends`.
    pub(super) resends: u8,
    /// Entries in one call to the bus (10 in the code).
    pub(super) entries: usize,
    /// Concurrent calls to the bus.
    pub(super) concurrency: usize,
    /// `relay::Settings::attempts`.
    pub(super) attempts: u8,
    /// The number of deliveries after which a failure parks. The code counts failures instead (4); a delivery without one
    /// only makes the model park earlier.
    pub(super) tries: u8,
    /// Messages in one invocation of the consumer.
    pub(super) batch: usize,
    /// Concurrent invocations of the consumer.
    pub(super) invocations: usize,
    /// Whether records of one invocation commit together.
    pub(super) groups: bool,
    /// What happens to a cut-off record.
    pub(super) cut_off: CutOff,
    /// The situations that some run must reach, so that no invariant holds only because nothing happens.
    pub(super) sights: &'static [&'static str],
    /// The least number of states. Fewer mean that the model has shrunk by mistake.
    pub(super) floor: usize,
}

/// What happens to a record whose time limit passed while its commit was under way, and whose mark does not exist
/// (yet).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CutOff {
    /// It fails like any other record: after the last attempt it is parked.
    FailsLikeAnyOther,
    /// It comes back after any attempt (`Failure::undecided`), as it does if every answer of a commit was lost.
    ComesBack,
}

/// The owner of a decision and its commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Owner {
    /// An API call of a client: the command, and the number of the call for it, from 0.
    Call { command: u8, start: u8 },
    /// A record of a consumer's invocation: the message, and the number of its delivery.
    Record {
        event: EventId,
        copy: u8,
        receives: u8,
    },
}

/// A client request token: one decision of one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Token {
    pub(super) owner: Owner,
    pub(super) decision: u8,
}

/// The content of a decision, determined by its token and the version that it was decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Content {
    pub(super) token: Token,
    pub(super) base: u8,
}

/// The answer to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Answer {
    /// The aggregate's version after the command.
    Version(u8),
    Refused,
}

/// How an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Outcome {
    Committed(u8),
    /// Committed, as the mark showed after an answer was lost.
    Settled(u8),
    AlreadyDone(u8),
    /// The version guard found a row that is at least as new.
    Ignored,
    Refused,
    Contention,
    Unknown,
    Parked,
    /// The message comes back when its delay ends.
    Returned,
}

/// Why the mark is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum RecheckReason {
    /// The commit was cancelled, and the mark can be the reason.
    Cancelled,
    /// The answers of all attempts were lost.
    Exhausted,
    /// The rules forbid the change.
    Refusing,
    /// The last decision met a conflict.
    GivingUp,
    /// The handler failed.
    Failed,
    /// The time limit passed.
    CutOff,
}

/// The phase of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Phase {
    Deciding,
    Sending {
        base: u8,
        resend: u8,
        /// An answer of this content was lost.
        lost: bool,
        /// It is sent alone, not in a group (again).
        alone: bool,
    },
    Rechecking(RecheckReason),
    /// Only with a mutation that splits the transaction: its second half is still to be written.
    SecondHalf {
        base: u8,
    },
    Parking,
    Over(Outcome),
}

/// An `Outbox::execute` under way and, for a record, the work of `BatchRunner::one` around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Execution {
    pub(super) owner: Owner,
    pub(super) decision: u8,
    pub(super) phase: Phase,
}

/// A row of the log, with everything that happened to its event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Event {
    pub(super) command: u8,
    pub(super) token: Token,
    pub(super) published: bool,
    /// `failed_at`.
    pub(super) refused: bool,
    /// How many messages of it the bus has delivered in total.
    pub(super) copies: u8,
    /// The tokens that applied its effect, one entry per time.
    pub(super) effects: Vec<Token>,
    pub(super) mark: Option<Token>,
    pub(super) letters: u8,
}

/// A state and its log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Aggregate {
    pub(super) version: u8,
    /// The rows by sequence, from 1. A gap is a state without its event.
    pub(super) log: Vec<Option<Event>>,
    /// The version that a guarded projection holds.
    pub(super) projection: u8,
}

/// A command and its request mark.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Request {
    pub(super) mark: Option<(Token, u8)>,
    pub(super) starts: u8,
    pub(super) answer: Option<Answer>,
}

/// A commit that is still on its way to the store although its sender no longer waits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Late {
    pub(super) contents: Vec<Content>,
    /// Whether the sender has meanwhile acted as if it were not written.
    pub(super) disowned: Disowned,
}

/// See [`Late::disowned`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Disowned {
    No,
    /// The sender has refused or parked.
    Answered,
    /// The sender has parked because its time limit passed.
    CutOff,
}

/// The relay's invocation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Invocation {
    /// The number of the stream's events in the batch.
    pub(super) batch: usize,
    /// Events that are not published yet, with their attempts so far; the oldest of an aggregate first.
    pub(super) waiting: Vec<(EventId, u8)>,
    pub(super) calls: Vec<Vec<(EventId, u8)>>,
    pub(super) published: BTreeSet<EventId>,
    pub(super) refused: BTreeSet<EventId>,
    /// Whether an event has used up its attempts: then no new call is started.
    pub(super) exhausted: bool,
}

/// A message in the lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Message {
    pub(super) event: EventId,
    pub(super) copy: u8,
    pub(super) receives: u8,
    pub(super) hidden: bool,
}

/// Violations that must never happen. They are recorded because the rest of the state does not keep them.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Wrongs {
    /// A projection's version went down.
    pub(super) regressed: bool,
    /// A client got an answer that the log contradicted at that moment.
    pub(super) lied: bool,
    /// An event was given up as failed although it was done.
    pub(super) parked_done: bool,
    /// A commit was written after its own sender had acted as if it were not written.
    pub(super) overtaken: bool,
    /// The same, after the time limit had cut the sender off.
    pub(super) overtaken_cut_off: bool,
}

/// The whole state of the model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) faults: Faults,
    pub(super) closed: bool,
    pub(super) aggregates: Vec<Aggregate>,
    pub(super) requests: Vec<Request>,
    pub(super) calls: Vec<Execution>,
    pub(super) late: Vec<Late>,
    /// The event log's stream, one shard: the events that the relay has not finished.
    pub(super) stream: Vec<EventId>,
    pub(super) relay: Option<Invocation>,
    /// The events that the relay's instance remembers as published.
    pub(super) memory: BTreeSet<EventId>,
    /// Bus and lane together, as an unordered collection. A message on the bus is not distinguished from one that is
    /// not received yet.
    pub(super) lane: Vec<Message>,
    /// The consumer's invocations, each with its records.
    pub(super) runs: Vec<Vec<Execution>>,
    pub(super) wrongs: Wrongs,
}

/// The execution that an action is about, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Call(usize),
    Record(usize, usize),
}

/// What happens to a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is answered; the answer can be any.
    Answered,
    /// Its conditions decide the answer, although its token was used before (DynamoDB remembers a token for ten
    /// minutes).
    TokenForgotten,
    LostWritten,
    LostForEver,
    LostAndLate,
}

/// What happens to a call to the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallFate {
    /// Every entry is accepted except those at these places (one bit each).
    Taken { but: u8 },
    /// Every entry is accepted, but the answer is lost.
    TakenUnheard,
    /// Every entry is accepted except the first, which is refused permanently.
    FirstRefused,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Close,
    Call(usize),
    Answer(usize),
    CrashCall(usize),
    Decide(Who),
    Commit(Who, Fate),
    Recheck(Who),
    WriteSecondHalf(Who),
    Land(usize),
    Invoke {
        batch: usize,
        fresh: bool,
    },
    StartCall {
        aggregates: Vec<u8>,
    },
    EndCall(usize, CallFate),
    Record {
        fails: bool,
    },
    CrashRelay {
        taken: bool,
    },
    Republish(EventId),
    Duplicate(EventId),
    Receive(Vec<usize>),
    Fail(Who),
    CutOff(Who, Fate),
    CommitGroup(usize, Fate),
    /// The time limit of the member at this place passes while the group's commit, which it sent, is under way.
    CutOffGroup(usize, usize, Fate),
    Park(Who, Fate),
    Respond {
        run: usize,
        stale_receipts_delete: bool,
    },
    CrashRun(usize),
    Expire(usize),
}

/// The model: a size, and the safeguard that is removed, if any.
#[derive(Debug, Clone)]
pub(super) struct Protocol {
    pub(super) bounds: Bounds,
    pub(super) mutation: Option<Mutation>,
}

impl Protocol {
    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    fn listened(&self) -> bool {
        !matches!(self.bounds.evidence, Evidence::Unread | Evidence::Nobody)
    }

    fn marks(&self) -> bool {
        matches!(self.bounds.evidence, Evidence::Mark | Evidence::BlindMark)
    }

    /// Whether a content's conditions hold.
    fn holds(&self, world: &World, content: &Content, grouped: bool) -> Result<(), Cancelled> {
        let unmarked = self.is(Mutation::NoMark) || self.is(Mutation::MarkApart);
        let (marked, current) = match content.token.owner {
            Owner::Call { command, .. } => (
                !unmarked && world.requests[at(command)].mark.is_some(),
                world.aggregates[at(self.bounds.commands[at(command)])].version == content.base,
            ),
            Owner::Record { event, .. } => {
                if self.bounds.evidence == Evidence::Guard {
                    let older = world.aggregates[at(event.aggregate)].projection < event.sequence;
                    let holds = older || self.is(Mutation::NoGuard);
                    return if holds {
                        Ok(())
                    } else {
                        Err(Cancelled::ByState)
                    };
                }
                let unmarked = unmarked || grouped && self.is(Mutation::GroupWithoutMarkConditions);
                let blind = self.bounds.evidence == Evidence::BlindMark;
                (
                    !unmarked && world.event(event).is_some_and(|event| event.mark.is_some()),
                    blind || world.effects_of(event.aggregate) == content.base,
                )
            }
        };
        match (marked, current) {
            (true, _) => Err(Cancelled::ByMark),
            (false, false) => Err(Cancelled::ByState),
            (false, true) => Ok(()),
        }
    }

    /// Whether this same content was written before. The store answers a repeated token with success.
    fn written(world: &World, token: Token) -> bool {
        world
            .events()
            .any(|(_, event)| event.token == token || event.effects.contains(&token))
    }

    /// Writes a content whose conditions were checked.
    fn write(&self, world: &mut World, content: &Content) {
        match content.token.owner {
            Owner::Call { command, .. } => {
                let place = at(self.bounds.commands[at(command)]);
                let aggregate = &mut world.aggregates[place];
                aggregate.version += 1;
                aggregate.log.push(None);
                let version = aggregate.version;
                if !self.is(Mutation::EventsApart) {
                    self.log(world, command, content.token, version);
                }
                if !self.is(Mutation::NoMark) && !self.is(Mutation::MarkApart) {
                    world.requests[at(command)].mark = Some((content.token, version));
                }
            }
            Owner::Record { event: id, .. } => {
                if self.bounds.evidence == Evidence::Guard {
                    let projection = &mut world.aggregates[at(id.aggregate)].projection;
                    world.wrongs.regressed |= *projection > id.sequence;
                    *projection = id.sequence;
                    return;
                }
                let marked = !self.is(Mutation::NoMark) && !self.is(Mutation::MarkApart);
                if let Some(event) = world.event_mut(id) {
                    event.effects.push(content.token);
                    event.effects.sort_unstable();
                    if marked {
                        event.mark = Some(content.token);
                    }
                }
            }
        }
    }

    fn log(&self, world: &mut World, command: u8, token: Token, sequence: u8) {
        let aggregate = self.bounds.commands[at(command)];
        let row = Event {
            command,
            token,
            published: false,
            refused: false,
            copies: 0,
            effects: Vec::new(),
            mark: None,
            letters: 0,
        };
        world.aggregates[at(aggregate)].log[at(sequence) - 1] = Some(row);
        if self.bounds.evidence != Evidence::Unread {
            world.stream.push(EventId {
                aggregate,
                sequence,
            });
        }
    }

    fn torn(&self, owner: Owner) -> bool {
        match owner {
            Owner::Call { .. } => self.is(Mutation::EventsApart),
            Owner::Record { .. } => self.marks() && self.is(Mutation::MarkApart),
        }
    }

    /// Handles the answer to a commit.
    fn answered(&self, world: &mut World, who: Who, answer: Result<(), Cancelled>) {
        let execution = *world.execution(who);
        let Phase::Sending { base, lost, .. } = execution.phase else {
            return;
        };
        let guarded = matches!(execution.owner, Owner::Record { .. })
            && self.bounds.evidence == Evidence::Guard;
        let phase = match answer {
            Ok(()) if self.torn(execution.owner) => Phase::SecondHalf { base },
            Ok(()) if lost => Phase::Over(Outcome::Settled(base + 1)),
            Ok(()) => Phase::Over(Outcome::Committed(base + 1)),
            Err(_) if guarded => Phase::Over(Outcome::Ignored),
            Err(Cancelled::ByState) if !lost => return self.conflict(world, who),
            Err(_) => Phase::Rechecking(RecheckReason::Cancelled),
        };
        world.execution(who).phase = phase;
    }

    /// Handles a lost answer: the same bytes are sent again, then the mark is read. After a group's lost answer the
    /// bytes go alone. After the lost answer of a single commit they can join a group the next time.
    fn unanswered(&self, world: &mut World, who: Who, alone: bool) {
        let Phase::Sending { base, resend, .. } = world.execution(who).phase else {
            return;
        };
        if self.is(Mutation::DecidesBeforeSettling) {
            return self.conflict(world, who);
        }
        let guarded = matches!(world.execution(who).owner, Owner::Record { .. })
            && self.bounds.evidence == Evidence::Guard;
        world.execution(who).phase = if resend < self.bounds.resends {
            Phase::Sending {
                base,
                resend: resend + 1,
                lost: true,
                alone,
            }
        } else if guarded {
            Phase::Over(Outcome::Returned)
        } else {
            Phase::Rechecking(RecheckReason::Exhausted)
        };
    }

    /// Decides again, a bounded number of times.
    fn conflict(&self, world: &mut World, who: Who) {
        let limit = self.bounds.decisions;
        let execution = world.execution(who);
        if execution.decision + 1 < limit {
            execution.decision += 1;
            execution.phase = Phase::Deciding;
        } else {
            execution.phase = Phase::Rechecking(RecheckReason::GivingUp);
        }
    }

    fn decide(&self, world: &mut World, who: Who) {
        let execution = *world.execution(who);
        let sending = |base| Phase::Sending {
            base,
            resend: 0,
            lost: false,
            alone: false,
        };
        let phase = match execution.owner {
            Owner::Call { command, .. } => {
                let version = world.aggregates[at(self.bounds.commands[at(command)])].version;
                if !world.closed && version < self.bounds.limit {
                    sending(version)
                } else if self.is(Mutation::RefusesWithoutRecheck) {
                    return self.refuse(world, who);
                } else {
                    Phase::Rechecking(RecheckReason::Refusing)
                }
            }
            // With the mark kept apart, the record reads it before it decides. Otherwise the mark would have no effect.
            Owner::Record { event, .. }
                if self.is(Mutation::MarkApart)
                    && world.event(event).is_some_and(|event| event.mark.is_some()) =>
            {
                Phase::Over(Outcome::AlreadyDone(0))
            }
            Owner::Record { event, .. } => sending(match self.bounds.evidence {
                Evidence::Mark => world.effects_of(event.aggregate),
                _ => 0,
            }),
        };
        world.execution(who).phase = phase;
    }

    /// Reads the mark, consistently, and acts on it.
    fn recheck(&self, world: &mut World, who: Who) {
        let execution = *world.execution(who);
        let Phase::Rechecking(why) = execution.phase else {
            return;
        };
        let mark = match execution.owner {
            Owner::Call { command, .. } => world.requests[at(command)].mark,
            Owner::Record { event, .. } => world
                .event(event)
                .and_then(|event| event.mark)
                .map(|token| (token, 0)),
        };
        let own = Token {
            owner: execution.owner,
            decision: execution.decision,
        };
        let over = match (mark, why) {
            (Some((token, version)), RecheckReason::Cancelled | RecheckReason::Exhausted)
                if token == own =>
            {
                Outcome::Settled(version)
            }
            // The work after the commit is still to be done, so the message comes back after any attempt.
            (Some(_), RecheckReason::CutOff) => Outcome::Returned,
            (Some((_, version)), _) => Outcome::AlreadyDone(version),
            (None, RecheckReason::Cancelled) => return self.conflict(world, who),
            (None, RecheckReason::Exhausted) => match execution.owner {
                Owner::Call { .. } => Outcome::Unknown,
                Owner::Record { .. } => Outcome::Returned,
            },
            (None, RecheckReason::Refusing) => return self.refuse(world, who),
            (None, RecheckReason::GivingUp) => match execution.owner {
                Owner::Call { .. } => Outcome::Contention,
                Owner::Record { .. } => return self.failed(world, who, Disowned::Answered),
            },
            (None, RecheckReason::Failed) => return self.failed(world, who, Disowned::Answered),
            (None, RecheckReason::CutOff) => match self.bounds.cut_off {
                CutOff::FailsLikeAnyOther => return self.failed(world, who, Disowned::CutOff),
                CutOff::ComesBack => Outcome::Returned,
            },
        };
        world.execution(who).phase = Phase::Over(over);
    }

    fn refuse(&self, world: &mut World, who: Who) {
        let owner = world.execution(who).owner;
        if let Owner::Call { command, .. } = owner {
            world.wrongs.lied |= world.done(command).is_some();
        }
        world.disown(owner, Disowned::Answered);
        world.execution(who).phase = Phase::Over(Outcome::Refused);
    }

    /// Handles a record that was not done: it is parked after its last attempt.
    fn failed(&self, world: &mut World, who: Who, disowned: Disowned) {
        let owner = world.execution(who).owner;
        let Owner::Record {
            event, receives, ..
        } = owner
        else {
            return;
        };
        if receives < self.bounds.tries {
            world.execution(who).phase = Phase::Over(Outcome::Returned);
            return;
        }
        if self.marks() {
            world.wrongs.parked_done |= world
                .event(event)
                .is_some_and(|event| !event.effects.is_empty());
        }
        world.disown(owner, disowned);
        world.execution(who).phase = Phase::Parking;
    }

    /// A commit that is answered.
    fn send(&self, world: &mut World, content: Content, fate: Fate) -> Result<(), Cancelled> {
        let guarded = self.bounds.evidence == Evidence::Guard
            && matches!(content.token.owner, Owner::Record { .. });
        let known = !guarded && fate != Fate::TokenForgotten;
        if known && Self::written(world, content.token) {
            return Ok(());
        }
        self.holds(world, &content, false)?;
        self.write(world, &content);
        Ok(())
    }

    fn content(world: &World, who: Who) -> Option<Content> {
        let execution = world.peek(who);
        let (Phase::Sending { base, .. } | Phase::SecondHalf { base }) = execution.phase else {
            return None;
        };
        Some(Content {
            token: Token {
                owner: execution.owner,
                decision: execution.decision,
            },
            base,
        })
    }

    /// What can happen to these contents if they are sent now.
    fn fates(&self, world: &World, contents: &[Content], fates: &mut Vec<Fate>) {
        fates.push(Fate::Answered);
        if contents.len() == 1 && Self::written(world, contents[0].token) {
            fates.push(Fate::TokenForgotten);
        }
        if world.faults.lost == 0 {
            return;
        }
        fates.push(Fate::LostForEver);
        let grouped = contents.len() > 1;
        let holds = |content| self.holds(world, content, grouped).is_ok();
        // A commit that is cancelled without an answer has no effect, as if it had never arrived.
        if contents.iter().all(holds) {
            fates.extend([Fate::LostWritten, Fate::LostAndLate]);
        }
    }

    /// What can happen to these contents if their sender stops waiting.
    fn cut_off_fates(&self, world: &World, contents: &[Content]) -> &'static [Fate] {
        let grouped = contents.len() > 1;
        let holds = |content| self.holds(world, content, grouped).is_ok();
        if contents.iter().all(holds) {
            &[Fate::LostForEver, Fate::LostWritten, Fate::LostAndLate]
        } else {
            &[Fate::LostForEver]
        }
    }

    fn commit(&self, world: &mut World, who: Who, fate: Fate) {
        let Some(content) = Self::content(world, who) else {
            return;
        };
        match fate {
            Fate::Answered | Fate::TokenForgotten => {
                let answer = self.send(world, content, fate);
                self.answered(world, who, answer);
            }
            _ => {
                world.faults.lost -= 1;
                self.lose(world, vec![content], fate);
                self.unanswered(world, who, !self.bounds.groups);
            }
        }
    }

    /// The store's side of a commit whose answer is lost.
    fn lose(&self, world: &mut World, contents: Vec<Content>, fate: Fate) {
        match fate {
            Fate::LostWritten => {
                for content in &contents {
                    self.write(world, content);
                }
            }
            Fate::LostAndLate => world.late.push(Late {
                contents,
                disowned: Disowned::No,
            }),
            _ => {}
        }
    }

    fn commit_group(&self, world: &mut World, run: usize, fate: Fate) {
        let members = self.members(world, run);
        let contents: Vec<Content> = members
            .iter()
            .filter_map(|who| Self::content(world, *who))
            .collect();
        if !matches!(fate, Fate::Answered | Fate::TokenForgotten) {
            world.faults.lost -= 1;
            self.lose(world, contents, fate);
            for who in members {
                if self.is(Mutation::GroupLostIsNotWritten)
                    || self.is(Mutation::GroupWithoutMarkConditions)
                {
                    self.conflict(world, who);
                } else {
                    self.unanswered(world, who, true);
                }
            }
            return;
        }
        let answers: Vec<_> = contents
            .iter()
            .map(|content| self.holds(world, content, true))
            .collect();
        if answers.iter().all(Result::is_ok) {
            for (who, content) in members.into_iter().zip(&contents) {
                self.write(world, content);
                self.answered(world, who, Ok(()));
            }
            return;
        }
        // The blamed members get their own reasons. If all are blamed, none can be sure, and each is sent alone, like
        // the others.
        let all_blamed = answers.iter().all(Result::is_err);
        for (who, answer) in members.into_iter().zip(answers) {
            if answer.is_err() && !all_blamed {
                self.answered(world, who, answer);
            } else if let Phase::Sending { alone, .. } = &mut world.execution(who).phase {
                *alone = true;
            }
        }
    }

    /// The records of an invocation that can be committed together, because they touch different items.
    fn members(&self, world: &World, run: usize) -> Vec<Who> {
        let mut aggregates = BTreeSet::new();
        let mut members = Vec::new();
        for (place, execution) in world.runs[run].iter().enumerate() {
            if let (Phase::Sending { alone: false, .. }, Owner::Record { event, .. }) =
                (execution.phase, execution.owner)
                && aggregates.insert(event.aggregate)
            {
                members.push(Who::Record(run, place));
            }
        }
        members
    }

    fn second_half(&self, world: &mut World, who: Who) {
        let Some(content) = Self::content(world, who) else {
            return;
        };
        match content.token.owner {
            Owner::Call { command, .. } => {
                self.log(world, command, content.token, content.base + 1);
            }
            Owner::Record { event, .. } => {
                if let Some(event) = world.event_mut(event) {
                    event.mark = Some(content.token);
                }
            }
        }
        world.execution(who).phase = Phase::Over(Outcome::Committed(content.base + 1));
    }

    fn land(&self, world: &mut World, place: usize) {
        let late = world.late.remove(place);
        let grouped = late.contents.len() > 1;
        // A group has its own token, which is used once. The token of a single commit can have been used by its resend.
        if !grouped && Self::written(world, late.contents[0].token) {
            return;
        }
        let holds = |content| self.holds(world, content, grouped).is_ok();
        if !late.contents.iter().all(holds) {
            return;
        }
        for content in &late.contents {
            self.write(world, content);
        }
        match late.disowned {
            Disowned::No => {}
            Disowned::Answered => world.wrongs.overtaken = true,
            Disowned::CutOff => world.wrongs.overtaken_cut_off = true,
        }
    }

    fn answer(&self, world: &mut World, place: usize) {
        let call = world.calls.remove(place);
        let (Owner::Call { command, .. }, Phase::Over(outcome)) = (call.owner, call.phase) else {
            return;
        };
        let answer = match outcome {
            Outcome::Committed(version)
            | Outcome::Settled(version)
            | Outcome::AlreadyDone(version) => Answer::Version(version),
            Outcome::Refused => Answer::Refused,
            // 503: the client repeats with the same key.
            _ => return,
        };
        if let Answer::Version(version) = answer {
            world.wrongs.lied |= world.done(command) != Some(version);
        }
        // A refusal was checked when it was made. It leaves no mark, and the client can get a refusal from before the
        // commit after it.
        let request = &mut world.requests[at(command)];
        if !matches!(request.answer, Some(Answer::Version(_))) {
            request.answer = Some(answer);
        }
    }

    fn invoke(&self, world: &mut World, batch: usize, fresh: bool) {
        if fresh {
            world.memory.clear();
        }
        let given: Vec<EventId> = world.stream[..batch].to_vec();
        let (remembered, waiting): (Vec<_>, Vec<_>) =
            given.iter().partition(|id| world.memory.contains(id));
        if self.is(Mutation::RecordsBeforePublishing) {
            for id in &given {
                if let Some(event) = world.event_mut(*id) {
                    event.published = true;
                }
            }
        }
        let mut waiting: Vec<(EventId, u8)> = waiting.into_iter().map(|id| (id, 0)).collect();
        waiting.sort_unstable();
        world.relay = Some(Invocation {
            batch,
            waiting,
            calls: Vec::new(),
            published: remembered.into_iter().collect(),
            refused: BTreeSet::new(),
            exhausted: false,
        });
    }

    /// The sets of aggregates whose events the next call can contain. An aggregate with a failed event can be pausing
    /// or not.
    fn next_calls(&self, relay: &Invocation) -> Vec<Vec<u8>> {
        if relay.exhausted || relay.calls.len() >= self.bounds.concurrency {
            return Vec::new();
        }
        let in_flight: BTreeSet<u8> = relay
            .calls
            .iter()
            .flatten()
            .map(|(id, _)| id.aggregate)
            .collect();
        let ready: BTreeSet<u8> = relay
            .waiting
            .iter()
            .map(|(id, _)| id.aggregate)
            .filter(|aggregate| !in_flight.contains(aggregate))
            .collect();
        let tried = |aggregate: u8| {
            relay
                .waiting
                .iter()
                .any(|(id, tries)| id.aggregate == aggregate && *tries > 0)
        };
        let (pausing, free): (Vec<u8>, Vec<u8>) = ready.into_iter().partition(|one| tried(*one));
        let mut sets = vec![free];
        for aggregate in pausing {
            let with: Vec<Vec<u8>> = sets
                .iter()
                .map(|set| set.iter().copied().chain([aggregate]).collect())
                .collect();
            sets.extend(with);
        }
        sets.retain(|set| !set.is_empty());
        sets
    }

    fn start_call(&self, world: &mut World, aggregates: &[u8]) {
        let (entries, ahead) = (self.bounds.entries, self.is(Mutation::RelayRunsAhead));
        let Some(relay) = &mut world.relay else {
            return;
        };
        let fresh = |aggregate: u8| {
            relay
                .waiting
                .iter()
                .any(|(id, tries)| id.aggregate == aggregate && *tries == 0)
        };
        let mut picked = Vec::new();
        for aggregate in aggregates {
            let skips_failed = ahead && fresh(*aggregate);
            let own = relay
                .waiting
                .iter()
                .filter(|(id, tries)| id.aggregate == *aggregate && !(skips_failed && *tries > 0));
            picked.extend(own.copied().take(entries - picked.len()));
        }
        relay.waiting.retain(|one| !picked.contains(one));
        relay.calls.push(picked);
    }

    fn end_call(&self, world: &mut World, place: usize, fate: CallFate) {
        let Some(mut relay) = world.relay.take() else {
            return;
        };
        let entries = relay.calls.remove(place);
        match fate {
            CallFate::Taken { but: 0 } => {}
            CallFate::Taken { .. } | CallFate::TakenUnheard => world.faults.bus -= 1,
            CallFate::FirstRefused => world.faults.refusals -= 1,
        }
        for (entry, (id, tries)) in entries.into_iter().enumerate() {
            let (taken, heard, refused) = match fate {
                CallFate::Taken { but } => {
                    (but & (1 << entry) == 0, but & (1 << entry) == 0, false)
                }
                CallFate::TakenUnheard => (true, false, false),
                CallFate::FirstRefused => (entry > 0, entry > 0, entry == 0),
            };
            if taken {
                self.deliver(world, id);
            }
            if heard || self.is(Mutation::RelayTakesFailedForPublished) {
                relay.published.insert(id);
                world.memory.insert(id);
            } else if refused {
                relay.refused.insert(id);
            } else {
                relay.exhausted |= tries + 1 >= self.bounds.attempts;
                relay.waiting.push((id, tries + 1));
            }
        }
        relay.waiting.sort_unstable();
        world.relay = Some(relay);
    }

    /// The bus accepts an event and delivers a message to every lane whose rule matches: one or none in this model.
    fn deliver(&self, world: &mut World, id: EventId) {
        let listened = self.listened();
        let Some(event) = world.event_mut(id) else {
            return;
        };
        let copy = event.copies;
        event.copies += 1;
        if listened {
            world.lane.push(Message {
                event: id,
                copy,
                receives: 0,
                hidden: false,
            });
        }
    }

    fn record(&self, world: &mut World, fails: bool) {
        let Some(relay) = world.relay.take() else {
            return;
        };
        if fails {
            world.faults.records -= 1;
            return;
        }
        for id in &relay.published {
            if let Some(event) = world.event_mut(*id) {
                event.published = true;
            }
        }
        for id in &relay.refused {
            if let Some(event) = world.event_mut(*id) {
                event.refused = true;
            }
        }
        if relay.waiting.is_empty() {
            world.stream.drain(..relay.batch);
        }
    }

    fn receive(&self, world: &mut World, places: &[usize]) {
        let mut run = Vec::new();
        for place in places {
            let message = &mut world.lane[*place];
            message.hidden = true;
            message.receives += 1;
            run.push(Execution {
                owner: Owner::Record {
                    event: message.event,
                    copy: message.copy,
                    receives: message.receives,
                },
                decision: 0,
                phase: Phase::Deciding,
            });
        }
        world.runs.push(run);
        if self.is(Mutation::AcknowledgesBeforeCommit) {
            let mut place = 0;
            world.lane.retain(|_| {
                place += 1;
                !places.contains(&(place - 1))
            });
        }
    }

    fn fail(&self, world: &mut World, who: Who) {
        world.faults.failures -= 1;
        if self.marks() && !self.is(Mutation::ParksWithoutRecheck) {
            world.execution(who).phase = Phase::Rechecking(RecheckReason::Failed);
        } else {
            self.failed(world, who, Disowned::Answered);
        }
    }

    fn park(&self, world: &mut World, who: Who, fate: Fate) {
        let Owner::Record { event, .. } = world.execution(who).owner else {
            return;
        };
        if fate != Fate::LostForEver
            && let Some(event) = world.event_mut(event)
        {
            event.letters += 1;
        }
        if fate != Fate::Answered {
            world.faults.lost -= 1;
        }
        world.execution(who).phase = Phase::Over(match fate {
            Fate::Answered => Outcome::Parked,
            _ => Outcome::Returned,
        });
    }

    /// The invocation's response: the queue deletes handled messages and delivers the others again.
    fn respond(&self, world: &mut World, run: usize, stale_receipts_delete: bool) {
        for execution in world.runs.remove(run) {
            let acknowledged = matches!(
                execution.phase,
                Phase::Over(
                    Outcome::Committed(_)
                        | Outcome::Settled(_)
                        | Outcome::AlreadyDone(_)
                        | Outcome::Ignored
                        | Outcome::Parked
                )
            );
            let Some((place, current)) = world.message_of(execution.owner) else {
                continue;
            };
            if acknowledged && (current || stale_receipts_delete) {
                world.lane.remove(place);
            } else if !acknowledged && current {
                world.lane[place].hidden = false;
            }
        }
    }

    fn executions(&self, world: &World, actions: &mut Vec<Action>) {
        let calls = (0..world.calls.len()).map(Who::Call);
        let records = world.runs.iter().enumerate().flat_map(|(run, records)| {
            (0..records.len()).map(move |record| Who::Record(run, record))
        });
        let mut fates = Vec::new();
        for who in calls.chain(records) {
            if world.waits_for_a_copy(who) {
                continue;
            }
            let is_record = matches!(who, Who::Record(..));
            match world.peek(who).phase {
                Phase::Deciding => {
                    actions.push(Action::Decide(who));
                    if is_record && world.faults.failures > 0 {
                        actions.push(Action::Fail(who));
                    }
                }
                Phase::Sending { .. } => {
                    fates.clear();
                    let content = Self::content(world, who);
                    self.fates(world, content.as_slice(), &mut fates);
                    actions.extend(fates.iter().map(|fate| Action::Commit(who, *fate)));
                    if is_record && self.marks() && world.faults.cut_offs > 0 {
                        let fates = self.cut_off_fates(world, content.as_slice());
                        actions.extend(fates.iter().map(|fate| Action::CutOff(who, *fate)));
                    }
                }
                Phase::Rechecking(_) => actions.push(Action::Recheck(who)),
                Phase::SecondHalf { .. } => actions.push(Action::WriteSecondHalf(who)),
                Phase::Parking => {
                    actions.push(Action::Park(who, Fate::Answered));
                    if world.faults.lost > 0 {
                        actions.push(Action::Park(who, Fate::LostWritten));
                        actions.push(Action::Park(who, Fate::LostForEver));
                    }
                }
                Phase::Over(_) => {
                    if let Who::Call(place) = who {
                        actions.push(Action::Answer(place));
                    }
                }
            }
        }
        if self.bounds.groups {
            for run in 0..world.runs.len() {
                let members = self.members(world, run);
                if members.len() < 2 {
                    continue;
                }
                let contents: Vec<Content> = members
                    .iter()
                    .filter_map(|who| Self::content(world, *who))
                    .collect();
                fates.clear();
                self.fates(world, &contents, &mut fates);
                actions.extend(fates.iter().map(|fate| Action::CommitGroup(run, *fate)));
                if world.faults.cut_offs > 0 {
                    let fates = self.cut_off_fates(world, &contents);
                    for who in members {
                        if let Who::Record(run, leader) = who {
                            let cut_off = |fate: &Fate| Action::CutOffGroup(run, leader, *fate);
                            actions.extend(fates.iter().map(cut_off));
                        }
                    }
                }
            }
        }
    }

    fn relay_actions(&self, world: &World, actions: &mut Vec<Action>) {
        let Some(relay) = &world.relay else {
            for batch in 1..=world.stream.len() {
                actions.push(Action::Invoke {
                    batch,
                    fresh: false,
                });
                if world.stream[..batch]
                    .iter()
                    .any(|id| world.memory.contains(id))
                {
                    actions.push(Action::Invoke { batch, fresh: true });
                }
            }
            return;
        };
        for aggregates in self.next_calls(relay) {
            actions.push(Action::StartCall { aggregates });
        }
        for (place, entries) in relay.calls.iter().enumerate() {
            actions.push(Action::EndCall(place, CallFate::Taken { but: 0 }));
            if world.faults.bus > 0 {
                let masks = 1..(1_u8 << entries.len());
                actions.extend(masks.map(|but| Action::EndCall(place, CallFate::Taken { but })));
                actions.push(Action::EndCall(place, CallFate::TakenUnheard));
            }
            if world.faults.refusals > 0 {
                actions.push(Action::EndCall(place, CallFate::FirstRefused));
            }
        }
        if relay.calls.is_empty() && (relay.waiting.is_empty() || relay.exhausted) {
            actions.push(Action::Record { fails: false });
            if world.faults.records > 0 {
                actions.push(Action::Record { fails: true });
            }
        }
        if world.faults.crashes > 0 {
            actions.push(Action::CrashRelay { taken: false });
            if !relay.calls.is_empty() {
                actions.push(Action::CrashRelay { taken: true });
            }
        }
    }

    fn lane_actions(&self, world: &World, actions: &mut Vec<Action>) {
        let visible: Vec<usize> = (0..world.lane.len())
            .filter(|place| !world.lane[*place].hidden)
            .collect();
        if world.runs.len() < self.bounds.invocations {
            for (nth, one) in visible.iter().enumerate() {
                actions.push(Action::Receive(vec![*one]));
                if self.bounds.batch > 1 {
                    let pairs = visible[nth + 1..].iter().map(|other| vec![*one, *other]);
                    actions.extend(pairs.map(Action::Receive));
                }
            }
        }
        if world.faults.duplicates > 0 {
            let ids: BTreeSet<EventId> = world.lane.iter().map(|message| message.event).collect();
            actions.extend(ids.into_iter().map(Action::Duplicate));
        }
        if world.faults.expiries > 0 {
            let hidden = (0..world.lane.len()).filter(|place| world.lane[*place].hidden);
            actions.extend(hidden.map(Action::Expire));
        }
        for (run, records) in world.runs.iter().enumerate() {
            if world.faults.crashes > 0 {
                actions.push(Action::CrashRun(run));
            }
            if !records
                .iter()
                .all(|one| matches!(one.phase, Phase::Over(_)))
            {
                continue;
            }
            let stale = records.iter().any(|one| {
                world
                    .message_of(one.owner)
                    .is_some_and(|(_, current)| !current)
            });
            actions.push(Action::Respond {
                run,
                stale_receipts_delete: false,
            });
            if stale {
                actions.push(Action::Respond {
                    run,
                    stale_receipts_delete: true,
                });
            }
        }
    }
}

/// Why a commit was cancelled. The mark's reason takes precedence over the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cancelled {
    ByMark,
    ByState,
}

fn at(place: u8) -> usize {
    usize::from(place)
}

impl World {
    /// All logged events.
    pub(super) fn events(&self) -> impl Iterator<Item = (EventId, &Event)> {
        (0_u8..).zip(&self.aggregates).flat_map(|(aggregate, one)| {
            let rows = (1_u8..).zip(&one.log);
            rows.filter_map(move |(sequence, row)| {
                let id = EventId {
                    aggregate,
                    sequence,
                };
                row.as_ref().map(|event| (id, event))
            })
        })
    }

    /// An event by its place.
    pub(super) fn event(&self, id: EventId) -> Option<&Event> {
        self.aggregates[at(id.aggregate)].log[at(id.sequence) - 1].as_ref()
    }

    fn event_mut(&mut self, id: EventId) -> Option<&mut Event> {
        self.aggregates[at(id.aggregate)].log[at(id.sequence) - 1].as_mut()
    }

    /// How often effects were applied to an aggregate's row, which is the row's version.
    fn effects_of(&self, aggregate: u8) -> u8 {
        let rows = self.aggregates[at(aggregate)].log.iter().flatten();
        let applied: usize = rows.map(|event| event.effects.len()).sum();
        u8::try_from(applied).unwrap_or(u8::MAX)
    }

    /// The version that a command led to, if it took effect.
    pub(super) fn done(&self, command: u8) -> Option<u8> {
        self.events()
            .find(|(_, event)| event.command == command)
            .map(|(id, _)| id.sequence)
    }

    /// Whether nothing is under way and nothing waits.
    pub(super) fn is_quiet(&self) -> bool {
        self.calls.is_empty()
            && self.late.is_empty()
            && self.stream.is_empty()
            && self.relay.is_none()
            && self.lane.is_empty()
            && self.runs.is_empty()
            && self.requests.iter().all(|request| request.answer.is_some())
            && !self.events().any(|(_, event)| event.refused)
    }

    fn peek(&self, who: Who) -> &Execution {
        match who {
            Who::Call(place) => &self.calls[place],
            Who::Record(run, place) => &self.runs[run][place],
        }
    }

    fn execution(&mut self, who: Who) -> &mut Execution {
        match who {
            Who::Call(place) => &mut self.calls[place],
            Who::Record(run, place) => &mut self.runs[run][place],
        }
    }

    /// The second copy of an event in one batch waits for the first.
    fn waits_for_a_copy(&self, who: Who) -> bool {
        let Who::Record(run, place) = who else {
            return false;
        };
        let event_of = |one: &Execution| match one.owner {
            Owner::Record { event, .. } => Some(event),
            Owner::Call { .. } => None,
        };
        let own = event_of(&self.runs[run][place]);
        self.runs[run][..place]
            .iter()
            .any(|other| event_of(other) == own && !matches!(other.phase, Phase::Over(_)))
    }

    /// The place of a record's message, and whether its receipt is the newest.
    fn message_of(&self, owner: Owner) -> Option<(usize, bool)> {
        let Owner::Record {
            event,
            copy,
            receives,
        } = owner
        else {
            return None;
        };
        let place = self
            .lane
            .iter()
            .position(|message| message.event == event && message.copy == copy)?;
        let message = self.lane[place];
        Some((place, message.hidden && message.receives == receives))
    }

    /// Notes that an owner acts as if nothing were written. Its commits that are still under way must not take effect
    /// any more.
    fn disown(&mut self, owner: Owner, how: Disowned) {
        for late in &mut self.late {
            if late.contents.iter().any(|one| one.token.owner == owner) {
                late.disowned = how;
            }
        }
    }

    /// Makes equal worlds the same state, because the order within a list has no meaning.
    fn tidy(&mut self) {
        self.calls.sort_unstable();
        self.late.sort_unstable();
        self.lane.sort_unstable();
        self.runs.sort_unstable();
        if let Some(relay) = &mut self.relay {
            relay.calls.sort_unstable();
        }
        let stream = &self.stream;
        self.memory.retain(|id| stream.contains(id));
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let aggregates = self.bounds.commands.iter().max().map_or(0, |most| most + 1);
        let mut world = World {
            faults: self.bounds.faults.clone(),
            closed: false,
            aggregates: vec![Aggregate::default(); at(aggregates)],
            requests: vec![Request::default(); self.bounds.commands.len()],
            calls: Vec::new(),
            late: Vec::new(),
            stream: Vec::new(),
            relay: None,
            memory: BTreeSet::new(),
            lane: Vec::new(),
            runs: Vec::new(),
            wrongs: Wrongs::default(),
        };
        if self.bounds.start == Start::Commands {
            return vec![world];
        }
        for (command, aggregate) in (0_u8..).zip(self.bounds.commands) {
            let token = Token {
                owner: Owner::Call { command, start: 0 },
                decision: 0,
            };
            let base = world.aggregates[at(*aggregate)].version;
            world.aggregates[at(*aggregate)].version += 1;
            world.aggregates[at(*aggregate)].log.push(None);
            self.log(&mut world, command, token, base + 1);
            world.requests[at(command)] = Request {
                mark: Some((token, base + 1)),
                starts: 1,
                answer: Some(Answer::Version(base + 1)),
            };
        }
        if self.bounds.start == Start::OnLane {
            for id in std::mem::take(&mut world.stream) {
                self.deliver(&mut world, id);
                if let Some(event) = world.event_mut(id) {
                    event.published = true;
                }
            }
        }
        vec![world]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let open = world
            .requests
            .iter()
            .any(|request| request.answer.is_none());
        if !world.closed && world.faults.closings > 0 && open {
            actions.push(Action::Close);
        }
        for (place, request) in world.requests.iter().enumerate() {
            let running = world.calls.iter().any(
                |call| matches!(call.owner, Owner::Call { command, .. } if at(command) == place),
            );
            let due = request.answer.is_none() && !running;
            if due || world.faults.repeats > 0 && request.starts > 0 {
                actions.push(Action::Call(place));
            }
        }
        if world.faults.crashes > 0 {
            actions.extend((0..world.calls.len()).map(Action::CrashCall));
        }
        self.executions(world, actions);
        actions.extend((0..world.late.len()).map(Action::Land));
        self.relay_actions(world, actions);
        let refused = world.events().filter(|(_, event)| event.refused);
        actions.extend(refused.map(|(id, _)| Action::Republish(id)));
        if self.listened() {
            self.lane_actions(world, actions);
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut after = before.clone();
        let world = &mut after;
        match action {
            Action::Close => {
                world.faults.closings -= 1;
                world.closed = true;
            }
            Action::Call(place) => {
                let request = &mut world.requests[place];
                let command = u8::try_from(place).ok()?;
                let running = before.calls.iter().any(
                    |call| matches!(call.owner, Owner::Call { command: other, .. } if other == command),
                );
                if running || request.answer.is_some() {
                    world.faults.repeats -= 1;
                }
                let start = request.starts;
                request.starts += 1;
                world.calls.push(Execution {
                    owner: Owner::Call { command, start },
                    decision: 0,
                    phase: Phase::Deciding,
                });
            }
            Action::Answer(place) => self.answer(world, place),
            Action::CrashCall(place) => {
                world.faults.crashes -= 1;
                world.calls.remove(place);
            }
            Action::Decide(who) => self.decide(world, who),
            Action::Commit(who, fate) => self.commit(world, who, fate),
            Action::Recheck(who) => self.recheck(world, who),
            Action::WriteSecondHalf(who) => self.second_half(world, who),
            Action::Land(place) => self.land(world, place),
            Action::Invoke { batch, fresh } => self.invoke(world, batch, fresh),
            Action::StartCall { aggregates } => self.start_call(world, &aggregates),
            Action::EndCall(place, fate) => self.end_call(world, place, fate),
            Action::Record { fails } => self.record(world, fails),
            Action::CrashRelay { taken } => {
                world.faults.crashes -= 1;
                let relay = world.relay.take();
                world.memory.clear();
                if taken {
                    for (id, _) in relay.iter().flat_map(|relay| relay.calls.iter().flatten()) {
                        self.deliver(world, *id);
                    }
                }
            }
            Action::Republish(id) => {
                self.deliver(world, id);
                if let Some(event) = world.event_mut(id) {
                    event.refused = false;
                    event.published = true;
                }
            }
            Action::Duplicate(id) => {
                world.faults.duplicates -= 1;
                self.deliver(world, id);
            }
            Action::Receive(places) => self.receive(world, &places),
            Action::Fail(who) => self.fail(world, who),
            Action::CutOff(who, fate) => {
                world.faults.cut_offs -= 1;
                let content = Self::content(world, who)?;
                self.lose(world, vec![content], fate);
                world.execution(who).phase = Phase::Rechecking(RecheckReason::CutOff);
            }
            Action::CommitGroup(run, fate) => self.commit_group(world, run, fate),
            Action::CutOffGroup(run, leader, fate) => {
                world.faults.cut_offs -= 1;
                let members = self.members(world, run);
                let contents = members.iter().filter_map(|who| Self::content(world, *who));
                let contents = contents.collect();
                self.lose(world, contents, fate);
                for who in members {
                    if who == Who::Record(run, leader) {
                        world.execution(who).phase = Phase::Rechecking(RecheckReason::CutOff);
                    } else {
                        self.unanswered(world, who, true);
                    }
                }
            }
            Action::Park(who, fate) => self.park(world, who, fate),
            Action::Respond {
                run,
                stale_receipts_delete,
            } => self.respond(world, run, stale_receipts_delete),
            Action::CrashRun(run) => {
                world.faults.crashes -= 1;
                for execution in world.runs.remove(run) {
                    if let Some((place, true)) = world.message_of(execution.owner) {
                        world.lane[place].hidden = false;
                    }
                }
            }
            Action::Expire(place) => {
                world.faults.expiries -= 1;
                world.lane[place].hidden = false;
            }
        }
        world.tidy();
        Some(after)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::of(&self.bounds)
    }
}
