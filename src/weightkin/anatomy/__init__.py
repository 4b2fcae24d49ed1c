"""Tensor names and shapes to blocks, roles and unit axes with their symmetry groups.

`types` says what an anatomy is; `families` is the table of what the names of each family mean, in
the language of `parts`; `naming` splits names into stacks of blocks and chooses a row; `units`,
`heads` and `residual` assemble the axes; `infer` and `conv` read what no row knows; `read` is the
way through.
"""

from weightkin.anatomy.read import read_anatomy
from weightkin.anatomy.types import Anatomy, Axis, AxisKind, Place

__all__ = ["Anatomy", "Axis", "AxisKind", "Place", "read_anatomy"]
