"""Signs of queries and keys where no position turns them: which dimensions have coins.

Dimension j of queries and keys of one head may change its sign in both: every score stays as it is.
Not where keys have embeddings that heads share, nor where a norm of queries or keys subtracts a
mean. The test itself is that of `evidence.blind`; here stands what it looks at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from weightkin.anatomy.queries import query_keys
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis
from weightkin.evidence.block_pairs import block_name
from weightkin.evidence.coins import unit_features
from weightkin.evidence.formulas import Formulas, formula_behind
from weightkin.records import Skipped, left_out

FORMULA_ROWS = 256  # of queries and of keys of one attention


def key_axes(side: Side) -> list[Axis]:
    """Query-key dimensions whose signs are coins, one axis for each attention.

    Parameters
    ----------
    side : Side
        The model.

    Returns
    -------
    list of Axis
        Of kind ``qk``. Where several query heads read a key, by keys alone: their order may differ.
    """
    return [
        Axis(
            name=x.axis.name.replace("heads", "qk", 1),
            kind="qk",
            stack=x.axis.stack,
            block=x.axis.block,
            n_units=x.n_heads * x.size,
            group=f"S_{x.size} and signs in each of {x.n_heads} heads",
            labels=f"{block_name(x.axis)}.{x.axis.name}.qk",
            places=(x.keys,) if x.repeat > 1 else (x.queries, x.keys),
            head_size=x.size,
        )
        for x in query_keys(side.model, side.anatomy)
        if x.coin == "sign"
    ]


def formula_rows(size: int) -> int:
    """Rows of whole heads that are asked whether they began as a formula."""
    return max(size, FORMULA_ROWS // size * size)


@dataclass(frozen=True, slots=True)
class KeyGuard:
    """Queries and keys that began as a formula have no coins."""

    a: Side
    b: Side
    formulas: tuple[Formulas, Formulas] = field(default_factory=lambda: (Formulas(), Formulas()))

    def untied(
        self, pairs: Sequence[tuple[Axis, Axis]]
    ) -> tuple[list[tuple[Axis, Axis]], tuple[Skipped, ...]]:
        """Pairs whose signs are coins; the others with the reason."""
        kept, skipped = [], []
        for pair in pairs:
            for side, formulas, axis in zip((self.a, self.b), self.formulas, pair, strict=True):
                views = unit_features(side, axis, 0, formula_rows(axis.head_size), None)
                formulas.look(side.model, axis, views, n_views=2 * len(pairs))
        for x, y in pairs:
            why = formula_behind(self.formulas[0], x, self.formulas[1], y)
            if why is None:
                kept.append((x, y))
            else:
                reason = {"code": why.code, **why.data}
                what = f"signs of {block_name(x)} {x.name}"
                skipped.append(left_out(what, "no-coins", "blind", reason=reason))
        return kept, tuple(skipped)
