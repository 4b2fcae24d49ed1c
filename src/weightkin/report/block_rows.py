"""The differences of two related models, one row for each block, from their record alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from weightkin.records import Comparison, Effect
from weightkin.records.differing import BlockDifference
from weightkin.records.kinds import KINDS
from weightkin.text import percent

ALL, NOTHING, ROUNDED = "everything", "nothing", "the number format"


@dataclass(frozen=True, slots=True)
class BlockRow:
    """One block: its size, how alike its matched units are, and what is not the same."""

    name: str
    share: str  # of the parameters of the model
    cosine: str  # empty: not measured
    equal: str  # parameters that the other model holds
    changed: str


def rows_caption(record: Comparison) -> str:
    """What the rows are, and how values were compared."""
    said = [
        "Each row is a block of model a, with the block of b that goes with it; at the end, what"
        " stands outside the blocks."
    ]
    if record.blocks:
        is_part = record.equal is not None and record.equal.basis == "sample"
        sampled = " (estimated from a sample)" if is_part else ""
        said.append(f"Equal values are those that the other model holds anywhere{sampled}.")
    if disguises := [x for x in record.kind if KINDS[x].disguise]:
        said.append(
            f"They are compared as they are stored, before {', '.join(disguises)} is undone."
        )
    return " ".join(said)


def block_rows(record: Comparison) -> list[BlockRow]:
    """Rows of a table; of a record without sizes, those blocks that a test paired.

    Parameters
    ----------
    record : Comparison
        Of two models.

    Returns
    -------
    list of BlockRow
        Blocks of a in their order, then what only b has; none where nothing shows that the two
        models are related, or where only their cosines are known, which the picture has.
    """
    effects = dict(_effects(record))
    if not record.blocks:
        rows = [
            BlockRow(
                name=_name(x.block_a, x.block_b),
                share="",
                cosine=_cosine(x.effect),
                equal="",
                changed=_place(x.block_a, x.block_b),
            )
            for x in record.layers
        ]
        return rows if any(x.changed for x in rows) else []
    return [_row(x, effects, is_cast="cast" in record.kind) for x in record.blocks]


def _row(x: BlockDifference, effects: Mapping[str, Effect | None], *, is_cast: bool) -> BlockRow:
    is_paired = x.share_equal is not None
    return BlockRow(
        name=_name(x.block_a, x.block_b),
        share=_share(x.share),
        cosine=_cosine(effects.get(x.block_a)) if is_paired else "",
        equal=_share(x.share_equal) if x.share_equal is not None else "",
        changed=", ".join(filter(None, (_place(x.block_a, x.block_b), _values(x, is_cast)))),
    )


def _values(x: BlockDifference, is_cast: bool) -> str:
    """Which values are not in the other model."""
    if x.share_equal is None or not x.changed:
        return NOTHING if x.block_a == x.block_b else ""
    if is_cast:
        return ROUNDED
    return ALL if x.share_equal == 0.0 else ", ".join(x.changed)


def _place(a: str, b: str) -> str:
    """Where a block is in the other model, if it is not in its own place."""
    if a and b:
        return "" if a == b else "its place"
    return "not in b" if a else "only in b"


def _name(a: str, b: str) -> str:
    return f"{a} → {b}" if a and b and a != b else a or b


def _share(share: float) -> str:
    return percent(share, 1).replace(".0 %", " %")


def _cosine(effect: Effect | None) -> str:
    return f"{effect.observed:.2f}" if effect is not None and effect.ratio != 0.0 else ""


def _effects(record: Comparison) -> Iterator[tuple[str, Effect | None]]:
    """How alike matched units are in each block, and in what stands outside them by its role."""
    for t in record.tests:
        if t.axis == "residual" and t.view and t.effect is not None:
            yield t.view, t.effect
    for x in record.layers:
        yield x.block_a, x.effect
