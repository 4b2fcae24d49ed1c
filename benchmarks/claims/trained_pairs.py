"""Validity on trained models: one of each random family, so that no two have an origin in common.

    python -m benchmarks.claims.trained_pairs            the families of the half `test`

All pairs of one architecture are a null, whatever was done to the models after they were trained
(fine-tuned, pruned, quantised, reordered). Pairs share models, so intervals are drawn by bootstrap
over models: a pair counts as often as both of its models are drawn.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from benchmarks.generate.genealogy_answers import families
from benchmarks.lib.tables import markdown
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.api.compare import compare
from weightkin.evidence.confirm import Draw
from weightkin.evidence.ladder import run_stages
from weightkin.evidence.sample import make_plan
from weightkin.formats import Model, model_from_arrays

ALPHAS = (0.1, 0.01, 0.001)
LOG10 = math.log(10.0)
SEED = 29
N_DRAWS = 4000
INTERVAL = (0.025, 0.975)
VERDICT = "verdict"
Doubles = npt.NDArray[np.float64]
Key = tuple[str, str]  # of two models


@dataclass(frozen=True, slots=True)
class Pair:
    """What was said of two unrelated models."""

    net: str
    key: Key
    verdict: str
    basis: str
    logs: Mapping[str, Sequence[float]]  # log10 p-values by statistic


def run(half: str = "test", *, workers: int = 1) -> list[str]:
    """Both tables, for families that are at hand."""
    models = chosen(half)
    if not models:
        return [f"No family is at hand: `make genealogies HALF={half}` grows them."]
    jobs = [(net, a, b) for net, own in models.items() for a, b in combinations(own, 2)]
    if workers == 1:
        pairs = list(map(_tested, jobs))
    else:
        with ProcessPoolExecutor(workers) as pool:
            pairs = list(pool.map(_tested, jobs, chunksize=16))
    return [*_of_nets(models, pairs), "", *_of_statistics(pairs)]


def chosen(half: str) -> Mapping[str, list[Model]]:
    """One model of each family, drawn at random, by architecture."""
    found: dict[str, list[Model]] = defaultdict(list)
    for family in families(half):
        seed = family.truth["seed"]
        names = sorted(family.members)
        name = names[int(np.random.default_rng([SEED, seed]).integers(len(names)))]
        own = family.members[name]
        model = model_from_arrays(own.tensors, name=f"{seed} {name}", config=own.config)
        found[family.truth["net"]].append(model)
    return dict(sorted(found.items()))


def _tested(job: tuple[str, Model, Model]) -> Pair:
    """Every stage of the ladder by itself, and the verdict of `compare`."""
    net, *models = job
    a, b = (Side(model, read_anatomy(model)) for model in models)
    plan = make_plan((a.model, a.anatomy), (b.model, b.anatomy))
    logs: dict[str, list[float]] = defaultdict(list)
    for stage in run_stages(Draw(a, b, plan, 0), 1e-6, blind="always").stages:
        if stage.tests:
            logs[f"stage: {stage.name}"].append(min(0.0, -stage.log_evalue / LOG10))
        for test in stage.tests:
            if stage.name != "vo":  # windows of one axis share a p-value
                logs[f"one test of {stage.name}: {test.name}"].append(test.log10_pvalue)
    record = compare(*models, seed=0)
    logs[VERDICT].append(record.log10_pvalue)
    return Pair(net, (models[0].name, models[1].name), record.verdict, record.basis, dict(logs))


def _of_nets(models: Mapping[str, Sequence[Model]], pairs: Sequence[Pair]) -> list[str]:
    rows = []
    for net, own in models.items():
        here = [x for x in pairs if x.net == net]
        said = [sum(x.verdict == v for x in here) for v in ("dependent", "aligned-only")]
        rows.append((net, str(len(own)), str(len(here)), *map(str, said),
                     str(sum(x.verdict == "not-testable" for x in here)),
                     f"{min((x.logs[VERDICT][0] for x in here), default=0.0):.2f}"))  # fmt: skip
    header = ("architecture", "models", "pairs", "dependent", "aligned-only", "not testable",
              "least log10 p of a verdict")  # fmt: skip
    return markdown(header, rows)


def _of_statistics(pairs: Sequence[Pair]) -> list[str]:
    weights = np.array(list(times_drawn(pairs)))
    rows = []
    for what in sorted({what for x in pairs for what in x.logs}):
        logs = [np.array(x.logs.get(what, ())) for x in pairs]
        counts = np.array([len(x) for x in logs], dtype=np.float64)
        cells, is_valid = [], True
        for alpha in ALPHAS:
            hits = np.array([float((x <= math.log10(alpha) + 1e-12).sum()) for x in logs])
            share, low, high = interval(weights, hits, counts)
            is_valid &= low <= alpha
            cells.append(f"{share:.4f} ({low:.4f} to {high:.4f})")
        rows.append((what, f"{counts.sum():.0f}", *cells, "yes" if is_valid else "NO"))
    header = ("p-value of", "number", *(f"<= {a:g}" for a in ALPHAS), "valid")
    return markdown(header, rows)


def interval(weights: Doubles, hits: Doubles, counts: Doubles) -> tuple[float, float, float]:
    """Share of hits of all pairs, and its interval over draws of models, one draw in each row."""
    numbers = weights @ counts
    shares = (weights @ hits)[numbers > 0] / numbers[numbers > 0]
    low, high = np.quantile(shares, INTERVAL).tolist() if len(shares) else (0.0, 1.0)
    return float(hits.sum() / counts.sum()), low, high


def times_drawn(pairs: Sequence[Pair]) -> Iterator[Doubles]:
    """How often each pair counts in a draw of models; each architecture keeps its number."""
    names = sorted({name for x in pairs for name in x.key})
    place = {name: k for k, name in enumerate(names)}
    nets = {name: x.net for x in pairs for name in x.key}
    first, second = (np.array([place[x.key[i]] for x in pairs]) for i in (0, 1))
    groups = [[place[n] for n in names if nets[n] == net] for net in sorted(set(nets.values()))]
    rng = np.random.default_rng(SEED)
    for _ in range(N_DRAWS):
        times = np.zeros(len(names))
        for group in groups:
            times[group] = rng.multinomial(len(group), [1 / len(group)] * len(group))
        yield times[first] * times[second]


if __name__ == "__main__":
    print("\n".join(run(*sys.argv[1:2])))
