"""What the pickle of a torch file may mention, and the records that stand for what it describes."""

from __future__ import annotations

from typing import NamedTuple

from weightkin.formats.dtypes import TORCH_DTYPES, TORCH_STORAGES


class StorageRecord(NamedTuple):
    """One storage: its entry in the archive; ``dtype`` is empty when untyped (``n`` is bytes)."""

    dtype: str
    key: str
    n: int


class TensorRecord(NamedTuple):
    """One tensor as pickled: a view into a storage, in elements, not checked against its size."""

    dtype: str
    storage: StorageRecord
    offset: object
    shape: object
    strides: object


class Global(NamedTuple):
    """A name that a pickle may mention, as a value that can be neither called nor changed."""

    kind: str  # "rebuild", "parameter", "tuple", "dict", "record", "storage", "dtype"
    detail: str


ALLOWED = {
    "collections.OrderedDict": Global("dict", ""),
    "argparse.Namespace": Global("record", ""),
    "types.SimpleNamespace": Global("record", ""),
    "torch.Size": Global("tuple", ""),
    "torch._utils._rebuild_tensor": Global("rebuild", "v1"),
    "torch._utils._rebuild_tensor_v2": Global("rebuild", "v2"),
    "torch._utils._rebuild_tensor_v3": Global("rebuild", "v3"),
    "torch._utils._rebuild_parameter": Global("parameter", ""),
    "torch.storage.UntypedStorage": Global("storage", ""),
    "torch.storage.TypedStorage": Global("storage", ""),
    **{f"torch.{name}": Global("storage", dtype) for name, dtype in TORCH_STORAGES.items()},
    **{f"torch.{name}": Global("dtype", dtype) for name, dtype in TORCH_DTYPES.items()},
}
