"""Which models an adapter fits, by the names and shapes of what it changes: no more than that.

Every fine-tune of a base has its names and shapes, so that an adapter fits all of them; on which it
was trained does not show.
"""

from __future__ import annotations

from weightkin.errors import AdapterAlone, UnreadableModel
from weightkin.formats.adapter import Adapter
from weightkin.formats.model import Model
from weightkin.formats.source import open_adapter, open_model
from weightkin.text import counted, shown


def n_changed(base: Model, adapter: Adapter) -> int:
    """How many tensors of a model an adapter changes; 0 where it does not fit."""
    try:
        return len(adapter.recipes(base)[0])
    except UnreadableModel:
        return 0


def with_fit(error: AdapterAlone, a: object, b: object) -> AdapterAlone:
    """The error about an adapter in the place of a model, with whether it fits the other one.

    Parameters
    ----------
    error : AdapterAlone
        What was raised.
    a, b : object
        Two sources, one of which is an adapter.

    Returns
    -------
    AdapterAlone
        The error itself where the other one is no source that can be opened.
    """
    for own, other in ((a, b), (b, a)):
        try:
            adapter = open_adapter(str(own))
            base = other if isinstance(other, Model) else open_model(str(other))
        except UnreadableModel:
            continue
        try:
            n = len(adapter.recipes(base)[0])
        except UnreadableModel as why:
            return AdapterAlone(f"{error}; it does not fit {shown(base.name)}: {why}")
        said = f"its names and shapes fit {shown(base.name)} ({counted(n, 'tensor')})"
        return AdapterAlone(f"{error}; {said}, as they fit every fine-tune of its base")
    return error
