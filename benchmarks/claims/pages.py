"""A family graph of 5,000 models in a browser: how soon it stands, how smoothly it moves."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import uvicorn
from playwright.sync_api import Page, sync_playwright
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from benchmarks.lib.tables import markdown
from weightkin.records.family import FamilyEdge, FamilyGraph, FamilyNode
from weightkin.registry.store import opened
from weightkin.web.app import make_app
from weightkin.web.serving import open_desk

SEED = 20240607
KINDS = ("fine-tuned", "lora", "quantised", "continued-pretraining", "merged")
CHROMIUM = "/usr/bin/chromium"
N_MOVES = 90
DRIVE = """([move, n]) => new Promise(done => {
  const stage = document.querySelector('.stage'), box = stage.getBoundingClientRect();
  const target = stage.querySelector('canvas');
  const at = k => ({ bubbles: true, view: window, button: 0, buttons: 1,
    clientX: box.x + box.width / 2 + 220 * Math.sin(k / 9),
    clientY: box.y + box.height / 2 + 160 * Math.cos(k / 9) - 160 });
  const seen = [];
  let k = 0, last = 0;
  stage.focus();
  if (move === 'pan') target.dispatchEvent(new MouseEvent('mousedown', at(0)));
  const tick = now => {
    if (k > 2) seen.push(now - last);
    last = now;
    k += 1;
    if (k > n) {
      if (move === 'pan') window.dispatchEvent(new MouseEvent('mouseup', { ...at(k), buttons: 0 }));
      done(seen);
      return;
    }
    if (move === 'pan') window.dispatchEvent(new MouseEvent('mousemove', at(k)));
    else target.dispatchEvent(new WheelEvent('wheel', { ...at(0), cancelable: true, buttons: 0,
      deltaY: Math.floor(k / 15) % 2 ? -40 : 40 }));
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
})"""


def simulated_family(n_nodes: int, seed: int = SEED) -> FamilyGraph:
    """A hub in small: few bases with very many children each, long chains, some merges, loners."""
    rng = np.random.default_rng(seed)
    n_bases = max(1, n_nodes // 60)
    names = [f"org-{k % 97}/model-{k}" for k in range(n_nodes)]
    parents: list[list[int]] = [[] for _ in names]
    fame = rng.pareto(1.1, n_nodes) + 0.05
    for k in range(n_bases, n_nodes):
        share = fame[:k] / fame[:k].sum()
        n_parents = 2 if rng.random() < 0.03 else 1
        parents[k] = [int(x) for x in rng.choice(k, n_parents, replace=False, p=share)]
    edges = tuple(
        _edge(names[k], names[parent], len(into), rng)
        for k, into in enumerate(parents)
        for parent in into
    )
    ends = np.array([(k, parent) for k, into in enumerate(parents) for parent in into])
    links = coo_array((np.ones(len(ends)), ends.T), shape=(n_nodes, n_nodes))
    members: dict[int, list[str]] = {}
    for name, home in zip(names, connected_components(links, directed=False)[1], strict=True):
        members.setdefault(int(home), []).append(name)
    nodes = tuple(
        FamilyNode(id=x, name=x, source=f"hf://{x}", digest=f"wk1-{k:064x}", registered=(k + 1,))
        for k, x in enumerate(names)
    )
    return FamilyGraph(
        nodes=nodes,
        edges=edges,
        components=tuple(map(tuple, members.values())),
        alpha=1e-6,
        method="simulated",
    )


def _edge(child: str, parent: str, n_parents: int, rng: np.random.Generator) -> FamilyEdge:
    sure = float(rng.uniform(0.5, 1.0))
    return FamilyEdge(
        parent=parent,
        child=child,
        kind="merged" if n_parents > 1 else str(rng.choice(KINDS[:4])),
        weight=1.0 / n_parents,
        log10_pvalue=-float(rng.uniform(100, 3000)),
        direction="determined" if sure >= 0.8 else "undetermined",
        direction_probability=sure,
        distance=float(rng.uniform(0.01, 0.3)),
        support=float(rng.uniform(0.5, 1.0)),
        evidence=("relative distance 0.1", "clock: 200 unused token rows shrank by 0.99"),
    )


@contextmanager
def served(graph: FamilyGraph) -> Iterator[str]:
    """The pages of an empty registry in which this graph was drawn."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r.sqlite"
        with opened(path, to_write=True):
            pass
        with open_desk(path) as desk:
            job = desk.jobs.add("family", "family graph", desk.asked(), desk.stamp())
            desk.runner.cancel(job.id)
            desk.jobs.end(job.id, "done", record=graph.to_json(None))
            config = uvicorn.Config(make_app(desk), port=0, log_level="error", ws="none")
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run)
            thread.start()
            try:
                while not server.started:
                    time.sleep(0.01)
                port = server.servers[0].sockets[0].getsockname()[1]
                yield f"http://127.0.0.1:{port}"
            finally:
                server.should_exit = True
                thread.join()


def run(n_nodes: int = 5000) -> list[str]:
    """Open, pan and zoom with software rendering; the times of frames while that goes on."""
    graph = simulated_family(n_nodes)
    rows = []
    with served(graph) as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        for again in range(2):
            page = browser.new_page(viewport={"width": 1280, "height": 860})
            started = time.perf_counter()
            page.set_default_timeout(120_000)
            page.goto(f"{address}/family")
            page.wait_for_selector(".graph canvas")
            page.evaluate("() => new Promise(f => requestAnimationFrame(() => setTimeout(f)))")
            seconds = time.perf_counter() - started
            if again:  # the first visit also lays the graph out
                rows.append(("opening, laid out before", f"{seconds:.1f} s", "", ""))
                rows += [_frames(page, *how) for how in MOVES]
            else:
                rows.append(("opening, first visit", f"{seconds:.1f} s", "", ""))
            page.close()
        browser.close()
    head = ("what", "time", "median frame", "95 % of frames")
    said = f"{len(graph.nodes):,} models, {len(graph.edges):,} edges, chromium without a GPU."
    return [said, "", *markdown(head, rows)]


def _frames(page: Page, what: str, zoom: float, move: str) -> tuple[str, str, str, str]:
    drawn = "document.querySelector('.graph').cy"
    page.evaluate(f"() => {{ {drawn}.fit(); {drawn}.zoom({{level: {drawn}.zoom() * {zoom},"
                  f" position: {drawn}.nodes()[0].position()}}); {drawn}.center({drawn}.nodes()[0])"
                  "; }")  # fmt: skip
    page.wait_for_timeout(500)
    before = page.evaluate(f"() => {drawn}.pan().x + {drawn}.zoom()")
    times = page.evaluate(DRIVE, [move, N_MOVES])
    if page.evaluate(f"() => {drawn}.pan().x + {drawn}.zoom()") == before:
        raise RuntimeError(f"{what}: nothing moved")
    middle, most = np.quantile(times, (0.5, 0.95))
    return what, "", f"{middle:.0f} ms", f"{most:.0f} ms"


MOVES = (
    ("panning, all in view", 1.0, "pan"),
    ("panning, names readable", 20.0, "pan"),
    ("zooming, all in view", 1.0, "zoom"),
    ("zooming, names readable", 20.0, "zoom"),
)

if __name__ == "__main__":
    print("\n".join(run(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)))
