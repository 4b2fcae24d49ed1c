"""An attacker who climbs the margin of values by gradient, as `gradient_framing` does for gates.

The stream of an unrelated model is turned, and the values of each head are mixed by an invertible
map of their own, so that the less alike of V and O is as near to the reference as it gets: on all
rows, or on those that turn out to be the easiest. Needs torch.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import normalize

from benchmarks.lib.framed import Arrays, Shape
from benchmarks.lib.gradient_framing import turned

STEPS = 1000
RATE = 0.02
CHOSEN = (50, 500)  # the easiest rows are chosen anew after so many steps, until so many
Heads = tuple[torch.Tensor, torch.Tensor]  # rows of V, and of O side by side for all queries


def climbed_values(
    shape: Shape, innocent: Arrays, reference: Arrays, share: float = 1.0
) -> tuple[Arrays, npt.NDArray[np.float32]]:
    """An unrelated model, turned and mixed inside its heads to be like a reference.

    Parameters
    ----------
    shape : Shape
        Of both.
    innocent, reference : mapping of str to ndarray
        As `framed.drawn` makes them: gains of one.
    share : float
        Of all rows, those that are aimed at.

    Returns
    -------
    tuple
        Its tensors, its function unchanged, and the cosines reached, the largest first: of V or of
        O, whichever is less alike.
    """
    own, theirs = (_heads(x, shape) for x in (innocent, reference))
    turn, mixes, least = _climb(own, theirs, share)
    arrays, size = turned(innocent, turn), shape.head
    for i in range(shape.n_blocks):
        at = f"model.layers.{i}.self_attn."
        v, o = arrays[f"{at}v_proj.weight"], arrays[f"{at}o_proj.weight"]
        values = mixes[i] @ v.reshape(-1, size, shape.width)
        back = np.repeat(np.linalg.inv(mixes[i]).swapaxes(1, 2), shape.repeat, axis=0)
        outputs = (back @ o.T.reshape(-1, size, shape.width)).reshape(-1, shape.width).T
        arrays[f"{at}v_proj.weight"] = values.reshape(v.shape).astype(np.float32)
        arrays[f"{at}o_proj.weight"] = np.ascontiguousarray(outputs, dtype=np.float32)
    return arrays, least


def _climb(
    own: Heads, theirs: Heads, share: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float32]]:
    """The turn ``(width, width)``, the map of each head, and the cosines."""
    blocks, heads, size, width = own[0].shape
    loose = torch.zeros(width, width, requires_grad=True)
    mixes = torch.eye(size).repeat(blocks, heads, 1, 1).requires_grad_()
    optimiser = torch.optim.Adam([loose, mixes], lr=RATE)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    n = max(8, int(share * blocks * heads * size))
    chosen = torch.arange(n)
    for step in range(STEPS):
        turn = torch.matrix_exp(loose - loose.T)
        v, o = _cosines(own, theirs, turn, mixes)
        least = torch.minimum(v, o)
        if step % CHOSEN[0] == 0 and step < CHOSEN[1]:
            chosen = torch.topk((least + 0.5 * (v + o)).detach(), n).indices
        goal = (0.7 * least + 0.2 * (v + o))[chosen].mean()
        optimiser.zero_grad()
        (-goal).backward()
        optimiser.step()
        slower.step()
    with torch.no_grad():
        turn = torch.matrix_exp(loose - loose.T)
        v, o = _cosines(own, theirs, turn, mixes)
        found = torch.sort(v if v.sum() < o.sum() else o, descending=True).values
    return (
        turn.numpy().astype(np.float64),
        mixes.detach().numpy().astype(np.float64),
        found.numpy(),
    )


def _cosines(
    own: Heads, theirs: Heads, turn: torch.Tensor, mixes: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of every row of V and O with that of the reference."""
    back = torch.linalg.inv(mixes).transpose(2, 3)
    outputs = (own[1].unflatten(3, (-1, len(turn))) @ turn).flatten(3)
    pieces = ((mixes @ (own[0] @ turn), theirs[0]), (back @ outputs, theirs[1]))
    first, second = ((normalize(x, dim=3) * y).sum(dim=3).flatten() for x, y in pieces)
    return first, second


def _heads(arrays: Arrays, shape: Shape) -> Heads:
    """Rows at length one: V ``(blocks, heads, size, width)``, O ``(.., width for each query)``."""
    size, width = shape.head, shape.width
    values, outputs = [], []
    for i in range(shape.n_blocks):
        at = f"model.layers.{i}.self_attn."
        v, o = (torch.from_numpy(arrays[f"{at}{x}_proj.weight"].copy()) for x in "vo")
        values.append(v.reshape(-1, size, width))
        of_queries = o.T.reshape(-1, shape.repeat, size, width)
        outputs.append(of_queries.transpose(1, 2).flatten(2))
    return normalize(torch.stack(values), dim=3), normalize(torch.stack(outputs), dim=3)
