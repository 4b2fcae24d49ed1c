"""Claim: components of diffusion models are told apart: equal, rounded, changed, another one."""

from __future__ import annotations

import json

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from weightkin import compare, family_graph
from weightkin.derivation.merge_blocks import block_weights
from weightkin.derivation.merge_methods import explain_merge
from weightkin.formats.memory import model_from_arrays
from weightkin.report.components import shared_components
from weightkin.report.html import page
from weightkin.report.sentences import one_line
from weightkin.report.tree import family_lines
from weightkin.sketch import Scheme, take_sketch

WIDTH = 24
BEGIN = {"unet": "model.diffusion_model.", "vae": "first_stage_model.",
         "text_encoder": "cond_stage_model.transformer."}  # fmt: skip


def part(rng, n_blocks):
    """Blocks of a network of no known architecture."""
    return {
        f"down_blocks.{i}.{name}.weight": rng.standard_normal((WIDTH, WIDTH)).astype(np.float32)
        for i in range(n_blocks)
        for name in ("one", "two")
    }


@pytest.fixture
def parts(rng):
    return {name: part(rng, n) for name, n in (("unet", 4), ("vae", 2), ("text_encoder", 3))}


def single(parts):
    return {f"{BEGIN[name]}{key}": x for name, own in parts.items() for key, x in own.items()}


def moved(own, rng, amount=0.05):
    noise = {k: rng.standard_normal(x.shape).astype(np.float32) for k, x in own.items()}
    return {k: x + np.float32(amount) * noise[k] for k, x in own.items()}


def states(record):
    return {(x.a, x.b): x.state for x in record.components}


def test_a_fine_tuned_unet_beside_equal_parts_is_told(parts, rng):
    child = parts | {"unet": moved(parts["unet"], rng)}
    record = compare(single(parts), single(child))
    assert states(record) == {
        ("unet", "unet"): "changed",
        ("vae", "vae"): "equal",
        ("text_encoder", "text_encoder"): "equal",
    }
    assert "U-Net fine-tuned; VAE, text encoder equal" in one_line(record).replace(
        "text encoder, VAE", "VAE, text encoder"
    )
    assert "U-Net" in page(record)
    changed = next(x for x in record.components if x.state == "changed")
    assert changed.distance == pytest.approx(0.05, rel=0.1)


def test_a_family_says_which_components_its_members_have_in_common(parts, rng):
    swapped = parts | {"vae": part(rng, 2)}
    folder = {f"{name}.{key}": x for name, own in parts.items() for key, x in own.items()}
    models = {
        "single": single(parts),
        "pipeline": folder | {f"unet.{k}": x for k, x in moved(parts["unet"], rng).items()},
        "swapped": single(swapped),
        "vae-file": {f"decoder.{key}": x for key, x in parts["vae"].items()},
    }
    graph = family_graph([model_from_arrays(x, name=name) for name, x in models.items()])
    lines = shared_components(graph.nodes)
    assert sorted(lines) == [
        "U-Net equal in single, swapped",
        "U-Net of pipeline: another one",
        "VAE equal in single, pipeline, vae-file (all of it)",
        "VAE of swapped: another one",
        "text encoder equal in single, pipeline, swapped",
    ]
    assert all(line in "\n".join(family_lines(graph)) for line in lines)
    assert lines[0] in page(graph)


def test_models_without_components_have_none_in_a_family(parts, rng):
    own = parts["unet"]
    graph = family_graph([model_from_arrays(x) for x in (own, moved(own, rng))])
    assert not any(node.components for node in graph.nodes)


def test_a_swapped_autoencoder_is_another_one(parts, rng):
    child = parts | {"vae": part(rng, 2)}
    record = compare(single(parts), single(child))
    assert states(record)["vae", "vae"] == "unrelated"
    assert states(record)["unet", "unet"] == "equal"


def test_a_pipeline_and_a_single_file_in_half_precision_are_compared_part_by_part(parts, tmp_path):
    pipeline = tmp_path / "pipeline"
    for name, own in parts.items():
        (pipeline / name).mkdir(parents=True)
        save_file(own, pipeline / name / "diffusion_pytorch_model.safetensors")
    (pipeline / "model_index.json").write_text(json.dumps({"_class_name": "Pipeline"}))
    half = {k: x.astype(ml_dtypes.bfloat16) for k, x in single(parts).items()}
    save_file(half, tmp_path / "single.safetensors")
    record = compare(pipeline, tmp_path / "single.safetensors")
    assert record.verdict == "dependent"
    assert set(states(record).values()) == {"rounded"}


def test_one_component_alone_is_found_in_the_whole(parts):
    record = compare(parts["vae"], single(parts))
    assert states(record) == {
        ("", "vae"): "equal",
        ("unet", ""): "alone",
        ("text_encoder", ""): "alone",
    } or states(record) == {
        ("", "vae"): "equal",
        ("", "unet"): "alone",
        ("", "text_encoder"): "alone",
    }


def test_models_without_parts_have_no_components(rng):
    a = part(rng, 3)
    assert compare(a, moved(a, rng)).components == ()


def test_unrelated_models_have_no_components(parts, rng):
    other = {name: part(rng, 3) for name in parts}
    record = compare(single(parts), single(other))
    assert record.verdict != "dependent"
    assert record.components == ()


def with_positions(parts, positions):
    key = "cond_stage_model.transformer.text_model.embeddings.position_ids"
    return single(parts) | {key: np.asarray(positions)[None]}


def test_positions_that_are_no_whole_numbers_are_evidence_of_a_merge(parts, rng):
    whole = np.arange(77, dtype=np.int64)
    averaged = whole.astype(np.float32)
    averaged[76] = 75.9975
    child = parts | {"unet": moved(parts["unet"], rng)}
    record = compare(with_positions(parts, whole), with_positions(child, averaged))
    found = [x for x in record.direction.evidence if x.code == "averaged-positions"]
    assert [(x.data["model"], x.data["at"]) for x in found] == [("b", 76)]
    assert found[0].data["value"] == pytest.approx(75.9975, abs=1e-4)
    same = compare(with_positions(parts, whole), with_positions(child, whole.astype(np.float16)))
    assert not [x for x in same.direction.evidence if x.code == "averaged-positions"]


def test_the_weights_of_a_merge_are_told_block_by_block(rng):
    begin = "model.diffusion_model."
    names = [f"{c}.{i}.0.{n}.weight" for c in ("input_blocks", "output_blocks") for i in range(3)
             for n in "ab"]  # fmt: skip
    one, two = (
        {begin + n: rng.standard_normal((WIDTH, WIDTH)).astype(np.float32) for n in names}
        for _ in range(2)
    )
    shared = {"first_stage_model.encoder.down.0.x.weight": one[begin + names[0]]}
    share = {n: 0.1 * (1 + i // 2) for i, n in enumerate(names)}
    mixed = {
        begin + n: np.float32(1 - w) * one[begin + n] + np.float32(w) * two[begin + n]
        for n, w in share.items()
    }
    sketches = [
        take_sketch(model_from_arrays(x | shared), Scheme.whole()) for x in (one, two, mixed)
    ]
    merge = explain_merge(
        2, [0, 1], [{n: t.values for n, t in x.tensors.items()} for x in sketches]
    )
    assert merge is not None
    assert (merge.method, set(merge.parents)) == ("layer-wise", {0, 1})
    weights = block_weights(merge, sketches[2])
    at = merge.parents.index(1)
    assert {k.removeprefix(begin): round(w[at], 3) for k, w in weights.items()} == {
        **{f"input_blocks.{i}": round(0.1 * (i + 1), 3) for i in range(3)},
        **{f"output_blocks.{i}": round(0.1 * (i + 4), 3) for i in range(3)},
    }
