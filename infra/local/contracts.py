"""What the generators know of the contracts: read from shared/events/src/contracts, where each is declared once."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from instance import ROOT
from report import Failure

FOLDER = ROOT / "shared" / "events" / "src" / "contracts"
LINE = re.compile(
    r"(?m)^    (?P<name>\w+): \"(?P<type>[a-z0-9_.]+)\", (?P<priority>\w+), (?P<producer>[^,]+), \"(?P<aggregate>\w+)\" \[(?P<id>[^\]]+)\];"
)


@dataclass(frozen=True)
class Contract:
    """An event type, and what its contract is called in Rust."""

    event_type: str
    name: str
    # As they stand in the source: a literal or a constant.
    producer: str
    aggregate: str
    # `account_id`, or the words of a composed id.
    id: str

    @property
    def domain(self) -> str:
        return self.event_type.split(".")[0]

    @property
    def path_in_rust(self) -> str:
        return f"contracts::{self.domain}::{self.name})"

    @property
    def samples(self) -> Path:
        """The frozen payloads of its newest version."""
        first = samples_of(self.event_type)
        versions = [int(one.name.rsplit("-v", 1)[1]) for one in (ROOT / first).parent.glob(f"{file_name(self.event_type)}-v*")]
        return first.with_name(f"{file_name(self.event_type)}-v{max(versions, default=1)}")


def file_name(event_type: str) -> str:
    """How the files of an event type begin: `points-awarded` of `loyalty.points_awarded`."""
    return event_type.split(".")[1].replace("_", "-")


def samples_of(event_type: str) -> Path:
    """The folder of the samples of its first version, relative to the tree."""
    return Path("shared/events/samples") / event_type.split(".")[0] / f"{file_name(event_type)}-v1"


def domains() -> list[str]:
    """The first parts of event types that there are."""
    return sorted(path.stem for path in FOLDER.glob("*.rs") if path.stem != "mod")


def contracts_of(domain: str | None = None) -> list[Contract]:
    """Every contract, or those of one domain, in the order of their lines."""
    found = []
    for name in domains() if domain is None else [domain]:
        path = FOLDER / f"{name}.rs"
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        for line in LINE.finditer(text):
            found.append(Contract(line["type"], line["name"], line["producer"], line["aggregate"], line["id"]))
    return found


def contract_of(event_type: str) -> Contract | None:
    """The contract of an event type, if there is one."""
    return next((one for one in contracts_of(event_type.split(".")[0]) if one.event_type == event_type), None)


def is_released(contract: Contract) -> bool:
    """Whether a version of it was released: then events of it are out there, and its contract stays."""
    released = ROOT / "shared" / "events" / "released" / contract.domain
    return any(released.glob(f"{file_name(contract.event_type)}-v*.json"))


def payload_fields(contract: Contract) -> dict[str, str]:
    """The fields of its payload with their Rust types."""
    text = (FOLDER / f"{contract.domain}.rs").read_text(encoding="utf-8")
    body = re.search(rf"(?s)pub struct {contract.name} \{{\n(.*?)\n\}}", text)
    if body is None:
        raise Failure(f"{FOLDER.relative_to(ROOT)}/{contract.domain}.rs: no struct {contract.name} can be read")
    return dict(re.findall(r"(?m)^    pub (\w+): (.+),$", body[1]))


# What FIELDS may say: word -> Rust type, a usual and an extreme value.
KINDS: dict[str, tuple[str, object, object]] = {
    "text": ("Text<200>", "Some words", "x"),
    "integer": ("u32", 42, 0),
    "flag": ("bool", True, False),
    "time": ("Timestamp", "2026-11-28T20:00:00.000Z", "2026-01-01T00:00:00.000Z"),
    "day": ("Day", "2026-11-28", "2026-01-01"),
    "member": ("MemberId", "ada", "a"),
}
SAMPLES: dict[str, tuple[object, object]] = {
    **{rust: (usual, extreme) for rust, usual, extreme in KINDS.values()},
    "AggregateId": ("a-1001", "a"),
    "Sequence": (7, 1),
    "Text<500>": ("Some words", "x"),
}


@dataclass(frozen=True)
class Field:
    """A field of a payload."""

    name: str
    type: str
    optional: bool = False
    words: str = ""

    @staticmethod
    def parse(text: str) -> list[Field]:
        """`points:integer reason:text?` as fields."""
        fields: list[Field] = []
        for one in text.split():
            found = re.fullmatch(r"([a-z][a-z0-9]*(?:_[a-z0-9]+)*):([a-z]+)(\??)", one)
            if found is None or found[2] not in KINDS:
                raise Failure(f"FIELDS={text}: `{one}` is not name:kind; kinds are {', '.join(KINDS)}, optional ones end with '?': reason:text?")
            if found[1] in [*(known.name for known in fields), "version", "type"]:
                raise Failure(f"FIELDS={text}: the name {found[1]} is taken")
            fields.append(Field(found[1], KINDS[found[2]][0], found[3] == "?"))
        return fields

    @property
    def rust(self) -> str:
        """Its type in the struct."""
        return f"Option<{self.type}>" if self.optional else self.type

    @cached_property
    def bare(self) -> str:
        """The type that must be imported."""
        return self.type.split("<")[0]

    def declaration(self) -> str:
        """Its lines in the struct."""
        words = self.words or f"{self.name.replace('_', ' ').capitalize()}{'; absent if unknown' if self.optional else ''}."
        serde = '    #[serde(default, skip_serializing_if = "Option::is_none")]\n' if self.optional else ""
        return f"    /// {words}\n{serde}    pub {self.name}: {self.rust},\n"


def sample_of(fields: list[Field], full: bool, domain: str) -> str:
    """A payload: with every field and usual values, or with as little as the contract allows."""
    payload = {one.name: _value(one, full, domain) for one in fields if full or not one.optional}
    return json.dumps(payload, indent=2, ensure_ascii=False) + "\n"


def _value(member: Field, full: bool, domain: str) -> object:
    if member.type in SAMPLES:
        return SAMPLES[member.type][0 if full else 1]
    # The id of a known aggregate: as it stands in a sample of another of its events.
    for path in sorted((ROOT / "shared" / "events" / "samples" / domain).glob("*/*.json")):
        payload = json.loads(path.read_text(encoding="utf-8"))
        if member.name in payload:
            return payload[member.name]
    raise Failure(f"no sample of a {member.type} is known, the type of {member.name}: add such an event by hand")
