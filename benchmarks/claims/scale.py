"""Many models: time, memory and right edges of the family graph, of additions, and of sketching.

Models are simulated in a known forest: families of 1 to 60, every child its parent moved by
heavy-tailed noise. `python -m benchmarks.claims.scale N…` runs some sizes.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from tests.lineage.simulated import Arrays, base, model

from benchmarks.lib.big_models import LLAMA_1B, write_model
from benchmarks.lib.tables import markdown
from weightkin import family_graph
from weightkin.arrays import Floats
from weightkin.formats import open_model
from weightkin.lineage.family import find_family
from weightkin.lineage.growing import are_related, with_part
from weightkin.lineage.proposed import LEAST_COSINE, N_NEAREST
from weightkin.records.family import FamilyGraph
from weightkin.sketch import Scheme, Sketch, take_sketch
from weightkin.sketch.vectors import nearest, search_vector, search_vectors

SIZES = (100, 1000)  # 10_000 takes long: name it on the command line
FAMILIES = (1, 1, 1, 2, 1, 3, 1, 5, 2, 10, 1, 20, 3, 1, 2, 60)  # over and over again
SEED = 20240607
N_ADDED = 5
Edge = tuple[str, str]


def forest(
    n: int, rng: np.random.Generator, families: Sequence[int] = FAMILIES
) -> Iterator[tuple[str, str, Sketch]]:
    """Names, parents ("" for roots) and sketches of n models; arrays are dropped at once."""
    made, family = 0, 0
    while made < n:
        size = min(families[family % len(families)], n - made)
        members: list[Arrays] = []
        for k in range(size):
            above = int(rng.integers(k)) if k else -1
            members.append(moved(members[above], rng) if k else base(rng))
            name, parent = f"f{family}-{k}", f"f{family}-{above}" if k else ""
            yield name, parent, take_sketch(model(name, members[-1]), Scheme())
        made += size
        family += 1


def moved(parent: Arrays, rng: np.random.Generator, size: float = 0.1) -> Arrays:
    """A child: heavy-tailed changes of all matrices, some decay, token rows that are never used."""
    child: Arrays = {}
    for name, x in parent.items():
        if x.ndim == 1:
            change = rng.normal(0, 0.01, x.shape)
            child[name] = (x + change).astype(np.float32)
            continue
        change = rng.standard_t(3, x.shape) * size * x.std()
        if "embed_tokens" in name:
            change[-16:] = 0.0
        child[name] = (0.995 * x + change).astype(np.float32)
    return child


def inserted(
    graph: FamilyGraph, known: Mapping[str, Sketch], vectors: Floats, newcomer: Sketch
) -> FamilyGraph:
    """A graph with one more model, near what the search vectors of its nodes propose."""
    names = list(known)
    _, near, cosine = next(nearest(vectors, N_NEAREST, of=search_vector(newcomer)[None]))
    close = [names[k] for k, c in zip(near[0], cosine[0], strict=True) if c >= LEAST_COSINE]
    paid = graph.alpha / (len(known) * (len(known) + 1) / 2)
    home = {x: group for group in graph.components for x in group}
    joined = next((home[x] for x in close if are_related(known[x], newcomer, paid)), ())
    members = [*(replace(known[x], name=x) for x in joined if x in known), newcomer]
    alpha = paid * max(1, len(members) * (len(members) - 1) // 2)
    part = find_family(members, alpha=min(alpha, graph.alpha), seed=graph.seed)
    return with_part(graph, part, [x.name for x in members])


def edges_of(graph: FamilyGraph) -> set[Edge]:
    """Parents and children."""
    return {(e.parent, e.child) for e in graph.edges}


def measured(n: int) -> tuple[object, ...]:
    """One row of the table: a whole run on n models, then additions to it."""
    rng = np.random.default_rng([SEED, n])
    models = list(forest(n + N_ADDED * 20, rng))
    later = {m[0] for m in models[n::20]}  # leaves or singles that come later
    parents = {parent for name, parent, _ in models if name not in later}
    first = [m for m in models if m[0] not in later or m[0] in parents][:n]
    names = {m[0] for m in first}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, worked = time.perf_counter(), time.process_time()
    graph = family_graph([sketch for _, _, sketch in first])
    seconds, cpu = time.perf_counter() - started, time.process_time() - worked
    grew = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    true = {(parent, name) for name, parent, _ in first if parent}
    found = edges_of(graph)
    known = {name: sketch for name, _, sketch in first}
    vectors = search_vectors(list(known.values()))
    times, right, n_added = [], 0, 0
    for name, parent, sketch in models:
        if name in names or (parent and parent not in names) or n_added >= N_ADDED:
            continue
        started = time.process_time()
        added = inserted(graph, known, vectors, sketch)
        times.append(time.process_time() - started)
        above = {p for p, child in edges_of(added) if child == name}
        right += above == ({parent} if parent else set())
        n_added += 1
    return (
        n,
        f"{seconds:.1f}",
        f"{cpu:.1f}",
        f"{grew / 1024:.0f}",
        f"{len(true & found)} of {len(true)}",
        len(found - true),
        f"{np.median(times):.2f}",
        f"{max(times):.2f}",
        f"{right} of {n_added}",
    )


def sketching() -> str:
    """What a sketch of a large model costs for each GB of its weights."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_model(Path(folder) / "big", LLAMA_1B, seed=SEED)
        started = time.process_time()
        sketch = take_sketch(open_model(path), Scheme())
        cpu = time.process_time() - started
    size = sketch.n_bytes / 1e9
    return (
        f"Sketching a model of {size:.1f} GB: {cpu / size:.2f} CPU seconds and"
        f" {sketch.bytes_read / 1e6 / size:.1f} MB read for each GB of weights."
    )


def run(sizes: tuple[int, ...] = SIZES) -> list[str]:
    """Every size in a process of its own, for its peak of memory."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        rows = list(pool.map(measured, sizes))
    header = (
        *("models", "seconds", "CPU seconds", "MB more at the peak", "edges right", "edges wrong"),
        *("CPU seconds to add one", "at most", "added ones right"),
    )
    return [*markdown(header, rows), "", sketching()]


if __name__ == "__main__":
    print("\n".join(run(tuple(map(int, sys.argv[1:])) or SIZES)))
