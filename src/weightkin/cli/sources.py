"""Sources as they are named on a command line: models, or one folder of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from weightkin.errors import UnreadableModel


def named(sources: list[str]) -> list[str]:
    """The sources, or instead of a folder of models every model directly inside.

    An adapter beside its base is that base with the adapter merged in. Models that lie deeper are
    left out, and that is said. Of several sources a folder that may be a model is that model alone.
    """
    if len(sources) == 1:
        return _named(sources[0])
    return [x for source in sources for x in _one_of_many(source)]


def _one_of_many(source: str) -> list[str]:
    """A source; for a folder without files of weights the models inside, if there are any."""
    from weightkin.formats.finder import holds_model

    try:
        folder = Path(source)
        if "\0" in source or not folder.is_dir() or holds_model(folder):
            return [_with_base(source)]
        if not any(holds_model(x) for x in folder.iterdir() if x.is_dir()):
            return [_with_base(source)]  # what is wrong with it is said beside the others
    except OSError:
        return [source]
    return _named(source)


def _named(source: str) -> list[str]:
    from weightkin.formats.finder import models_in
    from weightkin.formats.table import suffixes

    folder = Path(source)
    try:
        if not source or "\0" in source or not folder.is_dir():
            return [_with_base(source)]
        found = models_in(folder)
    except OSError as error:
        raise UnreadableModel(f"{folder}: cannot be listed ({error.strerror})") from None
    left_out = _left_out(found.deeper)
    if not found.models:
        said = f"found no model among {found.n_entries} entries"
        said += f" ({left_out})" if found.deeper else ""
        wanted = f"subfolders with weights, or files ending in {', '.join(suffixes())}"
        raise UnreadableModel(f"{folder}: {said}, expected {wanted}")
    if found.deeper:
        print(f"weightkin: {left_out}: name their folder to see them", file=sys.stderr)
    return [_with_base(str(x)) for x in found.models]


def _left_out(deeper: Sequence[Path]) -> str:
    from weightkin.report.terminal import printable

    if not deeper:
        return ""
    count = "1 model lies" if len(deeper) == 1 else f"{len(deeper)} models lie"
    return f"{count} one level deeper, not read, such as {printable(str(deeper[0]))}"


def _with_base(source: str) -> str:
    """``base+adapter`` for an adapter whose base lies beside it."""
    from weightkin.formats.adapter import base_beside

    base = base_beside(Path(source)) if "\0" not in source else None
    return source if base is None else f"{base}+{source}"
