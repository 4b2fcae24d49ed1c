"""Which tensor of a base an adapter changes, whatever prefix the base or the adapter has."""

from __future__ import annotations

from pathlib import PurePath

from weightkin.errors import UnreadableModel
from weightkin.formats.model import Model
from weightkin.text import located, quoted

MAX_DOTS = 8  # at which a prefix of a name may end


class Targets:
    """The base's tensors, by their names and by all endings of these."""

    def __init__(self, base: Model, file: PurePath) -> None:
        self.base, self.file = base, file
        self.by_ending: dict[str, list[str]] = {}
        for name in base.tensors:
            for ending in _endings(name):
                self.by_ending.setdefault(ending, []).append(name)

    def of(self, name: str) -> str:
        """The same name, or the only one under a longer or shorter prefix."""
        if name in self.base.tensors:
            return name
        near: list[str] = [x for x in _endings(name) if x in self.base.tensors]
        near += self.by_ending.get(name, [])
        if len(near) != 1:
            raise UnreadableModel(
                f"{located(self.file)}: found a delta of {quoted(name)}, which {self.base.name} "
                "does not have, expected the base it was trained on"
            )
        (target,) = near
        return target


def _endings(name: str) -> list[str]:
    """What stands behind each of the first dots of a name."""
    parts = name.split(".", MAX_DOTS)
    return [".".join(parts[i:]) for i in range(1, len(parts))]
