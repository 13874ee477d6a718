//! The sizes that are checked. Each covers a part of the path, with as many faults as can be explored in seconds.

use super::{
    model::{Bounds, CutOff, Evidence, Faults, Start},
    properties as sight,
};

const NONE: Faults = Faults {
    crashes: 0,
    lost: 0,
    repeats: 0,
    bus: 0,
    refusals: 0,
    records: 0,
    duplicates: 0,
    expiries: 0,
    failures: 0,
    cut_offs: 0,
    closings: 0,
};

/// The values that the sizes share.
const PLAIN: Bounds = Bounds {
    name: "",
    start: Start::Commands,
    commands: &[0, 0],
    limit: 9,
    evidence: Evidence::Unread,
    faults: NONE,
    decisions: 2,
    resends: 1,
    entries: 2,
    concurrency: 2,
    attempts: 2,
    tries: 2,
    batch: 1,
    invocations: 2,
    groups: false,
    cut_off: CutOff::ComesBack,
    sights: &[],
    floor: 0,
};

/// Two commands on one aggregate that accepts one of them.
pub(super) const COMMANDS: Bounds = Bounds {
    name: "two commands, room for one",
    limit: 1,
    faults: Faults {
        lost: 2,
        crashes: 1,
        repeats: 1,
        closings: 1,
        ..NONE
    },
    sights: &[
        sight::STORED_ANSWER,
        sight::REFUSED,
        sight::SETTLED,
        sight::LATE_FINDS_MARK,
        sight::DECIDED_AGAIN,
        sight::REFUSED_AND_DONE,
    ],
    floor: 250_000,
    ..PLAIN
};

/// One command and a client that repeats before it gets an answer.
pub(super) const IMPATIENT: Bounds = Bounds {
    name: "one command, repeated while it runs",
    commands: &[0],
    faults: Faults {
        lost: 2,
        crashes: 1,
        repeats: 2,
        closings: 1,
        ..NONE
    },
    sights: &[
        sight::STORED_ANSWER,
        sight::REFUSED,
        sight::SETTLED,
        sight::LATE_FINDS_MARK,
        sight::REFUSED_AND_DONE,
    ],
    floor: 60_000,
    ..PLAIN
};

/// The relay over two aggregates, with every kind of fault.
pub(super) const RELAY: Bounds = Bounds {
    name: "relay, three events of two aggregates",
    start: Start::Logged,
    commands: &[0, 0, 1],
    evidence: Evidence::Nobody,
    faults: Faults {
        bus: 2,
        crashes: 2,
        records: 1,
        refusals: 1,
        ..NONE
    },
    sights: &[
        sight::RELAYED_AGAIN,
        sight::REMEMBERED,
        sight::OVERTAKES,
        sight::REFUSED_BY_BUS,
    ],
    floor: 250_000,
    ..PLAIN
};

/// The relay with more events of an aggregate than fit in one call.
pub(super) const LONG_RELAY: Bounds = Bounds {
    name: "relay, four events of two aggregates",
    commands: &[0, 0, 0, 1],
    faults: Faults {
        bus: 2,
        crashes: 1,
        records: 1,
        ..NONE
    },
    sights: &[sight::RELAYED_AGAIN, sight::REMEMBERED, sight::OVERTAKES],
    floor: 160_000,
    ..RELAY
};

/// One event whose copies are handled concurrently.
pub(super) const COPIES: Bounds = Bounds {
    name: "marks, copies of one event",
    start: Start::OnLane,
    commands: &[0],
    evidence: Evidence::Mark,
    faults: Faults {
        lost: 1,
        crashes: 1,
        duplicates: 1,
        expiries: 1,
        failures: 2,
        ..NONE
    },
    sights: &[
        sight::SUPPRESSED,
        sight::LETTER,
        sight::TWO_LETTERS,
        sight::SETTLED,
        sight::LATE_FINDS_MARK,
        sight::PARKED_AND_DONE,
    ],
    floor: 130_000,
    ..PLAIN
};

/// Two events whose effects change one row.
pub(super) const MARKS: Bounds = Bounds {
    name: "marks, two events of one row",
    commands: &[0, 0],
    faults: Faults {
        lost: 1,
        crashes: 1,
        duplicates: 1,
        failures: 1,
        ..NONE
    },
    sights: &[
        sight::SUPPRESSED,
        sight::SETTLED,
        sight::LATE_FINDS_MARK,
        sight::DECIDED_AGAIN,
    ],
    floor: 180_000,
    ..COPIES
};

/// A projection by guard.
pub(super) const GUARD: Bounds = Bounds {
    name: "guard, two events of one row",
    evidence: Evidence::Guard,
    faults: Faults {
        lost: 1,
        crashes: 1,
        duplicates: 1,
        failures: 2,
        ..NONE
    },
    sights: &[sight::IGNORED, sight::LETTER],
    floor: 70_000,
    ..MARKS
};

/// Group commit with blind effects, so that only the marks protect.
pub(super) const GROUPS: Bounds = Bounds {
    name: "group commit, copies",
    start: Start::OnLane,
    commands: &[0, 1],
    evidence: Evidence::BlindMark,
    batch: 2,
    groups: true,
    faults: Faults {
        lost: 1,
        crashes: 1,
        duplicates: 1,
        failures: 1,
        ..NONE
    },
    sights: &[
        sight::SUPPRESSED,
        sight::GROUP_FELL_BACK,
        sight::GROUP_LOST_WRITTEN,
        sight::GROUP_SETTLED,
        sight::LATE_GROUP,
    ],
    floor: 380_000,
    ..PLAIN
};

/// Group commit with two answers lost.
pub(super) const LOST_GROUPS: Bounds = Bounds {
    name: "group commit, answers lost twice",
    faults: Faults {
        lost: 2,
        crashes: 1,
        expiries: 1,
        ..NONE
    },
    sights: &[
        sight::SUPPRESSED,
        sight::GROUP_FELL_BACK,
        sight::GROUP_LOST_WRITTEN,
        sight::LATE_GROUP,
    ],
    floor: 300_000,
    ..GROUPS
};

/// Group commit whose effects are decided on the versions of their rows.
pub(super) const VERSIONED_GROUPS: Bounds = Bounds {
    name: "group commit, decided on rows",
    evidence: Evidence::Mark,
    commands: &[0, 0, 1],
    faults: Faults {
        lost: 1,
        crashes: 1,
        ..NONE
    },
    sights: &[
        sight::DECIDED_AGAIN,
        sight::GROUP_FELL_BACK,
        sight::GROUP_LOST_WRITTEN,
        sight::GROUP_SETTLED,
    ],
    floor: 100_000,
    ..GROUPS
};

/// A record's time limit passes while its commit, or that of its group, is under way. It is parked only after other
/// attempts.
pub(super) const CUT_OFF: Bounds = Bounds {
    name: "time limits, a cut-off record comes back",
    faults: Faults {
        crashes: 1,
        failures: 1,
        lost: 1,
        cut_offs: 1,
        ..NONE
    },
    sights: &[sight::SUPPRESSED, sight::GROUP_LOST_WRITTEN],
    floor: 100_000,
    ..GROUPS
};

/// The whole path for one command.
pub(super) const PATH: Bounds = Bounds {
    name: "from one command to its consumer",
    commands: &[0],
    evidence: Evidence::Mark,
    faults: Faults {
        lost: 1,
        crashes: 1,
        bus: 1,
        failures: 1,
        ..NONE
    },
    sights: &[
        sight::SUPPRESSED,
        sight::SETTLED,
        sight::STORED_ANSWER,
        sight::RELAYED_AGAIN,
        sight::LETTER,
    ],
    floor: 85_000,
    ..PLAIN
};

/// The whole path for two commands on one aggregate.
pub(super) const TWO_PATHS: Bounds = Bounds {
    name: "from two commands to their consumer",
    commands: &[0, 0],
    faults: Faults { crashes: 1, ..NONE },
    sights: &[
        sight::SUPPRESSED,
        sight::STORED_ANSWER,
        sight::RELAYED_AGAIN,
        sight::DECIDED_AGAIN,
    ],
    floor: 190_000,
    ..PATH
};

/// The whole path for two aggregates whose effects are committed together.
pub(super) const GROUPED_PATHS: Bounds = Bounds {
    name: "from two commands to a group",
    commands: &[0, 1],
    evidence: Evidence::BlindMark,
    batch: 2,
    groups: true,
    invocations: 1,
    faults: Faults {
        lost: 1,
        bus: 1,
        ..NONE
    },
    sights: &[sight::GROUP_LOST_WRITTEN, sight::GROUP_SETTLED],
    floor: 150_000,
    ..PATH
};
