"""Small modules, and their labels with proofs."""

import numpy as np
import torch
from benchmarks.catalogue.bench import Bench
from benchmarks.catalogue.moves import label_moves
from benchmarks.catalogue.prove import prove
from benchmarks.catalogue.trace import trace
from torch import nn

from weightkin.anatomy.graph.labels import labels_of

N, TOKENS, BATCH = 12, 5, 2


class Between(nn.Module):
    """A linear map to hidden units, an operation, a linear map from hidden units."""

    def __init__(self, op, n_out):
        super().__init__()
        self.op = op
        self.first, self.last = nn.Linear(4, N), nn.Linear(n_out, 3)

    def forward(self, x):
        return self.last(self.op(self.first(x)))


def proven(module, inputs, **options):
    torch.manual_seed(0)
    traced = trace(module, inputs, **options)
    labels = labels_of(traced.graph)
    moves = label_moves(labels, np.random.default_rng(0))
    return labels, prove(Bench(module, inputs, **options), moves), traced


class Small(nn.Module):
    """Convolutions in groups, norms, a recurrent layer, attention, tied embeddings."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.conv = nn.Sequential(nn.Conv1d(8, 12, 3, groups=2), nn.GroupNorm(3, 12), nn.ReLU(True))
        self.narrow = nn.Sequential(nn.Conv1d(12, 12, 3, groups=12), nn.BatchNorm1d(12))
        self.wide = nn.ConvTranspose1d(12, 10, 2)
        self.cell = nn.LSTM(10, 6, batch_first=True, bidirectional=True)
        self.mix = nn.TransformerEncoderLayer(12, 3, 14, batch_first=True)
        self.back = nn.GRU(12, 8, batch_first=True)
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.embed.weight
        self.spare = nn.Linear(3, 3)
        self.register_buffer("places", torch.arange(8.0), persistent=False)

    def forward(self, ids):
        x = self.narrow(self.conv(self.embed(ids).mT))
        x = self.mix(self.cell(self.wide(x).mT)[0])
        return self.head(self.back(x)[0])
