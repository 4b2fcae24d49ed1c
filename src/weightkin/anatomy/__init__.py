"""Tensor names and shapes to blocks, roles and unit axes with their symmetry groups.

`types` says what an anatomy is; `naming` splits names into stacks of blocks and chooses the entry
of the catalogue that explains them, `stacks` does so for a whole network; `units`, `heads` and
`residual` assemble the axes; `infer` and `conv` read what no entry knows; `read` joins it all.
`graph` derives axes from the dataflow of a network, and `onnx` reads that from an ONNX file.
`traced` reads library classes by entries made of their graphs, where that reaches more of a model.
`roles` gives every tensor a key, by which tensors of two models are paired; `gains` looks up norms.
"""

from typing import TYPE_CHECKING

from weightkin.on_demand import names_of

if TYPE_CHECKING:
    from weightkin.anatomy.read import read_anatomy
    from weightkin.anatomy.types import Anatomy, Axis, AxisKind, Place

__all__ = ["Anatomy", "Axis", "AxisKind", "Place", "read_anatomy"]

_HOMES = {
    "Anatomy": "types",
    "Axis": "types",
    "AxisKind": "types",
    "Place": "types",
    "read_anatomy": "read",
}
__getattr__ = names_of(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
