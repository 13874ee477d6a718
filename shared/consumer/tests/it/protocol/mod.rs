//! The protocol from the log to the consumer as a state machine, checked in every state that its bounds allow.
//!
//! [`in_order`] is a separate model, for evidence by cursor. For the rest of the protocol, [`model`] has the states,
//! the actions and the transitions, [`properties`] has the invariants and the situations that some run must reach, and
//! [`sizes`] has the bounds. [`mutations`] removes the safeguards one by one and checks that the model finds each
//! removal.
//!
//! # The code behind each action
//!
//! | action | the code, or the outside actor |
//! |---|---|
//! | `Call`, `Answer`, `CrashCall` | a client that repeats with its key until it gets an answer; an API function's handler; the handler's death |
//! | `Decide` | the decision inside `outbox::Outbox::execute`: that of a command, or `consumer::Handler::decide` / `project` in `BatchRunner::by_mark` / `by_guard` |
//! | `Commit` | `outbox::Outbox::commit_until_known` (one `Store::commit` per action, the same token each time) and `Outbox::cancelled`; for a guard `Outbox::put_guarded` |
//! | `Recheck` | the mark's consistent read: in `Outbox::cancelled`, at the end of `Outbox::commit_until_known`, in `Outbox::execute` before a refusal and after the last conflict, in `consumer::BatchRunner::unless_done` before a failure counts |
//! | `Land` | a commit whose sender no longer waits reaches the store |
//! | `Invoke` | the stream's event source mapping delivers a prefix of the unfinished events; `outbox::relay::Relay::sort` leaves out the events that the instance remembers; `fresh` is a new instance |
//! | `StartCall` | `Relay::next_batch` and `Relay::call` |
//! | `EndCall` | the bus's answer, entry by entry, and `Relay::digest`, `Relay::note_published` |
//! | `Record` | the end of `Relay::relay`: `Store::put_all`, and the invocation's answer to the stream |
//! | `CrashRelay` | the invocation dies, whether or not the bus accepted its calls; the instance's memory is lost |
//! | `Republish` | `outbox::republish::republish` with `include_failed` |
//! | `Duplicate` | EventBridge or SQS deliver a message once more |
//! | `Receive` | the queue's event source mapping passes one or two messages to `consumer::BatchRunner::run`, in any order; `group_copies` |
//! | `Fail` | the handler's error, on its way through `BatchRunner::unless_done` to `BatchRunner::fail` |
//! | `CutOff`, `CutOffGroup` | the record's time limit in `BatchRunner::handle`, while its commit (or the group that it leads) is under way |
//! | `CommitGroup` | `outbox::group::GroupStore::send`: one transaction for records that touch different items. If it is cancelled, only the blamed members are answered; if its answer is lost, the answer of every member is lost |
//! | `Park` | `BatchRunner::park`; if its answer is lost, the dead letter exists and the message comes back |
//! | `Respond` | `consumer::Summary::failed` in the function's response: the queue delivers the failed messages again and deletes the others |
//! | `CrashRun` | the consumer's invocation dies: all of its messages come back |
//! | `Expire` | a message's visibility timeout ends while the message is handled; the old receipt handle may or may not delete it then |
//! | `Close` | time passes: from now on the rules refuse, for a reason that no version guard protects |
//! | `WriteSecondHalf` | no code: the action exists only for mutations that split a transaction |
//!
//! # Bounds and states
//!
//! At most 4 events of 2 aggregates, 2 invocations of the consumer with 2 records each, 2 entries in a call to the bus
//! and 2 such calls, 2 decisions, 1 resend, 2 attempts for an event in the relay; a message is parked at its second
//! failed delivery. Each size says how many faults of which kind a run can meet. A fault can occur at any point.
//!
//! | size | states |
//! |---|---|
//! | `COMMANDS` | 272,254 |
//! | `IMPATIENT` | 66,920 |
//! | `RELAY` | 276,021 |
//! | `LONG_RELAY` | 180,698 |
//! | `COPIES` | 146,980 |
//! | `MARKS` | 195,883 |
//! | `GUARD` | 80,066 |
//! | `GROUPS` | 426,854 |
//! | `LOST_GROUPS` | 354,321 |
//! | `VERSIONED_GROUPS` | 111,564 |
//! | `CUT_OFF` | 119,395 |
//! | `PATH` | 92,845 |
//! | `TWO_PATHS` | 209,715 |
//! | `GROUPED_PATHS` | 172,442 |
//! | `in_order::WAKE_UPS` | 5,149 |
//! | `in_order::COPIES` | 37,919 |
//! | `in_order::PARKED` | 910,224 |
//! | `in_order::PARKED_UNHEARD` | 489,983 |
//!
//! # Liveness
//!
//! The checker's `eventually` stops if a path joins one that was seen before, so the tests do not use it. They check
//! three properties instead, which together are equivalent. In every *quiet* state (nothing under way, nothing waiting)
//! each committed event is published, and is either handled or a dead letter. In every other state some action is
//! possible. No run has a cycle, because faults are used up and every other action makes progress. So every run ends in
//! a good state.
//!
//! # What the protocol does not guarantee
//!
//! The protocol without mutations reaches each of these situations, and a size asserts it.
//!
//! * A later event can reach the bus before an earlier one of its aggregate, if both were in one call and the bus
//!   accepted only the later one.
//! * An event has two dead letters if the answer to the first was lost, or if the run died after sending it.
//! * The event of a dead letter can be done nevertheless: one copy is parked, because its mark was read and did not
//!   exist, while another copy is being committed. Reading the mark cannot exclude what happens afterwards. After a
//!   redrive, the dead letter finds the mark.
//! * A refusal reflects only the state at its moment. It leaves no mark, so the commit of a call that died can take
//!   effect after its repeat was refused.
//!
//! # What the model does not cover
//!
//! * Time: pauses, delays, the six hours of `unavailable`, the 60 days of marks, the queue's own limit of deliveries,
//!   the relay's circuit and budget (they only make an invocation fail earlier), and the 24 hours of the stream. A late
//!   commit can be arbitrarily late.
//! * The content of transactions: the tests of `outbox::Transaction` check that effect, events and mark are in one
//!   transaction. In the model an event has one consumer, and a consumer emits nothing.
//! * Refusals before sending, throttled calls (a commit that is known not to be written is a weaker fault than a lost
//!   answer), messages that cannot be read, and `Handler::after_commit` after the commit.
//! * Unreadable marks: the runtime then waits (`Failure::with_unread_mark`). In the model the mark can always be read.
//! * Groups of more than two members, and groups of in-order records: for a group, a cursor's advance is like a mark's
//!   condition.
//! * For in-order consumers: events that they do not select, several pages, and events that retention removes.

mod in_order;
mod model;
mod mutations;
mod properties;
mod sizes;

use std::{
    collections::HashSet,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash},
    time::Instant,
    vec,
};

use stateright::{Checker, Model};

use model::{Bounds, Protocol};

/// Explores a size completely.
#[expect(
    clippy::print_stdout,
    reason = "the number of states shows how much a size covers"
)]
fn holds(bounds: Bounds) {
    let started = Instant::now();
    let (name, floor) = (bounds.name, bounds.floor);
    let protocol = Protocol {
        bounds,
        mutation: None,
    };
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    println!(
        "{name}: {} states in {:?}",
        checker.unique_state_count(),
        started.elapsed()
    );
    checker.assert_properties();
    assert!(checker.is_done(), "{name}: not all explored");
    assert!(
        checker.unique_state_count() >= floor,
        "{name}: the model has shrunk to {} states; there were more than {floor}",
        checker.unique_state_count()
    );
}

#[test]
fn a_command_takes_effect_once_and_its_first_answer_stays() {
    holds(sizes::COMMANDS);
    holds(sizes::IMPATIENT);
}

#[test]
fn the_relay_publishes_every_event_and_keeps_the_order_it_promises() {
    holds(sizes::RELAY);
    holds(sizes::LONG_RELAY);
}

#[test]
fn a_mark_makes_an_effect_happen_once_or_become_a_letter() {
    holds(sizes::COPIES);
    holds(sizes::MARKS);
}

#[test]
fn a_guard_never_lets_a_projection_go_back() {
    holds(sizes::GUARD);
}

#[test]
fn a_group_commit_keeps_every_property_of_single_commits() {
    holds(sizes::GROUPS);
    holds(sizes::LOST_GROUPS);
    holds(sizes::VERSIONED_GROUPS);
}

#[test]
fn all_of_the_path_keeps_every_property() {
    holds(sizes::PATH);
    holds(sizes::TWO_PATHS);
    holds(sizes::GROUPED_PATHS);
}

#[test]
fn a_cut_off_record_that_comes_back_is_never_parked_and_done() {
    holds(sizes::CUT_OFF);
}

/// Explores a size of the in-order consumer completely, and checks that every run ends.
#[expect(
    clippy::print_stdout,
    reason = "the number of states shows how much a size covers"
)]
fn holds_in_order(bounds: in_order::Bounds) {
    let started = Instant::now();
    let (name, floor) = (bounds.name, bounds.floor);
    let model = in_order::InOrder {
        bounds,
        mutation: None,
    };
    assert!(!has_cycle(&model), "{name}: a run can go on forever");
    let checker = model.checker().threads(2).spawn_bfs().join();
    let states = checker.unique_state_count();
    println!("{name}: {states} states in {:?}", started.elapsed());
    checker.assert_properties();
    assert!(checker.is_done(), "{name}: not all explored");
    assert!(
        states >= floor,
        "{name}: the model has shrunk to {states} states; there were more than {floor}"
    );
}

#[test]
fn in_order_every_event_is_handled_once_after_the_one_before_it_and_nobody_waits_for_nothing() {
    holds_in_order(in_order::WAKE_UPS);
    holds_in_order(in_order::COPIES);
    holds_in_order(in_order::PARKED);
    holds_in_order(in_order::PARKED_UNHEARD);
}

/// No state comes back. Because no run gets stuck either, every run ends in a quiet state.
#[test]
fn no_run_goes_round_in_circles() {
    for bounds in [
        sizes::IMPATIENT,
        sizes::LONG_RELAY,
        sizes::MARKS,
        sizes::GUARD,
        sizes::CUT_OFF,
        sizes::VERSIONED_GROUPS,
        sizes::PATH,
    ] {
        let name = bounds.name;
        let protocol = Protocol {
            bounds,
            mutation: None,
        };
        assert!(!has_cycle(&protocol), "{name}: a run can go on forever");
    }
}

/// Whether a state can be reached from itself, by a depth-first search.
fn has_cycle<M: Model<State: Hash>>(protocol: &M) -> bool {
    // Like the checker, it distinguishes states by 64 bits.
    let fingerprint = |world: &M::State| BuildHasherDefault::<DefaultHasher>::new().hash_one(world);
    let next = |world: &M::State| -> vec::IntoIter<M::State> {
        let steps = protocol.next_steps(world).into_iter();
        let worlds: Vec<M::State> = steps.map(|(_, world)| world).collect();
        worlds.into_iter()
    };
    let mut seen: HashSet<u64> = HashSet::new();
    let mut on_the_way: HashSet<u64> = HashSet::new();
    let mut way: Vec<(u64, vec::IntoIter<M::State>)> = Vec::new();
    for world in protocol.init_states() {
        let print = fingerprint(&world);
        seen.insert(print);
        on_the_way.insert(print);
        way.push((print, next(&world)));
    }
    while let Some((print, ahead)) = way.last_mut() {
        match ahead.next() {
            None => {
                on_the_way.remove(print);
                way.pop();
            }
            Some(world) => {
                let print = fingerprint(&world);
                if on_the_way.contains(&print) {
                    return true;
                }
                if seen.insert(print) {
                    on_the_way.insert(print);
                    way.push((print, next(&world)));
                }
            }
        }
    }
    false
}
