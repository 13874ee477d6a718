//! doc

mod model;
mod mutations;
mod properties;
mod sizes;

use std::{
    collections::HashSet,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    time::Instant,
    vec,
};

use stateright::{Checker, Model};

use model::{Bounds, Protocol, World};

/// Explores a size completely.
#[expect(clippy::print_stdout, reason = "the number of states tells how much a size covers")]
fn holds(bounds: Bounds) {
    let started = Instant::now();
    let (name, floor) = (bounds.name, bounds.floor);
    let protocol = Protocol {
        bounds,
        mutation: None,
    };
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    println!(
        "{name}: {} states, {} steps at most, {:?}",
        checker.unique_state_count(),
        checker.max_depth(),
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
fn has_cycle(protocol: &Protocol) -> bool {
    // Like the checker, it tells states apart by 64 bits.
    let fingerprint = |world: &World| BuildHasherDefault::<DefaultHasher>::new().hash_one(world);
    let next = |world: &World| -> vec::IntoIter<World> {
        let steps = protocol.next_steps(world).into_iter();
        let worlds: Vec<World> = steps.map(|(_, world)| world).collect();
        worlds.into_iter()
    };
    let mut seen: HashSet<u64> = HashSet::new();
    let mut on_the_way: HashSet<u64> = HashSet::new();
    let mut way: Vec<(u64, vec::IntoIter<World>)> = Vec::new();
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
