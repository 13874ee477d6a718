"""Writes the start of an event, a consumer or a domain, or removes a consumer: `make new-event`, `new-consumer`, `new-domain`,
`remove-consumer`.

Everything is checked before the first byte is written, and what cannot be finished is undone: a run that fails, or is
interrupted, leaves the tree as it was. What follows from the sources (schemas, API documents, catalogue, templates) is rendered
at the end, so that the result passes `make check`.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from contracts import LINE, Contract, Field, contract_of, contracts_of, domains, is_released, payload_fields, sample_of, samples_of
from instance import ROOT
from report import Failure, meant
from sources import Edits, pascal, plural, render

TEMPLATES = Path(__file__).parent / "templates"
# As `topology::LONGEST_NAME` has it.
LONGEST_NAME = 28
# Names that the generated code uses itself.
TAKEN_TYPES = {"Consumer", "Emitted", "Error", "Event", "Failure", "Handler", "Kept", "Outbox", "Received", "Table", "Transaction"}
# Words of the language, and crates that are always there.
TAKEN_WORDS = {
    "abstract", "alloc", "as", "async", "await", "become", "box", "break", "const", "continue", "core", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "proc-macro", "pub", "ref", "return", "self", "static", "std", "struct", "super", "test",
    "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
}  # fmt: skip
SNAKE = r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*"
KEBAB = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
CONTRACTS = Path("shared/events/src/contracts")
DOMAIN_LIST = r"(\ndomains!\(\s*)([^)]*?)(,?\s*\);)"


# --- names -------------------------------------------------------------------------------------------------------------


def free_package(name: str) -> None:
    """Refuses a name that is none of a package and a function, or that something has."""
    if not re.fullmatch(KEBAB, name) or len(name) > LONGEST_NAME:
        raise Failure(f"NAME={name}: lower-case letters and digits, words joined by one hyphen, at most {LONGEST_NAME}: loan-mailer")
    if (ROOT / "functions" / name).exists():
        raise Failure(f"NAME={name}: functions/{name} exists already; choose another name")
    if f'\nname = "{name}"\n' in (ROOT / "Cargo.lock").read_text():
        raise Failure(f"NAME={name}: Cargo.lock has a package of this name already; choose another one")
    if name in TAKEN_WORDS or pascal(name) in TAKEN_TYPES:
        raise Failure(f"NAME={name} is reserved in Rust or in the generated code; choose another name, such as {name}-consumer")


def word(value: str, setting: str, example: str) -> str:
    """A name of lower-case words joined by underscores."""
    if not re.fullmatch(SNAKE, value) or len(value) > 40:
        raise Failure(f"{setting}={value}: lower-case letters and digits, words joined by one underscore, at most 40: {example}")
    if value in TAKEN_WORDS:
        raise Failure(f"{setting}={value} is a word of Rust; choose another name")
    return value


def event_type(value: str, setting: str) -> tuple[str, str]:
    """Domain and action of an event type."""
    if not re.fullmatch(rf"{SNAKE}\.{SNAKE}", value):
        raise Failure(f"{setting}={value}: an event type is <domain>.<action> in lower_snake_case: loyalty.points_awarded")
    domain, action = value.split(".")
    return word(domain, setting, "loyalty.points_awarded"), word(action, setting, "loyalty.points_awarded")


def known_contract(event: str, setting: str) -> Contract:
    """The contract of an event type, or the nearest one that there is."""
    event_type(event, setting)
    found = contract_of(event)
    if found is None:
        near = _did_you_mean(event, [one.event_type for one in contracts_of()])
        raise Failure(f"{setting}={event}: no contract has this type{near} A new one: make new-event NAME={event}")
    return found


def _did_you_mean(name: str, known: list[str]) -> str:
    near = meant(name, known)
    return f"; did you mean {near}?" if near else ""


def declarations() -> dict[str, str]:
    """What each function declares, by its name."""
    return {path.parent.name: path.read_text() for path in sorted((ROOT / "functions").glob("*/declaration.rs"))}


# --- an event ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NewEvent:
    """An event type that has no contract yet."""

    domain: str
    action: str
    # The aggregate's type, the payload field with its id and that field's Rust type.
    aggregate: str
    id_field: str
    id_type: str
    # A Rust expression: a literal or `OUTSIDE`.
    producer: str
    fields: list[Field]
    # Whether it states the version of a state that we keep. Others' systems number nothing of ours.
    versioned: bool
    # Whether the domain has no contract at all.
    first: bool

    @property
    def event_type(self) -> str:
        return f"{self.domain}.{self.action}"

    @property
    def name(self) -> str:
        return pascal(self.action)

    @property
    def thing(self) -> str:
        """What it is about, in words."""
        return self.id_field.removesuffix("_id").replace("_", " ")


def new_event(name: str, fields: str, aggregate: str, producer: str) -> NewEvent:
    """What is asked for, checked against the contracts that there are."""
    domain, action = event_type(name, "NAME")
    if contract_of(name):
        raise Failure(f"NAME={name}: the type has a contract already, in {CONTRACTS}/{domain}.rs; a change of it is a new version there")
    own = contracts_of(domain)
    if any(one.name == pascal(action) for one in own):
        raise Failure(f"NAME={name}: {CONTRACTS}/{domain}.rs has a type {pascal(action)} already; choose another action")
    if not own and domain in domains():
        raise Failure(f"{CONTRACTS}/{domain}.rs has no `contracts!` with types that can be read: add the event there by hand")
    if aggregate:
        wanted = f"{domain}_{word(aggregate, 'AGGREGATE', 'account')}"
        like = next((one for one in own if one.aggregate == wanted), None)
        place = (wanted, f"{aggregate}_id", "AggregateId")
    else:
        like = own[0] if own else None
        place = (domain, f"{domain}_id", "AggregateId")
    if like is not None:
        if not re.fullmatch(SNAKE, like.id):
            raise Failure(f"the id of {like.aggregate} is made of `[{like.id}]`: such an event is added by hand, in {CONTRACTS}/{domain}.rs")
        place = (like.aggregate, like.id, payload_fields(like)[like.id])
    made_by = "OUTSIDE" if producer == "outside" else f'"{producer}"' if producer else like.producer if like else "OUTSIDE"
    if producer and producer != "outside" and not re.fullmatch(KEBAB, producer):
        raise Failure(f"PRODUCER={producer}: the function that publishes it, such as loyalty-api, or outside for other systems")
    if like is not None and like.producer != made_by:
        raise Failure(
            f"events of {like.aggregate} are numbered by {like.producer.strip(chr(34))}: an event that {producer} publishes is about something else, "
            "say what by AGGREGATE=…"
        )
    return NewEvent(domain, action, *place, made_by, Field.parse(fields), versioned=made_by != "OUTSIDE", first=not own)


def write_event(edits: Edits, event: NewEvent) -> None:
    """Its type, its line, its samples and, where it is the first of its domain, the domain."""
    path = CONTRACTS / f"{event.domain}.rs"
    line = f'    {event.name}: "{event.event_type}", Normal, {event.producer}, "{event.aggregate}" [{event.id_field}];\n'
    if event.first:
        edits.create(path, render(TEMPLATES / "event" / "contracts.rs.tmpl", {"domain": event.domain, "lines": line}))
        list_domain(edits, event.domain)
    else:
        # The list of the module's contracts ends with a line of its own.
        edits.replace(path, r"(?s)(\ncontracts! \{.*?)(\n\})", lambda found: f"{found[1]}\n{line.rstrip()}{found[2]}", "`contracts!`")
    members = [Field(event.id_field, event.id_type, optional=False, words=f"Identifies the {event.thing}.")]
    members += event.fields
    if event.versioned:
        members.append(Field("version", "Sequence", optional=False, words=f"The version of the {event.thing} after this event."))
    body = "".join(member.declaration() for member in members)
    words = event.action.replace("_", " ").capitalize()
    edits.append(
        path,
        f"\n/// {words}.\n#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]\npub struct {event.name} {{\n{body}}}\n",
    )
    edits.import_of_crate(path, {member.bare for member in members} | ({"OUTSIDE"} if event.producer == "OUTSIDE" else set()))
    write_samples(edits, event.event_type, members)


def list_domain(edits: Edits, domain: str) -> None:
    """A new domain's module of contracts, and its place in the closed list."""
    edits.insert_sorted(CONTRACTS / "mod.rs", "pub mod ", f"pub mod {domain};")
    edits.change_words(CONTRACTS / "mod.rs", DOMAIN_LIST, lambda words: words | {domain}, "the list `domains!`")


def write_samples(edits: Edits, event_type: str, members: list[Field]) -> None:
    """A payload with every field, and one with as little as the contract allows."""
    for sample, full in (("full", True), ("minimal", False)):
        text = sample_of(members, full=full, domain=event_type.split(".")[0])
        edits.create(samples_of(event_type) / f"{sample}.json", text)


# --- a consumer --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NewConsumer:
    """A consumer that is not there yet."""

    name: str
    listens: list[Contract]
    emits: Contract | NewEvent | None = None

    def variants(self) -> list[tuple[str, Contract]]:
        """The name of each event in the subscription: its action's, with the domain before it if two are alike."""
        names = [one.name for one in self.listens]
        return [(one.name if names.count(one.name) == 1 else pascal(one.domain) + one.name, one) for one in self.listens]


def new_consumer(name: str, events: str, emits: str, fields: str, aggregate: str) -> NewConsumer:
    """What is asked for, checked."""
    free_package(name)
    types = list(dict.fromkeys(one.strip() for one in events.split(",") if one.strip()))
    if not types:
        raise Failure("EVENTS names no event type: EVENTS=cloud.minted,cloud.transferred")
    listens = [known_contract(one, "EVENTS") for one in types]
    if not emits:
        if fields or aggregate:
            raise Failure("FIELDS and AGGREGATE describe the event that the consumer publishes: name it by EMITS=loyalty.points_awarded")
        return NewConsumer(name, listens)
    if emits in types:
        raise Failure(f"EMITS={emits}: a consumer that listens to the event it publishes would never come to an end")
    known = contract_of(emits)
    if known is None:
        return NewConsumer(name, listens, new_event(emits, fields, aggregate, name))
    if known.producer != f'"{name}"':
        raise Failure(
            f"EMITS={emits} is published by {known.producer}: only its owner may change the {known.aggregate}. A consumer that does so by "
            "the domain's operations: functions/loan-servicing"
        )
    return NewConsumer(name, listens, known)


def write_consumer(edits: Edits, consumer: NewConsumer) -> None:
    """Its folder; the rest follows from its declaration."""
    first = consumer.listens[0]
    variants = consumer.variants()
    names = {
        "name": consumer.name,
        "crate": consumer.name.replace("-", "_"),
        "Type": pascal(consumer.name),
        "setting": f"{consumer.name.replace('-', '_').upper()}_TABLE",
        "listens": ", ".join(f"`{one.event_type}`" for one in consumer.listens),
        "events": "".join(
            f"        /// `{one.event_type}`.\n        {variant}(events::contracts::{one.domain}::{one.name}) by Mark,\n"
            for variant, one in variants
        ).rstrip("\n"),
        "arms": "".join(f"            Event::{variant}(_) => 1,\n" for variant, _ in variants).rstrip("\n"),
        "same_arms": " | ".join(f"Event::{variant}(_)" for variant, _ in variants),
        "first": first.event_type,
        "sample": str(first.samples / "full.json"),
    }
    kind = "counts"
    if consumer.emits is not None:
        kind = "emits"
        names |= _emitted(consumer.emits)
        if isinstance(consumer.emits, NewEvent):
            write_event(edits, consumer.emits)
    folder = Path("functions") / consumer.name
    for source in sorted((TEMPLATES / "consumer").rglob("*.tmpl")):
        path = source.relative_to(TEMPLATES / "consumer").with_suffix("")
        # One file of each pair: `handler.counts.rs` or `handler.emits.rs`.
        parts = path.name.split(".")
        if len(parts) == 3:
            if parts[1] != kind:
                continue
            path = path.with_name(f"{parts[0]}.{parts[2]}")
        edits.create(folder / path, render(source, names))


def _emitted(event: Contract | NewEvent) -> dict[str, str]:
    """What a handler needs to know to make the event."""
    if isinstance(event, NewEvent):
        members = {one.name: one.rust for one in event.fields} | {event.id_field: event.id_type, "version": "Sequence"}
    else:
        members = payload_fields(event)
    values = {"AggregateId": "id", "Sequence": "version", "Timestamp": "transaction.now()", "u32": "1", "u64": "1", "bool": "true"}
    lines, uses = [], {"AggregateId", "Contract as _", "Draft"}
    for member, rust in members.items():
        if rust.startswith("Option<"):
            value = "None"
        elif re.fullmatch(r"Text<\d+>", rust):
            uses.add("Text")
            value = f'Text::new("{member.replace("_", " ")}")?'
        elif rust in values:
            value = values[rust]
        else:
            raise Failure(f"EMITS={event.event_type}: no example of a value is known for its field {member}: {rust}; generate the consumer without EMITS")
        lines.append(f"            {member}: {value}," if value != member else f"            {member},")
    return {
        "emits": event.event_type,
        "module": event.domain,
        "Emitted": event.name,
        "members": "\n".join(lines),
        "imports": ", ".join(sorted(uses)),
    }


def remove_event(edits: Edits, event: Contract) -> None:
    """Takes an unreleased contract away, and its domain if it was the only one of it."""
    path = CONTRACTS / f"{event.domain}.rs"
    for sample in ("full.json", "minimal.json"):
        edits.remove(event.samples / sample)
    if len(LINE.findall(edits.text(path))) == 1:
        edits.remove(path)
        edits.replace(CONTRACTS / "mod.rs", rf"(?m)^pub mod {event.domain};\n", "", "its module")
        edits.change_words(CONTRACTS / "mod.rs", DOMAIN_LIST, lambda words: words - {event.domain}, "the list `domains!`")
        return
    edits.replace(path, rf'(?m)^    {event.name}: "{re.escape(event.event_type)}",[^\n]*\n', "", "its line in `contracts!`")
    edits.replace(path, rf"\n(?:///[^\n]*\n)*#\[derive[^\n]*\n(?:#\[[^\n]*\n)*pub struct {event.name} \{{\n(?:[^}}][^\n]*\n)*\}}\n", "", "its struct")
    edits.prune_imports_of_crate(path)


def remove_consumer(edits: Edits, name: str) -> Path:
    """Takes a consumer away, with the events that only it publishes. Its sources are kept in .local, should somebody have worked on them."""
    folder = ROOT / "functions" / name
    declared = declarations()
    consumers = [one for one, text in declared.items() if "Kind::Consumer" in text]
    if name not in consumers:
        what = "is no consumer" if folder.is_dir() else "does not exist"
        raise Failure(f"NAME={name}: functions/{name} {what}{_did_you_mean(name, consumers)}")
    del declared[name]
    depends = re.compile(rf"(?m)^{re.escape(name)}(\.workspace)? *=")
    manifests = [*ROOT.glob("*/*/Cargo.toml"), ROOT / "infra/local/programs/Cargo.toml", ROOT / "tests/Cargo.toml"]
    users = [str(path.relative_to(ROOT)) for path in manifests if path.parent != folder and depends.search(path.read_text())]
    refers = re.compile(rf"\b{name.replace('-', '_')}::")
    users += [f"functions/{one}/declaration.rs" for one, text in declared.items() if refers.search(text)]
    own = [one for one in contracts_of() if one.producer == f'"{name}"']
    users += [f"the released contract {one.event_type}" for one in own if is_released(one)]
    for one in own:
        users += [f"functions/{function} listens to {one.event_type}" for function, text in declared.items() if one.path_in_rust in text]
    if users:
        raise Failure(f"NAME={name}: others use it: {', '.join(sorted(users))}; take that out first")
    for one in own:
        remove_event(edits, one)
    kept = ROOT / ".local" / "removed" / f"{name}-{time.strftime('%Y%m%dT%H%M%S')}"
    edits.move_away(folder, kept)
    manifest = ROOT / "Cargo.toml"
    if re.search(rf"(?m)^{re.escape(name)} = \{{ path", manifest.read_text()):
        edits.replace(Path("Cargo.toml"), rf"(?m)^{re.escape(name)} = \{{ path = [^\n]*\n", "", "its line in Cargo.toml")
    return kept


# --- a domain ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NewDomain:
    """A domain that is not there yet, with one aggregate that is opened and closed."""

    domain: str
    aggregate: str
    names: dict[str, str] = field(default_factory=dict)


def new_domain(name: str, aggregate: str) -> NewDomain:
    """What is asked for, checked."""
    word(name, "NAME", "loyalty")
    if "_" in name:
        raise Failure(f"NAME={name}: one word, as it is a crate, a table, a path and the first part of event types: loyalty")
    word(aggregate, "AGGREGATE", "account")
    if (ROOT / "shared" / name).exists():
        raise Failure(f"NAME={name}: shared/{name} exists already; choose another name")
    if name in domains():
        raise Failure(f"NAME={name}: there are contracts of this domain already, in {CONTRACTS}/{name}.rs")
    free_package(name)
    free_package(f"{name}-api")
    served = [function for function, text in declarations().items() if re.search(rf'"/api/v1/{name}[/"]', text)]
    if served:
        raise Failure(f"NAME={name}: /api/v1/{name} is served by {served[0]}; choose another name")
    many = plural(aggregate)
    an = "an" if aggregate[0] in "aeiou" else "a"
    return NewDomain(
        name,
        aggregate,
        {
            "domain": name, "Domain": pascal(name), "DOMAIN": name.upper(),
            "aggregate": aggregate, "Aggregate": pascal(aggregate), "aggregate-kebab": aggregate.replace("_", "-"),
            "aggregates": many, "Aggregates": pascal(many), "AGGREGATES": many.upper(),
            "an_aggregate": f"{an} {aggregate}", "An_aggregate": f"{an.capitalize()} {aggregate}",
            "an_aggregate_snake": f"{an}_{aggregate}",
        },
    )  # fmt: skip


def write_domain(edits: Edits, domain: NewDomain) -> None:
    """Its contracts, its crate, its API function, and its line in each list of domains."""
    name, names = domain.domain, domain.names
    edits.create(CONTRACTS / f"{name}.rs", render(TEMPLATES / "domain" / "contracts.rs.tmpl", names))
    list_domain(edits, name)
    for part, folder in (("shared", f"shared/{name}"), ("api", f"functions/{name}-api")):
        for source in sorted((TEMPLATES / "domain" / part).rglob("*.tmpl")):
            path = str(source.relative_to(TEMPLATES / "domain" / part).with_suffix(""))
            edits.create(Path(folder) / path.replace("{{aggregate}}", domain.aggregate), render(source, names))
    for action, own in (("opened", Field("name", "Text<200>")), ("closed", Field("reason", "Text<500>", optional=True))):
        members = [Field(f"{domain.aggregate}_id", "AggregateId"), own, Field("version", "Sequence")]
        write_samples(edits, f"{name}.{domain.aggregate}_{action}", members)
    edits.insert_sorted(Path("Cargo.toml"), "settlement = { path", f'{name} = {{ path = "shared/{name}" }}')
    edits.insert_sorted(Path("shared/domains/Cargo.toml"), "settlement.workspace", f"{name}.workspace = true")
    edits.insert_sorted(Path("shared/domains/src/lib.rs"), "    settlement::DOMAIN,", f"    {name}::DOMAIN,")
    entry = f'    Domain {{\n        name: "{name}",\n        events: &["{name}"],\n    }},\n];'
    edits.replace(Path("shared/topology/src/domain.rs"), r"(?s)(pub const DOMAINS: &\[Domain\] = &\[.*?\n)\];", lambda found: found[1] + entry, "the list DOMAINS")
    reader = Path("functions/system-api/declaration.rs")
    edits.insert_sorted(reader, "    Access::to(&wallet_api::TABLE, &[Get]).if_deployed(),", f"    Access::to(&{name}_api::TABLE, &[Get]).if_deployed(),")
    edits.change_words(reader, r"(functions::\{\s*)([^}]*?)(,?\s*\})", lambda words: words | {f"{name}_api"}, "its imports of functions")


# --- the whole ---------------------------------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    """Writes what is asked for and says what is next."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["event", "consumer", "domain", "remove-consumer"])
    for setting in ("name", "events", "emits", "fields", "aggregate", "producer"):
        parser.add_argument(f"--{setting}", default="")
    parser.add_argument("--no-render", action="store_true", help="leave schemas, API documents and templates as they are")
    asked = parser.parse_args(arguments)
    with Edits(ROOT) as edits:
        if asked.what == "event":
            event = new_event(asked.name, asked.fields, asked.aggregate, asked.producer)
            write_event(edits, event)
            after = _after_event(event)
        elif asked.what == "consumer":
            consumer = new_consumer(asked.name, asked.events, asked.emits, asked.fields, asked.aggregate)
            write_consumer(edits, consumer)
            after = _after_consumer(consumer)
        elif asked.what == "domain":
            domain = new_domain(asked.name, asked.aggregate or "account")
            write_domain(edits, domain)
            after = _after_domain(domain)
        else:
            kept = remove_consumer(edits, asked.name)
            after = [
                f"{asked.name} is removed; its sources are in {kept.relative_to(ROOT)}. Next:",
                "  make up     takes its function, queues, table and alarms out of the local stack",
                "  Before you deploy that to AWS let its lanes run empty; its table stays there in production, and is deleted by hand.",
            ]
        edits.write()
        if not asked.no_render:
            edits.render(["schemas", "template"] if edits.touches(CONTRACTS) else ["template"])
    for line in edits.summary():
        print(line)
    print()
    print("\n".join(after))
    return 0


def _after_event(event: NewEvent) -> list[str]:
    path = CONTRACTS / f"{event.domain}.rs"
    if event.producer == "OUTSIDE":
        how = f"make up, then POST /api/v1/events with the payload of {samples_of(event.event_type)}/full.json"
    else:
        how = f"{event.producer.strip(chr(34))} publishes it: save the state it is about with `transaction.update(&entity, &state, vec![Draft::of(&event)?])`"
    steps = [f"{event.event_type} has a contract. Next:", f"  1. {path}: its fields, their words, its priority and its retention; then `make schemas`", f"  2. {how}"]
    if (ROOT / "shared" / event.domain).is_dir():
        steps.append(f"  3. shared/{event.domain}: the decision that makes it, and its arm in rebuild.rs; without that the witness cannot read the aggregate")
    return steps


def _after_consumer(consumer: NewConsumer) -> list[str]:
    folder = f"functions/{consumer.name}"
    says = f" and publishes {consumer.emits.event_type}" if consumer.emits else ""
    return [
        f"{consumer.name} listens to {', '.join(one.event_type for one in consumer.listens)}, counts them{says}. Next:",
        f"  1. {folder}/src/handler.rs: what it does about each event; {folder}/declaration.rs: what it is and may do (then `make template`)",
        f"  2. make test-units CRATE={consumer.name}   its tests, in the pipeline in memory",
        "  3. make up   deploys it to the local AWS (with the PORT, STACK and LOCAL that yours runs with)",
    ]


def _after_domain(domain: NewDomain) -> list[str]:
    name = domain.domain
    return [
        f"{name} is a domain with one aggregate, {name}_{domain.aggregate}: it is opened and closed. Next:",
        f"  1. shared/{name}/src: its rules; shared/events/src/contracts/{name}.rs: its events; functions/{name}-api/src: its endpoints",
        f"  2. make new-event NAME={name}.{domain.aggregate}_renamed FIELDS='name:text'   one event more",
        f"  3. make test-units CRATE={name}; make test-units CRATE={name}-api   their tests",
        f"  4. make up   then POST /api/v1/{name}/{domain.names['aggregates']} {{\"name\": \"First\"}}",
    ]


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failure as failure:
        print(f"FAIL {failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted: nothing is changed", file=sys.stderr)
        sys.exit(130)
