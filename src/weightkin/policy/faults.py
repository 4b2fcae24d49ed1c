"""What goes wrong inside one model at the gate is said of that model; the others are still told."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from weightkin.errors import UnreadableModel, WeightkinError
from weightkin.text import shown

T = TypeVar("T")


def tried(source: str, act: Callable[[], T]) -> T | WeightkinError:
    """Return what ``act`` does with one model, or the error that says why it could not."""
    try:
        return act()
    except WeightkinError as error:
        return error
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"in {Path(last.filename).name}, line {last.lineno}"
        if isinstance(error, MemoryError):
            why = f"out of memory {where}: {str(error) or 'it needs more than there is'}"
        elif isinstance(error, RecursionError):
            why = f"nested too deeply to be read ({where})"
        else:
            why = f"a bug in weightkin ({type(error).__name__} {where})"
        return UnreadableModel(f"{shown(source)}: not checked: {why}")
