"""Measure in a fresh process, so that memory and what was imported are its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def fresh(module: str, *arguments: str) -> dict[str, Any]:
    """Run a module of the benchmarks and read the JSON that it prints."""
    found = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    answer: dict[str, Any] = json.loads(found.stdout)
    return answer
