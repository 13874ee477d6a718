"""What a deployment will change: decided before anything is built, from what is asked for, what the templates declare and what is
deployed. Nothing here calls AWS.

A parameter that is not asked for is not passed. CloudFormation then keeps the value of an existing stack, and takes the
template's default for a new one (`sam deploy` sets UsePreviousValue for it).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import parameters
from parameters import Declared

STAGE = "Stage"
ARCHITECTURE = "Architecture"
SENDER = "EmailSender"
PROTECT = "ProtectData"

# Stages whose new stacks are protected unless PROTECT=false says otherwise.
PROTECTED_STAGES = ("prod", "production")

# Parameters with a setting of their own, which every reader of a deployment knows: no note says that they differ from the default.
WITH_OWN_SETTING = (STAGE, ARCHITECTURE, SENDER, PROTECT)


@dataclass(frozen=True)
class Deployed:
    """A stack as CloudFormation describes it. The values of parameters with NoEcho are asterisks."""

    status: str
    parameters: dict[str, str]
    # Whether CloudFormation refuses to delete the stack.
    refuses_deletion: bool = False
    # The defaults of the template that it was deployed from; empty where they are not known.
    defaults: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """What the caller asks for."""

    stack: str
    # None: what the stack has, else x86_64.
    arch: str | None = None
    # Parameters of either template, checked.
    given: dict[str, str] = field(default_factory=dict)

    @property
    def alarms_stack(self) -> str:
        """The name of the stack made from infra/aws-only.yaml."""
        return f"{self.stack}-aws-only"


@dataclass(frozen=True)
class Plan:
    """What will be deployed."""

    asked: Asked
    is_new: bool
    # What is passed to each template.
    own: dict[str, str]
    theirs: dict[str, str]
    # What each parameter will be. None: not known, because it is secret.
    own_values: dict[str, str | None]
    their_values: dict[str, str | None]
    # Whether tables and stack are protected from deletion when it is done; None: the template has no such parameter.
    protects: bool | None
    # Why it cannot be deployed.
    problems: list[str]
    # What the caller should know.
    notes: list[str]
    # Values that somebody chose earlier and that stay.
    kept: list[str]

    @property
    def arch(self) -> str:
        """The functions' architecture."""
        return self.own[ARCHITECTURE]

    @property
    def protects_later(self) -> bool:
        """Whether the stack is created without protection first. A protected table cannot be rolled back, so a creation that fails
        would leave a stack that nobody can delete."""
        return self.is_new and bool(self.protects)


def decide(asked: Asked, declared: dict[str, Declared], main: Deployed | None, alarms: Deployed | None) -> Plan:
    """The plan. Stacks are None if they do not exist."""
    topology, of_alarms = declared[parameters.MAIN], declared[parameters.ALARMS]
    had = main.parameters if main else {}
    own = {name: value for name, value in asked.given.items() if name in topology and name != PROTECT}
    problems: list[str] = []
    notes: list[str] = []
    kept: list[str] = []

    arch = asked.arch or had.get(ARCHITECTURE) or "x86_64"
    if had.get(ARCHITECTURE, arch) != arch:
        notes.append(f"the functions' processor changes from {had[ARCHITECTURE]} to {arch}, because ARCH={arch} was given")
    own[ARCHITECTURE] = arch

    stage = had.get(STAGE) or own.get(STAGE) or str(topology.get(STAGE, {}).get("Default", ""))
    if own.get(STAGE, stage) != stage:
        problems.append(
            f"stack {asked.stack} has the stage {stage}, and STAGE={own[STAGE]} was given. A stack keeps its stage, which is in its URLs "
            f"and tags: leave STAGE out, or deploy another stack (STACK=…)"
        )

    protects = _protection(asked, topology, main, stage, own, notes, problems)

    if main is None:
        for name, one in topology.items():
            if "Default" not in one and name not in own:
                problems.append(f"{name} has no default: PARAMS='{name}=…'. {one.get('Description', '')}".rstrip())
        if SENDER in topology and SENDER not in own:
            problems.append("EMAIL_SENDER=… is wanted: the address that mails are sent from, verified by SES in the account")
    else:
        _compare(main, own, topology, notes, kept)

    theirs = {name: value for name, value in asked.given.items() if name in of_alarms}
    theirs["MillraceStack"] = asked.stack
    if alarms is not None:
        _compare(alarms, theirs, of_alarms, notes, kept)
    return Plan(
        asked, main is None, own, theirs,
        _values(topology, had, own), _values(of_alarms, alarms.parameters if alarms else {}, theirs),
        protects, problems, notes, kept,
    )  # fmt: skip


def _protection(
    asked: Asked, topology: Declared, main: Deployed | None, stage: str, own: dict[str, str], notes: list[str], problems: list[str]
) -> bool | None:
    """Whether data will be protected; puts the parameter into `own` if it has to be passed."""
    if PROTECT not in topology:
        return None
    wanted = asked.given.get(PROTECT)
    if main is None:
        default = "true" if stage in PROTECTED_STAGES else str(topology[PROTECT].get("Default", "false"))
        protects = (wanted or default) == "true"
        own[PROTECT] = "false"
        return protects
    had = main.parameters.get(PROTECT)
    if had is None:
        # Deployed before there was the parameter, when the stage alone protected: the template's default must not drop that.
        had = "true" if stage == "prod" else "false"
        own[PROTECT] = had
    if wanted is not None:
        own[PROTECT] = wanted
    elif had == "false" and stage in PROTECTED_STAGES:
        # Its first deployment may have ended before the second step.
        problems.append(f"stack {asked.stack} of the stage {stage} is not protected from deletion: say PROTECT=true, or PROTECT=false if it is to stay so")
    if had == "true" and wanted == "false":
        notes.append("the protection of the tables and of the stack ends, because PROTECT=false was given: both can then be deleted")
    return (wanted or had) == "true"


def _compare(stack: Deployed, passed: dict[str, str], known: Declared, notes: list[str], kept: list[str]) -> None:
    """Names each value that the stack keeps although the template has another default: in `notes` where the default changed since the
    stack got it, in `kept` where somebody chose the value."""
    for name, default in parameters.defaults(known).items():
        has = stack.parameters.get(name)
        is_told = name in passed or name in WITH_OWN_SETTING or known[name].get("NoEcho")
        if is_told or has is None or default in (None, has):
            continue
        shown, change = has or "empty", f"To change it: PARAMS='{name}=…'"
        if stack.defaults.get(name) == has:
            notes.append(f"{name} stays {shown}, the default of an earlier version; the default is {default or 'empty'} now. {change}")
        else:
            kept.append(f"{name} stays {shown}; the default is {default or 'empty'}. {change}")


def _values(known: Declared, had: dict[str, str], passed: dict[str, str]) -> dict[str, str | None]:
    values: dict[str, str | None] = {}
    for name, default in parameters.defaults(known).items():
        if name in passed:
            values[name] = passed[name]
        elif name in had:
            values[name] = None if known[name].get("NoEcho") else had[name]
        else:
            values[name] = default
    return values
