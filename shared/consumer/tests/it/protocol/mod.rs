//! doc

mod model;
mod mutations;
mod properties;

use std::time::Instant;

use stateright::{Checker, Model};

use model::{Bounds, CutOff, Evidence, Faults, Protocol, Start};
use properties as sight;

fn no_faults() -> Faults { Faults::default() }

fn plain(name: &'static str) -> Bounds {
    Bounds {
        name,
        start: Start::Commands,
        commands: &[0, 0],
        limit: 9,
        evidence: Evidence::Nobody,
        faults: Faults::default(),
        decisions: 2,
        resends: 1,
        entries: 2,
        concurrency: 2,
        attempts: 2,
        tries: 2,
        batch: 1,
        invocations: 2,
        groups: false,
        cut_off: CutOff::FailsLikeAnyOther,
        sights: &[],
        floor: 0,
    }
}

#[test]
fn explore() {
    let all = [
        Bounds { evidence: Evidence::Unread, start: Start::Commands, limit: 1, faults: Faults { lost: 2, crashes: 1, repeats: 1, closings: 1, ..no_faults() }, sights: &[sight::STORED_ANSWER, sight::REFUSED, sight::SETTLED, sight::LATE_FINDS_MARK, sight::DECIDED_AGAIN, sight::REFUSED_AND_DONE], ..plain("commands1") },
        Bounds { evidence: Evidence::Unread, start: Start::Commands, limit: 9, faults: Faults { lost: 2, crashes: 1, repeats: 1, closings: 1, ..no_faults() }, sights: &[sight::STORED_ANSWER, sight::REFUSED, sight::SETTLED, sight::LATE_FINDS_MARK, sight::DECIDED_AGAIN, sight::REFUSED_AND_DONE], ..plain("commands2") },
        Bounds { evidence: Evidence::Unread, commands: &[0], start: Start::Commands, limit: 9, faults: Faults { lost: 3, crashes: 2, repeats: 2, closings: 1, ..no_faults() }, ..plain("one command") },
        Bounds { start: Start::Logged, commands: &[0, 0, 1], faults: Faults { bus: 2, crashes: 2, records: 1, refusals: 1, ..no_faults() }, sights: &[sight::RELAYED_AGAIN, sight::REMEMBERED, sight::OVERTAKES, sight::REFUSED_BY_BUS], ..plain("relay") },
        Bounds { start: Start::Logged, commands: &[0, 0, 0, 1], faults: Faults { bus: 2, crashes: 1, records: 0, refusals: 0, ..no_faults() }, sights: &[sight::RELAYED_AGAIN, sight::REMEMBERED, sight::OVERTAKES], ..plain("relay4") },
        Bounds { start: Start::OnLane, commands: &[0], evidence: Evidence::Mark, faults: Faults { lost: 2, crashes: 1, duplicates: 1, expiries: 1, failures: 2, ..no_faults() }, ..plain("marked1") },
        Bounds { start: Start::OnLane, commands: &[0], evidence: Evidence::Mark, faults: Faults { lost: 1, crashes: 1, duplicates: 2, expiries: 0, failures: 2, ..no_faults() }, ..plain("marked1b") },
        Bounds { start: Start::OnLane, commands: &[0, 0], evidence: Evidence::Mark, faults: Faults { lost: 1, crashes: 1, duplicates: 1, expiries: 0, failures: 1, ..no_faults() }, ..plain("marked2") },
        Bounds { start: Start::OnLane, commands: &[0, 0], evidence: Evidence::Guard, faults: Faults { lost: 1, crashes: 1, duplicates: 1, expiries: 0, failures: 2, ..no_faults() }, ..plain("guarded") },
        Bounds { start: Start::OnLane, commands: &[0, 1], evidence: Evidence::BlindMark, batch: 2, groups: true, faults: Faults { lost: 1, crashes: 1, duplicates: 1, expiries: 0, failures: 1, ..no_faults() }, ..plain("groups") },
        Bounds { start: Start::OnLane, commands: &[0, 1], evidence: Evidence::BlindMark, batch: 2, groups: true, faults: Faults { lost: 2, crashes: 1, duplicates: 0, expiries: 1, failures: 0, ..no_faults() }, ..plain("groups2") },
        Bounds { start: Start::Commands, commands: &[0], evidence: Evidence::Mark, faults: Faults { lost: 1, crashes: 1,bus: 1, duplicates: 1, records:1, ..no_faults() }, ..plain("whole1") },
        Bounds { start: Start::Commands, commands: &[0, 0], evidence: Evidence::Mark, faults: Faults { lost: 0, crashes: 1, ..no_faults() }, ..plain("whole2") },
        Bounds { start: Start::Commands, commands: &[0, 1], evidence: Evidence::BlindMark, batch: 2, groups: true, invocations: 1, faults: Faults { lost: 1, crashes: 0, ..no_faults() }, ..plain("whole3") },
    ];
    for bounds in all {
        if std::env::var("ONLY").is_ok_and(|it| it != bounds.name) { continue; }
        let started = Instant::now();
        let name = bounds.name;
        let checker = Protocol { bounds, mutation: None }.checker().threads(2).timeout(std::time::Duration::from_secs(40)).spawn_bfs().join();
        println!("{name}: {} unique, depth {}, {:?}", checker.unique_state_count(), checker.max_depth(), started.elapsed());
        for (property, path) in checker.discoveries() { if std::env::var("TRACE").is_ok_and(|it| property.contains(&it)) { println!("   {property}"); for action in path.into_actions() { println!("      {action:?}"); } } else { println!("   {property}: {} steps", path.into_actions().len()); } }
    }
}
