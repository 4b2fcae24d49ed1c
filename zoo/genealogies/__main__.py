"""``python -m zoo.genealogies grow HALF``: make the families of a half; pack them into one file.

    python -m zoo.genealogies grow test          what is missing of a half, one file a family
    python -m zoo.genealogies pack test          one archive, and its digest in genealogies.lock

Growing needs the extra ``[torch]`` and scikit-learn. One family that fails is told and left out;
all others go on. A job that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from pathlib import Path

from zoo.genealogies.chance import mix, seeds
from zoo.genealogies.draw import draw
from zoo.genealogies.kept import SUFFIX, Kept, KeptFamily, encode

BUILD = Path(__file__).parents[2] / "build" / "genealogies"


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m zoo.genealogies")
    parser.add_argument("what", choices=("grow",))
    parser.add_argument("halves", nargs="+", choices=tuple(mix()["halves"]), metavar="HALF")
    given = parser.parse_args()
    for half in given.halves:
        grow_half(half, BUILD / half)


def grow_half(half: str, folder: Path) -> None:
    """Make every family that is not there yet."""
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


if __name__ == "__main__":
    main()
