"""Arguments of the public verbs, checked at the door: one line says what is wrong with one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, get_args

from weightkin.compute import Execution
from weightkin.errors import UsageError
from weightkin.records.accounting import Effort

MOST_SEED = 1 << 63
MOST_WORKERS = 1024


def check_alpha(alpha: Any) -> float:
    """A level of significance: a number between 0 and 1."""
    is_number = isinstance(alpha, float | int) and not isinstance(alpha, bool)
    if not is_number or not math.isfinite(alpha) or not 0 < alpha < 1:
        raise UsageError(f"alpha must be a number between 0 and 1, not {_shown(alpha)}")
    return float(alpha)


def check_seed(seed: Any) -> int:
    """A seed: a whole number from 0 on."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < MOST_SEED:
        raise UsageError(f"seed must be a whole number from 0 on, not {_shown(seed)}")
    return seed


def check_effort(effort: Any) -> Effort:
    """How much is looked at."""
    return check_choice("effort", effort, Effort)  # type: ignore[no-any-return]


def check_choice(name: str, value: Any, known: Any) -> Any:
    """One of the texts of a `Literal`.

    Parameters
    ----------
    name : str
        The argument's, for the error.
    value : object
        What was given.
    known : Literal
        Its texts are allowed.

    Returns
    -------
    str
        The value.

    Raises
    ------
    UsageError
        It is none of the texts.
    """
    if not isinstance(value, str) or value not in get_args(known):
        wanted = ", ".join(map(repr, get_args(known)))
        raise UsageError(f"{name} must be one of {wanted}, not {_shown(value)}")
    return value


def check_count(name: str, value: Any, most: int | None = None, least: int = 0) -> int:
    """A number of things: whole, and not too large.

    Parameters
    ----------
    name : str
        The argument's, for the error.
    value : object
        What was given.
    most, least : int
        Inclusive bounds; ``most`` None for no upper bound.

    Returns
    -------
    int
        The value.

    Raises
    ------
    UsageError
        It is no whole number (a truth value is none) or out of bounds.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"{name} must be a whole number from {least} on, not {_shown(value)}")
    if most is not None and value > most:
        raise UsageError(f"{name} must be at most {most}, not {_shown(value)}")
    return value


def check_kind(name: str, value: Any, kind: Any, words: str) -> Any:
    """A value of a type, or of one of a union.

    Parameters
    ----------
    name : str
        The argument's, for the error.
    value : object
        What was given.
    kind : type or union
        A truth value is no ``int``.
    words : str
        Names the type in the error, with its article.

    Returns
    -------
    object
        The value.

    Raises
    ------
    UsageError
        It is of another type.
    """
    is_right = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
    if not is_right:
        raise UsageError(f"{name} must be {words}, not {_shown(value)}")
    return value


def check_flag(name: str, value: Any) -> bool:
    """A truth value."""
    return bool(check_kind(name, value, bool, "True or False"))


def check_path(name: str, value: Any) -> Path:
    """A path on this machine, as a text or a path."""
    if isinstance(value, PathLike):
        value = value.__fspath__()
    if not isinstance(value, str) or not value or "\0" in value:
        raise UsageError(f"{name} must be a path, not {_shown(value)}")
    return Path(value)


def check_paths(name: str, values: Any) -> Sequence[str | Path]:
    """Several sources by name; one text is not several."""
    if isinstance(values, str | bytes | PathLike) or not isinstance(values, Sequence):
        raise UsageError(f"{name} must be a list of sources, not {_shown(values)}")
    for value in values:
        if not isinstance(value, str | PathLike):
            raise UsageError(f"{name} must hold paths or names on a hub, not {_shown(value)}")
    return values


def check_execution(execution: Any) -> Execution:
    """Where work runs: at least one worker here, or a cluster."""
    check_kind("execution", execution, Execution, "an Execution")
    check_count("workers", execution.workers, MOST_WORKERS, least=1)
    if execution.cluster is not None:
        check_kind("cluster", execution.cluster, str, "the address of a dask scheduler")
        if execution.workers > 1:
            raise UsageError("workers and cluster exclude each other")
    if execution.progress is not None and not callable(execution.progress):
        raise UsageError(f"progress must be a function, not {_shown(execution.progress)}")
    return execution  # type: ignore[no-any-return]


def check_new_file(path: Path) -> Path:
    """A file to be written, which must not be there yet."""
    if path.exists():
        raise UsageError(f"{path}: already exists and is not overwritten")
    return path


def _shown(value: Any) -> str:
    """A value on one line: itself where it is small, else its type."""
    if value is None or isinstance(value, bool | int | float | str | bytes | PathLike):
        return repr(value)[:80]
    if isinstance(value, list | tuple | dict | set) and not value:
        return repr(value)
    return f"a {type(value).__name__}"
