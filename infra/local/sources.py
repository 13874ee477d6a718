"""Edits of the source tree that happen as a whole or not at all, and how texts are made of the templates beside this file."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType

from report import Failure, stage, tail


def metadata_command() -> list[str]:
    """cargo metadata for this machine alone. What other machines would need has not been downloaded, and is not."""
    about = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    host = next(line.removeprefix("host: ") for line in about.splitlines() if line.startswith("host: "))
    return ["cargo", "metadata", "--offline", "--format-version", "1", "--filter-platform", host]

PRIMITIVE = {"u32", "u64", "bool"}
# What `make schemas` and `make template` write.
RENDERED = (
    "Cargo.lock", "shared/events/schemas/**/*.json", "shared/events/CATALOGUE.md", "functions/*/openapi.json", "infra/docs/*.json",
    "infra/docs/settings.md", "infra/*.json", "template.yaml", "infra/aws-only.yaml", "infra/restore.yaml",
)  # fmt: skip


def pascal(name: str) -> str:
    """`loan-mailer` or `loan_mailer` -> `LoanMailer`."""
    return "".join(part[:1].upper() + part[1:] for part in re.split("[-_]", name))


def plural(name: str) -> str:
    """`account` -> `accounts`, `policy` -> `policies`, `box` -> `boxes`."""
    if re.search(r"[^aeiou]y$", name):
        return name[:-1] + "ies"
    return name + ("es" if re.search(r"(s|x|z|ch|sh)$", name) else "s")


def render(template: Path, names: dict[str, str]) -> str:
    """A template's text with `{{name}}` replaced. `{ {{name}}` stands for a brace right before a name."""
    text = template.read_text(encoding="utf-8").replace("{ {{", "{\0{{")
    text = re.sub(r"\{\{([\w-]+)\}\}", lambda found: names[found[1]], text)
    return text.replace("{\0", "{")


def copy_tree(root: Path, goal: Path) -> None:
    """Copies what git knows of a tree, changed and new files included. What is as old as before is not compiled again."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=root, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (root / name).is_file():
            (goal / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, goal / name)


def commit_tree(tree: Path) -> None:
    """Makes a copy a repository of its own, with all that is in it as its one commit."""
    somebody = ("-c", "user.name=copy", "-c", "user.email=copy@localhost")
    for command in (["init", "-q"], ["add", "-A"], [*somebody, "commit", "-qm", "as it was"]):
        subprocess.run(["git", *command], cwd=tree, check=True, capture_output=True)


class Edits:
    """Files to write, change and take away below a root. They are undone if the block ends with an exception."""

    def __init__(self, root: Path) -> None:
        self._root = root
        # What is to be written, and what stood there before: None where nothing did.
        self._texts: dict[Path, str] = {}
        self._before: dict[Path, bytes | None] = {}
        self._moved: list[tuple[Path, Path]] = []
        self._removed: list[Path] = []

    def __enter__(self) -> Edits:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self._undo()

    # --- what is to be done ---

    def create(self, path: Path, text: str) -> None:
        """A new file."""
        if (self._root / path).exists():
            raise Failure(f"{path} exists already")
        self._texts[path] = text

    def text(self, path: Path) -> str:
        """A file as it is to be."""
        if path not in self._texts:
            self._texts[path] = (self._root / path).read_text(encoding="utf-8")
        return self._texts[path]

    def replace(self, path: Path, pattern: str, by: str | Callable[[re.Match[str]], str], what: str) -> None:
        """Replaces the one place that a pattern finds."""
        text, count = re.subn(pattern, by, self.text(path), count=1)
        if count != 1:
            raise Failure(f"{path}: {what} is not where the generator looks for it; nothing is changed")
        self._texts[path] = text

    def append(self, path: Path, text: str) -> None:
        """Adds to a file's end."""
        self._texts[path] = self.text(path).rstrip("\n") + "\n" + text

    def insert_sorted(self, path: Path, like: str, line: str) -> None:
        """Adds a line to the block of lines around the first one that begins with `like`, before the first that sorts behind it."""
        lines = self.text(path).splitlines()
        at = next((number for number, one in enumerate(lines) if one.startswith(like)), None)
        if at is None:
            raise Failure(f"{path}: no line `{like}…` is where the generator looks for it; nothing is changed")
        indent = len(like) - len(like.lstrip())

        def belongs(one: str) -> bool:
            return bool(one.strip()) and len(one) - len(one.lstrip()) == indent and one.strip()[0] not in "#/])}"

        begin = end = at
        while begin > 0 and belongs(lines[begin - 1]):
            begin -= 1
        while end < len(lines) and belongs(lines[end]):
            end += 1
        behind = next((number for number in range(begin, end) if lines[number] > line), end)
        self._texts[path] = "\n".join([*lines[:behind], line, *lines[behind:]]) + "\n"

    def change_words(self, path: Path, pattern: str, change: Callable[[set[str]], set[str]], what: str) -> None:
        """Changes a sorted, comma-separated list; the pattern's second group is the list."""

        def changed(found: re.Match[str]) -> str:
            return found[1] + ", ".join(sorted(change(_words(found[2])))) + found[3]

        self.replace(path, pattern, changed, what)

    def import_of_crate(self, path: Path, names: Iterable[str]) -> None:
        """Makes sure that a module has these names of its own crate."""
        wanted = {name for name in names if name not in PRIMITIVE}
        text = self.text(path)
        found = re.search(r"use crate::(?:\{([^}]*)\}|(\w+));", text)
        if found is None:
            self.replace(path, r"(\nuse [^\n]*;\n)(?!use )", lambda last: last[1] + f"use crate::{{{', '.join(sorted(wanted))}}};\n", "its imports")
            return
        there = _words(found[1] or found[2])
        self._texts[path] = text.replace(found[0], f"use crate::{{{', '.join(sorted(there | wanted))}}};", 1)

    def prune_imports_of_crate(self, path: Path) -> None:
        """Takes the names of its own crate that a module does not use any more out of its imports."""
        text = self.text(path)
        found = re.search(r"use crate::\{([^}]*)\};", text)
        if found:
            rest = text.replace(found[0], "", 1)
            used = [one for one in _words(found[1]) if re.search(rf"\b{re.escape(one.split('::')[-1])}\b", rest)]
            self._texts[path] = text.replace(found[0], f"use crate::{{{', '.join(sorted(used))}}};", 1)

    def remove(self, path: Path) -> None:
        """Takes a file away."""
        self._texts.pop(path, None)
        self._removed.append(path)

    def touches(self, folder: Path) -> bool:
        """Whether a file below a folder is changed or taken away."""
        return any(folder in path.parents for path in [*self._texts, *self._removed])

    def move_away(self, folder: Path, kept: Path) -> None:
        """Moves a folder out of the tree."""
        kept.parent.mkdir(parents=True, exist_ok=True)
        self._moved.append((folder, kept))

    # --- doing it ---

    def write(self) -> None:
        """Writes everything, formats what is Rust, and brings the lock file up to date."""
        for path in self._rendered():
            self._before.setdefault(path, (self._root / path).read_bytes())
        for folder, kept in self._moved:
            shutil.move(folder, kept)
        for path in self._removed:
            target = self._root / path
            self._before.setdefault(path, target.read_bytes())
            target.unlink()
            self._remove_empty(target.parent)
        for path, text in self._texts.items():
            target = self._root / path
            self._before.setdefault(path, target.read_bytes() if target.is_file() else None)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        rust = [str(path) for path in self._texts if path.suffix == ".rs"]
        if rust:
            self._run(["rustfmt", "--edition", "2024", "--config", "skip_children=true", *rust], "the new sources could not be formatted")
        # The lock file names every package of the workspace; a new declaration is found by its change.
        self._run(metadata_command(), "Cargo.lock could not be brought up to date")

    def render(self, verbs: Iterable[str]) -> None:
        """Runs the verbs of make that render what follows from the sources."""
        for verb in verbs:
            log = self._root / ".local" / f"{verb}.log"
            log.parent.mkdir(parents=True, exist_ok=True)
            print(f"     make {verb} (compiles what changed: a minute or two)", flush=True)
            with stage(f"make {verb}"), log.open("w") as written:
                status = subprocess.run(["make", verb], cwd=self._root, stdout=written, stderr=subprocess.STDOUT).returncode
                if status != 0:
                    raise Failure(f"make {verb} failed, nothing is changed; the end of {log.relative_to(self._root)}:\n{tail(log)}")

    def summary(self) -> list[str]:
        """What is new, changed and gone."""
        lines = [f"moved   {folder.relative_to(self._root)} to {kept.relative_to(self._root)}" for folder, kept in self._moved]
        for path in sorted({*self._before, *self._rendered()}):
            before, now = self._before.get(path), self._root / path
            if not now.is_file():
                lines.append(f"removed {path}")
            elif before is None:
                lines.append(f"new     {path}")
            elif before != now.read_bytes():
                lines.append(f"changed {path}")
        return lines

    def _undo(self) -> None:
        # Rendered by this run, if any was written.
        for path in self._rendered() - self._before.keys() if self._before else ():
            (self._root / path).unlink()
            self._remove_empty((self._root / path).parent)
        for path, before in self._before.items():
            target = self._root / path
            if before is None:
                target.unlink(missing_ok=True)
                self._remove_empty(target.parent)
            elif not target.is_file() or target.read_bytes() != before:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(before)
        for folder, kept in self._moved:
            if kept.exists() and not folder.exists():
                shutil.move(kept, folder)

    def _rendered(self) -> set[Path]:
        """What is there of the files that are rendered, relative to the root."""
        return {path.relative_to(self._root) for pattern in RENDERED for path in self._root.glob(pattern)}

    def _remove_empty(self, folder: Path) -> None:
        while folder != self._root and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent

    def _run(self, command: list[str], failed: str) -> None:
        done = subprocess.run(command, cwd=self._root, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"{failed}; nothing is changed:\n{done.stderr.strip()}")


def _words(text: str) -> set[str]:
    return {one.strip() for one in text.split(",") if one.strip()}
