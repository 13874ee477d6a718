"""A start of a consumer: its folder in functions/, its block in template.yaml, its alarms in infra/aws-only.yaml, its
line in the list of what audit and dashboard look for.

Everything is copied from cloud-treasury, the consumer with one lane, and renamed. The contracts come first: an event type
without one is refused. Nothing is written unless everything can be.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from report import Failure

ROOT = Path(__file__).resolve().parents[2]
MODEL, MODEL_ID = "cloud-treasury", "CloudTreasury"
RULER = "  # " + "-" * 117 + "\n"
WIDTH = 120
# Names that the generated code uses itself, or that are the language's.
TAKEN = {"Config", "Env", "Error", "Event", "Failure", "Handler", "Outbox", "Received", "Registry", "Runner", "Transaction"}
TAKEN_CRATES = {
    "abstract", "alloc", "as", "async", "await", "become", "box", "break", "const", "continue", "core", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "proc-macro", "pub", "ref", "return", "self", "static", "std", "struct", "super", "test",
    "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
}  # fmt: skip


@dataclass(frozen=True)
class Contract:
    """An event type, and where its contract stands."""

    event_type: str
    module: str
    name: str
    priority: str


def pascal(name: str) -> str:
    """`loan-mailer` or `loan_mailer` -> `LoanMailer`."""
    return "".join(word[:1].upper() + word[1:] for word in re.split("[-_]", name))


# --- what is asked for -------------------------------------------------------------------------------------------------


def checked_name(name: str) -> str:
    """The consumer's name, when nothing has it yet."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*", name) or len(name) > 40:
        raise Failure(f"--name {name!r}: small letters and digits, words joined by one hyphen, at most 40: loan-mailer")
    if (ROOT / "functions" / name).exists():
        raise Failure(f"functions/{name} exists already: choose another name")
    if f'\nname = "{name}"\n' in (ROOT / "Cargo.lock").read_text():
        raise Failure(f"a package {name} is in Cargo.lock already: choose another name")
    if name in TAKEN_CRATES or pascal(name) in TAKEN:
        raise Failure(f"{name} means something in the code: choose another name, such as {name}-consumer")
    if re.search(rf"^  {pascal(name)}(Function|Express|Standard)\w*:", (ROOT / "template.yaml").read_text(), re.MULTILINE):
        raise Failure(f"template.yaml has resources of {pascal(name)} already: choose another name")
    return name


def contract(event_type: str) -> Contract:
    """The contract of an event type, found in the sources."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*", event_type):
        raise Failure(f"--events {event_type!r}: an event type is <domain>.<action>: loan.funded")
    domain, action = event_type.split(".")
    file = ROOT / "shared" / "events" / "src" / "contracts" / f"{domain}.rs"
    text = file.read_text() if file.is_file() else ""
    quoted = re.escape(f'"{event_type}"')
    name = pascal(action)
    found = re.search(rf"^    (\w+): {quoted}, (\w+),", text, re.MULTILINE)
    if found is None:
        raise Failure(
            f"no contract {event_type}: it is the step before. Add `pub struct {name}` and its line in `contracts!` to "
            f"shared/events/src/contracts/{domain}.rs, then `make schemas`"
        )
    if found[1] != name:
        raise Failure(f"the contract of {event_type} in contracts/{domain}.rs is not called {name}: name it after its action")
    return Contract(event_type, domain, name, found[2].lower())


def contracts(events: str) -> list[Contract]:
    """The contracts of a comma-separated list, each once."""
    types = list(dict.fromkeys(one.strip() for one in events.split(",") if one.strip()))
    if not types:
        raise Failure("--events names no event type: cloud.minted,cloud.transferred")
    return [contract(one) for one in types]


def lane(wanted: list[Contract]) -> str:
    """The one lane takes all priorities; it is called after the highest."""
    return "express" if any(one.priority in ("critical", "high") for one in wanted) else "standard"


# --- the folder --------------------------------------------------------------------------------------------------------


def variants(wanted: list[Contract]) -> list[tuple[str, Contract]]:
    """The name of each event in the subscription: its action's, with the domain before it where two are alike."""
    names = [one.name for one in wanted]
    return [(one.name if names.count(one.name) == 1 else pascal(one.module) + one.name, one) for one in wanted]


def sources(name: str, wanted: list[Contract], kind: str) -> dict[str, str]:
    """The files of the folder."""
    listed = variants(wanted)
    subscribed = "\n".join(
        f"        /// `{one.event_type}`.\n        {variant}(contracts::{one.module}::{one.name}) by Mark,"
        for variant, one in listed
    )
    if len(listed) == 1:
        arms = f"        let Event::{listed[0][0]}(_) = &received.event;"
    else:
        arms = "        match &received.event {\n"
        arms += "".join(f"            Event::{variant}(_) => {{}}\n" for variant, _ in listed) + "        }"
    return {
        "Cargo.toml": MANIFEST.replace("NAME", name),
        "src/lib.rs": f"//! `{name}`: say here, in one line, what it is for.\n\npub mod handler;\n",
        "src/handler.rs": (HANDLER + tests(wanted[0]))
        .replace("SUBSCRIBED", subscribed)
        .replace("ARMS", arms)
        .replace("TYPE", pascal(name))
        .replace("KEBAB", name),
        "src/main.rs": MAIN.replace("KIND", kind).replace("CRATE", name.replace("-", "_")).replace("TYPE", pascal(name)).replace("KEBAB", name).replace("SETTING", setting(name)),
    }


def setting(name: str) -> str:
    """The setting that names the consumer's table. By its name the wiring test knows whose table it is."""
    return f"{name.replace('-', '_').upper()}_TABLE"


def tests(first: Contract) -> str:
    """A test of the handler in the whole pipeline, on the frozen sample of its first event."""
    action = first.event_type.split(".")[1].replace("_", "-")
    sample = f"shared/events/samples/{first.module}/{action}-v1/full.json"
    if not (ROOT / sample).is_file():
        return f"\n// A test in the whole pipeline needs a sample: {sample}. How: shared/testkit/README.md.\n"
    return TESTS.replace('include_str!("../../../SAMPLE")', f'include_str!("../../../{sample}")').replace("FIRST", first.event_type)


MANIFEST = """\
[package]
name = "NAME"
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
events.workspace = true
host.workspace = true
outbox.workspace = true
tokio.workspace = true

[dev-dependencies]
serde_json.workspace = true
testkit.workspace = true
"""

HANDLER = """\
//! What `KEBAB` does about an event.

use async_trait::async_trait;
use consumer::{Failure, Handler, Received};
use events::contracts;
use outbox::{Table, Transaction};

events::subscription! {
    /// What the consumer listens to.
    pub enum Event {
SUBSCRIBED
    }
}

/// The consumer `KEBAB`. What else it works with (an [`outbox::Outbox`] to read by, a client) becomes a field.
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
    const NAME: &'static str = "KEBAB";
    type Event = Event;

    async fn decide(
        &self,
        received: &Received<Event>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        // What it does goes here; so far it counts. All of it is committed with the event's mark, so a copy of the event
        // changes nothing. Any error is retried; what no retry can mend is `Failure::park`.
ARMS
        let key = self
            .table
            .key("handled", received.envelope.event_type.as_str());
        transaction.add(key, vec![("count", 1.into())]);
        Ok(transaction)
    }
}
"""

TESTS = """\

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use testkit::flow::Flow;

    use super::*;

    const SAMPLE: &str = include_str!("../../../SAMPLE");

    #[test]
    fn an_event_counts_once_however_often_it_comes() {
        let table = Table::domain("own");
        let own = table.clone();
        let mut flow = Flow::builder(1)
            .consumer(move |_| TYPE::new(own.clone()))
            .build()
            .expect("a flow");
        let event = flow.message("FIRST", SAMPLE).expect("a contract");
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

MAIN = """\
//! `KEBAB`: drains its KIND lane.

use CRATE::handler::TYPE;
use host::{Consumer, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Consumer::start("KEBAB").await?;
    // The setting is called after the package: that makes the table its own, to be written by it alone.
    let handler = TYPE::new(host.table("SETTING")?);
    let outbox = host.outbox()?;
    host.run(handler, outbox).await
}
"""


# --- the blocks --------------------------------------------------------------------------------------------------------


def once(pattern: str, text: str, where: str) -> re.Match[str]:
    """The one place that a pattern names."""
    found = list(re.finditer(pattern, text, re.MULTILINE | re.DOTALL))
    if len(found) != 1:
        raise Failure(f"{where}: {len(found)} places look like {pattern!r}, one was expected: add the block by hand (README.md)")
    return found[0]


def renamed(text: str, name: str, kind: str) -> str:
    """Text of the model consumer as that of another, on another lane."""
    if kind == "standard":
        text = re.sub("Express(?!ion)", "Standard", text).replace("EXPRESS", "STANDARD").replace("express", "standard")
    return text.replace(MODEL_ID, pascal(name)).replace(MODEL, name)


def section(text: str, title: str, where: str) -> re.Match[str]:
    """A section: its ruler, title, ruler, and all up to the next ruler."""
    return once(rf"^{RULER}  # {title}.*?{RULER}.*?(?=^{RULER})", text, where)


def before(text: str, title: str, block: str, where: str) -> str:
    """Text with a block before the section of a title."""
    at = once(rf"^{RULER}  # {title}", text, where).start()
    return text[:at] + block + text[at:]


def copied(text: str, pattern: str, name: str, kind: str) -> str:
    """Text with a renamed copy behind every run of the model's lines that a pattern names."""
    return re.sub(pattern, lambda found: found[0] + renamed(found[0], name, kind), text, flags=re.MULTILINE)


def main_template(text: str, name: str, wanted: list[Contract], kind: str) -> str:
    """template.yaml with the consumer."""
    where = "template.yaml"
    block = section(text, f"Consumer {MODEL}:", where)[0]
    block = block.replace(once(rf"^  # Consumer {MODEL}:[^\n]*\n", block, where)[0], f"  # Consumer {MODEL}: one lane for all it sees.\n")
    for pattern, instead in [
        (r"!GetAtt CloudTable\.Arn(?=\n +- Sid: DynamodbMarks\n)", f"!GetAtt {MODEL_ID}Table.Arn"),
        (r"^ +CLOUD_TABLE: [^\n]*\n", f"          {setting(name)}: !Ref {MODEL_ID}Table\n"),
        (r"^ +CLOUD_USD_RATE: [^\n]*\n", ""),
        (r"^        detail-type: [^\n]*\n", detail_types(wanted)),
        (rf"(?<=^  {MODEL_ID}Function:\n    Type: AWS::Serverless::Function\n    Properties:\n)      Description: [^\n]*\n", f"      Description: Consumer {MODEL}.\n"),
    ]:
        found = once(pattern, block, where)
        block = block[: found.start()] + instead + block[found.end() :]
    if kind == "standard":
        block = block.replace("MaximumBatchingWindowInSeconds: 0", "MaximumBatchingWindowInSeconds: !Ref StandardBatchingWindowSeconds")
        # Six times the function's timeout and the longest batching window.
        block = block.replace("VisibilityTimeout: 180", "VisibilityTimeout: 200")
    head, outputs = text.split("\nOutputs:\n")
    # The event stream shows every lane and its letters.
    head = copied(head, rf"(^ {{18}}- !GetAtt {MODEL_ID}Express\w+\.Arn\n)+", name, kind)
    head = copied(head, rf'^ {{12}}\["{MODEL}",[^\n]*\],\n', name, kind)
    # A table without index or expiry.
    table = once(r"^  WalletTable:\n(    [^\n]*\n)+\n", head, where)
    head = before(head, "Bus and relay", table[0].replace("WalletTable", f"{pascal(name)}Table"), where)
    head = before(head, "The front:", renamed(block, name, kind), where)
    shown = once(r"^  CloudTableName:\n(    [^\n]*\n)+", outputs, where)
    own = f"  {pascal(name)}TableName:\n    Description: What {name} keeps.\n    Value: !Ref {pascal(name)}Table\n"
    outputs = outputs[: shown.end()] + own + outputs[shown.end() :]
    outputs = copied(outputs, rf"(^  {MODEL_ID}\w+:\n(    [^\n]*\n)+)+", name, kind)
    return routed(f"{head}\nOutputs:\n{outputs}", wanted)


def detail_types(wanted: list[Contract]) -> str:
    """The types of the rule, on one line where they fit."""
    types = [one.event_type for one in wanted]
    line = f"        detail-type: [{', '.join(types)}]\n"
    return line if len(line) <= WIDTH else "        detail-type:\n" + "".join(f"          - {one}\n" for one in types)


def routed(text: str, wanted: list[Contract]) -> str:
    """template.yaml with the relay knowing that a rule takes these types."""
    found = once(r'^          ROUTED_TYPES: "([^"]*)"', text, "template.yaml")
    known = set(re.sub(r"\\\n\s*", "", found[1]).split(","))
    types = sorted(known | {one.event_type for one in wanted})
    if set(types) == known:
        return text
    lines = ['          ROUTED_TYPES: "']
    for at, one in enumerate(types):
        piece = one + ("," if at + 1 < len(types) else '"')
        if len(lines[-1]) + len(piece) + 1 > WIDTH:
            lines[-1] += "\\"
            lines.append("            ")
        lines[-1] += piece
    return text[: found.start()] + "\n".join(lines) + text[found.end() :]


def aws_only(text: str, name: str, kind: str) -> str:
    """infra/aws-only.yaml with the consumer: parameters, alarms, dashboard."""
    where = "infra/aws-only.yaml"
    block = section(text, f"{MODEL}, express lane", where)[0]
    if kind == "standard":
        oldest = once(rf"^  {MODEL_ID}ExpressOldest:\n.*\Z", block, where)
        slower = oldest[0].replace("60 s.", "300 s.").replace("Threshold: 60\n", "Threshold: 300\n").replace("Critical", "Warning")
        block = block[: oldest.start()] + slower
    text = before(text, "From commit to handler start", renamed(block, name, kind), where)
    text = copied(text, rf"(^  {MODEL_ID}\w+: \{{[^\n]*\n)+", name, kind)
    text = copied(text, rf"^  {MODEL_ID}FunctionErrors:\n(    [^\n]*\n)+\n", name, kind)
    # In the dashboard's JSON the last line of a list has no comma.
    text = re.sub(rf"^( +\[.*\$\{{{MODEL_ID}\w+\}}.*\])$", r"\1,", text, flags=re.MULTILINE)
    text = copied(text, rf"^ +\[.*\$\{{{MODEL_ID}\w+\}}.*\],\n", name, kind)
    return re.sub(r"\],\n(?= +\]\}\})", "]\n", text)


def lock(text: str, name: str, manifest: str) -> str:
    """Cargo.lock with the package, so that `--locked` goes on."""
    model = once(rf'^\[\[package\]\]\nname = "{MODEL}"\n.*?^\]\n', text, "Cargo.lock")[0]
    # Each entry as the model's has it: where a name alone would be ambiguous, cargo adds the version.
    written = {line.strip(' ",\n').split(" ")[0]: line for line in model.splitlines(keepends=True) if line.startswith(' "')}
    needed = sorted(set(re.findall(r"^([\w-]+)\.workspace = true$", manifest.split("[dependencies]")[1], re.MULTILINE)))
    kept = [line for line in model.splitlines(keepends=True) if not line.startswith(' "')]
    kept[-1:-1] = [written.get(one, f' "{one}",\n') for one in needed]
    block = "".join(kept).replace(f'name = "{MODEL}"', f'name = "{name}"') + "\n"
    for found in re.finditer(r'^\[\[package\]\]\nname = "([^"]+)"\n', text, re.MULTILINE):
        if found[1] > name:
            return text[: found.start()] + block + text[found.start() :]
    return text.rstrip("\n") + "\n\n" + block.rstrip("\n") + "\n"


def workspace(text: str, name: str) -> str:
    """Cargo.toml with the package, so that audit and dashboard can name it."""
    found = once(rf'^{MODEL} = [^\n]*\n', text, "Cargo.toml")
    return text[: found.end()] + found[0].replace(MODEL, name) + text[found.end() :]


def stream_manifest(text: str, name: str) -> str:
    """functions/event-stream/Cargo.toml with the package."""
    found = once(rf"^{MODEL}\.workspace = true\n", text, "functions/event-stream/Cargo.toml")
    return text[: found.end()] + found[0].replace(MODEL, name) + text[found.end() :]


def audited(text: str, name: str) -> str:
    """The list of consumers of audit and dashboard with this one: a mark is its evidence."""
    found = once(r"^    vec!\[\n(?=        Watched::of)", text, "functions/event-stream/src/evidence.rs")
    line = f"        Watched::of::<{name.replace('-', '_')}::handler::{pascal(name)}>(),\n"
    return text[: found.end()] + line + text[found.end() :]


def stream_lock(text: str, name: str) -> str:
    """Cargo.lock with the event stream depending on the package."""
    found = once(r'^name = "event-stream"\n.*?^dependencies = \[\n(.*?)^\]\n', text, "Cargo.lock")
    needs = sorted([*found[1].splitlines(keepends=True), f' "{name}",\n'])
    return text[: found.start(1)] + "".join(needs) + text[found.end(1) :]


# --- the whole ---------------------------------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    """Writes the start of a consumer and says what is next."""
    parser = argparse.ArgumentParser(description="A start of a consumer.")
    parser.add_argument("--name", required=True, help="loan-mailer: folder, package and identity of its marks")
    parser.add_argument("--events", required=True, help="cloud.minted,cloud.transferred: what it listens to")
    asked = parser.parse_args(arguments)

    name, wanted = checked_name(asked.name), contracts(asked.events)
    kind = lane(wanted)
    folder = Path("functions") / name
    files = {folder / path: text for path, text in sources(name, wanted, kind).items()}
    new = list(files)
    for path, change in {
        Path("template.yaml"): lambda text: main_template(text, name, wanted, kind),
        Path("infra/aws-only.yaml"): lambda text: aws_only(text, name, kind),
        Path("Cargo.toml"): lambda text: workspace(text, name),
        Path("functions/event-stream/Cargo.toml"): lambda text: stream_manifest(text, name),
        Path("functions/event-stream/src/evidence.rs"): lambda text: audited(text, name),
        Path("Cargo.lock"): lambda text: stream_lock(lock(text, name, files[folder / "Cargo.toml"]), name),
    }.items():
        files[path] = change((ROOT / path).read_text())
    for path, text in files.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text)
        print(f"{'new    ' if path in new else 'changed'} {path}")

    print(f"\n{name} listens to {', '.join(one.event_type for one in wanted)} on one {kind} lane and counts them in {pascal(name)}Table. Next:")
    print(f"  1. {folder}/src/handler.rs: what it does about each event")
    print("  2. make check-wiring (is the template right?)")
    print("  3. make test-units (its own tests among them)")
    print("  4. make up (with the PORT, STACK and LOCAL that yours runs with)")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failure as failure:
        print(f"FAIL new-consumer: {failure}", file=sys.stderr)
        sys.exit(1)
