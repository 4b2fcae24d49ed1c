"""A family graph of 10,000 models in a browser: how soon it opens, moves, and finds a name."""

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
from weightkin.records import clue
from weightkin.records.family import FamilyEdge, FamilyGraph, FamilyNode
from weightkin.registry.store import opened
from weightkin.web.app import make_app
from weightkin.web.serving import open_desk

SEED = 20240607
KINDS = ("fine-tuned", "lora", "quantised", "continued-pretraining", "merged")
CHROMIUM = "/usr/bin/chromium"
N_MOVES = 90
DRIVE = """([move, n]) => new Promise(done => {
  const stage = document.querySelector('.stage'), target = stage.querySelector('canvas');
  const box = target.getBoundingClientRect();
  const at = k => ({ bubbles: true, pointerId: 7, button: 0, buttons: 1,
    clientX: box.x + box.width / 2 + 220 * Math.sin(k / 9),
    clientY: box.y + box.height / 2 + 160 * Math.cos(k / 9) - 160 });
  const seen = [];
  let k = 0, last = 0;
  stage.focus();
  if (move === 'pan') target.dispatchEvent(new PointerEvent('pointerdown', at(0)));
  const tick = now => {
    if (k > 2) seen.push(now - last);
    last = now;
    k += 1;
    if (k > n) {
      if (move === 'pan') target.dispatchEvent(new PointerEvent('pointerup', at(k)));
      done(seen);
      return;
    }
    if (move === 'pan') target.dispatchEvent(new PointerEvent('pointermove', at(k)));
    else target.dispatchEvent(new WheelEvent('wheel', { ...at(0), cancelable: true, buttons: 0,
      deltaY: Math.floor(k / 15) % 2 ? -40 : 40 }));
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
})"""
FIND = """name => new Promise(done => {
  const find = document.querySelector('.find'), family = document.querySelector('.graph').family;
  const began = performance.now(), before = family.painted();
  find.value = name;
  find.dispatchEvent(new Event('input'));
  find.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', cancelable: true }));
  const tick = () => {
    if (family.painted() === before) { requestAnimationFrame(tick); return; }
    const shown = document.querySelector('.panel h3').textContent;
    done([performance.now() - began, shown]);
  };
  requestAnimationFrame(tick);
})"""
N_FOUND = 40


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
        evidence=(
            clue("relative-distance", distance=0.1),
            clue("unused-rows-shrank", n_rows=200, c=0.99, log_odds=6.0),
        ),
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
            while desk.jobs.get(job.id).state in ("queued", "running"):
                time.sleep(0.01)  # the empty registry's own answer is not written over this one
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


def run(n_nodes: int = 10_000) -> list[str]:
    """Open, pan, zoom and search with software rendering; the times while that goes on."""
    graph = simulated_family(n_nodes)
    rows = []
    with served(graph) as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        for again in range(2):
            page = browser.new_page(viewport={"width": 1280, "height": 860})
            started = time.perf_counter()
            page.set_default_timeout(120_000)
            page.goto(f"{address}/family")
            page.wait_for_selector(".graph[data-ready]")
            page.evaluate("() => new Promise(f => requestAnimationFrame(() => setTimeout(f)))")
            seconds = time.perf_counter() - started
            n_models = page.evaluate(f"{FAMILY}.data.nodes.length")
            if again:  # the first visit also draws the graph
                rows.append(("opening again", f"{seconds:.1f} s", "", ""))
                rows += [_frames(page, *how) for how in MOVES]
                rows.append(_found(page))
            else:
                rows.append(("opening, first visit", f"{seconds:.1f} s", "", ""))
            page.close()
        browser.close()
    head = ("what", "time", "median frame", "95 % of frames")
    said = f"{len(graph.nodes):,} models, {len(graph.edges):,} edges, chromium without a GPU; "
    said += f"the family shown has {n_models:,} models."
    return [said, "", *markdown(head, rows)]


def _frames(page: Page, what: str, is_open: bool, zoom: float, move: str) -> tuple[str, ...]:
    page.evaluate(
        f"([isOpen, k]) => {{ const f = {FAMILY}; if (isOpen) f.unfold();"
        " f.view.k = k; f.view.x = 40; f.view.y = isOpen ? -2000 * k : 40; }",
        [is_open, zoom],
    )
    page.wait_for_timeout(500)
    before = page.evaluate(f"{FAMILY}.painted()")
    times = page.evaluate(DRIVE, [move, N_MOVES])
    if page.evaluate(f"{FAMILY}.painted()") - before < len(times) / 2:
        raise RuntimeError(f"{what}: it was not drawn at every move")
    middle, most = np.quantile(times, (0.5, 0.95))
    return what, "", f"{middle:.0f} ms", f"{most:.0f} ms"


def _found(page: Page) -> tuple[str, ...]:
    """The slowest of several searches for a name, from the key to the drawing with it."""
    names = page.evaluate(f"{FAMILY}.data.nodes.map(x => x.name)")
    times = []
    for name in names[:: max(1, len(names) // N_FOUND)]:
        milliseconds, shown = page.evaluate(FIND, name)
        if name not in shown:
            raise RuntimeError(f"{name}: {shown!r} is shown")
        times.append(milliseconds)
    return f"finding a name, slowest of {len(times)}", f"{max(times):.0f} ms", "", ""


FAMILY = "document.querySelector('.graph').family"
MOVES = (
    ("panning, as it opens", False, 0.9, "pan"),
    ("zooming, as it opens", False, 0.9, "zoom"),
    ("panning, all unfolded", True, 0.9, "pan"),
    ("zooming, all unfolded", True, 0.9, "zoom"),
    ("panning, all unfolded, from afar", True, 0.1, "pan"),
)

if __name__ == "__main__":
    print("\n".join(run(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)))
