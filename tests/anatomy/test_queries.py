"""Claim: turned queries and keys are the same function: proven by running the library's classes."""

import numpy as np
import pytest

from weightkin.anatomy import read_anatomy
from weightkin.anatomy.queries import query_keys
from weightkin.formats import open_model

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIZES = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 99}
SIZES |= {"intermediate_size": 96, "pad_token_id": 0}
GROUPED = {**SIZES, "num_key_value_heads": 2}
OWN_SIZE = {**GROUPED, "head_dim": 16}
ONE_KEY_HEAD = {**OWN_SIZE, "num_key_value_heads": 1}
GPT = {"n_embd": 64, "n_layer": 2, "n_head": 4, "vocab_size": 99}
FALCON = {**SIZES, "multi_query": False, "bias": True}
GROUPED_FALCON = {**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2}
MPT = {"d_model": 64, "n_layers": 2, "n_heads": 4, "vocab_size": 99, "max_seq_len": 32}
LATENT = {**SIZES, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 16}
LATENT |= {"v_head_dim": 16, "moe_intermediate_size": 32, "n_routed_experts": 4, "n_group": 1}
LATENT |= {"topk_group": 1, "num_experts_per_tok": 2, "attention_bias": True}
LATENT |= {"num_key_value_heads": 4}
CLASSES = [
    ("Llama", "ForCausalLM", GROUPED, "quarter"),
    ("Qwen2", "ForCausalLM", GROUPED, "quarter"),
    ("Qwen3", "ForCausalLM", OWN_SIZE, "half"),
    ("Gemma2", "ForCausalLM", OWN_SIZE, "quarter"),
    ("Olmo2", "ForCausalLM", GROUPED, "quarter"),
    ("Phi3", "ForCausalLM", GROUPED, "quarter"),
    ("StableLm", "ForCausalLM", GROUPED, "quarter"),
    ("Nemotron", "ForCausalLM", GROUPED, "quarter"),
    ("Glm4", "ForCausalLM", OWN_SIZE, "quarter"),
    ("Mixtral", "ForCausalLM", {**GROUPED, "num_local_experts": 2}, "quarter"),
    ("Phi", "ForCausalLM", SIZES, "quarter"),
    ("GPTJ", "ForCausalLM", {**GPT, "rotary_dim": 8}, "quarter"),
    ("ModernBert", "Model", SIZES, "quarter"),
    ("GPT2", "LMHeadModel", GPT, "sign"),
    ("Bert", "Model", SIZES, "sign"),
    ("GPTNeoX", "ForCausalLM", SIZES, "quarter"),
    ("Falcon", "ForCausalLM", FALCON, "quarter"),
    ("Falcon", "ForCausalLM", GROUPED_FALCON, "quarter"),
    ("Falcon", "ForCausalLM", {**FALCON, "multi_query": True}, "quarter"),
    ("Falcon", "ForCausalLM", {**FALCON, "alibi": True}, "sign"),
    ("Falcon", "ForCausalLM", {**FALCON, "alibi": True, "multi_query": True}, "sign"),
    ("Bloom", "ForCausalLM", SIZES, "sign"),
    ("Mpt", "ForCausalLM", MPT, "sign"),
    ("Mpt", "ForCausalLM", {**MPT, "attn_config": {"clip_qkv": 0.5}}, "sign"),
    ("CodeGen", "ForCausalLM", {**GPT, "rotary_dim": 8}, "quarter"),
    ("CodeGen", "ForCausalLM", {**GPT, "n_head": 8, "rotary_dim": 4}, "quarter"),
    ("GPTBigCode", "ForCausalLM", {**GPT, "multi_query": True}, "sign"),
    ("Persimmon", "ForCausalLM", {**SIZES, "qk_layernorm": False}, "quarter"),
    ("Llama", "ForCausalLM", {**ONE_KEY_HEAD, "attention_bias": True}, "quarter"),
    ("Gemma", "ForCausalLM", ONE_KEY_HEAD, "quarter"),
    ("Qwen3", "ForCausalLM", ONE_KEY_HEAD, "quarter"),
    ("DeepseekV3", "ForCausalLM", {**LATENT, "q_lora_rank": 24}, "quarter"),
    ("DeepseekV3", "ForCausalLM", {**LATENT, "q_lora_rank": None}, "quarter"),
    ("Cohere", "ForCausalLM", GROUPED, "quarter"),
    ("Cohere2", "ForCausalLM", {**GROUPED, "sliding_window": 4}, "quarter"),
]
IDS = [f"{name}-{i}" for i, (name, *_) in enumerate(CLASSES)]


@pytest.mark.claim
@pytest.mark.parametrize(("name", "suffix", "sizes", "coin"), CLASSES, ids=IDS)
def test_turned_queries_and_keys_are_the_same_function(tmp_path, rng, name, suffix, sizes, coin):
    torch.manual_seed(0)
    model = getattr(transformers, name + suffix)(getattr(transformers, f"{name}Config")(**sizes))
    model.eval()
    with torch.no_grad():
        for x in model.parameters():  # starts are so small that scores hardly matter
            x.copy_(3 * x if x.ndim > 1 else x + 0.3 * torch.randn_like(x))
    model.save_pretrained(tmp_path)
    opened = open_model(tmp_path)
    held = query_keys(opened, read_anatomy(opened))
    assert [x.coin for x in held] == [coin, coin]
    ids = torch.tensor(rng.integers(2, 98, (1, 9)))

    def moved(layouts, roles=("attn.q", "attn.k")):
        state = {key: x.clone() for key, x in model.state_dict().items()}
        other = getattr(transformers, name + suffix)(model.config).eval()
        for x in held:
            _turn(state, x, layouts.get(x.layout, x.layout), np.random.default_rng(3), roles)
        other.load_state_dict(state)
        with torch.no_grad():
            before, after = model(ids)[0], other(ids)[0]
        return float((after - before).abs().max() / before.abs().max())

    assert moved({}) < 1e-5
    assert moved({}, ["attn.k"]) > 1e-3
    if coin != "sign":
        assert moved({"half": "interleaved", "interleaved": "half"}) > 1e-3


def _turn(state, held, layout, rng, roles):
    """Turn every plane (or sign) of every key head at random, in all that holds its dimensions."""
    signs = rng.choice([-1.0, 1.0], (held.n_heads, 1, held.size, 1))
    first, second = held.planes(layout)
    turns = rng.integers(0, 4, (held.n_heads, 1, len(first), 1)) * (1 + (held.coin == "half"))
    for key, dim, entries in _holders(state, held, roles):
        values = state[key].movedim(dim, 0)  # a view
        rows = values[entries].numpy()
        x = rows.reshape(held.n_heads, -1, held.size, int(np.prod(rows.shape[1:]))).copy()
        if held.coin == "sign":
            x *= signs
        else:
            z = (x[:, :, first] + 1j * x[:, :, second]) * 1j**turns
            z = z if "norm" not in key else abs(z.real) + 1j * abs(z.imag)  # gains change no sign
            x[:, :, first], x[:, :, second] = z.real, z.imag
        values[entries] = torch.tensor(x.reshape(rows.shape), dtype=values.dtype)


def _holders(state, held, roles):
    """Matrices, biases and norms with the dimensions of queries and keys: name, dim and entries."""
    matrices = (held.queries, held.keys)
    for place in {*matrices, *held.axis.places}:
        key = next(k for k in state if k.endswith(place.tensor) or place.tensor.endswith(k))
        spans = place.spans or ((place.start, place.start + place.size),)
        entries = np.concatenate([np.arange(*span) for span in spans])
        if place.role in roles:
            yield key, place.dim, entries
            bias = key.replace("weight", "bias")
            if held.axis.places == matrices and bias in state:  # that stands nowhere else
                yield bias, 0, entries
            norm = key.replace(f"{place.role[-1]}_proj.weight", f"{place.role[-1]}_norm.weight")
            if norm != key and norm in state and held.n_heads == 1:  # of the only key head
                yield norm, 0, np.arange(held.size)
