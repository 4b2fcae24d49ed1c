"""The residual stream of a model: who writes to it, which norm each reader looks through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from weightkin.anatomy.types import Anatomy, Place
from weightkin.catalogue import Entry
from weightkin.catalogue.entry import Norms
from weightkin.errors import UsageError
from weightkin.evasions.places import Floats, Wide, along, axes_of, check_float, values_along
from weightkin.evasions.whole import entry_of

_AFTER_FIRST = ("attn.q", "attn.k", "attn.v", "attn.qkv")
_AFTER_SECOND = ("mlp.gate", "mlp.up", "mlp.gate_up", "router")
_AFTER_LAST = ("unembed", "head")
TABLES = ("embed", "position", "position_grid", "token", "token_type")
_WRITERS = ("attn.o", "mlp.down", *TABLES)


@dataclass(frozen=True, slots=True)
class Norm:
    """A norm and the matrices that read the stream through it."""

    gain: str
    bias: str | None
    readers: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Stream:
    """A residual stream that may be rotated; rotations must fix the ones vector if centred."""

    width: int
    norms: tuple[Norm, ...]
    writers: tuple[Place, ...]
    is_centred: bool
    entry: Entry


def open_stream(wide: Wide, anatomy: Anatomy, *, to_turn: bool = True) -> Stream:
    """Find the stream, or refuse; an unembedding tied to the embedding is written out in `wide`.

    What embeddings pass on their way into the stream keeps it from being turned, and no more.
    """
    entry = entry_of(anatomy)
    if entry is None or entry.norms.centred is None:
        raise UsageError(f"a {anatomy.family} model: which matrix reads which norm is not known")
    axes = axes_of(anatomy, "residual")
    if len(axes) != 1:
        raise UsageError(f"{len(axes)} residual streams, not one")
    width, places = axes[0].n_units, list(axes[0].places)
    if not any(place.role in _AFTER_LAST for place in places):
        places.append(_untie(wide, places, width, entry))
    gains = [p.tensor for p in places if p.role == "norm" and not p.tensor.endswith(".bias")]
    before = [gain for gain in gains if _stem(gain) in entry.norms.in_front]
    if before and to_turn:
        raise UsageError(f"{before[0]}: no rotation leaves a norm in front of the stream alone")
    gains = [gain for gain in gains if gain not in before]
    readers = _readers(entry.norms, gains)
    norms = tuple(_norm(wide, gain, readers, gains, places) for gain in gains)
    writers = tuple(place for place in places if place.role in _WRITERS)
    claimed = {*writers, *(place for norm in norms for place in norm.readers)}
    strays = [p.tensor for p in places if p.role != "norm" and p not in claimed]
    if strays:
        raise UsageError(f"{strays[0]}: its part in the residual stream is not known")
    is_centred = entry.norms.centred or any(norm.bias for norm in norms)
    return Stream(width, norms, writers, is_centred, entry)


def turn(
    wide: Wide, stream: Stream, rotation: Floats, vectors: Mapping[str, Floats], offset: float
) -> None:
    """Rotate the stream in place, ``x -> x @ rotation``, and give every norm the vectors named.

    Readers take up the change of gains; those with a bias take up the change of the norm's bias.
    Where one has none, the norm's bias is turned along instead of replaced.

    Parameters
    ----------
    wide : dict of str to ndarray
        Working copies, changed.
    stream : Stream
        Its norms, readers and writers.
    rotation : ndarray
        ``(width, width)``, orthogonal; fixes the ones vector where the stream is centred.
    vectors : mapping of str to ndarray
        New gains (never zero) and biases by tensor name, ``(width,)``.
    offset : float
        Added to stored gains; see `rotate_residual`.

    Raises
    ------
    UsageError
        A norm with a bias that no reader can take up has a zero gain, or a tensor does not fit.
    """
    for norm in stream.norms:
        _turn_norm(wide, norm, rotation, vectors, offset)
    for place in stream.writers:
        block = values_along(wide, place)
        block[...] = np.tensordot(rotation.T, block, axes=1)


def _turn_norm(
    wide: Wide, norm: Norm, rotation: Floats, vectors: Mapping[str, Floats], offset: float
) -> None:
    gain, new_gain = wide[norm.gain] + offset, vectors[norm.gain]
    shift, new_shift = None, None
    biases = [_bias_of(wide, place) for place in norm.readers]
    if norm.bias is not None and all(biases):
        shift, new_shift = wide[norm.bias], vectors[norm.bias]
    elif norm.bias is not None:
        if not gain.all():
            raise UsageError(f"{norm.gain}: it has a zero and its bias no matrix to go to")
        new_shift = new_gain * (rotation.T @ (wide[norm.bias] / gain))
    for place, bias in zip(norm.readers, biases, strict=True):
        block = values_along(wide, place)  # (width, n_out)
        turned = (rotation.T @ (gain[:, None] * block)) / new_gain[:, None]
        if shift is not None and new_shift is not None and bias:
            wide[bias] += shift @ block - new_shift @ turned
        block[...] = turned
    wide[norm.gain] = new_gain - offset
    if norm.bias is not None and new_shift is not None:
        wide[norm.bias] = new_shift


def _readers(names: Norms, gains: list[str]) -> dict[str, tuple[str, ...]]:
    """Roles that read the stream through a norm, by its name: of every list the first there is."""
    stems = {_stem(gain) for gain in gains}
    attn, mlp, last = (
        next((name for name in some if name in stems), "")
        for some in (names.attn, names.mlp, names.last)
    )
    first = _AFTER_FIRST if mlp else (*_AFTER_FIRST, *_AFTER_SECOND)  # of both
    return {attn: first, mlp: _AFTER_SECOND, last: _AFTER_LAST}


def _norm(
    wide: Wide,
    gain: str,
    roles: Mapping[str, tuple[str, ...]],
    gains: list[str],
    places: list[Place],
) -> Norm:
    """Name the readers of one norm by its name, its block and their roles."""
    module = gain.removesuffix(".weight")
    path, _, name = module.rpartition(".")
    if name not in roles:
        raise UsageError(f"{gain}: which matrices read this norm is not known")
    scope = "" if roles[name] is _AFTER_LAST else f"{path}."
    readers = tuple(p for p in places if p.role in roles[name] and p.tensor.startswith(scope))
    if not readers or sum(g.endswith(f".{name}.weight") and g.startswith(scope) for g in gains) > 1:
        raise UsageError(f"{gain}: which matrices read this norm is not known")
    bias = f"{module}.bias"
    has_bias = bias in wide and wide[bias].shape == wide[gain].shape
    for vector in (gain, bias) if has_bias else (gain,):
        check_float(wide, vector)
    return Norm(gain, bias if has_bias else None, readers)


def _untie(wide: Wide, places: list[Place], width: int, entry: Entry) -> Place:
    """Write the unembedding that a language model shares with its embedding as its own tensor."""
    tables = [p.tensor for p in places if p.role == "embed" and wide[p.tensor].ndim == 2]
    is_whole = [t for t in tables if t.startswith(("model.", "transformer."))]
    if len(tables) != 1 or not is_whole:
        raise UsageError("no head: a rotation would show in the output of the last norm")
    wide[entry.unembedding] = wide[tables[0]].copy()
    return Place(entry.unembedding, 1, 0, width, "unembed")


def _stem(gain: str) -> str:
    return gain.removesuffix(".weight").rpartition(".")[2]


def _bias_of(wide: Wide, place: Place) -> str | None:
    bias = f"{place.tensor.removesuffix('.weight')}.bias"
    if bias not in wide or wide[bias].ndim != 1:
        return None
    check_float(wide, bias)
    expected = along(wide, place).shape[1:]
    if wide[bias].shape != expected:
        raise UsageError(f"{bias}: its shape is {wide[bias].shape}, not {expected}")
    return bias
