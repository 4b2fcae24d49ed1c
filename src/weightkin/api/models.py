"""What a verb takes as a model: one that is open, a source to open, or a state dict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from weightkin.anatomy import Anatomy
from weightkin.anatomy import read_anatomy as anatomy_of
from weightkin.api.arguments import check_kind
from weightkin.errors import UsageError
from weightkin.formats import Model, model_from_arrays
from weightkin.formats import digest as digest_of
from weightkin.formats import full_digest as full_digest_of
from weightkin.sketch.source import open_model as opened

Source = Model | str | Path | Mapping[str, Any]


def open_model(source: Source) -> Model:
    """Open a model that lies on this machine or on a hub, reading headers only.

    Parameters
    ----------
    source : str, Path or mapping
        A folder, a file of weights or a sketch; ``org/name`` or ``hf://org/name`` on a hub, both
        with an optional ``@revision``, then an optional ``:file`` or ``:folder`` inside it; or
        ``base+adapter``. A state dict (names to arrays or torch tensors) is a model in memory.

    Returns
    -------
    Model
        Tensors in sorted name order. What could not be read is in ``problems``; ``revision`` is
        the commit of a hub.

    Raises
    ------
    UsageError
        It is none of these.
    UnreadableModel
        Nothing could be read, or the source is malformed in a way that is refused.
    OutOfReach
        It is on a hub that cannot be asked, and not in the cache.
    """
    named = as_source("source", source)
    return named if isinstance(named, Model) else opened(named)


def digest(model: Source) -> str:
    """Identity of a model by names, dtypes, shapes and a sample: ``wk1-`` and 64 hex digits."""
    return digest_of(open_model(model))


def full_digest(model: Source) -> str:
    """Identity of a model by all its bytes: ``wkfull1-`` and 64 hex digits."""
    return full_digest_of(open_model(model))


def read_anatomy(model: Source) -> Anatomy:
    """Blocks, roles of tensors, and axes of units with their symmetries."""
    return anatomy_of(open_model(model))


def as_source(name: str, value: Any) -> Model | str | Path:
    """An open model or a source to open; a state dict becomes a model.

    Raises
    ------
    UsageError
        It is none of them; ``name`` is that of the argument.
    """
    if isinstance(value, Model | str | Path):
        return value
    if isinstance(value, PathLike):
        return Path(check_kind(name, value.__fspath__(), str, "a path of text"))
    if isinstance(value, Mapping):
        return _of_state_dict(name, value)
    hint = ": pass its state_dict()" if hasattr(value, "state_dict") else ""
    wanted = "a model, a path, a name on a hub or a state dict"
    raise UsageError(f"{name} must be {wanted}, not a {type(value).__name__}{hint}")


def as_sources(name: str, values: Any, also: tuple[type, ...] = ()) -> list[Any]:
    """At least one model or source, in a list.

    Parameters
    ----------
    name : str
        The argument's, for the error.
    values : object
        What was given.
    also : tuple of type
        Values of these types pass as they are.

    Returns
    -------
    list
        Models, paths and names; a state dict becomes a model.

    Raises
    ------
    UsageError
        It is no list, is empty, or holds something else.
    """
    if isinstance(values, str | bytes | PathLike | Mapping | Model) or not isinstance(
        values, Sequence
    ):
        raise UsageError(f"{name} must be a list of models, not a {type(values).__name__}")
    if not values:
        raise UsageError(f"{name} is empty; name at least one model")
    return [
        x if also and isinstance(x, also) else as_source(f"{name}[{k}]", x)
        for k, x in enumerate(values)
    ]


def _of_state_dict(name: str, state: Mapping[Any, Any]) -> Model:
    """A model in memory, named after its digest: equal contents have one name."""
    arrays = {}
    for key, value in state.items():
        check_kind(f"a key of {name}", key, str, "a text")
        arrays[key] = _array(f"{name}[{key!r}]", value)
    if not arrays:
        raise UsageError(f"{name} is an empty state dict")
    model = model_from_arrays(arrays)
    own = f"state-dict-{digest_of(model).partition('-')[2][:12]}"
    return replace(model, name=own, source=own)


def _array(name: str, value: Any) -> npt.NDArray[Any]:
    """An array as numpy holds it; a torch tensor is copied from where it is, never imported."""
    if type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach"):
        return _of_tensor(name, value)
    if not hasattr(value, "__array__"):
        raise UsageError(f"{name} must be an array, not a {type(value).__name__}")
    return np.asarray(value)


def _of_tensor(name: str, tensor: Any) -> npt.NDArray[Any]:
    kind = str(tensor.dtype).removeprefix("torch.")
    try:
        plain = tensor.detach().cpu().contiguous()
        if not hasattr(ml_dtypes, kind):
            return np.asarray(plain.numpy())
        import torch  # it is there: this is one of its tensors

        raw = plain.reshape(-1).view(torch.uint8).numpy()
        return np.asarray(raw.view(getattr(ml_dtypes, kind)).reshape(tuple(plain.shape)))
    except (TypeError, RuntimeError, NotImplementedError) as error:
        why = " ".join(str(error).split())[:200]
        raise UsageError(f"{name} is a tensor whose values cannot be read ({why})") from None
