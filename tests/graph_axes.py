"""Models whose axes come from a graph, without one: axes with cells, in runs, several times."""

import numpy as np

from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Anatomy, Axis, Place
from weightkin.evidence.confirm import Draw
from weightkin.evidence.ladder import run_stages
from weightkin.evidence.sample import make_plan
from weightkin.formats import model_from_arrays


def axis(n, *places, cell=0, block=0, name="units", labels=None):
    return Axis(
        name=name, kind="units", stack="graph", block=block, n_units=n, group="",
        labels=labels or f"graph.{block}.{name}", places=places, head_size=cell,
    )  # fmt: skip


def place(tensor, dim, size, role="w:0", start=0, **more):
    return Place(tensor, dim, start, size, role, **more)


def anatomy(*axes):
    return Anatomy("graph", (("graph", len({x.block for x in axes})),), axes, ())


def side(arrays, *axes):
    return Side(model_from_arrays(arrays), anatomy(*axes))


def stages(a, b, alpha=1e-6, **more):
    plan = make_plan((a.model, a.anatomy), (b.model, b.anatomy))
    return run_stages(Draw(a, b, plan, 0), alpha, **more).stages


def gaussian(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def grouped_net(n=40, cell=10, blocks=2, width=12):
    """Blocks of two convolutions around channels that a norm takes in groups."""
    return [
        axis(n, place(f"{i}.in", 0, n), place(f"{i}.out", 1, n, "w:1"), place(f"{i}.norm", 0, n,
             "b:2"), cell=cell, block=i)
        for i in range(blocks)
    ]  # fmt: skip


def grouped_weights(rng, n=40, blocks=2, width=12):
    found = {}
    for i in range(blocks):
        found |= {
            f"{i}.in": gaussian(rng, n, width, 3, 3),
            f"{i}.out": gaussian(rng, width, n, 3, 3),
            f"{i}.norm": 1 + 0.1 * gaussian(rng, n),
        }
    return found
