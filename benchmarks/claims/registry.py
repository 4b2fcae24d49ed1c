"""The registry: what its vectors propose, and whether it finds true relatives and parents.

`python -m benchmarks.claims.registry` prints it for the zoo; `benchmarks.claims.registry_many`
holds the rest.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from zoo import truth

from benchmarks.claims import registry_many
from benchmarks.lib.tables import markdown
from weightkin import Registry
from weightkin.records.registry import Search
from weightkin.registry.prepared import Prepared, prepare

K = 50
DISGUISED = ("permuted", "rotated", "rescaled", "sign-flipped")
Row = tuple[str, ...]


def run() -> list[str]:
    """All parts as lines of Markdown."""
    return [*zoo(), "", *registry_many.run()]


def zoo(names: Sequence[str] = ()) -> list[str]:
    """What the vectors propose; every model (or those named) left out in turn."""
    known = {name: prepare(truth.ROOT / e["path"]) for name, e in truth.load().items()}
    found = left_out(names or list(known))
    return [
        *proposals(known),
        "",
        *disguised(known, found),
        "",
        *relatives(found),
        "",
        *parents(known, found),
    ]


def proposals(known: Mapping[str, Prepared]) -> list[str]:
    """Share of true relatives among the first 50 and the first R, by kind, for both vectors."""
    entries = truth.load()
    scores: dict[str, list[list[float]]] = defaultdict(list)
    for name, entry in entries.items():
        kin = {x for x in entries if x != name and truth.related(name, x)}
        if kin:
            scores[entry["kind"]].append(
                [s for part in ("aligned", "invariant") for s in _found(name, kin, known, part)]
            )
    rows = [
        (kind, str(len(x)), *(f"{v:.2f}" for v in np.mean(x, axis=0)))
        for kind, x in sorted(scores.items())
    ]
    head = ("kind", "models", "aligned @50", "aligned @R", "invariant @50", "invariant @R")
    said = "Share of a model's true relatives among the first 50 of the zoo, and among the first R,"
    return [f"{said} where R is their number.", "", *markdown(head, rows)]


def _found(
    name: str, kin: set[str], known: Mapping[str, Prepared], part: str
) -> tuple[float, float]:
    query = getattr(known[name], part)
    cosine = {x: float(query @ getattr(p, part)) for x, p in known.items() if x != name}
    order = sorted(cosine, key=lambda x: -cosine[x])
    return tuple(len(kin & set(order[:k])) / len(kin) for k in (K, len(kin)))  # type: ignore[return-value]


def left_out(names: Sequence[str]) -> dict[str, Search]:
    """Search for every model in turn, which is then no candidate itself."""
    with tempfile.TemporaryDirectory() as folder:
        registry = Registry(Path(folder) / "zoo.sqlite")
        registry.add([truth.ROOT / e["path"] for e in truth.load().values()])
        return {name: registry.search(name) for name in names}


def disguised(known: Mapping[str, Prepared], found: Mapping[str, Search]) -> list[str]:
    """Copies whose units were moved: what each vector shows of them, and whether they are found."""
    entries = truth.load()
    rows = []
    for name, record in found.items():
        kin = [x for x in known if x != name and truth.related(name, x)]
        if entries[name]["kind"] not in DISGUISED or not kin:
            continue
        strangers = [x for x in known if not truth.related(name, x)]
        cells = []
        for part in ("aligned", "invariant"):
            query = getattr(known[name], part)
            cosine = {x: float(query @ getattr(known[x], part)) for x in (*kin, *strangers)}
            n_before = sum(cosine[x] >= max(cosine[y] for y in kin) for x in strangers)
            cells += [f"{max(cosine[x] for x in kin):.2f}", str(n_before)]
        first = record.relatives[0].model.name if record.relatives else "nobody"
        rows.append((name, entries[name]["kind"], *cells, first))
    before = "unrelated before"
    head = ("copy", "kind", "aligned", before, "invariant", before, "found")
    said = (
        "Disguised copies: cosine to the nearest true relative by either vector, how many unrelated"
    )
    return [f"{said} models come before it, and the relative that a search names first.", "",
            *markdown(head, rows)]  # fmt: skip


def relatives(found: Mapping[str, Search]) -> list[str]:
    """Whether true relatives come first and nobody else is called one, by kind of derivation."""
    entries = truth.load()
    by_kind: dict[str, list[tuple[int, int, int, int]]] = defaultdict(list)
    missed: list[Row] = []
    for name, record in found.items():
        kin = {x for x in entries if x != name and truth.related(name, x)}
        if not kin:
            n_false = len(record.relatives)
            by_kind["without relatives"].append((n_false == 0, 0, 0, n_false))
            continue
        order = [x.model.name for x in (*record.relatives, *record.others)]
        said = [x.model.name for x in record.relatives]
        first = bool(said) and said[0] in kin
        n_true = len(set(said) & kin)
        n_asked = len(set(order) & kin)
        by_kind[entries[name]["kind"]].append((first, n_true, n_asked, len(said) - n_true))
        missed += [
            (name, x.model.name, x.sentence) for x in record.others if x.model.name in kin
        ] + [(name, x, "called a relative, is none") for x in said if x not in kin]
    rows = [
        (kind, str(len(x)), str(sum(r[0] for r in x)), f"{sum(r[1] for r in x)} of "
         f"{sum(r[2] for r in x)}", str(sum(r[3] for r in x)))
        for kind, x in sorted(by_kind.items())
    ]  # fmt: skip
    head = (
        "kind",
        "models",
        "a true relative first",
        "compared relatives found",
        "unrelated models called so",
    )
    said = (
        f"{len(found)} models of the zoo left out in turn; the 32 nearest by vector are compared."
    )
    lines = [said, "", *markdown(head, rows), ""]
    if not missed:
        return [*lines, "No relative that was compared was missed."]
    return [*lines, "Missed:", "", *markdown(("left out", "other", "why"), missed)]


def parents(known: Mapping[str, Prepared], found: Mapping[str, Search]) -> list[str]:
    """Whether the inferred parents are the true ones; every miss with what was said instead."""
    entries = truth.load()
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    missed: list[Row] = []
    for name, record in found.items():
        true = {p["name"] for p in entries[name]["parents"]}
        said = {s.parent: s for s in record.parents}
        sure = {x for x, s in said.items() if s.direction == "determined"}
        same = {known[x].contents if x in known else x for x in sure}
        is_right = same == {known[x].contents for x in true}
        is_open = not is_right and not sure
        count = counts[entries[name]["kind"]]
        for k, is_so in enumerate((True, is_right, is_open, not is_right and not is_open)):
            count[k] += is_so
        if not is_right:
            missed.append(
                (name, ", ".join(sorted(true)) or "-", _instead(name, said), _why(record))
            )
    rows = [(kind, *map(str, x)) for kind, x in sorted(counts.items())]
    rows.append(("all", *(str(sum(x[k] for x in counts.values())) for k in range(4))))
    head = ("kind", "models", "true parents", "no direction claimed", "others")
    lines = ["Parents claimed with a direction.", "", *markdown(head, rows)]
    if missed:
        lines += ["", "Every other answer:", ""]
        lines += markdown(("left out", "true", "said", "why"), missed)
    return lines


def _instead(name: str, said: Mapping[str, object]) -> str:
    entries = truth.load()
    parts = [
        f"{x} ({truth.relation(x, name) if x in entries else 'unobserved'})" for x in sorted(said)
    ]
    return ", ".join(parts) or "no parent"


def _why(record: Search) -> str:
    """The first sentence that the answer rests on, or what stood in the way."""
    if record.parents:
        step = record.parents[0]
        sure = (
            f"{step.kind}, direction {step.direction_probability:.2f}, support {step.support:.2f}"
        )
        return "; ".join((sure, *(x.sentence for x in step.evidence[:1])))
    children = [s.child for s in record.children]
    if children:
        return f"laid out as the parent of {', '.join(children[:3])}"
    return record.skipped[0].sentence if record.skipped else "no relative that can be laid out"


if __name__ == "__main__":
    print("\n".join(zoo()))
