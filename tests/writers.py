"""One model written in many formats: by the library that owns the format, or by its layout."""

from __future__ import annotations

import json
import re
import shutil

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

from weightkin.formats import open_model

GROUP = 32  # inputs that share a scale and a zero
AWQ_PACKS = (0, 2, 4, 6, 1, 3, 5, 7)  # output in each nibble of a word, lowest first
FP8 = ml_dtypes.float8_e4m3fn


def sharded(source, folder):
    """Two safetensors files and their index."""
    model = open_model(source)
    names = list(model.tensors)
    half = len(names) // 2
    folder.mkdir()
    places = {}
    for i, chosen in enumerate((names[:half], names[half:]), 1):
        shard = f"model-{i:05d}-of-00002.safetensors"
        save_file({name: model.rows(name) for name in chosen}, folder / shard)
        places |= dict.fromkeys(chosen, shard)
    index = {"metadata": {"total_size": model.n_bytes}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    shutil.copy(source / "config.json", folder / "config.json")


def torch_file(source, folder, *, is_legacy):
    """As torch saves a state dict, in the format since 1.6 or in the one before."""
    import torch

    model = open_model(source)
    state = {name: torch.from_numpy(model.rows(name)) for name in model.tensors}
    folder.mkdir()
    options = {"_use_new_zipfile_serialization": not is_legacy}
    torch.save(state, folder / "pytorch_model.bin", **options)
    shutil.copy(source / "config.json", folder / "config.json")


def onnx(source, folder, *, beside=False):
    """As torch names and turns the weights of linear layers, without the rest of the graph."""
    import onnx as package
    from onnx import helper, numpy_helper

    model = open_model(source)
    nodes, initializers = [], []
    for i, name in enumerate(model.tensors):
        x, stored = model.rows(name), name
        module = name.removesuffix(".weight")
        if x.ndim == 2 and "embed" not in name:
            stored, x = f"onnx::MatMul_{i}", np.ascontiguousarray(x.T)
            path = re.sub(r"\.(?=[a-z])", "/", module)  # numbers stay with the list they are in
            nodes.append(helper.make_node("MatMul", ["x", stored], [f"y{i}"], f"/{path}/MatMul"))
        initializers.append(numpy_helper.from_array(x, stored))
    shape = numpy_helper.from_array(np.array([1, 2], np.int64), "/Constant_output_0")
    graph = helper.make_graph(nodes, "main_graph", [], [], [*initializers, shape])
    folder.mkdir()
    options = {"save_as_external_data": True, "location": "model.onnx_data"} if beside else {}
    package.save(helper.make_model(graph), folder / "model.onnx", **options)
    shutil.copy(source / "config.json", folder / "config.json")


def bitsandbytes(source, folder, bits):
    """As transformers and bitsandbytes save it."""
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    options = {
        8: {"load_in_8bit": True},
        4: {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": True,
        },
        -4: {"load_in_4bit": True, "bnb_4bit_quant_type": "fp4"},
    }[bits]
    model = AutoModelForCausalLM.from_pretrained(
        source,
        quantization_config=BitsAndBytesConfig(**options),
        device_map="cpu",
        dtype=torch.float32,
    )
    model.save_pretrained(folder)


def levels(x, *, bits=4, symmetric=False):
    """Codes, zeros and scales of the rows of x in groups of inputs: rounding to the nearest."""
    parts = x.reshape(x.shape[0], -1, GROUP)
    top = 2**bits - 1
    if symmetric:
        scales = np.abs(parts).max(axis=2) * 2 / top
        zeros = np.full(scales.shape, 2 ** (bits - 1))
    else:
        low, high = parts.min(axis=2), parts.max(axis=2)
        scales = (high - low) / top
        zeros = np.clip(np.rint(-low / scales), 0, top)
    scales = scales.astype(np.float16)
    codes = np.rint(parts / scales.astype(np.float32)[:, :, None]) + zeros[:, :, None]
    codes = np.clip(codes, 0, top).astype(np.int64).reshape(x.shape)
    return codes, zeros.astype(np.int64), scales


def in_words(codes, bits):
    """One run of bits down each column, lowest first, cut into words of 32."""
    places = codes.astype(np.uint32)[:, None, :] >> np.arange(bits, dtype=np.uint32)[None, :, None]
    run = (places & 1).astype(np.uint8).reshape(-1, codes.shape[1])  # (n * bits, columns)
    packed = np.packbits(run, axis=0, bitorder="little").T  # (columns, n * bits / 8)
    return np.ascontiguousarray(np.ascontiguousarray(packed).view("<i4").T)


def gptq(x, *, bits=4, version=1, order=None):
    """Parts of one layer by AutoGPTQ's layout; with ``order`` as `desc_act` leaves them."""
    order = np.arange(x.shape[1]) if order is None else order
    codes, zeros, scales = levels(x[:, order], bits=bits)
    back = np.argsort(order)
    shift = (zeros - (1 if version == 1 else 0)) % 2**bits
    qweight = in_words(codes[:, back].T, bits)  # inputs as rows
    qzeros = np.ascontiguousarray(in_words(shift, bits).T)
    return {
        "qweight": qweight,
        "qzeros": qzeros,
        "scales": np.ascontiguousarray(scales.T),
        "g_idx": (back // GROUP).astype(np.int32),
    }


def awq(x):
    """Parts of one layer by AWQ's layout for general matrix products."""
    codes, zeros, scales = levels(x)

    def packed(values):  # (n, outputs) -> (n, outputs / 8)
        words = np.zeros((values.shape[0], values.shape[1] // 8), np.uint32)
        for word in range(words.shape[1]):
            for nibble, output in enumerate(AWQ_PACKS):
                words[:, word] |= values[:, word * 8 + output].astype(np.uint32) << (4 * nibble)
        return words.view(np.int32)

    return {
        "qweight": packed(codes.T),
        "qzeros": packed(zeros.T),
        "scales": np.ascontiguousarray(scales.T),
    }


def unpacked(codes, zeros, scales):
    """Values that codes stand for."""
    parts = codes.reshape(*scales.shape, GROUP) - zeros[:, :, None]
    return (parts * scales.astype(np.float32)[:, :, None]).reshape(codes.shape).astype(np.float32)


def fp8(x, block=128):
    """8-bit floats and one scale for each block, as DeepSeek stores them."""
    scales = np.zeros((-(-x.shape[0] // block), -(-x.shape[1] // block)), np.float32)
    values = np.zeros(x.shape, FP8)
    for i in range(scales.shape[0]):
        for j in range(scales.shape[1]):
            at = np.s_[i * block : (i + 1) * block, j * block : (j + 1) * block]
            scales[i, j] = np.abs(x[at]).max() / 448
            values[at] = (x[at] / scales[i, j]).astype(FP8)
    return {"weight": values, "weight_scale_inv": scales}


BY_LAYOUT = {
    "gptq": (gptq, {"quant_method": "gptq", "bits": 4, "group_size": GROUP}),
    "awq": (awq, {"quant_method": "awq", "bits": 4, "group_size": GROUP}),
    "fp8": (fp8, {"quant_method": "fp8", "weight_block_size": [128, 128]}),
}


def by_layout(source, folder, name):
    """Write a folder whose linear layers are packed by the layout's documentation."""
    pack, stated = BY_LAYOUT[name]
    model = open_model(source)
    arrays = {}
    for tensor in model.tensors:
        if not tensor.endswith("proj.weight"):
            arrays[tensor] = model.rows(tensor)
            continue
        for part, array in pack(model.rows(tensor)).items():
            arrays[f"{tensor.removesuffix('weight')}{part}"] = array
    folder.mkdir()
    save_file(arrays, folder / "model.safetensors")
    shutil.copy(source / "config.json", folder / "config.json")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": stated}))


GGUF_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf(source, path, kind, *, base=None, tensors_a_part=0):
    """Write with gguf's own writer, in the names and row order of llama.cpp's conversion."""
    import gguf as package

    model = open_model(source)
    writer = package.GGUFWriter(path, "llama", split_max_tensors=tensors_a_part)
    writer.add_block_count(model.config["num_hidden_layers"])
    writer.add_embedding_length(model.config["hidden_size"])
    writer.add_feed_forward_length(model.config["intermediate_size"])
    writer.add_head_count(model.config["num_attention_heads"])
    writer.add_head_count_kv(model.config["num_key_value_heads"])
    writer.add_key_length(model.config["head_dim"])
    writer.add_token_list([f"token {i}" for i in range(512)])
    writer.add_array("some.numbers", [1, 2, 3])
    if base:
        writer.add_base_model_count(1)
        writer.add_base_model_name(0, base)
        writer.add_base_model_repo_url(0, f"https://example.org/{base}")
    for name in model.tensors:
        x, stored = model.rows(name), name
        for ours, theirs in GGUF_NAMES.items():
            stored = stored.replace(ours, theirs)
        stored = stored.replace("model.layers.", "blk.")
        for part, key in (("q_proj", "num_attention_heads"), ("k_proj", "num_key_value_heads")):
            if part in name:  # LlamaModel.permute of convert_hf_to_gguf.py
                n = model.config[key]
                halves = x.reshape(n, 2, x.shape[0] // n // 2, *x.shape[1:])
                x = halves.swapaxes(1, 2).reshape(x.shape)
        wanted = kind
        if x.ndim == 1:
            wanted = "F32"
        elif kind == "Q4_K" and x.shape[1] % 256:
            wanted = "Q4_0"  # llama.cpp falls back as well where rows are no whole blocks
        if wanted == "F32":
            writer.add_tensor(stored, np.ascontiguousarray(x))
            continue
        code = package.GGMLQuantizationType[wanted]
        packed = q4_k(x) if wanted == "Q4_K" else package.quants.quantize(x, code)
        packed = packed.view(np.float16) if wanted == "F16" else packed
        writer.add_tensor(stored, packed, raw_dtype=code)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def q4_k(x):
    """Blocks of 256 in eight parts with six-bit scales and minima; by the layout in ggml."""
    parts = x.reshape(-1, 8, 32)
    low = np.maximum(-parts.min(axis=2), 0)
    step = (parts.max(axis=2) + low) / 15
    d = (step.max(axis=1) / 63).astype(np.float16)
    d_min = (low.max(axis=1) / 63).astype(np.float16)
    scale = np.clip(np.rint(step / d.astype(np.float32)[:, None]), 1, 63).astype(np.uint8)
    least = np.clip(np.rint(low / d_min.astype(np.float32)[:, None]), 0, 63).astype(np.uint8)
    steps = d.astype(np.float32)[:, None] * scale
    lows = d_min.astype(np.float32)[:, None] * least
    codes = np.clip(np.rint((parts + lows[:, :, None]) / steps[:, :, None]), 0, 15)
    codes = codes.astype(np.uint8)
    table = np.zeros((len(parts), 12), np.uint8)
    for j in range(4):
        table[:, j] = scale[:, j] | (scale[:, j + 4] >> 4) << 6
        table[:, j + 4] = least[:, j] | (least[:, j + 4] >> 4) << 6
        table[:, j + 8] = (scale[:, j + 4] & 15) | (least[:, j + 4] & 15) << 4
    pairs = codes.reshape(-1, 4, 2, 32)
    nibbles = (pairs[:, :, 0] | pairs[:, :, 1] << 4).reshape(-1, 128)
    heads = np.stack([d, d_min], axis=1).view(np.uint8)  # (n_blocks, 4)
    blocks = np.concatenate([heads, table, nibbles], axis=1)
    return np.ascontiguousarray(blocks.reshape(x.shape[0], -1))
