"""Inputs that are drawn at random: tokens, images, vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from weightkin.errors import UsageError

InputKind = Literal["uniform", "text", "images", "gaussian"]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is fed to both models.

    ``values`` has shape ``(n_sequences, length)`` (token ids), ``(n_images, channels, height,
    width)`` or ``(n, residual width)`` (vectors given to every MLP directly, kind ``gaussian``).
    """

    kind: InputKind
    values: npt.NDArray[Any]


def uniform_tokens(n_vocabulary: int, n_sequences: int, length: int, seed: int) -> Inputs:
    """Token ids drawn uniformly from a vocabulary.

    The inputs of phi_H in the first paper; they favour no language and need no tokenizer.

    Parameters
    ----------
    n_vocabulary, n_sequences, length : int
        Ids are below the first; the other two are the shape of the result.
    seed : int
        Draws the ids.

    Returns
    -------
    Inputs
        Whole numbers of shape ``(n_sequences, length)``.

    Raises
    ------
    UsageError
        A size is below 1.
    """
    if min(n_vocabulary, n_sequences, length) < 1:
        raise UsageError("uniform tokens: sizes must be at least 1")
    rng = np.random.default_rng([seed, 11])
    return Inputs("uniform", rng.integers(n_vocabulary, size=(n_sequences, length)))


def random_images(shape: tuple[int, int, int], n_images: int, seed: int) -> Inputs:
    """Images of independent standard normal pixels.

    Parameters
    ----------
    shape : (int, int, int)
        Of one image: channels, height, width.
    n_images, seed : int
        How many, and what they are drawn from.

    Returns
    -------
    Inputs
        Values of shape ``(n_images, *shape)``.

    Raises
    ------
    UsageError
        A size is under 1.
    """
    if min(n_images, *shape) < 1:
        raise UsageError("random images: sizes must be at least 1")
    rng = np.random.default_rng([seed, 12])
    return Inputs("images", rng.standard_normal((n_images, *shape), dtype=np.float32))


def gaussian_vectors(width: int, n: int, seed: int) -> Inputs:
    """Isotropic Gaussian vectors for every MLP of a model by itself.

    Parameters
    ----------
    width, n, seed : int
        Entries of one vector, how many, and what they are drawn from.

    Returns
    -------
    Inputs
        Values of shape ``(n, width)``.

    Raises
    ------
    UsageError
        A size is under 1.
    """
    if min(width, n) < 1:
        raise UsageError("Gaussian vectors: sizes must be at least 1")
    rng = np.random.default_rng([seed, 13])
    return Inputs("gaussian", rng.standard_normal((n, width), dtype=np.float32))
