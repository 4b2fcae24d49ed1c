"""The family graph of many models: the door of `family_graph`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from weightkin.api.arguments import (
    check_alpha,
    check_choice,
    check_execution,
    check_path,
    check_seed,
)
from weightkin.api.models import Source, as_sources
from weightkin.compute import HERE, Execution
from weightkin.derivation.opened import ALPHA
from weightkin.lineage.collection import cache_folder
from weightkin.lineage.family import Method, find_family
from weightkin.records.family import FamilyGraph
from weightkin.sketch import Sketch


def family_graph(
    sources: Sequence[Source | Sketch],
    *,
    alpha: float = ALPHA,
    seed: int = 0,
    method: Method = "weightkin",
    cache: str | Path | None = None,
    execution: Execution = HERE,
) -> FamilyGraph:
    """Find which of many models were derived from which.

    Null hypothesis of every join: the two models come from independent initialisations; alpha is
    divided by the number of pairs, n(n-1)/2. Each edge has the probability of its parent among all
    candidates, a model that is not here among them, and is determined from 0.8 on.

    Parameters
    ----------
    sources : sequence
        Models, sketches, state dicts or what `open_model` takes.
    alpha : float
        Significance level: the chance that any two unrelated models are joined.
    seed : int
        Breaks ties and draws resamples; recorded.
    method : {"weightkin", "mother"}
        ``mother`` is the MoTHer recipe (Horwitz et al. 2025), for comparison.
    cache : str or Path, optional
        Cache folder for sketches; created if it does not exist.
    execution : Execution
        Where models are read, and a function that is called with the progress: before each model
        is sketched, then in each phase of the comparison, counted from 0 again.

    Returns
    -------
    FamilyGraph
        Nodes with none, one or several parents. Models that could not be read are in ``skipped``.

    Raises
    ------
    UsageError
        An argument has a value that it cannot have, or the list is empty.
    UnreadableModel
        None of the models could be read.
    """
    return find_family(
        as_sources("sources", sources, also=(Sketch,)),
        alpha=check_alpha(alpha),
        seed=check_seed(seed),
        method=check_choice("method", method, Method),
        cache=None if cache is None else cache_folder(check_path("cache", cache)),
        execution=check_execution(execution),
    )
