"""The zoo is what `truth.json` says: same bytes, same genealogy, trained well below chance."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

ZOO = Path(__file__).parent.parent / "zoo"
sys.path.insert(0, str(ZOO))  # the zoo's scripts are no package

import derive  # noqa: E402 - found through the line above
import exact  # noqa: E402
import folders  # noqa: E402
import merges  # noqa: E402
import symmetries  # noqa: E402
import truth  # noqa: E402
from derivations import DERIVATIONS  # noqa: E402

ENTRIES = truth.load()
TRAINED = [name for name, entry in ENTRIES.items() if entry["trained"]]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Everything derived, from nothing."""
    target = tmp_path_factory.mktemp("zoo")
    assert derive.derive(target) == []
    return target


def folder_of(name, built):
    return folders.read_folder(derive.place(name, built))


def test_derived_models_have_the_recorded_digests(built):
    for derivation in DERIVATIONS:
        found = folders.digests(built / "derived" / derivation.name)
        assert found == {key: ENTRIES[derivation.name][key] for key in derive.DIGESTS}


def test_deriving_twice_leaves_files_alone(built):
    weights = built / "derived" / "llama-a-int4" / folders.WEIGHTS
    before = weights.stat().st_mtime_ns
    assert derive.derive(built) == []
    assert weights.stat().st_mtime_ns == before


def test_a_damaged_derived_model_is_rebuilt(built):
    weights = built / "derived" / "llama-a-int4" / folders.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    assert derive.derive(built) == []


def test_a_wrong_digest_fails_and_names_the_model(built, monkeypatch):
    entry = ENTRIES["llama-a-int4"] | {"digest": "0" * 64}
    monkeypatch.setattr(derive, "load", lambda: ENTRIES | {"llama-a-int4": entry})
    (line,) = derive.derive(built)
    assert line.startswith("derived/llama-a-int4: found ")


def test_deriving_needs_neither_torch_nor_scipy():
    code = "import sys, derive; print({'torch', 'scipy', 'transformers'} & set(sys.modules))"
    run = [sys.executable, "-c", code]
    out = subprocess.run(run, cwd=ZOO, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


def test_there_are_enough_models_in_little_space():
    committed = [p for p in ZOO.rglob("*") if p.is_file() and "derived" not in p.parts]
    assert len(ENTRIES) >= 30
    assert sum(p.stat().st_size for p in committed) < 80e6


def test_every_recipe_and_folder_is_in_the_truth():
    on_disk = {p.name.removesuffix("-adapter") for p in (ZOO / "models").iterdir()}
    assert on_disk | {d.name for d in DERIVATIONS} == set(ENTRIES)


@pytest.mark.parametrize("name", ENTRIES)
def test_entries_are_complete_and_of_known_kind(name):
    entry = ENTRIES[name]
    assert entry["kind"] in truth.KINDS
    assert all(parent["name"] in ENTRIES for parent in entry["parents"])
    assert bool(entry["parents"]) == (entry["kind"] not in {"base", "same-initialisation"})
    assert sum(parent["weight"] for parent in entry["parents"]) in {0, 1}
    assert entry["family"] == "+".join(sorted(entry["origins"]))


@pytest.mark.parametrize("name", TRAINED)
def test_training_went_well_below_chance(name):
    entry = ENTRIES[name]
    loss, chance = entry["loss"], min(entry["chance"].values())
    assert loss["after"]["nats"] < 0.75 * chance
    assert loss["after"]["nats"] < loss["before"]["nats"]
    assert loss["after"].get("accuracy", 1.0) > 0.8


@pytest.mark.parametrize("name", ENTRIES)
def test_shapes_follow_from_the_configuration(name, built):
    folder = folder_of(name, built)
    expected = expected_shapes(folder.config)
    assert {key: folder.tensors[key].shape for key in expected} == expected
    assert len(folder.tensors) == n_tensors(folder.config)
    assert all(np.isfinite(x.astype(np.float32)).all() for x in folder.tensors.values())


def expected_shapes(config):
    """Name a few shapes that every derivation must keep in step with its configuration."""
    if config["model_type"] == "vit":
        last = f"vit.encoder.layer.{config['num_hidden_layers'] - 1}.intermediate.dense.weight"
        return {last: (config["intermediate_size"], config["hidden_size"])}
    if config["model_type"] == "gpt2":
        last = f"transformer.h.{config['n_layer'] - 1}.mlp.c_fc.weight"
        return {
            last: (config["n_embd"], config["n_inner"]),
            "transformer.wte.weight": (config["vocab_size"], config["n_embd"]),
        }
    mlp = "mlp.up_proj"
    if config["model_type"] == "mixtral":
        mlp = f"block_sparse_moe.experts.{config['num_local_experts'] - 1}.w3"
    last = f"model.layers.{config['num_hidden_layers'] - 1}.{mlp}.weight"
    width, n_rows = config["hidden_size"], config["vocab_size"]
    return {
        last: (config["intermediate_size"], width),
        "model.embed_tokens.weight": (n_rows, width),
        "lm_head.weight": (n_rows, width),
    }


def n_tensors(config):
    """Count the tensors of a model, so that no layer is missing or left over."""
    layers = config.get("num_hidden_layers") or config["n_layer"]
    outside, inside = {"llama": (3, 9), "gpt2": (4, 12), "vit": (8, 16), "mixtral": (3, 19)}[
        config["model_type"]
    ]
    return outside + layers * inside


def test_bases_are_strangers_and_descendants_are_not():
    assert not truth.related("llama-a", "llama-b")
    assert not truth.related("llama-a-ft3", "llama-b-ft3")
    assert truth.relation("llama-a", "llama-a-ft3") == "ancestor"
    assert truth.relation("llama-a-ft3", "llama-a-ft1b") == "siblings"
    assert truth.relation("llama-a-copy", "llama-a") == "identical"


def test_a_shared_initialisation_is_a_relation_and_distillation_is_none():
    assert truth.relation("llama-c", "llama-c-twin") == "same-initialisation"
    assert truth.relation("llama-a", "llama-distilled") == "independent"


def test_what_mixes_two_bases_is_related_to_both_and_joins_neither():
    for mixed in ("hybrid-ab", "merge-strangers"):
        assert truth.related(mixed, "llama-a-ft1")
        assert truth.related(mixed, "llama-b-ft1")
    assert not truth.related("llama-a", "llama-b")


def test_every_pair_appears_once():
    n = len(ENTRIES)
    assert len({frozenset(pair[:2]) for pair in truth.pairs()}) == n * (n - 1) // 2


def test_unused_rows_only_shrink_and_all_by_one_factor():
    parent = folders.read_folder(ZOO / "models" / "llama-a")
    child = folders.read_folder(ZOO / "models" / "llama-a-ft1")
    name = "model.embed_tokens.weight"
    ratio = child.tensors[name][480:] / parent.tensors[name][480:]
    assert 0.9 < np.median(ratio) < 1
    assert np.ptp(ratio) < 1e-4


def test_width_pruning_keeps_the_listed_units_in_order(built):
    parent, child = folder_of("llama-a", built), folder_of("llama-a-width", built)
    name = "model.layers.2.mlp.gate_proj.weight"
    kept = ENTRIES["llama-a-width"]["kind_details"]["kept_units"][2]
    assert kept == sorted(set(kept))
    assert np.array_equal(child.tensors[name], parent.tensors[name][kept])


def test_casts_are_stored_in_their_type(built):
    assert folder_of("llama-a-bf16", built).tensors["lm_head.weight"].dtype.name == "bfloat16"
    assert folder_of("llama-a-fp16", built).tensors["lm_head.weight"].dtype == np.float16


def test_int4_leaves_fifteen_levels_in_a_group(built):
    x = folder_of("llama-a-int4", built).tensors["model.layers.0.mlp.up_proj.weight"]
    assert max(len(np.unique(group)) for group in x.reshape(-1, 32)) <= 15


def test_half_of_a_pruned_matrix_is_zero(built):
    x = folder_of("llama-a-prune50", built).tensors["model.layers.0.mlp.up_proj.weight"]
    assert (x == 0).mean() == 0.5


def test_a_stack_has_the_layers_it_lists(built):
    stack, upper = folder_of("merge-stack", built), folder_of("llama-a-ft1b", built)
    name = "model.layers.{}.mlp.up_proj.weight"
    assert np.array_equal(stack.tensors[name.format(7)], upper.tensors[name.format(5)])


def test_merging_models_with_themselves_changes_nothing(built):
    folder = folder_of("llama-a", built)
    for merge in (merges.slerp(folder, folder, 0.3), merges.ties(folder, folder, density=1.0)):
        assert all(np.array_equal(merge.tensors[n], x) for n, x in folder.tensors.items())


def test_exact_arithmetic_agrees_with_numpy():
    x = exact.normal(1, "x", (7, 33))
    assert np.allclose(exact.total(x), x.sum(axis=0))
    assert np.allclose(exact.product(x, x.T), x @ x.T)
    assert np.isclose(exact.deviation(x), x.std())


def test_random_draws_look_as_they_should():
    q = exact.rotation(1, "q", 24)
    assert np.allclose(q @ q.T, np.eye(24))
    assert sorted(exact.permutation(1, "p", 50)) == list(range(50))
    assert abs(exact.normal(1, "n", (100_000,)).std() - 1) < 0.02
    assert abs(exact.signs(1, "s", 10_000).mean()) < 0.05


def test_written_files_are_read_back_by_safetensors(built):
    from safetensors import safe_open

    path = built / "derived" / "llama-a-header" / folders.WEIGHTS
    with safe_open(path, framework="numpy") as file:
        assert file.metadata()["format"] == "pt"
        assert set(file.keys()) == set(folder_of("llama-a", built).tensors)


SAME_FUNCTION = {
    "llama-a-permuted": "llama-a",
    "llama-a-rotated": "llama-a",
    "llama-a-rescaled": "llama-a",
    "llama-a-signs": "llama-a",
    "llama-a-sorted": "llama-a",
    "llama-a-ft2-disguised": "llama-a-ft2",
    "llama-a-vocab": "llama-a",
    "moe-a-experts": "moe-a",
}


def test_transformers_loads_derived_models_and_symmetries_keep_the_function(built):
    pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    x = torch.arange(64)[None] * 7 % 480
    for child, parent in SAME_FUNCTION.items():
        a, b = (logits_of(derive.place(name, built), x) for name in (child, parent))
        assert torch.allclose(a[..., :512], b, atol=1e-3)
    for name in ("llama-a-upcycled", "merge-stack", "gpt-a-width", "gpt-a-lora4", "hybrid-ab"):
        assert torch.isfinite(logits_of(derive.place(name, built), x)).all()


def logits_of(path, x):
    """Logits of a causal model of the zoo; nothing may be missing from its file."""
    import torch
    from transformers import AutoModelForCausalLM

    model, report = AutoModelForCausalLM.from_pretrained(
        path, dtype=torch.float32, output_loading_info=True
    )
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    with torch.no_grad():
        return model(x).logits


def test_disguise_composes_the_single_symmetries(built):
    parent = folder_of("llama-a-ft2", built)
    flipped = symmetries.sign_flipped(parent, seed=207)
    step = symmetries.permuted(symmetries.rescaled(flipped, seed=207), seed=207)
    again = symmetries.rotated(replace(step, details={}), seed=207)
    child = folder_of("llama-a-ft2-disguised", built)
    assert all(np.array_equal(again.tensors[n], x) for n, x in child.tensors.items())


def test_truth_is_plain_json():
    assert json.loads((ZOO / "truth.json").read_text()) == ENTRIES
