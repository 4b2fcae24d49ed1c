"""Claim: axes of a TorchScript file follow from its text, which is never run, and are proven."""

import io
import zipfile

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from tests.anatomy.moves import moved  # noqa: E402
from tests.calls import n_calls  # noqa: E402
from weightkin import compare  # noqa: E402
from weightkin.anatomy.onnx.read import axes_by_graph, reach  # noqa: E402
from weightkin.formats import open_model  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of tracing


class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.deep = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.norm = nn.GroupNorm(4, 16)
        self.last = nn.Conv2d(16, 12, 1)
        self.head = nn.Linear(12, 5)

    def forward(self, x):
        h = self.first(x)
        h = h + torch.relu(self.norm(self.deep(h)))
        return self.head(torch.relu(self.last(h)).mean((2, 3)))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(20, 10)
        self.cell = nn.LSTM(10, 9, 2, batch_first=True)
        self.head = nn.Linear(9, 4)

    def forward(self, x):
        return self.head(self.cell(self.table(x))[0][:, -1])


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(20, 16)
        self.norm = nn.LayerNorm(16)
        self.qkv = nn.Linear(16, 3 * 16)
        self.out = nn.Linear(16, 16)
        self.up, self.down = nn.Linear(16, 24), nn.Linear(24, 16)
        self.head = nn.Linear(16, 20)

    def forward(self, x):
        h = self.table(x)
        n, t, _ = h.shape
        q, k, v = (y.view(n, t, 2, 8).transpose(1, 2) for y in self.qkv(self.norm(h)).chunk(3, -1))
        w = torch.softmax(q @ k.transpose(-1, -2) / 8**0.5, -1)
        h = h + self.out((w @ v).transpose(1, 2).reshape(n, t, 16))
        return self.head(h + self.down(torch.nn.functional.gelu(self.up(h))))


WORDS = torch.arange(14).reshape(2, 7)
NETS = {  # network, inputs, units and cells of its axes
    "convolutional": (Convolutional, torch.linspace(-1, 1, 600).reshape(2, 3, 10, 10), "16/4 12"),
    "recurrent": (Recurrent, WORDS, "10 9"),
    "attention": (Attention, WORDS, "16 16/8 16/8 24"),
}


def made(name, seed=0):
    torch.manual_seed(seed)
    kind, inputs, expected = NETS[name]
    net = kind().eval()
    with torch.no_grad():
        for p in net.parameters():  # no biases of zero, no gains of one
            p.copy_(0.5 * torch.randn_like(p))
    return net, inputs, expected


def saved(net, inputs, path, *, is_traced):
    program = torch.jit.trace(net, inputs) if is_traced else torch.jit.script(net)
    program.save(str(path))
    return open_model(path)


@pytest.mark.parametrize(
    ("name", "is_traced"),
    [("convolutional", True), ("convolutional", False), ("recurrent", True), ("attention", True)],
)
def test_relabelling_an_axis_leaves_the_outputs(name, is_traced, tmp_path):
    net, inputs, expected = made(name)
    opened = saved(net, inputs, tmp_path / "x.pt", is_traced=is_traced)
    axes = axes_by_graph(opened)
    shown = [f"{x.n_units}/{x.head_size}" if x.head_size else f"{x.n_units}" for x in axes]
    assert " ".join(shown) == expected
    state = net.state_dict()
    assert reach(opened, axes) > 0.99 * sum(p.numel() for p in net.parameters())
    shapes = {key: tuple(x.shape) for key, x in state.items()}
    rng = np.random.default_rng(0)

    def change(moves):
        kept = {key: state[key].clone() for key in moves}
        for key, order in moves.items():
            state[key].copy_(state[key].reshape(-1)[torch.from_numpy(order)].reshape(shapes[key]))
        with torch.no_grad():
            after = net(inputs)
        for key, x in kept.items():
            state[key].copy_(x)
        return float((after - before).abs().max())

    with torch.no_grad():
        before = net(inputs)
    for axis in axes:
        move = moved(axis, shapes, rng)
        assert change(move) < 1e-4
        largest = max(move, key=lambda x: state[x].numel())
        assert change({key: order for key, order in move.items() if key != largest}) > 1e-3


def test_a_noisy_child_is_found_and_an_unrelated_model_is_not(tmp_path):
    models = []
    for i, (seed, noise) in enumerate([(0, 0.0), (0, 0.05), (1, 0.0)]):
        net, inputs, _ = made("convolutional", seed)
        with torch.no_grad():
            for p in net.parameters():
                p.add_(noise * torch.randn_like(p))
        models.append(saved(net, inputs, tmp_path / f"{i}.pt", is_traced=True))
    assert compare(models[0], models[1]).verdict == "dependent"
    assert compare(models[0], models[2]).verdict in ("no-evidence", "not-testable")


class Twice(nn.Module):
    """One matrix under two names, which read and write the same units."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(5, 16)
        self.b, self.c = nn.Linear(16, 16), nn.Linear(16, 16)
        self.c.weight = self.b.weight
        self.d = nn.Linear(16, 3)

    def forward(self, x):
        return self.d(torch.relu(self.c(torch.relu(self.b(torch.relu(self.a(x)))))))


class Unusual(nn.Module):
    """Something that no rule knows stands between two matrices."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 16), nn.Linear(16, 3)

    def forward(self, x):
        return {"y": self.b(torch.roll(self.a(x), 1, 1))}


def test_what_is_shared_is_one_and_what_is_not_known_is_fixed(tmp_path):
    x = torch.ones(2, 5)
    axes = axes_by_graph(saved(Twice().eval(), x, tmp_path / "a.pt", is_traced=True))
    assert [len(axis.places) for axis in axes] == [len("ab") * 2 + 1 + 1 + 1]
    torch.jit.trace(Unusual().eval(), x, strict=False).save(str(tmp_path / "b.pt"))
    assert axes_by_graph(open_model(tmp_path / "b.pt")) == []


def changed(path, text):
    """A TorchScript file with another text of its first class."""
    data = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(data, "w") as new:
        for name in old.namelist():
            body = old.read(name)
            if name.endswith(".py") and b"class Convolutional(" in body:
                head, _, _ = body.decode().partition("  def forward")
                body = (head + text).encode()
            new.writestr(name, body)
    path.write_bytes(data.getvalue())
    return open_model(path)


@pytest.mark.parametrize(
    "body",
    [
        "    return " + "(" * 150 + "x" + ")" * 150 + "\n",
        "    return torch.relu(" * 1 + "-" * 50_000 + "1)\n",
        "    return (self).forward((self).forward(x, ), )\n",
        "    for i in range(9999999999):\n      x = torch.relu(x)\n    return x\n",
        "".join(
            f"    x{i} = torch.cat([x{i - 1 or ''}, x{i - 1 or ''}], 0)\n" for i in range(1, 60)
        )
        + "    return x59\n",
        "    return torch.split(torch.zeros([999999999999, 1]), 1)\n",
        "    return import_(x\n",
        "    raise x\n",
    ],
)
def test_hostile_texts_cost_little_and_are_never_run(body, tmp_path):
    net, inputs, _ = made("convolutional")
    saved(net, inputs, tmp_path / "x.pt", is_traced=True)
    opened = changed(tmp_path / "x.pt", "  def forward(self, x):\n" + body)
    found = []
    assert n_calls(lambda: found.extend(axes_by_graph(opened))) < 1_000_000
    assert found == []
