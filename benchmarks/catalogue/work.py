"""Making one class in a process of a pool, within a limit of time; plain facts come out."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

LIMIT = 180  # seconds of computing for one class
VISION = Path(__file__).with_name("vision.txt")


class LateError(BaseException):
    """A class took longer than its limit; not an Exception, so that no library catches it."""


@cache
def _classes() -> dict[str, Any]:
    """Those of timm and torchvision where these are there: beside them, others import otherwise."""
    from benchmarks.catalogue.vision_operators import declare_operators

    if find_spec("torchvision") is not None:
        declare_operators()  # before anything imports it
    from benchmarks.catalogue import vision_classes

    if found := vision_classes.all_classes():
        return {str(own): own for own in found}
    from benchmarks.catalogue.classes import all_classes

    return {str(own): own for own in all_classes(only_main=True)}


def known_classes() -> tuple[str, ...]:
    """Names of all classes, as ``library:model type:class``."""
    return tuple(_classes())


def library_versions() -> dict[str, str]:
    """Versions of the libraries."""
    pinned = (line.split("==") for line in VISION.read_text(encoding="utf-8").splitlines())
    beside = {x[0]: x[1] for x in pinned if len(x) == 2}
    return {name: version(name) for name in ("transformers", "diffusers")} | beside


def made_facts(name: str) -> dict[str, Any]:
    """Make a class: its entry, and what there is to say about it, as JSON can hold it."""
    import torch

    from benchmarks.catalogue.make import Made, made
    from weightkin.catalogue.traced import entry_facts

    torch.set_num_threads(1)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    own = _classes()[name]
    start = time.process_time()
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    before = signal.signal(signal.SIGPROF, _late)
    signal.setitimer(signal.ITIMER_PROF, LIMIT)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = made(recipe_of(name))
    except LateError:
        found = Made(None, f"over {LIMIT} s")
    except Exception as error:  # whatever the library raises is what there is to say
        found = Made(None, f"{type(error).__name__}: {error}".splitlines()[0][:160])
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        logging.disable(level)
    facts = asdict(found)
    facts["entry"] = entry_facts(found.entry) if found.entry else None
    facts["class"] = f"{own.library}.{own.name}"
    facts["seconds"] = round(time.process_time() - start, 1)
    facts["shares"] = [round(x, 3) for x in found.shares]
    return facts


def _late(*_: object) -> None:
    raise LateError


def recipe_of(name: str) -> Any:
    """How a class is built and run."""
    own = _classes()[name]
    import torch

    from benchmarks.catalogue import diffusers_classes, transformers_classes, vision_classes
    from benchmarks.catalogue.classes import example_inputs
    from benchmarks.catalogue.idle import with_idle_parts
    from benchmarks.catalogue.recipe import Recipe, Tiny
    from benchmarks.catalogue.sizes import APART, Apart
    from benchmarks.catalogue.variants import VALUES

    if isinstance(own, vision_classes.VisionClass):
        return vision_classes.recipe(own)
    if own.name in VALUES:
        return _by_hand(own)
    is_transformers = own.library == "transformers"

    def build(which: int, seed: int, apart: Sequence[Apart] = APART) -> Tiny:
        torch.manual_seed(seed)
        if is_transformers:
            module = transformers_classes.build(own.kind, own.name, which, apart).float()
            config = module.config.to_dict()  # type: ignore[operator, union-attr]
            torch.manual_seed(1)
            return Tiny(module, with_idle_parts(module, example_inputs(module)), config)
        else:
            module = diffusers_classes.build(own.name, which, apart).float()
            config = dict(module.config)  # type: ignore[call-overload]
        torch.manual_seed(1)
        return Tiny(module, example_inputs(module), config)

    if is_transformers:
        defaults = transformers_classes.real_config(own.kind, own.name).to_dict()
    else:
        defaults = diffusers_classes.real_values(own.name)
    kinds = (own.kind,) if is_transformers else ()
    return Recipe(
        f"{own.library}.{own.name}",
        kinds,
        build,
        defaults,
        published=lambda: _as_published(own),
        build_alike=lambda seed: build(0, seed, ("one",)),
    )


def _as_published(own: Any) -> Any:
    """Shapes and config of a class at real size, as a reader sees them."""
    from benchmarks.catalogue.as_read import shapes_as_read
    from benchmarks.catalogue.classes import real
    from benchmarks.catalogue.saved import empty_model

    model = empty_model(real(own))
    shapes = {name: info.shape for name, info in model.tensors.items()}
    return shapes_as_read(shapes), model.config


def _by_hand(own: Any) -> Any:
    """Instances with settings and inputs of their own."""
    import diffusers
    import torch

    from benchmarks.catalogue import diffusers_classes
    from benchmarks.catalogue.recipe import Recipe, Tiny
    from benchmarks.catalogue.variants import VALUES, inputs_of

    defaults = diffusers_classes.real_values(own.name)

    def build(which: int, seed: int) -> Tiny:
        torch.manual_seed(seed)
        module = getattr(diffusers, own.name)(**{**defaults, **VALUES[own.name][which]})
        config = dict(module.config)
        torch.manual_seed(1)
        return Tiny(module.eval(), inputs_of(own.name, config), config)

    return Recipe(f"{own.library}.{own.name}", (), build, defaults, len(VALUES[own.name]))
