"""Whole models in packed layouts and in GGUF, against the plain model and another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.claims.cases import Answer, Case
from benchmarks.claims.cases.identity import HEADS, SAME, Arrays, write
from benchmarks.claims.cases.packed_layers import LEVELS, words
from benchmarks.claims.cases.publishers import EQUAL, N_BLOCKS, PHI, both, llama
from weightkin import check, compare
from weightkin.errors import WeightkinError

TITLE = "Packed models and GGUF"
CODED = ("quantised",)
Packed = tuple[Arrays, dict[str, Any]]


def _grouped(x: npt.NDArray[Any], size: int) -> npt.NDArray[np.float32]:
    return x.reshape(len(x), -1, size).astype(np.float32)


def _mlx(bits: int, arrays: Arrays) -> Packed:
    """Codes in words, a scale and an offset for each 64 values of a row."""
    found: Arrays = {}
    for name, x in arrays.items():
        if x.ndim == 1 or x.shape[1] % 64:
            found[name] = x.astype(np.float16)
            continue
        groups, stem = _grouped(x, 64), name.removesuffix(".weight")
        low = groups.min(axis=2)
        scale = (groups.max(axis=2) - low) / (2**bits - 1)
        codes = np.round((groups - low[..., None]) / scale[..., None]).reshape(x.shape)
        found |= {name: words(codes, bits), f"{stem}.scales": scale.astype(np.float16),
                  f"{stem}.biases": low.astype(np.float16)}  # fmt: skip
    return found, {"quantization": {"group_size": 64, "bits": bits}}


def _linear(pack: Callable[[str, npt.NDArray[Any]], Arrays], form: str, arrays: Arrays) -> Packed:
    """Layers of the blocks packed, all else as it is."""
    found: Arrays = {}
    for name, x in arrays.items():
        found |= pack(name.removesuffix(".weight"), x) if "_proj" in name else {name: x}
    said = {"quantization_config": {"quant_method": "compressed-tensors", "format": form}}
    return found, said if form else {}


def _int4(stem: str, x: npt.NDArray[Any]) -> Arrays:
    groups = _grouped(x, 16)
    scale = np.abs(groups).max(axis=2) / 7.5
    codes = np.clip(np.round(groups / scale[..., None]), -8, 7).reshape(x.shape) + 8
    return {f"{stem}.weight_packed": words(codes, 4).view(np.int32),
            f"{stem}.weight_scale": scale, f"{stem}.weight_shape": np.array(x.shape)}  # fmt: skip


def _nvfp4(stem: str, x: npt.NDArray[Any]) -> Arrays:
    import ml_dtypes

    groups, whole = _grouped(x, 16), np.float32(448 * 6 / np.abs(x).max())
    scale = (np.abs(groups).max(axis=2) / 6 * whole).astype(ml_dtypes.float8_e4m3fn)
    y = groups / (scale.astype(np.float32) / whole)[..., None]
    codes = np.abs(np.abs(y)[..., None] - LEVELS).argmin(axis=3) | (y < 0) << 3
    codes = codes.reshape(x.shape).astype(np.uint8)
    return {f"{stem}.weight_packed": codes[:, 0::2] | codes[:, 1::2] << 4,
            f"{stem}.weight_scale": scale,
            f"{stem}.weight_global_scale": np.array([whole])}  # fmt: skip


def _eight(suffix: str, is_by_row: bool, stem: str, x: npt.NDArray[Any]) -> Arrays:
    import ml_dtypes

    most = np.abs(x).max(axis=1, keepdims=True) if is_by_row else np.abs(x).max().reshape(1)
    scale = most / 448
    return {f"{stem}.weight": (x / scale).astype(ml_dtypes.float8_e4m3fn),
            f"{stem}.{suffix}": scale.astype(np.float32)}  # fmt: skip


PACKED: dict[str, Callable[[Arrays], Packed]] = {
    "MLX, 4 bits": partial(_mlx, 4),
    "MLX, 8 bits": partial(_mlx, 8),
    "compressed-tensors, 4 bits": partial(_linear, _int4, "pack-quantized"),
    "compressed-tensors, NVFP4": partial(_linear, _nvfp4, "nvfp4-pack-quantized"),
    "compressed-tensors, 8-bit floats": partial(
        _linear, partial(_eight, "weight_scale", True), "float-quantized"),
    "8-bit floats of ComfyUI": partial(_linear, partial(_eight, "scale_weight", False), ""),
}  # fmt: skip


def _packed(folder: Path, pack: Callable[[Arrays], Packed], seed: int) -> Path:
    arrays, config = pack(llama(seed))
    return write(folder, arrays, **config)


def _in_codes(pack: Callable[[Arrays], Packed], folder: Path) -> Answer:
    """A model against its codes and another model's."""
    paths = [_packed(folder / str(seed), pack, seed) for seed in range(2)]
    return both(write(folder / "plain", llama(0)), *paths, *CODED)


def _all_hit(folder: Path) -> Answer:
    """The gate, for each packed layout, with the plain model denied."""
    denied = write(folder / "denied", llama(0))
    said = {
        name: check(_packed(folder / name, pack, 0), deny=[denied]).outcome
        for name, pack in PACKED.items()
    }
    missed = [f"{name}: {outcome}" for name, outcome in said.items() if outcome != "hit"]
    return Answer(not missed, ", ".join(missed) or f"{len(said)} hits")


BLK = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.qkv_proj": "attn_qkv",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.gate_up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "mlp.gate.": "ffn_gate_inp.",
    "post_attention_layernorm": "ffn_norm", "model.layers": "blk",
    "mlp.experts.gate_exps": "ffn_gate_exps", "mlp.experts.up_exps": "ffn_up_exps",
    "mlp.experts.down_proj": "ffn_down_exps.weight",
}  # fmt: skip


def gguf(path: Path, kind: str, arrays: Arrays, coded: str = "", **more: Any) -> Path:
    """Write a GGUF file with the library of its authors, under the names it gives."""
    from gguf import GGMLQuantizationType, GGUFWriter, quants

    path.parent.mkdir(parents=True, exist_ok=True)
    writer = GGUFWriter(str(path), kind)
    if "type" in more:
        writer.add_type(more["type"])
    writer.add_block_count(N_BLOCKS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    for name, x in arrays.items():
        for old, new in BLK.items():
            name = name.replace(old, new)  # noqa: PLW2901 (one name after the other)
        if coded and x.ndim > 1 and x.shape[-1] % 32 == 0:
            form = GGMLQuantizationType[coded]
            writer.add_tensor(name, quants.quantize(x.astype(np.float32), form), raw_dtype=form)
        else:
            writer.add_tensor(name, x.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _turned(arrays: Arrays) -> Arrays:
    from benchmarks.claims.cases.identity import turned

    return turned(dict(arrays))


def experts(seed: int, is_split: bool, n: int = 4) -> Arrays:
    """A mixture of experts as Qwen 3: each expert's tensors, or all in one."""
    rng = np.random.default_rng(seed + 100)
    found = {k: v for k, v in llama(seed).items() if ".mlp." not in k}
    for i in range(N_BLOCKS):
        at = f"model.layers.{i}.mlp."
        inner = [0.02 * rng.standard_normal(s).astype("f4") for s in ((n, 96, 64), (n, 64, 48))]
        found[f"{at}gate.weight"] = 0.02 * rng.standard_normal((n, 64)).astype("f4")
        if not is_split:
            found |= {f"{at}experts.gate_up_proj": inner[0], f"{at}experts.down_proj": inner[1]}
        for j in range(n if is_split else 0):
            found |= {f"{at}experts.{j}.gate_proj.weight": inner[0][j][:48],
                      f"{at}experts.{j}.up_proj.weight": inner[0][j][48:],
                      f"{at}experts.{j}.down_proj.weight": inner[1][j]}  # fmt: skip
    return found


MOE = {"model_type": "qwen3_moe", "num_experts": 4, "moe_intermediate_size": 48}


def _stacked(arrays: Arrays) -> Arrays:
    """The experts' gate and up apart, as GGUF has them."""
    found: Arrays = {}
    for name, x in arrays.items():
        if name.endswith("gate_up_proj"):
            stem = name.removesuffix("gate_up_proj")
            found |= {f"{stem}gate_exps.weight": x[:, :48], f"{stem}up_exps.weight": x[:, 48:]}
        else:
            found[name] = x
    return found


def _as_gguf(
    kind: str, make: Callable[[int], Arrays], change: Callable[[Arrays], Arrays], coded: str,
    config: Mapping[str, Any], folder: Path,
) -> Answer:  # fmt: skip
    """A model against its GGUF file and another model's."""
    paths = [gguf(folder / f"{s}.gguf", kind, change(make(s)), coded) for s in range(2)]
    kinds = CODED if coded else SAME
    return both(write(folder / "plain", make(0), **config), *paths, *kinds)


def _no_model(kind: str, arrays: Arrays, folder: Path) -> Answer:
    """A GGUF file that is no model of its own."""
    path = gguf(folder / "x.gguf", "llama", arrays, type=kind)
    try:
        return Answer(False, compare(path, path).sentence)
    except WeightkinError as error:
        said = str(error).partition(": ")[2]
        return Answer(error.exit_code == 3 and "\n" not in said, said)


def _factors() -> Arrays:
    rng = np.random.default_rng(0)
    return {f"blk.{i}.attn_q.weight.lora_{x}": rng.standard_normal(s).astype("f4")
            for i in range(N_BLOCKS) for x, s in (("a", (8, 64)), ("b", (64, 8)))}  # fmt: skip


def _split_or_fused(folder: Path) -> Answer:
    """A mixture of experts split, and the same and another one fused."""
    made = [experts(0, True), experts(0, False), experts(1, False)]
    return both(*(write(folder / str(i), x, **MOE) for i, x in enumerate(made)))


def _noisy_and_fused(folder: Path) -> Answer:
    """A split mixture, and a noisy copy with fused experts: how far it is."""
    rng, changed = np.random.default_rng(9), experts(0, False)
    for name, x in changed.items():
        if x.ndim > 1:
            changed[name] = (x + 0.05 * x.std() * rng.standard_normal(x.shape)).astype("f4")
    record = compare(*(write(folder / n, x, **MOE) for n, x in (("a", experts(0, True)),
                                                                ("b", changed))))  # fmt: skip
    far = record.kind_details.get("share", -1)
    return Answer(record.kind == ("noise",) and 0.045 < far < 0.055,
                  f"{' and '.join(record.kind)} of {far}")  # fmt: skip


def _stand_twice(folder: Path) -> Answer:
    """Both layouts of the experts in one file, against one of them."""
    twice = experts(0, True) | experts(0, False)
    paths = [write(folder / n, x, **MOE) for n, x in (("a", experts(0, True)), ("b", twice))]
    record = compare(*paths)
    is_right = record.verdict == "dependent" and "fine-tuned" not in record.kind
    return Answer(is_right, f"{record.verdict}; {' and '.join(record.kind)}")


CODES = "quantised; another model: no evidence"
_PLAIN: Callable[[Arrays], Arrays] = dict
CASES = (
    *(Case(name, CODES, "", partial(_in_codes, pack)) for name, pack in PACKED.items()),
    Case("check: each of them, the plain model denied", f"{len(PACKED)} hits", "", _all_hit),
    Case("GGUF of a Llama", EQUAL, "", partial(_as_gguf, "llama", llama, _turned, "", {})),
    Case(
        "GGUF of a Llama, Q8_0", CODES, "", partial(_as_gguf, "llama", llama, _turned, "Q8_0", {})
    ),
    Case(
        "GGUF of a Llama, Q4_0", CODES, "", partial(_as_gguf, "llama", llama, _turned, "Q4_0", {})
    ),
    Case("GGUF of Qwen 2", EQUAL, "", partial(_as_gguf, "qwen2", llama, _PLAIN, "", {})),
    Case(
        "GGUF of Phi 3",
        EQUAL,
        "",
        partial(_as_gguf, "phi3", partial(llama, names=PHI), _PLAIN, "", {}),
    ),
    Case(
        "GGUF of a mixture of experts",
        EQUAL,
        "",
        partial(_as_gguf, "qwen3moe", partial(experts, is_split=False), _stacked, "", MOE),
    ),
    Case("GGUF of an adapter alone", "one line", "", partial(_no_model, "adapter", _factors())),
    Case("experts split; fused", EQUAL, "", _split_or_fused),
    Case("experts split; with noise of 0.05, and fused", "noise of 0.05", "", _noisy_and_fused),
    Case("experts split; both layouts in one file", "equal in what both hold", "", _stand_twice),
)
