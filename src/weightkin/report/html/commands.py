"""The command that makes a record again, to be printed at the end of its report."""

from __future__ import annotations

import shlex
from typing import Any

from weightkin.records import Comparison, ModelRef
from weightkin.records.checking import Check
from weightkin.records.family import FamilyGraph
from weightkin.records.location import Location
from weightkin.records.registry import Search, Trace

Record = Comparison | Location | FamilyGraph | Search | Trace | Check


def command_of(record: Record) -> str:
    """The command that makes such a record."""
    if isinstance(record, Comparison | Location):
        verb = "compare" if isinstance(record, Comparison) else "locate"
        words = ["weightkin", verb, *(_source(ref) for ref in (record.a, record.b))]
        return shlex.join([*words, *_flags(record.parameters), *_options(record)])
    if isinstance(record, FamilyGraph):
        sources = [x for node in record.nodes for x in (node.source, *node.duplicates) if x]
        return shlex.join(["weightkin", "tree", *sources, *_options(record)])
    if isinstance(record, Check):
        files = [("--policy", record.policy), ("--registry", record.registry)]
        given = [x for pair in files if pair[1] for x in pair]
        if not record.policy:
            given += _named_in(record, "--deny", "forbidden_ancestors")
            given += _named_in(record, "--expect-parent", "expected_parents")
        sources = [x.source for x in record.models]
        seed = [] if record.challenge else ["--seed", str(record.seed)]
        return shlex.join(["weightkin", "check", *sources, *given, *seed])
    search, verb = (record.search, "trace") if isinstance(record, Trace) else (record, "search")
    return shlex.join(["weightkin", verb, search.source or search.name, *_options(search)])


def _named_in(record: Check, option: str, key: str) -> list[str]:
    return [x for name in record.parameters.get(key, ()) for x in (option, name)]


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
    level, drawn = ["--alpha", f"{record.alpha:g}"], getattr(record, "challenge", None)
    if drawn is not None and drawn.drawn == "own":
        return [*level, "--challenge", f"own:{drawn.hex}"]
    return [*level, "--seed", str(record.seed)]
