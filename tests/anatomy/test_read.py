"""Claim: an axis is declared only where names, shapes and config agree; else a reason is given."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as hf

from tests.anatomy.test_symmetry import distance, relabelled
from tests.anatomy.tiny import TOKENS, make
from tests.calls import n_calls
from weightkin.anatomy import read, read_anatomy, side
from weightkin.anatomy.side import MAX_EXPERTS
from weightkin.formats.memory import model_from_arrays
from weightkin.formats.model import Model, TensorInfo

SIZES = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 40,
}
IMAGE = {
    "hidden_size": 20,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 8,
    "patch_size": 4,
}


class NoStorage:
    bytes_touched = 0

    def read(self, name: str, start: int, stop: int) -> Any:
        raise AssertionError("anatomy reads no values")

    def read_runs(self, name: str, runs: Any) -> Any:
        raise AssertionError("anatomy reads no values")


def header(shapes: dict[str, tuple[int, ...]], config: dict[str, Any] | None = None) -> Model:
    """A model of which only names and shapes are known."""
    tensors = {name: TensorInfo(name, "F32", shape, 0) for name, shape in sorted(shapes.items())}
    return Model("header", "header", tensors, config or {}, NoStorage())


def llama_shapes(n_blocks: int = 2, d: int = 16, h: int = 24) -> dict[str, tuple[int, ...]]:
    shapes = {"model.embed_tokens.weight": (40, d), "model.norm.weight": (d,)}
    for i in range(n_blocks):
        at = f"model.layers.{i}"
        shapes |= {f"{at}.self_attn.{x}_proj.weight": (d, d) for x in "qo"}
        shapes |= {f"{at}.self_attn.{x}_proj.weight": (d // 2, d) for x in "kv"}
        shapes |= {f"{at}.mlp.{x}_proj.weight": (h, d) for x in ("gate", "up")}
        shapes |= {f"{at}.mlp.down_proj.weight": (d, h)}
        shapes |= {f"{at}.{x}_layernorm.weight": (d,) for x in ("input", "post_attention")}
    return shapes


def config(**more: Any) -> dict[str, Any]:
    return {"num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 16, **more}


def kinds(model: Model) -> set[str]:
    return {axis.kind for axis in read_anatomy(model).axes}


def reasons(model: Model) -> str:
    return "; ".join(f"{p.what}: {p.why}" for p in read_anatomy(model).skipped)


def in_memory(made: torch.nn.Module, settings: dict[str, Any]) -> Model:
    arrays = {name: x.detach().numpy() for name, x in made.state_dict().items()}
    return model_from_arrays(arrays, config=settings)


def noisy(made: torch.nn.Module) -> torch.nn.Module:
    noise = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=noise))
    return made.eval()


# ---- the family is chosen by names and shapes ----


@pytest.mark.parametrize("prefix", ["", "model.", "module.model.", "a.b.language_model."])
def test_prefixes_change_nothing(prefix):
    shapes = {prefix + n.removeprefix("model."): s for n, s in llama_shapes().items()}
    anatomy = read_anatomy(header(shapes, config()))
    assert anatomy.stacks == (("decoder", 2),)
    assert {axis.kind for axis in anatomy.axes} == {"units", "vo", "heads", "residual"}


def test_model_type_is_not_believed():
    lying = read_anatomy(header(llama_shapes(), config(model_type="gpt2")))
    assert lying == read_anatomy(header(llama_shapes(), config(model_type="llama")))
    assert lying.family == "llama-like"


def test_gpt2_and_its_linear_twins_are_told_apart_by_shape():
    names = {"attn.c_attn": (16, 48), "attn.c_proj": (16, 16)}
    names |= {"mlp.c_fc": (16, 64), "mlp.c_proj": (64, 16)}
    stored = {f"h.{i}.{n}.weight": s for i in range(2) for n, s in names.items()}
    turned = {name: shape[::-1] for name, shape in stored.items()}
    assert read_anatomy(header(stored)).family == "gpt2"
    assert read_anatomy(header(turned)).family == "gpt2-linear"


def test_stacked_experts_in_memory_are_one_axis_an_expert():
    settings = hf.MixtralConfig(**SIZES, num_local_experts=3, num_experts_per_tok=2)
    made = noisy(hf.MixtralForCausalLM(settings))
    check_units(made, in_memory(made, settings.to_dict()), n_axes=6)


def test_llama4_experts_stored_in_out_are_one_axis_an_expert():
    settings = hf.Llama4TextConfig(
        **SIZES,
        head_dim=4,
        intermediate_size_mlp=28,
        num_local_experts=3,
        interleave_moe_layer_step=2,
    )
    made = noisy(hf.Llama4ForCausalLM(settings))
    model = in_memory(made, settings.to_dict())
    assert read_anatomy(model).family == "llama4"
    check_units(made, model, n_axes=5)  # 3 experts, their shared expert, 1 dense block


def check_units(made: torch.nn.Module, model: Model, *, n_axes: int) -> None:
    """Relabel all hidden units of a model in memory; compare what it computes."""
    with torch.no_grad():
        before = made(input_ids=TOKENS).logits.numpy()
    units = [axis for axis in read_anatomy(model).axes if axis.kind == "units"]
    assert len(units) == n_axes
    assert all(axis.is_gated for axis in units)
    arrays = {name: x.detach().numpy() for name, x in made.state_dict().items()}
    for axis in units:
        arrays = relabelled(arrays, axis, axis.places)
    made.load_state_dict({name: torch.from_numpy(x.copy()) for name, x in arrays.items()})
    with torch.no_grad():
        assert distance(before, made(input_ids=TOKENS).logits.numpy()) < 2e-5


def test_fused_attention_of_torch_is_queries_keys_values():
    layer = torch.nn.TransformerEncoderLayer(16, 4, 24, batch_first=True)
    made = noisy(torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False))
    x = torch.randn(2, 5, 16)
    with torch.no_grad():
        before = made(x).numpy()
    arrays = {name: p.detach().numpy() for name, p in made.state_dict().items()}
    axes = read_anatomy(model_from_arrays(arrays, config={"num_heads": 4})).axes
    assert {axis.kind for axis in axes} == {"units", "vo"}
    for axis in axes:
        arrays = relabelled(arrays, axis, axis.places)
    made.load_state_dict({name: torch.from_numpy(p.copy()) for name, p in arrays.items()})
    with torch.no_grad():
        assert distance(before, made(x).numpy()) < 2e-5


def test_towers_of_a_multimodal_model_are_separate_stacks():
    settings = hf.LlavaConfig(
        text_config=hf.LlamaConfig(**SIZES), vision_config=hf.CLIPVisionConfig(**IMAGE)
    )
    made = hf.LlavaForConditionalGeneration(settings)
    anatomy = read_anatomy(in_memory(made, settings.to_dict()))
    assert dict(anatomy.stacks) == {"decoder": 2, "vision": 2}
    residual = {axis.stack: axis for axis in anatomy.axes if axis.kind == "residual"}
    assert {stack: axis.n_units for stack, axis in residual.items()} == {
        "decoder": 16,
        "vision": 20,
    }
    heads = {axis.stack: axis.head_size for axis in anatomy.axes if axis.kind == "vo"}
    assert heads == {"decoder": 4, "vision": 5}


def test_clip_towers_stored_alone_keep_their_names():
    text = hf.CLIPTextModel(hf.CLIPTextConfig(**{**SIZES, "max_position_embeddings": 16}))
    vision = hf.CLIPVisionModel(hf.CLIPVisionConfig(**IMAGE))
    for made, name in ((text, "text"), (vision, "vision")):
        assert read_anatomy(in_memory(made, made.config.to_dict())).stacks == ((name, 2),)


# ---- heads ----


@pytest.mark.parametrize(
    "settings",
    [
        {},
        config(num_attention_heads=3),
        config(head_dim=5),
        config(num_key_value_heads=4),
        config(hidden_size=99),
        config(num_attention_heads=True),
        config(num_attention_heads="4"),
        config(num_attention_heads=-4),
        config(num_attention_heads=10**30),
    ],
)
def test_heads_need_a_config_that_agrees_with_the_shapes(settings):
    model = header(llama_shapes(), settings)
    assert kinds(model) == {"units", "residual"}
    assert "vo" in reasons(model)


def test_a_norm_of_one_head_settles_its_size_without_config():
    shapes = llama_shapes()
    shapes |= {f"model.layers.{i}.self_attn.{x}_norm.weight": (4,) for i in (0, 1) for x in "qk"}
    axes = [axis for axis in read_anatomy(header(shapes)).axes if axis.kind == "vo"]
    assert [axis.head_size for axis in axes] == [4, 4]
    assert "vo" not in kinds(header(shapes, config(num_attention_heads=8, num_key_value_heads=4)))


def test_alibi_in_the_config_takes_heads_away():
    model = header(llama_shapes(), config(alibi=True))
    assert kinds(model) == {"units", "vo", "residual"}


def test_one_key_value_head_is_no_axis_of_heads():
    shapes = {
        n: ((4, 16) if "k_proj" in n or "v_proj" in n else s) for n, s in llama_shapes().items()
    }
    model = header(shapes, config(num_key_value_heads=1))
    assert kinds(model) == {"units", "vo", "residual"}
    assert "one key-value head" in reasons(model)


def test_t5_heads_share_one_relabelling_a_stack(tmp_path):
    axes = read_anatomy(make("t5", tmp_path).model).axes
    heads = [axis for axis in axes if axis.kind == "heads"]
    own = {axis.labels for axis in heads if axis.name == "heads"}
    cross = [axis.labels for axis in heads if axis.name == "heads.cross"]
    assert len(own) == 2  # encoder, decoder
    assert len(set(cross)) == len(cross) == 2


# ---- strangers ----


@pytest.mark.parametrize(
    ("stranger", "lost"),
    [
        ("model.layers.0.self_attn.gate.weight", {"vo", "heads", "residual"}),
        ("model.layers.0.mlp.sub_norm.weight", {"units", "residual"}),
        ("model.layers.0.side.weight", {"residual"}),
        ("model.side.weight", {"residual"}),
        ("side", {"residual"}),
    ],
)
def test_a_tensor_nobody_knows_takes_away_the_axes_it_may_touch(stranger, lost):
    shapes = llama_shapes(n_blocks=1) | {stranger: (7, 16)}
    model = header(shapes, config())
    assert kinds(model) == {"units", "vo", "heads", "residual"} - lost
    assert stranger.rsplit(".", 2)[-1] in reasons(model)


@pytest.mark.parametrize(("module", "is_kept"), [("self_attn.indexer", True), ("side", False)])
def test_a_tensor_nobody_knows_in_an_attention_leaves_the_mlp_alone(module, is_kept, monkeypatch):
    monkeypatch.setattr(read, "better_anatomy", lambda found, *_: found)
    read.read_headers.cache_clear()
    shapes = llama_shapes(1)
    n_units = shapes["model.layers.0.mlp.up_proj.weight"][0]
    shapes[f"model.layers.0.{module}.weight"] = (7, n_units)
    assert ("units" in kinds(header(shapes, config()))) == is_kept
    read.read_headers.cache_clear()


def test_experts_beside_a_dense_mlp_are_sampled_like_others():
    shapes = llama_shapes(1) | {
        "model.layers.0.experts.gate_up_proj": (6, 20, 16),
        "model.layers.0.experts.down_proj": (6, 16, 10),
    }
    anatomy = read_anatomy(header(shapes, config()))
    names = {axis.name for axis in anatomy.axes if axis.kind == "units"}
    assert names == {"mlp", *(f"mlp.experts.{i}" for i in range(6))}
    sampled = {axis.name for axis in side.tested_axes(anatomy) if axis.kind == "units"}
    assert sampled == {"mlp", *(f"mlp.experts.{i}" for i in range(MAX_EXPERTS))}


def test_block_scales_of_quantised_matrices_take_the_width_away_only():
    shapes = llama_shapes(1) | {"model.layers.0.mlp.up_proj.weight_scale_inv": (3, 2)}
    assert kinds(header(shapes, config())) == {"units", "vo", "heads"}


def test_geglu_and_gelu_under_one_name_are_told_apart_by_shape():
    for n_rows, is_gated in ((48, True), (24, False)):
        shapes = {"ff.net.0.proj.weight": (n_rows, 16), "ff.net.2.weight": (16, 24)}
        shapes |= {f"attn1.{x}.weight": (16, 16) for x in ("to_q", "to_k", "to_v", "to_out.0")}
        model = header(
            {f"transformer_blocks.{i}.{n}": s for i in (0, 1) for n, s in shapes.items()}
        )
        units = [axis for axis in read_anatomy(model).axes if axis.kind == "units"]
        assert [(axis.n_units, axis.is_gated) for axis in units] == [(24, is_gated)] * 2


def test_clamped_glus_are_not_gated():
    model = header(llama_shapes(), config(swiglu_limit=7.0))
    assert not any(axis.is_gated for axis in read_anatomy(model).axes)


def test_a_stack_without_a_known_mlp_says_so():
    shapes = {n: s for n, s in llama_shapes().items() if ".mlp." not in n}
    assert "no MLP" in reasons(header(shapes, config()))


def test_buffers_are_no_strangers():
    shapes = llama_shapes() | {"model.layers.0.self_attn.rotary_emb.inv_freq": (2,)}
    assert kinds(header(shapes, config())) == {"units", "vo", "heads", "residual"}


def test_a_bert_without_positions_has_no_residual_axis(tmp_path):
    made = make("bert", tmp_path)
    arrays = {n: x for n, x in made.arrays.items() if "position_embeddings" not in n}
    model = model_from_arrays(arrays, config=made.config)
    assert kinds(model) == {"units", "vo"}
    assert "sinusoids" in reasons(model)


# ---- contradictions and hostile headers ----


def test_contradicting_shapes_are_refused_with_the_reason():
    shapes = llama_shapes() | {"model.layers.1.mlp.down_proj.weight": (16, 25)}
    anatomy = read_anatomy(header(shapes, config()))
    assert [axis.block for axis in anatomy.axes if axis.kind == "units"] == [0]
    assert "down_proj.weight has 25 hidden units" in reasons(header(shapes, config()))


def test_gaps_and_gigantic_numbers_are_ranks():
    numbers = ["0", "7", "99999999999", "9" * 5000]
    shapes = {}
    for i, number in enumerate(numbers):
        block = {n: s for n, s in llama_shapes(4).items() if f"layers.{i}." in n}
        shapes |= {n.replace(f"layers.{i}.", f"layers.{number}."): s for n, s in block.items()}
    anatomy = read_anatomy(header(shapes, config()))
    assert anatomy.stacks == (("decoder", 4),)
    places = {x.block: x.places[0].tensor for x in anatomy.axes if x.kind == "units"}
    assert [places[i].split(".")[2] for i in range(4)] == numbers


def test_empty_dimensions_and_scalars_give_reasons_not_axes():
    empty = {name: (0,) * len(shape) for name, shape in llama_shapes().items()}
    for shapes in (empty, {"a": (), "b": ()}, {}):
        anatomy = read_anatomy(header(shapes, config()))
        assert anatomy.axes == ()
        assert anatomy.skipped


def test_experts_beyond_number_are_refused():
    shapes = llama_shapes(1) | {
        "model.layers.0.mlp.experts.gate_up_proj": (10**12, 24, 16),
        "model.layers.0.mlp.experts.down_proj": (10**12, 16, 12),
    }
    shapes = {n: s for n, s in shapes.items() if "mlp.experts" in n or "mlp." not in n}
    assert "1000000000000 experts" in reasons(header(shapes, config()))


MANY = {
    "blocks": lambda n: llama_shapes(n // 9),
    "experts-unknown": lambda n: {
        f"layers.0.mlp.experts.{e}.{x}.weight": (8, 8) for e in range(n // 3) for x in "abc"
    },
    "experts": lambda n: {
        f"layers.0.mlp.experts.{e}.{x}_proj.weight": (16, 24) if x == "down" else (24, 16)
        for e in range(n // 3)
        for x in ("gate", "up", "down")
    },
    "stacks": lambda n: {f"x{i}.layers.0.mlp.up_proj.weight": (8, 4) for i in range(n)},
    "names": lambda n: {f"layers.0.m{i}.weight": (8, 4) for i in range(n)},
    "unknown": lambda n: {f"a.b{i}.c.weight": (8, 4) for i in range(n)},
    "convolutions": lambda n: {f"conv{i}.weight": (8, 8, 3, 3) for i in range(n)},
    "numbers": lambda n: {f"m.{i}": (8, 4) for i in range(n)},
}


@pytest.mark.claim
@pytest.mark.parametrize("shapes", MANY.values(), ids=MANY)
def test_work_grows_with_the_number_of_tensors_and_no_faster(shapes):
    read_anatomy(header(shapes(9)))  # what is read once for all models
    few, many = header(shapes(900)), header(shapes(9_000))
    calls = n_calls(lambda: read_anatomy(many)) / 9_000
    assert calls < 500
    assert calls < 1.3 * n_calls(lambda: read_anatomy(few)) / 900


def test_no_values_are_read_and_the_answer_is_the_same_every_time():
    model = header(llama_shapes(), config())
    assert read_anatomy(model) == read_anatomy(model)
