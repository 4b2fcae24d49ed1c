"""Networks of one model: what two models share is told network by network.

A diffusion model holds a text encoder beside its own network, a vision-language model a vision
tower: many models share such a part and nothing else. A network is all whose name begins like that
of numbered blocks (``text_encoder.layers.0``): the modules above them. No architecture is needed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from weightkin.anatomy.translate import parts_of
from weightkin.derivation.distances import MIN_RELATED_COSINE, PairRelation
from weightkin.derivation.equality import Equality
from weightkin.sketch.types import Sketch, SketchedTensor

MAX_WORDS = 16  # of a name, in which numbers are looked for
MIN_MATRICES = 2  # of a network
MIN_SHARED = 0.8  # of the parameters of its matrices, from which a network is shared
MAX_APART = 0.05  # of them, up to which it is not
MIN_SIZE = 0.01  # of all parameters, under which a network says nothing
MOST_LINEAGE = 0.5  # of the smaller model: changed parts that are larger are its lineage
MOST_CONTAINED = 0.25  # of a model: a network in it that is larger is its lineage
Names = Collection[str]
MOST_OF_LARGEST = 1 / 3  # of the largest other network, which may be two moments of an optimiser
WHOLE_MODEL = "model"  # a network without a name


@dataclass(frozen=True, slots=True)
class SharedPart:
    """Networks that two models share, beside others that they do not."""

    shared: tuple[str, ...]  # as the smaller model names them
    apart: tuple[str, ...]
    share: float  # of the parameters of the smaller model
    to_largest: float = 0.0  # size of the largest shared one to that of the largest other one

    @property
    def details(self) -> dict[str, object]:
        """As a record holds it."""
        return {"parts": list(self.shared), "others": list(self.apart), "share": self.share}


def equal_part(a: Sketch, b: Sketch, found: Equality) -> SharedPart | None:
    """Networks that are equal in two models which are unlike in others; None where there are none.

    Parameters
    ----------
    a, b : Sketch
        The two models.
    found : Equality
        What of them is equal, under any name.

    Returns
    -------
    SharedPart or None
    """
    sides = ((a, found.a), (b, found.b))
    held = [{n for n, x in match.items() if x.is_told and x.share == 1.0} for _, match in sides]
    return _part((a, b), (held[0], held[1]))


def shared_part(
    a: Sketch, b: Sketch, relation: PairRelation, found: Equality | None = None
) -> SharedPart | None:
    """The same by what has one role in both; what was changed since counts as well.

    Parameters
    ----------
    a, b : Sketch
        The two models.
    relation : PairRelation
        Distances of what has one role in both.
    found : Equality, optional
        What of them is equal, under any name.

    Returns
    -------
    SharedPart or None
        None too where what was changed is most of the smaller model, and so its lineage.
    """
    if min(map(n_networks, (a, b))) < 2:
        return None
    equal = [t for t in relation.tensors if t.is_equal]
    near = [t for t in relation.tensors if t.is_equal or t.cosine >= MIN_RELATED_COSINE]
    for those in (equal, near):
        held = ({t.name_a for t in those}, {t.name_b for t in those})
        if found is not None:
            for names, match in zip(held, (found.a, found.b), strict=True):
                names |= {n for n, x in match.items() if x.is_told and x.share == 1.0}
        part = _part((a, b), held)
        if part is not None:
            return part if those is equal or part.share < MOST_LINEAGE else None
    return None


def contained_part(a: Sketch, b: Sketch, held: tuple[Names, Names]) -> SharedPart | None:
    """A model that is one of the smaller networks of another, such as a text encoder in a pipeline.

    Parameters
    ----------
    a, b : Sketch
        The two models.
    held : tuple of collections of str
        Tensors of each that the other one holds, perhaps changed since.

    Returns
    -------
    SharedPart or None
        As the larger model names it; None where it is more than `MOST_CONTAINED` of that, or
        a third of its largest network: that is an average of the weights, or a teacher.
    """
    is_b = b.n_parameters > a.n_parameters
    found = _of_one((a, b)[is_b], held[is_b])
    if found is None or found.share >= MOST_CONTAINED or found.to_largest >= MOST_OF_LARGEST:
        return None
    return found


def n_networks(sketch: Sketch) -> int:
    """How many networks a model has."""
    return len(set(networks_of(sketch.tensors).values()))


def _part(models: tuple[Sketch, Sketch], held: tuple[Names, Names]) -> SharedPart | None:
    """What both models agree on, as the smaller one names it."""
    a, b = (_of_one(x, names) for x, names in zip(models, held, strict=True))
    if a is None or b is None:
        return None
    return b if models[1].n_parameters < models[0].n_parameters else a


def _of_one(sketch: Sketch, held: Collection[str]) -> SharedPart | None:
    """Networks of one model that are held by the other and those that are not.

    None unless there are both, and nothing between.
    """
    networks = networks_of(sketch.tensors)
    if not held or len(set(networks.values())) < 2:
        return None  # before tables are told apart, which takes longest
    sizes: dict[str, float] = defaultdict(float)
    shared: dict[str, float] = defaultdict(float)
    n_matrices: dict[str, int] = defaultdict(int)
    total = 0.0
    for name, tensor in sketch.tensors.items():
        n = math.prod(tensor.shape)
        total += n
        network = networks.get(name)
        if network is not None and len(tensor.shape) > 1 and name not in sketch.tables:
            sizes[network] += n
            n_matrices[network] += 1
            shared[network] += n * (name in held)
    large = {
        network: shared[network] / size
        for network, size in sizes.items()
        if size >= MIN_SIZE * total and n_matrices[network] >= MIN_MATRICES
    }
    both = sorted(x for x, share in large.items() if share >= MIN_SHARED)
    apart = sorted(x for x, share in large.items() if share <= MAX_APART)
    if not both or not apart or len(both) + len(apart) < len(large):
        return None
    size = sum(sizes[x] for x in both) / total
    to_largest = max(sizes[x] for x in both) / max(sizes[x] for x in apart)
    return SharedPart(_named(both), _named(apart), round(size, 4), to_largest)


def networks_of(tensors: Mapping[str, SketchedTensor]) -> dict[str, str]:
    """The network of each tensor that belongs to one: a part of a diffusion model, if it has any.

    Else it is what stands above numbered blocks: above the first number of a name that varies.
    """
    stored = {name: tensor.stored_name for name, tensor in tensors.items()}
    parts = parts_of(stored.values())
    if parts:
        return {name: parts[own] for name, own in stored.items() if own in parts}
    words = {name: own.split(".") for name, own in stored.items()}
    numbers: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for own in words.values():
        for i in _numbers(own):
            numbers[tuple(own[:i])].add(own[i])
    found: dict[str, str] = {}
    for name, own in words.items():
        varying = (i for i in _numbers(own) if len(numbers[tuple(own[:i])]) > 1)
        at = next(varying, next(iter(_numbers(own)), None))
        if at is not None:
            found[name] = ".".join(own[: max(0, at - 1)])
    known = set(found.values())
    for name, own in words.items():
        if name not in found:
            above = (".".join(own[:n]) for n in range(len(own) - 1, 0, -1))
            network = next((x for x in above if x in known), None)
            if network is not None:
                found[name] = network
    return found


def _numbers(words: list[str]) -> list[int]:
    """Where numbers stand among the words of a name, its leaf apart."""
    return [i for i, word in enumerate(words[:-1][:MAX_WORDS]) if word.isdigit()]


def _named(networks: list[str]) -> tuple[str, ...]:
    return tuple(x or WHOLE_MODEL for x in networks)
