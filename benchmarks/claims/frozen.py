"""Are the answers about the zoo those of an earlier version? Records in one file, and compared.

    python -m benchmarks.claims.frozen record              write tests/frozen/zoo.json.xz anew
    python -m benchmarks.claims.frozen compare             everything against it (an hour)
    python -m benchmarks.claims.frozen compare --part tree --part search
    python -m benchmarks.claims.frozen compare --only llama-a-sorted

What was computed stands, line by line, in a file of `build/frozen` that is named after the code:
whoever stops a run and starts it again goes on where it was. Exit status 1: something moved and
`tests/frozen/accepted.toml` does not say why.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import platform
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import numpy as np
import scipy

import weightkin
from benchmarks.claims import frozen_moves, frozen_records
from benchmarks.claims.frozen_moves import Move
from benchmarks.claims.frozen_records import JOIN, PARTS, Kept
from benchmarks.lib.code import code_hash

ROOT = Path(__file__).parents[2]
FROZEN = ROOT / "tests" / "frozen" / "zoo.json.xz"
WORK = ROOT / "build" / "frozen"
APART = ("zoo", "locate")  # parts of which two processes may each take some
ALWAYS = (  # pairs that every sample holds
    "llama-a | llama-b",
    "llama-a | llama-a-ft1",
    "llama-a | llama-a-int4",
    "llama-a | llama-a-rotated",
    "llama-a-sorted | llama-b-sorted",
    "gpt-a | gpt-a-width",
    "vit-a | vit-b",
    "moe-a | moe-a-experts",
)
Records = dict[str, dict[str, Kept]]  # by part and key


@cache
def frozen() -> Records:
    """The kept records."""
    records: Records = json.loads(lzma.decompress(FROZEN.read_bytes()))["parts"]
    return records


def compute(wanted: Sequence[tuple[str, str]], *, workers: int = 1) -> Iterator[tuple[str, str]]:
    """Make the records that are not there yet; yields the part and key of each when it is."""
    done = {(part, key) for part, of in computed().items() for key in of}
    left = [x for x in wanted if x not in done]
    WORK.mkdir(parents=True, exist_ok=True)
    with _work_file().open("a", encoding="utf-8") as file:
        for part, key, record in _made(left, workers):
            file.write(json.dumps([part, key, record]) + "\n")
            file.flush()
            yield part, key


def computed() -> Records:
    """What this code has made so far; half a line that a kill left is passed over."""
    found: Records = {part: {} for part in PARTS}
    if _work_file().exists():
        for line in _work_file().read_text(encoding="utf-8").split("\n"):
            if line.endswith("]"):
                part, key, record = json.loads(line)
                found[part][key] = record
    return found


def compare(wanted: Iterable[tuple[str, str]], records: Records) -> list[Move]:
    """Hold the records of some keys against the kept ones."""
    kept = frozen()
    found = []
    for part, key in wanted:
        found += frozen_moves.moves(part, key, kept[part].get(key, {}), records[part][key])
    return found


def sample(n: int, seed: str) -> list[tuple[str, str]]:
    """Some pairs of the zoo, others with each seed, those of every sample, and one location."""
    draws = random.Random(seed)
    others = [key for key in PARTS["zoo"].all_keys() if key not in ALWAYS]
    chosen = draws.sample(others, n - len(ALWAYS))
    located = draws.choice(PARTS["locate"].all_keys())
    return [*(("zoo", key) for key in (*ALWAYS, *chosen)), ("locate", located)]


def run() -> list[str]:
    """Compare everything; what moved, with the reason where there is one."""
    wanted = keys(list(PARTS))
    for _ in compute(wanted, workers=os.cpu_count() or 1):
        pass
    return _lines(wanted, compare(wanted, computed()))[0]


def keys(parts: Sequence[str], only: str = "*") -> list[tuple[str, str]]:
    """Part and key of all that is asked for; `only` is a pattern for a key or a name in it."""
    return [
        (part, key)
        for part in parts
        for key in PARTS[part].all_keys()
        if any(fnmatchcase(name, only) for name in (key, *key.split(JOIN)))
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Record or compare."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.claims.frozen",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=["record", "compare"])
    parser.add_argument("--part", action="append", choices=list(PARTS), help="default: all")
    parser.add_argument("--only", default="*", help="pattern for a pair or a model")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--most", type=int, default=frozen_moves.SHOWN, help="moves shown a field")
    given = parser.parse_args(arguments)
    parts = given.part or list(PARTS)
    if given.action == "record" and given.only != "*":
        parser.error("record takes whole parts, so no --only")
    wanted = keys(parts, given.only)
    if not wanted:
        parser.error(f"--only {given.only}: no record of {', '.join(parts)} has such a name")
    for n, (part, key) in enumerate(compute(wanted, workers=given.workers), 1):
        print(f"\r{n} new records; last: {part} {key}"[:100].ljust(100), end="", file=sys.stderr)
    print(file=sys.stderr)
    if given.action == "record":
        _write(parts)
        return 0
    told, is_equal = _lines(wanted, compare(wanted, computed()), given.most)
    print("\n".join(told))
    return 0 if is_equal else 1


def _made(left: Sequence[tuple[str, str]], workers: int) -> Iterator[tuple[str, str, Kept]]:
    alone = [x for x in left if workers == 1 or x[0] not in APART]
    together = [x for x in left if x not in set(alone)]
    if together:
        with ProcessPoolExecutor(workers) as pool:
            for future in as_completed([pool.submit(_one, *x) for x in together]):
                yield future.result()
    for part, key in alone:
        yield _one(part, key)


def _one(part: str, key: str) -> tuple[str, str, Kept]:
    return part, key, PARTS[part].take(key)


@cache
def _work_file() -> Path:
    """Named after all that decides the records, as it was when this process began."""
    code = code_hash(frozen_records.__name__, library=Path(weightkin.__file__).parent)
    return WORK / f"{code}-numpy{np.__version__}-scipy{scipy.__version__}.jsonl"


def _write(parts: Sequence[str]) -> None:
    """Replace the records of some parts."""
    data = json.loads(lzma.decompress(FROZEN.read_bytes())) if FROZEN.exists() else {}
    made = computed()
    home = Path(weightkin.__file__).parent
    asked = ["git", "rev-parse", "--short", "HEAD"]
    said = subprocess.run(asked, cwd=home, capture_output=True, text=True, check=False)
    by = f"weightkin {weightkin.__version__}, Python {platform.python_version()}"
    by += f", numpy {np.__version__}, scipy {scipy.__version__}"
    when = f"{datetime.now(UTC):%Y-%m-%d}, commit {said.stdout.strip() or 'unknown'}, {by}"
    data.setdefault("made", {}).update(dict.fromkeys(parts, when))
    ordered = {part: {key: made[part][key] for _, key in keys([part])} for part in parts}
    data.setdefault("parts", {}).update(ordered)
    text = json.dumps(data, separators=(",", ":"))
    FROZEN.parent.mkdir(parents=True, exist_ok=True)
    FROZEN.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


def _lines(
    wanted: Sequence[tuple[str, str]], found: Sequence[Move], most: int = frozen_moves.SHOWN
) -> tuple[list[str], bool]:
    """What is said of a comparison, and whether all of it is explained."""
    unexplained, explained = frozen_moves.sort_out(found, frozen_moves.accepted())
    n_moved = len({(x.part, x.key) for x in found})
    told = [f"{len(wanted)} records compared, {len(wanted) - n_moved} equal.", ""]
    told += frozen_moves.lines(unexplained, most) or ["Nothing moved without a reason."]
    is_whole = len(wanted) == len(keys(list(PARTS)))
    for change, those in explained:
        n = len({x.key for x in those})
        if n or is_whole:  # of a part, nobody knows whether it is needed elsewhere
            told.append(f"accepted in {n} records ({change.field} of {change.of}): {change.reason}")
    return told, not unexplained


if __name__ == "__main__":
    sys.exit(main())
