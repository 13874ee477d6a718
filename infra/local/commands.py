"""Runs the commands of the documents as they stand, in a scratch copy of this tree: `make test-docs`.

    commands.py DOCUMENT…     README.md infra/docs/tutorial.md …, in this order

A command is an indented block, or a fenced one of `sh`, whose first word is a program. All commands of a document run in one bash,
so that variables and `source` hold; the first that fails ends the run. A comment before a block says what cannot be seen in it:

    <!-- not run: why -->            for what needs an AWS account, a person, or hours
    <!-- run in: a document -->      its lines stand in that document, too, which runs them
    <!-- until: some words -->       it goes on until these words are printed; then Ctrl-C is sent and it must end
    <!-- beside: some words -->      it goes on beside the commands behind it, and must have printed these words when they have ended
    <!-- prints: some words -->      what it prints must have these words
    <!-- file: a path -->            the fenced block behind it is that file
    <!-- edit: a path -->            a fenced block that is no command: its first line replaces the line of the file that begins alike,
                                     as a reader would do it

The copy has the tools of this tree, takes the dependencies that were compiled here, and gets ports of its own. Each document begins with the
sources as they were; a stack goes on from one document to the next, unless sources changed. The copy is removed when everything passed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from emulator import end_group, free_port
from instance import ROOT, lock
from packages import target
from report import Failure, stage, tail
from sources import commit_tree, copy_tree, metadata_command

PROGRAMS = ("make", "curl", "source", "cargo", "cat", "sleep", "mkdir", "cd", "git", "sam", "aws", "millrace", "export")
COMMAND = re.compile(rf"^(?:{'|'.join(PROGRAMS)})\b|^[A-Z_]+=|^\"\$")
NOTE = re.compile(r"^<!-- (not run|run in|until|beside|prints|edit|file): (.*) -->$")
SCRATCH = ROOT / ".local" / "documents"
DOCUMENT_DEADLINE_SECONDS = 1_800


@dataclass(frozen=True)
class Block:
    """Commands that stand together, or an edit."""

    document: str
    line: int
    text: str
    # What the comment before it says: `until`, and the words.
    note: str = ""
    words: str = ""

    @property
    def is_run(self) -> bool:
        return self.note not in ("not run", "run in")

    @property
    def place(self) -> str:
        return f"{self.document}:{self.line}"


def blocks_of(document: str, text: str) -> list[Block]:
    """The commands of a document, in their order."""
    lines = text.splitlines()
    blocks: list[Block] = []
    note = ("", "")
    at = 0
    while at < len(lines):
        line = lines[at]
        if found := NOTE.match(line):
            note = (found[1], found[2])
            at += 1
            continue
        begin, body = at, []
        if line.startswith("    ") and (at == 0 or not lines[at - 1].strip() or NOTE.match(lines[at - 1])):
            while at < len(lines) and (lines[at].startswith("    ") or (not lines[at].strip() and _goes_on(lines, at))):
                body.append(lines[at][4:])
                at += 1
        elif line.startswith("```"):
            at += 1
            while at < len(lines) and not lines[at].startswith("```"):
                body.append(lines[at])
                at += 1
            at += 1
            if line not in ("```sh", "```bash") and note[0] not in ("edit", "file"):
                body = []
        else:
            at += 1
        if body and (note[0] or COMMAND.match(body[0])):
            blocks.append(Block(document, begin + 1, "\n".join(body), *note))
        if line.strip():
            note = ("", "")
    return blocks


def _goes_on(lines: list[str], at: int) -> bool:
    return at + 1 < len(lines) and lines[at + 1].startswith("    ")


# --- the copy ----------------------------------------------------------------------------------------------------------


def scratch_tree() -> Path:
    """A copy of this tree, with the tools that are installed here."""
    tree = SCRATCH / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    copy_tree(ROOT, tree)
    # Cargo tells the crates of two workspaces apart by their versions, not by their folders: other sources under the same version
    # would end up in what is compiled here.
    manifest = tree / "Cargo.toml"
    text, count = re.subn(r'(?m)^version = "(\d+\.\d+\.\d+)"$', r'version = "\1-documents"', manifest.read_text(), count=1)
    if count != 1:
        raise Failure("Cargo.toml has no version that the copy could change")
    manifest.write_text(text)
    metadata = subprocess.run(metadata_command(), cwd=tree, check=True, capture_output=True)
    own = json.loads(metadata.stdout)
    # Cargo reads this for everything below. The copy's crates are compiled often and run for seconds; what they depend on stays as it is
    # compiled here, or it would be compiled once more: a name for all packages would include those of build scripts.
    (SCRATCH / ".cargo").mkdir(exist_ok=True)
    quick = "".join(f'"{one["name"]}".opt-level = 0\n' for one in own["packages"] if one["id"] in own["workspace_members"])
    (SCRATCH / ".cargo" / "config.toml").write_text(f"[profile.local.package]\n{quick}")
    (tree / ".local").mkdir()
    (tree / ".local" / "tools").symlink_to(ROOT / ".local" / "tools")
    commit_tree(tree)
    return tree


def begin_anew(tree: Path, variables: dict[str, str]) -> None:
    """Takes back what the document before changed, and ends the stack that it deployed of its own sources."""
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=tree, check=True, capture_output=True, text=True).stdout
    if changed:
        subprocess.run(["make", "down"], cwd=tree, env=variables, capture_output=True)
        subprocess.run(["git", "reset", "-q", "--hard"], cwd=tree, check=True)
        subprocess.run(["git", "clean", "-qfd"], cwd=tree, check=True)


def environment(tree: Path) -> dict[str, str]:
    """What the commands find: nothing that a caller's own stack or `make` left, ports that are free, dependencies compiled here."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MAKE", "MFLAGS", "API_", "STREAM_", "STACK"))}
    port = free_port()
    return {
        **kept,
        "PORT": str(port),
        "STREAM_PORT": "0",
        # Programs of its own; what is compiled for them lies with that of this tree.
        "CARGO_TARGET_DIR": str(tree.parent / "target"),
        "CARGO_BUILD_BUILD_DIR": str(target()),
        # Documents that use the crates by git get this copy.
        "CARGO_NET_GIT_FETCH_WITH_CLI": "true",
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": f"url.file://{tree}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/your-org/millrace",
        "GIT_CONFIG_KEY_1": "protocol.file.allow",
        "GIT_CONFIG_VALUE_1": "always",
        # A document changes sources and compiles again, several times.
        "CARGO_INCREMENTAL": "1",
        # A reader's first build has debug information, for which nobody waits here.
        "CARGO_PROFILE_DEV_DEBUG": "0",
        # Whatever lies around the copy is none of its workspace.
        "CARGO_WORKSPACE_DIR": str(tree),
    }


# --- running -----------------------------------------------------------------------------------------------------------

# A refused call must fail, though `curl -s` does not; what a command says of itself stands in the log.
PRELUDE = """\
set -eo pipefail
curl() { command curl --fail-with-body --max-time 60 "$@"; }
"""


def run_document(document: str, tree: Path, variables: dict[str, str], log: Path) -> int:
    """Runs a document's commands; how many blocks were run."""
    blocks = blocks_of(document, (ROOT / document).read_text(encoding="utf-8"))
    for block in blocks:
        if block.note == "run in":
            there = {line for one in blocks_of(block.words, (ROOT / block.words).read_text()) if one.is_run for line in one.text.splitlines()}
            missing = [line for line in block.text.splitlines() if line.strip() and line not in there]
            if missing:
                raise Failure(f"{block.place}: {block.words} does not run `{missing[0]}`")
    wanted = [one for one in blocks if one.is_run]
    script = [PRELUDE]
    reader = f"'{sys.executable}' '{Path(__file__).with_name('reader.py')}'"
    for number, block in enumerate(wanted):
        script.append(f"echo \"=== {block.place} (after $SECONDS s)\"")
        match block.note:
            case "edit":
                script.append(f"{reader} '{block.words}' <<'MILLRACE_EDIT'\n{block.text}\nMILLRACE_EDIT")
            case "file":
                script.append(f"cat > '{block.words}' <<'MILLRACE_FILE'\n{block.text}\nMILLRACE_FILE")
            case "until":
                script.append(f"{reader} --until '{block.words}' <<'MILLRACE_UNTIL'\n{block.text}\nMILLRACE_UNTIL")
            case "beside":
                output = tree.parent / f"beside-{number}.out"
                script.append(
                    # Without a time limit of curl's.
                    f"( unset -f curl; {block.text.strip()} ) >'{output}' 2>&1 &\nBESIDE_{number}=$!"
                )
            case "prints":
                output = tree.parent / f"prints-{number}.out"
                # What follows a command by itself takes its time.
                script.append(
                    f"for attempt in 1 2 3 4 5 6 7 8 9 10; do\n{{\n{block.text}\n}} >'{output}' 2>&1 || true\n"
                    f"grep -qF '{block.words}' '{output}' && break; sleep 3\ndone\n{_must_have(block, output)}"
                )
            case _:
                script.append(block.text)
    for number, block in enumerate(wanted):
        if block.note == "beside":
            output = tree.parent / f"beside-{number}.out"
            script.append(
                f"for _ in $(seq 600); do grep -qF '{block.words}' '{output}' && break; sleep 0.2; done\n"
                f"kill $BESIDE_{number} 2>/dev/null || true\n{_must_have(block, output)}"
            )
    with log.open("a") as written:
        # A file, as programs would read what stands behind them on standard input.
        (tree.parent / "commands.sh").write_text("\n".join(script) + "\n")
        process = subprocess.Popen(
            ["bash", str(tree.parent / "commands.sh")], cwd=tree, env=variables, stdin=subprocess.DEVNULL,
            stdout=written, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(DOCUMENT_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if process.poll() is None:
                end_group(process.pid)
    if process.returncode != 0:
        raise Failure(f"{document} does not do what it says; the end of {log.relative_to(ROOT)}:\n{tail(log, 40)}")
    return len(wanted)


def _must_have(block: Block, output: Path) -> str:
    """Shows what a block printed, and ends the run if its words are not there."""
    return f"cat '{output}'\ngrep -qF '{block.words}' '{output}' || {{ echo '{block.place}: not printed: {block.words}'; exit 1; }}"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents", nargs="+")
    parser.add_argument("--list", action="store_true", help="show what would be run, and what would not")
    parser.add_argument("--begin-until", type=float, metavar="SECONDS", help="begin no document after this time, in seconds since 1970, and say which were not run")
    asked = parser.parse_args(arguments)
    if asked.list:
        for document in asked.documents:
            for block in blocks_of(document, (ROOT / document).read_text(encoding="utf-8")):
                print(f"{block.place}: {block.note or 'run'} {block.words}\n{block.text}\n")
        return 0
    with lock(SCRATCH, waiting="     waits for another run of the documents' commands"):
        return _run(asked.documents, asked.begin_until)


def _run(documents: list[str], begin_until: float | None) -> int:
    log = SCRATCH / "commands.log"
    log.write_text("")
    with stage("copy the tree"):
        tree = scratch_tree()
    variables = environment(tree)
    begun = time.monotonic()
    skipped = []
    try:
        for document in documents:
            if begin_until is not None and time.time() > begin_until:
                skipped.append(document)
                continue
            with stage(document) as notes:
                begin_anew(tree, variables)
                notes.append(f"{run_document(document, tree, variables, log)} blocks of commands")
    finally:
        # Whatever a document left running in the copy.
        subprocess.run(["make", "down"], cwd=tree, env=variables, capture_output=True)
    shutil.rmtree(tree)
    print(f"ok   the documents do what they say {time.monotonic() - begun:9.1f} s")
    if skipped:
        print(f"SKIP {' '.join(skipped)}: this machine was too slow for them; `make test-docs DOCUMENTS='{' '.join(skipped)}'` runs them")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failure as failure:
        print(f"FAIL {failure}", file=sys.stderr)
        sys.exit(1)
