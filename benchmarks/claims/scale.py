"""Many models: time, memory and right edges of the family graph, of additions, and of sketching.

Models are simulated in a known forest: families of equal size, every child its parent moved by
heavy-tailed noise. `python -m benchmarks.claims.scale N…` runs some sizes.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from tests.lineage.simulated import CONFIG, Arrays, base, model
from zoo.folders import Folder, write_folder

from benchmarks.lib.big_models import LLAMA_1B, write_model
from benchmarks.lib.tables import markdown
from weightkin import Execution, Registry, family_graph
from weightkin.arrays import Floats
from weightkin.formats import open_model
from weightkin.lineage.family import find_family
from weightkin.lineage.growing import are_related, with_part
from weightkin.lineage.proposed import LEAST_COSINE, N_NEAREST
from weightkin.records.family import FamilyGraph
from weightkin.sketch import Scheme, Sketch, take_sketch, write_sketch
from weightkin.sketch.vectors import nearest, search_vector, search_vectors

MOST_SECONDS = {1000: 60.0, 10_000: 600.0}  # of the family graph of so many models
MOST_MB = 2048.0
MOST_TO_ADD = 1.0  # seconds
MOST_COLD = 2.0  # seconds of a command on a registered model
SIZES = tuple(MOST_SECONDS)
N_FAMILIES = 20
N_REGISTERED = 100
N_WORKERS = 2  # of the cluster
SEED = 20240607
N_ADDED = 5
SCRIPT = "from weightkin.cli.main import main; main()"
Edge = tuple[str, str]
Row = tuple[str, float, float | None]  # what, how much, at most


def forest(
    n: int, rng: np.random.Generator, families: Sequence[int]
) -> Iterator[tuple[str, str, Sketch]]:
    """Names, parents ("" for roots) and sketches of n models; arrays are dropped at once."""
    for name, parent, arrays in simulated(n, rng, families):
        yield name, parent, take_sketch(model(name, arrays), Scheme())


def simulated(
    n: int, rng: np.random.Generator, families: Sequence[int]
) -> Iterator[tuple[str, str, Arrays]]:
    """Names, parents and arrays of n models, in families of these sizes, over and over again."""
    made, family = 0, 0
    while made < n:
        size = min(families[family % len(families)], n - made)
        members: list[Arrays] = []
        for k in range(size):
            above = int(rng.integers(k)) if k else -1
            members.append(moved(members[above], rng) if k else base(rng))
            name, parent = f"f{family}-{k}", f"f{family}-{above}" if k else ""
            yield name, parent, members[-1]
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


def measured(n: int) -> tuple[list[Row], str]:
    """A whole run on n models, then additions to it: rows, and which edges are right."""
    rng = np.random.default_rng([SEED, n])
    models = list(forest(n + N_ADDED, rng, [-(-(n + N_ADDED) // N_FAMILIES)]))
    parents = {parent for _, parent, _ in models}
    leaves = [name for name, _, _ in models if name not in parents]
    later = set(rng.choice(leaves, N_ADDED, replace=False).tolist())
    known = {name: sketch for name, _, sketch in models if name not in later}
    n_bytes = sum(x.values.nbytes for s in known.values() for x in s.tensors.values())
    before = _peak()
    started, worked = time.perf_counter(), time.process_time()
    graph = family_graph(list(known.values()))
    seconds, cpu = time.perf_counter() - started, time.process_time() - worked
    grew = _peak() - before
    true = {(parent, name) for name, parent, _ in models if parent and name not in later}
    vectors = search_vectors(list(known.values()))
    times, n_right = [], 0
    for name, parent, sketch in (m for m in models if m[0] in later):
        started = time.perf_counter()
        added = inserted(graph, known, vectors, sketch)
        times.append(time.perf_counter() - started)
        n_right += {e.parent for e in added.edges if e.child == name} == {parent}
    rows: list[Row] = [
        (f"tree of {n:,} models, seconds", seconds, MOST_SECONDS.get(n)),
        (f"tree of {n:,} models, CPU seconds", cpu, None),
        (f"tree of {n:,} models, MB of their sketches", n_bytes / 2**20, None),
        (f"tree of {n:,} models, MB more at the peak", grew, MOST_MB),
        (f"one more model among {n:,}, seconds at most of {N_ADDED}", max(times), MOST_TO_ADD),
    ]
    return rows, f"{n:,} models: {_edges(graph, true)}; added ones: {n_right} of {N_ADDED} right."


def _edges(graph: FamilyGraph, true: set[Edge]) -> str:
    """How many edges are right, of those that are determined and of all."""
    drawn = edges_of(graph)
    claimed = {(e.parent, e.child) for e in graph.edges if e.direction == "determined"}
    return (
        f"{len(claimed & true)} of {len(claimed)} determined edges are right,"
        f" {len(drawn & true)} of {len(drawn)} drawn ones, {len(true)} are true"
    )


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def on_cluster(n: int) -> Row:
    """The same tree from files of sketches that two dask workers read."""
    from distributed import LocalCluster

    rng = np.random.default_rng([SEED, n])
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, _, sketch in forest(n, rng, [n // N_FAMILIES]):
            paths.append(Path(folder) / f"{name}.sketch.safetensors")
            write_sketch(sketch, paths[-1])
        with LocalCluster(
            n_workers=N_WORKERS, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster:
            started = time.perf_counter()
            graph = family_graph(paths, execution=Execution(cluster=cluster.scheduler_address))
            seconds = time.perf_counter() - started
        same = replace(graph, seconds=0.0) == replace(family_graph(paths), seconds=0.0)
    told = "the same graph" if same else "another graph"
    what = f"tree of {n:,} models on {N_WORKERS} dask workers, seconds ({told} as in one process)"
    return what, seconds, MOST_SECONDS.get(n)


def cold(n: int = N_REGISTERED) -> list[Row]:
    """Whole commands in new processes, about one model of a registry of n."""
    rng = np.random.default_rng([SEED, n])
    with tempfile.TemporaryDirectory() as folder:
        path, paths = Path(folder) / "r.sqlite", []
        for name, _, arrays in simulated(n, rng, [n // 5]):
            paths.append(Path(folder) / name)
            write_folder(Folder(config=CONFIG, tensors=arrays), paths[-1])
        Registry(path).add(paths)
        asked = paths[n // 2].name
        first = _command("trace", asked, path)
        rows = [(what, _command(what, asked, path), MOST_COLD) for what in ("search", "trace")]
    return [
        (
            f"first `trace` after adding {n} models, which finds their families, seconds",
            first,
            None,
        ),
        *((f"`{what}` of one of {n} registered, seconds", s, most) for what, s, most in rows),
    ]


def _command(what: str, name: str, registry: Path) -> float:
    command = [sys.executable, "-c", SCRIPT, what, name, "--registry", str(registry), "--json"]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


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
        found = list(pool.map(measured, sizes))
    rows = [row for own, _ in found for row in own]
    rows += [on_cluster(min(sizes)), *cold()]
    cells = [
        (what, f"{x:.2f}", *(("", "") if most is None else (f"{most:g}", f"{x / most:.2f}")))
        for what, x, most in rows
    ]
    said = f"Simulated models of {N_FAMILIES} families; sketches are at hand."
    edges = [line for _, line in found]
    table = markdown(("what", "measured", "at most", "share of it"), cells)
    return [said, "", *table, "", *edges, "", sketching()]


if __name__ == "__main__":
    print("\n".join(run(tuple(map(int, sys.argv[1:])) or SIZES)))
