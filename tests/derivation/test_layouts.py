"""Claim: one model in the layouts of two publishers is found to be one model, and nothing more."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.derivation.families import ZOO as HERE
from weightkin import Registry, compare, family_graph, open_model, take_sketch
from weightkin.derivation.distances import relate
from weightkin.derivation.equality import equality
from weightkin.sketch import Scheme, read_sketch, write_sketch
from weightkin.sketch.layout import in_one_layout

ZOO = HERE / "models"
SAMPLE = Scheme(n_rows=12, n_scattered=6, n_columns=20, n_tail=4)


def joined(arrays, names, new):
    """Some matrices of every block in one."""
    found = dict(arrays)
    for name in [n for n in arrays if names[0] in n]:
        parts = [found.pop(name.replace(names[0], x)) for x in names]
        found[name.replace(names[0], new)] = np.concatenate(parts)
    return found


def phi3(arrays):
    both = joined(arrays, ("gate_proj", "up_proj"), "gate_up_proj")
    return joined(both, ("q_proj", "k_proj", "v_proj"), "qkv_proj")


def stacked_experts(arrays):
    found = {n: x for n, x in arrays.items() if ".experts." not in n}
    for name in [n for n in arrays if ".experts.0.w1." in n]:
        at = name.partition(".experts.")[0]
        w = [[arrays[f"{at}.experts.{e}.w{i}.weight"] for e in range(4)] for i in (1, 3, 2)]
        found[f"{at}.experts.gate_up_proj"] = np.concatenate([np.stack(w[0]), np.stack(w[1])], 1)
        found[f"{at}.experts.down_proj"] = np.stack(w[2])
    return found


def gpt_neo(arrays):
    """Linear layers and three projections, where GPT-2 has one, transposed."""
    found = {}
    for name, x in arrays.items():
        new = name.replace(".attn.", ".attn.attention.")
        turned = x.T if ".h." in name and x.ndim == 2 else x
        if "c_attn" in name:
            parts = zip("qkv", np.split(turned, 3), strict=True)
            found |= {new.replace("c_attn", f"{x}_proj"): part for x, part in parts}
        else:
            found[new.replace("attention.c_proj", "attention.out_proj")] = turned
    return found


def head_by_head(arrays):
    """The names and the order of GPT-NeoX, from split projections; without positions."""
    names = {"transformer.h": "gpt_neox.layers", "transformer.wte": "gpt_neox.embed_in",
             "transformer.ln_f": "gpt_neox.final_layer_norm", "ln_1": "input_layernorm",
             "ln_2": "post_attention_layernorm", "mlp.c_fc": "mlp.dense_h_to_4h",
             "mlp.c_proj": "mlp.dense_4h_to_h",
             "attn.attention.out_proj": "attention.dense"}  # fmt: skip
    found = {}
    for name, x in arrays.items():
        new = name
        for old, word in names.items():
            new = new.replace(old, word)
        if "q_proj" in name:
            heads = [arrays[name.replace("q_proj", f"{w}_proj")] for w in "qkv"]
            apart = np.stack([h.reshape(4, -1, *h.shape[1:]) for h in heads], axis=1)
            fused = new.replace("attn.attention.q_proj", "attention.query_key_value")
            found[fused] = apart.reshape(-1, *x.shape[1:])
        elif not any(word in name for word in ("k_proj", "v_proj", "wpe")):
            found[new] = x
    return found


def greek(arrays):
    names = {".weight": ".gamma", ".bias": ".beta"}
    found = {}
    for name, x in arrays.items():
        stem, dot, leaf = name.rpartition(".")
        is_norm = "norm" in name or "ln_" in name
        found[stem + names[dot + leaf] if is_norm else name] = x
    return found


def within(prefix):
    return lambda arrays: {prefix + name: x for name, x in arrays.items()}


CASES = {
    "phi3": ("llama-a", phi3, {}),
    "stacked": ("moe-a", stacked_experts, {}),
    "split and turned": ("gpt-a", gpt_neo, {"model_type": "gpt_neo"}),
    "greek": ("gpt-a", greek, {}),
    "wrapped": ("llama-a", within("base_model.model."), {}),
    "wrapped and fused": ("llama-a", lambda x: within("base_model.model.")(phi3(x)), {}),
    "without prefix": ("gpt-a", lambda x: {n.removeprefix("transformer."): v for n, v in x.items()},
                       {}),
    "untied": ("gpt-a", lambda x: x | {"lm_head.weight": x["transformer.wte.weight"]}, {}),
}  # fmt: skip


def written(folder, name, change, config):
    folder.mkdir(exist_ok=True)
    arrays = load_file(ZOO / name / "model.safetensors")
    held = {key: np.ascontiguousarray(x) for key, x in change(arrays).items()}
    save_file(held, folder / "model.safetensors")
    known = json.loads((ZOO / name / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(known | config))
    return folder


def is_one_model(record, n):
    """Equal values, and none of the kinds that training leaves."""
    return (
        record.verdict == "dependent"
        and record.kind == ("header-only",)
        and record.direction.parent == "undetermined"
        and record.equal.same_name == n
    )


@pytest.mark.claim
@pytest.mark.parametrize("case", CASES)
def test_two_layouts_of_one_model_are_equal_value_by_value(zoo, case, tmp_path):
    name, change, config = CASES[case]
    other = written(tmp_path / "other", name, change, config)
    n = sum(x.size for x in load_file(ZOO / name / "model.safetensors").values())
    assert is_one_model(compare(ZOO / name, other), n)
    assert is_one_model(compare(other, ZOO / name), n)


@pytest.mark.parametrize("case", [x for x in CASES if x != "untied"])
def test_a_sample_of_two_layouts_is_equal_wherever_both_hold_it(zoo, case, tmp_path):
    name, change, config = CASES[case]
    models = [open_model(x) for x in (ZOO / name, written(tmp_path / "x", name, change, config))]
    a, b = in_one_layout([take_sketch(model, SAMPLE) for model in models])
    found = equality(a, b)
    assert a.tensors.keys() == b.tensors.keys()
    assert all(x.is_same for x in (*found.a.values(), *found.b.values()))
    assert found.is_whole


def test_heads_in_one_matrix_are_told_apart_by_their_number(zoo, tmp_path):
    split = written(tmp_path / "split", "gpt-a", gpt_neo, {"model_type": "gpt_neo"})
    neox = {"model_type": "gpt_neox", "num_attention_heads": 4}
    fused = written(tmp_path / "fused", "gpt-a", lambda x: head_by_head(gpt_neo(x)), neox)
    for source in (ZOO / "gpt-a", split):  # contiguous, and split
        sketches = [take_sketch(open_model(x), Scheme.whole()) for x in (source, fused)]
        a, b = in_one_layout(sketches)
        assert {*a.tensors} - {*b.tensors} == {"decoder.position"}
        found = equality(a, b)
        assert all(x.is_same for x in found.b.values())
        alone = replace(sketches[1], config={})
        told = in_one_layout([sketches[0], alone])  # by the other
        assert told[1].tensors.keys() == b.tensors.keys()
        unknown = in_one_layout([replace(sketches[0], config={}), alone])
        assert "decoder.0.attn.qkv" in unknown[1].tensors  # no number of heads, no cut


def test_a_fine_tuned_child_in_another_layout_is_as_far_as_in_its_own(zoo, tmp_path):
    other = written(tmp_path / "child", "llama-a-ft1", phi3, {})
    plain = compare(ZOO / "llama-a", ZOO / "llama-a-ft1")
    found = compare(ZOO / "llama-a", other)
    assert found.kind == plain.kind == ("fine-tuned",)
    assert found.kind_details == plain.kind_details


def test_a_family_goes_by_roles(zoo, tmp_path):
    fused = [written(tmp_path / f"{x}-fused", x, phi3, {}) for x in ("llama-a", "llama-a-ft1")]
    names = ("llama-a", "llama-a-ft1", "llama-a-ft2", "llama-b")
    plain = family_graph([ZOO / x for x in names])
    found = family_graph([*fused, *(ZOO / x for x in names)])
    assert {n.id: n.duplicates for n in found.nodes} == {
        "llama-a-fused": ("llama-a",), "llama-a-ft1-fused": ("llama-a-ft1",),
        "llama-a-ft2": (), "llama-b": ()}  # fmt: skip
    assert [round(e.distance, 6) for e in found.edges] == [
        round(e.distance, 6) for e in plain.edges
    ]
    assert [e.kind for e in found.edges] == [e.kind for e in plain.edges]


def test_a_search_finds_the_model_in_another_layout(zoo, tmp_path):
    registry = Registry(tmp_path / "registry.db")
    registry.add([ZOO / "llama-a", ZOO / "llama-b"])
    found = registry.search(written(tmp_path / "fused", "llama-a", phi3, {}))
    (relative,) = found.relatives
    assert relative.model.name == "llama-a"
    assert relative.summary.kind == ("header-only",)


def test_a_sketch_file_is_cut_like_the_model(zoo, tmp_path):
    fused = open_model(written(tmp_path / "fused", "llama-a", phi3, {}))
    write_sketch(take_sketch(fused, SAMPLE), tmp_path / "x.sketch.safetensors")
    plain = take_sketch(open_model(ZOO / "llama-a"), SAMPLE)
    a, b = in_one_layout([plain, read_sketch(tmp_path / "x.sketch.safetensors")])
    assert relate(a, b).share_equal == 1.0
    assert relate(a, b).only_a == relate(a, b).only_b == ()
