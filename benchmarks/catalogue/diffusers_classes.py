"""The classes of diffusers: which there are, and each at real size and tiny."""

from __future__ import annotations

import functools
import inspect
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers.models.modeling_utils import ModelMixin

from benchmarks.catalogue.example_inputs import first_that_runs
from benchmarks.catalogue.shrink import tiny_values
from benchmarks.catalogue.sizes import APART, Apart, what_is

GIVEN = Path(__file__).with_name("diffusers.json")  # by class: what the defaults and rules lack
_AXES = (
    "axes_dims_rope",
    "rope_axes_dim",
    "axes_dims",
    "axes_dim_rope",
    "rope_dim_list",
    "rope_dim",
)


@functools.cache
def names() -> tuple[str, ...]:
    """Classes with weights of their own; those that only hold a list of others are left out."""
    found = []
    for name in sorted(dir(diffusers)):
        cls = getattr(diffusers, name, None)
        if inspect.isclass(cls) and issubclass(cls, ModelMixin) and cls is not ModelMixin:
            own = set(inspect.signature(cls.__init__).parameters)
            if not own & {"controlnets", "adapters", "args"}:
                found.append(name)
    return tuple(found)


@functools.cache
def given() -> dict[str, dict[str, Any]]:
    """Arguments by class: ``real`` beside the defaults, ``tiny`` over the rules.

    ``set`` are fields of a tiny instance, such as that it works in tiles, and how large these are.
    """
    loaded: dict[str, dict[str, Any]] = json.loads(GIVEN.read_text(encoding="utf-8"))
    return loaded


def real_values(name: str) -> dict[str, Any]:
    """Return arguments of a class at real size: its defaults, or those of its published model."""
    parameters = inspect.signature(getattr(diffusers, name).__init__).parameters
    defaults = {k: p.default for k, p in parameters.items() if p.default is not p.empty}
    return defaults | {k: _tuples(v) for k, v in given().get(name, {}).get("real", {}).items()}


def build(name: str, which: int | None, apart: Sequence[Apart] = APART) -> torch.nn.Module:
    """Build one class: tiny (0, 1; the first way to be small that runs), or at real size (None)."""
    cls = getattr(diffusers, name)
    real = real_values(name)
    if which is None:
        with torch.device("meta"):
            return _built(cls, real)
    fields = {k: _tuples(v) for k, v in given().get(name, {}).get("set", {}).items()}
    tries = (lambda x=x: _set(_built(cls, _tiny(name, real, which, x)), fields) for x in apart)
    return first_that_runs(tries)


def _set(model: torch.nn.Module, fields: Mapping[str, Any]) -> torch.nn.Module:
    for name, value in fields.items():
        setattr(model, name, value)
    return model


def _tiny(name: str, real: Mapping[str, Any], which: int, apart: Apart) -> dict[str, Any]:
    values = tiny_values(real, which, apart=apart)
    values |= _as_wide_as_heads(real, values)
    for key, pair in given().get(name, {}).get("tiny", {}).items():
        new = pair[which] if isinstance(pair, list) else pair
        values[key] = new if isinstance(real.get(key), list) else _tuples(new)
    head = values.get("attention_head_dim") or values.get("head_dim")
    if not isinstance(head, int) and "num_attention_heads" in values:
        head = next((v // values["num_attention_heads"] for k, v in values.items()
                     if k in ("hidden_size", "dim") and isinstance(v, int)), None)  # fmt: skip
    for key in _AXES:
        if (
            isinstance(axes := values.get(key), list | tuple)
            and isinstance(head, int)
            and key not in given().get(name, {}).get("tiny", {})
        ):
            part = 2 * (head // 2 // len(axes))
            values[key] = type(axes)([head - part * (len(axes) - 1), *[part] * (len(axes) - 1)])
    return values


def _as_wide_as_heads(real: Mapping[str, Any], tiny: Mapping[str, Any]) -> dict[str, int]:
    """Widths that are those of all heads together in the real model, and second kinds of heads."""
    found: dict[str, int] = {}
    wide: dict[int, int] = {}  # tiny widths by real ones
    for n, size in itertools.product(real, real):
        is_pair = what_is(n) == "heads" and what_is(size) == "head_dim"
        if not is_pair or n.replace("num_", "").partition("head")[0] != size.partition("head")[0]:
            continue
        if not (isinstance(real[n], int) and isinstance(real[size], int)):
            continue
        width = wide.setdefault(real[n] * real[size], tiny[n] * tiny[size])
        if width % tiny[n] == 0:
            found[size] = width // tiny[n]
    for key, value in real.items():
        if what_is(key) == "width" and isinstance(value, int) and value in wide:
            found[key] = wide[value]
    return found


def _tuples(value: Any) -> Any:
    """Lists of a JSON file as tuples."""
    return tuple(_tuples(x) for x in value) if isinstance(value, list) else value


def _built(cls: Any, values: Mapping[str, Any]) -> torch.nn.Module:
    model: torch.nn.Module = cls(**values)
    return model.eval()
