"""Inputs that two models are both given: uniform tokens, text, random images, Gaussian vectors."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

from weightkin.catalogue.config import LENGTHS, keys_of
from weightkin.errors import UnreadableModel, UsageError, WeightkinError
from weightkin.formats.json_text import parse_object
from weightkin.papers.random_inputs import Inputs, gaussian_vectors, random_images, uniform_tokens
from weightkin.sources.local import LocalFile, home_of

LENGTH = 64  # tokens of one sequence, unless a model reads fewer
MAX_IMAGE_SIDE = 1 << 13  # pixels
MAX_TOKENIZER_BYTES = 16 << 20  # bytes
MAX_TOKENIZER = 1 << 27
MAX_TOKENIZER_ENTRIES = 4_000_000  # entries of a tokenizer's lists


class CannotRun(WeightkinError):
    """A model whose activations cannot be recorded here, and why in one line."""


@dataclass(frozen=True, slots=True)
class Reads:
    """What a model takes in, as its config says."""

    kind: Literal["tokens", "images"]
    n_vocabulary: int = 0
    max_length: int = LENGTH
    image: tuple[int, int, int] = (0, 0, 0)  # channels, height, width
    n_patches: int = 1  # of one image
    width: int = 0  # residual width; 0 where the config does not say


def what_it_reads(folder: str | Path) -> Reads:
    """Return what the model in a local folder takes in, from its config.json alone.

    Raises
    ------
    CannotRun
        No readable config, or one that names neither a vocabulary nor an image size.
    """
    config = read_config(Path(folder))
    text = config.get("text_config")
    own = [config, text] if isinstance(text, dict) else [config]
    width = max(_whole(part, key) for part in own for key in keys_of("width"))
    n_vocabulary = max(_whole(part, "vocab_size") for part in own)
    if n_vocabulary:
        lengths = [_whole(part, key) for part in own for key in LENGTHS]
        return Reads("tokens", n_vocabulary, min([LENGTH, *(n for n in lengths if n)]), width=width)
    size = config.get("image_size")
    height, across = size if isinstance(size, list) and len(size) == 2 else (size, size)
    sides = [n for n in (height, across) if isinstance(n, int) and 0 < n <= MAX_IMAGE_SIDE]
    channels = _whole(config, "num_channels") or 3
    if len(sides) == 2 and channels <= MAX_IMAGE_SIDE:
        patch = _whole(config, "patch_size") or 16
        n_patches = max(1, (sides[0] // patch) * (sides[1] // patch))
        return Reads("images", 0, 0, (channels, sides[0], sides[1]), n_patches, width)
    raise CannotRun(f"{folder}: its config names neither a vocabulary nor an image size")


def text_tokens(
    folder_a: str | Path,
    folder_b: str | Path,
    *,
    n_sequences: int,
    length: int = LENGTH,
    text: str | None = None,
    seed: int = 0,
) -> Inputs:
    """Text as the tokens of a tokenizer that both models share.

    Parameters
    ----------
    folder_a, folder_b : str or Path
        Local models, each with its ``tokenizer.json``.
    n_sequences, length : int
        Shape of the result: windows that do not overlap, drawn without replacement.
    text : str, optional
        By default the language reference that comes with Python, which is the same for both models
        but not for every Python.
    seed : int
        Chooses the windows.

    Returns
    -------
    Inputs
        Token ids of shape ``(n_sequences, length)``.

    Raises
    ------
    UsageError
        Tokenizers that differ, or a text too short.
    CannotRun
        A folder without ``tokenizer.json``, or tokenizers that cannot be loaded.
    """
    rules = [_tokenizer_rules(Path(folder)) for folder in (folder_a, folder_b)]
    if None in rules:
        folder = (folder_a, folder_b)[rules.index(None)]
        raise CannotRun(f"{folder}: no tokenizer.json, which text needs")
    if rules[0] != rules[1]:
        raise UsageError("tokenizers differ: the same text is not the same input")
    encode = _encoder(Path(folder_a) / "tokenizer.json")
    ids = np.array(encode(_language_reference() if text is None else text), dtype=np.int64)
    n_windows = len(ids) // length
    if n_windows < n_sequences:
        raise UsageError(
            f"the text has {n_windows} windows of {length} tokens, at least {n_sequences} needed"
        )
    chosen = np.random.default_rng([seed, 14]).permutation(n_windows)[:n_sequences]
    return Inputs("text", ids[: n_windows * length].reshape(n_windows, length)[chosen])


def shared_inputs(
    folder_a: str | Path, folder_b: str | Path, kind: str, n_tokens: int, seed: int
) -> Inputs:
    """Inputs that both models read; images for models of images, unless vectors are asked for.

    Parameters
    ----------
    folder_a, folder_b : str or Path
        Local models.
    kind : str
        ``uniform``, ``text`` or ``gaussian``.
    n_tokens : int
        Positions in all, rounded up to whole sequences or images.
    seed : int
        Draws the inputs.

    Returns
    -------
    Inputs
        The same for both.

    Raises
    ------
    UsageError
        Another kind, no token, or a text too short.
    CannotRun
        The two read different things, or a config or tokenizer cannot be used.
    """
    a, b = what_it_reads(folder_a), what_it_reads(folder_b)
    if n_tokens < 1 or kind not in ("uniform", "text", "gaussian"):
        raise UsageError("inputs must be uniform, text or gaussian, of at least one token")
    if kind == "gaussian":
        if a.width != b.width:
            raise CannotRun(f"residual widths differ: {a.width} and {b.width}")
        if not a.width:
            raise CannotRun(f"{folder_a}: its config does not name a residual width")
        return gaussian_vectors(a.width, n_tokens, seed)
    if a.kind != b.kind:
        raise CannotRun(f"a reads {a.kind}, b reads {b.kind}")
    if a.kind == "images":
        if a.image != b.image:
            raise CannotRun(f"image shapes differ: {a.image} and {b.image}")
        return random_images(a.image, math.ceil(n_tokens / a.n_patches), seed)
    if have_equal_tokenizers(folder_a, folder_b) is False:
        raise CannotRun("tokenizers differ: the same tokens are not the same input")
    length = min(a.max_length, b.max_length)
    n = math.ceil(n_tokens / length)
    if kind == "text":
        return text_tokens(folder_a, folder_b, n_sequences=n, length=length, seed=seed)
    return uniform_tokens(min(a.n_vocabulary, b.n_vocabulary), n, length, seed)


def have_equal_tokenizers(folder_a: str | Path, folder_b: str | Path) -> bool | None:
    """Whether two models cut text alike; None where a ``tokenizer.json`` is missing.

    Added tokens and templates are left out: fine-tuning changes them and keeps the vocabulary.
    """
    rules = [_tokenizer_rules(Path(folder)) for folder in (folder_a, folder_b)]
    return None if None in rules else rules[0] == rules[1]


def read_config(folder: Path) -> Mapping[str, Any]:
    """Read config.json as plain JSON."""
    return _read_json(folder / "config.json", MAX_TOKENIZER_BYTES)


def library(name: str) -> Any:
    """Import a package of the extra ``[torch]``, or say in one line what to install."""
    try:
        return import_module(name)
    except ImportError as error:
        wanted = "activation tests need torch and transformers"
        raise CannotRun(f"{wanted}: pip install 'weightkin[torch]' ({error})") from None


def _tokenizer_rules(folder: Path) -> list[Any] | None:
    path = folder / "tokenizer.json"
    if not os.path.lexists(path):
        return None
    data = _read_json(path, MAX_TOKENIZER)
    return [data.get(key) for key in ("model", "normalizer", "pre_tokenizer")]


def _encoder(path: Path) -> Callable[[str], list[int]]:
    tokenizers = library("tokenizers")
    try:
        tokenizer = tokenizers.Tokenizer.from_str(_contents(path, MAX_TOKENIZER).decode("utf-8"))
    except Exception as error:  # the package raises nothing narrower
        raise CannotRun(f"{path}: {_first_line(error)}") from None
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def _language_reference() -> str:
    return "\n".join(import_module("pydoc_data.topics").topics.values())


def _read_json(path: Path, limit: int) -> Mapping[str, Any]:
    try:
        raw = _contents(path, limit)
        return parse_object(raw, path, path.stem, is_hint=True, most=MAX_TOKENIZER_ENTRIES)
    except UnreadableModel as error:
        raise CannotRun(str(error)) from None


def _contents(path: Path, limit: int) -> bytes:
    """A small file of a model's folder, opened as every other one there."""
    file = LocalFile(path, (home_of(path.parent),))
    if file.size > limit:
        raise CannotRun(f"{path}: more than {limit} bytes")
    return file.read([(0, file.size)]).tobytes()


def _whole(config: Mapping[str, Any], key: str) -> int:
    value = config.get(key)
    return value if isinstance(value, int) and value > 0 else 0


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
