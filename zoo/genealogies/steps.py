"""One step from a parent to a child: where it applies, its parameters, the layout afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zoo.genealogies.chance import Draws

TRAINED = ("base", "fine-tune", "continue", "objective", "lora", "new-layer", "new-head")
SAME_VALUES = ("copy", "rename", "upcast")
DISGUISES = ("permute", "rotate", "rescale", "signs", "disguise")
TIED = ("gpt2", "bert")  # nets whose head is the embedding
WITH_UNITS = ("llama", "gpt2", "bert", "vit")
TUNED_ON = {
    "text": (("net",), ("tables",), ("prose",), ("code",), ("prose", "net")),
    "images": (("digits",), ("inverted",), ("rotated",), ("mirrored",)),
}
MORE = {"text": ("net", "tables"), "images": ("rotated", "mirrored")}
BASE = {"text": ("prose", "code"), "images": ("digits",)}
Operation = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the tensors of a model look like, as far as steps ask."""

    net: str
    layers: int
    units: int
    rows: int  # of the vocabulary; 0 of vision models
    dtype: str
    experts: int = 0
    head: str = "own"  # or "score", "rotation": of another objective
    frame: str = ""  # of the last disguise: models of different frames cannot be merged
    naming: str = ""  # a prefix before all names; "strip" drops the first part
    pruned: bool = False
    rounded: bool = False  # to few levels, since it was trained last

    @property
    def media(self) -> str:
        """What the model looks at."""
        return "images" if self.net in ("vit", "resnet") else "text"

    @property
    def shape(self) -> tuple[object, ...]:
        """Equal for models that can be merged."""
        return (
            *(self.net, self.layers, self.units, self.rows),
            *(self.experts, self.head, self.frame),
        )


def equal_values(operations: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a child has exactly the values of its parent."""
    return all(x["op"] in SAME_VALUES for x in operations)


def applies(op: str, at: Layout) -> bool:
    """Whether a step can start from a layout."""
    own_llama = at.net == "llama" and at.head == "own"
    return {
        "objective": at.head == "own",
        "new-head": at.net not in TIED or at.head != "own",
        "cast": at.dtype == "float32",
        "upcast": at.dtype != "float32",
        "noise-bits": at.dtype != "float32",
        "trim": at.rows == 128,
        "extend": 0 < at.rows < 160,
        "depth": at.layers >= 3,
        "width": at.net in WITH_UNITS and at.units >= 64,
        "repeat": at.layers <= 4,
        "upcycle": own_llama,
        "rotate": own_llama,
        "rescale": own_llama,
        "signs": own_llama,
        "disguise": own_llama,
        "rename": not at.naming,
        "prune": not at.pruned,
        "quantise": not at.rounded,
    }.get(op, True)


def step(op: str, draws: Draws, at: Layout) -> tuple[Operation, Layout]:
    """Draw the parameters of a step that applies, and the layout that follows."""
    if op in TRAINED:
        return _trained(op, draws, at)
    said, after = _MADE[op](draws, at)
    return {"op": op} | said, after


def training(op: str, draws: Draws) -> Operation:
    """Draw how long, how fast and with what something is trained, and on which batches."""
    if draws.recipes is None:
        said = _settings(op, draws)
    elif op in draws.recipes:
        said = draws.recipes[op]
    else:
        said = draws.recipes[op] = _settings(op, draws)
    return {**said, "order": draws.seed(), "seed": draws.seed()}


def _settings(op: str, draws: Draws) -> Operation:
    own = draws.mix["training"][op]
    decay = float(draws.weighted(draws.mix["training"]["decays"]))
    optimiser = "sgd" if draws.happens(draws.mix["training"]["sgd_share"]) else "adamw"
    return {
        "op": op,
        "steps": draws.integer(*own["steps"]),
        "optimiser": optimiser,
        "lr": draws.log_uniform(*own[optimiser]),
        "decay": decay if optimiser == "adamw" else decay / 100,
    }


def _trained(op: str, draws: Draws, at: Layout) -> tuple[Operation, Layout]:
    said = training(op, draws)
    domains = draws.one(TUNED_ON[at.media])
    if op == "continue":
        domains = (*BASE[at.media], draws.one(MORE[at.media]))
    said |= {"domains": list(domains), "keeps_zeros": False}
    if at.pruned:
        said["keeps_zeros"] = draws.happens(draws.mix["family"]["keeps_zeros"])
    if op == "lora":
        said |= {"rank": draws.one((2, 4, 8)), "where": draws.one(("attention", "all"))}
    if op == "new-layer":
        said |= {"layer": draws.integer(0, at.layers - 1), "alone": draws.happens(0.5)}
    if op == "objective":
        at = replace(at, head="score" if at.media == "text" else "rotation")
    at = replace(at, pruned=at.pruned and said["keeps_zeros"], rounded=False)
    if not draws.happens(draws.mix["family"]["keeps_dtype"]):
        at = replace(at, dtype=draws.one(("float32", "bfloat16", "float16")))
    return said, at


def _prune(draws: Draws, at: Layout) -> tuple[Operation, Layout]:
    return {"share": draws.one((0.3, 0.5, 0.7))}, replace(at, pruned=True)


def _quantise(draws: Draws, at: Layout) -> tuple[Operation, Layout]:
    said = {"bits": draws.one((4, 8)), "group": draws.one((None, 8))}
    return said, replace(at, pruned=False, rounded=True)


def _cast(draws: Draws, at: Layout) -> tuple[Operation, Layout]:
    dtype = draws.one(("bfloat16", "float16"))
    return {"dtype": dtype}, replace(at, dtype=dtype)


def _upcast(draws: Draws, at: Layout) -> tuple[Operation, Layout]:
    return {"dtype": "float32"}, replace(at, dtype="float32")


def _noise(draws: Draws, at: Layout) -> tuple[Operation, Layout]:
    said = {"share": draws.one((0.003, 0.01, 0.03)), "seed": draws.seed()}
    return said, replace(at, pruned=False, rounded=False)


def _noise_bits(draws: Draws, at: Layout) -> tuple[Operation, Layout]:
    said = {"dtype": at.dtype, "seed": draws.seed()}
    return said, replace(at, dtype="float32")


def _trim(draws: Draws, at: Layout) -> tuple[Operation, Layout]:
    rows = draws.one((104, 112, 120))
    return {"rows": rows}, replace(at, rows=rows)


def _extend(draws: Draws, at: Layout) -> tuple[Operation, Layout]:
    rows = at.rows + draws.one((8, 16, 32))
    said = {"rows": rows, "spread": draws.one((0.01, 1.0)), "seed": draws.seed()}
    return said, replace(at, rows=rows)


def _depth(draws: Draws, at: Layout) -> tuple[Operation, Layout]:
    kept = draws.some(range(at.layers), at.layers - 1)
    return {"layers": kept}, replace(at, layers=len(kept))


def _width(draws: Draws, at: Layout) -> tuple[Operation, Layout]:
    units = at.units - 8 * draws.integer(1, (at.units - 40) // 8)
    return {"units": units}, replace(at, units=units)


def _repeat(draws: Draws, at: Layout) -> tuple[Operation, Layout]:
    twice = draws.integer(0, at.layers - 1)
    layers = [i for i in range(at.layers) for _ in range(1 + (i == twice))]
    return {"layers": layers}, replace(at, layers=len(layers))


def _upcycle(draws: Draws, at: Layout) -> tuple[Operation, Layout]:
    n = draws.one((3, 4))
    return {"experts": n, "seed": draws.seed()}, replace(at, net="mixtral", experts=n)


def _disguise(draws: Draws, at: Layout) -> tuple[Operation, Layout]:
    seed = draws.seed()
    return {"seed": seed}, replace(at, frame=str(seed), rounded=False)


def _rename(draws: Draws, at: Layout) -> tuple[Operation, Layout]:
    naming = draws.one(("module.", "base_model.model.", "strip"))
    return {"naming": naming}, replace(at, naming=naming)


def _copy(draws: Draws, at: Layout) -> tuple[Operation, Layout]:
    return {}, at


_MADE: dict[str, Callable[[Draws, Layout], tuple[Operation, Layout]]] = {
    **{"prune": _prune, "quantise": _quantise, "cast": _cast, "upcast": _upcast, "noise": _noise},
    "noise-bits": _noise_bits,
    **{"trim": _trim, "extend": _extend, "depth": _depth, "width": _width, "repeat": _repeat},
    **{"upcycle": _upcycle, "rename": _rename, "copy": _copy},
    **dict.fromkeys(DISGUISES, _disguise),
}
