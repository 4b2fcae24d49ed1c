"""The language of the family table, and the groups of modules that several families share.

A row of `families` says how the modules of one block are called (`parts`), how those outside the
blocks are called (`top`), and which facts the names cannot show. Patterns: ``.`` is a dot, ``#`` a
number, ``*`` any run of letters, digits and underscores, ``(a|b)`` a choice. The leaf ``.weight``
or ``.bias`` is left out. Dimensions, one word each, in the order of the stored shape:

=========  =============================================================================
``d``      residual width
``g u h``  MLP units: gate rows, up rows, and the same units where ``down`` reads them
``q k v``  query, key and value dimensions; ``o``: the same as ``v``, repeated for every query head
``qkv``    queries, keys and values in an order that names and shapes do not settle
``gu``     gate and up in such an order
``H``      one entry for each query head
``Dq Dk``  a norm of queries or keys: one entry for each dimension of a head, or of all heads
``e``      experts
``a+b``    several of them, one after the other
``-``      anything else; ``...`` any number of such dimensions
=========  =============================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Positions = Literal["relative", "stored", "unsure"]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One module (or bare parameter): its pattern, its role, what its dimensions run along."""

    pattern: str
    role: str
    dims: str
    group: str = ""  # which attention or MLP of the block it belongs to, if there are several
    refuses: str = ""  # why V/O dimensions and heads of its attention are not relabelled freely
    refuses_heads: str = ""  # the same for heads alone
    stack: str = ""  # the only stack it may belong to, where prefixes do not show it
    behind: str = ""  # a module that feeds it, if present, instead of the residual stream


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """One row of the table.

    ``positions``: `relative` (rotary, biased or none) and `stored` tables keep the residual width
    exchangeable; `unsure` does not.
    """

    name: str
    stack: str  # name of its stack of blocks, where the prefix says nothing else
    positions: Positions
    parts: tuple[Part, ...]
    top: tuple[Part, ...]
    is_odd: bool = True  # only odd operations act on the up units between up and down
    is_transposed: bool = False  # weights are stored (in, out)
    heads_refused: str = ""
    shared_heads: bool = False  # one relabelling of heads holds for all blocks of a stack
    joins: str = ""  # name of the residual stream that all its stacks share
    head_facts_in_config: bool = True
    towers: tuple[tuple[str, str], ...] = ()  # (module, stack): names the stack it stands beside


def expression(pattern: str) -> str:
    """Return the regular expression of a pattern of the table, without capturing groups."""
    steps = ((".", r"\."), ("*", "[A-Za-z0-9_]*"), ("#", "[0-9]+"), ("(", "(?:"))
    for sign, meaning in steps:
        pattern = pattern.replace(sign, meaning)
    return pattern


ALIBI = "heads carry fixed position slopes (ALiBi), or may"

NORM = Part("*(norm|ln_|ln1|ln2|Norm)*", "norm", "d")
LLAMA_ATTENTION = (
    Part("(self_attn|attention).q_proj", "attn.q", "q d"),
    Part("(self_attn|attention).k_proj", "attn.k", "k d"),
    Part("(self_attn|attention).v_proj", "attn.v", "v d"),
    Part("(self_attn|attention).o_proj", "attn.o", "d o"),
    Part("self_attn.qkv_proj", "attn.qkv", "q+k+v d"),
    Part("self_attn.(q_norm|query_norm)", "attn.q_norm", "Dq"),
    Part("self_attn.(k_norm|key_norm)", "attn.k_norm", "Dk"),
    Part("self_attn.sinks", "attn.sinks", "H"),
)
MLA = "V is read from a latent space shared by heads"
LATENT_ATTENTION = (
    Part("self_attn.(q_a_proj|kv_a_proj_with_mqa)", "attn.latent", "- d", refuses=MLA),
    Part("self_attn.(q_b_proj|kv_b_proj)", "attn.latent", "- -", refuses=MLA),
    Part("self_attn.(q_a_layernorm|kv_a_layernorm)", "attn.latent", "-", refuses=MLA),
)
GATED_MLP = (
    Part("(mlp|feed_forward).gate_proj", "mlp.gate", "g d"),
    Part("(mlp|feed_forward).up_proj", "mlp.up", "u d"),
    Part("(mlp|feed_forward).down_proj", "mlp.down", "d h"),
    Part("mlp.gate_up_proj", "mlp.gate_up", "g+u d"),  # Phi-3, GLM: gate first
    Part("mlp.c_fc", "mlp.up", "u d"),  # StarCoder 2
    Part("mlp.c_proj", "mlp.down", "d h"),
)
ROUTER = "(mlp|feed_forward|block_sparse_moe)"
EXPERTS = (
    Part(f"{ROUTER}.(gate|router|router.layer)", "router", "- d"),
    Part(f"{ROUTER}.(gate.)?e_score_correction_bias", "router", "-"),
    Part("mlp.shared_expert_gate", "router", "- d"),
    Part(f"{ROUTER}.experts.#.(gate_proj|w1)", "mlp.gate", "g d", group="#"),
    Part(f"{ROUTER}.experts.#.(up_proj|w3)", "mlp.up", "u d", group="#"),
    Part(f"{ROUTER}.experts.#.(down_proj|w2)", "mlp.down", "d h", group="#"),
    Part("(mlp|feed_forward).shared_experts?.gate_proj", "mlp.gate", "g d", group="shared"),
    Part("(mlp|feed_forward).shared_experts?.up_proj", "mlp.up", "u d", group="shared"),
    Part("(mlp|feed_forward).shared_experts?.down_proj", "mlp.down", "d h", group="shared"),
)
STACKED_EXPERTS = (
    Part(f"{ROUTER}.experts.gate_up_proj", "mlp.gate_up", "e g+u d"),
    Part(f"{ROUTER}.experts.down_proj", "mlp.down", "e d h"),
    Part("block_sparse_moe.input_linear", "mlp.gate_up", "e g+u d"),
    Part("block_sparse_moe.output_linear", "mlp.down", "e d h"),
    Part("block_sparse_moe.router.layer", "router", "- d"),
)
LM_TOP = (
    Part("embed_tokens", "embed", "- d"),
    Part("*norm*", "norm", "d"),
    Part("lm_head", "unembed", "- d"),
    Part("(score|classifier|qa_outputs)", "head", "- d"),
    Part("multi_modal_projector.linear_2", "projector", "d -", stack="decoder"),
)
GPT2_TOP = (
    Part("wte", "embed", "- d"),
    Part("wpe", "position", "- d"),
    Part("ln_f", "norm", "d"),
    Part("lm_head", "unembed", "- d"),
    Part("(score|classifier|qa_outputs)", "head", "- d"),
)
BERT_TOP = (
    Part("embeddings.word_embeddings", "embed", "- d"),
    Part("embeddings.position_embeddings", "position", "- d"),
    Part("embeddings.token_type_embeddings", "token_type", "- d"),
    Part("embeddings.LayerNorm", "norm", "d"),
    Part("pooler.dense", "head", "- d"),
    Part("(cls.predictions.transform|lm_head).dense", "head", "d d"),
    Part("(cls.predictions.transform.LayerNorm|lm_head.layer_norm)", "norm", "d"),
    Part("(cls.predictions|lm_head).decoder", "unembed", "- d"),
    Part("(cls.predictions|lm_head)", "head", "-"),  # its bias, one entry a token
    Part("cls.seq_relationship", "head", "- -"),  # reads the pooled vector
    Part("classifier", "head", "- d", behind="pooler.dense"),
    Part("classifier.dense", "head", "- d"),
    Part("classifier.out_proj", "head", "- -"),
    Part("qa_outputs", "head", "- d"),
)
VIT_TOP = (
    Part("embeddings.(cls_token|mask_token|distillation_token)", "token", "... d"),
    Part("embeddings.position_embeddings", "position_grid", "... d"),
    Part("embeddings.patch_embeddings.projection", "embed", "d ..."),
    Part("layernorm", "norm", "d"),
    Part("pooler.dense", "head", "- d"),
    Part("(classifier|cls_classifier|distillation_classifier)", "head", "- d"),
)
BERT_ATTENTION = (
    Part("attention.(self|attention).query", "attn.q", "q d"),
    Part("attention.(self|attention).key", "attn.k", "k d"),
    Part("attention.(self|attention).value", "attn.v", "v d"),
    Part("attention.output.dense", "attn.o", "d o"),
    Part("attention.output.LayerNorm", "norm", "d"),
)
BERT_MLP = (
    Part("intermediate.dense", "mlp.up", "u d"),
    Part("output.dense", "mlp.down", "d h"),
    Part("output.LayerNorm", "norm", "d"),
)
FC = (Part("mlp.fc1", "mlp.up", "u d"), Part("mlp.fc2", "mlp.down", "d h"))
SWIN_BIAS = Part(
    "attention.self.relative_position_bias_table",
    "attn.bias",
    "- H",
    refuses_heads="each window position has a learned bias for every head",
)
SELF_ATTENTION = (
    Part("self_attn.q_proj", "attn.q", "q d"),
    Part("self_attn.k_proj", "attn.k", "k d"),
    Part("self_attn.v_proj", "attn.v", "v d"),
    Part("self_attn.out_proj", "attn.o", "d o"),
)


def t5_attention(name: str, group: str) -> tuple[Part, ...]:
    """Return T5's projections under one name, and its table of relative biases."""
    return (
        Part(f"layer.#.{name}.q", "attn.q", "q d", group),
        Part(f"layer.#.{name}.k", "attn.k", "k d", group),
        Part(f"layer.#.{name}.v", "attn.v", "v d", group),
        Part(f"layer.#.{name}.o", "attn.o", "d o", group),
        Part(f"layer.#.{name}.relative_attention_bias", "attn.bias", "- H", group),
    )


def diffusers_attention(name: str, group: str, context: str) -> tuple[Part, ...]:
    """Return the projections of one attention; keys and values may read another width."""
    return (
        Part(f"{name}.to_q", "attn.q", "q d", group),
        Part(f"{name}.to_k", "attn.k", f"k {context}", group),
        Part(f"{name}.to_v", "attn.v", f"v {context}", group),
        Part(f"{name}.to_out.0", "attn.o", "d o", group),
    )
