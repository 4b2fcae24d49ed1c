"""Claim: a packed layer is one tensor `weight` with the values its library gives, row by row."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests import writers
from weightkin.errors import UnreadableModel
from weightkin.formats import open_model
from weightkin.formats.safetensors_file import read_safetensors
from weightkin.sources.local import LocalFile

LLAMA = Path(__file__).parents[2] / "zoo" / "models" / "llama-a"
SHAPES = ((64, 96), (96, 256))


def opened(folder, arrays, config=None):
    folder.mkdir(exist_ok=True)
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, folder / "x.safetensors")
    (folder / "config.json").write_text(json.dumps(config or {}))
    return open_model(folder)


def layer(parts, name="layer"):
    return {f"{name}.{part}": array for part, array in parts.items()}


def check(model, expected, rtol=0.0):
    """All rows, some rows, and pieces of rows are those of the whole."""
    info = model.tensors["layer.weight"]
    assert (info.dtype, info.shape) == ("F32", expected.shape)
    assert info.packed
    np.testing.assert_allclose(model.rows("layer.weight"), expected, rtol=rtol)
    some = np.array([3, 50, 4, 3])
    np.testing.assert_array_equal(
        model.rows("layer.weight", some), model.rows("layer.weight")[some]
    )
    runs = [(5, 9), (20, 20), (expected.shape[1] - 3, expected.shape[1] + 7), (1000, 3001)]
    flat = model.rows("layer.weight").reshape(-1)
    pieces = np.concatenate([flat[a:b] for a, b in runs])
    np.testing.assert_array_equal(model.storage.read_runs("layer.weight", runs), pieces)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("version", [1, 2])
def test_gptq(tmp_path, rng, shape, bits, version):
    x = rng.standard_normal(shape).astype(np.float32)
    parts = writers.gptq(x, bits=bits, version=version)
    config = {"quantization_config": {"checkpoint_format": "gptq" + "_v2" * (version == 2)}}
    model = opened(tmp_path / "m", layer(parts), config)
    check(model, writers.unpacked(*writers.levels(x, bits=bits)))


def test_gptq_with_inputs_in_order_of_activation(tmp_path, rng):
    x = rng.standard_normal((64, 96)).astype(np.float32)
    order = rng.permutation(96)
    expected = writers.unpacked(*writers.levels(x[:, order]))[:, np.argsort(order)]
    check(opened(tmp_path / "m", layer(writers.gptq(x, order=order))), expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_awq(tmp_path, rng, shape):
    x = rng.standard_normal(shape).astype(np.float32)
    check(opened(tmp_path / "m", layer(writers.awq(x))), writers.unpacked(*writers.levels(x)))


def test_scaled_floats_in_blocks_rows_and_as_a_whole(tmp_path, rng):
    x = rng.standard_normal((192, 256)).astype(np.float32)
    parts = writers.fp8(x)
    values = parts["weight"].astype(np.float32)
    spread = np.kron(parts["weight_scale_inv"], np.ones((128, 128), np.float32))[:192]
    check(opened(tmp_path / "a", layer(parts)), values * spread)
    rows = rng.random((192, 1)).astype(np.float32)
    scaled = {"weight": parts["weight"], "weight_scale": rows, "input_scale": rows[0]}
    model = opened(tmp_path / "b", layer(scaled))
    check(model, values * rows)
    assert list(model.tensors) == ["layer.weight"]
    whole = {"weight": parts["weight"], "weight_scale": np.float32(0.25)}
    check(opened(tmp_path / "c", layer(whole)), values / 4)


def test_whole_numbers_may_have_zero_points(tmp_path, rng):
    codes = rng.integers(-128, 128, (64, 96)).astype(np.int8)
    scales = rng.random((64, 1)).astype(np.float32)
    zeros = rng.integers(-9, 9, (64, 1)).astype(np.int8)
    parts = {"weight": codes, "weight_scale": scales, "weight_zero_point": zeros}
    expected = (codes.astype(np.float32) - zeros) * scales
    check(opened(tmp_path / "m", layer(parts)), expected)


@pytest.mark.parametrize("quant", ["nf4", "fp4"])
@pytest.mark.parametrize("is_nested", [True, False])
def test_four_bits_as_bitsandbytes_packs_them(tmp_path, rng, quant, is_nested):
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("bitsandbytes.functional")
    x = torch.tensor(rng.standard_normal((96, 256)).astype(np.float32))
    packed, state = functional.quantize_4bit(
        x, blocksize=64, quant_type=quant, compress_statistics=is_nested
    )
    parts = {f"weight.{k}": v.numpy() for k, v in state.as_dict(packed=True).items()}
    model = opened(tmp_path / "m", layer(parts | {"weight": packed.numpy()}))
    expected = functional.dequantize_4bit(packed, state).numpy()
    assert model.tensors["layer.weight"].packed == quant
    check(model, expected, rtol=1e-6)


def test_blocks_of_four_bits_run_across_rows(tmp_path, rng):
    """As quantised; release 0.50.2 itself unpacks rows of no whole block wrongly on a CPU."""
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("bitsandbytes.functional")
    x = rng.standard_normal((64, 96)).astype(np.float32)
    packed, state = functional.quantize_4bit(torch.tensor(x), blocksize=64, quant_type="nf4")
    parts = {f"weight.{k}": v.numpy() for k, v in state.as_dict(packed=True).items()}
    model = opened(tmp_path / "m", layer(parts | {"weight": packed.numpy()}))
    flat = torch.tensor(x.reshape(-1, 64))
    expected = functional.dequantize_4bit(*functional.quantize_4bit(flat, blocksize=64,
                                                                    quant_type="nf4"))  # fmt: skip
    check(model, expected.numpy().reshape(64, 96), rtol=1e-6)


@pytest.mark.parametrize("bits", [8, 4])
def test_a_whole_model_as_transformers_saves_it(tmp_path, bits):
    pytest.importorskip("bitsandbytes")
    pytest.importorskip("transformers")
    writers.bitsandbytes(LLAMA, tmp_path, bits)
    model, plain = open_model(tmp_path), open_model(LLAMA)
    assert {n: i.shape for n, i in model.tensors.items()} == {
        n: i.shape for n, i in plain.tensors.items()
    }
    for name in model.tensors:
        x, y = plain.rows(name), model.rows(name)
        error = np.linalg.norm(x - y) / np.linalg.norm(x)
        assert error < (0.11 if bits == 4 else 0.01), name
        assert bool(model.tensors[name].packed) == name.endswith("proj.weight")


def test_only_the_rows_asked_for_are_read(tmp_path, rng):
    x = rng.standard_normal((4096, 1024)).astype(np.float32)
    model = opened(tmp_path / "m", layer(writers.fp8(x)))
    before = model.bytes_read
    model.rows("layer.weight", slice(100, 104))
    assert model.bytes_read - before <= 4 * 4096


BROKEN = {
    "layer: one of qweight, qzeros and scales is missing": lambda p: p.pop("qzeros"),
    "layer.qweight: 40 inputs in 3 groups": lambda p: p.update(qweight=p["qweight"][:5]),
    "layer.qweight: 1-bit values": lambda p: p.update(qzeros=p["qzeros"][:, :3]),
    "layer.qweight: 768 values of I64, not 768 of I32": lambda p: p.update(
        qweight=p["qweight"].astype(np.int64)
    ),
    "layer: qweight, qzeros and scales are not all": lambda p: p.update(scales=p["scales"][0]),
    "layer.scales: scales of type I32, not floats": lambda p: p.update(
        scales=p["scales"].astype(np.int32)
    ),
    "layer.g_idx: 7 values of I32, not 96 of I32": lambda p: p.update(g_idx=p["g_idx"][:7]),
}


@pytest.mark.parametrize("said", BROKEN)
def test_parts_that_do_not_fit_are_a_problem(tmp_path, rng, said):
    parts = writers.gptq(rng.standard_normal((64, 96)).astype(np.float32))
    BROKEN[said](parts)
    model = opened(tmp_path / "m", layer(parts) | {"other.weight": np.ones((2, 2), np.float32)})
    assert list(model.tensors) == ["other.weight"]
    assert model.is_partial
    assert model.problems[0].why.startswith(said)


def test_a_group_outside_the_scales_is_refused_when_read(tmp_path, rng):
    parts = writers.gptq(rng.standard_normal((64, 96)).astype(np.float32))
    parts["g_idx"] = parts["g_idx"] + 7
    model = opened(tmp_path / "m", layer(parts))
    with pytest.raises(UnreadableModel, match="groups 7 to 9, not within 0 to 2"):
        model.rows("layer.weight")


def test_a_state_that_is_no_json_is_a_problem(tmp_path):
    state = "weight.quant_state.bitsandbytes__nf4"
    for text in (b"{", b"[]", b'{"shape": [1e9]}', b'{"shape": [8, 8], "blocksize": 0}'):
        parts = {state: np.frombuffer(text, np.uint8), "weight": np.zeros((32, 1), np.uint8)}
        arrays = layer(parts) | {"other": np.ones(3, np.float32)}
        model = opened(tmp_path / "m", arrays)
        assert list(model.tensors) == ["other"]


def test_a_plain_model_is_not_unpacked():
    stored = read_safetensors(LocalFile(LLAMA / "model.safetensors")).tensors
    assert dict(open_model(LLAMA).tensors) == dict(sorted(stored.items()))


def test_a_layer_takes_exactly_its_parts(tmp_path, rng):
    """Other tensors below a layer's name, and beside its codes, stay what they are."""
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("bitsandbytes.functional")
    x = torch.tensor(rng.standard_normal((96, 256)).astype(np.float32))
    packed, state = functional.quantize_4bit(x, blocksize=64, quant_type="nf4")
    parts = {f"weight.{k}": v.numpy() for k, v in state.as_dict(packed=True).items()}
    below = {"layer.weight.other.weight": np.ones((2, 2), np.float32)}
    model = opened(tmp_path / "m", layer(parts | {"weight": packed.numpy()}) | below)
    assert list(model.tensors) == ["layer.weight", "layer.weight.other.weight"]
    assert not model.is_partial


def test_a_layer_that_is_packed_and_plain_is_a_problem(tmp_path, rng):
    parts = writers.gptq(rng.standard_normal((64, 96)).astype(np.float32))
    plain = rng.standard_normal((64, 96)).astype(np.float32)
    model = opened(tmp_path / "m", layer(parts | {"weight": plain}))
    np.testing.assert_array_equal(model.rows("layer.weight"), plain)
    assert "packed and plain" in model.problems[0].why
    assert model.is_partial


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"weight_zero_point": np.zeros((192, 2), np.int8)}, "not as the scales"),
        ({"weight": np.zeros((192, 128), np.uint8)}, "U8 of 2 dimensions"),
        ({"weight": np.zeros((2, 192, 128), writers.FP8)}, "3 dimensions"),
    ],
)
def test_scaled_layouts_that_are_not_read_are_named(tmp_path, extra, said):
    parts = {"weight": np.zeros((192, 256), np.int8), "weight_scale": np.ones((192, 1), np.float32)}
    other = {"other": np.ones((2, 2), np.float32)}
    model = opened(tmp_path / "m", layer(parts | extra) | other)
    assert said in model.problems[0].why
    assert model.is_partial


def test_a_scale_beside_another_one_stays_a_tensor(tmp_path, rng):
    parts = writers.fp8(rng.standard_normal((128, 128)).astype(np.float32))
    parts["weight_scale"] = rng.standard_normal((128, 128)).astype(np.float32)
    model = opened(tmp_path / "m", layer(parts))
    assert list(model.tensors) == ["layer.weight", "layer.weight_scale"]


def test_a_method_that_is_not_known_is_named(tmp_path):
    codes = {"layer.codes": np.zeros((8, 8), np.uint8), "norm": np.ones(8, np.float32)}
    model = opened(tmp_path / "m", codes, {"quantization_config": {"quant_method": "aqlm"}})
    assert "'aqlm' is not read" in model.problems[0].why
    assert model.is_partial


def test_as_many_scales_as_codes_could_be_other_weights(tmp_path, rng):
    codes = rng.integers(-127, 128, (16, 64)).astype(np.int8)
    for scales, is_read in (((16, 64), False), ((16, 16), False), ((16, 8), True), ((16, 1), True)):
        parts = {"layer.weight": codes, "layer.weight_scale": np.ones(scales, np.float32)}
        model = opened(tmp_path / f"m{scales[1]}", {**parts, "norm": np.ones(4, np.float32)})
        assert model.is_partial is not is_read
        assert ("layer.weight" in model.tensors) is is_read


def test_a_state_holds_what_its_format_names(tmp_path):
    state = {"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [8, 8]}
    parts = {
        "x": np.zeros(32, np.uint8),
        "x.absmax": np.ones(1, np.float32),
        "x.quant_map": np.linspace(-1, 1, 16, dtype=np.float32),
    }
    for more, is_read in (({}, True), ({"x": 1}, False), ({"dtype": "a" * 300}, False)):
        raw = np.frombuffer(json.dumps(state | more).encode(), np.uint8)
        parts["x.quant_state.bitsandbytes__nf4"] = raw
        model = opened(tmp_path / f"m{len(raw)}", {**parts, "norm": np.ones(4, np.float32)})
        assert model.is_partial is not is_read
