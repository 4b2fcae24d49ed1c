"""Do the tests notice small changes? A seeded sample of mutants of what an answer rests on.

    python -m benchmarks.claims.mutants [N]     N mutants (200); `make results CLAIM=mutants`

One run of the tests with coverage says which of them run each line. Then every mutant is run alone:
the tests that run its line, the fastest first, until one fails. A test that takes much longer than
it did fails too. The first run is kept in `build/mutants` until the library or the tests change.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from benchmarks.lib.mutations import Mutation, mutations
from benchmarks.lib.tables import markdown

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "weightkin"
BUILD = ROOT / "build" / "mutants"
SEED, SIZE, WANTED = 20240607, 200, 0.8
WORKERS = os.cpu_count() or 1
GROUPS = {  # what mutants are made of
    "stats": ("stats/*.py",),
    "readers of formats": tuple(
        f"formats/{x}.py" for x in ("*_file", "gguf_*", "onnx_*", "torch_*")
    ),
    "verdict rules": ("evidence/verdict.py", "policy/rules.py"),
}
TESTS = (
    *("tests/stats", "tests/formats", "tests/sources", "tests/records", "tests/policy"),
    *("tests/evidence", "tests/test_compare.py", "tests/test_not_testable.py"),
)
SECONDS_OF_TESTS = 40.0  # of one mutant, as long as its tests took unchanged
PATIENCE = 60.0  # seconds beyond three times that


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change in one file, and the tests that may notice it."""

    group: str
    file: str
    mutation: Mutation
    tests: tuple[str, ...]
    seconds: float

    def __str__(self) -> str:
        first, *rest = self.mutation.old.splitlines()
        new = self.mutation.new.splitlines()[0]
        return f"`{self.file}:{self.mutation.line}` `{first}{' …' if rest else ''}` → `{new}`"


def run(size: int = SIZE) -> list[str]:
    """The share of killed mutants, by what they change, and those that lived."""
    mutants = sample(size, reached())
    with tempfile.TemporaryDirectory() as folder:
        is_killed = kill_all(mutants, Path(folder))
    return lines(mutants, is_killed)


def lines(mutants: Sequence[Mutant], is_killed: Sequence[bool]) -> list[str]:
    """The table of the section."""
    n, killed = Counter(m.group for m in mutants), Counter[str]()
    killed.update(m.group for m, dead in zip(mutants, is_killed, strict=True) if dead)
    rows = [(group, n[group], killed[group], _share(killed[group], n[group])) for group in n]
    rows.append(("all", n.total(), killed.total(), _share(killed.total(), n.total())))
    is_enough = killed.total() >= WANTED * n.total()
    lived = [f"- {m}" for m, dead in zip(mutants, is_killed, strict=True) if not dead]
    said = f"{killed.total()} of {n.total()} mutants are noticed by a test"
    return [
        f"{said}: {'enough' if is_enough else 'TOO FEW'}, at least {WANTED:.0%} are wanted.",
        "",
        *markdown(("changed", "mutants", "noticed", "share"), rows),
        "",
        *(["Not noticed:", "", *lived] if lived else []),
    ]


def _share(k: int, n: int) -> str:
    return f"{k / n:.0%}" if n else "-"


def reached() -> Mapping[str, Any]:
    """Tests of each line and seconds of each test, from one run with coverage."""
    total = hashlib.sha256()
    for path in sorted([*SOURCE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]):
        total.update(path.read_bytes())
    kept = BUILD / f"reached-{total.hexdigest()[:12]}.json"
    if not kept.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        draft = kept.with_suffix(".draft")
        chosen = [name for name in TESTS if (ROOT / name).exists()]
        os.environ["REACHED"] = str(draft)
        options = ("-p", "benchmarks.lib.reached", "-m", "not claim")
        done = _pytest(options, chosen, SOURCE.parent)
        if not draft.exists():
            raise RuntimeError(f"the tests did not run: {done.stdout.decode()[-2000:]}")
        draft.replace(kept)
    found: Mapping[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def sample(size: int, found: Mapping[str, Any]) -> list[Mutant]:
    """Mutants drawn by a fixed seed from all there are."""
    every = [(group, file, m) for group, file in _files() for m in mutations(_text(file))]
    chosen = random.Random(SEED).sample(every, min(size, len(every)))
    return [Mutant(group, file, m, *_tests(file, m, found)) for group, file, m in chosen]


def _files() -> Iterator[tuple[str, str]]:
    for group, patterns in GROUPS.items():
        files = sorted({p.relative_to(SOURCE).as_posix() for x in patterns for p in SOURCE.glob(x)})
        if not files:
            raise FileNotFoundError(f"{group}: no file of src/weightkin is {', '.join(patterns)}")
        yield from ((group, file) for file in files)


def _text(file: str) -> str:
    return (SOURCE / file).read_text(encoding="utf-8")


def _tests(
    file: str, mutation: Mutation, found: Mapping[str, Any]
) -> tuple[tuple[str, ...], float]:
    """Tests that run a line, or its file where it runs at import, as far as there is time."""
    files, seconds = found["files"], found["seconds"]
    by_line = files.get(file, {})
    if mutation.is_in_function:
        order = sorted((seconds[test], test) for test in by_line.get(str(mutation.line), ()))
    else:  # a table is run by no test: whole files of tests that run others, the nearest name first
        near = {test.partition("::")[0] for tests in by_line.values() for test in tests}
        order = sorted((seconds[test], test) for test in seconds if test.partition("::")[0] in near)
        words = set(Path(file).stem.split("_"))
        order.sort(key=lambda x: not words & set(Path(x[1].partition("::")[0]).stem.split("_")))
    chosen: list[str] = []
    total = 0.0
    for cost, test in order:
        total += cost
        if chosen and total > SECONDS_OF_TESTS:
            break
        chosen.append(test)
    return tuple(chosen), total


def kill_all(mutants: Sequence[Mutant], folder: Path) -> list[bool]:
    """Whether a test notices each mutant; every worker has a copy of the library."""
    copies: SimpleQueue[Path] = SimpleQueue()
    for k in range(WORKERS):
        shutil.copytree(SOURCE, folder / str(k) / "weightkin")
        copies.put(folder / str(k))

    def kill(mutant: Mutant) -> bool:
        copy = copies.get()
        path = copy / "weightkin" / mutant.file
        path.write_text(mutant.mutation.apply(_text(mutant.file)), encoding="utf-8")
        try:
            return is_killed(mutant, copy)
        finally:
            path.write_text(_text(mutant.file), encoding="utf-8")
            copies.put(copy)

    found = []
    with ThreadPoolExecutor(WORKERS) as pool:
        for mutant, dead in zip(mutants, pool.map(kill, mutants), strict=True):
            found.append(dead)
            print(f"{len(found)}: {'killed' if dead else 'LIVES'} {mutant}", file=sys.stderr)
    return found


def is_killed(mutant: Mutant, library: Path) -> bool:
    """Whether a test of a mutant fails, with the library that stands in a folder."""
    if not mutant.tests:
        return False
    limit = PATIENCE + 3 * mutant.seconds
    try:
        return _pytest(("-x",), mutant.tests, library, limit).returncode != 0
    except subprocess.TimeoutExpired:
        return True


def _pytest(
    options: Sequence[str], tests: Sequence[str], library: Path, limit: float | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run tests, however many, with the library that stands in a folder."""
    own = {"PYTHONPATH": os.pathsep.join([str(library), str(ROOT)])}
    own |= {"PYTHONDONTWRITEBYTECODE": "1"}  # two changes within a second look alike to a cache
    own |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    fixed = ("-q", "-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin")
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write("\n".join(tests))
        file.flush()
        words = ["pytest", *fixed, "--hypothesis-seed=0", *options, f"@{file.name}"]
        return subprocess.run(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            env={**os.environ, **own},
            capture_output=True,
            timeout=limit,
            check=False,
        )


if __name__ == "__main__":
    print("\n".join(run(int(sys.argv[1]) if len(sys.argv) > 1 else SIZE)))
