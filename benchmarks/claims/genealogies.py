"""The family graph on random families that nobody tuned on: right, open, wrong, and how sure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from zoo.genealogies.draw import draw

from benchmarks.generate.genealogy_answers import answer_all, answers_of, families, keep, library
from benchmarks.lib.genealogy_scores import Edge, Scored, Stated, score
from benchmarks.lib.tables import markdown
from weightkin.lineage.candidates import KEPT_PARENT
from weightkin.records.kinds import KINDS, MAPS_FROM, MERGED_FROM

LABELS = ("0.1.0", "mother", "now")
BINS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
CUTS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99)
SUPPORTS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.96, 1.0)
WANTED = 0.95  # share of determined edges that are right
IN_USE = {"trained": None, "maps and LoRA": MAPS_FROM, "merged": MERGED_FROM}
LEAST = 20  # edges of a row of its own, and that a cut rests on
OUTCOMES = ("right", "open", "wrong")


@dataclass(frozen=True, slots=True)
class Cut:
    """From which probability of direction and which support on edges are determined."""

    direction: float
    support: float
    n: int
    n_right: int

    @property
    def share(self) -> float:
        """Share of determined edges that are right."""
        return self.n_right / max(1, self.n)


def run() -> list[str]:
    """Lay out what is at hand with the code of today, then all tables from what is kept."""
    halves = [half for half in ("calibration", "test") if next(families(half), None)]
    for half in halves:
        answer_all(half, "now")
    if halves:
        keep()
    return lines()


def lines() -> list[str]:
    """All tables, from the answers that are kept."""
    found = {label: scores(label, "test") for label in LABELS}
    found = {label: scored for label, scored in found.items() if scored}
    now = found.get("now", [])
    if not now:
        return ["No family has been laid out: `make genealogies HALF=test` grows them."]
    n_members = sum(len(draw(seed)["members"]) for seed in seeds_of("test"))
    codes = {answer["code"] for answer in answers_of("now", "test")}
    text = [
        f"{len(now)} random families of the test half (`zoo/genealogies/mix.toml`), {n_members} "
        f"members made, a fifth of those with children then left out; answers of the library "
        f"{', '.join(sorted(codes))}{' (today)' if codes == {library()} else ''}.",
        "A true edge is *right* (stated with its direction), *open* (not stated, or without a "
        "direction) or *wrong* (another parent is stated, or the reverse); parents that are left "
        "out are passed over to the nearest member above; copies count as one.",
        "",
        *markdown(
            (
                *("method", *OUTCOMES, "roots given a parent"),
                *("determined edges that are right", "all drawn edges that are right"),
            ),
            [_summary(label, scored) for label, scored in found.items()],
        ),
    ]
    groups: list[tuple[str, Callable[[Edge], str]]] = [
        ("made by", lambda e: e.kind),
        ("generation", lambda e: str(e.depth)),
        ("sibling on its batches", lambda e: "yes" if e.drift else "no"),
        ("the parent itself", lambda e: "present" if e.complete else "left out"),
        ("architecture", lambda e: e.net),
    ]
    for title, by in groups:
        text += ["", *_grouped(title, by, found)]
    text += ["", "What wrong parents are to the child:", "", *_said(found)]
    text += ["", "Stated probability against the share of right parents, unclaimed edges too:"]
    text += ["", *_reliability(found), "", *cut_lines()]
    return text


def seeds_of(half: str) -> list[int]:
    """Seeds of the families that were laid out."""
    return [answer["seed"] for answer in answers_of("now", half)]


def scores(label: str, half: str) -> list[Scored]:
    """Scores of every family of a half that has an answer under a label."""
    return [
        score(draw(answer["seed"]), answer, claims_all=label == "mother")
        for answer in answers_of(label, half)
    ]


def best_cut(stated: Sequence[Stated], wanted: float = WANTED) -> Cut | None:
    """The cut that determines most edges, and no few, of which enough are right; None without."""
    cuts = [judged(stated, direction, support) for direction, support in product(CUTS, SUPPORTS)]
    good = [cut for cut in cuts if cut.n >= LEAST and cut.share >= wanted]
    return max(good, key=lambda cut: (cut.n, cut.direction, cut.support), default=None)


def judged(stated: Sequence[Stated], direction: float, support: float) -> Cut:
    """How many edges a cut determines, and how many of them are right."""
    kept = [x for x in stated if x.probability >= direction and x.support >= support]
    return Cut(direction, support, len(kept), sum(x.right for x in kept))


def cut_lines() -> list[str]:
    """The cut of today on both halves, and the ones that the calibration half asks for."""
    halves = {
        half: [x for scored in scores("now", half) for x in scored.stated]
        for half in ("calibration", "test")
    }
    rows = []
    asked = best_cut(halves["calibration"])
    rows.append(_cut_row("one for all", asked and (asked.direction, asked.support), halves))
    for name, used in IN_USE.items():
        own = {half: [x for x in stated if _group(x) == name] for half, stated in halves.items()}
        asked = best_cut(own["calibration"])
        rows.append(_cut_row(f"best for {name}", asked and (asked.direction, asked.support), own))
        rows.append(_cut_row(f"in use for {name}", used and (used, KEPT_PARENT), own))
    in_use = {half: [x for x in stated if x.determined] for half, stated in halves.items()}
    rows.append(_cut_row("in use, together", (0.0, 0.0), in_use))
    n = len(answers_of("now", "calibration"))
    said = f"Cuts of which {WANTED:.0%} of the determined edges of the calibration half are right "
    said += f"({n} families), judged on the test half; trained: every kind that is not one of "
    said += f"{', '.join(kind for kind in KINDS if KINDS[kind].determined_from)}."
    header = ("cut", "direction from", "support from", *(f"right, {half} half" for half in halves))
    return [said, "", *markdown(header, rows)]


def _group(edge: Stated) -> str:
    if edge.kind not in KINDS or not KINDS[edge.kind].determined_from:
        return "trained"
    return "merged" if edge.kind == "merged" else "maps and LoRA"


def _cut_row(
    name: str, cut: tuple[float, float] | None, halves: dict[str, list[Stated]]
) -> tuple[str, ...]:
    if cut is None:
        return name, "none", "", *("" for _ in halves)
    told = [judged(stated, *cut) for stated in halves.values()]
    cells = (f"{x.n_right} of {x.n} ({x.share:.0%})" for x in told)
    return name, f"{cut[0]:g}", f"{cut[1]:g}", *cells


def _summary(label: str, scored: Sequence[Scored]) -> tuple[str, ...]:
    counts = Counter(edge.outcome for x in scored for edge in x.edges)
    claimed = [s for x in scored for s in x.stated if s.determined or label == "mother"]
    drawn = [s for x in scored for s in x.stated]
    n_right, n_roots = sum(s.right for s in claimed), sum(x.n_roots for x in scored)
    return (
        label,
        *(str(counts[outcome]) for outcome in OUTCOMES),
        f"{sum(x.n_roots_wrong for x in scored)} of {n_roots}",
        _share(n_right, len(claimed)),
        _share(sum(s.right for s in drawn), len(drawn)),
    )


def _share(n_right: int, n: int) -> str:
    return f"{n_right} of {n} ({n_right / max(1, n):.0%})"


def _grouped(title: str, by: Callable[[Edge], str], found: dict[str, list[Scored]]) -> list[str]:
    """Right, open and wrong of every method, row by row; small rows together."""
    counts: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for label, scored in found.items():
        for edge in (e for x in scored for e in x.edges):
            counts[by(edge)][label][edge.outcome] += 1
    sizes = {key: max(c.total() for c in own.values()) for key, own in counts.items()}
    large = [key for key in counts if sizes[key] >= LEAST]
    rows = [
        _row(key, [counts[key]], found)
        for key in sorted(large, key=lambda k: (k if k.isdigit() else "", -sizes[k]))
    ]
    if small := [counts[key] for key in counts if sizes[key] < LEAST]:
        rows.append(_row("any other", small, found))
    header = [title, *(f"{label}: right, open, wrong" for label in found)]
    return markdown(header, rows)


def _row(
    key: str, counts: Iterable[dict[str, Counter[str]]], found: dict[str, list[Scored]]
) -> tuple[str, ...]:
    cells = []
    for label in found:
        total: Counter[str] = sum((own[label] for own in counts), Counter())
        cells.append(" / ".join(str(total[outcome]) for outcome in OUTCOMES))
    return key, *cells


def _said(found: dict[str, list[Scored]]) -> list[str]:
    counts = {
        label: Counter(e.said for x in scored for e in x.edges if e.outcome == "wrong")
        for label, scored in found.items()
    }
    kinds = sorted({kind for own in counts.values() for kind in own})
    return markdown(
        ("stated parent", *found), [(k, *(str(own[k]) for own in counts.values())) for k in kinds]
    )


def _reliability(found: dict[str, list[Scored]]) -> list[str]:
    rows = []
    labels = [label for label in found if label != "mother"]  # it states no probability
    for low, high in zip(BINS, (*BINS[1:], 1.01), strict=True):
        cells = []
        for label in labels:
            inside = [s for x in found[label] for s in x.stated if low <= s.probability < high]
            n_right = sum(s.right for s in inside)
            share = f" ({n_right / len(inside):.0%})" if inside else ""
            cells.append(f"{n_right} of {len(inside)}{share}")
        rows.append((f"{low:g} to {min(1.0, high):g}", *cells))
    return markdown(("stated", *(f"{label}: right" for label in labels)), rows)


if __name__ == "__main__":
    print("\n".join(lines()))
