"""Operations of aten that move entries without changing them: views, copies, joins, windows."""

from __future__ import annotations

import itertools

from benchmarks.catalogue.aten_products import repeat_each
from benchmarks.catalogue.call import Call, rule
from benchmarks.catalogue.tape import size


@rule(
    "view", "reshape", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as",
    "reshape_as", "_reshape_alias", "ravel", "atleast_1d", "atleast_2d", "atleast_3d", "view_copy",
)  # fmt: skip
def reshape(call: Call) -> str:
    """Row-major order stays."""
    if len(call.shapes) != 1 or "dtype" in call.args:  # bytes read as another type
        return call.tape.unknown(call.name, [call.x], call.shapes)[0]
    return call.tape.reshape(call.x, call.shape)


@rule(
    "to", "_to_copy", "type_as", "contiguous", "clone", "detach", "alias", "lift_fresh", "lift",
    "dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "positive", "conj",
    "resolve_conj", "resolve_neg", "_conj", "_conj_physical", "real_if_close", "requires_grad",
    "float", "double", "half", "bfloat16", "int", "long", "bool", "cpu", "nan_to_num",
    "_neg_view", "native_dropout", "conj_physical",
)  # fmt: skip
def same(call: Call) -> list[str]:
    """A function of each entry alone (dropout does nothing when it is not trained)."""
    return [call.x] * len(call.shapes)


@rule("permute", "movedim", "moveaxis", "permute_copy")
def permute(call: Call) -> str:
    """Dimensions in another order."""
    if call.name.startswith("permute"):
        return call.tape.transpose(call.x, [int(d) % call.rank for d in call["dims"]])
    sources, targets = (
        [d % call.rank for d in ([own] if isinstance(own, int) else own)]
        for own in (call["source"], call["destination"])
    )
    order: list[int | None] = [None] * call.rank
    for source, target in zip(sources, targets, strict=True):
        order[target] = source
    rest = iter(d for d in range(call.rank) if d not in sources)
    return call.tape.transpose(call.x, [next(rest) if d is None else d for d in order])


@rule("transpose", "swapaxes", "swapdims", "t", "numpy_T", "mT", "transpose_copy")  # fmt: skip
def transpose(call: Call) -> str:
    """Two dimensions change places."""
    order = list(range(call.rank))
    if call.name == "numpy_T":
        order.reverse()
    elif call.rank > 1:
        keys = next((k for k in (("dim0", "dim1"), ("axis0", "axis1")) if k[0] in call.args), None)
        i, j = (int(call[k]) for k in keys) if keys else (-2, -1)
        order[i], order[j] = order[j], order[i]
    return call.tape.transpose(call.x, order)


@rule("expand", "expand_as", "broadcast_to", "expand_copy")
def expand(call: Call) -> str:
    """Copies along dimensions of size one."""
    return call.tape.expand(call.x, call.shape)


@rule("broadcast_tensors", "meshgrid")
def several(call: Call) -> list[str]:
    """Every input stretched to the shape of all."""
    values = call.every("tensors")
    if call.name == "meshgrid":
        return call.tape.unknown(call.name, values, call.shapes)
    return [call.tape.expand(x, s) for x, s in zip(values, call.shapes, strict=True)]


@rule("repeat", "tile")
def repeat(call: Call) -> str:
    """The whole tensor several times along each dimension."""
    tape = call.tape
    own = tape.shapes[call.x]
    rank = len(call.shape)
    value = tape.reshape(call.x, (*[1] * (rank - len(own)), *own))
    for dim in range(rank):
        shape = list(tape.shapes[value])
        if shape[dim] != call.shape[dim]:
            times = call.shape[dim] // shape[dim]
            shape[dim] *= times
            value = tape.emit("repeat", [value], shape, dim=dim, times=times)
    return value


@rule("repeat_interleave")
def repeat_interleave(call: Call) -> str:
    """Every index several times, beside each other; how often may be for data to say."""
    tape, times = call.tape, call.args.get("repeats")
    if "self" not in call.args or not call.has("dim"):
        return tape.unknown(call.name, list(call.values.values()), call.shapes)[0]
    if isinstance(times, int):
        return repeat_each(tape, call.x, call.dim(), times)
    counts = tape.fix(call.value("repeats"), [0])
    own = tape.fix(call.value("self"), [call.dim()], call.shape)
    return tape.elementwise(own, tape.reduce(counts, [0], keep=False))


@rule("cat", "concat", "concatenate")
def concat(call: Call) -> str:
    """Tensors joined end to end."""
    rank = len(call.shape)
    return call.tape.concat(call.every("tensors"), int(call["dim"]) % max(1, rank))


@rule("stack")
def stack(call: Call) -> str:
    """Tensors joined along a new dimension."""
    dim = int(call["dim"]) % len(call.shape)
    one = (*call.shape[:dim], 1, *call.shape[dim + 1 :])
    return call.tape.concat([call.tape.reshape(x, one) for x in call.every("tensors")], dim)


@rule("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk", "tensor_split",
      "unsafe_split_with_sizes", "split_copy", "split_with_sizes_copy")  # fmt: skip
def split(call: Call) -> list[str]:
    """Runs of one dimension, one after the other."""
    dim = call.dim()
    ends = [0, *itertools.accumulate(shape[dim] for shape in call.shapes)]
    return [call.tape.slice(call.x, dim, range(a, b)) for a, b in itertools.pairwise(ends)]


@rule("unbind", "unbind_copy")
def unbind(call: Call) -> list[str]:
    """Every index of one dimension."""
    return [call.tape.select(call.x, call.dim(), i) for i in range(len(call.shapes))]


@rule("slice", "slice_copy")
def slice_(call: Call) -> str:
    """A run of one dimension."""
    dim = call.dim()
    n = call.tape.shapes[call.x][dim]
    run = range(n)[slice(call["start"], call["end"], call["step"])]
    return call.tape.slice(call.x, dim, run)


@rule("narrow", "narrow_copy")
def narrow(call: Call) -> str:
    """A run of one dimension."""
    dim, start = call.dim(), int(call["start"])
    start %= call.tape.shapes[call.x][dim] + (start >= 0)
    return call.tape.slice(call.x, dim, range(start, start + call.shape[dim]))


@rule("select", "select_copy")
def select(call: Call) -> str:
    """One index of one dimension."""
    dim = call.dim()
    return call.tape.select(call.x, dim, int(call["index"]) % call.tape.shapes[call.x][dim])


@rule("copy", "fill")
def copy(call: Call) -> str:
    """Entries of another tensor, broadcast."""
    source = next(call.values[id(x)] for x in list(call.args.values())[1:] if id(x) in call.values)
    shape = call.shape
    own = call.tape.shapes[source]
    wide = call.tape.reshape(source, (*[1] * (len(shape) - len(own)), *own))
    return call.tape.expand(wide, shape)


@rule("slice_scatter", "select_scatter")
def scatter(call: Call) -> str:
    """A tensor with a run of one dimension replaced."""
    tape, dim = call.tape, call.dim()
    own, source = call.value("self"), call.value("src")
    n = call.shape[dim]
    if call.name == "select_scatter":
        start = int(call["index"]) % n
        run = range(start, start + 1)
        source = tape.reshape(source, (*call.shape[:dim], 1, *call.shape[dim + 1 :]))
    else:
        run = range(n)[slice(call["start"], call["end"], call["step"])]
    if run.step != 1:
        return tape.fix(tape.concat([own, source], dim), [dim], call.shape)
    parts = [tape.slice(own, dim, range(run.start)), source]
    parts.append(tape.slice(own, dim, range(run.stop, n)))
    return tape.concat([x for x in parts if tape.shapes[x][dim]], dim)


@rule("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle")
def shuffle(call: Call) -> str:
    """Channels become pixels, pixels channels, or channels change groups."""
    tape, own = call.tape, call.tape.shapes[call.x]
    if "channel" in call.name:
        groups = int(call["groups"])
        n, c, *space = own
        rank = len(space) + 3
        x = tape.reshape(call.x, (n, groups, c // groups, *space))
        return tape.reshape(tape.transpose(x, [0, 2, 1, *range(3, rank)]), call.shape)
    is_up = call.name == "pixel_shuffle"
    r = int(call["upscale_factor" if is_up else "downscale_factor"])
    *batch, c, h, w = own
    b = len(batch)
    if is_up:
        x = tape.reshape(call.x, (*batch, c // r**2, r, r, h, w))
        order = [b, b + 3, b + 1, b + 4, b + 2]
    else:
        x = tape.reshape(call.x, (*batch, c, h // r, r, w // r, r))
        order = [b, b + 2, b + 4, b + 1, b + 3]
    return tape.reshape(tape.transpose(x, [*range(b), *order]), call.shape)


@rule("unfold", "unfold_copy")
def windows(call: Call) -> str:
    """Return runs of one dimension that may overlap, entries of a run along a new last one."""
    tape = call.tape
    dim = call.dim("dimension")
    n, size = call.shape[dim], call.shape[-1]
    own = tape.shapes[call.x]
    x = tape.fix(call.x, [dim], (*own[:dim], n * size, *own[dim + 1 :]))
    x = tape.reshape(x, (*own[:dim], n, size, *own[dim + 1 :]))
    return tape.move(x, dim + 1, len(own))


@rule("as_strided")
def strided(call: Call) -> str:
    """Windows that may overlap: outer and inner dimensions in one piece pass."""
    tape, own = call.tape, call["self"]
    source = list(zip(own.shape, own.stride(), strict=True))
    target = list(zip(call.shape, call["stride"], strict=True))
    both = list(zip(source, target, strict=False))
    left = next((i for i, (x, y) in enumerate(both) if x != y), len(both))
    both = list(zip(source[left:][::-1], target[left:][::-1], strict=False))
    n_right = next((i for i, (x, y) in enumerate(both) if x != y), len(both))
    for right in range(n_right, -1, -1):
        inside = source[left : len(source) - right]
        windows = target[left : len(target) - right]
        if call["storage_offset"] in (None, own.storage_offset()) and _reaches(inside, windows):
            shape = [n for n, _ in source]
            whole = [*shape[:left], size(shape[left : len(shape) - right])]
            whole += shape[len(shape) - right :]
            cut = [*whole[:left], size([n for n, _ in windows]), *whole[left + 1 :]]
            merged = tape.reshape(call.x, whole)
            return tape.reshape(tape.fix(merged, [left], cut), call.shape)
    return tape.unknown(call.name, [call.x], call.shapes)[0]


def _reaches(source: list[tuple[int, int]], windows: list[tuple[int, int]]) -> bool:
    """Whether all windows lie inside a run of dimensions that follow each other in memory."""
    if not source or any(a[1] != b[0] * b[1] for a, b in itertools.pairwise(source)):
        return False
    unit = source[-1][1]
    last = sum((n - 1) * stride for n, stride in windows)
    return all(s % unit == 0 for _, s in windows) and last < unit * size([n for n, _ in source])


@rule("im2col", "col2im")
def columns(call: Call) -> str:
    """Patches of an image as columns, and back; channels stay."""
    tape, own = call.tape, call.tape.shapes[call.x]
    if call.name == "im2col":
        *batch, c, _, _ = own
        kernel = call.shape[-2] // c
        x = tape.fix(call.x, [len(own) - 2, len(own) - 1], (*batch, c, kernel, call.shape[-1]))
        return tape.reshape(x, call.shape)
    *batch, c, _, _ = call.shape
    x = tape.reshape(call.x, (*batch, c, own[-2] // c, own[-1]))
    return tape.fix(x, [len(batch) + 1, len(batch) + 2], call.shape)


@rule("view_as_complex")
def as_complex(call: Call) -> str:
    """Pairs become complex numbers."""
    last = call.rank - 1
    return call.tape.reduce(call.tape.fix(call.x, [last]), [last], keep=False)


@rule("view_as_real")
def as_real(call: Call) -> str:
    """Complex numbers become pairs."""
    tape = call.tape
    x = tape.expand(tape.reshape(call.x, (*call.shape[:-1], 1)), call.shape)
    return tape.fix(x, [len(call.shape) - 1])


@rule("diagonal", "diag_embed", "diag", "trace", "diagonal_copy")
def diagonal(call: Call) -> str:
    """Entries at equal places of two dimensions: nothing is known."""
    return call.tape.unknown(call.name, [call.x], call.shapes)[0]
