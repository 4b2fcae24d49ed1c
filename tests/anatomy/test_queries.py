"""Claim: turned queries and keys are the same function: proven by running the library's classes."""

import numpy as np
import pytest

from weightkin.anatomy import read_anatomy
from weightkin.anatomy.queries import query_keys
from weightkin.formats import open_model

SIZES = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 99}
SIZES |= {"intermediate_size": 96, "pad_token_id": 0}
GROUPED = {**SIZES, "num_key_value_heads": 2}
OWN_SIZE = {**GROUPED, "head_dim": 16}
GPT = {"n_embd": 64, "n_layer": 2, "n_head": 4, "vocab_size": 99}
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
]


@pytest.mark.claim
@pytest.mark.parametrize(("name", "suffix", "sizes", "coin"), CLASSES, ids=[x[0] for x in CLASSES])
def test_turned_queries_and_keys_are_the_same_function(tmp_path, rng, name, suffix, sizes, coin):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
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

    def moved(layouts):
        state = {key: x.clone() for key, x in model.state_dict().items()}
        other = getattr(transformers, name + suffix)(model.config).eval()
        for x in held:
            _turn(state, x, layouts.get(x.layout, x.layout), np.random.default_rng(3))
        other.load_state_dict(state)
        with torch.no_grad():
            before, after = model(ids)[0], other(ids)[0]
        return float((after - before).abs().max() / before.abs().max())

    assert moved({}) < 1e-5
    if coin != "sign":
        assert moved({"half": "interleaved", "interleaved": "half"}) > 1e-3


def _turn(state, held, layout, rng):
    """Turn every plane (or sign) of every key head at random, in all that holds its dimensions."""
    signs = rng.choice([-1.0, 1.0], (held.n_heads, 1, held.size, 1))
    first, second = held.planes(layout)
    turns = rng.integers(0, 4, (held.n_heads, 1, len(first), 1)) * (1 + (held.coin == "half"))
    for place in held.axis.places:
        if place.role not in ("attn.q", "attn.k"):
            continue
        key = next(k for k in state if k.endswith(place.tensor) or place.tensor.endswith(k))
        values = state[key].movedim(place.dim, 0)  # a view
        rows = values[place.start : place.start + place.size].numpy()
        x = rows.reshape(held.n_heads, -1, held.size, int(np.prod(rows.shape[1:]))).copy()
        if held.coin == "sign":
            x *= signs
        else:
            z = (x[:, :, first] + 1j * x[:, :, second]) * 1j**turns
            z = z if "norm" not in key else abs(z.real) + 1j * abs(z.imag)  # gains change no sign
            x[:, :, first], x[:, :, second] = z.real, z.imag
        rows[:] = x.reshape(rows.shape)
