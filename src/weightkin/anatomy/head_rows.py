"""Where the rows of each head stand: by themselves, head by head, or beside a latent space.

Heads that an anatomy declares come first. Where it cannot (a single key head, heads that are stored
with their queries, key and value together, positions that fix the order of heads) sizes come from
the config and must fit the shapes. Values, the columns that read them and biases are among the
places of an axis where they fit its heads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from weightkin.anatomy.naming import is_buffer, is_scale
from weightkin.anatomy.roles import Piece, RoleKey, role_pieces
from weightkin.anatomy.types import Anatomy, Axis, Place
from weightkin.catalogue.config import heads_of, keys_of, part_of, whole_number
from weightkin.formats.model import Model

# of attention that reads keys and values from a latent space: the latent space and, behind it, the
# rotary key of all heads; queries of another latent space, or of the stream
KEYS_BESIDE_LATENT = "attn.latent:self_attn.kv_a_proj_with_mqa.weight"
QUERIES = ("attn.latent:self_attn.q_b_proj.weight", "attn.q")
_REST = ("attn.v", "attn.o", "attn.q.bias", "attn.k.bias", "attn.v.bias")


class HeadRows(NamedTuple):
    """Queries and keys of one attention."""

    axis: Axis  # the key heads, with the places of all that is known to be theirs
    queries: Place
    keys: Place
    size: int  # of a head
    repeat: int  # queries of one key head


def head_rows(model: Model, anatomy: Anatomy) -> Iterator[HeadRows]:
    """Yield queries and keys of every attention whose heads are certain.

    Parameters
    ----------
    model : Model
        The model. A sketch has none: it holds parts of heads.
    anatomy : Anatomy
        Where its heads stand.

    Yields
    ------
    HeadRows
        Those of the axes of heads; then, of other blocks, what is stored head by head, and single
        key heads.
    """
    if model.sketched is not None:
        return
    known = set()
    for axis in anatomy.axes:
        if axis.kind == "heads" and (found := _of_axis(model, axis)):
            known.add((axis.stack, axis.block))
            yield found
    pieces = role_pieces(model.tensors, heads_of(model.config))
    sizes = {
        (x.stack, x.block): x.head_size for x in anatomy.axes if (x.kind, x.name) == ("vo", "vo")
    }
    for key, keys in pieces.items():
        where = key.stack, key.block
        queries = pieces.get(RoleKey(*where, "attn.q"))
        if key.role == "attn.k" and queries is not None and where not in known:
            found = _of_pieces(model, where, queries, keys, sizes.get(where, 0))
            if found and not _has_unknown(model, anatomy, queries.tensor):
                rest = _rest(model, found, pieces)
                yield found._replace(axis=replace(found.axis, places=(*found.axis.places, *rest)))


def _of_axis(model: Model, axis: Axis) -> HeadRows | None:
    queries, keys = (_matrix(model, axis, role) for role in ("attn.q", "attn.k"))
    if queries is None or keys is None:
        return None
    size, repeat = keys.size // axis.n_units, queries.repeat
    if queries.size != axis.n_units * repeat * size or keys.size != axis.n_units * size:
        return None
    return HeadRows(axis, queries, keys, size, repeat)


def _matrix(model: Model, axis: Axis, role: str) -> Place | None:
    """The only matrix of an attention in a role."""
    found = [
        place
        for place in axis.places
        if place.role == role
        and place.index is None
        and len(model.tensors[place.tensor].shape) == 2
    ]
    return found[0] if len(found) == 1 else None


def _of_pieces(
    model: Model, where: tuple[str, int], queries: Piece, keys: Piece, value_size: int
) -> HeadRows | None:
    """Key heads that stand apart from each other, a single one, or those of V/O dimensions.

    None where sizes do not fit.
    """
    shapes = [model.tensors[x.tensor].shape for x in (queries, keys)]
    config = part_of(model.config, where[0])
    stated = heads_of(model.config)
    n_queries = stated.get(where[0]) or stated[""]
    n_rows, n_key_rows = _n_rows(queries), _n_rows(keys)
    if any(len(shape) != 2 for shape in shapes) or not n_queries or n_rows % n_queries:
        return None
    size = n_rows // n_queries
    n_heads, odd = divmod(n_key_rows, size)
    widths = {whole_number(config, keys_of("width")), shapes[1][1 - keys.dim]}
    sizes = {size, value_size, whole_number(config, keys_of("head_dim"))}
    if odd or size < 2 or not n_heads or n_queries % n_heads:
        return None
    is_apart = len(keys.spans) == n_heads
    if not is_apart and (not value_size or any((b - a) % size for a, b in keys.spans)):
        return None
    if len(sizes - {0}) > 1 or len(widths - {0}) > 1:
        return None
    known = (1, n_queries, whole_number(config, keys_of("kv_heads")))
    if n_heads not in known and not value_size:  # else V/O dimensions say how many there are
        return None
    if not value_size and queries.tensor != keys.tensor:  # nothing says that there is one head
        return None
    return _joined(where, queries, keys, size, n_queries // n_heads)


def _rest(model: Model, rows: HeadRows, pieces: Mapping[RoleKey, Piece]) -> tuple[Place, ...]:
    """Values, what reads them, and biases: empty where one that is there does not fit the heads."""
    where, n_keys = (rows.axis.stack, rows.axis.block), rows.keys.size
    own = {role: pieces.get(RoleKey(*where, role)) for role in _REST}
    values, out = own["attn.v"], own["attn.o"]
    if values is None or out is None or out.index is not None or not out.is_whole:
        return ()
    biases = [own[role] for role in _REST[2:]]
    names = (rows.queries.tensor, rows.keys.tensor, values.tensor)
    beside = {f"{name.removesuffix('weight')}bias" for name in names} & model.tensors.keys()
    if beside != {bias.tensor for bias in biases if bias is not None}:
        return ()
    shape = model.tensors[out.tensor].shape
    dim = 0 if out.is_turned else 1
    if len(shape) != 2 or shape[dim] != rows.queries.size or _n_rows(values) != n_keys:
        return ()
    places = [_place(values, 1), Place(out.tensor, dim, 0, shape[dim], "attn.o", rows.repeat)]
    for bias, n_rows in zip(biases, (rows.queries.size, n_keys, n_keys), strict=True):
        if bias is not None:
            if _n_rows(bias) != n_rows:
                return ()
            places.append(_place(bias, rows.repeat if bias.role == "attn.q" else 1))
    return tuple(places)


def _has_unknown(model: Model, anatomy: Anatomy, tensor: str) -> bool:
    """Whether tensors that nobody knows stand in the attention of a matrix."""
    scope = ".".join([*tensor.split(".")[:-2], ""])
    return any(
        role == "other" and name.startswith(scope) and not (is_buffer(info) or is_scale(info))
        for name, role in anatomy.roles
        if (info := model.tensors.get(name)) is not None
    )


def latent_rows(model: Model, sizes: Mapping[str, int]) -> Iterator[HeadRows]:
    """Yield the key that all heads share where the others are read from a latent space.

    Parameters
    ----------
    model : Model
        The model; a sketch has none.
    sizes : mapping of str to int
        Dimensions of the latent space of keys and values, ``latent``; rotary and other dimensions
        of a query, ``rope`` and ``nope``; and the number of heads, ``heads``.

    Yields
    ------
    HeadRows
        One key head, of rotary dimensions alone, with all queries.
    """
    if model.sketched is not None or not all(sizes.values()):
        return
    rope, whole = sizes["rope"], sizes["rope"] + sizes["nope"]
    pieces = role_pieces(model.tensors)
    for key, keys in pieces.items():
        where = key.stack, key.block
        found = [x for role in QUERIES if (x := pieces.get(RoleKey(*where, role)))]
        if key.role != KEYS_BESIDE_LATENT or len(found) != 1:
            continue
        n_rows = sizes["latent"] + rope, sizes["heads"] * whole
        shapes = [model.tensors[x.tensor].shape for x in (keys, *found)]
        if any(len(shape) != 2 for shape in shapes) or (_n_rows(keys), _n_rows(*found)) != n_rows:
            continue
        begin, first = found[0].spans[0][0], keys.spans[0][0]
        starts = range(begin + sizes["nope"], begin + n_rows[1], whole)
        queries = replace(found[0], spans=tuple((at, at + rope) for at in starts), role="attn.q")
        behind = (first + sizes["latent"], first + n_rows[0])
        keys = replace(keys, spans=(behind,), role="attn.k")
        yield _joined(where, queries, keys, rope, sizes["heads"])


def _joined(
    where: tuple[str, int], queries: Piece, keys: Piece, size: int, repeat: int
) -> HeadRows:
    stack, block = where
    places = _place(queries, repeat), _place(keys, 1)
    n_heads = _n_rows(keys) // size
    axis = Axis(
        name="heads",
        kind="heads",
        stack=stack,
        block=block,
        n_units=n_heads,
        group=f"S_{size} in each of {n_heads} heads",
        labels=f"{stack}.{block}.heads",
        places=places,
        head_size=size,
    )
    return HeadRows(axis, *places, size, repeat)


def _place(piece: Piece, repeat: int) -> Place:
    spans = piece.spans if len(piece.spans) > 1 else ()
    start = piece.spans[0][0]
    return Place(piece.tensor, piece.dim, start, _n_rows(piece), piece.role, repeat, spans=spans)


def _n_rows(piece: Piece) -> int:
    return sum(b - a for a, b in piece.spans)
