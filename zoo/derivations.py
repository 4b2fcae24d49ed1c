"""What is derived without training, from what: one line of genealogy per model."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from folders import Folder
from lossy import cast, copied, magnitude_pruned, noised, quantised, reordered
from merges import dare, linear, slerp, ties, with_adapter
from surgery import (
    depth_pruned,
    hybrid,
    passthrough,
    upcycled,
    vocabulary_extended,
    width_pruned,
)
from symmetries import (
    disguised,
    experts_permuted,
    permuted,
    rescaled,
    rotated,
    sign_flipped,
    sorted_units,
)
from truth import ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """How one model follows from others.

    `make` takes the folders named in `inputs`; `parents` are those whose weights it holds,
    each with its share.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    parents: dict[str, float]
    make: Callable[..., Folder]


def one(name: str, kind: str, parent: str, make: Callable[..., Folder]) -> Derivation:
    """Describe a model derived from a single parent."""
    return Derivation(name=name, kind=kind, inputs=(parent,), parents={parent: 1.0}, make=make)


def many(
    name: str, kind: str, parents: dict[str, float], make: Callable[..., Folder], base: str = ""
) -> Derivation:
    """Describe a model derived from several parents, perhaps relative to their common base."""
    inputs = (base, *parents) if base else tuple(parents)
    return Derivation(name=name, kind=kind, inputs=inputs, parents=parents, make=make)


def adapter(name: str, base: str) -> Derivation:
    """Describe a trained adapter merged into its base."""
    make = partial(with_adapter, path=ROOT / "models" / f"{name}-adapter")
    return one(name, "lora", base, make)


HALF = (0.5, 0.5)
THREE = {"llama-a-ft1": 0.5, "llama-a-ft1b": 0.25, "llama-a-lora16": 0.25}
LOWER, UPPER = (0, 1, 2, 3), (2, 3, 4, 5)

DERIVATIONS = (
    adapter("llama-a-lora4", "llama-a"),
    adapter("llama-a-lora16", "llama-a"),
    adapter("gpt-a-lora4", "gpt-a"),
    adapter("vit-a-lora4", "vit-a"),
    one("llama-a-copy", "identical", "llama-a", copied),
    one("llama-a-header", "header-only", "llama-a", reordered),
    one("llama-a-bf16", "cast", "llama-a", partial(cast, dtype="bfloat16")),
    one("llama-a-fp16", "cast", "llama-a", partial(cast, dtype="float16")),
    one("llama-a-ft1-bf16", "cast", "llama-a-ft1", partial(cast, dtype="bfloat16")),
    one("llama-a-int8", "quantised", "llama-a", partial(quantised, n_bits=8)),
    one("llama-a-int4", "quantised", "llama-a", partial(quantised, n_bits=4, group=32)),
    one("llama-b-int4", "quantised", "llama-b", partial(quantised, n_bits=4, group=32)),
    one("llama-a-prune50", "magnitude-pruned", "llama-a", partial(magnitude_pruned, share=0.5)),
    one("llama-a-width", "width-pruned", "llama-a", partial(width_pruned, n_units=160)),
    one("llama-a-depth", "depth-pruned", "llama-a", partial(depth_pruned, layers=(0, 1, 3, 5))),
    one(
        "llama-a-vocab",
        "vocab-extended",
        "llama-a",
        partial(vocabulary_extended, n_rows=544, seed=201),
    ),
    one("llama-a-noise", "noise", "llama-a", partial(noised, share=0.01, seed=202)),
    one("llama-a-permuted", "permuted", "llama-a", partial(permuted, seed=203)),
    one("llama-a-rotated", "rotated", "llama-a", partial(rotated, seed=204)),
    one("llama-a-rescaled", "rescaled", "llama-a", partial(rescaled, seed=205)),
    one("llama-a-signs", "sign-flipped", "llama-a", partial(sign_flipped, seed=206)),
    one("llama-a-ft2-disguised", "rotated", "llama-a-ft2", partial(disguised, seed=207)),
    one("llama-a-sorted", "permuted", "llama-a", sorted_units),
    one("llama-b-sorted", "permuted", "llama-b", sorted_units),
    many(
        "merge-linear",
        "merged",
        {"llama-a-ft1": 0.6, "llama-a-ft1b": 0.4},
        partial(linear, weights=(0.6, 0.4)),
    ),
    many(
        "merge-slerp",
        "merged",
        {"llama-a-ft2": 0.7, "llama-a-ft1b": 0.3},
        partial(slerp, t=0.3),
    ),
    many(
        "merge-ties",
        "merged",
        {"llama-a-ft2": 0.5, "llama-a-ft1b": 0.5},
        partial(ties, density=0.4),
        base="llama-a",
    ),
    many(
        "merge-dare",
        "merged",
        THREE,
        partial(dare, weights=tuple(THREE.values()), seed=208),
        base="llama-a",
    ),
    many(
        "merge-strangers",
        "merged",
        {"llama-a": 0.5, "llama-b": 0.5},
        partial(linear, weights=HALF),
    ),
    many(
        "merge-stack",
        "stacked",
        {"llama-a-ft1": 0.5, "llama-a-ft1b": 0.5},
        partial(passthrough, layers=(LOWER, UPPER)),
    ),
    many(
        "hybrid-ab",
        "hybrid",
        {"llama-a": 0.5, "llama-b": 0.5},
        partial(hybrid, layers_from_b=(1, 3, 5)),
    ),
    Derivation(
        name="llama-a-upcycled",
        kind="upcycled",
        inputs=("llama-a", "moe-a"),
        parents={"llama-a": 1.0},
        make=partial(upcycled, n_experts=4, seed=209),
    ),
    one("gpt-a-bf16", "cast", "gpt-a", partial(cast, dtype="bfloat16")),
    one("gpt-a-prune50", "magnitude-pruned", "gpt-a", partial(magnitude_pruned, share=0.5)),
    one("gpt-a-int4", "quantised", "gpt-a", partial(quantised, n_bits=4, group=32)),
    one("gpt-a-width", "width-pruned", "gpt-a", partial(width_pruned, n_units=240)),
    one("vit-a-prune50", "magnitude-pruned", "vit-a", partial(magnitude_pruned, share=0.5)),
    one("vit-a-int8", "quantised", "vit-a", partial(quantised, n_bits=8)),
    one("moe-a-bf16", "cast", "moe-a", partial(cast, dtype="bfloat16")),
    one("moe-a-experts", "permuted", "moe-a", partial(experts_permuted, seed=210)),
)
