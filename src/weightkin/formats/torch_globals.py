"""What the pickle of a torch file may mention, and the records that stand for what it describes."""

from __future__ import annotations

from typing import Any, NamedTuple

TORCH_DTYPES = {  # what torch calls the types of elements
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "uint32": "U32",
    "int32": "I32",
    "uint64": "U64",
    "int64": "I64",
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
    "float8_e8m0fnu": "F8_E8M0",
    "float4_e2m1fn_x2": "F4",
    "complex32": "C32",
    "complex64": "C64",
    "complex128": "C128",
}

TORCH_STORAGES = {  # and its classes of storages
    "BoolStorage": "BOOL",
    "ByteStorage": "U8",
    "CharStorage": "I8",
    "ShortStorage": "I16",
    "IntStorage": "I32",
    "LongStorage": "I64",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "FloatStorage": "F32",
    "DoubleStorage": "F64",
    "ComplexFloatStorage": "C64",
    "ComplexDoubleStorage": "C128",
    "QInt8Storage": "QINT8",
    "QUInt8Storage": "QUINT8",
    "QInt32Storage": "QINT32",
    "QUInt4x2Storage": "QUINT4X2",
    "QUInt2x4Storage": "QUINT2X4",
}


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


class QuantisedRecord(NamedTuple):
    """A tensor of codes, with one scale and zero point or one for each index of an axis."""

    codes: TensorRecord
    scale: object  # a number, or a `TensorRecord`
    zero: object
    axis: int

    @property
    def shape(self) -> object:
        """That of the codes."""
        return self.codes.shape


class Global(NamedTuple):
    """A name that a pickle mentions, as a value that can be neither called nor changed."""

    kind: (
        str  # "rebuild", "typed", "parameter", "tuple", "dict", "text", "storage", "dtype", "other"
    )
    detail: str


class Encoded(NamedTuple):
    """Bytes that a pickle holds as a text of one character each."""

    text: str


class Key:
    """A key of a dict that is neither a text nor a number, equal to nothing but itself."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


class Record(dict[Any, Any]):
    """Stands for an object of any class, which is not made: all that the file says of it."""

    __slots__ = ("elements", "made_from", "name", "state")

    def __init__(self, name: str = "", made_from: tuple[Any, ...] = ()) -> None:
        super().__init__()
        self.name = name  # module and class, or function; empty of an OrderedDict
        self.made_from = made_from
        self.elements: list[Any] | None = None
        self.state: Any = None


KNOWN = {
    "collections.OrderedDict": Global("dict", ""),
    "torch.Size": Global("tuple", ""),
    "_codecs.encode": Global("text", ""),
    "torch._utils._rebuild_tensor": Global("rebuild", "v1"),
    "torch._utils._rebuild_tensor_v2": Global("rebuild", "v2"),
    "torch._utils._rebuild_tensor_v3": Global("rebuild", "v3"),
    "torch._utils._rebuild_qtensor": Global("quantised", ""),
    "torch._utils._rebuild_parameter": Global("parameter", ""),
    "torch._utils._rebuild_parameter_with_state": Global("parameter", ""),
    "torch._tensor._rebuild_from_type_v2": Global("typed", ""),
    "torch.storage.UntypedStorage": Global("storage", ""),
    "torch.storage.TypedStorage": Global("storage", ""),
    **{f"torch.{name}": Global("storage", dtype) for name, dtype in TORCH_STORAGES.items()},
    **{f"torch.{name}": Global("dtype", dtype) for name, dtype in TORCH_DTYPES.items()},
}


def named_global(name: str) -> Global:
    """What stands for a name: one that is known, else a mere name."""
    return KNOWN.get(name) or Global("other", name)
