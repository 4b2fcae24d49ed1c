"""What became of each block of two related models, by the values that both hold."""

from __future__ import annotations

from dataclasses import dataclass

from weightkin.notebooks import InShort


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class BlockDifference(InShort):
    """One block of a beside the one of b that it was compared with.

    A name is empty where that model has no such block. Tensors outside every block are listed by
    their role, which stands for the name of both. How alike matched units are is in ``layers`` of
    the comparison.
    """

    block_a: str
    block_b: str
    n_parameters: int  # in a; of a block that only b has, in b
    share: float  # of all parameters of that model
    share_equal: float | None = None  # of these, held by the other; None: it has no such block
    changed: tuple[str, ...] = ()  # roles with values that the other model does not hold
