"""A start of a consumer: its folder in functions/, and nothing else. The rest follows from its declaration: `make template`.

The contracts come first: an event type without one is refused. Nothing is written unless everything can be.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from report import Failure

ROOT = Path(__file__).resolve().parents[2]
# As `topology::LONGEST_NAME` has it.
LONGEST_NAME = 28
# Names that the generated code uses itself, or that are the language's.
TAKEN = {"Consumer", "Error", "Event", "Failure", "Handler", "Outbox", "Received", "Table", "Transaction"}
TAKEN_CRATES = {
    "abstract", "alloc", "as", "async", "await", "become", "box", "break", "const", "continue", "core", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "proc-macro", "pub", "ref", "return", "self", "static", "std", "struct", "super", "test",
    "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
}  # fmt: skip


@dataclass(frozen=True)
class Contract:
    """An event type, and what its contract is called in Rust."""

    event_type: str
    module: str
    name: str
    version: int

    @property
    def sample(self) -> str:
        """A payload of it, as it was frozen."""
        action = self.event_type.split(".")[1].replace("_", "-")
        return f"shared/events/samples/{self.module}/{action}-v{self.version}/full.json"


def pascal(name: str) -> str:
    """`loan-mailer` or `loan_mailer` -> `LoanMailer`."""
    return "".join(word[:1].upper() + word[1:] for word in re.split("[-_]", name))


# --- what is asked for -------------------------------------------------------------------------------------------------


def checked_name(name: str) -> str:
    """The consumer's name, when nothing has it yet."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*", name) or len(name) > LONGEST_NAME:
        raise Failure(f"--name {name!r}: small letters and digits, words joined by one hyphen, at most {LONGEST_NAME}: loan-mailer")
    if (ROOT / "functions" / name).exists():
        raise Failure(f"functions/{name} exists already: choose another name")
    if f'\nname = "{name}"\n' in (ROOT / "Cargo.lock").read_text():
        raise Failure(f"a package {name} is in Cargo.lock already: choose another name")
    if name in TAKEN_CRATES or pascal(name) in TAKEN:
        raise Failure(f"{name} means something in the code: choose another name, such as {name}-consumer")
    return name


def contract(event_type: str) -> Contract:
    """The contract of an event type, known by its schema; the newest version."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*", event_type):
        raise Failure(f"--events {event_type!r}: an event type is <domain>.<action>: loan.funded")
    domain, action = event_type.split(".")
    schemas = (ROOT / "shared" / "events" / "schemas" / domain).glob(f"{action.replace('_', '-')}-v*.json")
    versions = [int(schema.stem.rsplit("-v", 1)[1]) for schema in schemas]
    if not versions:
        raise Failure(
            f"no contract {event_type}: it is the step before. Declare {pascal(action)} in "
            f"shared/events/src/contracts/{domain}.rs and in contracts::all(), then `make schemas`"
        )
    return Contract(event_type, domain, pascal(action), max(versions))


def contracts(events: str) -> list[Contract]:
    """The contracts of a comma-separated list, each once."""
    types = list(dict.fromkeys(one.strip() for one in events.split(",") if one.strip()))
    if not types:
        raise Failure("--events names no event type: cloud.minted,cloud.transferred")
    return [contract(one) for one in types]


# --- the folder --------------------------------------------------------------------------------------------------------


def variants(wanted: list[Contract]) -> list[tuple[str, Contract]]:
    """The name of each event in the subscription: its action's, with the domain before it where two are alike."""
    names = [one.name for one in wanted]
    return [(one.name if names.count(one.name) == 1 else pascal(one.module) + one.name, one) for one in wanted]


def sources(name: str, wanted: list[Contract]) -> dict[str, str]:
    """Path within the folder -> text."""
    events = "".join(
        f"        /// `{one.event_type}`\n        {variant}(events::contracts::{one.module}::{one.name}) by Mark,\n"
        for variant, one in variants(wanted)
    )
    arms = "".join(f"            Event::{variant}(_) => 1,\n" for variant, _ in variants(wanted))
    filled = {
        "KEBAB": name,
        "SNAKE": name.replace("-", "_"),
        "TYPE": pascal(name),
        "SETTING": f"{name.replace('-', '_').upper()}_TABLE",
        "LISTENS": ", ".join(f"`{one.event_type}`" for one in wanted),
        "EVENTS": events.rstrip("\n"),
        "ARMS": arms.rstrip("\n"),
        "FIRST": wanted[0].event_type,
        "SAMPLE": wanted[0].sample,
    }
    texts = {
        "Cargo.toml": MANIFEST,
        "README.md": README,
        "declaration.rs": DECLARATION,
        "src/lib.rs": LIB,
        "src/main.rs": MAIN,
        "src/handler.rs": HANDLER + (TESTS if (ROOT / wanted[0].sample).is_file() else NO_TESTS),
    }
    return {path: re.sub(r"\b(" + "|".join(filled) + r")\b", lambda found: filled[found[1]], text) for path, text in texts.items()}


MANIFEST = """\
[package]
name = "KEBAB"
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
publish.workspace = true

[lints]
workspace = true

[dependencies]
async-trait.workspace = true
consumer.workspace = true
host.workspace = true
outbox.workspace = true
tokio.workspace = true
topology.workspace = true

[dev-dependencies]
serde_json.workspace = true
testkit.workspace = true
"""

README = """\
# KEBAB

Listens to LISTENS. What it does about them: `src/handler.rs`; what it is and may do: `declaration.rs`.

| setting | meaning | default |
|---|---|---|
| `SETTING` | what it keeps | |
| those of every consumer | [shared/consumer](../../shared/consumer/README.md) | |

Every event costs one mark (2 write units) and what the handler writes. A failed event is retried after 10 s, 60 s and 300 s, then parked with
its reason.
"""

DECLARATION = """\
//! What `KEBAB` is.

use crate::{
    Access,
    Action::{Get, Put, Update},
    Consumer, Function, Kind, Table,
};

events::subscription! {
    /// What it listens to.
    pub enum Event {
EVENTS
    }
}

/// What it keeps.
pub const TABLE: Table = Table::new("TYPE", "SETTING", "What KEBAB keeps.");

/// The declaration.
pub const FUNCTION: Function = Function::new(
    "KEBAB",
    "Counts what it listens to.",
    Kind::Consumer(Consumer::of::<Event>()),
)
.owning(&[Access::to(&TABLE, &[Get, Put, Update])]);
"""

LIB = """\
//! `KEBAB`: listens to LISTENS.

pub mod handler;
"""

MAIN = """\
//! `KEBAB`: drains its lanes.

use host::{Consumer, Error};
use SNAKE::handler::TYPE;
use topology::functions::SNAKE::{FUNCTION, TABLE};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Consumer::start(FUNCTION.name).await?;
    let handler = TYPE::new(host.table(TABLE.setting)?);
    let outbox = host.outbox_without_log()?;
    host.run(handler, outbox).await
}
"""

HANDLER = """\
//! What `KEBAB` does about an event.

use async_trait::async_trait;
use consumer::{Failure, Handler, Received};
use outbox::{Table, Transaction};

/// What the consumer listens to, as its declaration says.
pub use topology::functions::SNAKE::Event;

/// The consumer `KEBAB`.
#[derive(Debug)]
pub struct TYPE {
    table: Table,
}

impl TYPE {
    /// Over its table.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self { table }
    }
}

#[async_trait]
impl Handler for TYPE {
    // The identity of every mark it ever writes: never rename it.
    const NAME: &'static str = topology::functions::SNAKE::FUNCTION.name;
    type Event = Event;

    async fn decide(
        &self,
        received: &Received<Event>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        // What it does goes here; so far it counts. All of it is committed with the event's mark, so a copy of the event
        // changes nothing. Any error is retried; what no retry can mend is `Failure::park`.
        let counted = match received.event {
ARMS
        };
        let key = self
            .table
            .key("handled", received.envelope.event_type.as_str());
        transaction.add(key, vec![("count", counted.into())]);
        Ok(transaction)
    }
}
"""

NO_TESTS = """\

// A test in the whole pipeline needs a sample: SAMPLE. How: shared/testkit/README.md.
"""

TESTS = """\

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use testkit::flow::Flow;

    use super::*;

    const PAYLOAD: &str = include_str!("../../../SAMPLE");

    #[test]
    fn an_event_counts_once_however_often_it_comes() {
        let table = Table::domain("own");
        let own = table.clone();
        let mut flow = Flow::builder(1)
            .consumer(move |_| TYPE::new(own.clone()))
            .build()
            .expect("a flow");
        let event = flow.message("FIRST", PAYLOAD).expect("a contract");
        for body in [event.clone(), event, "no envelope".to_owned()] {
            assert!(flow.send(TYPE::NAME, body));
        }
        flow.drain().expect("drains");
        let key = table.key("handled", "FIRST");
        let counted: Option<serde_json::Value> = flow
            .look(|site| async move { site.outbox().row(&key).await })
            .expect("reads");
        assert_eq!(counted.expect("counted")["count"], 1);
        assert_eq!(flow.letters(TYPE::NAME).len(), 1);
    }
}
"""


# --- the whole ---------------------------------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    """Writes the start of a consumer and says what is next."""
    parser = argparse.ArgumentParser(description="A start of a consumer.")
    parser.add_argument("--name", required=True, help="loan-mailer: folder, package and identity of its marks")
    parser.add_argument("--events", required=True, help="cloud.minted,cloud.transferred: what it listens to")
    asked = parser.parse_args(arguments)

    name, wanted = checked_name(asked.name), contracts(asked.events)
    folder = Path("functions") / name
    for path, text in sources(name, wanted).items():
        (ROOT / folder / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / folder / path).write_text(text)
        print(f"new {folder / path}")
    # The lock file names every package of the workspace; a new declaration is found by its change.
    locked = subprocess.run(["cargo", "metadata", "--offline", "--format-version", "1"], cwd=ROOT, capture_output=True, text=True)
    if locked.returncode != 0:
        raise Failure(f"Cargo.lock could not be brought up to date:\n{locked.stderr.strip()}")
    print("changed Cargo.lock")

    print(f"\n{name} listens to {', '.join(one.event_type for one in wanted)} and counts them. Next:")
    print(f"  1. {folder}/src/handler.rs: what it does about each event; {folder}/declaration.rs: what it is and may do")
    print("  2. make template    (its queues, rules, role, table, alarms)")
    print("  3. make test-units  (its own test among them)")
    print("  4. make up          (with the PORT, STACK and LOCAL that yours runs with)")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failure as failure:
        print(f"FAIL new-consumer: {failure}", file=sys.stderr)
        sys.exit(1)
