//! The protocol from the log to the consumer as a state machine, checked in every state that its bounds allow.
//!
//! [`in_order`] is a model of its own: evidence by cursor. Of everything else
//! [`model`] holds states, actions and the transition, [`properties`] what must hold and what must be seen, [`sizes`] the
//! bounds, [`mutations`] the safeguards taken out one by one, each of which is found.
//!
//! # What stands for what
//!
//! | action | what does it |
//! |---|---|
//! | `Call`, `Answer`, `CrashCall` | a client that repeats with its key until it is answered; an API function's handler; its death |
//! | `Decide` | the decision inside `outbox::Outbox::execute`: a command's, or `consumer::Handler::decide` / `project` by `Runner::by_mark` / `by_guard` |
//! | `Commit` | `outbox::Outbox::settle` (one `Store::commit` per action, the same token each time) and `Outbox::cancelled`; for a guard `Outbox::put_guarded` |
//! | `Look` | the mark's consistent read: in `Outbox::cancelled`, at the end of `Outbox::settle`, in `Outbox::execute` before a refusal and after the last conflict, in `consumer::Runner::unless_done` before a failure counts |
//! | `Land` | a sending that nobody waits for any more reaches the store |
//! | `Invoke` | the stream's mapping: a prefix of what is not finished; `outbox::relay::Relay::sort` leaves out what the instance remembers; `fresh` is another instance |
//! | `StartCall` | `Relay::next_batch` and `Relay::call` |
//! | `EndCall` | the bus's answer, entry by entry, and `Relay::digest`, `Relay::note_published` |
//! | `Record` | the end of `Relay::relay`: `Store::put_all`, and the invocation's answer to the stream |
//! | `CrashRelay` | the invocation dies, its calls taken by the bus or not; the memory goes with it |
//! | `Republish` | `outbox::republish::republish` with `include_failed` |
//! | `Duplicate` | EventBridge or SQS deliver once more |
//! | `Receive` | the queue's mapping gives `consumer::Runner::run` one or two messages, in any order; `group_copies` |
//! | `Fail` | the handler's error, on its way through `Runner::unless_done` to `Runner::fail` |
//! | `CutOff`, `CutOffGroup` | the record's time limit in `Runner::handle`, while its commit (or the group that it leads) is under way |
//! | `CommitGroup` | `outbox::group::GroupStore::send`: one transaction for records that touch different items; cancelled, only those to blame hear of it; its answer lost, each member's is |
//! | `Park` | `Runner::park`; its answer may be lost, then the letter is there and the message comes back |
//! | `Respond` | `consumer::Summary::failed` in the function's answer: the queue deletes the rest, and shows again what failed |
//! | `CrashRun` | the consumer's invocation dies: all of its messages come back |
//! | `Expire` | a message's visibility ends while it is handled; its old receipt then may or may not delete it |
//! | `Close` | time: from now on the rules refuse, for a reason that no version guards |
//! | `WriteSecondHalf` | nothing: exists only where a mutation tears a transaction apart |
//!
//! # Bounds and states
//!
//! At most 4 events of 2 aggregates, 2 invocations of the consumer with 2 records each, 2 entries in a call to the bus and 2
//! such calls, 2 decisions, 1 resend, 2 tries of an event in the relay, parked at the second failed receipt. How many
//! faults of which kind a run may meet stands with each size; they may strike anywhere.
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
//! The checker's `eventually` ends where a path joins one that was seen before, so it is not used. Instead three things are
//! checked which together say the same: in every *quiet* state (nothing under way, nothing waiting) each committed event is
//! handled or a letter, and published; in every state that is not quiet something can happen; and no run goes round in
//! circles (faults are used up, everything else makes progress). So every run ends, and ends well.
//!
//! # What the protocol does not promise
//!
//! Each of these is reached by the unbroken protocol, and a size asserts that it is.
//!
//! * A later event may reach the bus before an earlier one of its aggregate: they were in one call, and only one was taken.
//! * An event has two letters when the answer to the first was lost, or when somebody died after sending it.
//! * A letter's event may be done all the same: one copy is parked, its mark read and not there, while another copy is just
//!   being committed. A look at the mark cannot exclude what happens after it. Redriven, the letter finds the mark.
//! * A refusal is the truth of its moment. It leaves no mark, so the sending of a call that died may land after its repeat
//!   was refused.
//!
//! # What the model does not show
//!
//! * Time: pauses, delays, the six hours of `unavailable`, 30 days of marks, the queue's own limit of receipts, the relay's
//!   circuit and budget (they only make an invocation fail earlier), 24 hours of the stream. A late sending may be as late as
//!   it likes.
//! * The content of transactions: that effect, events and mark really stand in one is what `outbox::Transaction` is tested
//!   for. An event has one consumer here, and a consumer emits nothing.
//! * What is refused before it is sent, throttled calls (a sending that is known not to be written is less than a lost one),
//!   messages that cannot be read, `Handler::settle` after the commit.
//! * Unreadable marks: the runtime then waits (`Failure::with_unread_mark`); here the mark can always be read.
//! * Groups of more than two, and of in-order records: a cursor's advance is a mark's condition to a group.
//! * Of in-order consumers: events that they do not listen to, pages of more than all there is, and what retention takes.

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
    reason = "the number of states tells how much a size covers"
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

/// Explores a size of the in-order consumer completely; no run of it goes on for ever.
#[expect(
    clippy::print_stdout,
    reason = "the number of states tells how much a size covers"
)]
fn holds_in_order(bounds: in_order::Bounds) {
    let started = Instant::now();
    let (name, floor) = (bounds.name, bounds.floor);
    let model = in_order::InOrder {
        bounds,
        mutation: None,
    };
    assert!(!has_cycle(&model), "{name}: a run can go on for ever");
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

/// No state comes back: with that, and with nothing ever stuck, every run ends and ends quiet.
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
        assert!(!has_cycle(&protocol), "{name}: a run can go on for ever");
    }
}

/// Depth first: whether some state can be reached from itself.
fn has_cycle<M: Model<State: Hash>>(protocol: &M) -> bool {
    // Like the checker, it tells states apart by 64 bits.
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
