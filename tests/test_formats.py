"""Claim: in whatever format a model is written, its relatives are found and strangers are not."""

import json
from pathlib import Path

import pytest
from safetensors.numpy import save_file

from tests import writers
from weightkin.api.compare import compare
from weightkin.api.estimate import estimate
from weightkin.formats import open_model
from weightkin.sketch import read_sketch, take_sketch, write_sketch

pytestmark = pytest.mark.claim
MODELS = Path(__file__).parents[1] / "zoo" / "models"
LLAMA, STRANGER = MODELS / "llama-a", MODELS / "llama-b"
KINDS = {  # format -> kind against the original
    **dict.fromkeys(("bnb-int8", "bnb-nf4", "bnb-fp4", "gptq", "awq", "fp8"), "quantised"),
    **dict.fromkeys(("gguf-Q8_0", "gguf-Q4_0", "gguf-Q4_K"), "quantised"),
    **dict.fromkeys(("gguf-F16", "gguf-BF16"), "cast"),
    **dict.fromkeys(("sharded", "bin", "legacy", "onnx"), "identical"),
    "peft": "lora",
}
SAME = ("identical", "header-only")
PACKED = [name for name, kind in KINDS.items() if kind == "quantised"]
# files of which the values alone say that they were rounded from the other
ROUNDED = ("bnb-int8", "gptq", "awq", "gguf-Q8_0", "gguf-Q4_0", "gguf-Q4_K", "gguf-F16")
PAIRS = {  # both written from one model: kinds of which one is named, answers that are not wrong
    ("onnx", "legacy"): (SAME, ("undetermined",)),
    ("gguf-F16", "gptq"): (("quantised",), ("undetermined", "a")),
    ("awq", "gguf-Q8_0"): (("quantised",), ("undetermined", "b")),
    ("gptq", "fp8"): (("quantised",), ("undetermined", "b")),
    ("gguf-Q8_0", "peft"): (("quantised",), ("undetermined",)),
}


def write(name, folder):
    """Write llama-a in a format; returns the source to open."""
    if name == "peft":
        return f"{LLAMA}+{MODELS / 'llama-a-lora16-adapter'}"
    if name.startswith("gguf"):
        pytest.importorskip("gguf")
        return writers.gguf(LLAMA, folder / "llama.gguf", name.removeprefix("gguf-"))
    if name == "sharded":
        writers.sharded(LLAMA, folder / "m")
    elif name in ("bin", "legacy"):
        pytest.importorskip("torch")
        writers.torch_file(LLAMA, folder / "m", is_legacy=name == "legacy")
    elif name == "onnx":
        pytest.importorskip("onnx")
        writers.onnx(LLAMA, folder / "m")
    elif name.startswith("bnb"):
        pytest.importorskip("bitsandbytes")
        writers.bitsandbytes(LLAMA, folder / "m", {"int8": 8, "nf4": 4, "fp4": -4}[name[4:]])
    else:
        writers.by_layout(LLAMA, folder / "m", name)
    return folder / "m"


@pytest.mark.parametrize("name", KINDS)
def test_a_relative_is_found_and_a_stranger_is_not(name, tmp_path):
    source = write(name, tmp_path)
    record = compare(LLAMA, source)
    assert record.verdict == "dependent"
    assert record.basis == "exact"
    if KINDS[name] == "identical":
        assert record.kind[0] in SAME
    else:
        assert record.kind == (KINDS[name],)
    if name in ROUNDED:
        assert record.direction.parent == "a"
    assert record.direction.parent != "b"
    assert not record.incomplete
    if name in PACKED:
        assert record.kind_details["packed"]
    stranger = compare(STRANGER, source)
    assert stranger.verdict == "no-evidence"
    assert stranger.log10_pvalue > -6


@pytest.mark.parametrize(("name", "other"), PAIRS)
def test_two_formats_of_one_model(name, other, tmp_path):
    (tmp_path / "b").mkdir()
    record = compare(write(name, tmp_path), write(other, tmp_path / "b"))
    kinds, answers = PAIRS[name, other]
    assert record.verdict == "dependent"
    assert set(record.kind) & set(kinds)
    assert record.direction.parent in answers


def test_a_sketch_keeps_how_its_model_was_packed(tmp_path):
    source = write("gptq", tmp_path)
    write_sketch(take_sketch(open_model(source)), tmp_path / "x.safetensors")
    held = read_sketch(tmp_path / "x.safetensors").tensors
    assert {t.packed for t in held.values()} == {"", "gptq 4 bits"}


def test_a_packed_model_and_itself_are_identical(tmp_path):
    source = write("awq", tmp_path)
    record = compare(source, source)
    assert record.kind == ("identical",)
    assert json.loads(record.to_json())["verdict"] == "dependent"


def test_names_inside_a_larger_module_are_the_same_names(tmp_path):
    model = open_model(LLAMA)
    save_file({f"net.{n}": model.rows(n) for n in model.tensors}, tmp_path / "x.safetensors")
    record = compare(LLAMA, tmp_path / "x.safetensors")
    assert record.kind == ("header-only",)
    other = compare(MODELS / "llama-a-ft1", tmp_path / "x.safetensors")
    assert other.kind == ("fine-tuned",)
    assert other.kind_details["typical_distance"] > 0.05


@pytest.mark.parametrize("name", ["gptq", "peft"])
def test_an_estimate_holds_for_what_is_unpacked_and_merged(name, tmp_path):
    source = write(name, tmp_path)
    stated = sum(cost.n_bytes for cost in estimate(source, LLAMA).models)
    read = compare(source, LLAMA).bytes_read
    assert read <= stated <= 1.05 * read
