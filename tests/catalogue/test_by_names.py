"""Claim: what is read of a library's class by names alone is a symmetry of the running model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from tests.anatomy.test_symmetry import completed, relabelled, relabelling

classes = pytest.importorskip("benchmarks.catalogue.classes")

from benchmarks.catalogue.running import HIDDEN, leaves  # noqa: E402

from weightkin import open_model  # noqa: E402
from weightkin.anatomy import read, read_anatomy  # noqa: E402

# class, and the kinds of axes that are read of it
CLASSES = {
    "NllbMoeForConditionalGeneration": ("units", "vo"),
    "SwitchTransformersForConditionalGeneration": ("units", "vo", "heads", "residual"),
    "Step3p7ForConditionalGeneration": ("units", "vo", "heads"),
    "KimiLinearForCausalLM": ("units",),
    "GlmMoeDsaForCausalLM": ("units",),
    "HYV3ForCausalLM": ("units", "vo", "heads", "residual"),
    "Inkling2ForCausalLM": ("units",),
    "NemotronHForCausalLM": ("units",),
    "HiggsAudioV2ForConditionalGeneration": ("units", "vo", "heads"),
    "PersimmonForCausalLM": ("units", "vo", "heads", "residual"),
    "FuyuForCausalLM": ("units", "vo", "heads", "residual"),
    "Qwen3_5ForConditionalGeneration": ("units", "vo", "residual"),
    "MiniCPMV4_6ForConditionalGeneration": ("units", "vo", "heads", "residual"),
    "InstructBlipForConditionalGeneration": ("units", "vo", "heads"),
    "VJEPA2ForVideoClassification": ("units", "vo", "heads"),
    "Sapiens2Model": ("units", "vo", "heads", "residual"),
    "DepthAnythingForDepthEstimation": ("units", "vo", "heads"),
    "RfDetrForObjectDetection": ("units", "vo", "heads"),
    "RwkvForCausalLM": ("units", "residual"),
    "XLNetLMHeadModel": ("units", "residual"),
    "LightGlueForKeypointMatching": ("units", "vo", "heads"),
}


@pytest.fixture(autouse=True)
def entries_by_hand(monkeypatch):
    """No traced class is asked."""
    monkeypatch.setattr(read, "better_anatomy", lambda found, *_: found)
    read.read_headers.cache_clear()
    yield
    read.read_headers.cache_clear()


LONG = (
    "GlmMoeDsa",
    "Step3p7",
    "Fuyu",
    "RfDetr",
    "Switch",
    "KimiLinear",
    "DepthAnything",
    "LightGlue",
)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(x, marks=[pytest.mark.claim("by names")] if x.startswith(LONG) else [])
        for x in CLASSES
    ],
)
def test_relabelling_what_names_show_changes_no_output(name, tmp_path):
    model = classes.tiny(own_class(name), 0, 1)
    check(model, classes.example_inputs(model), CLASSES[name], tmp_path)


def test_stacked_experts_stored_in_out_of_a_class_of_diffusers(tmp_path):
    dense = classes.tiny(own_class("NucleusMoEImageTransformer2DModel"), 0, 1)
    torch.manual_seed(1)
    model = (
        type(dense)
        .from_config({**dense.config, "dense_moe_strategy": "all_moe", "capacity_factors": 2.0})
        .eval()
    )
    for name, x in model.named_parameters():
        if ".experts." in name:  # the library leaves them as memory was
            torch.nn.init.normal_(x, std=0.2)
    check(model, classes.example_inputs(dense), ("units",), tmp_path)
    anatomy = read_anatomy(open_model(tmp_path))
    assert {"mlp.3", "mlp.shared"} <= {axis.name for axis in anatomy.axes}


def own_class(name):
    return next(x for x in classes.all_classes() if x.name == name)


def check(model, inputs, kinds, folder):
    """Relabelling all axes of some kinds, and no others, leaves outputs as they are."""
    before = outputs(model, inputs)
    model.save_pretrained(folder)
    (file,) = folder.glob("*.safetensors")
    stored = load_file(file)
    anatomy = read_anatomy(open_model(folder))
    assert {axis.kind for axis in anatomy.axes} == set(kinds)
    expected, arrays = before, stored
    for axis in anatomy.axes:
        arrays = completed("", relabelled(arrays, axis, axis.places), axis)
        if axis.kind == "residual" and is_hidden(model, inputs):
            expected = [x[..., relabelling(axis)] for x in before]
    assert deviation(expected, again(model, folder, file, arrays, inputs)) < 2e-5
    wrong = stored
    for first in {axis.labels: axis for axis in reversed(anatomy.axes)}.values():
        wrong = relabelled(wrong, first, first.places[:1])
    assert deviation(before, again(model, folder, file, wrong, inputs)) > 1e-4


def again(model, folder, file, arrays, inputs):
    """Outputs of a model whose file holds other arrays."""
    save_file({name: np.ascontiguousarray(x) for name, x in arrays.items()}, file,
              metadata={"format": "pt"})  # fmt: skip
    return outputs(type(model).from_pretrained(folder).eval(), inputs)


def outputs(model, inputs):
    """What nothing but a person reads, of a model without a head its last hidden state."""
    found = by_path(model, inputs)
    return [x for path, x in found if not is_state(path)] or [found[0][1]]


def is_hidden(model, inputs):
    return all(is_state(path) for path, _ in by_path(model, inputs))


def is_state(path):
    return bool(HIDDEN.search(path)) or path.startswith("mems")


def by_path(model, inputs):
    torch.manual_seed(0)
    with torch.inference_mode():
        return [(path, x.float().numpy()) for path, x in leaves(model(**inputs))]


def deviation(before, after):
    assert len(before) == len(after)
    scale = max(float(np.abs(x).max()) for x in before if x.size)
    pairs = zip(before, after, strict=True)
    return max(float(np.abs(x - y).max()) for x, y in pairs if x.size) / scale
