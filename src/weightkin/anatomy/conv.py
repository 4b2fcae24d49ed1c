"""Convolutional nets: the output channels of each convolution.

Only layouts whose wiring the names make certain are read: residual nets as torchvision, CIFAR code
and transformers write them, and plain chains (``features.N``, ``convN``). In residual nets channels
of different convolutions may be tied by addition, and those of one number are seen in coordinates
of another, so all convolutions share their labels: what is found on them is averaged. Grouped
convolutions, normalisation in groups, and shortcuts without weights between different widths break
S_c and refuse the whole net, but for convolutions that stand between their neighbours so that no
other reading is left.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from weightkin.anatomy.infer import Found
from weightkin.anatomy.naming import natural
from weightkin.anatomy.types import Axis, Place
from weightkin.anatomy.units import Refusal
from weightkin.formats.model import Problem, TensorInfo
from weightkin.text import counted

MAX_CONVOLUTIONS = 4096
MIN_CHANNELS = 8
N_COLOURS = 3
_ATTENTION = re.compile(r"att|(?:^|[._])(?:q|k|v|qk|kv|qkv|to_[qkv])(?:$|[._])|query|key|value")

# (module that the shortcut and the chain belong to, step of the chain); an empty step is a shortcut
_RESIDUAL = (
    re.compile(
        r"(?P<unit>(?:.*\.)?layer[0-9]+\.[0-9]+)\.(?:conv(?P<step>[0-9]+)|(?:downsample|shortcut)\.0)"
    ),
    re.compile(
        r"(?P<unit>(?:.*\.)?stages\.[0-9]+\.layers\.[0-9]+)"
        r"\.(?:layer\.(?P<step>[0-9]+)|shortcut)\.convolution"
    ),
)
_STEM = re.compile(r"(?:.*\.)?(?:conv1|embedder\.embedder\.convolution)")
_CHAIN = re.compile(r"(?P<parent>(?:.*\.)?)(?:conv_?)?(?P<step>[0-9]+)")
_NORMS = (  # how the normalisation after a convolution is called
    (re.compile(r"conv([0-9]+)$"), r"bn\1"),
    (re.compile(r"conv_([0-9]+)$"), r"bn_\1"),
    (re.compile(r"\.convolution$"), ".normalization"),
)


@dataclass(frozen=True, slots=True)
class _Conv:
    module: str
    info: TensorInfo
    unit: str = ""  # residual unit, or "" in a stem or a chain

    @property
    def channels(self) -> tuple[int, int]:
        """Out and in."""
        return self.info.shape[0], self.info.shape[1]


def conv_axes(tensors: Iterable[TensorInfo]) -> Found:
    """Read the channel axes of a convolutional net among tensors that no family claimed."""
    infos = {info.name: info for info in tensors}
    found = Found()
    convs = _convolutions(infos)
    if len(convs) < 2:
        return found
    try:
        if len(convs) > MAX_CONVOLUTIONS:
            raise Refusal(
                "too-many", f"{len(convs)} convolutions, {MAX_CONVOLUTIONS} at most are read"
            )
        _check_normalisation(infos, convs)
        is_plain = _check_wiring(convs)
    except Refusal as reason:
        found.skipped.append(reason.of("channels of convolutions"))
        certain = [] if reason.code == "too-many" else _certain(convs, infos)
        found.axes += [_widening(block, conv) for block, conv in enumerate(certain)]
        found.stacks += [("conv", len(certain))] if certain else []
        return found
    found.stacks.append(("conv", len(convs)))
    for block, conv in enumerate(convs):
        if is_plain and conv is convs[-1] and not _feeds_linear(infos, conv):
            why = "its channels may be the output of the network"
            found.skipped.append(Problem(conv.module, why, code="wiring"))
        elif conv.channels[0] < 2:
            found.skipped.append(
                Problem(conv.module, "it has fewer than two channels", code="few-units")
            )
        else:
            after = convs[block + 1] if is_plain and block + 1 < len(convs) else None
            found.axes.append(_axis(block, conv, infos, is_plain=is_plain, after=after))
    found.roles.update((p.tensor, p.role) for x in found.axes for p in x.places if p.dim == 0)
    return found


def _certain(convs: list[_Conv], infos: Mapping[str, TensorInfo]) -> list[_Conv]:
    """Convolutions that read all channels of the one before, and are read by the one behind.

    They have more channels than they read: so none of these can be one of theirs, as in a residual
    sum. A batch norm of their own follows, so they are no output. Numbers of channels that some
    grouped convolution may read are left out.
    """
    outs = {conv.channels[0] for conv in convs}
    stems = [conv for conv in convs if conv.channels[1] == N_COLOURS]
    grouped = {x.channels[1] for x in convs if x.channels[1] > 1 and x.channels[1] not in outs}
    grouped -= {N_COLOURS} if len(stems) == 1 else set()
    unknown, norms = _unknown_norms(convs, infos), _norms(infos)
    found = []
    for before, conv, after in zip([None, *convs], convs, [*convs[1:], None], strict=False):
        n, n_in = conv.channels
        is_fed = before is not None and before.channels[0] == n_in
        is_stem = len(stems) == 1 and conv is stems[0]
        readers = convs if is_stem else [after] if after else []
        is_read = any(x.channels in ((x.channels[0], n), (n, 1)) for x in readers)
        is_free = n not in unknown and not any(n % size == 0 for size in grouped)
        is_widening = (is_fed or is_stem) and is_read and n_in < n and n >= MIN_CHANNELS
        if is_widening and is_free and _has_norm(conv, norms):
            found.append(conv)
    return [conv for conv in found if not _ATTENTION.search(conv.module)]


def _norms(infos: Mapping[str, TensorInfo]) -> dict[str, dict[str, tuple[int, ...]]]:
    """Batch norms by the module that they stand in, and their last name; with their shapes."""
    found: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, info in infos.items():
        if name.endswith(".running_mean"):
            above, _, last = name.removesuffix(".running_mean").rpartition(".")
            found.setdefault(above, {})[last] = info.shape
    return found


def _has_norm(conv: _Conv, norms: Mapping[str, Mapping[str, tuple[int, ...]]]) -> bool:
    """Whether a batch norm beside a convolution, behind it if they are numbered, has its size."""
    parent, _, step = conv.module.rpartition(".")
    own = norms.get(parent, {})
    if not step.isdecimal():
        return (conv.channels[0],) in own.values()
    behind = [x for x in own if x.isdecimal() and natural(x) > natural(step)]
    return bool(behind) and own[min(behind, key=natural)] == (conv.channels[0],)


def _widening(block: int, conv: _Conv) -> Axis:
    """Channels of which nobody knows with which others they are tied: one label for all."""
    n = conv.channels[0]
    place = Place(conv.info.name, 0, 0, n, "conv")
    labels = "channels"
    return Axis(conv.module, "units", "conv", block, n, f"S_{n}", labels, (place,))


def _convolutions(infos: Mapping[str, TensorInfo]) -> list[_Conv]:
    convs = []
    for name in sorted(infos, key=natural):
        info = infos[name]
        is_kernel = len(info.shape) == 4 and name.endswith(".weight") and math.prod(info.shape) > 0
        if is_kernel and info.shape[2] <= 32 and info.shape[3] <= 32:
            convs.append(_Conv(name.removesuffix(".weight"), info, _unit(name)))
    return convs


def _unit(name: str) -> str:
    module = name.removesuffix(".weight")
    found = next(filter(None, (grammar.fullmatch(module) for grammar in _RESIDUAL)), None)
    return found["unit"] if found else ""


def _check_normalisation(infos: Mapping[str, TensorInfo], convs: list[_Conv]) -> None:
    """Refuse norms without running statistics: they may act on groups of channels."""
    for name in _unknown_norms(convs, infos).values():
        raise Refusal("norm-groups", f"{name}: a norm may act on groups of channels (GroupNorm)")


def _unknown_norms(convs: list[_Conv], infos: Mapping[str, TensorInfo]) -> dict[int, str]:
    """Numbers of channels of which a norm has no running statistics, and its name."""
    channels = {conv.channels[0] for conv in convs}
    return {
        info.shape[0]: name
        for name, info in reversed(list(infos.items()))
        if len(info.shape) == 1
        and info.shape[0] in channels
        and name.endswith(".weight")
        and f"{name.removesuffix('.weight')}.running_mean" not in infos
    }


def _check_wiring(convs: list[_Conv]) -> bool:
    """Return whether the net is a plain chain; refuse what is neither that nor a residual net."""
    outs = {conv.channels[0] for conv in convs}
    for conv in convs[1:]:
        if conv.channels[1] not in outs:
            raise _unmatched(conv, outs)
    steps = [_CHAIN.fullmatch(conv.module) for conv in convs]
    if all(steps) and len({step["parent"] for step in steps if step}) == 1:
        for before, conv in zip(convs, convs[1:], strict=False):
            if before.channels[0] != conv.channels[1]:
                raise Refusal(
                    "wiring", f"{conv.module} does not read the channels of {before.module}"
                )
        return True
    for conv in convs:
        if not conv.unit and not _STEM.fullmatch(conv.module):
            raise Refusal("wiring", f"{conv.module}: the wiring of this layout is not known")
    if sum(not conv.unit for conv in convs) > 1 or not any(conv.unit for conv in convs):
        raise Refusal("wiring", "several stems: the wiring of this layout is not known")
    for unit in dict.fromkeys(conv.unit for conv in convs if conv.unit):
        _check_unit(unit, [conv for conv in convs if conv.unit == unit])
    return False


def _unmatched(conv: _Conv, outs: set[int]) -> Refusal:
    """Why a convolution may read as many channels as none puts out."""
    n = conv.channels[1]
    said = f"{conv.module} reads {counted(n, 'channel')}"
    is_joined = n > min(outs) and any(n - other in outs for other in outs)
    is_grouped = any(other % n == 0 for other in outs)
    if n == 1:
        return Refusal("grouped", f"{said}: a depthwise or grouped convolution")
    if is_grouped and not is_joined:
        return Refusal("grouped", f"{said}: a grouped convolution")
    if is_joined and not is_grouped:
        return Refusal("joined", f"{said}: outputs of several convolutions, one after the other")
    return Refusal("wiring", f"{said}, which none puts out: the wiring of this layout is not known")


def _check_unit(unit: str, members: list[_Conv]) -> None:
    """A residual unit: its chain fits, and its shortcut has weights where the width changes."""
    matches = [(c, next(filter(None, (g.fullmatch(c.module) for g in _RESIDUAL)))) for c in members]
    chain = [conv for conv, found in matches if found["step"]]
    shortcuts = [conv for conv, found in matches if not found["step"]]
    if not chain or len(shortcuts) > 1:
        raise Refusal("wiring", f"{unit} is not a residual unit")
    for before, conv in zip(chain, chain[1:], strict=False):
        if before.channels[0] != conv.channels[1]:
            is_grouped = before.channels[0] % conv.channels[1] == 0
            raise Refusal(
                "grouped" if is_grouped else "wiring",
                f"{conv.module} does not read the channels of {before.module}:"
                f" {'grouped convolution' if is_grouped else 'unknown'}",
            )
    ends = (chain[-1].channels[0], chain[0].channels[1])
    if any(conv.channels != ends for conv in shortcuts):
        raise Refusal("wiring", f"the shortcut of {unit} does not join its ends")
    if not shortcuts and ends[0] != ends[1]:
        raise Refusal("wiring", f"{unit} changes the width without a shortcut that has weights")


def _axis(
    block: int, conv: _Conv, infos: Mapping[str, TensorInfo], *, is_plain: bool, after: _Conv | None
) -> Axis:
    n = conv.channels[0]
    return Axis(
        name=conv.module,
        kind="units",
        stack="conv",
        block=block,
        n_units=n,
        group=f"S_{n}",
        labels=f"channels.{conv.module}" if is_plain else "channels",
        places=tuple(_places(conv, infos, after)),
    )


def _places(conv: _Conv, infos: Mapping[str, TensorInfo], after: _Conv | None) -> Iterator[Place]:
    n = conv.channels[0]
    yield Place(conv.info.name, 0, 0, n, "conv")
    norm = _norm_after(conv.module, infos)
    names = [f"{conv.module}.bias"]
    names += [f"{norm}.{leaf}" for leaf in ("weight", "bias", "running_mean", "running_var")]
    for name in names:
        if name in infos and infos[name].shape == (n,):
            yield Place(name, 0, 0, n, "conv.bias" if name == names[0] else "norm")
    if after is not None:
        yield Place(after.info.name, 1, 0, n, "conv.in")


def _norm_after(module: str, infos: Mapping[str, TensorInfo]) -> str:
    """Name of the batch norm that follows, or an unused name."""
    for pattern, name in _NORMS:
        if pattern.search(module):
            return pattern.sub(name, module)
    head, _, step = module.rpartition(".")
    following = f"{head}.{int(step) + 1}" if step.isdecimal() and len(step) < 10 else ""
    return following if f"{following}.running_mean" in infos else ""


def _feeds_linear(infos: Mapping[str, TensorInfo], conv: _Conv) -> bool:
    """Whether some matrix can read the flattened or pooled output of the last convolution."""
    n = conv.channels[0]
    return any(len(i.shape) == 2 and i.shape[1] and i.shape[1] % n == 0 for i in infos.values())
