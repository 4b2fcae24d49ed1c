"""Which units and tokens are read: drawn by bytes unknown before both models were fixed.

The places of a run follow from the bytes, the digests of the two models, and the kind of axis (of a
second run the block too), by a keyed hash; so do the tokens through which units are seen. Whoever
knows the bytes before he fixes his model can fit it to them; then the draw is worth nothing
(`records.Challenge` says who drew them).
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from weightkin.anatomy.side import Side, tested_axes
from weightkin.anatomy.types import Axis
from weightkin.evidence.plan import Run
from weightkin.evidence.windows import largest_window
from weightkin.records.accounting import Challenge

N_BYTES = 16
AxisName = tuple[str, str, int, str]  # kind, stack, block, name


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of two axes that are paired: units of the smaller and the larger one, and common cells."""

    least: int
    most: int
    cell: int  # units inside which any order is allowed; 0: all

    @property
    def differ(self) -> bool:
        """Whether units were dropped: then the order of the others is tested."""
        return self.least != self.most and not self.cell


@dataclass(frozen=True)
class Draws:
    """Fresh bytes, and the two models whose sample they draw.

    Attributes
    ----------
    nonce : bytes
        16 bytes.
    names : str
        Digests of the two models, in either order the same.
    sizes : mapping
        Sizes of the axes of both models that are paired by name.
    """

    nonce: bytes
    names: str
    sizes: Mapping[AxisName, Sizes] = field(default_factory=dict)

    def between(self, a: Side, b: Side) -> Draws:
        """The same bytes for two models, or parts of them, whose axes are paired by name."""
        own = [{_name(x): x for x in tested_axes(side.anatomy)} for side in (a, b)]
        found = {name: _sizes(own[0][name], own[1][name]) for name in own[0].keys() & own[1].keys()}
        return replace(self, sizes=found)

    def share(self, what: str) -> float:
        """A number from 0 on, below 1: uniform for whoever does not know the bytes."""
        text = "\0".join(("weightkin sample", self.names, what)).encode()
        return (
            int.from_bytes(hmac.new(self.nonce, text, hashlib.sha256).digest()[:6], "big") / 2**48
        )

    def first(self, axis: Axis, n: int) -> Run:
        """The first run of an axis: at one place in all blocks, so that blocks may have moved.

        Parameters
        ----------
        axis : Axis
            Of either model.
        n : int
            Units to read; where sizes differ twice as many of the smaller model, and of the larger
            one those that these come from.

        Returns
        -------
        Run
            As far along in both models.
        """
        size = self._size(axis)
        return _scaled(self._drawn(size, n, axis.kind, None), size, axis)

    def second(self, axis: Axis, n: int, n_first: int, what: str) -> Run:
        """Another run, of units that the first one does not hold.

        Parameters
        ----------
        axis : Axis
            Of either model.
        n, n_first : int
            Units of this run, as far as so many are left, and of the first one.
        what : str
            What it is drawn for, the same for both models.

        Returns
        -------
        Run
            As far along in both models.
        """
        size = self._size(axis)
        first = self._drawn(size, n_first, axis.kind, None)
        return _scaled(self._drawn(size, n, f"{axis.kind} {what}", first), size, axis)

    def _size(self, axis: Axis) -> Sizes:
        own = Sizes(axis.n_units, axis.n_units, axis.head_size)
        return self.sizes.get(_name(axis), own)

    def _drawn(self, size: Sizes, n: int, what: str, first: Run | None) -> Run:
        """A run of the smaller of two axes, beside the first one."""
        n = min(2 * n if size.differ else n, size.least)
        step = largest_window(size.cell) if size.cell else 1
        rest = [(0, size.least)]
        if first is not None:
            around = (0, first.start), (first.start + first.n, size.least)
            rest = [(a, b) for a, b in around if b - a >= step] or rest
        n = min(n, max(b - a for a, b in rest))
        starts = sorted({x // step * step for a, b in rest for x in _starts(a, b, n)})
        return Run(starts[int(self.share(what) * len(starts))], n)


def fresh() -> Challenge:
    """Bytes that nobody could know before."""
    return Challenge(drawn="own", hex=secrets.token_bytes(N_BYTES).hex(), binding="partial")


def pinned(seed: int) -> Challenge:
    """Bytes that follow from a seed: anybody may know them."""
    return Challenge(drawn="seed", hex=_bytes(f"seed {seed}".encode()).hex(), binding="partial")


def joint(one: bytes, other: bytes) -> Challenge:
    """Bytes of two parties, in either order the same: nobody chose the result."""
    first, second = sorted((one, other))
    digest = _bytes(b"joint" + len(first).to_bytes(8, "big") + first + second)
    return Challenge(drawn="joint", hex=digest.hex(), binding="partial")


def beacon(output: bytes) -> Challenge:
    """Bytes from what a public source of randomness published after both models were fixed."""
    return Challenge(drawn="beacon", hex=_bytes(b"beacon" + output).hex(), binding="partial")


def _bytes(text: bytes) -> bytes:
    return hashlib.sha256(b"weightkin challenge\0" + text).digest()[:N_BYTES]


def _starts(first: int, stop: int, n: int) -> Iterator[int]:
    """Runs side by side that hold every unit from ``first`` on; the last one ends at ``stop``."""
    if stop - first >= n:
        yield from range(first, stop - n, n)
        yield stop - n


def _scaled(run: Run, size: Sizes, axis: Axis) -> Run:
    """As far along in an axis as a run of the smaller one."""
    if not size.differ or axis.n_units == size.least:
        return run
    ratio = axis.n_units / size.least
    start = math.floor(run.start * ratio)
    return Run(start, min(axis.n_units, math.ceil((run.start + run.n) * ratio)) - start)


def _sizes(x: Axis, y: Axis) -> Sizes:
    sizes = x.n_units, y.n_units
    return Sizes(min(sizes), max(sizes), math.gcd(x.head_size, y.head_size))


def _name(axis: Axis) -> AxisName:
    return axis.kind, axis.stack, axis.block, axis.name
