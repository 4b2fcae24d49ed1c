"""Claim: files of timm, whose configs name no class, are read by the names of their tensors."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from safetensors.numpy import save_file

from weightkin import compare, open_model
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.traced import reach, traced_reading
from weightkin.catalogue.store import shipped_store
from weightkin.formats.model import TensorInfo

CONFIG = {"num_classes": 1000, "num_features": 768, "pretrained_cfg": {"tag": "a1_in1k"}}


def norm(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def linear(name, n_in, n_out):
    return {f"{name}.weight": (n_out, n_in), f"{name}.bias": (n_out,)}


def vit(depth, width, patch=16):
    shapes = {"cls_token": (1, 1, width), "pos_embed": (1, 197, width)}
    shapes |= {"patch_embed.proj.weight": (width, 3, patch, patch)}
    shapes |= {"patch_embed.proj.bias": (width,)}
    for i in range(depth):
        own = f"blocks.{i}"
        shapes |= norm(f"{own}.norm1", width) | linear(f"{own}.attn.qkv", width, 3 * width)
        shapes |= linear(f"{own}.attn.proj", width, width) | norm(f"{own}.norm2", width)
        shapes |= linear(f"{own}.mlp.fc1", width, 4 * width)
        shapes |= linear(f"{own}.mlp.fc2", 4 * width, width)
    return shapes | norm("norm", width) | linear("head", width, 1000)


def batch_norm(name, width):
    statistics = {f"{name}.{x}": (width,) for x in ("running_mean", "running_var")}
    return norm(name, width) | statistics


def resnet(depths, width=64):
    shapes = {"conv1.weight": (width, 3, 7, 7)} | batch_norm("bn1", width)
    n_in = width
    for stage, depth in enumerate(depths):
        n = width << stage
        for i in range(depth):
            own = f"layer{stage + 1}.{i}"
            for k, kernel in enumerate([(n, n_in, 1, 1), (n, n, 3, 3), (4 * n, n, 1, 1)], 1):
                shapes |= {f"{own}.conv{k}.weight": kernel} | batch_norm(f"{own}.bn{k}", kernel[0])
            if not i:
                shapes |= {f"{own}.downsample.0.weight": (4 * n, n_in, 1, 1)}
                shapes |= batch_norm(f"{own}.downsample.1", 4 * n)
            n_in = 4 * n
    return shapes | linear("fc", n_in, 1000)


REAL = {  # shapes, blocks, and units inside of blocks
    "vit_base_patch16_224.augreg_in21k_ft_in1k": (vit(12, 768), 12, {3072}),
    "vit_large_patch16_224.augreg_in21k_ft_in1k": (vit(24, 1024), 24, {4096}),
    "resnet50.a1_in1k": (resnet((3, 4, 6, 3)), 16, {64, 128, 256, 512}),
    "resnet101.tv_in1k": (resnet((3, 4, 23, 3)), 33, {64, 128, 256, 512}),
}


@pytest.mark.parametrize("name", REAL)
def test_names_and_shapes_of_a_real_sized_member_give_axes_in_every_block(name):
    shapes, n_blocks, units = REAL[name]
    tensors = {k: TensorInfo(k, "F32", x, 4 * math.prod(x)) for k, x in shapes.items()}
    config = {"architecture": name.partition(".")[0], **CONFIG}
    axes = traced_reading(shipped_store(), tensors, config).axes
    hidden = [axis for axis in axes if axis.block >= 0 and axis.n_units in units]
    blocks = {
        place.tensor.partition(".conv")[0].partition(".mlp")[0]
        for axis in hidden
        for place in axis.places
        if ".conv1" in place.tensor or ".mlp." in place.tensor
    }
    assert len(blocks) == n_blocks
    assert reach(axes, shapes) > 0.99


def test_a_child_of_a_member_is_found_and_an_unrelated_one_is_not(tmp_path):
    shapes = vit(3, 48)
    for name, seed in (("a", 0), ("child", 0), ("b", 1)):
        rng, noise = np.random.default_rng(seed), np.random.default_rng(7)
        state = {k: rng.standard_normal(x).astype(np.float32) for k, x in shapes.items()}
        if name == "child":
            state = {
                k: x + 0.1 * noise.standard_normal(x.shape).astype(np.float32)
                for k, x in state.items()
            }
        (tmp_path / name).mkdir()
        save_file(state, tmp_path / name / "model.safetensors")
        config = {"architecture": "vit_tiny_patch16_224", **CONFIG}
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    assert read_anatomy(open_model(tmp_path / "a")).axes
    assert compare(tmp_path / "a", tmp_path / "child").verdict == "dependent"
    assert compare(tmp_path / "a", tmp_path / "b").verdict == "no-evidence"
