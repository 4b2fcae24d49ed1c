"""An attacker who knows the statistic and its cut, and climbs it by gradient.

`weightkin.evasions.frame` maximises inner products in closed form. Here the stream of an unrelated
model is turned so that the margin itself grows: the mean cosine of the units most alike over what
`weightkin.evidence.arranged` takes an arrangement to reach, with the best partners assigned anew as
it climbs. Needs torch.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy
import torch

from benchmarks.lib.framed import Arrays, Shape
from weightkin.evidence.arranged import reached_by

STEPS = 240
ASSIGN = 20  # steps between two assignments
RATE = 0.02
SHARES = (1.0, 0.5, 0.2)  # of all units, those most alike, that are climbed at first
WRITERS = ("o_proj", "down_proj")


def climbed(shape: Shape, innocent: Arrays, reference: Arrays) -> tuple[Arrays, float]:
    """An unrelated model of random weights, turned and reordered so that its margin is largest.

    Parameters
    ----------
    shape : Shape
        Of both.
    innocent, reference : mapping of str to ndarray
        As `framed.drawn` makes them: gains of one. ``innocent`` may be lined up already.

    Returns
    -------
    tuple
        Its tensors, its function unchanged, and the margin reached on all gates.
    """
    gates = [f"model.layers.{i}.mlp.gate_proj.weight" for i in range(shape.n_blocks)]
    own, theirs = ([_rows(x[name]) for name in gates] for x in (innocent, reference))
    best, most = torch.eye(shape.width), -1.0
    for share in SHARES:
        for turn, margin in _climb(own, theirs, share):
            if margin > most:
                best, most = turn, margin
    rotated = turned(innocent, best.numpy().astype(np.float64))
    for i, name in enumerate(gates):
        order = _partners(_rows(rotated[name]), theirs[i])
        at = f"model.layers.{i}.mlp."
        for role in ("gate", "up"):
            rotated[f"{at}{role}_proj.weight"] = rotated[f"{at}{role}_proj.weight"][order]
        rotated[f"{at}down_proj.weight"] = rotated[f"{at}down_proj.weight"][:, order]
    return rotated, most


def _climb(
    own: list[torch.Tensor], theirs: list[torch.Tensor], share: float
) -> Iterator[tuple[torch.Tensor, float]]:
    """Rotations on the way up, each with the margin under its best partners."""
    width = own[0].shape[1]
    loose = torch.zeros(width, width, requires_grad=True)
    optimiser = torch.optim.Adam([loose], lr=RATE)
    pairs: list[torch.Tensor] = []
    n, n_all = len(own[0]), len(own[0]) * len(own)
    most = torch.ones(n_all)
    for step in range(STEPS + 1):
        turn = torch.matrix_exp(loose - loose.T)
        if step % ASSIGN == 0:
            with torch.no_grad():
                at = [x @ turn for x in own]
                orders = [_partners(x, y) for x, y in zip(at, theirs, strict=True)]
                pairs = [torch.from_numpy(order) for order in orders]
                chance = float(np.median([_chance(x, y) for x, y in zip(at, theirs, strict=True)]))
                rows = np.arange(1.0, n_all + 1)
                found = reached_by(rows, n_all, n_features=width, n_partners=n, chance=chance)
                most = torch.from_numpy(found.astype(np.float32))
                yield turn.clone(), float(_margin(_cosines(at, theirs, pairs), most))
        cosines = _cosines([x @ turn for x in own], theirs, pairs)
        if step < STEPS // 2:  # first as many as asked, then what the statistic looks at
            goal = cosines.topk(max(1, int(share * len(cosines)))).values.mean()
        else:
            goal = _margin(cosines, most)
        optimiser.zero_grad()
        (-goal).backward()
        optimiser.step()


def _margin(cosines: torch.Tensor, most: torch.Tensor) -> torch.Tensor:
    """That of `evidence.arranged.margin_of` on all units."""
    means = torch.cumsum(torch.sort(cosines, descending=True).values, 0)
    return (means / torch.arange(1, len(cosines) + 1) / most).max()


def _cosines(
    own: list[torch.Tensor], theirs: list[torch.Tensor], pairs: list[torch.Tensor]
) -> torch.Tensor:
    both = zip(own, theirs, pairs, strict=True)
    return torch.cat([(x[order] * y).sum(dim=1) for x, y, order in both])


def _partners(own: torch.Tensor, theirs: torch.Tensor) -> np.ndarray:
    """For each unit of the reference the one that stands for it."""
    score = (theirs @ own.T).numpy()
    return np.asarray(scipy.optimize.linear_sum_assignment(score, maximize=True)[1])


def _chance(own: torch.Tensor, theirs: torch.Tensor) -> float:
    """Median of the second best cosine of each unit: the best one but its partner."""
    return float((theirs @ own.T).topk(2, dim=1).values[:, 1].median())


def _rows(x: np.ndarray) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.from_numpy(np.asarray(x, np.float32)), dim=1)


def turned(arrays: Arrays, rotation: np.ndarray) -> Arrays:
    """The same function on a stream that is turned: norms have gains of one."""
    found = {}
    for name, x in arrays.items():
        turned = x
        if x.ndim == 2:
            turned = rotation.T @ x if any(role in name for role in WRITERS) else x @ rotation
        found[name] = turned.astype(np.float32)
    return found
