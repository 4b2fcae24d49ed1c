"""One model written in many formats: by the library that owns the format, or by its layout."""

from __future__ import annotations

import json
import shutil

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

from weightkin.weights import open_model

GROUP = 32  # inputs that share a scale and a zero
AWQ_PACKS = (0, 2, 4, 6, 1, 3, 5, 7)  # output in each nibble of a word, lowest first
FP8 = ml_dtypes.float8_e4m3fn


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


def gptq(x, *, bits=4, version=1, order=None):
    """Parts of one layer by AutoGPTQ's layout; with ``order`` as `desc_act` leaves them."""
    order = np.arange(x.shape[1]) if order is None else order
    codes, zeros, scales = levels(x[:, order], bits=bits)
    back = np.argsort(order)
    each = 32 // bits
    stored = codes[:, back].T  # inputs as rows
    qweight = np.zeros((x.shape[1] // each, x.shape[0]), np.uint32)
    for i in range(x.shape[1]):
        qweight[i // each] |= stored[i].astype(np.uint32) << (bits * (i % each))
    shift = (zeros - (1 if version == 1 else 0)) % 2**bits
    qzeros = np.zeros((zeros.shape[1], x.shape[0] // each), np.uint32)
    for j in range(x.shape[0]):
        qzeros[:, j // each] |= shift[j].astype(np.uint32) << (bits * (j % each))
    return {
        "qweight": qweight.view(np.int32),
        "qzeros": qzeros.view(np.int32),
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
