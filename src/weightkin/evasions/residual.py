"""Rewrites of the residual stream: permuted, or rotated with the gains of its norms replaced."""

from __future__ import annotations

import numpy as np

from weightkin.anatomy.types import Anatomy
from weightkin.evasions.places import (
    Arrays,
    Floats,
    Rewritten,
    axes_of,
    by_labels,
    finish,
    random_rotations,
    random_scales,
    random_signs,
    reorder,
    widen,
)
from weightkin.evasions.stream import Stream, open_stream, turn


def permute_residual(arrays: Arrays, anatomy: Anatomy, rng: np.random.Generator) -> Rewritten:
    """Put the dimensions of the residual stream in a random order, one for each stream.

    Preserves the function wherever the anatomy declares a residual axis; tied embeddings stay tied.
    The hidden states a headless model returns are permuted.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of the model.
    anatomy : Anatomy
        Where its axes lie.
    rng : Generator
        Draws the orders.

    Returns
    -------
    Rewritten

    Raises
    ------
    UsageError
        No residual axis is known.
    """
    wide = widen(arrays)
    for axis, places in by_labels(axes_of(anatomy, "residual")):
        order = rng.permutation(axis.n_units)
        for place in places:
            reorder(wide, place, order)
    return finish(wide, "permute_residual")


def rotate_residual(
    arrays: Arrays,
    anatomy: Anatomy,
    rng: np.random.Generator,
    *,
    spread: float = 2.0,
    gain_offset: float = 0.0,
) -> Rewritten:
    """Rotate the residual stream at random and replace all gains of its norms.

    The new gains are random, of either sign; the matrices that read a norm make up for them (and
    for new random biases, where they have biases). Norms that subtract the mean allow only
    rotations that fix the ones vector; those are drawn.

    Preserves the function of Llama-like, Mixtral-like, GPT-2 and ViT models, where every norm is
    read by matrices alone. An unembedding tied to the embedding is written out as
    ``lm_head.weight``, and ``config_changes`` unties the two, since only one reads the last norm.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Tensors of the model.
    anatomy : Anatomy
        Where its axes lie.
    rng : Generator
        Draws the rotation, gains and biases.
    spread : float
        New gains are between ``1 / spread`` and ``spread`` in size; over 1.
    gain_offset : float
        1.0 for models that multiply by ``1 + weight`` (Gemma), which the weights do not show.

    Returns
    -------
    Rewritten

    Raises
    ------
    UsageError
        Which matrix reads which norm is not known, or ``spread`` is not over 1.
    """
    wide = widen(arrays)
    stream = open_stream(wide, anatomy)
    vectors: dict[str, Floats] = {}
    for norm in stream.norms:
        signs = random_signs(rng, stream.width)
        vectors[norm.gain] = signs * random_scales(rng, stream.width, spread)
        if norm.bias is not None:
            vectors[norm.bias] = 0.1 * rng.standard_normal(stream.width)
    turn(wide, stream, _draw(rng, stream), vectors, gain_offset)
    return finish(wide, "rotate_residual", **untied(stream))


def untied(stream: Stream) -> dict[str, bool]:
    """Return what the config must say after the gains of a language model have moved."""
    has_unembedding = any(p.role == "unembed" for norm in stream.norms for p in norm.readers)
    return {"tie_word_embeddings": False} if has_unembedding else {}


def centred_basis(width: int) -> Floats:
    """Orthonormal columns that span what is orthogonal to ones: shape ``(width, width - 1)``."""
    ones = np.ones((width, 1))
    return np.asarray(np.linalg.qr(np.hstack([ones, np.eye(width)[:, 1:]]))[0][:, 1:])


def fixing_ones(inner: Floats) -> Floats:
    """Extend a rotation of the space orthogonal to ones by the identity on ones."""
    width = len(inner) + 1
    basis = centred_basis(width)
    return np.asarray(basis @ inner @ basis.T + 1 / width)


def _draw(rng: np.random.Generator, stream: Stream) -> Floats:
    if stream.is_centred:
        return fixing_ones(random_rotations(rng, 1, stream.width - 1)[0])
    return np.asarray(random_rotations(rng, 1, stream.width)[0])
