"""Sizes of a tiny instance: fields of a config by name, and a size of its own for each width.

A width that stands in several places of a config is one width there as well: sizes are given out by
default value, so that what must agree agrees. ``apart`` tells widths of different parts (a text and
a vision model) and dimensions of different meaning apart even where their defaults are one number.
Where a class needs more than that (one width is twice another, or a sum), all are scaled alike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Key = tuple[object, ...]
Apart = Literal["all", "widths", "nothing", "eighths", "quarters", "one"]
APART: tuple[Apart, ...] = (  # what is told apart, in the order in which it is tried
    "all",
    "widths",  # heads are not
    "nothing",
    "eighths",  # nothing: all widths are scaled alike, numbers of heads stay
    "quarters",
)
SCALES: dict[Apart, tuple[int, int]] = {  # sixteenths
    "eighths": (2, 4),
    "quarters": (4, 6),
    "one": (0, 0),  # of the default width: all are `ONE_WIDTH`
}
ONE_WIDTH = 192  # a multiple of most numbers of heads and groups
DEPTHS = (2, 3)
HEADS = (4, 8)
LABELS = (7, 11)

_RULES = (  # the first that matches the name of a field says what it is
    ("id", r"(token|eos|bos|pad|cls|sep|mask|unk)_?(id|idx|index|ids)s?\Z|_token_(id|index|ids)\Z|"
           r"_(start|end|newline|bos|eos)_id\Z|_patch_id\Z|\Atoken_ids?\Z"),
    ("rotary", r"\Arotary_dim\Z"),
    ("power", r"codebook_size\Z"),
    ("vocab", r"vocab_size|vocab\Z|vocabulary"),
    ("width", r"\Ad_latents\Z|upsample_groups\Z"),
    ("kept", r"kernel|stride|dilation|dropout|_(rate|std|eps|cost|coefficient|weight|theta|base)\Z|"
             r"sampl|ratio|factor|padding|temperature|_scale|scaling|power|group_size|_act\Z|loss|"
             r"limit|mel_bins|feature_layer|mult\Z|num_channels\Z|expand|merge_size|hash|seconds|"
             r"\A(latent_channels?|z_dim|z_channels|num_vq_embeddings)\Z"),
    ("sample", r"\Asample_(size|height|width|frames)\Z"),
    ("depth", r"layers_per"),
    ("groups", r"\An_groups?\Z|\Atopk_group\Z"),
    ("image", r"\A(pretrain_)?(image|img|crop|spec|input)_(size|resolution)\Z|\Aresolution\Z"),
    ("patch", r"patch_size\Z|patch_sizes\Z"),
    ("kv", r"(kv|key_value)_heads\Z"),
    ("topk", r"(experts_per_tok|topk|top_k|_k)\Z|num_experts_per_"),
    ("experts", r"\A(num_|n_|moe_num_)(local_|routed_)?experts\Z|\Amoe_num_experts\Z"),
    ("few", r"shared_experts\Z|first_k_dense|num_dense_layers\Z|start_index\Z|nextn|_mtp"),
    ("period", r"_(period|interval|frequency|step)\Z|every|sliding_window_pattern\Z"),
    ("head_dim", r"(head_dim|head_size|d_kv|dim_head|d_head|kv_channels|dim_heads)\Z"),
    ("heads", r"heads\Z|\An_head\Z|num_head\Z|attention_heads|_heads_per"),
    ("depths", r"\Adepths\Z|stage_num_blocks|\Alayers\Z|num_block_repeats|layer_numbers|"
               r"block_sizes"),
    ("depth", r"layers?\Z|\Adepth\Z|num_blocks\Z|\An_layer|hidden_groups\Z|_depth\Z|self_attends"),
    ("indices", r"ind(ic|ex)es\Z|idxs\Z|hook_ids\Z|layer_ids\Z"),
    ("window", r"window|chunk|block_size\Z"),
    ("patches", r"num_patches\Z|num_position_embeddings\Z|num_image_tokens\Z"),
    ("queries", r"num_queries\Z|two_stage_num_proposals\Z"),
    ("length", r"max_.*position|position_embeddings\Z|\An_(positions|ctx)\Z|"
               r"max_.*(len|length|positions)\Z|context_length\Z|seq_length\Z|num_query|queries\Z|"
               r"_latents\Z|latents_2d\Z|num_.*tokens\Z|buckets\Z|seq_len|soft_tokens|num_frames|"
               r"capacity"),
    ("mlp", r"intermediate|ffn|feed_?forward|d_ff\Z|mlp_dim|d_inner|n_inner|dim_ff\Z|dff\Z|"
            r"linear_units"),
    ("width", r"size|dim|channel|width|d_model|n_embd|rank|units|filters|planes|proj|hidden|"
              r"d_state|embd|latent|features|num_pos_feats|\Ablock_configs\Z"),
)  # fmt: skip
_OWN = re.compile(
    r"(hidden_sizes?|d_model|n_embd|embed_dims?|dim|width|emb_dim|hidden_dim|n_embed)\Z"
)


def what_is(name: str) -> str:
    """What a field of a config is, by its name; ``""`` where no rule knows."""
    return next((what for what, rule in _RULES if re.search(rule, name)), "")


def owns(name: str) -> bool:
    """Whether a field names the width of its own part rather than that of another."""
    return bool(_OWN.match(name))


@dataclass
class Sizes:
    """Sizes given out so far, for one of the two instances (``which`` is 0 or 1)."""

    which: int
    taken: set[int] = field(default_factory=set)
    given: dict[Key, int] = field(default_factory=dict)

    def give_all(self, wanted: Sequence[tuple[Key, int, int]]) -> None:
        """Give each key a size of its own: smaller defaults, smaller sizes.

        Parameters
        ----------
        wanted : sequence of (key, int, int)
            Keys with the default value and the number that the size must be a multiple of.
        """
        first = [x for x in wanted if x[0][0] == "head_dim"]
        self._give(first)
        for size in {self.given[key] for key, _, _ in first}:
            self.taken |= {size * HEADS[self.which], size * 2, size * HEADS[self.which] // 2}
        self._give([x for x in wanted if x[0][0] != "head_dim"])

    def _give(self, wanted: Sequence[tuple[Key, int, int]]) -> None:
        last = 0
        for key, value, multiple in sorted(dict.fromkeys(wanted), key=lambda x: (x[1], str(x[0]))):
            about = (24, 16)[self.which] if key[0] == "head_dim" else _target(value, self.which)
            size = _up(max(about, last + 1), multiple)
            while size in self.taken:
                size += multiple
            self.taken.add(size)
            self.given[key] = last = size


def multiple_of(value: int, which: int) -> int:
    """What a width must be a multiple of: heads and groups fit where they fit the default."""
    most = 32 if which == 0 else 64
    fits = next(n for n in (64, 32, 16, 8, 4, 2, 1) if value % n == 0 and n <= max(most, 1))
    return fits if value < 64 else max(fits, most if value % 32 == 0 or value > 256 else 8)


def scaled(value: int, apart: Apart, which: int) -> int:
    """A width where all are scaled alike, or one; small ones count something else."""
    if value < 12:
        return value
    return ONE_WIDTH if apart == "one" else value * SCALES[apart][which] // 16


def _target(value: int, which: int) -> int:
    """About how large the tiny width of a default is."""
    small = value if value <= 64 else 64 + 8 * (min(value, 1 << 16).bit_length() - 6)
    return small if which == 0 else small + small // 4


def _up(x: int, multiple: int) -> int:
    return -(-x // multiple) * multiple
