"""Model weights: the files of a source become a `Model`, read row by row and never executed.

`source.open_model` chooses the files (`folder`, and `repository` on a hub); `shards` joins several;
`safetensors_file`, `torch_zip`, `torch_legacy`, `gguf_file` and `onnx_file` read one each
(`torch_pickle` runs a pickle without calling anything, `onnx_graph` walks graphs, `protobuf`
messages without a schema); `packed` and `adapter` say what is computed from what is stored;
`storage` reads elements; `model` gives rows as float32; `digests` names the contents; `memory`
holds a model without files.
"""

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
