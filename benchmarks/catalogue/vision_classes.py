"""Classes of timm and torchvision, from an environment of their own (`make vision`).

Their members come in sizes, so the two instances of a family are two of its members. As
``classes.py`` for the other libraries: `all_classes`, `tiny`, `real`, `example_inputs`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import torch

from benchmarks.catalogue.sizes import LABELS
from benchmarks.catalogue.vision_operators import declare_operators, let_nms_run
from benchmarks.catalogue.weights import randomise

_SMALL = ("test_", "atto", "femto", "pico", "nano", "xxs", "xx_small", "x0_5", "tiny", "_t", "_xs",
          "x_small", "small", "_s", "18", "34", "b0", "26", "50", "b1")  # fmt: skip
_TORCHVISION = {  # members of a family that differ in depth or width
    "alexnet": ("alexnet",),
    "convnext": ("convnext_tiny", "convnext_small"),
    "deeplabv3": ("deeplabv3_resnet50", "deeplabv3_resnet101"),
    "deeplabv3_mobilenet": ("deeplabv3_mobilenet_v3_large",),
    "densenet": ("densenet121", "densenet169"),
    "efficientnet": ("efficientnet_b0", "efficientnet_b1"),
    "efficientnet_v2": ("efficientnet_v2_s", "efficientnet_v2_m"),
    "fasterrcnn": ("fasterrcnn_resnet50_fpn",),
    "fasterrcnn_mobilenet": ("fasterrcnn_mobilenet_v3_large_fpn",),
    "fcn": ("fcn_resnet50", "fcn_resnet101"),
    "fcos": ("fcos_resnet50_fpn",),
    "googlenet": ("googlenet",),
    "inception_v3": ("inception_v3",),
    "keypointrcnn": ("keypointrcnn_resnet50_fpn",),
    "lraspp": ("lraspp_mobilenet_v3_large",),
    "maskrcnn": ("maskrcnn_resnet50_fpn",),
    "maxvit": ("maxvit_t",),
    "mnasnet": ("mnasnet0_5", "mnasnet1_0"),
    "mobilenet_v2": ("mobilenet_v2",),
    "mobilenet_v3": ("mobilenet_v3_small", "mobilenet_v3_large"),
    "mvit": ("mvit_v1_b", "mvit_v2_s"),
    "r3d": ("r3d_18",),
    "raft": ("raft_small", "raft_large"),
    "regnet": ("regnet_y_400mf", "regnet_y_800mf"),
    "resnet": ("resnet18", "resnet34"),
    "resnet_bottleneck": ("resnet50", "resnet101"),
    "resnext": ("resnext50_32x4d", "resnext101_32x8d"),
    "retinanet": ("retinanet_resnet50_fpn",),
    "s3d": ("s3d",),
    "shufflenet": ("shufflenet_v2_x0_5", "shufflenet_v2_x1_0"),
    "squeezenet": ("squeezenet1_0", "squeezenet1_1"),
    "ssd": ("ssd300_vgg16",),
    "ssdlite": ("ssdlite320_mobilenet_v3_large",),
    "swin": ("swin_t", "swin_s"),
    "swin3d": ("swin3d_t", "swin3d_s"),
    "swin_v2": ("swin_v2_t", "swin_v2_s"),
    "vgg": ("vgg11", "vgg13"),
    "vgg_bn": ("vgg11_bn", "vgg13_bn"),
    "vit": ("vit_b_16", "vit_l_16"),
}
_DETECTORS = ("rcnn", "fcos", "retinanet", "ssd")
_VIDEOS = ("r3d", "s3d", "swin3d", "mvit")


@dataclass(frozen=True, slots=True)
class VisionClass:
    """A family of a library, and its members that stand for it."""

    library: Literal["timm", "torchvision"]
    kind: str
    members: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.library}:{self.kind}:{self.members[0]}"


def all_classes() -> tuple[VisionClass, ...]:
    """Return every family of both libraries."""
    timm = _timm()
    found = [
        VisionClass("timm", kind, _two_small(timm.list_models(module=kind)))
        for kind in timm.list_modules()
    ]
    return (*found, *(VisionClass("torchvision", k, v) for k, v in _TORCHVISION.items()))


def tiny(own: VisionClass, which: int, seed: int) -> torch.nn.Module:
    """Build one of the two members (the only one where there is one), with random weights."""
    torch.manual_seed(seed)
    name = own.members[min(which, len(own.members) - 1)]
    model = _built(own.library, name, LABELS[which]).float().eval()
    randomise(model, seed)
    return model


def real(own: VisionClass) -> torch.nn.Module:
    """Build the larger member on the meta device, as it is published."""
    with torch.device("meta"):
        return _built(own.library, own.members[-1], 1000)


def example_inputs(own: VisionClass, model: torch.nn.Module) -> tuple[Any, ...]:
    """Return positional arguments of a forward pass, of the size that the model was made for."""
    generator = torch.Generator().manual_seed(7)
    if own.library == "timm":
        size = getattr(model, "default_cfg", {}).get("input_size", (3, 224, 224))
        return (torch.randn(1, *size, generator=generator),)
    if own.kind == "raft":
        return (torch.randn(1, 3, 128, 128), torch.randn(1, 3, 128, 128))
    if any(word in own.kind for word in _DETECTORS):
        return ([torch.randn(3, 96, 96, generator=generator)],)
    if own.kind in _VIDEOS:
        return (torch.randn(1, 3, 16, 224, 224, generator=generator),)
    return (torch.randn(1, 3, 224, 224, generator=generator),)


def _two_small(names: list[str]) -> tuple[str, ...]:
    """Two members whose names say that they are small, of one series where there is one."""
    ranked = sorted(names, key=lambda x: (_rank(x), len(x), x))
    first = ranked[0]
    series = re.match(r"[a-z]+", first)
    same = [x for x in ranked[1:] if series and x.startswith(series[0])]
    return (first, *(same or ranked[1:])[:1])


def _rank(name: str) -> int:
    return next((i for i, word in enumerate(_SMALL) if word in name), len(_SMALL))


def _timm() -> Any:
    declare_operators()
    import timm  # type: ignore[import-not-found]  # of `make vision`

    return timm


def _built(library: str, name: str, n_labels: int) -> torch.nn.Module:
    timm = _timm()
    if library == "timm":
        model: torch.nn.Module = timm.create_model(name, pretrained=False, num_classes=n_labels)
        return model
    from torchvision import models  # type: ignore[import-not-found]

    let_nms_run()
    options: dict[str, Any] = {"weights": None}
    if not name.startswith("raft"):
        options["num_classes"] = n_labels
    if any(x in name for x in ("rcnn", "fcos", "retina", "ssd", "deeplab", "fcn", "lraspp")):
        options["weights_backbone"] = None
    if name in ("googlenet", "inception_v3"):
        options["init_weights"] = False
    built: torch.nn.Module = models.get_model(name, **options)
    return built
