"""What was worked out of an open model, for as long as its files can be seen to be the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from weightkin.formats.model import Model

T = TypeVar("T")


class KnownOf(Generic[T]):
    """Values by open model and key; they go with the model."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Model, dict[str, tuple[tuple[str, ...], T]]] = (
            WeakKeyDictionary()
        )

    def once(self, model: Model, key: str, make: Callable[[], T]) -> T:
        """What is known, or what is made now; always made where no file says that it is the same.

        Files are looked at before anything is read, so what changes under the reader is read again.
        """
        stamps = model.storage.stamps
        if not stamps:
            return make()
        known = self._known.setdefault(model, {})
        if key not in known or known[key][0] != stamps:
            known[key] = stamps, make()
        return known[key][1]
