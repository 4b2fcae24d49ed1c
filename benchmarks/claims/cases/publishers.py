"""One model under the names and in the layouts that libraries give it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from benchmarks.claims.cases import Answer, Case
from benchmarks.claims.cases.identity import HEADS, SAME, WIDTH, Arrays, turned, write
from benchmarks.claims.cases.reading import torch_file
from weightkin import compare, family_graph

TITLE = "One model as several libraries write it"
N_BLOCKS, UP = 3, 176
SHAPES: dict[str, tuple[int, ...]] = {
    "table": (96, WIDTH), "places": (40, WIDTH), "head": (96, WIDTH),
    **dict.fromkeys(("q", "k", "v", "o"), (WIDTH, WIDTH)),
    **dict.fromkeys(("up", "gate"), (UP, WIDTH)), "down": (WIDTH, UP),
}  # fmt: skip
Names = Mapping[str, str]
Shapes = Mapping[str, tuple[int, ...]]


def drawn(
    seed: int, names: Names, *, biases: bool = True, shapes: Shapes = MappingProxyType({})
) -> Arrays:
    """
    A model of random weights under any names.

    Parameters
    ----------
    seed
        Equal values for equal roles and an equal seed.
    names
        The name of the layer of each role, with ``{}`` for the block; layers of one name are fused
        in the order of their roles; what ends in ``!`` is the name of the tensor itself.
    biases
        Whether linear layers and norms have biases.
    shapes
        Those of roles that are not in `SHAPES`.

    """
    rng, parts = np.random.default_rng(seed), {}
    for role, name in names.items():
        last = role.rpartition(".")[2]
        shape = shapes.get(last) or SHAPES.get(last, (WIDTH,))
        is_table = last in ("table", "places", "head")
        for i in range(N_BLOCKS if "{}" in name else 1):
            x = 0.02 * rng.standard_normal(shape) + (len(shape) == 1)
            raw = name.format(i)
            full = raw[:-1] if raw.endswith("!") else f"{raw}.weight"
            parts.setdefault(full, []).append(x)
            if biases and not is_table:
                bias = 0.02 * rng.standard_normal(shape[0])
                parts.setdefault(f"{raw}.bias", []).append(bias)
    return {name: np.concatenate(x).astype(np.float32) for name, x in parts.items()}


def _named(path: str, **layers: str) -> Names:
    """Names of the layers of a block below a path."""
    return {role: path + name for role, name in layers.items()}


LLAMA = {
    "table": "model.embed_tokens", "final": "model.norm", "head": "lm_head",
    **_named("model.layers.{}.", q="self_attn.q_proj", k="self_attn.k_proj", v="self_attn.v_proj",
             o="self_attn.o_proj", gate="mlp.gate_proj", up="mlp.up_proj", down="mlp.down_proj",
             ln1="input_layernorm", ln2="post_attention_layernorm"),
}  # fmt: skip
PHI = LLAMA | _named("model.layers.{}.", **dict.fromkeys("qkv", "self_attn.qkv_proj"),
                     gate="mlp.gate_up_proj", up="mlp.gate_up_proj")  # fmt: skip
BAICHUAN = LLAMA | dict.fromkeys("qkv", "model.layers.{}.self_attn.W_pack")
META = {
    "table": "tok_embeddings", "final": "norm", "head": "output",
    **_named("layers.{}.", q="attention.wq", k="attention.wk", v="attention.wv", o="attention.wo",
             gate="feed_forward.w1", up="feed_forward.w3", down="feed_forward.w2",
             ln1="attention_norm", ln2="ffn_norm"),
}  # fmt: skip
BERT = {
    "table": "bert.embeddings.word_embeddings", "places": "bert.embeddings.position_embeddings",
    "final": "bert.embeddings.LayerNorm",
    **_named("bert.encoder.layer.{}.", q="attention.self.query", k="attention.self.key",
             v="attention.self.value", o="attention.output.dense", up="intermediate.dense",
             down="output.dense", ln1="attention.output.LayerNorm", ln2="output.LayerNorm"),
}  # fmt: skip
ESM = {
    "table": "esm.embeddings.word_embeddings", "final": "esm.encoder.emb_layer_norm_after",
    **_named("esm.encoder.layer.{}.", q="attention.self.query", k="attention.self.key",
             v="attention.self.value", o="attention.output.dense", up="intermediate.dense",
             down="output.dense", ln1="attention.LayerNorm", ln2="LayerNorm"),
}  # fmt: skip
FAIR = {
    "table": "encoder.sentence_encoder.embed_tokens",
    "final": "encoder.sentence_encoder.emb_layer_norm_after",
    **_named("encoder.sentence_encoder.layers.{}.", q="self_attn.q_proj", k="self_attn.k_proj",
             v="self_attn.v_proj", o="self_attn.out_proj", up="fc1", down="fc2",
             ln1="self_attn_layer_norm", ln2="final_layer_norm"),
}  # fmt: skip
VIT = {
    "places": "vit.embeddings.position_embeddings!", "final": "vit.layernorm",
    **_named("vit.encoder.layer.{}.", q="attention.attention.query", k="attention.attention.key",
             v="attention.attention.value", o="attention.output.dense", up="intermediate.dense",
             down="output.dense", ln1="layernorm_before", ln2="layernorm_after"),
}  # fmt: skip
TIMM = {
    "places": "pos_embed!", "final": "norm",
    **_named("blocks.{}.", **dict.fromkeys("qkv", "attn.qkv"), o="attn.proj", up="mlp.fc1",
             down="mlp.fc2", ln1="norm1", ln2="norm2"),
}  # fmt: skip
_CLIP = {"q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj",
         "o": "self_attn.out_proj", "up": "mlp.fc1", "down": "mlp.fc2", "ln1": "layer_norm1",
         "ln2": "layer_norm2"}  # fmt: skip
_OPEN = {"o": "attn.out_proj", "up": "mlp.c_fc", "down": "mlp.c_proj", "ln1": "ln_1",
         "ln2": "ln_2", **dict.fromkeys("qkv", "attn.in_proj_")}  # fmt: skip
CLIP = {
    "table": "text_model.embeddings.token_embedding", "final": "text_model.final_layer_norm",
    **{r: f"text_model.encoder.layers.{{}}.{x}" for r, x in _CLIP.items()},
    **{f"see.{r}": f"vision_model.encoder.layers.{{}}.{x}" for r, x in _CLIP.items()},
}  # fmt: skip
OPEN_CLIP = {
    "table": "token_embedding", "final": "ln_final",
    **{r: f"transformer.resblocks.{{}}.{_OPEN[r]}" for r in _CLIP},
    **{f"see.{r}": f"visual.transformer.resblocks.{{}}.{_OPEN[r]}" for r in _CLIP},
}  # fmt: skip
_SAID = {"q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj",
         "o": "self_attn.out_proj", "ln1": "self_attn_layer_norm", "up": "fc1", "down": "fc2",
         "ln2": "final_layer_norm"}  # fmt: skip
_CROSS = {f"cross.{r}": x.replace("self_attn", "encoder_attn") for r, x in _SAID.items()
          if "self_attn" in x}  # fmt: skip
_HEARD = {"q": "attn.query", "k": "attn.key", "v": "attn.value", "o": "attn.out", "ln1": "attn_ln",
          "up": "mlp.0", "down": "mlp.2", "ln2": "mlp_ln"}  # fmt: skip
WHISPER = {
    "table": "model.decoder.embed_tokens", "final": "model.decoder.layer_norm",
    "in.final": "model.encoder.layer_norm",
    **{f"in.{r}": f"model.encoder.layers.{{}}.{x}" for r, x in _SAID.items()},
    **{r: f"model.decoder.layers.{{}}.{x}" for r, x in (_SAID | _CROSS).items()},
}  # fmt: skip
OPENAI = {
    "table": "decoder.token_embedding", "final": "decoder.ln", "in.final": "encoder.ln_post",
    **{f"in.{r}": f"encoder.blocks.{{}}.{x}" for r, x in _HEARD.items()},
    **{r: f"decoder.blocks.{{}}.{x}" for r, x in _HEARD.items()},
    **{r: f"decoder.blocks.{{}}.cross_{_HEARD[r[6:]]}" for r in _CROSS},
}  # fmt: skip


def fused(
    plain: Names, names: Names, seed: int, *, biases: bool = True,
    shapes: Shapes = MappingProxyType({}),
) -> Arrays:  # fmt: skip
    """A model under other names, the order of its roles that of the plain names."""
    return drawn(seed, {role: names[role] for role in plain}, biases=biases, shapes=shapes)


def llama(seed: int, names: Names = LLAMA) -> Arrays:
    """A Llama-like model under any names."""
    return fused(LLAMA, names, seed, biases=False)


def meta(seed: int) -> Arrays:
    """The names of Meta, rotary pairs side by side."""
    values = turned(llama(seed)).values()
    found = dict(zip(llama(seed, META), values, strict=True))
    return found | {"rope.freqs": np.arange(8, dtype=np.float32)}


def internlm(seed: int) -> Arrays:
    """Queries, keys and values of each head one after the other in one tensor."""
    found, plain = llama(seed, META), llama(seed)
    for i in range(N_BLOCKS):
        parts = [plain[f"model.layers.{i}.self_attn.{x}_proj.weight"] for x in "qkv"]
        heads = [x.reshape(HEADS, 1, WIDTH // HEADS, WIDTH) for x in parts]
        for x in "qkv":
            del found[f"layers.{i}.attention.w{x}.weight"]
        whole = np.concatenate(heads, axis=1).reshape(3 * WIDTH, WIDTH)
        found[f"layers.{i}.attention.wqkv.weight"] = whole
    return {n if n.startswith("output") else f"model.{n}": x for n, x in found.items()}


def gamma(seed: int) -> Arrays:
    """BERT as its first files name the norms."""
    old = (("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta"))
    found = drawn(seed, BERT)
    for new, name in old:
        found = {x.replace(new, name): y for x, y in found.items()}
    return found


def open_clip(seed: int) -> Arrays:
    """CLIP as open_clip writes it."""
    return {n.replace("in_proj_.", "in_proj_"): x for n, x in fused(CLIP, OPEN_CLIP, seed).items()}


def whisper(seed: int) -> Arrays:
    """Whisper as OpenAI writes it."""
    return fused(WHISPER, OPENAI, seed)


def whisper_file(seed: int) -> dict[str, Any]:
    """What OpenAI's file holds: the weights, and their sizes beside them."""
    heads = dict.fromkeys(("n_audio_head", "n_text_head"), HEADS)
    return {"dims": {"n_audio_state": WIDTH, **heads}, "model_state_dict": whisper(seed)}


def truthful(same: Any, other: Any) -> None:
    """Raise where a pair is judged falsely, which a planned case does not excuse."""
    if same.verdict == "no-evidence" or other.verdict in ("dependent", "aligned-only"):
        raise AssertionError(f"{same.sentence}; another model: {other.sentence}")


def both(first: Path, same: Path, other: Path, *kinds: str) -> Answer:
    """A model against itself as another library writes it, and against another model so written."""
    own, strange = compare(first, same), compare(first, other)
    truthful(own, strange)
    is_right = own.verdict == "dependent" and bool(set(own.kind) & set(kinds or SAME))
    is_right &= kinds != () or "fine-tuned" not in own.kind
    share = "" if strange.accounting is None else f" ({strange.accounting.tested_share:.0%} tested)"
    return Answer(
        is_right and strange.verdict == "no-evidence",
        f"{' and '.join(own.kind) or own.verdict}; {strange.verdict}"
        + share * (strange.verdict != "no-evidence"),
    )


def _written(
    plain: Callable[[int], Arrays], other: Callable[[int], Any], folder: Path, suffix: str = ""
) -> Answer:
    """Write a model and both others, as a folder or as a torch file, and judge them."""
    paths = [write(folder / "plain", plain(0))]
    for seed in range(2):
        path = folder / f"{seed}{suffix}"
        paths.append(torch_file(path, other(seed)) if suffix else write(path, other(seed)))
    return both(*paths)


def _tree(folder: Path) -> Answer:
    """The tree of four models, each twice."""
    made = {
        "llama": (llama, meta), "bert": (partial(drawn, names=BERT), gamma),
        "vit": (partial(drawn, names=VIT), partial(fused, VIT, TIMM)),
        "whisper": (partial(drawn, names=WHISPER), whisper),
    }  # fmt: skip
    paths = [
        write(folder / f"{name}-{i}", make(seed))
        for seed, (name, pair) in enumerate(made.items()) for i, make in enumerate(pair)
    ]  # fmt: skip
    graph = family_graph(paths, cache=None)
    held = {node.id: {node.name, *node.duplicates} for node in graph.nodes}
    found = [{name[:3] for id in part for name in held[id]} for part in graph.components]
    is_right = len(found) == 4 and all(len(x) == 1 for x in found)
    return Answer(is_right and sum(map(len, held.values())) == 8, graph.sentence)


Made = Callable[[int], Any]
EQUAL = "equal; another model: no evidence"
PAIRS: dict[str, tuple[Made, Made, str]] = {
    "Llama under Meta's names": (llama, meta, ""),
    "Phi 3, split into Llama's layers": (llama, partial(llama, names=PHI), ""),
    "Baichuan's fused layers": (llama, partial(llama, names=BAICHUAN), ""),
    "InternLM 2's fused heads": (llama, internlm, ""),
    "BERT, norms called gamma and beta": (partial(drawn, names=BERT), gamma, ".bin"),
    "ESM of fairseq": (partial(drawn, names=ESM), partial(fused, ESM, FAIR), ".pt"),
    "ViT of timm": (partial(drawn, names=VIT), partial(fused, VIT, TIMM), ""),
    "CLIP of open_clip": (partial(drawn, names=CLIP), open_clip, ""),
    "Whisper of OpenAI": (partial(drawn, names=WHISPER), whisper_file, ".pt"),
}
CASES = (
    *(
        Case(name, EQUAL, "", partial(_written, plain, other, suffix=suffix))
        for name, (plain, other, suffix) in PAIRS.items()
    ),
    Case("tree of four models, each twice", "4 families", "", _tree),
)
