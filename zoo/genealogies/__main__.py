"""Make the families of a half, pack them into one file, check them against the lock.

    python -m zoo.genealogies grow test          what is missing of a half, one file a family
    python -m zoo.genealogies pack test          one archive of them all, digests in lock.json
    python -m zoo.genealogies check test         whether they are those of lock.json

Growing needs the extra ``[torch]`` and scikit-learn. One family that fails is told and left out;
all others go on. A job that was stopped goes on where it was. Everything lies in
``build/genealogies``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.genealogies.chance import halves, seeds
from zoo.genealogies.draw import draw
from zoo.genealogies.kept import SUFFIX, Kept, KeptFamily, encode, write_archive

BUILD = Path(__file__).parents[2] / "build" / "genealogies"
LOCK = Path(__file__).with_name("lock.json")


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m zoo.genealogies")
    parser.add_argument("what", choices=("grow", "pack", "check"))
    parser.add_argument("halves", nargs="+", choices=tuple(halves()), metavar="HALF")
    given = parser.parse_args()
    for half in given.halves:
        {"grow": grow_half, "pack": pack_half, "check": check_half}[given.what](half)


def grow_half(half: str) -> None:
    """Make every family that is not there yet."""
    folder = BUILD / half
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds(half):
        path = folder / f"{seed}{SUFFIX}"
        if path.exists():
            continue
        started = time.process_time()
        try:
            data = encode(grow(seed))
        except Exception:  # whatever it is, it costs this family alone
            path.with_suffix(".failed").write_text(traceback.format_exc(), encoding="utf-8")
            print(f"{half} {seed}: failed", file=sys.stderr, flush=True)
            continue
        draft = path.with_suffix(".draft")
        draft.write_bytes(data)
        draft.replace(path)
        seconds = time.process_time() - started
        print(f"{half} {seed}: {len(data) / 1e3:.0f} kB, {seconds:.1f} s", flush=True)


def grow(seed: int) -> KeptFamily:
    """The family of a seed, without its hidden members."""
    import torch
    from zoo.genealogies.making import make, named

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    truth = draw(seed)
    made, losses = make(truth)
    members = {}
    for name, member in truth["members"].items():
        if not member["hidden"]:
            folder = named(made[name], member["naming"])
            members[name] = Kept(folder.config, folder.tensors)
    return KeptFamily(truth, losses, members)


def pack_half(half: str) -> None:
    """Put all families of a half into one archive and their digests into the lock."""
    files = {path.name: path.read_bytes() for path in (BUILD / half).glob(f"*{SUFFIX}")}
    write_archive(BUILD / f"{half}.tar", files)
    known = read_lock() | {half: {"truth": truth_digest(half), "families": digests(files)}}
    LOCK.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{half}: {len(files)} families, {sum(map(len, files.values())) / 1e6:.1f} MB")


def check_half(half: str) -> None:
    """Compare the families that are there with the lock."""
    files = {path.name: path.read_bytes() for path in (BUILD / half).glob(f"*{SUFFIX}")}
    known = read_lock().get(half, {}).get("families", {})
    same = sum(known.get(seed) == digest for seed, digest in digests(files).items())
    print(f"{half}: {same} of {len(known)} families are those of the lock, {len(files)} are here")
    if same < len(known):
        sys.exit(1)


def read_lock() -> dict[str, Any]:
    """What is known of each half."""
    return json.loads(LOCK.read_text(encoding="utf-8")) if LOCK.exists() else {}


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """Digest of the contents of each family, by seed."""
    return {
        name.removesuffix(SUFFIX): hashlib.sha256(lzma.decompress(data)).hexdigest()[:16]
        for name, data in sorted(files.items())
    }


def truth_digest(half: str) -> str:
    """Digest of the truths of all seeds of a half."""
    truths = [draw(seed) for seed in seeds(half)]
    return hashlib.sha256(json.dumps(truths, sort_keys=True).encode()).hexdigest()[:16]


if __name__ == "__main__":
    main()
