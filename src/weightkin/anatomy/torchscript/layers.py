"""What layers of torch do: linear ones, convolutions, norms, pools, recurrent cells, attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from weightkin.anatomy.onnx import plain, products, recurrent, space
from weightkin.anatomy.onnx.build import Builder, Call, UnknownValue
from weightkin.anatomy.onnx.forms import joined
from weightkin.anatomy.onnx.fused import attend
from weightkin.anatomy.torchscript.values import Tensor

VERSION = 18  # of the operations of ONNX that these are
Numbers = int | Sequence[int]


def _call(op: str, inputs: Sequence[Tensor | None], **attributes: Any) -> Call:
    names = tuple(x.name if isinstance(x, Tensor) else "" for x in inputs)
    while names and not names[-1]:
        names = names[:-1]
    return Call(op, names, attributes, 1, VERSION)


def _each(numbers: Numbers, n: int) -> tuple[int, ...]:
    """One number for each dimension of space."""
    given = (numbers,) if isinstance(numbers, int) else tuple(numbers)
    return given * n if len(given) == 1 else given


def linear(b: Builder, x: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
    """A product with a matrix of (outputs, inputs)."""
    found = products.matmul(b, x.name, b.transpose(w.name, (1, 0)))
    return Tensor(b.elementwise(found, bias.name) if bias is not None else found)


def convolution(
    b: Builder, x: Tensor, w: Tensor, bias: Tensor | None, stride: Numbers, padding: Any,
    dilation: Numbers, is_transposed: object, more: Numbers, groups: int, *_: object,
) -> Tensor:  # fmt: skip
    """Kernels over space, as a trace writes them."""
    n = len(b.shape(w.name)) - 2
    if len(b.shape(x.name)) != n + 2:
        raise UnknownValue("a picture without a batch")
    facts: dict[str, Any] = {"strides": _each(stride, n), "dilations": _each(dilation, n)}
    if isinstance(padding, str):
        facts["auto_pad"] = "VALID" if padding == "valid" else "SAME_UPPER"
    else:
        facts["pads"] = _each(padding, n) * 2
    facts["group"] = groups
    if is_transposed is True:
        facts["output_padding"] = _each(more, n)
        return Tensor(products.convolve_back(b, _call("Conv", (x, w, bias), **facts))[0])
    return Tensor(products.convolve(b, _call("Conv", (x, w, bias), **facts))[0])


def plain_convolution(
    b: Builder, x: Tensor, w: Tensor, bias: Tensor | None = None, stride: Numbers = 1,
    padding: Any = 0, dilation: Numbers = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Kernels over space, as a script writes them."""
    return convolution(b, x, w, bias, stride, padding, dilation, False, 0, groups)  # noqa: FBT003


def convolution_back(
    b: Builder, x: Tensor, w: Tensor, bias: Tensor | None = None, stride: Numbers = 1,
    padding: Any = 0, more: Numbers = 0, groups: int = 1, dilation: Numbers = 1,
) -> Tensor:  # fmt: skip
    """Kernels over space, transposed, as a script writes them."""
    return convolution(b, x, w, bias, stride, padding, dilation, True, more, groups)  # noqa: FBT003


def batch_norm(b: Builder, x: Tensor, *rest: Any) -> Tensor:
    """Every channel by numbers of its own."""
    rank = len(b.shape(x.name))
    values = [v.name for v in rest[:4] if isinstance(v, Tensor)]
    if rank == 2:
        return Tensor(b.elementwise(x.name, *values))
    normed = b.elementwise(x.name, along=range(2, rank))
    return Tensor(b.elementwise(normed, *(plain.on_channels(b, x.name, v) for v in values)))


def layer_norm(b: Builder, x: Tensor, shape: Sequence[int], *rest: Any) -> Tensor:
    """The last dimensions by their mean, then numbers for each entry."""
    rank = len(b.shape(x.name))
    normed = b.elementwise(x.name, along=range(rank - len(shape), rank))
    values = [v.name for v in rest[:2] if isinstance(v, Tensor)]
    return Tensor(b.elementwise(normed, *values))


def group_norm(b: Builder, x: Tensor, groups: int, *rest: Any) -> Tensor:
    """Channels inside groups."""
    values = tuple(v for v in rest[:2] if isinstance(v, Tensor))
    call = _call("GroupNormalization", (x, *values), num_groups=groups)
    return Tensor(plain.group_norm(b, call)[0])


def pool(
    b: Builder, x: Tensor, kernel: Numbers, stride: Numbers = (), padding: Numbers = 0, *rest: Any
) -> Tensor:
    """Windows over space."""
    n = len(b.shape(x.name)) - 2
    flags = [v for v in rest if isinstance(v, bool)]
    wide = next((v for v in rest[:1] if isinstance(v, (list, int)) and not isinstance(v, bool)), 1)
    sizes = _each(kernel, n)
    strides = _each(stride, n) if stride != () and stride != [] else sizes
    facts = {"kernel_shape": sizes, "strides": strides, "pads": _each(padding, n) * 2}
    more = {"dilations": _each(wide, n), "ceil_mode": int(bool(flags and flags[0]))}
    return Tensor(space.pool(b, _call("MaxPool", (x,), **facts, **more))[0])


def adaptive_pool(b: Builder, x: Tensor, sizes: Numbers) -> Tensor:
    """Space to a given size."""
    shape = b.shape(x.name)
    n = len(sizes) if isinstance(sizes, (list, tuple)) else 1
    wanted, dims = _each(sizes, n), range(len(shape) - n, len(shape))
    if all(size == 1 for size in wanted):
        return Tensor(b.reduce(x.name, dims, keep=True))
    return Tensor(b.fix(x.name, dims, (*shape[:-n], *wanted)))


def resize(b: Builder, x: Tensor, sizes: Any, *rest: Any) -> Tensor:
    """Space to another size, or by factors."""
    shape = b.shape(x.name)
    factors = next((v for v in reversed(rest) if isinstance(v, list) and v), None)
    if sizes is None and factors:
        sizes = [int(m * f) for m, f in zip(shape[2:], factors, strict=True)]
    dims = range(2, len(shape))
    return Tensor(b.fix(x.name, dims, (*shape[:2], *(int(m) for m in sizes))))


def pad(b: Builder, x: Tensor, pads: Sequence[int], *_: object, **__: object) -> Tensor:
    """Margins, of the last dimensions first."""
    sizes = list(b.shape(x.name))
    dims = []
    for i in range(len(pads) // 2):
        n = pads[2 * i] + pads[2 * i + 1]
        if n or pads[2 * i]:
            dims.append(len(sizes) - 1 - i)
            sizes[dims[-1]] += n
    return Tensor(b.fix(x.name, dims, sizes) if dims else x.name)


def shuffled(b: Builder, x: Tensor, factor: int) -> Tensor:
    """Channels to a block of space."""
    n, channels, height, width = b.shape(x.name)
    inner = channels // factor**2
    found = b.reshape(x.name, (n, inner, factor, factor, height, width))
    found = b.transpose(found, (0, 1, 4, 2, 5, 3))
    return Tensor(b.reshape(found, (n, inner, height * factor, width * factor)))


def cells(op: str) -> Callable[..., tuple[Tensor, ...]]:
    """Layers of recurrent cells, of which each gets what the one before it gives."""

    def run(
        b: Builder, x: Tensor, states: Any, weights: Sequence[Tensor], has_biases: bool,
        n_layers: int, _: float, __: bool, is_both_ways: bool, is_batch_first: bool,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        n_ways, n_each = 1 + is_both_ways, 4 if has_biases else 2
        given = [s.name for s in (states if isinstance(states, (list, tuple)) else [states])]
        b.opaque(given)
        found = b.transpose(x.name, (1, 0, 2)) if is_batch_first else x.name
        if len(weights) != n_layers * n_ways * n_each:
            raise UnknownValue("weights of another number")
        ends: list[list[str]] = [[] for _ in given]
        for layer in range(n_layers):
            own = weights[layer * n_ways * n_each : (layer + 1) * n_ways * n_each]
            ways = [own[i * n_each : (i + 1) * n_each] for i in range(n_ways)]
            inputs = [found, *(_side_by_side(b, [way[i] for way in ways]) for i in range(2))]
            if has_biases:
                inputs.append(_side_by_side(b, [_both(b, *way[2:]) for way in ways]))
            all_states, *last = recurrent.recurrent(b, Call(op, tuple(inputs), {}, 3, VERSION))
            n_steps, _ways, batch, units = b.shape(all_states)
            turned = b.transpose(all_states, (0, 2, 1, 3))
            found = b.reshape(turned, (n_steps, batch, n_ways * units))
            for end, value in zip(ends, last, strict=False):
                end.append(value)
        out = b.transpose(found, (1, 0, 2)) if is_batch_first else found
        return (Tensor(out), *(Tensor(joined(b, end, 0)) for end in ends))

    return run


def _both(b: Builder, one: Tensor, other: Tensor) -> Tensor:
    """Biases of input and state, one after the other."""
    return Tensor(joined(b, [one.name, other.name], 0))


def _side_by_side(b: Builder, ways: Sequence[Tensor]) -> str:
    """What belongs to each direction along a first dimension."""
    return joined(b, [b.reshape(x.name, (1, *b.shape(x.name))) for x in ways], 0)


def attention(
    b: Builder, q: Tensor, k: Tensor, v: Tensor, mask: Any = None, *_: Any, **__: Any
) -> Tensor:
    """Attention of heads."""
    if len(b.shape(q.name)) != 4:
        raise UnknownValue("attention of another rank")
    also = [mask.name] if isinstance(mask, Tensor) else []
    return Tensor(attend(b, q.name, k.name, v.name, also))


def letters(b: Builder, equation: str, values: Sequence[Tensor], *_: object) -> Tensor:
    """Return a sum of products by letters."""
    call = _call("Einsum", values, equation=equation)
    return Tensor(products.letters(b, call)[0])


def prelu(b: Builder, x: Tensor, slope: Tensor) -> Tensor:
    """A slope of its own for each channel."""
    return Tensor(b.elementwise(x.name, plain.on_channels(b, x.name, slope.name)))


OPERATIONS: Mapping[str, Callable[..., object]] = {
    "linear": linear,
    "_convolution": convolution,
    **{f"conv{n}d": plain_convolution for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": convolution_back for n in (1, 2, 3)},
    **dict.fromkeys(("batch_norm", "instance_norm"), batch_norm),
    "layer_norm": layer_norm,
    "group_norm": group_norm,
    **{f"{name}_pool{n}d": pool for name in ("max", "avg") for n in (1, 2, 3)},
    **{f"adaptive_{name}_pool{n}d": adaptive_pool for name in ("max", "avg") for n in (1, 2, 3)},
    **{f"upsample_{name}": resize for name in
       ("nearest1d", "nearest2d", "nearest3d", "linear1d", "bilinear2d", "bicubic2d",
        "trilinear3d")},
    **dict.fromkeys(("pad", "constant_pad_nd", "reflection_pad1d", "reflection_pad2d",
                     "replication_pad1d", "replication_pad2d"), pad),
    "pixel_shuffle": shuffled,
    "lstm": cells("LSTM"),
    "gru": cells("GRU"),
    "rnn_tanh": cells("RNN"),
    "rnn_relu": cells("RNN"),
    "scaled_dot_product_attention": attention,
    "prelu": prelu,
    "einsum": letters,
}  # fmt: skip
