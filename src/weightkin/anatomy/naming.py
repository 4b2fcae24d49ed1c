"""From tensor names to stacks of blocks, and from one name to the part of an entry it is."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache

from weightkin.catalogue import Entry, TensorPart, entries, layouts
from weightkin.formats.model import TensorInfo

MAX_STACKS = 32  # real models have a handful
MAX_BLOCKS, MAX_TEMPLATES = 1024, 128  # names looked at to choose an entry

_UNET = re.compile(r"(?:^|(?<=\.))(?:down_blocks|up_blocks|mid_block)\.")
_NUMBER_SPLIT = re.compile(r"([0-9]+)")
_NUMBER = re.compile(r"[0-9]+")
_EXPERT = re.compile(r"(?<=experts\.)(?:expert_)?([0-9]+)(?=\.)")
_LEAF = re.compile(r"\.(weight|bias|gamma|beta)$")
# masks, rotary tables and the like: no parameters, or none that a relabelling would move
_BUFFER = re.compile(
    r"(?:^|\.)(?:position_ids|token_type_ids|num_batches_tracked|masked_bias"
    r"|rotary_emb\.[a-z_.]+|attention_mask)$"
)
_OPTIMISER = re.compile(r"(?<![^.:])optim[a-z_]*(?:\.[A-Za-z0-9_]+)?\.state\.")
_SCALAR = re.compile(r"(?:scale|scalar|bias|temperature|tracked)$")
_HINTS = (
    ("vision", re.compile(r"(?:^|[._])(?:vision|visual|image)")),
    ("audio", re.compile(r"(?:^|[._])(?:audio|speech)")),
    ("mtp", re.compile(r"(?:^|\.)mtp\.")),
    ("decoder", re.compile(r"(?:^|[._])language_model\.")),
    ("text", re.compile(r"(?:^|\.)text_model\.")),
    ("encoder", re.compile(r"(?:^|\.)encoder\.(?:block|layers)$")),
    ("decoder", re.compile(r"(?:^|\.)decoder\.(?:block|layers)$")),
)


@dataclass(frozen=True, slots=True)
class Block:
    """The tensors of one block, by the rest of their names."""

    path: str
    tensors: Mapping[str, TensorInfo]


@dataclass(frozen=True, slots=True)
class Stack:
    """Numbered blocks under one prefix, in the order of their numbers; gaps are closed."""

    prefix: str  # "model.layers"
    blocks: tuple[Block, ...]

    @property
    def roots(self) -> tuple[str, ...]:
        """Every prefix above the blocks, longest first: ``("model.", "")``."""
        words = self.prefix.split(".")[:-1]
        return tuple("".join(f"{w}." for w in words[:n]) for n in range(len(words), -1, -1))


@dataclass(frozen=True, slots=True)
class Bound:
    """One tensor and what it is."""

    info: TensorInfo
    part: TensorPart
    dims: tuple[str, ...]  # one word of the table for each dimension
    group: str  # "", "cross", "shared", or the number of an expert

    def sizes(self, word: str) -> list[int]:
        """Sizes of the dimensions that run along ``word`` alone."""
        if word not in self.dims:
            return []
        return [n for n, w in zip(self.info.shape, self.dims, strict=True) if w == word]


@dataclass(slots=True)
class Reading:
    """A stack read with one entry of the catalogue."""

    stack: Stack
    name: str
    entry: Entry
    width: int  # residual width; 0 when the parts do not show it
    bound: list[list[Bound]] = field(default_factory=list)  # by block
    strangers: list[list[TensorInfo]] = field(default_factory=list)  # by block: not understood
    top: list[Bound] = field(default_factory=list)  # outside the blocks
    top_strangers: list[TensorInfo] = field(default_factory=list)

    @property
    def has_positions(self) -> bool:
        """Whether a table of learned positions is stored beside the stack."""
        return any(bound.part.role.startswith("position") for bound in self.top)


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key in which numbers count as numbers, however many digits they have."""
    key: list[tuple[int, int, str]] = []
    for i, piece in enumerate(_NUMBER_SPLIT.split(name)):
        if i % 2:
            digits = piece.lstrip("0")
            key.append((0, len(digits), digits))
        elif piece:
            key.append((1, 0, piece))
    return tuple(key)


def split_names(
    tensors: Iterable[TensorInfo], most: int = MAX_STACKS
) -> tuple[list[Stack], list[TensorInfo], int]:
    """Sort tensors into stacks of numbered blocks and the rest; count stacks beyond ``most``."""
    stacks: dict[str, dict[str, dict[str, TensorInfo]]] = {}
    rest = []
    pattern = _block()
    for info in tensors:
        found = pattern.search(info.name)
        if found is None:
            rest.append(info)
            continue
        container = _NUMBER.sub("#", found[1])
        prefix = info.name[: found.start(1)]
        if container == "transformer_blocks" and (unet := _UNET.search(prefix)):
            prefix = prefix[: unet.start()]
        path, tail = info.name[: found.end() - 1], info.name[found.end() :]
        stacks.setdefault(prefix + container, {}).setdefault(path, {})[tail] = info
    largest = sorted(stacks, key=lambda p: -sum(map(len, stacks[p].values())))[:most]
    for prefix in stacks.keys() - set(largest):
        rest.extend(info for block in stacks[prefix].values() for info in block.values())
    kept = [_stack(prefix, stacks[prefix]) for prefix in sorted(largest, key=natural)]
    return kept, rest, len(stacks) - len(kept)


def _stack(prefix: str, blocks: Mapping[str, Mapping[str, TensorInfo]]) -> Stack:
    return Stack(prefix, tuple(Block(path, blocks[path]) for path in sorted(blocks, key=natural)))


def is_buffer(info: TensorInfo) -> bool:
    """Whether a tensor is nothing that a relabelling could move: masks, tables, single scales."""
    is_single = math.prod(info.shape) == 1
    if (is_single and _SCALAR.search(info.name)) or _BUFFER.search(info.name):
        return True
    # causal masks of GPT-2 and GPT-NeoX, under the name of a bias
    return len(info.shape) == 4 and info.shape[:2] == (1, 1) and info.name.endswith(".bias")


def is_optimiser_state(name: str) -> bool:
    """Whether a tensor of a training checkpoint is what an optimiser keeps, and no weight."""
    return bool(_OPTIMISER.search(name))


def is_scale(info: TensorInfo) -> bool:
    """Whether a tensor is the scale of a quantised one: it stretches units, it joins none."""
    return info.name.endswith(("_scale", "_scale_inv"))


def bind(entry: Entry, rest: str, info: TensorInfo, parts: str = "parts") -> Bound | None:
    """Say what a tensor is by an entry, or None: no pattern, or another number of dimensions.

    Parameters
    ----------
    entry : Entry
        Entry of the catalogue.
    rest : str
        Name of the tensor inside its block, or beside the blocks under their root.
    info : TensorInfo
        The tensor.
    parts : str
        Table of the entry that is searched.

    Returns
    -------
    Bound or None
        The tensor with its part, a word for each dimension, and its group.
    """
    expert = _EXPERT.search(rest)
    template = _EXPERT.sub("0", rest, count=1) if expert else rest
    module, leaf = template, ""
    if cut := _LEAF.search(template):
        module, leaf = template[: cut.start()], cut[1]
    part = _find(entry, parts, module)
    if part is None:
        return None
    is_bias = leaf in ("bias", "beta") or rest.endswith("bias")
    dims = _dimensions(part, len(info.shape), is_bias=is_bias, is_transposed=entry.is_transposed)
    if dims is None:
        return None
    group = expert[1] if part.group == "#" and expert else part.group
    return Bound(info, part, dims, group)


@lru_cache(maxsize=1 << 14)
def _find(entry: Entry, parts: str, module: str) -> TensorPart | None:
    rows: tuple[TensorPart, ...] = getattr(entry, parts)
    found = _pattern(entry, parts).fullmatch(module)
    return rows[int(found.lastgroup[1:])] if found and found.lastgroup else None


@cache
def _pattern(entry: Entry, parts: str) -> re.Pattern[str]:
    rows: tuple[TensorPart, ...] = getattr(entry, parts)
    choices = (f"(?P<p{i}>{_expression(part.pattern)})" for i, part in enumerate(rows))
    return re.compile("|".join(choices) or r"(?!)")


def _expression(pattern: str) -> str:
    """Return the regular expression of a pattern of an entry, without capturing groups."""
    steps = ((".", r"\."), ("*", "[A-Za-z0-9_]*"), ("#", "[0-9]+"), ("(", "(?:"))
    for sign, meaning in steps:
        pattern = pattern.replace(sign, meaning)
    return pattern


@cache
def _block() -> re.Pattern[str]:
    """In ``model.layers.7.mlp.up_proj.weight``: the list of blocks, and the number of one."""
    lists = {_expression(name) for entry in entries().values() for name in entry.blocks}
    longest_first = sorted(lists, key=lambda name: (-len(name), name))
    return re.compile(rf"(?:^|\.)({'|'.join(longest_first)})\.([0-9]+)\.")


@lru_cache(maxsize=1 << 12)
def _dimensions(
    part: TensorPart, n_dims: int, *, is_bias: bool, is_transposed: bool
) -> tuple[str, ...] | None:
    words = tuple(part.dims.split())
    if is_bias and n_dims == 1 and words == ("d", "..."):
        return ("d",)  # of a patch projection
    if "..." in words:
        fill = ("-",) * (n_dims - len(words) + 1)
        i = words.index("...")
        words = words[:i] + fill + words[i + 1 :]
    if len(words) == n_dims:
        return words
    if is_bias and n_dims == 1 and len(words) == 2:
        return (words[-1] if is_transposed else words[0],)
    return None


def read_stack(stack: Stack) -> Reading | None:
    """Choose the entry that explains most of a stack and read it, or return None."""
    samples: dict[str, tuple[str, TensorInfo]] = {}
    for block in stack.blocks[:MAX_BLOCKS]:
        for rest, info in block.tensors.items():
            samples.setdefault(_EXPERT.sub("0", rest, count=1), (rest, info))
            if len(samples) >= MAX_TEMPLATES:
                break
    best: tuple[int, Entry, int] | None = None
    for entry in layouts():
        bound = [b for rest, info in samples.values() if (b := bind(entry, rest, info))]
        score, width = _score(bound)
        if score and (best is None or score > best[0]):
            best = (score, entry, width)
    if best is None:
        return None
    _, entry, width = best
    reading = Reading(stack, _stack_name(stack.prefix, entry), entry, width)
    for block in stack.blocks:
        pairs = [(info, bind(entry, rest, info)) for rest, info in block.tensors.items()]
        reading.bound.append([b for _, b in pairs if b])
        reading.strangers.append([i for i, b in pairs if b is None and not is_buffer(i)])
    return reading


def _score(bound: list[Bound]) -> tuple[int, int]:
    """How well an entry fits, 0 without a whole MLP or attention; and the residual width."""
    widths = Counter(n for b in bound for n in b.sizes("d"))
    if not widths:
        return 0, 0
    width = widths.most_common(1)[0][0]
    fitting = [b for b in bound if all(n == width for n in b.sizes("d"))]
    words = {w for b in fitting for dim in b.dims for w in dim.split("+")}
    has_mlp = "h" in words and bool(words & {"u", "gu"})
    has_attention = "o" in words and bool(words & {"v", "qkv"})
    if not (has_mlp or has_attention):
        return 0, width
    # GEGLU and plain GELU share names in diffusers: a fused half must be half
    hidden = {n for b in fitting for n in b.sizes("h")}
    whole = {n for b in fitting for n in b.sizes("u")}
    halves = {n / 2 for b in fitting for w in ("g+u", "u+g", "gu") for n in b.sizes(w)}
    return 4 * len(fitting) + 2 * has_mlp + has_attention + (whole | halves == hidden), width


def _stack_name(prefix: str, entry: Entry) -> str:
    for name, hint in _HINTS:
        if hint.search(prefix):
            return name
    return entry.stack
