"""Axes relabelled at random, entry by entry as the documentation of places says."""

import numpy as np


def order_of(axis, rng):
    """A random order of the units, inside cells where it has any."""
    n = axis.head_size or axis.n_units
    return np.concatenate([start + rng.permutation(n) for start in range(0, axis.n_units, n)])


def positions(axis, place, unit):
    """Where one unit stands along the dimension of a place."""
    size = axis.head_size or axis.n_units
    cell, j = divmod(unit, size)
    block = axis.n_units * place.repeat
    for o in range(place.outer):
        for r in range(place.repeat):
            at = (cell * place.repeat + r) * size + j
            yield from (
                place.start + (o * block + at) * place.inner + i for i in range(place.inner)
            )


def moved(axis, shapes, rng):
    """For every tensor of an axis: which entry of the flattened tensor goes where."""
    order = order_of(axis, rng)
    found = {}
    for place in axis.places:
        n = int(np.prod(shapes[place.tensor]))
        before = found.get(place.tensor, np.arange(n)).reshape(shapes[place.tensor])
        after = before.copy()
        source, target = (
            np.moveaxis(x if place.index is None else x[place.index], place.dim, 0)
            for x in (before, after)
        )
        for unit, old in enumerate(order):
            for a, b in zip(positions(axis, place, unit), positions(axis, place, int(old)),
                            strict=True):  # fmt: skip
                target[a] = source[b]
        found[place.tensor] = after.reshape(-1)
    return found
