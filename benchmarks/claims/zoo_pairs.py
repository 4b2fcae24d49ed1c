"""All pairs of the zoo against the truth: innocents never dependent, aligned relatives always."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import combinations

from zoo import truth

from benchmarks.lib import outside
from benchmarks.lib.tables import markdown
from weightkin.api.compare import compare
from weightkin.formats import open_model


@dataclass(frozen=True, slots=True)
class Outcome:
    """One pair: what is true, what was said."""

    a: str
    b: str
    related: bool
    verdict: str
    log10_pvalue: float
    ratio: float
    effects: tuple[tuple[str, float, float], ...]  # axis, paid log10 p, ratio
    views: tuple[tuple[str, str, float], ...]  # axis, name of the test, its log10 p
    skipped: tuple[str, ...]


def all_pairs(names: Iterable[str] | None = None, *, workers: int = 1) -> list[Outcome]:
    """Compare every pair of the named models (all of them by default)."""
    entries = truth.load()
    chosen = [name for name in entries if names is None or name in set(names)]
    pairs = list(combinations(chosen, 2))
    if workers == 1:
        return [compare_pair(pair) for pair in pairs]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(compare_pair, pairs, chunksize=16))


def is_right(outcome: Outcome) -> bool:
    """Whether the verdict agrees with the truth."""
    return (outcome.verdict == "dependent") == outcome.related


def lines(outcomes: list[Outcome]) -> list[str]:
    """Counts, the weakest relatives, the strongest others, and every pair that was missed."""
    counts: dict[tuple[bool, str], int] = defaultdict(int)
    for o in outcomes:
        counts[o.related, o.verdict] += 1
    verdicts = ("dependent", "aligned-only", "no-evidence", "not-testable")
    table = markdown(
        ("truth", *verdicts, "pairs"),
        [
            (
                "related" if related else "independent",
                *(counts[related, v] for v in verdicts),
                sum(counts[related, v] for v in verdicts),
            )
            for related in (True, False)
        ],
    )
    table += ["", *outside.PAIRS]
    related = sorted((o for o in outcomes if o.related), key=lambda o: -o.log10_pvalue)
    strangers = sorted((o for o in outcomes if not o.related), key=lambda o: o.log10_pvalue)
    header = ("a", "b", "verdict", "log10 p", "effect ratio")
    table += [
        "",
        "The weakest related pairs:",
        "",
        *markdown(header, [_row(o) for o in related[:8]]),
    ]
    table += ["", "The strongest independent pairs:", ""]
    table += markdown(header, [_row(o) for o in strangers[:8]])
    wrong = [o for o in outcomes if not is_right(o)]
    table += ["", f"Pairs decided wrongly or not reached: {len(wrong)}.", ""]
    if wrong:
        table += markdown((*header, "why"), [(*_row(o), _why(o)) for o in wrong])
    return table


def compare_pair(pair: tuple[str, str]) -> Outcome:
    """Compare two models of the zoo by name."""
    entries = truth.load()
    a, b = (open_model(truth.ROOT / entries[name]["path"]) for name in pair)
    record = compare(a, b, seed=0)
    passing = [axis for axis in record.axes if axis.passes] or list(record.axes)
    best = min(passing, key=lambda axis: axis.log10_pvalue, default=None)
    return Outcome(
        a=pair[0],
        b=pair[1],
        related=truth.share_an_origin(entries[pair[0]], entries[pair[1]]),
        verdict=record.verdict,
        log10_pvalue=record.log10_pvalue,
        ratio=best.effect.ratio if best and best.effect else 0.0,
        effects=tuple(
            (x.axis, x.log10_pvalue, x.effect.ratio if x.effect else 0.0) for x in record.axes
        ),
        views=tuple((t.axis, t.name, t.log10_pvalue) for t in record.tests),
        skipped=tuple(f"{s.what}: {s.sentence}" for s in record.skipped),
    )


def _row(o: Outcome) -> tuple[str, str, str, str, str]:
    return o.a, o.b, o.verdict, f"{o.log10_pvalue:.1f}", f"{o.ratio:.2f}"


def _why(o: Outcome) -> str:
    return "; ".join(o.skipped[:2]) or "the unit order did not survive, or too little is shared"
