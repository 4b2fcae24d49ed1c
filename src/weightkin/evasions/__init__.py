"""Rewrites of a model that leave what it computes unchanged: how a copy may hide, and how far.

A rewrite takes arrays (a state dict of float32), their `weightkin.anatomy.Anatomy` and a generator,
and returns a `Rewritten`: new arrays, what the config must now say, what was done. It rounds once;
outputs agree with the original's up to that. A model that cannot undergo it raises `UsageError`.

`units`: MLP units permuted, rescaled, flipped. `widths`: split or duplicated; `inert`: dead units,
and units that cancel; `factors`: matrices as two factors. `blocks`: blocks that write nothing.
`tokens`: rows of the vocabulary. `attention`: heads and values; `keys`: queries and keys.
`experts`: mixtures. `residual`: the stream permuted or rotated, by way of `stream`, which knows
whose norm is whose. `together`: all at once. `framing`: the opposite attack, an innocent model
lined up with a reference. `recovered`: the way back. `places`: the hands that do it.
`whole`: an anatomy that also has heads whose rows stand together, which rewrites of heads need.
"""

from typing import TYPE_CHECKING

from weightkin.on_demand import names_of

if TYPE_CHECKING:
    from weightkin.evasions.attention import (
        change_value_basis,
        flip_value_signs,
        permute_heads,
        permute_values,
    )
    from weightkin.evasions.blocks import insert_blocks
    from weightkin.evasions.experts import permute_experts
    from weightkin.evasions.factors import factorise_mlps
    from weightkin.evasions.framing import frame
    from weightkin.evasions.inert import cancel_units, pad_units, spread_units
    from weightkin.evasions.keys import rotate_queries_keys, turn_planes
    from weightkin.evasions.places import Rewritten
    from weightkin.evasions.recovered import apply_maps
    from weightkin.evasions.residual import permute_residual, rotate_residual
    from weightkin.evasions.together import change_all
    from weightkin.evasions.tokens import enlarge_rows, permute_vocabulary
    from weightkin.evasions.units import flip_unit_signs, permute_units, rescale_units
    from weightkin.evasions.whole import WholeAnatomy, whole_anatomy
    from weightkin.evasions.widths import duplicate_units, split_units

__all__ = [
    "Rewritten",
    "WholeAnatomy",
    "apply_maps",
    "cancel_units",
    "change_all",
    "change_value_basis",
    "duplicate_units",
    "enlarge_rows",
    "factorise_mlps",
    "flip_unit_signs",
    "flip_value_signs",
    "frame",
    "insert_blocks",
    "pad_units",
    "permute_experts",
    "permute_heads",
    "permute_residual",
    "permute_units",
    "permute_values",
    "permute_vocabulary",
    "rescale_units",
    "rotate_queries_keys",
    "rotate_residual",
    "split_units",
    "spread_units",
    "turn_planes",
    "whole_anatomy",
]

_HOMES = {
    "Rewritten": "places",
    "WholeAnatomy": "whole",
    "apply_maps": "recovered",
    "cancel_units": "inert",
    "change_all": "together",
    "change_value_basis": "attention",
    "duplicate_units": "widths",
    "enlarge_rows": "tokens",
    "factorise_mlps": "factors",
    "flip_unit_signs": "units",
    "flip_value_signs": "attention",
    "frame": "framing",
    "insert_blocks": "blocks",
    "pad_units": "inert",
    "permute_experts": "experts",
    "permute_heads": "attention",
    "permute_residual": "residual",
    "permute_units": "units",
    "permute_values": "attention",
    "permute_vocabulary": "tokens",
    "rescale_units": "units",
    "rotate_queries_keys": "keys",
    "rotate_residual": "residual",
    "split_units": "widths",
    "spread_units": "inert",
    "turn_planes": "keys",
    "whole_anatomy": "whole",
}
__getattr__ = names_of(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
