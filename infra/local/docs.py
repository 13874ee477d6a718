"""The documents as a site: `make docs` renders all of them by mdBook into .local/book/html, with mdBook's search.

    docs.py    assembles .local/book/src, renders it, and follows every link between the pages

Nothing of it is kept in step by hand: PARTS says where pages lie, a page's title is its first heading, and a page that is in no
part is an error. The pages keep their places in the repository, so links between them stay what they are; README.md becomes
its folder's index. What is linked to and is no page is copied (COPIED), or a link to the repository that Cargo.toml names, or
plain text where it names none. Diagrams stay their source: mdBook draws none.

That a link of a document leads somewhere, tests/it/readme.rs finds. Here only what mdBook made of it is looked at: its anchors.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import tools
from instance import lock, shown
from report import Failure, stage

ROOT = tools.ROOT
BOOK = ROOT / ".local" / "book"
SOURCE, SITE = BOOK / "src", BOOK / "html"

# part -> where its pages are, in their order; a page belongs to the first part that finds it
PARTS = {
    "Start": ["README.md", "infra/docs/tutorial.md", "ARCHITECTURE.md", "CONTRIBUTING.md"],
    "Guides": ["infra/docs/your-own-domain.md", "infra/docs/calling-the-api.md", "infra/docs/webhooks.md", "infra/docs/deploying.md", "infra/docs/localstack.md", "infra/docs/operating.md", "infra/docs/console.md",
               "infra/docs/runbook.md", "infra/docs/rollback.md", "infra/docs/restore.md", "infra/docs/deleting.md", "infra/docs/deployer-policy.md", "infra/cli/README.md"],  # fmt: skip
    "Reference": ["shared/events/CATALOGUE.md", "infra/docs/settings.md", "COSTS.md", "CHANGELOG.md"],
    "Domains": ["infra/docs/*.md"],
    "Functions": ["functions/*/README.md"],
    "Crates": ["shared/*/README.md", "infra/*/README.md", "infra/local/*/README.md"],
    "Decisions": ["infra/adr/*.md"],
    "Proof": ["tests/REQUIREMENTS.md", "BENCHMARKS.md"],
}
# Endings of what a reader looks at beside a page.
COPIED = {".json", ".py", ".svg"}

# No page sends code to a playground, and a preprocessor would take braces in a document for its own.
SETTINGS = """\
[book]
title = "Millrace"
language = "en"
src = "src"

[build]
build-dir = "html"
create-missing = false
use-default-preprocessors = false

[output.html]
no-section-label = true
smart-punctuation = false
input-404 = ""
{repository}
[output.html.playground]
runnable = false

[output.html.print]
enable = false
"""

FENCE = r"^(?P<fence>```|~~~).*?^(?P=fence)[ ]*$"
LINK = r"\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^()\s]+)\)"
FENCE_OR_LINK = re.compile(f"{FENCE}|{LINK}", re.M | re.S)


@dataclass(frozen=True)
class Reference:
    """A link from one page to another, and where it stands."""

    place: str
    target: str
    page: Path
    anchor: str


def chapters() -> dict[str, list[Path]]:
    """The pages of each part, relative to the repository."""
    taken: dict[Path, str] = {}
    for part, patterns in PARTS.items():
        for pattern in patterns:
            found = sorted(path.relative_to(ROOT) for path in ROOT.glob(pattern))
            if not found:
                raise Failure(f"{shown(Path(__file__))}: part {part}: nothing is at {pattern}")
            for page in found:
                taken.setdefault(page, part)
    if lost := sorted(_every_page() - taken.keys()):
        raise Failure("\n".join(f"{page}:1: no part of the book has this page (PARTS in infra/local/docs.py)" for page in lost))
    return {part: [page for page, its in taken.items() if its == part] for part in PARTS}


def _every_page() -> set[Path]:
    """All documents; what is made or installed is left out."""
    found = set()
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "target"]
        found |= {Path(folder, name).relative_to(ROOT) for name in files if name.endswith(".md")}
    return found


def title(page: Path, text: str) -> str:
    """The first heading."""
    heading = re.search(r"^# +(.+?) *$", text, re.M)
    if heading is None:
        raise Failure(f"{page}:1: no heading to name the page by")
    return heading.group(1)


def place_in_book(page: Path) -> Path:
    """Where a document is in the assembled source."""
    return page.with_name("index.md") if page.name == "README.md" else page


class Assembly:
    """The assembled source."""

    def __init__(self, pages: list[Path], repository: str | None) -> None:
        self.pages = pages
        self.repository = repository
        self.references: list[Reference] = []

    def rewritten(self, page: Path, text: str) -> str:
        """A document with its links as they are in the book."""
        return FENCE_OR_LINK.sub(lambda found: self._link(page, found), text)

    def _link(self, page: Path, found: re.Match[str]) -> str:
        target = found["target"]
        if found["fence"] or "://" in target or target.startswith("mailto:"):
            return found[0]
        file, _, anchor = target.partition("#")
        path = Path(os.path.normpath(page.parent / file)) if file else page
        if chapter := self._chapter(path):
            line = found.string.count("\n", 0, found.start()) + 1
            self.references.append(Reference(f"{page}:{line}", target, chapter, anchor))
            rendered = place_in_book(chapter).with_suffix(".html")
            address = os.path.relpath(rendered, page.parent) if file else ""
            return f"[{found['text']}]({address}{'#' if anchor else ''}{anchor})"
        if path.suffix in COPIED and (ROOT / path).is_file():
            _write(SOURCE / path, (ROOT / path).read_text(encoding="utf-8"))
            return found[0]
        if self.repository:
            kind = "tree" if (ROOT / path).is_dir() else "blob"
            return f"[{found['text']}]({self.repository}/{kind}/HEAD/{path.as_posix()})"
        return found["text"]

    def _chapter(self, path: Path) -> Path | None:
        """The page that a path names; a folder names its first."""
        return path if path in self.pages else next((page for page in self.pages if page.parent == path), None)


def assemble() -> Assembly:
    """Writes the book's source, its list of chapters and its settings."""
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))
    repository = manifest["workspace"]["package"].get("repository", "").rstrip("/") or None
    parts = chapters()
    assembly = Assembly([page for pages in parts.values() for page in pages], repository)
    shutil.rmtree(SOURCE, ignore_errors=True)
    summary = ["# Summary"]
    for part, pages in parts.items():
        summary += ["", f"# {part}", ""]
        for page in pages:
            text = (ROOT / page).read_text(encoding="utf-8")
            summary.append(f"- [{title(page, text)}]({place_in_book(page).as_posix()})")
            _write(SOURCE / place_in_book(page), assembly.rewritten(page, text))
    _write(SOURCE / "SUMMARY.md", "\n".join(summary) + "\n")
    named = f'git-repository-url = "{repository}"\n' if repository else ""
    _write(BOOK / "book.toml", SETTINGS.format(repository=named))
    return assembly


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def render() -> None:
    """mdBook; what it warns of is an error here."""
    command = [str(tools.program("mdbook")), "build", str(BOOK)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0 or re.search(r"\b(WARN|ERROR)\b", done.stdout):
        raise Failure(f"mdbook: {done.stdout.strip()}")


def follow(references: list[Reference]) -> None:
    """Whether each link leads to a page of the site, and to an anchor that is there."""
    dead = [one for one in references if one.anchor not in _anchors(one.page)]
    if dead:
        raise Failure("\n".join(f"{one.place}: {one.target} leads nowhere in the book" for one in dead))


@cache
def _anchors(page: Path) -> set[str]:
    """The anchors of a page's rendering, and its beginning."""
    rendered = (SITE / place_in_book(page)).with_suffix(".html")
    return {"", *re.findall(r'\bid="([^"]+)"', rendered.read_text(encoding="utf-8"))} if rendered.exists() else set()


def main() -> int:
    """Command line; see the module's text."""
    try:
        with lock(BOOK), stage("render the documents") as notes:
            assembly = assemble()
            render()
            follow(assembly.references)
            notes.append(f"{len(assembly.pages)} pages: {shown(SITE)}/index.html")
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
