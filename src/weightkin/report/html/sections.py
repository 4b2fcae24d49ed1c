"""Sections that every page has: who, what was skipped, how to recompute it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

from weightkin.records import Comparison, ModelRef, Skipped
from weightkin.records.family import FamilyGraph
from weightkin.records.location import Location
from weightkin.records.registry import Search, Trace
from weightkin.report.html.build import Html, h, join
from weightkin.report.html.tables import facts, table
from weightkin.report.html.words import SAMPLED
from weightkin.report.reasons import why
from weightkin.report.terminal import file_size

PVALUE = re.compile(r"p (?:=|&lt;=) [-\d.e]+\d")  # not to be broken into lines
Record = Comparison | Location | FamilyGraph | Search | Trace


def section(name: str, title: str, *children: object) -> Html:
    """A part of a page with its heading, which can be linked to."""
    return h("section", h("h2", title, id=f"{name}-title"), children, id=name,
             aria_labelledby=f"{name}-title")  # fmt: skip


def opening(eyebrow: str, sentence: str, *children: object) -> Html:
    """The head of a page: what it is, the sentence, and what belongs under it."""
    unbroken = PVALUE.sub(r'<span class="whole">\g<0></span>', join(sentence))
    return h("header", h("p", eyebrow, class_="eyebrow"), h("h1", Html(unbroken)), children)


def skipped_section(skipped: Sequence[Skipped], *, incomplete: bool = False) -> Html | None:
    """What was not tested or read, with reasons; nothing where there is nothing to say."""
    if not skipped and not incomplete:
        return None
    rows = [(x.what, why(x)) for x in skipped]
    note = h("p", "Part of the input could not be read: this record is incomplete.")
    listed = table("What was left out, and why", ("What", "Why"), rows) if rows else None
    return section("skipped", "Not tested", note if incomplete else None, listed)


def models_section(refs: Sequence[tuple[str, ModelRef]]) -> Html:
    """Sources, revisions and digests."""
    shown = []
    for name, ref in refs:
        shown.append(h("h3", f"Model {name}"))
        shown.append(facts([
            ("Source", h("code", ref.source)),
            ("Revision", h("code", ref.revision) if ref.revision else None),
            ("Digest", h("span", ref.digest, class_="digest")),
            ("Full digest", h("span", ref.full_digest, class_="digest") if ref.full_digest else ""),
        ]))  # fmt: skip
    return section("models", "The two models", shown, h("p", SAMPLED, class_="note"))


def recompute_section(record: Record, command: str) -> Html:
    """Method, seed and version, the command, and the record itself."""
    values = record.search if isinstance(record, Trace) else record
    method = getattr(values, "method", "")
    can_verify = isinstance(record, Comparison | Location | FamilyGraph)
    shown = [
        h("pre", h("code", command or command_of(record))),
        h("p", "With the record saved as record.json, the following reruns it with its own "
          "parameters and compares digests and numbers:") if can_verify else None,
        h("pre", h("code", "weightkin verify record.json")) if can_verify else None,
        facts([
            ("Method", method),
            ("Level (alpha)", f"{values.alpha:g}"),
            ("Seed", str(values.seed)),
            ("Version", f"weightkin {values.version}"),
            ("Read", file_size(values.bytes_read)),
            ("Time", f"{values.seconds:.2f} s"),
        ]),
        h("button", "Save the record (JSON)", type="button", class_="save screen",
          data_name="record.json"),
    ]  # fmt: skip
    return section("recompute", "Recompute it", shown)


def command_of(record: Record) -> str:
    """The command that makes such a record."""
    if isinstance(record, Comparison | Location):
        verb = "compare" if isinstance(record, Comparison) else "locate"
        words = ["weightkin", verb, *(_source(ref) for ref in (record.a, record.b))]
        return shlex.join([*words, *_flags(record.parameters), *_options(record)])
    if isinstance(record, FamilyGraph):
        sources = [x for node in record.nodes for x in (node.source, *node.duplicates) if x]
        return shlex.join(["weightkin", "tree", *sources, *_options(record)])
    search, verb = (record.search, "trace") if isinstance(record, Trace) else (record, "search")
    return shlex.join(["weightkin", verb, search.source or search.name, *_options(search)])


def _source(ref: ModelRef) -> str:
    return f"{ref.source}@{ref.revision}" if ref.revision and "@" not in ref.source else ref.source


def _flags(parameters: dict[str, Any]) -> list[str]:
    flags = ["--full-digest"] if parameters.get("with_full_digest") else []
    effort = parameters.get("effort", "standard")
    flags += ["--effort", effort] if effort != "standard" else []
    for name in ("published", "controls"):
        flags += [f"--{name}", str(parameters[name])] if parameters.get(name) else []
    return flags + [
        x for source in parameters.get("relatives", ()) for x in ("--with", str(source))
    ]


def _options(record: Any) -> list[str]:
    return ["--alpha", f"{record.alpha:g}", "--seed", str(record.seed)]
