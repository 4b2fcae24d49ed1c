"""What builds and what runs: one line of JSON for each class.

python -m benchmarks.catalogue.built                     one class of each model type
python -m benchmarks.catalogue.built --all               every class
python -m benchmarks.catalogue.built llama UNet2DModel   a library, model types, classes
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.catalogue.classes import ModelClass, all_classes, example_inputs, real, tiny
from benchmarks.lib.bounded import each

SECONDS = 90
GIGABYTES = 12
OUT = Path(__file__).parents[2] / "build" / "catalogue" / "classes.jsonl"


def look_at(own: ModelClass) -> dict[str, Any]:
    """Build one class three times, and run the tiny ones; each step may fail on its own."""
    found: dict[str, Any] = {"class": str(own), "main": own.is_main}
    started = time.perf_counter()
    for which in (0, 1):
        try:
            model = tiny(own, which, 1)
        except Exception as error:
            found[f"tiny{which + 1}"] = (
                f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            )
            continue
        found[f"tiny{which + 1}"] = sum(p.numel() for p in model.parameters())
        try:
            inputs = example_inputs(model)
            found[f"runs{which + 1}"] = {k: _shape(v) for k, v in inputs.items()}
        except Exception as error:
            found[f"runs{which + 1}"] = (
                f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            )
    try:
        found["real"] = sum(p.numel() for p in real(own).parameters())
    except Exception as error:
        found["real"] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    found["seconds"] = round(time.perf_counter() - started, 2)
    return found


def _shape(value: Any) -> Any:
    return list(value.shape) if hasattr(value, "shape") else type(value).__name__


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the report, and a summary to the terminal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.catalogue.built")
    parser.add_argument("names", nargs="*", help="a library, model types or classes")
    parser.add_argument("--all", action="store_true", help="every class, not one of a model type")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args(arguments)
    chosen = all_classes(only_main=not given.all)
    if given.names in (["transformers"], ["diffusers"]):
        chosen = tuple(x for x in chosen if x.library == given.names[0])
    elif given.names:
        chosen = tuple(x for x in all_classes() if {x.name} & set(given.names) or (
            x.is_main and x.kind in given.names))  # fmt: skip
    given.out.parent.mkdir(parents=True, exist_ok=True)
    n = {"tiny1": 0, "tiny2": 0, "real": 0, "runs1": 0, "runs2": 0}
    with given.out.open("w", encoding="utf-8") as out:
        for own, found, why in each(look_at, chosen, seconds=SECONDS, gigabytes=GIGABYTES):
            line = found or {"class": str(own), "main": own.is_main, "failed": why}
            out.write(json.dumps(line) + "\n")
            out.flush()
            for key in n:
                n[key] += isinstance(line.get(key), int | dict)
    print(f"{len(chosen)} classes:", ", ".join(f"{k} {v}" for k, v in n.items()), file=sys.stderr)


if __name__ == "__main__":
    main()
