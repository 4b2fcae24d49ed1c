"""The anatomy of a model that is to be rewritten: with heads that are stored head by head."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from weightkin.anatomy import read_anatomy
from weightkin.anatomy.head_rows import head_rows
from weightkin.anatomy.queries import QueryKeys, query_keys
from weightkin.anatomy.types import Anatomy, Axis, AxisKind
from weightkin.catalogue import Entry, by_model_type, entries
from weightkin.catalogue.config import language_model_type
from weightkin.errors import UsageError
from weightkin.formats.model import Model

OF_HEADS: dict[AxisKind, frozenset[str]] = {
    "vo": frozenset({"attn.v", "attn.o"}),
    "heads": frozenset({"attn.q", "attn.k", "attn.v", "attn.o"}),
}


@dataclass(frozen=True, slots=True, repr=False)
class WholeAnatomy(Anatomy):
    """An anatomy that also has what no test of order reads, and what a config says of the model."""

    keys: tuple[QueryKeys, ...] = ()  # those whose symmetry is certain
    model_type: str = ""
    clips: bool = False  # whether queries, keys and values are cut off at a size


def whole_anatomy(model: Model, anatomy: Anatomy | None = None) -> WholeAnatomy:
    """Read the anatomy of a model that is to be rewritten.

    Axes of heads and of V/O dimensions have all their places, also where the rows of a head stand
    together (GPT-NeoX, Falcon, BLOOM) or where there is a single key head: `Place.spans`.

    Parameters
    ----------
    model : Model
        The model, with its config.
    anatomy : Anatomy, optional
        That of the model; read without it.

    Returns
    -------
    WholeAnatomy
        Without axes or keys where they are not certain. Nothing is raised for a layout or a config
        that is not known, or odd: `key_bases` and the rewrites refuse what they cannot change.
    """
    anatomy = anatomy or read_anatomy(model)
    keys = tuple(query_keys(model, anatomy))
    turned = {_where(x.axis) for x in keys if x.coin != "sign"}
    free = turned | {_where(axis) for axis in anatomy.axes if axis.kind == "heads"}
    stored = [rows.axis for rows in head_rows(model, anatomy) if rows.axis not in anatomy.axes]
    stored = [axis for axis in stored if _is_whole(replace(axis, kind="heads"))]
    found = [axis for axis in stored if axis.n_units > 1 and _where(axis) in free]
    found += [_values(axis) for axis in stored]
    there = {(axis.kind, _where(axis)) for axis in found}
    kept = [axis for axis in anatomy.axes if (axis.kind, _where(axis)) not in there]
    settings = (model.config, model.config.get("attn_config"))
    return WholeAnatomy(
        **{x.name: getattr(anatomy, x.name) for x in fields(Anatomy) if x.name != "axes"},
        axes=(*kept, *found),
        keys=keys,
        model_type=language_model_type(model.config),
        clips=any(isinstance(x, dict) and bool(x.get("clip_qkv")) for x in settings),
    )


def entry_of(anatomy: Anatomy) -> Entry | None:
    """The entry of the model type if its tensors are those of the names, else that of the names."""
    by_names = entries().get(anatomy.family)
    by_type = by_model_type().get(anatomy.model_type) if isinstance(anatomy, WholeAnatomy) else None
    is_like = by_type is not None and by_names is not None and by_type.parts == by_names.parts
    return by_type if is_like else by_names


def check_unclipped(anatomy: Anatomy) -> None:
    """Refuse models that cut queries, keys and values off: a change of basis would show.

    Raises
    ------
    UsageError
        The config says that they are.
    """
    if isinstance(anatomy, WholeAnatomy) and anatomy.clips:
        raise UsageError(f"a {anatomy.family} model: queries, keys and values are clipped")


def _values(heads: Axis) -> Axis:
    size = heads.head_size
    places = tuple(place for place in heads.places if place.role in OF_HEADS["vo"])
    labels = f"{heads.stack}.{heads.block}.vo"
    n_units = heads.n_units * size
    return replace(heads, name="vo", kind="vo", n_units=n_units, labels=labels, places=places)


def _is_whole(axis: Axis) -> bool:
    return OF_HEADS[axis.kind] <= {place.role for place in axis.places}


def _where(axis: Axis) -> tuple[str, int]:
    return axis.stack, axis.block
