"""Graph convolutional network over samples (Kipf & Welling, 2017): each is a node, scored from its neighbours."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import GCNConv

from .graph import Graph
from .losses import class_loss, log_prior, sample_loss
from .settings import GCNSettings
from .step import Step


class GCN(nn.Module):
    """Two convolutions. The first hop acts on features that never change, so that it is done once, before training."""

    def __init__(self, features: int, classes: int, settings: GCNSettings) -> None:
        super().__init__()
        self.enter = nn.Linear(features, settings.hidden_channels)
        self.leave = GCNConv(settings.hidden_channels, classes, normalize=False)  # its CSR is normalised already
        self.dropout = settings.dropout

    def forward(self, propagated: Tensor, adjacency: Tensor) -> Tensor:
        """Class scores [N, K].

        Args:
            propagated: features after the first hop [N, D]
            adjacency: normalised and symmetric, sparse CSR [N, N]
        """
        hidden = F.dropout(propagated, self.dropout, self.training)
        hidden = F.dropout(self.enter(hidden).relu(), self.dropout, self.training)
        return self.leave(hidden, adjacency)  # type: ignore[no-any-return]


def build(features: int, classes: int, settings: GCNSettings) -> GCN:
    """A network of `features` inputs with first weights that the seed fixes."""
    torch.manual_seed(settings.seed)
    return GCN(features, classes, settings)


def prepare(graph: Graph, features: np.ndarray) -> tuple[Tensor, Tensor]:
    """The features after the first hop [N, D], and the adjacency, CSR [N, N]. What is not finite counts as zero."""
    matrix = graph.normalised()
    propagated = matrix @ np.nan_to_num(features, posinf=0.0, neginf=0.0).astype(np.float32)
    return torch.from_numpy(propagated), _as_torch(matrix)


def train(
    model: GCN, propagated: Tensor, adjacency: Tensor, labels: np.ndarray, settings: GCNSettings
) -> Iterator[Step]:
    """Fits `model` in place, yielding one Step an epoch.

    Args:
        propagated, adjacency: of `prepare`
        labels: class of each node, -1 where unknown [N]
    """
    known = torch.from_numpy(np.flatnonzero(labels >= 0))
    given = torch.as_tensor(labels)[known]
    prior = settings.logit_adjustment * log_prior(given, model.leave.out_channels)
    optimizer = torch.optim.Adam(model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)

    for epoch in range(1, settings.epochs + 1):
        torch.manual_seed(settings.seed * 1_000_003 + epoch)
        model.train()
        logits = model(propagated, adjacency)[known]
        loss = settings.class_loss_weight * class_loss(logits, given, prior)
        loss = loss + settings.sample_loss_weight * sample_loss(logits + prior, given, settings.sample_loss_power)

        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield Step(epoch, settings.epochs, loss.item())


@torch.inference_mode()
def predict(model: GCN, propagated: Tensor, adjacency: Tensor) -> np.ndarray:
    """Probability of each class for every node [N, K]."""
    model.eval()
    return np.asarray(model(propagated, adjacency).softmax(1).numpy())


def _as_torch(matrix: sp.csr_array) -> Tensor:
    parts = (torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data))
    return torch.sparse_csr_tensor(*parts, size=matrix.shape)
