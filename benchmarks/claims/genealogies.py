"""The family graph on random families that nobody tuned on: right, claimed, wrong, and how sure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from functools import partial
from statistics import mean, median

from zoo.genealogies.draw import draw

from benchmarks.generate.genealogy_answers import answer_all, answers_of, families, keep, library
from benchmarks.lib.calibration import (
    brier_score,
    calibration_error,
    chance_error,
    share_interval,
)
from benchmarks.lib.genealogy_nodes import Stratum
from benchmarks.lib.genealogy_scores import CLAIMED_FROM, Edge, ParentSet, Scored, Stated, score
from benchmarks.lib.tables import markdown

SPANNING = "spanning tree"
ONE_RECIPE = "third-test"  # families in which one recipe makes nearly everything
TESTS = ("test", ONE_RECIPE)
LABELS = ("now", "0.1.0", "mother", SPANNING)
SURE = ("mother", SPANNING)  # state no probabilities
BINS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
LEAST = 20  # edges of a row of its own
NEARLY_SURE = 0.9  # from here on an edge the wrong way round is counted as reversed
OUTCOMES = ("right", "open", "wrong")
BY: dict[str, Callable[[Stratum], str]] = {
    "made by": lambda s: s.kind,
    "generation": lambda s: str(s.depth),
    "sibling on its batches": lambda s: "yes" if s.drift else "no",
    "its own parents": lambda s: "present" if s.complete else "left out",
    "members left out": lambda s: str(s.n_hidden),
    "architecture": lambda s: s.net,
}
Scores = Mapping[str, Sequence[Scored]]  # of a label


def run() -> list[str]:
    """Lay out what is at hand with the code of today, then all tables from what is kept."""
    halves = [half for half in ("calibration", *TESTS) if next(families(half), None)]
    for half in halves:
        answer_all(half, "now")
        if half in TESTS:
            answer_all(half, SPANNING, "spanning")
    if halves:
        keep()
    return lines()


def lines() -> list[str]:
    """All tables, from the answers that are kept."""
    found = {label: scored for label in LABELS if (scored := scores(label, "test"))}
    if "now" not in found:
        return ["No family has been laid out: `make genealogies HALF=test` grows them."]
    base_rate = _right([x for scored in scores("now", "calibration") for x in scored.stated])
    text = [*_said_first(), "", *_summary(found), *_one_recipe()]
    for title in BY:
        text += ["", *_claimed(title, found)]
    text += ["", "What wrong parents are to the child:", "", *_relations(found)]
    text += ["", *_calibration(found["now"], base_rate), "", *_reliability(found)]
    return [*text, "", *_coverage(found["now"])]


def scores(label: str, half: str) -> list[Scored]:
    """Scores of every family of a half that has an answer under a label."""
    return [
        score(draw(answer["seed"]), answer, claims_all=label == "mother")
        for answer in answers_of(label, half)
    ]


def _said_first() -> list[str]:
    answers = answers_of("now", "test")
    n_members = sum(len(draw(answer["seed"])["members"]) for answer in answers)
    codes = {answer["code"] for answer in answers}
    return [
        f"{len(answers)} random families of the test half (`zoo/genealogies/mix.toml`), {n_members}"
        f" members made, a fifth of those with children then left out; answers of the library "
        f"{', '.join(sorted(codes))}{' (today)' if codes == {library()} else ''}.",
        "A true edge is *right* (claimed with its direction), *open* (nothing is claimed for the "
        "child) or *wrong* (another parent is claimed, or the reverse); parents that are left out "
        "are passed over to the nearest member above; copies count as one, and stand for what they "
        "equal where that is left out. An edge is claimed from a parent probability of "
        f"{CLAIMED_FROM} on (0.1.0: where its direction is determined); "
        "every parent of a merge is an edge. `mother` is told the families, and the spanning tree "
        "(of distances between equally named tensors) the families, the names and their roots; "
        "both claim every edge they draw.",
    ]


def _one_recipe() -> list[str]:
    found = {label: scored for label in LABELS if (scored := scores(label, ONE_RECIPE))}
    n = len(found.get("now", ()))
    if not n:
        return []
    said = (
        f"{n} families in which one recipe made nearly everything (`zoo/genealogies/third.toml`):"
    )
    return ["", said, "", *_summary(found)]


def _summary(found: Scores) -> list[str]:
    header = (
        *("method", "claimed edges that are right", "true edges claimed", *OUTCOMES),
        *("roots given a parent", "all drawn edges that are right"),
        *("reversed, direction from 0.9", "reversed, parent from 0.9"),
    )
    return markdown(header, [_summary_row(label, scored) for label, scored in found.items()])


def _summary_row(label: str, scored: Sequence[Scored]) -> tuple[str, ...]:
    edges = [edge for x in scored for edge in x.edges]
    stated = [s for x in scored for s in x.stated if s.observed]
    counts: Counter[str] = Counter(edge.outcome for edge in edges)
    n_roots = sum(x.n_roots for x in scored)
    reversed_ = ("", "") if label in SURE else (_reversed(stated, by) for by in (_way, _parent))
    return (
        label,
        _share(sum(s.right for s in stated if s.claimed), sum(s.claimed for s in stated)),
        _share(len(edges) - counts["open"], len(edges)),
        *(str(counts[outcome]) for outcome in OUTCOMES),
        f"{sum(x.n_roots_wrong for x in scored)} of {n_roots}",
        _share(sum(s.right for s in stated), len(stated)),
        *reversed_,
    )


def _way(edge: Stated) -> float:
    return edge.direction


def _parent(edge: Stated) -> float:
    return edge.probability


def _reversed(stated: Sequence[Stated], by: Callable[[Stated], float]) -> str:
    sure = [s for s in stated if by(s) > NEARLY_SURE]
    return _share(sum(s.reversed_ for s in sure), len(sure))


def _share(n_good: int, n: int) -> str:
    return f"{n_good} of {n} ({n_good / n:.1%})" if n else "none"


def _claimed(title: str, found: Scores) -> list[str]:
    """For every stratum and method: right of the claimed edges, and claimed of the true ones."""
    edges = {label: [e for x in scored for e in x.edges] for label, scored in found.items()}
    stated = {label: [s for x in scored for s in x.stated] for label, scored in found.items()}
    rows = []
    bases = [s.stratum for own in stated.values() for s in own if s.stratum.depth == 0]
    for name, inside in strata(title, [*(e.stratum for e in edges["now"]), *bases]):
        cells = []
        for label in found:
            own: list[Edge] = [e for e in edges[label] if inside(e.stratum)]
            said = [s for s in stated[label] if s.claimed and s.observed and inside(s.stratum)]
            n_claimed = sum(e.outcome != "open" for e in own)
            cells += [_share(sum(s.right for s in said), len(said)), _share(n_claimed, len(own))]
        rows.append((name, *cells))
    columns = [f"{label}: {what}" for label in found for what in ("right of claimed", "claimed")]
    return markdown((title, *columns), rows)


def strata(
    title: str, strata: Sequence[Stratum]
) -> Iterator[tuple[str, Callable[[Stratum], bool]]]:
    """Names of strata, the small ones together, and what belongs to each."""
    key = BY[title]
    sizes = Counter(key(s) for s in strata)
    large = [name for name, n in sizes.items() if n >= LEAST]
    for name in sorted(large, key=lambda k: (int(k) if k.isdigit() else 0, -sizes[k], k)):
        yield name, partial(_is_in, key, {name})
    if small := sizes.keys() - set(large):
        yield "any other", partial(_is_in, key, small)


def _is_in(key: Callable[[Stratum], str], names: Set[str], stratum: Stratum) -> bool:
    return key(stratum) in names


def _relations(found: Scores) -> list[str]:
    counts = {
        label: Counter(e.said for x in scored for e in x.edges if e.outcome == "wrong")
        for label, scored in found.items()
    }
    kinds = sorted({kind for own in counts.values() for kind in own})
    rows = [(kind, *(str(own[kind]) for own in counts.values())) for kind in kinds]
    return markdown(("claimed parent", *found), rows)


def _right(stated: Sequence[Stated]) -> float:
    return sum(s.right for s in stated) / max(1, len(stated))


def _calibration(scored: Sequence[Scored], base_rate: float) -> list[str]:
    """How far stated probabilities are off, in all and in every stratum."""
    stated = [s for x in scored for s in x.stated]
    ways = [s for s in stated if s.is_line and s.observed]
    rows = [_calibrated("all", stated, base_rate)]
    for title in BY:
        for name, inside in strata(title, [s.stratum for s in stated]):
            own = [s for s in stated if inside(s.stratum)]
            rows.append(_calibrated(f"{title}: {name}", own, base_rate))
    error = calibration_error([s.direction for s in ways], [not s.reversed_ for s in ways])
    header = (
        *("stated edges", "number", "mean stated", "right", "calibration error"),
        *("by chance alone", "of the base rate", "Brier score", "of the base rate"),
    )
    return [
        "How far the stated `parent_probability` is from what is right, edges that are not claimed "
        "and unobserved parents included: expected calibration error over ten bins, beside what it "
        "would be of edges that came true exactly as often as stated, by chance alone, and of a "
        f"predictor that states {base_rate:.3f} for every edge, the share that is right in the "
        "calibration half. Expected calibration error of `direction_probability`, on edges of "
        f"which one end is above the other: {error:.3f} ({len(ways)} edges).",
        "",
        *markdown(header, rows),
    ]


def _calibrated(name: str, stated: Sequence[Stated], base_rate: float) -> tuple[str, ...]:
    p, right = [s.probability for s in stated], [s.right for s in stated]
    same = [base_rate] * len(p)
    figures = [
        *(mean(p), _right(stated), calibration_error(p, right), chance_error(p)),
        calibration_error(same, right),
        *(brier_score(p, right), brier_score(same, right)),
    ]
    return name, str(len(p)), *(f"{x:.3f}" for x in figures)


def _reliability(found: Scores) -> list[str]:
    """Stated probabilities of parents, and of directions, against what is right."""
    stated = {
        label: [s for x in scored for s in x.stated]
        for label, scored in found.items()
        if label not in SURE
    }
    ways = [s for s in stated["now"] if s.is_line and s.observed]
    rows = []
    for low, high in zip(BINS, (*BINS[1:], 1.01), strict=True):
        cells = []
        for own in stated.values():
            inside = [s for s in own if low <= s.probability < high]
            cells.append(_share(sum(s.right for s in inside), len(inside)))
        inside = [s for s in ways if low <= s.direction < high]
        cells.append(_share(sum(not s.reversed_ for s in inside), len(inside)))
        rows.append((f"{low:g} to {min(1.0, high):g}", *cells))
    columns = [f"{label}: right parent" for label in stated]
    header = ("stated", *columns, "now: right direction")
    said = "Stated probability against what is right (0.1.0 states one of the direction alone):"
    return [said, "", *markdown(header, rows)]


def _coverage(scored: Sequence[Scored]) -> list[str]:
    """How often the sets of possible parents hold the truth, and how large they are."""
    if not any(x.sets for x in scored):
        return ["No sets of possible parents have been stated."]
    found = [s.stratum for x in scored for s in x.sets]
    rows = [_covered("all", [x.sets for x in scored])]
    for title in BY:
        for name, inside in strata(title, found):
            own = [[s for s in x.sets if inside(s.stratum)] for x in scored]
            rows.append(_covered(f"{title}: {name}", own))
    header = ("members", "covered", "95 % interval over families", "median size", "mean size")
    return [
        "How often `parents` holds a true parent, or says rightly that none is here: `unobserved` "
        "where a member was made from others that are left out and the family has several tops, "
        "`root` of bases and decoys, either of the only top of a family and of two bases from one "
        "start. A member that is drawn on top of a family without an edge states `root`.",
        "",
        *markdown((*header, "with unobserved", "with root"), rows),
    ]


def _covered(name: str, families_: Sequence[Sequence[ParentSet]]) -> tuple[str, ...]:
    every = [s for sets in families_ for s in sets]
    low, high = share_interval(
        [sum(s.covered for s in sets) for sets in families_], [len(sets) for sets in families_]
    )
    return (
        name,
        _share(sum(s.covered for s in every), len(every)),
        f"{low:.1%} to {high:.1%}",
        f"{median(s.size for s in every):g}",
        f"{mean(s.size for s in every):.2f}",
        *(f"{mean(x):.1%}" for x in ([s.unobserved for s in every], [s.root for s in every])),
    )


if __name__ == "__main__":
    print("\n".join(lines()))
