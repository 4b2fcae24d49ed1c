"""What was found of the heads of two models: which were compared, and which changed their basis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from weightkin.anatomy.types import Axis
from weightkin.arrays import Floats, Ints

MIN_REBASED_SHARE = 0.1  # share of all heads from which it is named
Part = Literal["values", "keys"]
FACTORS: Mapping[Part, tuple[str, str]] = {
    "values": ("attn.v", "attn.o"),
    "keys": ("attn.k", "attn.q"),
}
KINDS: Mapping[Part, str] = {"values": "values-rebased", "keys": "keys-rebased"}


class Settled(NamedTuple):
    """A matrix of heads that were compared, none of which is in another basis."""

    a: str  # tensors that hold it
    b: str
    role: str


@dataclass(frozen=True, slots=True)
class HeadBases:
    """Heads of one attention of b that are those of a, some of them in another basis."""

    part: Part
    b: Axis  # its heads
    n_heads: int
    n_rebased: int
    heads_a: Ints
    heads_b: Ints
    matrices: Floats | None  # (n, size, size), V (K) of b by that of a; None: cannot be undone

    @property
    def suffix(self) -> str:
        """Of the name of its attention: empty, or ``.cross``."""
        return self.b.name.removeprefix("heads")


@dataclass(frozen=True, slots=True)
class HeadsLooked:
    """What was found in the attentions that were read.

    Descriptive: nothing here has a null hypothesis.

    Parameters
    ----------
    bases : tuple of HeadBases
        Attentions of b in which some head is in another basis.
    n_axes : int
        Attentions that were read, of which shares are counted.
    settled : frozenset of Settled
        Matrices of both factors of every part that was compared and is not among ``bases``: where
        they share nothing, they are not the same heads in another basis. Empty: nothing is known.
    """

    bases: tuple[HeadBases, ...] = ()
    n_axes: int = 0
    settled: frozenset[Settled] = frozenset()


def named_bases(looked: HeadsLooked) -> tuple[list[str], dict[str, float]]:
    """Kinds of changed bases, and the share of all heads looked at that have one."""
    kinds, details = [], {}
    for part, kind in KINDS.items():
        shares = [x.n_rebased / x.n_heads for x in looked.bases if x.part == part]
        share = sum(shares) / max(1, looked.n_axes)
        if share >= MIN_REBASED_SHARE:
            kinds.append(kind)
            details[f"share_rebased_{part}"] = round(share, 4)
    return kinds, details


def of_values(looked: HeadsLooked) -> set[tuple[str, int, str]]:
    """V/O dimensions of b whose basis changed: their order, signs and scales mean nothing.

    Parameters
    ----------
    looked : HeadsLooked
        What was found in the heads of b.

    Returns
    -------
    set of (str, int, str)
        Stack, block and name of their axis, ``vo`` or ``vo.cross``; empty where nothing changed.
    """
    values = (x for x in looked.bases if x.part == "values")
    return {(x.b.stack, x.b.block, f"vo{x.suffix}") for x in values}
