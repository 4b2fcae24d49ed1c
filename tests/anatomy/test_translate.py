"""Claim: one tensor has one key under the names of wrappers, publishers and the library.

What the tables of names say is what the converters of the library do.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests import models
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.roles import role_keys, role_pieces
from weightkin.anatomy.translate import components_of, parts_of
from weightkin.formats.memory import model_from_arrays

WRAPPERS = [
    lambda k: f"module.{k}",
    lambda k: f"_orig_mod.module.{k}",
    lambda k: k.replace(".layers.", ".layers.module."),
    lambda k: k.replace(
        ".self_attn.", "._fsdp_wrapped_module._checkpoint_wrapped_module.self_attn."
    ),
    lambda k: k.replace("_proj.", "_proj.base_layer."),
    lambda k: f"base_model.model.{k}",
    lambda k: f"0.auto_model.{k}",
]


@pytest.fixture(scope="module")
def arrays():
    return models.base(np.random.default_rng(5), blocks=2)


@pytest.mark.parametrize("wrapped", WRAPPERS)
def test_wrappers_change_no_role_and_no_axis(arrays, wrapped):
    stored = {wrapped(name): x for name, x in arrays.items()}
    plain, other = model_from_arrays(arrays), model_from_arrays(stored)
    keys = role_keys(other.tensors)
    assert {wrapped(n): key for n, key in role_keys(plain.tensors).items()} == keys
    found, expected = read_anatomy(other), read_anatomy(plain)
    assert found.stacks == expected.stacks
    assert [(x.labels, x.n_units) for x in found.axes] == [
        (x.labels, x.n_units) for x in expected.axes
    ]
    assert {p.tensor for x in found.axes for p in x.places} <= stored.keys()


def test_names_that_would_become_one_stay_as_they_are():
    both = {"a.module.weight": np.ones(3, np.float32), "a.weight": np.ones(3, np.float32)}
    model = model_from_arrays(both)
    assert set(components_of(model.tensors)[0].tensors) == both.keys()


def test_older_leaves_become_those_of_today():
    one = np.ones((3, 3), np.float32)
    stored = {
        "x.LayerNorm.gamma": one,
        "x.LayerNorm.beta": one,
        "block.gamma": one,  # a scale of its own, no norm
        "conv.weight_g": one,
        "conv.weight_v": one,
        "other.parametrizations.weight.original0": one,
        "other.parametrizations.weight.original1": one,
    }
    names = set(components_of(model_from_arrays(stored).tensors)[0].tensors)
    assert names == {
        *("x.LayerNorm.weight", "x.LayerNorm.bias", "block.gamma", "conv.weight_g"),
        *("conv.weight", "other.weight_g", "other.weight"),
    }


def _read(component, model):
    """The tensors of a component as the library has them."""
    found = {}
    for name, home in component.homes.items():
        x = model.rows(home.tensor)
        x = np.concatenate([x[a:b] for a, b in home.spans]) if home.spans else x
        found[name] = x.reshape(component.tensors[name].shape)
    return found


def _agree(stored, expected, name=""):
    model = model_from_arrays({k: v.numpy() for k, v in stored.items()})
    component = next(x for x in components_of(model.tensors) if x.name == name)
    found = _read(component, model)
    assert found.keys() == expected.keys()
    for key, x in expected.items():
        np.testing.assert_array_equal(found[key], x.numpy(), err_msg=key)
    pieces = role_pieces(model.tensors)
    assert len({(p.tensor, p.spans, p.index) for p in pieces.values()}) == len(pieces)


def _renamed(state, rules):
    found = {}
    for key, x in state.items():
        for old, new in rules:
            key = re.sub(old, new, key)
        found[key] = x.clone()
    return found


def _three(state, first, others):
    """Queries, keys and values one after the other under the name of the queries."""
    torch = pytest.importorskip("torch")
    fused = {}
    for key, x in state.items():
        if any(re.search(other, key) for other in others):
            continue
        if re.search(first, key):
            rest = [re.sub(first, other.replace("\\", ""), key) for other in others]
            x = torch.cat([x, *(state[name] for name in rest)])
        fused[key] = x
    return fused


VAE = [
    (r"encoder\.down_blocks\.(\d+)\.resnets\.", r"encoder.down.\1.block."),
    (r"encoder\.down_blocks\.(\d+)\.downsamplers\.0", r"encoder.down.\1.downsample"),
    (r"decoder\.up_blocks\.(\d+)\.resnets\.", lambda m: f"decoder.up.{1 - int(m[1])}.block."),
    (r"decoder\.up_blocks\.(\d+)\.upsamplers\.0",
     lambda m: f"decoder.up.{1 - int(m[1])}.upsample"),
    (r"mid_block\.resnets\.0", "mid.block_1"),
    (r"mid_block\.resnets\.1", "mid.block_2"),
    (r"mid_block\.attentions\.0\.group_norm", "mid.attn_1.norm"),
    (r"mid_block\.attentions\.0\.to_out\.0", "mid.attn_1.proj_out"),
    (r"mid_block\.attentions\.0\.to_", "mid.attn_1."),
    ("conv_shortcut", "nin_shortcut"),
    ("conv_norm_out", "norm_out"),
]  # fmt: skip


def test_autoencoders_as_the_library_converts_them():
    diffusers = pytest.importorskip("diffusers")
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    vae = diffusers.AutoencoderKL(
        block_out_channels=(8, 16),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    )
    state = vae.state_dict()
    flat = {key: x.dim() == 2 for key, x in _renamed(state, VAE).items()}
    stored = {
        f"first_stage_model.{key}": x[..., None, None] if flat[key] else x
        for key, x in _renamed(state, VAE).items()
    }
    back = convert_ldm_vae_checkpoint(dict(stored), dict(vae.config))
    assert all((back[key] == x).all() for key, x in state.items())
    _agree(stored, state, "vae")
    _agree({key.partition(".")[2]: x for key, x in stored.items()}, state)


SD3 = [
    (r"^pos_embed\.pos_embed", "pos_embed"),
    (r"^pos_embed\.proj", "x_embedder.proj"),
    (r"time_text_embed\.timestep_embedder\.linear_(.)",
     lambda m: f"t_embedder.mlp.{2 * int(m[1]) - 2}"),
    (r"time_text_embed\.text_embedder\.linear_(.)",
     lambda m: f"y_embedder.mlp.{2 * int(m[1]) - 2}"),
    (r"attn(2?)\.to_q", r"x_block.attn\1.qkv"),
    (r"attn\.add_q_proj", "context_block.attn.qkv"),
    (r"attn(2?)\.norm_([qk])", r"x_block.attn\1.ln_\2"),
    (r"attn\.norm_added_(.)", r"context_block.attn.ln_\1"),
    (r"attn(2?)\.to_out\.0", r"x_block.attn\1.proj"),
    (r"attn\.to_add_out", "context_block.attn.proj"),
    (r"norm1\.linear", "x_block.adaLN_modulation.1"),
    (r"norm1_context\.linear", "context_block.adaLN_modulation.1"),
    (r"ff\.net\.0\.proj", "x_block.mlp.fc1"),
    (r"ff\.net\.2", "x_block.mlp.fc2"),
    (r"ff_context\.net\.0\.proj", "context_block.mlp.fc1"),
    (r"ff_context\.net\.2", "context_block.mlp.fc2"),
    (r"^transformer_blocks", "joint_blocks"),
    (r"^proj_out", "final_layer.linear"),
    (r"^norm_out\.linear", "final_layer.adaLN_modulation.1"),
]  # fmt: skip


def test_stable_diffusion_3_as_the_library_converts_it():
    torch, diffusers = (pytest.importorskip(x) for x in ("torch", "diffusers"))
    from diffusers.loaders.single_file_utils import convert_sd3_transformer_checkpoint_to_diffusers

    state = diffusers.SD3Transformer2DModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=24,
        caption_projection_dim=32,
        pooled_projection_dim=20,
        pos_embed_max_size=8,
        dual_attention_layers=(0,),
        qk_norm="rms_norm",
    ).state_dict()
    stored = dict(state)
    for key in stored:  # the publisher writes shift before scale
        if key.startswith(("norm_out.linear", "transformer_blocks.1.norm1_context.linear")):
            stored[key] = torch.cat(stored[key].chunk(2)[::-1])
    stored = _three(stored, "to_q", ["to_k", "to_v"])
    stored = _three(stored, "add_q_proj", ["add_k_proj", "add_v_proj"])
    stored = _renamed(stored, SD3)
    back = convert_sd3_transformer_checkpoint_to_diffusers(dict(stored))
    assert all((back[key] == x).all() for key, x in state.items())
    _agree(stored, state)
    _agree({f"model.diffusion_model.{k}": x for k, x in stored.items()}, state, "transformer")


def test_the_parts_of_a_single_file_are_told_by_their_beginnings():
    names = [
        *("model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.encoder.x.weight"),
        *("cond_stage_model.transformer.text_model.x.weight", "alphas_cumprod"),
    ]
    assert list(parts_of(names).values()) == ["unet", "vae", "text_encoder"]
    assert parts_of(["transformer.h.0.attn.weight", "lm_head.weight"]) == {}
    assert parts_of(["unet.a.weight", "vae.b.weight"]) == {
        "unet.a.weight": "unet",
        "vae.b.weight": "vae",
    }


WHISPER = [
    (r"^model\.", ""),
    (r"\.layers\.", ".blocks."),
    (r"encoder_attn_layer_norm", "cross_attn_ln"),
    (r"self_attn_layer_norm", "attn_ln"),
    (r"(blocks\.\d+)\.final_layer_norm", r"\1.mlp_ln"),
    (r"encoder_attn\.", "cross_attn."),
    (r"self_attn\.", "attn."),
    (r"q_proj", "query"),
    (r"k_proj", "key"),
    (r"v_proj", "value"),
    (r"out_proj", "out"),
    (r"fc1", "mlp.0"),
    (r"fc2", "mlp.2"),
    (r"encoder\.layer_norm", "encoder.ln_post"),
    (r"decoder\.layer_norm", "decoder.ln"),
    (r"embed_tokens", "token_embedding"),
    (r"embed_positions\.weight", "positional_embedding"),
]
ESM = [
    (r"^esm\.encoder\.layer\.", "encoder.sentence_encoder.layers."),
    (r"attention\.self\.query", "self_attn.q_proj"),
    (r"attention\.self\.key", "self_attn.k_proj"),
    (r"attention\.self\.value", "self_attn.v_proj"),
    (r"attention\.self\.rotary_embeddings", "self_attn.rot_emb"),
    (r"attention\.output\.dense", "self_attn.out_proj"),
    (r"attention\.LayerNorm", "self_attn_layer_norm"),
    (r"intermediate\.dense", "fc1"),
    (r"output\.dense", "fc2"),
    (r"(layers\.\d+)\.LayerNorm", r"\1.final_layer_norm"),
    (r"^esm\.embeddings\.word_embeddings", "encoder.sentence_encoder.embed_tokens"),
    (r"^esm\.encoder\.emb_layer_norm_after", "encoder.sentence_encoder.emb_layer_norm_after"),
    (r"^lm_head", "encoder.lm_head"),
    (r"^esm\.contact_head", "contact_head"),
]


def test_whisper_and_esm_have_the_roles_of_the_library_under_their_publishers_names():
    hf = pytest.importorskip("transformers")
    sizes = {"encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    tokens = dict.fromkeys(("pad_token_id", "bos_token_id", "decoder_start_token_id"), 1)
    whisper = hf.WhisperForConditionalGeneration(
        hf.WhisperConfig(
            d_model=16, vocab_size=40, num_mel_bins=8, eos_token_id=2,
            max_source_positions=12, max_target_positions=8, **sizes, **heads, **tokens,
        )
    )  # fmt: skip
    esm = hf.EsmForMaskedLM(
        hf.EsmConfig(
            hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
            vocab_size=33, position_embedding_type="rotary", pad_token_id=1, mask_token_id=32,
        )
    )  # fmt: skip
    for model, rules in ((whisper, WHISPER), (esm, ESM)):
        state = {k: v for k, v in model.state_dict().items() if k != "proj_out.weight"}
        state = {k: v for k, v in state.items() if "position_ids" not in k}
        names = dict(zip(_renamed(state, rules), state, strict=True))
        stored = model_from_arrays({n: state[k].numpy() for n, k in names.items()})
        plain = model_from_arrays({k: x.numpy() for k, x in state.items()})
        keys = role_keys(plain.tensors)
        assert role_keys(stored.tensors) == {n: keys[k] for n, k in names.items()}
