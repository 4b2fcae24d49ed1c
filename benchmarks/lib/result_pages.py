"""Pages of the results: sections are kept by title, and one table states what all of them found.

`docs/results/*.md` hold the sections; `docs/results.md` is made anew from them after every change.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.lib.code import ROOT
from benchmarks.lib.result_text import SectionText, read_text
from benchmarks.lib.tables import markdown

SEED = 20240607  # of every claim
PAGES = {
    "p-values": "Are the p-values valid?",
    "hiding": "Can a copy be hidden, or an unrelated model framed?",
    "zoo": "Are relatives found, and how they were made?",
    "families": "Are family graphs right?",
    "papers": "How does it compare with published methods?",
    "files": "Does it work on files of other people?",
    "classes": "Does it work on model classes of other libraries?",
    "many-models": "Does it work with many models, and with a hub?",
    "inputs": "What do wrong and hostile inputs do?",
    "speed-and-tests": "How fast is it, and how is it tested?",
}
NOTE = re.compile(r"\*(\d{4}-\d\d-\d\d), commit ([^,]+), .*\*")
MADE_BY = "Made by ["


@dataclass(frozen=True, slots=True)
class Section:
    """A claim: where its text stands, what makes it, and what it found."""

    page: str  # of PAGES
    title: str
    run: Callable[[], list[str]]
    finding: Callable[[SectionText], str]
    module: str  # where its code begins
    data: tuple[str, ...] = ()  # kept files that it is made from
    also: tuple[str, ...] = ()  # packages that it looks at without importing them


def stored_texts(docs: Path) -> dict[str, str]:
    """Texts of all sections, each with its note first, by title."""
    found = {}
    for name in PAGES:
        path = docs / "results" / f"{name}.md"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        for part in text.split("\n## ")[1:]:
            title, _, rest = part.partition("\n")
            made_by, _, kept = rest.strip("\n").partition("\n\n")
            found[title] = kept if made_by.startswith(MADE_BY) else rest.strip("\n")
    return found


def store(section: Section, text: str, sections: Iterable[Section], docs: Path) -> None:
    """Write the text of a section in its place, then the table of all findings."""
    every = list(sections)
    kept = stored_texts(docs) | {section.title: text.strip("\n")}
    own = [x for x in every if x.page == section.page]
    parts = [f"## {x.title}\n\n{_sources(x)}\n\n{kept[x.title]}\n" for x in own if x.title in kept]
    top = f"# {PAGES[section.page]}\n\nOne of the pages of the [results](../results.md)."
    _write(docs / "results" / f"{section.page}.md", "\n".join([top, "", *parts]))
    store_front(every, docs)


def store_front(sections: Iterable[Section], docs: Path) -> None:
    """Write the table of all findings from the texts that are stored."""
    every, texts = list(sections), stored_texts(docs)
    lines = [
        "# Results",
        "",
        "Written by `make results`; every number on these pages is recomputed by it, section by",
        f"section. Seed {SEED}, Python {platform.python_version()}, {os.cpu_count()} cores,"
        " alpha 1e-6.",
        "",
        "A finding is computed from the text of its section. `+` after a commit: the working tree",
        "differed from it.",
        "",
        *findings_table(every, texts),
    ]
    missing = [x.title for x in every if x.title not in texts]
    if missing:
        lines += ["", f"No result is stored of: {'; '.join(missing)}."]
    _write(docs / "results.md", "\n".join([*lines, ""]))


def findings_table(sections: Sequence[Section], texts: Mapping[str, str]) -> list[str]:
    """A row for each section that has a text, those of a page together below its question."""
    rows: list[tuple[str, ...]] = []
    for page, question in PAGES.items():
        own = [x for x in sections if x.page == page and x.title in texts]
        rows += [(f"**[{question}](results/{page}.md)**", "", "")] if own else []
        for section in own:
            place = f"results/{page}.md#{anchor(section.title)}"
            note = NOTE.match(texts[section.title])
            made = f"{note[1]}, {note[2]}" if note else "not recorded"
            rows.append((f"[{section.title}]({place})", _found(section, texts), made))
    return markdown(("section", "finding", "date, commit"), rows)


def without_note(text: str) -> SectionText:
    """What a stored text says, its note apart."""
    lines = text.split("\n")
    return read_text(lines[1:] if NOTE.match(text) else lines)


def anchor(title: str) -> str:
    """The name of a heading in an address."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _found(section: Section, texts: Mapping[str, str]) -> str:
    """The finding; a text that cannot be read costs its own row, not the run of the others."""
    try:
        return section.finding(without_note(texts[section.title])).replace("|", r"\|")
    except (LookupError, ValueError) as error:
        print(f"{section.title}: no finding: {error}", file=sys.stderr)
        return "see there"


def _sources(section: Section) -> str:
    """Links to the code and to the kept data that a section is made from."""
    path = section.module.replace(".", "/")
    code = f"{path}.py" if (ROOT / f"{path}.py").exists() else f"{path}/__init__.py"
    data = [f"[{x}](../../{x})" for x in section.data]
    return f"{MADE_BY}{code}](../../{code})" + (f"; data: {', '.join(data)}." if data else ".")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)  # whole or not at all
