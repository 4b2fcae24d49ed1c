"""Operations of aten over whole dimensions: sums, norms, and what acts by position."""

from __future__ import annotations

import re

from benchmarks.catalogue.aten_products import normalised
from benchmarks.catalogue.call import Call, rule
from benchmarks.catalogue.tape import Shape, Tape


@rule(
    "sum", "mean", "amax", "amin", "prod", "any", "all", "var", "std", "logsumexp", "nansum",
    "norm", "linalg_vector_norm", "var_mean", "std_mean", "count_nonzero", "nanmean", "aminmax",
    "frobenius_norm",
)  # fmt: skip
def reduced(call: Call) -> list[str]:
    """Sums, means, norms: the order of what is summed does not matter."""
    out = call.tape.reduce(call.x, call.dims(), keep=bool(call.args.get("keepdim")))
    return [out] * len(call.shapes)


@rule("max", "min", "mode", "median", "nanmedian", "kthvalue")
def extreme(call: Call) -> list[str]:
    """Return the largest or smallest of a dimension, and where it stands."""
    if call.has("other"):
        return [call.tape.elementwise(call.value("self"), call.value("other"))]
    dims = call.dims() if "dim" in call.args else list(range(call.rank))
    keep = bool(call.args.get("keepdim"))
    values = call.tape.reduce(call.x, dims, keep=keep)
    return [values, *(str(found_at(call)) for _ in call.shapes[1:])]


@rule("argmax", "argmin")
def found_at(call: Call) -> str:
    """Where a dimension is largest."""
    dims = call.dims()
    return call.tape.reduce(call.tape.fix(call.x, dims), dims, keep=bool(call.args.get("keepdim")))


@rule("softmax", "log_softmax", "_softmax", "_log_softmax", "_safe_softmax", "special_softmax")
def softmax(call: Call) -> str:
    """Entries compared with a sum of all along a dimension."""
    return normalised(call.tape, call.x, [call.dim()] if call.rank else [])


@rule("renorm", "glu")
def halves(call: Call) -> str:
    """One half of a dimension times a function of the other."""
    if call.name == "renorm":
        return call.tape.unknown(call.name, [call.x], call.shapes)[0]
    dim = call.dim()
    n = call.shape[dim]
    own = (call.tape.slice(call.x, dim, range(i * n, (i + 1) * n)) for i in (0, 1))
    return call.tape.elementwise(*own)


@rule("layer_norm", "native_layer_norm", "rms_norm", "_fused_rms_norm")
def layer_norm(call: Call) -> list[str]:
    """Each entry compared with the mean and deviation over the last dimensions."""
    n = len(call["normalized_shape"])
    dims = list(range(call.rank - n, call.rank))
    own = normalised(call.tape, call.x, dims)
    out = call.tape.elementwise(own, *call.optional("weight", "bias"))
    return [out, *(call.tape.reduce(call.x, dims, keep=True) for _ in call.shapes[1:])]


@rule("group_norm", "native_group_norm")
def group_norm(call: Call) -> list[str]:
    """Each entry compared with the mean and deviation of its group of channels."""
    groups = int(call.args.get("num_groups") or call.args["group"])
    x = call.tape.emit("group_norm", [call.x], call.shape, groups=groups)
    out = _scaled(call.tape, x, call.optional("weight", "bias"))
    return [out, *(_statistics(call, call.x, shape) for shape in call.shapes[1:])]


@rule("batch_norm", "native_batch_norm", "_native_batch_norm_legit", "cudnn_batch_norm",
      "_native_batch_norm_legit_no_training", "instance_norm")  # fmt: skip
def batch_norm(call: Call) -> list[str]:
    """Each entry compared with statistics of its channel, stored ones or its own."""
    stored = call.optional("running_mean", "running_var")
    is_training = call.args.get("training") or call.args.get("use_input_stats")
    x = call.x
    if is_training or not stored:
        own = [0, *range(2, call.rank)] if "batch" in call.name else list(range(2, call.rank))
        x, stored = normalised(call.tape, x, own), []
    out = _scaled(call.tape, x, [*call.optional("weight", "bias"), *stored])
    return [out, *(_statistics(call, x, shape) for shape in call.shapes[1:])]


def _statistics(call: Call, x: str, shape: Shape) -> str:
    """Means and deviations that an operation gives beside its result, and nobody reads."""
    return call.tape.unknown(f"statistics of {call.name}", [x], [shape])[0]


def _scaled(tape: Tape, x: str, channels: list[str]) -> str:
    """Return entries scaled or shifted by one number for each channel."""
    rest = [1] * (len(tape.shapes[x]) - 2)
    return tape.elementwise(x, *(tape.reshape(w, (*tape.shapes[w], *rest)) for w in channels))


@rule("cumsum", "cumprod", "logcumsumexp", "cummax", "cummin", "sort", "argsort", "topk", "msort",
      "flip", "roll", "_cummax_helper", "rot90", "diff")  # fmt: skip
def by_position(call: Call) -> list[str]:
    """The order along some dimensions matters, or is found out."""
    key = "dims" if "dims" in call.args else "dim"
    dims = call.dims(key) if key in call.args else [0]
    if call.name in ("rot90", "diff"):
        return call.tape.unknown(call.name, [call.x], call.shapes)
    return [call.tape.fix(call.x, dims, shape) for shape in call.shapes]


@rule("fliplr", "flipud", "tril", "triu")
def matrices(call: Call) -> str:
    """Rows and columns by position."""
    return call.tape.fix(call.x, [call.rank - 2, call.rank - 1])


@rule("pad", "constant_pad_nd")
def padded(call: Call) -> str:
    """More entries at the ends of some dimensions (fewer where negative)."""
    pad = list(call["pad"])
    dims = [call.rank - 1 - i // 2 for i, n in enumerate(pad) if n]
    return call.tape.fix(call.x, sorted(set(dims)), call.shape)


@rule("_fft_c2c", "_fft_r2c", "_fft_c2r")
def fourier(call: Call) -> str:
    """A Fourier transform of some dimensions."""
    return call.tape.fix(call.x, call.dims(), call.shape)


def _space(call: Call) -> list[str]:
    """Pooling, resizing, padding of the last dimensions, as many as the name says."""
    found = re.search(r"(\d)d", call.name)
    n = int(found[1]) if found else 2
    dims = list(range(call.rank - n, call.rank))
    return [call.tape.fix(call.x, dims, shape) for shape in call.shapes]


for _stem in ("avg_pool", "max_pool", "adaptive_avg_pool", "_adaptive_avg_pool", "lp_pool",
              "adaptive_max_pool", "max_pool_with_indices", "reflection_pad", "replication_pad",
              "fractional_max_pool", "max_unpool"):  # fmt: skip
    rule(*(f"{_stem}{n}d" for n in (1, 2, 3)))(_space)
rule(*(f"max_pool{n}d_with_indices" for n in (1, 2, 3)))(_space)
rule("upsample_linear1d", "upsample_nearest1d", "_upsample_nearest_exact1d", "upsample_bilinear2d",
     "upsample_bicubic2d", "upsample_nearest2d", "_upsample_nearest_exact2d", "upsample_nearest3d",
     "upsample_trilinear3d", "_upsample_nearest_exact3d", "_upsample_bilinear2d_aa",
     "_upsample_bicubic2d_aa")(_space)  # fmt: skip
