"""What the tiny architectures compute: hidden states from a batch, and outputs from those."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from zoo.genealogies.nets import Config, Params


def hidden(p: Params, config: Config, x: Tensor, *, training: bool = False) -> Tensor:
    """Last hidden states: one for each token, or one for each image."""
    net = config["model_type"]
    if net in ("llama", "mixtral"):
        return _rope_decoder(p, config, x)
    if net == "gpt2":
        return _gpt2(p, config, x)
    if net == "bert":
        return _bert(p, config, x)
    return _vit(p, config, x) if net == "vit" else _resnet(p, config, x, training=training)


def outputs(p: Params, config: Config, h: Tensor) -> Tensor:
    """Logits of whatever head there is; a head of whole windows sees the mean of their states."""
    if "score.weight" in p:
        return h.mean(1) @ p["score.weight"].T
    net = config["model_type"]
    if net in ("vit", "resnet"):
        head = "classifier" if net == "vit" else "fc"
        return h @ p[f"{head}.weight"].T + p[f"{head}.bias"]
    tied = {"gpt2": "transformer.wte.weight", "bert": "bert.embeddings.word_embeddings.weight"}
    return F.linear(h, p[tied.get(net, "lm_head.weight")])


def _rope_decoder(p: Params, c: Config, x: Tensor) -> Tensor:
    h = p["model.embed_tokens.weight"][x]
    n, n_kv = c["num_attention_heads"], c["num_key_value_heads"]
    for i in range(c["num_hidden_layers"]):
        at = f"model.layers.{i}."
        a = _rms(h, p[at + "input_layernorm.weight"])
        q, k, v = (F.linear(a, p[f"{at}self_attn.{part}_proj.weight"]) for part in "qkv")
        q, k, v = _turned(_heads(q, n)), _turned(_heads(k, n_kv)), _heads(v, n_kv)
        k, v = (t.repeat_interleave(n // n_kv, dim=1) for t in (k, v))
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h + F.linear(_joined(out), p[at + "self_attn.o_proj.weight"])
        m = _rms(h, p[at + "post_attention_layernorm.weight"])
        h = h + (_experts(p, at, m) if c["model_type"] == "mixtral" else _gated(p, at + "mlp.", m))
    return _rms(h, p["model.norm.weight"])


def _gated(p: Params, at: str, m: Tensor) -> Tensor:
    gate, up = (F.linear(m, p[f"{at}{part}_proj.weight"]) for part in ("gate", "up"))
    return F.linear(F.silu(gate) * up, p[at + "down_proj.weight"])


def _experts(p: Params, at: str, m: Tensor) -> Tensor:
    """All experts, of which the two of largest gate count."""
    at += "block_sparse_moe."
    gates = (m @ p[at + "gate.weight"].T).softmax(-1)  # (batch, tokens, experts)
    best = gates.topk(2, dim=-1)
    shares = best.values / best.values.sum(-1, keepdim=True)
    weight = torch.zeros_like(gates).scatter(-1, best.indices, shares)
    w1, w2, w3 = (
        torch.stack([p[f"{at}experts.{e}.w{k}.weight"] for e in range(gates.shape[-1])])
        for k in (1, 2, 3)
    )
    flat = m.flatten(0, 1)  # (tokens, width)
    inner = F.silu(flat @ w1.mT) * (flat @ w3.mT)  # (experts, tokens, units)
    each = (inner * weight.flatten(0, 1).T[..., None]) @ w2.mT
    return each.sum(0).view_as(m)


def _gpt2(p: Params, c: Config, x: Tensor) -> Tensor:
    h = p["transformer.wte.weight"][x] + p["transformer.wpe.weight"][: x.shape[1]]
    for i in range(c["n_layer"]):
        at = f"transformer.h.{i}."
        qkv = _conv1d(p, at + "attn.c_attn", _norm(p, at + "ln_1", h)).chunk(3, dim=-1)
        q, k, v = (_heads(t, c["n_head"]) for t in qkv)
        out = _joined(F.scaled_dot_product_attention(q, k, v, is_causal=True))
        h = h + _conv1d(p, at + "attn.c_proj", out)
        m = F.gelu(_conv1d(p, at + "mlp.c_fc", _norm(p, at + "ln_2", h)), approximate="tanh")
        h = h + _conv1d(p, at + "mlp.c_proj", m)
    return _norm(p, "transformer.ln_f", h)


def _bert(p: Params, c: Config, x: Tensor) -> Tensor:
    at = "bert.embeddings."
    h = p[at + "word_embeddings.weight"][x]
    h = h + p[at + "position_embeddings.weight"][: x.shape[1]]
    h = _norm(p, at + "LayerNorm", h + p[at + "token_type_embeddings.weight"][0])
    for i in range(c["num_hidden_layers"]):
        at = f"bert.encoder.layer.{i}."
        out = _attended(p, c, at + "attention.self.", h)
        h = _norm(
            p, at + "attention.output.LayerNorm", h + _linear(p, at + "attention.output", out)
        )
        m = F.gelu(_linear(p, at + "intermediate", h))
        h = _norm(p, at + "output.LayerNorm", h + _linear(p, at + "output", m))
    return h


def _vit(p: Params, c: Config, x: Tensor) -> Tensor:
    at = "vit.embeddings."
    patch = at + "patch_embeddings.projection."
    h = F.conv2d(x, p[patch + "weight"], p[patch + "bias"], stride=2).flatten(2).transpose(1, 2)
    h = torch.cat([p[at + "cls_token"].expand(len(x), -1, -1), h], dim=1)
    h = h + p[at + "position_embeddings"]
    for i in range(c["num_hidden_layers"]):
        at = f"vit.encoder.layer.{i}."
        a = _norm(p, at + "layernorm_before", h)
        h = h + _linear(p, at + "attention.output", _attended(p, c, at + "attention.attention.", a))
        m = F.gelu(_linear(p, at + "intermediate", _norm(p, at + "layernorm_after", h)))
        h = h + _linear(p, at + "output", m)
    return _norm(p, "vit.layernorm", h)[:, 0]


def _resnet(p: Params, c: Config, x: Tensor, *, training: bool) -> Tensor:
    def normed(h: Tensor, name: str) -> Tensor:
        mean, var = p[name + ".running_mean"], p[name + ".running_var"]
        weight, bias = p[name + ".weight"], p[name + ".bias"]
        return F.batch_norm(h, mean, var, weight, bias, training=training, momentum=0.05)

    h = F.relu(normed(F.conv2d(x, p["conv1.weight"], padding=1), "bn1"))
    for i in range(c["num_hidden_layers"]):
        at = f"layer1.{i}."
        m = F.relu(normed(F.conv2d(h, p[at + "conv1.weight"], padding=1), at + "bn1"))
        h = F.relu(h + normed(F.conv2d(m, p[at + "conv2.weight"], padding=1), at + "bn2"))
    return h.mean((2, 3))


def _attended(p: Params, c: Config, at: str, h: Tensor) -> Tensor:
    parts = (
        F.linear(h, p[f"{at}{x}.weight"], p[f"{at}{x}.bias"]) for x in ("query", "key", "value")
    )
    q, k, v = (_heads(t, c["num_attention_heads"]) for t in parts)
    return _joined(F.scaled_dot_product_attention(q, k, v))


def _linear(p: Params, at: str, h: Tensor) -> Tensor:
    return F.linear(h, p[at + ".dense.weight"], p[at + ".dense.bias"])


def _conv1d(p: Params, at: str, h: Tensor) -> Tensor:
    return F.linear(h, p[at + ".weight"].T, p[at + ".bias"])


def _norm(p: Params, at: str, h: Tensor) -> Tensor:
    return F.layer_norm(h, h.shape[-1:], p[at + ".weight"], p[at + ".bias"])


def _rms(h: Tensor, gain: Tensor) -> Tensor:
    return F.rms_norm(h, h.shape[-1:], gain, 1e-6)


def _heads(x: Tensor, n: int) -> Tensor:
    return x.unflatten(-1, (n, -1)).transpose(1, 2)  # (batch, heads, tokens, size)


def _joined(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)


def _turned(x: Tensor) -> Tensor:
    """Rotary positions."""
    cos, sin = _angles(x.shape[2], x.shape[3])
    a, b = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-b, a], dim=-1) * sin


@cache
def _angles(length: int, size: int) -> tuple[Tensor, Tensor]:
    speed = 10000.0 ** (-torch.arange(0, size, 2) / size)
    angle = torch.arange(length)[:, None] * torch.cat([speed, speed])
    return angle.cos(), angle.sin()
