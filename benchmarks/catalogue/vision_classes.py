"""Classes of timm and torchvision, from packages beside the environment (`make vision`).

Their models come in named sizes, not in configs, so the instances of a class are some of its
members. Members whose tensors differ in more than numbers and sizes are classes of their own:
``vision.json`` lists them, as `vision_members` finds them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch

from benchmarks.catalogue.example_inputs import run
from benchmarks.catalogue.recipe import Recipe, Tiny
from benchmarks.catalogue.sizes import LABELS
from benchmarks.catalogue.vision_operators import declare_operators, let_nms_run
from benchmarks.catalogue.vision_smaller import shallow, smaller

MEMBERS = Path(__file__).with_name("vision.json")
SIZES = (96, 128, 192)  # of pictures, where a model takes any
N_INSTANCES = 2  # of a member that stands alone
_DETECTORS = ("rcnn", "fcos", "retinanet", "ssd")
_VIDEOS = ("r3d", "mc3", "r2plus1d", "s3d", "mvit")


@dataclass(frozen=True, slots=True)
class VisionClass:
    """A class of a library, and its members that stand for it."""

    library: Literal["timm", "torchvision"]
    name: str
    members: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.library}:{self.name}:{self.members[0]}"


def all_classes() -> tuple[VisionClass, ...]:
    """Return every class of both libraries, none where they are not there."""
    if find_spec("timm") is None or find_spec("torchvision") is None:
        return ()
    listed = json.loads(MEMBERS.read_text(encoding="utf-8"))
    return tuple(
        VisionClass(library, name, tuple(members))
        for library in ("timm", "torchvision")
        for name, groups in listed[library].items()
        for members in groups
    )


def recipe(own: VisionClass) -> Recipe:
    """How a class is built: its members one after the other, each with labels of its own.

    One that stands alone is built at two depths, where it takes any.
    """
    members, options = own.members, dict[int, Mapping[str, Any]]()
    if own.library == "timm" and len(members) == 1 and shallow(members[0], 0):
        members *= N_INSTANCES

    def build(which: int, seed: int) -> Tiny:
        member, n_labels = members[which], LABELS[which % len(LABELS)]
        error: Exception | None = None
        tries = smaller(member, which) if own.library == "timm" else [{}]
        for chosen in [options[which]] if which in options else tries:
            torch.manual_seed(seed)
            try:
                module = built(own.library, member, n_labels, chosen).float().eval()
                torch.manual_seed(1)
                inputs = example_inputs(own.library, member, module, chosen.get("img_size"))
            except Exception as found:  # whatever the library raises: the next may do
                error = found
            else:
                options[which] = chosen
                return Tiny(module, inputs, {})
        raise error or RuntimeError("nothing to build")

    n = len(members)
    return Recipe(f"{own.library}.{own.name}", (), build, n_instances=n, are_members=True)


def built(
    library: str, name: str, n_labels: int, options: Mapping[str, Any] | None = None
) -> torch.nn.Module:
    """A member with random weights, as its library begins them.

    Parameters
    ----------
    library : str
        ``timm`` or ``torchvision``.
    name : str
        As the library lists it.
    n_labels : int
        Number of labels, where it has any.
    options : mapping, optional
        Arguments of the class in the place of those of the member.

    Returns
    -------
    torch.nn.Module
        As it is published but for its labels and those options.
    """
    declare_operators()
    model: torch.nn.Module
    if library == "timm":
        import timm  # type: ignore[import-not-found]  # of `make vision`

        model = timm.create_model(name, pretrained=False, num_classes=n_labels, **(options or {}))
        return model
    from torchvision import models  # type: ignore[import-not-found]

    let_nms_run()
    model = models.get_model(name, **_options(name, n_labels))
    return model


def _options(name: str, n_labels: int) -> dict[str, Any]:
    options: dict[str, Any] = {"weights": None}
    if not name.startswith("raft"):
        options["num_classes"] = n_labels
    if any(x in name for x in (*_DETECTORS, "deeplab", "fcn", "lraspp")):
        options["weights_backbone"] = None
    if any(x in name for x in ("rcnn", "fcos", "retinanet")):
        options |= {"min_size": 96, "max_size": 128}
    if "rcnn" in name:  # few boxes: they are cut out one by one
        options |= {"rpn_pre_nms_top_n_test": 8, "rpn_post_nms_top_n_test": 8}
    if any(x in name for x in ("deeplab", "fcn")):
        options["aux_loss"] = True
    if name in ("googlenet", "inception_v3"):
        options["init_weights"] = False
    return options


def example_inputs(
    library: str, name: str, module: torch.nn.Module, image: int | None = None
) -> dict[str, Any]:
    """The smallest inputs that a member takes.

    Parameters
    ----------
    library : str
        ``timm`` or ``torchvision``.
    name : str
        Of the member.
    module : torch.nn.Module
        The member.
    image : int, optional
        The side of a picture that it was built for, where that is not as published.

    Returns
    -------
    dict of str to Any
        Arguments of a forward pass.

    Raises
    ------
    RuntimeError
        It takes none of those that are tried.
    """
    error: Exception | None = None
    for inputs in _tries(library, name, module, image):
        try:
            run(module, inputs)
        except Exception as found:  # whatever the library raises: the next size may fit
            error = error or found
        else:
            return inputs
    raise RuntimeError(f"no inputs: {error}")


def _tries(
    library: str, name: str, module: torch.nn.Module, image: int | None
) -> Iterator[Mapping[str, Any]]:
    if any(word in name for word in _DETECTORS):
        yield {"images": [torch.randn(3, 96, 96)]}
        return
    if name.startswith("raft"):
        yield {"image1": torch.randn(1, 3, 128, 128), "image2": torch.randn(1, 3, 128, 128)}
        return
    config = getattr(module, "default_cfg", {}) if library == "timm" else {}
    real = config.get("input_size", (3, 224, 224))
    sizes = () if config.get("fixed_input_size") else [n for n in SIZES if n < real[-1]]
    if image is not None:
        sizes, real = (), (real[0], image, image)
    frames = (16,) if name.startswith(_VIDEOS) or "3d" in name else ()
    for n in (*sizes, real[-1]):
        yield {
            "input" if name.startswith("lraspp") else "x": torch.randn(1, real[0], *frames, n, n)
        }
