"""Sources as they are named on a command line: models, or one folder of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from weightkin.text import counted, unreadable

MOST_FOUND = 10_000  # models in one folder
Note = Callable[[str], None]


def named(sources: list[str], *, is_recursive: bool = False, note: Note | None = None) -> list[str]:
    """The sources, or instead of a folder of models every model directly inside.

    An adapter beside its base is that base with the adapter merged in. Models that lie one folder
    deeper, as in ORG/NAME, count if ``is_recursive``; else they are left out, with a ``note``. Of
    several sources a folder that may be a model is that model alone.
    """
    if len(sources) == 1:
        return _named(sources[0], note, is_recursive=is_recursive)
    return [x for source in sources for x in _one_of_many(source, note, is_recursive=is_recursive)]


def _one_of_many(source: str, note: Note | None, *, is_recursive: bool) -> list[str]:
    """A source; for a folder without files of weights the models inside, if there are any."""
    from weightkin.formats.finder import holds_model, models_in

    try:
        folder = Path(source)
        if "\0" in source or not folder.is_dir() or holds_model(folder):
            return [_with_base(source)]
        found = models_in(folder)
        if not any(x.is_dir() for x in found.models) and not (is_recursive and found.deeper):
            return [_with_base(source)]  # what is wrong with it is said beside the others
    except OSError:
        return [source]
    return _named(source, note, is_recursive=is_recursive)


def _named(source: str, note: Note | None, *, is_recursive: bool) -> list[str]:
    from weightkin.formats.finder import models_in
    from weightkin.formats.table import suffixes

    folder = Path(source)
    try:
        if not source or "\0" in source or not folder.is_dir():
            return [_with_base(source)]
        found = models_in(folder)
    except OSError as error:
        raise unreadable(folder, f"cannot be listed ({error.strerror})") from None
    inside, deeper = list(found.models), list(found.deeper)
    if is_recursive:
        below = [x for x in deeper if x.parent not in inside]  # no parts of a model
        inside, deeper = sorted({*inside, *below}), []
    if len(inside) > MOST_FOUND:
        raise unreadable(folder, f"more than {MOST_FOUND:,} models; name fewer folders")
    left_out = _left_out(deeper)
    if not inside:
        what = f"no model among {counted(found.n_entries, 'entry')}"
        advice = f"supported are {', '.join(suffixes())} and folders of them"
        if deeper:
            advice = f"{left_out}: use --recursive"
        raise unreadable(folder, f"{what}; {advice}")
    if deeper and note is not None:
        note(f"{left_out}: use --recursive to include {'it' if len(deeper) == 1 else 'them'}")
    return [_with_base(str(x)) for x in inside]


def _left_out(deeper: Sequence[Path]) -> str:
    from weightkin.report.terminal import printable
    from weightkin.text import counted

    if not deeper:
        return ""
    n = counted(len(deeper), "model")
    return f"{n} one folder deeper not read (such as {printable(str(deeper[0]))})"


def _with_base(source: str) -> str:
    """``base+adapter`` for an adapter whose base lies beside it."""
    from weightkin.formats.adapter import base_beside

    base = base_beside(Path(source)) if "\0" not in source else None
    return source if base is None else f"{base}+{source}"
