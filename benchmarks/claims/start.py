"""What a command costs before it has anything to do, and small work: CPU seconds, and ratios.

The ratio is to a Python that imports numpy and does nothing, which every command has to do: it says
the same on a fast machine and on a slow one. Compiled modules are at hand, as after a first run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.lib.big_models import Shape, write_model
from benchmarks.lib.tables import markdown

ROOT = Path(__file__).parents[2]
ZOO = ROOT / "zoo" / "models"
N_RUNS = 5
NOTHING = "import numpy"
MAIN = "from weightkin.cli.main import main"
LOADED = f"{MAIN}; import weightkin.api.compare, weightkin.report.comparison"
SMALL = Shape(width=512, hidden=1376, blocks=8, heads=8, kv_heads=8, vocabulary=16000)  # 83 MB
FOUR = ("llama-b", "llama-c", "gpt-a", "llama-distilled")


def run() -> list[str]:
    """One row for each command: median and most of some runs, and their ratio to nothing."""
    with tempfile.TemporaryDirectory() as folder:
        store = ("--registry", str(Path(folder) / "registry.sqlite"))
        four = [str(ZOO / name) for name in FOUR]
        deny = [word for path in four for word in ("--deny", path)]
        known, child, unrelated = _registered(Path(folder))
        commands: list[tuple[str, str, tuple[str, ...]]] = [
            ("`python -c 'import numpy'`", NOTHING, ()),
            ("`weightkin --help`", f"{MAIN}; main()", ("--help",)),
            ("`weightkin --version`", f"{MAIN}; main()", ("--version",)),
            ("`weightkin compare`, before work", LOADED, ()),
            ("`weightkin list`, 4 models", f"{MAIN}; main()", ("list", *store)),
            ("`weightkin show`, 0.7 M parameters", f"{MAIN}; main()", ("show", four[0])),
            ("`weightkin compare`, an unrelated pair", f"{MAIN}; main()", ("compare", *four[:2])),
            ("`weightkin check`, 1 model against 4", f"{MAIN}; main()",
             ("check", str(ZOO / "llama-a"), *deny)),
            ("`weightkin check`, a child of 1 of 4 registered, 83 MB", f"{MAIN}; main()",
             ("check", child, *known)),
            ("`weightkin check`, a model unrelated to 4 registered, 83 MB", f"{MAIN}; main()",
             ("check", unrelated, *known)),
        ]  # fmt: skip
        _cpu(folder, f"{MAIN}; main()", ("add", *four, *store))
        times = []
        for _, script, arguments in commands:
            _cpu(folder, script, arguments)  # compiled
            times.append([_cpu(folder, script, arguments) for _ in range(N_RUNS)])
    nothing = median(times[0])
    rows = [
        (name, f"{median(t):.2f}", f"{max(t):.2f}", f"{median(t) / nothing:.1f}")
        for (name, _, _), t in zip(commands, times, strict=True)
    ]
    head = ("command", "CPU seconds, median", f"most of {N_RUNS}", "times a bare Python with numpy")
    return markdown(head, rows)


def _registered(folder: Path) -> tuple[tuple[str, ...], str, str]:
    """Options that name four registered models and forbid them; a child of one; another model."""
    four = [str(write_model(folder / str(seed), SMALL, seed=seed)) for seed in range(4)]
    child = write_model(folder / "child", SMALL, seed=1, noise_seed=9, noise=0.1)
    unrelated = write_model(folder / "unrelated", SMALL, seed=4)
    store = "--registry", str(folder / "four.sqlite")
    _cpu(str(folder), f"{MAIN}; main()", ("add", *four, *store))
    deny = [word for i in range(1, 5) for word in ("--deny", f"#{i}")]
    return (*store, *deny), str(child), str(unrelated)


def _cpu(folder: str, script: str, arguments: tuple[str, ...]) -> float:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    env |= {"PYTHONPYCACHEPREFIX": folder, "OMP_NUM_THREADS": "1"}
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, env=env, capture_output=True
    )
    if done.returncode not in (0, 1, 2):  # 1: forbidden; 2: a model that tests reach too little of
        raise RuntimeError(done.stderr.decode())
    after = os.times()
    return (
        after.children_user
        - before.children_user
        + (after.children_system - before.children_system)
    )


if __name__ == "__main__":
    print("\n".join(run()))
