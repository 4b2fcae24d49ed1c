"""The zoo's tree on a local dask cluster of two processes, one of them killed on the way.

`python -m benchmarks.claims.cluster` prints it. The graph must be that of one process,
edge by edge.
"""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

from benchmarks.lib.tables import markdown
from weightkin import Execution, family_graph
from weightkin.records.family import FamilyGraph

ZOO = Path(__file__).parents[2] / "zoo" / "models"
KILLED_AFTER = 20  # models


def run() -> list[str]:
    """One row for each way of working."""
    from distributed import Client, LocalCluster

    sources = sorted(path for path in ZOO.iterdir() if not path.name.endswith("-adapter"))
    rows = []
    alone = family_graph(sources)
    rows.append(("one process", len(alone.nodes), len(alone.edges), "-"))
    both = family_graph(sources, execution=Execution(workers=2))
    rows.append(("two processes", *_row(both, alone)))
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        with Client(address, set_as_default=False) as client:
            first = set(client.run(os.getpid).values())

        def kill_one(_name: str, done: int, *_: int) -> None:
            if done == KILLED_AFTER:
                os.kill(min(first), signal.SIGKILL)

        graph = family_graph(sources, execution=Execution(cluster=address, progress=kill_one))

        said = f"two dask workers, one killed after {KILLED_AFTER} models"
        rows.append((said, *_row(graph, alone)))
    return markdown(("way", "models", "edges", "graph"), rows)


def _row(graph: FamilyGraph, alone: FamilyGraph) -> tuple[object, ...]:
    same = replace(graph, seconds=0.0) == replace(alone, seconds=0.0)
    return len(graph.nodes), len(graph.edges), "the same" if same else "another"


if __name__ == "__main__":
    print("\n".join(run()))
