"""From the nodes of an ONNX file to a graph, with sizes that fit where the file says none."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from weightkin.anatomy.onnx.build import Builder
from weightkin.anatomy.onnx.reading import Reading
from weightkin.anatomy.onnx.sizes import CHOICES
from weightkin.formats.model import TensorInfo
from weightkin.formats.onnx_network import Network

MAX_SECONDS = 4.0  # for sizes that fit better than the first ones


def best_reading(network: Network, tensors: Mapping[str, TensorInfo]) -> Reading | None:
    """The reading of a network in which the fewest nodes are not understood; None without one."""
    start = time.monotonic()
    best = _best(network, tensors, None, start)
    if best is not None and best.failures and best.has_sides:
        sides = [_best(network, tensors, side, start) for side in (0, 1)]
        if all(sides) and sum(len(x.failures) for x in sides if x) < len(best.failures):
            best = _joined([x for x in sides if x])
    return best


def _best(
    network: Network, tensors: Mapping[str, TensorInfo], side: int | None, start: float
) -> Reading | None:
    """The reading with sizes that fit best."""
    best: Reading | None = None
    for choice in CHOICES:
        reading = Reading(network, Builder(tensors), choice, side)
        if not reading.run():
            return None
        if best is None or len(reading.failures) < len(best.failures):
            best = reading
        if best and (not best.failures or time.monotonic() - start > MAX_SECONDS):
            break
    return best


def _joined(sides: Sequence[Reading]) -> Reading:
    """Both sides of a network that does one thing or another, each with sizes of its own."""
    last, failures = sides[0], list(sides[0].failures)
    for side in sides[1:]:
        both = Reading(last.network, last.b, side.choice, side.side)
        both.run()
        both.inputs += last.inputs
        both.outputs += last.outputs
        last, failures = both, failures + both.failures
    last.failures = failures
    return last
