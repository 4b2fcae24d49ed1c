"""Small nets trained on the same data from several seeds: what tests of their graphs' axes say.

Needs torch. Every pair is independent; every net also has a child, trained a little further.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import combinations

import numpy as np
import torch
from torch import nn

from benchmarks.catalogue.trace import trace
from benchmarks.lib.tables import markdown
from weightkin.anatomy.graph.labels import labels_of
from weightkin.anatomy.graph.units import graph_axes
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Anatomy
from weightkin.evidence.confirm import Draw
from weightkin.evidence.ladder import paid_log10, passes, run_stages
from weightkin.evidence.sample import make_plan
from weightkin.formats import model_from_arrays

N_CLASSES = 10


class Images(nn.Module):
    """Convolutions with a norm, residual blocks, and a head."""

    def __init__(self, norm: Callable[[int], nn.Module], width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.norms = nn.ModuleList(norm(width) for _ in range(5))
        self.inner = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(4))
        self.head = nn.Linear(width, N_CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores of images."""
        x = torch.relu(self.norms[0](self.stem(x)))
        for i in (0, 2):
            y = torch.relu(self.norms[i + 1](self.inner[i](x)))
            x = torch.relu(x + self.norms[i + 2](self.inner[i + 1](y)))
        return self.head(x.mean((2, 3)))


class Steps(nn.Module):
    """A recurrent cell, written out: gates of what it reads and of its own state."""

    def __init__(self, gates: int, width: int = 48) -> None:
        super().__init__()
        self.gates, self.width = gates, width
        self.w = nn.ModuleList([nn.Linear(24, gates * width), nn.Linear(width, gates * width)])
        self.r = nn.ModuleList(nn.Linear(width, gates * width) for _ in range(2))
        self.head = nn.Linear(width, N_CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores of sequences ``(n, steps, features)``."""
        for w, r in zip(self.w, self.r, strict=True):
            h = c = torch.zeros(len(x), self.width)
            found = []
            for step in range(x.shape[1]):
                h, c = self._step(w(x[:, step]), r(h), h, c)
                found.append(h)
            x = torch.stack(found, 1)
        return self.head(x[:, -1])

    def _step(
        self, read: torch.Tensor, own: torch.Tensor, h: torch.Tensor, c: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.gates == 4:
            i, f, g, o = (read + own).chunk(4, -1)
            c = torch.sigmoid(f + 1) * c + torch.sigmoid(i) * torch.tanh(g)
            return torch.sigmoid(o) * torch.tanh(c), c
        (r1, z1, n1), (r2, z2, n2) = read.chunk(3, -1), own.chunk(3, -1)
        z = torch.sigmoid(z1 + z2)
        new = torch.tanh(n1 + torch.sigmoid(r1 + r2) * n2)
        return (1 - z) * new + z * h, c


class Scan(nn.Module):
    """A selective state space, as Mamba has it, in two blocks around a stream."""

    def __init__(self, width: int = 24, inner: int = 48, states: int = 4) -> None:
        super().__init__()
        self.inner, self.states = inner, states
        self.first = nn.Linear(24, width)
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    "norm": nn.LayerNorm(width),
                    "into": nn.Linear(width, 2 * inner, bias=False),
                    "conv": nn.Conv1d(inner, inner, 4, groups=inner, padding=3),
                    "read": nn.Linear(inner, inner + 2 * states, bias=False),
                    "out": nn.Linear(inner, width, bias=False),
                }
            )
            for _ in range(2)
        )
        decays = torch.log(torch.arange(1, states + 1).float()).repeat(inner, 1)
        self.decay = nn.ParameterList(nn.Parameter(decays.clone()) for _ in range(2))
        self.head = nn.Linear(width, N_CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores of sequences ``(n, steps, features)``."""
        x = self.first(x)
        for block, decay in zip(self.blocks, self.decay, strict=True):
            x = x + self._scan(block, decay, block["norm"](x))
        return self.head(x.mean(1))

    def _scan(self, block: nn.ModuleDict, decay: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        u, gate = block["into"](x).chunk(2, -1)
        u = torch.nn.functional.silu(
            block["conv"](u.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2)
        )
        step, b, c = block["read"](u).split([self.inner, self.states, self.states], -1)
        step = torch.nn.functional.softplus(step)
        h = torch.zeros(len(x), self.inner, self.states)
        found = []
        for t in range(x.shape[1]):
            kept = torch.exp(-step[:, t, :, None] * torch.exp(decay))
            h = kept * h + step[:, t, :, None] * b[:, t, None, :] * u[:, t, :, None]
            found.append((h * c[:, t, None, :]).sum(-1))
        return block["out"](torch.stack(found, 1) * torch.nn.functional.silu(gate))


NETS: dict[str, Callable[[], nn.Module]] = {
    "convolutions, GroupNorm": lambda: Images(lambda n: nn.GroupNorm(8, n)),
    "convolutions, BatchNorm": lambda: Images(nn.BatchNorm2d),
    "LSTM": lambda: Steps(4),
    "GRU": lambda: Steps(3),
    "state space": Scan,
}


def run(n_seeds: int = 5, n_steps: int = 300) -> list[str]:
    """A row for every net: its unrelated pairs, and its children."""
    rows = []
    for name in NETS:
        nets = [_trained(name, seed, n_steps) for seed in range(n_seeds)]
        children = [_continued(name, net, n_steps // 3) for net in nets[:2]]
        sides = [_side(name, net) for net in nets]
        unrelated = [_log10(a, b) for a, b in combinations(sides, 2)]
        related = [_log10(a, _side(name, c)) for a, c in zip(sides, children, strict=False)]
        n_axes = len(sides[0].axes("units"))
        p_unrelated, p_related = ([p for p, _ in pairs] for pairs in (unrelated, related))
        found = [sum(is_found for _, is_found in pairs) for pairs in (unrelated, related)]
        rows.append(
            (
                *(name, n_axes),
                *(f"{found[0]} of {len(unrelated)}", f"{min(p_unrelated):.1f}"),
                *(f"{found[1]} of {len(related)}", f"{max(p_related):.1f}"),
            )
        )
    header = (
        *("net", "axes tested", "unrelated pairs found", "smallest log10 p"),
        *("children found", "largest log10 p"),
    )
    return markdown(header, rows)


def _data(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The same examples for all seeds: noise around one pattern a class."""
    rng = torch.Generator().manual_seed(0)
    shape = (3, 8, 8) if "convolutions" in name else (6, 24)
    patterns = torch.randn(N_CLASSES, *shape, generator=rng)
    y = torch.randint(N_CLASSES, (512,), generator=rng)
    return patterns[y] + torch.randn(512, *shape, generator=rng), y


def _trained(name: str, seed: int, n_steps: int) -> nn.Module:
    torch.manual_seed(seed)
    return _fitted(NETS[name](), name, n_steps, 2e-3)


def _continued(name: str, net: nn.Module, n_steps: int) -> nn.Module:
    torch.manual_seed(99)
    return _fitted(copy.deepcopy(net), name, n_steps, 5e-4)


def _fitted(net: nn.Module, name: str, n_steps: int, rate: float) -> nn.Module:
    x, y = _data(name)
    net.train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate)
    for _ in range(n_steps):
        batch = torch.randint(len(x), (32,))
        loss = nn.functional.cross_entropy(net(x[batch]), y[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.eval()


def _side(name: str, net: nn.Module) -> Side:
    traced = trace(net, {"x": _data(name)[0][:2]})
    arrays = {
        k: v.detach().numpy().astype(np.float32)
        for k, v in net.state_dict().items()
        if v.is_floating_point()
    }
    axes = graph_axes(labels_of(traced.graph), {k: v.shape for k, v in arrays.items()})
    stacks = (("graph", len(axes)),)
    return Side(model_from_arrays(arrays), Anatomy("graph", stacks, tuple(axes), ()))


def _log10(a: Side, b: Side) -> tuple[float, bool]:
    """Smallest log10 p of any stage, and whether any passes."""
    plan = make_plan((a.model, a.anatomy), (b.model, b.anatomy))
    stages = [s for s in run_stages(Draw(a, b, plan, 0), 1e-6).stages if s.tests]
    return min(map(paid_log10, stages), default=0.0), any(passes(s, 1e-6) for s in stages)
