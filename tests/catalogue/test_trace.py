"""Claim: a graph recorded from a running module has labels that hold when the module runs."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 (as everybody calls it)
from torch.nn.attention.flex_attention import flex_attention

from tests.catalogue.small import BATCH, TOKENS, Between, N, Small, proven


def _written(h):
    out = torch.zeros_like(h)
    for i in range(h.shape[1]):
        out[:, i] = h[:, i].tanh() * (i + 1)
    return out


def _written_apart(h):
    out = torch.empty_like(h)
    out[..., 0::2], out[..., 1::2] = h[..., : N // 2], h[..., N // 2 :]
    return out


def _written_through(h):
    out = torch.zeros(N, BATCH, TOKENS)
    pages = out.permute(1, 2, 0).view(BATCH, TOKENS, N)
    pages[:, 1:].copy_(h[:, :-1])  # the first token is seen by nobody
    pages[:, 0] += 1.0
    return out.permute(1, 2, 0) + h


def _rotated(h):
    pairs = torch.view_as_complex(h.reshape(BATCH, TOKENS, N // 2, 2))
    angles = torch.polar(torch.ones(TOKENS, N // 2), torch.rand(TOKENS, N // 2))
    return torch.view_as_real(pairs * angles).flatten(2)


def _attention(h):
    q, k, v = h.view(BATCH, TOKENS, 3, 2, N // 6).permute(2, 0, 3, 1, 4)
    own = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return own.transpose(1, 2).reshape(BATCH, TOKENS, N // 3)


def _of_scores(h):
    q, k, v = h.view(BATCH, TOKENS, 3, 2, N // 6).permute(2, 0, 3, 1, 4)
    own = flex_attention(q, k, v, score_mod=lambda score, b, head, i, j: score + head * (i - j))
    return own.transpose(1, 2).reshape(BATCH, TOKENS, N // 3)


def _queries_share_keys(h):
    q, k, v = h.split([N // 2, N // 4, N // 4], -1)
    q, k, v = (x.view(BATCH, TOKENS, -1, 3).transpose(1, 2) for x in (q, k, v))
    own = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    return own.transpose(1, 2).flatten(2)


def _rows_put(h):
    out = torch.zeros(BATCH * TOKENS, N)
    out.index_add_(0, torch.tensor([3, 1, 0]), h.flatten(0, 1)[[2, 4, 5]])
    out[torch.tensor([7, 8])] = h[0, :2]
    return out.view(BATCH, TOKENS, N) + h


def _masked(h):
    mask = torch.tensor([True, False, True, True, False]).expand(BATCH, TOKENS)
    return h.masked_scatter(mask[..., None].expand_as(h), h[mask].tanh())


def _decided(h):
    best = h.mean((0, 1)).argmax().item()
    return h.tanh() if best % 2 else h.sin()


def _strided(h):
    windows = h.as_strided((BATCH, 2, 3, N), (TOKENS * N, 2 * N, N, 1))  # tokens 0 to 2, 2 to 4
    return windows.sum(2)


def _shuffled(h):
    return F.pixel_shuffle(h.mean(1)[..., None, None], 2).flatten(1)


def _looped(h):
    state, found = torch.zeros(BATCH, N), []
    for i in range(h.shape[1]):
        state = torch.lerp(state, h[:, i], 0.3)
        found.append(state)
    return torch.stack(found, 1)


HALVES, NONE, ALL = (N // 2,), (), (N,)
OPERATIONS = {  # sizes of the free atoms that the hidden units consist of, entries that come out
    "relu in place": (lambda h: h.relu_(), ALL, N),
    "power of a sum": (lambda h: (h + h.mean(-1, keepdim=True)).pow(2), ALL, N),
    "softmax": (lambda h: h.softmax(-1), ALL, N),
    "layer norm": (lambda h: F.layer_norm(h, (N,)), ALL, N),
    "norm over tokens": (lambda h: F.normalize(h, dim=1), ALL, N),
    "instance norm": (lambda h: F.instance_norm(h.mT).mT, ALL, N),
    "sum of tokens so far": (lambda h: h.cumsum(1), ALL, N),
    "sum of units so far": (lambda h: h.cumsum(-1), NONE, N),
    "units turned round": (lambda h: h.flip(-1), NONE, N),
    "tokens turned round": (lambda h: h.flip(1), ALL, N),
    "sorted": (lambda h: h.sort(-1).values, NONE, N),
    "best tokens": (lambda h: h.topk(2, 1).values.mean(1), ALL, N),
    "best unit": (lambda h: F.one_hot(h.argmax(-1), N).double().to(h) + h.softmax(-1), NONE, N),
    "gate": (lambda h: F.glu(h, -1), HALVES, N // 2),
    "chunks": (lambda h: torch.mul(*h.chunk(2, -1)), HALVES, N // 2),
    "interleaved gate": (lambda h: h[..., ::2] * h[..., 1::2], HALVES, N // 2),
    "joined": (lambda h: torch.cat([h, h.tanh()], -1), ALL, 2 * N),
    "stacked": (lambda h: torch.stack([h, h.tanh()], -1).flatten(-2), ALL, 2 * N),
    "repeated": (lambda h: h.repeat(1, 1, 2), ALL, 2 * N),
    "each repeated": (lambda h: h.repeat_interleave(2, -1), ALL, 2 * N),
    "rolled": (lambda h: h.roll(1, -1), NONE, N),
    "padded tokens": (lambda h: F.pad(h, (0, 0, 1, 0))[:, :-1], ALL, N),
    "padded units": (lambda h: F.pad(h, (0, 1)), NONE, N + 1),
    "pooled tokens": (lambda h: F.max_pool1d(h.mT, 2).mT, ALL, N),
    "upsampled tokens": (lambda h: F.interpolate(h.mT, scale_factor=2.0, mode="linear").mT, ALL, N),
    "windows of tokens": (lambda h: h.unfold(1, 3, 1).mean(-1), ALL, N),
    "patches": (lambda h: F.unfold(h.mT[..., None], (3, 1)).mT, ALL, 3 * N),
    "shuffled pixels": (_shuffled, (3, 2, 2), N),
    "written by token": (_written, ALL, N),
    "written apart": (_written_apart, NONE, N),
    "written through views": (_written_through, ALL, N),
    "rows put": (_rows_put, ALL, N),
    "masked rows": (_masked, ALL, N),
    "masked fill": (lambda h: h.masked_fill(h < 0, -1.0), ALL, N),
    "gathered tokens": (lambda h: h.gather(1, h.argsort(1)), ALL, N),
    "scattered units": (lambda h: torch.zeros_like(h).scatter(-1, h.argsort(-1), 1.0), NONE, N),
    "picked units": (lambda h: h[..., [0, 3, 3]], NONE, 3),
    "picked token": (lambda h: h[torch.arange(BATCH), [1, 3]], ALL, N),
    "rotated pairs": (_rotated, NONE, N),
    "spectrum of tokens": (lambda h: torch.fft.rfft(h, dim=1).abs(), ALL, N),
    "spectrum of units": (lambda h: torch.fft.fft(h).real, NONE, N),
    "decided by a unit": (_decided, NONE, N),
    "overlapping windows": (_strided, ALL, N),
    "loop": (_looped, ALL, N),
    "distances": (lambda h: torch.cdist(h, h.tanh()), ALL, TOKENS),
    "letters": (lambda h: torch.einsum("bid,bjd->bij", h, h.tanh()), ALL, TOKENS),
    "outer product": (lambda h: (h[..., :, None] * h[..., None, :4]).sum(-1), (4, 8), N),
    "attention": (_attention, (2, 2), N // 3),
    "attention by heads": (_of_scores, (2,), N // 3),
    "shared keys": (_queries_share_keys, (3, 3, 2), N // 2),
    "lower triangle": (lambda h: h @ torch.ones(N, N).tril(), NONE, N),
    "buckets": (lambda h: torch.bucketize(h, torch.tensor([-0.5, 0.5])).to(h), ALL, N),
    "among some": (lambda h: torch.isin(h.sign(), torch.tensor([1.0, 2.0])).to(h), ALL, N),
    "sums of rows": (lambda h: F.embedding_bag(torch.tensor([[0, 2]]), h[0], mode="sum"), ALL, N),
    "product of odd and even": (lambda h: h.unflatten(-1, (-1, 2)).prod(-1), (6, 2), N // 2),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_hidden_units_are_free_where_the_operation_lets_them_be(name):
    op, free, n_out = OPERATIONS[name]
    labels, proofs, traced = proven(Between(op, n_out), {"x": torch.randn(BATCH, TOKENS, 4)})
    assert "broken" not in {proof.state for proof in proofs.values()}
    units = {atom for part in labels.dims["first.weight"][0] for atom in part}
    assert sorted(labels.atoms[x].size for x in units if labels.atoms[x].is_free) == sorted(free)
    assert not traced.opaque


def test_every_layer_of_a_module_is_proven():
    labels, proofs, traced = proven(Small(), {"ids": torch.randint(0, 11, (2, 9))})
    assert {proof.state for proof in proofs.values()} == {"proven"}
    sizes = sorted((atom.size, atom.cells) for atom in labels.atoms.values() if atom.is_free)
    assert sizes == [
        (3, ()), (4, ()), (4, ()), (6, ()), (6, ()), (6, (2, 2, 2)), (10, ()), (14, ())
    ]  # fmt: skip
    assert traced.aliases == {"head.weight": "embed.weight"}
    assert traced.unused == ("spare.weight", "spare.bias")
    assert not traced.opaque
    assert traced.outputs == ("",)


def test_what_is_not_known_is_opaque():
    labels, proofs, traced = proven(
        Between(lambda h: h.mT.diagonal(dim1=1, dim2=2), TOKENS), {"x": torch.randn(BATCH, 5, 4)}
    )
    assert dict(traced.opaque) == {"diagonal": 1}
    assert not any(atom.is_free for atom in labels.atoms.values())
    assert not proofs


def test_experts_that_no_token_reached_are_not_free():
    class Experts(nn.Module):
        def __init__(self):
            super().__init__()
            self.up, self.down = (
                nn.Parameter(torch.rand(6, 4, N)),
                nn.Parameter(torch.rand(6, N, 3)),
            )

        def forward(self, x):
            return sum((x @ self.up[i]).relu() @ self.down[i] for i in (1, 4))

    labels, proofs, _ = proven(Experts(), {"x": torch.randn(BATCH, 4)})
    assert [atom.size for atom in labels.atoms.values() if atom.is_free] == [N]
    assert {proof.state for proof in proofs.values()} == {"proven"}
