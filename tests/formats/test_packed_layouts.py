"""Claim: layers of MLX, compressed-tensors, HQQ and gpt-oss hold what their own library unpacks.

`tests/fixtures/writers/packed.py` wrote the files, and what the libraries make of them.
"""

import json
import math
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from weightkin.formats import open_model
from weightkin.formats.safetensors_file import read_safetensors
from weightkin.formats.storage import FileStorage
from weightkin.sources.local import LocalFile

PACKED = Path(__file__).parents[1] / "fixtures" / "packed"
with np.load(PACKED / "expected.npz") as held:
    EXPECTED = {name: held[name] for name in held.files}
ROUNDED = {"nvfp4": 4e-3}  # the library unpacks to bfloat16
FP8 = ml_dtypes.float8_e4m3fn


def parts_of(name):
    """What a file of the fixtures stores, floats of eight bits too."""
    model = read_safetensors(LocalFile(PACKED / name / "model.safetensors"))
    storage = FileStorage(model.places, [])
    return {
        k: storage.read(k, 0, math.prod(x.shape)).reshape(x.shape) for k, x in model.tensors.items()
    }


@pytest.mark.parametrize("name", EXPECTED)
def test_values_are_those_that_the_library_unpacks(name):
    model = open_model(PACKED / name)
    (tensor,) = model.tensors  # no part is left beside it
    info, expected = model.tensors[tensor], EXPECTED[name]
    assert not model.problems
    assert info.packed
    assert info.shape == expected.shape
    found = model.rows(tensor)
    np.testing.assert_allclose(found, expected, rtol=ROUNDED.get(name, 1e-6), atol=1e-6)
    some = np.array([1, 0, 1])
    np.testing.assert_array_equal(model.rows(tensor, some), found[some])
    flat = found.reshape(-1)
    pieces = np.concatenate([flat[3:9], flat[500:700]])
    np.testing.assert_array_equal(model.storage.read_runs(tensor, [(3, 9), (500, 700)]), pieces)


def rewritten(folder, name, change):
    """A layout again, after a change of its parts."""
    folder.mkdir()
    tensors = parts_of(name)
    change(tensors)
    tensors["other"] = np.ones((2, 2), np.float32)
    save_file(tensors, folder / "model.safetensors")
    if (PACKED / name / "config.json").exists():
        (folder / "config.json").write_bytes((PACKED / name / "config.json").read_bytes())
    return open_model(folder)


def test_groups_may_stand_in_another_order(tmp_path):
    order = np.arange(128)[::-1] // 32

    def change(tensors):
        tensors["layer.weight_g_idx"] = order.astype(np.int32)

    model = rewritten(tmp_path / "m", "int4", change)
    tensors = parts_of("int4")
    codes = EXPECTED["int4"].reshape(12, 4, 32) / tensors["layer.weight_scale"][:, :, None]
    expected = codes.reshape(12, 128) * tensors["layer.weight_scale"][:, order]
    np.testing.assert_allclose(model.rows("layer.weight"), expected, rtol=1e-5, atol=1e-6)
    assert set(model.tensors) == {"layer.weight", "other"}


def test_the_factor_of_modelopt_multiplies(tmp_path):
    tensors = parts_of("nvfp4")
    parts = {
        "layer.weight": tensors["layer.weight_packed"],
        "layer.weight_scale": tensors["layer.weight_scale"].astype(FP8),
        "layer.weight_scale_2": 1 / tensors["layer.weight_global_scale"],
        "layer.input_scale": np.float32(1),
    }
    save_file({k: np.asarray(v) for k, v in parts.items()}, tmp_path / "model.safetensors")
    model = open_model(tmp_path)
    assert list(model.tensors) == ["layer.weight"]
    np.testing.assert_allclose(model.rows("layer.weight"), EXPECTED["nvfp4"], rtol=4e-3)


def test_scaled_floats_of_comfyui_whole_and_noted(tmp_path, rng):
    x = rng.standard_normal((8, 4, 3, 3)).astype(FP8)
    y = rng.standard_normal((8, 16)).astype(FP8)
    note = np.frombuffer(json.dumps({"format": "float8_e4m3fn"}).encode(), np.uint8)
    parts = {
        "model.net.a.weight": x,
        "model.net.a.scale_weight": np.float32(0.5),
        "model.net.a.scale_input": np.float32(1),
        "model.scaled_fp8": np.zeros(2, FP8),
        "model.net.b.weight": y,
        "model.net.b.weight_scale": np.float32(0.25),
        "model.net.b.comfy_quant": note,
    }
    save_file({k: np.asarray(v) for k, v in parts.items()}, tmp_path / "model.safetensors")
    model = open_model(tmp_path)
    assert not model.problems
    assert {k: v.packed for k, v in model.tensors.items()} == {
        "model.net.a.weight": "fp8 with scales",
        "model.net.b.weight": "fp8 with scales",
    }
    np.testing.assert_array_equal(model.rows("model.net.a.weight"), x.astype(np.float32) / 2)
    np.testing.assert_array_equal(model.rows("model.net.b.weight"), y.astype(np.float32) / 4)


BROKEN = {
    "hqq4-1": [
        ("shape", None, "HQQ without its shape"),
        ("scale", None, "HQQ without plain scale"),
    ],
    "mlx4": [
        ("biases", None, "missing"),
        ("scales", np.ones((12, 5), np.float32), "not 60 of F32"),
    ],
    "int4-zeros": [("weight_zero_point", np.ones((12, 4), np.int32), "48 values of I32")],
    "mlx-mxfp4": [("scales", np.ones((11, 4), np.uint8), "not one for each group")],
}


@pytest.mark.parametrize("name", BROKEN)
def test_parts_that_do_not_fit_are_one_line(name, tmp_path):
    for number, (part, value, said) in enumerate(BROKEN[name]):

        def change(tensors, part=part, value=value):
            tensors.pop(f"layer.{part}")
            if value is not None:
                tensors[f"layer.{part}"] = value

        model = rewritten(tmp_path / str(number), name, change)
        assert list(model.tensors) == ["other"]
        (problem,) = model.problems
        assert said in problem.why


def test_mlx_without_its_config_is_named(tmp_path):
    tensors = parts_of("mlx4")
    save_file(tensors | {"other": np.ones((2, 2), np.float32)}, tmp_path / "model.safetensors")
    (problem,) = open_model(tmp_path).problems
    assert "without the bits that config.json states" in problem.why


def test_experts_of_gpt_oss_under_its_own_names_are_stored_outputs_first(tmp_path, rng):
    codes = rng.integers(0, 256, (3, 6, 2, 16)).astype(np.uint8)
    scales = rng.integers(120, 130, (3, 6, 2)).astype(np.uint8)
    own, library = tmp_path / "own.safetensors", tmp_path / "library.safetensors"
    stem = "block.0.mlp.mlp1_weight"
    save_file({f"{stem}.blocks": codes, f"{stem}.scales": scales}, own)
    save_file({"x_blocks": codes, "x_scales": scales}, library)
    found, expected = open_model(own), open_model(library)
    assert found.tensors[stem].shape == (3, 6, 64)
    np.testing.assert_array_equal(found.rows(stem), expected.rows("x").swapaxes(1, 2))
