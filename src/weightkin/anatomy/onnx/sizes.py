"""Sizes for the dimensions that a graph leaves open: batch, length, height, width.

Any sizes that the network takes are right, since only its weights matter. Different ones are kept
apart by numbers that nothing else has; pictures are multiples of what networks shrink them by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

from weightkin.anatomy.onnx.build import Shape
from weightkin.formats.onnx_network import Size

LENGTHS = (61, 67, 71, 73, 79, 83)  # of sequences of tokens
FRAMES = (131, 137, 139, 149)  # of features in a row
SAMPLES = (16384, 20480, 24576)  # of a signal
SIDES = (224, 256, 288, 320)  # of a picture
VOLUME = (17, 64, 96)  # frames, height, width of a film
PASTS = ("past", "cache", "memory")  # in the name of what was computed before


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to choose sizes."""

    batch: int = 2
    lengths: tuple[int, ...] = LENGTHS
    frames: tuple[int, ...] = FRAMES
    samples: tuple[int, ...] = SAMPLES
    sides: tuple[int, ...] = SIDES


CHOICES = (  # tried in this order, until one fits everywhere
    Choice(),
    Choice(batch=1),
    Choice(1, LENGTHS[:1], FRAMES[:1], SAMPLES[:1], SIDES[1:2]),
    Choice(1, (64,), (1024,), (512,), (512,)),
    Choice(1, (32,), (256,), (256,), (128,)),
    Choice(1, (1,), (1,), (1536,), (640,)),
    Choice(1, (40,), (100,), (16000,), (48, 320)),  # lines of text
)


def shapes_of(
    inputs: Mapping[str, tuple[Size, ...] | None], integers: Set[str], choice: Choice
) -> tuple[dict[str, Shape | None], dict[str, int]]:
    """Shapes of the inputs, and the size chosen for each name of a dimension."""
    chosen: dict[str, int] = {}
    pools = {
        name: iter(_endless(getattr(choice, name)))
        for name in ("lengths", "frames", "samples", "sides")
    }
    for name, sizes in inputs.items():
        for dim, size in enumerate(sizes or ()):
            if isinstance(size, str) and "+" not in size:
                kind = _kind(name, sizes or (), dim, is_integer=name in integers)
                if size not in chosen:
                    chosen[size] = choice.batch if kind == "batch" else next(pools[kind])
    return {
        name: None if sizes is None else tuple(number_of(x, chosen) for x in sizes)
        for name, sizes in inputs.items()
    }, chosen


def number_of(size: Size, chosen: Mapping[str, int]) -> int:
    """The number for a size: one that is given or chosen, or a sum of such; else 0."""
    if isinstance(size, int):
        return size
    if size in chosen:
        return chosen[size]
    parts = [part.strip() for part in size.split("+")]
    numbers = [int(x) if x.isascii() and x.isdigit() else chosen.get(x, 0) for x in parts]
    return sum(numbers[:8]) if all(numbers) and len(parts) > 1 else 0


def _kind(name: str, sizes: tuple[Size, ...], dim: int, *, is_integer: bool) -> str:
    size, rank = str(sizes[dim]), len(sizes)
    is_state = rank == 3 and dim == 1 and isinstance(sizes[0], int)  # one for each layer
    if dim == 0 or "batch" in size or is_state:
        return "batch"
    if is_integer or any(word in f"{name} {size}" for word in PASTS):
        return "lengths"
    if rank == 2:
        return "samples"
    if rank == 3:
        is_signal = dim == 2 and sizes[1] == 1
        return "samples" if is_signal else "frames"
    is_long = "seq" in size or "length" in size or size == "time"
    return "lengths" if is_long and rank == 4 else "sides"


def _endless(numbers: tuple[int, ...]) -> Iterator[int]:
    yield from numbers
    while True:
        yield numbers[-1]
