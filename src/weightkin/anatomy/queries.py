"""Queries and keys: which signed reorderings of their dimensions leave a model as it is.

Where positions are stored, or only added to scores, dimension j of queries and keys of one head may
change its sign in both. Where they are rotary, a plane (two dimensions of a key head and of all
queries that read it) may be turned by a quarter in both. What a catalogue entry does not state for
the model type of the config is not known, and nothing is said then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from weightkin.anatomy.gains import OTHER_TOWERS
from weightkin.anatomy.head_rows import HeadRows, head_rows, latent_rows
from weightkin.anatomy.types import Anatomy, Axis, Place
from weightkin.arrays import Ints
from weightkin.catalogue import Entry, by_model_type
from weightkin.catalogue.config import keys_of, language_model_type, part_of, whole_number
from weightkin.formats.model import Model

Coin = Literal["quarter", "half", "sign"]
Layout = Literal["half", "interleaved"]
NESTED = ("rope_parameters", "rope_scaling")  # where a config may say more of rotary positions
SHARES = ("partial_rotary_factor", "rotary_pct", "rotary_dim")
# what a config says of positions, beside what its model type does
ODD = ("alibi", "use_alibi")
INTERLEAVED = ("rope_interleaved", "rotary_interleaved", "rope_interleave")
STORED_TYPES = ("absolute", "learned", "alibi")


@dataclass(frozen=True, slots=True)
class QueryKeys:
    """Queries and keys of one attention, and what may be done to them.

    Row ``j`` of key head ``g`` is ``g * size + j`` of the keys; those of the queries that read it
    are ``(g * repeat + r) * size + j``.
    """

    axis: Axis  # the key heads
    queries: Place
    keys: Place
    size: int  # of a head
    repeat: int  # queries of one key head
    coin: Coin  # what may be done to one plane (or dimension) of one key head
    layout: Layout = "half"
    n_turned: int = 0  # first dimensions of a head, of which positions turn pairs

    @property
    def n_heads(self) -> int:
        """Key heads."""
        return self.axis.n_units

    def planes(self, layout: Layout | None = None) -> tuple[Ints, Ints]:
        """First and second dimension of every plane of a head, ``(n_turned / 2,)`` each."""
        if (layout or self.layout) == "half":
            return np.arange(self.n_turned // 2), np.arange(self.n_turned // 2, self.n_turned)
        return np.arange(0, self.n_turned, 2), np.arange(1, self.n_turned, 2)


def query_keys(model: Model, anatomy: Anatomy) -> list[QueryKeys]:
    """Queries and keys of all attentions whose symmetry is certain.

    Parameters
    ----------
    model : Model
        The model, whose config names its type.
    anatomy : Anatomy
        Where its heads stand.

    Returns
    -------
    list of QueryKeys
        Empty where the catalogue does not say what positions do in this type of model, where the
        config says something else, and where a norm of queries or keys subtracts a mean.
    """
    entry = by_model_type().get(language_model_type(model.config))
    facts = entry.label("p") if entry else {}
    is_stated = "when" not in facts and ("turn" in facts or "sign" in facts)
    if entry is None or not is_stated or "+" in anatomy.family:
        return []
    rows = _latent_rows(model, facts) if "latent" in facts else head_rows(model, anatomy)
    return [
        held
        for x in rows
        if not _is_odd(part_of(model.config, x.axis.stack), facts)
        for held in _with_coin(model, anatomy, x, entry)
    ]


def _latent_rows(model: Model, facts: Mapping[str, str]) -> Iterator[HeadRows]:
    config = part_of(model.config, "decoder")
    keys = {"rope": (facts["n"],), "latent": (facts["latent"],), "heads": keys_of("heads")}
    keys["nope"] = (facts["beside"],)
    return latent_rows(model, {name: whole_number(config, those) for name, those in keys.items()})


def _with_coin(model: Model, anatomy: Anatomy, rows: HeadRows, entry: Entry) -> Iterator[QueryKeys]:
    axis, size, facts = rows.axis, rows.size, entry.label("p")
    if not _is_turned(part_of(model.config, axis.stack), facts):
        # without a table heads may have positions of their own, unless their anatomy says not
        tables = {"position", "position_grid"} & {role for _, role in anatomy.roles}
        is_certain = axis in anatomy.axes or entry.positions != "stored" or bool(tables)
        if is_certain and not _norms(model, anatomy):
            yield QueryKeys(*rows, "sign")
        return
    coin = _coin(model, anatomy, axis, size, facts)
    n_turned = _n_turned(part_of(model.config, axis.stack), size, facts)
    if coin is None or not n_turned or axis.stack in OTHER_TOWERS:
        return
    layout: Layout = "half" if facts["turn"] == "half" else "interleaved"
    yield QueryKeys(*rows, coin, layout, n_turned)


def _norms(model: Model, anatomy: Anatomy) -> list[str]:
    """Tensors of norms that queries or keys pass."""
    norms = ("attn.q_norm", "attn.k_norm")
    return [name for name, role in anatomy.roles if role in norms and name in model.tensors]


def _coin(
    model: Model, anatomy: Anatomy, axis: Axis, size: int, facts: Mapping[str, str]
) -> Coin | None:
    """Gains that all heads share keep a plane from being turned by a quarter, not by a half."""
    norms = _norms(model, anatomy)
    if not norms:
        return "quarter"
    if facts.get("norm") != "rms" or any(name.endswith("bias") for name in norms):
        return None
    is_shared = any(model.tensors[name].shape[-1] == size for name in norms)
    return "half" if is_shared and axis.n_units > 1 else "quarter"


def _n_turned(config: Mapping[str, Any], size: int, facts: Mapping[str, str]) -> int:
    """Dimensions of a head that positions turn; 0 where the config does not say it."""
    stated = [value for key in SHARES for value in _stated(config, key)]
    if not stated:
        share: float = 0 if "rot" in facts else 1.0
    else:
        share = stated[0] if len(set(stated)) == 1 and "rot" in facts else 0
        share = 1.0 if set(stated) in ({1.0}, {size}) else share
    n = share if isinstance(share, int) and share > 1 else int(size * share)
    return int(n) if 2 <= n <= size and n % 2 == 0 else 0


def _stated(config: Mapping[str, Any], key: str) -> Iterator[float]:
    for where in (config, *(config.get(nested) for nested in NESTED)):
        value = where.get(key) if isinstance(where, Mapping) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield value


def _is_turned(config: Mapping[str, Any], facts: Mapping[str, str]) -> bool:
    """Whether positions turn queries and keys: of types of both kinds the config says which."""
    return "turn" in facts and not ("sign" in facts and config.get("alibi"))


def _is_odd(config: Mapping[str, Any], facts: Mapping[str, str]) -> bool:
    """Whether a config says something of positions that its type alone does not."""
    kind = str(config.get("position_embedding_type") or "absolute")
    if not _is_turned(config, facts):
        own = config.get("attn_config")
        is_rotary = any(
            isinstance(x, Mapping) and (x.get("rotary") or x.get("rope")) for x in (config, own)
        )
        return kind not in STORED_TYPES or is_rotary
    is_interleaved = facts["turn"] == "interleaved"
    is_other = any(key in config and bool(config[key]) != is_interleaved for key in INTERLEAVED)
    return is_other or any(config.get(key) for key in ODD) or kind == "alibi"
