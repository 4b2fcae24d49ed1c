"""Claim: what tensors do has one name, whoever called and stored them."""

from __future__ import annotations

import re
from operator import methodcaller

import pytest

from tests.anatomy.test_read import header, llama_shapes
from tests.anatomy.tiny import MAKERS, make
from weightkin.anatomy.roles import RoleKey, role_keys, role_pieces
from weightkin.catalogue import entries
from weightkin.formats.gguf_metadata import original_name
from weightkin.formats.model import TensorInfo


def keys(shapes):
    """Keys in words, by name."""
    return {name: str(key) for name, key in role_keys(header(shapes).tensors).items()}


def pieces(shapes):
    return {str(k): (p.tensor, p.dim, *p.spans, p.index)
            for k, p in role_pieces(header(shapes).tensors).items()}  # fmt: skip


@pytest.mark.parametrize(
    ("family", "tensor", "key"),
    [
        ("llama", "model.layers.1.mlp.up_proj.weight", "decoder.1.mlp.up"),
        ("llama", "model.layers.0.input_layernorm.weight", "decoder.0.norm.attn"),
        ("llama", "model.layers.0.post_attention_layernorm.weight", "decoder.0.norm.mlp"),
        ("llama", "model.embed_tokens.weight", "decoder.embed"),
        ("llama", "model.norm.weight", "decoder.norm.last"),
        ("llama", "lm_head.weight", "decoder.unembed"),
        ("llama-biased", "model.layers.0.self_attn.q_proj.bias", "decoder.0.attn.q.bias"),
        ("gemma2", "model.layers.0.pre_feedforward_layernorm.weight", "decoder.0.norm.mlp"),
        ("gemma2", "model.layers.0.post_attention_layernorm.weight",
         "decoder.0.norm:post_attention_layernorm.weight"),
        ("mixtral", "model.layers.0.block_sparse_moe.experts.2.w3.weight", "decoder.0.mlp.up[2]"),
        ("mixtral", "model.layers.0.block_sparse_moe.gate.weight", "decoder.0.router"),
        ("qwen2-moe", "model.layers.1.mlp.shared_expert.up_proj.weight", "decoder.1.shared.mlp.up"),
        ("qwen2-moe", "model.layers.1.mlp.shared_expert_gate.weight", "decoder.1.shared.router"),
        ("gpt2", "transformer.h.0.attn.c_attn.bias", "decoder.0.attn.qkv.bias"),
        ("gpt2", "transformer.ln_f.bias", "decoder.norm.last.bias"),
        ("bert", "bert.encoder.layer.0.intermediate.dense.weight", "encoder.0.mlp.up"),
        ("bert", "bert.encoder.layer.0.output.LayerNorm.weight",
         "encoder.0.norm:output.LayerNorm.weight"),
        ("t5", "decoder.block.0.layer.1.EncDecAttention.q.weight", "decoder.0.cross.attn.q"),
        ("t5", "decoder.block.0.layer.1.layer_norm.weight", "decoder.0.cross.norm.attn"),
        ("t5", "decoder.block.0.layer.2.layer_norm.weight", "decoder.0.norm.mlp"),
        ("t5", "shared.weight", "decoder.embed"),
        ("vit", "vit.encoder.layer.0.layernorm_before.weight", "vision.0.norm.attn"),
        ("clip", "vision_model.embeddings.patch_embedding.weight", "vision.embed"),
        ("clip", "logit_scale", ":logit_scale"),
    ],
)  # fmt: skip
def test_the_key_says_stack_block_and_role(family, tensor, key, tmp_path):
    assert str(role_keys(make(family, tmp_path).model.tensors)[tensor]) == key


@pytest.mark.parametrize("family", MAKERS)
def test_no_two_tensors_have_one_key_and_no_piece_is_lost(family, tmp_path):
    tensors = make(family, tmp_path).model.tensors
    found = role_keys(tensors)
    assert found.keys() == tensors.keys()
    assert len({*found.values()}) == len(found)
    assert {place.tensor for place in role_pieces(tensors).values()} == tensors.keys()


BASES = {"llama": "model.", "gpt2": "transformer.", "bert": "bert.", "roberta": "roberta.",
         "vit": "vit.", "mixtral": "model.", "gpt-neox": "gpt_neox.", "bloom": "transformer.",
         "dinov2": "dinov2.", "phi": "model.", "modernbert": "model."}  # fmt: skip


@pytest.mark.parametrize(("family", "prefix"), BASES.items())
def test_a_base_without_its_prefix_and_one_in_a_module_have_the_same_keys(family, prefix, tmp_path):
    """A base leaves out the head, drops the prefix, and may be wrapped."""
    tensors = make(family, tmp_path).model.tensors
    whole = role_keys(tensors)
    for outer in ("", "module.", "a.b."):
        names = {n: outer + n.removeprefix(prefix) for n in tensors if n.startswith(prefix)}
        base = {new: _named(new, tensors[old]) for old, new in names.items()}
        found = role_keys(base)
        assert {old: found[new] for old, new in names.items()} == {n: whole[n] for n in names}


def _named(name, info):
    return TensorInfo(name, info.dtype, info.shape, 0)


def test_gate_and_up_in_one_are_those_in_two():
    split = llama_shapes()
    gates = {n: s for n, s in split.items() if "gate_proj" in n}
    fused = {n: s for n, s in split.items() if "gate_proj" not in n and "up_proj" not in n}
    for name, (rows, width) in gates.items():
        fused[name.replace("gate_proj", "gate_up_proj")] = (2 * rows, width)
    one, two = pieces(split), pieces(fused)
    assert one.keys() == two.keys()
    name = "model.layers.1.mlp.gate_up_proj.weight"
    assert two["decoder.1.mlp.gate"] == (name, 0, (0, 24), None)
    assert two["decoder.1.mlp.up"] == (name, 0, (24, 48), None)


def test_queries_keys_and_values_in_one_are_those_in_three():
    fused = llama_shapes()
    for i in range(2):
        for x in "qkv":
            del fused[f"model.layers.{i}.self_attn.{x}_proj.weight"]
        fused[f"model.layers.{i}.self_attn.qkv_proj.weight"] = (16 + 8 + 8, 16)
    found = pieces(fused)
    assert found.keys() == pieces(llama_shapes()).keys()
    name = "model.layers.0.self_attn.qkv_proj.weight"
    assert [found[f"decoder.0.attn.{x}"][2] for x in "qkv"] == [(0, 16), (16, 24), (24, 32)]
    assert {found[f"decoder.0.attn.{x}"][0] for x in "qkv"} == {name}


def test_what_does_not_split_evenly_stays_whole():
    odd = llama_shapes() | {"model.layers.0.mlp.gate_up_proj.weight": (49, 16)}
    assert pieces(odd)["decoder.0.mlp.gate_up"][1:3] == (0, (0, 49))


def test_stacked_experts_are_those_that_stand_alone():
    moe = {n: s for n, s in llama_shapes().items() if "mlp" not in n}
    alone, stacked = dict(moe), dict(moe)
    for i in range(2):
        at = f"model.layers.{i}.mlp"
        for e in range(3):
            alone |= {f"{at}.experts.{e}.{x}_proj.weight": (24, 16) for x in ("gate", "up")}
            alone[f"{at}.experts.{e}.down_proj.weight"] = (16, 24)
        stacked[f"{at}.experts.gate_up_proj"] = (3, 48, 16)
        stacked[f"{at}.experts.down_proj"] = (3, 16, 24)
    one, two = pieces(alone), pieces(stacked)
    assert one.keys() == two.keys()
    assert two["decoder.1.mlp.up[2]"] == ("model.layers.1.mlp.experts.gate_up_proj", 0, (24, 48), 2)
    assert two["decoder.1.mlp.down[0]"] == ("model.layers.1.mlp.experts.down_proj", 0, (0, 16), 0)


def test_names_of_vit_as_stored_and_as_the_library_has_them_are_one():
    stored = {"embeddings.cls_token": (1, 1, 16)}
    library = dict(stored)
    for i in range(2):
        a, b = f"encoder.layer.{i}", f"layers.{i}"
        for old, new in (("query", "q"), ("key", "k"), ("value", "v")):
            stored[f"vit.{a}.attention.attention.{old}.weight"] = (16, 16)
            library[f"vit.{b}.attention.{new}_proj.weight"] = (16, 16)
        stored |= {f"vit.{a}.attention.output.dense.weight": (16, 16)}
        library |= {f"vit.{b}.attention.o_proj.weight": (16, 16)}
        stored |= {f"vit.{a}.intermediate.dense.weight": (24, 16)}
        library |= {f"vit.{b}.mlp.fc1.weight": (24, 16)}
        stored |= {
            f"vit.{a}.output.dense.weight": (16, 24),
            f"vit.{a}.layernorm_before.weight": (16,),
        }
        library |= {f"vit.{b}.mlp.fc2.weight": (16, 24), f"vit.{b}.norm1.weight": (16,)}
    assert sorted(keys(stored).values()) == sorted(keys(library).values())


@pytest.mark.parametrize("prefix", ["", "resnet.", "backbone.body."])
def test_what_no_entry_knows_is_left_by_name_without_the_common_prefix(prefix):
    names = ["embedder.embedder.convolution.weight", "embedder.embedder.normalization.weight"]
    names += [f"encoder.stages.{i}.layers.{j}.layer.{k}.convolution.weight"
              for i in range(4) for j in range(2) for k in range(2)]  # fmt: skip
    shapes = {prefix + n: (8, 8, 3, 3) for n in names} | {"classifier.1.weight": (5, 8)}
    plain = keys({n: (8, 8, 3, 3) for n in names})
    found = keys(shapes)
    assert {n: found[prefix + n] for n in names} == plain
    assert found["classifier.1.weight"] == ":classifier.1.weight"


def test_a_stranger_inside_a_block_is_left_by_its_name_there():
    shapes = llama_shapes() | {"model.layers.1.adapter.down.weight": (4, 16)}
    assert keys(shapes)["model.layers.1.adapter.down.weight"] == "decoder.1:adapter.down.weight"
    assert keys(shapes | {"model.extra.weight": (3,)})["model.extra.weight"] == ":extra.weight"


def test_networks_of_one_file_keep_their_keys_apart():
    one = llama_shapes()
    both = one | {f"teacher.{n}": s for n, s in one.items()}
    found = role_keys(header(both).tensors)
    assert found["model.norm.weight"] == RoleKey("decoder", -1, "norm.last")
    assert found["teacher.model.norm.weight"] == RoleKey("teacher.decoder", -1, "norm.last")


def test_a_converted_file_has_the_keys_of_its_original(tmp_path):
    """GGUF calls them ``blk.1.ffn_up``; its reader asks the catalogue for the name before."""
    tensors = make("llama", tmp_path).model.tensors
    of_gguf = {new: old for old, new in entries()["llama-like"].gguf_names.items()}
    facts = {"general.architecture": "llama"}
    for name, key in role_keys(tensors).items():
        module, _, leaf = name.rpartition(".")
        template = re.sub(r"[0-9]+", "#", module)
        stored = of_gguf[template].replace("#", "".join(re.findall(r"[0-9]+", module)))
        assert stored != module
        assert original_name(facts, f"{stored}.{leaf}") == name
        assert str(key).startswith("decoder")


@pytest.mark.parametrize("n_key_heads", [1, 2, 4])
def test_heads_in_one_matrix_are_where_the_library_takes_them_from(n_key_heads):
    torch, hf = pytest.importorskip("torch"), pytest.importorskip("transformers")
    sizes = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 1, "vocab_size": 40}
    config = hf.FalconConfig(
        **sizes, new_decoder_architecture=True, num_kv_heads=n_key_heads, bias=False
    )
    model = hf.FalconForCausalLM(config)
    infos = {n: TensorInfo(n, "F32", tuple(x.shape), 0) for n, x in model.state_dict().items()}
    found = role_pieces(infos, {"": 4})
    rows = torch.arange(8.0 * (4 + 2 * n_key_heads))[None, None]
    split_heads = methodcaller("_split_heads", rows)  # private of the library, and what it runs
    split = split_heads(model.transformer.h[0].self_attention)
    for role, x in zip(("attn.q", "attn.k", "attn.v"), split, strict=True):
        heads = x[0, 0].reshape(-1, 8)
        step = len(heads) // n_key_heads if role != "attn.q" else 1  # repeated for every query
        spans = found[RoleKey("decoder", 0, role)].spans
        assert [i for a, b in spans for i in range(a, b)] == heads[::step].flatten().tolist()
