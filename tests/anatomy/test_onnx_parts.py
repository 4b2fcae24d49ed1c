"""Claim: files that hold parts of one network are one model, each with axes of its own graph."""

import numpy as np
import pytest

pytest.importorskip("onnx")

from tests.anatomy.test_onnx_graph import drawn, saved  # noqa: E402
from weightkin import compare  # noqa: E402
from weightkin.anatomy import read_anatomy  # noqa: E402
from weightkin.formats import open_model  # noqa: E402
from weightkin.sketch import Scheme, as_model, take_sketch  # noqa: E402

NET = """agraph (float[1, 9] x) => (float[1, 7] y) {{ a = MatMul(x, {0}) b = Relu(a)
  c = MatMul(b, {1}) d = Relu(c) y = MatMul(d, {2}) }}"""
NAMES = ("w", "v", "u")


def part(path, names, arrays):
    saved(path, NET.format(*names), **dict(zip(names, arrays, strict=True)))


def weights():
    return [drawn(9, 64), drawn(64, 48), drawn(48, 7)]


def exported(folder, encoder, decoder, *more):
    folder.mkdir()
    part(folder / "encoder_model.onnx", NAMES, encoder)
    part(folder / "decoder_model.onnx", NAMES, decoder)
    for name in more:  # the same again
        part(folder / name, NAMES, decoder)
    return open_model(folder)


def test_parts_of_a_network_keep_their_graphs(tmp_path):
    """Names that two files have begin with the file; what is there twice is read once."""
    first = weights(), weights()
    second = [[x + 0.1 * drawn(*x.shape) for x in own] for own in first]
    again = ("decoder_model_merged.onnx", "decoder_with_past_model.onnx", "encoder_model_q4.onnx")
    a = exported(tmp_path / "a", *first, *again)
    assert sorted(a.tensors) == [f"{x}_model.{n}" for x in ("decoder", "encoder") for n in "uvw"]
    found = [(x.stack, x.block, x.n_units) for x in read_anatomy(a).axes]
    stacks = ("decoder_model.graph", "encoder_model.graph")
    assert found == [(stack, i, n) for stack in stacks for i, n in enumerate((64, 48))]
    child, other = exported(tmp_path / "b", *second), exported(tmp_path / "c", weights(), weights())
    assert compare(a, child).verdict == "dependent"
    assert compare(a, other).verdict == "no-evidence"
    mixed = exported(tmp_path / "d", weights(), second[1])
    assert {x.name: x.verdict for x in compare(a, mixed).parts} == {
        "encoder_model.graph": "no-evidence",
        "decoder_model.graph": "dependent",
    }


def test_a_sketch_of_everything_keeps_the_axes_of_the_graph(tmp_path):
    first = weights(), weights()
    second = [[x + 0.1 * drawn(*x.shape) for x in own] for own in first]
    a, b = exported(tmp_path / "a", *first), exported(tmp_path / "b", *second)
    held = as_model(take_sketch(b, Scheme.whole()))
    assert len(read_anatomy(held).axes) == len(read_anatomy(b).axes) == 4
    assert compare(a, held).log10_pvalue == pytest.approx(compare(a, b).log10_pvalue)


def test_parts_with_names_of_their_own_keep_them(tmp_path):
    part(tmp_path / "one.onnx", ("kw", "kv", "ku"), weights())
    part(tmp_path / "two.onnx", ("mw", "mv", "mu"), weights())
    model = open_model(tmp_path)
    assert sorted(model.tensors) == [f"{x}{n}" for x in "km" for n in "uvw"]
    found = {x.stack for x in read_anatomy(model).axes}
    assert found == {"one.graph", "two.graph"}


def test_components_of_a_pipeline_keep_their_graphs(tmp_path):
    for name in ("unet", "vae"):
        (tmp_path / name).mkdir()
        part(tmp_path / name / "model.onnx", NAMES, weights())
    (tmp_path / "model_index.json").write_text('{"_class_name": "OnnxPipeline"}')
    model = open_model(tmp_path)
    assert sorted(model.tensors) == [f"{x}.{n}" for x in ("unet", "vae") for n in "uvw"]
    found = {x.stack for x in read_anatomy(model).axes}
    assert found == {"unet.model.graph", "vae.model.graph"}
    assert np.isfinite(model.rows("vae.w")).all()
