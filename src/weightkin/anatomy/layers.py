"""Layers of a net of which only names and shapes are known: numbered members of its modules."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from weightkin.formats.model import TensorInfo

MAX_LAYERS = 512  # that are read
MOST_MATRICES = 2  # of a layer of a graph: of each node, and of its neighbours
MATRICES = ("weight", "weight_v", "parametrizations.weight.original1")
_SCALES = ("weight_g", "parametrizations.weight.original0")  # of weight norm: no vector of outputs
_NUMBERED = re.compile(r"(?P<word>.*?)(?P<number>[0-9]{1,6})")
_HEADS = re.compile(r"(?:^|[.])att(?:_src|_dst|_l|_r)?$")  # of torch_geometric
_OTHER = re.compile(
    r"att|(?:^|[._])(?:q|k|v|qk|kv|qkv|to_[qkv]|w[qkv]|w_[qkv])(?:$|[._])|query|key|value"
    r"|lora|adapter|group|rout|emb",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Member:
    """A child of a module with all that stands below it."""

    path: str
    number: int
    matrices: list[TensorInfo] = field(default_factory=list)
    vectors: list[TensorInfo] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Layer:
    """A member with one matrix or kernel, or with two of one shape, whose outputs are one."""

    path: str
    number: int
    info: TensorInfo
    vectors: tuple[TensorInfo, ...]
    out_dim: int

    @property
    def n_out(self) -> int:
        """Number of its outputs."""
        return self.info.shape[self.out_dim]

    @property
    def n_in(self) -> int:
        """Number of what it reads."""
        return self.info.shape[1 - self.out_dim]

    @property
    def cell(self) -> int:
        """Outputs of each head, where that is what they belong to; else 0."""
        sizes = {x.shape[2] for x in self.vectors if len(x.shape) == 3}
        is_whole = all(math.prod(x.shape) == self.n_out for x in self.vectors if len(x.shape) == 3)
        return sizes.pop() if len(sizes) == 1 and is_whole else min(1, len(sizes))

    @property
    def is_leaf(self) -> bool:
        """Whether the member is the layer itself."""
        return any(self.info.name == f"{self.path}.{leaf}" for leaf in MATRICES)

    @property
    def is_depthwise(self) -> bool:
        """Whether it may read each channel alone."""
        return len(self.info.shape) > 2 and self.info.shape[1] == 1


def lists(tensors: Mapping[str, TensorInfo]) -> dict[str, list[Member]]:
    """Numbered members of every module, by the module and the word before their numbers."""
    lists: dict[str, dict[int, Member]] = defaultdict(dict)
    for name, info in tensors.items():
        words = name.split(".")
        for i, word in enumerate(words[:-1]):
            if found := _NUMBERED.fullmatch(word):
                own = lists[".".join([*words[:i], found["word"]])]
                number = int(found["number"])
                member = own.setdefault(number, Member(".".join(words[: i + 1]), number))
                _sort(member, info)
    _add_norms(lists)
    return {
        path: [own[number] for number in sorted(own)]
        for path, own in lists.items()
        if 2 <= len(own) <= MAX_LAYERS and not _OTHER.search(path)
    }


def _add_norms(lists: Mapping[str, Mapping[int, Member]]) -> None:
    """Let ``bn1`` belong to ``conv1``, where ``bn`` and ``conv`` are members of one module."""
    norms = {path: own for path, own in lists.items() if not any(x.matrices for x in own.values())}
    for path, own in norms.items():
        module = path.rpartition(".")[0]
        for other, layers in lists.items():
            if other not in norms and other.rpartition(".")[0] == module and path[-1] != ".":
                for number in own.keys() & layers.keys():
                    layers[number].vectors += own[number].vectors


def _sort(member: Member, info: TensorInfo) -> None:
    if info.name.endswith(_SCALES) or math.prod(info.shape) < 2:
        return
    is_matrix = len(info.shape) > 1 and not _is_of_heads(info)
    (member.matrices if is_matrix else member.vectors).append(info)


def _is_of_heads(info: TensorInfo) -> bool:
    """Whether a tensor weighs the outputs of each head, as graph attention does."""
    return len(info.shape) == 3 and info.shape[0] == 1 and bool(_HEADS.search(info.name))


def layer_of(member: Member, beside: Sequence[TensorInfo] = ()) -> Layer | None:
    """A member as a layer, None where it has other matrices or which side is which is unsure."""
    shapes = {x.shape for x in member.matrices}
    if len(shapes) != 1 or len(member.matrices) > MOST_MATRICES:
        return None
    if any(not x.name.endswith(MATRICES) or _OTHER.search(x.name) for x in member.matrices):
        return None
    info = member.matrices[0]
    vectors = (*member.vectors, *beside)
    sizes = {x.shape[0] for x in vectors if len(x.shape) == 1}
    n, m = info.shape[:2]
    if len(info.shape) == 2 or n == m:
        return Layer(member.path, member.number, info, vectors, 0)
    if sizes & {n, m} and not sizes >= {n, m}:
        return Layer(member.path, member.number, info, vectors, 0 if n in sizes else 1)
    return None


def layers(members: Sequence[Member]) -> Iterator[Layer]:
    """Layers in order, each with the norms behind it; what is not one is left out."""
    for i, member in enumerate(members):
        beside: list[TensorInfo] = []
        for other in members[i + 1 :]:
            if other.matrices:
                break
            beside += other.vectors
        if (layer := layer_of(member, beside)) is not None:
            yield layer


def vectors_of(info: TensorInfo, tensors: Mapping[str, TensorInfo]) -> list[TensorInfo]:
    """The bias beside a kernel, or the statistics of the norm whose name says it is its own."""
    module = info.name.rpartition(".")[0]
    names = [f"{module}.bias", f"{module.rpartition('.')[0]}.bn.running_mean".lstrip(".")]
    if found := re.search(r"conv([0-9]*)$", module):
        names.append(f"{module[: found.start()]}bn{found[1]}.running_mean")
    if found := re.search(r"(.*[.])([0-9]{1,6})$", module):
        names.append(f"{found[1]}{int(found[2]) + 1}.running_mean")
    return [tensors[name] for name in names if name in tensors]
