"""What the fit of parents goes by: measures of random families, and parts of them.

Random families are read, or grown where they are not on this machine (`make genealogies`), and what
was measured of each is remembered beside them.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from zoo.genealogies.__main__ import grow
from zoo.genealogies.chance import seeds
from zoo.genealogies.kept import SUFFIX, KeptFamily, decode

from benchmarks.generate.genealogy_answers import BUILD, same_values
from benchmarks.lib.genealogy_scores import Nodes
from benchmarks.lib.stored_alike import stored_alike
from weightkin.formats import model_from_arrays
from weightkin.lineage.collection import gather
from weightkin.lineage.frame import in_one_frame
from weightkin.lineage.images import IMAGE, Derivations
from weightkin.lineage.member_measures import Measured
from weightkin.lineage.mixtures import merges_by_child, mixture_features
from weightkin.lineage.pair_features import pair_features
from weightkin.lineage.pair_measures import PairMeasures, measure, of_part, with_images
from weightkin.lineage.proposed import proposed
from weightkin.lineage.relatives import Relatives, components
from weightkin.lineage.triples import Around

ALIKE = {  # families once more, all members in one lossy form: of which half, and every how many
    "fit-alike": ("fit", 3),
    "third-fit-alike": ("third-fit", 1),
}


@dataclass
class Component:
    """Members joined by tests, what is measured of them, and the truth."""

    family: int  # its seed
    names: list[str]
    measured: Measured
    pairs: PairMeasures
    truth: Mapping[str, Any]
    same: list[list[str]]
    orders: np.ndarray  # (n, n) factors of pairs in unlike orders
    mixtures: list[tuple[str, np.ndarray, list[str]]]  # child, features of its edges, parents


@dataclass
class Case:
    """A component, or a part of one, with what the fit needs."""

    family: int
    is_whole: bool
    measured: Measured
    pairs: PairMeasures
    mixtures: list[tuple[int, np.ndarray, list[int]]]  # child, features of its edges, parents
    around: Around
    features: dict[str, np.ndarray]
    orders: np.ndarray
    parents: np.ndarray  # (n, n) true parents that are present
    is_root: np.ndarray  # (n,) no true parent is among them
    is_base: np.ndarray  # (n,) made from nothing


def measured(half: str) -> list[Component]:
    """All components of more than one member of the families of a half.

    A family is read, or grown if it is not on this machine, and what was measured of it remembered.
    """
    folder = BUILD / f"{half}.measures"
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Component] = []
    source, step = ALIKE.get(half, (half, 1))
    for seed in seeds(source)[::step]:
        kept = folder / f"{seed}.pkl"
        if not kept.exists():
            draft = kept.with_suffix(".draft")
            draft.write_bytes(pickle.dumps(_measured(source, seed, is_alike=half in ALIKE)))
            draft.replace(kept)
        found += pickle.loads(kept.read_bytes())
    return found


def _measured(half: str, seed: int, *, is_alike: bool) -> list[Component]:
    file = BUILD / half / f"{seed}{SUFFIX}"
    try:
        family = decode(file.read_bytes()) if file.exists() else grow(seed)
    except FloatingPointError:  # its training diverges
        return []
    return list(_components(stored_alike(family) if is_alike else family))


def _components(family: KeptFamily) -> Iterator[Component]:
    same = same_values(family)
    names = sorted(Nodes(family.truth, same).parents)
    models = [
        model_from_arrays(family.members[x].tensors, name=x, config=family.members[x].config)
        for x in names
    ]
    members = gather(models).members
    sketches = [m.sketch for m in members]
    relatives = Relatives(sketches, 1e-3, 0)
    found = components(relatives, proposed(sketches), range(len(sketches)))
    frames = in_one_frame(members, relatives, found)
    relatives.framed = frames.framed
    for family_ in frames.families:
        copies = relatives.copies(family_)
        group = [i for i in family_ if i not in copies]
        if len(group) > 1:
            own = relatives.in_one_scheme(group)
            taken, pairs = measure(own)
            pairs = with_images(pairs, Derivations(relatives, group).images(pairs))
            ids = [m.id for m in members]
            is_image = {group[int(v)] for v in pairs.children[pairs.images >= IMAGE]}
            mixed = []
            for order in relatives.in_orders(group):
                mixed += _mixtures(relatives, [i for i in order if i not in is_image], ids)
            own_ids = [ids[i] for i in group]
            seed, orders = int(family.truth["seed"]), relatives.orders(group)
            yield Component(seed, own_ids, taken, pairs, family.truth, same, orders, mixed)


def _mixtures(
    relatives: Relatives, pool: Sequence[int], ids: Sequence[str]
) -> list[tuple[str, np.ndarray, list[str]]]:
    return [
        (ids[child], mixture_features(edges), [ids[e.parent] for e in edges])
        for child, edges in merges_by_child(relatives, pool).items()
    ]


def cases(found: Sequence[Component], n_parts: int) -> list[Case]:
    """Whole components, and parts of each: by turns any members, and members that hang together."""
    chosen = []
    for k, x in enumerate(found):
        n = len(x.names)
        rng = np.random.default_rng([x.family, k])
        chosen.append(_case(x, np.arange(n)))
        for part in range(n_parts):
            size = int(rng.integers(2, n + 1))
            if size < n:
                own = _hanging_together(x, size, rng) if part % 2 else rng.permutation(n)[:size]
                chosen.append(_case(x, np.sort(own)))
    return chosen


def _hanging_together(x: Component, size: int, rng: np.random.Generator) -> np.ndarray:
    """Members picked one by one, each a parent or a child of one that is there, if one is left."""
    parents = Nodes(x.truth, x.same).parents
    near = np.array([[u in parents[v] or v in parents[u] for v in x.names] for u in x.names])
    own = [int(rng.integers(len(x.names)))]
    while len(own) < size:
        left = [i for i in range(len(x.names)) if i not in own]
        beside = [i for i in left if near[i, own].any()]
        own.append(int(rng.choice(beside or left)))
    return np.array(own)


def _case(x: Component, index: np.ndarray) -> Case:
    is_whole = len(index) == len(x.names)
    names = [x.names[i] for i in index]
    every = Nodes(x.truth, x.same)
    # disguised copies, which hang below what they equal, and other components are out of sight too
    gone = {name for name in every.present if every.of(name) not in names}
    same = [own for group in x.same if (own := [y for y in group if y not in gone])]
    members = {
        name: {**m, "hidden": m["hidden"] or name in gone} for name, m in x.truth["members"].items()
    }
    nodes = Nodes({**x.truth, "members": members}, same)
    taken, pairs = (x.measured, x.pairs) if is_whole else of_part(x.measured, x.pairs, index)
    around, features = pair_features(taken, pairs)
    true = np.array([[u in nodes.parents[v] for v in names] for u in names])
    is_base = np.array([not members[nodes.made_as(v)]["parents"] for v in names])
    orders = x.orders[np.ix_(index, index)]
    place = {name: k for k, name in enumerate(names)}
    mixtures = [
        (place[child], own, [place[u] for u in parents])
        for child, own, parents in x.mixtures
        if not gone & {child, *parents}
    ]
    is_root = ~true.any(axis=0)
    return Case(
        x.family, is_whole, taken, pairs, mixtures, around, features, orders, true, is_root, is_base
    )
