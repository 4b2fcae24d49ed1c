"""Model weights: the files of a source become a `Model`, read row by row and never executed.

`source.open_model` takes a source; `finder` says which files are models, by their names, and
`table` which formats there are and what reads each; `folder` joins the files of one model,
`repository` finds them on a hub.

One file per format: `safetensors_file`, `gguf_file`, `onnx_file`, `hdf5_file`, `flax_file`,
`numpy_file`, `tfjs_file`, `ctranslate2_file`, `distcp_file`, and for torch `torch_zip` and
`torch_legacy` (`torch_pickle` runs a pickle without calling anything, `torch_state` names what it
describes). `ranks` joins the parts of several ranks; `module_names` gives the names of torch.
`packed`, `pieces` and `adapter` say what is computed from what is stored; `storage` reads elements;
`model` gives rows as float32; `memory` holds a model without files; `digests` names the contents;
`declared` reads what a model says of itself; `write_guard` keeps its folder as it is.
"""

from typing import TYPE_CHECKING

from weightkin.on_demand import names_of

if TYPE_CHECKING:
    from weightkin.formats.digests import digest, full_digest
    from weightkin.formats.memory import model_from_arrays
    from weightkin.formats.model import Model, Problem, Rows, Storage, TensorInfo
    from weightkin.formats.source import absolute, open_model

__all__ = [
    "Model",
    "Problem",
    "Rows",
    "Storage",
    "TensorInfo",
    "absolute",
    "digest",
    "full_digest",
    "model_from_arrays",
    "open_model",
]

_HOMES = {
    "Model": "model",
    "Problem": "model",
    "Rows": "model",
    "Storage": "model",
    "TensorInfo": "model",
    "absolute": "source",
    "digest": "digests",
    "full_digest": "digests",
    "model_from_arrays": "memory",
    "open_model": "source",
}
__getattr__ = names_of(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
