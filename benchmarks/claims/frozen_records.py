"""What is kept of the records of the zoo, part by part, to be compared with later ones.

`FIELDS` say where each kept value stands in a record (its JSON): whoever renames something in
the records changes the right-hand side here, and nothing else. A kept record has two levels: a
field holds one value, or a value for each item (a test, an edge, a relative).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

from tests.test_locate import KNOWN
from zoo import truth

from benchmarks.claims import family, formats
from weightkin import Registry, compare, locate

DIGITS = 10  # decimals kept of a number
JOIN = " | "  # between the two names of a pair
STRANGERS = ("llama-a", "llama-b"), ("gpt-a", "gpt-b"), ("moe-a", "moe-b"), ("vit-a", "vit-b")
Data = dict[str, Any]  # a record as JSON
Kept = dict[str, Any]  # field to value, or to item and value

FIELDS: dict[str, dict[str, Callable[[Data], Any]]] = {
    "comparison": {
        "verdict": lambda r: r["verdict"],
        "basis": lambda r: r["basis"],
        "kind": lambda r: r["kind"],
        "direction": lambda r: r["direction"]["parent"],
        "probability": lambda r: r["direction"]["probability"],
        "log10 p": lambda r: r["log10_pvalue"],
        "axes": lambda r: {x["axis"]: x["log10_pvalue"] for x in r["axes"]},
        "passes": lambda r: {x["axis"]: x["passes"] for x in r["axes"]},
        "tests": lambda r: _items(
            (_words(x, "axis", "name", "view", "block_a", "block_b"), x["log10_pvalue"])
            for x in r["tests"]
        ),
        "parts": lambda r: {x["name"]: x["verdict"] for x in r["parts"]},
        "blocks": lambda r: _blocks(r["layers"]),
        "calibrated p": lambda r: (r.get("calibration") or {}).get("calibrated_pvalue"),
    },
    "family": {
        "components": lambda r: sorted(sorted(x) for x in r["components"]),
        "duplicates": lambda r: {
            x["id"]: sorted(x["duplicates"]) for x in r["nodes"] if x["duplicates"]
        },
        "edges": lambda r: _edges(r, lambda x: x["direction"]),
        "kinds": lambda r: _edges(r, lambda x: x["kind"]),
        "log10 p": lambda r: _edges(r, lambda x: x["log10_pvalue"]),
        "probability": lambda r: _edges(r, lambda x: x["direction_probability"]),
        "weight": lambda r: _edges(r, lambda x: x["weight"]),
        "distance": lambda r: _edges(r, lambda x: x["distance"]),
        "support": lambda r: _edges(r, lambda x: x["support"]),
        "runner-up": lambda r: _edges(r, lambda x: (x.get("runner_up") or {}).get("parent", "")),
    },
    "location": {
        "blocks": lambda r: _blocks(r["layers"]),
        "in order": lambda r: r["is_monotone"],
        "log10 p": lambda r: _items(
            (f"{m['axis']} {x} {y}", p)
            for m in r["matrices"]
            for x, row in zip(m["blocks_a"], m["log10_pvalues"], strict=True)
            for y, p in zip(m["blocks_b"], row, strict=True)
        ),
        "units": lambda r: _items(
            (
                _words(x, "axis", "name_a", "name_b", "block_a", "block_b"),
                [len(x["units_a"]), x["in_order"], x["n_flipped"]],
            )
            for x in r["unit_maps"]
        ),
        "residual": lambda r: _items(
            (_words(x, "stack", "test"), x["log10_pvalue"]) for x in r["residual"]
        ),
        "residual kept": lambda r: _items(
            (_words(x, "stack", "test"), len(x["kept_a"])) for x in r["residual"]
        ),
        "tensors": lambda r: {f"{x['name_a']} {x['name_b']}": x["relation"] for x in r["tensors"]},
    },
    "search": {
        "relatives": lambda r: [x["model"]["name"] for x in r["relatives"]],
        "kinds": lambda r: {x["model"]["name"]: x["summary"]["kind"] for x in r["relatives"]},
        "log10 p": lambda r: {
            x["model"]["name"]: x["summary"]["log10_pvalue"] for x in r["relatives"]
        },
        "parents": lambda r: {x["parent"]: x["kind"] for x in r["parents"]},
        "path": lambda r: [[x["parent"], x["child"], x["direction"]] for x in r["path"]],
        "vectors": lambda r: {
            x["model"]["name"]: [round(x[key], 5) for key in ("cosine", "invariant_cosine")]
            for x in r["relatives"]
        },
    },
}


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the records: their keys, and what is kept of one."""

    all_keys: Callable[[], Sequence[str]]
    take: Callable[[str], Kept]


def kept(schema: str, record: Data) -> Kept:
    """What is kept of a record, by the fields of its schema."""
    found = {name: take(record) for name, take in FIELDS[schema].items()}
    return {name: _rounded(value) for name, value in found.items()}


def pair(key: str) -> Kept:
    """Compare two models of the zoo."""
    return kept("comparison", _json(compare(*map(folder, key.split(JOIN)), seed=0)))


def tree(_: str) -> Kept:
    """Recover the family graph of the whole zoo."""
    graph, names = family.recover()
    return kept("family", _json(family.renamed(graph, names)))


def located(key: str) -> Kept:
    """Locate one model of the zoo in another."""
    return kept("location", _json(locate(*map(folder, key.split(JOIN)))))


def searched(key: str) -> Kept:
    """Trace a model among all others of the zoo."""
    return kept("search", _json(_registry()[1].trace(key))["search"])


def written(key: str) -> Kept:
    """Compare two files of other formats."""
    sources = _formats()[1]
    return kept("comparison", _json(compare(*(sources[x] for x in key.split(JOIN)), seed=0)))


def folder(name: str) -> Path:
    """Where a model of the zoo is."""
    return truth.ROOT / truth.load()[name]["path"]


def _pairs() -> list[str]:
    return [JOIN.join(names) for names in combinations(truth.load(), 2)]


def _located() -> list[str]:
    known = [(a, b) for a, b, _ in KNOWN.values()]
    return [JOIN.join(names) for names in (*known, *STRANGERS)]


def _format_pairs() -> list[str]:
    ours, theirs = [*formats.KEEPS, formats.LORA], list(formats.KEEPS)
    pairs = [*combinations(ours, 2), *((x, "llama-b safetensors") for x in ours)]
    pairs += [("safetensors", f"llama-b {x}") for x in theirs[1:]]
    return [JOIN.join(names) for names in pairs]


@cache
def _registry() -> tuple[tempfile.TemporaryDirectory[str], Registry]:
    """A registry of the whole zoo that keeps its family graph, while this process lives."""
    holder = tempfile.TemporaryDirectory()
    found = Registry(Path(holder.name) / "zoo.sqlite")
    found.add([folder(name) for name in truth.load()])
    found.family()  # a trace would lay out the whole family again and again
    return holder, found


@cache
def _formats() -> tuple[tempfile.TemporaryDirectory[str], dict[str, str]]:
    """Two models in every format, for as long as this process lives."""
    holder = tempfile.TemporaryDirectory()
    sources = formats.written(formats.LLAMA, Path(holder.name) / "a")
    sources[formats.LORA] = f"{formats.LLAMA}+{formats.ADAPTER}"
    theirs = formats.written(formats.STRANGER, Path(holder.name) / "b")
    return holder, sources | {f"llama-b {name}": source for name, source in theirs.items()}


PARTS = {
    "zoo": Part(_pairs, pair),
    "tree": Part(lambda: ["zoo"], tree),
    "locate": Part(_located, located),
    "search": Part(lambda: list(truth.load()), searched),
    "formats": Part(_format_pairs, written),
}


def _json(record: Any) -> Data:
    data: Data = json.loads(record.to_json())
    return data


def _words(x: Data, *names: str) -> str:
    return " ".join(str(x[name]) for name in names)


def _items(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """As a dict; what has the same name twice is counted."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        n = sum(x == name or x.startswith(f"{name} #") for x in found) if name in found else 0
        found[f"{name} #{n + 1}" if n else name] = value
    return found


def _edges(record: Data, value: Callable[[Data], Any]) -> dict[str, Any]:
    return {f"{x['parent']} -> {x['child']}": value(x) for x in record["edges"]}


def _blocks(layers: Sequence[Data]) -> dict[str, str]:
    return _items((f"{x['block_a']} -> {x['block_b']}", x["relation"]) for x in layers)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS) + 0.0
    if isinstance(value, dict):
        return {key: _rounded(x) for key, x in value.items()}
    return [_rounded(x) for x in value] if isinstance(value, list) else value
