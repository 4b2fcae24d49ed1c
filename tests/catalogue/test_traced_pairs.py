"""Claim: library classes are read by their traced entries at real size, and pairs of them tested.

Shapes of real-sized models come from the class itself, on the meta device. Names may begin with
anything; a tensor that the class does not have takes axes away, never adds one.
"""

from __future__ import annotations

import json
import math
from functools import cache

import diffusers
import pytest
import torch
import transformers
from benchmarks.catalogue.variants import VALUES
from benchmarks.catalogue.weights import child_of, randomise
from safetensors.torch import save_file

from weightkin import compare, open_model
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.traced import reach, traced_reading
from weightkin.catalogue.store import shipped_store
from weightkin.formats.model import TensorInfo

SD15 = {
    "block_out_channels": (320, 640, 1280, 1280),
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}
RESNET = {"layer_type": "basic", "depths": [3, 4, 6, 3], "hidden_sizes": [64, 128, 256, 512]}
REAL = {
    "bert": lambda: transformers.BertForMaskedLM(transformers.BertConfig()),
    "llama": lambda: transformers.LlamaForCausalLM(
        transformers.LlamaConfig(num_key_value_heads=8, num_hidden_layers=6)
    ),
    "resnet": lambda: transformers.ResNetForImageClassification(
        transformers.ResNetConfig(**RESNET)
    ),
    "unet": lambda: diffusers.UNet2DConditionModel(**SD15),
    "flux": lambda: diffusers.FluxTransformer2DModel(guidance_embeds=True, num_single_layers=6),
}
EXPECTED = {  # units and size of their cells of some axes
    "bert": {(768, 0), (768, 64), (3072, 0)},
    "llama": {(4096, 0), (1024, 128), (11008, 0)},
    "resnet": {(64, 0), (128, 0), (256, 0), (512, 0)},
    "unet": {(320, 10), (640, 20), (1280, 40), (5120, 0), (640, 80)},
    "flux": {(3072, 0), (3072, 128), (12288, 0)},
}


def tensor(name, shape):
    return TensorInfo(name, "F32", shape, 4 * math.prod(shape))


@cache
def real(name):
    """Tensors and config of a real-sized model."""
    with torch.device("meta"):
        module = REAL[name]()
    tied = set(getattr(module, "_tied_weights_keys", None) or ())
    tensors = {
        key: tensor(key, tuple(x.shape))
        for key, x in module.state_dict().items()
        if x.dtype.is_floating_point and key not in tied
    }
    return tensors, config_of(module)


def config_of(module):
    """As its file says it."""
    config = module.config
    if hasattr(config, "to_dict"):
        return config.to_dict()
    return {"_class_name": type(module).__name__, **config}


def read(tensors, config):
    return traced_reading(shipped_store(), tensors, config)


def shapes_of(tensors):
    return {name: info.shape for name, info in tensors.items()}


def renamed(tensors, change):
    return {change(k): tensor(change(k), x.shape) for k, x in tensors.items()}


def groups(axes):
    return {(axis.n_units, axis.head_size) for axis in axes}


@pytest.mark.parametrize("name", REAL)
def test_names_and_shapes_of_a_real_sized_model_give_axes_almost_everywhere(name):
    tensors, config = real(name)
    found = read(tensors, config)
    assert groups(found.axes) >= EXPECTED[name]
    assert reach(found.axes, shapes_of(tensors)) > (0.75 if name == "unet" else 0.99)
    names = [(axis.stack, axis.block, axis.name) for axis in found.axes]
    assert len(names) == len(set(names))
    for axis in found.axes:
        for place in axis.places:
            end = place.start + place.size
            assert end <= tensors[place.tensor].shape[place.dim + (place.index is not None)]
            assert place.size == axis.n_units * place.outer * place.inner * place.repeat


@pytest.mark.parametrize("before", ["module.", "_orig_mod.", "model.", "text_model.inner."])
def test_what_stands_before_a_name_changes_no_axis(before):
    tensors, config = real("bert")
    plain = read(tensors, config)
    moved = read(renamed(tensors, lambda name: f"{before}{name}"), config)
    assert [(x.stack, x.block, x.name, x.n_units) for x in moved.axes] == [
        (x.stack, x.block, x.name, x.n_units) for x in plain.axes
    ]
    roles = [[place.role for place in axis.places] for axis in moved.axes]
    assert roles == [[place.role for place in axis.places] for axis in plain.axes]


def test_without_a_config_no_head_is_guessed():
    tensors, _ = real("bert")
    found = read(tensors, {})
    assert (768, 64) not in groups(found.axes)
    assert (3072, 0) in groups(found.axes)


def test_a_config_of_another_class_is_not_believed():
    tensors, config = real("bert")
    other = {**config, "model_type": "gpt2", "num_attention_heads": 6}
    assert not {(768, 128), (768, 64)} & groups(read(tensors, other).axes)


def test_a_tensor_nobody_knows_takes_the_stream_it_touches_and_a_head_does_not():
    tensors, config = real("bert")
    head = {**tensors, "classifier.weight": tensor("classifier.weight", (5, 768))}
    assert (768, 0) in groups(read(head, config).axes)
    name = "bert.encoder.layer.3.adapter.weight"
    inside = {**tensors, name: tensor(name, (64, 768))}
    assert (768, 0) not in groups(read(inside, config).axes)
    assert (3072, 0) in groups(read(inside, config).axes)


def test_other_shapes_under_the_same_names_are_refused():
    tensors, config = real("bert")
    name = "bert.encoder.layer.3.output.dense.weight"
    assert read({**tensors, name: tensor(name, (768, 3073))}, config) is None


def test_widths_that_refute_the_usual_number_of_groups_fix_the_channels():
    with torch.device("meta"):
        own = {"block_out_channels": (40, 96), "norm_num_groups": 8}
        module = diffusers.UNet2DConditionModel(**{**VALUES["UNet2DConditionModel"][0], **own})
    tensors = {key: tensor(key, tuple(x.shape)) for key, x in module.state_dict().items()}
    convolutions = {name for name in tensors if "resnets" in name and ".conv" in name}
    known, guessed = read(tensors, config_of(module)).axes, read(tensors, {}).axes
    assert convolutions & {place.tensor for axis in known for place in axis.places}
    assert not convolutions & {place.tensor for axis in guessed for place in axis.places}
    assert {axis.n_units for axis in guessed} >= {4 * 40}  # hidden units of no norm


def _unet():
    own = {"block_out_channels": (32, 48), "norm_num_groups": 4, "attention_head_dim": 4}
    return diffusers.UNet2DConditionModel(**{**VALUES["UNet2DConditionModel"][0], **own})


def _flux():
    return diffusers.FluxTransformer2DModel(**VALUES["FluxTransformer2DModel"][1])


@pytest.mark.claim
@pytest.mark.parametrize("make", [_unet, _flux], ids=["unet", "flux"])
def test_a_child_is_found_and_an_unrelated_model_is_not(make, tmp_path):
    paths = {}
    for name, seed, is_child in (("a", 0, False), ("child", 0, True), ("b", 1, False)):
        torch.manual_seed(seed)
        module = make()
        randomise(module, seed)
        if is_child:
            child_of(module, 7)
        paths[name] = tmp_path / name
        paths[name].mkdir()
        state = {key: x.contiguous() for key, x in module.state_dict().items()}
        save_file(state, paths[name] / "model.safetensors")
        (paths[name] / "config.json").write_text(json.dumps(dict(module.config), default=list))
    anatomy = read_anatomy(open_model(paths["a"]))
    assert anatomy.family.startswith("diffusers.")
    assert compare(paths["a"], paths["child"]).verdict == "dependent"
    assert compare(paths["a"], paths["b"]).verdict == "no-evidence"
