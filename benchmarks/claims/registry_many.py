"""The registry under load: a million models, several processes at once, and kills.

`python -m benchmarks.claims.registry_many [N]` prints it; N is the size of the simulated registry.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from zoo import truth

from benchmarks.lib.tables import markdown
from weightkin import Registry
from weightkin.registry.blocks import ALIGNED, INVARIANT, VectorBlock, read_rows, write_rows
from weightkin.registry.sealed import with_mark
from weightkin.registry.sealing import mark_of, seal
from weightkin.registry.store import folder_of, opened, writing
from weightkin.registry.stores import store_of
from weightkin.scan import bits_of
from weightkin.sketch.row_keys import N_KEYS

SEED = 20240607
SIZE = 1_000_000
K = 50
FAMILY = 20  # models of a simulated family
N_QUERIES = 40
NEAR = 0.2  # unrelated models among a million stay below
CHUNK = 20_000
N_KILLS = 20
ADD = "import sys; from weightkin import Registry; Registry(sys.argv[1]).add(sys.argv[2:])"
RESUME = "import sys; from weightkin import Registry; Registry(sys.argv[1]).add([], resume=True)"
SEARCH = """
import sys
from weightkin import Registry
for _ in range(5):
    Registry(sys.argv[1]).search(sys.argv[2])
"""
COLD = """
import sys, time
from pathlib import Path
import numpy as np
from benchmarks.claims.registry_many import scanned
query = np.load(sys.argv[2])
start = time.perf_counter()
scanned(Path(sys.argv[1]), query["aligned"][0], query["invariant"][0])
print(time.perf_counter() - start)
"""


def run(n: int = SIZE) -> list[str]:
    """All parts as lines of Markdown."""
    return [*many(n), "", *several(), "", *kills()]


def several() -> list[str]:
    """Four processes add while four search, all of the zoo."""
    models = [str(truth.ROOT / e["path"]) for e in truth.load().values()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r.sqlite"
        Registry(path).add(models[:1])
        running = [_start(ADD, path, *models[k::3], *models[k::5]) for k in range(4)]
        running += [_start(SEARCH, path, models[k]) for k in range(4)]
        failed = sum(p.wait() != 0 for p in running)
        listed = [m.source for m in Registry(path).list()]
    missing = {str(Path(m).resolve()) for m in models} - set(listed)
    return [
        f"Four processes add {len(models)} models, many of them twice, while four search:"
        f" {failed} of 8 failed, {len(missing)} models missing, {len(listed) - len(set(listed))}"
        " registered twice."
    ]


def kills() -> list[str]:
    """`kill -9` in the middle of adding, resumed after each, until all is there."""
    models = [str(truth.ROOT / e["path"]) for e in truth.load().values()]
    n_bad = n_lost = n_killed = 0
    seen: set[str] = set()
    rng = np.random.default_rng(SEED)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r.sqlite"
        process = _start(ADD, path, *models)
        while n_killed < N_KILLS:
            _wait_for(path, len(seen) + 1, process)
            time.sleep(float(rng.uniform(0, 0.1)))
            process.kill()
            n_killed += process.wait() != 0
            names = {m.source for m in Registry(path).list()}
            n_lost += len(seen - names)
            seen = names
            with closing(sqlite3.connect(path)) as connection:
                n_bad += connection.execute("PRAGMA integrity_check").fetchone() != ("ok",)
            process = _start(RESUME, path)
        code = process.wait()
        n = len(Registry(path).list())
    return [
        f"`kill -9` {n_killed} times in the middle of adding {len(models)} models: {n_bad} files"
        f" damaged, {n_lost} models lost that had been added; after the last `--resume` (exit"
        f" {code}) {n} of {len(models)} are there."
    ]


def _start(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)])


def _wait_for(path: Path, n: int, process: subprocess.Popen[bytes]) -> None:
    """Until so many models are there, or the process is done."""
    while process.poll() is None:
        if path.exists():
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
                try:
                    if connection.execute("SELECT count(*) FROM models").fetchone()[0] >= n:
                        return
                except sqlite3.OperationalError:
                    pass  # no table yet
        time.sleep(0.005)


def many(n: int) -> list[str]:
    """Build, size, time of a search and recall against brute force, on simulated vectors."""
    rng = np.random.default_rng(SEED)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many.sqlite"
        started = time.perf_counter()
        queries = _build(path, n, rng)
        build = time.perf_counter() - started
        files = [path, *folder_of(path).glob("*.*")]
        size = sum(f.stat().st_size for f in files)
        np.savez(Path(folder) / "queries.npz", **queries)
        _drop_caches(files)
        cold = _in_new_process(path, Path(folder) / "queries.npz")
        second = _in_new_process(path, Path(folder) / "queries.npz")
        times, cpu, recall, members = _warm(path, n, queries)
    head = ("what", "figure")
    rows = [
        ("models", f"{n:,}"),
        ("build", f"{build:.0f} s"),
        ("size of all files", f"{size / 1e9:.2f} GB ({size / n:.0f} bytes a model)"),
        ("search, nothing in memory", f"{1000 * cold:.0f} ms"),
        ("search, first of a process, pages in memory", f"{1000 * second:.0f} ms"),
        ("search, warm, median", f"{1000 * np.median(times):.0f} ms"),
        ("search, warm, slowest", f"{1000 * max(times):.0f} ms"),
        ("search, warm, processor time, median", f"{1000 * np.median(cpu):.0f} ms"),
        (f"of the first {K} of brute force, those of cosine >= {NEAR} found", f"{recall:.4f}"),
        ("members of the query's family found", f"{members:.4f}"),
    ]
    said = f"Simulated registry in families of {FAMILY}; a search scans both kinds of vectors."
    return [said, "", *markdown(head, rows)]


def scanned(path: Path, aligned: np.ndarray, invariant: np.ndarray) -> np.ndarray:
    """What a search does before it compares: positions by the aligned vector."""
    with opened(path, to_write=False) as connection:
        store = store_of(path, connection)
        store.nearest(INVARIANT, invariant, K)
        return store.nearest(ALIGNED, aligned, K)[0]


def _build(path: Path, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Families whose members have cosines of 0.3 to 1 to their root; some members as queries."""
    kept: dict[str, list[np.ndarray]] = defaultdict(list)
    mark = 0
    with opened(path, to_write=True) as connection:
        for start in range(0, n, CHUNK):
            size = min(CHUNK, n - start)
            cosine = rng.uniform(0.3, 1.0, size).astype(np.float32)[:, None]
            with writing(connection):
                rows, seals, bits = range(start, start + size), [], []
                for block in (ALIGNED, INVARIANT):
                    x = _members(rng, block, size, cosine)
                    write_rows(folder_of(path), block, start, list(x))
                    halves = x.astype(np.float16)
                    bits.append(bits_of(halves))
                    pairs = zip(rows, halves, strict=True)
                    seals.append([seal(k, f"{k:064x}", row.tobytes()) for k, row in pairs])
                    if len(kept[block.name]) < N_QUERIES:
                        kept[block.name].append(x[0])
                mark += mark_of(np.arange(start, start + size), *bits, first=start)
                connection.executemany(
                    "INSERT INTO contents VALUES (?, ?, ?, 's', 'a', 'i', '', ?, ?)",
                    (
                        (k, f"{k:064x}", f"{k:064x}.sketch.safetensors", x, y)
                        for k, x, y in zip(rows, *seals, strict=True)
                    ),
                )
                keys = rng.integers(-(1 << 62), 1 << 62, (size, N_KEYS)).tolist()
                connection.executemany(
                    "INSERT OR IGNORE INTO row_keys VALUES (?, ?)",
                    ((key, k) for k, some in zip(rows, keys, strict=True) for key in some),
                )
                connection.executemany(
                    "INSERT INTO models(name, source, revision, digest, full_digest, slot, added,"
                    " parents, licence, imported, claimed, seal)"
                    " VALUES (?, ?, '', ?, '', ?, '', '[]', '', '', 0, '')",
                    ((f"model-{k}", f"/models/{k}", f"wk1-{k:064x}", k) for k in rows),
                )
                connection.execute(
                    "UPDATE totals SET n_models = ?, n_contents = ?, next_slot = ?, mark = ?",
                    (*[start + size] * 3, with_mark(f"{0:016x}", mark)),
                )
    return {name: np.stack(x) for name, x in kept.items()}


def _members(
    rng: np.random.Generator, block: VectorBlock, n: int, cosine: np.ndarray
) -> np.ndarray:
    roots = rng.standard_normal((-(-n // FAMILY), block.n_dims), dtype=np.float32)
    roots = np.repeat(roots, FAMILY, axis=0)[:n]
    noise = rng.standard_normal((n, block.n_dims), dtype=np.float32)
    x = cosine * roots + np.sqrt(1 - cosine**2) * noise
    x[::FAMILY] = roots[::FAMILY]
    unit: np.ndarray = x / np.linalg.norm(x, axis=1, keepdims=True)
    return unit


def _warm(
    path: Path, n: int, queries: dict[str, np.ndarray]
) -> tuple[list[float], list[float], float, float]:
    times, cpu, found = [], [], []
    for a, b in zip(queries["aligned"], queries["invariant"], strict=True):
        started, worked = time.perf_counter(), time.process_time()
        found.append(set(scanned(path, a, b).tolist()))
        times.append(time.perf_counter() - started)
        cpu.append(time.process_time() - worked)
    vectors = read_rows(folder_of(path), ALIGNED, n)[1]
    cosine = np.concatenate(
        [queries["aligned"] @ np.asarray(vectors[k : k + CHUNK], np.float32).T
         for k in range(0, n, CHUNK)], axis=1
    )  # fmt: skip
    first = [np.argsort(-row, kind="stable")[:K] for row in cosine]
    near = [set(i[row[i] >= NEAR].tolist()) for i, row in zip(first, cosine, strict=True)]
    recall = np.mean([len(x & y) / len(y) for x, y in zip(found, near, strict=True)])
    members = np.mean(
        [len(x & set(range(CHUNK * k, CHUNK * k + FAMILY))) / FAMILY for k, x in enumerate(found)]
    )
    return times, cpu, float(recall), float(members)


def _in_new_process(path: Path, queries: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-c", COLD, str(path), str(queries)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


def _drop_caches(files: Sequence[Path]) -> None:
    """Ask the system to forget the pages of these files."""
    for file in files:
        handle = os.open(file, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


if __name__ == "__main__":
    print("\n".join(many(int(sys.argv[1]) if len(sys.argv) > 1 else SIZE)))
