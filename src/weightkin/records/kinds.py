"""How a model can be made from another: the closed set of kinds, and all that is known of each.

Words for people are in `report`; whoever adds a kind adds a line here and the code that finds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from weightkin.records.built import OneOf

HubRelation = Literal["", "merge", "quantized", "adapter", "finetune"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KindFacts:
    """What is known of one kind.

    Attributes
    ----------
    is_equal : bool
        Nothing was changed.
    has_direction : bool
        One of the two may be the older one.
    is_shown_by_values : bool
        Equal values show that two models are related, where no test does.
    is_lossy : bool
        A map that one model alone is the image of.
    may_replace_parts : bool
        Parts may be made anew, so that two such models can lie far apart.
    disguise : int
        The model computes the same, its weights look otherwise; the largest number names an edge.
    is_lineage : bool
        What is shared makes relatives of the whole models, and not of a part alone.
    hub : str
        What the model tree of a hub calls it, "" where it has no word.
    """

    is_equal: bool = False
    has_direction: bool = True
    is_shown_by_values: bool = False
    is_lossy: bool = False
    may_replace_parts: bool = False
    disguise: int = 0
    is_lineage: bool = True
    hub: HubRelation = ""


_EQUAL = KindFacts(is_equal=True, has_direction=False, is_shown_by_values=True)
_LOSSY = KindFacts(is_lossy=True)
_DISGUISE = KindFacts(disguise=1)
KINDS: Mapping[str, KindFacts] = {
    "unknown": KindFacts(),
    "identical": _EQUAL,
    "header-only": KindFacts(
        is_equal=True, has_direction=False, is_shown_by_values=True, is_lossy=True
    ),
    "equal-on-sample": _EQUAL,
    "rounding": KindFacts(has_direction=False),
    "part": KindFacts(is_shown_by_values=True),
    "shared-part": KindFacts(has_direction=False, is_shown_by_values=True, is_lineage=False),
    "cast": KindFacts(is_lossy=True, is_shown_by_values=True, hub="quantized"),
    "quantised": KindFacts(is_lossy=True, hub="quantized"),
    "noise": _LOSSY,
    "magnitude-pruned": _LOSSY,
    "factorised": _LOSSY,
    "width-pruned": _LOSSY,
    "depth-pruned": _LOSSY,
    "upcycled": _LOSSY,
    "vocab-extended": KindFacts(is_lossy=True, hub="finetune"),
    "blocks-inserted": KindFacts(is_lossy=True, hub="finetune"),
    "fine-tuned": KindFacts(may_replace_parts=True, hub="finetune"),
    "continued-pretraining": KindFacts(hub="finetune"),
    "stacked": KindFacts(hub="merge"),
    "hybrid": KindFacts(hub="merge"),
    "lora": KindFacts(may_replace_parts=True, hub="adapter"),
    "permuted": _DISGUISE,
    "rotated": KindFacts(disguise=2),
    "rescaled": _DISGUISE,
    "sign-flipped": _DISGUISE,
    "values-rebased": _DISGUISE,
    "keys-rebased": _DISGUISE,
    "merged": KindFacts(hub="merge"),
}
Kind = Annotated[str, OneOf("kind", KINDS)]


def equal_kinds(kinds: Iterable[str]) -> list[str]:
    """Those of some kinds that say that nothing was changed."""
    return [kind for kind in kinds if KINDS[kind].is_equal]


def is_lineage(kinds: Iterable[str]) -> bool:
    """Whether models of some kinds are relatives as a whole."""
    return all(KINDS[kind].is_lineage for kind in kinds)


def disguises(kinds: Iterable[str]) -> list[str]:
    """Those of some kinds that are disguises, in the order of the table."""
    found = set(kinds)
    return [kind for kind, facts in KINDS.items() if facts.disguise and kind in found]
