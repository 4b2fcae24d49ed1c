"""Claim: no order of channels or units makes an unrelated model pass for a relative.

    python -m benchmarks.claims.framing_orders      models of the zoo and of the random families

Channels of a residual net can be put in any order (one for the stream, one inside each block), each
may have any positive factor, and each kernel either sign before its batch norm: that leaves the
outputs alone. One
trained net of each family is lined up with those of other families by assignment, in turns, over
all kernels or aimed at some. Beside them stand all relatives inside the families. Units of all
other models are put in the order in which they match those of an unrelated one through tokens, and
units of text models are split so that a piece shows tokens what a unit of the other model does.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import combinations

from zoo import truth

from benchmarks.claims.hiding import STRANGERS
from benchmarks.generate.genealogy_answers import families
from benchmarks.lib.framed_orders import AIMS, lined_up
from benchmarks.lib.framed_splits import split_to_match
from benchmarks.lib.framed_units import reordered_units
from benchmarks.lib.tables import markdown
from weightkin.api.compare import compare
from weightkin.formats import Model, model_from_arrays, open_model

STARTS = 3
MOST_PAIRS = 15  # of one shape
RELATED, AS_IT_IS = "relatives", "unrelated, as they are"
UNITS = "units, as tokens show them"
SPLIT = "units split, a piece fitted to the other model"
OF_TEXT = ("llama", "gpt")  # whose units are split
Job = tuple[str, Model, Model]


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of one pair."""

    made: str
    verdict: str
    basis: str
    margin: float | None
    log10_pvalue: float


def run(half: str = "test", *, workers: int = 1) -> list[str]:
    """The table, for families that are at hand."""
    jobs = list(_jobs(half))
    if not jobs:
        return [f"No family is at hand: `make genealogies HALF={half}` grows them."]
    if workers == 1:
        said = list(map(_compared, jobs))
    else:
        with ProcessPoolExecutor(workers) as pool:
            said = list(pool.map(_compared, jobs, chunksize=4))
    rows = [
        _row(made, [x for x in said if x.made == made])
        for made in (AS_IT_IS, *AIMS, UNITS, SPLIT, RELATED)
    ]
    header = ("made", "pairs", "dependent", "aligned-only", "least log10 p",
              "over arrangement, least", "most")  # fmt: skip
    return markdown(header, rows)


def _row(made: str, said: Sequence[Said]) -> tuple[str, ...]:
    margins = [x.margin for x in said if x.margin is not None]
    counts = [sum(x.verdict == v for x in said) for v in ("dependent", "aligned-only")]
    least = min((x.log10_pvalue for x in said), default=0.0)
    ends = [f"{f(margins):.2f}" if margins else "-" for f in (min, max)]
    return made, str(len(said)), *map(str, counts), f"{least:.1f}", *ends


def _jobs(half: str) -> Iterator[Job]:
    first: dict[object, list[Model]] = defaultdict(list)
    others: dict[object, list[Model]] = defaultdict(list)
    for family in families(half):
        if family.truth["net"] != "resnet":
            (name, member), *_ = family.members.items()
            model = model_from_arrays(member.tensors, name=name, config=member.config)
            others[_shape(model)].append(model)
            continue
        models = [
            model_from_arrays(x.tensors, name=f"{family.truth['seed']} {name}", config=x.config)
            for name, x in family.members.items()
        ]
        decoys = {name for name, x in family.truth["members"].items() if x["decoy"]}
        kin = [x for x in models if x.name.split()[1] not in decoys]
        for a, b in combinations(kin, 2):
            if _shape(a) == _shape(b):
                yield RELATED, a, b
        first[_shape(models[0])].append(models[0])
    for base, strangers in STRANGERS.items():
        for name in strangers:
            pair = [open_model(truth.ROOT / truth.load()[x]["path"]) for x in (base, name)]
            yield UNITS, pair[0], pair[1]
            if name.startswith(OF_TEXT):
                yield SPLIT, pair[0], pair[1]
    for nets in others.values():
        for a, b in list(combinations(nets, 2))[:MOST_PAIRS]:
            yield UNITS, a, b
    for nets in first.values():
        for a, b in list(combinations(nets, 2))[:MOST_PAIRS]:
            for made in (AS_IT_IS, *AIMS):
                yield made, a, b


def _shape(model: Model) -> object:
    return tuple(sorted((name, x.shape) for name, x in model.tensors.items()))


def _compared(job: Job) -> Said:
    """Of a framed pair the start that comes nearest to being called dependent."""
    made, a, b = job
    models = [b]
    if made in AIMS:
        models = [lined_up(a, b, AIMS[made], seed) for seed in range(STARTS)]
    elif made == UNITS:
        models = list(reordered_units(a, b)) or [b]
    elif made == SPLIT:
        models = [split_to_match(a, b, seed) for seed in range(STARTS)]
    said = [_said(made, a, x) for x in models]
    return max(said, key=lambda x: (x.verdict == "dependent", x.margin or 0.0))


def _said(made: str, a: Model, b: Model) -> Said:
    record = compare(a, b, seed=0)
    if made in (UNITS, SPLIT):  # on weights these are hardly alike
        found = [x.log10_pvalue for x in record.axes if x.axis in ("token units", "token signs")]
        return Said(made, record.verdict, record.basis, None, min(found, default=0.0))
    margin = max((x.over_arrangement for x in record.axes if x.over_arrangement), default=None)
    return Said(made, record.verdict, record.basis, margin, record.log10_pvalue)


if __name__ == "__main__":
    print("\n".join(run(*sys.argv[1:2])))
